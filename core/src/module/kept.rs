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

use super::late::Late;
use super::{Memory, Module};
use crate::abi::{RELA_SIZE, SYM_SIZE};
use crate::elf::{Rela, low32};
use crate::error::{Error, ErrorKind};
use crate::klp::{Class, FailsAt, SymName};
use crate::read::{u8_at, u16_at, u32_at, u64_at};
use crate::report::{Report, Stopped, reported};

/// Bytes of a section record.
pub(super) const SECTION_SIZE: usize = 72;

/// A livepatch section that is not the early pass's.
#[derive(Clone, Copy, Default)]
pub(super) struct SectionRecord {
    /// Section index in the file, for faults.
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
        ];
        put(record, fields);
    }

    /// The fault that stops the object from coming, if there is one.
    pub(super) fn error(&self) -> Option<Error> {
        let kind = ErrorKind::ALL.iter().find(|kind| **kind as i32 == self.problem)?;
        let section = match kind {
            ErrorKind::NotPlaced | ErrorKind::PlacedSize => self.target,
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
    /// Symbol index in the file, for faults.
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

/// One thing to keep.
enum Item<'f> {
    Section {
        index: u32,
        class: Class<'f>,
    },
    Symbol {
        index: u32,
        name: Result<SymName<'f>, Error>,
    },
    /// With the number of its symbol among the section's.
    Rela {
        rela: Rela,
    },
}

/// Names each thing to keep in the order in which it is kept, a section's symbols before the relocations that use
/// them. `scratch`, one a symbol, remembers which symbols a section has used.
fn visit<'f>(module: &Module<'f>, scratch: &mut [u64], mut item: impl FnMut(Item<'f>)) {
    scratch.fill(0);
    let mut seen = 0u64;
    for (index, class) in module.classes() {
        let class = class.class;
        match class {
            Class::KlpLate { .. }
            | Class::Malformed { fails: FailsAt::AnyComing | FailsAt::Coming(_), .. } => {}
            _ => continue,
        }
        item(Item::Section { index, class });
        let Class::KlpLate { object, .. } = class else { continue };
        let first = seen;
        for rela in module.relocations(index).iter() {
            // A symbol's mark is its number among all that are kept, from 1; older marks are another section's.
            let mark = usize::try_from(rela.symbol).ok().and_then(|symbol| scratch.get_mut(symbol));
            let number = match mark {
                Some(mark) if *mark > first => *mark,
                mark => {
                    item(Item::Symbol {
                        index: rela.symbol,
                        name: reported(|report| module.klp_symbols(object).name(rela.symbol, report)),
                    });
                    seen = seen.saturating_add(1);
                    if let Some(mark) = mark {
                        *mark = seen;
                    }
                    seen
                }
            };
            let symbol = low32(number.wrapping_sub(first).wrapping_sub(1));
            item(Item::Rela { rela: Rela { symbol, ..rela } });
        }
    }
}

/// How much there is to keep.
#[derive(Clone, Copy, Default)]
struct Counts {
    sections: usize,
    symbols: usize,
    relas: usize,
    text: usize,
}

/// Bytes in front of a symbol's names.
const POSITION_SIZE: usize = 8;

impl Counts {
    fn of(module: &Module<'_>, scratch: &mut [u64]) -> Self {
        let mut counts = Self::default();
        let more = |count: &mut usize, by: usize| *count = count.saturating_add(by);
        visit(module, scratch, |item| match item {
            Item::Section { class, .. } => {
                more(&mut counts.sections, 1);
                more(&mut counts.text, object_of(class).len());
            }
            Item::Symbol { name, .. } => {
                let len = name.map_or(0, |name| name.object.len().saturating_add(name.name.len()));
                more(&mut counts.symbols, 1);
                more(&mut counts.text, len.saturating_add(POSITION_SIZE));
            }
            Item::Rela { .. } => more(&mut counts.relas, 1),
        });
        counts
    }

    fn bytes(&self) -> usize {
        let sections = self.sections.saturating_mul(SECTION_SIZE);
        let symbols = self.symbols.saturating_mul(SYM_SIZE);
        let relas = self.relas.saturating_mul(RELA_SIZE);
        sections.saturating_add(symbols).saturating_add(relas).saturating_add(self.text)
    }
}

/// The name of the object whose coming looks at the section; empty for all of them.
fn object_of(class: Class<'_>) -> &[u8] {
    match class {
        Class::KlpLate { object, .. } | Class::Malformed { fails: FailsAt::Coming(object), .. } => object,
        _ => &[],
    }
}

/// Bytes that [`build`] needs.
pub(super) fn size(module: &Module<'_>, scratch: &mut [u64]) -> usize {
    Counts::of(module, scratch).bytes()
}

/// Puts everything into `buffer`.
pub(super) fn build<'k, M: Memory + ?Sized>(
    module: &Module<'_>,
    memory: &mut M,
    scratch: &mut [u64],
    buffer: &'k mut [u8],
    report: &mut Report,
) -> Result<Late<'k>, Stopped> {
    let counts = Counts::of(module, scratch);
    let lent = buffer.len() as u64;
    // Positions inside the buffer are kept in 32 bits.
    let fits = u32::try_from(counts.bytes()).is_ok();
    let Some(mut parts) = Parts::split(buffer, counts).filter(|_| fits) else {
        return Err(report.fault(ErrorKind::KeptTooShort, lent, counts.bytes() as u64));
    };
    let (mut section, mut symbol, mut rela, mut text) = (0u32, 0u32, 0u32, 0u32);
    let mut record = SectionRecord::default();
    visit(module, scratch, |item| match item {
        Item::Section { index, class } => {
            record = section_record(module, memory, index, class);
            let object = object_of(class);
            (record.first_symbol, record.first_rela, record.object) = (symbol, rela, text);
            record.object_len = len32(object);
            parts.put_text(&mut text, object);
            parts.put_section(section, &record);
            section = section.saturating_add(1);
        }
        Item::Symbol { index, name } => {
            let kept = SymbolRecord { text, ..symbol_record(index, &name) };
            let (number, names) = match name {
                Ok(name) => (name.position, [name.object, name.name]),
                Err(error) => (error.limit, [&[][..]; 2]),
            };
            parts.put_text(&mut text, &number.to_le_bytes());
            names.into_iter().for_each(|name| parts.put_text(&mut text, name));
            if let Some(slot) = at(parts.symbols, symbol) {
                kept.write(slot);
            }
            symbol = symbol.saturating_add(1);
            record.symbols = record.symbols.saturating_add(1);
            parts.put_section(section.saturating_sub(1), &record);
        }
        Item::Rela { rela: entry } => {
            if let Some(slot) = at(parts.relas, rela) {
                *slot = entry.to_bytes();
            }
            rela = rela.saturating_add(1);
            record.relas = record.relas.saturating_add(1);
            parts.put_section(section.saturating_sub(1), &record);
        }
    });
    Ok(Late::new(parts, *module.profile()))
}

