//! What value each symbol has (Linux semantics 4), and how livepatch symbols are found (7 and 8).

use crate::world::{Names, World, address};
use proptest::prelude::*;
use relakit::ErrorKind::{
    self, BadKlpSymbolName, CommonSymbol, KlpAmbiguous, KlpNotFound, KlpSympos, NotKlpSymbol, SymbolSection,
    UnknownSymbol,
};
use relakit::{CallbackError, Error, Profile, Resolver};
use relakit_model::image::{
    ABS, Builder, COMMON, GLOBAL, LOCAL, R_64, R_NONE, SHN_LIVEPATCH, Sym, UNDEF, WEAK, XINDEX, table,
};

const LINUX: Profile = Profile::LINUX_6_12;

/// The newest Linux row.
fn newest() -> Profile {
    *Profile::LINUX.last().unwrap()
}

/// The value that an ordinary relocation sees of one symbol, or the fault.
fn value(name: &str, info: u8, shndx: u16, st_value: u64, names: Names) -> Result<u64, Error> {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    let symbol = builder.symbol(name, info, shndx, st_value);
    builder.rela(data, &[(0, symbol, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, names);
    world.early().map(|()| world.mem.word(data, 0))
}

/// Name, `st_info`, `st_shndx`, `st_value`, and the value that follows.
type Row = (&'static str, u8, u16, u64, Result<u64, ErrorKind>);

#[test]
fn each_section_index_has_its_rule() {
    let names = Names::new(&[("", "known", &[0x1234]), ("", "zero", &[0])]);
    let rows: &[Row] = &[
        ("absolute", GLOBAL, ABS, 77, Ok(77)),
        ("known", GLOBAL, ABS, 77, Ok(77)),
        (".klp.sym.vmlinux.a,0", GLOBAL, SHN_LIVEPATCH, 0, Ok(0)),
        (".klp.sym.vmlinux.a,0", GLOBAL, SHN_LIVEPATCH, 77, Ok(77)),
        (".klp.tombstone.x", GLOBAL, SHN_LIVEPATCH, 77, Ok(77)),
        ("", WEAK, SHN_LIVEPATCH, 77, Ok(77)),
        ("known", GLOBAL, UNDEF, 77, Ok(0x1234)),
        ("known", WEAK, UNDEF, 77, Ok(0x1234)),
        ("known", LOCAL, UNDEF, 77, Ok(0x1234)),
        ("zero", GLOBAL, UNDEF, 77, Ok(0)),
        ("unknown", GLOBAL, UNDEF, 77, Err(UnknownSymbol)),
        ("unknown", WEAK, UNDEF, 77, Ok(77)),
        ("unknown", WEAK, UNDEF, 0, Ok(0)),
        ("unknown", LOCAL, UNDEF, 0, Err(UnknownSymbol)),
        ("unknown", 0x30, UNDEF, 0, Err(UnknownSymbol)),
        ("", GLOBAL, UNDEF, 0, Err(UnknownSymbol)),
        ("", LOCAL, UNDEF, 0, Err(UnknownSymbol)),
        ("_GLOBAL_OFFSET_TABLE_", GLOBAL, UNDEF, 77, Ok(77)),
        ("_GLOBAL_OFFSET_TABLE", GLOBAL, UNDEF, 0, Err(UnknownSymbol)),
        ("_GLOBAL_OFFSET_TABLE__", GLOBAL, UNDEF, 0, Err(UnknownSymbol)),
        ("common", GLOBAL, COMMON, 8, Err(CommonSymbol)),
        ("known", GLOBAL, COMMON, 8, Err(CommonSymbol)),
        ("common", WEAK, COMMON, 8, Err(CommonSymbol)),
        ("__gnu_lto_slim", GLOBAL, COMMON, 8, Ok(8)),
        ("__gnu_lto", GLOBAL, COMMON, 8, Ok(8)),
        ("__gnu_lt", GLOBAL, COMMON, 8, Err(CommonSymbol)),
        ("x__gnu_lto", GLOBAL, COMMON, 8, Err(CommonSymbol)),
        ("here", GLOBAL, 1, 5, Ok(address(1) + 5)),
        ("", LOCAL, 1, 5, Ok(address(1) + 5)),
        ("wraps", LOCAL, 1, u64::MAX, Ok(address(1) - 1)),
        ("the last section", LOCAL, 5, 0, Err(ErrorKind::SymbolUnassigned)),
        ("one beyond", LOCAL, 6, 0, Err(SymbolSection)),
        ("reserved", LOCAL, 0xff00, 0, Err(SymbolSection)),
        ("beside livepatch", LOCAL, 0xff1f, 0, Err(SymbolSection)),
        ("beside livepatch", LOCAL, 0xff21, 0, Err(SymbolSection)),
        ("beside absolute", LOCAL, 0xfff0, 0, Err(SymbolSection)),
        ("beside common", WEAK, 0xfff3, 0, Err(SymbolSection)),
        ("extended", LOCAL, XINDEX, 0, Err(SymbolSection)),
    ];
    for &(name, info, shndx, st_value, expected) in rows {
        let answer = value(name, info, shndx, st_value, names.clone());
        assert_eq!(answer.map_err(|error| error.kind), expected, "{name:?} info {info:#x} shndx {shndx:#x}");
    }
}

#[test]
fn the_null_symbol_has_the_value_that_the_file_gives_it() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    builder.rela(data, &[(8, 0, R_64, 5)]);
    for (st_value, st_shndx) in
        [(0, UNDEF), (0x1_0000, UNDEF), (0x1_0000, u16::try_from(data).unwrap()), (7, COMMON), (7, 0xff00)]
    {
        builder.symbols[0].value = st_value;
        builder.symbols[0].shndx = st_shndx;
        let mut world = World::new(&builder, LINUX, Names::default());
        world.early().unwrap();
        assert_eq!(world.mem.word(data, 8), st_value + 5, "st_shndx {st_shndx:#x}");
    }
}

#[test]
fn a_symbol_of_a_section_without_a_place_is_a_fault_only_where_it_is_used() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    let comment = builder.section(".comment", 1, 0, vec![0; 8]);
    let symbol = builder.symbol("there", LOCAL, u16::try_from(comment).unwrap(), 3);
    assert_eq!(World::new(&builder, LINUX, Names::default()).early_fault(), None);
    builder.rela(data, &[(0, 0, R_64, 1), (0, symbol, R_NONE, 0)]);
    let mut world = World::new(&builder, LINUX, Names::default());
    let error = world.early().unwrap_err();
    assert_eq!((error.kind, error.symbol, error.entry), (ErrorKind::SymbolUnassigned, Some(symbol), Some(1)));
    assert_eq!((error.section, error.value), (Some(comment + 1), u64::from(comment)));
}

#[test]
fn a_symbol_may_have_the_very_value_that_stands_for_no_place() {
    const UNASSIGNED: u64 = 0x5ec7_1000_0000_0000;
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    builder.symbols[0].value = UNASSIGNED;
    let rela = builder.rela(data, &[(0, 0, R_64, 1)]);
    let mut world = World::new(&builder, LINUX, Names::default());
    world.early().unwrap();
    assert_eq!(world.mem.word(data, 0), UNASSIGNED + 1);

    let comment = builder.section(".comment", 1, 0, vec![0; 8]);
    let symbol = builder.symbol("there", LOCAL, u16::try_from(comment).unwrap(), 3);
    builder.at(rela).bytes = table(&[(0, symbol, R_64, 1)]);
    let error = World::new(&builder, LINUX, Names::default()).early().unwrap_err();
    assert_eq!((error.kind, error.symbol), (ErrorKind::SymbolUnassigned, Some(symbol)));

    let in_data = UNASSIGNED.wrapping_sub(address(data));
    for (shndx, value) in [(ABS, UNASSIGNED), (u16::try_from(data).unwrap(), in_data)] {
        builder.symbols[1] = Sym { name: b"here".to_vec(), shndx, value, ..Sym::default() };
        let mut world = World::new(&builder, LINUX, Names::default());
        world.early().unwrap();
        assert_eq!(world.mem.word(data, 0), UNASSIGNED + 1);
    }
}

#[test]
fn all_symbols_are_looked_at_and_the_last_fault_is_the_one_reported() {
    let mut builder = Builder::new();
    for name in ["a", "b", "c"] {
        builder.symbol(name, GLOBAL, UNDEF, 0);
    }
    builder.symbol("common", GLOBAL, COMMON, 8);
    builder.symbol("d", GLOBAL, UNDEF, 0);
    builder.symbol("last", GLOBAL, 0xff55, 0);
    builder.symbol("e", WEAK, UNDEF, 0);
    let mut kinds = Vec::new();
    while builder.symbols.len() > 1 {
        let mut world = World::new(&builder, LINUX, Names::new(&[("", "b", &[1])]));
        kinds.push(world.early().err().map(|error| (error.kind, error.symbol.unwrap())));
        let undefined = ["a", "b", "c", "", "d", "", "e"].into_iter().take(builder.symbols.len() - 1);
        assert_eq!(world.names.asked, undefined.filter(|name| !name.is_empty()).collect::<Vec<_>>());
        builder.symbols.pop();
    }
    let unknown = |symbol| Some((UnknownSymbol, symbol));
    let (last, common) = (Some((SymbolSection, 6)), Some((CommonSymbol, 4)));
    assert_eq!(kinds, [last, last, unknown(5), common, unknown(3), unknown(1), unknown(1)]);
}

#[test]
fn a_symbol_fault_comes_before_any_fault_of_a_section() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    builder.klp("", data, &[]);
    assert_eq!(
        World::new(&builder, LINUX, Names::default()).early_fault(),
        Some(ErrorKind::BadKlpSectionName)
    );
    builder.symbol("unknown", GLOBAL, UNDEF, 0);
    assert_eq!(World::new(&builder, LINUX, Names::default()).early_fault(), Some(UnknownSymbol));
}

