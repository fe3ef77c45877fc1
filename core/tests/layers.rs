//! The modules of each crate are layers. A module imports only layers below its own.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test code"
)]

mod layering;
#[path = "layering/lints.rs"]
mod lints;

use layering::{Layers, code, design, files};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of each crate, from the lowest. The program's are in the order of its data flow.
const CRATES: [(&str, &[&str]); 5] = [
    (
        "core",
        &[
            "abi",
            "read",
            "sort",
            "text",
            "flags",
            "arch",
            "error",
            "error_text",
            "report",
            "elf",
            "reloc",
            "profile",
            "klp",
            "index",
            "module",
            "verify",
            "sechdrs",
        ],
    ),
    ("linux", &["bytes", "special", "memories", "loader_check", "patch", "late", "findings", "verify"]),
    (
        "convert",
        &["refusal", "symbols", "map", "types", "session", "file", "advice", "forms", "sections", "depends"],
    ),
    (
        "ffi",
        &[
            "types",
            "resolver",
            "status",
            "error",
            "pointers",
            "verifier",
            "callbacks",
            "target",
            "state",
            "sechdrs_memory",
            "memory",
            "relocate",
            "small",
            "got",
            "index",
            "klp_names",
            "image",
            "sechdrs",
            "module",
            "plan",
            "arena",
            "late",
            "error_format",
            "describe",
            "names",
            "version",
            "findings",
            "verify",
            "patch_sites",
            "panic",
            "layout",
        ],
    ),
    (
        "cli",
        &[
            "failure",
            "console",
            "progress",
            "input",
            "view",
            "simulate",
            "diagnostics",
            "output",
            "rules",
            "args",
            "man",
            "scenario",
            "inspect",
            "apply",
            "check",
            "kernel_set",
            "verify",
            "live",
            "convert",
            "diff",
            "explain",
            "demo",
        ],
    ),
];

/// The files of the crates.
fn sources() -> impl Iterator<Item = PathBuf> {
    CRATES.iter().flat_map(|(name, _)| files(&source(name)))
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src")
}

#[test]
fn no_module_imports_a_higher_layer() {
    for (name, order) in CRATES {
        Layers { order }.check(&source(name));
    }
}

#[test]
fn an_import_of_a_higher_layer_is_an_error() {
    let layers = Layers { order: &["ground", "middle", "top"] };
    for (module, text, errors) in [
        ("ground", "use crate::top::x;", 1),
        ("ground", "fn f() { crate::middle::f(x) }", 1),
        ("middle", "use crate::{ground::{a, b}, top};", 1),
        ("middle", "use crate::{ground::{a, top}, middle::b};", 0),
        ("middle", "use crate::*;", 1),
        ("middle", "use super::top::x;", 1),
        ("middle::file", "use super::top;", 0),
        ("middle::file", "use super::super::top;", 1),
        ("middle", "/// See [`x`](crate::top)\nuse crate::ground::x;", 0),
        ("middle", "use crate::ground::x;\n#[cfg(test)]\nmod tests { use crate::top::x; }", 0),
        ("middle", "#[cfg(test)]\nmod other;\nuse crate::top::x;", 1),
        ("top", "use crate::middle::x;\nuse crate::top::y;", 0),
        ("another", "use crate::ground::x;", 1),
    ] {
        let path: Vec<_> = module.split("::").map(str::to_owned).collect();
        assert_eq!(layers.errors(&path, text).len(), errors, "{module}: {text}");
    }
}

/// What a text names that only `arch` may name.
fn names_of_the_machine(text: &str) -> Vec<String> {
    let code = code(text);
    let words = code.split(|char: char| !char.is_alphanumeric() && char != '_');
    words.filter(|word| word.contains("X86_64")).map(str::to_owned).collect()
}

/// The files that only tests use.
fn is_test(file: &Path) -> bool {
    ["tests.rs", "samples.rs", "recorded.rs"].iter().any(|name| file.ends_with(name))
}

#[test]
fn only_arch_names_the_machine() {
    let arch = source("core").join("arch");
    let mut inside = 0;
    for file in sources() {
        let found = names_of_the_machine(&fs::read_to_string(&file).unwrap());
        if file.starts_with(&arch) {
            inside += found.len();
        } else if !is_test(&file) {
            assert!(found.is_empty(), "{}: {found:?}", file.display());
        }
    }
    assert!(inside > 50, "arch names the machine");
}

