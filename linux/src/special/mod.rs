//! The special sections of an x86_64 Linux module by name: which function reads each, when, and in
//! which kernels.
//!
//! Sources (facts only): Linux as Debian ships it, 5.10.223, 6.1.192, 6.12.117, 7.2.13 and 7.3.4
//! (in `arch/x86/kernel/module.c`, `kernel/module/main.c`, `scripts/module.lds.S` and the named
//! readers); for changes in between, the commit in the row; its version is that of its pull request
//! or -rc.
//!
//! Versions are mainline's. Stable kernels have some rows earlier: 5.10.y reads `.retpoline_sites`
//! and `.return_sites`, writes `.static_call_tramp_key` and has 12-byte alternatives (all in
//! 5.10.223).

mod entries;
mod finalize;
mod places;
mod sites;
mod sorted;

pub use entries::Harm;
pub use finalize::finalize_order;
pub use places::{Place, places};
pub use sites::{Role, Site, Sites, sites};
pub use sorted::sort_tables;

pub(crate) use entries::{Pointer, pointers};
pub(crate) use places::find;
pub(crate) use sites::role_of;
pub(crate) use sorted::{Entry, Sections, Table};

use relakit::Loaded;

use Effect::{Code, Nothing, Reads, Rewrites, Supplies, Updates, UpdatesAndRewrites};
use ReadAt::{Coming, Finalize, Formation, Init, Load, Never, OnDemand};

/// A kernel version: major, minor.
pub type Version = (u16, u16);

/// Every kernel since 5.8, the first with the early pass (7c8e2bdd5f0d).
const ANY: Version = (0, 0);

/// The time at which Linux first reads the content of a section, in the order of a module's life.
///
/// Recording a section's address is not a read. Steps are those of `load_module`
/// (`kernel/module/main.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReadAt {
    /// Before relocation, from the file or the copy. A relocation into the section is too late.
    Load,
    /// `post_relocation`: right after relocation, before the code is made executable. See
    /// [`finalize_order`].
    Finalize,
    /// After `Finalize`, before the state COMING: `ftrace_module_init`, `complete_formation`.
    Formation,
    /// By the COMING notifiers. Livepatches for the module are applied before they run.
    Coming,
    /// After the notifiers, before or in the module's init function. There a livepatch calls
    /// `klp_enable_patch`, which applies its late relocations.
    Init,
    /// On demand: after a fault or a trap, when a file is read, when another module is loaded.
    OnDemand,
    /// Never in a module, or only its address and size are used.
    Never,
}

/// What Linux does with the section, or with the code to which its entries point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Linux reads it, and changes neither the section nor code.
    Reads,
    /// Linux sorts the entries or writes into them.
    Updates,
    /// Linux patches instructions to which the entries point.
    Rewrites,
    /// Linux sorts or writes the entries, and patches instructions to which they point.
    UpdatesAndRewrites,
    /// Linux copies the bytes to other places: replacement instructions, the per-CPU template.
    Supplies,
    /// The section is code that Linux finds by its name.
    Code,
    /// Linux does not read it from a module. Tools may.
    Nothing,
}

/// One special section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Special {
    /// Exact section name.
    pub name: &'static str,
    /// The function that reads it in the newest kernel. For [`ReadAt::Never`], the function that
    /// would, or empty.
    pub reader: &'static str,
    /// When the newest kernel that reads it first does so. [`Self::first_read`] has the older
    /// kernels.
    pub read_at: ReadAt,
    /// Kernels before this version read it at this other time.
    pub earlier: Option<(Version, ReadAt)>,
    /// What Linux does with it.
    pub effect: Effect,
    /// First kernel that has the section. `None` if 5.8 has it.
    pub since: Option<Version>,
    /// First kernel that no longer reads it. `None` if 7.3 reads it.
    pub until: Option<Version>,
    /// First version with each entry size, and this size in bytes, oldest first. Empty if the
    /// section is no table, or if the size depends on the kernel's configuration.
    pub entry_sizes: &'static [(Version, u16)],
    /// A short English description of its content.
    pub what: &'static str,
}

impl Special {
    /// Returns whether kernels of this version read the section's content in a module.
    #[must_use]
    pub const fn is_read_by(&self, version: Version) -> bool {
        self.spans(version) && !matches!(self.read_at, Never)
    }

