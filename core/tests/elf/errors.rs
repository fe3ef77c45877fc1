//! The errors of the file header, the section headers and the names, each with its numbers and both sides of its edge.

use crate::common::{
    E_MACHINE, E_SHENTSIZE, E_SHNUM, E_SHOFF, E_SHSTRNDX, E_TYPE, File, SH_NAME, SH_OFFSET, SH_SIZE, SH_TYPE,
};
use crate::hostile::walk;
use crate::samples::file;
use relakit::ErrorKind::{
    self, BadHeaderSize, BadIdent, BadNameTable, BadSectionName, EmptyFile, NotElf, NotRelocatable,
    Truncated, WrongMachine,
};
use relakit::elf::{NAME_MAX, Object};

/// Kind, section, offset, value, limit; no fault of a file has an entry or a type.
pub type Said = (ErrorKind, Option<u32>, u64, u64, u64);

pub fn said(bytes: &[u8]) -> Result<(), Said> {
    walk(bytes).map_err(|error| {
        assert_eq!((error.entry, error.symbol, error.r_type), (None, None, None));
        (error.kind, error.section, error.offset, error.value, error.limit)
    })
}

/// The sample with one change.
pub fn changed(change: impl FnOnce(&mut File) -> &mut File) -> Result<(), Said> {
    said(&change(&mut file()).bytes)
}

#[test]
fn less_than_the_magic_is_not_elf_and_less_than_the_header_is_truncated() {
    let file = file();
    assert_eq!(said(&[]), Err((EmptyFile, None, 0, 0, 0)));
    for length in 1..4 {
        assert_eq!(said(&file.bytes[..length]), Err((NotElf, None, 0, 0, 0)), "{length}");
    }
    for length in 4..64 {
        assert_eq!(said(&file.bytes[..length]), Err((Truncated, None, 0, 64, length as u64)), "{length}");
    }
    assert_ne!(said(&file.bytes[..64]).unwrap_err().3, 64, "not the header's fault any more");
}

#[test]
fn each_byte_of_the_magic_counts() {
    for at in 0..4 {
        let mut first = *b"\x7fELF";
        first[at] ^= 0x20;
        let error = changed(|file| file.set((at, 1), u64::from(first[at])));
        assert_eq!(error, Err((NotElf, None, 0, u64::from(u32::from_le_bytes(first)), 0)));
    }
}

#[test]
fn the_identification_is_64_bit_little_endian_version_1() {
    for (at, good) in [(4, 2), (5, 1), (6, 1)] {
        for byte in [0, 1, 2, 3, 255] {
            let expected = if byte == good { Ok(()) } else { Err((BadIdent, None, at as u64, byte, good)) };
            assert_eq!(changed(|file| file.set((at, 1), byte)), expected, "{at} {byte}");
        }
    }
    assert_eq!(
        changed(|file| file.set((7, 1), 0xff).set((8, 8), u64::MAX)),
        Ok(()),
        "OS, ABI version and padding"
    );
}

#[test]
fn other_types_and_machines_are_refused_by_their_number() {
    for e_type in [0, 2, 3, 4, 0x0100, 0xffff] {
        assert_eq!(changed(|file| file.set(E_TYPE, e_type)), Err((NotRelocatable, None, 0, e_type, 1)));
    }
    for machine in [0, 3, 61, 63, 183, 62 << 8, 0xffff] {
        let error = changed(|file| file.set(E_MACHINE, machine));
        assert_eq!(error, Err((WrongMachine, None, 0, machine, 62)));
    }
}

#[test]
fn section_headers_have_64_bytes() {
    for size in [0, 40, 63, 65, 128, 0xffff] {
        let error = changed(|file| file.set(E_SHENTSIZE, size));
        assert_eq!(error, Err((BadHeaderSize, None, 0, size, 64)));
    }
}

