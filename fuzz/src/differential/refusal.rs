//! relakit refuses a file: is it as it says?

use object::LittleEndian;
use object::elf::{
    EM_X86_64, ET_REL, FileHeader64, SHT_NOBITS, SHT_NULL, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
    SectionHeader64,
};
use object::read::elf::{FileHeader, SectionHeader as _};
use relakit::{Error, ErrorKind};

/// Holds the fault against the file, as far as `object` can read it, and against its raw bytes
/// before.
pub fn check(data: &[u8], error: &Error) {
    assert!(is_so(data, error), "relakit refuses a file without a reason that is known: {error:?}");
}

fn is_so(data: &[u8], error: &Error) -> bool {
    let magic = data.starts_with(b"\x7fELF");
    match (error.kind, data.first_chunk::<64>()) {
        (ErrorKind::EmptyFile, _) => data.is_empty(),
        (ErrorKind::NotElf, _) => !magic && !data.is_empty(),
        (ErrorKind::Truncated, None) => magic,
        (ErrorKind::BadIdent, Some(header)) => header[4..7] != [2, 1, 1],
        (kind, Some(header)) => of_header(data, header, kind, error).unwrap_or(false),
        _ => false,
    }
}

fn of_header(data: &[u8], bytes: &[u8; 64], kind: ErrorKind, error: &Error) -> Option<bool> {
    let endian = LittleEndian;
    let (header, _) = object::pod::from_bytes::<FileHeader64<LittleEndian>>(bytes).ok()?;
    let size = u64::from(header.e_shentsize(endian));
    match kind {
        ErrorKind::NotRelocatable => return Some(header.e_type(endian) != ET_REL),
        ErrorKind::WrongMachine => return Some(header.e_machine(endian) != EM_X86_64),
        ErrorKind::BadHeaderSize => return Some(size != 64),
        _ => {}
    }
    let start = header.e_shoff(endian);
    // What is not in the file is a table of no headers here.
    let table = usize::try_from(start).ok().and_then(|start| data.get(start..)).unwrap_or_default();
    let (headers, _) =
        object::pod::slice_from_bytes::<SectionHeader64<LittleEndian>>(table, table.len() / 64).ok()?;
    let count = match header.e_shnum(endian) {
        0 => headers.first().map_or(1, |first| first.sh_size(endian)),
        count => u64::from(count),
    };
    let names = match header.e_shstrndx(endian).0 {
        0xffff => headers.first().map_or(0, |first| first.sh_link(endian)),
        index => u32::from(index),
    };
    let whole = usize::try_from(count).ok().and_then(|count| headers.get(..count));
    let section = |index: u32| whole.and_then(|headers| headers.get(usize::try_from(index).ok()?));
    let content = |index: u32| section(index).and_then(|section| section.data(endian, data).ok());
    let of_type = |kind| {
        let headers = whole.unwrap_or_default().iter();
        headers.filter(move |section| section.sh_type(endian) == kind)
    };
    Some(match (kind, error.section) {
        (ErrorKind::Truncated, None) => whole.is_none(),
        (ErrorKind::Truncated, Some(index)) => section(index).is_some_and(|section| {
            let has_bytes = ![SHT_NOBITS, SHT_NULL].contains(&section.sh_type(endian));
            let end = section.sh_offset(endian).checked_add(section.sh_size(endian));
            // Also one without bytes, which others let lie anywhere.
            has_bytes && end.is_none_or(|end| end > data.len() as u64)
        }),
        (ErrorKind::TooManySections, _) => count > u64::from(u32::MAX),
        (ErrorKind::BadNameTable, _) => {
            let is_strings = section(names).is_some_and(|section| section.sh_type(endian) == SHT_STRTAB);
            names == 0 || !is_strings || content(names).is_none_or(|names| names.last() != Some(&0))
        }
        (ErrorKind::BadSectionName, Some(index)) => {
            // The table ends with NUL, and so does every name that begins in it.
            let name = section(index)?.sh_name(endian) as usize;
            content(names).is_none_or(|names| name >= names.len())
        }
        (ErrorKind::ManySymbolTables, _) => of_type(SHT_SYMTAB).count() > 1,
        // object takes the last one.
        (ErrorKind::ManySectionIndices, _) => {
            let symtab = whole?.iter().position(|section| section.sh_type(endian) == SHT_SYMTAB)?;
            of_type(SHT_SYMTAB_SHNDX).filter(|table| table.sh_link(endian) as usize == symtab).count() > 1
        }
        (ErrorKind::BadStringTable, _) => of_type(SHT_SYMTAB).all(|symtab| {
            section(symtab.sh_link(endian)).is_none_or(|strings| strings.sh_type(endian) != SHT_STRTAB)
        }),
        _ => false,
    })
}
