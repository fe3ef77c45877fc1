//! The life of a module, and what a checker asks of it.

use crate::{Embedder, Nothing, each};
use core::hint::black_box;
use relakit::elf::RelaTable;
use relakit::{
    Error, ErrorKind, ErrorNames, ErrorText, Loaded, Memory, Module, Profile, Resolver, SectionMemory,
};
use relakit_linux::findings::Sorted;
use relakit_linux::special;
use relakit_linux::{findings, late, loader_check, patch};

/// What the embedder lends for a whole module.
pub struct Lent<'a> {
    file: &'a [u8],
    profile: Profile,
    memory: &'a mut [Option<SectionMemory<'a>>],
    values: &'a mut [u64],
    kept: &'a mut [u8],
    object: &'a [u8],
    index: u32,
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
    let Lent { file, profile, memory, values, kept, object, index, fault, count } = lent;
    let memory = &mut **memory;
    let module = Module::parse(file, *profile)?;
    *count = relakit::Objects::of(&module)?.names().len();
    let mut report = |error: Error| *fault = Some(error);
    described(&module, *index);
    laid_out(&module, kept)?;
    each(module.assign_errors(memory));
    provided(memory, *index);
    module.assign(memory)?.assume_filled().early(values, &mut Embedder)?;
    let mut filled = module.assign(memory)?.fill()?;
    filled.errors(values, &mut Embedder, &mut report)?;
    let loaded = filled.early(values, &mut Embedder)?;
    for (section, special) in relakit_linux::special::in_memory(&loaded) {
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
    *count = count.wrapping_add(loaded.retained_size());
    let mut late = loaded.retain(memory, values, kept)?;
    each(late.objects());
    black_box(late.object_at(*index));
    black_box((late.section_name(*index), late.symbol_name(*index)));
    black_box(relakit_linux::special::of_section(&loaded, *index));
    late.errors(object, memory, &mut Embedder, &mut report)?;
    *count = count.wrapping_add(late.coming(object, memory, &mut Embedder)?);
    *count = count.wrapping_add(late.going(object, memory)?);
    *count = count.wrapping_add(looked_at(&loaded, memory, values, object, &mut report));
    #[cfg(feature = "control")]
    {
        *count = count.wrapping_add(usize::from(file[*count]));
    }
    Ok(())
}

/// What a module says of its sections.
fn described(module: &Module<'_>, index: u32) {
    black_box((module.profile(), module.class(index), module.malformed(index)));
    black_box((module.is_allocated(index), module.per_cpu_section()));
    black_box(module.object().symbols().find(b"name"));
    black_box((module.section_name(index), module.symbol_name(index)));
    let mut last = 0;
    let error = module.malformed(index).unwrap_or(Error::new(ErrorKind::Truncated, 1, 2));
    ErrorText::from(&error).write(module, &mut |byte| last = byte);
    black_box(last);
    if let Some(found) = module.class(index) {
        black_box((found.class.target(), found.class.object(), found.class.concerns(&[])));
    }
    each(module.classes());
}

