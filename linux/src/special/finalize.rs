//! The order in which Linux reads special sections right after relocation.

use super::ReadAt::Finalize;
use super::{ANY, Special, Version, before, by_name};

/// Returns the sections that kernels of this version read in [`Finalize`],
/// in the order in which they are read.
///
/// `.altinstr_replacement` is read with `.altinstructions` and not listed. The reader of
/// `.cfi_sites` reads `.retpoline_sites` too. Up to 6.14 the reader of `.call_sites` also patched
/// calls that `.parainstructions` lists, from 6.8 on `.altinstructions`.
pub fn finalize_order(version: Version) -> impl Iterator<Item = &'static Special> {
    let order =
        FINALIZE.iter().rev().find(|(first, _)| !before(version, *first)).map_or(&[][..], |row| row.1);
    let specials = order.iter().filter_map(|name| by_name(name.as_bytes()));
    specials.filter(move |special| special.first_read(version) == Some(Finalize))
}

/// The first version with each order, oldest first, and the sections that kernels read up to the
/// next version.
#[rustfmt::skip]
const FINALIZE: &[(Version, &[&str])] = &[
    (ANY, &["__ex_table", ".data..percpu", ".retpoline_sites", ".altinstructions", ".smp_locks",
        ".parainstructions", "__jump_table", ".orc_unwind_ip", ".orc_unwind"]),
    // Paravirt first, because alternatives rely on it: 5adf349439d2, 5.17-rc8; also in 5.15.y and
    // 5.16.y.
    ((5, 17), &["__ex_table", ".data..percpu", ".parainstructions", ".cfi_sites", ".retpoline_sites",
        ".return_sites", ".altinstructions", ".call_sites", ".ibt_endbr_seal", ".smp_locks", "__jump_table",
        ".orc_unwind_ip", ".orc_unwind"]),
    // Locks last, by module_post_finalize: merge window of 6.13.
    ((6, 13), &["__ex_table", ".data..percpu", ".cfi_sites", ".retpoline_sites", ".return_sites",
        ".altinstructions", ".call_sites", ".ibt_endbr_seal", ".orc_unwind_ip", ".orc_unwind", ".smp_locks"]),
    // Calls before alternatives: ab9fea59487d; locks back: 1d7e707af446; both x86-core-2025-03-22
    // for 6.15.
    ((6, 15), &["__ex_table", ".data..percpu", ".cfi_sites", ".retpoline_sites", ".return_sites", ".call_sites",
        ".altinstructions", ".ibt_endbr_seal", ".smp_locks", ".orc_unwind_ip", ".orc_unwind"]),
];

#[cfg(test)]
mod tests {
    use super::super::SPECIALS;
    use super::*;

    #[test]
    fn the_order_of_finalize_names_all_that_is_read_there_once() {
        for version in (8..20).map(|minor| (5, minor)).chain((0..20).map(|minor| (6, minor))).chain([(7, 3)])
        {
            for special in SPECIALS.iter().filter(|special| special.name != ".altinstr_replacement") {
                let read = special.first_read(version) == Some(Finalize);
                let times = finalize_order(version).filter(|other| other.name == special.name).count();
                assert_eq!(times, usize::from(read), "{} in {version:?}", special.name);
            }
        }
        assert!(FINALIZE.iter().flat_map(|row| row.1).all(|name| by_name(name.as_bytes()).is_some()));
        let place = |version, name| finalize_order(version).position(|special| special.name == name);
        assert!(place((6, 12), ".call_sites") > place((6, 12), ".altinstructions"));
        assert!(place((7, 3), ".call_sites") < place((7, 3), ".altinstructions"));
    }
}
