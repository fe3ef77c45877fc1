//! The errors of the symbol table, its strings and of relocation tables, and what a symbol's place can be.

use crate::common::{SH_INFO, SH_LINK, SH_SIZE, SH_TYPE, SectionMemory, Sym};
use crate::errors::{changed, said};
use crate::samples::{file, livepatch};
use relakit::ErrorKind::{BadStringTable, BadSymbolName, ManySectionIndices, ManySymbolTables, PartialEntry};
use relakit::elf::{NAME_MAX, Object, RelaTable, SymbolLocation};
use relakit::reloc::SymtabValues;

#[test]
fn a_second_symbol_table_is_refused_and_both_are_named() {
    let symtab = file().symtab;
    // Before the symbol table the other one is the first.
    for other in [1, 7] {
        let error = changed(|file| file.set_section(other, SH_TYPE, 2));
        assert_eq!(error, Err((ManySymbolTables, Some(symtab), 0, u64::from(other), 0)));
    }
    let mut builder = livepatch();
    builder.symbol(Sym::global("far", SectionMemory::In(0xff00), 0));
    let mut file = builder.build();
    let (symtab, shndx) = (file.symtab, file.shndx);
    let error = said(&file.set_section(shndx, SH_TYPE, 2).bytes);
    assert_eq!(error, Err((ManySymbolTables, Some(shndx), 0, u64::from(symtab), 0)));
}

#[test]
fn without_a_symbol_table_there_are_no_symbols() {
    let mut file = file();
    file.set_section(file.symtab, SH_TYPE, 11);
    assert_eq!(said(&file.bytes), Ok(()));
    let object = Object::parse(&file.bytes).unwrap();
    let symbols = object.symbols();
    assert_eq!((symbols.len(), symbols.section(), symbols.strings_section()), (0, 0, 0));
    assert_eq!((symbols.get(0), symbols.strings().bytes()), (None, &b""[..]));
}

#[test]
fn symbol_names_are_in_a_string_table_that_exists() {
    let good = file();
    let count = u64::from(good.count);
    for link in [0, 1, u64::from(good.symtab), count, count + 1, 0xffff, u64::from(u32::MAX)] {
        let error = changed(|file| file.set_section(file.symtab, SH_LINK, link));
        assert_eq!(error, Err((BadStringTable, Some(good.symtab), 0, link, count)), "{link}");
    }
    for link in [good.strtab, good.shstrtab] {
        assert_eq!(changed(|file| file.set_section(file.symtab, SH_LINK, u64::from(link))), Ok(()));
    }
    for kind in [0, 1, 8] {
        let error = changed(|file| file.set_section(file.strtab, SH_TYPE, kind));
        assert_eq!(error, Err((BadStringTable, Some(good.symtab), 0, u64::from(good.strtab), count)));
    }
}

#[test]
fn a_symbol_name_begins_and_ends_inside_its_table() {
    let good = file();
    let size = good.section_field(good.strtab, SH_SIZE);
    let name_of = |bytes: &[u8], name: u32| {
        let object = Object::parse(bytes).unwrap();
        let symbols = object.symbols();
        let mut symbol = symbols.get(2).unwrap();
        symbol.st_name = name;
        symbols.name(&symbol).map(<[u8]>::to_vec).map_err(|error| {
            assert_eq!((error.section, error.symbol), (Some(good.symtab), Some(2)));
            (error.kind, error.value, error.limit)
        })
    };
    let last = u32::try_from(size).unwrap() - 1;
    assert_eq!(name_of(&good.bytes, 1), Ok(b"patched".to_vec()));
    assert_eq!(name_of(&good.bytes, last), Ok(vec![]));
    assert_eq!(name_of(&good.bytes, last - 1), Ok(b"n".to_vec()));
    for name in [last + 1, last + 2, u32::MAX] {
        assert_eq!(name_of(&good.bytes, name), Err((BadSymbolName, u64::from(name), size)));
    }
    // Without its last NUL the table is still read; the last name is not.
    let mut cut = good.clone();
    cut.set_section(good.strtab, SH_SIZE, size - 1);
    assert_eq!(name_of(&cut.bytes, 1), Ok(b"patched".to_vec()));
    assert_eq!(name_of(&cut.bytes, last - 1), Err((BadSymbolName, u64::from(last - 1), size - 1)));
    cut.set_section(good.strtab, SH_SIZE, 0);
    assert_eq!(name_of(&cut.bytes, 0), Err((BadSymbolName, 0, 0)));
}

#[test]
fn a_symbol_name_may_have_any_length_and_is_cut_to_show_that_it_is_too_long() {
    for length in [NAME_MAX - 1, NAME_MAX, NAME_MAX + 1, NAME_MAX + 2, 2 * NAME_MAX] {
        let mut builder = livepatch();
        let index = builder.symbol(Sym { name: vec![b's'; length], ..Sym::default() });
        let file = builder.build();
        let object = Object::parse(&file.bytes).unwrap();
        let symbol = object.symbols().get(index).unwrap();
        assert_eq!(object.symbols().name(&symbol).unwrap().len(), length.min(NAME_MAX + 1));
    }
}

#[test]
fn a_symbol_table_that_ends_inside_an_entry_has_its_whole_entries() {
    let good = file();
    let size = good.section_field(good.symtab, SH_SIZE);
    for cut in 0..=size {
        let mut file = good.clone();
        file.set_section(good.symtab, SH_SIZE, cut);
        assert_eq!(said(&file.bytes), Ok(()));
        let object = Object::parse(&file.bytes).unwrap();
        assert_eq!(u64::from(object.symbols().len()), cut / 24);
        assert_eq!(object.symbols().is_empty(), cut < 24);
    }
}

