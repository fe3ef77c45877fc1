//! A module's life: what must be in memory after the early pass and after each coming and going
//! (Linux semantics 4 to 10 and 15).

use crate::ErrorKey;
use crate::class::Class;
use crate::file::{Module, Symbol};
use crate::names;
use crate::table::{self, Field};
use crate::world::{Answers, Spot};
use relakit::ErrorKind::{self, *};
use relakit::abi::{SHN_ABS, SHN_COMMON, SHN_LIVEPATCH, STB_WEAK};
use relakit::elf::Rela;
use relakit::reloc::RelocFlags;
use std::collections::BTreeMap;

/// The value of a symbol whose section has no memory.
const UNASSIGNED: u64 = 0x5ec7_1000_0000_0000;
/// Bytes of the longest name that a resolver is asked for.
const LONGEST_NAME: usize = 4096;

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the gABI")]
pub enum Meaning {
    Undefined,
    Absolute,
    Common,
    Livepatch,
    Section(u32),
    /// A section index that is none.
    Invalid,
}

/// A section that an object's coming looks at, as it was when the module was loaded.
#[derive(Clone, Debug)]
struct Retained<'f> {
    section: u32,
    /// Its target.
    target: u32,
    entries: Vec<Rela>,
    /// `None`: every object.
    object: Option<&'f [u8]>,
    problem: Option<ErrorKey>,
    /// Address and size of the target.
    place: (u64, usize),
}

/// The module and its memory, which changes only when a pass must succeed.
#[derive(Debug)]
pub struct Life<'f, 'w> {
    module: Module<'f>,
    symbols: Vec<Symbol<'f>>,
    /// The memory of each section.
    pub spots: Vec<Spot<'w>>,
    /// The values of the symbols.
    pub values: Vec<u64>,
    retained: Vec<Retained<'f>>,
    /// The fields that each live object has written, by section.
    live: BTreeMap<Vec<u8>, Vec<Vec<Field>>>,
}

impl<'f, 'w> Life<'f, 'w> {
    /// A module that is not loaded. `spots` is memory for its first sections; there are no more
    /// targets.
    pub fn new(module: Module<'f>, spots: Vec<Spot<'w>>) -> Self {
        let symbols = module.symbols();
        let values = symbols.iter().map(|symbol| symbol.value).collect();
        Self { module, symbols, spots, values, retained: Vec::new(), live: BTreeMap::new() }
    }

    /// Where symbol `index` is.
    pub fn meaning(&self, index: u32) -> Meaning {
        let symbol = &self.symbols[index as usize];
        // A reserved index is a section to Linux if the file has so many; the gABI's is none.
        let exists = (symbol.section as usize) < self.module.sections.len();
        match symbol.shndx {
            0 => Meaning::Undefined,
            SHN_ABS => Meaning::Absolute,
            SHN_COMMON => Meaning::Common,
            SHN_LIVEPATCH => Meaning::Livepatch,
            shndx if exists && (shndx < 0xff00 || self.module.kernel.linux.is_some()) => {
                Meaning::Section(symbol.section)
            }
            _ => Meaning::Invalid,
        }
    }

    /// The objects of the late sections in the order of sections, each with whether it is live.
    pub fn objects(&self) -> impl Iterator<Item = (&'f [u8], bool)> {
        let objects = self.retained.iter().filter_map(|retained| retained.object);
        objects.map(|object| (object, self.live.contains_key(object)))
    }

    /// The sections that can have relocations, with their classes.
    fn classes(&self) -> Vec<(u32, u32, Class<'f>)> {
        let sections = (0..).zip(&self.module.sections);
        let classes = sections.map(|(index, section)| (index, section.sh_info, self.module.class(index)));
        classes.filter(|(.., class)| *class != Class::NotRelocation).collect()
    }

