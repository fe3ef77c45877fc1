//! Each finding has a module that shows just it, and one that comes close and does not.

use crate::world::{Names, World, address};
use relakit::elf::RelaTable;
use relakit::reloc::Values;
use relakit::{Module, Profile};
use relakit_linux::findings;
use relakit_linux::findings::{Finding, Lint};
use relakit_model::image::{
    ABS, ALLOC, Builder, GLOBAL, LIVEPATCH, PROGBITS, R_32, R_64, R_NONE, R_PC32, RELA, Sec, UNDEF, WRITE,
};
use std::collections::BTreeSet;

const LINUX: Profile = Profile::LINUX_6_12;

/// A livepatch of "a": one target of 64 bytes (section 1), the name of what is patched, and a pointer to it.
/// Symbols: 1 the string's section, 2 `.klp.sym.a.f,0`, 3 `.klp.sym.vmlinux.v,0`.
fn livepatch() -> Builder {
    let mut builder = Builder::new();
    let data = builder.data(".data", 64);
    let strings = builder.section(".rodata.str1.1", PROGBITS, ALLOC, b"x\0a\0".to_vec());
    let string = builder.symbol("", 3, u16::try_from(strings).unwrap(), 0);
    builder.klp_symbol(".klp.sym.a.f,0");
    builder.klp_symbol(".klp.sym.vmlinux.v,0");
    builder.symbol("klp_enable_patch", GLOBAL, UNDEF, 0);
    builder.rela(data, &[(56, string, R_64, 2)]);
    builder
}

/// [`livepatch`] with late relocations of ".data" for "a".
fn late(entries: &[(u64, u32, u32, i64)]) -> Builder {
    let mut builder = livepatch();
    builder.klp("a", 1, entries);
    builder
}

/// The late relocations' section.
const LATE: u32 = 4;

fn named(mut builder: Builder, name: &str) -> Builder {
    builder.at(LATE).name = name.as_bytes().to_vec();
    builder
}

/// One late relocation, with another symbol.
fn with_symbol(name: &str) -> Builder {
    let mut builder = livepatch();
    let symbol = builder.klp_symbol(name);
    builder.klp("a", 1, &[(0, symbol, R_64, 0)]);
    builder
}

/// The livepatch patches another object besides.
fn patching(object: &str, mut builder: Builder) -> Builder {
    let name = [object.as_bytes(), b"\0"].concat();
    let strings = builder.section(".rodata.more", PROGBITS, ALLOC, name);
    let string = builder.symbol("", 3, u16::try_from(strings).unwrap(), 0);
    let data = builder.data(".data.more", 8);
    builder.rela(data, &[(0, string, R_64, 0)]);
    builder
}

/// Everything that a checker asks about a module in which every symbol has the value 4096 and "a.twice" is there twice.
fn findings(builder: &Builder, profile: Profile) -> Vec<Finding> {
    let file = builder.build();
    let module = Module::parse(&file, profile).unwrap();
    let mut found = Vec::new();
    let mut values = vec![0; findings::scratch_len(&module)];
    findings::file(&module, profile.since, &mut values, &mut |finding| found.push(finding)).unwrap();
    let mut fields: Vec<_> = findings::fields(&module).collect();
    fields.sort_unstable();
    findings::overlaps(&fields, &mut |finding| found.push(finding));
    let mut names = Names::new(&[("a", "f", &[4096]), ("a", "twice", &[4096, 8192])]);
    findings::sympos(&module, &mut names, &mut |finding| found.push(finding));
    values.fill(4096);
    for (index, section) in module.object().sections().filter(|(_, section)| section.sh_type == RELA) {
        let table = RelaTable::whole_entries(module.object().section_bytes(&section)).0;
        findings::truncated(table, Values::Dense(&values), 0x1000, index, &mut |finding| found.push(finding));
    }
    found
}

fn rules(builder: &Builder, profile: Profile) -> Vec<Lint> {
    let rules: BTreeSet<_> = findings(builder, profile).iter().map(|finding| finding.lint).collect();
    rules.into_iter().collect()
}