#[test]
fn a_relocation_table_and_a_symbol_table_of_a_loader_are_whole() {
    let bytes = [0u8; 24 * 4];
    for size in 0..=bytes.len() {
        let (whole, rest) = (size % 24 == 0, (size % 24) as u64);
        for error in [RelaTable::new(&bytes[..size]).err(), SymtabValues::new(&bytes[..size]).err()] {
            let said = error.map(|error| (error.kind, error.section, error.value, error.limit));
            assert_eq!(said, (!whole).then_some((PartialEntry, None, size as u64, rest)));
        }
        assert_eq!(RelaTable::whole_entries(&bytes[..size]).0.is_empty(), size < 24);
    }
}

#[test]
fn every_section_index_of_a_symbol_has_one_meaning() {
    let mut file = file();
    let at = file.content_offset(file.symtab) + 24 + 6;
    for shndx in 0..=u16::MAX {
        file.bytes[at..at + 2].copy_from_slice(&shndx.to_le_bytes());
        let object = Object::parse(&file.bytes).unwrap();
        let symbol = object.symbols().get(1).unwrap();
        assert_eq!(symbol.st_shndx, shndx);
        let expected = match shndx {
            0 => SymbolLocation::Undefined,
            0xfff1 => SymbolLocation::Absolute,
            0xfff2 => SymbolLocation::Common,
            0xff20 => SymbolLocation::Livepatch,
            _ if u32::from(shndx) < file.count => SymbolLocation::Section(u32::from(shndx)),
            _ => SymbolLocation::Invalid(u32::from(shndx)),
        };
        assert_eq!(object.symbols().location(&symbol), expected, "{shndx:#x}");
    }
}

#[test]
fn an_extended_index_stands_in_the_table_that_belongs_to_the_symbols() {
    let mut builder = livepatch();
    // What makes the builder write an extended table; each value is then set by hand.
    let far = builder.symbol(Sym::global("far", SectionMemory::In(0xffff), 0));
    let mut file = builder.build();
    let count = file.count;
    assert_ne!(file.shndx, 0);
    let at = file.content_offset(file.shndx) + 4 * usize::try_from(far).unwrap();
    let place = |bytes: &[u8], index: u32| {
        let object = Object::parse(bytes).unwrap();
        let symbol = object.symbols().get(index).unwrap();
        assert_eq!(symbol.st_shndx == 0xffff, index == far);
        object.symbols().location(&symbol)
    };
    for section in [0, 1, 2, count - 1, count, count + 1, 0xff00, 0xff20, 0xfff1, 0xfff2, 0xffff, u32::MAX] {
        file.bytes[at..at + 4].copy_from_slice(&section.to_le_bytes());
        let expected = match section {
            1.. if section < count => SymbolLocation::Section(section),
            _ => SymbolLocation::Invalid(section),
        };
        assert_eq!(place(&file.bytes, far), expected, "{section:#x}");
        // The entries of the others are not looked at.
        assert_eq!(place(&file.bytes, 2), SymbolLocation::Section(1));
    }
    file.bytes[at..at + 4].copy_from_slice(&1u32.to_le_bytes());
    let needed = u64::from(far) * 4 + 4;
    for (size, place_is) in [
        (needed, SymbolLocation::Section(1)),
        (needed - 1, SymbolLocation::Invalid(0xffff)),
        (needed - 4, SymbolLocation::Invalid(0xffff)),
        (0, SymbolLocation::Invalid(0xffff)),
    ] {
        let mut short = file.clone();
        short.set_section(file.shndx, SH_SIZE, size);
        assert_eq!(place(&short.bytes, far), place_is, "{size}");
    }
    let mut other = file.clone();
    other.set_section(file.shndx, SH_LINK, 1);
    assert_eq!(place(&other.bytes, far), SymbolLocation::Invalid(0xffff), "a table for something else");
    other = file.clone();
    other.set_section(file.shndx, SH_TYPE, 1);
    assert_eq!(place(&other.bytes, far), SymbolLocation::Invalid(0xffff), "no table at all");
}

#[test]
fn a_second_table_of_section_indices_is_refused_and_both_are_named() {
    let mut builder = livepatch();
    builder.symbol(Sym::global("far", SectionMemory::In(0xffff), 0));
    let file = builder.build();
    let (symtab, shndx) = (u64::from(file.symtab), file.shndx);
    assert_ne!(shndx, 0);
    for other in [1, 7, file.strtab - 2] {
        let mut two = file.clone();
        two.set_section(other, SH_TYPE, 18).set_section(other, SH_LINK, symtab);
        let (first, second) = (other.min(shndx), other.max(shndx));
        assert_eq!(said(&two.bytes), Err((ManySectionIndices, Some(second), 0, u64::from(first), 0)));
        for link in [0, symtab - 1, symtab + 1] {
            two.set_section(other, SH_LINK, link);
            assert_eq!(said(&two.bytes), Ok(()), "a table for section {link}");
        }
    }
}

#[test]
fn nothing_is_asked_of_what_is_not_read() {
    let mut file = file();
    for section in 1..file.count {
        // sh_info, sh_addr, sh_addralign, sh_entsize.
        file.set_section(section, SH_INFO, u64::from(u32::MAX));
        file.set_section(section, (16, 8), u64::MAX).set_section(section, (48, 8), 3);
        file.set_section(section, (56, 8), u64::MAX);
    }
    // e_version, e_entry, e_phoff, e_flags, e_ehsize, e_phentsize, e_phnum.
    for field in [(20, 4), (24, 8), (32, 8), (48, 4), (52, 2), (54, 2), (56, 2)] {
        file.set(field, u64::MAX);
    }
    assert_eq!(said(&file.bytes), Ok(()));
}
