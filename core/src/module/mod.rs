//! The life of a module as types: [`Module`] (parsed) → [`Assigned`] (has memory) → [`Filled`] (has
//! its content) → [`Loaded`] (early pass done) → [`Late`] (target modules are loaded and unloaded).
//!
//! Each type is made only by the call before it. So special sections can be read only after every
//! early relocation was applied, and no late relocation can come before that.

mod class;
mod early;
mod headers;
#[cfg(feature = "klp")]
mod klp_symbols;
#[cfg(feature = "klp")]
mod late;
#[cfg(feature = "klp")]
mod late_from_file;
mod layout;
mod memory;
mod names;
#[cfg(feature = "klp")]
mod objects;
mod offsets;
mod plan;
#[cfg(feature = "klp")]
mod retained;
mod symbols;
#[cfg(all(test, not(feature = "klp")))]
mod without_klp;

pub use class::{Class, Classified, FailsAt, Reason};
pub use early::Loaded;
pub(crate) use headers::Headers;
#[cfg(feature = "klp")]
pub(crate) use klp_symbols::{KlpSymbols, klp_value};
#[cfg(feature = "klp")]
pub use late::Late;
pub(crate) use layout::Rules;
pub use layout::{Extent, Group, Layout, Placement};
pub use memory::{Assigned, Filled, Memory, SectionMemory};
#[cfg(feature = "klp")]
pub use objects::{MAX_OBJECTS, Objects};
pub use offsets::{Memories, Offsets};
pub use plan::GotSection;
pub use symbols::{Resolver, UNASSIGNED};

use crate::abi;
use crate::elf::{Object, Section, SectionFlags, Strictness};
use crate::error::{Error, ErrorKind};
use crate::flags::RelocFlags;
use crate::profile::{MAX_DROPPED, PerCpu, Profile};
use crate::read::range;
use crate::reloc::GotPlan;
use crate::report::{Failed, Report, capture};
use core::iter;
use core::ops::Range;
use headers::is_relocations;

/// A parsed module, and the profile by which it is loaded. All accesses stay inside its file.
#[derive(Clone, Debug)]
pub struct Module<'f> {
    object: Object<'f>,
    profile: Profile,
    headers: Headers<'f>,
    /// Whether a section has the livepatch flag, so that there may be late sections.
    has_livepatch: bool,
    /// The GOT, if the module was planned and needs one.
    got: Option<GotPlan<'f>>,
}

impl<'f> Module<'f> {
    /// Parses `file`, a whole relocatable object, by the rules of `profile` (Linux semantics 3).
    ///
    /// The time of every later call is linear in the sizes of the file and of the memory, because
    /// relocation tables that are together larger than the file are refused.
    ///
    /// # Errors
    /// - `FlagsConflict`: the profile has livepatch sections and `ADD_TO_FIELD`. A livepatch section gives
    ///   symbols new values, so the values that rollback must subtract would be unknown.
    /// - The errors of [`Object::parse`], as far as the profile checks them.
    /// - `NoSections`, `BadSectionZero`, `BadNameTable`, `NoSymbolTable`, `BadStringTable`,
    ///   `BadSymbolName`: Linux refuses the file.
    /// - `RelocationsTooLarge`: sections share the bytes of relocation tables.
    /// - `NullOutside`, `SharedBytes`: Linux would read bytes that are outside the file, or that it
    ///   has changed.
    pub fn parse(file: &'f [u8], mut profile: Profile) -> Result<Self, Error> {
        profile.livepatch &= cfg!(feature = "klp");
        let strictness = Strictness {
            ident: profile.checks_ident,
            extended_numbering: profile.extended_numbering,
            string_table_type: profile.checks_strings,
        };
        capture(|report| {
            if profile.livepatch && profile.flags.contains(RelocFlags::ADD_TO_FIELD) {
                return Err(report.fail(ErrorKind::FlagsConflict, u64::from(profile.flags.bits()), 0));
            }
            let object = Object::parse_with(file, strictness, report)?;
            let headers = find_sections(&object, &profile);
            let mut module = Self { object, profile, headers, has_livepatch: false, got: None };
            module.check(report)?;
            module.check_sections(report)?;
            Ok(module)
        })
    }

