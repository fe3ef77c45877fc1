//! The layout of every struct of the header, which is ABI. Structs that begin with struct_size can
//! grow at their end; the others never change. The numbers are those of hosts of 64 bits.

use crate::pointers::Versioned;
use crate::{
    arena::*, describe::*, findings::*, got::*, image::*, index::*, klp_names::*, memory::*, patch_sites::*,
    plan::*, resolver::*, types::*, verifier::*,
};
use core::mem::{align_of, offset_of, size_of};

/// Returns the size of a member.
const fn size_of_member<S, M>(_: fn(&S) -> &M) -> usize {
    size_of::<M>()
}

/// The structs that can grow, each with the last member of its first version.
macro_rules! versioned {
    ($($name:ident $last:ident),* $(,)?) => {$(
        const _: () = assert!(offset_of!($name, struct_size) == 0);

        // SAFETY: all structs of the header are `repr(C)`, and this one begins with struct_size.
        // Its members are numbers, raw pointers, and callbacks that may be NULL: zeros are valid,
        // and so is every value that the caller can write.
        unsafe impl Versioned for $name {
            const FIRST: usize =
                offset_of!($name, $last).saturating_add(size_of_member(|all: &$name| &all.$last));
        }
    )*};
}

versioned!(
    relakit_options reserved,
    relakit_writer sync,
    relakit_resolver nth_symbol,
    relakit_got address,
    relakit_memory writer,
    relakit_sechdrs strtab_size,
    relakit_layout groups,
    relakit_module_info reserved,
    relakit_section sh_info,
    relakit_symbol st_size,
    relakit_special rewrites_code,
    relakit_name_table strings_size,
    relakit_klp_section_name section_len,
    relakit_klp_symbol_name trailing,
    relakit_verified differences,
    relakit_verifier policies,
);

macro_rules! layout {
    ($name:ident, $size:literal: $($field:ident $offset:literal),*) => {
        const _: () = if size_of::<usize>() == 8 {
            assert!(size_of::<$name>() == $size && align_of::<$name>() <= 8);
            $(assert!(offset_of!($name, $field) == $offset);)*
        };
    };
}

layout!(relakit_options, 16: struct_size 0, flags 4, profile 8, reserved 12);
layout!(relakit_error, 64: status 0, linux_errno 4, has 8, section 12, symbol 16, r_type 20, entry 24, offset 32,
    value 40, limit 48, reserved 56);
layout!(relakit_symbols, 40: values 0, symtab 8, count 16, value 24, ctx 32);
layout!(relakit_writer, 40: struct_size 0, flags 4, ctx 8, read 16, write 24, sync 32);
layout!(relakit_resolver, 32: struct_size 0, flags 4, ctx 8, exported 16, nth_symbol 24);
layout!(relakit_target, 32: bytes 0, size 8, address 16, writer 24);
layout!(relakit_got, 32: struct_size 0, flags 4, plan 8, count 16, address 24);
layout!(relakit_got_section, 24: section 0, group 4, size 8, align 16);
layout!(relakit_section_memory, 40: flags 0, reserved 4, bytes 8, size 16, address 24, symbols_at 32);
layout!(relakit_memory, 32: struct_size 0, flags 4, sections 8, count 16, writer 24);
layout!(relakit_sechdrs, 56: struct_size 0, flags 4, sechdrs 8, section_count 16, symindex 20, shstrtab 24,
    shstrtab_size 32, strtab 40, strtab_size 48);
layout!(relakit_group, 16: offset 0, size 8);
layout!(relakit_layout, 136: struct_size 0, reserved 4, size 8, align 16, groups 24);
layout!(relakit_module_info, 24: struct_size 0, section_count 4, symbol_count 8, symbols_section 12,
    per_cpu_section 16, reserved 20);
layout!(relakit_section, 104: struct_size 0, flags 4, sh_type 8, section_class 12, target 16, status 20, reason 24, name 32,
    name_len 40, object 48, object_len 56, content 64, sh_size 72, sh_addralign 80, sh_flags 88, sh_link 96, sh_info 100);
layout!(relakit_symbol, 48: struct_size 0, st_shndx 4, st_info 8, index 12, name 16, name_len 24, st_value 32, st_size 40);
layout!(relakit_special, 16: struct_size 0, read_at 4, entry_size 8, rewrites_code 12);
layout!(relakit_finding, 64: lint 0, severity 4, has 8, section 12, symbol 16, other_section 20, entry 24, other_entry 32,
    offset 40, value 48, limit 56);
layout!(relakit_name_table, 48: struct_size 0, flags 4, first 8, stride 16, count 24, strings 32, strings_size 40);
layout!(relakit_klp_section_name, 40: struct_size 0, is_early 4, object 8, object_len 16, section 24,
    section_len 32);
layout!(relakit_klp_symbol_name, 56: struct_size 0, is_vmlinux 4, object 8, object_len 16, name 24, name_len 32,
    sympos 40, trailing 48);
layout!(relakit_difference, 112: cause 0, section 4, offset 8, address 16, size 24, other_section 32, r_type 36, entry 40,
    symbol 48, role 52, leads_to 56, expected_value 64, seen 72, shown 76, expected 80, found 96);
layout!(relakit_verified, 40: struct_size 0, reserved 4, bytes 8, flexible 16, not_judged 24, differences 32);
layout!(relakit_verifier, 80: struct_size 0, flags 4, ctx 8, read 16, report 24, symbol 32, is_target 40, policies 48);
layout!(relakit_patch_site, 48: address 0, offset 8, size 16, entry 24, code 32, section 36, role 40, reserved 44);
