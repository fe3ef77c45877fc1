//! A global offset table, for one table of relocations and for a module.

use crate::{Embedder, each};
use core::hint::black_box;
use relakit::elf::RelaTable;
use relakit::reloc::{GotFlags, GotMarks, GotPlan, RelocFlags, Values};
use relakit::{Error, Memory, Module, Profile, SectionMemory, Target, View};

/// What the embedder provides for a GOT.
pub struct LentGot<'a> {
    rela: &'a [u8],
    values: &'a [u64],
    words: &'a mut [u64],
    /// The memory of the relocated section.
    bytes: &'a mut [u8],
    address: u64,
    /// The memory of the GOT.
    got_bytes: &'a mut [u8],
    got_address: u64,
    symbol: u32,
    rules: u32,
    flags: u32,
    act: u32,
    fault: Option<Error>,
}

#[unsafe(no_mangle)]
extern "C" fn proof_got(lent: &mut LentGot<'_>) -> i32 {
    number(one_table(lent), &mut lent.fault)
}

fn number(result: Result<(), Error>, fault: &mut Option<Error>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            *fault = Some(error);
            error.kind as i32
        }
    }
}

fn one_table(lent: &mut LentGot<'_>) -> Result<(), Error> {
    let table = RelaTable::new(lent.rela)?;
    let rules = RelocFlags::from_bits(lent.rules).unwrap_or_default();
    let flags = GotFlags::from_bits(lent.flags).unwrap_or_default();
    let values = Values::from(lent.values);
    black_box(GotMarks::words(lent.symbol));
    let plan = if lent.act & 1 == 0 {
        let mut marks = GotMarks::new(lent.words, lent.symbol, flags)?;
        marks.add(table);
        marks.plan()
    } else {
        black_box(GotMarks::again(lent.words, flags));
        GotPlan::from_words(lent.words, flags)
    };
    black_box((plan.slots(), plan.size(), plan.align(), plan.has_stubs(), plan.words()));
    let got = plan.at(lent.got_address).in_code(lent.act & 2 != 0);
    black_box((got.address(), got.slot(lent.symbol)));
    let mut embedder = Embedder;
    let (size, address) = (lent.bytes.len() as u64, lent.address);
    let mut behind = Target::with_writer(size, address, &mut embedder);
    let mut plain = Target::new(lent.bytes, address);
    match lent.act >> 2 {
        0 => plan.fill(values, &mut Target::new(lent.got_bytes, lent.got_address), rules),
        1 => got.apply(table, values, &mut plain, rules),
        2 => got.clear(table, values, &mut plain, rules),
        3 => got.dry_run(table, values, &mut View::from(&mut plain), rules),
        4 => plan.fill(values, &mut behind, rules),
        5 => got.apply(table, values, &mut behind, rules),
        6 => got.clear(table, values, &mut behind, rules),
        _ => got.dry_run(table, values, &mut View::from(&mut behind), rules),
    }
}

/// What the embedder provides for a module with a GOT.
pub struct LentPlan<'a> {
    file: &'a [u8],
    profile: Profile,
    words: &'a mut [u64],
    memory: &'a mut [Option<SectionMemory<'a>>],
    values: &'a mut [u64],
    arena: &'a mut [u8],
    flags: u32,
    fault: Option<Error>,
}

#[unsafe(no_mangle)]
extern "C" fn proof_plan(lent: &mut LentPlan<'_>) -> i32 {
    number(module(lent), &mut lent.fault)
}

fn module(lent: &mut LentPlan<'_>) -> Result<(), Error> {
    let flags = GotFlags::from_bits(lent.flags).unwrap_or_default();
    let parsed = Module::parse(lent.file, lent.profile)?;
    black_box(parsed.plan_words());
    let module = parsed.plan(lent.words, flags)?;
    black_box((module.got(), module.planned_words()));
    let layout = module.layout(lent.arena.len() as u64)?;
    each(layout.sections());
    let mut sections: [Option<SectionMemory<'_>>; 4] = [const { None }; 4];
    layout.split(lent.arena, 4096, &mut sections)?;
    let memory = &mut *lent.memory;
    let mut filled = module.assign(memory)?.fill()?;
    let mut last = None;
    filled.errors(lent.values, &mut Embedder, &mut |error| last = Some(error))?;
    black_box((last, sections));
    let loaded = filled.early(lent.values, &mut Embedder)?;
    black_box((loaded.module().got(), memory.base(1)));
    Ok(())
}
