//! Whatever the bytes are, parsing answers, and what it accepts can be walked.

use crate::common::{E_SHOFF, E_SHSTRNDX, File};
use crate::config;
use crate::samples::file;
use proptest::prelude::*;
use relakit::elf::{Object, RelaTable, SymbolLocation};
use relakit::{Error, Module, Profile, abi};

/// Reads all that there is of a file, and holds it against the file and the parser's promises.
pub fn walk(bytes: &[u8]) -> Result<(), Error> {
    for profile in [Profile::ELF, Profile::LINUX_5_8, Profile::LINUX_7_3] {
        // Only that it answers; what, is for the tests of the module.
        let _ = Module::parse(bytes, profile).is_ok();
    }
    let object = Object::parse(bytes)?;
    let count = object.section_count();
    assert_eq!(object.bytes(), bytes);
    assert_eq!(object.sections().count(), count as usize);
    assert_eq!(object.section(count), None);
    let mut symbol_tables = 0;
    for (index, section) in object.sections() {
        assert_eq!(object.section(index), Some(section));
        let content = object.section_bytes(&section);
        if section.has_bytes() {
            let start = usize::try_from(section.sh_offset).unwrap();
            assert_eq!(content.as_ptr(), bytes[start..].as_ptr());
            assert_eq!(content.len() as u64, section.sh_size);
        } else {
            assert_eq!(content, b"");
        }
        let name = object.section_name(&section);
        assert!(!name.contains(&0) && name.len() <= relakit::elf::NAME_MAX + 1);
        symbol_tables += u32::from(section.sh_type == abi::SHT_SYMTAB);
        let (table, rest) = RelaTable::whole_entries(content);
        assert_eq!(table.len() * 24 + rest, content.len());
        assert_eq!(RelaTable::new(content).is_ok(), rest == 0);
        for (number, entry) in table.iter().enumerate() {
            assert_eq!(table.get(number), Some(entry));
            assert_eq!(entry.to_bytes(), content[number * 24..][..24]);
        }
        assert_eq!(table.get(table.len()), None);
    }
    let symbols = object.symbols();
    assert!(symbol_tables <= 1);
    assert_eq!(symbols.section() != 0, symbol_tables == 1 && symbols.section() < count);
    assert_eq!(symbols.is_empty(), symbols.get(0).is_none());
    for index in 0..symbols.len() {
        let symbol = symbols.get(index).unwrap();
        match symbols.name(&symbol) {
            Ok(name) => assert!(symbols.strings().bytes()[symbol.st_name as usize..].starts_with(name)),
            Err(error) => {
                assert_eq!((error.symbol, error.value), (Some(index), u64::from(symbol.st_name)));
            }
        }
        if let SymbolLocation::Section(section) = symbols.location(&symbol) {
            assert!((1..count).contains(&section));
        }
        let _ = (symbol.binding(), symbol.st_size);
    }
    assert_eq!(symbols.get(symbols.len()), None);
    Ok(())
}

#[test]
fn every_prefix_of_a_file_is_an_error_or_a_file() {
    let file = file();
    assert_eq!(walk(&file.bytes), Ok(()));
    for length in 0..file.bytes.len() {
        // The section headers are at the end: no prefix has them all.
        assert!(walk(&file.bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn every_prefix_of_a_file_with_its_headers_first_is_an_error_or_a_file() {
    // Section headers after the file header, contents after them: prefixes that are cut between sections.
    let mut file = file();
    let table = file.bytes[file.headers..].to_vec();
    let shift = table.len();
    let mut bytes = file.bytes[..64].to_vec();
    bytes.extend(&table);
    bytes.extend(&file.bytes[64..file.headers]);
    file = File { bytes, headers: 64, ..file };
    file.set(E_SHOFF, 64);
    for section in 1..file.count {
        let offset = file.section_field(section, crate::common::SH_OFFSET);
        file.set_section(section, crate::common::SH_OFFSET, offset + shift as u64);
    }
    assert_eq!(walk(&file.bytes), Ok(()));
    let end = file.content_offset(file.shstrtab)
        + usize::try_from(file.section_field(file.shstrtab, crate::common::SH_SIZE)).unwrap();
    for length in 0..=file.bytes.len() {
        assert_eq!(walk(&file.bytes[..length]).is_ok(), length >= end, "{length}");
    }
}

#[test]
fn no_single_byte_makes_anything_panic() {
    let file = file();
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..file.bytes.len() {
        let byte = file.bytes[at];
        for value in
            [0, 1, 0x7f, 0x80, 0xff, byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), byte.wrapping_sub(1)]
        {
            let mut bytes = file.bytes.clone();
            bytes[at] = value;
            match walk(&bytes) {
                Ok(()) => accepted += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} {refused}");
}

#[test]
fn no_section_field_at_any_edge_makes_anything_panic() {
    let original = file();
    let length = original.bytes.len() as u64;
    let edges = [0, 1, 2, 8, 23, 24, 25, length - 1, length, length + 1, 1 << 16, 1 << 31, 1 << 32, 1 << 63];
    for section in 0..original.count {
        for field in [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 4), (44, 4), (48, 8), (56, 8)] {
            for edge in edges.into_iter().chain((0..4).map(|back| u64::MAX - back)).chain(0..20) {
                let mut file = original.clone();
                let _ = walk(&file.set_section(section, field, edge).bytes);
                // And with a size that reaches around the end of the address space.
                file.set_section(section, (32, 8), edge.wrapping_neg());
                let _ = walk(&file.bytes);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..config() })]

    #[test]
    fn random_bytes_behind_a_valid_header_are_an_error_or_a_file(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>(), 0u8..20], 0..2000),
        offset in 0u64..300, count in 0u16..20, names in 0u16..20,
    ) {
        let mut file = file();
        file.bytes.truncate(64);
        file.bytes.extend(bytes);
        file.set(E_SHOFF, offset).set((60, 2), u64::from(count)).set(E_SHSTRNDX, u64::from(names));
        let _ = walk(&file.bytes);
    }

    #[test]
    fn many_bytes_changed_at_once_are_an_error_or_a_file(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut file = file();
        for (at, value) in changes {
            // Not the identification: most would be refused at once.
            let at = 16 + at.index(file.bytes.len() - 16);
            file.bytes[at] = value;
        }
        let _ = walk(&file.bytes);
    }

    #[test]
    fn section_headers_of_random_small_numbers_are_an_error_or_a_file(
        headers in prop::collection::vec(
            (0u64..80, 0u64..20, 0u64..2200, 0u64..200, 0u64..14, 0u64..14), 1..12),
    ) {
        let mut file = file();
        for (section, (name, kind, offset, size, link, info)) in (1..file.count - 1).zip(headers) {
            file.set_section(section, (0, 4), name).set_section(section, (4, 4), kind);
            file.set_section(section, (24, 8), offset).set_section(section, (32, 8), size);
            file.set_section(section, (40, 4), link).set_section(section, (44, 4), info);
        }
        let _ = walk(&file.bytes);
    }
}
