//! What stays in memory for the late passes when the file is gone: one buffer that the embedder lends.
//!
//! It holds, one after the other,
//! - a record for each livepatch section that an object's coming looks at,
//! - a record for each symbol that such a section uses, laid out so that it serves as an `Elf64_Sym`,
//! - the relocations, with symbol numbers that count the section's own symbols,
//! - the text: names of objects and symbols, and positions.
//!
//! A defect that stops an object from coming is kept as well: the module loads with it, as it does in Linux.
//!
//! Linux keeps the whole symbol and string tables instead (Linux semantics 11).

use super::early::Loaded;
use super::late::Late;
use super::symbols::KlpSymbols;
use super::{Memory, Module};
use crate::abi::{RELA_SIZE, SYM_SIZE};
use crate::elf::{Rela, low32};
use crate::error::{Error, ErrorKind};
use crate::module::{Class, FailsAt};
use crate::read::{u8_at, u16_at, u32_at, u64_at};
use crate::report::{Failed, Report, capture};

/// Bytes of a section record.
pub(super) const SECTION_SIZE: usize = 80;

/// A livepatch section that is not the early pass's.
#[derive(Clone, Copy, Default)]
pub(super) struct SectionRecord {
    /// Section index in the file, for errors.
    pub(super) index: u32,
    pub(super) target: u32,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) first_rela: u32,
    pub(super) relas: u32,
    pub(super) first_symbol: u32,
    pub(super) symbols: u32,
    /// The object's name; empty when the section's own name is malformed, which concerns every object.
    pub(super) object: u32,
    pub(super) object_len: u32,
    /// Number of the [`ErrorKind`] that stops the object from coming, or 0, with the fault's numbers.
    pub(super) problem: i32,
    pub(super) live: u32,
    pub(super) value: u64,
    pub(super) limit: u64,
    /// How many of the records up to this one name an object.
    pub(super) named: u32,
}

impl SectionRecord {
    pub(super) fn read(record: &[u8; SECTION_SIZE]) -> Self {
        let word = |at| u32_at(record, at).unwrap_or(0);
        let long = |at| u64_at(record, at).unwrap_or(0);
        Self {
            index: word(0),
            target: word(4),
            address: long(8),
            size: long(16),
            first_rela: word(24),
            relas: word(28),
            first_symbol: word(32),
            symbols: word(36),
            object: word(40),
            object_len: word(44),
            problem: word(48).cast_signed(),
            live: word(52),
            value: long(56),
            limit: long(64),
            named: word(72),
        }
    }

    pub(super) fn write(&self, record: &mut [u8; SECTION_SIZE]) {
        let words = |a: u32, b: u32| u64::from(a) | u64::from(b) << 32;
        let fields = [
            words(self.index, self.target),
            self.address,
            self.size,
            words(self.first_rela, self.relas),
            words(self.first_symbol, self.symbols),
            words(self.object, self.object_len),
            words(self.problem.cast_unsigned(), self.live),
            self.value,
            self.limit,
            u64::from(self.named),
        ];
        put(record, fields);
    }

    /// The fault that stops the object from coming, if there is one.
    pub(super) fn error(&self) -> Option<Error> {
        let kind = ErrorKind::ALL.iter().find(|kind| **kind as i32 == self.problem)?;
        let section = match kind {
            ErrorKind::NotAssigned | ErrorKind::AssignedSize | ErrorKind::AddressWraps => self.target,
            _ => self.index,
        };
        Some(Error::new(*kind, self.value, self.limit).in_section(section))
    }
}

/// A symbol of such a section. Its value, eight bytes in, is where an `Elf64_Sym` has `st_value`.
#[derive(Clone, Copy, Default)]
pub(super) struct SymbolRecord {
    /// Where its text begins: the position (of a symbol with a problem the fault's limit), eight bytes; then the
    /// object's name and the symbol's.
    pub(super) text: u32,
    pub(super) object_len: u8,
    pub(super) name_len: u16,
    /// The value, once resolved; of a symbol with a problem the fault's value.
    pub(super) value: u64,
    /// Symbol index in the file, for errors.
    pub(super) symbol: u32,
    /// Number of the [`ErrorKind`] that stops the section from being applied, or 0.
    pub(super) problem: i32,
}

impl SymbolRecord {
    pub(super) fn read(record: &[u8; SYM_SIZE]) -> Self {
        let word = |at| u32_at(record, at).unwrap_or(0);
        Self {
            text: word(0),
            object_len: u8_at(record, 4).unwrap_or(0),
            name_len: u16_at(record, 6).unwrap_or(0),
            value: u64_at(record, 8).unwrap_or(0),
            symbol: word(16),
            problem: word(20).cast_signed(),
        }
    }

    pub(super) fn write(&self, record: &mut [u8; SYM_SIZE]) {
        let head = u64::from(self.text) | u64::from(self.object_len) << 32 | u64::from(self.name_len) << 48;
        let tail = u64::from(self.symbol) | u64::from(self.problem.cast_unsigned()) << 32;
        put(record, [head, self.value, tail]);
    }
}

