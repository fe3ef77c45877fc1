//! Any file in any memory: no panic, no read outside of a section, and a number of reads that is
//! linear.

use super::{Running, Symbols, running, sorted};
use crate::module::Bytes;
use crate::module::mutated::{Hashed, world};
use relakit::verify::Difference;
use relakit::{ErrorKind, Module};
use relakit_linux::verify::{Kernel, Mismatch, PatchSite, allowed_patch, patch_sites, verify};
use relakit_model::world::{Faults, Names};

/// Bytes of an input before the file.
const HEAD: usize = 32;

/// Runs one input.
pub(super) fn run(bytes: &mut Bytes<'_>, data: &[u8]) {
    let Some(file) = data.get(HEAD..) else { return };
    let (profile, version) = (crate::profiles::of(bytes.byte()), bytes.of(&super::plan::VERSIONS));
    let Ok(module) = Module::parse(file, profile) else { return };
    let faults = Faults::default();
    let names = &mut Names { answers: Hashed { seed: 0 }, errors: &faults };
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let mut expected = world(&module, &faults);
    let Ok(assigned) = module.assign(&mut expected) else { return };
    assigned.fill().unwrap();
    let early = module.assign(&mut expected).unwrap().assume_filled().early(&mut values, names);
    let Ok(loaded) = early else { return };
    let mut found = expected.clone();
    for _ in 0..4 {
        let section = bytes.below(found.spots.len().min(256));
        let size = found.spots[section].bytes.len();
        let at = usize::from(u16::from_le_bytes([bytes.byte(), bytes.byte()]));
        let count = 1 << bytes.below(8);
        let step = bytes.byte();
        if size != 0 {
            let noise = found.spots[section].bytes.iter_mut().skip(at % size).take(count);
            noise.enumerate().for_each(|(at, byte)| *byte ^= step.wrapping_mul(at as u8 | 1));
        }
    }
    let places = sorted(&module, &expected);
    let mut symbols = Symbols;
    let mut kernel = Kernel::new(version, &mut symbols);
    let (mut copy, mut reader, mut seen) = (expected.clone(), Running::new(&found), Vec::new());
    let report = &mut |mismatch: &Mismatch| seen.push(*mismatch);
    let verified = verify(&loaded, &mut copy, &mut reader, &mut kernel, &places, report).unwrap();
    reader.is_linear(&module);
    assert_eq!(verified.mismatches, seen.len() as u64);
    seen.iter().for_each(|mismatch| is_there(&mismatch.difference, &found));
    let total: usize = found.spots.iter().map(|spot| spot.bytes.len()).sum();
    assert!(verified.bytes + verified.not_judged <= total as u64);
    // A reader that fails is an error.
    let fails = 1 + bytes.below(8);
    let (mut copy, mut reader) = (expected.clone(), Running::failing(&found, fails));
    if let Err(error) = verify(&loaded, &mut copy, &mut reader, &mut kernel, &places, &mut |_| ()) {
        assert_eq!((error.kind, error.value), (ErrorKind::Reader, i64::from(running::FAILED) as u64));
        assert!(error.section.is_some_and(|section| found.spots[section as usize].is_placed));
    }
    let mut sites: Vec<PatchSite> = Vec::new();
    patch_sites(&loaded, &mut expected.clone(), version, &places, &mut |site| sites.push(site));
    sites.sort_unstable();
    for site in sites.iter().take(8) {
        let spot = &found.spots[site.code as usize];
        assert_eq!(site.address, spot.address + site.offset);
        assert!(site.offset + site.size <= spot.bytes.len() as u64);
        let (at, write) = (site.address + u64::from(bytes.byte() & 7), [bytes.byte(), bytes.byte()]);
        let mut copy = expected.clone();
        let reader = &mut Running::new(&found);
        allowed_patch(&loaded, &mut copy, reader, &mut kernel, &sites, at, &write).unwrap();
        assert!(copy.is(&expected.image()), "asking changes nothing");
    }
}

/// A difference is about bytes that are there.
fn is_there(difference: &Difference, found: &relakit_model::world::World<'_>) {
    let spot = &found.spots[difference.section as usize];
    assert_eq!(difference.address, spot.address + difference.offset);
    assert!(difference.size != 0 && difference.offset + difference.size <= spot.bytes.len() as u64);
    let start = usize::try_from(difference.offset).unwrap();
    let found = difference.found.as_slice();
    assert!(spot.bytes[start..].starts_with(found), "what was found");
}
