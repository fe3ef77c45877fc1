/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Levels 1 and 2: symbol tables that nobody has resolved, as far as it can be seen. */

#include "hooks.h"

#define KLP RELAKIT_SHN_LIVEPATCH
enum { NONE, TEXT_, RELA_, SYMTAB, SECTIONS };

static unsigned char text[32], text_before[32];
static Elf64_Rela table[2];
static Elf64_Sym symtab[3];
static Elf64_Shdr headers[SECTIONS];

/* Symbol 1, and whether an apply refuses it. Symbol 2 is resolved. */
static const struct {
    unsigned char binding, type;
    uint16_t shndx;
    uint64_t value;
    int unresolved;
} rows[] = {
    {STB_GLOBAL, STT_NOTYPE, SHN_UNDEF, 0, 1},  {STB_GLOBAL, STT_NOTYPE, SHN_UNDEF, 1, 0},
    {STB_GLOBAL, STT_NOTYPE, SHN_UNDEF, UINT64_MAX, 0}, {STB_LOCAL, STT_NOTYPE, SHN_UNDEF, 0, 1},
    {STB_GLOBAL, STT_FUNC, SHN_UNDEF, 0, 1},    {STB_WEAK, STT_NOTYPE, SHN_UNDEF, 0, 0},
    {STB_WEAK, STT_FUNC, SHN_UNDEF, 0, 0},      {STB_WEAK, STT_NOTYPE, SHN_UNDEF, 1, 0},
    {STB_GLOBAL, STT_NOTYPE, KLP, 0, 1},        {STB_WEAK, STT_NOTYPE, KLP, 0, 1},
    {STB_GLOBAL, STT_NOTYPE, KLP, 1, 0},        {STB_GLOBAL, STT_NOTYPE, SHN_ABS, 0, 0},
    /* A value that is still an offset cannot be told from an address. */
    {STB_GLOBAL, STT_NOTYPE, TEXT_, 0, 0},      {STB_LOCAL, STT_SECTION, TEXT_, 0, 0},
    {STB_GLOBAL, STT_NOTYPE, SHN_COMMON, 0, 0}, {STB_GLOBAL, STT_NOTYPE, KLP - 1, 0, 0},
    {STB_GLOBAL, STT_NOTYPE, KLP + 1, 0, 0},
};

static void reset(size_t row, size_t where)
{
    hooks_reset();
    memset(symtab, 0, sizeof symtab);
    memset(headers, 0, sizeof headers);
    memset(text, 0, sizeof text);
    memset(flat, 0, FLAT);
    symtab[1].st_info = (unsigned char)(rows[row].binding << 4 | rows[row].type);
    symtab[1].st_shndx = rows[row].shndx;
    symtab[1].st_value = rows[row].value;
    symtab[2].st_shndx = SHN_ABS;
    symtab[2].st_value = 0x55;
    table[0] = rela(0, 2, R_X86_64_64, 0);
    table[1] = rela(8, 2, R_X86_64_64, 0);
    table[where].r_info = (uint64_t)1 << 32 | R_X86_64_64;
    headers[TEXT_].sh_type = SHT_PROGBITS;
    headers[TEXT_].sh_addr = (uint64_t)(uintptr_t)text;
    headers[TEXT_].sh_size = sizeof text;
    headers[RELA_].sh_type = SHT_RELA;
    headers[RELA_].sh_addr = (uint64_t)(uintptr_t)table;
    headers[RELA_].sh_size = sizeof table;
    headers[RELA_].sh_info = TEXT_;
    headers[SYMTAB].sh_type = SHT_SYMTAB;
    headers[SYMTAB].sh_addr = (uint64_t)(uintptr_t)symtab;
    headers[SYMTAB].sh_size = sizeof symtab;
}

/* Apply, check, clear at level 1; apply and clear at level 2; with or without a writer. */
enum act { APPLY, CHECK_, APPLY2, CLEAR, CLEAR2, ACTS };

static relakit_status run(enum act act, int hook, uint32_t flags)
{
    const struct relakit_options options = {sizeof options, flags, 0, 0};
    const struct relakit_symbols symbols = {NULL, symtab, 3};
    const struct relakit_target target = {hook ? NULL : text, sizeof text, BASE, hook ? &hooked : NULL};
    const struct relakit_writer *writer = hook ? &hooked : NULL;
    headers[TEXT_].sh_addr = hook ? BASE : (uint64_t)(uintptr_t)text;
    switch (act) {
    case APPLY: return relakit_apply(table, sizeof table, &symbols, &target, &options, fresh());
    case CHECK_: return relakit_dry_run(table, sizeof table, &symbols, &target, &options, fresh());
    case APPLY2:
        return relakit_apply_relocate_add(headers, SECTIONS, NULL, SYMTAB, 3, RELA_, writer, &options, fresh());
    case CLEAR: return relakit_clear(table, sizeof table, &symbols, &target, &options, fresh());
    default:
        return relakit_clear_relocate_add(headers, SECTIONS, NULL, SYMTAB, 3, RELA_, writer, &options, fresh());
    }
}

