//! Every seed of every target runs without a finding, on stable Rust and without a fuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.sort();
    let fails = |data: &[u8]| catch_unwind(AssertUnwindSafe(|| run(data))).is_err();
    let failed: Vec<_> = seeds.iter().filter(|seed| fails(&std::fs::read(seed).unwrap())).collect();
    assert!(failed.is_empty(), "{} of {} seeds: {failed:#?}", failed.len(), seeds.len());
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), relakit_fuzz::$target::run);
        })*

        #[test]
        fn every_target_is_replayed() {
            let manifest = include_str!("../Cargo.toml");
            let targets = manifest.split("[[bin]]").skip(1).map(|bin| bin.split('"').nth(1).unwrap());
            assert_eq!(targets.collect::<Vec<_>>(), [$(stringify!($target)),*]);
        }
    };
}

targets!(parse classify apply module check ffi index differential verify);