fn section_record<M: Memory + ?Sized>(
    module: &Module<'_>,
    memory: &mut M,
    index: u32,
    class: Class<'_>,
) -> SectionRecord {
    let mut record = SectionRecord { index, ..SectionRecord::default() };
    let found = match class {
        Class::KlpLate { target, .. } if !module.relocations(index).is_empty() => {
            record.target = target;
            reported(|report| module.target(memory, target, report))
                .map(|target| (target.address(), target.size()))
        }
        _ => module.malformed(index).map_or(Ok((0, 0)), Err),
    };
    match found {
        Ok((address, size)) => (record.address, record.size) = (address, size),
        Err(error) => {
            (record.problem, record.value, record.limit) = (error.kind as i32, error.value, error.limit)
        }
    }
    record
}

fn symbol_record(index: u32, name: &Result<SymName<'_>, Error>) -> SymbolRecord {
    let record = SymbolRecord { symbol: index, ..SymbolRecord::default() };
    match name {
        // The grammar allows 55 and 511 bytes.
        Ok(name) => SymbolRecord {
            object_len: u8::try_from(name.object.len()).unwrap_or(0),
            name_len: u16::try_from(name.name.len()).unwrap_or(0),
            ..record
        },
        Err(error) => SymbolRecord { problem: error.kind as i32, value: error.value, ..record },
    }
}

/// The buffer in its parts.
#[derive(Debug)]
pub(super) struct Parts<'k> {
    pub(super) sections: &'k mut [[u8; SECTION_SIZE]],
    pub(super) symbols: &'k mut [[u8; SYM_SIZE]],
    pub(super) relas: &'k mut [[u8; RELA_SIZE]],
    pub(super) text: &'k mut [u8],
}

impl<'k> Parts<'k> {
    fn split(buffer: &'k mut [u8], counts: Counts) -> Option<Self> {
        let (sections, rest) = buffer.split_at_mut_checked(counts.sections.checked_mul(SECTION_SIZE)?)?;
        let (symbols, rest) = rest.split_at_mut_checked(counts.symbols.checked_mul(SYM_SIZE)?)?;
        let (relas, rest) = rest.split_at_mut_checked(counts.relas.checked_mul(RELA_SIZE)?)?;
        let text = rest.get_mut(..counts.text)?;
        Some(Self {
            sections: sections.as_chunks_mut().0,
            symbols: symbols.as_chunks_mut().0,
            relas: relas.as_chunks_mut().0,
            text,
        })
    }

    fn put_text(&mut self, end: &mut u32, bytes: &[u8]) {
        let start = usize::try_from(*end).unwrap_or(usize::MAX);
        let to = self.text.get_mut(start..).unwrap_or_default();
        for (to, from) in to.iter_mut().zip(bytes) {
            *to = *from;
        }
        *end = end.saturating_add(len32(bytes));
    }

    pub(super) fn put_section(&mut self, number: u32, record: &SectionRecord) {
        if let Some(slot) = at(self.sections, number) {
            record.write(slot);
        }
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
    for (to, from) in record.iter_mut().zip(fields.into_iter().flat_map(u64::to_le_bytes)) {
        *to = from;
    }
}