    fn spot(&self, section: u32) -> Option<&Spot<'w>> {
        self.spots.get(section as usize)
    }

    fn is_placed(&self, section: u32) -> bool {
        self.spot(section).is_some_and(|spot| spot.is_placed)
    }

    /// Whether the target is present, with its size.
    fn check_target(&self, target: u32) -> Result<(), ErrorKey> {
        let size = self.module.sections[target as usize].sh_size;
        match self.spot(target).filter(|spot| spot.is_placed) {
            None => Err(ErrorKey::about(NotAssigned, target)),
            Some(spot) if spot.bytes.len() as u64 != size => Err(ErrorKey::about(AssignedSize, target)),
            Some(spot) if spot.wraps() => Err(ErrorKey::about(AddressWraps, target)),
            Some(_) => Ok(()),
        }
    }

    /// The errors of `assign_errors`.
    pub fn assign_errors(&self) -> Vec<ErrorKey> {
        let early = |(index, target, class): (u32, u32, Class<'_>)| match class {
            Class::Ordinary | Class::Early if !self.module.entries(index).is_empty() => {
                self.check_target(target).err()
            }
            _ => None,
        };
        self.classes().into_iter().filter_map(early).collect()
    }

    /// The error of `fill`.
    pub fn fill_fault(&self) -> Option<ErrorKey> {
        let sections = 1..self.spots.len() as u32;
        sections.filter_map(|section| self.check_target(section).err()).find(|told| told.kind != NotAssigned)
    }

    /// Sets the values of the symbols. The last error is the one that is returned.
    fn resolve(&mut self, answers: &impl Answers) -> Result<(), ErrorKey> {
        let mut last = Ok(());
        let section = Some(self.module.symtab);
        for index in 1..self.symbols.len() {
            let symbol = &self.symbols[index];
            let (name, is_lto) = (symbol.name, symbol.name.starts_with(b"__gnu_lto"));
            let is_optional = symbol.info >> 4 == STB_WEAK || name == b"_GLOBAL_OFFSET_TABLE_";
            let found = || answers.exported(name).filter(|_| name.len() <= LONGEST_NAME);
            let value = match self.meaning(index as u32) {
                Meaning::Undefined => found().or(is_optional.then_some(symbol.value)).ok_or(UnknownSymbol),
                Meaning::Section(section) if self.is_placed(section) => {
                    Ok(symbol.value.wrapping_add(self.spots[section as usize].base))
                }
                Meaning::Section(_) => Ok(UNASSIGNED),
                Meaning::Common if !is_lto => Err(CommonSymbol),
                Meaning::Invalid => Err(SymbolSection),
                Meaning::Common | Meaning::Absolute | Meaning::Livepatch => Ok(symbol.value),
            };
            let told = |kind| ErrorKey { kind, section, entry: None, symbol: Some(index as u32) };
            last = value.as_ref().map_or_else(|kind| Err(told(*kind)), |_| last);
            self.values[index] = value.unwrap_or(symbol.value);
        }
        last
    }

    /// The early pass. Returns whether there was anything to write.
    pub fn early(&mut self, answers: &impl Answers) -> Result<bool, ErrorKey> {
        self.resolve(answers)?;
        let (mut spots, mut wrote) = (self.spots.clone(), false);
        for (index, target, class) in self.classes() {
            let entries = self.module.entries(index);
            match class {
                Class::FailsLoad(kind) => return Err(ErrorKey::about(kind, index)),
                Class::Early => self.look_up(b"vmlinux", index, &entries, answers)?,
                Class::Ordinary => {}
                _ => continue,
            }
            let is_unplaced = |rela: &Rela| {
                let is_symbol = (rela.r_sym as usize) < self.symbols.len();
                is_symbol
                    && matches!(self.meaning(rela.r_sym), Meaning::Section(section) if !self.is_placed(section))
            };
            if let Some(entry) = entries.iter().position(is_unplaced) {
                return Err(at(SymbolUnassigned, index, entry, &entries[entry]));
            }
            self.apply(index, target, &entries, &mut spots)?;
            wrote |= !entries.is_empty();
        }
        self.spots = spots;
        Ok(wrote)
    }

    /// What is retained of the late sections when the module is loaded.
    pub fn retain(&mut self) {
        for (section, target, class) in self.classes() {
            let entries = self.module.entries(section);
            let about = |kind| Some(ErrorKey::about(kind, section));
            let (object, problem) = match class {
                Class::Late(object) if entries.is_empty() => (Some(object), None),
                Class::Late(object) => (Some(object), self.check_target(target).err()),
                Class::FailsComing(object, kind) => (Some(object), about(kind)),
                Class::FailsAnyComing(kind) => (None, about(kind)),
                _ => continue,
            };
            let place = self.spot(target).map_or((0, 0), |spot| (spot.address, spot.bytes.len()));
            self.retained.push(Retained { section, target, entries, object, problem, place });
        }
    }

    /// The object comes. Returns how many sections it has, and whether there was anything to write.
    pub fn coming(&mut self, object: &[u8], answers: &impl Answers) -> Result<(usize, bool), ErrorKey> {
        if object.is_empty() || object == b"vmlinux" {
            return Err(ErrorKey::of(NotAModule));
        }
        if self.live.contains_key(object) {
            return Err(ErrorKey::of(AlreadyLive));
        }
        let (mut spots, mut written, mut wrote) = (self.spots.clone(), Vec::new(), false);
        for retained in self.retained.clone() {
            if retained.object.is_some_and(|of| of != object) {
                continue;
            }
            retained.problem.map_or(Ok(()), Err)?;
            self.look_up(object, retained.section, &retained.entries, answers)?;
            self.is_still_there(&retained)?;
            written.push(self.apply(retained.section, retained.target, &retained.entries, &mut spots)?);
            wrote |= !retained.entries.is_empty();
        }
        self.spots = spots;
        let count = written.len();
        if count != 0 {
            self.live.insert(object.to_vec(), written);
        }
        Ok((count, wrote))
    }

    /// The object goes. Returns the same.
    pub fn going(&mut self, object: &[u8]) -> Result<(usize, bool), ErrorKey> {
        if object.is_empty() || object == b"vmlinux" {
            return Err(ErrorKey::of(NotAModule));
        }
        let retained: Vec<_> =
            self.retained.iter().filter(|retained| retained.object == Some(object)).collect();
        let Some(written) = self.live.get(object) else {
            return if retained.is_empty() { Ok((0, false)) } else { Err(ErrorKey::of(NotLive)) };
        };
        let (mut spots, mut wrote) = (self.spots.clone(), false);
        let clears = !self.module.kernel.is_before((6, 3));
        for (retained, fields) in retained.iter().zip(written).rev().filter(|_| clears) {
            self.is_still_there(retained)?;
            for (offset, field) in fields.iter().rev() {
                let there = &mut spots[retained.target as usize].bytes[*offset..][..field.len()];
                if there != field {
                    return Err(ErrorKey::about(TargetMismatch, retained.section));
                }
                there.fill(0);
            }
            wrote |= !retained.entries.is_empty();
        }
        let count = retained.len();
        self.spots = spots;
        self.live.remove(object);
        Ok((count, wrote))
    }

    /// Whether the target is where it was when the module was loaded.
    fn is_still_there(&self, retained: &Retained<'_>) -> Result<(), ErrorKey> {
        let told = |kind| Err(ErrorKey::about(kind, retained.target));
        match self.spot(retained.target).filter(|spot| spot.is_placed) {
            _ if retained.entries.is_empty() => Ok(()),
            None => told(NotAssigned),
            Some(spot) if spot.address != retained.place.0 => told(SectionMoved),
            Some(spot) if spot.bytes.len() != retained.place.1 => told(AssignedSize),
            Some(_) => Ok(()),
        }
    }

    /// Looks up the symbols of a livepatch section of `object`, in the order of its relocations
    /// (sections 7 and 8).
    fn look_up(
        &mut self,
        object: &[u8],
        index: u32,
        entries: &[Rela],
        answers: &impl Answers,
    ) -> Result<(), ErrorKey> {
        for (entry, rela) in entries.iter().enumerate() {
            let value = self.livepatch_value(object, rela.r_sym, answers);
            let value = value.map_err(|kind| at(kind, index, entry, rela))?;
            self.values[rela.r_sym as usize] = value;
        }
        Ok(())
    }

    fn livepatch_value(&self, section: &[u8], symbol: u32, answers: &impl Answers) -> Result<u64, ErrorKind> {
        let raw = self.symbols.get(symbol as usize).ok_or(SymbolIndex)?;
        if self.meaning(symbol) != Meaning::Livepatch {
            return Err(NotKlpSymbol);
        }
        let name = names::symbol(raw.name, self.module.kernel).ok_or(BadKlpSymbolName)?;
        if name.object == b"vmlinux" && section != b"vmlinux" {
            return Err(VmlinuxFromModule);
        }
        let ask = |nth| answers.nth_symbol(name.object, name.name, nth);
        let found = |value: u64| if value == 0 { Err(KlpNotFound) } else { Ok(value) };
        match (name.sympos, ask(0), ask(1)) {
            (_, None, _) => Err(KlpNotFound),
            // The last address seen counts first.
            (0, _, Some(0)) => Err(KlpNotFound),
            (0, _, Some(_)) => Err(KlpAmbiguous),
            (0 | 1, Some(value), _) => found(value),
            (sympos, ..) => ask(sympos - 1).ok_or(KlpSympos).and_then(found),
        }
    }

    /// Applies a section to `spots`, and returns the fields. Behind a writer every entry is judged
    /// by itself first.
    fn apply(
        &self,
        index: u32,
        target: u32,
        entries: &[Rela],
        spots: &mut [Spot<'_>],
    ) -> Result<Vec<Field>, ErrorKey> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let kernel = self.module.kernel;
        let mut flags = RelocFlags::empty();
        flags.set(RelocFlags::TRUNCATE_PC32, kernel.truncates_pc32);
        flags.set(RelocFlags::REPORT_NONZERO_FIRST, kernel.is_before((6, 3)));
        let spot = &mut spots[target as usize];
        let bytes = core::mem::take(&mut spot.bytes);
        let mut world = table::World { bytes, address: spot.address, values: self.values.clone(), flags };
        let alone = if spot.is_hooked { world.errors(entries) } else { Vec::new() };
        let fields = alone.first().map_or_else(|| world.apply(entries), |fault| Err(*fault));
        spot.bytes = world.bytes;
        fields.map_err(|(kind, entry, symbol, ..)| ErrorKey { kind, section: Some(index), entry, symbol })
    }
}

/// An error at one relocation.
fn at(kind: ErrorKind, section: u32, entry: usize, rela: &Rela) -> ErrorKey {
    ErrorKey { kind, section: Some(section), entry: Some(entry as u64), symbol: Some(rela.r_sym) }
}
