//! What must be in memory, by the rules of Linux (docs/linux-semantics.md, sections 4 to 10 and 15) and arithmetic on integers that
//! do not wrap. It knows what the plan means and reads no file.

mod classes;
mod field;

use super::plan::{LONGEST_NAME, Meaning, OBJECTS, Plan, Relocations, Whose};
use super::world::{Answers, Spot};
use classes::Class;
use relakit::Error;
use relakit::ErrorKind::{self, *};

/// A fault as far as a model can know it: kind, section, entry, symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: ErrorKind,
    pub(super) section: Option<u32>,
    pub(super) entry: Option<u64>,
    pub(super) symbol: Option<u32>,
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self { kind: error.kind, section: error.section, entry: error.entry, symbol: error.symbol }
    }
}

impl Told {
    pub(super) const fn of(kind: ErrorKind) -> Self {
        Self { kind, section: None, entry: None, symbol: None }
    }

    const fn about(kind: ErrorKind, section: u32) -> Self {
        Self { section: Some(section), ..Self::of(kind) }
    }
}

/// The value of a symbol whose section has no memory.
const UNASSIGNED: u64 = 0x5ec7_1000_0000_0000;

/// A field that was written.
#[derive(Clone, Debug)]
struct Written {
    target: usize,
    offset: usize,
    value: [u8; 8],
    size: usize,
}

impl Written {
    fn bytes(&self) -> &[u8] {
        &self.value[..self.size]
    }
}

/// A section that an object's coming looks at, as it was when the module was loaded.
#[derive(Clone, Debug)]
struct Kept {
    number: usize,
    /// `None`: every object.
    object: Option<usize>,
    problem: Option<Told>,
    /// Address and size of the target.
    place: (u64, usize),
}

/// The module and its memory, which changes only when a pass must succeed.
pub(super) struct Model<'p, 'w> {
    plan: &'p Plan,
    pub(super) spots: Vec<Spot<'w>>,
    values: Vec<u64>,
    kept: Vec<Kept>,
    /// What each object that is there has written, by section.
    live: [Option<Vec<Vec<Written>>>; OBJECTS.len()],
}

impl<'p, 'w> Model<'p, 'w> {
    pub(super) fn new(plan: &'p Plan, spots: Vec<Spot<'w>>) -> Self {
        let values = plan.symbols.iter().map(|symbol| symbol.value).collect();
        Self { plan, spots, values, kept: Vec::new(), live: [const { None }; OBJECTS.len()] }
    }

