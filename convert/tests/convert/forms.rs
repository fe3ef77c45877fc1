//! Each input form makes the livepatch sections that the tool of the form makes.

use super::apart::{Form, before_post_link, take_apart};
use super::view::{PROFILE, content, klp, of_klp_build, recorded, relocations, symbol_names, symbols};
use relakit_convert::{Converted, Map, NoSymbols, Request, convert};
use std::collections::BTreeSet;

pub fn converted(file: &[u8], map: &str) -> Converted {
    let map = Map::parse(map.as_bytes()).unwrap();
    let request = Request { profile: PROFILE, version: (6, 12), symbols: &NoSymbols, map: &map };
    convert(file, &request).unwrap_or_else(|refusals| panic!("{refusals:#?}"))
}

#[test]
fn recorded_livepatches_have_the_same_relocations_after_they_were_taken_apart() {
    for (name, file) in recorded() {
        let expected = klp(&file);
        assert!(!expected.is_empty(), "{name}");
        for form in [Form::Macro, Form::Map, Form::KlpBuild, Form::Kpatch] {
            let (apart, map) = take_apart(&file, form);
            assert!(klp(&apart).is_empty(), "{name}, {form:?}");
            assert_eq!(form == Form::Map, !map.is_empty(), "{name}, {form:?}");
            let converted = converted(&apart, &map);
            assert_eq!(klp(&converted.bytes), expected, "{name}, {form:?}");
            let count: u64 = converted.sections.iter().map(|section| section.relocations).sum();
            let all: usize = expected.values().map(Vec::len).sum();
            assert_eq!(count, all as u64, "{name}, {form:?}");
            let names = symbol_names(&converted.bytes);
            let klp: Vec<_> = names.iter().filter(|name| name.starts_with(".klp.sym.")).collect();
            let patched = expected.keys().filter_map(|name| name.split('.').nth(3)).collect::<BTreeSet<_>>();
            let unique = klp.iter().collect::<BTreeSet<_>>().len();
            assert!(klp.len() <= unique * patched.len(), "{name}, {form:?}: {klp:?}");
        }
    }
}

#[test]
fn ordinary_relocations_stay_in_their_order_and_all_else_keeps_its_bytes() {
    for (name, file) in recorded() {
        for form in [Form::Macro, Form::Map] {
            let (apart, map) = take_apart(&file, form);
            let converted = converted(&apart, &map).bytes;
            assert_eq!(content(&converted), content(&apart), "{name}, {form:?}");
            assert_eq!(relocations(&converted, false), relocations(&file, false), "{name}, {form:?}");
            let is_own = |name: &str| !name.starts_with(".klp.") && !map.contains(&format!(" {name} "));
            assert_eq!(symbols(&converted, is_own), symbols(&apart, is_own), "{name}, {form:?}");
        }
    }
}

/// Sections, relocations and symbols are those of `objtool klp post-link`, and nothing else changes.
#[test]
fn modules_of_klp_build_become_what_its_own_last_step_makes() {
    for (name, file) in of_klp_build() {
        let before = before_post_link(&file);
        assert!(klp(&before).is_empty(), "{name}");
        assert!(symbols(&before, |_| true).iter().all(|row| row.2 != 0xff20), "{name}");
        let converted = converted(&before, "").bytes;
        assert!(!klp(&file).is_empty(), "{name}");
        assert_eq!(klp(&converted), klp(&file), "{name}");
        assert_eq!(relocations(&converted, false), relocations(&file, false), "{name}");
        assert_eq!(content(&converted), content(&file), "{name}");
        assert_eq!(symbols(&converted, |_| true), symbols(&file, |_| true), "{name}");
    }
}

#[test]
fn the_tables_of_kpatch_are_removed() {
    for (name, file) in recorded() {
        let (apart, _) = take_apart(&file, Form::Kpatch);
        let names = |file: &[u8]| content(file).into_iter().map(|(name, ..)| name).collect::<Vec<_>>();
        assert!(names(&apart).contains(&".kpatch.relocations".to_owned()), "{name}");
        let converted = converted(&apart, "").bytes;
        let gone = [".kpatch.symbols", ".kpatch.relocations"];
        let expected: Vec<_> = names(&apart).into_iter().filter(|name| !gone.contains(&&**name)).collect();
        assert_eq!(names(&converted), expected, "{name}");
        assert!(relocations(&converted, false).keys().all(|name| !name.contains("kpatch")), "{name}");
    }
}

#[test]
fn a_converted_file_stays_as_it_is_and_the_same_input_makes_the_same_output() {
    for (name, file) in recorded().into_iter().chain(of_klp_build()) {
        let same = converted(&file, "");
        assert!(same.bytes == file && same.sections.is_empty(), "{name}");
    }
    for (name, file) in recorded() {
        for form in [Form::Macro, Form::Map, Form::KlpBuild, Form::Kpatch] {
            let (apart, map) = take_apart(&file, form);
            let first = converted(&apart, &map);
            assert_eq!(converted(&apart, &map), first, "{name}, {form:?}");
            assert!(converted(&first.bytes, &map).bytes == first.bytes, "{name}, {form:?}");
        }
    }
}
