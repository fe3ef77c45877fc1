//! Wrong entries of special sections are reported with what the kernel does; right entries are not.

use crate::world::{Names, World};
use relakit::{Module, Profile};
use relakit_linux::findings::{self, Pointee};
use relakit_linux::special::{self, Harm, Version};
use relakit_model::image::{ALLOC, Builder, GLOBAL, PROGBITS, R_64, R_PC32, UNDEF};

const EXEC: u64 = 4;
const R_PC64: u32 = 24;

/// Offsets in the code. Each is an instruction with its relocation, except as the name says.
const TRACE: i64 = 0x00;
const RETURN: i64 = 0x10;
const RETPOLINE: i64 = 0x20;
const ENDBR: i64 = 0x30;
const NOP: i64 = 0x40;
const CALL: i64 = 0x50;
const PADDED: i64 = 0x60;
const JCC: i64 = 0x70;
const RSP: i64 = 0x80;
const TAIL: i64 = 0x90;
const ZEROS: i64 = 0xf0;
const TEXT: usize = 0x100;

/// A module with code, and what each section of the code is called in its symbol table.
struct Code {
    builder: Builder,
    text: u32,
    /// The symbol of the code's section.
    here: u32,
    /// A symbol of the kernel.
    outside: u32,
    data: u32,
}

/// Offset in the section, symbol, type, addend.
type Entry = (u64, u32, u32, i64);

fn code() -> Code {
    let mut bytes = vec![0; TEXT];
    let mut put = |at: i64, code: &[u8]| {
        let at = usize::try_from(at).unwrap();
        bytes[at..at + code.len()].copy_from_slice(code);
    };
    put(TRACE, &[0xe8]);
    put(RETURN, &[0xe9]);
    put(RETPOLINE, &[0xe8]);
    put(ENDBR, &[0xf3, 0x0f, 0x1e, 0xfa]);
    put(NOP, &[0x0f, 0x1f, 0x44, 0, 0]);
    put(CALL, &[0xe8]);
    put(PADDED, &[0x2e, 0xe9]);
    put(JCC, &[0x0f, 0x84]);
    put(RSP, &[0xe8]);
    put(TAIL, &[0xe9]);
    let mut builder = Builder::new();
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, bytes);
    let data = builder.data(".data", 64);
    let here = builder.symbol("", 3, u16::try_from(text).unwrap(), 0);
    let data = builder.symbol("", 3, u16::try_from(data).unwrap(), 0);
    let [fentry, returns, retpoline, rsp, outside] = NAMES.map(|name| builder.symbol(name, GLOBAL, UNDEF, 0));
    let at = |at: i64, opcode: u64, symbol| (u64::try_from(at).unwrap() + opcode, symbol, R_PC32, -4);
    let relocations = [
        at(TRACE, 1, fentry),
        at(RETURN, 1, returns),
        at(RETPOLINE, 1, retpoline),
        at(CALL, 1, outside),
        at(PADDED, 2, retpoline),
        at(JCC, 2, retpoline),
        at(RSP, 1, rsp),
        at(TAIL, 1, outside),
    ];
    builder.rela(text, &relocations);
    Code { builder, text, here, outside, data }
}

const NAMES: [&str; 5] =
    ["__fentry__", "__x86_return_thunk", "__x86_indirect_thunk_rax", "__x86_indirect_thunk_rsp", "other"];

