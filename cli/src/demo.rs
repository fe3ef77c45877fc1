//! `relakit demo`: the whole life of the livepatch in `demo/livepatch.c`, step by step.

use crate::Failure;
use crate::errors::{self, text};
use crate::symbols::Symbols;
use anstyle::{AnsiColor, Style};
use relakit::elf::{Rela, RelaTable, SymbolLocation};
use relakit::klp::SymName;
use relakit::reloc::{self, RelocFlags};
use relakit::{Class, Error, Memory, Module, Profile, SectionMemory};
use relakit_linux::special::ReadAt;
use std::fmt::Write;
use std::path::Path;

const MODULE: &[u8] = include_bytes!("../demo/livepatch.ko");
const SYMBOLS: &str = include_str!("../demo/symbols.txt");
const FIRST: &str = include_str!("../demo/demo_disk-first.txt");
const SECOND: &str = include_str!("../demo/demo_disk-second.txt");
const OBJECT: &str = "demo_disk";
/// Where the livepatch is loaded.
const ADDRESS: u64 = 0xffff_ffff_c090_0000;

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const NEW: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Runs the command.
pub(crate) fn run() -> Result<(), Failure> {
    let mut story = String::new();
    let told = tell(&mut story);
    crate::output::print(&story)?;
    told.map_err(|error| Failure::File(format!("the built-in livepatch: {error}")))
}

/// What can go wrong with data that is built in.
type Told = Result<(), Box<dyn std::error::Error>>;

fn tell(out: &mut String) -> Told {
    let mut symbols = Symbols::read([]).map_err(|_| "no symbols")?;
    symbols.replace_with(SYMBOLS.as_bytes())?;

    title(out, "The file")?;
    let module = Module::parse(MODULE, Profile::LINUX_6_12)?;
    writeln!(
        out,
        "livepatch_demo replaces a function of the kernel and one of the module {OBJECT}; its source is"
    )?;
    writeln!(
        out,
        "cli/demo/livepatch.c. Its relocations are of three kinds, told apart by section name and flag:\n"
    )?;
    sections(out, &module)?;

    title(out, "Early: ordinary and vmlinux relocations, in one pass, all or nothing")?;
    let mut buffers = place(&module);
    let mut memory: Vec<_> = buffers
        .iter_mut()
        .map(|at| {
            at.as_mut().map(|(address, bytes)| SectionMemory { address: *address, symbols_at: None, bytes })
        })
        .collect();
    let memory = &mut memory[..];
    let mut values = vec![0; usize::try_from(module.object().symbols().len())?];
    let placed = module.assign(memory)?;
    let filled = placed.fill()?;
    let loaded = filled.early(&mut values, &mut symbols)?;
    let specials = relakit_linux::special::in_memory(&loaded).map(|(_, special)| special);
    let specials: Vec<_> = specials.filter(|special| special.read_at > ReadAt::Load).collect();
    // From here on neither the file nor the symbol values are needed.
    let mut buffer = vec![0; module.retained_size(&mut values)?];
    let mut late = loaded.retain(memory, &mut values, &mut buffer)?;
    drop(values);
    let blank: Fields = fields(&module, |class| matches!(class, Class::KlpEarly { .. }), |_| 0);
    let early = fields(&module, |class| matches!(class, Class::KlpEarly { .. }), |at| read(memory, at));
    changes(out, &blank, &early)?;

    title(out, "Special sections: complete only now, so only now can they be asked for")?;
    for special in specials {
        writeln!(out, "  {:<22} {:<50} {DIM}{}{DIM:#}", special.name, special.what, special.reader)?;
    }
    let kept = late.objects().count();
    writeln!(
        out,
        "\nThe file could be freed here. Kept for what follows: {kept} sections in {} bytes.",
        late_len(&module)?
    )?;

    let is_late = |class: &Class<'_>| matches!(class, Class::KlpLate { .. });
    let mut before = fields(&module, is_late, |at| read(memory, at));
    let mut step = |out: &mut String, memory: &mut [Option<SectionMemory<'_>>]| -> Told {
        let after = fields(&module, is_late, |at| read(memory, at));
        changes(out, &before, &after)?;
        before = after;
        Ok(())
    };

    title(out, "demo_disk comes, and something is wrong: its symbols are not known")?;
    let fault =
        late.coming(OBJECT.as_bytes(), memory, &mut symbols).err().ok_or("this should have failed")?;
    refusal(out, &module, &fault)?;
    writeln!(out, "\nNothing was written, and it can come again:\n")?;
    step(out, memory)?;

    title(out, "demo_disk comes, at 0xffffffffc0a10000")?;
    symbols.replace_with(FIRST.as_bytes())?;
    late.coming(OBJECT.as_bytes(), memory, &mut symbols)?;
    step(out, memory)?;

    title(out, "demo_disk goes: each field is verified and cleared")?;
    late.going(OBJECT.as_bytes(), memory)?;
    step(out, memory)?;

    title(out, "demo_disk comes again, at 0xffffffffc0b34000")?;
    symbols.replace_with(SECOND.as_bytes())?;
    late.coming(OBJECT.as_bytes(), memory, &mut symbols)?;
    step(out, memory)?;

    writeln!(out, "\nTry it on your own: relakit inspect MODULE.ko, relakit apply --help")?;
    Ok(())
}

