//! One relocation at a time: types, ranges, the content of the field, and the order of checks.

use crate::rows::{OTHERS, all};
use relakit::ErrorKind::{self, *};
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{self, RelocFlags};
use relakit::{Profile, Target, View};

const NONE: u32 = 0;
const ABS64: u32 = 1;
const PC32: u32 = 2;
const PLT32: u32 = 4;
const ABS32: u32 = 10;
const ABS32S: u32 = 11;
const PC64: u32 = 24;

const BASE: [u32; 7] = [NONE, ABS64, PC32, PLT32, ABS32, ABS32S, PC64];
const FAR: u64 = 0x1_2345_6789;

/// Applies entries of one type and value to fields that hold `content`, eight bytes apart. Returns
/// the content of the first field, or the error. Checks that a dry run returns the same, that memory
/// does not change if it fails, and that `clear` is the way back.
fn apply(profile: &Profile, r_type: u32, value: u64, content: u64) -> Result<u64, ErrorKind> {
    let flags = profile.reloc_flags();
    let before = content.to_le_bytes().repeat(3);
    let entry = |offset| Rela { r_offset: offset, r_sym: 1, r_type, r_addend: 0 }.to_bytes();
    // At address 0, so that the first PC-relative value is `value`.
    let entries = [entry(0), entry(8), entry(16)];
    let table = RelaTable::from_entries(&entries[..1]);
    let values = [0, value];
    let mut bytes = before.clone();
    let checked = reloc::dry_run(table, values[..].into(), &mut View::new(&before, 0), flags);
    let applied = reloc::apply(table, values[..].into(), &mut Target::new(&mut bytes, 0), flags);
    assert_eq!(checked, applied, "{} {r_type}", profile.name);
    let now = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    if let Err(error) = applied {
        assert_eq!(bytes, before);
        return Err(error.kind);
    }
    assert_eq!(bytes[8..], before[8..], "one field is written");
    reloc::clear(table, values[..].into(), &mut Target::new(&mut bytes, 0), flags).unwrap();
    if !flags.contains(RelocFlags::ALLOW_NONZERO) {
        assert_eq!(bytes, before, "{} {r_type}", profile.name);
    }
    // A table of several entries takes the loop for frequent types, if the row knows them all.
    let table = RelaTable::from_entries(&entries);
    let mut bytes = before;
    if reloc::apply(table, values[..].into(), &mut Target::new(&mut bytes, 0), flags).is_ok() {
        assert_eq!(bytes[..8], now.to_le_bytes());
    }
    Ok(now)
}

/// The types of the psABI that a row applies, in a table by itself and after an entry of a type that
/// every row knows.
fn known(profile: &Profile) -> Vec<u32> {
    let flags = profile.reloc_flags();
    (0..64)
        .filter(|&r_type| {
            let entry = |offset, r_type| Rela { r_offset: offset, r_sym: 1, r_type, r_addend: 0 }.to_bytes();
            let entries = [entry(0, ABS64), entry(8, r_type), entry(16, ABS64)];
            let applied = apply(profile, r_type, 8, 0);
            let mut bytes = [0; 24];
            let target = &mut Target::new(&mut bytes, 0);
            let all = reloc::apply(RelaTable::from_entries(&entries), [0, 8][..].into(), target, flags);
            assert_eq!(all.map_err(|error| error.kind), applied.map(|_| ()), "{} {r_type}", profile.name);
            assert!(matches!(applied, Ok(_) | Err(UnknownType)), "{} {r_type}", profile.name);
            applied.is_ok()
        })
        .collect()
}

#[test]
fn linux_and_elf_know_the_seven_base_types() {
    for row in Profile::LINUX.iter().chain([&Profile::ELF]) {
        assert_eq!(known(row), BASE, "{}", row.name);
    }
}

#[test]
fn xen_knows_none_64_pc32_and_plt32() {
    assert_eq!(known(&Profile::XEN), [NONE, ABS64, PC32, PLT32]);
}

#[test]
fn grub_knows_the_base_types_without_none() {
    assert_eq!(known(&Profile::GRUB), [ABS64, PC32, PLT32, ABS32, ABS32S, PC64]);
}

#[test]
fn freebsd_knows_neither_32_nor_pc64() {
    assert_eq!(known(&Profile::FREEBSD), [NONE, ABS64, PC32, PLT32, ABS32S]);
}

