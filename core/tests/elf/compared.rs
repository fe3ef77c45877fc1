//! Files of any shape, and the modules of real kernels, are read as the `object` crate reads them.

use crate::common::{Builder, Section, SectionMemory, Sym};
use crate::config;
use crate::samples::livepatch;
use object::read::elf::{FileHeader, Rela as _, SectionHeader, Sym as _};
use object::{LittleEndian as LE, elf};
use proptest::prelude::*;
use relakit::abi;
use relakit::elf::{Object, Rela, RelaTable, SymbolLocation};
use std::path::{Path, PathBuf};

/// Reads `bytes` twice and compares all that there is.
pub fn compare(bytes: &[u8]) {
    let ours = Object::parse(bytes).unwrap();
    let header = elf::FileHeader64::<LE>::parse(bytes).unwrap();
    let theirs = header.sections(LE, bytes).unwrap();
    assert_eq!(ours.section_count() as usize, theirs.len());
    assert_eq!(ours.names_section(), header.shstrndx(LE, bytes).unwrap());
    for ((number, section), other) in ours.sections().zip(theirs.iter()) {
        let read =
            (section.sh_name, section.sh_type, section.sh_flags.bits(), section.sh_addr, section.sh_offset);
        let expected = (other.sh_name(LE), other.sh_type(LE).0, other.sh_flags(LE).0, other.sh_addr(LE));
        let (name, kind, flags, address) = expected;
        assert_eq!(read, (name, kind, flags, address, other.sh_offset(LE)), "section {number}");
        let read =
            (section.sh_size, section.sh_link, section.sh_info, section.sh_addralign, section.sh_entsize);
        let (size, link, info) = (other.sh_size(LE), other.sh_link(LE), other.sh_info(LE));
        assert_eq!(read, (size, link, info, other.sh_addralign(LE), other.sh_entsize(LE)));
        if section.sh_type != abi::SHT_NULL {
            assert_eq!(ours.section_name(&section), theirs.section_name(LE, other).unwrap());
            assert_eq!(ours.section_bytes(&section), other.data(LE, bytes).unwrap());
        }
        if let Some((relas, _)) = other.rela(LE, bytes).unwrap() {
            let expected = relas.iter().map(|rela| Rela {
                r_offset: rela.r_offset(LE),
                r_sym: rela.r_sym(LE, false),
                r_type: rela.r_type(LE, false).0,
                r_addend: rela.r_addend(LE),
            });
            let table = RelaTable::new(ours.section_bytes(&section)).unwrap();
            assert!(table.iter().eq(expected), "relocations of section {number}");
            assert_eq!(table.len(), relas.len());
        }
    }
    let expected = theirs.symbols(LE, bytes, elf::SHT_SYMTAB).unwrap();
    let symbols = ours.symbols();
    assert_eq!(symbols.len() as usize, expected.len());
    assert_eq!(symbols.section() as usize, expected.section().0);
    for (index, other) in expected.enumerate() {
        let number = u32::try_from(index.0).unwrap();
        let symbol = symbols.get(number).unwrap();
        let read = (
            symbol.st_name,
            symbol.st_info,
            symbol.st_other,
            symbol.st_shndx,
            symbol.st_value,
            symbol.st_size,
        );
        let (name, info, visibility) = (other.st_name(LE), other.st_info().0, other.st_other().0);
        let (shndx, value, size) = (other.st_shndx(LE).0, other.st_value(LE), other.st_size(LE));
        assert_eq!(read, (name, info, visibility, shndx, value, size), "symbol {number}");
        assert_eq!(symbol.binding().0, other.st_bind().0);
        assert_eq!(symbols.name(&symbol).unwrap(), expected.symbol_name(LE, other).unwrap());
        let section = expected.symbol_section(LE, other, index).unwrap().map(|section| section.0 as u64);
        let place = match symbols.location(&symbol) {
            SymbolLocation::Section(section) => Some(u64::from(section)),
            // The other reader does not look whether it exists.
            SymbolLocation::Invalid(section) if section < 0xff00 || symbol.st_shndx == 0xffff => {
                Some(u64::from(section))
            }
            _ => None,
        };
        assert_eq!(place, section, "section of symbol {number}");
    }
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

/// A name: anything but NUL.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1u8.., 0..20)
}

