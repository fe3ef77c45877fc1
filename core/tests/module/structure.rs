//! Which files are modules (Linux semantics 3).

use crate::world::{Mem, Names, World};
use proptest::prelude::*;
use relakit::ErrorKind::{
    self, BadHeaderSize, BadIdent, BadNameTable, BadSectionName, BadSectionZero, BadStringTable,
    BadSymbolName, ManySectionIndices, ManySymbolTables, NoSymbolTable, NotElf, NotRelocatable, SharedBytes,
    SymbolIndex, SymbolSection, Truncated, WrongMachine,
};
use relakit::{Module, Profile};
use relakit_model::image::{ABS, ALLOC, Builder, GLOBAL, NOBITS, PROGBITS, STRTAB, SYMTAB, Sec, XINDEX};

/// Text with one relocation, which names an absolute symbol.
fn module() -> Builder {
    let mut builder = Builder::new();
    let text = builder.data(".text", 16);
    let symbol = builder.symbol("one", GLOBAL, ABS, 1);
    builder.rela(text, &[(8, symbol, 1, 0)]);
    builder.section("", 0, 0, Vec::new());
    builder
}

fn fault(builder: &Builder, profile: Profile) -> Option<ErrorKind> {
    let error = Module::parse(&builder.build(), profile).err()?;
    let errno = Profile::LINUX_DEFAULT.errno(error.kind);
    let not_looked_at = [BadIdent, ManySectionIndices, SharedBytes].contains(&error.kind);
    assert!(errno == 8 || not_looked_at, "Linux says ENOEXEC, not {errno}: {error}");
    Some(error.kind)
}

type Edit = fn(&mut Builder);

fn tables(builder: &mut Builder, edit: fn(&mut [Sec])) {
    builder.tables = edit;
}

#[test]
fn what_linux_checks_is_refused_by_every_profile() {
    let edits: &[(&str, Edit, ErrorKind)] = &[
        ("magic", |b| b.header.ident[1] = b'e', NotElf),
        ("e_type EXEC", |b| b.header.kind = 2, NotRelocatable),
        ("e_type 0", |b| b.header.kind = 0, NotRelocatable),
        ("e_machine 386", |b| b.header.machine = 3, WrongMachine),
        ("e_shentsize 63", |b| b.header.section_size = 63, BadHeaderSize),
        ("e_shentsize 65", |b| b.header.section_size = 65, BadHeaderSize),
        ("e_shentsize 0", |b| b.header.section_size = 0, BadHeaderSize),
        ("e_shnum + 1", |b| b.header.sections = Some(8), Truncated),
        ("e_shoff wraps", |b| b.header.table = Some(u64::MAX - 63), Truncated),
        ("e_shstrndx beyond", |b| b.header.names = Some(7), BadNameTable),
        ("e_shstrndx no strings", |b| b.header.names = Some(1), BadNameTable),
        (
            "names unterminated",
            |b| tables(b, |t| t[2].size = Some(t[2].bytes.len() as u64 - 1)),
            BadNameTable,
        ),
        ("names empty", |b| tables(b, |t| t[2].size = Some(0)), BadNameTable),
        ("names NOBITS", |b| tables(b, |t| t[2].kind = NOBITS), BadNameTable),
        ("section 0 type", |b| b.at(0).kind = PROGBITS, BadSectionZero),
        ("section 0 address", |b| b.at(0).address = 1, BadSectionZero),
        ("section wraps", |b| b.at(1).offset = Some(u64::MAX - 15), Truncated),
        ("section far", |b| b.at(1).size = Some(u64::MAX), Truncated),
        ("sh_name beyond", |b| b.at(1).name_at = Some(10_000), BadSectionName),
        ("second symbol table", |b| _ = b.section(".more", SYMTAB, 0, Vec::new()), ManySymbolTables),
        ("sh_link beyond", |b| tables(b, |t| t[0].link = 7), BadStringTable),
        ("sh_link 0", |b| tables(b, |t| t[0].link = 0), BadStringTable),
    ];
    for (what, edit, kind) in edits {
        for profile in [Profile::LINUX_6_1, Profile::LINUX_6_12, Profile::LINUX_6_13, Profile::ELF] {
            let mut builder = module();
            edit(&mut builder);
            assert_eq!(fault(&builder, profile), Some(*kind), "{what}, {}", profile.name);
        }
    }
}

/// Without a symbol table: its header says PROGBITS.
fn without_symbols(mut builder: Builder) -> Vec<u8> {
    tables(&mut builder, |tables| tables[0].kind = PROGBITS);
    builder.build()
}

