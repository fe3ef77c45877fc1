//! What fuzzers would not guess: names and numbers of the formats, as entries of a libFuzzer
//! dictionary.

use relakit::abi::{
    EHDR_SIZE, ELF_MAGIC, ELFCLASS64, ELFDATA2LSB, ET_REL, EV_CURRENT, KLP_ARCH_PREFIX, KLP_RELA_PREFIX,
    KLP_SYM_PREFIX, OBJECT_NAME_MAX, RELA_SIZE, SHDR_SIZE, SHN_ABS, SHN_COMMON, SHN_LIVEPATCH, SHN_LORESERVE,
    SHN_XINDEX, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX, STB_GLOBAL, STB_WEAK, SYM_SIZE, VMLINUX,
};
use relakit::arch::MACHINE;
use relakit::elf::SectionFlags;
use relakit::reloc::HOWTOS;
use relakit::{Profile, UNASSIGNED};
use relakit_linux::special;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The dictionary. Every entry once.
pub fn text() -> String {
    let mut entries = BTreeSet::new();
    let mut add = |bytes: &[u8]| _ = entries.insert(bytes.to_vec());
    for bytes in [&ELF_MAGIC[..], KLP_RELA_PREFIX, KLP_SYM_PREFIX, KLP_ARCH_PREFIX, VMLINUX] {
        add(bytes);
    }
    add(&[ELFCLASS64, ELFDATA2LSB, EV_CURRENT]);
    add(&[KLP_RELA_PREFIX, VMLINUX, b"."].concat());
    add(&[KLP_SYM_PREFIX, VMLINUX, b"."].concat());
    for position in [&b",0"[..], b",1", b",2", b",18446744073709551615", b",18446744073709551616"] {
        add(position);
    }
    add(&[b'o'; OBJECT_NAME_MAX]);
    add(&[b'o'; OBJECT_NAME_MAX + 1]);
    for profile in Profile::LINUX {
        add(&b"s".repeat(profile.symbol_name_max));
        profile.dropped().iter().for_each(|name| add(name));
    }
    for special in special::SPECIALS {
        add(special.name.as_bytes());
    }
    for number in [ET_REL, MACHINE, SHN_LORESERVE, SHN_LIVEPATCH, SHN_ABS, SHN_COMMON, SHN_XINDEX] {
        add(&number.to_le_bytes());
    }
    let types =
        [SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_SYMTAB_SHNDX];
    types
        .iter()
        .chain(HOWTOS.iter().map(|howto| &howto.r_type))
        .for_each(|number| add(&number.to_le_bytes()));
    for flag in SectionFlags::all().iter() {
        add(&flag.bits().to_le_bytes());
    }
    add(&(SectionFlags::ALLOC | SectionFlags::RELA_LIVEPATCH).bits().to_le_bytes());
    add(&UNASSIGNED.to_le_bytes());
    for size in [EHDR_SIZE, SHDR_SIZE, SYM_SIZE, RELA_SIZE] {
        add(&(size as u64).to_le_bytes());
    }
    add(&[STB_GLOBAL << 4]);
    add(&[STB_WEAK << 4]);
    for edge in [i64::MAX, i64::MIN, -1, i64::from(i32::MAX), i64::from(i32::MIN), i64::from(u32::MAX)] {
        add(&edge.to_le_bytes());
    }

    let mut text =
        String::from("# Made by `cargo run --manifest-path fuzz/Cargo.toml --example dictionary`.\n");
    for entry in entries {
        let quoted = entry.iter().map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            b' '..=b'~' => char::from(*byte).to_string(),
            other => format!("\\x{other:02x}"),
        });
        _ = writeln!(text, "\"{}\"", quoted.collect::<String>());
    }
    text
}