/// The rule, a module that shows just it, and one that comes close.
fn cases() -> Vec<(Lint, Builder, Builder)> {
    let one = [(0, 2, R_64, 0)];
    let text = |length: usize| "o".repeat(length);
    let object = |length: usize| {
        let name = text(length);
        patching(&text(length.min(55)), named(late(&[]), &format!(".klp.rela.{name}..data")))
    };
    let edited = |mut builder: Builder, edit: fn(&mut Builder)| {
        edit(&mut builder);
        builder
    };
    let into = |name: &str, flags: u64| {
        let mut builder = livepatch();
        let target = builder.section(name, PROGBITS, flags, vec![0; 16]);
        builder.klp("a", target, &one);
        builder
    };
    let early = |name: &str, flags: u64| {
        let mut builder = livepatch();
        let target = builder.section(name, PROGBITS, flags, vec![0; 16]);
        builder.klp("vmlinux", target, &[(0, 3, R_64, 0)]);
        builder
    };
    let ordinary = |name: &str, flags: u64, symbol: u32| {
        let mut builder = livepatch();
        let target = builder.section(name, PROGBITS, flags, vec![0; 16]);
        builder.rela(target, &[(0, symbol, R_64, 0)]);
        builder
    };
    // The strings have 4 bytes.
    let beyond = |addend| {
        let mut builder = livepatch();
        let target = builder.section(".more", PROGBITS, ALLOC, vec![0; 16]);
        builder.rela(target, &[(0, 1, R_64, addend)]);
        builder
    };
    let sized = |more: usize| {
        let mut builder = late(&one);
        builder.at(LATE).bytes.extend(vec![0; more]);
        builder
    };
    let filled = |at: usize| {
        let mut builder = late(&one);
        builder.at(1).bytes[at] = 1;
        builder
    };
    let two_objects = |second: u32| {
        let mut builder = patching("b", late(&one));
        builder.klp_symbol(".klp.sym.b.g,0");
        let g = u32::try_from(builder.symbols.len() - 1).unwrap();
        builder.klp("b", 1, &[(8, if second == 0 { g } else { second }, R_64, 0)]);
        builder
    };
    vec![
        (Lint::ObjectNameCut, object(56), object(55)),
        (
            Lint::ObjectNameHyphen,
            patching("a-b", named(late(&[]), ".klp.rela.a-b..data")),
            patching("a_b", named(late(&[]), ".klp.rela.a_b..data")),
        ),
        (Lint::ObjectNameCase, named(late(&[]), ".klp.rela.A..data"), late(&[])),
        (
            Lint::ObjectNameDot,
            named(late(&one), ".klp.rela.a.ko..data"),
            named(late(&one), ".klp.rela.a..data"),
        ),
        (Lint::SymposTrailingText, with_symbol(".klp.sym.a.f,0x"), with_symbol(".klp.sym.a.f,00")),
        (
            Lint::SymposTooLarge,
            with_symbol(".klp.sym.a.f,18446744073709551616"),
            with_symbol(".klp.sym.a.twice,18446744073709551615"),
        ),
        (
            Lint::NameWithoutFlag,
            edited(late(&one), |b| b.at(LATE).flags = ALLOC),
            edited(named(late(&[]), ".rela.other"), |b| b.at(LATE).flags = ALLOC),
        ),
        (Lint::FlagWithoutName, named(late(&one), ".klp.rela."), named(late(&one), ".klp.rela.a..data")),
        (Lint::NamesOtherTarget, named(late(&one), ".klp.rela.a..text"), late(&one)),
        (
            Lint::SymbolNameWidth,
            with_symbol(&format!(".klp.sym.a.{},0", text(128))),
            with_symbol(&format!(".klp.sym.a.{},0", text(127))),
        ),
        (
            Lint::ObjectNotPatched,
            named(late(&[]), ".klp.rela.x..data"),
            patching("y", named(late(&[]), ".klp.rela.y..data")),
        ),
        (Lint::ThirdModule, with_symbol(".klp.sym.c.f,0"), with_symbol(".klp.sym.a.g,0")),
        (
            Lint::ModuleInEarly,
            edited(livepatch(), |b| _ = b.klp("vmlinux", 1, &[(0, 2, R_64, 0)])),
            edited(livepatch(), |b| _ = b.klp("vmlinux", 1, &[(0, 3, R_64, 0)])),
        ),
        // The second uses a symbol of "a" for "b", which is a third module's, too.
        (Lint::SharedSymbol, two_objects(2), two_objects(0)),
        (Lint::OrdinaryUsesKlp, ordinary(".more", ALLOC, 3), ordinary("__klp_relocs", ALLOC, 3)),
        (Lint::LateNotAllocated, edited(late(&one), |b| b.at(LATE).flags = LIVEPATCH), late(&one)),
        (Lint::LateIntoInit, into(".init.data", ALLOC | WRITE), into(".exit.data", ALLOC | WRITE)),
        (Lint::LateTargetNotAllocated, into(".comment", 0), into(".comment", ALLOC)),
        (Lint::EarlySkipped, early(".comment", 0), early(".comment", ALLOC)),
        (Lint::Skipped, ordinary(".comment", 0, 1), ordinary(".comment", ALLOC, 1)),
        (
            Lint::TargetOutOfRange,
            edited(late(&one), |b| b.at(LATE).info = b.symtab_index() + 3),
            edited(late(&[]), |b| b.at(LATE).info = 1),
        ),
        (Lint::PartialEntry, sized(23), sized(24)),
        (Lint::Pc32Truncated, late(&[(0, 2, R_PC32, 0x8000_0000)]), late(&[(0, 2, R_PC32, 0x7fff_ffff)])),
        (
            Lint::RepeatedField,
            late(&[(0, 2, R_64, 0), (0, 2, R_64, 0)]),
            late(&[(0, 2, R_64, 0), (8, 2, R_64, 0)]),
        ),
        (
            Lint::OverlappingFields,
            late(&[(0, 2, R_64, 0), (7, 2, R_64, 0)]),
            late(&[(0, 2, R_64, 0), (7, 2, R_NONE, 0)]),
        ),
        (Lint::LateNonZero, filled(7), filled(8)),
        (Lint::LateIntoSpecial, into("__jump_table", ALLOC | WRITE), into("__bug_table", ALLOC | WRITE)),
        (
            Lint::KlpArch,
            edited(livepatch(), |b| _ = b.section(".klp.arch.a..altinstructions", PROGBITS, ALLOC, vec![])),
            edited(livepatch(), |b| _ = b.section(".klp.archa", PROGBITS, ALLOC, vec![])),
        ),
        (
            Lint::SymbolNotMarked,
            edited(livepatch(), |b| _ = b.symbol(".klp.sym.a.f,0", GLOBAL, ABS, 0)),
            edited(livepatch(), |b| _ = b.symbol(".klp.symbols", GLOBAL, ABS, 0)),
        ),
        (Lint::SymposNotNeeded, with_symbol(".klp.sym.a.f,1"), with_symbol(".klp.sym.a.twice,1")),
        (Lint::SymposMissing, with_symbol(".klp.sym.a.twice,0"), with_symbol(".klp.sym.a.twice,2")),
        (Lint::BeyondSection, beyond(21), beyond(20)),
    ]
}

