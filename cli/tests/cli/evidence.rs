//! What is compared with the kernel: Module.symvers, vermagic, and `struct module` of a target.

use super::elf::{PROGBITS, Section, section, this_module, with_modinfo};
use super::help::{Folder, json};
use serde_json::Value;

/// A module that imports `f`, with entries of .modinfo and more sections.
fn importer(modinfo: &[&str], more: Vec<Section>) -> Vec<u8> {
    let modinfo: String = modinfo.iter().map(|entry| format!("{entry}\0")).collect();
    with_modinfo(this_module("evil"), &modinfo, more, &[("f", 0, 0)])
}

/// `__versions` with one entry.
fn versions(crc: u32, name: &str) -> Vec<Section> {
    let mut entry = u64::from(crc).to_le_bytes().to_vec();
    entry.extend_from_slice(name.as_bytes());
    entry.resize(64, 0);
    vec![section("__versions", PROGBITS, 2, entry)]
}

fn check(module: &[u8], symvers: &str, arguments: &str) -> Value {
    let folder = Folder::new();
    folder.write("evil.ko", module);
    folder.write("Module.symvers", symvers.as_bytes());
    let command = format!("check evil.ko --symbols Module.symvers --format json {arguments}");
    json(&folder.relakit(&command).output().unwrap())
}

/// Verdict, errno and kind of the first error.
fn verdict(report: &Value) -> (&str, &str, &str) {
    let text = |value: &'static str| report[value].as_str().unwrap_or_default();
    (text("verdict"), text("errno"), report["errors"][0]["kind"].as_str().unwrap_or_default())
}

const ACCEPTED: (&str, &str, &str) = ("accepted", "", "");

#[test]
fn a_gpl_only_symbol_needs_a_gpl_compatible_license() {
    let (gpl, any) = ("0x1\tf\tvmlinux\tEXPORT_SYMBOL_GPL\t\n", "0x1\tf\tvmlinux\tEXPORT_SYMBOL\t\n");
    let symvers = |row: &str| row.replace("0x1\t", "0x00000001\t");
    for (license, row, expected) in [
        ("license=GPL", gpl, ACCEPTED),
        ("license=Dual BSD/GPL", gpl, ACCEPTED),
        ("license=GPL v3", gpl, ("rejected", "ENOENT", "GplOnly")),
        ("author=somebody", gpl, ("rejected", "ENOENT", "GplOnly")),
        ("license=Proprietary", any, ACCEPTED),
    ] {
        let report = check(&importer(&[license], vec![]), &symvers(row), "--kernel 6.12");
        assert_eq!(verdict(&report), expected, "{license}: {report:#}");
    }
}

#[test]
fn a_namespace_must_be_imported_or_name_the_module() {
    let refused = ("rejected", "EINVAL", "NamespaceNotImported");
    for (namespace, import, expected) in [
        ("NS", "import_ns=NS", ACCEPTED),
        ("NS", "import_ns=N", refused),
        ("NS", "alias=NS", refused),
        ("module:evil", "alias=x", ACCEPTED),
        ("module:good,evil", "alias=x", ACCEPTED),
        ("module:ev*", "alias=x", ACCEPTED),
        ("module:evi", "alias=x", refused),
        ("module:evil", "import_ns=module:evil", ("rejected", "EPERM", "ImportsModuleNamespace")),
    ] {
        let symvers = format!("0x00000001\tf\tvmlinux\tEXPORT_SYMBOL_GPL\t{namespace}\n");
        let report = check(&importer(&["license=GPL", import], vec![]), &symvers, "--kernel 7.3");
        assert_eq!(verdict(&report), expected, "{namespace} {import}: {report:#}");
    }
}

#[test]
fn in_a_namespace_of_modules_a_hyphen_is_an_underscore() {
    let symvers = "0x00000001\tf\tvmlinux\tEXPORT_SYMBOL\tmodule:kvm-amd\n";
    let module = with_modinfo(this_module("kvm_amd"), "license=GPL\0", vec![], &[("f", 0, 0)]);
    assert_eq!(verdict(&check(&module, symvers, "--kernel 7.3")), ACCEPTED);
}

#[test]
fn a_crc_must_be_that_of_the_kernel_if_the_module_has_crcs() {
    let symvers = "0x12345678\tf\tvmlinux\tEXPORT_SYMBOL\t\n";
    let refused = ("rejected", "EINVAL", "SymbolVersion");
    for (more, expected) in [
        (versions(0x1234_5678, "f"), ACCEPTED),
        (versions(0x1234_5679, "f"), refused),
        (versions(0x1234_5678, "g"), refused),
        (vec![], ACCEPTED),
    ] {
        let report = check(&importer(&["license=GPL"], more), symvers, "--kernel 6.12");
        assert_eq!(verdict(&report), expected, "{report:#}");
    }
    let layout = format!("{symvers}0x00000002\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
    let report = check(&importer(&["license=GPL"], versions(0x1234_5678, "f")), &layout, "--kernel 6.12");
    assert_eq!(verdict(&report), ("rejected", "ENOEXEC", "LayoutVersion"));
}

#[test]
fn a_module_for_another_release_is_refused_without_crcs_and_reported_with_them() {
    let symvers = "0x12345678\tf\tvmlinux\tEXPORT_SYMBOL\t\n";
    let built = ["license=GPL", "vermagic=6.12.1-a SMP mod_unload "];
    let rules = |report: &Value| report["findings"].as_array().unwrap().len();
    let refused = ("rejected", "ENOEXEC", "VersionMagic");
    for (kernel, without, findings) in [
        ("--kernel 6.12", ACCEPTED, 0),
        ("--kernel 6.12.1-a", ACCEPTED, 0),
        ("--kernel 6.12.1-b", refused, 0),
        ("--kernel 6.1", refused, 1),
    ] {
        let report = check(&importer(&built, vec![]), symvers, kernel);
        assert_eq!(verdict(&report), without, "{kernel}: {report:#}");
        let report = check(&importer(&built, versions(0x1234_5678, "f")), symvers, kernel);
        assert_eq!((verdict(&report), rules(&report)), (ACCEPTED, findings), "{kernel}: {report:#}");
    }
}

#[test]
fn struct_module_has_the_size_of_that_of_a_target() {
    let folder = Folder::new();
    let sized = |name: &str, size: usize| {
        let mut bytes = this_module(name);
        bytes.resize(size, 0);
        with_modinfo(bytes, "license=GPL\0", vec![], &[])
    };
    folder.write("other.ko", sized("other", 1280));
    folder.write("Module.symvers", b"0x12345678\tf\tvmlinux\tEXPORT_SYMBOL\t\n");
    for (size, kernel, expected, findings) in [
        (1280, "6.12", ACCEPTED, 0),
        (1216, "6.12", ("rejected", "ENOEXEC", "ThisModuleSize"), 0),
        (1280, "6.1", ACCEPTED, 0),
        (1216, "6.1", ACCEPTED, 1),
    ] {
        folder.write("evil.ko", sized("evil", size));
        let command = format!(
            "check evil.ko --symbols Module.symvers --target other.ko --kernel {kernel} --format json"
        );
        let report = json(&folder.relakit(&command).output().unwrap());
        let found = report["findings"].as_array().unwrap().len();
        assert_eq!((verdict(&report), found), (expected, findings), "{size} {kernel}: {report:#}");
    }
}
