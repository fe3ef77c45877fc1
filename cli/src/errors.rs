//! Faults as people and scripts want to read them.

use relakit::elf::Section;
use relakit::{Error, Module, arch};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Bytes of a name, printable.
pub(crate) fn text(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

/// The names that belong to a fault's numbers.
struct Names {
    section: Option<String>,
    target: Option<String>,
    symbol: Option<String>,
}

impl Names {
    fn of(module: Option<&Module<'_>>, error: &Error) -> Self {
        let Some(object) = module.map(Module::object) else {
            return Self { section: None, target: None, symbol: None };
        };
        let name = |section: Section| text(object.section_name(&section));
        let section = error.section.and_then(|index| object.section(index));
        let symbol = |index: u32| {
            let symbol = object.symbols().get(index)?;
            match object.symbols().name(&symbol).ok()? {
                // A section's symbol has no name of its own.
                b"" => object.section(u32::from(symbol.st_shndx)).map(name),
                name => Some(text(name)),
            }
        };
        Self {
            section: section.map(name),
            // Only where a relocation is at fault is `sh_info` its target.
            target: section
                .filter(|_| error.entry.is_some())
                .and_then(|s| object.section(s.sh_info))
                .map(name),
            symbol: error.symbol.map(|index| symbol(index).unwrap_or_default()),
        }
    }
}

/// What a user can do about a fault, where that is not plain.
pub(crate) fn help(error: &Error) -> Option<&'static str> {
    use relakit::ErrorKind as Kind;
    Some(match error.kind {
        Kind::UnknownSymbol => {
            "no symbol file says that anybody exports it; is the list of a module missing?"
        }
        Kind::KlpNotFound => "is the object loaded at this step, and does its list of symbols have it?",
        Kind::KlpAmbiguous => "give the position of the one meant after the comma, counted from 1",
        Kind::NotAssigned => "add the section to PLACE.json",
        Kind::SymbolUnassigned => {
            "add the symbol's section to PLACE.json; any address will do if the value does not matter"
        }
        Kind::TargetNotZero => {
            "something wrote there before: two relocations of one field, or a target that was not cleared when it went"
        }
        Kind::TargetMismatch => {
            "something wrote there since the relocation: a special section's reader, or another relocation"
        }
        Kind::VmlinuxFromModule => "put this relocation into a .klp.rela.vmlinux section",
        Kind::CommonSymbol => "compile with -fno-common",
        Kind::AlreadyLive => "let it go first, with --going",
        Kind::NotLive => "let it come first, with --coming",
        _ => return None,
    })
}

/// Prints one fault with all it knows.
pub(crate) fn print(
    out: &mut impl Write,
    module: Option<&Module<'_>>,
    path: &Path,
    error: &Error,
) -> io::Result<()> {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let blue = anstyle::AnsiColor::Blue.on_default().bold();
    let names = Names::of(module, error);
    writeln!(out, "{red}error{red:#}: {}", error.kind)?;
    write!(out, "  {blue}-->{blue:#} {}", path.display())?;
    if let Some(section) = error.section {
        write!(out, ": section {section}")?;
        if let Some(name) = &names.section {
            write!(out, " {name}")?;
        }
    }
    if let Some(entry) = error.entry {
        write!(out, ", entry {entry}")?;
        if let Some(target) = &names.target {
            write!(out, ", into {target}")?;
        }
    }
    writeln!(out)?;
    let line = |out: &mut dyn Write, what: &str| writeln!(out, "   {blue}={blue:#} {what}");
    if let Some(r_type) = error.r_type {
        let name = arch::type_name(r_type).map_or_else(|| format!("type {r_type}"), str::to_owned);
        line(out, &format!("relocation: {name}"))?;
    }
    if let Some(symbol) = error.symbol {
        line(out, &format!("symbol: {} (number {symbol})", names.symbol.unwrap_or_default()))?;
    }
    let numbers = numbers(error).map(|(name, number)| format!("{name} {number:#x}")).collect::<Vec<_>>();
    if !numbers.is_empty() {
        line(out, &numbers.join(", "))?;
    }
    if let Some(errno) = errno(error) {
        line(out, &format!("Linux answers -{errno}"))?;
    }
    if let Some(help) = help(error) {
        line(out, &format!("help: {help}"))?;
    }
    Ok(())
}

/// The same for scripts.
pub(crate) fn to_json(module: Option<&Module<'_>>, error: &Error) -> Value {
    let names = Names::of(module, error);
    let numbers: serde_json::Map<_, _> = numbers(error)
        .map(|(name, number)| (name.replace(' ', "_"), json!(format!("{number:#x}"))))
        .collect();
    json!({
        "kind": format!("{:?}", error.kind),
        "number": error.kind as i32,
        "message": error.kind.to_string(),
        "section": error.section,
        "section_name": names.section,
        "entry": error.entry,
        "target_name": names.target,
        "type": error.r_type,
        "type_name": error.r_type.and_then(arch::type_name),
        "symbol": error.symbol,
        "symbol_name": names.symbol,
        "numbers": numbers,
        "errno": errno(error),
        "help": help(error),
    })
}

/// What Linux answers, by name.
fn errno(error: &Error) -> Option<&'static str> {
    match error.kind.linux_errno() {
        2 => Some("ENOENT"),
        8 => Some("ENOEXEC"),
        22 => Some("EINVAL"),
        _ => None,
    }
}

/// The numbers that this kind of fault has, with their names.
pub(crate) fn numbers(error: &Error) -> impl Iterator<Item = (&'static str, u64)> {
    let numbers = [error.offset, error.value, error.limit];
    error.kind.field_names().into_iter().zip(numbers).filter(|(name, _)| !name.is_empty())
}
