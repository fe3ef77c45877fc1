//! The number that stands for "no value" is verified: a symbol may have it as its real value.

use crate::world::{Names, World, address};
use relakit::{ErrorKind, Profile, UNASSIGNED};
use relakit_model::image::{
    ABS, Builder, COMMON, Entry, GLOBAL, LOCAL, R_64, R_NONE, R_PC32, SHN_LIVEPATCH, UNDEF, WEAK,
};

const LINUX: Profile = Profile::LINUX_6_12;

/// Where a symbol can get its value from.
const SOURCES: [&str; 8] = [
    "the symbol without a name",
    "an absolute symbol",
    "a section and an offset",
    "the resolver",
    "a weak symbol without an export",
    "a common symbol of LTO",
    "a livepatch symbol in the file",
    "a livepatch symbol of vmlinux",
];

/// A module with a section `.data` of 32 bytes, and its relocation section. In `relas`, symbol 0 stands
/// for a symbol whose value is the sentinel, symbol 1 for one in a section without memory.
fn module(source: &str, relas: &[Entry]) -> (Builder, Names, u32, u32) {
    let mut builder = Builder::new();
    let mut names = Names::default();
    let data = builder.data(".data", 32);
    let offset = UNASSIGNED.wrapping_sub(address(data));
    let comment = builder.section(".comment", 1, 0, vec![0; 8]);
    let data_index = u16::try_from(data).unwrap();
    let real = match source {
        "the symbol without a name" => {
            builder.symbols[0].value = UNASSIGNED;
            0
        }
        "an absolute symbol" => builder.symbol("a", LOCAL, ABS, UNASSIGNED),
        "a section and an offset" => builder.symbol("a", LOCAL, data_index, offset),
        "the resolver" => {
            names.set("", "a", &[UNASSIGNED]);
            builder.symbol("a", GLOBAL, UNDEF, 0)
        }
        "a weak symbol without an export" => builder.symbol("a", WEAK, UNDEF, UNASSIGNED),
        "a common symbol of LTO" => builder.symbol("__gnu_lto_a", GLOBAL, COMMON, UNASSIGNED),
        "a livepatch symbol in the file" => builder.symbol("a", GLOBAL, SHN_LIVEPATCH, UNASSIGNED),
        "a livepatch symbol of vmlinux" => {
            names.set("vmlinux", "a", &[UNASSIGNED]);
            let symbol = builder.klp_symbol(".klp.sym.vmlinux.a,0");
            builder.klp("vmlinux", data, &[(24, symbol, R_64, 5)]);
            symbol
        }
        _ => unreachable!("{source}"),
    };
    let missing = builder.symbol("missing", LOCAL, u16::try_from(comment).unwrap(), 3);
    let relas: Vec<_> = relas
        .iter()
        .map(|(at, symbol, r_type, addend)| (*at, [real, missing][*symbol as usize], *r_type, *addend))
        .collect();
    let rela = builder.rela(data, &relas);
    (builder, names, data, rela)
}

#[test]
fn a_real_value_equal_to_the_sentinel_is_applied_wherever_it_comes_from() {
    for source in SOURCES {
        // Beside it there is a symbol without memory, which no relocation uses.
        let (builder, names, data, _) = module(source, &[(0, 0, R_64, 1), (8, 0, R_64, 2)]);
        let mut world = World::new(&builder, LINUX, names);
        assert_eq!(world.early(), Ok(()), "{source}");
        assert_eq!([0, 8].map(|at| world.mem.word(data, at)), [UNASSIGNED + 1, UNASSIGNED + 2], "{source}");
        if source == "a livepatch symbol of vmlinux" {
            assert_eq!(world.mem.word(data, 24), UNASSIGNED + 5);
        }
    }
}

#[test]
fn a_symbol_without_memory_is_refused_beside_a_real_value_equal_to_the_sentinel() {
    for source in SOURCES {
        for r_type in [R_64, R_PC32, R_NONE] {
            let (builder, names, _, rela) = module(source, &[(0, 0, R_64, 1), (8, 1, r_type, 2)]);
            let error = World::new(&builder, LINUX, names).early().unwrap_err();
            let said = (error.kind, error.section, error.entry, error.offset);
            assert_eq!(said, (ErrorKind::SymbolUnassigned, Some(rela), Some(1), 8), "{source} {r_type}");
        }
    }
}

#[test]
fn a_symbol_without_memory_is_an_error_before_all_other_errors_of_its_section() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 32);
    let comment = builder.section(".comment", 1, 0, vec![0; 8]);
    let missing = builder.symbol("missing", LOCAL, u16::try_from(comment).unwrap(), 3);
    // Entry 0 is applied. Entry 1 is outside of the section, entry 2 has an unknown type.
    let rela =
        builder.rela(data, &[(0, 0, R_64, 1), (32, 0, R_64, 1), (8, 0, 99, 0), (16, missing, R_64, 0)]);
    for profile in [LINUX, Profile::ELF, Profile::XEN] {
        let error = World::new(&builder, profile, Names::default()).early().unwrap_err();
        let said = (error.kind, error.section, error.entry, error.symbol, error.value);
        let expected = (ErrorKind::SymbolUnassigned, Some(rela), Some(3), Some(missing), u64::from(comment));
        assert_eq!(said, expected, "{}", profile.name);
    }
}