/// RelocFlags that a module by itself cannot show: they need its life, or what its special sections say when it is loaded.
const ELSEWHERE: &[Lint] = &[
    Lint::LateIntoRewritten,
    Lint::HalfApplied,
    Lint::NotCleared,
    Lint::NeverCleared,
    Lint::SpecialSize,
    Lint::SpecialLayout,
    Lint::SpecialNotRelocated,
    Lint::SpecialTarget,
    Lint::TraceSite,
    Lint::ThunkNotListed,
    // The tool makes these, with symbols and other modules.
    Lint::OtherKernel,
    Lint::ObjectUnknown,
    Lint::InitSymbol,
    Lint::InitCallsLate,
    Lint::ThisModuleLayout,
    Lint::PatchesNothing,
    Lint::NewFuncNotCode,
    Lint::NotConverted,
];

#[test]
fn each_rule_is_shown_by_itself_and_not_by_what_comes_close() {
    for (rule, shows, _) in cases() {
        let expected: &[Lint] = match rule {
            Lint::SharedSymbol => &[Lint::ThirdModule, Lint::SharedSymbol],
            _ => &[rule],
        };
        assert_eq!(rules(&shows, LINUX), expected, "{}", rule.name());
    }
}

#[test]
fn what_comes_close_shows_nothing_at_all() {
    for (rule, _, close) in cases() {
        assert_eq!(rules(&close, LINUX), [], "where it comes close to {}", rule.name());
    }
}

