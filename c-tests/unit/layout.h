/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ABI in numbers: what a program that was compiled once relies on for ever. It is checked by compiling, as C of every
 * year and as C++.
 */

#ifndef LAYOUT_H
#define LAYOUT_H

#include "relakit.h"

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
#if defined(__cplusplus)
#define ALWAYS(that) static_assert(that, #that)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L
#define ALWAYS(that) static_assert(that, #that)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ALWAYS(that) _Static_assert(that, #that)
#else
/* An array of -1 elements. */
#define ALWAYS(that) extern char GLUE(always_, __LINE__)[(that) ? 1 : -1]
#endif

/* The offset of every member, as in ffi/src/layout.rs. */
#define LAYOUT(size, members) ALWAYS(sizeof(STRUCT) == size members)
#define AT(member, offset) && offsetof(STRUCT, member) == offset

#define STRUCT struct relakit_options
LAYOUT(16, AT(struct_size, 0) AT(flags, 4) AT(profile, 8) AT(reserved, 12));
#undef STRUCT

#define STRUCT struct relakit_error
LAYOUT(64, AT(status, 0) AT(linux_errno, 4) AT(has, 8) AT(section, 12) AT(symbol, 16) AT(r_type, 20)
       AT(entry, 24) AT(offset, 32) AT(value, 40) AT(limit, 48) AT(reserved, 56));
#undef STRUCT

#define STRUCT struct relakit_symbols
LAYOUT(40, AT(values, 0) AT(symtab, 8) AT(count, 16) AT(value, 24) AT(ctx, 32));
#undef STRUCT

#define STRUCT struct relakit_writer
LAYOUT(40, AT(struct_size, 0) AT(flags, 4) AT(ctx, 8) AT(read, 16) AT(write, 24) AT(sync, 32));
#undef STRUCT

#define STRUCT struct relakit_resolver
LAYOUT(32, AT(struct_size, 0) AT(flags, 4) AT(ctx, 8) AT(exported, 16) AT(nth_symbol, 24));
#undef STRUCT

#define STRUCT struct relakit_target
LAYOUT(32, AT(bytes, 0) AT(size, 8) AT(address, 16) AT(writer, 24));
#undef STRUCT

#define STRUCT struct relakit_section_memory
LAYOUT(40, AT(flags, 0) AT(reserved, 4) AT(bytes, 8) AT(size, 16) AT(address, 24)
       AT(symbols_at, 32));
#undef STRUCT

#define STRUCT struct relakit_memory
LAYOUT(32, AT(struct_size, 0) AT(flags, 4) AT(sections, 8) AT(count, 16) AT(writer, 24));
#undef STRUCT

#define STRUCT struct relakit_sechdrs
LAYOUT(56, AT(struct_size, 0) AT(flags, 4) AT(sechdrs, 8) AT(section_count, 16) AT(symindex, 20)
       AT(shstrtab, 24) AT(shstrtab_size, 32) AT(strtab, 40) AT(strtab_size, 48));
#undef STRUCT

#define STRUCT struct relakit_group
LAYOUT(16, AT(offset, 0) AT(size, 8));
#undef STRUCT

#define STRUCT struct relakit_layout
LAYOUT(136, AT(struct_size, 0) AT(reserved, 4) AT(size, 8) AT(align, 16) AT(groups, 24));
#undef STRUCT

#define STRUCT struct relakit_module_info
LAYOUT(24, AT(struct_size, 0) AT(section_count, 4) AT(symbol_count, 8) AT(symbols_section, 12)
       AT(per_cpu_section, 16) AT(reserved, 20));
#undef STRUCT

#define STRUCT struct relakit_section
LAYOUT(104, AT(struct_size, 0) AT(flags, 4) AT(sh_type, 8) AT(section_class, 12) AT(target, 16)
       AT(status, 20) AT(reason, 24) AT(name, 32) AT(name_len, 40) AT(object, 48) AT(object_len, 56)
       AT(content, 64) AT(sh_size, 72) AT(sh_addralign, 80) AT(sh_flags, 88) AT(sh_link, 96) AT(sh_info, 100));
#undef STRUCT

#define STRUCT struct relakit_symbol
LAYOUT(48, AT(struct_size, 0) AT(st_shndx, 4) AT(st_info, 8) AT(index, 12) AT(name, 16)
       AT(name_len, 24) AT(st_value, 32) AT(st_size, 40));
#undef STRUCT

#define STRUCT struct relakit_special
LAYOUT(16, AT(struct_size, 0) AT(read_at, 4) AT(entry_size, 8) AT(rewrites_code, 12));
#undef STRUCT

#define STRUCT struct relakit_klp_section_name
LAYOUT(40, AT(struct_size, 0) AT(is_early, 4) AT(object, 8) AT(object_len, 16) AT(section, 24)
       AT(section_len, 32));
#undef STRUCT

#define STRUCT struct relakit_klp_symbol_name
LAYOUT(56, AT(struct_size, 0) AT(is_vmlinux, 4) AT(object, 8) AT(object_len, 16) AT(name, 24)
       AT(name_len, 32) AT(sympos, 40) AT(trailing, 48));
#undef STRUCT

#define STRUCT struct relakit_finding
LAYOUT(64, AT(lint, 0) AT(severity, 4) AT(has, 8) AT(section, 12) AT(symbol, 16)
       AT(other_section, 20) AT(entry, 24) AT(other_entry, 32) AT(offset, 40) AT(value, 48)
       AT(limit, 56));
