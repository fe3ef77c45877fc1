//! What the second level must refuse, by the list in the header: what a target must not be, and
//! where it must not be.

use super::super::call::Told;
use super::shaped::{HEADERS, Header, LIVEPATCH, SYMBOLS, SYMTAB, Shape};
use core::ops::Range;
use relakit::abi::*;
use relakit::reloc::RelocFlags;
use relakit_ffi::*;
use relakit_model::table;

/// Whether two pieces of memory have a byte in common.
pub fn shares(one: &Range<u128>, other: &Range<u128>) -> bool {
    one.start < other.end && other.start < one.end && !one.is_empty() && !other.is_empty()
}

/// The first entry of `table` whose symbol in `symtab` is not resolved.
pub fn first_unresolved(table: &[u8], symtab: &[u8]) -> Option<u64> {
    let entries = table::entries(table);
    (0..)
        .zip(&entries)
        .find_map(|(index, rela)| table::unresolved(index, *rela, symtab, RelocFlags::empty())?.1)
}

/// A call stops at the first unresolved symbol, or at something else before it.
pub fn stops_at_unresolved(answer: &Result<i32, Told>, first: Option<u64>) {
    match (first, answer) {
        (None, Err((status, ..))) => {
            assert_ne!(*status, RELAKIT_ERR_SYMBOL_UNRESOLVED, "every symbol is resolved")
        }
        (Some(first), Err((status, [_, Some(entry), ..], _))) => {
            assert!(
                *entry < first || *entry == first && *status == RELAKIT_ERR_SYMBOL_UNRESOLVED,
                "{answer:x?}, and entry {first} is unresolved"
            );
        }
        (Some(first), _) => panic!("{answer:x?}, and entry {first} is unresolved"),
        (None, Ok(_)) => {}
    }
}

impl Shape {
    fn addresses(&self, part: &Range<usize>) -> Range<u128> {
        let start = u128::from(self.arena.address(part.start));
        start..start + part.len() as u128
    }

    /// What is wrong with a relocation section that has entries, because of its target.
    fn of_target(&self, section: &Header) -> Option<i32> {
        let target = self.headers[section.info as usize];
        if matches!(target.kind, SHT_RELA | SHT_REL) || target.flags & LIVEPATCH != 0 {
            return Some(RELAKIT_ERR_TARGET_IS_RELOCATIONS);
        }
        let at = |header: &Header| {
            u128::from(header.address)..u128::from(header.address) + u128::from(header.size)
        };
        let (place, is_plain) = (at(&target), !self.manner.with_writer);
        let wraps = target.size != 0 && place.end > 1 << 64;
        if is_plain && target.size != 0 {
            if target.address == 0 {
                return Some(RELAKIT_ERR_NOT_ASSIGNED);
            }
            // No object of C can contain the last byte.
            if place.end >= 1 << 64 || target.size > i64::MAX as u64 {
                return Some(RELAKIT_ERR_ADDRESS_WRAPS);
            }
        }
        let headers = self.table.start..self.table.start + self.headers_used() * SHDR_SIZE;
        let mut lent = vec![at(section), self.addresses(&headers), self.addresses(&self.symtab)];
        if self.is_livepatch {
            lent.extend([&self.names, &self.strings].map(|part| self.addresses(part)));
        }
        let is_here = is_plain || !self.manner.foreign;
        match is_here && !wraps && lent.iter().any(|part| shares(part, &place)) {
            true => Some(RELAKIT_ERR_TARGET_OVERLAPS),
            false => wraps.then_some(RELAKIT_ERR_ADDRESS_WRAPS),
        }
    }

    /// What a call for one section must return, if that is not a matter of its relocations.
    fn of_section(&self) -> Option<i32> {
        let section = self.headers[self.relsec as usize];
        match (section.kind, section.info) {
            (SHT_REL, _) => Some(RELAKIT_ERR_REL_SECTION),
            (kind, _) if kind != SHT_RELA => Some(RELAKIT_ERR_NOT_RELOCATIONS),
            (_, info) if info == 0 || info as usize >= HEADERS => Some(RELAKIT_ERR_TARGET_OUT_OF_RANGE),
            (_, info) if info == SYMTAB || info == SYMTAB + 1 => Some(RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE),
            _ if section.size == 0 => None,
            _ => self.of_target(&section),
        }
    }

