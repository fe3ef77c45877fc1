//! The format of each section's entries, by hand; what is cut off or hostile.

use proptest::prelude::*;
use relakit_linux::special::{self, Effect, Role, SPECIALS, Site, Special, Version};

const HERE: u64 = 0xffff_ffff_c000_1000;

fn sites(name: &str, version: Version, bytes: &[u8]) -> Vec<Site> {
    special::sites(special::by_name(name.as_bytes()).unwrap(), version, bytes, HERE).collect()
}

fn site(entry: u64, address: u64, size: u64, role: Role) -> Site {
    Site { entry, address, size, role }
}

/// Versions on both sides of every change that the table of special sections knows, and of the profiles.
fn versions() -> impl Iterator<Item = Version> {
    let minors = |major, minors: std::ops::RangeInclusive<u16>| minors.map(move |minor| (major, minor));
    minors(5, 8..=19).chain(minors(6, 0..=19)).chain(minors(7, 0..=3))
}

/// Those whose entries lead to code that is rewritten, in kernels of this version.
fn rewriting(version: Version) -> impl Iterator<Item = (&'static Special, usize)> {
    let rewrites = |special: &&Special| {
        matches!(special.effect, Effect::Rewrites | Effect::UpdatesAndRewrites)
            || special.name == ".static_call.text"
    };
    let read = SPECIALS.iter().filter(move |special| special.is_read_by(version));
    read.filter(rewrites).map(move |special| (special, special.entry_size(version).unwrap().into()))
}

#[test]
fn every_section_whose_reader_rewrites_code_leads_to_it_and_no_other_does() {
    for version in versions() {
        for special in SPECIALS {
            let is_rewriting = rewriting(version).any(|(other, _)| other == special);
            let found = sites(special.name, version, &[1; 64]);
            assert_eq!(!found.is_empty(), is_rewriting, "{} in {version:?}", special.name);
        }
    }
}

#[test]
fn a_section_leads_to_code_from_its_first_kernel_until_its_last() {
    for (name, first, gone) in [
        (".altinstructions", (5, 8), None),
        (".parainstructions", (5, 8), Some((6, 8))),
        (".retpoline_sites", (5, 16), None),
        (".return_sites", (5, 19), None),
        (".call_sites", (6, 2), None),
        (".cfi_sites", (6, 2), None),
        (".ibt_endbr_seal", (5, 18), None),
        (".smp_locks", (5, 8), Some((7, 3))),
        ("__jump_table", (5, 8), None),
        (".static_call_sites", (5, 10), None),
        (".static_call.text", (5, 10), None),
        ("__mcount_loc", (5, 8), None),
    ] {
        for version in versions() {
            let expected = first <= version && gone.is_none_or(|gone| version < gone);
            assert_eq!(!sites(name, version, &[1; 64]).is_empty(), expected, "{name} in {version:?}");
        }
    }
}

#[test]
fn a_section_that_is_cut_off_leads_to_what_its_whole_entries_say_and_tells_of_the_rest() {
    let bytes: Vec<u8> = (1..=100).collect();
    for version in versions() {
        for (special, size) in rewriting(version) {
            let whole = sites(special.name, version, &bytes);
            for length in 0..bytes.len() {
                let mut cut = special::sites(special, version, &bytes[..length], HERE);
                let place = format!("{} in {version:?}, {length} bytes", special.name);
                assert_eq!(cut.left_over(), length % size, "{place}");
                let found: Vec<_> = cut.by_ref().collect();
                let entries = (length / size) as u64;
                assert!(whole.iter().take_while(|site| site.entry < entries).eq(&found), "{place}");
                assert_eq!((cut.left_over(), cut.next()), (length % size, None), "{place}, at the end");
            }
        }
    }
}

#[test]
fn what_no_code_is_rewritten_for_has_nothing_left_over() {
    let section = special::by_name(b"__ex_table").unwrap();
    assert_eq!(special::sites(section, (6, 12), &[0; 13], HERE).left_over(), 0);
}

#[test]
fn offsets_count_from_their_own_place() {
    let bytes = [0x10u32.to_le_bytes(), (-0x20i32).cast_unsigned().to_le_bytes()].concat();
    for (name, size, role) in [
        (".retpoline_sites", 5, Role::Retpoline),
        (".return_sites", 5, Role::Return),
        (".call_sites", 5, Role::Call),
        (".ibt_endbr_seal", 4, Role::Endbr),
        (".smp_locks", 1, Role::Lock),
        (".cfi_sites", 20, Role::CfiPreamble),
    ] {
        let expected = [site(0, HERE + 0x10, size, role), site(1, HERE + 4 - 0x20, size, role)];
        assert_eq!(sites(name, (6, 12), &bytes), expected, "{name}");
    }
}

