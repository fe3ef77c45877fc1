//! The steps of Linux's load: what each step reads, and which relocations it applies
//! (docs/linux-semantics.md, 2, 10 and 15).

use crate::simulate::report;
use crate::view::{ModuleView, ObjectRow, SectionClass};
use relakit::Module;
use relakit::elf::SymbolLocation;
use relakit_linux::special::{self, ReadAt, SPECIALS, Version};

#[derive(Debug)]
pub(in crate::output::html) struct Phase {
    /// Part of an anchor.
    pub(in crate::output::html) id: &'static str,
    pub(in crate::output::html) title: &'static str,
    /// The kernel's functions.
    pub(in crate::output::html) functions: &'static str,
    /// Sentences about what happens.
    pub(in crate::output::html) says: Vec<String>,
    /// The special sections that are read, in Linux's order if it has one.
    pub(in crate::output::html) reads: Vec<Read>,
    /// The relocation sections that are applied.
    pub(in crate::output::html) applies: Vec<u32>,
    /// The object of late relocations, as an index in [`ModuleView::objects`].
    pub(in crate::output::html) object: Option<usize>,
    /// The phases of a prediction that belong to this step.
    pub(in crate::output::html) ends: &'static [report::Phase],
}

#[derive(Clone, Copy, Debug)]
pub(in crate::output::html) struct Read {
    /// Index in [`ModuleView::special_sections`].
    pub(in crate::output::html) number: usize,
    pub(in crate::output::html) does: &'static str,
    /// Whether the reader changes code.
    pub(in crate::output::html) rewrites: bool,
}

/// A step that every module has.
struct Row {
    id: &'static str,
    title: &'static str,
    functions: &'static str,
    says: &'static str,
    /// An additional sentence for livepatches.
    livepatch: &'static str,
    /// The special sections that this step reads.
    reads: Option<ReadAt>,
    ends: &'static [report::Phase],
}

const ROWS: [Row; 9] = [
    Row {
        id: "validity",
        title: "The file is checked",
        functions: "elf_validity_cache_copy, early_mod_check",
        says: "Headers, the symbol table and the section with struct module must exist and be in bounds.",
        livepatch: "",
        reads: Some(ReadAt::Load),
        ends: &[report::Phase::Validity],
    },
    Row {
        id: "layout",
        title: "Sections get addresses",
        functions: "layout_and_allocate",
        says: "Sections are grouped by flags and name: text, read-only data, read-only after init, data; \
               then the same for init. In a group they have the order of the file.",
        livepatch: "Linux retains the whole symbol table of a livepatch.",
        reads: None,
        ends: &[report::Phase::Layout],
    },
    Row {
        id: "symbols",
        title: "Symbols get values",
        functions: "simplify_symbols",
        says: "",
        livepatch: "",
        reads: None,
        ends: &[report::Phase::Symbols],
    },
    Row {
        id: "relocation",
        title: "Relocations are applied",
        functions: "apply_relocations",
        says: "Ordinary relocations and livepatch relocations of vmlinux are applied in the order of the \
               file. The first error ends the load.",
        livepatch: "",
        reads: None,
        ends: &[report::Phase::Relocation],
    },
    Row {
        id: "finalize",
        title: "Special sections are used",
        functions: "post_relocation, module_finalize",
        says: "All early relocations are applied, and no late relocation is.",
        livepatch: "",
        reads: Some(ReadAt::Finalize),
        ends: &[report::Phase::Finalize],
    },
    Row {
        id: "formation",
        title: "Memory is protected",
        functions: "ftrace_module_init, complete_formation",
        says: "Text becomes executable and read-only. The state becomes COMING.",
        livepatch: "",
        reads: Some(ReadAt::Formation),
        ends: &[],
    },
    Row {
        id: "notifiers",
        title: "Notifiers are called",
        functions: "prepare_coming_module",
        says: "First, loaded livepatches patch this module. Then the notifiers run.",
        livepatch: "",
        reads: Some(ReadAt::Coming),
        ends: &[],
    },
    Row {
        id: "init",
        title: "The module starts",
        functions: "mod_sysfs_setup, do_init_module",
        says: "The module appears in sysfs. Its init function runs, then the memory of init sections is freed.",
        livepatch: "klp_enable_patch applies the late relocations of each object that is loaded.",
        reads: Some(ReadAt::Init),
        ends: &[report::Phase::Sysfs, report::Phase::Init],
    },
    Row {
        id: "running",
        title: "The module runs",
        functions: "",
        says: "These sections are read on demand: after a fault or a trap, or when a static key changes.",
        livepatch: "",
        reads: Some(ReadAt::OnDemand),
        ends: &[],
    },
];