    /// Checks what Linux checks in addition to what is needed to read the file.
    fn check(&self, report: &mut Report) -> Result<(), Failed> {
        let Self { object, profile, .. } = self;
        let Some(zero) = object.section(0) else { return Err(report.fail(ErrorKind::NoSections, 0, 0)) };
        // With extended numbering, section 0 holds the counts that do not fit the header.
        let counts = profile.extended_numbering;
        for (field, is_bad) in [
            (u64::from(zero.sh_type), zero.sh_type != abi::SHT_NULL),
            (zero.sh_size, zero.sh_size != 0 && !counts),
            (zero.sh_addr, zero.sh_addr != 0),
        ] {
            if is_bad {
                let failed = report.fail(ErrorKind::BadSectionZero, field, 0);
                return Err(report.in_section(failed, 0));
            }
        }
        if object.names_section() == 0 {
            return Err(report.fail(ErrorKind::BadNameTable, 0, u64::from(object.section_count())));
        }
        let has_symbols = object.symbols().section() != 0;
        if profile.wants_symbols && !has_symbols {
            return Err(report.fail(ErrorKind::NoSymbolTable, 0, 0));
        }
        if profile.checks_strings && has_symbols {
            self.check_strings(report)?;
        }
        Ok(())
    }

    /// Checks what depends on all sections: that all relocation tables together are no larger than the
    /// file, and that Linux reads the bytes of the file that relakit reads.
    fn check_sections(&mut self, report: &mut Report) -> Result<(), Failed> {
        let (headers, _) = self.object.headers_range();
        let (mut tables, mut shares) = (0u64, self.template() != (0, 0));
        for (index, section) in self.object.sections() {
            let is_table = is_relocations(&section) && section.has_bytes();
            tables = tables.saturating_add(if is_table { section.sh_size } else { 0 });
            // Usually the headers come last.
            shares |= section.sh_offset.saturating_add(section.sh_size) > headers;
            shares |= section.sh_type == abi::SHT_NULL && index != 0;
            self.has_livepatch |= self.headers.is_livepatch(&section);
        }
        let file = self.object.bytes().len() as u64;
        if tables > file {
            return Err(report.fail(ErrorKind::RelocationsTooLarge, tables, file));
        }
        if shares { self.check_copy(report) } else { Ok(()) }
    }

    /// File offset and size of the per-CPU section, if Linux relocates it in its copy of the file.
    fn template(&self) -> (u64, u64) {
        let template = match self.profile.per_cpu {
            PerCpu::Template => self.object.section(self.headers.per_cpu).filter(Section::has_bytes),
            _ => None,
        };
        template.map_or((0, 0), |section| (section.sh_offset, section.sh_size))
    }

    /// Checks that Linux reads the bytes of the file that relakit reads.
    ///
    /// Linux writes into the section headers of its copy (`rewrite_section_headers`) before it
    /// copies sections, and relocates the per-CPU template before it reads later tables and names.
    /// It copies the bytes that an unused header with `SHF_ALLOC` describes (`move_module`).
    fn check_copy(&self, report: &mut Report) -> Result<(), Failed> {
        if !self.profile.writes_file {
            return Ok(());
        }
        let headers = self.object.headers_range();
        let template = self.template();
        for (index, section) in self.object.sections() {
            let (kind, bytes) = (section.sh_type, (section.sh_offset, section.sh_size));
            let is_copied =
                index != 0 && kind == abi::SHT_NULL && section.sh_flags.contains(SectionFlags::ALLOC);
            if is_copied
                && section.sh_size != 0
                && range(self.object.bytes(), section.sh_offset, section.sh_size).is_none()
            {
                let failed = report.fail(ErrorKind::NullOutside, section.sh_offset, section.sh_size);
                return Err(report.in_section(failed, index));
            }
            let is_read_late = is_relocations(&section) || index == self.object.names_section();
            let shares = overlap(bytes, headers) || is_read_late && overlap(bytes, template);
            if section.has_bytes() && shares {
                let failed = report.fail(ErrorKind::SharedBytes, section.sh_offset, section.sh_size);
                return Err(report.in_section(failed, index));
            }
        }
        Ok(())
    }

