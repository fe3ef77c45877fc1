//! Sites in other sites, several alternatives for one site, and tables.

use crate::site::{FUNCTION, RETURN_THUNK, SRSO_THUNK, Symbols, THUNKS, branch, offset};
use crate::world::{Mem, Names, World, address};
use proptest::prelude::*;
use relakit::verify::Reader;
use relakit::{CallbackError, Module, Profile};
use relakit_linux::special::{self, Place, Role, Version};
use relakit_linux::verify::{self, Cause, Mismatch, Seen, Verified};
use relakit_model::image::{ALLOC, Builder, PROGBITS, WRITE};

const EXEC: u64 = 4;
const TEXT: u32 = 1;
const REPLACEMENTS: u32 = 2;
const FIRST_TABLE: u32 = 3;
const NEW: Version = (6, 12);

struct Running(Mem);

impl Reader for Running {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let holds = |spot: &&crate::world::Spot| {
            at.checked_sub(spot.address).is_some_and(|at| at < spot.bytes.len() as u64)
        };
        let spot = self.0.spots.iter().flatten().find(holds).ok_or(CallbackError(14))?;
        bytes.copy_from_slice(&spot.bytes[usize::try_from(at - spot.address).unwrap()..][..bytes.len()]);
        Ok(())
    }
}

/// A module with `text`, `replacements` and tables, which runs with other bytes.
struct Whole {
    version: Version,
    text: Vec<u8>,
    replacements: Vec<u8>,
    tables: Vec<(&'static str, u64, Vec<u8>)>,
}

impl Whole {
    /// Verifies the module after `change` changed the memory that runs.
    fn verify(&self, change: impl FnOnce(&mut Mem)) -> (Verified, Vec<Mismatch>) {
        let mut builder = Builder::new();
        builder.section(".text", PROGBITS, ALLOC | EXEC, self.text.clone());
        builder.section(".altinstr_replacement", PROGBITS, ALLOC | EXEC, self.replacements.clone());
        for (name, flags, bytes) in &self.tables {
            builder.section(name, PROGBITS, ALLOC | flags, bytes.clone());
        }
        builder.section(".init.text", PROGBITS, ALLOC | EXEC, vec![0x90; 64]);
        let profile = *Profile::for_linux(self.version.0, self.version.1).unwrap();
        let World { file, mut mem, mut values, mut names, .. } =
            World::new(&builder, profile, Names::default());
        let module = Module::parse(&file, profile).unwrap();
        let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut values, &mut names).unwrap();
        let mut places: Vec<Place> = special::places(&module, &mem).collect();
        places.sort_unstable();
        let mut running = mem.clone();
        change(&mut running);
        let mut mismatches = Vec::new();
        let mut symbols = Symbols;
        let mut kernel = verify::Kernel::new(self.version, &mut symbols);
        let report = &mut |mismatch: &Mismatch| mismatches.push(*mismatch);
        let verified =
            verify::verify(&loaded, &mut mem, &mut Running(running), &mut kernel, &places, report).unwrap();
        (verified, mismatches)
    }
}

