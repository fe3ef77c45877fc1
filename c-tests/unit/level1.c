/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Level 1: one table and one target. These tests look at what crosses the ABI: values, memory, flags and errors. The
 * formulas, the order of the checks and the edges of every field are proven by core/tests/reloc.
 */
#define _GNU_SOURCE
#include "test.h"

#include <sys/mman.h>

#define ROOM 32
#define ADDRESS 0x1000

typedef relakit_status pass(const void *, size_t, const struct relakit_symbols *, const struct relakit_target *,
                            const struct relakit_options *, struct relakit_error *);
static pass *const passes[] = {relakit_dry_run, relakit_apply, relakit_clear};
enum { CHECK_, APPLY, CLEAR, PASSES };

static const uint64_t values[3] = {0, 0x1122334455667788, 0x7654321};
static const struct relakit_symbols symbols = {values, NULL, 3, NULL, NULL};
static const unsigned char zeros[ROOM];

static relakit_status run(int which, const void *table, size_t size, void *bytes, uint32_t flags, uint32_t profile)
{
    const struct relakit_target target = {bytes, ROOM, ADDRESS, NULL};
    const struct relakit_options options = {sizeof options, flags, profile, 0};
    return passes[which](table, size, &symbols, &target, &options, fresh());
}

/* Three correct entries, as a linker writes them. */
static void three(Elf64_Rela *table)
{
    table[0] = rela(0, 2, R_X86_64_32, 0);
    table[1] = rela(8, 1, R_X86_64_64, 1);
    table[2] = rela(20, 2, R_X86_64_32S, -1);
}

static void every_type_writes_its_field(void)
{
    static const struct {
        uint32_t type;
        size_t size;
        int is_relative;
        uint32_t flags;
    } rows[] = {
        {R_X86_64_NONE, 0, 0, 0}, {R_X86_64_64, 8, 0, 0}, {R_X86_64_PC64, 8, 1, 0}, {R_X86_64_32, 4, 0, 0},
        {R_X86_64_32S, 4, 0, 0}, {R_X86_64_PC32, 4, 1, 0}, {R_X86_64_PLT32, 4, 1, 0},
        {R_X86_64_16, 2, 0, RELAKIT_OPT_EXTRA_TYPES}, {R_X86_64_PC16, 2, 1, RELAKIT_OPT_EXTRA_TYPES},
        {R_X86_64_8, 1, 0, RELAKIT_OPT_EXTRA_TYPES}, {R_X86_64_PC8, 1, 1, RELAKIT_OPT_EXTRA_TYPES},
    };
    enum { AT = 5, VALUE = 0x42 };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        uint32_t type = rows[i / 2].type, flags = rows[i / 2].flags;
        int64_t place = rows[i / 2].is_relative ? ADDRESS + AT : 0;
        Elf64_Rela entry = rela(AT, 2, type, VALUE - (int64_t)values[2] + place);
        Elf64_Sym symtab[3];
        unsigned char bytes[ROOM] = {0}, want[ROOM] = {0};
        const struct relakit_symbols from_symtab = {NULL, symtab, 3, NULL, NULL};
        const struct relakit_symbols *source = i & 1 ? &from_symtab : &symbols;
        const struct relakit_target target = {bytes, ROOM, ADDRESS, NULL};
        const struct relakit_options options = {sizeof options, flags, 0, 0};
        memset(symtab, 0x5a, sizeof symtab);
        symtab[2].st_value = values[2];
        want[AT] = rows[i / 2].size == 0 ? 0 : VALUE;
        ACCEPTS(relakit_dry_run(&entry, sizeof entry, source, &target, &options, fresh()));
        SAME(bytes, zeros, ROOM);
        ACCEPTS(relakit_apply(&entry, sizeof entry, source, &target, &options, fresh()));
        SAME(bytes, want, ROOM);
        ACCEPTS(relakit_clear(&entry, sizeof entry, source, &target, &options, fresh()));
        SAME(bytes, zeros, ROOM);
        if (flags != 0)
            REFUSES(RELAKIT_ERR_UNKNOWN_TYPE, 0, relakit_apply(&entry, sizeof entry, source, &target, NULL, fresh()));
    }
}

