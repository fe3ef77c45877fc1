//! The imported symbols of a module, compared with the exports in a Module.symvers: CRCs, licenses
//! and namespaces (Linux semantics 17).

use super::prediction::{Check, Errors};
use super::report::Phase;
use crate::input::symbol_lines::Symver;
use crate::input::symbols::Symbols;
use crate::view::location::Location;
use crate::view::names::{IN_SENTENCE, Name};
use relakit::Module;
use relakit::elf::SymbolLocation;
use relakit_linux::loader_check::{LoaderCheck, modinfo, modinfos, section_named};
use std::collections::{HashMap, HashSet};

/// Bytes of an entry of `__versions`: the CRC in 8 bytes, and the name
/// (`struct modversion_info`, include/linux/module.h).
const VERSION: usize = 64;

/// Licenses that are compatible with the GPL (`license_is_gpl_compatible`,
/// include/linux/license.h).
const GPL: [&[u8]; 6] =
    [b"GPL", b"GPL v2", b"GPL and additional rights", b"Dual BSD/GPL", b"Dual MIT/GPL", b"Dual MPL/GPL"];

/// The CRCs that a module has.
pub(super) struct Versions<'f> {
    by_name: HashMap<&'f [u8], u32>,
}

impl<'f> Versions<'f> {
    /// `None` if the module has no CRCs at all.
    pub(super) fn of(module: &Module<'f>) -> Option<Self> {
        let bytes = |name: &[u8]| {
            let section = module.object().section(section_named(module, name)?)?;
            Some(module.object().section_bytes(&section))
        };
        let extended = bytes(b"__version_ext_crcs").zip(bytes(b"__version_ext_names"));
        let by_name = match (extended, bytes(b"__versions")) {
            (Some((crcs, names)), _) => {
                let crcs = crcs.as_chunks().0.iter().map(|crc| u32::from_le_bytes(*crc));
                names.split(|byte| *byte == 0).zip(crcs).collect()
            }
            (None, Some(versions)) => {
                let entries = versions.as_chunks::<VERSION>().0.iter();
                entries
                    .filter_map(|entry| {
                        let (crc, name) = entry.split_first_chunk::<8>()?;
                        let crc = u64::from_le_bytes(*crc);
                        Some((name.split(|byte| *byte == 0).next()?, u32::try_from(crc).unwrap_or(0)))
                    })
                    .collect()
            }
            (None, None) => return None,
        };
        Some(Self { by_name })
    }
}

/// The checks of `resolve_symbol` and `check_modstruct_version`, as far as a Module.symvers tells.
pub(super) fn check(module: &Module<'_>, name: &str, symbols: &Symbols, errors: &mut Errors<'_, '_>) {
    let versions = Versions::of(module);
    let disagrees = |name: &[u8], symver: &Symver| {
        versions.as_ref().is_some_and(|versions| versions.by_name.get(name) != Some(&symver.crc))
    };
    if let Some(layout) =
        symbols.symver(b"module_layout").filter(|symver| disagrees(b"module_layout", symver))
    {
        let message = format!("{name}: disagrees about version of symbol module_layout");
        let check = Check::new(LoaderCheck::LayoutVersion, message, None);
        errors.check(Phase::Validity, crcs(check, versions.as_ref(), b"module_layout", layout));
    }
    let is_gpl = GPL.contains(&modinfo(module, b"license").unwrap_or_default());
    let namespaces = Namespaces::of(module, name);
    let table = module.object().symbols();
    for index in 1..table.len() {
        let Some(symbol) =
            table.get(index).filter(|symbol| table.location(symbol) == SymbolLocation::Undefined)
        else {
            continue;
        };
        let Ok(symbol_name) = table.name(&symbol) else { continue };
        let Some(symver) = symbols.symver(symbol_name) else { continue };
        let short = Name(symbol_name).short(IN_SENTENCE);
        let mut found = |check, message: String| {
            let location = Location::new(module, None, None, Some(index));
            let check = Check::new(check, format!("{name}: {message}"), Some(location));
            errors.check(
                Phase::Symbols,
                match check.check() {
                    LoaderCheck::SymbolVersion => crcs(check, versions.as_ref(), symbol_name, symver),
                    _ => check,
                },
            );
        };
        if symver.gpl && !is_gpl {
            found(LoaderCheck::GplOnly, format!("unknown symbol {short} (-ENOENT)"));
        } else if disagrees(symbol_name, symver) {
            found(LoaderCheck::SymbolVersion, format!("disagrees about version of symbol {short}"));
        } else if let Some(namespace) = &symver.namespace
            && !namespaces.have(namespace)
        {
            let namespace = Name(namespace).short(IN_SENTENCE);
            let message = format!("uses the symbol {short} of namespace {namespace}, but does not import it");
            found(LoaderCheck::NamespaceNotImported, message);
        }
    }
}

fn crcs(check: Check, versions: Option<&Versions<'_>>, name: &[u8], kernel: &Symver) -> Check {
    let own = versions.and_then(|versions| versions.by_name.get(name));
    let own = own.map_or_else(|| "no CRC".to_owned(), |crc| format!("{crc:#010x}"));
    check
        .detail(format!("the module has {own}, the kernel {:#010x}", kernel.crc))
        .help("build the module again for this kernel".to_owned())
}

/// The namespaces from which a module may use symbols.
struct Namespaces<'f> {
    /// The module's name, with underscores.
    module: String,
    imported: HashSet<&'f [u8]>,
}

impl<'f> Namespaces<'f> {
    fn of(module: &Module<'f>, name: &str) -> Self {
        Self { module: name.replace('-', "_"), imported: modinfos(module, b"import_ns").collect() }
    }

    /// `verify_namespace_is_imported`. A namespace `module:a,b*` is for the named modules only. In
    /// it, a hyphen is an underscore.
    fn have(&self, namespace: &[u8]) -> bool {
        let Some(modules) = namespace.strip_prefix(b"module:") else {
            return self.imported.contains(namespace);
        };
        let plain = |name: &[u8]| String::from_utf8_lossy(name).replace('-', "_");
        let is_for = |pattern: &[u8]| match pattern.strip_suffix(b"*") {
            Some(start) => self.module.starts_with(&plain(start)),
            None => plain(pattern) == self.module,
        };
        modules.split(|byte| *byte == b',').any(is_for)
    }
}
