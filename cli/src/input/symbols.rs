//! The symbols of the kernel and its modules, from files in the format of /proc/kallsyms (or
//! System.map) or of Module.symvers.

use super::files::{self, Kind};
use super::near::nearest;
use super::symbol_lines::{Symbol, Symver, VMLINUX, is_symvers, is_undefined, parse, parse_symver, stub};
use crate::failure::Failure;
use relakit::{CallbackError, Resolver};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// A symbol NAME is exported if its object has a symbol with this prefix and NAME.
const KSYMTAB: &[u8] = b"__ksymtab_";

/// Longest symbol name that is looked up, in bytes: `__ksymtab_` and the 511 bytes that a livepatch
/// symbol can name.
pub(crate) const NAME_MAX: usize = 521;

/// The symbols of vmlinux or of one module.
#[derive(Debug, Default)]
struct Object {
    /// Symbols of one name are in the order in which sympos counts them.
    by_name: HashMap<Box<[u8]>, Vec<Symbol>>,
    unloaded: bool,
}

/// All objects that the symbol files list, vmlinux first.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    objects: Vec<Object>,
    numbers: BTreeMap<Box<[u8]>, usize>,
    /// Exports without a known address.
    exports: HashMap<Box<[u8]>, Export>,
    /// Whether a file lists the exports of vmlinux.
    has_exports: bool,
    /// Whether every global symbol is exported.
    is_plain: bool,
}

/// An export whose address is not known.
#[derive(Debug)]
struct Export {
    /// A placeholder address.
    address: u64,
    /// Its line in a Module.symvers.
    symver: Option<Symver>,
}

/// The first placeholder address, in the kernel's own range.
const PLACEHOLDER: u64 = 0xffff_ffff_8180_0000;

impl Symbols {
    /// Reads the files in order. Each file replaces the symbols of all objects that it lists.
    pub(crate) fn read<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Self, Failure> {
        let mut symbols = Self::default();
        symbols.number(VMLINUX);
        for path in paths {
            symbols.replace(path)?;
        }
        Ok(symbols)
    }

    /// Replaces the symbols of all objects that the file lists.
    pub(crate) fn replace(&mut self, path: &Path) -> Result<(), Failure> {
        let text = files::read(path, Kind::Symbols)?;
        self.replace_with(&text).map_err(|error| Failure::file(path, error))
    }

    pub(crate) fn replace_with(&mut self, text: &[u8]) -> Result<(), String> {
        if is_symvers(text) {
            return self.add_symvers(text);
        }
        let mut listed = HashSet::new();
        let mut all_zero = true;
        for (number, line) in (1usize..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii().is_empty() {
                continue;
            }
            if is_undefined(line) {
                continue;
            }
            let (symbol, name, object) =
                parse(line).ok_or_else(|| format!("line {number} is not \"address type name [module]\""))?;
            all_zero &= symbol.address == 0;
            let index = self.number(object);
            if let Some(package) = stub(name) {
                return Err(format!(
                    "is a stub without symbols; install the package {package} and use its System.map, or use /proc/kallsyms"
                ));
            }
            self.has_exports |= index == 0 && name.starts_with(KSYMTAB);
            let Some(object) = self.objects.get_mut(index) else { continue };
            if listed.insert(index) {
                *object = Object::default();
            }
            object.by_name.entry(name.into()).or_default().push(symbol);
        }
        match (listed.is_empty(), all_zero) {
            (true, _) => return Err("the file has no symbols".to_owned()),
            (_, true) => {
                let reason = "all addresses are 0; /proc/kallsyms shows addresses only to root";
                return Err(reason.to_owned());
            }
            _ => {}
        }
        // sympos counts by address in vmlinux, and in the order of the symbol table in modules.
        if let Some(vmlinux) = self.objects.first_mut() {
            vmlinux.by_name.values_mut().for_each(|same| same.sort_by_key(|symbol| symbol.address));
        }
        Ok(())
    }

