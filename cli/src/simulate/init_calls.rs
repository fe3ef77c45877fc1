//! Finds init code that calls a function with late relocations. When it runs, the relocations may
//! not be applied yet.

use relakit::elf::{SectionFlags, SymbolLocation};
use relakit::{Class, Module};
use relakit_linux::findings::{Finding, Lint};
use std::collections::{BTreeSet, HashMap};

/// Bytes from a branch's field to the next instruction, from which the branch counts.
const FIELD: i64 = 4;

/// Type of a function's symbol (gABI 4, "Symbol Table").
const STT_FUNC: u8 = 2;

/// A function: section index and offset.
type Function = (u32, u64);

/// The functions of a module, by section and offset.
struct Functions(BTreeSet<Function>);

impl Functions {
    fn of(module: &Module<'_>) -> Self {
        let table = module.object().symbols();
        let starts = table.iter().filter_map(|symbol| match table.location(&symbol) {
            SymbolLocation::Section(section) if symbol.st_info & 0xf == STT_FUNC => {
                Some((section, symbol.st_value))
            }
            _ => None,
        });
        Self(starts.collect())
    }

    /// The function that has the byte at an offset.
    fn at(&self, section: u32, offset: u64) -> Option<Function> {
        self.0.range(..=(section, offset)).next_back().copied().filter(|(of, _)| *of == section)
    }
}

/// A branch of a function to another one, by a relocation.
struct Branch {
    to: Function,
    section: u32,
    entry: u64,
    offset: u64,
}

/// Returns a finding for each branch of init code that leads to a function with late relocations,
/// directly or through other functions.
pub(super) fn find(module: &Module<'_>) -> Vec<Finding> {
    let functions = Functions::of(module);
    let mut late: HashMap<Function, u32> = HashMap::new();
    for (index, class) in module.classes() {
        let Class::KlpLate { target, .. } = class.class else { continue };
        for rela in module.relocations(index).iter() {
            let function = functions.at(target, rela.r_offset);
            late.extend(function.map(|function| (function, index)));
        }
    }
    if late.is_empty() {
        return Vec::new();
    }
    let branches = branches(module, &functions);
    let is_init = |section: u32| {
        let section = module.object().section(section);
        section.is_some_and(|section| module.object().section_name(&section).starts_with(b".init"))
    };
    let init = branches.iter().filter(|((section, _), _)| is_init(*section)).flat_map(|(_, calls)| calls);
    let found = init.filter_map(|call| {
        let section = reaches(call.to, &branches, &late)?;
        let mut finding = Finding::new(Lint::InitCallsLate);
        (finding.section, finding.entry, finding.offset) =
            (Some(call.section), Some(call.entry), call.offset);
        finding.other_section = Some(section);
        Some(finding)
    });
    found.collect()
}

/// The late section of a function that `first` calls, or of `first` itself.
fn reaches(
    first: Function,
    branches: &HashMap<Function, Vec<Branch>>,
    late: &HashMap<Function, u32>,
) -> Option<u32> {
    let (mut seen, mut todo) = (BTreeSet::from([first]), vec![first]);
    while let Some(function) = todo.pop() {
        if let Some(section) = late.get(&function) {
            return Some(*section);
        }
        let next = branches.get(&function).into_iter().flatten().map(|branch| branch.to);
        todo.extend(next.filter(|function| seen.insert(*function)));
    }
    None
}

/// The branches of each function.
fn branches(module: &Module<'_>, functions: &Functions) -> HashMap<Function, Vec<Branch>> {
    let object = module.object();
    let table = object.symbols();
    let mut branches: HashMap<Function, Vec<Branch>> = HashMap::new();
    for (index, class) in module.classes() {
        let Class::Ordinary { target } = class.class else { continue };
        let Some(code) =
            object.section(target).filter(|code| code.sh_flags.contains(SectionFlags::EXECINSTR))
        else {
            continue;
        };
        let bytes = object.section_bytes(&code);
        for (entry, rela) in module.relocations(index).numbered() {
            let is_branch = || {
                let opcode = usize::try_from(rela.r_offset).ok()?.checked_sub(1)?;
                Some(matches!(bytes.get(opcode)?, 0xe8 | 0xe9))
            };
            let Some(symbol) = table.get(rela.r_sym) else { continue };
            let SymbolLocation::Section(section) = table.location(&symbol) else { continue };
            let to = symbol.st_value.wrapping_add_signed(rela.r_addend.wrapping_add(FIELD));
            let Some((to, from)) = functions.at(section, to).zip(functions.at(target, rela.r_offset)) else {
                continue;
            };
            if is_branch() == Some(true) {
                let branch = Branch { to, section: index, entry: entry as u64, offset: rela.r_offset };
                branches.entry(from).or_default().push(branch);
            }
        }
    }
    branches
}
