//! The modules, and what there is to relocate in each.

use crate::names;
use relakit::elf::{Section, SymbolLocation};
use relakit::{Class, Module, Profile, SectionMemory};
use std::ops::Range;
use std::path::{Path, PathBuf};

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
    pub name: String,
    pub file: Vec<u8>,
    pub jobs: Vec<Job>,
    /// Its sections before relocation, one after the other.
    pub pristine: Vec<u8>,
    /// Where each section is in the image, and its address.
    pub places: Vec<Option<(Range<usize>, u64)>>,
    pub values: Vec<u64>,
    /// The same values in an `Elf64_Sym` table, aligned for C.
    pub symtab: Vec<[u64; 3]>,
    pub relocations: usize,
}

/// Says at which address a section goes, if it goes into memory. Asked in the order of the sections.
pub type Layout<'a> = &'a mut dyn FnMut(u32, &Section, &[u8]) -> Option<u64>;

/// Where Linux puts modules.
const MODULES: u64 = 0xffff_ffff_c000_0000;

impl Work {
    /// A module as Linux 6.1 loads it.
    pub fn new(name: &str, file: Vec<u8>) -> Result<Self, relakit::Error> {
        let mut end = MODULES;
        let mut layout = |_, section: &Section, _: &[u8]| {
            let address = end.next_multiple_of(64);
            end = address + section.sh_size;
            Some(address)
        };
        Self::laid_out(name, file, Profile::LINUX_6_1, names::KERNEL, &mut layout)
    }

    /// A module with its sections where `layout` says, and undefined symbols above `kernel`.
    pub fn laid_out(
        name: &str,
        file: Vec<u8>,
        profile: Profile,
        kernel: u64,
        layout: Layout<'_>,
    ) -> Result<Self, relakit::Error> {
        let module = Module::parse(&file, profile)?;
        let object = module.object();
        let mut pristine = Vec::new();
        let mut places = Vec::new();
        for (index, section) in object.sections() {
            let is_placed = module.is_allocated(index) || module.per_cpu_section() == Some(index);
            let section_name = object.section_name(&section);
            let address = if is_placed { layout(index, &section, section_name) } else { None };
            places.push(address.map(|address| {
                pristine.resize(pristine.len().next_multiple_of(64), 0);
                let start = pristine.len();
                pristine.extend_from_slice(object.section_bytes(&section));
                pristine.resize(start + section.sh_size as usize, 0);
                (start..pristine.len(), address)
            }));
        }
        let address = |section: u32| places[section as usize].as_ref().map_or(0, |(_, address)| *address);
        let symbols = object.symbols();
        let value = |index: u32| {
            let symbol = symbols.get(index).unwrap();
            match symbols.location(&symbol) {
                SymbolLocation::Section(section) => symbol.st_value.wrapping_add(address(section)),
                SymbolLocation::Undefined if index != 0 => {
                    names::find(symbols.name(&symbol).unwrap()).map_or(symbol.st_value, |at| kernel + at)
                }
                _ => symbol.st_value,
            }
        };
        let values: Vec<u64> = (0..symbols.len()).map(value).collect();
        let jobs = module.classes().filter_map(|(index, class)| {
            let Class::Ordinary { target } = class.class else { return None };
            let section = object.section(index)?;
            let start = usize::try_from(section.sh_offset).ok()?;
            let rela = start..start + usize::try_from(section.sh_size).ok()?;
            let (target, address) = places[target as usize].clone()?;
            (!rela.is_empty()).then_some(Job { rela, target, address })
        });
        let jobs: Vec<_> = jobs.collect();
        let relocations = jobs.iter().map(|job| job.rela.len() / 24).sum();
        let symtab = values.iter().map(|value| [0, *value, 0]).collect();
        Ok(Self { name: name.to_owned(), jobs, pristine, places, values, symtab, relocations, file })
    }

    /// The sections in `image`, as relakit's whole-module functions take them.
    pub fn memory<'m>(&self, mut image: &'m mut [u8]) -> Vec<Option<SectionMemory<'m>>> {
        let mut at = 0;
        let place = |place: &Option<(Range<usize>, u64)>| {
            let (range, address) = place.clone()?;
            let (bytes, rest) =
                std::mem::take(&mut image).split_at_mut(range.start - at).1.split_at_mut(range.len());
            (image, at) = (rest, range.end);
            Some(SectionMemory { address, symbols_at: None, bytes })
        };
        self.places.iter().map(place).collect()
    }
}

/// Modules, and where they are from.
pub struct Found {
    pub source: String,
    /// `bench/fetch` fetched them.
    pub is_fetched: bool,
    /// Names and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

/// The first of these that there are: what `bench/fetch` fetched, the running kernel's modules, GRUB's.
pub fn find() -> Option<Found> {
    let fetched = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench-modules"));
    let package = std::fs::read_to_string(fetched.join("done")).ok();
    let folders = [
        (package.as_deref(), fetched.as_path()),
        (Some("/lib/modules"), Path::new("/lib/modules")),
        (Some("GRUB"), Path::new("/usr/lib/grub/x86_64-efi")),
    ];
    folders.into_iter().enumerate().find_map(|(index, (source, folder))| {
        let source = source?.trim().to_owned();
        let mut files = Vec::new();
        read(folder, &mut files);
        (!files.is_empty()).then_some(Found { source, is_fetched: index == 0, files })
    })
}

/// The modules below a folder, uncompressed ones.
fn read(folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            read(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "ko" || extension == "mod") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
}

/// What can be relocated of `files`.
pub fn load(files: Vec<(String, Vec<u8>)>) -> Vec<Work> {
    names::collect(files.iter().map(|(_, file)| &file[..]));
    let work = |(name, file): (String, Vec<u8>)| match Work::new(&name, file) {
        Ok(work) => Some(work).filter(|work| work.relocations > 0),
        Err(error) => {
            eprintln!("{name}: {error}");
            None
        }
    };
    files.into_iter().filter_map(work).collect()
}
