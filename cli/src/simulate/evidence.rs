//! What Linux compares with the running kernel: vermagic, and the layout of `struct module` (Linux
//! semantics 17).

use super::findings::Findings;
use super::imports::Versions;
use super::prediction::{Check, Errors};
use super::report::Phase;
use crate::input::kernel::{self, Kernel};
use crate::view::location::Location;
use crate::view::names::{IN_SENTENCE, Name};
use relakit::Module;
use relakit::arch::is_pointer;
use relakit_linux::findings::{Finding, Lint};
use relakit_linux::loader_check::{LoaderCheck, modinfo, section_named};

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
pub(crate) fn cannot_go(module: &Module<'_>) -> bool {
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