fn write(mem: &mut Mem, section: u32, at: usize, bytes: &[u8]) {
    mem.spot(section).bytes[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Entry `number` of `.altinstructions`, which is section `table`.
fn alternative(
    table: u32,
    number: u64,
    site: u64,
    size: u8,
    replacement: u64,
    replacement_size: u8,
) -> Vec<u8> {
    let here = address(table) + number * 14;
    [&offset(here, site)[..], &offset(here + 4, replacement), &[0x12, 1, 0, 0, size, replacement_size]]
        .concat()
}

/// A call to a retpoline with an alternative, as a kernel has them: at offset 16, the original is an
/// indirect call, the replacement calls the retpoline, and is a retpoline site itself.
fn retpoline() -> Whole {
    let site = address(TEXT) + 16;
    let replacement = branch(&[0xe8], address(REPLACEMENTS), THUNKS);
    let mut text = vec![0x55; 48];
    text[16..21].copy_from_slice(&[0xff, 0xd0, 0x90, 0x90, 0x90]);
    let retpolines = offset(address(FIRST_TABLE + 1), address(REPLACEMENTS)).to_vec();
    Whole {
        version: NEW,
        text,
        replacements: replacement,
        tables: vec![
            (".altinstructions", 0, alternative(FIRST_TABLE, 0, site, 5, address(REPLACEMENTS), 5)),
            (".retpoline_sites", 0, retpolines),
        ],
    }
}

#[test]
fn a_replacement_is_copied_after_the_sites_in_it_were_rewritten() {
    let module = retpoline();
    let direct = [0xff, 0xd0, 0x0f, 0x1f, 0x00];
    let to = |here| branch(&[0xe8], here, THUNKS);
    let site = address(TEXT) + 16;
    // Neither; the alternative alone; both.
    assert_eq!(module.verify(|_| ()).1, []);
    assert_eq!(module.verify(|mem| write(mem, TEXT, 16, &to(site))).1, []);
    let (verified, mismatches) = module.verify(|mem| {
        write(mem, REPLACEMENTS, 0, &direct);
        write(mem, TEXT, 16, &direct);
    });
    assert_eq!((mismatches.as_slice(), verified.rewritten), (&[][..], 2));
    // A call of the retpoline was copied before the replacement was rewritten: Linux does not do so.
    let (_, mismatches) = module.verify(|mem| {
        write(mem, REPLACEMENTS, 0, &direct);
        write(mem, TEXT, 16, &to(site));
    });
    let cause = Cause::PatchSite { role: Role::Alternative, section: FIRST_TABLE, entry: 0 };
    assert_eq!(mismatches.iter().map(|mismatch| mismatch.cause).collect::<Vec<_>>(), [cause]);
}

#[test]
fn code_is_named_at_the_begin_of_an_instruction_and_not_in_constants() {
    let call = branch(&[0xe8], address(TEXT) + 8, FUNCTION);
    let module = Whole {
        version: NEW,
        text: vec![0x55; 32],
        replacements: vec![0x90; 8],
        tables: vec![(".rodata", 0, vec![0x55; 32])],
    };
    for section in [TEXT, FIRST_TABLE] {
        let seen = |code: &[u8]| module.verify(|mem| write(mem, section, 8, code)).1[0].seen;
        let named = |seen| if section == TEXT { seen } else { Seen::Other };
        assert_eq!(seen(&[0xcc]), named(Seen::Breakpoint));
        assert_eq!(seen(&call), named(Seen::Branch { to: FUNCTION }));
    }
}

#[test]
fn a_lock_prefix_is_rewritten_in_the_text_section_and_since_6_4_in_all_code() {
    lock_prefixes((6, 3), false);
    lock_prefixes((6, 4), true);
}

fn lock_prefixes(version: Version, everywhere: bool) {
    // lock incl (%rax), listed in the replacement too.
    let locked = |first| [first, 0xff, 0x00, 0x90, 0x90];
    let site = address(TEXT) + 8;
    let text = [vec![0x55; 8], vec![0x90; 8], locked(0xf0).to_vec(), vec![0x55; 11]].concat();
    let locks = [offset(address(FIRST_TABLE + 1), address(TEXT) + 16)];
    let locks = [locks[0], offset(address(FIRST_TABLE + 1) + 4, address(REPLACEMENTS))].concat();
    let module = Whole {
        version,
        text,
        replacements: locked(0xf0).to_vec(),
        tables: vec![
            (".altinstructions", 0, alternative(FIRST_TABLE, 0, site, 5, address(REPLACEMENTS), 5)),
            (".smp_locks", 0, locks),
        ],
    };
    let (verified, mismatches) = module.verify(|mem| {
        write(mem, TEXT, 8, &[0xf0, 0xff, 0x00, 0x66, 0x90]);
        write(mem, TEXT, 16, &locked(0x3e));
    });
    assert_eq!(mismatches, []);
    assert_eq!((verified.sites, verified.rewritten), (2 + u64::from(everywhere), 2));
    // Linux has copied the replacement before it rewrites the prefix there.
    let without = locked(0x3e);
    let (_, mismatches) = module.verify(|mem| {
        write(mem, REPLACEMENTS, 0, &without);
        write(mem, TEXT, 8, &[0xf0, 0xff, 0x00, 0x66, 0x90]);
    });
    assert_eq!(mismatches.is_empty(), everywhere, "{version:?}");
    // An attacker removes the prefix from the copy, too.
    let (_, mismatches) = module.verify(|mem| {
        write(mem, REPLACEMENTS, 0, &without);
        write(mem, TEXT, 8, &[0x3e, 0xff, 0x00, 0x66, 0x90]);
    });
    let site = Cause::PatchSite { role: Role::Alternative, section: FIRST_TABLE, entry: 0 };
    let causes: Vec<_> = mismatches.iter().map(|mismatch| mismatch.cause).collect();
    let all = [site, Cause::Content];
    assert_eq!(causes, if everywhere { &all[..1] } else { &all }, "{version:?}");
}

#[test]
fn a_site_in_the_original_code_of_an_alternative_has_its_own_forms() {
    // jmp __x86_return_thunk, nop; the replacement is two moves.
    let site = address(TEXT) + 8;
    let mut text = vec![0x55; 32];
    text[8..13].copy_from_slice(&branch(&[0xe9], site, RETURN_THUNK));
    text[13..16].copy_from_slice(&[0x90; 3]);
    let module = Whole {
        version: NEW,
        text,
        replacements: vec![0x89, 0xc0, 0x89, 0xc0],
        tables: vec![
            (".altinstructions", 0, alternative(FIRST_TABLE, 0, site, 8, address(REPLACEMENTS), 4)),
            (".return_sites", 0, offset(address(FIRST_TABLE + 1), site).to_vec()),
        ],
    };
    let returned = [0xc3, 0xcc, 0xcc, 0xcc, 0xcc];
    let nop = [0x0f, 0x1f, 0x00];
    for form in [returned.to_vec(), branch(&[0xe9], site, SRSO_THUNK)] {
        for padding in [nop, [0x90; 3]] {
            let code = [&form[..], &padding].concat();
            assert_eq!(module.verify(|mem| write(mem, TEXT, 8, &code)).1, [], "{code:02x?}");
        }
    }
    let replaced = [0x89, 0xc0, 0x89, 0xc0, 0x0f, 0x1f, 0x40, 0x00];
    assert_eq!(module.verify(|mem| write(mem, TEXT, 8, &replaced)).1, []);
    let (_, mismatches) = module.verify(|mem| write(mem, TEXT, 8, &branch(&[0xe9], site, FUNCTION)));
    let cause = Cause::PatchSite { role: Role::Return, section: FIRST_TABLE + 1, entry: 0 };
    assert_eq!(mismatches.iter().map(|mismatch| mismatch.cause).collect::<Vec<_>>(), [cause]);
}

/// Two alternatives for one site, of 5 and 8 bytes.
fn two(version: Version) -> Whole {
    let site = address(TEXT) + 8;
    let text = [vec![0x55; 8], vec![0x90; 8], vec![0x55; 8]].concat();
    let replacements = [vec![0x89, 0xc0], vec![0x0f, 0x01, 0xcb]].concat();
    let entry = |number: u64, size, at, replacement| {
        alternative(FIRST_TABLE, number, site, size, address(REPLACEMENTS) + at, replacement)
    };
    let table = [entry(0, 5, 0, 2), entry(1, 8, 2, 3)].concat();
    Whole { version, text, replacements, tables: vec![(".altinstructions", 0, table)] }
}

#[test]
fn any_of_several_alternatives_is_accepted_and_their_sizes_become_equal() {
    let nop = |length: usize| match length {
        5 => vec![0x0f, 0x1f, 0x44, 0, 0],
        6 => vec![0x66, 0x0f, 0x1f, 0x44, 0, 0],
        _ => vec![0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
    };
    let module = two(NEW);
    let equal = |mem: &mut Mem| write(mem, FIRST_TABLE, 12, &[8]);
    let forms = [
        nop(8),
        [vec![0x89, 0xc0], nop(6)].concat(),
        [vec![0x0f, 0x01, 0xcb], nop(5)].concat(),
        vec![0x90; 8],
    ];
    for form in &forms {
        let (verified, mismatches) = module.verify(|mem| {
            equal(mem);
            write(mem, TEXT, 8, form);
        });
        assert_eq!((mismatches.as_slice(), verified.sites), (&[][..], 1), "{form:02x?}");
    }
    // The table is not as Linux leaves it.
    let (_, mismatches) = module.verify(|_| ());
    assert_eq!(mismatches.len(), 1);
    assert_eq!((mismatches[0].cause, mismatches[0].difference.section), (Cause::Content, FIRST_TABLE));
    // Before 6.11, sizes stay.
    assert_eq!(two((6, 10)).verify(|_| ()).1, []);
    let (_, mismatches) = two((6, 10)).verify(equal);
    assert_eq!(mismatches.iter().map(|mismatch| mismatch.cause).collect::<Vec<_>>(), [Cause::Content]);
}

/// An entry of a table of offsets: leads to `to`, and holds what follows.
fn relative(table: u32, number: u64, size: u64, to: &[u64]) -> Vec<u8> {
    let here = address(table) + number * size;
    (0..).zip(to).flat_map(|(field, to)| offset(here + 4 * field, *to)).collect()
}

proptest! {
    #[test]
    fn tables_are_compared_as_linux_sorts_them(
        code in proptest::collection::vec((0u64..0x400, 0u64..4, 0u64..3), 1..40),
        change in any::<prop::sample::Index>(),
    ) {
        let text = vec![0x55; 0x400];
        // Instruction and fixup; ORC address and its entry; address; label.
        let exceptions = |entries: &[(u64, u64, u64)]| -> Vec<u8> {
            (0..).zip(entries).flat_map(|(number, &(at, fixup, kind))| {
                let to = [address(TEXT) + at, address(TEXT) + fixup];
                [relative(FIRST_TABLE, number, 12, &to), vec![u8::try_from(kind).unwrap(), 0, 0, 0]].concat()
            }).collect()
        };
        let orc = |entries: &[(u64, u64, u64)]| -> Vec<u8> {
            (0..).zip(entries).flat_map(|(number, &(at, ..))| relative(FIRST_TABLE + 1, number, 4, &[address(TEXT) + at])).collect()
        };
        let orc_rest = |entries: &[(u64, u64, u64)]| -> Vec<u8> {
            entries.iter().flat_map(|&(_, one, other)| [u8::try_from(one).unwrap(), u8::try_from(other).unwrap(), 3, 4, 5, 6]).collect()
        };
        let traced = |entries: &[(u64, u64, u64)]| -> Vec<u8> {
            entries.iter().flat_map(|&(at, ..)| (0x7000_0000 + at).to_le_bytes()).collect()
        };
        let tables = |entries: [&[(u64, u64, u64)]; 4]| vec![
            ("__ex_table", 0, exceptions(entries[0])),
            (".orc_unwind_ip", 0, orc(entries[1])),
            (".orc_unwind", 0, orc_rest(entries[2])),
            ("__mcount_loc", 0, traced(entries[3])),
        ];
        // Distinct addresses, in any order.
        let mut seen = std::collections::BTreeSet::new();
        let code: Vec<_> = code.into_iter().filter(|entry| seen.insert(entry.0)).collect();
        let mut sorted = code.clone();
        sorted.sort_unstable();
        let module = Whole { version: NEW, text, replacements: vec![0x90; 8], tables: tables([&code; 4]) };
        let after = tables([&sorted; 4]);
        let copy = |mem: &mut Mem| for (number, (_, _, bytes)) in (FIRST_TABLE..).zip(&after) {
            write(mem, number, 0, bytes);
        };
        let (verified, mismatches) = module.verify(copy);
        prop_assert_eq!(&mismatches, &[]);
        prop_assert_eq!(verified.bytes, 0x400 + 8 + code.len() as u64 * (12 + 4 + 6 + 8));
        // Two entries are exchanged, or a byte is changed.
        for (number, (_, _, bytes)) in (FIRST_TABLE..).zip(&after) {
            let at = change.index(bytes.len());
            let (_, mismatches) = module.verify(|mem| {
                copy(mem);
                mem.spot(number).bytes[at] ^= 0x40;
            });
            prop_assert_eq!(mismatches.len(), 1);
            let size = bytes.len() / code.len();
            prop_assert_eq!(mismatches[0].cause, Cause::Table { section: number, entry: (at / size) as u64 });
            prop_assert_eq!(mismatches[0].difference.offset, (at / size * size) as u64);
        }
    }
}

#[test]
fn entries_for_the_same_address_may_be_in_any_order() {
    let entry = |number, kind: u8| {
        let to = [address(TEXT) + 4, address(TEXT) + 8];
        [relative(FIRST_TABLE, number, 12, &to), vec![kind, 0, 0, 0]].concat()
    };
    let table =
        |kinds: [u8; 3]| (0..).zip(kinds).flat_map(|(number, kind)| entry(number, kind)).collect::<Vec<_>>();
    let module = Whole {
        version: NEW,
        text: vec![0x55; 16],
        replacements: vec![0x90; 8],
        tables: vec![("__ex_table", 0, table([1, 2, 3]))],
    };
    for kinds in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        assert_eq!(module.verify(|mem| write(mem, FIRST_TABLE, 0, &table(kinds))).1, [], "{kinds:?}");
    }
    for kinds in [[1, 1, 2], [1, 2, 4], [3, 3, 3]] {
        let (_, mismatches) = module.verify(|mem| write(mem, FIRST_TABLE, 0, &table(kinds)));
        assert_ne!(mismatches, [], "{kinds:?}");
    }
}

#[test]
fn jump_labels_are_sorted_by_key_and_those_in_init_code_are_marked() {
    const INIT_TEXT: u32 = FIRST_TABLE + 1;
    let label = |number: u64, code: u64, key: u64, flags: u64| {
        let here = address(FIRST_TABLE) + number * 16;
        let pointers = relative(FIRST_TABLE, number, 16, &[code, code + 32]);
        [pointers, (key.wrapping_sub(here + 8) | flags).to_le_bytes().to_vec()].concat()
    };
    let (code, init) = (address(TEXT), address(INIT_TEXT));
    let keys = [0xffff_ffff_8300_0000, 0xffff_ffff_8300_0010];
    let before =
        [label(0, code + 8, keys[1], 1), label(1, init + 8, keys[0], 0), label(2, code, keys[1], 0)].concat();
    let after = |flag| {
        [label(0, init + 8, keys[0], flag), label(1, code, keys[1], 0), label(2, code + 8, keys[1], 1)]
            .concat()
    };
    let mut text = vec![0x55; 16];
    text[..5].copy_from_slice(&[0x0f, 0x1f, 0x44, 0, 0]);
    text[8..13].copy_from_slice(&[0x0f, 0x1f, 0x44, 0, 0]);
    let module = Whole {
        version: NEW,
        text,
        replacements: vec![0x90; 8],
        tables: vec![("__jump_table", WRITE, before)],
    };
    let (verified, mismatches) = module.verify(|mem| write(mem, FIRST_TABLE, 0, &after(2)));
    assert_eq!((mismatches.as_slice(), verified.sites), (&[][..], 2), "init code is not compared");
    assert_eq!((verified.bytes, verified.not_judged), (16 + 8 + 48, 64));
    let (_, mismatches) = module.verify(|mem| write(mem, FIRST_TABLE, 0, &after(0)));
    let cause = Cause::Table { section: FIRST_TABLE, entry: 0 };
    assert_eq!(mismatches.iter().map(|mismatch| mismatch.cause).collect::<Vec<_>>(), [cause]);
}

#[test]
fn an_alternative_that_is_longer_than_its_section_is_compared_as_content() {
    let site = address(TEXT) + 60;
    let entries = |second: u8| {
        let entries = [(0, 4), (1, second)]
            .map(|(number, size)| alternative(FIRST_TABLE, number, site, size, address(REPLACEMENTS), 0));
        entries.concat()
    };
    for (second, sites) in [(4, 4), (5, 0), (255, 0)] {
        let module = Whole {
            version: NEW,
            text: vec![0x55; 64],
            replacements: vec![0x90; 8],
            tables: vec![(".altinstructions", 0, entries(second))],
        };
        // Linux would make the sizes in the table equal.
        let in_code = |mismatches: Vec<Mismatch>| {
            let of_code = mismatches.into_iter().filter(|mismatch| mismatch.difference.section == TEXT);
            of_code.collect::<Vec<_>>()
        };
        let (verified, mismatches) = module.verify(|_| {});
        assert_eq!((verified.flexible, in_code(mismatches).len()), (sites, 0), "{second}");
        let mismatches = in_code(module.verify(|mem| write(mem, TEXT, 63, &[0x56])).1);
        let [Mismatch { cause, difference, .. }] = mismatches[..] else { panic!("{second}: {mismatches:?}") };
        assert_eq!(cause == Cause::Content, sites == 0, "{second}");
        assert!((difference.offset..difference.offset + difference.size).contains(&63), "{second}");
    }
}
