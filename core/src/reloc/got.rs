//! A global offset table, GOT, that relakit makes for a module: passes that refer to it, and the pass
//! that fills it.

use super::op::Op;
use super::pass::{Run, Special};
use super::transaction::{Sections, Transaction};
use super::{GotPlan, Howto, Pass, RelocFlags, Target, Values, View};
use crate::abi::RELA_SIZE;
use crate::arch::{self, Operand, SLOT_SIZE};
use crate::elf::{Rela, RelaTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::report::{Failed, OnError, Report, capture};
use core::slice;

/// A GOT at its address. A pass with it knows the types [`RelocTypes::GOT`](super::RelocTypes::GOT).
#[derive(Clone, Copy, Debug)]
pub struct Got<'a> {
    plan: GotPlan<'a>,
    address: u64,
    is_code: bool,
}

impl<'a> GotPlan<'a> {
    /// Returns the GOT at its run-time address. A pass over executable code that was assembled before
    /// 2018 may have branches of the type PC32; [`in_code`](Got::in_code) sends these to stubs, too.
    pub const fn at(self, address: u64) -> Got<'a> {
        Got { plan: self, address, is_code: false }
    }

    /// Writes the symbol values to their slots, and the stubs, or changes nothing.
    ///
    /// `target` is the memory of the GOT, which must be zero. Of `rules` only `ALLOW_ZERO_SYMBOLS`
    /// matters.
    ///
    /// # Errors
    /// - `AssignedSize`, `AddressMisaligned`: `target` has not the size and the alignment of the GOT.
    /// - The errors of [`apply`](super::apply). `offset` is that of the slot. `SymbolIndex` also if the
    ///   plan is for 2^31 symbols or more.
    pub fn fill(self, values: Values<'_>, target: &mut Target<'_>, rules: RelocFlags) -> Result<(), Error> {
        capture(|report| {
            self.check_target(target, report)?;
            let parts = (self.words().len() as u64).saturating_mul(32).saturating_mul(Part::COUNT.into());
            let Ok(parts) = u32::try_from(parts) else {
                return Err(report.fail(ErrorKind::SymbolIndex, 0, u64::from(u32::MAX / Part::COUNT)));
            };
            let mut slots = Slots { plan: self, values, target, rules, part: Part::default() };
            Transaction::new(&mut slots, 0..parts, Op::Apply, RelocFlags::empty()).run(report).map(drop)
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
    /// In code, only a branch to the symbol itself leads to its stub. Its addend is -4. In data, the
    /// addend of a distance to a stub may be any number.
    ///
    /// With [`RelocFlags::ALLOW_NONZERO`] the branches of the type PC32 have no stubs, because the pass
    /// may overwrite an opcode after it has checked it.
    #[must_use]
    pub const fn in_code(mut self, is_code: bool) -> Self {
        self.is_code = is_code;
        self
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
        let (offset, _) = self.plan.stub(self.plan.slot(symbol)?)?;
        Some(self.address.wrapping_add(offset))
    }

    /// Whether an entry is a branch to the beginning of its symbol's stub.
    fn is_call(&self, run: &mut Run<'_, '_>, rela: Rela) -> Result<bool, Failed> {
        if self.is_code && rela.r_addend != arch::BRANCH_ADDEND {
            return Ok(false);
        }
        if arch::is_branch(rela.r_type) {
            return Ok(true);
        }
        // With `ALLOW_NONZERO` all entries are checked before the first write, which may change what is
        // before the field of a later entry. Then the choice would change after the check.
        let may_read = self.is_code && arch::may_be_branch(rela.r_type);
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

    fn pass<'p>(&'p self, table: RelaTable<'p>, values: Values<'p>, rules: RelocFlags) -> Pass<'p> {
        Pass { special: Some(self), ..Pass::new(table, values, rules) }
    }
}

/// The symbol value of an entry may be replaced: by its slot, or by a stub that the field can reach.
impl Special for Got<'_> {
    fn howto(&self, r_type: u32) -> Option<Howto> {
        arch::got_howto(r_type).map(|(howto, _)| howto)
    }

    fn find(&self, run: &mut Run<'_, '_>, rela: Rela, s: u64) -> Result<(Howto, u64), Failed> {
        if let Some((howto, operand)) = arch::got_howto(rela.r_type) {
            return match self.operand(operand, rela.r_sym, s) {
                Some(operand) => Ok((howto, run.value(&howto, rela, operand))),
                None => Err(run.report.fail(ErrorKind::NoGotSlot, 0, 0)),
            };
        }
        let (howto, value) = run.find(rela, s)?;
        match self.stub(rela.r_sym).filter(|_| !howto.fits(value, run.pass.rules)) {
            Some(stub) if self.is_call(run, rela)? => Ok((howto, run.value(&howto, rela, stub))),
            _ => Ok((howto, value)),
        }
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
        if !part.is_stub {
            (part.entries, part.count) = ([entry(offset, number >> 1, 0); 2], 1);
        } else if let Some((at, [first, second])) = plan.stub(slot) {
            part.entries = [entry(at, 0, first), entry(at.wrapping_add(8), 0, second)];
            part.count = 2;
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