#[test]
fn a_module_without_symbols_is_refused_if_the_profile_wants_some() {
    let rows = [Profile::ELF, Profile::GRUB, Profile::KEXEC, Profile::XEN, Profile::FREEBSD];
    for profile in rows.iter().chain(Profile::LINUX) {
        let wants = !["elf", "grub", "kexec"].contains(&profile.name);
        let mut builder = Builder::new();
        let data = builder.data(".data", 16);
        let plain = without_symbols(builder.clone());
        let parsed = Module::parse(&plain, *profile).map_err(|error| error.kind);
        assert_eq!(parsed.map(|_| ()).err(), wants.then_some(NoSymbolTable), "{}", profile.name);
        builder.rela(data, &[(8, 0, 1, 0)]);
        let uses = without_symbols(builder);
        if wants {
            continue;
        }
        let life = |file: &[u8]| {
            let module = Module::parse(file, *profile).unwrap();
            assert_eq!((module.object().symbols().len(), module.object().symbols().section()), (0, 0));
            let mut mem = Mem::of(file, *profile);
            let filled = module.assign(&mut mem).unwrap().fill().unwrap();
            let loaded = filled.early(&mut [], &mut Names::default())?;
            assert_eq!(loaded.retained_size(), 0);
            loaded.retain(&mut mem, &mut [], &mut []).map(|late| assert_eq!(late.objects().count(), 0))
        };
        assert_eq!(life(&plain), Ok(()), "{}", profile.name);
        let error = life(&uses).unwrap_err();
        assert_eq!((error.kind, error.section, error.entry, error.limit), (SymbolIndex, Some(2), Some(0), 0));
    }
}

#[test]
fn what_nobody_checks_is_accepted_by_every_profile() {
    let edits: &[(&str, Edit)] = &[
        ("nothing", |_| {}),
        ("EI_OSABI", |b| b.header.ident[7] = 0xff),
        ("padding", |b| b.header.ident[15] = 0xff),
        ("section 0 flags", |b| b.at(0).flags = 1 << 40),
        ("section 0 info", |b| b.at(0).info = 7),
        ("symbol table in memory", |b| tables(b, |t| t[0].flags = ALLOC)),
        ("sh_addr", |b| b.at(1).address = 99),
        ("sh_addralign", |b| b.at(1).align = 3),
        ("sh_entsize", |b| b.at(2).entry_size = u64::MAX),
        ("sh_info of the symbol table", |b| tables(b, |t| t[0].info = 99)),
        ("part of a symbol", |b| tables(b, |t| t[0].bytes.extend([1; 23]))),
        ("NOBITS past the end", |b| {
            *b.at(1) = Sec { kind: NOBITS, offset: Some(1 << 60), ..b.at(1).clone() }
        }),
        ("unused header of any size", |b| b.at(3).size = Some(1 << 60)),
        ("unused header of any name", |b| b.at(3).name_at = Some(10_000)),
        ("the last byte of the names", |b| b.at(1).name_at = Some(5)),
        ("strings of another section", |b| _ = b.section(".more", STRTAB, 0, vec![1; 9])),
    ];
    for (what, edit) in edits {
        for profile in [Profile::LINUX_6_1, Profile::LINUX_6_12, Profile::LINUX_6_13, Profile::ELF] {
            let mut builder = module();
            edit(&mut builder);
            assert_eq!(fault(&builder, profile), None, "{what}, {}", profile.name);
        }
    }
}

#[test]
fn linux_does_not_look_at_the_ident_bytes_and_the_elf_profile_does() {
    for (at, bytes) in [(4, [0, 1, 3, 255]), (5, [0, 2, 3, 255]), (6, [0, 2, 3, 255])] {
        for byte in bytes {
            let mut builder = module();
            builder.header.ident[at] = byte;
            assert_eq!(fault(&builder, Profile::LINUX_6_12), None, "e_ident[{at}] = {byte}");
            assert_eq!(fault(&builder, Profile::ELF), Some(BadIdent), "e_ident[{at}] = {byte}");
        }
    }
}

#[test]
fn a_section_may_end_with_the_file_and_not_one_byte_later() {
    let mut builder = module();
    builder.at(1).offset = Some(64);
    let rest = builder.build().len() as u64 - 64;
    for (size, expected) in [(rest, None), (rest + 1, Some(Truncated))] {
        builder.at(1).size = Some(size);
        assert_eq!(fault(&builder, Profile::ELF), expected, "{size}");
    }
    // Linux writes into the section headers, which are at the end.
    let headers = u64::from_le_bytes(builder.build()[40..48].try_into().unwrap()) - 64;
    for (size, expected) in [(headers, None), (headers + 1, Some(SharedBytes)), (rest, Some(SharedBytes))] {
        builder.at(1).size = Some(size);
        assert_eq!(fault(&builder, Profile::LINUX_6_12), expected, "{size}");
    }
}