    /// Adds the names in a Module.symvers.
    fn add_symvers(&mut self, text: &[u8]) -> Result<(), String> {
        for (number, line) in (1usize..).zip(text.split(|&byte| byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (name, symver) = parse_symver(line.strip_suffix(b"\r").unwrap_or(line))
                .ok_or_else(|| format!("line {number} is not \"CRC<tab>name<tab>module<tab>export\""))?;
            self.export_entry(name).symver.get_or_insert(symver);
        }
        self.has_exports = true;
        Ok(())
    }

    /// Adds an export whose address is not known.
    pub(crate) fn add_export(&mut self, name: &[u8]) {
        self.export_entry(name);
    }

    fn export_entry(&mut self, name: &[u8]) -> &mut Export {
        let address = PLACEHOLDER.saturating_add((self.exports.len() as u64).saturating_mul(16));
        self.exports.entry(name.into()).or_insert(Export { address, symver: None })
    }

    /// Replaces all symbols of a module. The symbols are in the order of its symbol table.
    pub(crate) fn set<'n>(&mut self, object: &[u8], symbols: impl Iterator<Item = (&'n [u8], u64, u8)>) {
        let number = self.number(object);
        let mut known = Object::default();
        for (name, address, kind) in symbols {
            known.by_name.entry(name.into()).or_default().push(Symbol { address, kind });
        }
        if let Some(object) = self.objects.get_mut(number) {
            *object = known;
        }
    }

    /// Sets whether every symbol counts as exported, as in a plain list that a linker uses.
    pub(crate) fn set_plain(&mut self, is_plain: bool) {
        self.is_plain = is_plain;
    }

    /// Whether the object is known and loaded.
    pub(crate) fn has(&self, object: &[u8]) -> bool {
        self.object(object).is_some()
    }

    /// The address of the exported symbol `name`.
    pub(crate) fn export(&self, name: &[u8]) -> Option<u64> {
        let loaded = self.objects.iter().filter(|object| !object.unloaded);
        loaded
            .filter_map(|object| object.exported(name, self.is_plain))
            .next()
            .or_else(|| self.exports.get(name).map(|export| export.address))
    }

    /// The address of the `sympos`-th symbol of a name, counted from 1.
    pub(crate) fn nth(&self, object: &[u8], name: &[u8], sympos: u64) -> Option<u64> {
        let nth = sympos.checked_sub(1).and_then(|nth| usize::try_from(nth).ok())?;
        Some(self.object(object)?.defined(name).nth(nth)?.address)
    }

    /// Marks a module as loaded or unloaded. Its symbols are retained for the next load.
    pub(crate) fn set_loaded(&mut self, object: &str, loaded: bool) {
        let number = self.numbers.get(object.as_bytes());
        if let Some(object) = number.and_then(|&number| self.objects.get_mut(number)) {
            object.unloaded = !loaded;
        }
    }

    /// The names of the modules that the files list, loaded or not.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &[u8]> {
        self.numbers.keys().map(|name| &**name).filter(|name| *name != VMLINUX)
    }

    /// The addresses of the per-CPU symbols called `name` in `object`.
    pub(crate) fn per_cpu<'a>(&'a self, object: &str, name: &[u8]) -> impl Iterator<Item = u64> + use<'a> {
        let same = self.object(object.as_bytes()).and_then(|object| object.by_name.get(name));
        same.into_iter()
            .flatten()
            .filter(|symbol| symbol.kind.eq_ignore_ascii_case(&b'a'))
            .map(|symbol| symbol.address)
    }

    fn object(&self, name: &[u8]) -> Option<&Object> {
        self.objects.get(*self.numbers.get(name)?).filter(|object| !object.unloaded)
    }

    fn number(&mut self, name: &[u8]) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.objects.len();
        self.objects.push(Object::default());
        self.numbers.insert(name.into(), number);
        number
    }
}

