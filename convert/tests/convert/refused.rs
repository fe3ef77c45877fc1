//! Livepatches that cannot be converted, and what the refusal says.

use super::apart::{Form, take_apart};
use super::view::{PROFILE, content, klp, recorded, text};
use object::build::elf::{Builder, SectionData};
use relakit_convert::{Definition, Map, NoSymbols, Refusal, Request, Symbols, convert};
use std::collections::BTreeMap;

/// The symbols that a test lists.
#[derive(Default)]
struct Listed {
    symbols: BTreeMap<(&'static str, &'static str), Vec<Definition>>,
    exports: BTreeMap<&'static str, &'static str>,
}

impl Listed {
    fn with(mut self, object: &'static str, name: &'static str, addresses: &[u64]) -> Self {
        let definition = |address: &u64| Definition { address: *address, is_init: false };
        self.symbols.insert((object, name), addresses.iter().map(definition).collect());
        self
    }

    fn init(mut self, object: &'static str, name: &'static str) -> Self {
        self.symbols.insert((object, name), vec![Definition { address: 1, is_init: true }]);
        self
    }

    fn export(mut self, object: &'static str, name: &'static str) -> Self {
        self.exports.insert(name, object);
        self.with(object, name, &[1])
    }
}

impl Symbols for Listed {
    fn definitions(&self, object: &[u8], name: &[u8]) -> Option<Vec<Definition>> {
        let is = |text: &str, bytes: &[u8]| text.as_bytes() == bytes;
        let mut of = self.symbols.iter().filter(|((of, _), _)| is(of, object)).peekable();
        of.peek()?;
        let found = of.find(|((_, other), _)| is(other, name)).map(|(_, all)| all.clone());
        // The livepatch uses more symbols of orc_tgt1 than a test lists.
        found.or_else(|| (object != b"orc_tgt1").then(Vec::new))
    }

    fn objects_with(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let found = self.symbols.keys().filter(|(_, other)| other.as_bytes() == name);
        found.map(|(object, _)| object.as_bytes().to_vec()).collect()
    }

    fn exporter(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.exports.get(str::from_utf8(name).ok()?).map(|object| object.as_bytes().to_vec())
    }

    fn knows_exports(&self) -> bool {
        true
    }
}

/// The recorded livepatch `module_late`, which patches orc_tgt1, with other names for one symbol: the
/// first one whose name begins with `.klp.sym.rela.`.
fn with_name(name: &str) -> Vec<u8> {
    let (apart, _) = take_apart(&recorded()[0].1, Form::Macro);
    let mut builder = Builder::read(&*apart).unwrap();
    let symbol =
        builder.symbols.iter_mut().find(|symbol| symbol.name.starts_with(b".klp.sym.rela.")).unwrap();
    symbol.name = name.as_bytes().to_vec().into();
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}

fn run(file: &[u8], symbols: &dyn Symbols, map: &str) -> Result<relakit_convert::Converted, Vec<Refusal>> {
    let map = Map::parse(map.as_bytes()).unwrap();
    convert(file, &Request { profile: PROFILE, version: (6, 12), symbols, map: &map })
}