    /// Returns the file.
    pub const fn object(&self) -> &Object<'f> {
        &self.object
    }

    /// Returns the profile.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns the class of section `index`, and the reason. `None` if there is no such section.
    pub fn class(&self, index: u32) -> Option<Classified<'f>> {
        self.headers.class(index)
    }

    /// Returns the class of every section, section 0 included.
    pub fn classes(&self) -> impl Iterator<Item = (u32, Classified<'f>)> {
        (0..self.headers.count()).filter_map(|index| Some((index, self.headers.class(index)?)))
    }

    /// Returns the error of section `index` if its class is [`Malformed`](Class::Malformed).
    pub fn malformed(&self, index: u32) -> Option<Error> {
        let section = self.object.section(index)?;
        match self.headers.relocations(index, &section)?.class {
            Class::Malformed { kind, .. } => Some(self.headers.error(index, &section, kind)),
            _ => None,
        }
    }

    /// Returns whether section `index` is in memory while the module runs: it is `SHF_ALLOC`, and
    /// the profile does not drop it.
    pub fn is_allocated(&self, index: u32) -> bool {
        self.headers.is_allocated(index)
    }

    /// The indices of the sections that Linux reads.
    fn numbers(&self) -> Range<u32> {
        1..self.headers.count()
    }

    /// Returns the section index of the per-CPU section, if the profile treats it specially.
    pub fn per_cpu_section(&self) -> Option<u32> {
        Some(self.headers.per_cpu).filter(|&index| index != 0)
    }

    /// [`Profile::checks_strings`]: the string table begins and ends with NUL, and every name is
    /// inside.
    fn check_strings(&self, report: &mut Report) -> Result<(), Failed> {
        let symbols = self.object.symbols();
        let strings = symbols.strings().bytes();
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            let (link, count) = (symbols.strings_section(), self.object.section_count());
            let failed = report.fail(ErrorKind::BadStringTable, u64::from(link), u64::from(count));
            return Err(report.in_section(failed, symbols.section()));
        }
        for symbol in symbols {
            if u64::from(symbol.st_name) >= strings.len() as u64 {
                let (name, size) = (u64::from(symbol.st_name), strings.len() as u64);
                let failed = report.fail(ErrorKind::BadSymbolName, name, size);
                return Err(symbols.locate(symbol.index(), failed, report));
            }
        }
        Ok(())
    }
}

/// Finds the sections that the loader treats by name: the first `SHF_ALLOC` section of each name.
fn find_sections<'f>(object: &Object<'f>, profile: &Profile) -> Headers<'f> {
    let names = iter::once(&b".data..percpu"[..]).chain(profile.dropped.iter().copied());
    let [per_cpu, dropped @ ..] = object.allocated::<{ MAX_DROPPED + 1 }>(names);
    Headers {
        sections: object.headers(),
        names: object.names(),
        symbol_tables: [object.symbols().section(), object.symbols().strings_section()],
        dropped,
        per_cpu: match profile.per_cpu {
            PerCpu::Ordinary => 0,
            PerCpu::Skipped | PerCpu::Template => per_cpu,
        },
        skips_per_cpu: profile.per_cpu == PerCpu::Skipped,
        wants_targets: profile.wants_targets,
        livepatch: profile.livepatch,
    }
}

/// Returns `NotAModule` if `object` is not the name of a module.
#[cfg(feature = "klp")]
fn check_object(object: &[u8], report: &mut Report) -> Result<(), Failed> {
    match object.is_empty() || object == abi::VMLINUX {
        true => Err(report.fail(ErrorKind::NotAModule, object.len() as u64, 0)),
        false => Ok(()),
    }
}

/// Whether two ranges of (offset, size) inside the file have a byte in common.
const fn overlap(a: (u64, u64), b: (u64, u64)) -> bool {
    let (a_end, b_end) = (a.0.saturating_add(a.1), b.0.saturating_add(b.1));
    a.0 < b_end && b.0 < a_end && a.1 != 0 && b.1 != 0
}