static void an_error_names_its_entry_and_the_pass_is_undone(void)
{
    static const struct {
        uint64_t offset;
        uint32_t symbol, type;
        relakit_status status;
        uint64_t value, limit;
    } rows[] = {
        {24, UINT32_MAX, R_X86_64_NONE, RELAKIT_ERR_SYMBOL_INDEX, 0, 3},
        {24, 2, 99, RELAKIT_ERR_UNKNOWN_TYPE, 0, 0},
        {24, 1, R_X86_64_32, RELAKIT_ERR_OVERFLOW, 0x1122334455667788, 0xffffffff},
        {25, 1, R_X86_64_64, RELAKIT_ERR_OFFSET_OUTSIDE, 8, ROOM},
        {UINT64_MAX - 3, 2, R_X86_64_32, RELAKIT_ERR_OFFSET_OUTSIDE, 4, ROOM},
        {16, 2, R_X86_64_32, RELAKIT_ERR_TARGET_NOT_ZERO, 0x7654321, 0xff},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (size_t where = 0; where < 6; where++) {
            Elf64_Rela good[3], table[4];
            unsigned char bytes[ROOM] = {0}, before[ROOM];
            size_t count = 0, entry = where / 2;
            three(good);
            for (size_t i = 0; i < 4; i++)
                table[i] = i == entry ? rela(rows[row].offset, rows[row].symbol, rows[row].type, 0) : good[count++];
            bytes[16] = 0xff;
            memcpy(before, bytes, ROOM);
            REFUSES(rows[row].status, rows[row].value,
                    run(where & 1 ? CHECK_ : APPLY, table, sizeof table, bytes, 0, 0));
            EQ(fault.limit, rows[row].limit);
            EQ(fault.entry, entry);
            EQ(fault.symbol, rows[row].symbol);
            EQ(fault.r_type, rows[row].type);
            EQ(fault.offset, rows[row].offset);
            EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
            SAME(bytes, before, ROOM);
        }
}

/* Applying decides about fields that overlap. A dry run cannot, because it only reads. */
static void a_dry_run_refuses_fields_that_overlap(void)
{
    Elf64_Rela table[2];
    unsigned char bytes[ROOM] = {0};
    table[0] = rela(4, 2, R_X86_64_32, 0x11 - (int64_t)values[2]);
    table[1] = rela(5, 2, R_X86_64_32, 0x12 - (int64_t)values[2]);
    REFUSES(RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, run(CHECK_, table, sizeof table, bytes, 0, 0));
    EQ(fault.entry, 1);
    EQ(fault.offset, 5);
    EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY);
    SAME(bytes, zeros, ROOM);
    ACCEPTS(run(APPLY, table, sizeof table, bytes, 0, 0));
    EQ(load(bytes, 8), 0x121100000000);
    ACCEPTS(run(CLEAR, table, sizeof table, bytes, 0, 0));
    SAME(bytes, zeros, ROOM);
}

static void a_table_that_ends_inside_an_entry_is_refused(void)
{
    Elf64_Rela table[3];
    unsigned char bytes[ROOM] = {0};
    three(table);
    for (size_t size = 0; size <= sizeof table; size++) {
        void *provided = copy_of(table, size);
        for (int which = 0; which < PASSES; which++)
            if (size % 24 == 0)
                ACCEPTS(run(which, provided, size, bytes, 0, 0));
            else if (REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, size, run(which, provided, size, bytes, 0, 0))) {
                EQ(fault.limit, size % 24);
                EQ(fault.has, 0);
            }
        SAME(bytes, zeros, ROOM);
        free(provided);
    }
}

static void flags_and_profiles_decide_what_is_refused(void)
{
    static const struct {
        uint32_t type, flags, profile;
        unsigned char before; /* in every byte of the field */
        relakit_status status;
    } rows[] = {
        {R_X86_64_PLT32, 0, 0, 0, RELAKIT_ERR_OVERFLOW},
        {R_X86_64_PLT32, RELAKIT_OPT_TRUNCATE_PC32, 0, 0, RELAKIT_OK},
        {R_X86_64_PLT32, 0, RELAKIT_LINUX(6, 12), 0, RELAKIT_OK},
        {R_X86_64_PLT32, 0, RELAKIT_PROFILE_ELF, 0, RELAKIT_ERR_OVERFLOW},
        {R_X86_64_PC64, 0, 0, 0xee, RELAKIT_ERR_TARGET_NOT_ZERO},
        {R_X86_64_PC64, RELAKIT_OPT_ALLOW_NONZERO, 0, 0xee, RELAKIT_OK},
        {R_X86_64_32, 0, 0, 0xee, RELAKIT_ERR_OVERFLOW},
        {R_X86_64_32, 0, RELAKIT_LINUX(6, 3), 0xee, RELAKIT_ERR_OVERFLOW},
        {R_X86_64_32, 0, RELAKIT_LINUX(6, 2), 0xee, RELAKIT_ERR_TARGET_NOT_ZERO},
        {R_X86_64_32, RELAKIT_OPT_REPORT_NONZERO_FIRST, 0, 0xee, RELAKIT_ERR_TARGET_NOT_ZERO},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        uint64_t value = values[1] - (rows[row].type == R_X86_64_32 ? 0 : ADDRESS);
        Elf64_Rela entry = rela(0, 1, rows[row].type, 0);
        unsigned char bytes[ROOM], before[ROOM];
        memset(bytes, rows[row].before, ROOM);
        memcpy(before, bytes, ROOM);
        if (rows[row].status == RELAKIT_OK) {
            ACCEPTS(run(APPLY, &entry, sizeof entry, bytes, rows[row].flags, rows[row].profile));
            EQ(load(bytes, 4), (uint32_t)value);
            continue;
        }
        REFUSES(rows[row].status, value, run(APPLY, &entry, sizeof entry, bytes, rows[row].flags, rows[row].profile));
        SAME(bytes, before, ROOM);
    }
}

