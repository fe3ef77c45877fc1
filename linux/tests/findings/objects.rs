//! Findings about objects that the module does not patch: every object is checked, and compared
//! with a slow reference.

use proptest::prelude::*;
use relakit::{ErrorKind, Module, Profile};
use relakit_linux::findings;
use relakit_linux::findings::{Finding, Lint};
use relakit_model::image::{ALLOC, Builder, GLOBAL, LIVEPATCH, PROGBITS, R_64, RELA, Sec, UNDEF, WRITE};
use std::collections::BTreeSet;

const LINUX: Profile = Profile::LINUX_6_12;

/// The first late section of [`livepatch`].
const FIRST: u32 = 4;

/// A module with pointers to all of `texts`, and a late section for each of `objects`.
fn livepatch(texts: &[String], objects: &[String], enables: bool) -> Builder {
    let mut builder = Builder::new();
    let data = builder.section(".data", PROGBITS, ALLOC | WRITE, vec![0; 8 * texts.len().max(1)]);
    let strings = builder.section(".rodata.str1.1", PROGBITS, ALLOC, vec![]);
    let string = builder.symbol("", 3, u16::try_from(strings).unwrap(), 0);
    if enables {
        builder.symbol("klp_enable_patch", GLOBAL, UNDEF, 0);
    }
    let mut pointers = Vec::new();
    for text in texts {
        let bytes = &mut builder.at(strings).bytes;
        pointers.push((8 * pointers.len() as u64, string, R_64, i64::try_from(bytes.len()).unwrap()));
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    builder.rela(data, &pointers);
    for object in objects {
        let name = format!(".klp.rela.{object}..data").into_bytes();
        builder.sections.push(Sec {
            name,
            kind: RELA,
            flags: ALLOC | LIVEPATCH,
            info: data,
            ..Sec::default()
        });
    }
    builder
}

fn found(builder: &Builder) -> Vec<Finding> {
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let mut found = Vec::new();
    let mut scratch = vec![u64::MAX; findings::scratch_len(&module)];
    findings::file(&module, LINUX.since, &mut scratch, &mut |finding| found.push(finding)).unwrap();
    found.retain(|finding| matches!(finding.lint, Lint::ObjectNotPatched | Lint::ObjectNameCase));
    found
}

/// The sections of a rule, in the order in which they were reported.
fn sections(found: &[Finding], rule: Lint) -> Vec<u32> {
    found.iter().filter(|finding| finding.lint == rule).map(|finding| finding.section.unwrap()).collect()
}

#[test]
fn every_object_is_checked_however_many_there_are() {
    for count in [1, 2, 63, 64, 65, 1000] {
        let names: Vec<_> = (0..count).map(|number| format!("o{number}")).collect();
        // Two sections for each object.
        let objects = [&names[..], &names].concat();
        let all: Vec<u32> = (FIRST..).take(objects.len()).collect();
        let none = found(&livepatch(&[], &objects, true));
        assert_eq!(sections(&none, Lint::ObjectNotPatched), all);
        assert_eq!(none.len(), all.len());
        let upper: Vec<_> = names.iter().map(|name| name.to_uppercase()).collect();
        let in_case = found(&livepatch(&upper, &objects, true));
        assert_eq!(sections(&in_case, Lint::ObjectNameCase), all);
        assert_eq!(in_case.len(), all.len());
        assert_eq!(found(&livepatch(&names, &objects, true)), []);
        // One object differs: the first, the last.
        for odd in [0, count - 1] {
            let mut texts = names.clone();
            let mut differs = |text: &str, rule| {
                text.clone_into(&mut texts[odd]);
                let found = found(&livepatch(&texts, &objects, true));
                assert_eq!(sections(&found, rule), [all[odd], all[odd + count]], "{odd} of {count}");
                assert_eq!(found.len(), 2);
            };
            differs("another", Lint::ObjectNotPatched);
            differs(&upper[odd], Lint::ObjectNameCase);
        }
    }
}

#[test]
fn objects_whose_hashes_are_equal_are_told_apart() {
    // The upper 30 bits of FNV-1a are equal.
    let [one, other] = ["o141564", "o319400"].map(str::to_owned);
    let objects = [other.clone(), one.clone(), one.to_uppercase()];
    let report = |text: &str| {
        let found = found(&livepatch(&[text.to_owned()], &objects, true));
        found.iter().map(|finding| (finding.section.unwrap(), finding.lint)).collect::<Vec<_>>()
    };
    let (case, not_patched) = (Lint::ObjectNameCase, Lint::ObjectNotPatched);
    assert_eq!(report(&one), [(FIRST, not_patched), (FIRST + 2, case)]);
    assert_eq!(report(&other), [(FIRST + 1, not_patched), (FIRST + 2, not_patched)]);
    assert_eq!(
        report(&other.to_uppercase()),
        [(FIRST, case), (FIRST + 1, not_patched), (FIRST + 2, not_patched)]
    );
}

#[test]
fn a_scratch_that_is_too_short_is_an_error_and_nothing_is_reported() {
    // More sections than symbols, and more symbols than sections.
    for (objects, symbols) in [(20, 0), (0, 20)] {
        let names: Vec<_> = (0..objects).map(|number| format!("o{number}")).collect();
        let mut builder = livepatch(&[], &names, true);
        for _ in 0..symbols {
            builder.klp_symbol("not a livepatch name");
        }
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        let needed = findings::scratch_len(&module);
        let count = module.object().symbols().len().max(module.object().section_count());
        assert_eq!(needed, usize::try_from(count).unwrap());
        for lent in 0..needed {
            let mut report = |finding: Finding| panic!("capture: {finding:?}");
            let error = findings::file(&module, LINUX.since, &mut vec![0; lent], &mut report).unwrap_err();
            assert_eq!(error.kind, ErrorKind::ValuesTooShort);
            assert_eq!((error.value, error.limit), (lent as u64, needed as u64));
        }
        findings::file(&module, LINUX.since, &mut vec![0; needed], &mut |_| {}).unwrap();
    }
}

#[test]
fn patched_names_are_texts_of_1_to_55_bytes_of_a_module_that_enables_a_patch() {
    let name = |length: usize| "o".repeat(length);
    let texts = [String::new(), name(1), name(55), name(56), "b".to_owned(), "b".to_owned()];
    let names = |enables| {
        let file = livepatch(&texts, &[], enables).build();
        let module = Module::parse(&file, LINUX).unwrap();
        let names = findings::patched_names(&module).map(|name| String::from_utf8(name.to_vec()).unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(true), [name(1), name(55), "b".to_owned(), "b".to_owned()]);
    assert_eq!(names(false), [""; 0]);
}

/// Names that differ in case, in a byte, in length.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[aAbB]{1,3}", "[aA]{54,55}", "[aA]{56}", Just("vmlinux".to_owned())]
}

proptest! {
    #[test]
    fn an_object_is_reported_as_a_search_for_each_would(
        texts in proptest::collection::vec(name(), 0..8),
        objects in proptest::collection::vec(name(), 0..12),
        enables: bool,
    ) {
        let texts_of_names: BTreeSet<_> = texts.iter().cloned().collect();
        let rule = |object: &str| match object {
            "vmlinux" => None,
            _ if enables && texts_of_names.contains(object) => None,
            _ if texts.iter().any(|text| text != object && text.eq_ignore_ascii_case(object)) => {
                Some(Lint::ObjectNameCase)
            }
            _ => Some(Lint::ObjectNotPatched),
        };
        // Linux cuts the object in a section's name.
        let rules = objects.iter().map(|object| rule(object.get(..55).unwrap_or(object)));
        let expected = (FIRST..).zip(rules).filter_map(|(section, rule)| Some((Some(section), rule?)));
        let found = found(&livepatch(&texts, &objects, enables));
        let found: Vec<_> = found.iter().map(|finding| (finding.section, finding.lint)).collect();
        prop_assert_eq!(found, expected.collect::<Vec<_>>());
    }
}
