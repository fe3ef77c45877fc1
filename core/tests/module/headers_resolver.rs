//! Loaders like Linux's: what the resolver of a livepatch is asked, and what follows if it fails or contradicts itself.

use crate::headers::{Image, resolved};
use crate::world::{Names, World, names, two_objects};
use relakit::ErrorKind::{NotUndone, Resolver as ResolverFailed, UnknownSymbol};
use relakit::{CallbackError, Error, ErrorKind, Profile, Resolver};
use relakit_model::image::{Builder, R_32S, R_64};

/// More symbols than a pass caches.
const SYMBOLS: u32 = 20;

/// Value of symbol `index`.
fn value(index: u32) -> u64 {
    0xffff_ffff_c000_0000 + u64::from(index) * 0x1000
}

/// Two sections for "a" with all symbols, in an order that no small cache helps with.
fn many_symbols() -> (Builder, Names) {
    let mut builder = Builder::new();
    let targets = [builder.data(".first", 8 * 2 * 20), builder.data(".second", 8 * 2 * 20)];
    let mut names = Names::default();
    for index in 1..=SYMBOLS {
        builder.klp_symbol(&format!(".klp.sym.a.s{index},1"));
        names.set("a", &format!("s{index}"), &[value(index)]);
    }
    for target in targets {
        let orders = (1..=SYMBOLS).chain(1..=SYMBOLS);
        let entries: Vec<_> =
            (0u64..).zip(orders).map(|(at, index)| (at * 8, index, entry_type(at), 1)).collect();
        builder.klp("a", target, &entries);
    }
    (builder, names)
}

const fn entry_type(at: u64) -> u32 {
    if at.is_multiple_of(3) { R_32S } else { R_64 }
}

/// What a resolver says instead of the truth.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Fails,
    Nothing,
    /// Another value.
    Moved,
}

/// Says the truth, but not from call `at` on, for `count` calls.
struct Fickle {
    names: Names,
    calls: usize,
    at: usize,
    count: usize,
    lie: Lie,
}

impl Resolver for Fickle {
    fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
        panic!("livepatch symbols need not be exported")
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        let lies = self.calls >= self.at && self.calls - self.at < self.count;
        self.calls += 1;
        let truth = self.names.nth_symbol(object, name, sympos);
        match self.lie {
            _ if !lies => truth,
            Lie::Fails => Err(CallbackError(-7)),
            Lie::Nothing => Ok(None),
            Lie::Moved => truth.map(|value| value.map(|value| value + 0x10)),
        }
    }
}

const NEVER: usize = usize::MAX;

fn fickle(names: &Names, at: usize, count: usize, lie: Lie) -> Fickle {
    Fickle { names: names.clone(), calls: 0, at, count, lie }
}

/// How many calls a pass makes before it stores values, and in all.
fn calls(world: &World, filled: &crate::world::Mem, names: &Names, profile: Profile) -> (usize, usize) {
    let mut image = Image::with(world, filled.clone(), profile);
    image.mem.fail_sync = Some(1);
    let mut resolver = fickle(names, NEVER, 0, Lie::Fails);
    image.klp_apply_with("a", &mut resolver).unwrap_err();
    let before_the_store = resolver.calls;
    let mut image = Image::with(world, filled.clone(), profile);
    let mut resolver = fickle(names, NEVER, 0, Lie::Fails);
    image.klp_apply_with("a", &mut resolver).unwrap();
    (before_the_store, resolver.calls)
}

#[test]
fn the_resolver_is_called_once_for_each_symbol_if_they_are_few() {
    let (world, filled) = resolved(&two_objects(), names());
    let mut image = Image::new(&world, filled);
    let mut names = names();
    assert_eq!(image.klp_apply("a", &mut names), Ok(2));
    assert_eq!(names.asked, ["a:f:1", "a:f:2"]);
}

#[test]
fn a_symbol_is_looked_up_at_most_as_often_as_documented_for_each_relocation() {
    let (builder, names) = many_symbols();
    let (world, filled) = resolved(&builder, names.clone());
    let relocations = 2 * 2 * usize::try_from(SYMBOLS).unwrap();
    for (profile, times) in [(Profile::LINUX_6_12, 3), (Profile::KEXEC, 6), (Profile::GRUB, 3)] {
        let (_, all) = calls(&world, &filled, &names, profile);
        assert_eq!(all, times * relocations);
    }
}

#[test]
fn many_symbols_have_the_values_of_the_resolver_in_the_fields_and_in_the_table() {
    let (builder, names) = many_symbols();
    let (world, filled) = resolved(&builder, names.clone());
    let mut image = Image::new(&world, filled.clone());
    assert_eq!(image.klp_apply("a", &mut names.clone()), Ok(2));
    for target in [1, 2] {
        for (at, index) in (0u64..).zip((1..=SYMBOLS).chain(1..=SYMBOLS)) {
            let field = image.mem.word(target, usize::try_from(at * 8).unwrap());
            let whole = value(index) + 1;
            let expected = if entry_type(at) == R_64 { whole } else { whole & 0xffff_ffff };
            assert_eq!(field, expected, "target {target}, entry {at}");
        }
    }
    for index in 1..=SYMBOLS {
        let symbol = &image.symbols[usize::try_from(index).unwrap()];
        assert_eq!(symbol[8..16], value(index).to_le_bytes(), "{index}");
    }
    assert_eq!(image.klp_clear("a"), Ok(2));
    assert_eq!(image.mem.image(), filled.image());
}