/// The value that a vmlinux livepatch relocation gets, or the fault.
fn klp_value(symbol: &str, names: Names, profile: Profile) -> Result<u64, ErrorKind> {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    let symbol = builder.klp_symbol(symbol);
    builder.klp("vmlinux", data, &[(0, symbol, R_64, 0)]);
    let mut world = World::new(&builder, profile, names);
    world.early().map(|()| world.mem.word(data, 0)).map_err(|error| error.kind)
}

proptest! {
    #[test]
    fn position_zero_is_the_only_one_and_position_n_is_the_nth(
        values in proptest::collection::vec(prop_oneof![3 => 1u64.., 1 => Just(0)], 0..6),
        position in 0..8usize,
    ) {
        let names = Names::new(&[("vmlinux", "f", &values)]);
        let answer = klp_value(&format!(".klp.sym.vmlinux.f,{position}"), names, LINUX);
        // Linux walks up to the position, or to a second one for position 0.
        let seen = &values[..values.len().min(if position == 0 { 2 } else { position })];
        let expected = match (seen.last(), position) {
            (None | Some(0), _) => None,
            (Some(_), 0) if seen.len() > 1 => None,
            (Some(_), 1..) if seen.len() != position => None,
            (Some(&last), _) => Some(last),
        };
        prop_assert_eq!(answer.ok(), expected);
        if let Err(kind) = answer {
            prop_assert_eq!(Profile::LINUX_DEFAULT.errno(kind), 22);
        }
    }
}

