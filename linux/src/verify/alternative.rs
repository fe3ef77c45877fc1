//! The forms of an alternative (`apply_alternatives`, `arch/x86/kernel/alternative.c`).
//!
//! Sources (facts only): Linux 6.1.192 and 6.12.117 of Debian. From 6.5 on
//! (x86_alternatives_for_v6.5), the rules are those of 6.12.117; 6.5 to 6.8 also join a jump with
//! the NOPs that it skips, which is known for original code only. Before, they are those of
//! 6.1.192. 5.13 is the first version with these rules.

use super::insn::{Insn, decode};
use super::nops::{self, LONG_NOPS};
use crate::bytes::{copy, low32, u8_at, u32_at};
use crate::special::{Version, before};

/// Greatest size of a site in bytes. It has one byte in the entry.
pub(super) const MAX: usize = 255;

/// First version that makes the lengths of all entries of a site equal.
pub(super) const EQUAL_LENGTHS: Version = (6, 11);
/// `ALT_FLAG_DIRECT_CALL`, in the upper half of the feature word: x86_paravirt_for_v6.8.
const DIRECT_CALL: u32 = 1 << 17;
const DIRECT_CALLS: Version = (6, 8);

/// An entry of `.altinstructions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Address of the original code.
    pub(super) site: u64,
    /// Size of the original code in bytes.
    pub(super) size: u8,
    /// Address of the replacement.
    pub(super) replacement: u64,
    /// Size of the replacement in bytes.
    pub(super) replacement_size: u8,
    /// Whether the replacement stands for a direct call of what the original calls.
    pub(super) is_direct_call: bool,
    /// Offset of the size in the entry.
    pub(super) size_at: usize,
}

impl Entry {
    /// Returns the entry with these bytes, which is at `address`.
    pub(super) fn read(version: Version, bytes: &[u8], address: u64) -> Option<Self> {
        let pointer = |at: u32| {
            let offset = i64::from(u32_at(bytes, usize::try_from(at).ok()?)?.cast_signed());
            Some(address.wrapping_add(u64::from(at)).wrapping_add_signed(offset))
        };
        let size_at = if bytes.len() == 14 { 12usize } else { 10 };
        let flags = u32_at(bytes, 8)?;
        Some(Self {
            site: pointer(0)?,
            replacement: pointer(4)?,
            size: u8_at(bytes, size_at)?,
            replacement_size: u8_at(bytes, size_at.saturating_add(1))?,
            is_direct_call: flags & DIRECT_CALL != 0 && bytes.len() == 14 && !before(version, DIRECT_CALLS),
            size_at,
        })
    }

    /// Size of the code that is written, in bytes.
    pub(super) fn written(&self) -> usize {
        usize::from(self.size.max(self.replacement_size))
    }

    /// The distance from the replacement to the site.
    const fn distance(&self) -> i64 {
        self.replacement.wrapping_sub(self.site).cast_signed()
    }

    /// Turns `code`, which begins with the replacement, into what Linux writes. `code` has the size
    /// of what is [`written`](Self::written). `None` if Linux stops with BUG.
    pub(super) fn form(&self, version: Version, code: &mut [u8]) -> Option<()> {
        code.get_mut(usize::from(self.replacement_size)..)?.fill(0x90);
        if before(version, LONG_NOPS) {
            self.first_branch(code)?;
        } else {
            self.every_field(code.get_mut(..usize::from(self.size))?)?;
        }
        nops::join(version, code.get_mut(..usize::from(self.size))?);
        Some(())
    }

    /// 6.1.192: a replacement that is a call or a jump (`recompute_jump`).
    fn first_branch(&self, code: &mut [u8]) -> Option<()> {
        let [op, field @ ..] = code else { return Some(()) };
        let Some((field, rest)) = field.split_at_mut_checked(4).filter(|_| self.replacement_size == 5) else {
            return Some(());
        };
        let old = i64::from(i32::from_le_bytes(<[u8; 4]>::try_from(&*field).ok()?));
        let new = old.wrapping_add(self.distance());
        let _ = rest;
        match *op {
            0xe8 | 0xe9 | 0xeb => {}
            _ => return Some(()),
        }
        // The displacement of a short jump, which is 3 bytes shorter. Linux makes it forwards only.
        let short = new.wrapping_add(3);
        match i8::try_from(short) {
            Ok(short) if *op != 0xe8 && new.wrapping_add(5) >= 0 => {
                *op = 0xeb;
                let (place, padding) = field.split_first_mut()?;
                *place = short.cast_unsigned();
                nops::fill(padding);
            }
            _ => {
                *op = if *op == 0xe8 { 0xe8 } else { 0xe9 };
                copy(field, &low32(new.cast_unsigned()).to_le_bytes());
            }
        }
        Some(())
    }

    /// 6.12.117: every relative field of the replacement (`__apply_relocation`).
    fn every_field(&self, code: &mut [u8]) -> Option<()> {
        let mut at = 0usize;
        while let Some(rest) = code.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let insn = decode(rest)?;
            let next = at.saturating_add(insn.len);
            if insn.is_branch() {
                self.branch(rest, &insn, next)?;
            }
            if insn.displacement.size != 0 {
                self.field(rest, insn.displacement, next)?;
            }
            at = next;
        }
        Some(())
    }

    /// Corrects a field, unless it leads into the replacement.
    fn field(&self, code: &mut [u8], field: super::insn::Field, next: usize) -> Option<()> {
        let value = field.read(code)?;
        let to = i64::try_from(next).ok()?.wrapping_add(value);
        if (0..=i64::from(self.replacement_size)).contains(&to) {
            return Some(());
        }
        field.write(code, value.wrapping_add(self.distance()))
    }

    /// Corrects a branch, and makes a near jump short if it fits.
    fn branch(&self, code: &mut [u8], insn: &Insn, next: usize) -> Option<()> {
        let value = insn.immediate.read(code)?;
        self.field(code, insn.immediate, next)?;
        let short = i8::try_from(value.wrapping_add(self.distance()).wrapping_add(3));
        if let ([0xe9, _], Ok(short)) = (insn.opcode, short) {
            let code = code.get_mut(..insn.len)?;
            code.fill(0xcc);
            if let [op, place, ..] = code {
                (*op, *place) = (0xeb, short.cast_unsigned());
            }
        }
        Some(())
    }
}

/// Returns the address that a direct call leads to, if `found` has the form of one
/// (`alt_replace_call`): a call, and a NOP of one byte. `None` for other code.
pub(super) fn direct_call(site: u64, found: &[u8]) -> Option<u64> {
    match *found {
        [0xe8, a, b, c, d, 0x90] => {
            let offset = i64::from(i32::from_le_bytes([a, b, c, d]));
            Some(site.wrapping_add(5).wrapping_add_signed(offset))
        }
        _ => None,
    }
}