#[test]
fn a_section_name_may_begin_at_the_last_byte_of_the_names_and_not_one_later() {
    let mut builder = module();
    // The empty name, then those of the sections, each with its NUL.
    let size = 1 + u32::try_from(".text.rela.text.symtab.strtab.shstrtab".len()).unwrap() + 5;
    for (at, expected) in [(size - 1, None), (size, Some(BadSectionName))] {
        builder.at(1).name_at = Some(at);
        assert_eq!(fault(&builder, Profile::LINUX_6_12), expected, "{at}");
    }
}

#[test]
fn symbol_names_are_held_against_their_table_from_6_13_on() {
    let edits: &[(&str, Edit, ErrorKind)] = &[
        ("sh_link to what is no string table", |b| tables(b, |t| t[0].link = 1), BadStringTable),
        ("first byte", |b| tables(b, |t| t[1].bytes[0] = b'x'), BadStringTable),
        ("last byte", |b| tables(b, |t| *t[1].bytes.last_mut().unwrap() = b'x'), BadStringTable),
        ("empty", |b| tables(b, |t| t[1].bytes.clear()), BadStringTable),
        ("st_name", |b| b.symbols[1].name_at = Some(5), BadSymbolName),
        ("st_name, far", |b| b.symbols[1].name_at = Some(u32::MAX), BadSymbolName),
        ("st_name of symbol 0", |b| b.symbols[0].name_at = Some(5), BadSymbolName),
    ];
    for (what, edit, kind) in edits {
        let mut builder = module();
        edit(&mut builder);
        assert_eq!(fault(&builder, Profile::LINUX_6_12), None, "{what}");
        for profile in
            [Profile::LINUX_6_13, Profile::LINUX_6_16, *Profile::LINUX.last().unwrap(), Profile::ELF]
        {
            assert_eq!(fault(&builder, profile), Some(*kind), "{what}, {}", profile.name);
        }
    }
    let mut builder = module();
    (builder.symbols[0].name_at, builder.symbols[1].name_at) = (Some(4), Some(4));
    assert_eq!(fault(&builder, Profile::LINUX_6_13), None, "the last byte of the table");
}

#[test]
fn a_name_outside_its_table_is_a_fault_where_it_is_needed_even_before_6_13() {
    let mut builder = module();
    builder.symbols[1].name_at = Some(5);
    assert_eq!(World::new(&builder, Profile::LINUX_6_12, Names::default()).early_fault(), None, "not needed");
    builder.symbols[1].shndx = 0;
    let fault = World::new(&builder, Profile::LINUX_6_12, Names::default()).early_fault();
    assert_eq!(fault, Some(BadSymbolName));
}

#[test]
fn a_module_has_sections_names_and_symbols() {
    for profile in [Profile::LINUX_6_12, Profile::ELF] {
        let mut builder = module();
        builder.header.names = Some(0);
        assert!(fault(&builder, profile).is_some(), "no section names, {}", profile.name);
        builder = module();
        (builder.header.sections, builder.header.table) = (Some(0), Some(0));
        assert!(fault(&builder, profile).is_some(), "no sections, {}", profile.name);
        builder = module();
        builder.header.sections = Some(1);
        assert!(fault(&builder, profile).is_some(), "section 0 only, {}", profile.name);
    }
}

/// With counts in section 0 and a symbol's section in a table of its own.
fn extended() -> Builder {
    let mut builder = module();
    builder.symbols[1] = relakit_model::image::Sym { shndx: XINDEX, value: 4, ..builder.symbols[1].clone() };
    let indices = builder.section(".symtab_shndx", 18, 0, [[0; 4], [1, 0, 0, 0]].concat());
    builder.at(indices).link = builder.symtab_index();
    builder
}

#[test]
fn two_tables_of_section_indices_are_refused_by_the_elf_profile_and_not_looked_at_by_linux() {
    let mut builder = extended();
    let second = builder.section(".again", 18, 0, Vec::new());
    let symtab = builder.symtab_index();
    for table in [second - 1, second] {
        builder.at(table).link = symtab;
    }
    assert_eq!(fault(&builder, Profile::ELF), Some(ManySectionIndices));
    assert_eq!(
        World::new(&builder, Profile::LINUX_6_12, Names::default()).early_fault(),
        Some(SymbolSection)
    );
    builder.symbols[1].shndx = 1;
    assert_eq!(World::new(&builder, Profile::LINUX_6_12, Names::default()).early_fault(), None);
}

