//! The comparison of one section.

use super::difference::{Difference, Excerpt, WrongField};
use super::source::Source;
use crate::arch::{Formula, Howto, howto};
use crate::elf::{Rela, RelaTable};
use crate::flags::RelocFlags;
use crate::read::{copy, index};
use crate::report::{Failed, Report};

/// Differences that are fewer bytes apart are reported as one.
const GAP: u64 = 8;

/// The relocations of a section.
pub(super) struct Fields<'a> {
    /// Section index of the relocation section.
    pub(super) section: u32,
    pub(super) entries: RelaTable<'a>,
    pub(super) rules: RelocFlags,
    /// Whether what is found is taken as expected, so that it is not reported as content too.
    pub(super) settles: bool,
}

/// The expected content of a section.
pub(super) struct Region<'a> {
    pub(super) section: u32,
    /// Run-time address. The last byte has an address too.
    pub(super) address: u64,
    pub(super) bytes: &'a mut [u8],
}

impl Region<'_> {
    /// Returns whether any byte is not as expected.
    pub(super) fn differs(&self, source: &mut Source<'_>, report: &mut Report) -> Result<bool, Failed> {
        let (mut rest, mut offset) = (&*self.bytes, 0u64);
        while !rest.is_empty() {
            let found = source.window(self, offset, report)?;
            let Some((expected, tail)) = rest.split_at_checked(found.len()) else { break };
            if found.is_empty() || expected != found {
                return Ok(true);
            }
            (rest, offset) = (tail, offset.wrapping_add(found.len() as u64));
        }
        Ok(false)
    }

    /// Reports each field of a relocation that is not as expected.
    pub(super) fn fields(
        &mut self,
        source: &mut Source<'_>,
        fields: Fields<'_>,
        on: &mut dyn FnMut(&Difference),
        report: &mut Report,
    ) -> Result<(), Failed> {
        for (entry, rela) in fields.entries.numbered() {
            let Some(howto) = howto(rela.r_type, fields.rules) else { continue };
            let size = usize::from(howto.size);
            let field = index(rela.r_offset).and_then(|start| Some(start..start.checked_add(size)?));
            let Some(expected) = field.clone().and_then(|field| self.bytes.get(field)) else { continue };
            let (mut before, mut after) = ([0; 8], [0; 8]);
            let Some((before, after)) = before.get_mut(..size).zip(after.get_mut(..size)) else { continue };
            copy(before, expected);
            source.read(self, rela.r_offset, after, report)?;
            if before == after {
                continue;
            }
            let address = self.address.wrapping_add(rela.r_offset);
            let relocation = WrongField {
                section: fields.section,
                entry: entry as u64,
                rela,
                leads_to: symbol_value(&howto, &rela, address, after),
                expected: symbol_value(&howto, &rela, address, before),
            };
            let difference = Difference::new(self.section, rela.r_offset, address, before, after);
            on(&Difference { relocation: Some(relocation), ..difference });
            let field = field.filter(|_| fields.settles);
            if let Some(place) = field.and_then(|field| self.bytes.get_mut(field)) {
                copy(place, after);
            }
        }
        Ok(())
    }

    /// Reports the bytes that are not as expected.
    pub(super) fn content(
        &self,
        source: &mut Source<'_>,
        on: &mut dyn FnMut(&Difference),
        report: &mut Report,
    ) -> Result<(), Failed> {
        let mut range = Range::default();
        let (mut rest, mut offset) = (&*self.bytes, 0u64);
        while !rest.is_empty() {
            let found = source.window(self, offset, report)?;
            let Some((expected, tail)) = rest.split_at_checked(found.len()).filter(|_| !found.is_empty())
            else {
                break;
            };
            for (expected, found) in expected.iter().zip(found) {
                if let Some(ended) = range.byte(offset, *expected, *found) {
                    on(&ended.difference(self));
                }
                offset = offset.wrapping_add(1);
            }
            rest = tail;
        }
        if range.differs {
            on(&range.difference(self));
        }
        Ok(())
    }
}

/// A range of bytes that are not as expected.
#[derive(Clone, Copy, Default)]
struct Range {
    differs: bool,
    start: u64,
    /// End of the last byte that is not as expected.
    end: u64,
    expected: Excerpt,
    found: Excerpt,
}

impl Range {
    /// Adds the byte at `offset`. Returns the range before it, if this byte shows that it has ended.
    fn byte(&mut self, offset: u64, expected: u8, found: u8) -> Option<Self> {
        let differs = expected != found;
        let ended = (self.differs && offset.wrapping_sub(self.end) >= GAP).then(|| core::mem::take(self));
        if differs && !self.differs {
            *self = Self { differs: true, start: offset, ..Self::default() };
        }
        if self.differs {
            self.expected.push(expected);
            self.found.push(found);
        }
        if differs {
            self.end = offset.wrapping_add(1);
        }
        ended
    }

    fn difference(&self, region: &Region<'_>) -> Difference {
        let size = self.end.wrapping_sub(self.start);
        let shown = index(size).unwrap_or(usize::MAX);
        let excerpt = |bytes: &Excerpt| {
            let bytes = bytes.as_slice();
            Excerpt::new(bytes.get(..shown).unwrap_or(bytes))
        };
        Difference {
            section: region.section,
            offset: self.start,
            address: region.address.wrapping_add(self.start),
            size,
            expected: excerpt(&self.expected),
            found: excerpt(&self.found),
            relocation: None,
        }
    }
}

/// Returns the symbol value with which the relocation at `address` gives `content`.
fn symbol_value(howto: &Howto, rela: &Rela, address: u64, content: &[u8]) -> u64 {
    let mut field = [0; 8];
    copy(&mut field, content);
    let sum = howto.extend(u64::from_le_bytes(field)).wrapping_sub(rela.r_addend.cast_unsigned());
    match howto.formula {
        Formula::PcRelative => sum.wrapping_add(address),
        _ => sum,
    }
}
