//! The order in which the sites of a module are compared.
//!
//! Linux rewrites code in this order (`module_finalize`): first paravirt calls, retpolines and
//! returns, also in replacements; then it copies replacements; the rest follows. A site may lie in
//! the original code of an alternative. So the comparison has four steps:
//! 1. the sites in replacements, so that what is expected there is what Linux copies;
//! 2. the alternatives that are replaced;
//! 3. all other sites;
//! 4. the alternatives that are not replaced. The sites in them now have the expected content.

use super::alternative::{EQUAL_LENGTHS, Entry, MAX, direct_call};
use super::forms::Form;
use super::judge::Judge;
use super::nops;
use super::patch::PatchSite;
use super::{Cause, Policy, Seen};
use crate::bytes::copy;
use crate::special::{Role, Special, Version, before, by_name, find, in_memory, role_of, sites};
use relakit::verify::Difference;
use relakit::{Error, Loaded, Memory};

/// The roles of step 3. A role comes before those whose sites it may have rewritten: the tracer's
/// calls and static calls are listed as calls too, trampolines as returns.
const ORDER: [Role; 11] = [
    Role::Trampoline,
    Role::StaticCall,
    Role::JumpLabel,
    Role::Trace,
    Role::Paravirt,
    Role::Retpoline,
    Role::Return,
    Role::Endbr,
    Role::CfiPreamble,
    Role::Call,
    Role::Lock,
];

/// The roles of step 1.
const BEFORE_COPY: [Role; 3] = [Role::Paravirt, Role::Retpoline, Role::Return];

/// The role of step 5. Linux rewrites its sites in replacements after it has copied them, so no copy
/// may be like the rewritten replacement.
const AFTER_COPY: Role = Role::Lock;

/// Sections that stable kernels read before the mainline version that added them, such as 5.10.223.
/// objtool of the module's kernel makes these sections, so a module has them if its kernel reads
/// them.
const BACKPORTED: [&str; 2] = [".retpoline_sites", ".return_sites"];

/// Linux rewrites the lock prefixes in the section of this name before 6.4, and then in all code
/// that is not freed after init (`module_finalize`, `alternatives_smp_unlock`).
const LOCKED: &[u8] = b".text";
const ALL_CODE_LOCKED: Version = (6, 4);
const INIT_PREFIX: &[u8] = b".init";

/// Greatest size of an entry with a site, in bytes.
const ENTRY_MAX: usize = 16;

/// The entries of a special section.
#[derive(Clone, Copy)]
pub(super) struct Entries {
    section: u32,
    special: &'static Special,
    /// The version with the format of the section.
    version: Version,
    pub(super) role: Role,
    /// Run-time address of the section.
    address: u64,
    /// Size of an entry in bytes.
    size: usize,
    pub(super) count: u64,
}

/// The bytes of a site.
pub(super) type Code = [u8; MAX];

