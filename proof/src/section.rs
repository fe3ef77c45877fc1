//! One table of relocations and one target.

use crate::{Embedder, Text};
use core::fmt::Write;
use core::hint::black_box;
use relakit::elf::RelaTable;
use relakit::reloc::{
    self, RelocFlags, SymtabValues, ValueCallback, ValueError, ValueSource, Values, WriterCallbacks,
};
use relakit::{CallbackError, Error, Resolver, Target, View, Writer};

/// What the embedder lends for one section.
pub struct LentSection<'a> {
    rela: &'a [u8],
    values: &'a [u64],
    symtab: &'a [u8],
    bytes: &'a mut [u8],
    address: u64,
    symbol: u32,
    rules: u32,
    act: u32,
    fault: Option<Error>,
}

#[unsafe(no_mangle)]
extern "C" fn proof_section(lent: &mut LentSection<'_>) -> i32 {
    match section(lent) {
        Ok(()) => 0,
        Err(error) => {
            lent.fault = Some(error);
            error.kind as i32
        }
    }
}

fn section(lent: &mut LentSection<'_>) -> Result<(), Error> {
    let table = RelaTable::new(lent.rela)?;
    let symtab = SymtabValues::new(lent.symtab)?;
    let rules = RelocFlags::from_bits(lent.rules).unwrap_or_default();
    let mut embedder = Embedder;
    let values = Values::from(lent.values);
    black_box((values.count(), values.value(lent.symbol), symtab));
    let mut other = Target::with_writer(lent.bytes.len() as u64, lent.address, &mut embedder);
    let mut other_embedder = Embedder;
    let mut other_view = View::with_writer(lent.bytes.len() as u64, lent.address, &mut other_embedder);
    if lent.act == 2 {
        return reloc::dry_run(table, values, &mut View::new(lent.bytes, lent.address), rules);
    }
    let plain = &mut Target::new(lent.bytes, lent.address);
    black_box((plain.size(), plain.address(), plain.bytes(), other.bytes()));
    black_box(write!(Text, "{plain:?}")).ok();
    match lent.act {
        0 => reloc::apply(table, values, plain, rules),
        1 => reloc::clear(table, values, plain, rules),
        3 => reloc::apply(table, Values::from(symtab), plain, rules),
        4 => reloc::clear(table, Values::from(symtab), plain, rules),
        5 => reloc::dry_run(table, Values::from(symtab), &mut View::from(&mut *plain), rules),
        6 => reloc::apply(table, values, &mut other, rules),
        7 => reloc::clear(table, values, &mut other, rules),
        8 => reloc::dry_run(table, values, &mut other_view, rules),
        9..=13 => callbacks(lent, table),
        _ => match reloc::errors(table, values, &mut View::from(&mut *plain), rules).last() {
            Some(error) => Err(error),
            None => Ok(()),
        },
    }
}

/// The passes with values and memory behind callbacks, and those without a table or without flags.
fn callbacks(lent: &mut LentSection<'_>, table: RelaTable<'_>) -> Result<(), Error> {
    let rules = RelocFlags::from_bits(lent.rules).unwrap_or_default();
    let (size, address, count) = (lent.bytes.len() as u64, lent.address, lent.values.len());
    let value = ValueCallback { ctx: lent.rela.as_ptr().cast(), value };
    let writer = WriterCallbacks { ctx: lent.rela.as_ptr().cast(), read, write, sync };
    let by_source = Values::Source { count, source: &Embedder };
    let by_callback = Values::Callback { count, callback: &value };
    black_box(write!(Text, "{by_callback:?}")).ok();
    let mut behind = Target::with_callbacks(size, address, writer);
    match lent.act {
        9 => reloc::apply(table, by_source, &mut behind, rules),
        10 => reloc::clear(table, by_callback, &mut behind, rules),
        11 => reloc::dry_run(table, by_callback, &mut View::with_callbacks(size, address, writer), rules),
        12 => reloc::relocate(lent.symbol, size, 0, address, lent.bytes, rules),
        _ => match reloc::apply_small(table, lent.values, lent.bytes, address) {
            Ok(()) => Ok(()),
            Err((kind, entry)) => Err(Error::new(kind, entry.unwrap_or(0) as u64, 0)),
        },
    }
}

impl ValueSource for Embedder {
    fn value(&self, symbol: u32) -> Result<Option<u64>, ValueError> {
        let mut embedder = Embedder;
        embedder.exported(&symbol.to_le_bytes()).map_err(ValueError::Failed)
    }
}

fn value(_: *const (), symbol: u32) -> Result<Option<u64>, ValueError> {
    Embedder.value(symbol)
}

fn read(_: *const (), address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
    Embedder.read(address, offset, bytes)
}

fn write(_: *const (), address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
    Embedder.write(address, offset, bytes)
}

fn sync(_: *const ()) -> Result<(), CallbackError> {
    Embedder.sync()
}
