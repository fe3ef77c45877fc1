//! Level 1: a target that may overlap its own table or the symbols' values; and a dry run on memory
//! that cannot be written.

use super::super::call::{Told, call, options};
use super::super::sections::PROFILES;
use super::super::table::C;
use super::arena::{Arena, Manner, Port, Trial};
use super::refusal::{first_unresolved, shares, stops_at_unresolved};
use super::shaped::entry;
use crate::module::Bytes;
use core::ops::Range;
use core::ptr;
use relakit::abi::{RELA_SIZE, SYM_SIZE};
use relakit_ffi::*;

const ENTRIES: usize = 5;
const SYMBOLS: usize = 7;

/// Memory that is mapped for reading only: the compiler puts what is constant there.
static ZEROS: [u8; 256] = [0; 256];

struct Single {
    arena: Arena,
    manner: Manner,
    is_symtab: bool,
    symbols: Range<usize>,
    table: Range<usize>,
    target: Range<usize>,
    /// Run-time address of the target in plain memory.
    address: u64,
    options: relakit_options,
}

/// Runs one input.
pub fn run(bytes: &mut Bytes<'_>) {
    let how = bytes.byte();
    let single = Single::read(how, bytes);
    match how & 0x0c {
        0x0c => single.checks_read_only_memory(),
        0x08 => single.checks(),
        _ => single.applies(),
    }
}

impl Single {
    fn read(how: u8, bytes: &mut Bytes<'_>) -> Self {
        let manner = Manner::read(bytes, how & 1 != 0, how & 0x30 == 0x30, how & 0xc0 == 0xc0);
        let options = options(u32::from(bytes.byte() & 31), PROFILES[bytes.below(PROFILES.len())].0);
        let is_symtab = how & 2 != 0;
        let mut arena = Arena::new(0x300);
        let _guard = arena.part(64);
        let count = bytes.below(ENTRIES + 1);
        let table = arena.part(count * RELA_SIZE);
        let size = if is_symtab { SYM_SIZE } else { 8 };
        let symbols = arena.part(SYMBOLS * size);
        let free = arena.part(96);
        for index in 1..SYMBOLS {
            let value = match bytes.byte() {
                byte @ 0..0x80 => u64::from(byte % 12) * 8,
                byte @ 0x80..0xc0 => arena.address(0) + u64::from(byte % 64) * 8,
                byte @ 0xc0..0xe0 => u64::from(byte % 8) << 32 | 1,
                byte => u64::from(byte) << 28,
            };
            let at = symbols.start + index * size + if is_symtab { 8 } else { 0 };
            arena.put(at, &value.to_le_bytes());
        }
        let (at, length) = (bytes.byte(), bytes.of(&[96, 24, 48, 8, 0, 200]));
        let start = match at {
            0..0x40 => free.start,
            0x40..0x80 => table.start,
            0x80..0xa0 => symbols.start,
            _ => usize::from(at - 0xa0) * 7,
        };
        let target = start..(start + length).min(arena.size());
        let address = match bytes.byte() {
            0..0xf0 => arena.address(start),
            byte => bytes.word() << (byte & 7),
        };
        let entries: Vec<u8> = (0..count).flat_map(|_| entry(bytes)).collect();
        arena.put(table.start, &entries);
        Self { arena, manner, is_symtab, symbols, table, target, address, options }
    }

