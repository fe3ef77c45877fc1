//! Reports made by hand, for the tests of everything that prints them.

use crate::check::report::{Answer, Fault, FindingRow, Phase, Report, SectionMemory, Step, Verdict};
use relakit_linux::findings::Lint;

/// A livepatch without anything to say about it.
pub(crate) fn accepted() -> Report {
    Report {
        file: "build/livepatch.ko".to_owned(),
        name: "livepatch".to_owned(),
        kernel: "6.12".to_owned(),
        rules: "6.12",
        answer: Answer::default(),
        steps: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
    }
}

/// One that patches nfs, whose coming fails half-way; it is the wrong name besides, and there is something to know.
pub(crate) fn rejected() -> Report {
    let fault = fault("KlpNotFound", "livepatch symbol not found in its object", late(3));
    let message =
        "livepatch: .klp.sym.nfs.nfs_commit_inode,0 names a symbol that its object does not have".to_owned();
    let coming = Answer {
        verdict: Verdict::Rejected,
        errno: Some("EINVAL"),
        phase: Some(Phase::Coming),
        message: Some(message),
        errors: vec![Fault { numbers: vec![("position", 0)], ..fault }],
    };
    let mut half = row(Lint::HalfApplied, late(3));
    half.numbers = vec![("relocations left", 2)];
    half.details = vec!["when nfs comes".to_owned()];
    let mut rewritten = row(Lint::LateIntoRewritten, late(0));
    rewritten.other = Some((
        "entry that rewrites it",
        SectionMemory {
            section: Some(12),
            section_name: Some(".altinstructions".to_owned()),
            entry: Some(0),
            ..SectionMemory::default()
        },
    ));
    rewritten.numbers = vec![("range", 0x40), ("range size", 5)];
    rewritten.details = vec!["apply_alternatives reads it when the module is loaded".to_owned()];
    let mut hyphen = row(Lint::ObjectNameHyphen, section(42, ".klp.rela.dm-mod..text"));
    hyphen.more = 17;
    let mut passed = row(Lint::Skipped, section(50, ".rela.debug_info"));
    passed.place.target_name = Some(".debug_info".to_owned());
    let mut again = row(Lint::Skipped, section(52, ".rela.debug_line"));
    again.more = 3;
    Report {
        steps: vec![
            step("live:ext4", Answer::default()),
            step("coming:nfs", coming),
            step("going:nfs", Answer::default()),
        ],
        findings: vec![half, rewritten, hyphen, passed, again],
        notes: vec!["no file for ext4 was given: its symbols are those of kallsyms".to_owned()],
        ..accepted()
    }
}

/// One that crashes the kernel when it is loaded, and writes a symbol's name for a terminal.
pub(crate) fn hostile() -> Report {
    let mut place = late(7);
    place.symbol_name = Some(format!("\\x1b]0;{}\\x07", "n".repeat(3000)));
    place.offset = Some(0xffff_ffff_ffff_fff0);
    let message = format!("a write of 4 bytes at {}", "m".repeat(3000));
    let fault = Fault {
        errno: None,
        numbers: vec![("field size", 4), ("section size", 0x83)],
        ..fault("OffsetOutside", "field lies outside its section", place)
    };
    Report {
        file: "a%20 b/\u{1b}[31m:\u{e9}.ko".to_owned(),
        kernel: "6.1".to_owned(),
        rules: "5.18",
        answer: Answer {
            verdict: Verdict::Unsafe,
            errno: None,
            phase: Some(Phase::Relocation),
            message: Some(message),
            errors: vec![fault],
        },
        ..accepted()
    }
}

/// Modules that come are at fault themselves, or are not known, or are there already.
pub(crate) fn others() -> Report {
    let symbols = Answer {
        verdict: Verdict::Rejected,
        errno: Some("ENOENT"),
        phase: Some(Phase::Symbols),
        message: Some("nfs: unknown symbol nfs_debug (-ENOENT)".to_owned()),
        errors: vec![Fault {
            errno: Some("ENOENT"),
            help: Some("no symbol file has it: is a module's list missing?".to_owned()),
            more: 0,
            ..fault(
                "UnknownSymbol",
                "unknown symbol",
                SectionMemory {
                    symbol: Some(5),
                    symbol_name: Some("nfs_debug".to_owned()),
                    ..SectionMemory::default()
                },
            )
        }],
    };
    let unknown = Answer {
        verdict: Verdict::NotJudged,
        message: Some("nothing is known of ceph: give --target ceph=FILE.ko".to_owned()),
        ..Answer::default()
    };
    let twice = Answer {
        verdict: Verdict::Rejected,
        errno: Some("EEXIST"),
        phase: Some(Phase::Validity),
        message: Some("ext4: is loaded already".to_owned()),
        errors: Vec::new(),
    };
    let going = Answer {
        verdict: Verdict::Rejected,
        errno: Some("ENOENT"),
        phase: Some(Phase::Going),
        message: Some("nfs: is not loaded".to_owned()),
        errors: Vec::new(),
    };
    let steps =
        [("coming:nfs", symbols), ("coming:ceph", unknown), ("coming:ext4", twice), ("going:nfs", going)];
    Report { steps: steps.into_iter().map(|(event, answer)| step(event, answer)).collect(), ..accepted() }
}

/// One that loads, with a warning.
pub(crate) fn warned() -> Report {
    let mut third = row(Lint::ThirdModule, late(1));
    third.details = vec!["the symbol is sunrpc's".to_owned()];
    Report { findings: vec![third], steps: vec![step("coming:nfs", Answer::default())], ..accepted() }
}

/// All of them, with names for their snapshots.
pub(crate) fn all() -> [(&'static str, Report); 5] {
    [
        ("accepted", accepted()),
        ("rejected", rejected()),
        ("hostile", hostile()),
        ("others", others()),
        ("warned", warned()),
    ]
}

fn step(event: &str, answer: Answer) -> Step {
    Step { event: event.to_owned(), answer }
}

fn fault(kind: &str, message: &str, place: SectionMemory) -> Fault {
    Fault {
        kind: kind.to_owned(),
        message: message.to_owned(),
        place,
        numbers: Vec::new(),
        errno: Some("EINVAL"),
        help: Some("does the object's list of symbols have it, as of this step?".to_owned()),
        more: 0,
    }
}

/// A relocation of .klp.rela.nfs..text.
fn late(entry: u64) -> SectionMemory {
    SectionMemory {
        entry: Some(entry),
        r_type: Some("R_X86_64_PLT32".to_owned()),
        target: Some(1),
        target_name: Some(".text".to_owned()),
        offset: Some(0x40),
        symbol: Some(93),
        symbol_name: Some(".klp.sym.nfs.nfs_commit_inode,0".to_owned()),
        ..section(41, ".klp.rela.nfs..text")
    }
}

fn section(index: u32, name: &str) -> SectionMemory {
    SectionMemory { section: Some(index), section_name: Some(name.to_owned()), ..SectionMemory::default() }
}

fn row(rule: Lint, place: SectionMemory) -> FindingRow {
    FindingRow {
        rule,
        severity: rule.severity(),
        message: rule.message().to_str().unwrap().to_owned(),
        place,
        other: None,
        numbers: Vec::new(),
        details: Vec::new(),
        help: rule.help().to_str().unwrap().to_owned(),
        more: 0,
    }
}