fn title(out: &mut String, text: &str) -> std::fmt::Result {
    writeln!(out, "\n{TITLE}{text}{TITLE:#}\n")
}

fn late_len(module: &Module<'_>) -> Result<usize, Box<dyn std::error::Error>> {
    let mut scratch = vec![0; usize::try_from(module.object().symbols().len())?];
    Ok(module.retained_size(&mut scratch)?)
}

/// The relocation sections with their class.
fn sections(out: &mut String, module: &Module<'_>) -> std::fmt::Result {
    for (index, classified) in module.classes() {
        let (when, target) = match classified.class {
            Class::Ordinary { target } => ("ordinary", target),
            Class::KlpEarly { target } => ("early", target),
            Class::KlpLate { target, .. } => ("late", target),
            _ => continue,
        };
        let Some((section, target)) = module.object().section(index).zip(module.object().section(target))
        else {
            continue;
        };
        let entries = RelaTable::whole_entries(module.object().section_bytes(&section)).0.len();
        let style = if when == "ordinary" { Style::new() } else { NEW };
        let name = text(module.object().section_name(&section));
        let target = text(module.object().section_name(&target));
        let plural = if entries == 1 { "relocation" } else { "relocations" };
        writeln!(out, "  {style}{when:<10}{name:<32}{style:#}{entries:>3} {plural} of {target}")?;
    }
    Ok(())
}

/// Puts every section that is in memory after the one before it.
fn place(module: &Module<'_>) -> Vec<Option<(u64, Vec<u8>)>> {
    let mut address = ADDRESS;
    let sections = module.object().sections();
    sections
        .map(|(index, section)| {
            let size = usize::try_from(section.sh_size).ok().filter(|_| module.is_allocated(index))?;
            address = address.next_multiple_of(section.sh_addralign.max(1));
            let at = address;
            address = address.saturating_add(section.sh_size);
            Some((at, vec![0; size]))
        })
        .collect()
}

/// A relocated field: what it is called, and what it holds.
type Fields = Vec<(Field, u64)>;

#[derive(Clone)]
struct Field {
    target: u32,
    offset: u64,
    size: u8,
    place: String,
    symbol: String,
}

/// The fields of the livepatch sections of one kind.
fn fields(
    module: &Module<'_>,
    wanted: impl Fn(&Class<'_>) -> bool,
    mut read: impl FnMut(&Field) -> u64,
) -> Fields {
    let mut fields = Vec::new();
    for (index, classified) in module.classes().filter(|(_, classified)| wanted(&classified.class)) {
        let (Class::KlpEarly { target } | Class::KlpLate { target, .. }) = classified.class else { continue };
        let object = module.object();
        let table = object.section(index).map_or(&[][..], |section| object.section_bytes(&section));
        for rela in RelaTable::whole_entries(table).0.iter() {
            let Some(howto) = reloc::howto(rela.r_type, RelocFlags::empty()) else { continue };
            let section = object.section(target).map_or(&[][..], |section| object.section_name(&section));
            let field = Field {
                target,
                offset: rela.r_offset,
                size: howto.size,
                place: format!("{}+{:#x}", text(section), rela.r_offset),
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
        Some(SymName { object, name, sympos: 0, .. }) => format!("{} of {}", text(name), text(object)),
        Some(SymName { object, name, sympos: position, .. }) => {
            format!("{} number {position} of {}", text(name), text(object))
        }
        None => String::new(),
    }
}

fn read(memory: &mut [Option<SectionMemory<'_>>], field: &Field) -> u64 {
    let target = memory.target(field.target);
    let bytes = target.as_ref().and_then(|target| target.bytes()).unwrap_or_default();
    let at = usize::try_from(field.offset).unwrap_or(usize::MAX);
    let mut value = [0; 8];
    for (to, from) in value.iter_mut().zip(bytes.get(at..).unwrap_or_default()).take(usize::from(field.size))
    {
        *to = *from;
    }
    u64::from_le_bytes(value)
}

/// Each field with its bytes before and after.
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
            field.place, field.symbol
        )?;
    }
    Ok(())
}

fn refusal(out: &mut String, module: &Module<'_>, fault: &Error) -> Told {
    let mut text = Vec::new();
    errors::print(&mut text, Some(module), Path::new("livepatch.ko"), fault)?;
    for line in String::from_utf8_lossy(&text).lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
