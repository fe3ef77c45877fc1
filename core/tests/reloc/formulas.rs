//! Each type computes what the psABI says and writes its field and nothing else.

use crate::config;
use crate::tables::{Case, addend, flags, flags_of_all_types, number, rela};
use proptest::prelude::*;
use proptest::sample::select;
use relakit::ErrorKind;
use relakit::reloc::{Formula, HOWTOS, Overflow, RelocFlags, RelocTypes, howto};
use relakit_model::table::{self as model, TYPES, fits, largest, row, signed, value};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_field_gets_the_formulas_value_or_the_table_is_refused(
        row in select(TYPES.to_vec()), s in number(), a in number(), address in number(), flags in flags_of_all_types(),
        fit: bool, wanted in number(), before in 0usize..9, after in 0usize..9,
    ) {
        let flags = flags | RelocFlags::EXTRA_TYPES;
        let address = crate::tables::below_the_end(address);
        let (offset, size) = (before as u64, row.2 as usize / 8);
        let place = address.wrapping_add(offset);
        // Half of the addends are such that the value is `wanted`, which is often near an edge.
        let a = if fit { addend(row, wanted, s, place) } else { a.cast_signed() };
        let mut bytes = vec![0xa5; before + size + after];
        bytes[before..before + size].fill(0);
        let world = model::World { bytes: bytes.clone(), address, values: vec![0, s], flags };
        let (result, now) = Case { world, table: vec![rela(offset, 1, row.0, a)] }.apply();

        let expected = value(row, s, a, place);
        if fits(row, expected, flags) {
            prop_assert_eq!(result, Ok(()));
            let field = model::number(&now[before..before + size]);
            prop_assert_eq!(field, expected.rem_euclid(1 << row.2), "the low bits of S + A - P");
            if largest(row, flags).is_some() {
                let sext = if field >> (row.2 - 1) == 1 { field - (1 << row.2) } else { field };
                prop_assert!(field == expected || sext == signed(expected), "it decodes to the value");
            }
            bytes[before..before + size].copy_from_slice(&now[before..before + size]);
        } else {
            let limit = u64::try_from(largest(row, flags).unwrap()).unwrap();
            let fault = model::fault(result.unwrap_err());
            let expected = u64::try_from(expected).unwrap();
            prop_assert_eq!(
                fault,
                (ErrorKind::Overflow, Some(0), Some(1), Some(row.0), offset, expected, limit)
            );
        }
        prop_assert_eq!(now, bytes, "nothing beside the field");
    }

    #[test]
    fn the_public_row_of_a_type_agrees_with_the_model(
        row in select(TYPES.to_vec()), s in number(), a in number(), p in number(), flags in flags(),
    ) {
        let howto = howto(row.0, RelocFlags::EXTRA_TYPES).unwrap();
        let v = if row.2 == 0 { 0 } else { value(row, s, a.cast_signed(), p) };
        let word = u64::try_from(v).unwrap();
        prop_assert_eq!(howto.value(s, a.cast_signed(), p), word);
        prop_assert_eq!(howto.fits(word, flags), fits(row, v, flags));
        prop_assert_eq!(howto.largest(flags).map(i128::from), largest(row, flags));
        prop_assert_eq!(i128::from(howto.mask()), (1i128 << row.2) - 1);
    }
}

#[test]
fn the_table_of_types_is_the_psabis() {
    assert_eq!(HOWTOS.len(), TYPES.len());
    for (r_type, relative, bits, fit, linux) in TYPES {
        let howto = howto(r_type, RelocFlags::EXTRA_TYPES).unwrap();
        let formula = match (bits, relative) {
            (0, _) => Formula::Nothing,
            (_, true) => Formula::PcRelative,
            (_, false) => Formula::Absolute,
        };
        let range = match fit {
            model::Fit::Any => Overflow::None,
            model::Fit::Zext => Overflow::Unsigned,
            model::Fit::Sext => Overflow::Signed,
            model::Fit::SextOrCut => Overflow::SignedOrTruncated,
            model::Fit::Both => Overflow::Bitfield,
        };
        assert_eq!(
            (howto.formula, howto.overflow, u32::from(howto.size) * 8),
            (formula, range, bits),
            "{r_type}"
        );
        assert_eq!((howto.r_type, RelocTypes::BASE.contains(howto.set)), (r_type, linux));
    }
}

#[test]
fn no_other_type_is_known() {
    for flags in (0..16).map(|bits| RelocFlags::from_bits(bits).unwrap()) {
        for r_type in (0..=0x10000).chain((0..32).map(|bit| 1 << bit)).chain([u32::MAX, u32::MAX - 1]) {
            assert_eq!(howto(r_type, flags).is_some(), row(r_type, flags).is_some(), "{r_type} {flags:?}");
        }
    }
}
