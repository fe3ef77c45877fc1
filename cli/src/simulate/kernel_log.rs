//! Errors in the kernel's terms, as lines of its log.

use crate::view::location::Location;
use relakit::{Error, ErrorKind as Kind};

/// One line for an error of the module `name`.
pub(crate) fn message(name: &str, error: &Error, location: &Location) -> String {
    let section = location.section_name.as_deref().unwrap_or("?");
    let symbol = location.symbol_name.as_deref().unwrap_or("?");
    let r_type = error.r_type.unwrap_or(0);
    let entry = error.entry.unwrap_or(0);
    let at = format!("section {section}, entry {entry}");
    let (value, limit) = (error.value, error.limit);
    match error.kind {
        Kind::BadKlpSectionName => format!("livepatch: the section name {section} is malformed"),
        Kind::NotKlpSymbol => {
            format!("livepatch: a livepatch relocation uses {symbol}, which is not a livepatch symbol")
        }
        Kind::BadKlpSymbolName => format!("livepatch: the symbol name {symbol} is malformed"),
        Kind::VmlinuxFromModule => {
            format!("livepatch: {section} is for a module, but uses the vmlinux symbol {symbol}")
        }
        Kind::KlpNotFound => format!("livepatch: the object has no symbol for {symbol}"),
        Kind::KlpAmbiguous => format!("livepatch: the object has several symbols for {symbol}"),
        Kind::KlpSympos => format!("livepatch: the object has fewer than {value} symbols for {symbol}"),
        Kind::NoRelocationBytes => format!("livepatch: {section} has no bytes in the file"),
        Kind::UnknownSymbol => format!("{name}: unknown symbol {symbol} (-ENOENT)"),
        Kind::CommonSymbol => format!("{name}: {symbol} is a common symbol"),
        Kind::SymbolSection => {
            format!("{name}: symbol {symbol} has section index {value}, but the file has {limit} sections")
        }
        Kind::UnknownType => format!("{name}: unknown relocation type {r_type} ({at})"),
        Kind::Overflow => format!("{name}: type {r_type} overflows with value {value:#x} ({at})"),
        Kind::TargetNotZero => {
            format!(
                "{name}: type {r_type}: the field is {limit:#x}, not zero, before value {value:#x} ({at})"
            )
        }
        Kind::RelSection => format!("{name}: REL relocations are not supported ({section})"),
        Kind::OffsetOutside => {
            format!(
                "a write of {value} bytes at offset {:#x} of a section of {limit:#x} bytes ({at})",
                error.offset
            )
        }
        Kind::SymbolIndex => format!(
            "a read of symbol {symbol_index}, but the file has {limit} symbols ({at})",
            symbol_index = error.symbol.unwrap_or(0)
        ),
        Kind::LateNotAllocated => format!("a read of freed memory: {section} is not loaded"),
        Kind::TargetNotAllocated | Kind::TargetPerCpu => {
            format!("a write to freed memory: the target of {section} is not loaded")
        }
        Kind::TargetOutOfRange => {
            format!("a write to section {value}, but the file has {limit} sections ({section})")
        }
        Kind::TargetIsSymbolTable => format!("a write to the symbol table or its strings ({section})"),
        Kind::BadSectionName => format!("a section name at offset {value:#x} of a table of {limit:#x} bytes"),
        Kind::BadSymbolName => format!("a symbol name at offset {value:#x} of a table of {limit:#x} bytes"),
        kind => format!("{name}: {kind}"),
    }
}
