//! `classify`: names of sections and symbols, and the class of a section that bears the name,
//! compared with the model.

use relakit::klp::{RelaName, SymName};
use relakit::{Module, Profile};
use relakit_model::class::check_class;
use relakit_model::image::{ALLOC, Builder, LIVEPATCH, NOBITS, PROGBITS, REL, RELA, STRTAB, Sec};
use relakit_model::{file, names};

/// A name, and a section that bears it.
pub fn run(data: &[u8]) {
    const PREFIXES: [&[u8]; 4] = [b"", b".klp.rela.", b".klp.sym.", b".klp.arch."];
    const MOST: usize = 700;
    let Some((&[profile, flags, kind, info, size, prefix], text)) = data.split_first_chunk() else { return };
    let profile = crate::profiles::of(profile);
    let prefix = PREFIXES[usize::from(prefix) % PREFIXES.len()];
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = [prefix, &text[..text.len().min(MOST - prefix.len())]].concat();
    section_name(&name);
    symbol_name(&name, &profile);
    let file = image(&name, flags, kind, info, size);
    let module = Module::parse(&file, profile).unwrap_or_else(|error| panic!("{error}"));
    let class = module.class(SUBJECT).expect("it is there").class;
    check_class(&file::Module::read(&file, (&profile).into()), SUBJECT, class);
}

fn section_name(name: &[u8]) {
    let quick = RelaName::parse(name);
    assert_eq!(quick.map(|name| (name.object, name.rest)), names::section(name));
    if let Some(quick) = quick {
        let whole = [b".klp.rela.", quick.object, quick.rest];
        assert!(whole.iter().flat_map(|part| part.iter()).eq(name), "no byte is lost");
        assert_eq!(quick.is_cut(), !quick.rest.is_empty() && quick.rest[0] != b'.');
        let target = quick.rest.split_first().map(|(_, target)| target);
        let by_convention = !quick.is_cut() && target.is_some_and(|target| !target.is_empty());
        assert_eq!(quick.section(), target.filter(|_| by_convention));
    }
}

fn symbol_name(name: &[u8], profile: &Profile) {
    let quick = SymName::parse(name, profile).map(|name| names::Symbol {
        object: name.object,
        name: name.name,
        sympos: name.sympos,
        rest: name.rest,
    });
    assert_eq!(quick, names::symbol(name, profile.into()));
}

/// Index of the section in question.
const SUBJECT: u32 = 5;

/// A file of a few sections, of which one is in question.
fn image(name: &[u8], flags: u8, kind: u8, info: u8, size: u8) -> Vec<u8> {
    const KINDS: [u32; 7] = [RELA, PROGBITS, REL, NOBITS, STRTAB, 0x6fff_fff0, 0];
    const COUNT: u32 = SUBJECT + 4;
    // Not the symbol table and its strings, which no loader lets be written.
    const INFOS: [u32; 9] = [1, 0, 2, 3, 4, SUBJECT, COUNT - 1, COUNT, u32::MAX];
    const SIZES: [usize; 5] = [24, 0, 23, 47, 48];
    let has = |bit: u8, flag: u64| if flags & bit != 0 { flag } else { 0 };
    let mut builder = Builder::new();
    for (name, flags) in [(".text", ALLOC), (".comment", 0), (".modinfo", ALLOC), (".data..percpu", ALLOC)] {
        builder.section(name, PROGBITS, flags, vec![0]);
    }
    builder.sections.push(Sec {
        name: name.to_vec(),
        flags: has(1, LIVEPATCH) | has(2, ALLOC) | has(4, 1) | has(8, 1 << 62),
        kind: KINDS[usize::from(kind) % KINDS.len()],
        info: INFOS[usize::from(info) % INFOS.len()],
        bytes: vec![0; SIZES[usize::from(size) % SIZES.len()]],
        link: SUBJECT + 1,
        ..Sec::default()
    });
    builder.build()
}