    /// Returns when kernels of this version first read it; `None` if they do not.
    #[must_use]
    pub const fn first_read(&self, version: Version) -> Option<ReadAt> {
        if !self.is_read_by(version) {
            return None;
        }
        match self.earlier {
            Some((change, read_at)) if before(version, change) => Some(read_at),
            _ => Some(self.read_at),
        }
    }

    /// Returns the entry size in bytes in kernels of this version; `None` if they do not have the
    /// section, or it has no fixed size.
    #[must_use]
    pub fn entry_size(&self, version: Version) -> Option<u16> {
        if !self.spans(version) {
            return None;
        }
        self.entry_sizes.iter().rev().find(|(first, _)| !before(version, *first)).map(|&(_, size)| size)
    }

    /// Returns whether a late relocation into this section of the livepatch is applied before the
    /// section is read.
    ///
    /// It is false for every section that is read up to init, because its reader has used the zeros
    /// before relocation. It is true for a section that is not read.
    #[must_use]
    pub const fn takes_late(&self, version: Version) -> bool {
        matches!(self.first_read(version), None | Some(OnDemand | Never))
    }

    /// Whether kernels of this version have the section.
    const fn spans(&self, version: Version) -> bool {
        !matches!(self.since, Some(since) if before(version, since))
            && !matches!(self.until, Some(until) if !before(version, until))
    }

    const fn earlier(mut self, change: Version, read_at: ReadAt) -> Self {
        self.earlier = Some((change, read_at));
        self
    }

    const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = Some((major, minor));
        self
    }

    const fn until(mut self, major: u16, minor: u16) -> Self {
        self.until = Some((major, minor));
        self
    }

    const fn sizes(mut self, entry_sizes: &'static [(Version, u16)]) -> Self {
        self.entry_sizes = entry_sizes;
        self
    }
}

/// `a < b`, usable in constants.
pub(crate) const fn before(a: Version, b: Version) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}

/// A row for every kernel and without a fixed entry size.
const fn row(
    name: &'static str,
    reader: &'static str,
    read_at: ReadAt,
    effect: Effect,
    what: &'static str,
) -> Special {
    Special { name, reader, read_at, earlier: None, effect, since: None, until: None, entry_sizes: &[], what }
}

/// Returns the special section with this name.
#[must_use]
pub fn by_name(name: &[u8]) -> Option<&'static Special> {
    SPECIALS.iter().find(|special| special.name.as_bytes() == name)
}

// Sizes that no version changed: a 32-bit number, or offset from its own place; a pointer, or two
// offsets.
const FOUR: &[(Version, u16)] = &[(ANY, 4)];
const EIGHT: &[(Version, u16)] = &[(ANY, 8)];