/// The Linux versions that a text names, as `LINUX_6_12` or `Linux 6.12`. Comments count, tests at its
/// end do not.
fn names_of_a_version(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    // A comment may be wrapped between the two words.
    let words: String =
        text.lines().map(|line| line.trim_start_matches([' ', '/', '!'])).collect::<Vec<_>>().join(" ");
    let is_version = |rest: &str| {
        let (major, rest) =
            rest.split_at(rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len()));
        let minor = rest.strip_prefix(['.', '_']).and_then(|rest| rest.chars().next());
        !major.is_empty() && minor.is_some_and(|char| char.is_ascii_digit())
    };
    let after = |name: &str| -> Vec<String> {
        let found = words.split(name).skip(1).filter(|rest| is_version(rest));
        found.map(|rest| format!("{name}{}", rest.chars().take(4).collect::<String>())).collect()
    };
    [after("LINUX_"), after("Linux ")].concat()
}

#[test]
fn only_profiles_and_the_crate_for_linux_name_a_linux_version() {
    let (profile, linux) = (source("core").join("profile"), source("linux"));
    let mut inside = 0;
    for file in sources().filter(|file| !file.starts_with(&linux)) {
        let found = names_of_a_version(&fs::read_to_string(&file).unwrap());
        if file.starts_with(&profile) {
            inside += found.len();
        } else if !is_test(&file) {
            assert!(found.is_empty(), "{}: {found:?}", file.display());
        }
    }
    assert!(inside > 20, "profiles name versions");
}

#[test]
fn a_name_of_a_linux_version_is_noticed() {
    for (text, expected) in [
        ("Profile::LINUX_6_12", 1),
        ("/// Linux 6.13 checks names, Linux 6.12 does not.", 2),
        ("    /// until Linux\n    /// 6.3", 1),
        ("c\"livepatch before Linux 5.8\"", 1),
        ("Profile::LINUX_DEFAULT, Profile::LINUX, RELAKIT_LINUX(6, 12)", 0),
        ("/// Linux semantics 6.\n/// As Linux 6 times", 0),
        ("code\n#[cfg(test)]\nmod tests { Profile::LINUX_6_12 }", 0),
    ] {
        assert_eq!(names_of_a_version(text).len(), expected, "{text}");
    }
}

#[test]
fn a_name_of_the_machine_is_noticed() {
    for (text, expected) in [
        ("use crate::arch::R_X86_64_64;", 1),
        ("abi::EM_X86_64", 1),
        ("name.strip_prefix(\"R_X86_64_\")", 1),
        ("/// `R_X86_64_64`\nuse crate::arch::MACHINE;", 0),
        ("use crate::arch;\n#[cfg(test)]\nmod tests { R_X86_64_64 }", 0),
        ("#[cfg(test)]\nmod tests;\nR_X86_64_64", 1),
    ] {
        assert_eq!(names_of_the_machine(text).len(), expected, "{text}");
    }
}

#[test]
fn the_design_page_names_every_crate_and_only_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let named: Vec<_> = design::names("## Where things are").concat();
    for name in &named {
        assert!(root.join(name).exists(), "DESIGN.md names {name}");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        assert!(named.contains(&format!("{member}/")), "DESIGN.md does not name {member}/");
    }
}

#[test]
fn the_design_page_has_the_layers_of_core_in_their_order() {
    let mut order = Vec::new();
    for name in design::names("### The layers of core").concat() {
        assert!(design::is_module(&source("core"), &name), "DESIGN.md names {name}");
        order.push(name.split('/').next().unwrap().to_owned());
    }
    order.dedup();
    let [(_, layers), ..] = CRATES;
    assert_eq!(order, layers, "DESIGN.md, and the layers");
}

#[test]
fn the_design_page_names_the_modules_of_the_other_crates() {
    for (heading, name) in [
        ("### The modules of linux", "linux"),
        ("### The files of convert", "convert"),
        ("### The files of ffi", "ffi"),
    ] {
        let names = design::names(heading).concat();
        let named: BTreeSet<_> = names.iter().map(|name| name.trim_end_matches('/')).collect();
        assert_eq!(named.len(), names.len(), "DESIGN.md names a module of {name} twice");
        let (_, layers) = CRATES.iter().find(|(other, _)| *other == name).unwrap();
        assert_eq!(named, layers.iter().copied().collect(), "DESIGN.md, and the modules of {name}");
    }
}

#[test]
fn the_recipes_for_contributors_name_only_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let is_path = |word: &&str| word.contains('/') && !word.contains([' ', '<', '*', '\n']);
    // These are in Linux's source.
    let is_of_linux = |word: &&str| word.starts_with("kernel/") || word.starts_with("arch/x86/");
    let paths: Vec<_> =
        page.split('`').skip(1).step_by(2).filter(is_path).filter(|word| !is_of_linux(word)).collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        assert!(root.join(path).exists(), "CONTRIBUTING.md names {path}");
    }
}
