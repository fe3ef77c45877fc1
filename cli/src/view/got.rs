//! The global offset table, GOT, that a loader makes for a module.

use super::names::{self, Name};
use relakit::Module;
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{GotFlags, GotMarks, GotPlan, RelocTypes};
use serde::Serialize;

/// A GOT without stubs: stubs are the choice of the loader.
#[derive(Debug, Serialize)]
pub(crate) struct Got<'f> {
    /// Its section index: the number of sections in the file.
    pub(crate) section: u32,
    pub(crate) slots: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// Alignment of its address in bytes.
    pub(crate) align: u64,
    /// The symbols with a slot, in the order of the slots.
    pub(crate) symbols: Vec<GotSymbol<'f>>,
}

/// A symbol with a slot.
#[derive(Debug, Serialize)]
pub(crate) struct GotSymbol<'f> {
    /// Symbol index. 0 has a slot if relocations use only the address of the table.
    pub(crate) index: u32,
    pub(crate) name: Option<Name<'f>>,
}

impl<'f> Got<'f> {
    /// Plans the GOT of a module. `None` if it needs none, or if the loader does not make one.
    pub(super) fn new(module: &'f Module<'f>) -> Option<Self> {
        let flags = GotFlags::empty();
        let mut words = vec![0; usize::try_from(module.plan_words()).ok()?];
        let planned = module.plan(&mut words, flags).ok()?;
        let got = planned.got()?;
        let plan = GotPlan::from_words(planned.planned_words(), flags);
        let table = plan.at(0);
        let symbols = (0..module.object().symbols().len()).filter(|index| table.slot(*index).is_some());
        let symbols =
            symbols.map(|index| GotSymbol { index, name: names::symbol(module, index).map(Name) }).collect();
        Some(Self {
            section: got.section,
            slots: plan.slots().into(),
            size: got.size,
            align: got.align,
            symbols,
        })
    }
}

/// Whether a loader with these types applies this type with a GOT.
pub(super) fn applies(types: RelocTypes, r_type: u32) -> bool {
    let mut words = [0];
    let entry = Rela { r_offset: 0, r_sym: 0, r_type, r_addend: 0 }.to_bytes();
    let marks = GotMarks::new(&mut words, 1, GotFlags::empty()).map(|mut marks| {
        marks.add(RelaTable::from_entries(&[entry]));
        marks.plan().slots() != 0
    });
    types.contains(RelocTypes::GOT) && marks.unwrap_or_default()
}
