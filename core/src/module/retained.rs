//! The retained state: everything that the late passes need, in one caller-provided buffer. The
//! file may go.
//!
//! The buffer has these parts:
//! - a record for each livepatch section that a late pass reads;
//! - a record for each symbol of such a section. It has the layout of an `Elf64_Sym`;
//! - the relocations. Their symbol numbers count the symbols of their section;
//! - the text: names of objects and symbols, each sympos.
//!
//! An error that stops a late pass is retained too: the module loads with it, as in Linux. Linux
//! retains the whole symbol and string tables instead (Linux semantics 11).

use super::{KlpSymbols, Memory, Module};
use crate::abi::{RELA_SIZE, SYM_SIZE};
use crate::elf::Rela;
use crate::error::{Error, ErrorKind};
use crate::module::{Class, FailsAt};
use crate::read::{low32, u8_at, u16_at, u32_at, u64_at};
use crate::report::{Failed, Report};

/// Bytes of a section record.
pub(super) const SECTION_SIZE: usize = 80;

/// A late section.
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
    /// The object's name. Empty if the section's name is malformed, which is an error for every
    /// object.
    pub(super) object: u32,
    pub(super) object_len: u32,
    /// Number of the [`ErrorKind`] that stops the late passes of the object, or 0; and its numbers
    /// below.
    pub(super) error: i32,
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
            error: word(48).cast_signed(),
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
            words(self.error.cast_unsigned(), self.live),
            self.value,
            self.limit,
            u64::from(self.named),
        ];
        put(record, fields);
    }

    /// Returns the error that stops the late passes of the object.
    pub(super) fn error(&self) -> Option<Error> {
        let kind = ErrorKind::from_number(self.error)?;
        let section = match kind {
            ErrorKind::NotAssigned | ErrorKind::AssignedSize | ErrorKind::AddressWraps => self.target,
            _ => self.index,
        };
        Some(Error::new(kind, self.value, self.limit).in_section(section))
    }
}

/// A symbol of a late section. Its value is at the offset of `st_value` in an `Elf64_Sym`.
#[derive(Clone, Copy, Default)]
pub(super) struct SymbolRecord {
    /// Where its text begins: eight bytes of sympos (or the limit of its error), then the names of
    /// object and symbol.
    pub(super) text: u32,
    pub(super) object_len: u8,
    pub(super) name_len: u16,
    /// The value when it is resolved, or the value of its error.
    pub(super) value: u64,
    /// Symbol index in the file, for errors.
    pub(super) symbol: u32,
    /// Number of the [`ErrorKind`] that stops the section, or 0.
    pub(super) error: i32,
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
            error: word(20).cast_signed(),
        }
    }

    /// Returns its part of the text: sympos, name of the object, name.
    pub(super) fn parts<'a>(&self, text: &'a [u8]) -> Option<(u64, &'a [u8], &'a [u8])> {
        let text = text.get(usize::try_from(self.text).ok()?..)?;
        let (number, names) = text.split_first_chunk()?;
        let (object, names) = names.split_at_checked(usize::from(self.object_len)).unwrap_or_default();
        let name = names.get(..usize::from(self.name_len)).unwrap_or_default();
        Some((u64::from_le_bytes(*number), object, name))
    }

    pub(super) fn write(&self, record: &mut [u8; SYM_SIZE]) {
        let head = u64::from(self.text) | u64::from(self.object_len) << 32 | u64::from(self.name_len) << 48;
        let tail = u64::from(self.symbol) | u64::from(self.error.cast_unsigned()) << 32;
        put(record, [head, self.value, tail]);
    }
}

/// The size of each part of the buffer; while it is filled, how much of each is filled.
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
    /// Returns the size of each part in bytes.
    fn sizes(&self) -> Option<[usize; 4]> {
        let size = |count: u32, size: usize| usize::try_from(count).ok()?.checked_mul(size);
        let (sections, symbols) = (size(self.sections, SECTION_SIZE)?, size(self.symbols, SYM_SIZE)?);
        Some([sections, symbols, size(self.relas, RELA_SIZE)?, size(self.text, 1)?])
    }

    /// Returns the size of the buffer. `None` if indices in the buffer would not fit 32 bits.
    fn bytes(&self) -> Option<usize> {
        let bytes = self.sizes()?.into_iter().try_fold(0usize, usize::checked_add)?;
        u32::try_from(bytes).is_ok().then_some(bytes)
    }
}

