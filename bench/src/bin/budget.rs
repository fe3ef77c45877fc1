//! What `bench/budget` counts the instructions of.
//!
//! `budget ROW` runs one row, and what callgrind is to count in a function of the name `counted`; `budget` lists the rows,
//! each with the number by which its instructions are divided.

use relakit::index::Index;
use relakit::{CallbackError, Module, Profile, Resolver, SectionMemory};
use relakit_bench::engines::{APPLY, APPLY_C, APPLY_SYMTAB, CHECK, CLEAR, ENGINES, FLOOR, HALFWAY, number};
use relakit_bench::growth::{Types, synthetic};
use relakit_bench::lookup::ways::{CIndex, Table};
use std::hint::black_box;

/// What is counted, with everything ready that is not.
type Counted = Box<dyn FnMut()>;

struct Row {
    name: &'static str,
    /// Of a section of many relocations what one takes is counted, of others all.
    divisor: usize,
    prepare: fn() -> Counted,
}

const fn row(name: &'static str, divisor: usize, prepare: fn() -> Counted) -> Row {
    Row { name, divisor, prepare }
}

const MANY: usize = 1000;

const ROWS: [Row; 16] = [
    row("apply, a PC32", MANY, || pass(APPLY, MANY, Types::OnlyPc32)),
    row("apply, per relocation", MANY, || pass(APPLY, MANY, Types::Mixed)),
    row("apply through the C ABI, per relocation", MANY, || pass(APPLY_C, MANY, Types::Mixed)),
    row("the same loop, without rollback, per relocation", MANY, || pass(HALFWAY, MANY, Types::Mixed)),
    row("dry run, per relocation", MANY, || pass(CHECK, MANY, Types::Mixed)),
    row("clear, per relocation", MANY, || pass(CLEAR, MANY, Types::Mixed)),
    row("floor: read entry, gather value, store", MANY, || pass(FLOOR, MANY, Types::Mixed)),
    row("apply, a section of 1", 1, || pass(APPLY, 1, Types::OnlyPc32)),
    row("apply, a section of 7", 1, || pass(APPLY, 7, Types::Mixed)),
    row("apply through the C ABI, a section of 1", 1, || pass(APPLY_C, 1, Types::OnlyPc32)),
    row("apply through the C ABI, a section of 7", 1, || pass(APPLY_C, 7, Types::Mixed)),
    row("apply, values in a symbol table, per relocation", MANY, || pass(APPLY_SYMTAB, MANY, Types::Mixed)),
    row("early pass of the demo's livepatch", 1, || early(true)),
    row("early pass of the demo's livepatch, a section without memory", 1, || early(false)),
    row("building an index, names by offset, per name", MANY, index),
    row("building an index, names by pointer, through the C ABI, per name", MANY, index_c),
];

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        ROWS.iter().for_each(|row| println!("{}\t{}", row.divisor, row.name));
        return;
    };
    let row = ROWS.iter().find(|row| row.name == wanted).expect("the name of a row");
    counted(&mut *(row.prepare)());
}

#[unsafe(no_mangle)]
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    black_box(run)();
}

/// One engine on one section, relocated before it is cleared.
fn pass(engine: &str, relocations: usize, types: Types) -> Counted {
    let work = synthetic(relocations, 1, types);
    let mut image = work.pristine.clone();
    if engine == CLEAR {
        assert!((ENGINES[number(APPLY)].run)(&work, &mut image));
    }
    let run = ENGINES[number(engine)].run;
    Box::new(move || assert!(run(&work, &mut image)))
}

/// Knows every name, one of them twice.
struct All;

const KERNEL: u64 = 0xffff_ffff_8100_0000;

impl Resolver for All {
    fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(Some(KERNEL))
    }
    fn nth_symbol(&mut self, _: &[u8], name: &[u8], position: u64) -> Result<Option<u64>, CallbackError> {
        let count = if name == b"part_in_flight" { 2 } else { 1 };
        Ok((position <= count).then_some(KERNEL))
    }
}

/// The file read and checked, values, names, relocations: all but the copy of the sections, which are there.
fn early(all_have_memory: bool) -> Counted {
    const FILE: &[u8] = include_bytes!("../../../cli/demo/livepatch.ko");
    let module = Module::parse(FILE, Profile::LINUX_DEFAULT).unwrap();
    let object = *module.object();
    let mut values = vec![0; object.symbols().len() as usize];
    let bytes = object.sections().map(|(_, section)| {
        let mut bytes = object.section_bytes(&section).to_vec();
        bytes.resize(section.sh_size as usize, 0);
        bytes
    });
    let mut bytes: Vec<_> = bytes.collect();
    let is_modinfo = |(_, section): &(u32, _)| object.section_is_named(section, b".modinfo");
    let (modinfo, _) = object.sections().find(is_modinfo).expect("a section .modinfo");
    Box::new(move || {
        let addresses = (0xffff_ffff_c000_0000u64..).step_by(0x1000);
        let place = |(address, bytes)| Some(SectionMemory { address, symbols_at: None, bytes });
        let mut memory: Vec<_> =
            addresses.zip(bytes.iter_mut().map(|bytes| &mut bytes[..])).map(place).collect();
        if !all_have_memory {
            // Linux drops it, and its symbols are not used.
            memory[modinfo as usize] = None;
        }
        let module = Module::parse(FILE, Profile::LINUX_DEFAULT).unwrap();
        let placed = module.assign(&mut memory[..]).unwrap();
        placed.assume_filled().early(&mut values, &mut All).unwrap();
    })
}

fn names() -> Table {
    let names: Vec<_> =
        (0..MANY).map(|number| format!("symbol_{:x}", number * number).into_bytes()).collect();
    Table::new(&names, &(0..MANY).collect::<Vec<_>>())
}

fn index() -> Counted {
    let (table, mut memory) = (names(), vec![0; Index::words(MANY)]);
    Box::new(move || _ = Index::build(&table, &mut memory).unwrap())
}

fn index_c() -> Counted {
    let table = names();
    let entries = table.entries();
    let mut index = CIndex::room(&entries);
    Box::new(move || {
        // The entries point to its names.
        let _ = &table;
        index.build(&entries);
    })
}
