//! A global offset table, GOT, that relakit makes for a module: which symbols have a slot, and the
//! rules for relocations that refer to it.
//!
//! One word for each 32 symbols says all: its low half has a bit for each symbol with a slot, its high
//! half is the number of slots of the symbols before. So a slot is found with one look, in memory that
//! the embedder provides, and its size depends on the number of symbols only.

use super::op::Op;
use super::pass::Run;
use super::transaction::{Sections, Transaction};
use super::{Howto, Pass, RelocFlags, Special, Target, Values, View};
use crate::abi::RELA_SIZE;
use crate::arch::{self, Operand, SLOT_SIZE, STUB_SIZE};
use crate::elf::{Rela, RelaTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::read::{high32, low32};
use crate::report::{Failed, OnError, Report, capture};
use bitflags::bitflags;
use core::slice;

bitflags! {
    /// What a GOT has besides its slots. Other bits are reserved and must be 0.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct GotFlags: u32 {
        /// A stub for each slot: code that jumps to the address in the slot. A call whose value does
        /// not fit its field then leads to the stub. The GOT must be executable.
        const STUBS = 1 << 0;
        /// Each stub begins with `endbr64`, so that an indirect branch may lead to it.
        const ENDBR = 1 << 1;
    }
}

/// Counts the symbols that need a slot, table by table.
#[derive(Debug)]
pub struct GotMarks<'a> {
    words: &'a mut [u64],
    flags: GotFlags,
}

/// Which symbols have a slot.
#[derive(Clone, Copy, Debug)]
pub struct GotPlan<'a> {
    words: &'a [u64],
    slots: u32,
    flags: GotFlags,
}

/// A GOT at its address. A pass with it knows the types [`RelocTypes::GOT`](super::RelocTypes::GOT).
#[derive(Clone, Copy, Debug)]
pub struct Got<'a> {
    plan: GotPlan<'a>,
    address: u64,
    is_code: bool,
    rules: &'static Rules,
}

/// What a pass asks if its own table has no row for a type, and for the value of an entry.
///
/// They are function pointers, so that a program without a GOT contains none of this code.
#[derive(Debug)]
pub(super) struct Rules {
    /// Returns the row of a type.
    pub(super) howto: fn(u32) -> Option<Howto>,
    /// Returns the value of an entry with this row, and the value of its symbol.
    pub(super) value: fn(&mut Run<'_, '_>, &Got<'_>, &Howto, Rela, u64) -> Result<u64, Failed>,
}

static RULES: Rules = Rules { howto, value };

fn howto(r_type: u32) -> Option<Howto> {
    arch::got_howto(r_type).map(|(howto, _)| howto)
}

/// The symbol value of an entry may be replaced: by its slot, or by a stub that the field can reach.
fn value(run: &mut Run<'_, '_>, got: &Got<'_>, howto: &Howto, rela: Rela, s: u64) -> Result<u64, Failed> {
    let p = run.target.address().wrapping_add(rela.r_offset);
    let value = |s| howto.value(s, rela.r_addend, p);
    if let Some((_, operand)) = arch::got_howto(rela.r_type) {
        return match got.operand(operand, rela.r_sym, s) {
            Some(operand) => Ok(value(operand)),
            None => Err(run.report.fail(ErrorKind::NoGotSlot, 0, 0)),
        };
    }
    if howto.fits(value(s), run.pass.rules) {
        return Ok(value(s));
    }
    match got.stub(rela.r_sym) {
        Some(stub) if is_call(run, got, rela)? => Ok(value(stub)),
        _ => Ok(value(s)),
    }
}

/// Whether an entry is a branch.
fn is_call(run: &mut Run<'_, '_>, got: &Got<'_>, rela: Rela) -> Result<bool, Failed> {
    if arch::is_branch(rela.r_type) {
        return Ok(true);
    }
    // With `ALLOW_NONZERO` all entries are checked before the first write, which may change what is
    // before the field of a later entry. Then the choice would change after the check.
    let may_read = got.is_code && arch::may_be_branch(rela.r_type);
    let may_read = may_read && !run.pass.rules.contains(RelocFlags::ALLOW_NONZERO);
    let Some(offset) = rela.r_offset.checked_sub(2).filter(|_| may_read) else { return Ok(false) };
    match run.target.read(offset, 2, run.report) {
        Ok(before) => {
            let [first, second, ..] = before.to_le_bytes();
            Ok(arch::is_branch_opcode([first, second]))
        }
        // A field outside of the section is refused later, after its range is checked.
        Err(failed) if run.report.error(failed).kind != ErrorKind::Writer => Ok(false),
        Err(failed) => Err(failed),
    }
}

impl<'a> GotMarks<'a> {
    /// Returns how many words the plan for `symbols` symbols needs.
    pub const fn words(symbols: u32) -> u32 {
        symbols.div_ceil(32)
    }

