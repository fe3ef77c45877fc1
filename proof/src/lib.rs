//! All of relakit's core behind three functions, with a panic handler that calls a function which nobody defines: linking
//! them succeeds only if no panic is reachable.
#![no_std]

use core::panic::PanicInfo;
use relakit::elf::RelaTable;
use relakit::index::{Index, find_sorted};
use relakit::reloc::{self, Rules, SymtabValues};
use relakit::{
    Error, HookError, Loaded, Module, Place, Profile, Resolver, Target, Writer, check, klp, special,
};

unsafe extern "C" {
    // Defined nowhere.
    safe fn relakit_panic_is_reachable() -> !;
    // The embedder's side; the script gives them addresses.
    safe fn embedder_symbol(name: &[u8; 8], position: u64) -> u64;
    safe fn embedder_memory(offset: u64) -> u64;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    relakit_panic_is_reachable()
}

struct Embedder;

impl Embedder {
    fn symbol(name: &[u8], position: u64) -> Result<Option<u64>, HookError> {
        match embedder_symbol(name.first_chunk().unwrap_or(&[0; 8]), position) {
            0 => Ok(None),
            1 => Err(HookError(1)),
            value => Ok(Some(value)),
        }
    }
}

impl Resolver for Embedder {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, HookError> {
        Self::symbol(name, 0)
    }

    fn candidate(&mut self, object: &[u8], name: &[u8], position: u64) -> Result<Option<u64>, HookError> {
        Self::symbol(object, position)?;
        Self::symbol(name, position)
    }
}

impl Writer for Embedder {
    fn read(&mut self, _address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), HookError> {
        for byte in bytes {
            *byte = embedder_memory(offset) as u8;
        }
        Ok(())
    }

    fn write(&mut self, address: u64, _offset: u64, _bytes: &[u8]) -> Result<(), HookError> {
        if embedder_memory(address) == 0 { Ok(()) } else { Err(HookError(2)) }
    }
}

/// What the embedder lends for a whole module.
pub struct Lent<'a> {
    file: &'a [u8],
    profile: Profile,
    memory: &'a mut [Option<Place<'a>>],
    values: &'a mut [u64],
    kept: &'a mut [u8],
    object: &'a [u8],
    fault: Option<Error>,
    count: usize,
}

#[unsafe(no_mangle)]
extern "C" fn proof_module(lent: &mut Lent<'_>) -> i32 {
    match module(lent) {
        Ok(()) => 0,
        Err(error) => {
            lent.fault = Some(error);
            error.kind as i32
        }
    }
}

fn module(lent: &mut Lent<'_>) -> Result<(), Error> {
    let Lent { file, profile, memory, values, kept, object, fault, count } = lent;
    let memory = &mut **memory;
    let module = Module::parse(file, *profile)?;
    *count = klp::Objects::of(&module)?.names().len();
    let mut report = |error: Error| *fault = Some(error);
    let mut placed = module.place(memory)?;
    placed.fill()?;
    placed.faults(values, &mut Embedder, &mut report)?;
    let loaded = placed.early(values, &mut Embedder)?;
    for (section, special) in loaded.specials() {
        *count =
            count.wrapping_add(usize::from(special.is_read_by(profile.since))).wrapping_add(section as usize);
        let sites = special::sites(special, profile.since, file, section.into());
        *count = count.wrapping_add(sites.left_over());
        for site in sites {
            *count = count.wrapping_add(site.size_in(file) as usize);
        }
    }
    let read_last = special::finalize_order(profile.since).last();
    *count = count.wrapping_add(read_last.map_or(0, |special| special.name.len()));
    *count = count.wrapping_add(module.late_size(values)?);
    let mut late = loaded.keep(memory, values, kept)?;
    late.faults(object, memory, &mut Embedder, &mut report)?;
    *count = count.wrapping_add(late.coming(object, memory, &mut Embedder)?);
    *count = count.wrapping_add(late.going(object, memory)?);
    *count = count.wrapping_add(looked_at(&loaded, memory, values, object, &mut report));
    #[cfg(feature = "control")]
    {
        *count = count.wrapping_add(usize::from(file[*count]));
    }
    Ok(())
}

/// Two of the module's fields.
fn fields(module: &Module<'_>) -> [check::Field; 2] {
    let mut fields = check::fields(module);
    let none = check::Field { target: 0, offset: 0, size: 1, section: 0, entry: 0 };
    [fields.next().unwrap_or(none), fields.last().unwrap_or(none)]
}

