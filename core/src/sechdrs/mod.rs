//! Relocation for loaders like Linux's: section headers in memory whose `sh_addr` are addresses,
//! and a resolved symbol table (Linux semantics 9 to 12). The bounds that Linux does not check are
//! checked.

#[cfg(feature = "klp")]
mod klp;

use crate::abi::{self, SHDR_SIZE, SYM_SIZE};
use crate::elf::{RelaTable, Section, Strings};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::module::Headers;
use crate::reloc::{Op, Pass, RelocFlags, SymtabValues, Target};
use crate::report::{Failed, Report, capture};
#[cfg(feature = "klp")]
pub use klp::Klp;

/// The section headers of a module in memory. Everything in them is checked before it is used.
#[derive(Clone, Copy, Debug)]
pub struct Sechdrs<'a> {
    /// The headers, section 0 included.
    pub headers: &'a [[u8; SHDR_SIZE]],
    /// Section index of the symbol table.
    pub symbols: u32,
}

/// The memory at the `sh_addr` of each section.
pub trait Mapping<'m> {
    /// Returns the bytes of relocation section `index`.
    ///
    /// # Errors
    /// - `NotAssigned`: the section is not in memory.
    /// - `AddressWraps`: the section would end after the end of the address space.
    /// - `TableOverlaps`: it overlaps memory that the call writes.
    fn table(&self, index: u32, section: &Section) -> Result<&'m [u8], ErrorKind>;

    /// Returns section `index` as a target.
    ///
    /// # Errors
    /// - `NotAssigned`, `AddressWraps`: as in [`table`](Self::table).
    /// - `TargetOverlaps`: it overlaps the section headers, the symbols, the names or a table that
    ///   [`table`](Self::table) has returned.
    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind>;

    /// Makes writes visible if sections are behind writers. A pass over livepatch sections calls it
    /// once at the end, and once more after a rollback.
    ///
    /// # Errors
    /// Any number. The pass is rolled back and fails with [`ErrorKind::Sync`].
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

impl<'a> Sechdrs<'a> {
    /// Applies relocation section `index`, or changes nothing.
    ///
    /// `symbols` is the resolved symbol table.
    ///
    /// # Errors
    /// - `NoSuchSection`: there is no section `index`, or it is 0.
    /// - `RelSection`, `NotRelocations`: the section is not of type RELA.
    /// - `TargetOutOfRange`, `TargetIsSymbolTable`, `TargetIsRelocations`: its target cannot be
    ///   relocated.
    /// - `PartialEntry`: its size is not a multiple of 24.
    /// - `NotAssigned`, `TargetOverlaps`, `AddressWraps`: memory is missing, or is not valid for
    ///   this.
    /// - The errors of [`reloc::apply`](crate::reloc::apply).
    pub fn apply(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        flags: RelocFlags,
    ) -> Result<(), Error> {
        capture(|report| self.run(Op::Apply, index, symbols, mapping, flags, report))
    }

    /// Sets every field of relocation section `index` back to zero, or changes nothing.
    ///
    /// `symbols` must have the values of [`apply`](Self::apply).
    ///
    /// # Errors
    /// - The errors of [`apply`](Self::apply) about the section and its memory.
    /// - The errors of [`reloc::clear`](crate::reloc::clear).
    pub fn clear(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        flags: RelocFlags,
    ) -> Result<(), Error> {
        capture(|report| self.run(Op::Clear, index, symbols, mapping, flags, report))
    }