    fn call(
        &self,
        (name, act): (&str, C),
        bytes: *mut u8,
        writer: *const relakit_writer,
    ) -> Result<i32, Told> {
        let start = self.arena.pointer(self.symbols.start).cast_const();
        let (values, symtab) = match self.is_symtab {
            true => (ptr::null(), start.cast()),
            false => (start.cast(), ptr::null()),
        };
        let symbols = relakit_symbols { values, symtab, count: SYMBOLS, value: None, ctx: ptr::null_mut() };
        let is_plain = writer.is_null();
        let before = self.arena.bytes();
        let target = relakit_target {
            bytes: if is_plain { bytes.cast() } else { ptr::null_mut() },
            size: self.target.len() as u64,
            address: if is_plain { self.address } else { self.arena.address(self.target.start) },
            writer,
        };
        let (table, size) = (self.arena.pointer(self.table.start).cast_const().cast(), self.table.len());
        // SAFETY: each pointer leads into the arena, which lives during the call, or to constant
        // data.
        let answer = call(name, |error| unsafe {
            act(table, size, &raw const symbols, &raw const target, &raw const self.options, error)
        });
        if self.manner.lies == 0 {
            self.judge(&answer, &target, bytes, name != "relakit_clear", &before);
        }
        answer
    }

    /// Compares an answer with what it must be. `before` are the bytes of the arena before the
    /// call.
    fn judge(
        &self,
        answer: &Result<i32, Told>,
        target: &relakit_target,
        bytes: *mut u8,
        applies: bool,
        before: &[u8],
    ) {
        let range = |start: u64, size: u64| u128::from(start)..u128::from(start) + u128::from(size);
        let part = |part: &Range<usize>| range(self.arena.address(part.start), part.len() as u64);
        let start = if target.writer.is_null() { bytes.expose_provenance() as u64 } else { target.address };
        let memory = range(start, target.size);
        let is_here = target.writer.is_null() || !self.manner.foreign;
        let wraps = target.size != 0 && range(target.address, target.size).end > 1 << 64;
        let overlaps =
            is_here && (shares(&memory, &part(&self.table)) || shares(&memory, &part(&self.symbols)));
        let expected = match (overlaps, wraps) {
            (true, _) => Some((RELAKIT_ERR_OVERLAP, [None; 4], [0, 4, 0])),
            (false, true) => Some((RELAKIT_ERR_ADDRESS_WRAPS, [None; 4], [0, target.address, target.size])),
            (false, false) => None,
        };
        let is_refusal = |told: &Told| [RELAKIT_ERR_OVERLAP, RELAKIT_ERR_ADDRESS_WRAPS].contains(&told.0);
        assert_eq!(answer.err().filter(is_refusal), expected, "{answer:x?}");
        let unordered = answer.is_err_and(|told| told.0 == RELAKIT_ERR_FIELDS_NOT_ASCENDING);
        if expected.is_some() || !applies || unordered {
            return;
        }
        let is_refused = self.is_symtab && self.options.flags & RELAKIT_OPT_ALLOW_ZERO_SYMBOLS == 0;
        let first = first_unresolved(&before[self.table.clone()], &before[self.symbols.clone()]);
        stops_at_unresolved(answer, first.filter(|_| is_refused));
    }

    fn trial(&self) -> Trial<'_> {
        let port = Port::new(&self.arena, self.manner, vec![self.target.clone()], self.arena.size());
        Trial::new(&self.arena, port, vec![self.target.clone()])
    }

    fn applies(&self) {
        let bytes = self.arena.pointer(self.target.start);
        let is_inverse = self.options.flags & RELAKIT_OPT_ALLOW_NONZERO == 0;
        let _ = self.trial().run(
            is_inverse,
            &mut |writer| self.call(("relakit_apply", relakit_apply), bytes, writer),
            &mut |writer| self.call(("relakit_clear", relakit_clear), bytes, writer),
        );
    }

    /// A dry run changes nothing, whatever it returns.
    fn checks(&self) {
        let bytes = self.arena.pointer(self.target.start);
        let mut trial = Trial { written: Vec::new(), ..self.trial() };
        let _ =
            trial.step("check", &mut |writer| self.call(("relakit_dry_run", relakit_dry_run), bytes, writer));
    }

    fn checks_read_only_memory(&self) {
        let bytes = ZEROS.as_ptr().cast_mut();
        let _ = self.call(("relakit_dry_run", relakit_dry_run), bytes, ptr::null());
    }
}