/// The special sections, in the order in which they are first read.
///
/// The table leaves out the livepatch sections, the kinds of export that 5.12 dropped
/// (`__ksymtab_unused` and such), `__obsparm` (Linux only warns about it), and sections of vmlinux.
/// ITS thunks have no section in a module.
#[rustfmt::skip]
pub const SPECIALS: &[Special] = &[
    // Load. The loader drops SHF_ALLOC of all but this_module: no relocation is applied to them.
    row(".modinfo", "setup_modinfo", Load, Reads, "key=value strings about the module"),
    row(".gnu.linkonce.this_module", "elf_validity_cache_copy", Load, Updates, "the module's struct module"),
    row("__versions", "check_version", Load, Reads, "CRCs of imported symbols").sizes(&[(ANY, 64)]),
    // 54ac1ac8edeb, kbuild-v6.14.
    row("__version_ext_crcs", "modversion_ext_start", Load, Reads, "CRCs of imported symbols, any name length").since(6, 14).sizes(FOUR),
    row("__version_ext_names", "modversion_ext_start", Load, Reads, "names for __version_ext_crcs").since(6, 14),

    // Finalize. From 6.16 (570db4b39f53) the per-CPU template is relocated before it is copied.
    row("__ex_table", "sort_extable", Finalize, Updates, "exception table: faulting instruction, fixup, kind").sizes(&[(ANY, 12)]),
    row(".data..percpu", "percpu_modcopy", Finalize, Supplies, "template of per-CPU variables"),
    // Turned into alternatives: x86_paravirt_for_v6.8.
    row(".parainstructions", "apply_paravirt", Finalize, Rewrites, "paravirt call sites").until(6, 8).sizes(&[(ANY, 16)]),
    // 931ab63664f0, x86_core_for_v6.2.
    row(".cfi_sites", "apply_fineibt", Finalize, Rewrites, "CFI preambles of functions").since(6, 2).sizes(FOUR),
    // 134ab5bd1883, objtool-core-2021-10-31. From 6.2 apply_fineibt reads it too, just before.
    row(".retpoline_sites", "apply_retpolines", Finalize, Rewrites, "indirect branches").since(5, 16).sizes(FOUR),
    // 15e67227c49a, 5.19-rc7.
    row(".return_sites", "apply_returns", Finalize, Rewrites, "return instructions").since(5, 19).sizes(FOUR),
    // 13 to 12: 23c1ad538f4f (padlen dropped), 5.13. 12 to 14: 5d1dd961e743 (flags), 6.3-rc1.
    row(".altinstructions", "apply_alternatives", Finalize, Rewrites, "alternative instructions").sizes(&[(ANY, 13), ((5, 13), 12), ((6, 3), 14)]),
    row(".altinstr_replacement", "apply_alternatives", Finalize, Supplies, "replacement code for .altinstructions"),
    // eaf44c816ed8, x86_core_for_v6.2. Used with call depth tracking only.
    row(".call_sites", "callthunks_patch_module_calls", Finalize, Rewrites, "direct calls").since(6, 2).sizes(FOUR),
    // ed53a0d97192, the IBT series of 5.18.
    row(".ibt_endbr_seal", "apply_seal_endbr", Finalize, Rewrites, "ENDBR instructions that nothing needs").since(5, 18).sizes(FOUR),
    // Read in 7.2.13, not in 7.3.4. Only a kernel that found one CPU patches.
    row(".smp_locks", "alternatives_smp_module_add", Finalize, Rewrites, "lock prefixes").until(7, 3).sizes(FOUR),
    row(".orc_unwind_ip", "unwind_module_init", Finalize, Updates, "ORC unwinder: addresses").sizes(FOUR),
    row(".orc_unwind", "unwind_module_init", Finalize, Updates, "ORC unwinder: frame layouts").sizes(&[(ANY, 6)]),

    // Formation.
    row("__mcount_loc", "ftrace_module_init", Formation, UpdatesAndRewrites, "calls to the function tracer").sizes(EIGHT),
    row("__ksymtab", "verify_exported_symbols", Formation, Reads, "exported symbols").sizes(&[(ANY, 12)]),
    // Merged into the tables without _gpl: modules-7.1-rc1.
    row("__ksymtab_gpl", "verify_exported_symbols", Formation, Reads, "symbols exported to GPL modules").until(7, 1).sizes(&[(ANY, 12)]),
    // Renamed `__dyndbg` in 5.9: patch of July 2020, in 5.10.223; the release is from memory.
    row("__verbose", "dynamic_debug_setup", Formation, Updates, "dynamic debug call sites").until(5, 9),

    // Coming. Jump labels became NOPs in Finalize before 6.0 (7e6b9db27de9,
    // locking-core-2022-08-01).
    row("__jump_table", "jump_label_add_module", Coming, UpdatesAndRewrites, "jump labels: branch, target, key").earlier((6, 0), Finalize).sizes(&[(ANY, 16)]),
    // 9183c3f9ed71, 5.10. Keys that are not exported are looked up and replaced in the table.
    row(".static_call_sites", "static_call_add_module", Coming, UpdatesAndRewrites, "static calls: site, key").since(5, 10).sizes(EIGHT),
    row("__tracepoints_ptrs", "tracepoint_module_coming", Coming, Reads, "list of tracepoints").sizes(FOUR),
    row("__tracepoints", "tracepoint_module_coming", Coming, Updates, "tracepoints"),
    row("_ftrace_events", "trace_module_add_events", Coming, Reads, "trace events").sizes(EIGHT),
    row("_ftrace_eval_map", "trace_module_add_evals", Coming, Reads, "enum values in trace event formats").sizes(EIGHT),
    row("__trace_printk_fmt", "hold_module_trace_bprintk_format", Coming, Updates, "formats of trace_printk").sizes(EIGHT),
    // Notifier since 6.4 (7deabd674988); called by load_module before.
    row("__dyndbg", "ddebug_add_module", Coming, Updates, "dynamic debug call sites").earlier((6, 4), Formation).since(5, 9),
    row("__dyndbg_classes", "ddebug_add_module", Coming, Updates, "classes of dynamic debug call sites").earlier((6, 4), Formation).since(6, 1),
    row("_error_injection_whitelist", "module_load_ei_list", Coming, Reads, "functions where errors may be injected").sizes(&[(ANY, 16)]),
    row("_kprobe_blacklist", "add_module_kprobe_blacklist", Coming, Reads, "functions that must not be probed").sizes(EIGHT),
    row("___srcu_struct_ptrs", "srcu_module_coming", Coming, Reads, "list of static SRCU structures").sizes(EIGHT),
    // 3d6e44623841 and d81f0d7b8b23; 36e68442d1af and d4e48e3dd450: dates known, releases from
    // memory, in keeping with the sources. The two of BTF are not SHF_ALLOC: no relocation is
    // applied to them.
    row(".kunit_test_suites", "kunit_module_init", Coming, Reads, "KUnit test suites").since(6, 0).sizes(EIGHT),
    row(".kunit_init_test_suites", "kunit_module_init", Coming, Reads, "KUnit test suites that run at init").since(6, 8).sizes(EIGHT),
    row(".BTF", "btf_module_notify", Coming, Reads, "BTF type information").since(5, 11),
    row(".BTF.base", "btf_module_notify", Coming, Reads, "types that .BTF builds on").since(6, 11),

    // Init, in this order.
    row("__param", "parse_args", Init, Reads, "module parameters").sizes(&[(ANY, 40)]),
    // 0db6f8d7820a, merge window of 6.13; from 6.10 the tags lay inside .data.
    row(".codetag.alloc_tags", "codetag_load_module", Init, Updates, "allocation sites for memory profiling").since(6, 13).sizes(&[(ANY, 40)]),
    row(".ctors", "do_mod_ctors", Init, Reads, "constructors").sizes(EIGHT),
    row(".init_array", "do_mod_ctors", Init, Reads, "constructors, if there is no .ctors").sizes(EIGHT),
    // b525fcaf0a76, objtool-urgent-2026-02-07, just before 6.19; in its -rc `__klp_objects`,
    // `__klp_funcs`.
    row(".init.klp_objects", "livepatch_mod_init", Init, Reads, "klp-build: objects to patch").since(6, 19).sizes(&[(ANY, 64)]),
    row(".init.klp_funcs", "livepatch_mod_init", Init, Reads, "klp-build: functions to patch").since(6, 19).sizes(&[(ANY, 24)]),

    // On demand. Where bug table and CFI traps lie is noted in Formation, for BPF and printk at
    // COMING. __bug_table: with CONFIG_DEBUG_BUGVERBOSE; WARN_ONCE marks its entry. 12 to 16:
    // 0a52d339d35d (format), core-bugs-2025-12-01 for 6.19.
    row("__bug_table", "find_bug", OnDemand, Updates, "BUG and WARN sites").sizes(&[(ANY, 12), ((6, 19), 16)]),
    row("__kcfi_traps", "is_cfi_trap", OnDemand, Reads, "instructions that report a CFI failure").since(6, 1).sizes(FOUR),
    row("__bpf_raw_tp_map", "bpf_get_raw_tracepoint_module", OnDemand, Reads, "tracepoints for BPF").sizes(&[(ANY, 32)]),
    row(".printk_index", "pi_get_entry", OnDemand, Reads, "printk formats").since(5, 15).sizes(EIGHT),
    row("__kcrctab", "find_exported_symbol_in_section", OnDemand, Reads, "CRCs of __ksymtab").sizes(FOUR),
    row("__kcrctab_gpl", "find_exported_symbol_in_section", OnDemand, Reads, "CRCs of __ksymtab_gpl").until(7, 1).sizes(FOUR),
    row("__kflagstab", "find_exported_symbol_in_section", OnDemand, Reads, "flags of __ksymtab").since(7, 1).sizes(&[(ANY, 1)]),
    // 5 bytes, and 3 of signature; in 5.10 3 of alignment.
    row(".static_call.text", "__static_call_transform", OnDemand, Code, "static call trampolines").since(5, 10).sizes(EIGHT),

    // Never. Kprobes note the range of the two text sections at COMING. x86_64 traces by
    // __mcount_loc.
    row(".kprobes.text", "add_module_kprobe_blacklist", Never, Code, "code that must not be probed"),
    row(".noinstr.text", "add_module_kprobe_blacklist", Never, Code, "code that must not be instrumented"),
    row(".altinstr_aux", "", Never, Code, "feature tests that run before alternatives are applied"),
    // sched-core-2021-02-17 for 5.12. Only vmlinux's table is searched.
    row(".static_call_tramp_key", "tramp_key_lookup", Never, Nothing, "trampolines of static calls and their keys").since(5, 12).sizes(EIGHT),
    row("__tracepoint_str", "", Never, Nothing, "strings that trace events print"),
    row("__patchable_function_entries", "", Never, Nothing, "padding before functions").sizes(EIGHT),
    // b9f174c811e3, objtool_urgent_for_v6.4.
    row(".orc_header", "", Never, Nothing, "hash of the ORC format, for tools").since(6, 4),
];

