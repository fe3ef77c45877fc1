//! Checks of the entries of special sections after the early pass: size, relocations, and the code
//! to which they lead.

mod pointees;
mod thunks;

pub use pointees::{Pointee, Pointees, pointees};
pub use thunks::thunk_sites;

use super::{Field, Finding, Lint};
use crate::bytes::{index as to_index, u8_at, u32_at};
use crate::special::{Harm, Place, Pointer, Role, Site, Special, Version, find, of_section, pointers, sites};
use Harm::{Crashes, Silent, Warns};
use relakit::elf::Rela;
use relakit::{Class, Loaded, Memory, Module};

/// A mistake in a special section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defect {
    /// The rule and the location. If entries of one section have the same mistake, it is the first
    /// of them, and the finding has their number.
    pub finding: Finding,
    /// What the mistake does while the module loads.
    pub harm: Harm,
    /// What Linux does, as a predicate: "warns, and leaves the return as it is".
    pub then: &'static str,
    /// The special section whose reader does it.
    pub special: &'static Special,
}

/// Tables of a module that [`entries`] searches. The caller collects and sorts them.
#[derive(Clone, Copy, Debug)]
pub struct Sorted<'s> {
    /// The places of [`places`](crate::special::places()) in their natural order.
    pub places: &'s [Place],
    /// The fields of [`fields`](super::fields()) in their natural order.
    pub fields: &'s [Field],
    /// The sites of [`thunk_sites`] in their natural order.
    pub thunk_sites: &'s [(Role, u64)],
}

/// The replacement is a direct call to the target of the original indirect one (6.8).
const ALT_FLAG_DIRECT_CALL: u8 = 1 << 1;

/// Reports the mistakes in the special sections that kernels of this version read.
///
/// `memory` is that of the early pass, with its content after the pass. Special sections behind a
/// writer are not read. Fields of late relocations are reported only if Linux crashes before they
/// are applied; [`Lint::LateIntoSpecial`] has the others.
///
/// With n sites and relocations, the call takes n log n steps at most.
pub fn entries<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    memory: &mut M,
    version: Version,
    sorted: Sorted<'_>,
    report: &mut dyn FnMut(Defect),
) {
    let module = loaded.module();
    let mut sections = module.object().sections().map(|(_, section)| section);
    let unwind = sections.find(|section| module.object().section_is_named(section, b".orc_unwind"));
    for index in 1..module.object().section_count() {
        let Some(special) = of_section(loaded, index) else { continue };
        let Some(size) = special.entry_size(version).filter(|_| special.is_read_by(version)) else {
            continue;
        };
        let Some(target) = memory.target(index) else { continue };
        let Some(bytes) = target.bytes() else { continue };
        let relocations = Relocations { module, fields: sorted.fields };
        let table = Table {
            relocations,
            fields: relocations.of(index),
            places: sorted.places,
            index,
            special,
            pointers: pointers(special, version),
            version,
            size: u64::from(size),
            unwind_entries: unwind.map(|section| section.sh_size / 6),
        };
        table.check(bytes, target.address(), report);
    }
    thunks::check(loaded, memory, version, sorted, report);
}

/// The relocations of a module by field.
#[derive(Clone, Copy)]
struct Relocations<'a, 'f> {
    module: &'a Module<'f>,
    fields: &'a [Field],
}

impl<'a, 'f> Relocations<'a, 'f> {
    /// Returns the fields in section `index`.
    fn of(&self, index: u32) -> &'a [Field] {
        let begin = self.fields.partition_point(|field| field.target < index);
        let from = self.fields.get(begin..).unwrap_or_default();
        from.get(..from.partition_point(|field| field.target == index)).unwrap_or_default()
    }

    /// Returns the relocation of the field at an offset.
    fn rela_at(&self, section: u32, offset: u64) -> Option<(Field, Rela)> {
        let field = at(self.of(section), offset)?;
        Some((field, self.module.relocations(field.section).get(to_index(field.entry)?)?))
    }

    /// Returns whether the relocation is early, and the name of its symbol.
    fn symbol_at(&self, section: u32, offset: u64) -> Option<(bool, &'f [u8])> {
        let (field, rela) = self.rela_at(section, offset)?;
        let symbols = self.module.object().symbols();
        let name = symbols.name(&symbols.get(rela.r_sym)?).ok()?;
        Some((self.is_early(&field), name))
    }

    fn is_early(&self, field: &Field) -> bool {
        let class = self.module.class(field.section);
        !class.is_some_and(|class| matches!(class.class, Class::KlpLate { .. }))
    }
}

