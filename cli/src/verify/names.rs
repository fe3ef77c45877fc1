//! The names of addresses, and what the verifier asks about the running kernel.

use crate::input::running::Running;
use crate::input::symbols::Symbols;
use crate::view::names::{IN_SENTENCE, Name};
use relakit::abi::VMLINUX;
use relakit_linux::verify::Known;

/// Largest offset from a symbol at which an address has its name. Linux has no larger functions.
const NEAR: u64 = 0x10_0000;

/// The symbols of the kernel and its modules by address.
#[derive(Debug)]
pub(super) struct Names<'s> {
    symbols: &'s Symbols,
    /// Sorted by address. Of several symbols at an address, the first one names it.
    sorted: Vec<Symbol<'s>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Symbol<'s> {
    address: u64,
    /// False for code that the kernel has allocated, such as trampolines of the tracer. It may be
    /// where init code was that /proc/kallsyms still lists (seen in 6.1).
    is_of_file: bool,
    is_local: bool,
    name: &'s [u8],
    object: &'s [u8],
    is_code: bool,
}

impl<'s> Names<'s> {
    pub(super) fn new(symbols: &'s Symbols) -> Self {
        let named = symbols.all().filter(|(_, name, address, kind)| {
            // Values of per-CPU and absolute symbols are no addresses.
            !name.is_empty() && *address != 0 && !kind.eq_ignore_ascii_case(&b'a')
        });
        let mut sorted: Vec<_> = named
            .map(|(object, name, address, kind)| Symbol {
                address,
                is_of_file: !object.starts_with(b"__builtin__"),
                is_local: kind.is_ascii_lowercase(),
                name,
                object,
                is_code: matches!(kind, b't' | b'T' | b'w' | b'W'),
            })
            .collect();
        sorted.sort_unstable();
        Self { symbols, sorted }
    }

    /// "kfree", "ext4_find+0x10 \[ext4\]", or the address alone.
    pub(super) fn of(&self, address: u64) -> String {
        let after = self.sorted.partition_point(|symbol| symbol.address <= address);
        let last = after.checked_sub(1).and_then(|last| self.sorted.get(last));
        let first = last.map(|last| self.sorted.partition_point(|symbol| symbol.address < last.address));
        let near = first
            .and_then(|first| self.sorted.get(first))
            .map(|symbol| (symbol, address.wrapping_sub(symbol.address)))
            .filter(|(_, offset)| *offset < NEAR);
        let Some((symbol, offset)) = near else { return format!("{address:#x}") };
        let mut text = Name(symbol.name).short(IN_SENTENCE);
        if offset != 0 {
            text += &format!("+{offset:#x}");
        }
        if symbol.object != VMLINUX {
            text += &format!(" [{}]", Name(symbol.object).short(IN_SENTENCE));
        }
        text
    }

    fn starts(&self, address: u64) -> impl Iterator<Item = &Symbol<'s>> {
        let first = self.sorted.partition_point(|symbol| symbol.address < address);
        let rest = self.sorted.get(first..).unwrap_or_default().iter();
        rest.take_while(move |symbol| symbol.address == address)
    }
}

/// The running kernel, with its symbols and its memory.
pub(super) struct RunningKernel<'n, 's> {
    pub(super) names: &'n Names<'s>,
    pub(super) memory: &'n mut Running,
}

impl Known for RunningKernel<'_, '_> {
    fn function(&mut self, address: u64) -> bool {
        self.names.starts(address).any(|symbol| symbol.is_code)
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        self.names.symbols.nth(VMLINUX, name, 1)
    }

    fn its_thunk(&mut self, address: u64, register: u8) -> bool {
        let jump: &[u8] = match register {
            0..8 => &[0xff, register.wrapping_add(0xe0), 0xcc],
            _ => &[0x41, 0xff, register.wrapping_add(0xd8), 0xcc],
        };
        let mut found = [0; 4];
        let found = found.get_mut(..jump.len()).unwrap_or_default();
        matches!(self.memory.read(address, found), Ok(true)) && found == jump
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_name_of_the_symbol_before_it() {
        let mut symbols = Symbols::read([]).unwrap();
        let text = b"1000 t inner\n1000 T outer\n1000 d data\n2000 t f\t[m]\n3000 T init\t[m]\n3000 t trampoline\t[__builtin__ftrace]\n5 a cpu\t[m]\n0 T zero\n";
        symbols.replace_with(text).unwrap();
        let names = Names::new(&symbols);
        for (address, expected) in [
            (0xfff, "0xfff"),
            (0x1000, "outer"),
            (0x1010, "outer+0x10"),
            (0x2000, "f [m]"),
            (0x2001, "f+0x1 [m]"),
            (0x3000, "trampoline [__builtin__ftrace]"),
            (0x3000 + NEAR, "0x103000"),
        ] {
            assert_eq!(names.of(address), expected);
        }
        let memory = &mut Running::Folder("none".into());
        let mut known = RunningKernel { names: &names, memory };
        let functions = [0x1000, 0x2000, 0x1001, 5, 0].map(|address| known.function(address));
        assert_eq!(functions, [true, true, false, false, false]);
        assert_eq!((known.symbol(b"outer"), known.symbol(b"f")), (Some(0x1000), None));
    }
}
