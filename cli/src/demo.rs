//! `relakit demo`: the life of the livepatch in `demo/livepatch.c`, step by step.

use crate::console;
use crate::diagnostics::Diagnostic;
use crate::failure::Failure;
use crate::input::memory::Assigned;
use crate::input::symbols::Symbols;
use crate::output::text;
use crate::simulate::memory::ModuleMemory;
use crate::view::names::{escaped, plural, section};
use anstyle::{AnsiColor, Style};
use relakit::elf::{Rela, RelaTable, SymbolLocation};
use relakit::klp::SymName;
use relakit::reloc::{self, RelocFlags};
use relakit::{Class, Error, Module, Profile};
use relakit_linux::special::ReadAt;
use std::collections::BTreeMap;
use std::fmt::Write;

const MODULE: &[u8] = include_bytes!("../demo/livepatch.ko");
const SYMBOLS: &str = include_str!("../demo/symbols.txt");
const FIRST: &str = include_str!("../demo/demo_disk-first.txt");
const SECOND: &str = include_str!("../demo/demo_disk-second.txt");
const OBJECT: &str = "demo_disk";
/// The address of the livepatch.
const ADDRESS: u64 = 0xffff_ffff_c090_0000;

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const NEW: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Runs the command.
pub(crate) fn run() -> Result<(), Failure> {
    let mut out = String::new();
    let done = demo(&mut out);
    console::print(&out)?;
    done.map_err(|error| Failure::File(format!("the built-in livepatch: {error}")))
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn demo(out: &mut String) -> Done {
    let mut symbols = Symbols::read([]).map_err(|_| "no symbols")?;
    symbols.replace_with(SYMBOLS.as_bytes())?;

    title(out, "The file")?;
    let module = Module::parse(MODULE, Profile::LINUX_DEFAULT)?;
    writeln!(out, "livepatch_demo replaces a function of the kernel and a function of the module {OBJECT}.")?;
    writeln!(
        out,
        "Its source is cli/demo/livepatch.c. It has three kinds of relocations. Section names and"
    )?;
    writeln!(out, "flags distinguish them:\n")?;
    sections(out, &module)?;

    title(out, "Early pass: apply all ordinary and vmlinux relocations, or none")?;
    let memory = &mut ModuleMemory::zeroed(&module, &addresses(&module)).map_err(|_| "no memory")?;
    let mut values = vec![0; usize::try_from(module.object().symbols().len())?];
    let loaded = module.assign(memory)?.fill()?.early(&mut values, &mut symbols)?;
    let specials = relakit_linux::special::in_memory(&loaded).map(|(_, special)| special);
    let specials: Vec<_> = specials.filter(|special| special.read_at > ReadAt::Load).collect();
    // The late passes need neither the file nor the symbol values.
    let mut buffer = vec![0; loaded.retained_size()];
    let mut late = loaded.retain(memory, &mut values, &mut buffer)?;
    drop(values);
    let is_early = |class: &Class<'_>| matches!(class, Class::KlpEarly { .. });
    changes(out, &fields(&module, is_early, |_| 0), &fields(&module, is_early, |at| read(memory, at)))?;

    title(out, "Special sections: only a loaded module has them, because they are complete only now")?;
    for special in specials {
        writeln!(out, "  {:<22} {:<50} {DIM}{}{DIM:#}", special.name, special.what, special.reader)?;
    }
    let retained = plural(late.objects().count() as u64, "section");
    writeln!(out, "\nThe file is no longer needed. The late passes use the retained state:")?;
    writeln!(out, "{retained} in {} bytes.", loaded.retained_size())?;

    let is_late = |class: &Class<'_>| matches!(class, Class::KlpLate { .. });
    let mut before = fields(&module, is_late, |at| read(memory, at));
    let mut step = |out: &mut String, memory: &ModuleMemory| -> Done {
        let after = fields(&module, is_late, |at| read(memory, at));
        changes(out, &before, &after)?;
        before = after;
        Ok(())
    };

    title(out, "Load demo_disk, but without its symbols")?;
    let error =
        late.coming(OBJECT.as_bytes(), memory, &mut symbols).err().ok_or("this should have failed")?;
    print_error(out, &module, &error)?;
    writeln!(out, "\nNothing was written, so demo_disk can be loaded again:\n")?;
    step(out, memory)?;

    title(out, "Load demo_disk at 0xffffffffc0a10000")?;
    symbols.replace_with(FIRST.as_bytes())?;
    late.coming(OBJECT.as_bytes(), memory, &mut symbols)?;
    step(out, memory)?;

    title(out, "Unload demo_disk: verify and clear each field")?;
    late.going(OBJECT.as_bytes(), memory)?;
    step(out, memory)?;

    title(out, "Load demo_disk again, at 0xffffffffc0b34000")?;
    symbols.replace_with(SECOND.as_bytes())?;
    late.coming(OBJECT.as_bytes(), memory, &mut symbols)?;
    step(out, memory)?;

    writeln!(out, "\nTo use your own module, see relakit inspect --help and relakit apply --help.")?;
    Ok(())
}

fn title(out: &mut String, text: &str) -> std::fmt::Result {
    writeln!(out, "\n{TITLE}{text}{TITLE:#}\n")
}

/// The relocation sections with their class.
fn sections(out: &mut String, module: &Module<'_>) -> std::fmt::Result {
    let name = |index| section(module, index).map(escaped).unwrap_or_default();
    for (index, classified) in module.classes() {
        let (when, target) = match classified.class {
            Class::Ordinary { target } => ("ordinary", target),
            Class::KlpEarly { target } => ("early", target),
            Class::KlpLate { target, .. } => ("late", target),
            _ => continue,
        };
        let entries = table(module, index).len();
        let style = if when == "ordinary" { Style::new() } else { NEW };
        let plural = if entries == 1 { "relocation" } else { "relocations" };
        let (name, target) = (name(index), name(target));
        writeln!(out, "  {style}{when:<10}{name:<32}{style:#}{entries:>3} {plural} of {target}")?;
    }
    Ok(())
}

fn table<'f>(module: &Module<'f>, index: u32) -> RelaTable<'f> {
    let section = module.object().section(index);
    RelaTable::whole_entries(section.map_or(&[][..], |section| module.object().section_bytes(&section))).0
}

