//! Late sections with many symbols, several late sections of one target, and the sections that a Linux version drops.

use crate::world::{Mem, Names, World};
use relakit::{ErrorKind, Module, Profile};
use relakit_model::image::{ALLOC, Builder, Entry, PROGBITS, R_64, R_PC32};

const A: &[u8] = b"a";

/// Enough to be on both sides of every small limit.
const MOST_SYMBOLS: u32 = 40;

#[test]
fn a_second_coming_resolves_every_symbol_of_a_section_again() {
    for count in 1..=MOST_SYMBOLS {
        let mut builder = Builder::new();
        let target = builder.data(".first", 8 * usize::try_from(count).unwrap());
        let entries: Vec<Entry> = (0..count)
            .map(|n| (8 * u64::from(n), builder.klp_symbol(&format!(".klp.sym.a.f{n},1")), R_64, 0))
            .collect();
        builder.klp("a", target, &entries);
        let mut world = World::new(&builder, Profile::LINUX_6_12, Names::default());
        let (mut late, mem, names) = world.load().unwrap();
        let loaded = mem.image();
        for moved in [0xffff_ffff_c100_0000, 0xffff_ffff_c200_0000u64, 0xffff_ffff_c0f0_0000] {
            let value = |n: u32| moved + 16 * u64::from(n);
            (0..count).for_each(|n| names.set("a", &format!("f{n}"), &[value(n)]));
            assert_eq!(late.coming(A, mem, names), Ok(1));
            for n in 0..count {
                let word = mem.word(target, 8 * usize::try_from(n).unwrap());
                assert_eq!(word, value(n), "symbol {n} of {count}");
            }
            assert_eq!(late.going(A, mem), Ok(1));
            assert_eq!(mem.image(), loaded);
        }
    }
}

#[test]
fn a_clear_that_fails_writes_its_sections_again_in_the_order_of_applying() {
    // The second section writes over zeros of the first; the third and the fourth over zeros of the second.
    let mut builder = Builder::new();
    let [guard, target] = [builder.data(".guard", 8), builder.data(".first", 16)];
    let f = builder.klp_symbol(".klp.sym.a.f,1");
    builder.klp("a", guard, &[(0, f, R_64, 0)]);
    builder.klp("a", target, &[(0, f, R_64, 0)]);
    builder.klp("a", target, &[(3, f, R_64, 0)]);
    builder.klp("a", target, &[(6, f, R_PC32, 0)]);
    builder.klp("a", target, &[(10, f, R_PC32, 0)]);
    let mut world = World::new(&builder, Profile::LINUX_6_12, Names::new(&[("a", "f", &[0x1234])]));
    let (mut late, mem, names) = world.load().unwrap();
    let loaded = mem.image();
    late.coming(A, mem, names).unwrap();
    let applied = mem.image();
    let change = |mem: &mut Mem| mem.spot(guard).bytes[7] ^= 1;
    change(mem);
    let changed = mem.image();
    let error = late.going(A, mem).unwrap_err();
    assert_eq!(
        (error.kind, error.section),
        (ErrorKind::TargetMismatch, Some(3)),
        "the guard is cleared last"
    );
    assert_eq!(mem.image(), changed, "all sections that were cleared hold their values again");
    change(mem);
    assert_eq!(mem.image(), applied);
    late.going(A, mem).unwrap();
    assert_eq!(mem.image(), loaded);
}

#[test]
fn every_version_drops_the_sections_that_it_does_not_keep() {
    const NAMES: [&str; 6] =
        [".modinfo", "__versions", "__version_ext_crcs", "__version_ext_names", "__version_ext", ".modinfo2"];
    let mut builder = Builder::new();
    let sections = NAMES.map(|name| builder.section(name, PROGBITS, ALLOC, vec![0; 8]));
    let file = builder.build();
    for row in Profile::LINUX.iter().chain([&Profile::ELF]) {
        let module = Module::parse(&file, *row).unwrap();
        let dropped = match row.since {
            (0, 0) => 0,
            since if since < (6, 14) => 2,
            _ => 4,
        };
        for (number, section) in sections.into_iter().enumerate() {
            let is_kept = module.is_allocated(section);
            assert_eq!(is_kept, number >= dropped, "{} of {}", NAMES[number], row.name);
        }
    }
}
