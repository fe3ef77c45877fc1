//! Replays every recorded verdict of a real kernel through core: same answer, same bytes, same symbol values.
//!
//! A small set of recordings is part of the repository; the full one is compared too where it can be found, and where it
//! cannot that is said.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod layouts;
mod recorded;
mod replay;

use relakit::{CallbackError, Class, ErrorKind, FailsAt, Module, Profile, Resolver};
use replay::Outcome;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Every case that was recorded, taken through core.
static OUTCOMES: LazyLock<Vec<Outcome>> = LazyLock::new(|| {
    let replay_all = |oracle: PathBuf| {
        let mut kernel = recorded::Kernel::open(&oracle);
        recorded::cases(&oracle).into_iter().map(move |case| replay::replay(&case, &mut kernel))
    };
    recorded::oracles().into_iter().flat_map(replay_all).collect()
});

/// Where core's answer is not the kernel's: case, pass, what core answers instead (`None`: it accepts), and why.
const OTHER_VERDICTS: &[(&str, &str, Option<ErrorKind>, &str)] = &[
    // What Linux does not check. It read or wrote outside: only the class of outcome counts, and ours is to refuse.
    ("klp_offset_far", "load", Some(ErrorKind::OffsetOutside), "Linux crashed"),
    ("klp_offset_negative", "load", Some(ErrorKind::OffsetOutside), "Linux wrote before the section"),
    ("plain_offset_far", "load", Some(ErrorKind::OffsetOutside), "Linux crashed"),
    ("plain_offset_at_size", "load", Some(ErrorKind::OffsetOutside), "Linux wrote behind the section"),
    ("klp_symidx_far", "load", Some(ErrorKind::SymbolIndex), "Linux crashed"),
    ("plain_symidx_far", "load", Some(ErrorKind::SymbolIndex), "Linux crashed"),
    ("elf_shname_over", "load", Some(ErrorKind::BadSectionName), "Linux crashed; ENOEXEC since 6.12.117"),
    // What is for the embedder to judge: placement and the size of its own structures.
    ("elf_wx_section", "load", None, "Linux has no memory that is writable and executable"),
    ("elf_this_module_size", "load", None, "the size of `struct module` is the kernel's own"),
    // Late relocations that Linux reads from freed memory, or writes to it.
    ("sec_no_alloc_module_early", "enable with orc_tgt1", Some(ErrorKind::LateNotAllocated), "freed memory"),
    ("sec_no_alloc_module_early", "going of orc_tgt1", Some(ErrorKind::NotLive), "it was refused before"),
    ("sec_info_nonalloc_module", "coming of orc_tgt1", Some(ErrorKind::TargetNotAllocated), "freed memory"),
    // A coming that failed left bytes behind, and the next one stumbled over them: ENOEXEC. Ours finds zeros, and
    // answers what the first one did.
    (
        "ms_two_sections_second_bad",
        "coming of orc_tgt1",
        Some(ErrorKind::KlpNotFound),
        "nothing was left behind",
    ),
];

/// Where the recorded bytes are not core's: case, state, and why.
const OTHER_BYTES: &[(&str, &str, &str)] = &[
    ("ms_two_sections_second_bad", "after_fail1", "Linux left the first section written"),
    ("ms_two_sections_second_bad", "after_fail2", "the same"),
    ("ms_overflow_second", "after_fail1", "Linux left the first entry written"),
    ("ms_overflow_second", "after_fail2", "the same"),
];

#[test]
fn core_accepts_and_refuses_what_the_kernel_accepted_and_refused_with_the_same_number() {
    let mut differ = BTreeSet::new();
    for outcome in OUTCOMES.iter() {
        for pass in outcome.passes.iter().filter(|pass| !pass.agrees()) {
            let ours = pass.ours.as_ref().err().map(|error| error.kind);
            println!("{}: {}: ours {:?}, Linux {:?}", outcome.case, pass.what, pass.ours, pass.linux);
            differ.insert((outcome.case.as_str(), pass.what.as_str(), ours.map(|kind| kind as i32)));
        }
    }
    let listed =
        OTHER_VERDICTS.iter().map(|&(case, what, ours, _)| (case, what, ours.map(|kind| kind as i32)));
    assert_eq!(differ, listed.filter(|(case, ..)| has(case)).collect());
}