    /// Continues a plan that [`plan`](Self::plan) left in `words`, or begins with words that are 0.
    pub fn again(words: &'a mut [u64], flags: GotFlags) -> Self {
        for word in words.iter_mut() {
            *word = u64::from(low32(*word));
        }
        Self { words, flags }
    }

    /// Begins with no slots. The call overwrites `words`.
    ///
    /// # Errors
    /// - `GotPlanTooShort`: `words` has less than [`words`](Self::words) elements.
    pub fn new(words: &'a mut [u64], symbols: u32, flags: GotFlags) -> Result<Self, Error> {
        let (provided, needed) = (words.len() as u64, Self::words(symbols));
        let words = usize::try_from(needed).ok().and_then(|needed| words.get_mut(..needed));
        let words = words.ok_or(Error::new(ErrorKind::GotPlanTooShort, provided, u64::from(needed)))?;
        words.fill(0);
        Ok(Self { words, flags })
    }

    /// Adds the symbols whose slots `table` uses. With [`GotFlags::STUBS`], it adds the symbols of
    /// branches of the type PLT32, too.
    ///
    /// The plan does not know how many symbols there are, only how many its words have bits for. A
    /// symbol without a bit is left out. A pass refuses the entry of a symbol that does not exist, and
    /// [`GotPlan::fill`] refuses its slot, both with `SymbolIndex`.
    pub fn add(&mut self, table: RelaTable<'_>) {
        self.add_with(table, &mut |rela| arch::is_branch(rela.r_type));
    }

    /// The same. `is_call` says whether the symbol of an entry needs a stub.
    pub(crate) fn add_with(&mut self, table: RelaTable<'_>, is_call: &mut dyn FnMut(Rela) -> bool) {
        for rela in table.iter() {
            let symbol = match arch::got_howto(rela.r_type) {
                Some((_, Operand::SlotAddress | Operand::SlotOffset)) => rela.r_sym,
                // The GOT needs an address even if it has no other slot.
                Some((_, Operand::Table | Operand::FromTable)) => 0,
                None if self.flags.contains(GotFlags::STUBS) && is_call(rela) => rela.r_sym,
                None => continue,
            };
            let (index, bit) = place(symbol);
            if let Some(word) = self.words.get_mut(index) {
                *word |= bit;
            }
        }
    }

    /// Gives each marked symbol its slot.
    pub fn plan(self) -> GotPlan<'a> {
        let Self { words, flags } = self;
        let mut slots = 0u32;
        for word in words.iter_mut() {
            let marks = low32(*word);
            *word = u64::from(marks) | u64::from(slots) << 32;
            slots = slots.saturating_add(marks.count_ones());
        }
        GotPlan { words, slots, flags }
    }
}

/// Returns the word and the bit of a symbol.
fn place(symbol: u32) -> (usize, u64) {
    let index = usize::try_from(symbol >> 5).unwrap_or(usize::MAX);
    (index, 1u64.wrapping_shl(symbol & 31))
}

impl<'a> GotPlan<'a> {
    /// Returns the plan that an earlier call left in `words`, with the same flags.
    pub fn from_words(words: &'a [u64], flags: GotFlags) -> Self {
        let slots = words.last().map_or(0, |word| high32(*word).saturating_add(low32(*word).count_ones()));
        Self { words, slots, flags }
    }