/// Returns the field at an offset. `sorted` has the fields of one section.
fn at(sorted: &[Field], offset: u64) -> Option<Field> {
    let place = sorted.partition_point(|field| field.offset < offset);
    sorted.get(place).copied().filter(|field| field.offset == offset)
}

/// A special section that is a table.
struct Table<'a, 'f> {
    relocations: Relocations<'a, 'f>,
    /// The fields in the section.
    fields: &'a [Field],
    places: &'a [Place],
    index: u32,
    special: &'static Special,
    pointers: [Option<&'static Pointer>; 3],
    version: Version,
    /// Size of an entry in bytes.
    size: u64,
    /// Number of entries of `.orc_unwind`.
    unwind_entries: Option<u64>,
}

/// The state of the pointers of an entry.
enum Pointers {
    /// All have early relocations.
    Complete,
    /// One has a late relocation.
    Late,
    /// One has no relocation.
    Missing(Harm, &'static str),
}

/// Entries of one section with the same mistake.
#[derive(Clone, Copy)]
struct Tally {
    first: Option<(u64, &'static str)>,
    entries: u64,
}

/// One tally for each [`Harm`].
struct Tallies([Tally; 3]);

impl Tallies {
    const NONE: Self = Self([Tally { first: None, entries: 0 }; 3]);

    fn add(&mut self, entry: u64, harm: Harm, then: &'static str) {
        let [silent, warns, crashes] = &mut self.0;
        let tally = match harm {
            Silent => silent,
            Warns => warns,
            Crashes => crashes,
        };
        tally.first.get_or_insert((entry, then));
        tally.entries = tally.entries.saturating_add(1);
    }

    /// The tallies that are not empty: harm, first entry, what Linux does, number of entries.
    fn iter(&self) -> impl Iterator<Item = (Harm, u64, &'static str, u64)> {
        let all = [Silent, Warns, Crashes].into_iter().zip(self.0);
        all.filter_map(|(harm, tally)| tally.first.map(|(entry, then)| (harm, entry, then, tally.entries)))
    }
}

impl Table<'_, '_> {
    fn check(&self, bytes: &[u8], address: u64, report: &mut dyn FnMut(Defect)) {
        let length = bytes.len() as u64;
        if let Some(other) = self.other_layout(length) {
            let harm = if self.special.name == ".altinstructions" { Crashes } else { Silent };
            let finding = Finding { value: other, limit: self.size, ..Finding::new(Lint::SpecialLayout) };
            self.report(finding, harm, "reads the entries with another size", report);
            return;
        }
        self.rest(length, report);
        let mut missing = Tallies::NONE;
        let mut wrong = Tallies::NONE;
        let whole = length.checked_div(self.size).unwrap_or(0);
        for entry in 0..whole {
            if let Pointers::Missing(harm, then) = self.state(entry, self.size) {
                missing.add(entry, harm, then);
            }
        }
        let lint = if self.special.name == "__mcount_loc" { Lint::TraceSite } else { Lint::SpecialTarget };
        for site in sites(self.special, self.version, bytes, address) {
            match self.state(site.entry, self.size) {
                Pointers::Complete => {
                    if let Some((harm, then)) = self.site(&site, bytes) {
                        wrong.add(site.entry, harm, then);
                    }
                }
                Pointers::Missing(..) if self.direct_call(&site, bytes, &[]).is_some() => {
                    missing.add(site.entry, Crashes, "stops with BUG, because there is no indirect call");
                }
                // Linux writes over the entries after it.
                Pointers::Missing(..) if self.is_overrun(&site, address, length) => {
                    missing.add(site.entry, Crashes, "writes over other entries of the table");
                }
                _ => {}
            }
        }
        for (lint, tallies) in [(Lint::SpecialNotRelocated, missing), (lint, wrong)] {
            for (harm, entry, then, entries) in tallies.iter() {
                let finding = Finding { entry: Some(entry), value: entries, ..Finding::new(lint) };
                self.report(finding, harm, then, report);
            }
        }
    }

    fn report(&self, finding: Finding, harm: Harm, then: &'static str, report: &mut dyn FnMut(Defect)) {
        let finding = Finding { section: Some(self.index), ..finding };
        report(Defect { finding, harm, then, special: self.special });
    }