/* core/tests/reloc/edges.rs has which symbols count as not resolved. */
static void values_are_added_to_fields_if_that_is_asked_for(void)
{
    static const struct {
        uint32_t type;
        uint64_t s, content;
        relakit_status status;
        uint64_t sum;
    } rows[] = {
        {R_X86_64_64, 2, UINT64_MAX, RELAKIT_OK, 1},
        {R_X86_64_32, 0x7fffffff, 0x80000000, RELAKIT_OK, 0xffffffff},
        {R_X86_64_32, 0x80000000, 0x80000000, RELAKIT_ERR_OVERFLOW, 0x100000000},
        {R_X86_64_32S, 0x80000003, 0xfffffffc, RELAKIT_OK, 0x7fffffff},
        {R_X86_64_32S, 0x80000004, 0xfffffffc, RELAKIT_ERR_OVERFLOW, 0x80000000},
        {R_X86_64_PC32, 0x80001003, 0xfffffffc, RELAKIT_OK, 0x7fffffff},
        {R_X86_64_PC32, 0x80001004, 0xfffffffc, RELAKIT_ERR_OVERFLOW, 0x80000000},
    };
    const uint32_t flags = RELAKIT_OPT_ADD_TO_FIELD;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        uint64_t values[2] = {0, rows[row].s};
        size_t size = rows[row].type == R_X86_64_64 ? 8 : 4;
        unsigned char bytes[16] = {0}, before[16];
        Elf64_Rela two[2];
        struct relakit_symbols symbols = {values, NULL, 2, NULL, NULL};
        struct relakit_target target = {bytes, sizeof bytes, 0x1000, NULL};
        struct relakit_options options = {sizeof options, flags, 0, 0};
        two[0] = rela(8, 0, R_X86_64_64, 5);
        two[1] = rela(0, 1, rows[row].type, 0);
        memcpy(bytes, &rows[row].content, size);
        bytes[15] = 0xff;
        memcpy(before, bytes, sizeof bytes);
        if (rows[row].status == RELAKIT_OK) {
            ACCEPTS(relakit_apply(two, sizeof two, &symbols, &target, &options, fresh()));
            EQ(load(bytes, size), rows[row].sum);
            EQ(load(bytes + 8, 8), 0xff00000000000005);
            ACCEPTS(relakit_clear(two, sizeof two, &symbols, &target, &options, fresh()));
        } else {
            REFUSES(rows[row].status, rows[row].sum,
                    relakit_apply(two, sizeof two, &symbols, &target, &options, fresh()));
            EQ(fault.entry, 1);
        }
        SAME(bytes, before, sizeof bytes);
    }
    /* The flag excludes ALLOW_NONZERO. */
    Elf64_Rela small = rela(3, 2, R_X86_64_32, 0);
    unsigned char bytes[ROOM] = {0};
    uint32_t both = RELAKIT_OPT_ADD_TO_FIELD | RELAKIT_OPT_ALLOW_NONZERO;
    for (int clear = 0; clear < 2; clear++)
        REFUSES(RELAKIT_ERR_FLAGS_CONFLICT, both, run(clear ? CLEAR : APPLY, &small, sizeof small, bytes, both, 0));
    SAME(bytes, zeros, ROOM);
}

static void a_symbol_that_the_loader_has_not_resolved(void)
{
    const Elf64_Rela entry = rela(8, 1, R_X86_64_64, 0);
    const struct relakit_options allow = {sizeof allow, RELAKIT_OPT_ALLOW_ZERO_SYMBOLS, 0, 0};
    unsigned char bytes[ROOM] = {0};
    Elf64_Sym symtab[2];
    const struct relakit_symbols from_symtab = {NULL, symtab, 2, NULL, NULL};
    const struct relakit_target target = {bytes, ROOM, ADDRESS, NULL};
    memset(symtab, 0, sizeof symtab);
    symtab[1].st_info = STB_GLOBAL << 4;
    symtab[1].st_shndx = RELAKIT_SHN_LIVEPATCH;
    for (int which = CHECK_; which < CLEAR; which++) {
        REFUSES(RELAKIT_ERR_SYMBOL_UNRESOLVED, RELAKIT_SHN_LIVEPATCH,
                passes[which](&entry, sizeof entry, &from_symtab, &target, NULL, fresh()));
        EQ(fault.symbol, 1);
        EQ(fault.offset, 8);
        ACCEPTS(passes[which](&entry, sizeof entry, &from_symtab, &target, &allow, fresh()));
    }
    /* Clearing needs only the value that was applied. */
    ACCEPTS(relakit_clear(&entry, sizeof entry, &from_symtab, &target, NULL, fresh()));
}

