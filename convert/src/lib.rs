//! Gives a compiled Linux livepatch its livepatch sections.
//!
//! A livepatch uses symbols that the kernel does not export. Its compiler and its linker know them
//! only by name. [`convert`] moves each relocation that uses such a symbol from `.rela<section>` to
//! `.klp.rela.<patched object>.<section>`, and gives the symbol the name `.klp.sym.<object>.<name>,
//! <sympos>` and the section index `SHN_LIVEPATCH`, as Linux reads them (Linux semantics 1). Every
//! other section keeps its bytes.
//!
//! A file can have several of these input forms:
//!
//! | form | made by |
//! |---|---|
//! | `.klp.sym.rela.<patched object>.<symbol's object>.<name>,<position>`, undefined | the macro `KLP_RELOC_SYMBOL` ([`HEADER`]), klp-ccp, clang-extract |
//! | `__klp_relocs.<object>` | klp-build, before `objtool klp post-link` |
//! | `.kpatch.symbols` and `.kpatch.relocations` | kpatch-build, before `create-klp-module` |
//! | plain undefined names | hand; a [`Map`] or the kernel's [`Symbols`] tell what they mean |
//!
//! The same input makes the same output, and a converted file is returned unchanged.
#![forbid(unsafe_code)]

mod advice;
mod depends;
mod file;
mod forms;
mod map;
mod refusal;
mod sections;
mod session;
mod symbols;
mod types;

pub use map::Map;
pub use refusal::Refusal;
pub use symbols::{Definition, NoSymbols, Symbols};
pub use types::{Converted, KlpSection, KlpSymbol, Request};

use relakit::Module;
use relakit::abi::VMLINUX;
use relakit_linux::patch::{self, Text};
use session::Session;
use std::collections::BTreeSet;

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The header with the macros `KLP_RELOC_SYMBOL` and `KLP_RELOC_SYMBOL_POS`.
pub const HEADER: &str = include_str!("../klp_reloc.h");

/// Converts `module`, the bytes of a compiled livepatch. If it has nothing to convert, the bytes are
/// returned as they are.
///
/// # Errors
/// The reasons why it cannot be converted, at most 100. There is at least one.
pub fn convert(module: &[u8], request: &Request<'_>) -> Result<Converted, Vec<Refusal>> {
    let one = |refusal: Refusal| vec![refusal];
    let parsed = Module::parse(module, request.profile)
        .map_err(|error| one(Refusal::new(format!("not a module: {error}"))))?;
    let readable = file::Readable::new(&parsed).map_err(one)?;
    let mut builder = readable.builder().map_err(one)?;
    let mut session = Session::new(request, patched_objects(&parsed));
    forms::klp_build::plan(&mut builder, &mut session);
    forms::kpatch::plan(&mut builder, &mut session, readable.has_groups());
    forms::named::plan(&mut builder, &mut session);
    let sections = sections::make(&mut builder, &mut session);
    if !session.refusals.is_empty() {
        return Err(session.refusals);
    }
    if !session.changed {
        return Ok(Converted { bytes: module.to_vec(), ..Converted::default() });
    }
    let removed_depends = depends::remove(&mut builder, &session);
    let bytes = file::write(builder).map_err(one)?;
    // What was written is what Linux reads.
    Module::parse(&bytes, request.profile)
        .map_err(|error| one(Refusal::new(format!("the converted file is malformed: {error}"))))?;
    Ok(Converted { bytes, sections, symbols: session.symbols, removed_depends })
}

/// The objects of the tree that the livepatch gives to `klp_enable_patch`. `None` if it gives none, or
/// if a name cannot be read.
fn patched_objects(module: &Module<'_>) -> Option<BTreeSet<Vec<u8>>> {
    let mut pointers: Vec<_> = patch::pointers(module).collect();
    pointers.sort_unstable();
    let tree = patch::find(module, &pointers).ok()?;
    let name = |object: patch::Object<'_, '_>| match object.name {
        Text::Null => Some(VMLINUX.to_vec()),
        Text::Known(name) => Some(name.to_vec()),
        Text::Unknown => None,
    };
    tree.objects().map(name).collect()
}