/// Returns the size in bytes of the buffer that [`store`] needs. `scratch` has one entry for each
/// symbol; the call overwrites it if there may be late sections.
pub(super) fn size(module: &Module<'_>, scratch: &mut [u64]) -> usize {
    match module.has_livepatch {
        // The size of no buffer, if 32 bits cannot count its bytes.
        true => counts(module, scratch).bytes().unwrap_or(usize::MAX),
        false => 0,
    }
}

/// Stores what the late passes of `module` need in `buffer`.
pub(super) fn store<'k, M: Memory + ?Sized>(
    module: &Module<'_>,
    memory: &mut M,
    scratch: &mut [u64],
    buffer: &'k mut [u8],
    report: &mut Report,
) -> Result<Parts<'k>, Failed> {
    let scratch = module.checked_values(scratch, report)?;
    let mut target = |target, report: &mut Report| {
        let target = module.target(memory, target, report)?;
        Ok((target.address(), target.size()))
    };
    let counts = counts(module, scratch);
    let (provided, needed) = (buffer.len() as u64, counts.bytes());
    let Some(mut parts) = needed.and_then(|_| Parts::split(buffer, counts)) else {
        let needed = needed.map_or(u64::MAX, |needed| needed as u64);
        return Err(report.fail(ErrorKind::RetainedTooShort, provided, needed));
    };
    lay_out(module, &mut target, scratch, &mut parts);
    Ok(parts)
}

/// Returns the size of each part.
fn counts(module: &Module<'_>, scratch: &mut [u64]) -> Counts {
    lay_out(module, &mut |_, _| Ok((0, 0)), scratch, &mut Parts::default())
}

/// Address and size of a target.
type Lookup<'a> = &'a mut dyn FnMut(u32, &mut Report) -> Result<(u64, u64), Failed>;

/// Stores everything in `parts` that has room there, and returns the sizes. `scratch` has an entry
/// for each symbol, which says whether the section uses the symbol.
fn lay_out(module: &Module<'_>, target: Lookup<'_>, scratch: &mut [u64], parts: &mut Parts<'_>) -> Counts {
    scratch.fill(0);
    let mut counts = Counts::default();
    for (index, section) in
        module.object.sections().filter(|(_, section)| module.headers.is_livepatch(section))
    {
        if module.headers.is_for_vmlinux(&section) == Some(true) {
            continue;
        }
        let Some(class) = module.headers.relocations(index, &section).map(|found| found.class) else {
            continue;
        };
        if class.object().is_none() && !matches!(class, Class::Malformed { fails: FailsAt::AnyComing, .. }) {
            continue;
        }
        let object = class.object().unwrap_or_default();
        let mut record = section_record(module, target, index, class);
        (record.first_symbol, record.first_rela) = (counts.symbols, counts.relas);
        (record.object, record.object_len) = (counts.text, len32(object));
        parts.put_text(&mut counts.text, object);
        counts.named = counts.named.saturating_add(u32::from(!object.is_empty()));
        record.named = counts.named;
        if let Class::KlpLate { object, .. } = class {
            for rela in module.relocations(index).iter() {
                // The entry of a symbol is its number among all retained symbols, from 1. A number
                // that is not greater than that of the section's first symbol is from another
                // section.
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
            (record.error, record.value, record.limit) = (kind as i32, value, limit);
        }
    }
    record
}

/// The parts of the buffer.
#[derive(Debug, Default)]
pub(super) struct Parts<'k> {
    pub(super) sections: &'k mut [[u8; SECTION_SIZE]],
    pub(super) symbols: &'k mut [[u8; SYM_SIZE]],
    pub(super) relas: &'k mut [[u8; RELA_SIZE]],
    pub(super) text: &'k mut [u8],
}

impl<'k> Parts<'k> {
    fn split(buffer: &'k mut [u8], counts: Counts) -> Option<Self> {
        let [sections, symbols, relas, text] = counts.sizes()?;
        let (sections, rest) = buffer.split_at_mut_checked(sections)?;
        let (symbols, rest) = rest.split_at_mut_checked(symbols)?;
        let (relas, rest) = rest.split_at_mut_checked(relas)?;
        let text = rest.get_mut(..text)?;
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
                (record.error, record.value) = (kind as i32, value);
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

/// Writes `fields` in little-endian order.
fn put<const COUNT: usize>(record: &mut [u8], fields: [u64; COUNT]) {
    for (to, from) in record.as_chunks_mut().0.iter_mut().zip(fields) {
        *to = from.to_le_bytes();
    }
}