impl Symbols {
    /// The symbols of a name, in the order in which sympos counts them: address and kallsyms'
    /// letter.
    pub(crate) fn defined<'a>(
        &'a self,
        object: &[u8],
        name: &[u8],
    ) -> impl Iterator<Item = (u64, u8)> + use<'a> {
        let same = self.object(object).and_then(|object| object.by_name.get(name));
        let defined = same.into_iter().flatten().filter(|symbol| symbol.is_defined());
        defined.map(|symbol| (symbol.address, symbol.kind))
    }

    /// Names of an object that are almost `name`: first those that a compiler makes from it, or
    /// from which it made it, with the same text before the first dot; or else a misspelt one.
    pub(crate) fn near(&self, object: &[u8], name: &[u8]) -> Vec<String> {
        let base = |name: &[u8]| name.split(|byte| *byte == b'.').next().map(<[u8]>::to_vec);
        let wanted = base(name).filter(|base| !base.is_empty());
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let names = || self.names(object).filter(|other| *other != name);
        let mut near: Vec<_> =
            names().filter(|other| wanted.is_some() && base(other) == wanted).map(text).collect();
        if near.is_empty() {
            let names = names().filter_map(|name| str::from_utf8(name).ok());
            near.extend(nearest(&text(name), names).map(str::to_owned));
        }
        near.sort();
        near.truncate(NEAR);
        near
    }
}

/// Most names that are near another one.
const NEAR: usize = 5;

/// The knowledge of the files. It says whether a missing symbol means that the kernel lacks it.
impl Symbols {
    /// Whether a file lists the symbols of vmlinux, also those that are not exported.
    pub(crate) fn has_kernel_symbols(&self) -> bool {
        self.objects.first().is_some_and(|vmlinux| !vmlinux.by_name.is_empty())
    }

    /// Whether a file lists the exports of vmlinux: a Module.symvers, or symbols with `__ksymtab_`.
    pub(crate) fn has_exports(&self) -> bool {
        self.has_exports
    }

    /// Whether a file is a Module.symvers.
    pub(crate) fn has_symvers(&self) -> bool {
        self.exports.values().any(|export| export.symver.is_some())
    }

    /// The object that exports a symbol: vmlinux or a module.
    pub(crate) fn exporter(&self, name: &[u8]) -> Option<&[u8]> {
        if let Some(symver) = self.symver(name) {
            return Some(&symver.module);
        }
        let ksymtab = [KSYMTAB, name].concat();
        let has = |number: &usize| {
            self.objects.get(*number).is_some_and(|object| object.by_name.contains_key(&*ksymtab))
        };
        self.numbers.iter().find(|(_, number)| has(number)).map(|(object, _)| &**object)
    }

    /// The line of an exported symbol in a Module.symvers.
    pub(crate) fn symver(&self, name: &[u8]) -> Option<&Symver> {
        self.exports.get(name)?.symver.as_ref()
    }

    /// All defined symbols of the objects that are loaded, in no particular order: object, name,
    /// address and kallsyms' letter.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[u8], &[u8], u64, u8)> {
        let loaded = self.numbers.keys().filter_map(|name| Some((&**name, self.object(name)?)));
        loaded.flat_map(|(object, symbols)| {
            symbols.by_name.iter().flat_map(move |(name, same)| {
                let defined = same.iter().filter(|symbol| symbol.is_defined());
                defined.map(move |symbol| (object, &**name, symbol.address, symbol.kind))
            })
        })
    }

    /// The names of all symbols of an object, each once, in no particular order.
    pub(crate) fn names(&self, object: &[u8]) -> impl Iterator<Item = &[u8]> {
        let names = self.object(object).into_iter().flat_map(|object| object.by_name.keys());
        names.map(|name| &**name)
    }
}

impl Object {
    fn defined(&self, name: &[u8]) -> impl Iterator<Item = &Symbol> {
        self.by_name.get(name).into_iter().flatten().filter(|symbol| symbol.is_defined())
    }

    /// The value of an exported symbol. In a plain list, every symbol is exported. If several symbols have the name, the exported one is the
    /// global one. Its type is in upper case. If no type of a module is, the last symbol is the
    /// global one, because a symbol table has its global symbols last.
    fn exported(&self, name: &[u8], is_plain: bool) -> Option<u64> {
        if !is_plain {
            self.by_name.get(&[KSYMTAB, name].concat()[..])?;
        }
        let global = self.defined(name).find(|symbol| symbol.kind.is_ascii_uppercase());
        global.or_else(|| self.defined(name).last()).map(|symbol| symbol.address)
    }
}

