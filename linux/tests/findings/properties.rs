//! Findings against what is slow and obvious.

use crate::of_file;
use proptest::prelude::*;
use relakit::{Module, Profile};
use relakit_linux::findings;
use relakit_linux::findings::{Field, Lint};
use std::collections::HashSet;

/// Fields of three targets, close together; an entry has one.
fn fields() -> impl Strategy<Value = Vec<Field>> {
    let size = prop_oneof![Just(1u8), Just(2), Just(4), Just(8)];
    let field = (1u32..4, 0u64..40, size, 10u32..13, 0u64..9)
        .prop_map(|(target, offset, size, section, entry)| Field { target, offset, size, section, entry });
    proptest::collection::vec(field, 0..12).prop_map(|mut fields| {
        let mut seen = HashSet::new();
        fields.retain(|field: &Field| seen.insert((field.section, field.entry)));
        fields.sort_unstable();
        fields
    })
}

proptest! {
    #[test]
    fn a_field_is_reported_once_if_it_shares_a_byte_with_one_before_it(fields in fields()) {
        let mut found = Vec::new();
        findings::overlaps(&fields, &mut |finding| found.push(finding));
        let bytes = |field: &Field| field.offset..field.offset + u64::from(field.size);
        let shares = |a: &Field, b: &Field| a.target == b.target && bytes(a).any(|byte| bytes(b).contains(&byte));
        let mut expected = found.iter();
        for (at, field) in fields.iter().enumerate() {
            if !fields[..at].iter().any(|before| shares(before, field)) {
                continue;
            }
            let finding = expected.next().unwrap();
            prop_assert_eq!((finding.section, finding.entry), (Some(field.section), Some(field.entry)));
            prop_assert_eq!(finding.offset, field.offset);
            let other = |other: &&Field| {
                (Some(other.section), Some(other.entry)) == (finding.other_section, finding.other_entry)
            };
            let others: Vec<_> = fields[..at].iter().filter(other).filter(|other| shares(other, field)).collect();
            prop_assert!(!others.is_empty());
            let is_same = others.iter().any(|other| (other.offset, other.size) == (field.offset, field.size));
            prop_assert_eq!(finding.lint == Lint::RepeatedField, is_same);
        }
        prop_assert!(expected.next().is_none());
    }

    /// Any byte of the livepatch of `relakit demo` is changed: every section tells by itself what the file tells of it,
    /// but for what needs the other sections.
    #[test]
    fn a_section_tells_what_the_file_tells_of_it(at: proptest::sample::Index, bits in 1u8..) {
        let mut file = crate::real::demo();
        let at = at.index(file.len());
        file[at] ^= bits;
        let profile = Profile::LINUX_6_12;
        let Ok(module) = Module::parse(&file, profile) else { return Ok(()) };
        let whole = of_file(&file, profile);
        for index in 0..module.object().section_count() {
            let mut alone = Vec::new();
            findings::section(&module, index, profile.since, &mut |finding| alone.push(finding));
            let is_of_many = |rule| {
                matches!(
                    rule,
                    Lint::SharedSymbol
                        | Lint::ObjectNotPatched
                        | Lint::ObjectNameCase
                        | Lint::RepeatedField
                        | Lint::OverlappingFields
                )
            };
            let of_it = whole.iter().filter(|finding| finding.section == Some(index) && !is_of_many(finding.lint));
            alone.retain(|finding| finding.lint != Lint::ObjectNameCase);
            prop_assert!(of_it.eq(alone.iter()), "section {}", index);
            prop_assert!(alone.iter().all(|finding| finding.section == Some(index)));
        }
    }
}