fn section() -> impl Strategy<Value = Section> {
    let relas = prop::collection::vec((any::<u64>(), any::<u32>(), any::<u32>(), any::<i64>()), 0..5);
    let content = prop_oneof![
        bytes(60).prop_map(|content| (abi::SHT_PROGBITS, content, None)),
        bytes(60).prop_map(|content| (0x6fff_4700, content, None)),
        any::<u64>().prop_map(|size| (abi::SHT_NOBITS, Vec::new(), Some(size))),
        relas.prop_map(|relas| {
            let relas: Vec<_> = relas
                .into_iter()
                .map(|(offset, symbol, r_type, addend)| Rela {
                    r_offset: offset,
                    r_sym: symbol,
                    r_type,
                    r_addend: addend,
                })
                .collect();
            (abi::SHT_RELA, crate::common::rela_bytes(&relas), None)
        }),
    ];
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>());
    (name(), content, numbers).prop_map(
        |(name, (kind, content, size), (flags, address, link, info, align))| {
            // The other reader decompresses what says that it is compressed, and looks for the table of REL and RELA.
            let flags = flags & !0x800;
            let link = if kind == abi::SHT_RELA { crate::common::SYMTAB } else { link };
            Section { name, kind, flags, address, content, size, link, info, align, entry_size: 24 }
        },
    )
}

fn symbol() -> impl Strategy<Value = Sym> {
    let place = prop_oneof![
        (1u32..12).prop_map(SectionMemory::In),
        prop_oneof![
            Just(0u16),
            Just(abi::SHN_LIVEPATCH),
            Just(abi::SHN_ABS),
            Just(abi::SHN_COMMON),
            0xff00u16..0xffff,
        ]
        .prop_map(SectionMemory::Raw)
    ];
    (name(), any::<u8>(), any::<u8>(), place, any::<u64>(), any::<u64>())
        .prop_map(|(name, info, other, place, value, size)| Sym { name, info, other, place, value, size })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_file_of_any_shape_is_read_as_another_reader_reads_it(
        sections in prop::collection::vec(section(), 0..12), symbols in prop::collection::vec(symbol(), 0..12),
        extended: bool,
    ) {
        let mut builder = Builder { sections, ..Builder::new() };
        builder.symbols.extend(symbols);
        if extended {
            builder.symbol(Sym::global("far", SectionMemory::In(0xff80), 0));
        }
        let file = builder.build();
        prop_assert_eq!(crate::hostile::walk(&file.bytes), Ok(()));
        compare(&file.bytes);
    }
}

#[test]
fn the_livepatch_of_these_tests_is_read_as_another_reader_reads_it() {
    compare(&livepatch().build().bytes);
}

/// All modules below `folder`.
fn modules(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            // The verdicts are on modules with defects.
            if name != "verdicts" {
                modules(&path, found);
            }
        } else if name.ends_with(".ko") || name.ends_with(".ko.xz") {
            found.push(path);
        }
    }
}

#[test]
fn modules_of_real_kernels_are_read_as_another_reader_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/recordings");
    let mut found = Vec::new();
    modules(&folder, &mut found);
    assert!(!found.is_empty(), "no modules in {}", folder.display());
    for path in found {
        let packed = std::fs::read(&path).unwrap();
        let mut bytes = Vec::new();
        if path.extension().is_some_and(|extension| extension == "xz") {
            let mut reader = lzma_rust2::XzReader::new(&packed[..], true);
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        } else {
            bytes = packed;
        }
        println!("{}", path.display());
        compare(&bytes);
        crate::hostile::walk(&bytes).unwrap();
    }
}
