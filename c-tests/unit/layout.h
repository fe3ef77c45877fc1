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

#define SIZE(type, size) ALWAYS(sizeof(struct relakit_##type) == size)
#define AT(type, member, offset, bytes) \
    ALWAYS(offsetof(struct relakit_##type, member) == offset && \
           sizeof(((struct relakit_##type *)0)->member) == bytes)

SIZE(options, 16);
AT(options, struct_size, 0, 4);
AT(options, flags, 4, 4);
AT(options, profile, 8, 4);
AT(options, reserved, 12, 4);

SIZE(error, 64);
AT(error, status, 0, 4);
AT(error, linux_errno, 4, 4);
AT(error, has, 8, 4);
AT(error, section, 12, 4);
AT(error, symbol, 16, 4);
AT(error, r_type, 20, 4);
AT(error, entry, 24, 8);
AT(error, offset, 32, 8);
AT(error, value, 40, 8);
AT(error, limit, 48, 8);
AT(error, reserved, 56, 8);

SIZE(symbols, 24);
AT(symbols, values, 0, 8);
AT(symbols, symtab, 8, 8);
AT(symbols, count, 16, 8);

SIZE(writer, 40);
AT(writer, struct_size, 0, 4);
AT(writer, flags, 4, 4);
AT(writer, ctx, 8, 8);
AT(writer, read, 16, 8);
AT(writer, write, 24, 8);
AT(writer, sync, 32, 8);

SIZE(resolver, 32);
AT(resolver, struct_size, 0, 4);
AT(resolver, flags, 4, 4);
AT(resolver, ctx, 8, 8);
AT(resolver, exported, 16, 8);
AT(resolver, nth_symbol, 24, 8);

SIZE(target, 32);
AT(target, bytes, 0, 8);
AT(target, size, 8, 8);
AT(target, address, 16, 8);
AT(target, writer, 24, 8);

SIZE(section_memory, 40);
AT(section_memory, flags, 0, 4);
AT(section_memory, reserved, 4, 4);
AT(section_memory, bytes, 8, 8);
AT(section_memory, size, 16, 8);
AT(section_memory, address, 24, 8);
AT(section_memory, symbols_at, 32, 8);

SIZE(memory, 32);
AT(memory, struct_size, 0, 4);
AT(memory, flags, 4, 4);
AT(memory, places, 8, 8);
AT(memory, count, 16, 8);
AT(memory, writer, 24, 8);

SIZE(sechdrs, 72);
AT(sechdrs, struct_size, 0, 4);
AT(sechdrs, flags, 4, 4);
AT(sechdrs, sechdrs, 8, 8);
AT(sechdrs, section_count, 16, 4);
AT(sechdrs, symindex, 20, 4);
AT(sechdrs, symbol_count, 24, 4);
AT(sechdrs, reserved, 28, 4);
AT(sechdrs, shstrtab, 32, 8);
AT(sechdrs, shstrtab_size, 40, 8);
AT(sechdrs, strtab, 48, 8);
AT(sechdrs, strtab_size, 56, 8);
AT(sechdrs, values, 64, 8);

SIZE(module_info, 24);
AT(module_info, struct_size, 0, 4);
AT(module_info, section_count, 4, 4);
AT(module_info, symbol_count, 8, 4);
AT(module_info, symbols_section, 12, 4);
AT(module_info, per_cpu_section, 16, 4);
AT(module_info, reserved, 20, 4);

SIZE(section, 104);
AT(section, struct_size, 0, 4);
AT(section, flags, 4, 4);
AT(section, sh_type, 8, 4);
AT(section, section_class, 12, 4);
AT(section, target, 16, 4);
AT(section, status, 20, 4);
AT(section, reason, 24, 8);
AT(section, name, 32, 8);
AT(section, name_len, 40, 8);
AT(section, object, 48, 8);
AT(section, object_len, 56, 8);
AT(section, content, 64, 8);
AT(section, size, 72, 8);
AT(section, align, 80, 8);
AT(section, sh_flags, 88, 8);
AT(section, link, 96, 4);
AT(section, info, 100, 4);

SIZE(symbol, 48);
AT(symbol, struct_size, 0, 4);
AT(symbol, shndx, 4, 4);
AT(symbol, info, 8, 4);
AT(symbol, reserved, 12, 4);
AT(symbol, name, 16, 8);
AT(symbol, name_len, 24, 8);
AT(symbol, value, 32, 8);
AT(symbol, size, 40, 8);

SIZE(special, 16);
AT(special, struct_size, 0, 4);
AT(special, read_at, 4, 4);
AT(special, entry_size, 8, 4);
AT(special, rewrites_code, 12, 4);

SIZE(klp_section_name, 40);
AT(klp_section_name, struct_size, 0, 4);
AT(klp_section_name, is_early, 4, 4);
AT(klp_section_name, object, 8, 8);
AT(klp_section_name, object_len, 16, 8);
AT(klp_section_name, section, 24, 8);
AT(klp_section_name, section_len, 32, 8);

SIZE(klp_symbol_name, 56);
AT(klp_symbol_name, struct_size, 0, 4);
AT(klp_symbol_name, is_vmlinux, 4, 4);
AT(klp_symbol_name, object, 8, 8);
AT(klp_symbol_name, object_len, 16, 8);
AT(klp_symbol_name, name, 24, 8);
AT(klp_symbol_name, name_len, 32, 8);
AT(klp_symbol_name, sympos, 40, 8);
AT(klp_symbol_name, trailing, 48, 8);

SIZE(finding, 64);
AT(finding, lint, 0, 4);
AT(finding, severity, 4, 4);
AT(finding, has, 8, 4);
AT(finding, section, 12, 4);
AT(finding, symbol, 16, 4);
AT(finding, other_section, 20, 4);
AT(finding, entry, 24, 8);
AT(finding, other_entry, 32, 8);
AT(finding, offset, 40, 8);
AT(finding, value, 48, 8);
AT(finding, limit, 56, 8);

SIZE(name_table, 48);
AT(name_table, struct_size, 0, 4);
AT(name_table, flags, 4, 4);
AT(name_table, first, 8, 8);
AT(name_table, stride, 16, 8);
AT(name_table, count, 24, 8);
AT(name_table, strings, 32, 8);
AT(name_table, strings_size, 40, 8);

/* A status is a signed 32-bit number. */
ALWAYS(sizeof(relakit_status) == 4);
ALWAYS((relakit_status)-1 < 0);

/* Numbers that are not statuses; those are in names.c. */
ALWAYS(RELAKIT_OPT_CHECK_PC32 == 1 && RELAKIT_OPT_ALLOW_NONZERO == 2);
ALWAYS(RELAKIT_OPT_REPORT_NONZERO_FIRST == 4 && RELAKIT_OPT_EXTRA_TYPES == 8 && RELAKIT_OPT_ALLOW_ZERO_SYMBOLS == 16);
ALWAYS(RELAKIT_OPT_ADD_TO_FIELD == 32);
ALWAYS(RELAKIT_WRITER_FOREIGN == 1 && RELAKIT_UNASSIGNED == 0x5ec7100000000000);
ALWAYS(RELAKIT_PROFILE_DEFAULT == 0 && RELAKIT_PROFILE_ELF == 1);
ALWAYS(RELAKIT_LINUX(5, 8) == 0x50008 && RELAKIT_LINUX(6, 12) == 0x6000c);
ALWAYS(RELAKIT_LINUX(65535, 65535) == 0xffffffff);
ALWAYS(RELAKIT_SHF_RELA_LIVEPATCH == 0x100000 && RELAKIT_SHN_LIVEPATCH == 0xff20);
ALWAYS(RELAKIT_ERROR_HAS_SECTION == 1 && RELAKIT_ERROR_HAS_ENTRY == 2);
ALWAYS(RELAKIT_ERROR_HAS_SYMBOL == 4 && RELAKIT_ERROR_HAS_TYPE == 8);
ALWAYS(RELAKIT_MEMORY_PRESENT == 1 && RELAKIT_MEMORY_WRITER == 2 && RELAKIT_MEMORY_SYMBOLS_AT == 4);
ALWAYS(RELAKIT_ABI == 1);
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