impl<M: Memory + ?Sized> Judge<'_, '_, '_, M> {
    /// Compares all sites, and takes what is found there as expected.
    pub(super) fn sites(&mut self, loaded: &Loaded<'_>) -> Result<(), Error> {
        for role in BEFORE_COPY {
            self.of_role(loaded, role, true)?;
        }
        self.alternatives(loaded, true)?;
        for role in ORDER {
            self.of_role(loaded, role, false)?;
        }
        self.alternatives(loaded, false)?;
        self.of_role(loaded, AFTER_COPY, true)
    }

    /// Compares the sites of a role: those in replacements, or the others.
    fn of_role(&mut self, loaded: &Loaded<'_>, role: Role, in_replacements: bool) -> Result<(), Error> {
        for (section, special) in in_memory(loaded) {
            let Some(entries) = self.entries(section, special).filter(|of| of.role == role) else { continue };
            for entry in 0..entries.count {
                let Some(site) = self.site(&entries, entry, None) else { continue };
                let is_apart = BEFORE_COPY.contains(&role) || role == AFTER_COPY;
                if (is_apart && site.code == self.replacements) == in_replacements {
                    self.check(&site)?;
                }
            }
        }
        Ok(())
    }

    /// Compares the alternatives that are replaced, or all that are left.
    fn alternatives(&mut self, loaded: &Loaded<'_>, replaced: bool) -> Result<(), Error> {
        for (section, special) in in_memory(loaded) {
            let entries = self.entries(section, special).filter(|of| of.role == Role::Alternative);
            let Some(entries) = entries else { continue };
            let mut entry = 0;
            while entry < entries.count {
                let (end, size) = self.group(&entries, entry);
                if !replaced {
                    self.equal_lengths(&entries, entry, end);
                }
                if let Some(site) = self.site(&entries, entry, Some(size)) {
                    match replaced {
                        true => self.settle_replaced(&site)?,
                        false => self.check(&site)?,
                    }
                }
                entry = end;
            }
        }
        Ok(())
    }

    /// Takes what is found as expected if it is a replacement.
    fn settle_replaced(&mut self, site: &PatchSite) -> Result<(), Error> {
        if self.kernel.policies.of(site.role) == Policy::Untouched {
            return Ok(());
        }
        let mut found = [0; MAX];
        let found = self.found(site, &mut found)?;
        if self.is_replaced(site, found) {
            self.verified.rewritten = self.verified.rewritten.saturating_add(1);
            self.comparison.settle(site.code, site.offset, found);
        }
        Ok(())
    }

    /// Compares a site, and takes what is found as expected.
    fn check(&mut self, site: &PatchSite) -> Result<(), Error> {
        let policy = self.kernel.policies.of(site.role);
        let (mut original, mut found) = ([0; MAX], [0; MAX]);
        let found = self.found(site, &mut found)?;
        let size = self.original(site.code, site.offset, original.get_mut(..found.len()).unwrap_or_default());
        let original = original.get(..size).unwrap_or_default();
        let flexible = match (policy, site.role) {
            (Policy::Anything, _) => site.size,
            // A call has no other form.
            (Policy::Untouched, _) | (Policy::KnownForms, Role::Call) => 0,
            (Policy::KnownForms, _) => site.size,
        };
        self.verified.count(policy, flexible);
        let is_known = match policy {
            Policy::Anything => true,
            _ if original == found => true,
            Policy::Untouched => false,
            Policy::KnownForms => self.is_known(site, original, found),
        };
        if !is_known {
            let seen = Seen::of(site.address, found);
            let difference = Difference::new(site.code, site.offset, site.address, original, found);
            let cause = Cause::PatchSite { role: site.role, section: site.section, entry: site.entry };
            self.mismatch(difference, cause, seen);
        } else if original != found && policy == Policy::KnownForms {
            self.verified.rewritten = self.verified.rewritten.saturating_add(1);
        }
        self.comparison.settle(site.code, site.offset, found);
        Ok(())
    }

    /// Reads what is found at a site.
    pub(super) fn found<'b>(&mut self, site: &PatchSite, bytes: &'b mut Code) -> Result<&'b [u8], Error> {
        let size = usize::try_from(site.size).unwrap_or(0);
        let found = bytes.get_mut(..size).unwrap_or_default();
        self.comparison.found(site.code, site.offset, found)?;
        Ok(found)
    }

    /// Returns whether `found` is a known form of a site with this original code.
    pub(super) fn is_known(&mut self, site: &PatchSite, original: &[u8], found: &[u8]) -> bool {
        let version = self.kernel.version;
        if site.role == Role::Alternative {
            let mut joined = [0; MAX];
            let Some(joined) = joined.get_mut(..original.len()) else { return false };
            copy(joined, original);
            nops::join(version, joined);
            if joined == found {
                return true;
            }
            copy(joined, original);
            nops::join_jumps(joined);
            let is_joined = nops::may_join_jumps(version) && joined == found;
            return is_joined || self.is_replaced(site, found);
        }
        let Some(entries) = self.entries_of(site) else { return false };
        let (bytes, entry_at) = self.entry(&entries, site.entry);
        let entry = bytes.get(..entries.size).unwrap_or_default();
        let form = Form { version, role: site.role, address: site.address, original, found, entry, entry_at };
        form.is_known(self.kernel.known)
    }

    /// Returns whether `found` is what Linux writes for one of the entries of an alternative.
    fn is_replaced(&mut self, site: &PatchSite, found: &[u8]) -> bool {
        let Some(entries) = self.entries_of(site) else { return false };
        let (end, _) = self.group(&entries, site.entry);
        (site.entry..end).any(|entry| {
            let entry = self.alternative(&entries, entry);
            entry.is_some_and(|entry| self.is_written(&entry, site, found))
        })
    }

    /// Returns whether `found` is what Linux writes for this entry.
    fn is_written(&mut self, entry: &Entry, site: &PatchSite, found: &[u8]) -> bool {
        let version = self.kernel.version;
        let entry = match usize::try_from(site.size) {
            Ok(size) if !before(version, EQUAL_LENGTHS) => {
                Entry { size: entry.size.max(u8_of(size)), ..*entry }
            }
            _ => *entry,
        };
        if entry.is_direct_call {
            let is_call = direct_call(site.address, found).is_some_and(|to| self.kernel.known.function(to));
            return is_call || (found.len() == 6 && nops::is_nop(version, found));
        }
        let mut form = [0; MAX];
        let Some(form) = form.get_mut(..entry.written()) else { return false };
        let size = usize::from(entry.replacement_size);
        // An empty replacement may be at the end of its section, where no byte is.
        if let Some(code) = form.get_mut(..size).filter(|code| !code.is_empty()) {
            let Some((section, offset)) = self.replacement(entry.replacement) else { return false };
            if self.original(section, offset, code) != size {
                return false;
            }
        }
        entry.form(version, form).is_some() && form == found
    }

    /// Returns the section of a replacement and the offset in it. Linux's assembler macros put all
    /// replacements into one section.
    fn replacement(&mut self, address: u64) -> Option<(u32, u64)> {
        let (start, bytes) = self.comparison.expected(self.replacements)?;
        let offset = address.wrapping_sub(start);
        (offset < bytes.len() as u64).then_some((self.replacements, offset))
    }

    /// Makes the sizes in the entries of one site equal, as Linux does in the table.
    fn equal_lengths(&mut self, entries: &Entries, start: u64, end: u64) {
        if before(self.kernel.version, EQUAL_LENGTHS) {
            return;
        }
        let sizes =
            |judge: &mut Self, entry| judge.alternative(entries, entry).map(|of| (of.size, of.size_at));
        let Some(longest) = (start..end).filter_map(|entry| sizes(self, entry)).map(|of| of.0).max() else {
            return;
        };
        for entry in start..end {
            let Some((size, at)) = sizes(self, entry) else { continue };
            if size != longest {
                let offset = entries.offset(entry).wrapping_add(at as u64);
                self.comparison.settle(entries.section, offset, &[longest]);
            }
        }
    }

    /// Returns the end of the entries that have the same site as entry `start`, and the size of the
    /// site.
    pub(super) fn group(&mut self, entries: &Entries, start: u64) -> (u64, u64) {
        let (mut end, mut size, mut site) = (start, 0, None);
        while end < entries.count {
            let Some(entry) = self.alternative(entries, end) else { break };
            if *site.get_or_insert(entry.site) != entry.site {
                break;
            }
            size = size.max(entry.written());
            end = end.saturating_add(1);
        }
        (end.max(start.saturating_add(1)), size as u64)
    }

    fn alternative(&mut self, entries: &Entries, entry: u64) -> Option<Entry> {
        let (bytes, address) = self.entry(entries, entry);
        Entry::read(self.kernel.version, bytes.get(..entries.size)?, address)
    }

    /// Returns the entries of a special section for which kernels of this version rewrite code.
    pub(super) fn entries(&mut self, section: u32, special: &'static Special) -> Option<Entries> {
        let version = match special.since {
            Some(since) if BACKPORTED.contains(&special.name) => self.kernel.version.max(since),
            _ => self.kernel.version,
        };
        let role = role_of(special, version)?;
        let size = usize::from(special.entry_size(version)?).min(ENTRY_MAX);
        let (address, bytes) = self.comparison.expected(section)?;
        let count = bytes.len().checked_div(size)? as u64;
        Some(Entries { section, special, version, role, address, size, count })
    }

    fn entries_of(&mut self, site: &PatchSite) -> Option<Entries> {
        let object = self.comparison.module().object();
        let special = by_name(object.section_name(&object.section(site.section)?))?;
        self.entries(site.section, special)
    }

    /// Returns the bytes of an entry and its run-time address.
    fn entry(&mut self, entries: &Entries, entry: u64) -> ([u8; ENTRY_MAX], u64) {
        let offset = entries.offset(entry);
        let mut bytes = [0; ENTRY_MAX];
        self.original(entries.section, offset, bytes.get_mut(..entries.size).unwrap_or_default());
        (bytes, entries.address.wrapping_add(offset))
    }

    /// Returns the site of an entry, which has `size` bytes if that is known. `None` if the site is
    /// not in a section that is compared, or Linux does not rewrite it there.
    pub(super) fn site(&mut self, entries: &Entries, entry: u64, size: Option<u64>) -> Option<PatchSite> {
        let (bytes, address) = self.entry(entries, entry);
        let bytes = bytes.get(..entries.size)?;
        let site = sites(entries.special, entries.version, bytes, address).next()?;
        let (place, offset) = find(self.places, site.address)?;
        if !self.comparison.compares(place.section)
            || (site.role == Role::Lock && !self.is_locked(place.section))
        {
            return None;
        }
        let mut code = [0; ENTRY_MAX];
        let available = self.original(place.section, offset, &mut code);
        let size = size.unwrap_or(site.size_in(code.get(..available)?));
        // A site that ends outside of the section is compared as content.
        (size <= place.size.wrapping_sub(offset) && size <= MAX as u64).then_some(PatchSite {
            address: site.address,
            size,
            role: site.role,
            section: entries.section,
            entry,
            code: place.section,
            offset,
        })
    }

    /// Whether Linux rewrites lock prefixes in this section.
    fn is_locked(&self, section: u32) -> bool {
        let object = self.comparison.module().object();
        object.section(section).is_some_and(|section| match before(self.kernel.version, ALL_CODE_LOCKED) {
            true => object.section_is_named(&section, LOCKED),
            false => !object.section_name_starts_with(&section, INIT_PREFIX),
        })
    }
}

impl Entries {
    const fn offset(&self, entry: u64) -> u64 {
        entry.wrapping_mul(self.size as u64)
    }
}

/// A size of at most 255.
fn u8_of(size: usize) -> u8 {
    u8::try_from(size).unwrap_or(u8::MAX)
}