/// What a checker asks of a module.
fn looked_at(
    loaded: &Loaded<'_>,
    memory: &mut [Option<Place<'_>>],
    values: &mut [u64],
    object: &[u8],
    report: &mut dyn FnMut(Error),
) -> usize {
    let module = loaded.module();
    let mut count = usize::from(check::enables_patch(module));
    let mut broken = |fault: check::LoaderFault| count = count.wrapping_add(fault.rule.errno() as usize);
    check::loader(module, &mut broken);
    check::same_names(module, &[1, 2, 3], &mut broken);
    count = count.wrapping_add(check::module_name(module).map_or(0, <[u8]>::len));
    count = count.wrapping_add(check::modinfo(module, object).map_or(0, <[u8]>::len));
    let mut seen = |finding: check::Finding| count = count.wrapping_add(finding.rule.name().len());
    let done = check::file(module, module.profile().since, values, &mut seen);
    check::section(module, 1, module.profile().since, &mut seen);
    check::sympos(module, &mut Embedder, &mut seen);
    check::overlaps(&fields(module), &mut seen);
    let mut late = check::late_fields(module, memory);
    let ends = [late.next(), late.last()];
    if let [Some(first), Some(last)] = ends {
        check::rewritten(loaded, memory, module.profile().since, &[first, last], &mut seen);
    }
    if let Some(section) = module.object().section(1) {
        let (table, _) = RelaTable::whole_entries(module.object().section_bytes(&section));
        check::truncated(table, (&*values).into(), section.address, 1, &mut seen);
    }
    if let Err(error) = done {
        report(error);
    }
    count = count.wrapping_add(check::scratch_len(module));
    count = count.wrapping_add(check::patched_names(module).fold(0, |longest, name| name.len().max(longest)));
    count = count.wrapping_add(usize::from(check::patches(module, object)));
    let mut late = check::LinuxLate::new(module, values);
    late.faults(object, memory, &mut Embedder, report);
    let coming = late.coming(object, memory, &mut Embedder);
    if let Some(fault) = coming.fault
        && check::outcome(fault.kind, module.profile()) == check::Outcome::Unsafe
    {
        report(fault);
    }
    late.going(object, memory, report);
    count.wrapping_add(coming.written as usize)
}

/// What the embedder lends for one section.
pub struct LentSection<'a> {
    rela: &'a [u8],
    values: &'a [u64],
    symtab: &'a [u8],
    bytes: &'a mut [u8],
    address: u64,
    rules: u32,
    act: u32,
    fault: Option<Error>,
}

#[unsafe(no_mangle)]
extern "C" fn proof_section(lent: &mut LentSection<'_>) -> i32 {
    match section(lent) {
        Ok(()) => 0,
        Err(error) => {
            lent.fault = Some(error);
            error.kind as i32
        }
    }
}

fn section(lent: &mut LentSection<'_>) -> Result<(), Error> {
    let table = RelaTable::new(lent.rela)?;
    let symtab = SymtabValues::new(lent.symtab)?;
    let rules = Rules::from_bits(lent.rules).unwrap_or_default();
    let mut embedder = Embedder;
    let mut other = Target::hooked(lent.bytes.len() as u64, lent.address, &mut embedder);
    let plain = &mut Target::new(lent.bytes, lent.address);
    match lent.act {
        0 => reloc::apply(table, lent.values.into(), plain, rules),
        1 => reloc::clear(table, lent.values.into(), plain, rules),
        2 => reloc::check(table, lent.values.into(), plain, rules),
        3 => reloc::apply(table, symtab.into(), plain, rules),
        4 => reloc::clear(table, symtab.into(), plain, rules),
        5 => reloc::check(table, symtab.into(), plain, rules),
        6 => reloc::apply(table, lent.values.into(), &mut other, rules),
        7 => reloc::clear(table, lent.values.into(), &mut other, rules),
        8 => reloc::check(table, lent.values.into(), &mut other, rules),
        _ => match reloc::faults(table, lent.values.into(), plain, rules).last() {
            Some(error) => Err(error),
            None => Ok(()),
        },
    }
}

/// What the embedder lends for names.
pub struct LentNames<'a> {
    names: &'a [&'a [u8]],
    memory: &'a mut [u32],
    name: &'a [u8],
    position: u64,
    fault: Option<Error>,
}

#[unsafe(no_mangle)]
extern "C" fn proof_names(lent: &mut LentNames<'_>) -> usize {
    let found = match Index::build(lent.names, lent.memory) {
        Ok(index) => index.nth(lent.name, lent.position).or_else(|| index.find(lent.name)),
        Err(error) => {
            lent.fault = Some(error);
            None
        }
    };
    found.or_else(|| find_sorted(lent.names, lent.name, lent.position)).unwrap_or(usize::MAX)
}
