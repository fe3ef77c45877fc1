//! What the user gives: files, symbols, the kernel version, addresses, folders with modules, the
//! memory of a running module.

mod addresses;
pub(crate) mod files;
pub(crate) mod kernel;
pub(crate) mod memory;
pub(crate) mod modules;
pub(crate) mod near;
pub(crate) mod place;
pub(crate) mod roles;
mod root;
pub(crate) mod running;
pub(crate) mod symbol_lines;
pub(crate) mod symbols;
pub(crate) mod system;
pub(crate) mod traceable;
mod unpack;
pub(crate) mod used;
