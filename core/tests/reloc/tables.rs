//! Random memories and tables: some in which everything is right, some in which anything may be wrong.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{RelocFlags, RelocTypes, Target, Values, View, apply};
use relakit::{Error, arch};
use relakit_model::table::{Fit, TYPES, Type, World, row};

/// A memory and a table for it.
#[derive(Clone, Debug)]
pub struct Case {
    pub world: World,
    pub table: Vec<Rela>,
}

impl Case {
    /// Applies the table to plain memory; the answer, and the bytes afterwards.
    pub fn apply(&self) -> (Result<(), Error>, Vec<u8>) {
        self.run(apply)
    }

    /// The same with another pass.
    pub fn run(&self, pass: Pass) -> (Result<(), Error>, Vec<u8>) {
        let World { bytes, address, values, flags } = &self.world;
        let (mut bytes, file) = (bytes.clone(), file(&self.table));
        let result = pass(
            RelaTable::new(&file).unwrap(),
            values[..].into(),
            &mut Target::new(&mut bytes, *address),
            *flags,
        );
        (result, bytes)
    }
}

/// `apply`, [`check`] or `clear`.
pub type Pass = fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, RelocFlags) -> Result<(), Error>;

/// A dry run of what `apply` would be called for.
pub fn check(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    flags: RelocFlags,
) -> Result<(), Error> {
    relakit::reloc::dry_run(table, values, &mut View::from(target), flags)
}

/// The table as it stands in a file.
pub fn file(table: &[Rela]) -> Vec<u8> {
    crate::common::rela_bytes(table)
}

/// Bytes that a field has.
pub fn size(rela: Rela) -> usize {
    row(rela.r_type, RelocFlags::EXTRA_TYPES).map_or(0, |row| row.2 as usize / 8)
}

pub fn rela(offset: u64, symbol: u32, r_type: u32, addend: i64) -> Rela {
    Rela { r_offset: offset, r_sym: symbol, r_type, r_addend: addend }
}

/// Every set of flags that knows all types.
pub fn flags_of_all_types() -> impl Strategy<Value = RelocFlags> {
    (0u32..16).prop_map(|bits| RelocFlags::from_bits(bits).unwrap())
}

/// Every set of flags; half of them know a part of the types only.
pub fn flags() -> impl Strategy<Value = RelocFlags> {
    // A pass without a GOT does not know its types.
    let all = (RelocTypes::all() - RelocTypes::GOT).bits();
    let types = (1..=all).prop_map(RelocTypes::from_bits_truncate);
    let some = (flags_of_all_types(), types)
        .prop_map(|(flags, types)| (flags - RelocFlags::EXTRA_TYPES).with_types(types));
    prop_oneof![flags_of_all_types(), some]
}

/// Every set of flags that wants fields to be zero and knows all types.
pub fn flags_zero() -> impl Strategy<Value = RelocFlags> {
    flags_of_all_types().prop_map(|flags| flags - RelocFlags::ALLOW_NONZERO)
}

/// Numbers, those near the edges of fields more often than others.
pub fn number() -> impl Strategy<Value = u64> {
    let edge = (select(vec![0u32, 7, 8, 15, 16, 31, 32, 63]), any::<bool>(), -3i64..=3).prop_map(
        |(bit, negative, off)| {
            let edge = (1u64 << bit).wrapping_add(off.cast_unsigned());
            if negative { edge.wrapping_neg() } else { edge }
        },
    );
    let kernel = any::<u32>().prop_map(|low| 0xffff_ffff_8000_0000 | u64::from(low));
    prop_oneof![any::<u64>(), edge, kernel, 0u64..0x1000, Just(0)]
}

/// A value that fits the field of this type and has much of `raw`.
fn fitting((_, _, bits, fit, _): Type, raw: u64, flags: RelocFlags) -> u64 {
    let extend = |signed: bool| {
        let shift = 64 - bits;
        if signed { (((raw << shift) as i64) >> shift) as u64 } else { raw << shift >> shift }
    };
    match fit {
        Fit::Any => raw,
        Fit::SextOrCut if flags.contains(RelocFlags::TRUNCATE_PC32) => raw,
        Fit::Sext | Fit::SextOrCut => extend(true),
        Fit::Zext => extend(false),
        Fit::Both => extend(raw & 1 == 0),
    }
}