#[test]
fn an_alternative_has_its_lengths_where_its_version_has_them() {
    // Original 0x100 behind the entry, replacement 0x200 behind its own field.
    let head = [0x100u32.to_le_bytes(), 0x200u32.to_le_bytes()].concat();
    for (version, middle, tail) in
        [((5, 12), 2, 1), ((5, 13), 2, 0), ((6, 2), 2, 0), ((6, 3), 4, 0), ((7, 3), 4, 0)]
    {
        let mut entry = head.clone();
        entry.extend(vec![0xee; middle]);
        entry.extend([7, 3]);
        entry.extend(vec![0xee; tail]);
        let size = entry.len() as u64;
        let bytes = [entry.clone(), entry].concat();
        let expected = [0, 1].map(|number| {
            let at = HERE + number * size;
            [
                site(number, at + 0x100, 7, Role::Alternative),
                site(number, at + 4 + 0x200, 3, Role::Replacement),
            ]
        });
        assert_eq!(sites(".altinstructions", version, &bytes), expected.concat(), "{version:?}");
    }
}

#[test]
fn a_longer_replacement_is_copied_whole() {
    let mut entry = [0x100u32.to_le_bytes(), 0x200u32.to_le_bytes()].concat();
    entry.extend([0, 0, 0, 0, 3, 7]);
    let original = site(0, HERE + 0x100, 7, Role::Alternative);
    assert_eq!(sites(".altinstructions", (6, 12), &entry)[0], original);
}

#[test]
fn addresses_are_taken_as_they_stand() {
    let bytes = [0xffff_ffff_c000_0123u64.to_le_bytes(), 0u64.to_le_bytes()].concat();
    let expected = [site(0, 0xffff_ffff_c000_0123, 5, Role::Trace), site(1, 0, 5, Role::Trace)];
    assert_eq!(sites("__mcount_loc", (6, 12), &bytes), expected);
    let mut paravirt = 0xffff_ffff_c000_0456u64.to_le_bytes().to_vec();
    paravirt.extend([9, 6, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        sites(".parainstructions", (6, 1), &paravirt),
        [site(0, 0xffff_ffff_c000_0456, 6, Role::Paravirt)]
    );
}

#[test]
fn jump_labels_and_static_calls_begin_with_the_offset_of_their_code() {
    let mut label = 0x40u32.to_le_bytes().to_vec();
    label.extend([0xee; 12]);
    assert_eq!(sites("__jump_table", (6, 12), &label), [site(0, HERE + 0x40, 5, Role::JumpLabel)]);
    let mut call = 0x40u32.to_le_bytes().to_vec();
    call.extend([0xee; 4]);
    assert_eq!(sites(".static_call_sites", (6, 12), &call), [site(0, HERE + 0x40, 5, Role::StaticCall)]);
}

#[test]
fn a_trampoline_is_its_own_entry() {
    let expected = [site(0, HERE, 5, Role::Trampoline), site(1, HERE + 8, 5, Role::Trampoline)];
    assert_eq!(sites(".static_call.text", (6, 12), &[0xe9; 16]), expected);
}

#[test]
fn the_code_says_how_long_an_instruction_is() {
    let size = |role, code: &[u8]| site(0, HERE, 5, role).size_in(code);
    assert_eq!(size(Role::JumpLabel, &[0xeb, 5]), 2);
    assert_eq!(size(Role::JumpLabel, &[0x66, 0x90]), 2);
    assert_eq!(size(Role::JumpLabel, &[0x66, 0x91]), 5);
    assert_eq!(size(Role::JumpLabel, &[0xe9, 0]), 5);
    assert_eq!(size(Role::JumpLabel, &[0x0f, 0x1f]), 5);
    assert_eq!(size(Role::StaticCall, &[0x0f, 0x84]), 6);
    assert_eq!(size(Role::StaticCall, &[0xe8]), 5);
    assert_eq!(size(Role::Retpoline, &[0xe8]), 5);
    assert_eq!(size(Role::Retpoline, &[0x2e, 0xe8]), 6);
    assert_eq!(size(Role::Retpoline, &[0x0f, 0x80]), 6);
    assert_eq!(size(Role::Retpoline, &[0x0f, 0x8f]), 6);
    assert_eq!(size(Role::Retpoline, &[0x0f, 0x90]), 5);
    assert_eq!(size(Role::Retpoline, &[0x2e, 0x0f, 0x84]), 7);
    assert_eq!(size(Role::StaticCall, &[0x2e, 0xe8]), 5, "compilers pad retpolines only");
    assert_eq!(size(Role::Trace, &[0xeb, 5]), 5);
    assert_eq!(size(Role::JumpLabel, &[]), 5);
}

proptest! {
    #[test]
    fn whatever_a_section_holds_each_whole_entry_leads_to_a_site_or_two(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        address: u64,
        version in (5u16..8, 0u16..20),
    ) {
        for special in SPECIALS {
            let sites: Vec<_> = special::sites(special, version, &bytes, address).collect();
            let Some(size) = special.entry_size(version).filter(|_| !sites.is_empty()) else {
                prop_assert!(sites.is_empty());
                continue;
            };
            prop_assert!(special.is_read_by(version));
            let entries = bytes.len() / usize::from(size);
            let each = if special.name == ".altinstructions" { 2 } else { 1 };
            prop_assert_eq!(sites.len(), entries * each);
            prop_assert!(sites.iter().all(|site| site.entry < entries as u64 && site.size <= 255));
        }
    }
}
