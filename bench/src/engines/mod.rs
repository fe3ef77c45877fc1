//! Relocation loops, each called for all sections of a module.

mod floors;
mod halfway;
mod linux;
mod object;
pub mod relakit;

use crate::modules::Work;

/// Relocates `image`, or clears it; answers whether all went well.
pub type Run = fn(&Work, &mut [u8]) -> bool;

/// What an engine is given, and leaves behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Relocates.
    Relocate,
    /// Sets the relocated image back.
    Clear,
    /// Changes nothing.
    Check,
    /// Fails at the last entry of every section, whose field is not zero, and changes nothing.
    Fail,
    /// Nothing that means anything: a floor.
    Nonsense,
}

pub struct Engine {
    pub name: &'static str,
    pub does: Does,
    pub run: Run,
}

const fn engine(name: &'static str, does: Does, run: Run) -> Engine {
    Engine { name, does, run }
}

pub const LINUX: &str = "C loop with Linux's rules";
pub const OBJECT: &str = "object + match";
pub const APPLY: &str = "relakit apply";
pub const HALFWAY: &str = "the same loop, without rollback";
pub const APPLY_SYMTAB: &str = "relakit apply, values in a symbol table";
pub const APPLY_C: &str = "relakit apply through the C ABI";
pub const CLEAR: &str = "relakit clear";
pub const CHECK: &str = "relakit dry run";
pub const FLOOR: &str = "floor: read entry, gather value, store";

pub const ENGINES: [Engine; 12] = [
    engine(LINUX, Does::Relocate, linux::apply),
    engine(OBJECT, Does::Relocate, object::apply),
    engine(APPLY, Does::Relocate, relakit::apply),
    engine(HALFWAY, Does::Relocate, halfway::apply),
    engine(APPLY_SYMTAB, Does::Relocate, relakit::apply_symtab),
    engine(APPLY_C, Does::Relocate, relakit::apply_c),
    engine(CLEAR, Does::Clear, relakit::clear),
    engine(CHECK, Does::Check, relakit::check),
    engine("relakit apply that fails at the last entry", Does::Fail, relakit::fail),
    engine(FLOOR, Does::Nonsense, floors::store),
    engine("floor: read entry, gather value", Does::Nonsense, floors::gather),
    engine("floor: read entry", Does::Nonsense, floors::stream),
];

/// An engine's number.
pub fn number(name: &str) -> usize {
    ENGINES.iter().position(|engine| engine.name == name).expect(name)
}