#[test]
fn each_way_not_to_find_a_livepatch_symbol_has_its_own_fault() {
    let names = Names::new(&[
        ("vmlinux", "one", &[11]),
        ("vmlinux", "three", &[31, 32, 33]),
        ("vmlinux", "zero", &[0]),
        ("vmlinux", "two", &[21, 0]),
        ("loaded", "one", &[41]),
    ]);
    for (symbol, expected) in [
        ("vmlinux.one,0", Ok(11)),
        ("vmlinux.one,1", Ok(11)),
        ("vmlinux.one,2", Err(KlpSympos)),
        ("vmlinux.three,0", Err(KlpAmbiguous)),
        ("vmlinux.three,1", Ok(31)),
        ("vmlinux.three,3", Ok(33)),
        ("vmlinux.three,4", Err(KlpSympos)),
        ("vmlinux.three,18446744073709551615", Err(KlpSympos)),
        ("vmlinux.zero,0", Err(KlpNotFound)),
        ("vmlinux.zero,1", Err(KlpNotFound)),
        ("vmlinux.two,0", Err(KlpNotFound)),
        ("vmlinux.two,1", Ok(21)),
        ("vmlinux.two,2", Err(KlpNotFound)),
        ("vmlinux.none,0", Err(KlpNotFound)),
        ("vmlinux.none,1", Err(KlpNotFound)),
        ("VMLINUX.one,0", Err(KlpNotFound)),
        ("loaded.one,0", Ok(41)),
        ("absent.one,0", Err(KlpNotFound)),
        ("vmlinux.one", Err(BadKlpSymbolName)),
        ("vmlinux.one,", Err(BadKlpSymbolName)),
        ("vmlinux.one,-1", Err(BadKlpSymbolName)),
        (".one,0", Err(BadKlpSymbolName)),
        ("vmlinux.,0", Err(BadKlpSymbolName)),
        ("vmlinux.one, 1x", Ok(11)),
    ] {
        let answer = klp_value(&format!(".klp.sym.{symbol}"), names.clone(), LINUX);
        assert_eq!(answer, expected, "{symbol}");
    }
    for name in ["one", "klp.sym.vmlinux.one,0", ".klp.tombstone.one", ""] {
        assert_eq!(klp_value(name, names.clone(), LINUX), Err(BadKlpSymbolName), "{name}");
    }
}

