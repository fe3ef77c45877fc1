//! Finds init code that uses code or data with late relocations. When it runs, they are not applied
//! yet, unless `klp_enable_patch` was called before and the patched module is loaded.

use relakit::elf::{Rela, SectionFlags, SymbolLocation};
use relakit::{Class, Module};
use relakit_linux::findings::{Finding, Lint};
use std::collections::{BTreeSet, HashMap};

/// Type of a function's symbol (gABI 4, "Symbol Table").
const STT_FUNC: u8 = 2;
/// Bytes from a field to the next instruction, from which a branch or an address counts.
const FIELD: i64 = 4;

/// A place in the module: section index and offset. A function is the place of its first byte.
type Place = (u32, u64);

/// What the functions of a module use.
struct Uses<'a, 'f> {
    module: &'a Module<'f>,
    functions: BTreeSet<Place>,
    /// The late section for each function and each field with late relocations.
    late: HashMap<Place, u32>,
    /// The uses in each function.
    by_function: HashMap<Place, Vec<Use>>,
}

/// A relocation in a function.
struct Use {
    /// The function or the field to which it leads.
    to: Place,
    /// Whether it is a branch to `to`.
    is_branch: bool,
    section: u32,
    entry: u64,
    offset: u64,
}

/// Returns a finding for each place in init code that leads to late relocations, directly or through
/// other functions. `is_loaded` says whether a patched module is loaded before the livepatch.
pub(super) fn find(module: &Module<'_>, is_loaded: &dyn Fn(&[u8]) -> bool) -> Vec<Finding> {
    let uses = Uses::of(module);
    let is_init = |index| {
        let section = module.object().section(index);
        section.is_some_and(|section| module.object().section_name(&section).starts_with(b".init"))
    };
    let init = uses.by_function.iter().filter(|((section, _), _)| is_init(*section));
    let (leads, enables) = (uses.leads(), uses.enables());
    let mut found = Vec::new();
    for (function, used) in init {
        let enabled = enables.get(function);
        for one in used {
            let Some(&late) = leads.get(&one.to) else { continue };
            let class = module.class(late).map(|class| class.class);
            let object = class.and_then(|class| class.object());
            let is_applied = enabled.is_some_and(|at| one.offset > *at) && object.is_some_and(is_loaded);
            if !is_applied {
                let mut finding = Finding::new(Lint::InitCallsLate);
                (finding.section, finding.entry) = (Some(one.section), Some(one.entry));
                (finding.offset, finding.other_section) = (one.offset, Some(late));
                found.push(finding);
            }
        }
    }
    found.sort_by_key(|finding| (finding.section, finding.entry));
    found
}

impl<'a, 'f> Uses<'a, 'f> {
    fn of(module: &'a Module<'f>) -> Self {
        let table = module.object().symbols();
        let starts = table.iter().filter_map(|symbol| match table.location(&symbol) {
            SymbolLocation::Section(section) if symbol.st_info & 0xf == STT_FUNC => {
                Some((section, symbol.st_value))
            }
            _ => None,
        });
        let functions = starts.collect();
        let mut uses = Self { module, functions, late: HashMap::new(), by_function: HashMap::new() };
        for (index, class) in module.classes() {
            let Class::KlpLate { target, .. } = class.class else { continue };
            for rela in module.relocations(index).iter() {
                let place = match uses.is_code(target) {
                    true => uses.function_at(target, rela.r_offset),
                    false => Some((target, rela.r_offset)),
                };
                uses.late.extend(place.map(|place| (place, index)));
            }
        }
        if !uses.late.is_empty() {
            uses.read();
        }
        uses
    }

    fn is_code(&self, section: u32) -> bool {
        let section = self.module.object().section(section);
        section.is_some_and(|section| section.sh_flags.contains(SectionFlags::EXECINSTR))
    }

    /// The function that has the byte at an offset.
    fn function_at(&self, section: u32, offset: u64) -> Option<Place> {
        self.functions.range(..=(section, offset)).next_back().copied().filter(|(of, _)| *of == section)
    }

    /// Reads the relocations of all code.
    fn read(&mut self) {
        for (index, class) in self.module.classes() {
            let Class::Ordinary { target } = class.class else { continue };
            if !self.is_code(target) {
                continue;
            }
            for (entry, rela) in self.module.relocations(index).numbered() {
                let Some(function) = self.function_at(target, rela.r_offset) else { continue };
                let branch = self.branch(target, &rela).map(|to| (to, true));
                let to = branch.or_else(|| Some((self.data(&rela)?, false)));
                let Some((to, is_branch)) = to else { continue };
                let one = Use { to, is_branch, section: index, entry: entry as u64, offset: rela.r_offset };
                self.by_function.entry(function).or_default().push(one);
            }
        }
    }

    /// The function to which the relocation of a near call or jump leads.
    fn branch(&self, section: u32, rela: &Rela) -> Option<Place> {
        let bytes = self.module.object().section_bytes(&self.module.object().section(section)?);
        let opcode = bytes.get(usize::try_from(rela.r_offset).ok()?.checked_sub(1)?)?;
        let (to, offset) = self.place(rela, FIELD).filter(|_| matches!(opcode, 0xe8 | 0xe9))?;
        self.function_at(to, offset)
    }

    /// The field with late relocations to which a relocation leads.
    fn data(&self, rela: &Rela) -> Option<Place> {
        let places = [self.place(rela, FIELD), self.place(rela, 0)];
        places.into_iter().flatten().find(|place| self.late.contains_key(place))
    }

    fn place(&self, rela: &Rela, more: i64) -> Option<Place> {
        let table = self.module.object().symbols();
        let symbol = table.get(rela.r_sym)?;
        let SymbolLocation::Section(section) = table.location(&symbol) else { return None };
        Some((section, symbol.st_value.wrapping_add_signed(rela.r_addend.wrapping_add(more))))
    }

    /// The late section to which each function and each field leads, directly or through other
    /// functions.
    fn leads(&self) -> HashMap<Place, u32> {
        let mut callers: HashMap<Place, Vec<Place>> = HashMap::new();
        for (function, used) in &self.by_function {
            for one in used.iter().filter(|one| one.is_branch) {
                callers.entry(one.to).or_default().push(*function);
            }
        }
        let (mut leads, mut todo) = (self.late.clone(), self.late.clone().into_iter().collect::<Vec<_>>());
        while let Some((place, section)) = todo.pop() {
            for caller in callers.get(&place).into_iter().flatten() {
                if leads.insert(*caller, section).is_none() {
                    todo.push((*caller, section));
                }
            }
        }
        leads
    }

    /// Offset of the first call of `klp_enable_patch` in each function.
    fn enables(&self) -> HashMap<Place, u64> {
        let table = self.module.object().symbols();
        let is_call = |rela: &Rela| {
            let symbol = table.get(rela.r_sym);
            symbol.is_some_and(|symbol| table.strings().is(symbol.st_name, b"klp_enable_patch"))
        };
        let mut enables: HashMap<Place, u64> = HashMap::new();
        for (index, class) in self.module.classes() {
            let Class::Ordinary { target } = class.class else { continue };
            for rela in self.module.relocations(index).iter().filter(is_call) {
                let Some(function) = self.function_at(target, rela.r_offset) else { continue };
                let first = enables.entry(function).or_insert(rela.r_offset);
                *first = rela.r_offset.min(*first);
            }
        }
        enables
    }
}
