/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One relocation table, its target and its symbols, for the code of the pages. Every loader gets the same. */
#ifndef TABLE_H
#define TABLE_H

#include "../unit/test.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>

enum { TEXT_SIZE = 32, SYMBOLS = 4 };
enum { NO_SYMBOL, LOCAL, GLOBAL, UNDEFINED };

static unsigned char text_bytes[TEXT_SIZE] __attribute__((aligned(16)));
static Elf64_Rela table[2];
static Elf64_Sym symtab[SYMBOLS];
static const unsigned char zeros[TEXT_SIZE];
/* What the code printed last. */
static char printed[400];

static inline int print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(printed, sizeof printed, format, arguments);
    va_end(arguments);
    return 0;
}

/* The value of a symbol that is near the text, so that it fits 32 bits. */
static inline uint64_t near(uint64_t distance)
{
    return (uint64_t)(uintptr_t)text_bytes + distance;
}

/* Two entries that can be applied: PC32 of a local symbol, and 64 of a global one. */
static inline void fresh_table(void)
{
    memset(text_bytes, 0, sizeof text_bytes);
    memset(symtab, 0, sizeof symtab);
    printed[0] = 0;
    symtab[LOCAL].st_info = ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE);
    symtab[GLOBAL].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    symtab[UNDEFINED].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    symtab[LOCAL].st_shndx = symtab[GLOBAL].st_shndx = SHN_ABS;
    symtab[LOCAL].st_value = near(0x1000);
    symtab[GLOBAL].st_value = near(0x2000);
    table[0] = rela(4, LOCAL, R_X86_64_PC32, -4);
    table[1] = rela(16, GLOBAL, R_X86_64_64, 1);
}

/* What fresh_table's entries write. */
static inline void is_applied(void)
{
    unsigned char want[TEXT_SIZE] = {0};
    uint32_t relative = 0x1000 - 4 - 4;
    uint64_t absolute = near(0x2000) + 1;

    memcpy(want + 4, &relative, 4);
    memcpy(want + 16, &absolute, 8);
    SAME(text_bytes, want, TEXT_SIZE);
}

static inline void is_untouched(void)
{
    SAME(text_bytes, zeros, TEXT_SIZE);
}

#endif /* TABLE_H */