#[test]
fn a_resolver_is_asked_for_as_few_positions_as_tell_the_faults_apart() {
    for (symbol, asked) in [
        ("one,0", &["one:1", "one:2"][..]),
        ("one,1", &["one:1"]),
        ("one,2", &["one:2", "one:1"]),
        ("none,0", &["none:1", "none:2"]),
        ("none,1", &["none:1"]),
        ("none,2", &["none:2", "none:1"]),
    ] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 8);
        let number = builder.klp_symbol(&format!(".klp.sym.vmlinux.{symbol}"));
        builder.klp("vmlinux", data, &[(0, number, R_64, 0)]);
        let mut world = World::new(&builder, LINUX, Names::new(&[("vmlinux", "one", &[11])]));
        let _ = world.early();
        let asked: Vec<_> = asked.iter().map(|asked| format!("vmlinux:{asked}")).collect();
        assert_eq!(world.names.asked, asked, "{symbol}");
    }
}

#[test]
fn an_objects_name_has_55_bytes_at_most_and_a_symbols_511() {
    for (object, fits) in [(54, true), (55, true), (56, false)] {
        for (name, name_fits) in [(510, true), (511, true), (512, false)] {
            let (object, name) = ("o".repeat(object), "s".repeat(name));
            let names = Names::new(&[(&object, &name, &[7])]);
            let answer = klp_value(&format!(".klp.sym.{object}.{name},0"), names, LINUX);
            let expected = if fits && name_fits { Ok(7) } else { Err(BadKlpSymbolName) };
            assert_eq!(answer, expected, "{} {}", object.len(), name.len());
        }
    }
    for (name, expected) in [(127, Ok(7)), (128, Err(BadKlpSymbolName))] {
        let name = "s".repeat(name);
        let names = Names::new(&[("vmlinux", &name, &[7])]);
        let symbol = format!(".klp.sym.vmlinux.{name},0");
        assert_eq!(klp_value(&symbol, names.clone(), Profile::LINUX_5_8), expected, "5.8, {}", name.len());
        assert_eq!(klp_value(&symbol, names, Profile::LINUX_6_1), Ok(7), "6.1, {}", name.len());
    }
}

#[test]
fn a_position_beyond_64_bits_wraps_in_6_12_and_saturates_in_the_newest() {
    let names = Names::new(&[("vmlinux", "f", &[1, 2, 3])]);
    let symbol = ".klp.sym.vmlinux.f,18446744073709551618";
    assert_eq!(klp_value(symbol, names.clone(), LINUX), Ok(2));
    assert_eq!(klp_value(symbol, names, newest()), Err(KlpSympos));
}

#[test]
fn only_symbols_that_livepatch_relocations_use_must_follow_the_grammar() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let good = builder.klp_symbol(".klp.sym.vmlinux.f,0");
    let bad = builder.klp_symbol(".klp.tombstone.f");
    builder.klp("vmlinux", data, &[(0, good, R_64, 0)]);
    builder.rela(data, &[(8, bad, R_64, 9)]);
    let mut world = World::new(&builder, LINUX, Names::new(&[("vmlinux", "f", &[1])]));
    world.early().unwrap();
    assert_eq!((world.mem.word(data, 0), world.mem.word(data, 8)), (1, 9));
}

#[test]
fn a_relocation_of_type_none_still_resolves_its_symbol() {
    for (name, expected) in [("f", None), ("g", Some(KlpNotFound))] {
        let mut builder = Builder::new();
        let data = builder.section(".data", 1, 3, vec![0xff; 8]);
        let symbol = builder.klp_symbol(&format!(".klp.sym.vmlinux.{name},0"));
        builder.klp("vmlinux", data, &[(0, symbol, R_NONE, 0)]);
        let mut world = World::new(&builder, LINUX, Names::new(&[("vmlinux", "f", &[1])]));
        assert_eq!(world.early_fault(), expected, "{name}");
    }
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    builder.klp("vmlinux", data, &[(0, 0, R_NONE, 0)]);
    let fault = World::new(&builder, LINUX, Names::default()).early_fault();
    assert_eq!(fault, Some(NotKlpSymbol), "symbol 0 is not one of the livepatch core's");
}

#[test]
fn a_resolver_knows_no_candidates_unless_it_says_so() {
    struct Exports;
    impl Resolver for Exports {
        fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
            Ok(Some(1))
        }
    }
    assert_eq!(Exports.nth_symbol(b"vmlinux", b"f", 1), Ok(None));
}