    /// Compares the answer of a call for one section with what it must be. `before` are the bytes
    /// of the arena before it.
    pub fn judge_one(&self, answer: &Result<i32, Told>, applies: bool, before: &[u8]) {
        const REFUSALS: [i32; 8] = [
            RELAKIT_ERR_REL_SECTION,
            RELAKIT_ERR_NOT_RELOCATIONS,
            RELAKIT_ERR_TARGET_OUT_OF_RANGE,
            RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE,
            RELAKIT_ERR_TARGET_IS_RELOCATIONS,
            RELAKIT_ERR_TARGET_OVERLAPS,
            RELAKIT_ERR_NOT_ASSIGNED,
            RELAKIT_ERR_ADDRESS_WRAPS,
        ];
        let status = answer.as_ref().err().map(|told| told.0);
        let expected = self.of_section();
        assert_eq!(status.filter(|status| REFUSALS.contains(status)), expected, "{answer:x?}");
        if expected.is_some() || !applies {
            return;
        }
        let section = self.headers[self.relsec as usize];
        let start = (section.address - self.arena.address(0)) as usize;
        let table = &before[start..start + section.size as usize];
        let is_allowed = self.flags & RELAKIT_OPT_ALLOW_ZERO_SYMBOLS != 0;
        let symtab = &before[self.symtab.start..][..SYMBOLS * SYM_SIZE];
        stops_at_unresolved(answer, first_unresolved(table, symtab).filter(|_| !is_allowed));
    }

    /// The same for the livepatch sections: one that has a wrong target is refused, and no other
    /// one.
    pub fn judge_livepatch(&self, answer: &Result<i32, Told>) {
        const REFUSALS: [i32; 4] = [
            RELAKIT_ERR_TARGET_IS_RELOCATIONS,
            RELAKIT_ERR_TARGET_OVERLAPS,
            RELAKIT_ERR_ADDRESS_WRAPS,
            RELAKIT_ERR_TABLE_OVERLAPS,
        ];
        let refused = |index: u32| {
            let section = &self.headers[index as usize];
            let start = u128::from(section.address);
            match self.of_target(section) {
                Some(RELAKIT_ERR_TARGET_IS_RELOCATIONS) => Some(RELAKIT_ERR_TARGET_IS_RELOCATIONS),
                // The table is read before its target is looked at.
                _ if shares(&(start..start + u128::from(section.size)), &self.addresses(&self.symtab)) => {
                    Some(RELAKIT_ERR_TABLE_OVERLAPS)
                }
                other => other,
            }
        };
        match answer {
            Ok(_) => {
                for index in (1..SYMTAB).filter(|index| self.is_applied(*index)) {
                    assert_eq!(refused(index), None, "section {index}");
                }
            }
            Err((status, [section, ..], _)) if REFUSALS.contains(status) => {
                let named = section.expect("it names the section") as u32;
                // One whose addresses wrap is named itself, and not its relocations.
                let is_it = |index: &u32| match *status {
                    RELAKIT_ERR_ADDRESS_WRAPS => self.headers[*index as usize].info == named,
                    _ => *index == named,
                };
                let mut sections = (1..SYMTAB).filter(|index| is_it(index) && self.is_applied(*index));
                assert!(sections.any(|index| refused(index) == Some(*status)), "{answer:x?}");
            }
            Err(_) => {}
        }
    }

    /// Whether a section is one of the object's, with relocations that are not skipped.
    fn is_applied(&self, index: u32) -> bool {
        let section = &self.headers[index as usize];
        let target = self.headers.get(section.info as usize).filter(|_| section.info != 0);
        let is_seen = !self.is_vmlinux || target.is_some_and(|target| target.flags & SHF_ALLOC != 0);
        section.flags & LIVEPATCH != 0 && self.is_name_of_object(section) && section.size != 0 && is_seen
    }
}

/// The section is in memory.
const SHF_ALLOC: u64 = 2;
