//! Findings about names (Linux semantics 1): names that parse but are probably mistakes.

use super::{Finding, Lint};
use relakit::Module;
use relakit::Profile;
use relakit::abi::{KLP_RELA_PREFIX, KLP_SYM_PREFIX, OBJECT_NAME_MAX, VMLINUX};
use relakit::elf::{Section, SectionFlags, SymbolLocation};
use relakit::klp::{RelaName, SymName};

/// Greatest length of a livepatch symbol's name in kernels before 6.1, in bytes.
const OLD_NAME_MAX: usize = 127;

/// Reports findings about the name of section `index`.
pub(super) fn section(module: &Module<'_>, index: u32, section: &Section, report: &mut dyn FnMut(Finding)) {
    let object = module.object();
    let name = object.section_name(section);
    let flag = section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH);
    let mut found = |rule, value: u64, limit: u64| {
        report(Finding { section: Some(index), value, limit, ..Finding::new(rule) });
    };
    if !flag {
        if name.starts_with(KLP_RELA_PREFIX) {
            found(Lint::NameWithoutFlag, section.sh_flags.bits(), 0);
        }
        return;
    }
    let Some(parsed) = RelaName::parse(name) else {
        return found(Lint::FlagWithoutName, section.sh_flags.bits(), 0);
    };
    if parsed.is_cut() {
        let more = parsed.rest.iter().position(|byte| *byte == b'.').unwrap_or(parsed.rest.len());
        let length = parsed.object.len().saturating_add(more);
        return found(Lint::ObjectNameCut, length as u64, OBJECT_NAME_MAX as u64);
    }
    if let Some(rule) = object_rule(parsed.object) {
        found(rule, 0, 0);
    }
    let target = object.section(section.sh_info).map(|target| object.section_name(&target));
    if target != parsed.section() && target.is_some() {
        let goes_on = parsed.section().is_some_and(|rest| {
            // `<more>.<target>`: the object's name has a dot.
            target.and_then(|target| rest.strip_suffix(target)).is_some_and(|more| more.ends_with(b"."))
        });
        match goes_on {
            true => found(Lint::ObjectNameDot, 0, 0),
            false => found(Lint::NamesOtherTarget, u64::from(section.sh_info), 0),
        }
    }
}

/// Reports findings about the names of livepatch symbols.
pub(super) fn symbols(module: &Module<'_>, report: &mut dyn FnMut(Finding)) {
    let table = module.object().symbols();
    for symbol in table.iter().filter(|symbol| symbol.index() != 0) {
        let index = symbol.index();
        if table.location(&symbol) != SymbolLocation::Livepatch {
            if table.strings().starts_with(symbol.st_name, KLP_SYM_PREFIX) {
                let shndx = u64::from(symbol.st_shndx);
                report(Finding { symbol: Some(index), value: shndx, ..Finding::new(Lint::SymbolNotMarked) });
            }
            continue;
        }
        let Ok(name) = table.name(&symbol) else { continue };
        let Some(parsed) = SymName::parse(name, module.profile()) else { continue };
        let mut found = |rule, value: u64, limit: u64| {
            report(Finding { symbol: Some(index), value, limit, ..Finding::new(rule) });
        };
        if let Some(rule) = object_rule(parsed.object) {
            found(rule, 0, 0);
        }
        // A static variable called ko is ko.12 to the compiler.
        if parsed.name.strip_prefix(b"ko.").is_some_and(|rest| !rest.iter().all(u8::is_ascii_digit)) {
            found(Lint::ObjectNameDot, 0, 0);
        }
        if !parsed.rest.is_empty() {
            found(Lint::SymposTrailingText, parsed.sympos, parsed.rest.len() as u64);
        }
        if saturated(name) {
            found(Lint::SymposTooLarge, parsed.sympos, 0);
        }
        if parsed.name.len() > OLD_NAME_MAX {
            found(Lint::SymbolNameWidth, parsed.name.len() as u64, OLD_NAME_MAX as u64);
        }
    }
}

/// Whether kernels that saturate a sympos read another one than those that wrap it.
fn saturated(name: &[u8]) -> bool {
    let sympos = |profile: &Profile| SymName::parse(name, profile).map(|name| name.sympos);
    sympos(&Profile::LINUX_6_12) != sympos(&Profile::LINUX_7_3)
}

/// Returns the lint that an object's name shows by itself.
fn object_rule(object: &[u8]) -> Option<Lint> {
    match object {
        VMLINUX => None,
        _ if object.eq_ignore_ascii_case(VMLINUX) => Some(Lint::ObjectNameCase),
        _ if object.contains(&b'-') => Some(Lint::ObjectNameHyphen),
        _ => None,
    }
}
