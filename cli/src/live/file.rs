//! The files of livepatches that are loaded.

use super::system::System;
use crate::failure::Failure;
use crate::input::files;
use crate::input::symbols::Symbols;
use crate::view::names::{IN_SENTENCE, Name, module_name};
use relakit::elf::SymbolLocation;
use relakit::{Module, Profile};
use std::path::{Path, PathBuf};

/// The file of a livepatch, and the livepatch's name in the kernel.
#[derive(Debug)]
pub(super) struct PatchFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) file: Vec<u8>,
    /// Why it is not the file of the loaded module, if it is not.
    pub(super) differs: Option<String>,
}

impl PatchFile {
    /// Reads a file, and compares it with the loaded module.
    pub(super) fn read(
        path: &Path,
        system: &System,
        symbols: &Symbols,
        profile: Profile,
    ) -> Result<Self, Failure> {
        let file = files::read_module(path)?;
        let module = Module::parse(&file, profile).map_err(|error| Failure::file(path, error.kind))?;
        let name = module_name(&module, path);
        if !system.livepatches.iter().any(|patch| patch.name == name) {
            let why = "is not a loaded livepatch; without --loaded, relakit says what a load would return";
            let path = path.display();
            return Err(Failure::Usage(format!("--loaded {path}: {} {why}", name.escape_default())));
        }
        let differs = difference(&module, &name, system, symbols)?;
        Ok(Self { path: path.to_owned(), name, file, differs })
    }
}

/// Compares the symbols of a file with those of the loaded module: each is in its section, at the
/// offset of the file. Returns the first difference.
fn difference(
    module: &Module<'_>,
    name: &str,
    system: &System,
    symbols: &Symbols,
) -> Result<Option<String>, Failure> {
    let sections = system.sections(name)?;
    let object = module.object();
    let table = object.symbols();
    let mut compared = 0u64;
    for symbol in (1..table.len()).filter_map(|index| table.get(index)) {
        let SymbolLocation::Section(index) = table.location(&symbol) else { continue };
        let Some(section) = object.section(index).filter(|_| module.is_allocated(index)) else { continue };
        let section_name = object.section_name(&section);
        let Ok(symbol_name) = table.name(&symbol) else { continue };
        // Init sections are freed, and the addresses of per-CPU sections are those of the first CPU.
        let is_freed = section_name.starts_with(b".init") || section_name.starts_with(b".exit");
        // kallsyms does not list symbols without a name and those of sections.
        if is_freed || module.per_cpu_section() == Some(index) || symbol_name.is_empty() {
            continue;
        }
        let shown = Name(symbol_name).short(IN_SENTENCE);
        let Some(start) = sections.get(&*String::from_utf8_lossy(section_name)) else {
            return Ok(Some(format!(
                "the loaded module has no section {}",
                Name(section_name).short(IN_SENTENCE)
            )));
        };
        let expected = start.wrapping_add(symbol.st_value);
        let mut known = symbols.defined(name.as_bytes(), symbol_name).peekable();
        if known.peek().is_none() {
            // Kernels without CONFIG_KALLSYMS_ALL list functions only.
            continue;
        }
        if !known.any(|(address, _)| address == expected) {
            return Ok(Some(format!("the loaded module has {shown} at another address")));
        }
        compared = compared.saturating_add(1);
    }
    Ok((compared == 0).then(|| "the loaded module has no symbol of the file".to_owned()))
}