#[test]
fn a_file_without_section_headers_has_none_and_is_a_file() {
    for (entry, names) in [(0, 0), (64, 0), (7, 99)] {
        let mut file = file();
        file.set(E_SHOFF, 0).set(E_SHNUM, 0).set(E_SHENTSIZE, entry).set(E_SHSTRNDX, names);
        assert_eq!(said(&file.bytes), Ok(()));
        let object = Object::parse(&file.bytes).unwrap();
        assert_eq!((object.section_count(), object.names_section(), object.symbols().len()), (0, 0, 0));
        assert_eq!((object.symbols().section(), object.symbols().strings_section()), (0, 0));
    }
}

#[test]
fn section_headers_may_end_where_the_file_ends_and_not_a_byte_later() {
    let good = file();
    let (size, length) = (u64::from(good.count) * 64, good.bytes.len() as u64);
    assert_eq!(good.headers as u64 + size, length);
    assert_eq!(said(&good.bytes), Ok(()));
    let headers = good.headers as u64;
    let truncated = |offset, length| Err((Truncated, None, offset, size, length));
    assert_eq!(said(&good.bytes[..good.bytes.len() - 1]), truncated(headers, length - 1));
    for offset in [headers + 1, length, length + 1, 1 << 32, 1 << 63, u64::MAX - 63, u64::MAX] {
        let error = changed(|file| file.set(E_SHOFF, offset));
        assert_eq!(error, truncated(offset, length), "{offset:#x}");
    }
    // One more than there are, and as many as can be said.
    for count in [u64::from(good.count) + 1, 0xffff] {
        let error = changed(|file| file.set(E_SHNUM, count));
        assert_eq!(error, Err((Truncated, None, headers, count * 64, length)));
    }
}

#[test]
fn section_headers_need_no_alignment() {
    for shift in 1..16 {
        let mut file = file();
        file.bytes.splice(file.headers..file.headers, vec![0xff; shift]);
        file.set(E_SHOFF, (file.headers + shift) as u64);
        assert_eq!(said(&file.bytes), Ok(()), "{shift}");
        let object = Object::parse(&file.bytes).unwrap();
        assert_eq!(object.section_name(&object.section(1).unwrap()), b".text");
    }
}

#[test]
fn a_section_may_end_where_the_file_ends_and_not_a_byte_later() {
    let length = file().bytes.len() as u64;
    for (offset, size, fits) in [
        (length - 1, 1, true),
        (length - 1, 2, false),
        (length, 0, true),
        (length + 1, 0, false),
        (0, length, true),
        (0, length + 1, false),
        (1, length, false),
        (8, u64::MAX - 7, false),
        (8, u64::MAX - 8, false),
        (u64::MAX, 1, false),
        (u64::MAX, 0, false),
        (u64::MAX, u64::MAX, false),
        (1 << 63, 1 << 63, false),
    ] {
        // .text, .rela.text and .modinfo, as PROGBITS, as RELA and as a type nobody knows.
        for (section, kind) in [(1, 1), (4, 4), (7, 0x6fff_ffff)] {
            let mut file = file();
            file.set_section(section, SH_TYPE, kind);
            file.set_section(section, SH_OFFSET, offset).set_section(section, SH_SIZE, size);
            let expected = Err((Truncated, Some(section), offset, size, length));
            assert_eq!(said(&file.bytes), if fits { Ok(()) } else { expected }, "{offset:#x}+{size:#x}");
        }
    }
}

#[test]
fn a_section_without_bytes_may_have_any_size_and_offset() {
    for (kind, index) in [(8, 3), (8, 1), (0, 7), (0, 0)] {
        for (offset, size) in [(0, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 0), (1 << 40, 1)] {
            let mut file = file();
            file.set_section(index, SH_TYPE, kind);
            file.set_section(index, SH_OFFSET, offset).set_section(index, SH_SIZE, size);
            assert_eq!(said(&file.bytes), Ok(()), "type {kind}, section {index}");
            let object = Object::parse(&file.bytes).unwrap();
            let section = object.section(index).unwrap();
            assert_eq!((section.sh_size, object.section_bytes(&section)), (size, &b""[..]));
        }
    }
}

