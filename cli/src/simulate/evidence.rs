//! What Linux compares with the running kernel: the CRCs, licenses and namespaces of imported
//! symbols, vermagic, and the layout of `struct module` (Linux semantics 17).

use super::findings::Findings;
use super::prediction::{Check, Errors};
use super::report::Phase;
use crate::input::kernel::{self, Kernel};
use crate::input::symbols::{Symbols, Symver};
use crate::view::location::Location;
use crate::view::names::{IN_SENTENCE, Name};
use relakit::Module;
use relakit::arch::is_pointer;
use relakit::elf::SymbolLocation;
use relakit_linux::findings::{Finding, Lint};
use relakit_linux::loader_check::{LoaderCheck, modinfo, modinfos, section_named};
use std::collections::HashMap;

/// Bytes of an entry of `__versions`: the CRC in 8 bytes, and the name
/// (`struct modversion_info`, include/linux/module.h).
const VERSION: usize = 64;

/// Licenses that are compatible with the GPL (`license_is_gpl_compatible`,
/// include/linux/license.h).
const GPL: [&[u8]; 6] =
    [b"GPL", b"GPL v2", b"GPL and additional rights", b"Dual BSD/GPL", b"Dual MIT/GPL", b"Dual MPL/GPL"];

/// The CRCs that a module has.
struct Versions<'f> {
    by_name: HashMap<&'f [u8], u32>,
}

impl<'f> Versions<'f> {
    /// `None` if the module has no CRCs at all.
    fn of(module: &Module<'f>) -> Option<Self> {
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
pub(super) fn imports(module: &Module<'_>, name: &str, symbols: &Symbols, errors: &mut Errors<'_, '_>) {
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
            && !imports_namespace(module, name, namespace)
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

/// `verify_namespace_is_imported`. A namespace `module:a,b*` is for the named modules only. In it, a
/// hyphen is an underscore.
fn imports_namespace(module: &Module<'_>, name: &str, namespace: &[u8]) -> bool {
    if let Some(modules) = namespace.strip_prefix(b"module:") {
        let plain = |name: &[u8]| String::from_utf8_lossy(name).replace('-', "_");
        let name = plain(name.as_bytes());
        let is_for = |pattern: &[u8]| match pattern.strip_suffix(b"*") {
            Some(start) => name.starts_with(&plain(start)),
            None => plain(pattern) == name,
        };
        return modules.split(|byte| *byte == b',').any(is_for);
    }
    modinfos(module, b"import_ns").any(|imported| imported == namespace)
}

/// The release that a module is built for: the first word of vermagic.
pub(super) fn release<'f>(module: &Module<'f>) -> Option<&'f [u8]> {
    modinfo(module, b"vermagic")?.split(|byte| *byte == b' ').next().filter(|release| !release.is_empty())
}

/// Compares the release that the module is built for with the kernel that is asked about.
pub(super) fn vermagic(
    module: &Module<'_>,
    name: &str,
    kernel: &Kernel,
    errors: &mut Errors<'_, '_>,
    findings: &mut Findings<'_, '_>,
) {
    let Some(own) = release(module).and_then(|release| str::from_utf8(release).ok()) else { return };
    let is_same_version = kernel::parse(own) == Some(kernel.version);
    let is_same = is_same_version && kernel.release.as_ref().is_none_or(|release| release == own);
    if is_same {
        return;
    }
    let asked = kernel.release.as_deref().unwrap_or(&kernel.asked);
    let detail = format!("the module is built for {own}, and --kernel is {asked}");
    if Versions::of(module).is_none() {
        let message = format!("{name}: version magic {own} is not that of Linux {asked}");
        errors.check(Phase::Validity, Check::new(LoaderCheck::VersionMagic, message, None).detail(detail));
    } else if !is_same_version {
        findings.add(Finding::new(Lint::OtherKernel), Some(detail));
    }
}

/// The members of `struct module` that a file shows: its size, and the offsets of the pointers to
/// the init and exit functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ThisModule {
    size: u64,
    init: Option<u64>,
    exit: Option<u64>,
}