/// How much there is to keep, and while it is put into a buffer how much is there.
#[derive(Clone, Copy, Default)]
struct Counts {
    sections: u32,
    symbols: u32,
    relas: u32,
    text: u32,
    /// Sections that name an object.
    named: u32,
}

impl Counts {
    /// `None` when positions inside the buffer would not fit 32 bits.
    fn bytes(&self) -> Option<usize> {
        let part = |count: u32, size: usize| usize::try_from(count).ok()?.checked_mul(size);
        let sections = part(self.sections, SECTION_SIZE)?;
        let symbols = part(self.symbols, SYM_SIZE)?;
        let relas = part(self.relas, RELA_SIZE)?;
        let all = sections.checked_add(symbols)?.checked_add(relas)?.checked_add(part(self.text, 1)?)?;
        u32::try_from(all).is_ok().then_some(all)
    }
}

impl Module<'_> {
    /// Returns the size in bytes of the buffer that [`Loaded::retain`] needs.
    ///
    /// `scratch` is a caller-provided buffer with one entry for each symbol. The call overwrites it.
    ///
    /// # Errors
    /// - `ValuesTooShort`: `scratch` is.
    pub fn retained_size(&self, scratch: &mut [u64]) -> Result<usize, Error> {
        // The size of no buffer, if 32 bits cannot count its bytes.
        capture(|report| {
            Ok(counts(self, self.checked_values(scratch, report)?).bytes().unwrap_or(usize::MAX))
        })
    }
}

impl Loaded<'_> {
    /// Stores the retained state in `buffer`: everything that the late passes need. After that, the file and
    /// the symbol values may go. `memory` is the memory of the early pass.
    ///
    /// - `scratch` is a caller-provided buffer with one entry for each symbol. The call overwrites it.
    /// - `buffer` is a caller-provided buffer of [`Module::retained_size`] bytes. The result borrows it.
    ///
    /// # Errors
    /// - `RetainedTooShort`, `ValuesTooShort`: `buffer` or `scratch` is too short.
    pub fn retain<'k, M: Memory + ?Sized>(
        &self,
        memory: &mut M,
        scratch: &mut [u64],
        buffer: &'k mut [u8],
    ) -> Result<Late<'k>, Error> {
        capture(|report| {
            let scratch = self.module.checked_values(scratch, report)?;
            build(&self.module, memory, scratch, buffer, report)
        })
    }
}

/// How much there is to keep.
fn counts(module: &Module<'_>, scratch: &mut [u64]) -> Counts {
    lay_out(module, &mut |_, _| Ok((0, 0)), scratch, &mut Parts::default())
}

/// Puts everything into `buffer`.
fn build<'k, M: Memory + ?Sized>(
    module: &Module<'_>,
    memory: &mut M,
    scratch: &mut [u64],
    buffer: &'k mut [u8],
    report: &mut Report,
) -> Result<Late<'k>, Failed> {
    let mut target = |target, report: &mut Report| {
        let target = module.target(memory, target, report)?;
        Ok((target.address(), target.size()))
    };
    let counts = counts(module, scratch);
    let (lent, needed) = (buffer.len() as u64, counts.bytes());
    let Some(mut parts) = needed.and_then(|_| Parts::split(buffer, counts)) else {
        return Err(report.fail(
            ErrorKind::RetainedTooShort,
            lent,
            needed.map_or(u64::MAX, |needed| needed as u64),
        ));
    };
    lay_out(module, &mut target, scratch, &mut parts);
    Ok(Late::new(parts, module.profile()))
}

/// Address and size of a target.
type Lookup<'a> = &'a mut dyn FnMut(u32, &mut Report) -> Result<(u64, u64), Failed>;

/// Puts each thing to keep where it belongs, if there is a place for it: a section's symbols before the relocations that
/// use them. `scratch`, one a symbol, remembers which symbols a section has used.
fn lay_out(module: &Module<'_>, target: Lookup<'_>, scratch: &mut [u64], parts: &mut Parts<'_>) -> Counts {
    scratch.fill(0);
    let mut counts = Counts::default();
    for index in 0..module.object().section_count() {
        let Some(
            class @ (Class::KlpLate { .. }
            | Class::Malformed { fails: FailsAt::AnyComing | FailsAt::Coming(_), .. }),
        ) = module.class(index).map(|class| class.class)
        else {
            continue;
        };
        let object = class.object().unwrap_or_default();
        let mut record = section_record(module, target, index, class);
        (record.first_symbol, record.first_rela) = (counts.symbols, counts.relas);
        (record.object, record.object_len) = (counts.text, len32(object));
        parts.put_text(&mut counts.text, object);
        counts.named = counts.named.saturating_add(u32::from(!object.is_empty()));
        record.named = counts.named;
        if let Class::KlpLate { object, .. } = class {
            for rela in module.relocations(index).iter() {
                // A symbol's mark is its number among all that are kept, from 1; older marks are another section's.
                let mark = usize::try_from(rela.r_sym).ok().and_then(|symbol| scratch.get_mut(symbol));
                let number = match mark {
                    Some(mark) if *mark > u64::from(record.first_symbol) => *mark,
                    mark => {
                        parts.put_symbol(&mut counts, rela.r_sym, &module.klp_symbols(object));
                        mark.into_iter().for_each(|mark| *mark = u64::from(counts.symbols));
                        u64::from(counts.symbols)
                    }
                };
                let symbol = low32(number.wrapping_sub(u64::from(record.first_symbol)).wrapping_sub(1));
                parts.put_rela(&mut counts, Rela { r_sym: symbol, ..rela });
            }
        }
        record.symbols = counts.symbols.saturating_sub(record.first_symbol);
        record.relas = counts.relas.saturating_sub(record.first_rela);
        parts.put_section(&mut counts, &record);
    }
    counts
}