/// The layout of a module in one arena.
fn laid_out(module: &Module<'_>, arena: &mut [u8]) -> Result<(), Error> {
    let layout = module.layout(arena.len() as u64)?;
    black_box((layout.size(), layout.align(), layout.check_address(4096)?));
    black_box(relakit::Group::ALL.map(|group| layout.group(group)));
    each(layout.sections());
    for memories in [relakit::Memories::ByGroup, relakit::Memories::CoreAndInit] {
        each(module.offsets(memories));
    }
    let mut sections: [Option<SectionMemory<'_>>; 2] = [None, None];
    layout.split(arena, 4096, &mut sections)?;
    black_box(sections);
    Ok(())
}

/// The functions of traits that core has itself.
fn provided(memory: &mut [Option<SectionMemory<'_>>], index: u32) {
    black_box((memory.base(index), memory.target(index)));
    let mut array: [Option<SectionMemory<'_>>; 2] = [None, None];
    black_box((array.base(index), array.target(index)));
    black_box(memory.sync()).ok();
    black_box(Nothing.nth_symbol(&[], &[], u64::from(index))).ok();
    black_box(relakit::Writer::sync(&mut Nothing)).ok();
    black_box(Memory::sync(&mut Nothing)).ok();
}

/// Two of the module's fields.
fn fields(module: &Module<'_>) -> [findings::Field; 2] {
    let mut fields = findings::fields(module);
    let none = findings::Field { target: 0, offset: 0, size: 1, section: 0, entry: 0 };
    [fields.next().unwrap_or(none), fields.last().unwrap_or(none)]
}

/// What a checker asks of the tree of a livepatch.
fn tree(module: &Module<'_>) -> usize {
    let mut pointers = patch::pointers(module);
    let none = patch::Pointer { section: 1, offset: 2, symbol: 3, addend: 4 };
    let pointers = [pointers.next().unwrap_or(none), pointers.last().unwrap_or(none)];
    let imported = loader_check::modinfos(module, b"import_ns").last().map_or(0, <[u8]>::len);
    let section = loader_check::section_named(module, b".modinfo");
    let Ok(tree) = patch::find(module, &pointers) else { return imported };
    black_box((tree.form(), tree.patch(), tree.replace(), tree.states().last(), section));
    for object in tree.objects() {
        black_box((object.place(), object.funcs().last(), object.name, object.callbacks));
    }
    imported
}

/// What a checker asks of the entries of special sections.
fn entries(loaded: &Loaded<'_>, memory: &mut [Option<SectionMemory<'_>>]) -> usize {
    let (module, version) = (loaded.module(), loaded.module().profile().since);
    let fields = fields(module);
    let none = special::Place { address: 1, size: 2, section: 3, is_code: true };
    let mut places = special::places(module, memory);
    let places = [places.next().unwrap_or(none), places.last().unwrap_or(none)];
    let (mut count, mut last) = (0usize, (special::Role::Return, 0));
    findings::thunk_sites(loaded, memory, version, &mut |site| last = site);
    let sorted = Sorted { places: &places, fields: &fields, thunk_sites: &[last] };
    let mut seen = |defect: findings::Defect| count = count.wrapping_add(defect.then.len());
    findings::entries(loaded, memory, version, sorted, &mut seen);
    black_box((findings::pointees(module, &fields, 1, version, 2), last.0.ignores_late()));
    count
}

/// What a checker asks of a module.
fn looked_at(
    loaded: &Loaded<'_>,
    memory: &mut [Option<SectionMemory<'_>>],
    values: &mut [u64],
    object: &[u8],
    report: &mut dyn FnMut(Error),
) -> usize {
    let module = loaded.module();
    let mut count = usize::from(loader_check::enables_patch(module));
    let mut broken =
        |fault: loader_check::LoaderFinding| count = count.wrapping_add(fault.check.errno() as usize);
    loader_check::loader(module, &mut broken);
    loader_check::same_names(module, &[1, 2, 3], &mut broken);
    count = count.wrapping_add(loader_check::module_name(module).map_or(0, <[u8]>::len));
    count = count.wrapping_add(loader_check::modinfo(module, object).map_or(0, <[u8]>::len));
    let mut seen = |finding: findings::Finding| count = count.wrapping_add(finding.lint.name().len());
    let done = findings::file(module, module.profile().since, values, &mut seen);
    findings::section(module, 1, module.profile().since, &mut seen);
    findings::sympos(module, &mut Embedder, &mut seen);
    findings::overlaps(&fields(module), &mut seen);
    let mut late = findings::late_fields(module, memory);
    let ends = [late.next(), late.last()];
    if let [Some(first), Some(last)] = ends {
        findings::rewritten(loaded, memory, module.profile().since, &[first, last], &mut seen);
    }
    if let Some(section) = module.object().section(1) {
        let (table, _) = RelaTable::whole_entries(module.object().section_bytes(&section));
        findings::truncated(table, (&*values).into(), section.sh_addr, 1, &mut seen);
    }
    count = count.wrapping_add(usize::from(findings::patches(module, object)));
    if let Err(error) = done {
        report(error);
    }
    count = count.wrapping_add(findings::scratch_len(module));
    count =
        count.wrapping_add(findings::patched_names(module).fold(0, |longest, name| name.len().max(longest)));
    count = count.wrapping_add(tree(module)).wrapping_add(entries(loaded, memory));
    let mut late = late::LinuxLate::new(module, values);
    late.errors(object, memory, &mut Embedder, report);
    let coming = late.coming(object, memory, &mut Embedder);
    if let Some(fault) = coming.error
        && late::outcome(fault.kind, module.profile()) == late::Outcome::Unsafe
    {
        report(fault);
    }
    late.going(object, memory, report);
    black_box(late.values());
    count.wrapping_add(coming.written as usize)
}
