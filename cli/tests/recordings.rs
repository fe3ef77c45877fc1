//! Replays recordings of a real Linux kernel with `relakit apply`, and compares the memory.
//!
//! `testdata/README.md` describes the recordings. The small set in the repository is always
//! replayed. The full set (`RELAKIT_ORACLE`, or `shared/oracle` beside the repository) is replayed
//! if it exists.
#![expect(unreachable_pub, reason = "test code")]

#[cfg(test)]
#[path = "../../convert/tests/convert/apart.rs"]
#[expect(dead_code, reason = "the tests of the crate relakit-convert use the rest")]
#[expect(clippy::arithmetic_side_effects, reason = "test code")]
mod apart;
#[cfg(test)]
#[expect(dead_code, reason = "the tests in `cli` use the rest")]
mod reader;
#[cfg(test)]
mod replay;

use apart::{Form, take_apart};
use relakit_convert::{Map, NoSymbols, Request};
use replay::compare::{Difference, Image, differences, whole};
use replay::{LIVEPATCH, PLAIN, Report, klp, plain, roots, verify};

#[test]
fn distribution_modules_have_the_recorded_bytes() {
    let mut report = Report::new(PLAIN);
    for recording in roots().iter().flat_map(|root| root.recordings(PLAIN)) {
        plain::replay(&recording, &mut report);
    }
    report.finish();
}

#[test]
fn livepatches_have_the_recorded_bytes_after_each_step() {
    let mut report = Report::new(LIVEPATCH);
    for recording in roots().iter().flat_map(|root| root.recordings(LIVEPATCH)) {
        klp::replay(&recording, &mut report);
    }
    report.finish();
}

/// The early images and those after each late pass are the kernel's, too, if the livepatch is taken
/// apart and converted again.
#[test]
fn converted_livepatches_have_the_recorded_bytes_after_each_step() {
    let mut report = Report::new(LIVEPATCH);
    for form in [Form::Macro, Form::Map] {
        for recording in roots()[0].recordings(LIVEPATCH) {
            let file = reader::read(&replay::need(&recording.path, "module.ko"));
            let (apart, map) = take_apart(&file, form);
            let (profile, map) = (recording.profile(), Map::parse(map.as_bytes()).unwrap());
            let request = Request { profile, version: recording.version(), symbols: &NoSymbols, map: &map };
            let converted = relakit_convert::convert(&apart, &request).unwrap().bytes;
            assert!(converted != file, "{}", recording.name);
            let folder = tempfile::tempdir().unwrap();
            klp::replay(&recording.of_module(&converted, folder.path()), &mut report);
        }
    }
    report.finish();
}

#[test]
fn idle_livepatches_are_verified_and_one_flipped_byte_is_not() {
    let mut report = Report::new(LIVEPATCH);
    for recording in roots().iter().flat_map(|root| root.recordings(LIVEPATCH)) {
        verify::idle(&recording, &mut report);
    }
    report.finish();
}

#[test]
fn one_flipped_byte_is_reported_with_its_section_and_offset() {
    let small = &roots()[0];
    let recording =
        small.recordings(PLAIN).into_iter().find(|recording| recording.name == "mbcache").unwrap();
    let made = recording.layout.state("relocated");
    let spots = whole(&made);
    assert_eq!(differences(&made, &made, &spots), []);

    for (&section, bytes) in &made {
        for offset in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            let mut recorded = made.clone();
            recorded.get_mut(&section).unwrap()[offset] ^= 0x10;
            let found = differences(&recorded, &made, &spots);
            assert_eq!(found.len(), 1, "section {section} offset {offset:#x}: {found:?}");
            assert!(
                matches!(found[0], Difference::Bytes { section: s, offset: o, count: 1, .. } if (s, o) == (section, offset)),
                "section {section} offset {offset:#x}: {found:?}"
            );
            assert!(found[0].to_string().starts_with(&format!("section {section} offset {offset:#x}:")));
        }
    }
}

#[test]
fn a_section_that_is_missing_or_too_short_is_reported() {
    let recorded = Image::from([(3, vec![1, 2, 3, 4])]);
    let spots = whole(&recorded);
    let missing = differences(&recorded, &Image::new(), &spots);
    assert_eq!(missing, [Difference::Size { section: 3, recorded: 4, made: None }]);
    let short = differences(&recorded, &Image::from([(3, vec![1, 2, 3])]), &spots);
    assert_eq!(short, [Difference::Size { section: 3, recorded: 4, made: Some(3) }]);
}
