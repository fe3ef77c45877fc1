//! A module's sections in memory of our own.

use crate::Failure;
use crate::place::At;
use crate::symbols::Symbols;
use relakit::elf::SymbolLocation;
use relakit::{Module, SectionMemory, abi};
use relakit_linux::loader_check;
use std::collections::BTreeMap;
use std::path::Path;

/// What all placed sections may have together; a kernel's module area has less.
const IMAGE_MAX: u64 = 1 << 30;

/// One buffer for each placed section.
#[derive(Debug)]
pub(crate) struct Image {
    sections: BTreeMap<u32, (At, Vec<u8>)>,
}

impl Image {
    /// Makes room for the sections that have a place.
    pub(crate) fn new(module: &Module<'_>, places: BTreeMap<u32, At>) -> Result<Self, Failure> {
        let mut image = Self { sections: BTreeMap::new() };
        let mut total = 0u64;
        for (index, at) in places {
            let section = module.object().section(index).ok_or_else(|| {
                let count = module.object().section_count();
                Failure::File(format!(
                    "there is a place for section {index}, and the module has {count} sections"
                ))
            })?;
            if section.sh_type == abi::SHT_NULL {
                continue;
            }
            total = total.saturating_add(section.sh_size);
            let size = usize::try_from(section.sh_size).ok().filter(|_| total <= IMAGE_MAX);
            let mut bytes = Vec::new();
            match size.map(|size| (size, bytes.try_reserve_exact(size))) {
                Some((size, Ok(()))) => bytes.resize(size, 0),
                _ => {
                    let limit = IMAGE_MAX >> 30;
                    return Err(Failure::File(format!(
                        "section {index} has {:#x} bytes: more than {limit} GiB with those before it, or than there is memory",
                        section.sh_size
                    )));
                }
            }
            image.sections.insert(index, (at, bytes));
        }
        Ok(image)
    }

    /// The sections as the memory of a [`Module`].
    pub(crate) fn memory(&mut self) -> Vec<Option<SectionMemory<'_>>> {
        let mut memory: Vec<_> = Vec::new();
        for (index, (at, bytes)) in &mut self.sections {
            memory.resize_with(usize::try_from(*index).unwrap_or(usize::MAX), || None);
            memory.push(Some(SectionMemory { address: at.address, symbols_at: at.symbols_at, bytes }));
        }
        memory
    }
}

/// Where the per-CPU section has no base for its symbols, takes it from the module's own lines in the symbol files:
/// the difference between a variable's address there and its offset in the section. Answers a note where that fails.
pub(crate) fn find_per_cpu_base(
    module: &Module<'_>,
    path: &Path,
    places: &mut BTreeMap<u32, At>,
    symbols: &Symbols,
) -> Option<String> {
    let index = module.per_cpu_section()?;
    let at = places.get_mut(&index).filter(|at| at.symbols_at.is_none())?;
    let own = module_name(module, path);
    let table = module.object().symbols();
    let bases = (1..table.len()).filter_map(|number| {
        let symbol = table.get(number)?;
        let name = table.name(&symbol).ok().filter(|name| !name.is_empty())?;
        let mut addresses = symbols.per_cpu(&own, name);
        // A name that stands twice does not tell which is which.
        match (table.location(&symbol), addresses.next(), addresses.next()) {
            (SymbolLocation::Section(section), Some(address), None) if section == index => {
                Some(address.wrapping_sub(symbol.st_value))
            }
            _ => None,
        }
    });
    let bases: std::collections::BTreeSet<u64> = bases.collect();
    match bases.into_iter().collect::<Vec<_>>()[..] {
        [base] => {
            at.symbols_at = Some(base);
            None
        }
        ref bases => {
            let why = if bases.is_empty() { "do not have" } else { "disagree on" };
            Some(format!(
                "section {index} is per-CPU and its place has no \"symbols_at\"; the symbol files {why} the variables of \
                 [{own}], so its symbols count from {:#x}",
                at.address
            ))
        }
    }
}

/// The module's name as the kernel knows it: from its `struct module` or .modinfo, or else from the file's name.
pub(crate) fn module_name(module: &Module<'_>, path: &Path) -> String {
    match loader_check::module_name(module).or_else(|| loader_check::modinfo(module, b"name")) {
        Some(name) => String::from_utf8_lossy(name).into_owned(),
        None => name_of_file(path),
    }
}

/// What a module in this file is called, as far as the file's name tells.
pub(crate) fn name_of_file(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = file.split(".ko").next().unwrap_or_default();
    stem.replace('-', "_")
}
