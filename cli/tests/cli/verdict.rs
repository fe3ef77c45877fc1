//! Verdicts that depend on more than the file.

use super::elf::{DATA, SHN_ABS, Section, THIS_MODULE, module, module_with, relocations};
use super::help::{Folder, json};
use serde_json::Value;

fn check(file: &[u8]) -> Value {
    let folder = Folder::new();
    folder.write("evil.ko", file);
    json(&folder.relakit("check evil.ko --symbols symbols.txt --format json").output().unwrap())
}

/// One relocation of `struct module`.
fn into_this_module(offset: u64, r_type: u32) -> Vec<Section> {
    let entry = std::iter::once((offset, r_type, 1));
    vec![relocations(".rela.gnu.linkonce.this_module", 0x40, THIS_MODULE, entry)]
}

#[test]
fn the_beginning_of_struct_module_is_not_zero_at_relocation() {
    const R_X86_64_64: u32 = 1;
    const R_X86_64_32: u32 = 10;
    let symbols = [("value", SHN_ABS, 0x1234)];
    // The first byte of `state` is 3. `list` is at 8 to 23. The name at 24 is that of the file.
    for (r_type, offset, accepted) in [
        (R_X86_64_32, 0, false),
        (R_X86_64_32, 1, true),
        (R_X86_64_32, 4, true),
        (R_X86_64_32, 5, false),
        (R_X86_64_32, 8, false),
        (R_X86_64_32, 20, false),
        (R_X86_64_32, 23, false),
        (R_X86_64_32, 24, false),
        (R_X86_64_32, 28, true),
        (R_X86_64_64, 0, false),
        (R_X86_64_64, 1, false),
        (R_X86_64_64, 7, false),
        (R_X86_64_64, 8, false),
        (R_X86_64_64, 16, false),
        (R_X86_64_64, 23, false),
        (R_X86_64_64, 24, false),
        (R_X86_64_64, 28, true),
        (R_X86_64_64, 80, true),
        (R_X86_64_64, 0x138, true),
        (R_X86_64_64, 1272, true),
    ] {
        let report = check(&module(into_this_module(offset, r_type), &symbols));
        let expected = if accepted { ("accepted", Value::Null) } else { ("rejected", "ENOEXEC".into()) };
        let given = (report["verdict"].as_str().unwrap(), report["errno"].clone());
        assert_eq!(given, expected, "type {r_type} at {offset}: {report:#}");
        assert_eq!(report["errors"].as_array().unwrap().len(), usize::from(!accepted), "{report:#}");
    }
}

#[test]
fn a_short_struct_module_has_the_bytes_of_the_file() {
    let symbols = [("value", SHN_ABS, 0x1234)];
    for (size, verdict) in [(23, "accepted"), (24, "rejected")] {
        let report = check(&module_with(vec![0; size], into_this_module(8, 1), &symbols));
        assert_eq!(report["verdict"], verdict, "{size}: {report:#}");
    }
}

#[test]
fn another_section_has_the_bytes_of_the_file() {
    let data = super::elf::section(".data", super::elf::PROGBITS, DATA, vec![0; 64]);
    let entry = std::iter::once((8, 1, 1));
    let file = module(
        vec![data, relocations(".rela.data", 0x40, super::elf::FIRST, entry)],
        &[("value", SHN_ABS, 0x1234)],
    );
    assert_eq!(check(&file)["verdict"], "accepted");
}

#[test]
fn an_alignment_that_linux_truncates_to_zero_is_not_accepted() {
    // Linux aligns the offset in the memory of the group, which has about 1 GiB.
    for (align, accepted) in [
        (0, true),
        (0x1000, true),
        (0x20_0000, true),
        (0x1000_0000, true),
        (0x8000_0000, false),
        (0x1_0000_0000, false),
        (1 << 63, false),
    ] {
        let data = super::elf::section(".data", super::elf::PROGBITS, DATA, vec![0; 64]);
        let aligned = Section { name: ".aligned".to_owned(), align: Some(align), ..data.clone() };
        let report = check(&module(vec![data, aligned], &[]));
        let verdict = if accepted { "accepted" } else { "not judged" };
        assert_eq!(report["verdict"], verdict, "{align:#x}: {report:#}");
    }
}
