//! The symbols of `--symbols`, `--target` and `--modules`, for the converter.

use crate::input::files;
use crate::input::modules::Modules;
use crate::input::symbols::Symbols;
use crate::simulate::traced;
use crate::simulate::world::{self, Targets};
use relakit::abi::VMLINUX;
use relakit::{Module, Profile};
use relakit_convert::Definition;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// The kernel and its modules. The file of a module says more than a list of symbols.
#[derive(Debug)]
pub(super) struct Known<'s> {
    symbols: &'s Symbols,
    modules: Option<&'s Modules>,
    profile: Profile,
    /// The modules that were read, or `None` if there is no file.
    read: RefCell<BTreeMap<Vec<u8>, Option<Rc<ByName>>>>,
}

/// The symbols of a module by name, in the order of its symbol table.
type ByName = HashMap<Vec<u8>, Vec<Definition>>;

/// An export NAME of a module is a symbol with this prefix and NAME.
const KSYMTAB: &[u8] = b"__ksymtab_";

impl<'s> Known<'s> {
    pub(super) fn new(
        symbols: &'s Symbols,
        targets: &Targets,
        modules: Option<&'s Modules>,
        profile: Profile,
    ) -> Self {
        let read = targets.values().map(|target| {
            let by_name = by_name(&target.file, profile).map(Rc::new);
            (target.name.as_bytes().to_vec(), by_name)
        });
        Self { symbols, modules, profile, read: RefCell::new(read.collect()) }
    }

    /// The file of a module, if there is one.
    fn file(&self, object: &[u8]) -> Option<Rc<ByName>> {
        if object == VMLINUX {
            return None;
        }
        if let Some(known) = self.read.borrow().get(object) {
            return known.clone();
        }
        let path = str::from_utf8(object).ok().and_then(|name| self.modules?.path(name));
        let file = path.and_then(|path| files::read_module(path).ok());
        let file = file.and_then(|file| by_name(&file, self.profile)).map(Rc::new);
        self.read.borrow_mut().insert(object.to_vec(), file.clone());
        file
    }

    /// The modules that were read and have this symbol.
    fn read_with(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let read = self.read.borrow();
        let has = |file: &Option<Rc<ByName>>| file.as_ref().is_some_and(|file| file.contains_key(name));
        read.iter().filter(|(_, file)| has(file)).map(|(object, _)| object.clone()).collect()
    }
}

fn by_name(file: &[u8], profile: Profile) -> Option<ByName> {
    let module = Module::parse(file, profile).ok()?;
    let values: Vec<u64> = module.object().symbols().iter().map(|symbol| symbol.st_value).collect();
    let mut by_name = ByName::new();
    for ((name, address, _), stays) in world::symbols(&module, &values) {
        by_name.entry(name.to_vec()).or_default().push(Definition { address, is_init: !stays });
    }
    Some(by_name)
}

impl relakit_convert::Symbols for Known<'_> {
    fn definitions(&self, object: &[u8], name: &[u8]) -> Option<Vec<Definition>> {
        if let Some(file) = self.file(object) {
            return Some(file.get(name).cloned().unwrap_or_default());
        }
        let is_known = match object {
            VMLINUX => self.symbols.has_kernel_symbols(),
            _ => self.symbols.has(object),
        };
        let is_init = |address| object == VMLINUX && traced::is_init(self.symbols, address);
        let definition = |(address, _)| Definition { address, is_init: is_init(address) };
        is_known.then(|| self.symbols.defined(object, name).map(definition).collect())
    }

    fn objects_with(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let read = self.read_with(name);
        let listed = [VMLINUX].into_iter().chain(self.symbols.modules());
        let listed = listed.filter(|object| self.symbols.defined(object, name).next().is_some());
        let mut all: Vec<_> = listed.map(<[u8]>::to_vec).chain(read).collect();
        all.sort();
        all.dedup();
        all
    }

    fn exporter(&self, name: &[u8]) -> Option<Vec<u8>> {
        let read = self.read_with(&[KSYMTAB, name].concat()).into_iter().next();
        read.or_else(|| self.symbols.exporter(name).map(<[u8]>::to_vec))
    }

    fn knows_exports(&self) -> bool {
        self.symbols.has_exports()
    }

    fn near(&self, object: &[u8], name: &[u8]) -> Vec<String> {
        self.symbols.near(object, name)
    }
}