impl Resolver for Symbols {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(self.export(name))
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        Ok(self.nth(object, name, sympos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(text: &str) -> Symbols {
        let mut symbols = Symbols::read([]).unwrap();
        symbols.replace_with(text.as_bytes()).unwrap();
        symbols
    }

    #[test]
    fn sympos_counts_by_address_in_vmlinux_and_by_line_in_a_module() {
        let mut symbols = symbols("30 t f\n10 t f\n20 d f\n30 T f\n30 t f\t[m]\n10 t f\t[m]\n");
        let mut all = |object: &[u8]| -> Vec<_> {
            (0..5).map(|sympos| symbols.nth_symbol(object, b"f", sympos).unwrap()).collect()
        };
        assert_eq!(all(b"vmlinux"), [None, Some(0x10), Some(0x20), Some(0x30), Some(0x30)]);
        assert_eq!(all(b"m"), [None, Some(0x30), Some(0x10), None, None]);
        assert_eq!(all(b"other"), [None; 5]);
        assert_eq!(symbols.nth_symbol(b"m", b"f", u64::MAX), Ok(None));
    }

    #[test]
    fn a_symbol_is_exported_if_its_own_object_has_its_ksymtab() {
        let mut symbols =
            symbols("10 t f\n20 r __ksymtab_g\n30 t g\t[m]\n40 t h\t[m]\n50 r __ksymtab_h\t[m]\n");
        assert_eq!(symbols.exported(b"f"), Ok(None));
        assert_eq!(symbols.exported(b"g"), Ok(None));
        assert_eq!(symbols.exported(b"h"), Ok(Some(0x40)));
    }

    #[test]
    fn the_global_one_of_two_symbols_of_a_name_is_exported() {
        let mut symbols = symbols("10 b count\n20 B count\n30 r __ksymtab_count\n");
        assert_eq!(symbols.exported(b"count"), Ok(Some(0x20)));
    }

    #[test]
    fn the_last_symbol_is_exported_if_a_module_marks_none_as_global() {
        let mut symbols = symbols("90 t count\t[m]\n10 t count\t[m]\n30 r __ksymtab_count\t[m]\n");
        assert_eq!(symbols.exported(b"count"), Ok(Some(0x10)));
    }

    #[test]
    fn undefined_symbols_do_not_count() {
        let mut symbols = symbols("10 u f\t[m]\n0 w f\t[m]\n20 t f\t[m]\n30 w f\t[m]\n");
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(Some(0x20)));
        assert_eq!(symbols.nth_symbol(b"m", b"f", 2), Ok(Some(0x30)));
        assert_eq!(symbols.nth_symbol(b"m", b"f", 3), Ok(None));
    }

    #[test]
    fn a_file_replaces_only_the_objects_that_it_lists() {
        let mut symbols = symbols("1 t v\n10 t f\t[m]\n20 t g\t[n]\n");
        symbols.replace_with(b"30 t f\t[m]\n").unwrap();
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(Some(0x30)));
        assert_eq!(symbols.nth_symbol(b"m", b"f", 2), Ok(None));
        assert_eq!(symbols.nth_symbol(b"n", b"g", 1), Ok(Some(0x20)));
        assert_eq!(symbols.nth_symbol(b"vmlinux", b"v", 1), Ok(Some(1)));
    }

