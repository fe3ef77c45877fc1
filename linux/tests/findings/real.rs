//! What is said of real modules.

use crate::{names, of_file, recorded};
use relakit::{Module, Profile};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn explore() {
    for folder in ["klp-6.12", "plain-6.1"] {
        for entry in std::fs::read_dir(root().join("testdata/recordings").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let file = recorded::read(&path.join("module.ko"));
                println!("{} {:?}", path.display(), names(&of_file(&file, Profile::LINUX_6_12)));
            }
        }
    }
    println!(
        "demo {:?}",
        names(&of_file(&std::fs::read(root().join("cli/demo/livepatch.ko")).unwrap(), Profile::LINUX_6_12))
    );
    for oracle in recorded::oracles() {
        for case in recorded::cases(&oracle) {
            if Module::parse(&case.file, Profile::LINUX_6_12).is_ok() {
                println!(
                    "CASE {} {} {:?}",
                    case.name,
                    case.verdict,
                    names(&of_file(&case.file, Profile::LINUX_6_12))
                );
            } else {
                println!("CASE {} {} unparsed", case.name, case.verdict);
            }
        }
    }
}

/// The livepatch of `relakit demo`.
pub fn demo() -> Vec<u8> {
    std::fs::read(root().join("cli/demo/livepatch.ko")).unwrap()
}
