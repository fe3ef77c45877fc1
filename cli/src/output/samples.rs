//! Reports for the tests of the formats.

use crate::simulate::report::{ErrorRow, FindingRow, Phase, Prediction, Report, Step, Verdict};
use crate::view::location::Location;
use relakit_linux::findings::Lint;

/// A livepatch without diagnostics.
pub(crate) fn accepted() -> Report {
    Report {
        file: "build/livepatch.ko".to_owned(),
        name: "livepatch".to_owned(),
        kernel: "6.12".to_owned(),
        rules: "6.12",
        result: Verdict::default(),
        load: Prediction::default(),
        steps: Vec::new(),
        not_judged: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
        resolved: Vec::new(),
        more_resolved: 0,
        used: None,
    }
}

/// The load of nfs fails after some relocations. There are findings and a note too.
pub(crate) fn rejected() -> Report {
    let error = error("KlpNotFound", "livepatch symbol not found in its object", late(3));
    let message = "livepatch: the object has no symbol for .klp.sym.nfs.nfs_commit_inode,0".to_owned();
    let coming = Prediction {
        errors: vec![ErrorRow { numbers: vec![("sympos", 0)], ..error }],
        ..Prediction::refused(Phase::Coming, 22, message)
    };
    let mut half = row(Lint::HalfApplied, late(3));
    half.numbers = vec![("written relocations", 2)];
    half.details = vec!["when nfs is loaded".to_owned()];
    let mut rewritten = row(Lint::LateIntoRewritten, late(0));
    let entry = Location { entry: Some(0), ..section(12, ".altinstructions") };
    rewritten.other = Some(("entry that rewrites it", entry));
    rewritten.numbers = vec![("range", 0x40), ("range size", 5)];
    rewritten.details = vec!["apply_alternatives reads it when the module is loaded".to_owned()];
    let mut hyphen = row(Lint::ObjectNameHyphen, section(42, ".klp.rela.dm-mod..text"));
    hyphen.more = 17;
    let mut passed = row(Lint::Skipped, section(50, ".rela.debug_info"));
    passed.location.target_name = Some(".debug_info".to_owned());
    let mut again = row(Lint::Skipped, section(52, ".rela.debug_line"));
    again.more = 3;
    Report {
        steps: vec![
            step("live:ext4", Prediction::default()),
            step("coming:nfs", coming),
            step("going:nfs", Prediction::default()),
        ],
        findings: vec![half, rewritten, hyphen, passed, again],
        notes: vec!["no file for ext4 was given: its symbols are those of kallsyms".to_owned()],
        resolved: Vec::new(),
        more_resolved: 0,
        used: None,
        ..accepted()
    }
}

/// The load crashes the kernel. A symbol name has escape codes.
pub(crate) fn hostile() -> Report {
    let mut location = late(7);
    location.symbol_name = Some(format!("\\x1b]0;{}\\x07", "n".repeat(3000)));
    location.offset = Some(0xffff_ffff_ffff_fff0);
    let message = format!("a write of 4 bytes at {}", "m".repeat(3000));
    let error = ErrorRow {
        errno: None,
        numbers: vec![("field size", 4), ("section size", 0x83)],
        ..error("OffsetOutside", "field is outside the target section", location)
    };
    Report {
        file: "a%20 b/\u{1b}[31m:\u{e9}.ko".to_owned(),
        kernel: "6.1".to_owned(),
        rules: "5.18",
        load: Prediction {
            verdict: Verdict::Unsafe,
            errno: None,
            phase: Some(Phase::Relocation),
            message: Some(message),
            errors: vec![error],
            applied: None,
        },
        ..accepted()
    }
}

/// Target modules have errors of their own, are not known, or are loaded already.
pub(crate) fn others() -> Report {
    let location =
        Location { symbol: Some(5), symbol_name: Some("nfs_debug".to_owned()), ..Location::default() };
    let unknown_symbol =
        ErrorRow { errno: Some("ENOENT"), ..error("UnknownSymbol", "unknown symbol", location) };
    let symbols = Prediction {
        errors: vec![unknown_symbol],
        ..Prediction::refused(Phase::Symbols, 2, "nfs: unknown symbol nfs_debug (-ENOENT)".to_owned())
    };
    let unknown = "the symbols of ceph are not known; use --target ceph=FILE.ko";
    let steps = [
        ("coming:nfs", symbols),
        ("coming:ceph", Prediction::not_judged(unknown.to_owned())),
        ("coming:ext4", Prediction::refused(Phase::Validity, 17, "ext4: is loaded already".to_owned())),
        ("going:nfs", Prediction::refused(Phase::Going, 2, "nfs: is not loaded".to_owned())),
    ];
    let steps = steps.into_iter().map(|(event, prediction)| step(event, prediction));
    Report { steps: steps.collect(), ..accepted() }
}

/// A livepatch with a warning.
pub(crate) fn warned() -> Report {
    let mut third = row(Lint::ThirdModule, late(1));
    third.details = vec!["the symbol is sunrpc's".to_owned()];
    Report { findings: vec![third], steps: vec![step("coming:nfs", Prediction::default())], ..accepted() }
}

/// All reports, and the names of their snapshots.
pub(crate) fn all() -> [(&'static str, Report); 5] {
    [
        ("accepted", accepted()),
        ("rejected", rejected()),
        ("hostile", hostile()),
        ("others", others()),
        ("warned", warned()),
    ]
}

pub(super) fn step(event: &str, prediction: Prediction) -> Step {
    Step { event: event.to_owned(), prediction }
}

pub(super) fn error(kind: &str, message: &str, location: Location) -> ErrorRow {
    ErrorRow {
        kind: kind.to_owned(),
        message: message.to_owned(),
        location,
        numbers: Vec::new(),
        details: Vec::new(),
        errno: Some("EINVAL"),
        help: Some("does the object's list of symbols have it, as of this step?".to_owned()),
        more: 0,
    }
}

/// A relocation of .klp.rela.nfs..text.
fn late(entry: u64) -> Location {
    Location {
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

fn section(index: u32, name: &str) -> Location {
    Location { section: Some(index), section_name: Some(name.to_owned()), ..Location::default() }
}

pub(super) fn row(rule: Lint, location: Location) -> FindingRow {
    FindingRow {
        rule,
        severity: rule.severity(),
        message: rule.message().to_str().unwrap().to_owned(),
        location,
        other: None,
        numbers: Vec::new(),
        details: Vec::new(),
        help: rule.help().to_str().unwrap().to_owned(),
        more: 0,
    }
}