#[test]
fn the_first_section_at_fault_is_named() {
    let length = file().bytes.len() as u64;
    let mut file = file();
    for section in [6, 4] {
        file.set_section(section, SH_SIZE, length);
    }
    let offset = file.section_field(4, SH_OFFSET);
    assert_eq!(said(&file.bytes), Err((Truncated, Some(4), offset, length, length)));
}

#[test]
fn the_name_table_is_a_string_table_that_exists() {
    let good = file();
    let count = u64::from(good.count);
    // .text, .data, .bss; one and more after the last; reserved indices.
    for names in [1, 2, 3, count, count + 1, 0xff00, 0xfff1] {
        let error = changed(|file| file.set(E_SHSTRNDX, names));
        let section = Some(u32::try_from(names).unwrap());
        assert_eq!(error, Err((BadNameTable, section, 0, names, count)), "{names}");
    }
    assert_eq!(changed(|file| file.set(E_SHSTRNDX, count - 1)), Ok(()), "the last section");
    let bad = Err((BadNameTable, Some(good.shstrtab), 0, u64::from(good.shstrtab), count));
    for kind in [0, 1, 2, 8, 0xffff_ffff] {
        assert_eq!(changed(|file| file.set_section(file.shstrtab, SH_TYPE, kind)), bad, "type {kind}");
    }
    assert_eq!(changed(|file| file.set_section(file.shstrtab, SH_SIZE, 0)), bad, "empty");
    let size = good.section_field(good.shstrtab, SH_SIZE);
    assert_eq!(changed(|file| file.set_section(file.shstrtab, SH_SIZE, size - 1)), bad, "no last NUL");
    let last = good.content_offset(good.shstrtab) + usize::try_from(size).unwrap() - 1;
    assert_eq!(changed(|file| file.set((last, 1), u64::from(b'x'))), bad, "no last NUL");
}

#[test]
fn without_a_name_table_no_section_may_have_a_name() {
    let mut file = file();
    file.set(E_SHSTRNDX, 0);
    assert_eq!(said(&file.bytes), Err((BadNameTable, Some(0), 0, 0, u64::from(file.count))));
    for section in 1..file.count {
        file.set_section(section, SH_NAME, 0);
    }
    assert_eq!(said(&file.bytes), Ok(()));
    let object = Object::parse(&file.bytes).unwrap();
    assert!(object.sections().all(|(_, section)| object.section_name(&section).is_empty()));
}

#[test]
fn a_section_name_begins_inside_the_name_table() {
    let size = file().section_field(file().shstrtab, SH_SIZE);
    for (name, fits) in [(0, true), (size - 2, true), (size - 1, true), (size, false), (size + 1, false)] {
        for section in [1, 3, 7] {
            let error = changed(|file| file.set_section(section, SH_NAME, name));
            let expected = Err((BadSectionName, Some(section), 0, name, size));
            assert_eq!(error, if fits { Ok(()) } else { expected }, "{name} of {size}");
        }
    }
    for name in [1 << 31, u64::from(u32::MAX)] {
        let error = changed(|file| file.set_section(2, SH_NAME, name));
        assert_eq!(error, Err((BadSectionName, Some(2), 0, name, size)));
    }
}

#[test]
fn an_unused_header_needs_no_name() {
    let mut file = file();
    file.set_section(7, SH_TYPE, 0).set_section(7, SH_NAME, u64::from(u32::MAX));
    assert_eq!(said(&file.bytes), Ok(()));
    let object = Object::parse(&file.bytes).unwrap();
    assert_eq!(object.section_name(&object.section(7).unwrap()), b"");
}

#[test]
fn a_section_name_may_have_any_length_and_is_cut_to_show_that_it_is_too_long() {
    for length in [NAME_MAX - 1, NAME_MAX, NAME_MAX + 1, NAME_MAX + 2, 2 * NAME_MAX] {
        let mut builder = crate::samples::livepatch();
        builder.sections[0].name = vec![b'n'; length];
        let file = builder.build();
        assert_eq!(said(&file.bytes), Ok(()), "{length}");
        let object = Object::parse(&file.bytes).unwrap();
        assert_eq!(object.section_name(&object.section(1).unwrap()).len(), length.min(NAME_MAX + 1));
    }
}
