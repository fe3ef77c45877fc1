//! What is known of the kernel's and its modules' symbols: from files in the format of /proc/kallsyms, which System.map has
//! too, or of Module.symvers.

use crate::Failure;
use crate::input::{self, Kind};
use relakit::{CallbackError, Resolver};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

const VMLINUX: &[u8] = b"vmlinux";

/// One symbol of an object.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    address: u64,
    kind: u8,
}

/// The symbols of vmlinux or of one module, those of a name in the order in which sympos counts them.
#[derive(Debug, Default)]
struct Object {
    by_name: HashMap<Box<[u8]>, Vec<Symbol>>,
    gone: bool,
}

/// All objects that the symbol files mention, vmlinux first.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    objects: Vec<Object>,
    numbers: BTreeMap<Box<[u8]>, usize>,
    /// What is exported by somebody, at an address that nobody knows: one is made up for each.
    exports: HashMap<Box<[u8]>, u64>,
}

/// Made-up addresses begin here, in the kernel's own range.
const MADE_UP: u64 = 0xffff_ffff_8180_0000;

impl Symbols {
    /// Reads the symbol files; each replaces what was known of the objects that it mentions.
    pub(crate) fn read<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Self, Failure> {
        let mut symbols = Self::default();
        symbols.number(VMLINUX);
        for path in paths {
            symbols.replace(path)?;
        }
        Ok(symbols)
    }

    /// Forgets what was known of every object that the file mentions, and takes the file's word instead.
    pub(crate) fn replace(&mut self, path: &Path) -> Result<(), Failure> {
        let text = input::read(path, Kind::Symbols)?;
        self.replace_with(&text).map_err(|error| Failure::File(format!("{}: {error}", path.display())))
    }

    /// As [`replace`](Self::replace), from a text.
    pub(crate) fn replace_with(&mut self, text: &[u8]) -> Result<(), String> {
        if is_symvers(text) {
            return self.add_symvers(text);
        }
        let mut mentioned = HashSet::new();
        let mut all_zero = true;
        for (number, line) in (1usize..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (symbol, name, object) =
                parse(line).ok_or_else(|| format!("line {number} is not \"address type name [module]\""))?;
            all_zero &= symbol.address == 0;
            let index = self.number(object);
            let Some(object) = self.objects.get_mut(index) else { continue };
            if mentioned.insert(index) {
                *object = Object::default();
            }
            object.by_name.entry(name.into()).or_default().push(symbol);
        }
        match (mentioned.is_empty(), all_zero) {
            (true, _) => return Err("no symbols in it".to_owned()),
            (_, true) => return Err("every address is 0; /proc/kallsyms shows them to root only".to_owned()),
            _ => {}
        }
        // sympos counts by address in vmlinux, and in the order of the symbol table, which is the file's, in modules.
        if let Some(vmlinux) = self.objects.first_mut() {
            vmlinux.by_name.values_mut().for_each(|same| same.sort_by_key(|symbol| symbol.address));
        }
        Ok(())
    }

