//! The comparison, and what is known about the kernel.

use super::forms::Branch;
use super::known::Kernel;
use super::{Cause, Mismatch, Seen, Verified};
use crate::special::{Place, find};
use relakit::verify::{CONSTANT, Comparison, Difference, Reader};
use relakit::{Error, Loaded, Memory};

/// The section with the replacements.
const REPLACEMENTS: &[u8] = b".altinstr_replacement";

/// A comparison with what is known about the kernel.
pub(super) struct Judge<'j, 'c, 'k, M: ?Sized> {
    pub(super) comparison: Comparison<'c, M>,
    pub(super) kernel: &'j mut Kernel<'k>,
    pub(super) places: &'j [Place],
    pub(super) report: &'j mut dyn FnMut(&Mismatch),
    pub(super) verified: Verified,
    /// Section index of the replacements of alternatives, or 0.
    pub(super) replacements: u32,
}

impl<'j, 'c, 'k, M: Memory + ?Sized> Judge<'j, 'c, 'k, M> {
    pub(super) fn new(
        loaded: &'c Loaded<'c>,
        expected: &'c mut M,
        reader: &'c mut dyn Reader,
        kernel: &'j mut Kernel<'k>,
        places: &'j [Place],
        report: &'j mut dyn FnMut(&Mismatch),
    ) -> Self {
        let comparison = Comparison::new(loaded, expected, reader, CONSTANT);
        let object = loaded.module().object();
        let found = object.sections().find(|(_, section)| object.section_is_named(section, REPLACEMENTS));
        let replacements = found.map_or(0, |(index, _)| index);
        Self { comparison, kernel, places, report, verified: Verified::default(), replacements }
    }
}

impl<M: Memory + ?Sized> Judge<'_, '_, '_, M> {
    pub(super) fn mismatch(&mut self, difference: Difference, cause: Cause, seen: Seen) {
        self.verified.mismatches = self.verified.mismatches.saturating_add(1);
        (self.report)(&Mismatch { difference, cause, seen });
    }

    /// Compares what is neither a patch site nor a sorted table.
    pub(super) fn rest(mut self) -> Result<Verified, Error> {
        let (report, places) = (&mut self.report, self.places);
        let found = self.comparison.run(&mut |difference| {
            let is_code = || find(places, difference.address).is_some_and(|(place, _)| place.is_code);
            let (cause, seen) = match difference.relocation {
                // A field does not begin with an opcode.
                Some(_) => (Cause::Relocation, Seen::Other),
                None if is_code() => {
                    (Cause::Content, Seen::of(difference.address, difference.found.as_slice()))
                }
                None => (Cause::Content, Seen::Other),
            };
            report(&Mismatch { difference: *difference, cause, seen });
        })?;
        let apart = self.verified.judged_apart;
        Ok(Verified {
            bytes: found.bytes.saturating_add(apart),
            not_judged: found.not_judged.saturating_sub(apart),
            mismatches: self.verified.mismatches.saturating_add(found.differences),
            ..self.verified
        })
    }

    /// Copies the expected content at `offset` of a section. Returns the number of bytes, which is
    /// less than asked for at the end of the section.
    pub(super) fn original(&mut self, section: u32, offset: u64, bytes: &mut [u8]) -> usize {
        let from =
            self.comparison.expected(section).and_then(|(_, all)| all.get(usize::try_from(offset).ok()?..));
        let from = from.unwrap_or_default();
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        bytes.len().min(from.len())
    }
}

impl Seen {
    /// Names the code that begins with `found`.
    pub(super) fn of(address: u64, found: &[u8]) -> Self {
        let branch = found.first_chunk::<5>().and_then(|near| Branch::of(address, near));
        match (found, branch.or_else(|| Branch::of(address, found))) {
            ([0xcc, ..], _) => Self::Breakpoint,
            (_, Some(branch)) => Self::Branch { to: branch.to },
            _ => Self::Other,
        }
    }
}