/// Puts each loaded section after the one before it.
fn addresses(module: &Module<'_>) -> BTreeMap<u32, Assigned> {
    let mut next = ADDRESS;
    let loaded = module.object().sections().filter(|(index, _)| module.is_allocated(*index));
    loaded
        .map(|(index, section)| {
            let address = next.next_multiple_of(section.sh_addralign.max(1));
            next = address.saturating_add(section.sh_size);
            (index, Assigned { address, symbols_at: None })
        })
        .collect()
}

/// Relocated fields and their values.
type Fields = Vec<(Field, u64)>;

#[derive(Clone)]
struct Field {
    target: u32,
    offset: u64,
    size: u8,
    location: String,
    symbol: String,
}

/// The fields of the livepatch sections of one kind.
fn fields(module: &Module<'_>, wanted: impl Fn(&Class<'_>) -> bool, read: impl Fn(&Field) -> u64) -> Fields {
    let mut fields = Vec::new();
    for (index, classified) in module.classes().filter(|(_, classified)| wanted(&classified.class)) {
        let (Class::KlpEarly { target } | Class::KlpLate { target, .. }) = classified.class else { continue };
        let name = section(module, target).map(escaped).unwrap_or_default();
        for rela in table(module, index).iter() {
            let Some(howto) = reloc::howto(rela.r_type, RelocFlags::empty()) else { continue };
            let field = Field {
                target,
                offset: rela.r_offset,
                size: howto.size,
                location: format!("{name}+{:#x}", rela.r_offset),
                symbol: symbol(module, &rela),
            };
            let value = read(&field);
            fields.push((field, value));
        }
    }
    fields
}

/// "demo_queue of demo_disk"
fn symbol(module: &Module<'_>, rela: &Rela) -> String {
    let table = module.object().symbols();
    let symbol = table.get(rela.r_sym);
    let name = symbol.filter(|symbol| table.location(symbol) == SymbolLocation::Livepatch);
    let name = name.and_then(|symbol| table.name(&symbol).ok()).unwrap_or_default();
    match SymName::parse(name, module.profile()) {
        Some(SymName { object, name, sympos: 0, .. }) => {
            format!("{} of {}", escaped(name), escaped(object))
        }
        Some(SymName { object, name, sympos: position, .. }) => {
            format!("{} number {position} of {}", escaped(name), escaped(object))
        }
        None => String::new(),
    }
}

fn read(memory: &ModuleMemory, field: &Field) -> u64 {
    let bytes = memory.bytes(field.target).unwrap_or_default();
    let at = usize::try_from(field.offset).unwrap_or(usize::MAX);
    let mut value = [0; 8];
    let field = bytes.get(at..).unwrap_or_default().iter().take(usize::from(field.size));
    value.iter_mut().zip(field).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(value)
}

/// The bytes of each field before and after a step.
fn changes(out: &mut String, before: &Fields, after: &Fields) -> std::fmt::Result {
    for ((field, old), (_, new)) in before.iter().zip(after) {
        let hex = |value: u64| {
            let bytes = value.to_le_bytes();
            let bytes = bytes.get(..usize::from(field.size)).unwrap_or_default();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        };
        let style = if old == new { DIM } else { NEW };
        let (old, new) = (hex(*old), hex(*new));
        writeln!(
            out,
            "  {:<20} {DIM}{old:<23}{DIM:#} -> {style}{new:<23}{style:#}  {}",
            field.location, field.symbol
        )?;
    }
    Ok(())
}

fn print_error(out: &mut String, module: &Module<'_>, error: &Error) -> Done {
    let mut text = Vec::new();
    text::diagnostic(
        &Diagnostic::of_error(Some(module), error, module.profile()),
        "livepatch.ko",
        &mut text,
    )?;
    for line in String::from_utf8_lossy(&text).lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
