//! The loops over plain memory: apply, clear, dry run.
//!
//! They take the common relocation out of [`Pass::one`] and nothing else; what is not common, or not in order, goes there.

use super::one::Act;
use super::order::Order;
use super::values::Lookup;
use super::{Pass, Rules, Target, Values};
use crate::abi::{self, RELA_SIZE};
use crate::elf::Rela;
use crate::error::Error;
use crate::read::index;

/// A relocation of the common kind: a type that Linux modules are made of, and a value that fits.
enum Common {
    Word32(u32),
    Word64(u64),
}

/// The field's offset and value if the entry is of the common kind; everything else is for [`Pass::one`].
///
/// Types are told apart by arithmetic: which of PC32, PLT32 and 32S comes next cannot be predicted, the width can.
#[inline(always)]
fn common(entry: &[u8; RELA_SIZE], values: impl Lookup, address: u64) -> Option<(usize, Common)> {
    const WORD32: u32 = 1 << abi::R_X86_64_PC32 | 1 << abi::R_X86_64_PLT32 | 1 << abi::R_X86_64_32S;
    const { assert!(abi::R_X86_64_PC32 >> 3 & 1 == 0 && abi::R_X86_64_PLT32 >> 3 & 1 == 0) };
    const { assert!(abi::R_X86_64_32S >> 3 & 1 == 1) };
    const { assert!(abi::R_X86_64_64 >> 4 == 0 && abi::R_X86_64_PC64 >> 4 == 1) };

    let Rela { offset, symbol, r_type, addend } = Rela::read(entry);
    let sum = values.value(symbol)?.wrapping_add(addend.cast_unsigned());
    let place = address.wrapping_add(offset);
    let offset = index(offset)?;
    if r_type < 32 && WORD32 >> r_type & 1 != 0 {
        // All ones for PC32 and PLT32, zero for 32S.
        let relative = u64::from(r_type >> 3 & 1).wrapping_sub(1);
        let value = sum.wrapping_sub(place & relative).cast_signed();
        let field = i32::try_from(value).ok()?;
        Some((offset, Common::Word32(field.cast_unsigned())))
    } else if r_type == abi::R_X86_64_64 || r_type == abi::R_X86_64_PC64 {
        // Zero for 64, all ones for PC64.
        let relative = 0u64.wrapping_sub(u64::from(r_type >> 4));
        Some((offset, Common::Word64(sum.wrapping_sub(place & relative))))
    } else {
        None
    }
}

#[inline(always)]
fn slot<const SIZE: usize>(bytes: &mut [u8], offset: usize) -> Option<&mut [u8; SIZE]> {
    bytes.get_mut(offset..)?.first_chunk_mut()
}

impl Pass<'_> {
    /// The hot loop.
    pub(super) fn apply_plain(&self, bytes: &mut [u8], address: u64) -> Result<(), Error> {
        match self.values {
            Values::Dense(values) => self.apply_loop(values, bytes, address),
            Values::Symtab(values) => self.apply_loop(values, bytes, address),
        }
    }

    fn apply_loop(&self, values: impl Lookup, bytes: &mut [u8], address: u64) -> Result<(), Error> {
        let entries = self.table.entries();
        for (index, entry) in (0..entries.len()).zip(entries) {
            match common(entry, values, address) {
                Some((offset, Common::Word32(value))) => {
                    if let Some(slot) = slot(bytes, offset)
                        && u32::from_le_bytes(*slot) == 0
                    {
                        *slot = value.to_le_bytes();
                        continue;
                    }
                }
                Some((offset, Common::Word64(value))) => {
                    if let Some(slot) = slot(bytes, offset)
                        && u64::from_le_bytes(*slot) == 0
                    {
                        *slot = value.to_le_bytes();
                        continue;
                    }
                }
                None => {}
            }
            let mut target = Target::new(bytes, address);
            if let Err(error) = self.one(Act::Write, index, Rela::read(entry), &mut target) {
                return self.undo(index, &mut target).and(Err(error));
            }
        }
        Ok(())
    }

    /// The same loop backwards: verifies each field and sets it to zero.
    pub(super) fn clear_plain(&self, bytes: &mut [u8], address: u64) -> Result<(), Error> {
        match self.values {
            Values::Dense(values) => self.clear_loop(values, bytes, address),
            Values::Symtab(values) => self.clear_loop(values, bytes, address),
        }
    }

    fn clear_loop(&self, values: impl Lookup, bytes: &mut [u8], address: u64) -> Result<(), Error> {
        let entries = self.table.entries();
        for (index, entry) in (0..entries.len()).zip(entries).rev() {
            match common(entry, values, address) {
                Some((offset, Common::Word32(value))) => {
                    if let Some(slot) = slot(bytes, offset)
                        && u32::from_le_bytes(*slot) == value
                    {
                        *slot = [0; 4];
                        continue;
                    }
                }
                Some((offset, Common::Word64(value))) => {
                    if let Some(slot) = slot(bytes, offset)
                        && u64::from_le_bytes(*slot) == value
                    {
                        *slot = [0; 8];
                        continue;
                    }
                }
                None => {}
            }
            let mut target = Target::new(bytes, address);
            if let Err(error) = self.one(Act::Clear, index, Rela::read(entry), &mut target) {
                return self.reapply(index.saturating_add(1), &mut target).and(Err(error));
            }
        }
        Ok(())
    }

    /// The same loop without writes. Answers the first entry that does not come after the one before it, if any; then
    /// what follows it was not all looked at.
    pub(super) fn check_plain(&self, bytes: &mut [u8], address: u64) -> Result<Option<usize>, Error> {
        match self.values {
            Values::Dense(values) => self.check_loop(values, bytes, address),
            Values::Symtab(values) => self.check_loop(values, bytes, address),
        }
    }

    fn check_loop(
        &self,
        values: impl Lookup,
        bytes: &mut [u8],
        address: u64,
    ) -> Result<Option<usize>, Error> {
        let entries = self.table.entries();
        let mut order = Order::default();
        for (index, entry) in (0..entries.len()).zip(entries) {
            match common(entry, values, address) {
                Some((offset, Common::Word32(_))) => {
                    order.next(index, offset as u64, 4);
                    if let Some(slot) = slot(bytes, offset)
                        && u32::from_le_bytes(*slot) == 0
                    {
                        continue;
                    }
                }
                Some((offset, Common::Word64(_))) => {
                    order.next(index, offset as u64, 8);
                    if let Some(slot) = slot(bytes, offset)
                        && u64::from_le_bytes(*slot) == 0
                    {
                        continue;
                    }
                }
                None => order.next_rela(index, Rela::read(entry), self.rules),
            }
            if order.broken_at.is_some() && !self.rules.contains(Rules::ALLOW_NONZERO) {
                // Which fault comes first only writing can tell.
                break;
            }
            self.one(Act::Prove, index, Rela::read(entry), &mut Target::new(bytes, address))?;
        }
        Ok(order.broken_at)
    }
}
