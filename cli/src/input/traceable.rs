//! `--traceable`: the functions that a kernel can trace.

use super::files::{self, Kind};
use super::symbols::Symbols;
use crate::failure::Failure;
use relakit::abi::VMLINUX;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// The functions in a kernel's `available_filter_functions` or `available_filter_functions_addrs`.
#[derive(Debug, Default)]
pub(crate) struct Traceable {
    /// How often a name is listed in an object.
    names: HashMap<Box<[u8]>, Counts>,
    /// The addresses of the calls, if the file has them and they are those of the symbols.
    addresses: BTreeSet<u64>,
    /// Some functions of vmlinux with their addresses.
    samples: Vec<(Box<[u8]>, u64)>,
}

/// Most functions whose addresses are compared with the symbols.
const SAMPLES: usize = 100;

/// How often each name is listed.
type Counts = HashMap<Box<[u8]>, usize>;

/// Bytes between the start of a function and its call of the tracer: an ENDBR may be before it.
const BEFORE: u64 = 4;

impl Traceable {
    /// Reads the file. Its addresses count only if they are those of `symbols`: with KASLR, they
    /// are others after each boot.
    pub(crate) fn read(path: &Path, symbols: &Symbols) -> Result<Self, Failure> {
        let parsed = Self::parse(&files::read(path, Kind::Symbols)?);
        let mut traceable = parsed.map_err(|why| Failure::file(path, why))?;
        traceable.compare(symbols);
        Ok(traceable)
    }

    /// Forgets the addresses if no function is where the symbols have it.
    fn compare(&mut self, symbols: &Symbols) {
        let is_at = |(name, at): &(Box<[u8]>, u64)| {
            let mut same = symbols.defined(VMLINUX, name);
            same.any(|(address, _)| at.checked_sub(address).is_some_and(|after| after <= BEFORE))
        };
        if !self.samples.iter().any(is_at) {
            self.addresses.clear();
        }
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut traceable = Self::default();
        for (number, line) in (1usize..).zip(text.split(|byte| *byte == b'\n')) {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).peekable();
            let is_address = |word: &&&[u8]| word.len() == 16 && address(word).is_some();
            let at = words.next_if(|word| is_address(&word)).and_then(address);
            traceable.addresses.extend(at);
            let Some(name) = words.next() else { continue };
            if let Some(at) = at.filter(|_| traceable.samples.len() < SAMPLES) {
                traceable.samples.push((name.into(), at));
            }
            let object = match words.next() {
                None => VMLINUX,
                Some(module) => module
                    .strip_prefix(b"[")
                    .and_then(|module| module.strip_suffix(b"]"))
                    .ok_or_else(|| format!("line {number} is not \"[address] function [module]\""))?,
            };
            let names = traceable.names.entry(object.into()).or_default();
            let count = names.entry(name.into()).or_default();
            *count = count.saturating_add(1);
        }
        match traceable.names.contains_key(VMLINUX) {
            true => Ok(traceable),
            false => Err("the file lists no function of vmlinux".to_owned()),
        }
    }

    /// Whether the function `name` at `address` is listed. `symbols` is the number of symbols of
    /// this name. `None` if only some of them are listed, and their addresses are not.
    pub(crate) fn lists(&self, object: &[u8], name: &[u8], address: u64, symbols: usize) -> Option<bool> {
        if !self.addresses.is_empty() {
            return Some(self.addresses.range(address..=address.saturating_add(BEFORE)).next().is_some());
        }
        let listed = self.names.get(object).and_then(|names| names.get(name)).copied().unwrap_or(0);
        match listed {
            0 => Some(false),
            listed if listed >= symbols => Some(true),
            _ => None,
        }
    }

    /// Whether the file lists functions of an object.
    pub(crate) fn has(&self, object: &[u8]) -> bool {
        self.names.contains_key(object)
    }
}

fn address(word: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(word).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_traceable_if_the_file_lists_all_functions_of_this_name() {
        let list = Traceable::parse(b"f\ng\ng\nf [m]\n").unwrap();
        assert_eq!(list.lists(VMLINUX, b"f", 1, 1), Some(true));
        assert_eq!(list.lists(VMLINUX, b"f", 1, 2), None);
        assert_eq!(list.lists(VMLINUX, b"g", 1, 2), Some(true));
        assert_eq!(list.lists(VMLINUX, b"h", 1, 1), Some(false));
        assert_eq!(list.lists(b"m", b"f", 1, 1), Some(true));
        assert_eq!(list.lists(b"m", b"g", 1, 1), Some(false));
        assert!(list.has(b"m") && !list.has(b"n"));
    }

    #[test]
    fn with_addresses_the_call_is_at_the_start_or_after_an_endbr() {
        let list = Traceable::parse(b"ffffffff81000010 f\nffffffff81000024 f\n").unwrap();
        let lists = |address| list.lists(VMLINUX, b"f", address, 3);
        assert_eq!(lists(0xffff_ffff_8100_0010), Some(true));
        assert_eq!(lists(0xffff_ffff_8100_0020), Some(true));
        assert_eq!(lists(0xffff_ffff_8100_001f), Some(false));
        assert_eq!(lists(0xffff_ffff_8100_0025), Some(false));
    }

    #[test]
    fn addresses_of_another_boot_do_not_count_but_names_do() {
        let mut symbols = Symbols::read([]).unwrap();
        symbols.replace_with(b"ffffffff82000010 t f\nffffffff82000020 t g\n").unwrap();
        let mut list = Traceable::parse(b"ffffffff81000010 f\nffffffff81000020 h\n").unwrap();
        list.compare(&symbols);
        assert_eq!(list.lists(VMLINUX, b"f", 0xffff_ffff_8200_0010, 1), Some(true));
        assert_eq!(list.lists(VMLINUX, b"g", 0xffff_ffff_8200_0020, 1), Some(false));
        let mut list = Traceable::parse(b"ffffffff82000014 f\n").unwrap();
        list.compare(&symbols);
        assert_eq!(list.lists(VMLINUX, b"f", 0xffff_ffff_8200_0010, 1), Some(true));
        assert_eq!(list.lists(VMLINUX, b"f", 0xffff_ffff_8200_0000, 1), Some(false));
    }

    #[test]
    fn another_file_is_refused_with_the_line() {
        assert!(Traceable::parse(b"f\nffffffff81000000 t f\n").unwrap_err().contains("line 2"));
        assert!(Traceable::parse(b"\n").unwrap_err().contains("no function"));
    }
}