#[test]
fn extended_numbering_is_understood_by_the_elf_profile_and_refused_by_linux() {
    let mut builder = extended();
    let mut world = World::new(&builder, Profile::ELF, Names::default());
    world.early().unwrap();
    assert_eq!(world.mem.word(1, 8), crate::world::address(1) + 4);
    let mut world = World::new(&builder, Profile::LINUX_6_12, Names::default());
    assert_eq!(world.early_fault(), Some(SymbolSection));

    let count = builder.sections.len() as u64 + 3;
    builder.symbols[1].shndx = ABS;
    (builder.at(0).size, builder.at(0).link) = (Some(count), u32::try_from(count).unwrap() - 1);
    assert_eq!(fault(&builder, Profile::ELF), None, "not used");
    assert_eq!(fault(&builder, Profile::LINUX_6_12), Some(BadSectionZero));
    (builder.header.sections, builder.header.names) = (Some(0), Some(XINDEX));
    assert_eq!(fault(&builder, Profile::ELF), None);
    assert!(fault(&builder, Profile::LINUX_6_12).is_some());
    builder.at(0).size = Some(0);
    assert!(fault(&builder, Profile::LINUX_6_12).is_some());
    (builder.header.sections, builder.header.names) = (None, Some(XINDEX));
    assert_eq!(fault(&builder, Profile::LINUX_6_12), Some(BadNameTable));
}

#[test]
fn an_extended_index_that_names_no_section_is_refused() {
    for (index, expected) in
        [(1, None), (0, Some(SymbolSection)), (8, Some(SymbolSection)), (0xff20, Some(SymbolSection))]
    {
        let mut builder = extended();
        let bytes = [[0; 4], u32::to_le_bytes(index)].concat();
        builder.sections.last_mut().unwrap().bytes = bytes;
        let fault = World::new(&builder, Profile::ELF, Names::default()).early_fault();
        assert_eq!(fault, expected, "{index:#x}");
    }
    let mut short = extended();
    short.sections.last_mut().unwrap().bytes.truncate(7);
    let fault = World::new(&short, Profile::ELF, Names::default()).early_fault();
    assert_eq!(fault, Some(SymbolSection), "the symbol has no entry");
}

#[test]
fn relocations_of_no_section_are_passed_over_by_linux_and_refused_by_the_elf_profile() {
    let refused = [None, Some(relakit::ErrorKind::TargetOutOfRange)];
    for (target, livepatch, entries, expected) in [
        (1, false, 1, [None, None]),
        (0, false, 1, refused),
        (99, false, 1, refused),
        (99, true, 1, refused),
        (99, false, 0, [None, None]),
    ] {
        let mut builder = Builder::new();
        builder.section(".text", 1, 2, vec![0; 16]);
        let symbol = builder.klp_symbol(".klp.sym.vmlinux.f,0");
        let relas = &[(0, symbol, 1, 0)][..entries];
        let section = match livepatch {
            true => builder.klp("vmlinux", 1, relas),
            false => builder.rela(1, relas),
        };
        builder.at(section).info = target;
        for (profile, expected) in [Profile::LINUX_6_12, Profile::ELF].into_iter().zip(expected) {
            let names = Names::new(&[("vmlinux", "f", &[0x1000])]);
            let fault = World::new(&builder, profile, names).early_fault();
            assert_eq!(fault, expected, "{target}, {livepatch}, {entries}, {}", profile.name);
        }
    }
}

#[test]
fn every_file_that_was_cut_short_is_refused() {
    let file = module().build();
    for size in 1..file.len() {
        for profile in [Profile::LINUX_6_12, Profile::ELF] {
            let error = Module::parse(&file[..size], profile).unwrap_err();
            assert_eq!(Profile::LINUX_DEFAULT.errno(error.kind), 8, "{size}: {error}");
        }
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_parser_panic(mut file in proptest::collection::vec(any::<u8>(), 0..300), keep in 0..64usize) {
        let right = module().build();
        let keep = keep.min(file.len());
        file[..keep].copy_from_slice(&right[..keep]);
        for profile in [Profile::LINUX_6_12, Profile::ELF] {
            let _ = Module::parse(&file, profile);
        }
    }

    #[test]
    fn what_comes_after_the_last_table_does_not_matter(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = module().build();
        file.extend(rest);
        prop_assert!(Module::parse(&file, Profile::LINUX_6_12).is_ok());
    }
}
