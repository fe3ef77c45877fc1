//! Both sides of every edge.

use crate::{names, of_file};
use relakit::Profile;
use relakit_model::image::{ALLOC, Builder, GLOBAL, LIVEPATCH, PROGBITS, R_64, REL, RELA, UNDEF, WEAK};

const LINUX: Profile = Profile::LINUX_6_12;
const EXEC: u64 = 4;

/// A livepatch of `object`: section 1 is patched, and a pointer leads to the object's name.
fn livepatch(object: &str) -> Builder {
    let mut builder = Builder::new();
    let data = builder.data(".data", 64);
    let text = [object.as_bytes(), b"\0"].concat();
    let strings = builder.section(".rodata.str1.1", PROGBITS, ALLOC, text);
    let string = builder.symbol("", 3, u16::try_from(strings).unwrap(), 0);
    builder.symbol("klp_enable_patch", GLOBAL, UNDEF, 0);
    builder.rela(data, &[(56, string, R_64, 0)]);
    builder
}

fn said(builder: &Builder) -> Vec<&'static str> {
    names(&of_file(&builder.build(), LINUX))
}

#[test]
fn a_module_that_names_an_object_and_enables_nothing_is_not_told_of_case() {
    let mut builder = livepatch("a");
    builder.symbols.pop();
    builder.klp("a", 1, &[]);
    assert_eq!(said(&builder), ["object-not-patched"]);
}

#[test]
fn rel_entries_are_no_broken_rela_entries() {
    for (kind, flags, bytes, expected) in [
        (REL, 0, 16, &["relocations-skipped"][..]),
        (REL, 0, 15, &["partial-entry"]),
        (REL, 0, 23, &["relocations-skipped", "partial-entry"]),
        (RELA, 0, 25, &["relocations-skipped", "partial-entry"]),
        (REL, ALLOC | LIVEPATCH, 25, &["klp-relocations-skipped", "partial-entry"]),
    ] {
        let mut builder = livepatch("a");
        let note = builder.section(".debug", PROGBITS, 0, vec![0; 64]);
        let klp = builder.klp("vmlinux", note, &[]);
        let section = builder.at(klp);
        (section.kind, section.flags, section.bytes) = (kind, flags, vec![0; bytes]);
        if flags == 0 {
            section.name = b".rel.debug".to_vec();
        }
        assert_eq!(said(&builder), expected, "{kind} {flags:#x} {bytes}");
    }
}

#[test]
fn ordinary_relocations_of_no_section_are_told_apart_from_those_of_one_that_is_not_kept() {
    let mut builder = livepatch("a");
    let rela = builder.rela(1, &[(0, 1, R_64, 0)]);
    builder.at(rela).info = builder.symtab_index() + 3;
    assert_eq!(said(&builder), ["target-out-of-range"]);
}

#[test]
fn a_static_variable_called_ko_is_no_suffix() {
    for (name, expected) in [
        (".klp.sym.a.ko.12,0", &[][..]),
        (".klp.sym.a.ko.f,0", &["object-name-dot"]),
        (".klp.sym.a.kof,0", &[]),
        (".klp.sym.a.ko,0", &[]),
    ] {
        let mut builder = livepatch("a");
        builder.klp_symbol(name);
        assert_eq!(said(&builder), expected, "{name}");
    }
}

#[test]
fn a_livepatch_symbols_name_wants_its_section_index() {
    for (name, shndx, expected) in [
        (".klp.sym.a.f,0", 0xff20, &[][..]),
        (".klp.sym.a.f,0", 0xfff1, &["klp-symbol-not-marked"]),
        (".klp.sym.a.f,0", UNDEF, &["klp-symbol-not-marked"]),
        (".klp.symbol", 0xfff1, &[]),
        (".klp.tombstone.f", 0xff20, &[]),
    ] {
        let mut builder = livepatch("a");
        builder.symbol(name, WEAK, shndx, 0);
        assert_eq!(said(&builder), expected, "{name} {shndx:#x}");
    }
}

#[test]
fn code_may_lead_further_beyond_a_section_than_data_and_any_distance_before_it() {
    for (flags, addend, is_far) in [
        (0, -16, false),
        (0, -17, true),
        (0, 64 + 16, false),
        (0, 64 + 17, true),
        (EXEC, -0x7000_0000, false),
        (EXEC, 64 + 8192, false),
        (EXEC, 64 + 8193, true),
    ] {
        let mut builder = livepatch("a");
        let target = builder.section(".more", PROGBITS, ALLOC | flags, vec![0; 8]);
        let data = builder.symbol("", 3, 1, 0);
        builder.rela(target, &[(0, data, R_64, addend)]);
        let expected: &[&str] = if is_far { &["beyond-section"] } else { &[] };
        assert_eq!(said(&builder), expected, "{flags} {addend}");
    }
}

#[test]
fn a_symbol_of_per_cpu_data_or_of_the_kernel_has_no_section_to_leave() {
    for (name, shndx) in [(".data..percpu", None), (".data.more", Some(UNDEF)), (".data.more", Some(0xfff1))]
    {
        let mut builder = livepatch("a");
        let other = builder.data(name, 8);
        let symbol = builder.symbol("x", GLOBAL, shndx.unwrap_or(u16::try_from(other).unwrap()), 0);
        let target = builder.data(".pointers", 8);
        builder.rela(target, &[(0, symbol, R_64, 0x10_0000)]);
        assert_eq!(said(&builder), [""; 0], "{name} {shndx:?}");
    }
}