impl ThisModule {
    fn of(module: &Module<'_>) -> Option<(u32, Self)> {
        let index = section_named(module, b".gnu.linkonce.this_module")?;
        let mut this = Self { size: module.object().section(index)?.sh_size, init: None, exit: None };
        let table = module.object().symbols();
        for (number, class) in module.classes() {
            if class.class != (relakit::Class::Ordinary { target: index }) {
                continue;
            }
            for rela in module.relocations(number).iter().filter(|rela| is_pointer(rela.r_type)) {
                let name = table.get(rela.r_sym).and_then(|symbol| table.name(&symbol).ok());
                match name {
                    Some(b"init_module") => this.init = Some(rela.r_offset),
                    Some(b"cleanup_module") => this.exit = Some(rela.r_offset),
                    _ => {}
                }
            }
        }
        Some((index, this))
    }
}

/// Whether a module has an init function but no exit function, so that it cannot be unloaded.
pub(super) fn cannot_go(module: &Module<'_>) -> bool {
    ThisModule::of(module).is_some_and(|(_, this)| this.init.is_some() && this.exit.is_none())
}

/// Compares `struct module` and the release of a module with those of another module, which is for
/// the same kernel.
pub(super) fn compare(
    module: &Module<'_>,
    name: &str,
    (other, other_name): (&Module<'_>, &str),
    errors: &mut Errors<'_, '_>,
    findings: &mut Findings<'_, '_>,
) {
    let releases = (release(module), release(other));
    if let (Some(own), Some(of_other)) = releases
        && own != of_other
    {
        let (own, of_other) = (Name(own).short(IN_SENTENCE), Name(of_other).short(IN_SENTENCE));
        let detail = format!("{name} is built for {own}, and {other_name} for {of_other}");
        findings.add(Finding::new(Lint::OtherKernel), Some(detail));
        return;
    }
    let magic = |module| modinfo(module, b"vermagic").map(|magic| Name(magic).short(IN_SENTENCE));
    if let (Some(own), Some(of_other)) = (magic(module), magic(other))
        && own != of_other
    {
        let message = format!("{name}: version magic {own} should be {of_other}");
        let detail = format!("{other_name} has the version magic {of_other}");
        errors.check(Phase::Validity, Check::new(LoaderCheck::VersionMagic, message, None).detail(detail));
    }
    let (Some((index, own)), Some((_, of_other))) = (ThisModule::of(module), ThisModule::of(other)) else {
        return;
    };
    if own.size != of_other.size {
        let detail = format!("it has {:#x} bytes, and that of {other_name} {:#x}", own.size, of_other.size);
        if LoaderCheck::ThisModuleSize.is_of(module.profile()) {
            let message = format!("{name}: .gnu.linkonce.this_module section size must match the kernel's");
            let location = Location::of_section(module, Some(index));
            let check = Check::new(LoaderCheck::ThisModuleSize, message, Some(location)).detail(detail);
            errors.check(Phase::Validity, check);
        } else {
            findings.add(this_module_layout(index), Some(detail));
        }
        return;
    }
    let differs = |own: Option<u64>, other: Option<u64>| own.zip(other).filter(|(own, other)| own != other);
    for (what, own, of_other) in [("init", own.init, of_other.init), ("exit", own.exit, of_other.exit)] {
        if let Some((own, of_other)) = differs(own, of_other) {
            let message = format!("{name}: the relocation of {what} finds a field that is not zero");
            let location = Some(Location::in_section(module, index, own));
            let check = Check::new(LoaderCheck::ThisModuleOffsets, message, location);
            let detail = format!("{what} is at {own:#x}, and that of {other_name} at {of_other:#x}");
            errors.check(Phase::Relocation, check.detail(detail));
        }
    }
}

fn this_module_layout(section: u32) -> Finding {
    let mut finding = Finding::new(Lint::ThisModuleLayout);
    finding.section = Some(section);
    finding
}
