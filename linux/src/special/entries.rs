//! The pointers in the entries of special sections, and what Linux does if a pointer has no
//! relocation.

use super::{ANY, Special, Version, before};
use Harm::{Crashes, Silent, Warns};

/// How much a mistake in a special section does while the module loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Harm {
    /// Linux prints nothing, and the module loads.
    Silent,
    /// Linux prints a warning with a backtrace, and the module loads. With `panic_on_warn`, the
    /// kernel stops.
    Warns,
    /// Linux reads or writes invalid memory, or stops with `BUG`.
    Crashes,
}

/// A pointer in each entry of a special section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointer {
    section: &'static str,
    /// Offset in the entry, in bytes.
    pub(crate) at: u64,
    /// What a pointer without a relocation does.
    pub(crate) harm: Harm,
    /// The same in words. The subject is the reader of the section.
    pub(crate) then: &'static str,
    /// First version for which the row holds.
    since: Version,
}

/// Most pointers in an entry.
const POINTERS_MAX: usize = 3;

/// Returns the pointers in an entry of `special` in kernels of this version, in the order of their
/// offsets.
pub(crate) fn pointers(special: &Special, version: Version) -> [Option<&'static Pointer>; POINTERS_MAX] {
    let mut found: [Option<&'static Pointer>; POINTERS_MAX] = [None; POINTERS_MAX];
    let holds = |row: &&Pointer| row.section == special.name && !before(version, row.since);
    for row in POINTERS.iter().filter(holds) {
        // A later row for the same pointer replaces an earlier one.
        let place = found.iter_mut().find(|place| place.is_none_or(|other| other.at == row.at));
        if let Some(place) = place {
            *place = Some(row);
        }
    }
    found
}

const fn row(section: &'static str, at: u64, harm: Harm, then: &'static str) -> Pointer {
    Pointer { section, at, harm, then, since: ANY }
}

const fn from(mut row: Pointer, since: Version) -> Pointer {
    row.since = since;
    row
}

/// Offsets count from the pointer itself, so a pointer without a relocation points to itself. An
/// address without a relocation is 0.
///
/// Sources (facts only): Linux 6.1.192 and 6.12.117 of Debian, the function in each row. Fields
/// that may be 0 are left out: the namespace in `__ksymtab`, the module and the argument in
/// `__param`, the file name in `__bug_table`.
#[rustfmt::skip]
const POINTERS: &[Pointer] = &[
    // apply_paravirt: memcpy from p->instr, and back.
    row(".parainstructions", 0, Crashes, "copies from an address that is not code"),
    // apply_retpolines: the decoded opcode is no branch.
    row(".retpoline_sites", 0, Warns, "warns, and leaves the branch as it is"),
    // apply_returns: "missing return thunk".
    row(".return_sites", 0, Warns, "warns, and leaves the return as it is"),
    // apply_alternatives: instr and replacement are addresses of the entry.
    row(".altinstructions", 0, Silent, "patches the table, and leaves the code as it is"),
    row(".altinstructions", 4, Silent, "copies bytes of the table into the code"),
    // patch_call: not within_coretext.
    row(".call_sites", 0, Silent, "skips the entry"),
    // apply_ibt_endbr, poison_endbr: no ENDBR.
    row(".ibt_endbr_seal", 0, Warns, "warns, and leaves the ENDBR as it is"),
    // cfi_rewrite_preamble: "no CFI hash found".
    row(".cfi_sites", 0, Warns, "warns, and rewrites no preamble"),
    // alternatives_smp_unlock: skips offsets of 0.
    row(".smp_locks", 0, Silent, "skips the entry"),
    // orc_ip: the entry describes its own address.
    row(".orc_unwind_ip", 0, Silent, "cannot unwind the code of the entry"),
    // ex_to_insn, ex_fixup_addr.
    row("__ex_table", 0, Silent, "does not find the entry, so the fault that it handles is an oops"),
    row("__ex_table", 4, Silent, "continues at the table after a fault"),
    // ftrace_process_locs: "Skip any NULL pointers".
    row("__mcount_loc", 0, Silent, "skips the entry, so the function cannot be traced or patched"),
    // kernel_symbol_value, kernel_symbol_name.
    row("__ksymtab", 0, Silent, "exports the address of the table"),
    row("__ksymtab", 4, Silent, "exports a symbol without its name"),
    row("__ksymtab_gpl", 0, Silent, "exports the address of the table"),
    row("__ksymtab_gpl", 4, Silent, "exports a symbol without its name"),
    // Before 6.0 (7e6b9db27de9), jump_label_apply_nops compared the code with what it expected:
    // BUG. From 6.0 on, __jump_label_update warns if the code is not text.
    row("__jump_table", 0, Crashes, "stops with BUG, because the branch is not there"),
    from(row("__jump_table", 0, Silent, "cannot patch the branch"), (6, 0)),
    row("__jump_table", 4, Silent, "makes the branch lead to the table"),
    // static_key_set_entries: the entry is taken for a static key of the module.
    row("__jump_table", 8, Silent, "takes the entry for its key, and writes over what follows"),
    // __static_call_validate: "unexpected static_call insn opcode", BUG.
    row(".static_call_sites", 0, Crashes, "stops with BUG, because the call is not there"),
    // __static_call_init: key->mods is in the next entry, key->func in both.
    row(".static_call_sites", 4, Crashes, "takes the entry for its key, and writes over what follows"),
    // __register_event, trace_event_eval_update, hold_module_trace_bprintk_format,
    // srcu_module_coming.
    row("_ftrace_events", 0, Crashes, "reads the address 0"),
    row("_ftrace_eval_map", 0, Crashes, "reads the address 0"),
    row("__trace_printk_fmt", 0, Crashes, "reads the address 0"),
    row("___srcu_struct_ptrs", 0, Crashes, "writes to the address 0"),
    // for_each_module_tracepoint; populate_error_injection_list, kprobe_add_ksym_blacklist.
    row("__tracepoints_ptrs", 0, Silent, "takes the table for a tracepoint"),
    row("_error_injection_whitelist", 0, Silent, "skips the entry"),
    row("_kprobe_blacklist", 0, Silent, "skips the entry"),
    // module_param_sysfs_setup takes the length of the name; destroy_params reads the ops.
    row("__param", 0, Crashes, "reads the name at the address 0"),
    row("__param", 16, Crashes, "reads the operations at the address 0 when the module is unloaded"),
    // find_bug.
    row("__bug_table", 0, Silent, "does not find the entry, so BUG or WARN is an invalid opcode"),
    row("__kcfi_traps", 0, Silent, "does not find the trap"),
    row("__bpf_raw_tp_map", 0, Silent, "reads the address 0 when a program looks for a tracepoint"),
];

#[cfg(test)]
mod tests {
    use super::super::{SPECIALS, by_name};
    use super::*;

    #[test]
    fn pointers_lie_in_the_entries_of_special_sections() {
        for row in POINTERS {
            let special = by_name(row.section.as_bytes()).unwrap_or_else(|| panic!("{}", row.section));
            let sizes = special.entry_sizes;
            assert!(sizes.iter().all(|&(_, size)| row.at + 4 <= u64::from(size)), "{}", row.section);
            assert!(!sizes.is_empty(), "{}", row.section);
        }
    }

    #[test]
    fn a_pointer_has_the_row_of_its_newest_version() {
        let labels = by_name(b"__jump_table").unwrap();
        for (version, harm) in [((5, 19), Crashes), ((6, 0), Silent), ((6, 12), Silent)] {
            let found =
                pointers(labels, version).map(|pointer| pointer.map(|pointer| (pointer.at, pointer.harm)));
            assert_eq!(found, [Some((0, harm)), Some((4, Silent)), Some((8, Silent))], "{version:?}");
        }
        for special in SPECIALS {
            let rows = POINTERS.iter().filter(|row| row.section == special.name);
            let mut offsets: Vec<_> = rows.map(|row| row.at).collect();
            offsets.dedup();
            assert_eq!(pointers(special, (9, 0)).iter().flatten().count(), offsets.len(), "{}", special.name);
        }
    }
}