    /// Returns the words that hold the plan.
    pub const fn words(&self) -> &'a [u64] {
        self.words
    }

    /// Returns the number of slots.
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Returns the size of the GOT in bytes. 0 if no relocation refers to it.
    pub const fn size(&self) -> u64 {
        match self.has_stubs() {
            true => self.stubs().wrapping_add((self.slots as u64).wrapping_mul(STUB_SIZE)),
            false => (self.slots as u64).wrapping_mul(SLOT_SIZE),
        }
    }

    /// Returns the alignment of the GOT's address in bytes: 8, or 16 with stubs.
    pub const fn align(&self) -> u64 {
        if self.has_stubs() { STUB_SIZE } else { SLOT_SIZE }
    }

    /// Whether the GOT contains code.
    pub const fn has_stubs(&self) -> bool {
        self.flags.contains(GotFlags::STUBS)
    }

    /// Returns the offset of the first stub, after the slots.
    const fn stubs(&self) -> u64 {
        let slots = (self.slots as u64).wrapping_mul(SLOT_SIZE);
        slots.wrapping_add(STUB_SIZE.wrapping_sub(1)) & !STUB_SIZE.wrapping_sub(1)
    }

    /// Returns the number of a symbol's slot.
    fn slot(&self, symbol: u32) -> Option<u64> {
        let (index, bit) = place(symbol);
        let word = *self.words.get(index)?;
        let before = low32(word & bit.wrapping_sub(1)).count_ones();
        (word & bit != 0).then(|| u64::from(high32(word)).wrapping_add(u64::from(before)))
    }

    /// Returns the GOT at its run-time address. A pass over executable code that was assembled before
    /// 2018 may have branches of the type PC32; [`in_code`](Got::in_code) sends these to stubs, too.
    pub const fn at(self, address: u64) -> Got<'a> {
        Got { plan: self, address, is_code: false, rules: &RULES }
    }

    /// Writes the symbol values to their slots, and the stubs, or changes nothing.
    ///
    /// `target` is the memory of the GOT, which must be zero. Of `rules` only `ALLOW_ZERO_SYMBOLS`
    /// matters.
    ///
    /// # Errors
    /// - `AssignedSize`, `AddressMisaligned`: `target` has not the size and the alignment of the GOT.
    /// - The errors of [`apply`](super::apply). `offset` is that of the slot.
    pub fn fill(self, values: Values<'_>, target: &mut Target<'_>, rules: RelocFlags) -> Result<(), Error> {
        capture(|report| {
            self.check_target(target, report)?;
            let symbols = u32::try_from(self.words.len()).unwrap_or(u32::MAX).saturating_mul(32);
            let numbers = 0..symbols.saturating_mul(Part::COUNT);
            let mut slots = Slots { plan: self, values, target, rules, part: Part::default() };
            Transaction::new(&mut slots, numbers, Op::Apply, RelocFlags::empty()).run(report).map(drop)
        })
    }

    /// Checks size and alignment of the memory of the GOT.
    pub(crate) fn check_target(&self, target: &Target<'_>, report: &mut Report) -> Result<(), Failed> {
        let (size, address, align) = (self.size(), target.address(), self.align());
        if target.size() != size {
            return Err(report.fail(ErrorKind::AssignedSize, target.size(), size));
        }
        match address & align.wrapping_sub(1) {
            0 => target.check_address(report),
            _ => Err(report.fail(ErrorKind::AddressMisaligned, address, align)),
        }
    }
}

impl Got<'_> {
    /// The same GOT, for a pass over executable code or over data: see [`GotPlan::at`].
    ///
    /// With [`RelocFlags::ALLOW_NONZERO`] the branches of the type PC32 have no stubs, because the pass
    /// may overwrite an opcode after it has checked it.
    #[must_use]
    pub const fn in_code(mut self, is_code: bool) -> Self {
        self.is_code = is_code;
        self
    }

    /// What a pass asks.
    pub(super) const fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// Returns the address of the GOT.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Returns the address of a symbol's slot. `None` if it has none.
    pub fn slot(&self, symbol: u32) -> Option<u64> {
        Some(self.address.wrapping_add(self.plan.slot(symbol)?.wrapping_mul(SLOT_SIZE)))
    }

    /// Applies a table as [`apply`](super::apply) does, and the types of the GOT, too.
    ///
    /// # Errors
    /// - `NoGotSlot`: a symbol has no slot. The plan was made without this table.
    /// - The errors of `apply`.
    pub fn apply(
        &self,
        table: RelaTable<'_>,
        values: Values<'_>,
        target: &mut Target<'_>,
        rules: RelocFlags,
    ) -> Result<(), Error> {
        self.pass(table, values, rules).run_frequent_first(Op::Apply, target)
    }

    /// Clears a table as [`clear`](super::clear) does, and the types of the GOT, too. It does not
    /// change the GOT.
    ///
    /// # Errors
    /// - The errors of `clear`, and `NoGotSlot`.
    pub fn clear(
        &self,
        table: RelaTable<'_>,
        values: Values<'_>,
        target: &mut Target<'_>,
        rules: RelocFlags,
    ) -> Result<(), Error> {
        self.pass(table, values, rules).run_frequent_first(Op::Clear, target)
    }

    /// Checks a table as [`dry_run`](super::dry_run()) does, and the types of the GOT, too. Only reads.
    ///
    /// [`in_code`](Self::in_code) the result can differ from that of `apply` if an entry writes the opcode
    /// before the field of a later entry. The tables of compilers have no such entries.
    ///
    /// # Errors
    /// - The errors of `dry_run`, and `NoGotSlot`.
    pub fn dry_run(
        &self,
        table: RelaTable<'_>,
        values: Values<'_>,
        target: &mut View<'_>,
        rules: RelocFlags,
    ) -> Result<(), Error> {
        self.pass(table, values, rules).dry_run(target)
    }

    /// Returns what stands for the symbol value `s` in a formula. `None` if the symbol has no slot.
    fn operand(&self, operand: Operand, symbol: u32, s: u64) -> Option<u64> {
        match operand {
            Operand::SlotAddress => self.slot(symbol),
            Operand::SlotOffset => Some(self.slot(symbol)?.wrapping_sub(self.address)),
            Operand::Table => Some(self.address),
            Operand::FromTable => Some(s.wrapping_sub(self.address)),
        }
    }

    /// Returns the address of a symbol's stub.
    fn stub(&self, symbol: u32) -> Option<u64> {
        let plan = &self.plan;
        let slot = plan.slot(symbol).filter(|_| plan.has_stubs())?;
        Some(self.address.wrapping_add(plan.stubs()).wrapping_add(slot.wrapping_mul(STUB_SIZE)))
    }

    fn pass<'p>(&'p self, table: RelaTable<'p>, values: Values<'p>, rules: RelocFlags) -> Pass<'p> {
        Pass { special: Special::Got(self), ..Pass::new(table, values, rules) }
    }
}

