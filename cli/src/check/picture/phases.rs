//! A module's load as Linux does it, step by step: what each step reads, and which relocations are applied there
//! (Linux semantics 2, 10 and 15).

use crate::check::report;
use crate::inspect::report::{Kind, Report as Told};
use relakit::Module;
use relakit::elf::SymbolLocation;
use relakit_linux::special::{self, ReadAt, SPECIALS, Version};

/// One step.
#[derive(Debug)]
pub(crate) struct Phase {
    /// Part of an anchor.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// The kernel's functions.
    pub(crate) functions: &'static str,
    /// What happens.
    pub(crate) says: Vec<String>,
    /// Special sections that are read, in order where Linux has one.
    pub(crate) reads: Vec<Read>,
    /// Section indices of the relocations that are applied.
    pub(crate) applies: Vec<u32>,
    /// The object that they wait for, as a number in [`Told::objects`].
    pub(crate) object: Option<usize>,
    /// Which of the report's steps end here.
    pub(crate) ends: &'static [report::Phase],
}

/// One special section that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// Number in [`Told::special_sections`].
    pub(crate) number: usize,
    /// What the reader does.
    pub(crate) does: &'static str,
    /// Whether it changes code.
    pub(crate) rewrites: bool,
}

/// All of them, in order. The objects of late relocations come last, a step each.
pub(super) fn phases(module: &Module<'_>, told: &Told<'_>, version: Version) -> Vec<Phase> {
    let early = told.sections.iter().filter(|row| matches!(row.class, Kind::Ordinary | Kind::KlpEarly));
    let early: Vec<u32> = early.map(|row| row.index).collect();
    let late = told.sections.iter().any(|row| row.class == Kind::KlpLate);
    let phase = |id, title, functions, says: &[&str], ends| Phase {
        id,
        title,
        functions,
        says: says.iter().map(|&says| says.to_owned()).collect(),
        reads: Vec::new(),
        applies: Vec::new(),
        object: None,
        ends,
    };
    let read = |at| reads(told, version, at);

    let mut validity = phase(
        "validity",
        "The file is checked",
        "elf_validity_cache_copy, early_mod_check",
        &["Headers, the symbol table and the module's own section must be there and in bounds."],
        &[report::Phase::Validity],
    );
    validity.reads = read(ReadAt::Load);
    let layout = phase(
        "layout",
        "Sections get their places",
        "layout_and_allocate",
        &[
            "By flags and name, in the order of the file: text, read-only data, what is read-only after init, data; then the same for init.",
            if told.livepatch { "Of a livepatch the whole symbol table is kept." } else { "" },
        ],
        &[report::Phase::Layout],
    );
    let mut symbols =
        phase("symbols", "Symbols get their values", "simplify_symbols", &[], &[report::Phase::Symbols]);
    symbols.says = counts(module);
    let mut relocation = phase(
        "relocation",
        "Relocations are applied",
        "apply_relocations",
        &[
            "Section by section in the order of the file, ordinary and vmlinux-specific livepatch relocations in turn. The first fault ends the load.",
        ],
        &[report::Phase::Relocation],
    );
    relocation.applies = early;
    let mut finalize = phase(
        "finalize",
        "Special sections are used",
        "post_relocation, module_finalize",
        &["All early relocations are in place by now, and not one of the late ones."],
        &[],
    );
    finalize.reads = read(ReadAt::Finalize);
    let mut formation = phase(
        "formation",
        "The module gets its protection",
        "ftrace_module_init, complete_formation",
        &["Text becomes executable and read-only; from here on the state is COMING."],
        &[],
    );
    formation.reads = read(ReadAt::Formation);
    let mut notifiers = phase(
        "notifiers",
        "The kernel is told",
        "prepare_coming_module",
        &["Livepatches that are loaded already patch this module first; then the notifiers run."],
        &[],
    );
    notifiers.reads = read(ReadAt::Coming);
    let mut init = phase(
        "init",
        "The module starts",
        "mod_sysfs_setup, do_init_module",
        &[
            "It appears in sysfs, and its init function runs; memory of init sections is freed then.",
            if told.livepatch {
                "klp_enable_patch: the late relocations of every object that is loaded already are applied now."
            } else {
                ""
            },
        ],
        &[report::Phase::Sysfs, report::Phase::Init],
    );
    init.reads = read(ReadAt::Init);
    let mut running = phase(
        "running",
        "The module runs",
        "",
        &["These are read when something asks for them: a fault, a trap, a switch that is thrown."],
        &[],
    );
    running.reads = read(ReadAt::OnDemand);
    let mut all = vec![validity, layout, symbols, relocation, finalize, formation, notifiers, init, running];
    all.retain(|phase| phase.id != "running" || !phase.reads.is_empty());
    if late {
        all.extend(objects(module, told));
    }
    for phase in &mut all {
        phase.says.retain(|says| !says.is_empty());
    }
    all
}