#[test]
fn every_rule_has_its_case() {
    let shown: BTreeSet<_> =
        cases().iter().map(|(rule, ..)| *rule).chain(ELSEWHERE.iter().copied()).collect();
    assert_eq!(shown, Lint::ALL.iter().copied().collect());
}

#[test]
fn kernels_that_never_clear_are_told_of_every_late_section() {
    let builder = late(&[(0, 2, R_64, 0)]);
    for profile in Profile::LINUX {
        let expected: &[Lint] = if profile.since < (6, 3) { &[Lint::NeverCleared] } else { &[] };
        assert_eq!(rules(&builder, *profile), expected, "{}", profile.name);
    }
}

#[test]
fn a_finding_says_where_and_how_much() {
    let found = |builder: &Builder| findings(builder, LINUX)[0];
    let overlap = found(&late(&[(0, 2, R_64, 0), (4, 2, R_32, 0)]));
    let places = (overlap.section, overlap.entry, overlap.other_section, overlap.other_entry);
    assert_eq!((places, overlap.offset), ((Some(LATE), Some(1), Some(LATE), Some(0)), 4));
    let mut builder = late(&[(0, 2, R_64, 0)]);
    builder.at(1).bytes[1] = 0x12;
    let existing = found(&builder);
    assert_eq!((existing.section, existing.entry, existing.value), (Some(LATE), Some(0), 0x1200));
    let cut =
        Sec { name: format!(".klp.rela.{}..data", "o".repeat(60)).into_bytes(), ..livepatch().at(1).clone() };
    let mut builder = late(&[]);
    builder.at(LATE).name = cut.name;
    let cut =
        findings(&builder, LINUX).into_iter().find(|finding| finding.lint == Lint::ObjectNameCut).unwrap();
    assert_eq!((cut.section, cut.value, cut.limit), (Some(LATE), 60, 55));
    let twice = found(&with_symbol(".klp.sym.a.twice,0"));
    assert_eq!((twice.symbol, twice.limit), (Some(5), 2));
}

#[test]
fn one_section_is_told_of_by_itself() {
    let builder = named(late(&[(0, 2, R_64, 0)]), ".klp.rela.a..text");
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let of = |index| {
        let mut found = Vec::new();
        findings::section(&module, index, LINUX.since, &mut |finding| found.push(finding.lint));
        found
    };
    assert_eq!(of(LATE), [Lint::NamesOtherTarget]);
    assert_eq!(of(1), []);
    assert_eq!(of(u32::MAX), []);
}

#[test]
fn a_module_patches_what_a_pointer_leads_to_if_it_enables_a_patch() {
    let patches = |builder: &Builder, name: &[u8]| {
        let file = builder.build();
        findings::patches(&Module::parse(&file, LINUX).unwrap(), name)
    };
    let builder = livepatch();
    assert!(patches(&builder, b"a"));
    for other in [&b"x"[..], b"", b"a\0", b"aa", b"x\0a"] {
        assert!(!patches(&builder, other), "{other:?}");
    }
    let mut other = livepatch();
    other.symbols[4].name = b"klp_enable_patches".to_vec();
    assert!(!patches(&other, b"a"));
}

