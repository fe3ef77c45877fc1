//! The sites of a module, and whether a write to one is what Linux would write.

use super::alternative::MAX;
use super::judge::Judge;
use super::known::{Kernel, Known};
use super::{Mismatch, Policy};
use crate::bytes::copy;
use crate::special::{Place, Role, Version, in_memory};
use relakit::verify::Reader;
use relakit::{CallbackError, Error, Loaded, Memory};

/// Code that Linux may rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PatchSite {
    /// Run-time address of the first byte.
    pub address: u64,
    /// Size in bytes, at most 255.
    pub size: u64,
    /// Which kind of code it is.
    pub role: Role,
    /// Section index of the special section.
    pub section: u32,
    /// Index of the entry in the special section, counted from 0.
    pub entry: u64,
    /// Section index of the code.
    pub code: u32,
    /// Offset of the first byte in the section of the code.
    pub offset: u64,
}

/// Reports the sites of a module that are in compared sections, see [`verify`](super::verify), in
/// the order of their special sections.
///
/// `expected` and `places` are as for [`verify`](super::verify).
pub fn patch_sites<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    expected: &mut M,
    version: Version,
    places: &[Place],
    report: &mut dyn FnMut(PatchSite),
) {
    let (mut known, mut reader, mut ignored) = (Nothing, Nothing, |_: &Mismatch| ());
    let kernel = &mut Kernel::new(version, &mut known);
    let mut judge = Judge::new(loaded, expected, &mut reader, kernel, places, &mut ignored);
    for (section, special) in in_memory(loaded) {
        let Some(entries) = judge.entries(section, special) else { continue };
        let mut entry = 0;
        while entry < entries.count {
            let (end, size) = match entries.role {
                Role::Alternative => {
                    let (end, size) = judge.group(&entries, entry);
                    (end, Some(size))
                }
                _ => (entry.saturating_add(1), None),
            };
            judge.site(&entries, entry, size).into_iter().for_each(&mut *report);
            entry = end;
        }
    }
}

/// A kernel of which nothing is known, and memory that cannot be read.
struct Nothing;

impl Known for Nothing {
    fn function(&mut self, _: u64) -> bool {
        false
    }

    fn symbol(&mut self, _: &[u8]) -> Option<u64> {
        None
    }
}

impl Reader for Nothing {
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), CallbackError> {
        Err(CallbackError(1))
    }
}

/// Returns the site for which a write of `bytes` to the run-time address `address` is allowed, at
/// this time. `None` if it is not: it is at no site, or the code would have no known form.
///
/// Linux rewrites an instruction in three steps (`text_poke_bp`), of which each is allowed: the
/// first byte becomes INT3, the bytes after it are written, and the first byte is written. A write of
/// a whole form, or a part of it, is allowed too. If the policy of a role is
/// [`Untouched`](Policy::Untouched), no write to its sites is allowed.
///
/// `expected` is as for [`verify`](super::verify), before that call. `reader` reads the memory before
/// the write. `sorted` are the sites of [`patch_sites`] in their natural order: address first. The
/// time is logarithmic in the number of sites, and linear in those within 255 bytes of the address.
///
/// # Errors
/// See [`Loaded::verify`].
pub fn allowed_patch<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    expected: &mut M,
    reader: &mut dyn Reader,
    kernel: &mut Kernel<'_>,
    sorted: &[PatchSite],
    address: u64,
    bytes: &[u8],
) -> Result<Option<PatchSite>, Error> {
    let mut ignored = |_: &Mismatch| ();
    let mut judge = Judge::new(loaded, expected, reader, kernel, &[], &mut ignored);
    let end = sorted.partition_point(|site| site.address <= address);
    let near = sorted.get(..end).unwrap_or_default().iter().rev();
    for site in near.take_while(|site| address.wrapping_sub(site.address) < MAX as u64) {
        let start = address.wrapping_sub(site.address);
        let is_inside = (bytes.len() as u64).checked_add(start).is_some_and(|end| end <= site.size);
        if is_inside && judge.allows(site, usize::try_from(start).unwrap_or(0), bytes)? {
            return Ok(Some(*site));
        }
    }
    Ok(None)
}

/// First bytes of known forms.
const FIRST: [u8; 11] = [0x0f, 0x66, 0x3e, 0x2e, 0x90, 0xe8, 0xe9, 0xeb, 0xc3, 0xf0, 0xff];
/// INT3.
const BREAKPOINT: u8 = 0xcc;

impl<M: Memory + ?Sized> Judge<'_, '_, '_, M> {
    /// Returns whether the code at a site may become what it is after `bytes` were written at
    /// `start`.
    fn allows(&mut self, site: &PatchSite, start: usize, bytes: &[u8]) -> Result<bool, Error> {
        match self.kernel.policies.of(site.role) {
            Policy::Untouched => return Ok(false),
            Policy::KnownForms => {}
            Policy::Anything => return Ok(true),
        }
        let (mut original, mut code) = ([0; MAX], [0; MAX]);
        let size = self.found(site, &mut code)?.len();
        let Some((original, code)) = original.get_mut(..size).zip(code.get_mut(..size)) else {
            return Ok(false);
        };
        if self.original(site.code, site.offset, original) != size {
            return Ok(false);
        }
        let is_form =
            |judge: &mut Self, code: &[u8]| code == original || judge.is_known(site, original, code);
        // The first of three steps.
        if (start, bytes) == (0, &[BREAKPOINT]) {
            return Ok(is_form(self, code));
        }
        let end = start.saturating_add(bytes.len());
        if let Some(place) = code.get_mut(start..end) {
            copy(place, bytes);
        }
        let [first, ..] = *code else { return Ok(false) };
        if is_form(self, code) {
            return Ok(true);
        }
        // The second step: only the first byte is missing.
        if first != BREAKPOINT || start == 0 {
            return Ok(false);
        }
        Ok(FIRST.iter().any(|first| {
            if let Some(place) = code.first_mut() {
                *place = *first;
            }
            is_form(self, code)
        }))
    }
}
