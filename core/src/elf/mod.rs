//! A validated view of an ELF64 relocatable object. It borrows the file.
//!
//! Source: gABI chapter 4, x86-64 psABI chapter 4.

mod object;
mod rela;
mod section;
mod strtab;
mod symbol;

pub use object::Object;
pub(crate) use object::Strictness;
pub use rela::{Rela, RelaTable};
pub use section::{Section, SectionFlags};
pub use strtab::{NAME_MAX, Strings};
pub use symbol::{Binding, Symbol, SymbolLocation, SymbolTable, Symbols};
