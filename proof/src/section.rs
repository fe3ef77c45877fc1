//! One table of relocations and one target.

use crate::{Embedder, Text};
use core::fmt::Write;
use core::hint::black_box;
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags, SymtabValues, Values};
use relakit::{Error, Target, View};

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
        _ => match reloc::errors(table, values, &mut View::from(&mut *plain), rules).last() {
            Some(error) => Err(error),
            None => Ok(()),
        },
    }
}
