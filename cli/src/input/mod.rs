//! What the user gives: files, symbols, the kernel version, addresses, folders with modules.

pub(crate) mod files;
pub(crate) mod kernel;
pub(crate) mod memory;
pub(crate) mod modules;
pub(crate) mod near;
pub(crate) mod symbols;
pub(crate) mod traceable;
mod unpack;
