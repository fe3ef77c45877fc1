//! The plan of a global offset table, GOT: which symbols have a slot, and where.
//!
//! One word for each 32 symbols says all: its low half has a bit for each symbol with a slot, its high
//! half is the number of slots of the symbols before. So a slot is found with one look, in memory that
//! the embedder provides, and its size depends on the number of symbols only.

use crate::arch::{self, Operand, SLOT_SIZE, STUB_SIZE};
use crate::elf::{Rela, RelaTable};
use crate::error::{Error, ErrorKind};
use crate::read::{high32, low32};
use bitflags::bitflags;

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

    /// Returns the offset and the code of the stub for a slot. `None` without stubs, and if the stub
    /// does not reach its slot.
    pub(super) fn stub(&self, slot: u64) -> Option<(u64, [u64; 2])> {
        let slot_offset = slot.wrapping_mul(SLOT_SIZE);
        let offset = self.stubs().wrapping_add(slot.wrapping_mul(STUB_SIZE));
        let code = arch::stub(slot_offset, offset, self.flags.contains(GotFlags::ENDBR))?;
        self.has_stubs().then_some((offset, code))
    }

    /// Returns the number of a symbol's slot.
    pub(super) fn slot(&self, symbol: u32) -> Option<u64> {
        let (index, bit) = place(symbol);
        let word = *self.words.get(index)?;
        let before = low32(word & bit.wrapping_sub(1)).count_ones();
        (word & bit != 0).then(|| u64::from(high32(word)).wrapping_add(u64::from(before)))
    }
}