    /// The objects of the late sections in the order of sections, each with whether it is there.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&'static [u8], bool)> {
        let objects = self.kept.iter().filter_map(|kept| kept.object);
        objects.map(|object| (OBJECTS[object].as_bytes(), self.is_live(object)))
    }

    fn is_live(&self, object: usize) -> bool {
        self.live[object].is_some()
    }

    /// The values of the symbols after the early pass.
    pub(super) fn values(&self) -> &[u64] {
        &self.values
    }

    /// Bytes that the target must have.
    fn size(&self, target: u32) -> usize {
        self.plan.targets[usize::try_from(target).unwrap() - 1].content.len()
    }

    /// The target is there, with its size.
    fn is_there(&self, target: u32) -> Result<(), Told> {
        let spot = &self.spots[usize::try_from(target).unwrap()];
        match spot.is_placed {
            false => Err(Told::about(NotAssigned, target)),
            true if spot.bytes.len() != self.size(target) => Err(Told::about(AssignedSize, target)),
            true if spot.wraps() => Err(Told::about(AddressWraps, target)),
            true => Ok(()),
        }
    }

    /// What `place` finds missing.
    pub(super) fn assign_errors(&self) -> Vec<Told> {
        let early =
            |section: &&Relocations| self.class(section) == Class::Early && !section.entries.is_empty();
        let sections = self.plan.relocations.iter().filter(early);
        sections.filter_map(|section| self.is_there(section.target).err()).collect()
    }

    /// What `fill` finds wrong.
    pub(super) fn fill_fault(&self) -> Option<Told> {
        let targets = 1..=u32::try_from(self.plan.targets.len()).unwrap();
        targets.filter_map(|target| self.is_there(target).err()).find(|told| told.kind != NotAssigned)
    }

    /// Values of the symbols, and the fault that counts: the last.
    fn resolve(&mut self, answers: &impl Answers) -> Result<(), Told> {
        let section = Some(self.plan.symbols_section());
        let mut last = Ok(());
        for (index, symbol) in (0..).zip(&self.plan.symbols) {
            let mut fault = |kind| last = Err(Told { kind, section, entry: None, symbol: Some(index) });
            let value = &mut self.values[usize::try_from(index).unwrap()];
            *value = symbol.value;
            match &symbol.meaning {
                _ if index == 0 => {}
                Meaning::Defined { section } => {
                    let spot = self.spots.get(usize::try_from(*section).unwrap());
                    *value = match spot.filter(|spot| spot.is_placed) {
                        Some(spot) => value.wrapping_add(spot.base),
                        None => UNASSIGNED,
                    };
                }
                Meaning::Undefined { weak } => {
                    let is_asked = symbol.name.len() <= LONGEST_NAME;
                    match answers.exported(symbol.name.as_bytes()).filter(|_| is_asked) {
                        Some(found) => *value = found,
                        None if *weak => {}
                        None => fault(UnknownSymbol),
                    }
                }
                Meaning::Common { is_lto: false } => fault(CommonSymbol),
                Meaning::Invalid => fault(SymbolSection),
                _ => {}
            }
        }
        last
    }

    /// The early pass. Answers whether there was anything to write.
    pub(super) fn early(&mut self, answers: &impl Answers) -> Result<bool, Told> {
        let plan = self.plan;
        self.resolve(answers)?;
        let (mut spots, mut wrote) = (self.spots.clone(), false);
        for (number, section) in plan.relocations.iter().enumerate() {
            let index = plan.section(number);
            match self.class(section) {
                Class::FailsLoad(kind) => return Err(Told::about(kind, index)),
                Class::Early => {}
                _ => continue,
            }
            if let Whose::Object(object) = section.whose {
                self.look_up(object, index, section, answers)?;
            }
            for (entry, relocation) in (0..).zip(&section.entries) {
                let symbol = plan.symbols.get(usize::try_from(relocation.symbol).unwrap());
                if let Some(Meaning::Defined { section }) = symbol.map(|symbol| &symbol.meaning)
                    && self.spots.get(usize::try_from(*section).unwrap()).is_none_or(|spot| !spot.is_placed)
                {
                    return Err(Told {
                        kind: SymbolUnassigned,
                        section: Some(index),
                        entry: Some(entry),
                        symbol: Some(relocation.symbol),
                    });
                }
            }
            self.apply(index, section, &mut spots)?;
            wrote |= !section.entries.is_empty();
        }
        self.spots = spots;
        Ok(wrote)
    }

    /// What is known of the late sections when the module is loaded.
    pub(super) fn retain(&mut self) {
        for (number, section) in self.plan.relocations.iter().enumerate() {
            let index = self.plan.section(number);
            let (object, problem) = match self.class(section) {
                Class::Late(object) if section.entries.is_empty() => (Some(object), None),
                Class::Late(object) => (Some(object), self.is_there(section.target).err()),
                Class::FailsComing(object, kind) => (Some(object), Some(Told::about(kind, index))),
                Class::FailsAnyComing(kind) => (None, Some(Told::about(kind, index))),
                _ => continue,
            };
            let spot = self.spots.get(usize::try_from(section.target).unwrap());
            let place = spot.map_or((0, 0), |spot| (spot.address, spot.bytes.len()));
            self.kept.push(Kept { number, object, problem, place });
        }
    }

    /// The object comes. Answers how many sections it has, and whether there was anything to write.
    pub(super) fn coming(&mut self, object: usize, answers: &impl Answers) -> Result<(usize, bool), Told> {
        if object == 0 {
            return Err(Told::of(NotAModule));
        }
        if self.is_live(object) {
            return Err(Told::of(AlreadyLive));
        }
        let plan = self.plan;
        let (mut spots, mut written, mut wrote) = (self.spots.clone(), Vec::new(), false);
        for kept in self.kept.clone() {
            if kept.object.is_some_and(|of| of != object) {
                continue;
            }
            if let Some(problem) = kept.problem {
                return Err(problem);
            }
            let (index, section) = (plan.section(kept.number), &plan.relocations[kept.number]);
            self.look_up(object, index, section, answers)?;
            self.is_still_there(&kept)?;
            written.push(self.apply(index, section, &mut spots)?);
            wrote |= !section.entries.is_empty();
        }
        self.spots = spots;
        let count = written.len();
        self.live[object] = (count != 0).then_some(written);
        Ok((count, wrote))
    }

    /// The object goes. Answers the same.
    pub(super) fn going(&mut self, object: usize) -> Result<(usize, bool), Told> {
        if object == 0 {
            return Err(Told::of(NotAModule));
        }
        let kept: Vec<_> = self.kept.iter().filter(|kept| kept.object == Some(object)).cloned().collect();
        let Some(written) = &self.live[object] else {
            return if kept.is_empty() { Ok((0, false)) } else { Err(Told::of(NotLive)) };
        };
        let (mut spots, mut wrote) = (self.spots.clone(), false);
        let clears = !self.plan.is_before((6, 3));
        for (kept, fields) in kept.iter().zip(written).rev().filter(|_| clears) {
            self.is_still_there(kept)?;
            for field in fields.iter().rev() {
                let there = &mut spots[field.target].bytes[field.offset..][..field.size];
                if there != field.bytes() {
                    return Err(Told::about(TargetMismatch, self.plan.section(kept.number)));
                }
                there.fill(0);
            }
            wrote |= !self.plan.relocations[kept.number].entries.is_empty();
        }
        self.spots = spots;
        self.live[object] = None;
        Ok((kept.len(), wrote))
    }

    /// The target is where it was when the module was loaded.
    fn is_still_there(&self, kept: &Kept) -> Result<(), Told> {
        let section = &self.plan.relocations[kept.number];
        if section.entries.is_empty() {
            return Ok(());
        }
        let spot = &self.spots[usize::try_from(section.target).unwrap()];
        let told = |kind| Err(Told::about(kind, section.target));
        match (spot.is_placed, spot.address == kept.place.0, spot.bytes.len() == kept.place.1) {
            (false, ..) => told(NotAssigned),
            (true, false, _) => told(SectionMoved),
            (true, true, false) => told(AssignedSize),
            (true, true, true) => Ok(()),
        }
    }

    /// Looks up the symbols of a livepatch section of `object`, in the order of its relocations (sections 7 and 8).
    fn look_up(
        &mut self,
        object: usize,
        index: u32,
        section: &Relocations,
        answers: &impl Answers,
    ) -> Result<(), Told> {
        for (entry, relocation) in (0..).zip(&section.entries) {
            let symbol = usize::try_from(relocation.symbol).unwrap();
            let value = self.plan.symbols.get(symbol).ok_or(SymbolIndex);
            let value = value.and_then(|symbol| self.livepatch_value(object, &symbol.meaning, answers));
            self.values[symbol.min(self.plan.symbols.len() - 1)] = value.map_err(|kind| Told {
                kind,
                section: Some(index),
                entry: Some(entry),
                symbol: Some(relocation.symbol),
            })?;
        }
        Ok(())
    }

    fn livepatch_value(
        &self,
        section: usize,
        meaning: &Meaning,
        answers: &impl Answers,
    ) -> Result<u64, ErrorKind> {
        let longest = if self.plan.is_before((6, 1)) { 127 } else { 511 };
        let (object, name, position) = match meaning {
            Meaning::Raw => return Err(BadKlpSymbolName),
            Meaning::Livepatch { name, .. } if name.len() > longest => {
                return Err(BadKlpSymbolName);
            }
            Meaning::Livepatch { object: 0, .. } if section != 0 => return Err(VmlinuxFromModule),
            Meaning::Livepatch { object, name, position } => {
                (OBJECTS[*object], name, position[usize::from(!self.plan.is_before((7, 2)))])
            }
            _ => return Err(NotKlpSymbol),
        };
        let ask = |position| answers.nth_symbol(object.as_bytes(), name.as_bytes(), position);
        match (position, ask(0), ask(1)) {
            (_, None, _) => Err(KlpNotFound),
            // The last address seen counts first.
            (0, _, Some(0)) => Err(KlpNotFound),
            (0, _, Some(_)) => Err(KlpAmbiguous),
            (0 | 1, Some(value), _) => {
                if value == 0 {
                    Err(KlpNotFound)
                } else {
                    Ok(value)
                }
            }
            (position, ..) => match ask(position - 1) {
                None => Err(KlpSympos),
                Some(0) => Err(KlpNotFound),
                Some(value) => Ok(value),
            },
        }
    }

    /// Applies a section to `spots`, and answers the fields. Behind a writer every entry is judged by itself first.
    fn apply(&self, index: u32, section: &Relocations, spots: &mut [Spot<'_>]) -> Result<Vec<Written>, Told> {
        let target = usize::try_from(section.target).unwrap();
        let mut written = Vec::new();
        if section.entries.is_empty() {
            return Ok(written);
        }
        for is_writing in [false, true] {
            if !is_writing && !spots[target].is_hooked {
                continue;
            }
            for (entry, relocation) in (0..).zip(&section.entries) {
                let field = self.field(relocation, &spots[target]).map_err(|kind| Told {
                    kind,
                    section: Some(index),
                    entry: Some(entry),
                    symbol: Some(relocation.symbol),
                })?;
                if let (Some((offset, value, size)), true) = (field, is_writing) {
                    let field = Written { target, offset, value, size };
                    spots[target].bytes[offset..][..size].copy_from_slice(field.bytes());
                    written.push(field);
                }
            }
        }
        Ok(written)
    }
}