/// A step for each object that has late relocations.
fn objects(module: &Module<'_>, told: &Told<'_>) -> impl Iterator<Item = Phase> {
    let clears = module.profile().clears_on_going;
    told.objects.iter().enumerate().filter_map(move |(number, object)| {
        let is_late = |&index: &u32| {
            let row = usize::try_from(index).ok().and_then(|index| told.sections.get(index));
            row.is_some_and(|row| row.class == Kind::KlpLate)
        };
        let applies: Vec<u32> = object.sections.iter().copied().filter(is_late).collect();
        let says = vec![
            "Each section's symbols are resolved first, then it is written, in running code.".to_owned(),
            match clears {
                true => "When the object goes they are cleared, and must be what was written.".to_owned(),
                false => {
                    "This kernel does not clear them when the object goes: it cannot come back.".to_owned()
                }
            },
        ];
        (!applies.is_empty()).then_some(Phase {
            id: "late",
            title: "The object comes",
            functions: "klp_module_coming, klp_write_object_relocs",
            says,
            reads: Vec::new(),
            applies,
            object: Some(number),
            ends: &[report::Phase::Coming, report::Phase::Going],
        })
    })
}

/// What there is to resolve.
fn counts(module: &Module<'_>) -> Vec<String> {
    let table = module.object().symbols();
    let (mut undefined, mut livepatch) = (0u64, 0u64);
    for index in 1..table.len() {
        let Some(symbol) = table.get(index) else { break };
        let count = match table.location(&symbol) {
            SymbolLocation::Undefined => &mut undefined,
            SymbolLocation::Livepatch => &mut livepatch,
            _ => continue,
        };
        *count = count.saturating_add(1);
    }
    let exported = match undefined {
        0 => "No symbol has to be looked for among the exported ones.".to_owned(),
        1 => "1 symbol is looked for among the exported ones.".to_owned(),
        count => format!("{count} symbols are looked for among the exported ones."),
    };
    let left = match livepatch {
        0 => String::new(),
        1 => "1 livepatch symbol is left alone until a relocation uses it.".to_owned(),
        count => format!("{count} livepatch symbols are left alone until relocations use them."),
    };
    vec![exported, left]
}

/// The special sections of the module that are first read at this time.
fn reads(told: &Told<'_>, version: Version, at: ReadAt) -> Vec<Read> {
    let order: Vec<&str> = special::finalize_order(version).map(|special| special.name).collect();
    let mut found: Vec<_> = told
        .special_sections
        .iter()
        .enumerate()
        .filter_map(|(number, row)| {
            let special = special::by_name(row.name.as_bytes())?;
            let rewrites =
                matches!(special.effect, special::Effect::Rewrites | special::Effect::UpdatesAndRewrites);
            let known = SPECIALS.iter().position(|other| other.name == special.name);
            // Read with .altinstructions, and not listed by itself.
            let listed = match special.name {
                ".altinstr_replacement" => ".altinstructions",
                name => name,
            };
            let place = order.iter().position(|name| *name == listed);
            let read = Read { number, does: does(special.effect), rewrites };
            (special.first_read(version) == Some(at)).then_some(((place, known), read))
        })
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, read)| read).collect()
}

const fn does(effect: special::Effect) -> &'static str {
    match effect {
        special::Effect::Reads => "reads",
        special::Effect::Updates => "sorts or changes it",
        special::Effect::Rewrites => "rewrites code",
        special::Effect::UpdatesAndRewrites => "changes it, rewrites code",
        special::Effect::Supplies => "copies from it",
        special::Effect::Code => "code",
        _ => "",
    }
}