    /// Returns the entry size of other kernels if the table has that layout: all entries are whole
    /// and have their relocations, which those of this kernel's size do not have.
    fn other_layout(&self, length: u64) -> Option<u64> {
        let fits = |size: u64| {
            let entries = length.checked_div(size).unwrap_or(0);
            let is_whole = entries.saturating_mul(size) == length;
            let is_relocated = |entry| matches!(self.state(entry, size), Pointers::Complete);
            is_whole && self.pointers.iter().any(Option::is_some) && (0..entries).all(is_relocated)
        };
        let others = self.special.entry_sizes.iter().map(|&(_, size)| u64::from(size));
        let mut others = others.filter(|size| *size != self.size && length != 0);
        if fits(self.size) { None } else { others.find(|size| fits(*size)) }
    }

    /// Reports bytes after the last whole entry. The readers that loop while the entry is below the
    /// end read past the end of the section; the others ignore the bytes.
    fn rest(&self, length: u64, report: &mut dyn FnMut(Defect)) {
        let rest = length.checked_rem(self.size).unwrap_or(0);
        if rest == 0 {
            return self.unwind_tables(length, report);
        }
        let (harm, then) = match self.special.name {
            // The last bytes of an entry are padding.
            ".parainstructions" if rest >= 10 => return,
            ".parainstructions" | ".altinstructions" | ".retpoline_sites" | ".return_sites" => {
                (Crashes, "reads past the end of the section")
            }
            ".orc_unwind_ip" | ".orc_unwind" | ".ibt_endbr_seal" => (Warns, "warns"),
            ".cfi_sites" | ".call_sites" | ".smp_locks" => (Silent, "reads past the end of the section"),
            _ => (Silent, "ignores the rest"),
        };
        let finding = Finding { value: rest, limit: self.size, ..Finding::new(Lint::SpecialSize) };
        self.report(finding, harm, then, report);
    }

    /// The two tables of the unwinder have the same number of entries (`unwind_module_init`).
    fn unwind_tables(&self, length: u64, report: &mut dyn FnMut(Defect)) {
        let Some(others) = self.unwind_entries.filter(|_| self.special.name == ".orc_unwind_ip") else {
            return;
        };
        let difference = (length / 4).abs_diff(others);
        if difference != 0 {
            let rest = difference.saturating_mul(4);
            let finding = Finding { value: rest, limit: self.size, ..Finding::new(Lint::SpecialSize) };
            self.report(finding, Warns, "warns that .orc_unwind has another number of entries", report);
        }
    }

    /// Returns the state of the pointers of an entry, if entries have this size.
    fn state(&self, entry: u64, size: u64) -> Pointers {
        let mut state = Pointers::Complete;
        for pointer in self.pointers.iter().flatten() {
            let field = at(self.fields, entry.saturating_mul(size).saturating_add(pointer.at));
            match (field, &state) {
                (None, Pointers::Missing(harm, _)) if *harm >= pointer.harm => {}
                (None, _) => state = Pointers::Missing(pointer.harm, pointer.then),
                (Some(field), _) if !self.relocations.is_early(&field) => {
                    // Before the late pass, it is as if the relocation were missing.
                    if pointer.harm == Crashes && !self.special.takes_late(self.version) {
                        return Pointers::Missing(pointer.harm, pointer.then);
                    }
                    return Pointers::Late;
                }
                _ => {}
            }
        }
        state
    }

    /// Whether an alternative that leads to its own entry is longer than the entry, and others
    /// follow.
    fn is_overrun(&self, site: &Site, address: u64, length: u64) -> bool {
        let entry = address.wrapping_add(site.entry.saturating_mul(self.size));
        let after = entry.wrapping_add(self.size);
        site.role == Role::Alternative
            && site.address == entry
            && site.size > self.size
            && after < address.wrapping_add(length)
    }