#undef STRUCT

#define STRUCT struct relakit_name_table
LAYOUT(48, AT(struct_size, 0) AT(flags, 4) AT(first, 8) AT(stride, 16) AT(count, 24) AT(strings, 32)
       AT(strings_size, 40));
#undef STRUCT


/* A status is a signed 32-bit number. */
ALWAYS(sizeof(relakit_status) == 4);
ALWAYS((relakit_status)-1 < 0);

/* Numbers that are not statuses; those are in names.c. */
ALWAYS(RELAKIT_OPT_TRUNCATE_PC32 == 1 && RELAKIT_OPT_ALLOW_NONZERO == 2);
ALWAYS(RELAKIT_OPT_REPORT_NONZERO_FIRST == 4 && RELAKIT_OPT_EXTRA_TYPES == 8 && RELAKIT_OPT_ALLOW_ZERO_SYMBOLS == 16);
ALWAYS(RELAKIT_OPT_ADD_TO_FIELD == 32);
ALWAYS(RELAKIT_WRITER_FOREIGN == 0x100 && RELAKIT_UNASSIGNED == 0x5ec7100000000000);
ALWAYS(RELAKIT_PROFILE_DEFAULT == 0 && RELAKIT_PROFILE_ELF == 0x80000001 && RELAKIT_PROFILE_XEN == 0x80000002);
ALWAYS(RELAKIT_PROFILE_GRUB == 0x80000003 && RELAKIT_PROFILE_FREEBSD == 0x80000004);
ALWAYS(RELAKIT_PROFILE_KEXEC == 0x80000005);
ALWAYS(RELAKIT_LINUX(5, 8) == 0x50008 && RELAKIT_LINUX(6, 12) == 0x6000c);
ALWAYS(RELAKIT_LINUX(65535, 65535) == 0xffffffff);
ALWAYS(RELAKIT_SHF_RELA_LIVEPATCH == 0x100000 && RELAKIT_SHN_LIVEPATCH == 0xff20);
ALWAYS(RELAKIT_ERROR_HAS_SECTION == 1 && RELAKIT_ERROR_HAS_ENTRY == 2);
ALWAYS(RELAKIT_ERROR_HAS_SYMBOL == 4 && RELAKIT_ERROR_HAS_TYPE == 8);
ALWAYS(RELAKIT_MEMORY_PRESENT == 0x1000 && RELAKIT_MEMORY_WRITER == 0x2000 && RELAKIT_MEMORY_SYMBOLS_AT == 0x4000);
ALWAYS(RELAKIT_ABI == 1);
ALWAYS(RELAKIT_STAGE_NONE == 0 && RELAKIT_STAGE_BUSY == 6);
ALWAYS(sizeof(relakit_stage) == 4 && (relakit_stage)-1 > 0);
ALWAYS(RELAKIT_GROUP_TEXT == 0 && RELAKIT_GROUP_RODATA == 1 && RELAKIT_GROUP_RO_AFTER_INIT == 2);
ALWAYS(RELAKIT_GROUP_DATA == 3 && RELAKIT_GROUP_INIT_TEXT == 4 && RELAKIT_GROUP_INIT_DATA == 5);
ALWAYS(RELAKIT_GROUP_INIT_RODATA == 6 && RELAKIT_GROUP_COUNT == 7 && RELAKIT_OBJECT_NAME_SIZE == 56);
ALWAYS(RELAKIT_STAGE_PARSED == 1 && RELAKIT_STAGE_ASSIGNED == 2);
ALWAYS(RELAKIT_STAGE_FILLED == 3 && RELAKIT_STAGE_LOADED == 4 && RELAKIT_STAGE_LATE == 5);
ALWAYS(RELAKIT_MODULE_SIZE == 512 && RELAKIT_MODULE_ALIGN == 8);
ALWAYS(RELAKIT_CLASS_NOT_RELOCATION == 0 && RELAKIT_CLASS_ORDINARY == 1);
ALWAYS(RELAKIT_CLASS_KLP_EARLY == 2 && RELAKIT_CLASS_KLP_LATE == 3);
ALWAYS(RELAKIT_CLASS_SKIPPED == 4 && RELAKIT_CLASS_LEGACY_ARCH == 5);
ALWAYS(RELAKIT_CLASS_MALFORMED == 6);
ALWAYS(RELAKIT_SECTION_IN_MEMORY == 1 && RELAKIT_SECTION_FAILS_LOAD == 2);
ALWAYS(RELAKIT_SECTION_FAILS_COMING == 4);
ALWAYS(RELAKIT_READ_AT_LOAD == 1 && RELAKIT_READ_AT_FINALIZE == 2);
ALWAYS(RELAKIT_READ_AT_FORMATION == 3 && RELAKIT_READ_AT_COMING == 4);
ALWAYS(RELAKIT_SEVERITY_INFO == 1 && RELAKIT_SEVERITY_WARNING == 2 && RELAKIT_SEVERITY_ERROR == 3);
ALWAYS(RELAKIT_ERROR_HAS_OTHER_SECTION == 16 && RELAKIT_ERROR_HAS_OTHER_ENTRY == 32);
ALWAYS(RELAKIT_READ_AT_INIT == 5 && RELAKIT_READ_ON_DEMAND == 6 && RELAKIT_READ_NEVER == 7);

#endif /* LAYOUT_H */
