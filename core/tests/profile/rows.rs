//! The rows as data: `errno`, names, and how rows are found.

use relakit::ErrorKind::*;
use relakit::reloc::{RelocFlags, RelocTypes};
use relakit::{ErrorKind, Profile};
use std::collections::BTreeSet;

/// The rows that are not Linux.
pub const OTHERS: [Profile; 5] =
    [Profile::ELF, Profile::XEN, Profile::GRUB, Profile::FREEBSD, Profile::KEXEC];

/// Every row.
pub fn all() -> impl Iterator<Item = Profile> {
    Profile::LINUX.iter().copied().chain(OTHERS)
}

/// The kinds for which a loader returns an `errno`, with the number.
fn errnos(profile: &Profile) -> Vec<(ErrorKind, i32)> {
    let errnos = ErrorKind::ALL.iter().map(|kind| (*kind, profile.errno(*kind)));
    errnos.filter(|(_, errno)| *errno != 0).collect()
}

#[test]
fn the_default_is_strict() {
    assert_eq!(Profile::default(), Profile::ELF);
    assert_eq!(RelocFlags::default(), RelocFlags::empty());
    assert_eq!(Profile::ELF.reloc_flags(), RelocFlags::empty());
    let strict = Profile::default();
    assert!(strict.checks_ident && strict.checks_strings && strict.wants_targets);
}

#[test]
fn a_version_between_two_rows_takes_the_older_one() {
    let name = |major, minor| Profile::for_linux(major, minor).map(|row| row.name);
    assert_eq!(name(5, 7), None);
    assert_eq!(name(5, 8), Some("5.8"));
    assert_eq!(name(6, 0), Some("5.8"));
    assert_eq!(name(6, 2), Some("6.1"));
    assert_eq!(name(6, 11), Some("6.3"));
    assert_eq!(name(6, 12), Some("6.12"));
    assert_eq!(name(7, 0), Some("6.19"));
    assert_eq!(name(9, 99), Some("7.3"));
}

#[test]
fn rows_of_linux_are_in_order_and_named_after_their_version() {
    assert!(Profile::LINUX.windows(2).all(|pair| pair[0].since < pair[1].since));
    for row in Profile::LINUX {
        assert_eq!(row.name, format!("{}.{}", row.since.0, row.since.1));
    }
    assert!(OTHERS.iter().all(|row| row.since == (0, 0)));
    assert_eq!(Profile::LINUX_DEFAULT, Profile::LINUX_6_12);
}

#[test]
fn each_row_has_a_name_of_its_own() {
    let names: BTreeSet<_> = all().map(|row| row.name).collect();
    assert_eq!(names.len(), all().count());
}

#[test]
fn no_kind_has_two_errnos() {
    for row in all() {
        let listed: usize = row.errnos.iter().map(|(_, kinds)| kinds.len()).sum();
        assert_eq!(listed, errnos(&row).len(), "{}", row.name);
    }
}

#[test]
fn linux_returns_the_same_errno_in_every_version() {
    for row in Profile::LINUX {
        assert_eq!(row.errnos, Profile::LINUX_DEFAULT.errnos);
    }
    let linux = Profile::LINUX_DEFAULT;
    assert_eq!(linux.errno(UnknownSymbol), 2);
    for kind in
        [Truncated, NotElf, WrongMachine, BadSymbolName, RelSection, UnknownType, Overflow, TargetNotZero]
    {
        assert_eq!(linux.errno(kind), 8, "{kind:?}");
    }
    for kind in [BadKlpSectionName, NotKlpSymbol, KlpNotFound, KlpAmbiguous, NotAModule, EmptyFile] {
        assert_eq!(linux.errno(kind), 22, "{kind:?}");
    }
    for kind in [BadIdent, PartialEntry, SymbolIndex, OffsetOutside, TargetMismatch, Writer, FlagsConflict] {
        assert_eq!(linux.errno(kind), 0, "Linux does not notice: {kind:?}");
    }
    assert_eq!(errnos(&linux).len(), 31);
}

#[test]
fn xen_tells_an_unknown_type_an_overflow_and_a_bad_index_or_offset_apart() {
    assert_eq!(
        errnos(&Profile::XEN),
        [
            (BadIdent, 95),
            (WrongMachine, 95),
            (SymbolIndex, 22),
            (RelSection, 95),
            (UnknownType, 95),
            (Overflow, 75),
            (OffsetOutside, 22),
        ]
    );
}

#[test]
fn freebsd_returns_enoexec_for_an_unknown_type_and_enoent_for_an_unknown_symbol() {
    assert_eq!(errnos(&Profile::FREEBSD), [(UnknownSymbol, 2), (UnknownType, 8)]);
}

#[test]
fn grub_kexec_and_elf_have_no_errno() {
    for row in [Profile::GRUB, Profile::KEXEC, Profile::ELF] {
        assert_eq!(errnos(&row), [], "{}", row.name);
    }
}

#[test]
fn an_embedder_makes_a_row_from_another_one() {
    const MINE: Profile = {
        let mut mine = Profile::GRUB;
        mine.name = "mine";
        mine.types = mine.types.union(RelocTypes::EXTRA);
        mine.errnos = &[(5, &[UnknownType, Overflow]), (7, &[SymbolIndex])];
        mine.with_flags(RelocFlags::TRUNCATE_PC32)
    };
    assert_eq!(MINE.reloc_flags().types(), RelocTypes::all() - RelocTypes::NONE - RelocTypes::GOT);
    assert!(MINE.flags.contains(RelocFlags::ADD_TO_FIELD | RelocFlags::TRUNCATE_PC32));
    assert_eq!(errnos(&MINE), [(SymbolIndex, 7), (UnknownType, 5), (Overflow, 5)]);
}
