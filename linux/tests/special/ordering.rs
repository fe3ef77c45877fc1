//! Late relocations in rewritten code: what is reported is what a comparison of every field with every site finds.

use crate::world::{Names, World, address};
use proptest::prelude::*;
use relakit::{Memory, Module, Profile};
use relakit_linux::{findings, special};
use relakit_model::image::{ALLOC, Builder, PROGBITS, R_32, R_64, R_PC32};

const LINUX: Profile = Profile::LINUX_6_12;
const EXEC: u64 = 4;
const TEXT_SIZE: u64 = 0x180;

/// Late field, entry that rewrites it, size of what is rewritten.
type Found = (u64, u64, u64);

/// A site in the code and its size, in entry order.
type Rewritten = (u64, u8);

/// What is reported of a livepatch with `code`, one alternative for each site, and late fields of these types.
fn found(code: &[u8], sites: &[Rewritten], fields: &[(u64, u32)]) -> Vec<Found> {
    let mut builder = Builder::new();
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, code.to_vec());
    let entry = |&(_, size): &Rewritten| [&[0; 12][..], &[size, 0]].concat();
    let table = builder.section(".altinstructions", PROGBITS, ALLOC, sites.iter().flat_map(entry).collect());
    let symbol = builder.symbol("", 3, u16::try_from(text).unwrap(), 0);
    let offsets = (0..).zip(sites).map(|(entry, (at, _))| (entry * 14, symbol, R_PC32, at.cast_signed()));
    builder.rela(table, &offsets.collect::<Vec<_>>());
    let late_symbol = builder.klp_symbol(".klp.sym.a.f,0");
    let late: Vec<_> = fields.iter().map(|&(at, r_type)| (at, late_symbol, r_type, 0)).collect();
    builder.klp("a", text, &late);
    let mut world = World::new(&builder, LINUX, Names::default());
    let module = Module::parse(&world.file, LINUX).unwrap();
    let placed = module.assign(&mut world.mem).unwrap();
    let filled = placed.fill().unwrap();
    let loaded = filled.early(&mut world.values, &mut world.names).unwrap();
    let mut late: Vec<_> = findings::late_fields(&module, &mut world.mem).collect();
    late.sort_unstable();
    let mut found = Vec::new();
    findings::rewritten(&loaded, &mut world.mem, LINUX.since, &late, &mut |finding| {
        let (site, entry) = (finding.value - address(text), finding.other_entry.unwrap());
        assert_eq!(site, sites[usize::try_from(entry).unwrap()].0);
        assert_eq!((finding.other_section, finding.limit > 0), (Some(table), true));
        found.push((finding.entry.unwrap(), entry, finding.limit));
    });
    found.sort_unstable();
    found
}

/// Every field with every site.
fn expected(sites: &[Rewritten], fields: &[(u64, u32)]) -> Vec<Found> {
    let mut expected = Vec::new();
    for (field, &(at, r_type)) in (0..).zip(fields) {
        let end = at + if r_type == R_64 { 8 } else { 4 };
        for (entry, &(begin, size)) in (0..).zip(sites) {
            if (begin..begin + u64::from(size)).any(|byte| (at..end).contains(&byte)) {
                expected.push((field, entry, u64::from(size)));
            }
        }
    }
    expected
}

fn field() -> impl Strategy<Value = (u64, u32)> {
    (0..TEXT_SIZE - 8, prop_oneof![Just(R_32), Just(R_64)])
}

proptest! {
    #[test]
    fn a_field_is_reported_for_each_site_that_it_shares_a_byte_with(
        sites in proptest::collection::vec((0..TEXT_SIZE - 0x100, any::<u8>()), 0..12),
        short in proptest::collection::vec((0..TEXT_SIZE, 0u8..20), 0..12),
        fields in proptest::collection::vec(field(), 0..40),
    ) {
        let sites = [sites, short].concat();
        let code = vec![0; usize::try_from(TEXT_SIZE).unwrap()];
        prop_assert_eq!(found(&code, &sites, &fields), expected(&sites, &fields));
    }
}

#[test]
fn a_long_site_shows_every_field_that_it_has_room_for() {
    let fields: Vec<_> = (0..64).map(|number| (number * 4, R_32)).collect();
    let code = vec![0; usize::try_from(TEXT_SIZE).unwrap()];
    let found = found(&code, &[(0, 255)], &fields);
    assert_eq!(found.len(), 64);
    assert_eq!(found, expected(&[(0, 255)], &fields));
}

#[test]
fn special_sections_in_memory_are_those_of_a_loaded_module_and_are_relocated() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 64);
    let table = builder.data("__jump_table", 16);
    builder.section("__jump_table", PROGBITS, 0, vec![0; 16]);
    let last = builder.data(".altinstructions", 16);
    let symbol = builder.symbol("", 3, u16::try_from(data).unwrap(), 0);
    builder.rela(last, &[(0, symbol, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, Names::default());
    let module = Module::parse(&world.file, LINUX).unwrap();
    let filled = module.assign(&mut world.mem).unwrap().assume_filled();
    let loaded = filled.early(&mut world.values, &mut world.names).unwrap();
    let specials: Vec<_> =
        special::in_memory(&loaded).map(|(index, special)| (index, special.name)).collect();
    assert_eq!(specials, [(table, "__jump_table"), (last, ".altinstructions")]);
    assert_eq!(world.mem.target(last).unwrap().bytes().unwrap()[..8], address(data).to_le_bytes());
}
