//! Extended numbering (gABI 4, "Sections"): more sections than 16 bits can count.

use crate::common::{
    Builder, E_SHENTSIZE, E_SHNUM, E_SHOFF, E_SHSTRNDX, SH_LINK, SH_SIZE, Section, SectionMemory, Sym,
};
use crate::compared::compare;
use crate::errors::said;
use crate::samples::file;
use relakit::ErrorKind::{BadHeaderSize, BadNameTable, TooManySections, Truncated};
use relakit::elf::{Object, SymbolLocation};

#[test]
fn the_count_may_stand_in_section_0() {
    let mut file = file();
    let (count, headers, length) = (u64::from(file.count), file.headers as u64, file.bytes.len() as u64);
    file.set(E_SHNUM, 0).set_section(0, SH_SIZE, count);
    assert_eq!(said(&file.bytes), Ok(()));
    assert_eq!(u64::from(Object::parse(&file.bytes).unwrap().section_count()), count);
    for more in [count + 1, 0x1_0000, u64::from(u32::MAX)] {
        file.set_section(0, SH_SIZE, more);
        assert_eq!(said(&file.bytes), Err((Truncated, None, headers, more * 64, length)));
    }
    for too_many in [1 << 32, 1 << 58, 1 << 63, u64::MAX] {
        file.set_section(0, SH_SIZE, too_many);
        let expected = (TooManySections, None, 0, too_many, u64::from(u32::MAX));
        assert_eq!(said(&file.bytes), Err(expected));
    }
}

#[test]
fn a_count_of_zero_in_section_0_too_is_no_sections() {
    let mut file = file();
    file.set(E_SHNUM, 0).set(E_SHSTRNDX, 0);
    assert_eq!(said(&file.bytes), Ok(()));
    assert_eq!(Object::parse(&file.bytes).unwrap().section_count(), 0);
    // Then no index leads to the names.
    assert_eq!(said(&file.set(E_SHSTRNDX, 1).bytes), Err((BadNameTable, Some(1), 0, 1, 0)));
    assert_eq!(said(&file.set(E_SHENTSIZE, 0).bytes), Err((BadHeaderSize, None, 0, 0, 64)));
}

#[test]
fn section_0_must_be_there_to_be_asked() {
    let mut file = file();
    let length = file.bytes.len() as u64;
    file.set(E_SHNUM, 0);
    for offset in [length, length - 63, u64::MAX, u64::MAX - 63] {
        file.set(E_SHOFF, offset);
        assert_eq!(said(&file.bytes), Err((Truncated, None, offset, 64, length)), "{offset:#x}");
    }
    // The last whole header: .shstrtab's, whose size is taken for the count.
    let size = file.section_field(file.shstrtab, SH_SIZE);
    file.set(E_SHOFF, length - 64);
    assert_eq!(said(&file.bytes), Err((Truncated, None, length - 64, size * 64, length)));
}

#[test]
fn the_index_of_the_names_may_stand_in_section_0() {
    let mut file = file();
    let (count, names) = (u64::from(file.count), u64::from(file.shstrtab));
    file.set(E_SHSTRNDX, 0xffff).set_section(0, SH_LINK, names);
    assert_eq!(said(&file.bytes), Ok(()));
    let object = Object::parse(&file.bytes).unwrap();
    assert_eq!(u64::from(object.names_section()), names);
    assert_eq!(object.section_name(&object.section(1).unwrap()), b".text");
    for link in [count, 0xffff, u64::from(u32::MAX)] {
        let section = Some(u32::try_from(link).unwrap());
        let error = said(&file.set_section(0, SH_LINK, link).bytes);
        assert_eq!(error, Err((BadNameTable, section, 0, link, count)));
    }
}

#[test]
fn seventy_thousand_sections_are_read_with_their_names_and_symbols() {
    let many = 70_000u32;
    let mut builder = Builder::new();
    for number in 1..=many {
        let content = number.to_le_bytes();
        builder.section(Section::alloc(&format!(".s{number}"), &content));
    }
    let in_sections = [1, 0xfeff, 0xff00, 0xff20, 0xfff1, 0xffff, 0x1_0000, many];
    for section in in_sections {
        builder.symbol(Sym::global(&format!("in_{section}"), SectionMemory::In(section), 1));
    }
    let file = builder.build();
    assert_eq!(file.bytes[60..62], [0, 0], "extended numbering");
    let object = Object::parse(&file.bytes).unwrap();
    assert_eq!((object.section_count(), object.names_section()), (file.count, file.shstrtab));
    for (number, section) in object.sections().filter(|(number, _)| (1..=many).contains(number)) {
        assert_eq!(object.section_name(&section), format!(".s{number}").as_bytes());
        assert_eq!(object.section_bytes(&section), number.to_le_bytes());
    }
    for (index, section) in (1..).zip(in_sections) {
        let symbol = object.symbols().get(index).unwrap();
        assert_eq!(object.symbols().name(&symbol), Ok(format!("in_{section}").as_bytes()));
        assert_eq!(object.symbols().location(&symbol), SymbolLocation::Section(section));
    }
    compare(&file.bytes);
}

#[test]
fn the_last_count_of_16_bits_and_the_first_beyond_are_read_alike() {
    // Beside those asked for: section 0, .symtab, .strtab, .shstrtab.
    for count in [0xfefe_u32, 0xfeff, 0xff00, 0xff01, 0xffff, 0x1_0000, 0x1_0001] {
        let mut builder = Builder::new();
        builder.sections.resize(usize::try_from(count).unwrap() - 4, Section::alloc(".same", b"x"));
        let file = builder.build();
        let object = Object::parse(&file.bytes).unwrap();
        assert_eq!((object.section_count(), object.names_section()), (count, count - 1));
        let last = object.section(count - 4).unwrap();
        assert_eq!((object.section_name(&last), object.section_bytes(&last)), (&b".same"[..], &b"x"[..]));
        assert_eq!(object.section(count), None);
    }
}
