//! What happens, in the kernel's terms: short, with the names that its log would have.

use super::report::SectionMemory;
use relakit::{Error, ErrorKind as Kind};

/// One line for the fault that decides. `name` is the module's.
pub(crate) fn message(name: &str, error: &Error, place: &SectionMemory) -> String {
    let section = place.section_name.as_deref().unwrap_or("?");
    let symbol = place.symbol_name.as_deref().unwrap_or("?");
    let r_type = error.r_type.unwrap_or(0);
    let entry = error.entry.unwrap_or(0);
    let at = format!("section {section}, entry {entry}");
    let (value, limit) = (error.value, error.limit);
    match error.kind {
        Kind::BadKlpSectionName => format!("livepatch: the name of section {section} is not well formed"),
        Kind::NotKlpSymbol => {
            format!("livepatch: {symbol} is used by a livepatch relocation and is no livepatch symbol")
        }
        Kind::BadKlpSymbolName => format!("livepatch: the symbol name {symbol} is not well formed"),
        Kind::VmlinuxFromModule => {
            format!("livepatch: {section} belongs to a module and uses the vmlinux symbol {symbol}")
        }
        Kind::KlpNotFound => format!("livepatch: {symbol} names a symbol that its object does not have"),
        Kind::KlpAmbiguous => format!("livepatch: {symbol} names one of several, and not which"),
        Kind::KlpSympos => format!("livepatch: {symbol}: there are not {value} symbols of that name"),
        Kind::NoRelocationBytes => format!("livepatch: {section} has no bytes in the file"),
        Kind::UnknownSymbol => format!("{name}: unknown symbol {symbol} (-ENOENT)"),
        Kind::CommonSymbol => format!("{name}: {symbol} is a common symbol"),
        Kind::SymbolSection => format!("{name}: symbol {symbol} has section index {value}, of {limit}"),
        Kind::UnknownType => format!("{name}: unknown relocation type {r_type} ({at})"),
        Kind::Overflow => format!("{name}: type {r_type} overflows with value {value:#x} ({at})"),
        Kind::TargetNotZero => {
            format!("{name}: type {r_type} finds its target nonzero, {limit:#x}, for value {value:#x} ({at})")
        }
        Kind::RelSection => format!("{name}: REL relocations are not supported ({section})"),
        Kind::OffsetOutside => {
            format!(
                "a write of {value} bytes at offset {:#x} of a section of {limit:#x} bytes ({at})",
                error.offset
            )
        }
        Kind::SymbolIndex => format!(
            "a read of symbol {symbol_index} of {limit} ({at})",
            symbol_index = error.symbol.unwrap_or(0)
        ),
        Kind::LateNotAllocated => format!("a read of freed memory: {section} was not kept"),
        Kind::TargetNotAllocated | Kind::TargetPerCpu => {
            format!("a write to freed memory: the target of {section} was not kept")
        }
        Kind::TargetOutOfRange => {
            format!("a write through the header of section {value} of {limit} ({section})")
        }
        Kind::TargetIsSymbolTable => format!("a write into the symbol table or its strings ({section})"),
        Kind::BadSectionName => format!("section name at {value:#x}, of {limit:#x} bytes of names"),
        Kind::BadSymbolName => format!("symbol name at {value:#x}, of {limit:#x} bytes of names"),
        kind => format!("{name}: {kind}"),
    }
}
