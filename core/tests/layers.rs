//! The modules of the crate are layers: each imports only what stands below it.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A module imports none that stands after it.
const LAYERS: [&str; 14] = [
    "abi", "read", "sort", "flags", "arch", "error", "report", "elf", "reloc", "profile", "klp", "index",
    "module", "sechdrs",
];

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The module that a file belongs to: its folder or its own name at the top.
fn module(source: &Path, file: &Path) -> String {
    let first = file.strip_prefix(source).unwrap().iter().next().unwrap();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that a text imports.
fn imports(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let after = code.split("crate::").skip(1);
    after
        .map(|rest| rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect())
        .collect()
}

/// What is wrong with a file of a module.
fn wrong(module: &str, imports: &BTreeSet<String>) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let Some(own) = layer(module) else { return vec![format!("{module} is no layer")] };
    let wrong = imports.iter().filter(|import| layer(import).is_none_or(|import| import > own));
    wrong.map(|import| format!("{module} imports {import:?}")).collect()
}

#[test]
fn no_module_imports_a_layer_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = BTreeSet::new();
    for file in files(&source) {
        let module = module(&source, &file);
        if module == "lib" {
            continue;
        }
        let found = wrong(&module, &imports(&fs::read_to_string(&file).unwrap()));
        assert!(found.is_empty(), "{}: {found:?}", file.display());
        seen.insert(module);
    }
    assert_eq!(seen, LAYERS.map(str::to_owned).into(), "each layer is a module");
}

#[test]
fn an_import_that_runs_upwards_is_noticed() {
    for (module, text, expected) in [
        ("error", "use crate::reloc::type_name;", 1),
        ("report", "fn f() { crate::elf::Rela::read(x) }", 1),
        ("elf", "use crate::{Error, ErrorKind};", 1),
        ("elf", "/// See [`x`](crate::module)\nuse crate::error::Error;", 0),
        ("elf", "use crate::error::Error;\n#[cfg(test)]\nmod tests { use crate::module::Module; }", 0),
        ("module", "use crate::klp::RelaName;\nuse crate::module::Module;", 0),
        ("another", "", 1),
    ] {
        assert_eq!(wrong(module, &imports(text)).len(), expected, "{module}: {text}");
    }
}

/// What a text names that only `arch` may name. The error about another machine is an exception:
/// its name is part of the interface.
fn names_of_the_machine(text: &str) -> Vec<String> {
    let code = code(text);
    let words = code.split(|char: char| !char.is_alphanumeric() && char != '_');
    let named = words.filter(|word| word.contains("X86_64"));
    let not_named = ["NotX86_64", "RELAKIT_ERR_NOT_X86_64"];
    named.filter(|word| !not_named.contains(word)).map(str::to_owned).collect()
}

/// The files that only tests use.
fn is_test(file: &Path) -> bool {
    ["tests.rs", "samples.rs", "recorded.rs"].iter().any(|name| file.ends_with(name))
}

#[test]
fn only_arch_names_the_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arch = root.join("src/arch");
    let mut inside = 0;
    for file in ["src", "../ffi/src", "../cli/src"].iter().flat_map(|folder| files(&root.join(folder))) {
        let found = names_of_the_machine(&fs::read_to_string(&file).unwrap());
        if file.starts_with(&arch) {
            inside += found.len();
        } else if !is_test(&file) {
            assert!(found.is_empty(), "{}: {found:?}", file.display());
        }
    }
    assert!(inside > 50, "arch names the machine");
}

#[test]
fn a_name_of_the_machine_is_noticed() {
    for (text, expected) in [
        ("use crate::arch::R_X86_64_64;", 1),
        ("abi::EM_X86_64", 1),
        ("name.strip_prefix(\"R_X86_64_\")", 1),
        ("/// `R_X86_64_64`\nuse crate::arch::MACHINE;", 0),
        ("ErrorKind::NotX86_64", 0),
        ("use crate::arch;\n#[cfg(test)]\nmod tests { R_X86_64_64 }", 0),
        ("#[cfg(test)]\nmod tests;\nR_X86_64_64", 1),
    ] {
        assert_eq!(names_of_the_machine(text).len(), expected, "{text}");
    }
}
