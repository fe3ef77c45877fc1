//! The modules, placed at addresses like the kernel's.

use relakit::elf::SymbolPlace;
use relakit::klp::Class;
use relakit::{Module, Profile};
use std::ops::Range;
use std::path::Path;

/// One relocation section.
pub struct Job {
    /// Where it is in the file.
    pub rela: Range<usize>,
    /// Where its target is in the image.
    pub target: Range<usize>,
    /// The target's address when it runs.
    pub address: u64,
}

/// One module with all that its relocations need.
pub struct Work {
    pub file: Vec<u8>,
    pub jobs: Vec<Job>,
    /// Its sections before relocation, one after the other.
    pub pristine: Vec<u8>,
    pub values: Vec<u64>,
    /// The same values in an `Elf64_Sym` table, aligned for C.
    pub symtab: Vec<[u64; 3]>,
    pub relocations: usize,
}

const BASE: u64 = 0xffff_ffff_c000_0000;

impl Work {
    pub fn new(file: Vec<u8>) -> Result<Self, relakit::Error> {
        let module = Module::parse(&file, Profile::LINUX_6_1)?;
        let object = module.object();
        let mut pristine = Vec::new();
        let mut places = Vec::new();
        for (index, section) in object.sections() {
            let is_placed = module.is_allocated(index) || module.per_cpu_section() == Some(index);
            places.push(is_placed.then(|| {
                pristine.resize(pristine.len().next_multiple_of(64), 0);
                let start = pristine.len();
                pristine.extend_from_slice(object.section_bytes(&section));
                pristine.resize(start + section.size as usize, 0);
                start..pristine.len()
            }));
        }
        let address =
            |section: u32| places[section as usize].as_ref().map_or(0, |place| BASE + place.start as u64);
        let symbols = object.symbols();
        let value = |index: u32| {
            let symbol = symbols.get(index).unwrap();
            match symbols.place(index, &symbol) {
                SymbolPlace::Section(section) => symbol.value.wrapping_add(address(section)),
                SymbolPlace::Undefined => 0xffff_ffff_8100_0000 + u64::from(index) * 16,
                _ => symbol.value,
            }
        };
        let values: Vec<u64> = (0..symbols.len()).map(value).collect();
        let jobs = module.classes().filter_map(|(index, class)| {
            let Class::Ordinary { target } = class.class else { return None };
            let section = object.section(index)?;
            let start = usize::try_from(section.offset).ok()?;
            let rela = start..start + usize::try_from(section.size).ok()?;
            Some(Job { rela, target: places[target as usize].clone()?, address: address(target) })
        });
        let jobs: Vec<_> = jobs.collect();
        let relocations = jobs.iter().map(|job| job.rela.len() / 24).sum();
        let symtab = values.iter().map(|value| [0, *value, 0]).collect();
        Ok(Self { jobs, pristine, values, symtab, relocations, file })
    }
}

/// All modules below a folder that have relocations.
pub fn load(folder: &Path, found: &mut Vec<Work>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            load(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            match Work::new(std::fs::read(&path).unwrap()) {
                Ok(work) if work.relocations > 0 => found.push(work),
                Ok(_) => {}
                Err(error) => eprintln!("{}: {error}", path.display()),
            }
        }
    }
}