/// Symbols have the values of before, or those of the resolver.
fn check_symbols(before: &[[u8; 24]], image: &Image<'_>, lied: bool) {
    for (index, (old, new)) in (0..).zip(before.iter().zip(&image.symbols)) {
        let is_value = |value: u64| new[8..16] == value.to_le_bytes();
        let is_known = old == new || is_value(value(index)) || lied && is_value(value(index) + 0x10);
        assert!(is_known && old[..8] == new[..8] && old[16..] == new[16..], "symbol {index}");
    }
}

#[test]
fn a_resolver_that_fails_at_any_call_changes_no_section_and_no_symbol_before_the_last_step() {
    let (builder, names) = many_symbols();
    let (world, filled) = resolved(&builder, names.clone());
    let (before_the_store, all) = calls(&world, &filled, &names, Profile::LINUX_6_12);
    assert!(before_the_store > 40 && all > before_the_store, "{before_the_store} of {all}");
    for lie in [Lie::Fails, Lie::Nothing] {
        for at in 0..all {
            for count in [1, 2, NEVER] {
                let mut image = Image::new(&world, filled.clone());
                let before = image.symbols.clone();
                let error = image.klp_apply_with("a", &mut fickle(&names, at, count, lie)).unwrap_err();
                let kinds: &[ErrorKind] = match lie {
                    Lie::Fails => &[ResolverFailed],
                    // The first time it is an ordinary error.
                    _ => &[ErrorKind::KlpNotFound, UnknownSymbol],
                };
                assert!(kinds.contains(&error.kind), "{lie:?} {at} {count}: {error}");
                if matches!(lie, Lie::Fails) {
                    assert_eq!(error.value.cast_signed(), -7);
                }
                assert!(error.section.is_some() && error.entry.is_some() && error.symbol.is_some());
                assert_eq!(image.mem.image(), filled.image(), "{lie:?} {at} {count}");
                match at < before_the_store {
                    true => assert_eq!(image.symbols, before, "{lie:?} {at} {count}"),
                    false => check_symbols(&before, &image, false),
                }
                assert_eq!(image.klp_apply("a", &mut names.clone()), Ok(2), "it can be tried again");
            }
        }
    }
}

#[test]
fn a_resolver_that_contradicts_itself_causes_an_error_or_a_field_that_cannot_be_cleared() {
    let (builder, names) = many_symbols();
    let (world, filled) = resolved(&builder, names.clone());
    let (_, all) = calls(&world, &filled, &names, Profile::LINUX_6_12);
    for at in 0..all {
        for count in [1, 5, NEVER] {
            let mut image = Image::new(&world, filled.clone());
            let before = image.symbols.clone();
            let applied = image.klp_apply_with("a", &mut fickle(&names, at, count, Lie::Moved));
            assert_eq!(applied, Ok(2), "a moved symbol fits as well");
            check_symbols(&before, &image, true);
            match image.klp_clear("a") {
                Ok(_) => assert_eq!(image.mem.image(), filled.image()),
                Err(error) => assert_eq!(error.kind, ErrorKind::TargetMismatch),
            }
        }
    }
}

/// Fields that are overwritten cannot be restored, and from fields that were added to the value must be subtracted again.
#[test]
fn other_rules_are_rolled_back_or_say_that_they_are_not() {
    let (builder, names) = many_symbols();
    let (world, filled) = resolved(&builder, names.clone());
    for (profile, adds) in [(Profile::KEXEC, false), (Profile::GRUB, true)] {
        let (before_the_store, all) = calls(&world, &filled, &names, profile);
        // A rollback that subtracts values asks for them, and this is counted, too.
        let before_the_store = if adds { 0 } else { before_the_store };
        for at in 0..all {
            for count in [1, NEVER] {
                let mut image = Image::with(&world, filled.clone(), profile);
                let before = image.symbols.clone();
                let result: Result<_, Error> =
                    image.klp_apply_with("a", &mut fickle(&names, at, count, Lie::Fails));
                let error = result.unwrap_err();
                match error.kind {
                    ResolverFailed => assert_eq!(image.mem.image(), filled.image(), "{at} {count}"),
                    kind => assert_eq!(kind, NotUndone, "{at} {count}: {error}"),
                }
                if adds {
                    // It is asked again, and says the truth again.
                    assert!(count == NEVER || error.kind == ResolverFailed, "{at}");
                }
                if at < before_the_store {
                    assert_eq!(image.symbols, before, "{at} {count}");
                }
            }
        }
    }
}