/// Rule, section, first entry, value, harm.
type Found = (&'static str, String, Option<u64>, u64, Harm);

/// All that is found in a module.
fn all(code: &Code, version: Version) -> Vec<Found> {
    let profile = *Profile::for_linux(version.0, version.1).unwrap();
    let addresses: Vec<_> = NAMES.iter().map(|name| ("", *name, &[0xffff_ffff_8100_0000][..])).collect();
    let mut world = World::new(&code.builder, profile, Names::new(&addresses));
    let module = Module::parse(&world.file, profile).unwrap();
    let filled = module.assign(&mut world.mem).unwrap().fill().unwrap();
    let loaded = filled.early(&mut world.values, &mut world.names).unwrap();
    let mut places: Vec<_> = special::places(&module, &world.mem).collect();
    places.sort_unstable();
    let mut fields: Vec<_> = findings::fields(&module).collect();
    fields.sort_unstable();
    let mut thunk_sites = Vec::new();
    findings::thunk_sites(&loaded, &mut world.mem, version, &mut |site| thunk_sites.push(site));
    thunk_sites.sort_unstable();
    let sorted = findings::Sorted { places: &places, fields: &fields, thunk_sites: &thunk_sites };
    let mut found = Vec::new();
    findings::entries(&loaded, &mut world.mem, version, sorted, &mut |defect| {
        let section = module.object().section(defect.finding.section.unwrap()).unwrap();
        let section = String::from_utf8(module.object().section_name(&section).to_vec()).unwrap();
        let finding = defect.finding;
        found.push((finding.lint.name(), section, finding.entry, finding.value, defect.harm));
    });
    found
}

/// What is found in a special section with these bytes and relocations: rule, entry, value, harm.
fn found(
    name: &str,
    version: Version,
    bytes: Vec<u8>,
    entries: impl Fn(&Code) -> Vec<Entry>,
) -> Vec<(&'static str, Option<u64>, u64, Harm)> {
    let mut code = code();
    let section = code.builder.section(name, PROGBITS, ALLOC, bytes);
    let entries = entries(&code);
    code.builder.rela(section, &entries);
    let found = all(&code, version).into_iter().filter(|(_, section, ..)| section == name);
    found.map(|(rule, _, entry, value, harm)| (rule, entry, value, harm)).collect()
}

/// A table of offsets to these places in the code.
fn offsets(name: &str, version: Version, sites: &[i64]) -> Vec<(&'static str, Option<u64>, u64, Harm)> {
    found(name, version, vec![0; 4 * sites.len()], |code| {
        (0..).zip(sites).map(|(entry, site)| (4 * entry, code.here, R_PC32, *site)).collect()
    })
}

const NOT_RELOCATED: &str = "special-entry-not-relocated";
const TARGET: &str = "special-entry-target";
const SIZE: &str = "special-section-size";
const LAYOUT: &str = "special-section-layout";

#[test]
fn sites_of_returns_lead_to_jumps_to_the_return_thunk() {
    for version in [(6, 1), (6, 12)] {
        assert_eq!(offsets(".return_sites", version, &[RETURN]), []);
        for wrong in [RETPOLINE, TAIL, ENDBR, RETURN + 1] {
            assert_eq!(
                offsets(".return_sites", version, &[RETURN, wrong, wrong]),
                [(TARGET, Some(1), 2, Harm::Warns)]
            );
        }
        let far = offsets(".return_sites", version, &[0x1000_0000]);
        assert_eq!(far, [(TARGET, Some(0), 1, Harm::Crashes)], "Linux decodes what is there");
    }
    assert_eq!(offsets(".return_sites", (5, 18), &[TAIL]), [], "not read yet");
}

#[test]
fn sites_of_retpolines_lead_to_branches_to_a_thunk_of_a_register() {
    assert_eq!(offsets(".retpoline_sites", (6, 12), &[RETPOLINE, PADDED, JCC]), []);
    for wrong in [RETURN, TAIL, NOP] {
        assert_eq!(offsets(".retpoline_sites", (6, 12), &[wrong]), [(TARGET, Some(0), 1, Harm::Warns)]);
    }
    assert_eq!(offsets(".retpoline_sites", (6, 12), &[RSP]), [(TARGET, Some(0), 1, Harm::Crashes)]);
}

#[test]
fn an_endbr_to_seal_is_an_endbr() {
    assert_eq!(offsets(".ibt_endbr_seal", (6, 1), &[ENDBR]), []);
    assert_eq!(offsets(".ibt_endbr_seal", (6, 1), &[NOP]), [(TARGET, Some(0), 1, Harm::Warns)]);
    let far = offsets(".ibt_endbr_seal", (6, 1), &[0x1000_0000]);
    assert_eq!(far, [(TARGET, Some(0), 1, Harm::Warns)], "Linux reads it with care");
}

#[test]
fn a_section_that_is_not_relocated_does_what_its_reader_does() {
    for (name, version, size, expected) in [
        (".parainstructions", (6, 1), 16, Some(Harm::Crashes)),
        (".parainstructions", (6, 8), 16, None),
        (".return_sites", (6, 1), 4, Some(Harm::Warns)),
        (".retpoline_sites", (6, 12), 4, Some(Harm::Warns)),
        (".smp_locks", (6, 12), 4, Some(Harm::Silent)),
        (".smp_locks", (7, 3), 4, None),
        (".altinstructions", (6, 12), 14, Some(Harm::Silent)),
        ("__mcount_loc", (6, 12), 8, Some(Harm::Silent)),
        ("__jump_table", (5, 10), 16, Some(Harm::Crashes)),
        ("__jump_table", (6, 12), 16, Some(Harm::Silent)),
        (".static_call_sites", (6, 12), 8, Some(Harm::Crashes)),
        ("_ftrace_events", (6, 12), 8, Some(Harm::Crashes)),
        ("__param", (6, 12), 40, Some(Harm::Crashes)),
        ("__bug_table", (6, 12), 12, Some(Harm::Silent)),
        ("__ex_table", (6, 12), 12, Some(Harm::Silent)),
        (".static_call.text", (6, 12), 8, None),
    ] {
        let expected = Vec::from_iter(expected.map(|harm| (NOT_RELOCATED, Some(0), 3, harm)));
        assert_eq!(found(name, version, vec![0; 3 * size], |_| Vec::new()), expected, "{name} {version:?}");
    }
}

#[test]
fn one_entry_without_its_relocation_is_found_among_others() {
    let entries = |code: &Code| vec![(0, code.here, R_PC32, RETURN), (8, code.here, R_PC32, RETURN)];
    let one = found(".return_sites", (6, 12), vec![0; 12], entries);
    assert_eq!(one, [(NOT_RELOCATED, Some(1), 1, Harm::Warns)]);
}

#[test]
fn a_late_entry_is_reported_if_linux_crashes_before_it_is_relocated() {
    let late = |name: &str, version, size: usize| {
        let mut code = code();
        let section = code.builder.section(name, PROGBITS, ALLOC, vec![0; size]);
        let late = code.builder.klp_symbol(".klp.sym.a.f,0");
        code.builder.klp("a", section, &[(0, late, R_PC32, 0)]);
        let found = all(&code, version).into_iter().filter(|(_, section, ..)| section == name);
        found.map(|(rule, .., harm)| (rule, harm)).collect::<Vec<_>>()
    };
    assert_eq!(late(".return_sites", (6, 12), 4), [], "a finding about late relocations says it");
    assert_eq!(late(".parainstructions", (6, 1), 16), [(NOT_RELOCATED, Harm::Crashes)]);
    assert_eq!(late(".parainstructions", (6, 12), 16), [], "nothing reads it");
}

#[test]
fn a_rest_is_read_past_the_end_only_by_some_readers() {
    for (name, whole, rest, harm) in [
        (".return_sites", 4, 1, Some(Harm::Crashes)),
        (".retpoline_sites", 4, 3, Some(Harm::Crashes)),
        (".parainstructions", 16, 9, Some(Harm::Crashes)),
        (".parainstructions", 16, 10, None),
        (".smp_locks", 4, 2, Some(Harm::Silent)),
        ("__mcount_loc", 8, 7, Some(Harm::Silent)),
        ("__bug_table", 12, 1, Some(Harm::Silent)),
        ("__bug_table", 12, 0, None),
    ] {
        let size = usize::try_from(2 * whole + rest).unwrap();
        let found = found(name, (6, 1), vec![0; size], |_| Vec::new());
        let found = found.iter().find(|(rule, ..)| *rule == SIZE).map(|(.., rest, harm)| (*rest, *harm));
        assert_eq!(found, harm.map(|harm| (rest, harm)), "{name}");
    }
}

/// Alternatives of a CPU feature with entries of this size: the original and its replacement are the NOP.
fn alternatives(size: u64, entries: u64, feature: u8, length: u8) -> (Vec<u8>, impl Fn(&Code) -> Vec<Entry>) {
    let one = match size {
        14 => [&[0; 8][..], &[0, feature, 0, 0, length, 5]].concat(),
        _ => [&[0; 8][..], &[0, feature, length, 5]].concat(),
    };
    let relocations = move |code: &Code| {
        let pointers =
            |entry| [(entry * size, code.here, R_PC32, NOP), (entry * size + 4, code.here, R_PC32, NOP)];
        (0..entries).flat_map(pointers).collect()
    };
    (one.repeat(usize::try_from(entries).unwrap()), relocations)
}

#[test]
fn alternatives_of_another_version_are_recognised_even_if_the_size_fits() {
    for entries in [1, 6, 7, 42] {
        for (size, version, right) in
            [(12, (6, 1), true), (14, (6, 12), true), (12, (6, 12), false), (14, (6, 1), false)]
        {
            let (bytes, relocations) = alternatives(size, entries, 0, 5);
            let found = found(".altinstructions", version, bytes, relocations);
            let expected = (!right).then_some((LAYOUT, None, size, Harm::Crashes));
            assert_eq!(found, Vec::from_iter(expected), "{entries} entries of {size}, {version:?}");
        }
    }
}

#[test]
fn an_alternative_is_no_longer_than_the_buffer_and_its_section_and_has_a_known_feature() {
    let with = |feature, length| {
        let (bytes, relocations) = alternatives(14, 1, feature, length);
        found(".altinstructions", (6, 12), bytes, relocations)
    };
    assert_eq!(with(3, 192), [], "up to the end of the code");
    assert_eq!(with(3, 193), [(TARGET, Some(0), 1, Harm::Crashes)]);
    assert_eq!(with(3, 255), [(TARGET, Some(0), 1, Harm::Crashes)]);
    assert_eq!(with(4, 5), [(TARGET, Some(0), 1, Harm::Crashes)], "feature 1024");
}

#[test]
fn an_alternative_that_is_not_relocated_and_longer_than_its_entry_destroys_the_next() {
    let bytes = |length: u8| [&[0; 12][..], &[length, 5]].concat().repeat(2);
    let found = |length| found(".altinstructions", (6, 12), bytes(length), |_| Vec::new());
    assert_eq!(found(14), [(NOT_RELOCATED, Some(0), 2, Harm::Silent)]);
    let longer = found(15);
    assert!(longer.contains(&(NOT_RELOCATED, Some(0), 1, Harm::Crashes)), "{longer:?}");
}

#[test]
fn a_paravirt_call_is_long_enough_and_in_the_code() {
    let with = |length: u8, symbol: fn(&Code) -> u32, at| {
        let bytes = [&[0; 8][..], &[30, length], &[0; 6]].concat();
        found(".parainstructions", (6, 1), bytes, move |code| vec![(0, symbol(code), R_64, at)])
    };
    assert_eq!(with(5, |code| code.here, CALL), []);
    assert_eq!(with(4, |code| code.here, CALL), [(TARGET, Some(0), 1, Harm::Crashes)]);
    assert_eq!(with(5, |code| code.here, 0x100 - 4), [(TARGET, Some(0), 1, Harm::Crashes)], "past the end");
    assert_eq!(with(5, |code| code.outside, 0), [(TARGET, Some(0), 1, Harm::Crashes)]);
    assert_eq!(with(5, |code| code.data, 0), [(TARGET, Some(0), 1, Harm::Silent)]);
}

#[test]
fn a_traced_entry_is_a_call_of_fentry_or_a_nop() {
    let with = |symbol: fn(&Code) -> u32, at| {
        found("__mcount_loc", (6, 12), vec![0; 8], move |code| vec![(0, symbol(code), R_64, at)])
    };
    let rule = "trace-site-not-fentry";
    assert_eq!(with(|code| code.here, TRACE), []);
    assert_eq!(with(|code| code.here, NOP), []);
    for wrong in [CALL, ZEROS, TRACE + 1, ENDBR, 0x1000_0000] {
        assert_eq!(with(|code| code.here, wrong), [(rule, Some(0), 1, Harm::Warns)], "{wrong:#x}");
    }
    assert_eq!(with(|code| code.outside, 0), [(rule, Some(0), 1, Harm::Warns)]);
}

#[test]
fn a_static_call_is_a_call_or_a_tail_call_as_its_key_says() {
    let with = |at, flags| {
        found(".static_call_sites", (6, 12), vec![0; 8], move |code| {
            vec![(0, code.here, R_PC32, at), (4, code.data, R_PC32, flags)]
        })
    };
    assert_eq!([with(CALL, 0), with(NOP, 0), with(TAIL, 1), with(JCC, 1)].concat(), []);
    for (at, flags) in [(CALL, 1), (TAIL, 0), (ZEROS, 0), (ZEROS, 1), (0x1000_0000, 0)] {
        assert_eq!(with(at, flags), [(TARGET, Some(0), 1, Harm::Crashes)], "{at:#x} {flags}");
    }
}

#[test]
fn a_jump_label_is_a_jump_or_a_nop() {
    let with = |version, at| {
        found("__jump_table", version, vec![0; 16], move |code| {
            vec![(0, code.here, R_PC32, at), (4, code.here, R_PC32, 0), (8, code.data, R_PC64, 0)]
        })
    };
    assert_eq!([with((6, 12), NOP), with((6, 12), TAIL)].concat(), []);
    assert_eq!(with((6, 12), CALL), [(TARGET, Some(0), 1, Harm::Silent)]);
    assert_eq!(with((5, 10), CALL), [(TARGET, Some(0), 1, Harm::Crashes)]);
}

#[test]
fn the_tables_of_the_unwinder_have_as_many_entries() {
    for (entries, others, is_same) in [(2, 2, true), (2, 3, false), (0, 1, false)] {
        let mut code = code();
        let ip = code.builder.section(".orc_unwind_ip", PROGBITS, ALLOC, vec![0; 4 * entries]);
        code.builder.section(".orc_unwind", PROGBITS, ALLOC, vec![0; 6 * others]);
        let offsets: Vec<_> =
            (0..u64::try_from(entries).unwrap()).map(|entry| (4 * entry, code.here, R_PC32, 0)).collect();
        code.builder.rela(ip, &offsets);
        let found = all(&code, (6, 12)).into_iter().filter(|(rule, ..)| *rule == SIZE).count();
        assert_eq!(found, usize::from(!is_same), "{entries} {others}");
    }
}

#[test]
fn branches_to_thunks_are_listed() {
    let unlisted = |version, returns: &[i64], retpolines: &[i64]| {
        let mut code = code();
        for (name, sites) in [(".return_sites", returns), (".retpoline_sites", retpolines)] {
            let section = code.builder.section(name, PROGBITS, ALLOC, vec![0; 4 * sites.len()]);
            let entries = (0..).zip(sites).map(|(entry, site)| (4 * entry, code.here, R_PC32, *site));
            let entries: Vec<_> = entries.collect();
            code.builder.rela(section, &entries);
        }
        let found = all(&code, version).into_iter().filter(|(rule, ..)| *rule == "thunk-not-listed");
        found.map(|(_, section, entry, value, _)| (section, entry.unwrap(), value)).collect::<Vec<_>>()
    };
    let text = || ".rela.text".to_owned();
    let every = [RETPOLINE, PADDED, JCC, RSP];
    assert_eq!(unlisted((6, 12), &[RETURN], &every), []);
    assert_eq!(unlisted((6, 12), &[], &every), [(text(), 1, 1)], "one return");
    assert_eq!(unlisted((6, 12), &[RETURN], &[RETPOLINE, JCC]), [(text(), 4, 2)], "two retpolines");
    assert_eq!(unlisted((5, 18), &[], &every), [], "this kernel rewrites no returns");
    assert_eq!(unlisted((5, 15), &[], &[]), [], "and this one nothing");
}

#[test]
fn replacements_are_copied_so_their_branches_are_not_listed() {
    let mut code = code();
    code.builder.at(code.text).name = b".altinstr_replacement".to_vec();
    assert_eq!(all(&code, (6, 12)), []);
}

#[test]
fn an_entry_leads_to_its_code_and_to_its_key_without_the_flags() {
    let mut code = code();
    let section = code.builder.section(".static_call_sites", PROGBITS, ALLOC, vec![0; 16]);
    code.builder.rela(section, &[(8, code.here, R_PC32, CALL), (12, code.outside, R_PC32, 1)]);
    let file = code.builder.build();
    let module = Module::parse(&file, Profile::LINUX_6_12).unwrap();
    let mut fields: Vec<_> = findings::fields(&module).collect();
    fields.sort_unstable();
    let of = |section, entry| findings::pointees(&module, &fields, section, (6, 12), entry);
    let parts = |pointee: Pointee| (pointee.symbol, pointee.section, pointee.offset);
    let second = of(section, 1).unwrap();
    let expected = Some((code.here, Some(code.text), u64::try_from(CALL).unwrap()));
    assert_eq!((second.code.map(parts), second.key.map(parts)), (expected, Some((code.outside, None, 0))));
    let first = of(section, 0).unwrap();
    assert_eq!((first.code, first.key), (None, None), "no relocations");
    assert_eq!(of(code.text, 0), None, "no special section");
    assert_eq!(of(section, u64::MAX), None);
}