    /// Returns what is wrong with the code of a site.
    fn site(&self, site: &Site, bytes: &[u8]) -> Option<(Harm, &'static str)> {
        let Some((place, offset)) = find(self.places, site.address) else { return self.outside(site) };
        let is_whole = offset.saturating_add(site.size) <= place.size;
        let code = self.code(&place, offset);
        let role = site.role;
        match role {
            Role::Paravirt | Role::Alternative if site.size > 254 => {
                Some((Crashes, "stops with BUG, because the code is too long"))
            }
            // Linux writes a call of 5 bytes.
            Role::Paravirt if site.size < 5 => {
                Some((Crashes, "stops with BUG, because the code is too short"))
            }
            Role::Paravirt | Role::Alternative if !is_whole => {
                Some((Crashes, "writes past the end of the section"))
            }
            Role::Paravirt | Role::Alternative if !place.is_code => Some((Silent, "patches data")),
            Role::Replacement if !is_whole && site.size != 0 => {
                Some((Silent, "copies bytes from behind the section"))
            }
            Role::Alternative => self.feature(site, bytes).or_else(|| self.direct_call(site, bytes, code)),
            Role::Return => self.return_site(&place, offset, code),
            Role::Retpoline => self.retpoline_site(&place, offset, code),
            Role::Endbr if !is_endbr(code) => Some((Warns, "warns, because there is no ENDBR")),
            Role::JumpLabel if !is_jump_label(code) => Some(match self.version < (6, 0) {
                true => (Crashes, "stops with BUG, because the branch is not there"),
                false => (Silent, "stops with BUG when the key changes, because the branch is not there"),
            }),
            Role::StaticCall if !is_static_call(code, self.is_tail(site)) => {
                Some((Crashes, "stops with BUG, because the call is not there"))
            }
            Role::Trace => self.trace_site(&place, offset, code),
            _ => None,
        }
    }

    /// The site is not in the module.
    const fn outside(&self, site: &Site) -> Option<(Harm, &'static str)> {
        match site.role {
            Role::Replacement if site.size == 0 => None,
            Role::Paravirt
            | Role::Alternative
            | Role::Replacement
            | Role::Retpoline
            | Role::Return
            | Role::StaticCall => Some((Crashes, "reads or writes outside of the module")),
            Role::Endbr => Some((Warns, "warns, because there is no ENDBR")),
            Role::Trace => Some((Warns, "prints \"ftrace bug\" and turns ftrace off until the next boot")),
            Role::JumpLabel => Some((Silent, "cannot patch the branch, which is outside of the module")),
            // The readers skip what is not in the module's code.
            _ => None,
        }
    }

    /// No kernel up to 7.3 has more than 32 words of CPU features and bugs. `apply_alternatives`
    /// stops for a number that it does not know.
    fn feature(&self, site: &Site, bytes: &[u8]) -> Option<(Harm, &'static str)> {
        let at = to_index(site.entry.saturating_mul(self.size).saturating_add(8))?;
        // Before 6.3, the highest bit says that the feature must be absent.
        let mask = if self.size == 14 { 0xffff } else { 0x7fff };
        let feature = u32_at(bytes, at)? & mask;
        (feature >= 32 * 32).then_some((Crashes, "stops with BUG, because it does not know the CPU feature"))
    }

    /// `alt_replace_call` stops unless an indirect call is replaced by a direct one. An entry without
    /// relocations leads to neither.
    fn direct_call(&self, site: &Site, bytes: &[u8], code: &[u8]) -> Option<(Harm, &'static str)> {
        if site.role != Role::Alternative {
            return None;
        }
        let begin = to_index(site.entry.saturating_mul(self.size))?;
        let [flags, _, length, replacement] = *bytes.get(begin..)?.get(10..14)?.first_chunk()?;
        let is_direct_call = self.version >= (6, 8) && flags & ALT_FLAG_DIRECT_CALL != 0;
        let is_right = code.starts_with(&[0xff, 0x15]) && (length, replacement) == (6, 5);
        (is_direct_call && !is_right)
            .then_some((Crashes, "stops with BUG, because there is no indirect call"))
    }

    fn return_site(&self, place: &Place, offset: u64, code: &[u8]) -> Option<(Harm, &'static str)> {
        // `__static_call_fixup`: a trampoline may begin with any jump or return.
        let is_trampoline = code.get(5..8) == Some(&[0x0f, 0xb9, 0xcc]);
        let opcode = prefix(code);
        let leads = self.leads_to(place, offset, opcode.saturating_add(1), b"__x86_return_thunk");
        let is_jump = u8_at(code, opcode) == Some(0xe9);
        (!is_trampoline && (!is_jump || !leads))
            .then_some((Warns, "warns of a missing return thunk, and leaves the code as it is"))
    }