/// The relocations that write one symbol's part of a GOT.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    entries: [[u8; RELA_SIZE]; 2],
    /// How many entries there are.
    count: usize,
    /// Whether they have values of their own: the words of the stub.
    is_stub: bool,
}

impl Part {
    /// The numbers that a transaction has for each symbol: one for the slot, one for the stub.
    pub(crate) const COUNT: u32 = 2;

    /// Returns the part with this number.
    pub(crate) fn new(plan: &GotPlan<'_>, number: u32) -> Self {
        let mut part = Self::default();
        let Some(slot) = plan.slot(number >> 1) else { return part };
        let offset = slot.wrapping_mul(SLOT_SIZE);
        let entry = |r_offset, r_sym, r_addend: u64| {
            let r_addend = r_addend.cast_signed();
            Rela { r_offset, r_sym, r_type: arch::SLOT_TYPE, r_addend }.to_bytes()
        };
        part.is_stub = number & 1 != 0;
        match part.is_stub {
            false => (part.entries, part.count) = ([entry(offset, number >> 1, 0); 2], 1),
            true if plan.has_stubs() => {
                let at = plan.stubs().wrapping_add(slot.wrapping_mul(STUB_SIZE));
                let code = arch::stub(offset, at, plan.flags.contains(GotFlags::ENDBR));
                let [first, second] = code.unwrap_or_default();
                part.entries = [entry(at, 0, first), entry(at.wrapping_add(8), 0, second)];
                part.count = 2;
            }
            true => {}
        }
        part
    }

    /// Whether there is something to write.
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the pass that writes it. `values` are those of the symbols.
    pub(crate) fn pass<'p>(&'p self, values: Values<'p>, rules: RelocFlags) -> Pass<'p> {
        let table = RelaTable::from_entries(self.entries.get(..self.count).unwrap_or_default());
        let values = if self.is_stub { Values::Dense(slice::from_ref(&0)) } else { values };
        Pass::new(table, values, rules.intersection(RelocFlags::ALLOW_ZERO_SYMBOLS))
    }
}

/// The parts of a GOT as sections of a transaction.
struct Slots<'a, 't> {
    plan: GotPlan<'a>,
    values: Values<'a>,
    target: &'a mut Target<'t>,
    rules: RelocFlags,
    part: Part,
}

impl Sections for Slots<'_, '_> {
    fn prepare(&mut self, number: u32, _: OnError<'_>, _: &mut Report) -> Result<bool, Failed> {
        Ok(!Part::new(&self.plan, number).is_empty())
    }

    fn section(&mut self, number: u32, _: &mut Report) -> Result<Option<(Pass<'_>, Target<'_>)>, Failed> {
        self.part = Part::new(&self.plan, number);
        let pass = self.part.pass(self.values, self.rules);
        Ok((!self.part.is_empty()).then(|| (pass, self.target.reborrow())))
    }

    fn locate(&self, _: u32, failed: Failed, _: &mut Report) -> Failed {
        failed
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.target.sync()
    }
}