#[test]
fn memory_and_symbol_values_are_those_that_were_recorded() {
    let differences =
        |outcome: &'static Outcome| outcome.differences.iter().map(|at| (outcome.case.as_str(), at));
    let differ: BTreeSet<_> = OUTCOMES.iter().flat_map(differences).collect();
    for (case, at) in &differ {
        println!("{case}: {at}");
    }
    let state = |at: &'static String| at.split_once(':').map_or(at.as_str(), |(state, _)| state);
    let states: BTreeSet<_> = differ.iter().map(|(case, at)| (*case, state(at))).collect();
    let listed = OTHER_BYTES.iter().map(|&(case, state, _)| (case, state));
    assert_eq!(states, listed.filter(|(case, _)| has(case)).collect());
    let compared: usize = OUTCOMES.iter().map(|outcome| outcome.compared).sum();
    let accepted = OUTCOMES.iter().filter(|outcome| outcome.compared != 0).count();
    println!("{compared} bytes in {accepted} of {} cases", OUTCOMES.len());
    assert!(compared > 100 * OUTCOMES.len(), "{compared}");
}

/// What a livepatch section is by the convention of its name, but for the cases in which the convention is broken.
fn expected_class(case: &str, name: &[u8]) -> String {
    let broken = match case {
        "sec_name_empty_all" | "sec_name_empty_obj" | "sec_name_rel_prefix" | "sec_size_0_badname" => {
            "malformed, the load fails"
        }
        "sec_info_zero_badname" | "sec_info_zero_badname_module_event" => "malformed, any coming fails",
        "sec_info_huge" | "sec_info_nonalloc" => "skipped",
        "sec_info_nonalloc_module" | "sec_no_alloc_module_early" | "sec_no_alloc_module" => {
            "malformed, the coming of orc_tgt1 fails"
        }
        "sec_no_flag" | "sec_no_flag_addend" => "ordinary",
        _ => "",
    };
    if !broken.is_empty() {
        return broken.to_owned();
    }
    let object = name.strip_prefix(b".klp.rela.").unwrap().split(|&byte| byte == b'.').next().unwrap();
    match object {
        b"vmlinux" => "early".to_owned(),
        _ => format!("late, of {}", String::from_utf8_lossy(&object[..object.len().min(55)])),
    }
}

fn describe(class: &Class<'_>) -> String {
    let text = |object: &[u8]| String::from_utf8_lossy(object).into_owned();
    match class {
        Class::Ordinary { .. } => "ordinary".to_owned(),
        Class::KlpEarly { .. } => "early".to_owned(),
        Class::KlpLate { object, .. } => format!("late, of {}", text(object)),
        Class::Skipped => "skipped".to_owned(),
        Class::Malformed { fails: FailsAt::Load, .. } => "malformed, the load fails".to_owned(),
        Class::Malformed { fails: FailsAt::AnyComing, .. } => "malformed, any coming fails".to_owned(),
        Class::Malformed { fails: FailsAt::Coming(object), .. } => {
            format!("malformed, the coming of {} fails", text(object))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn livepatch_sections_have_the_class_that_the_kernel_showed() {
    for outcome in OUTCOMES.iter() {
        for (name, class) in &outcome.livepatch_classes {
            assert_eq!(*class, expected_class(&outcome.case, name), "{}", outcome.case);
        }
    }
}

/// Knows every name.
struct Anybody;

impl Resolver for Anybody {
    fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(Some(0xffff_ffff_8100_0000))
    }

    fn nth_symbol(&mut self, object: &[u8], _: &[u8], position: u64) -> Result<Option<u64>, CallbackError> {
        assert_eq!(object, b"vmlinux");
        Ok((position == 1).then_some(0xffff_ffff_8200_0000))
    }
}

#[test]
fn what_the_kernels_own_tool_makes_is_accepted() {
    let made =
        |oracle: PathBuf| Some(oracle.join("producers/livepatch-vmstatic.ko")).filter(|path| path.exists());
    let Some(file) = recorded::oracles().into_iter().find_map(made) else { return };
    let file = std::fs::read(file).unwrap();
    for profile in Profile::LINUX {
        let module = Module::parse(&file, *profile).unwrap();
        let early =
            module.classes().filter(|(_, class)| matches!(class.class, Class::KlpEarly { .. })).count();
        let malformed = module.classes().find(|(_, class)| matches!(class.class, Class::Malformed { .. }));
        assert_eq!((early, malformed), (1, None), "{}", profile.name);
        let mut image = replay::Image::new(&module, None);
        let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
        let placed = module.assign(&mut image).unwrap();
        let filled = placed.fill().unwrap();
        let loaded = filled.early(&mut values, &mut Anybody).unwrap();
        assert!(values.contains(&0xffff_ffff_8200_0000));
        assert_eq!(loaded.retained_size(), 0);
    }
}

fn has(case: &str) -> bool {
    OUTCOMES.iter().any(|outcome| outcome.case == case)
}
