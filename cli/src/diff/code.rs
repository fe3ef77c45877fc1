//! The content of functions, without the places of things: a function that has only moved has the same
//! content.

use crate::view::patch::Where;
use crate::view::walk::OVERLAP_MAX;
use relakit::elf::{Section, SectionFlags, Symbol, SymbolLocation};
use relakit::reloc::{self, Formula};
use relakit::{Module, abi};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

const STT_FUNC: u8 = 2;
/// A PC-relative addend counts from the end of the instruction: after the field of 4 or 8 bytes, and after
/// an immediate operand of up to 4 bytes. In data, it counts from the field. The first distance is that of
/// a field of 4 bytes and no operand.
const DISTANCES: [u64; 6] = [4, 5, 6, 8, 0, 12];
/// Opcodes with a ModRM byte and without an immediate operand: add, sub, cmp, test, mov and lea.
const NO_IMMEDIATE: [u8; 10] = [0x01, 0x03, 0x29, 0x2b, 0x39, 0x3b, 0x85, 0x89, 0x8b, 0x8d];
/// Longest string that is compared, in bytes.
const STRING: usize = 4096;

/// Where a relocation leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target<'f> {
    /// A symbol, and a distance from it in bytes.
    Symbol(&'f [u8], u64),
    /// A string of a string section.
    Text(&'f [u8]),
    /// A place in a section that no symbol covers.
    Section(&'f [u8], u64),
}

/// A function's bytes, and its relocations: offset in the function, type and target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content<'f> {
    bytes: &'f [u8],
    relocations: Vec<(u64, u32, Target<'f>)>,
}

/// A relocation: offset in the section, type, symbol, addend.
type Entry = (u64, u32, u32, i64);

/// The code of a module.
pub(super) struct Code<'f> {
    module: &'f Module<'f>,
    /// The relocations of each section, sorted.
    relocations: HashMap<u32, Vec<Entry>>,
    /// The named symbols of sections: section and value, then name and size. Of several symbols at a
    /// place, the one with the smallest name.
    symbols: BTreeMap<(u32, u64), (&'f [u8], u64)>,
    /// The functions with names.
    functions: Vec<(&'f [u8], Where)>,
    /// Names that several symbols of sections have. Such a name does not say which one is meant.
    ambiguous: HashSet<&'f [u8]>,
    /// The size of the function at a section and value. Of several, the largest one.
    sizes: HashMap<(u32, u64), u64>,
    /// How many bytes may still be read. Functions of a hostile file can overlap.
    left: Cell<u64>,
}

impl<'f> Code<'f> {
    pub(super) fn of(module: &'f Module<'f>) -> Self {
        let object = module.object();
        let mut relocations: HashMap<u32, Vec<Entry>> = HashMap::new();
        for (index, class) in module.classes() {
            let Some(target) = class.class.target() else { continue };
            let entries = module.relocations(index);
            let entries = entries.iter().map(|rela| (rela.r_offset, rela.r_type, rela.r_sym, rela.r_addend));
            relocations.entry(target).or_default().extend(entries);
        }
        relocations.values_mut().for_each(|entries| entries.sort_unstable());
        let mut code = Self {
            module,
            relocations,
            symbols: BTreeMap::new(),
            functions: Vec::new(),
            ambiguous: HashSet::new(),
            sizes: HashMap::new(),
            left: Cell::new((object.bytes().len() as u64).saturating_mul(OVERLAP_MAX)),
        };
        let table = object.symbols();
        let mut names = HashSet::new();
        for symbol in table.iter() {
            let SymbolLocation::Section(section) = table.location(&symbol) else { continue };
            let Some(name) = code.name(&symbol) else { continue };
            if !names.insert(name) {
                code.ambiguous.insert(name);
            }
            let known = code.symbols.entry((section, symbol.st_value)).or_insert((name, symbol.st_size));
            *known = (*known).min((name, symbol.st_size));
            if symbol.st_info & 0xf == STT_FUNC {
                let place = Where { section, offset: symbol.st_value };
                code.functions.push((name, place));
                let size = code.sizes.entry((section, symbol.st_value)).or_default();
                *size = (*size).max(symbol.st_size);
            }
        }
        code
    }

    /// The functions with names, each with its place.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&'f [u8], Where)> + '_ {
        self.functions.iter().copied()
    }

    /// The content of the function at a place. `None` if its size is not known, or if too much was read.
    pub(super) fn content(&self, place: Where) -> Option<Content<'f>> {
        let size = self.sizes.get(&(place.section, place.offset)).filter(|size| **size != 0)?;
        let object = self.module.object();
        let bytes = object.section_bytes(&object.section(place.section)?);
        let start = usize::try_from(place.offset).ok()?;
        let bytes = bytes.get(start..start.checked_add(usize::try_from(*size).ok()?)?)?;
        let all = self.relocations.get(&place.section).map(Vec::as_slice).unwrap_or_default();
        let end = place.offset.checked_add(*size)?;
        let first = all.partition_point(|entry| entry.0 < place.offset);
        let last = all.partition_point(|entry| entry.0 < end);
        let entries = all.get(first..last)?;
        let cost = size.saturating_add((entries.len() as u64).saturating_mul(abi::RELA_SIZE as u64));
        self.left.set(self.left.get().checked_sub(cost)?);
        let mut relocations = Vec::new();
        for &(offset, r_type, symbol, addend) in entries {
            let at = offset.wrapping_sub(place.offset);
            let before = usize::try_from(at).ok().and_then(|at| bytes.get(..at)).unwrap_or_default();
            let targets = self.targets(r_type, before, symbol, addend);
            relocations.extend(targets.into_iter().map(|target| (at, r_type, target)));
        }
        Some(Content { bytes, relocations })
    }

    /// Where a relocation leads. If the addend does not tell it exactly, there are several places, and
    /// one of them is right: two functions are equal only if all of them are.
    fn targets(&self, r_type: u32, before: &[u8], symbol: u32, addend: i64) -> Vec<Target<'f>> {
        let howto = reloc::howto(r_type, self.module.profile().reloc_flags());
        let distances = match howto.map(|howto| (howto.formula, howto.size)) {
            Some((Formula::PcRelative, 4)) if has_no_immediate(before) => &DISTANCES[..1],
            Some((Formula::PcRelative, _)) => &DISTANCES[..],
            _ => &[0],
        };
        let table = self.module.object().symbols();
        let addend = addend.cast_unsigned();
        let Some(symbol) = table.get(symbol) else { return vec![Target::Symbol(b"", addend)] };
        let SymbolLocation::Section(section) = table.location(&symbol) else {
            return vec![Target::Symbol(table.name(&symbol).unwrap_or_default(), addend)];
        };
        match self.name(&symbol).filter(|name| !self.ambiguous.contains(name)) {
            Some(name) => vec![Target::Symbol(name, addend)],
            None => {
                let place = symbol.st_value.wrapping_add(addend);
                distances.iter().map(|distance| self.target(section, place.wrapping_add(*distance))).collect()
            }
        }
    }

    /// What is at a place of a section.
    fn target(&self, index: u32, place: u64) -> Target<'f> {
        let covers = self.symbols.range((index, 0)..=(index, place)).next_back();
        if let Some(((_, start), (name, size))) = covers
            && let Some(distance) = place.checked_sub(*start)
            && distance < (*size).max(1)
            && !self.ambiguous.contains(name)
        {
            return Target::Symbol(name, distance);
        }
        let object = self.module.object();
        let Some(section) = object.section(index) else { return Target::Section(b"", place) };
        self.string(&section, place).unwrap_or_else(|| Target::Section(object.section_name(&section), place))
    }

    /// The string at a place of a string section.
    fn string(&self, section: &Section, place: u64) -> Option<Target<'f>> {
        if !section.sh_flags.contains(SectionFlags::STRINGS) {
            return None;
        }
        let bytes = self.module.object().section_bytes(section).get(usize::try_from(place).ok()?..)?;
        let end = bytes.iter().take(STRING).position(|byte| *byte == 0)?;
        bytes.get(..end).map(Target::Text)
    }

    /// The name of a symbol that is not that of a section. The compiler numbers its own labels, which
    /// begin with ".L", so their names say nothing.
    fn name(&self, symbol: &Symbol) -> Option<&'f [u8]> {
        let is_section = symbol.st_info & 0xf == abi::STT_SECTION;
        let name = self.module.object().symbols().name(symbol).ok()?;
        (!is_section && !name.is_empty() && !name.starts_with(b".L")).then_some(name)
    }
}

