//! Objects to start from.

use crate::common::{Builder, File, Section, SectionMemory, Sym};
use relakit::abi;
use relakit::elf::Rela;

/// A small livepatch: every table that relakit reads, and a symbol of each kind.
pub fn livepatch() -> Builder {
    let mut builder = Builder::new();
    let text = builder.section(Section { flags: 6, align: 16, ..Section::alloc(".text", &[0x90; 40]) });
    let data = builder.section(Section { flags: 3, align: 8, ..Section::alloc(".data", &[0; 17]) });
    let bss = Section { kind: abi::SHT_NOBITS, size: Some(0x1000), flags: 3, ..Section::default() };
    builder.section(Section { name: b".bss".into(), ..bss });
    builder.symbol(Sym { info: 3, place: SectionMemory::In(text), ..Sym::default() });
    let defined =
        builder.symbol(Sym { info: 0x12, size: 8, ..Sym::global("patched", SectionMemory::In(text), 16) });
    let wanted = builder.symbol(Sym::global("printk", SectionMemory::Raw(abi::SHN_UNDEF), 0));
    let early = SectionMemory::Raw(abi::SHN_LIVEPATCH);
    let early = builder.symbol(Sym::global(".klp.sym.vmlinux.secret,0", early, 0));
    let late =
        builder.symbol(Sym::global(".klp.sym.target.hidden,2", SectionMemory::Raw(abi::SHN_LIVEPATCH), 0));
    builder.symbol(Sym::global("absolute", SectionMemory::Raw(abi::SHN_ABS), 0x1234));
    builder.symbol(Sym { other: 2, ..Sym::global("common", SectionMemory::Raw(abi::SHN_COMMON), 8) });
    let rela =
        |offset, symbol, r_type, addend| Rela { r_offset: offset, r_sym: symbol, r_type, r_addend: addend };
    let ordinary = [rela(1, wanted, 4, -4), rela(8, defined, 2, -4)];
    builder.section(Section::rela(".rela.text", text, 0x40, &ordinary));
    builder.section(Section::rela(".klp.rela.vmlinux..text", text, 0x10_0042, &[rela(16, early, 2, -4)]));
    builder.section(Section::rela(".klp.rela.target..data", data, 0x10_0042, &[rela(8, late, 1, 7)]));
    builder.section(Section { flags: 0x30, ..Section::alloc(".modinfo", b"livepatch=Y\0license=GPL\0") });
    builder
}

/// The livepatch as a file; section numbers: 1 .text, 2 .data, 3 .bss, 4 .rela.text, 5 and 6 livepatch, 7 .modinfo.
pub fn file() -> File {
    livepatch().build()
}