static void empty_tables_and_empty_targets(void)
{
    const struct relakit_symbols none = {NULL, NULL, 0, NULL, NULL};
    const struct relakit_target empty = {NULL, 0, 0, NULL};
    Elf64_Rela entry = rela(UINT64_MAX, 0, R_X86_64_NONE, 7);
    for (int which = 0; which < PASSES; which++) {
        ACCEPTS(passes[which](NULL, 0, &none, &empty, NULL, fresh()));
        REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, passes[which](&entry, 24, &none, &empty, NULL, fresh()));
        ACCEPTS(passes[which](&entry, 24, &symbols, &empty, NULL, fresh()));
    }
    entry = rela(0, 1, R_X86_64_64, 0);
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 8, relakit_apply(&entry, 24, &symbols, &empty, NULL, fresh()));
}

static void tables_and_symbols_need_no_alignment(void)
{
    Elf64_Rela table[3];
    Elf64_Sym symtab[3];
    unsigned char want[ROOM] = {0}, raw[sizeof table + sizeof symtab + 16];
    three(table);
    memset(symtab, 0x5a, sizeof symtab);
    for (size_t i = 0; i < 3; i++)
        symtab[i].st_value = values[i];
    ACCEPTS(run(APPLY, table, sizeof table, want, 0, 0));
    for (size_t off = 0; off < 8; off++) {
        unsigned char bytes[ROOM + 8] = {0};
        const struct relakit_target target = {bytes + off, ROOM, ADDRESS, NULL};
        const struct relakit_symbols from_symtab = {NULL, raw + sizeof table + off, 3, NULL, NULL};
        memcpy(raw + off, table, sizeof table);
        memcpy(raw + sizeof table + off, symtab, sizeof symtab);
        ACCEPTS(relakit_apply(raw + off, sizeof table, &from_symtab, &target, NULL, fresh()));
        SAME(bytes + off, want, ROOM);
    }
}

/* Copies bytes to the end of a page that can only be read, before a page that cannot be touched. */
static void *read_only(const void *from, size_t size)
{
    enum { PAGE = 4096 };
    unsigned char *at = (unsigned char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        exit(97);
    memcpy(at + PAGE - size, from, size);
    if (mprotect(at, PAGE, PROT_READ) != 0 || mprotect(at + PAGE, PAGE, PROT_NONE) != 0)
        exit(97);
    return at + PAGE - size;
}

static void a_dry_run_writes_nothing_and_no_pass_writes_the_table(void)
{
    Elf64_Rela table[3];
    unsigned char bytes[ROOM] = {0}, dirty[ROOM] = {0};
    void *read_only_table, *read_only_bytes = read_only(zeros, ROOM);
    three(table);
    read_only_table = read_only(table, sizeof table);
    ACCEPTS(run(CHECK_, read_only_table, sizeof table, read_only_bytes, 0, 0));
    ACCEPTS(run(CHECK_, read_only_table, sizeof table, read_only_bytes, RELAKIT_OPT_ALLOW_NONZERO, 0));
    ACCEPTS(run(APPLY, read_only_table, sizeof table, bytes, 0, 0));
    ACCEPTS(run(CLEAR, read_only_table, sizeof table, bytes, 0, 0));
    SAME(bytes, zeros, ROOM);
    dirty[23] = 1;
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, values[2] - 1,
            run(CHECK_, read_only_table, sizeof table, read_only(dirty, ROOM), 0, 0));
    EQ(fault.entry, 2);
}

int main(void)
{
    every_type_writes_its_field();
    an_error_names_its_entry_and_the_pass_is_undone();
    a_dry_run_refuses_fields_that_overlap();
    a_table_that_ends_inside_an_entry_is_refused();
    flags_and_profiles_decide_what_is_refused();
    values_are_added_to_fields_if_that_is_asked_for();
    a_symbol_that_the_loader_has_not_resolved();
    empty_tables_and_empty_targets();
    tables_and_symbols_need_no_alignment();
    a_dry_run_writes_nothing_and_no_pass_writes_the_table();
    return test_end("level1");
}