    fn retpoline_site(&self, place: &Place, offset: u64, code: &[u8]) -> Option<(Harm, &'static str)> {
        let opcode = prefix(code);
        let branch = match (u8_at(code, opcode), u8_at(code, opcode.saturating_add(1))) {
            (Some(0xe8 | 0xe9), _) => opcode.saturating_add(1),
            (Some(0x0f), Some(0x80..=0x8f)) => opcode.saturating_add(2),
            _ => return Some((Warns, "warns, because there is no branch")),
        };
        if self.leads_to(place, offset, branch, b"__x86_indirect_thunk_rsp") {
            return Some((
                Crashes,
                "stops with BUG, because a branch to the address in RSP has no replacement",
            ));
        }
        (!self.leads_to(place, offset, branch, b"__x86_indirect_thunk_"))
            .then_some((Warns, "warns, because the branch does not lead to a retpoline"))
    }

    /// Linux compares the code with a call of `__fentry__`. A kernel that is built with NOPs in its
    /// place compares nothing.
    fn trace_site(&self, place: &Place, offset: u64, code: &[u8]) -> Option<(Harm, &'static str)> {
        let is_nop = code.starts_with(&[0x0f, 0x1f, 0x44, 0, 0]);
        let is_call = code.first() == Some(&0xe8) && self.leads_to(place, offset, 1, b"__fentry__");
        (!is_nop && !is_call)
            .then_some((Warns, "prints \"ftrace bug\" and turns ftrace off until the next boot"))
    }

    /// Whether the relocation of a branch uses a symbol with this name or beginning of a name. A
    /// late relocation leads anywhere.
    fn leads_to(&self, place: &Place, offset: u64, field: usize, name: &[u8]) -> bool {
        let offset = offset.saturating_add(field as u64);
        let Some((is_early, symbol)) = self.relocations.symbol_at(place.section, offset) else {
            return false;
        };
        let plain = symbol.strip_prefix(b".klp.sym.vmlinux.").unwrap_or(symbol);
        !is_early || plain.starts_with(name)
    }

    /// Bit 0 of the key says that the call is a tail call (`STATIC_CALL_SITE_TAIL`). Keys are
    /// aligned, so it comes from the addend.
    fn is_tail(&self, site: &Site) -> bool {
        let key = site.entry.saturating_mul(self.size).saturating_add(4);
        let rela = self.relocations.rela_at(self.index, key);
        rela.is_some_and(|(_, rela)| rela.r_addend & 1 != 0)
    }

    /// The bytes of the file at an offset. Relocation does not change opcodes.
    fn code(&self, place: &Place, offset: u64) -> &[u8] {
        let object = self.relocations.module.object();
        let bytes = object.section(place.section).map_or(&[][..], |section| object.section_bytes(&section));
        to_index(offset).and_then(|offset| bytes.get(offset..)).unwrap_or_default()
    }
}

/// Compilers pad branches to thunks with a CS prefix.
fn prefix(code: &[u8]) -> usize {
    usize::from(code.first() == Some(&0x2e))
}

/// ENDBR64, or what Linux writes over one.
fn is_endbr(code: &[u8]) -> bool {
    [[0xf3, 0x0f, 0x1e, 0xfa], [0x66, 0x0f, 0x1f, 0], [0x0f, 0x1f, 0x40, 0xd6]]
        .iter()
        .any(|endbr| code.starts_with(endbr))
}

/// A jump, or the NOP of the same size (`arch_jump_entry_size`).
fn is_jump_label(code: &[u8]) -> bool {
    let first: &[&[u8]] = &[&[0xeb], &[0xe9], &[0x66, 0x90], &[0x0f, 0x1f, 0x44, 0, 0]];
    first.iter().any(|first| code.starts_with(first))
}

/// What `__static_call_validate` accepts: a call, or what Linux writes over one.
fn is_static_call(code: &[u8], is_tail: bool) -> bool {
    match is_tail {
        true => match code {
            [0xe9 | 0xc3, ..] => true,
            [0x0f, second, ..] => (0x80..=0x8f).contains(second),
            _ => false,
        },
        false => {
            let first: &[&[u8]] = &[&[0xe8], &[0x0f, 0x1f, 0x44, 0, 0], &[0x2e, 0x2e, 0x2e, 0x31, 0xc0]];
            first.iter().any(|first| code.starts_with(first))
        }
    }
}