    /// Takes the names from the lines of a Module.symvers: CRC, name, module, kind of export, and perhaps a namespace.
    fn add_symvers(&mut self, text: &[u8]) -> Result<(), String> {
        for (number, line) in (1usize..).zip(text.split(|&byte| byte == b'\n')) {
            let mut fields = line.split(|&byte| byte == b'\t');
            match (fields.next(), fields.next(), fields.next()) {
                (Some(_), Some(name), Some(_)) if !name.is_empty() => self.add_export(name),
                _ if line.trim_ascii().is_empty() => {}
                _ => {
                    return Err(format!(
                        "line {number} is not \"CRC name module export\", with tabs between"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Somebody exports `name`.
    pub(crate) fn add_export(&mut self, name: &[u8]) {
        let made_up = MADE_UP.saturating_add((self.exports.len() as u64).saturating_mul(16));
        self.exports.entry(name.into()).or_insert(made_up);
    }

    /// Takes these for all the symbols of a module, in the order of its symbol table.
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

    /// Whether anything is known of a module, and it is there.
    pub(crate) fn has(&self, object: &[u8]) -> bool {
        self.object(object).is_some()
    }

    /// The address of the exported symbol `name`.
    pub(crate) fn export(&self, name: &[u8]) -> Option<u64> {
        let there = self.objects.iter().filter(|object| !object.gone);
        there.filter_map(|object| object.exported(name)).next().or_else(|| self.exports.get(name).copied())
    }

    /// The address of the `position`-th symbol of a name, counted from 1.
    pub(crate) fn nth(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64> {
        let nth = position.checked_sub(1).and_then(|nth| usize::try_from(nth).ok())?;
        Some(self.object(object)?.defined(name).nth(nth)?.address)
    }

    /// The module is there again, or for the first time.
    pub(crate) fn coming(&mut self, object: &str) {
        self.set_gone(object, false);
    }

    /// The module is gone; its symbols are kept for when it comes back.
    pub(crate) fn going(&mut self, object: &str) {
        self.set_gone(object, true);
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
        self.objects.get(*self.numbers.get(name)?).filter(|object| !object.gone)
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

    fn set_gone(&mut self, object: &str, gone: bool) {
        if let Some(object) =
            self.numbers.get(object.as_bytes()).and_then(|&number| self.objects.get_mut(number))
        {
            object.gone = gone;
        }
    }
}

impl Symbol {
    /// Undefined symbols do not count. A weak one is shown as weak; what gives it away is that it has no address.
    fn is_defined(&self) -> bool {
        match self.kind {
            b'u' | b'U' => false,
            b'w' | b'v' => self.address != 0,
            _ => true,
        }
    }
}

impl Object {
    fn defined(&self, name: &[u8]) -> impl Iterator<Item = &Symbol> {
        self.by_name.get(name).into_iter().flatten().filter(|symbol| symbol.is_defined())
    }

    /// The value of an exported symbol. Where local ones have the same name, the exported one is the global one: shown in
    /// upper case, or, in a module's list that shows none so, the last, since a symbol table has its globals last.
    fn exported(&self, name: &[u8]) -> Option<u64> {
        self.by_name.get(&[b"__ksymtab_", name].concat()[..])?;
        let global = self.defined(name).find(|symbol| symbol.kind.is_ascii_uppercase());
        global.or_else(|| self.defined(name).last()).map(|symbol| symbol.address)
    }
}

impl Resolver for Symbols {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(self.export(name))
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        Ok(self.nth(object, name, position))
    }
}

/// Whether this is a Module.symvers: its first line begins with a CRC, `0x` and eight digits, and a tab.
fn is_symvers(text: &[u8]) -> bool {
    text.starts_with(b"0x") && text.get(10) == Some(&b'\t')
}

/// `address type name`, and after a tab or blanks `[module]`.
fn parse(line: &[u8]) -> Option<(Symbol, &[u8], &[u8])> {
    let (address, rest) = line.trim_ascii_start().split_once_on(b' ')?;
    let address = u64::from_str_radix(str::from_utf8(address).ok()?, 16).ok()?;
    let (kind, rest) = rest.split_once_on(b' ')?;
    let &[kind] = kind else { return None };
    let rest = rest.trim_ascii_end();
    let module = rest.strip_suffix(b"]").and_then(|rest| {
        let open = rest.iter().rposition(|&byte| byte == b'[')?;
        let (name, module) = rest.split_at_checked(open)?;
        let name_end = name.trim_ascii_end();
        (name_end.len() < name.len()).then_some((name_end, module.strip_prefix(b"[")?))
    });
    let (name, object) = module.unwrap_or((rest, VMLINUX));
    (!name.is_empty()).then_some((Symbol { address, kind }, name, object))
}

trait SplitOnce {
    fn split_once_on(&self, byte: u8) -> Option<(&[u8], &[u8])>;
}

impl SplitOnce for [u8] {
    fn split_once_on(&self, byte: u8) -> Option<(&[u8], &[u8])> {
        let at = self.iter().position(|&other| other == byte)?;
        let (head, tail) = self.split_at_checked(at)?;
        Some((head, tail.get(1..)?))
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
    fn positions_count_by_address_in_vmlinux_and_by_line_in_a_module() {
        let mut symbols = symbols("30 t f\n10 t f\n20 d f\n30 T f\n30 t f\t[m]\n10 t f\t[m]\n");
        let mut all = |object: &[u8]| -> Vec<_> {
            (0..5).map(|position| symbols.nth_symbol(object, b"f", position).unwrap()).collect()
        };
        assert_eq!(all(b"vmlinux"), [None, Some(0x10), Some(0x20), Some(0x30), Some(0x30)]);
        assert_eq!(all(b"m"), [None, Some(0x30), Some(0x10), None, None]);
        assert_eq!(all(b"other"), [None; 5]);
        assert_eq!(symbols.nth_symbol(b"m", b"f", u64::MAX), Ok(None));
    }

    #[test]
    fn only_what_has_a_ksymtab_in_its_own_object_is_exported() {
        let mut symbols =
            symbols("10 t f\n20 r __ksymtab_g\n30 t g\t[m]\n40 t h\t[m]\n50 r __ksymtab_h\t[m]\n");
        assert_eq!(symbols.exported(b"f"), Ok(None));
        assert_eq!(symbols.exported(b"g"), Ok(None));
        assert_eq!(symbols.exported(b"h"), Ok(Some(0x40)));
    }

    #[test]
    fn the_exported_one_of_two_with_a_name_is_the_global_one() {
        let mut symbols = symbols("10 b count\n20 B count\n30 r __ksymtab_count\n");
        assert_eq!(symbols.exported(b"count"), Ok(Some(0x20)));
    }

    #[test]
    fn the_exported_one_of_a_module_that_marks_none_is_the_last() {
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
    fn a_file_replaces_the_objects_it_mentions_and_no_others() {
        let mut symbols = symbols("1 t v\n10 t f\t[m]\n20 t g\t[n]\n");
        symbols.replace_with(b"30 t f\t[m]\n").unwrap();
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(Some(0x30)));
        assert_eq!(symbols.nth_symbol(b"m", b"f", 2), Ok(None));
        assert_eq!(symbols.nth_symbol(b"n", b"g", 1), Ok(Some(0x20)));
        assert_eq!(symbols.nth_symbol(b"vmlinux", b"v", 1), Ok(Some(1)));
    }

    #[test]
    fn a_module_that_went_has_no_symbols_until_it_comes_back() {
        let mut symbols = symbols("10 t f\t[m]\n");
        symbols.going("m");
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(None));
        symbols.coming("m");
        assert_eq!(symbols.nth_symbol(b"m", b"f", 1), Ok(Some(0x10)));
    }

    #[test]
    fn lines_are_read_as_kallsyms_writes_them() {
        let parts = |line: &'static str| {
            parse(line.as_bytes()).map(|(symbol, name, object)| {
                (symbol.address, symbol.kind, str::from_utf8(name).unwrap(), str::from_utf8(object).unwrap())
            })
        };
        assert_eq!(
            parts("ffffffff81000000 T _text"),
            Some((0xffff_ffff_8100_0000, b'T', "_text", "vmlinux"))
        );
        assert_eq!(parts("0000000000039000 a v\t[m]"), Some((0x39000, b'a', "v", "m")));
        assert_eq!(parts("1 ? .klp.sym.m.f,0\t[k]"), Some((1, b'?', ".klp.sym.m.f,0", "k")));
        assert_eq!(parts("1 t a b\t[k]"), Some((1, b't', "a b", "k")));
        assert_eq!(parts("1 t f[2]"), Some((1, b't', "f[2]", "vmlinux")));
        for bad in ["", "1", "1 t", "1 t ", "x t f", "1 tt f", "g0 t f", "10000000000000000 t f"] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_a_symvers_file_names_is_exported_at_an_address_of_its_own() {
        let mut symbols =
            symbols("0x12345678\tf\tvmlinux\tEXPORT_SYMBOL\t\n0x00000000\tg\tfs/m\tEXPORT_SYMBOL_GPL\tNS\n");
        let (f, g) = (symbols.export(b"f"), symbols.export(b"g"));
        assert!(f.is_some() && g.is_some() && f != g);
        assert_eq!(symbols.export(b"h"), None);
        assert_eq!(symbols.nth(b"vmlinux", b"f", 1), None, "a livepatch symbol must have a real address");
        assert!(symbols.replace_with(b"0x12345678\tf\n").unwrap_err().contains("line 1"));
    }

    #[test]
    fn a_list_without_addresses_is_refused_with_the_reason() {
        let mut symbols = Symbols::read([]).unwrap();
        assert!(symbols.replace_with(b"0 t f\n0 t g\n").unwrap_err().contains("root"));
        assert!(symbols.replace_with(b"\n\n").unwrap_err().contains("no symbols"));
        assert!(symbols.replace_with(b"1 t f\nhello\n").unwrap_err().contains("line 2"));
    }
}