/// The addend with which symbol value `s` gives `value` at `place`.
pub fn addend(row: Type, value: u64, s: u64, place: u64) -> i64 {
    let sum = if row.1 { value.wrapping_add(place) } else { value };
    sum.wrapping_sub(s).cast_signed()
}

/// Symbol values, at least one.
fn values() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(number(), 1..6)
}

/// Everything is right: fields ascend with gaps that hold anything, all values fit, all fields are zero unless the
/// rules allow more.
pub fn good(flags: impl Strategy<Value = RelocFlags>) -> impl Strategy<Value = Case> {
    let entry = (any::<Index>(), 0usize..5, number(), any::<Index>());
    (flags, number(), values(), prop::collection::vec(entry, 0..12), 0usize..5, 1u8..).prop_map(
        |(flags, address, values, entries, tail, filler)| {
            let address = below_the_end(address);
            let known: Vec<Type> = TYPES.into_iter().filter(|known| row(known.0, flags).is_some()).collect();
            let mut case =
                Case { world: World { bytes: Vec::new(), address, values, flags }, table: Vec::new() };
            for (which, gap, raw, symbol) in entries {
                let (row, symbol) = (which.get(&known), symbol.index(case.world.values.len()));
                let bytes = &mut case.world.bytes;
                bytes.resize(bytes.len() + gap, filler);
                let offset = bytes.len() as u64;
                let value = fitting(*row, raw, flags);
                let a = addend(*row, value, case.world.values[symbol], address.wrapping_add(offset));
                let field = if flags.contains(RelocFlags::ALLOW_NONZERO) { filler ^ 0x55 } else { 0 };
                bytes.resize(bytes.len() + row.2 as usize / 8, field);
                case.table.push(rela(offset, symbol as u32, row.0, a));
            }
            let end = case.world.bytes.len() + tail;
            case.world.bytes.resize(end, filler);
            case
        },
    )
}

/// Anything may be wrong, most of it is not: any order, overlaps, values that do not fit, offsets and symbols outside,
/// unknown types, fields that are not zero.
pub fn wild(flags: impl Strategy<Value = RelocFlags>) -> impl Strategy<Value = Case> {
    let byte = prop_oneof![40 => Just(0u8), 1 => any::<u8>()];
    let which = prop_oneof![
        16 => select(vec![arch::R_X86_64_64, 2, 4, 10, 11, 24]),
        3 => select(TYPES.map(|row| row.0).to_vec()),
        1 => prop_oneof![0u32..64, any::<u32>()],
    ];
    // Half of the offsets are close together, so that fields overlap.
    let off = prop_oneof![12 => 0u64..12, 6 => 0u64..40, 1 => number()];
    // Many values with zero bytes, so that fields may overlap.
    let one_byte = (1u64..256, 0u32..8).prop_map(|(byte, at)| byte << (8 * at));
    let raw = prop_oneof![6 => Just(0u64), 4 => one_byte, 1 => number()];
    let entry = (which, off, raw, any::<Index>(), 0u8..16);
    let entries = prop::collection::vec(entry, 0..7);
    let memory =
        prop_oneof![prop::collection::vec(byte, 0..44), (20usize..44).prop_map(|size| vec![0; size])];
    (flags, number(), values(), memory, entries).prop_map(|(flags, address, values, bytes, entries)| {
        let address = below_the_end(address);
        let table = entries.into_iter().map(|(r_type, offset, raw, which, luck)| {
            let symbol = which.index(values.len());
            let s = values[symbol];
            let place = address.wrapping_add(offset);
            let a = match row(r_type, RelocFlags::EXTRA_TYPES) {
                Some(row) if luck > 0 => addend(row, fitting(row, raw, flags), s, place),
                _ => raw.cast_signed(),
            };
            let symbol = match luck {
                1 if raw % 8 == 0 => values.len() as u32,
                1 if raw % 8 == 1 => u32::MAX,
                _ => symbol as u32,
            };
            rela(offset, symbol, r_type, a)
        });
        let table = table.collect();
        Case { world: World { bytes, address, values, flags }, table }
    })
}

/// An address from which no memory of these tests wraps.
pub fn below_the_end(address: u64) -> u64 {
    address.min(u64::MAX - 0xfff)
}