    /// Returns the livepatch sections for `object`: "vmlinux", or the name of a module.
    ///
    /// `names` is the section name table.
    ///
    /// # Errors
    /// - `NotAModule`: `object` is empty.
    #[cfg(feature = "klp")]
    pub fn klp(self, object: &'a [u8], names: Strings<'a>) -> Result<Klp<'a>, Error> {
        match object {
            [] => Err(Error::new(ErrorKind::NotAModule, 0, 0)),
            _ => Ok(Klp { object, headers: self.headers(names) }),
        }
    }

    /// Returns the header of the symbol table. The table has `sh_size` / 24 symbols.
    ///
    /// # Errors
    /// - `NoSuchSection`: there is no section [`symbols`](Self::symbols), or it is 0.
    /// - `PartialEntry`: its size is not a multiple of 24.
    pub fn symbol_table(&self) -> Result<Section, Error> {
        const SIZE: u64 = SYM_SIZE as u64;
        let (index, headers) = (self.symbols, self.headers(Strings::new(&[])));
        let Some(table) = headers.section(index).filter(|_| index != 0) else {
            return Err(Error::new(ErrorKind::NoSuchSection, u64::from(index), u64::from(headers.count())));
        };
        match table.sh_size % SIZE {
            0 => Ok(table),
            rest => Err(Error::new(ErrorKind::PartialEntry, table.sh_size, rest).in_section(index)),
        }
    }

    /// Returns the number of headers up to the last one that [`apply`](Self::apply) and
    /// [`clear`](Self::clear) read for section `index`: they read its own header, that of the symbol
    /// table, and that of the target.
    ///
    /// This is for loaders that do not know the number of headers. `headers` must reach to section
    /// `index` and to the symbol table.
    pub fn headers_used(&self, index: u32) -> usize {
        let header = self.headers(Strings::new(&[])).section(index);
        let target =
            header.filter(|header| header.sh_type == abi::SHT_RELA).map_or(0, |header| header.sh_info);
        let last = index.max(self.symbols).max(target);
        usize::try_from(last).map_or(usize::MAX, |last| last.saturating_add(1))
    }

    fn headers(&self, names: Strings<'a>) -> Headers<'a> {
        let headers = Headers { sections: self.headers, names, ..Headers::EMPTY };
        let strings = headers.section(self.symbols).map_or(0, |symbols| symbols.sh_link);
        Headers { symbol_tables: [self.symbols, strings], ..headers }
    }
    fn run(
        &self,
        op: Op,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        rules: RelocFlags,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let section = Relocations::read(&self.headers(Strings::new(&[])), index, mapping, report)?;
        let Some(mut target) = section.target(mapping, report)? else { return Ok(()) };
        let pass = Pass::new(section.table, symbols.into(), rules);
        pass.run(op, &mut target, report).map_err(|failed| report.in_section(failed, index))
    }
}

/// A relocation section whose entries are in memory.
struct Relocations<'m> {
    index: u32,
    table: RelaTable<'m>,
    /// Section index of the target.
    number: u32,
    target: Section,
}

impl<'m> Relocations<'m> {
    fn read(
        headers: &Headers<'_>,
        index: u32,
        mapping: &dyn Mapping<'m>,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        let Some(header) = headers.section(index).filter(|_| index != 0) else {
            return Err(report.fail(ErrorKind::NoSuchSection, u64::from(index), u64::from(headers.count())));
        };
        let number = header.sh_info;
        let target = headers.section(number);
        let bytes = mapping.table(index, &header);
        let (table, rest) = RelaTable::whole_entries(bytes.unwrap_or_default());
        // Without relocations nothing is written while tables are read.
        let matters = |error: &ErrorKind| !table.is_empty() || *error != ErrorKind::TargetIsRelocations;
        let error = headers.target(number).error.filter(matters);
        let (kind, value, limit) = match (header.sh_type, error, bytes, target) {
            (abi::SHT_REL, ..) => (ErrorKind::RelSection, u64::from(header.sh_info), 0),
            (kind, ..) if kind != abi::SHT_RELA => (ErrorKind::NotRelocations, u64::from(kind), 0),
            (_, Some(kind), ..) => return Err(headers.fail(index, &header, kind, report)),
            (_, None, Err(kind), _) => return Err(no_memory(kind, index, &header, report)),
            _ if rest != 0 => (ErrorKind::PartialEntry, header.sh_size, rest as u64),
            (_, None, Ok(_), Some(target)) => return Ok(Self { index, number, table, target }),
            // There is an error for a target that does not exist.
            (_, None, Ok(_), None) => (ErrorKind::TargetOutOfRange, u64::from(header.sh_info), 0),
        };
        let failed = report.fail(kind, value, limit);
        Err(report.in_section(failed, index))
    }

    /// Returns the target; `None` if there is no relocation.
    fn target<'t>(
        &self,
        mapping: &'t mut dyn Mapping<'_>,
        report: &mut Report,
    ) -> Result<Option<Target<'t>>, Failed> {
        if self.table.is_empty() {
            return Ok(None);
        }
        let number = self.number;
        match mapping.target(number, &self.target) {
            Ok(target) => match target.check_address(report) {
                Ok(()) => Ok(Some(target)),
                Err(failed) => Err(report.in_section(failed, number)),
            },
            Err(kind @ (ErrorKind::NotAssigned | ErrorKind::AddressWraps)) => {
                Err(no_memory(kind, number, &self.target, report))
            }
            Err(kind) => {
                let failed = report.fail(kind, u64::from(number), 0);
                Err(report.in_section(failed, self.index))
            }
        }
    }
}

/// Stores why section `index` is not in memory.
#[cold]
fn no_memory(kind: ErrorKind, index: u32, section: &Section, report: &mut Report) -> Failed {
    let failed = match kind {
        ErrorKind::AddressWraps => report.fail(kind, section.sh_addr, section.sh_size),
        _ => report.fail(kind, section.sh_size, 0),
    };
    report.in_section(failed, index)
}