/// All steps in order. Each object with late relocations has a step at the end.
pub(super) fn phases(module: &Module<'_>, view: &ModuleView<'_>, version: Version) -> Vec<Phase> {
    let of_class = |class, index: u32| view.section(index).is_some_and(|row| row.class == class);
    let is_early =
        |index: &u32| of_class(SectionClass::Ordinary, *index) || of_class(SectionClass::KlpEarly, *index);
    let phase = |row: &Row| {
        let mut says = vec![row.says.to_owned()];
        says.extend(view.livepatch.then(|| row.livepatch.to_owned()));
        if row.id == "symbols" {
            says.extend(counts(module));
        }
        says.retain(|says| !says.is_empty());
        let sections = view.sections.iter().map(|row| row.index);
        Phase {
            id: row.id,
            title: row.title,
            functions: row.functions,
            says,
            reads: row.reads.map(|at| reads(view, version, at)).unwrap_or_default(),
            applies: sections.filter(|index| row.id == "relocation" && is_early(index)).collect(),
            object: None,
            ends: row.ends,
        }
    };
    let after_unload = match module.profile().clears_on_going {
        true => "When the object is unloaded, Linux verifies and clears them.",
        false => {
            "When the object is unloaded, this kernel does not clear them. The object cannot be loaded again."
        }
    };
    let late = |(number, object): (usize, &ObjectRow<'_>)| {
        let sections = object.sections.iter().copied();
        Phase {
            id: "late",
            title: "The object is loaded",
            functions: "klp_module_coming, klp_write_object_relocs",
            says: vec![
                "For each section, symbols are resolved. Then the relocations are written, in running code."
                    .to_owned(),
                after_unload.to_owned(),
            ],
            reads: Vec::new(),
            applies: sections.filter(|index| of_class(SectionClass::KlpLate, *index)).collect(),
            object: Some(number),
            ends: &[report::Phase::Coming, report::Phase::Going],
        }
    };
    let steps = ROWS.iter().map(phase).filter(|phase| phase.id != "running" || !phase.reads.is_empty());
    let late = view.objects.iter().enumerate().map(late).filter(|phase| !phase.applies.is_empty());
    steps.chain(late).collect()
}

/// The number of symbols that are resolved, as sentences.
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
        0 => "No symbol is looked up.".to_owned(),
        1 => "1 symbol is looked up among the exported ones.".to_owned(),
        count => format!("{count} symbols are looked up among the exported ones."),
    };
    let left = match livepatch {
        0 => String::new(),
        1 => "1 livepatch symbol is not resolved until a relocation uses it.".to_owned(),
        count => format!("{count} livepatch symbols are not resolved until relocations use them."),
    };
    vec![exported, left]
}

/// The special sections that are first read at this time.
fn reads(view: &ModuleView<'_>, version: Version, at: ReadAt) -> Vec<Read> {
    let order: Vec<&str> = special::finalize_order(version).map(|special| special.name).collect();
    let mut found: Vec<_> = view
        .special_sections
        .iter()
        .enumerate()
        .filter_map(|(number, row)| {
            let special = special::by_name(row.name.as_bytes())?;
            let rewrites =
                matches!(special.effect, special::Effect::Rewrites | special::Effect::UpdatesAndRewrites);
            let known = SPECIALS.iter().position(|other| other.name == special.name);
            // It is read with .altinstructions.
            let listed = match special.name {
                ".altinstr_replacement" => ".altinstructions",
                name => name,
            };
            let position = order.iter().position(|name| *name == listed);
            let read = Read { number, does: does(special.effect), rewrites };
            (special.first_read(version) == Some(at)).then_some(((position, known), read))
        })
        .collect();
    found.sort_by_key(|(position, _)| *position);
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