/// Returns the special sections that `loaded` has in memory, with their section indices.
pub fn in_memory<'a>(loaded: &'a Loaded<'_>) -> impl Iterator<Item = (u32, &'static Special)> + 'a {
    let sections = loaded.module().object().sections();
    sections.filter_map(|(index, _)| Some((index, of_section(loaded, index)?)))
}

/// Returns the special section that section `index` of `loaded` is. `None` if it is none, or is not
/// in memory.
pub fn of_section(loaded: &Loaded<'_>, index: u32) -> Option<&'static Special> {
    let module = loaded.module();
    let section = module.object().section(index).filter(|_| module.is_allocated(index))?;
    by_name(module.object().section_name(&section))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(name: &str) -> &'static Special {
        by_name(name.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_is_found_once_and_only_exactly() {
        for (at, special) in SPECIALS.iter().enumerate() {
            assert_eq!(by_name(special.name.as_bytes()), Some(special));
            assert!(!SPECIALS[..at].iter().any(|other| other.name == special.name), "{}", special.name);
        }
        for name in ["", ".altinstruction", ".altinstructions.", "altinstructions", ".ALTINSTRUCTIONS"] {
            assert!(by_name(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn rows_are_in_order_of_reading_and_begin_before_they_end() {
        assert!(SPECIALS.is_sorted_by_key(|special| special.read_at));
        for Special { name, since, until, earlier, read_at, .. } in SPECIALS {
            let (since, until) = (since.unwrap_or(ANY), until.unwrap_or((u16::MAX, 0)));
            assert!(since < until, "{name}");
            if let Some((change, earlier)) = earlier {
                assert!(since < *change && *change < until && earlier < read_at, "{name}");
            }
        }
    }

    #[test]
    fn sizes_ascend_by_version_and_each_is_a_change() {
        for Special { name, entry_sizes, .. } in SPECIALS {
            assert!(entry_sizes.iter().all(|&(_, size)| size > 0), "{name}");
            assert!(entry_sizes.is_empty() || entry_sizes[0].0 == ANY, "{name}");
            assert!(entry_sizes.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1), "{name}");
        }
    }

    #[test]
    fn entries_have_the_sizes_that_recorded_modules_show() {
        let alternatives = [((5, 12), 13), ((5, 13), 12), ((6, 1), 12), ((6, 3), 14), ((6, 12), 14)];
        for (version, size) in alternatives {
            assert_eq!(special(".altinstructions").entry_size(version), Some(size), "{version:?}");
        }
        assert_eq!(special("__bug_table").entry_size((6, 12)), Some(12));
        assert_eq!(special("__bug_table").entry_size((7, 3)), Some(16));
        assert_eq!(special(".call_sites").entry_size((6, 1)), None, "not there yet");
        assert_eq!(special(".smp_locks").entry_size((7, 3)), None, "no longer there");
        assert_eq!(special(".modinfo").entry_size((6, 12)), None, "no table");
    }

    #[test]
    fn a_section_is_read_from_its_first_version_until_its_last() {
        let paravirt = special(".parainstructions");
        assert!(paravirt.is_read_by((5, 8)) && paravirt.is_read_by((6, 7)));
        assert!(!paravirt.is_read_by((6, 8)) && !paravirt.is_read_by((7, 0)));
        let suites = special(".kunit_test_suites");
        assert!(!suites.is_read_by((5, 19)) && suites.is_read_by((6, 0)));
        assert!(!special("__tracepoint_str").is_read_by((6, 12)), "never");
    }

    #[test]
    fn late_relocation_is_in_time_only_for_what_is_read_on_demand() {
        let labels = special("__jump_table");
        assert_eq!(labels.first_read((5, 19)), Some(Finalize));
        assert_eq!(labels.first_read((6, 0)), Some(Coming));
        assert!(!labels.takes_late((6, 12)) && !special(".altinstr_replacement").takes_late((6, 12)));
        assert!(special("__bug_table").takes_late((6, 12)) && special(".noinstr.text").takes_late((6, 12)));
        assert!(special(".smp_locks").takes_late((7, 3)), "nothing reads it");
    }
}