static void refused(enum act act, int hook, size_t row, size_t where)
{
    REFUSES(RELAKIT_ERR_SYMBOL_UNRESOLVED, rows[row].shndx, run(act, hook, 0));
    EQ(fault.entry, where);
    EQ(fault.symbol, 1);
    EQ(fault.offset, 8 * where);
    EQ(fault.r_type, R_X86_64_64);
    EQ(fault.limit, 0);
    EQ(fault.section, act == APPLY2 ? RELA_ : 0);
    /* Entry 0 was read before. */
    EQ(asked_count, hook ? where : 0);
    SAME(text, text_before, sizeof text);
}

static void symbols_that_are_recognisably_not_resolved_are_refused(void)
{
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (int way = 0; way < 2 * ACTS; way++)
            for (size_t where = 0; where < 2; where++) {
                enum act act = (enum act)(way / 2);
                int hook = way & 1;
                reset(row, where);
                if (act >= CLEAR) {
                    /* Clearing only needs the value that was applied, whatever it was. */
                    ACCEPTS(run(act == CLEAR ? APPLY : APPLY2, hook, RELAKIT_OPT_ALLOW_ZERO_SYMBOLS));
                    ACCEPTS(run(act, hook, 0));
                    SAME(text, text_before, sizeof text);
                    continue;
                }
                if (rows[row].unresolved)
                    refused(act, hook, row, where);
                else
                    ACCEPTS(run(act, hook, 0));
                reset(row, where);
                ACCEPTS(run(act, hook, RELAKIT_OPT_ALLOW_ZERO_SYMBOLS));
                if (act != CHECK_)
                    EQ(load((hook ? flat : text) + 8 * where, 8), rows[row].value);
            }
}

static void entries_that_use_no_symbol(void)
{
    for (int way = 0; way < 2 * CLEAR; way++) {
        enum act act = (enum act)(way / 2);
        int hook = way & 1;
        /* Symbol 0 stands for none: its value is 0. */
        reset(0, 0);
        table[0] = rela(0, 0, R_X86_64_64, 7);
        ACCEPTS(run(act, hook, 0));
        if (act != CHECK_)
            EQ(load(hook ? flat : text, 8), 7);
        /* NONE has no field. */
        reset(0, 0);
        table[0].r_info = (uint64_t)1 << 32 | R_X86_64_NONE;
        ACCEPTS(run(act, hook, 0));
        /* No entry uses the symbol. */
        reset(0, 0);
        table[0].r_info = (uint64_t)2 << 32 | R_X86_64_64;
        ACCEPTS(run(act, hook, 0));
        /* A symbol that does not exist is another fault. */
        reset(0, 0);
        table[0].r_info = (uint64_t)2 << 32 | R_X86_64_64;
        table[1].r_info = (uint64_t)3 << 32 | R_X86_64_64;
        REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, run(act, hook, 0));
        EQ(fault.entry, 1);
    }
}

/* An array of values has no symbols, so 0 is a value like any other. */
static void values_of_zero_in_an_array(void)
{
    static const uint64_t zeros[3];
    const struct relakit_symbols symbols = {zeros, NULL, 3};
    const struct relakit_target target = {text, sizeof text, 0, NULL};
    reset(0, 0);
    ACCEPTS(relakit_dry_run(table, sizeof table, &symbols, &target, NULL, fresh()));
    ACCEPTS(relakit_apply(table, sizeof table, &symbols, &target, NULL, fresh()));
    ACCEPTS(relakit_clear(table, sizeof table, &symbols, &target, NULL, fresh()));
}

/* Entries are looked at in their order, and in one entry a symbol that is not resolved comes before its value and its field. */
static void the_first_entry_at_fault_is_named(void)
{
    reset(0, 1);
    table[0].r_offset = sizeof text;
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 8, run(APPLY, 0, 0));
    EQ(fault.entry, 0);
    reset(0, 0);
    table[0].r_offset = sizeof text;
    table[1].r_info = table[0].r_info;
    REFUSES(RELAKIT_ERR_SYMBOL_UNRESOLVED, rows[0].shndx, run(APPLY, 0, 0));
    EQ(fault.entry, 0);
    SAME(text, text_before, sizeof text);
}

int main(void)
{
    symbols_that_are_recognisably_not_resolved_are_refused();
    entries_that_use_no_symbol();
    values_of_zero_in_an_array();
    the_first_entry_at_fault_is_named();
    (void)names;
    return test_end("unresolved");
}