/// The only refusal, as text.
#[track_caller]
fn refused(file: &[u8], symbols: &dyn Symbols, map: &str) -> String {
    let refusals = run(file, symbols, map).unwrap_err();
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    refusals[0].to_string()
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_position_is_looked_up_and_verified() {
    let sympos = |position: &str, addresses: &[u64]| {
        let symbols = Listed::default().with("vmlinux", "f", addresses);
        let converted = run(&with_name(&format!(".klp.sym.rela.vmlinux.vmlinux.f{position}")), &symbols, "");
        converted.map(|converted| {
            converted.symbols.iter().find(|row| row.name == b"f").map(|row| row.sympos).unwrap()
        })
    };
    assert_eq!(sympos("", &[1]), Ok(0));
    assert_eq!(sympos(",auto", &[1]), Ok(0));
    assert_eq!(sympos(",0", &[1]), Ok(0));
    assert_eq!(sympos(",1", &[1]), Ok(1));
    assert_eq!(sympos(",2", &[1, 2]), Ok(2));
    for ambiguous in ["", ",auto", ",0"] {
        let text = sympos(ambiguous, &[0x1230, 0x4560]).unwrap_err()[0].to_string();
        contains(&text, &["vmlinux has 2 symbols f", "1: 0x1230", "2: 0x4560", "KLP_RELOC_SYMBOL_POS"]);
    }
    contains(&sympos(",3", &[0x1230, 0x4560]).unwrap_err()[0].to_string(), &["it has 2", "2: 0x4560"]);
    contains(&sympos(",0", &[]).unwrap_err()[0].to_string(), &["vmlinux has no symbol f"]);
}

#[test]
fn without_the_symbols_of_an_object_a_given_position_is_not_verified_and_auto_is_refused() {
    let given = run(&with_name(".klp.sym.rela.vmlinux.vmlinux.f,3"), &NoSymbols, "").unwrap();
    let row = given.symbols.iter().find(|row| row.name == b"f").unwrap();
    assert_eq!((row.sympos, row.verified), (3, false));
    let auto = refused(&with_name(".klp.sym.rela.orc_tgt1.other.f,auto"), &NoSymbols, "");
    contains(&auto, &["f in other cannot be looked up", "--target other=FILE.ko"]);
    contains(&refused(&with_name(".klp.sym.rela.vmlinux.vmlinux.f"), &NoSymbols, ""), &["--symbols"]);
}

#[test]
fn a_symbol_in_init_memory_is_refused() {
    let symbols = Listed::default().init("vmlinux", "f");
    contains(
        &refused(&with_name(".klp.sym.rela.vmlinux.vmlinux.f,0"), &symbols, ""),
        &["init memory", "copy"],
    );
}

#[test]
fn a_malformed_name_is_refused() {
    for bad in ["vmlinux.f", ".vmlinux.f,0", "a..f,0", "a.b.,0", "a.b.f,x", "a.b.f,-1", "a.b.f,1,2", "a.b.f,"]
    {
        let name = format!(".klp.sym.rela.{bad}");
        contains(&refused(&with_name(&name), &NoSymbols, ""), &[&*name, "KLP_RELOC_SYMBOL"]);
    }
    contains(
        &refused(&with_name(".klp.sym.orc_tgt1.f"), &NoSymbols, ""),
        &[".klp.sym.<object>.<name>,<sympos>"],
    );
    let long = format!(".klp.sym.rela.orc_tgt1.{}.f,0", "o".repeat(56));
    contains(&refused(&with_name(&long), &NoSymbols, ""), &["1 to 55 bytes"]);
}

#[test]
fn an_object_that_the_livepatch_does_not_patch_is_refused() {
    let text = refused(&with_name(".klp.sym.rela.other.other.f,0"), &NoSymbols, "");
    contains(&text, &["relocations for other", "it patches orc_tgt1", "struct klp_object"]);
}

#[test]
fn code_of_vmlinux_cannot_wait_for_a_module() {
    let text = refused(&with_name(".klp.sym.rela.vmlinux.orc_tgt1.f,0"), &NoSymbols, "");
    contains(&text, &["f of the module orc_tgt1", "KLP_RELOC_SYMBOL(orc_tgt1, orc_tgt1, f)"]);
}

#[test]
fn the_patched_object_and_the_object_of_the_symbol_can_differ() {
    let converted = run(&with_name(".klp.sym.rela.orc_tgt1.other.f,0"), &NoSymbols, "").unwrap();
    let sections = klp(&converted.bytes);
    assert!(sections.keys().all(|name| name.starts_with(".klp.rela.orc_tgt1.")), "{sections:?}");
    assert!(sections.values().flatten().any(|row| row.2 == ".klp.sym.other.f,0"));
    // Linux applies what uses vmlinux early.
    let early = run(&with_name(".klp.sym.rela.orc_tgt1.vmlinux.f,0"), &NoSymbols, "").unwrap();
    assert!(early.sections.iter().any(|section| section.patched == b"vmlinux"));
}

#[test]
fn plain_names_are_those_of_the_map_or_of_the_kernel() {
    let file = with_name("f");
    let of = |symbols: &dyn Symbols, map: &str| {
        let converted = run(&file, symbols, map).unwrap();
        let row = converted.symbols.iter().find(|row| row.name == b"f");
        row.map(|row| (String::from_utf8(row.object.clone()).unwrap(), row.sympos))
    };
    let is = |object: &str, sympos| Some((object.to_owned(), sympos));
    assert_eq!(of(&NoSymbols, ""), None);
    assert_eq!(of(&NoSymbols, "vmlinux f 2"), is("vmlinux", 2));
    assert_eq!(of(&NoSymbols, "other f 0"), is("other", 0), "it waits for the only patched module");
    assert_eq!(of(&Listed::default().with("vmlinux", "f", &[1]), ""), is("vmlinux", 0));
    assert_eq!(of(&Listed::default().export("vmlinux", "f"), ""), None, "exported by vmlinux");
    assert_eq!(of(&Listed::default().export("other", "f"), ""), is("other", 0), "exported by a module");
    assert_eq!(of(&Listed::default().with("other", "f", &[1]), ""), None, "of a module that is not patched");
    let both = Listed::default().with("vmlinux", "f", &[1]).with("orc_tgt1", "f", &[1]);
    contains(&refused(&file, &both, ""), &["f is a symbol of orc_tgt1, vmlinux", "--map"]);
}

#[test]
fn late_relocations_of_special_sections_and_init_code_are_refused_with_what_to_write() {
    // The sections of `vmlinux_only`, which has them for vmlinux. Here they wait for a module.
    let (apart, _) = take_apart(&recorded()[2].1, Form::Macro);
    let mut builder = Builder::read(&*apart).unwrap();
    for symbol in builder.symbols.iter_mut() {
        if let Some(rest) = symbol.name.strip_prefix(b".klp.sym.rela.vmlinux.vmlinux.") {
            symbol.name = [b".klp.sym.rela.m.m.", rest].concat().into();
        }
    }
    // Without the call, there is no tree, and every object counts as patched.
    let enable = builder.symbols.iter_mut().find(|symbol| symbol.name.as_slice() == b"klp_enable_patch");
    enable.unwrap().name = b"other"[..].into();
    let mut file = Vec::new();
    builder.write(&mut file).unwrap();
    let all: String =
        run(&file, &NoSymbols, "").unwrap_err().iter().map(|refusal| format!("{refusal}\n")).collect();
    contains(
        &all,
        &[
            "__jump_table+",
            "static_key_enabled",
            ".init.text+",
            "not __init",
            ".static_call_sites+",
            "static_call_query",
            "__ex_table",
        ],
    );
}

#[test]
fn what_is_no_module_is_refused() {
    contains(&refused(b"not a module", &NoSymbols, ""), &["not a module"]);
    let file = &recorded()[0].1;
    for cut in [0, 63, 64, file.len() / 2, file.len() - 1] {
        assert!(run(&file[..cut], &NoSymbols, "").is_err(), "{cut}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 400, ..Default::default() })]

    /// Each table of the forms is a part of the file, so damage hits them, too.
    #[test]
    fn a_damaged_file_is_refused_or_converted_to_a_valid_one(
        form in 0..4usize,
        damage in proptest::collection::vec((0..1_000_000usize, proptest::prelude::any::<u8>()), 1..6),
        headers: bool,
    ) {
        let form = [Form::Macro, Form::Map, Form::KlpBuild, Form::Kpatch][form];
        let (mut file, map) = take_apart(&recorded()[1].1, form);
        // Half of the damage is in the section headers, which are at the end.
        let (start, len) = if headers { (file.len() - 4096, 4096) } else { (0, file.len()) };
        for (at, byte) in damage {
            file[start + at % len] = byte;
        }
        if let Ok(converted) = run(&file, &NoSymbols, &map) {
            proptest::prop_assert!(relakit::Module::parse(&converted.bytes, PROFILE).is_ok());
        }
    }
}

/// The recorded livepatch with a plain name `f` and other modules in `depends=`.
fn depends_on(names: &str) -> Vec<u8> {
    let file = with_name("f");
    let mut builder = Builder::read(&*file).unwrap();
    let section = builder.sections.iter_mut().find(|section| section.name.as_slice() == b".modinfo").unwrap();
    section.data =
        SectionData::Data(format!("license=GPL\0depends={names}\0livepatch=Y\0").into_bytes().into());
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}

#[test]
fn a_module_whose_exports_are_livepatch_symbols_leaves_depends() {
    let modinfo = |file: &[u8]| {
        content(file).into_iter().find(|row| row.0 == ".modinfo").map(|row| text(&row.4)).unwrap()
    };
    for (before, after) in [
        ("other", "depends=\0\0\0\0\0"),
        ("a,other,b-c", "depends=a,b-c\0\0\0\0\0\0"),
        ("other,a", "depends=a\0\0\0\0\0\0"),
    ] {
        let file = depends_on(before);
        let converted = run(&file, &Listed::default().export("other", "f"), "").unwrap();
        assert_eq!(converted.removed_depends, [b"other".to_vec()], "{before}");
        assert_eq!(modinfo(&converted.bytes), format!("license=GPL\0{after}\0livepatch=Y\0"), "{before}");
    }
    // Nothing of the module became a livepatch symbol.
    let map = "vmlinux f 0";
    let kept = run(&depends_on("other"), &Listed::default().with("vmlinux", "f", &[1]), map).unwrap();
    assert!(kept.removed_depends.is_empty());
    assert_eq!(modinfo(&kept.bytes), "license=GPL\0depends=other\0livepatch=Y\0");
}