/// The late relocations that lie in what is rewritten, and by which entry: one byte field of code at `at`, `.retpoline_sites`
/// with entries for offsets 0x20 and 0x10, and `code` at 0x10.
fn rewritten(
    at: u64,
    r_type: u32,
    special: &str,
    entry: usize,
    code: &[u8],
) -> Vec<(u64, Option<u64>, u64, u64)> {
    let mut builder = livepatch();
    let text = builder.section(".text", PROGBITS, ALLOC | 4, vec![0; 64]);
    builder.at(text).bytes[0x10..][..code.len()].copy_from_slice(code);
    let table = builder.section(special, PROGBITS, ALLOC, vec![0; 2 * entry]);
    let symbol = builder.symbol("", 3, u16::try_from(text).unwrap(), 0);
    builder.rela(table, &[(0, symbol, R_PC32, 0x20), (entry as u64, symbol, R_PC32, 0x10)]);
    builder.klp("a", text, &[(at, 2, r_type, 0)]);
    let mut world = World::new(&builder, LINUX, Names::default());
    world.names.set("", "klp_enable_patch", &[4096]);
    let module = Module::parse(&world.file, LINUX).unwrap();
    let placed = module.assign(&mut world.mem).unwrap();
    let filled = placed.fill().unwrap();
    let loaded = filled.early(&mut world.values, &mut world.names).unwrap();
    let mut late: Vec<_> = findings::late_fields(&module, &mut world.mem).collect();
    late.sort_unstable();
    let mut found = Vec::new();
    let begin = address(text);
    findings::rewritten(&loaded, &mut world.mem, LINUX.since, &late, &mut |finding| {
        assert_eq!((finding.lint, finding.other_section), (Lint::LateIntoRewritten, Some(table)));
        found.push((finding.offset, finding.other_entry, finding.value - begin, finding.limit));
    });
    found
}

#[test]
fn a_missing_sympos_counts_up_to_1000_symbols_with_few_questions() {
    let file = with_symbol(".klp.sym.a.many,0").build();
    let module = Module::parse(&file, LINUX).unwrap();
    for count in [0, 1, 2, 3, 4, 5, 500, 501, 502, 998, 999, 1000, 1001, 5000] {
        let addresses: Vec<u64> = (1..=count).collect();
        let mut names = Names::new(&[("a", "many", &addresses)]);
        let mut found = Vec::new();
        findings::sympos(&module, &mut names, &mut |finding| found.push((finding.lint, finding.limit)));
        let expected = (count > 1).then_some((Lint::SymposMissing, count.min(1000)));
        assert_eq!(found, Vec::from_iter(expected), "{count} symbols");
        let asked = names.asked.iter().filter(|asked| asked.starts_with("a:many:")).count();
        assert!((1..=12).contains(&asked), "{asked} questions for {count} symbols");
    }
}

#[test]
fn a_late_field_is_held_against_every_byte_that_is_rewritten() {
    let retpoline = |at, r_type| rewritten(at, r_type, ".retpoline_sites", 4, &[]);
    assert_eq!(retpoline(0x0c, R_32), []);
    assert_eq!(retpoline(0x0d, R_32), [(0x0d, Some(1), 0x10, 5)]);
    assert_eq!(retpoline(0x14, R_32), [(0x14, Some(1), 0x10, 5)]);
    assert_eq!(retpoline(0x15, R_32), []);
    assert_eq!(retpoline(0x15, R_64), [], "up to 0x1d");
    assert_eq!(retpoline(0x19, R_64), [(0x19, Some(0), 0x20, 5)]);
    assert_eq!(retpoline(0x21, R_NONE), [], "has no field");
}

#[test]
fn a_late_field_of_a_call_that_is_only_counted_is_as_it_should_be() {
    assert_eq!(rewritten(0x14, R_32, ".call_sites", 4, &[]), []);
    assert_eq!(rewritten(0x14, R_32, ".return_sites", 4, &[]).len(), 1);
}

#[test]
fn a_short_jump_label_ends_after_two_bytes_and_a_conditional_tail_call_after_six() {
    let label = |code: &[u8]| rewritten(0x13, R_32, "__jump_table", 16, code).len();
    assert_eq!([label(&[0xeb, 0]), label(&[0x66, 0x90]), label(&[0xe9])], [0, 0, 1]);
    let call = |at, code: &[u8]| rewritten(at, R_32, ".static_call_sites", 8, code).len();
    assert_eq!([call(0x15, &[0xe8]), call(0x15, &[0x0f, 0x84]), call(0x16, &[0x0f, 0x84])], [0, 1, 0]);
}
