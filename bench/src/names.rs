//! What a kernel knows of names: one hash map for every loader that is measured.

use hashbrown::HashMap;
use relakit::elf::{Object, SymbolLocation};
use relakit::{CallbackError, Resolver};
use std::sync::OnceLock;

/// Where the kernel's own symbols begin.
pub const KERNEL: u64 = 0xffff_ffff_8100_0000;
/// Where they begin for peers, which load into this process and want them within 2 GiB.
pub const NEAR: u64 = 0x0800_0000;

static NAMES: OnceLock<HashMap<Box<[u8]>, u64>> = OnceLock::new();

/// Every name that is undefined in one of `files` is known from now on.
pub fn collect<'f>(files: impl Iterator<Item = &'f [u8]>) {
    let mut names = HashMap::new();
    for object in files.filter_map(|file| Object::parse(file).ok()) {
        let symbols = object.symbols();
        for symbol in symbols.iter().skip(1) {
            if let (SymbolLocation::Undefined, Ok(name)) = (symbols.location(&symbol), symbols.name(&symbol))
            {
                let next = names.len() as u64 * 16;
                names.entry(Box::from(name)).or_insert(next);
            }
        }
    }
    NAMES.set(names).expect("names are collected once");
}

/// How far behind the first symbol `name` is.
pub fn find(name: &[u8]) -> Option<u64> {
    NAMES.get()?.get(name).copied()
}

/// The same for relakit.
pub struct Names;

impl Resolver for Names {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(find(name).map(|at| KERNEL + at))
    }
}