    #[test]
    fn an_unloaded_module_has_no_symbols_until_it_is_loaded_again() {
        let mut symbols = symbols("10 t f\t[m]\n");
        symbols.set_loaded("m", false);
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(None));
        symbols.set_loaded("m", true);
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(Some(0x10)));
    }

    #[test]
    fn each_name_of_a_symvers_file_is_exported_at_an_address_of_its_own() {
        let mut symbols =
            symbols("0x12345678\tf\tvmlinux\tEXPORT_SYMBOL\t\n0x00000000\tg\tfs/m\tEXPORT_SYMBOL_GPL\tNS\n");
        let (f, g) = (symbols.export(b"f"), symbols.export(b"g"));
        assert!(f.is_some() && g.is_some() && f != g);
        assert_eq!(symbols.export(b"h"), None);
        assert_eq!(symbols.nth(b"vmlinux", b"f", 1), None, "a livepatch symbol must have a real address");
        for bad in
            ["0x12345678\tf\n", "0x12345678\tf\tvmlinux\n", "0x1234567g\tf\tvmlinux\tEXPORT_SYMBOL\t\n"]
        {
            assert!(symbols.replace_with(bad.as_bytes()).unwrap_err().contains("line 1"), "{bad}");
        }
    }

    #[test]
    fn a_line_of_a_symvers_file_has_crc_module_licence_and_namespace() {
        let text = "0x000000ff\tf\tvmlinux\tEXPORT_SYMBOL\t\n\
            0xffffffff\tg\tdrivers/x/snd-y\tEXPORT_SYMBOL_GPL\tNS\n0x00000001\th\tz\tEXPORT_SYMBOL_GPL\n";
        let symbols = symbols(text);
        let symver = |crc, module: &str, gpl, namespace: Option<&str>| Symver {
            crc,
            module: module.as_bytes().into(),
            gpl,
            namespace: namespace.map(|name| name.as_bytes().into()),
        };
        assert_eq!(symbols.symver(b"f"), Some(&symver(0xff, "vmlinux", false, None)));
        assert_eq!(symbols.symver(b"g"), Some(&symver(u32::MAX, "snd_y", true, Some("NS"))));
        assert_eq!(symbols.symver(b"h"), Some(&symver(1, "z", true, None)));
        assert_eq!(symbols.symver(b"i"), None);
    }

    #[test]
    fn the_files_say_what_is_known() {
        let known = |text| {
            let symbols = symbols(text);
            (symbols.has_kernel_symbols(), symbols.has_exports())
        };
        assert_eq!(known("0x000000ff\tf\tvmlinux\tEXPORT_SYMBOL\t\n"), (false, true));
        assert_eq!(known("1 t f\n"), (true, false));
        assert_eq!(known("1 t f\n2 r __ksymtab_f\n"), (true, true));
        assert_eq!(known("1 t f\t[m]\n2 r __ksymtab_f\t[m]\n"), (false, false));
        let symbols = symbols("1 t v\n1 t f\t[m]\n2 t f\t[m]\n3 U g\t[m]\n3 t h\t[n]\n");
        assert_eq!(symbols.modules().collect::<Vec<_>>(), [b"m", b"n"]);
        let all: Vec<_> = symbols.defined(b"m", b"f").collect();
        assert_eq!(all, [(1, b't'), (2, b't')]);
        assert_eq!(symbols.defined(b"m", b"g").count(), 0);
        assert_eq!(symbols.names(b"vmlinux").collect::<Vec<_>>(), [b"v"]);
        assert_eq!(symbols.names(b"other").count(), 0);
    }

    #[test]
    fn a_stub_of_debian_is_refused_with_the_package() {
        let mut symbols = Symbols::read([]).unwrap();
        let stub =
            b"ffffffffffffffff B The real System.map is in the linux-image-6.1.0-55-amd64-dbg package\n";
        let error = symbols.replace_with(stub).unwrap_err();
        assert!(error.contains("install the package linux-image-6.1.0-55-amd64-dbg "), "{error}");
    }

    #[test]
    fn a_list_without_addresses_is_refused_with_the_reason() {
        let mut symbols = Symbols::read([]).unwrap();
        assert!(symbols.replace_with(b"0 t f\n0 t g\n").unwrap_err().contains("root"));
        assert!(symbols.replace_with(b"\n\n").unwrap_err().contains("no symbols"));
        assert!(symbols.replace_with(b"1 t f\nhello\n").unwrap_err().contains("line 2"));
    }
}