#[inline(never)]
fn section_record(module: &Module<'_>, lookup: Lookup<'_>, index: u32, class: Class<'_>) -> SectionRecord {
    let mut record = SectionRecord { index, ..SectionRecord::default() };
    let mut report = Report::new();
    let found = match class {
        Class::KlpLate { target, .. } if !module.relocations(index).is_empty() => {
            record.target = target;
            lookup(target, &mut report)
        }
        _ => module.malformed(index).map_or(Ok((0, 0)), |error| Err(report.known(&error))),
    };
    match found {
        Ok((address, size)) => (record.address, record.size) = (address, size),
        Err(failed) => {
            let Error { kind, value, limit, .. } = *report.error(failed);
            (record.problem, record.value, record.limit) = (kind as i32, value, limit);
        }
    }
    record
}

/// The buffer in its parts.
#[derive(Debug, Default)]
pub(super) struct Parts<'k> {
    pub(super) sections: &'k mut [[u8; SECTION_SIZE]],
    pub(super) symbols: &'k mut [[u8; SYM_SIZE]],
    pub(super) relas: &'k mut [[u8; RELA_SIZE]],
    pub(super) text: &'k mut [u8],
}

impl<'k> Parts<'k> {
    fn split(buffer: &'k mut [u8], counts: Counts) -> Option<Self> {
        let part = |count: u32, size: usize| usize::try_from(count).ok()?.checked_mul(size);
        let (sections, rest) = buffer.split_at_mut_checked(part(counts.sections, SECTION_SIZE)?)?;
        let (symbols, rest) = rest.split_at_mut_checked(part(counts.symbols, SYM_SIZE)?)?;
        let (relas, rest) = rest.split_at_mut_checked(part(counts.relas, RELA_SIZE)?)?;
        let text = rest.get_mut(..part(counts.text, 1)?)?;
        Some(Self {
            sections: sections.as_chunks_mut().0,
            symbols: symbols.as_chunks_mut().0,
            relas: relas.as_chunks_mut().0,
            text,
        })
    }

    #[inline(never)]
    fn put_text(&mut self, end: &mut u32, bytes: &[u8]) {
        let start = usize::try_from(*end).unwrap_or(usize::MAX);
        let to = self.text.get_mut(start..).unwrap_or_default();
        for (to, from) in to.iter_mut().zip(bytes) {
            *to = *from;
        }
        *end = end.saturating_add(len32(bytes));
    }

    #[inline(never)]
    fn put_section(&mut self, counts: &mut Counts, record: &SectionRecord) {
        if let Some(slot) = at(self.sections, counts.sections) {
            record.write(slot);
        }
        counts.sections = counts.sections.saturating_add(1);
    }

    #[inline(never)]
    fn put_symbol(&mut self, counts: &mut Counts, symbol: u32, symbols: &KlpSymbols<'_, '_>) {
        let mut record = SymbolRecord { text: counts.text, symbol, ..SymbolRecord::default() };
        let mut report = Report::new();
        match symbols.name(symbol, &mut report) {
            Ok(name) => {
                // The grammar allows 55 and 511 bytes.
                record.object_len = u8::try_from(name.object.len()).unwrap_or(0);
                record.name_len = u16::try_from(name.name.len()).unwrap_or(0);
                self.put_text(&mut counts.text, &name.sympos.to_le_bytes());
                self.put_text(&mut counts.text, name.object);
                self.put_text(&mut counts.text, name.name);
            }
            Err(failed) => {
                let Error { kind, value, limit, .. } = *report.error(failed);
                (record.problem, record.value) = (kind as i32, value);
                self.put_text(&mut counts.text, &limit.to_le_bytes());
            }
        }
        if let Some(slot) = at(self.symbols, counts.symbols) {
            record.write(slot);
        }
        counts.symbols = counts.symbols.saturating_add(1);
    }

    fn put_rela(&mut self, counts: &mut Counts, rela: Rela) {
        if let Some(slot) = at(self.relas, counts.relas) {
            *slot = rela.to_bytes();
        }
        counts.relas = counts.relas.saturating_add(1);
    }
}

fn at<T>(items: &mut [T], number: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(number).ok()?)
}

fn len32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Writes `fields` little-endian, one after the other.
fn put<const COUNT: usize>(record: &mut [u8], fields: [u64; COUNT]) {
    for (to, from) in record.as_chunks_mut().0.iter_mut().zip(fields) {
        *to = from.to_le_bytes();
    }
}