#[test]
fn kexec_knows_the_base_types_without_pc64() {
    assert_eq!(known(&Profile::KEXEC), [NONE, ABS64, PC32, PLT32, ABS32, ABS32S]);
}

#[test]
fn linux_freebsd_and_kexec_truncate_pc32_and_plt32_and_the_others_refuse_them() {
    for row in all() {
        for r_type in [PC32, PLT32] {
            assert_eq!(apply(&row, r_type, 0x7fff_ffff, 0), Ok(0x7fff_ffff), "{}", row.name);
            let truncates = row.since != (0, 0) || ["freebsd", "kexec"].contains(&row.name);
            let expected = if truncates { Ok(FAR & 0xffff_ffff) } else { Err(Overflow) };
            assert_eq!(apply(&row, r_type, FAR, 0), expected, "{}", row.name);
        }
    }
}

#[test]
fn every_row_checks_the_range_of_32_and_32s_if_it_knows_them() {
    for row in all() {
        for (r_type, fits, does_not) in
            [(ABS32, 0xffff_ffff, 0x1_0000_0000), (ABS32S, 0x7fff_ffff, 0x8000_0000)]
        {
            match known(&row).contains(&r_type) {
                true => {
                    assert_eq!(apply(&row, r_type, fits, 0), Ok(fits), "{}", row.name);
                    assert_eq!(apply(&row, r_type, does_not, 0), Err(Overflow), "{}", row.name);
                }
                false => assert_eq!(apply(&row, r_type, fits, 0), Err(UnknownType), "{}", row.name),
            }
        }
    }
}

#[test]
fn linux_and_elf_refuse_a_field_that_is_not_zero() {
    for row in Profile::LINUX.iter().chain([&Profile::ELF]) {
        assert_eq!(apply(row, ABS64, 7, 0), Ok(7), "{}", row.name);
        assert_eq!(apply(row, ABS64, 7, 1), Err(TargetNotZero), "{}", row.name);
    }
}

#[test]
fn xen_freebsd_and_kexec_overwrite_what_a_field_holds() {
    for row in [Profile::XEN, Profile::FREEBSD, Profile::KEXEC] {
        assert_eq!(apply(&row, ABS64, 7, 0x55), Ok(7), "{}", row.name);
        assert_eq!(apply(&row, PC32, 7, 0xaaaa_aaaa_5555_5555), Ok(0xaaaa_aaaa_0000_0007), "{}", row.name);
    }
}

#[test]
fn grub_adds_to_what_a_field_holds_and_the_sum_must_fit() {
    let grub = Profile::GRUB;
    assert_eq!(apply(&grub, ABS64, 7, 0x50), Ok(0x57));
    assert_eq!(apply(&grub, ABS32, 7, 0xffff_fff8), Ok(0xffff_ffff));
    assert_eq!(apply(&grub, ABS32, 7, 0xffff_fff9), Err(Overflow));
    assert_eq!(apply(&grub, PC32, 0x8000_0000, 0xffff_ffff), Ok(0x7fff_ffff), "a content of -1");
    assert_eq!(apply(&grub, PC32, 0x8000_0000, 0), Err(Overflow));
}

#[test]
fn linux_looked_at_the_field_before_the_range_until_6_3() {
    for row in all() {
        let expected = match row.since {
            (0, 0) => continue,
            since if since < (6, 3) => TargetNotZero,
            _ => Overflow,
        };
        assert_eq!(apply(&row, ABS32, FAR, 1), Err(expected), "{}", row.name);
    }
    assert_eq!(apply(&Profile::ELF, ABS32, FAR, 1), Err(Overflow));
}

#[test]
fn symbol_index_and_offset_are_checked_whatever_the_row() {
    for row in OTHERS {
        let entry = |r_offset, r_sym| Rela { r_offset, r_sym, r_type: ABS64, r_addend: 0 }.to_bytes();
        for (entry, expected) in [(entry(0, 2), SymbolIndex), (entry(1, 1), OffsetOutside)] {
            let mut bytes = [0; 8];
            let target = &mut Target::new(&mut bytes, 0);
            let table = RelaTable::from_entries(std::slice::from_ref(&entry));
            let error = reloc::apply(table, [0, 1][..].into(), target, row.reloc_flags()).unwrap_err();
            assert_eq!(error.kind, expected, "{}", row.name);
        }
    }
}