/// Whether the instruction whose last field is next has no immediate operand after the field: a call, a
/// jump, or an instruction with a PC-relative operand whose opcode is known to have none.
fn has_no_immediate(before: &[u8]) -> bool {
    /// The bits `mod` and `rm` of a PC-relative operand.
    const MASK: u8 = 0xc7;
    const PC_RELATIVE: u8 = 0x05;
    match before {
        [.., 0xe8 | 0xe9] | [.., 0x0f, 0x80..=0x8f] => true,
        [.., opcode, modrm] => modrm & MASK == PC_RELATIVE && NO_IMMEDIATE.contains(opcode),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_with_an_immediate_operand_is_not_exact() {
        for (code, exact) in [
            (&[0xe8][..], true),         // call
            (&[0xe9], true),             // jmp
            (&[0x0f, 0x84], true),       // je
            (&[0x48, 0x8d, 0x3d], true), // lea x(%rip), %rdi
            (&[0x8b, 0x05], true),       // mov x(%rip), %eax
            (&[0xc7, 0x05], false),      // movl $n, x(%rip)
            (&[0x83, 0x3d], false),      // cmpl $n, x(%rip)
            (&[0x8b, 0x45], false),      // mov n(%rbp), %eax
            (&[0x05], false),
            (&[], false),
        ] {
            assert_eq!(has_no_immediate(code), exact, "{code:x?}");
        }
    }
}
