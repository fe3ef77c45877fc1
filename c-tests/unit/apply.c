/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1: one table against one target. What is written is held against the psABI's formulas, worked out here. */

#include "test.h"

__extension__ typedef __int128 wide;

#define ROOM 32

static const uint32_t all_types[] = {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 24, 25, 37, 43, 0x7fffffff, 0xffffffff};

/* What the psABI says of a value in 128 bits, and the header of the flags. */
static relakit_status judge(uint32_t type, uint64_t s, int64_t a, uint64_t p, uint32_t flags, size_t *size,
                            uint64_t *value, uint64_t *largest)
{
    int relative = type == 2 || type == 4 || type == 24 || type == 13 || type == 15;
    wide sum = (wide)s + a - (relative ? (wide)p : 0), low, high, number;
    *value = (uint64_t)sum;
    number = (wide)(int64_t)*value;
    *size = type == 0 ? 0 : type == 1 || type == 24 ? 8 : type == 12 || type == 13 ? 2 : type >= 14 ? 1 : 4;
    switch (type) {
    case R_X86_64_NONE:
    case R_X86_64_64:
    case R_X86_64_PC64:
        return RELAKIT_OK;
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
        if (!(flags & RELAKIT_OPT_CHECK_PC32))
            return RELAKIT_OK;
        low = -((wide)1 << 31), high = ((wide)1 << 31) - 1;
        break;
    case R_X86_64_32:
        low = 0, high = ((wide)1 << 32) - 1;
        number = (wide)*value;
        break;
    case R_X86_64_32S:
        low = -((wide)1 << 31), high = ((wide)1 << 31) - 1;
        break;
    case R_X86_64_16:
        low = -(1 << 15), high = (1 << 16) - 1;
        break;
    case R_X86_64_PC16:
        low = -(1 << 15), high = (1 << 15) - 1;
        break;
    case R_X86_64_8:
        low = -(1 << 7), high = (1 << 8) - 1;
        break;
    case R_X86_64_PC8:
        low = -(1 << 7), high = (1 << 7) - 1;
        break;
    default:
        return RELAKIT_ERR_UNKNOWN_TYPE;
    }
    if (type >= 12 && !(flags & RELAKIT_OPT_EXTRA_TYPES))
        return RELAKIT_ERR_UNKNOWN_TYPE;
    *largest = (uint64_t)high;
    return number < low || number > high ? RELAKIT_ERR_OVERFLOW : RELAKIT_OK;
}

static void one(uint32_t type, uint64_t s, int64_t a, uint64_t address, uint32_t flags, int dense)
{
    enum { at = 5 };
    unsigned char bytes[ROOM] = {0}, want[ROOM] = {0}, zeros[ROOM] = {0};
    Elf64_Rela entry = rela(at, 1, type, a);
    Elf64_Sym symtab[2];
    uint64_t values[2] = {0xdead, s}, value = 0, largest = 0;
    size_t size = 0;
    struct relakit_symbols symbols = {dense ? values : NULL, dense ? NULL : symtab, 2};
    struct relakit_target target = {bytes, ROOM, address, NULL};
    struct relakit_options options = {sizeof options, flags, 0, 0};
    relakit_status status = judge(type, s, a, address + at, flags, &size, &value, &largest);

    memset(symtab, 0x5a, sizeof symtab);
    symtab[1].st_value = s;
    if (status == RELAKIT_OK) {
        for (size_t i = 0; i < size; i++)
            want[at + i] = (unsigned char)(value >> (8 * i));
        ACCEPTS(relakit_dry_run(&entry, sizeof entry, &symbols, &target, &options, fresh()));
        SAME(bytes, zeros, ROOM);
        ACCEPTS(relakit_apply(&entry, sizeof entry, &symbols, &target, &options, fresh()));
        SAME(bytes, want, ROOM);
        ACCEPTS(relakit_clear(&entry, sizeof entry, &symbols, &target, &options, fresh()));
        SAME(bytes, zeros, ROOM);
        return;
    }
    for (int call = 0; call < 3; call++) {
        REFUSES(status, status == RELAKIT_ERR_OVERFLOW ? value : 0,
                (call == 0   ? relakit_apply
                 : call == 1 ? relakit_dry_run
                             : relakit_clear)(&entry, sizeof entry, &symbols, &target, &options, fresh()));
        EQ(fault.limit, largest);
        EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
        EQ(fault.entry, 0);
        EQ(fault.symbol, 1);
        EQ(fault.r_type, type);
        EQ(fault.offset, at);
        SAME(bytes, zeros, ROOM);
    }
}

static void every_type_writes_what_the_psabi_says_or_is_refused(void)
{
    static const uint64_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff,
                                     0x80000000, 0xffffffff, 0x100000000, INT64_MAX};
    static const int64_t addends[] = {0, -1, 1, -4, INT64_MIN, INT64_MAX};
    static const uint64_t addresses[] = {0, 0xffffffffa0001000, UINT64_MAX - (ROOM - 1)};
    static const uint32_t flags[] = {0, RELAKIT_OPT_CHECK_PC32, RELAKIT_OPT_EXTRA_TYPES,
                                     RELAKIT_OPT_EXTRA_TYPES | RELAKIT_OPT_CHECK_PC32};
    for (size_t t = 0; t < sizeof all_types / sizeof *all_types; t++)
        for (size_t e = 0; e < sizeof edges / sizeof *edges * 4; e++)
            for (size_t a = 0; a < sizeof addends / sizeof *addends; a++)
                for (size_t p = 0; p < 3; p++)
                    for (size_t f = 0; f < 4; f++) {
                        uint64_t edge = e & 1 ? ~edges[e / 4] : edges[e / 4];
                        /* Half of them near the place, where PC-relative values have their edges. */
                        uint64_t s = e & 2 ? edge + addresses[p] + 5 : edge;
                        one(all_types[t], s, addends[a], addresses[p], flags[f], (int)(e + a + p) & 1);
                    }
}

/* Three entries that are right, in a table that a linker could have written. */
static uint64_t three_values[3] = {0, 0x1122334455667788, 0x7654321};
static const struct relakit_symbols three_symbols = {three_values, NULL, 3};

static void three(Elf64_Rela *table)
{
    table[0] = rela(0, 2, R_X86_64_32, 0);
    table[1] = rela(8, 1, R_X86_64_64, 1);
    table[2] = rela(20, 2, R_X86_64_32S, -1);
}

static relakit_status run(int clear, const Elf64_Rela *table, size_t count, unsigned char *bytes, uint64_t size,
                          uint32_t flags, uint32_t profile)
{
    struct relakit_target target = {bytes, size, 0x1000, NULL};
    struct relakit_options options = {sizeof options, flags, profile, 0};
    return (clear ? relakit_clear : relakit_apply)(table, count * sizeof *table, &three_symbols, &target, &options,
                                                   fresh());
}

static void a_fault_in_any_entry_is_named_and_undoes_those_before_it(void)
{
    /* The wrong entry, and what is said of it. */
    static const struct {
        uint64_t offset;
        uint32_t symbol, type;
        relakit_status status;
        uint64_t value, limit;
    } rows[] = {
        {24, 3, R_X86_64_64, RELAKIT_ERR_SYMBOL_INDEX, 0, 3},
        {24, UINT32_MAX, R_X86_64_64, RELAKIT_ERR_SYMBOL_INDEX, 0, 3},
        {24, UINT32_MAX, R_X86_64_NONE, RELAKIT_ERR_SYMBOL_INDEX, 0, 3},
        {24, 2, 99, RELAKIT_ERR_UNKNOWN_TYPE, 0, 0},
        {24, 2, R_X86_64_8, RELAKIT_ERR_UNKNOWN_TYPE, 0, 0},
        {24, 1, R_X86_64_32, RELAKIT_ERR_OVERFLOW, 0x1122334455667788, 0xffffffff},
        {29, 2, R_X86_64_32, RELAKIT_ERR_OFFSET_OUTSIDE, 4, 32},
        {32, 2, R_X86_64_32, RELAKIT_ERR_OFFSET_OUTSIDE, 4, 32},
        {25, 2, R_X86_64_64, RELAKIT_ERR_OFFSET_OUTSIDE, 8, 32},
        {UINT64_MAX, 2, R_X86_64_64, RELAKIT_ERR_OFFSET_OUTSIDE, 8, 32},
        {UINT64_MAX - 3, 2, R_X86_64_32, RELAKIT_ERR_OFFSET_OUTSIDE, 4, 32},
        {(uint64_t)INT64_MAX, 2, R_X86_64_32, RELAKIT_ERR_OFFSET_OUTSIDE, 4, 32},
        {16, 2, R_X86_64_32, RELAKIT_ERR_TARGET_NOT_ZERO, 0x7654321, 0xff},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (size_t where = 0; where < 4; where++) {
            Elf64_Rela good[3], table[4], *lent;
            unsigned char bytes[ROOM] = {0}, before[ROOM];
            size_t count = 0;
            three(good);
            for (size_t i = 0; i < 4; i++)
                table[i] = i == where ? rela(rows[row].offset, rows[row].symbol, rows[row].type, 0) : good[count++];
            bytes[16] = 0xff;
            memcpy(before, bytes, ROOM);
            lent = (Elf64_Rela *)copy_of(table, sizeof table);
            for (int more = 0; more < 2; more++) {
                struct relakit_target target = {bytes, ROOM, 0x1000, NULL};
                if (more && rows[row].status == RELAKIT_ERR_TARGET_NOT_ZERO && where == 3) {
                    /* The field comes before one that an earlier entry writes: reading alone cannot tell. */
                    REFUSES(RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0,
                            relakit_dry_run(lent, sizeof table, &three_symbols, &target, NULL, fresh()));
                    EQ(fault.entry, 3);
                    continue;
                }
                if (more)
                    REFUSES(rows[row].status, rows[row].value,
                            relakit_dry_run(lent, sizeof table, &three_symbols, &target, NULL, fresh()));
                else
                    REFUSES(rows[row].status, rows[row].value, run(0, lent, 4, bytes, ROOM, 0, 0));
                EQ(fault.limit, rows[row].limit);
                EQ(fault.entry, where);
                EQ(fault.symbol, rows[row].symbol);
                EQ(fault.r_type, rows[row].type);
                EQ(fault.offset, rows[row].offset);
                EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
                SAME(bytes, before, ROOM);
            }
            free(lent);
        }
}

static void a_table_of_a_size_that_is_no_multiple_is_refused_whole(void)
{
    Elf64_Rela table[3];
    three(table);
    for (size_t size = 0; size <= sizeof table; size++) {
        unsigned char bytes[ROOM] = {0}, zeros[ROOM] = {0};
        struct relakit_target target = {bytes, ROOM, 0x1000, NULL};
        void *lent = copy_of(table, size);
        if (size % 24 == 0) {
            ACCEPTS(relakit_apply(lent, size, &three_symbols, &target, NULL, fresh()));
            ACCEPTS(relakit_clear(lent, size, &three_symbols, &target, NULL, fresh()));
        } else {
            REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, size,
                    relakit_apply(lent, size, &three_symbols, &target, NULL, fresh()));
            EQ(fault.limit, size % 24);
            EQ(fault.has, 0);
            REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, size,
                    relakit_clear(lent, size, &three_symbols, &target, NULL, fresh()));
            REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, size,
                    relakit_dry_run(lent, size, &three_symbols, &target, NULL, fresh()));
        }
        SAME(bytes, zeros, ROOM);
        free(lent);
    }
}

static void clearing_wants_what_was_applied_in_every_field(void)
{
    Elf64_Rela table[3];
    three(table);
    for (size_t byte = 0; byte < ROOM; byte++) {
        unsigned char bytes[ROOM] = {0}, before[ROOM];
        size_t entry = byte < 4 ? 0 : byte >= 8 && byte < 16 ? 1 : byte >= 20 && byte < 24 ? 2 : 3;
        uint64_t wants[4] = {0x7654321, 0x1122334455667789, 0x7654320, 0};
        size_t size = entry == 1 ? 8 : 4;
        ACCEPTS(run(0, table, 3, bytes, ROOM, 0, 0));
        bytes[byte] = (unsigned char)(bytes[byte] ^ 0x10);
        memcpy(before, bytes, ROOM);
        if (entry == 3) {
            /* A byte that is in no field is nobody's business. */
            ACCEPTS(run(1, table, 3, bytes, ROOM, 0, 0));
            EQ(bytes[byte], 0x10);
            continue;
        }
        REFUSES(RELAKIT_ERR_TARGET_MISMATCH, wants[entry], run(1, table, 3, bytes, ROOM, 0, 0));
        EQ(fault.limit, load(before + table[entry].r_offset, size));
        EQ(fault.entry, entry);
        SAME(bytes, before, ROOM);
    }
    /* A field that was never applied is not cleared either, and of two faults the last is found first. */
    unsigned char zeros[ROOM] = {0}, bytes[ROOM] = {0};
    REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x7654320, run(1, table, 3, bytes, ROOM, 0, 0));
    EQ(fault.entry, 2);
    SAME(bytes, zeros, ROOM);
}

static void fields_that_overlap_are_applied_if_they_can_be_and_not_checked(void)
{
    uint64_t values[2] = {0, 0x11};
    struct relakit_symbols symbols = {values, NULL, 2};
    for (int bad = 0; bad < 2; bad++) {
        unsigned char bytes[16] = {0}, zeros[16] = {0};
        struct relakit_target target = {bytes, 16, 0, NULL};
        /* The bytes of the first field's value above its lowest are zero, so a second field fits over them. */
        Elf64_Rela table[3];
        table[0] = rela(4, 1, R_X86_64_32, 0);
        table[1] = rela(5, 1, R_X86_64_32, 1);
        table[2] = rela((uint64_t)(bad ? 4 : 0), 1, R_X86_64_32, 2);
        REFUSES(RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, relakit_dry_run(table, sizeof table, &symbols, &target, NULL, fresh()));
        EQ(fault.entry, 1);
        EQ(fault.offset, 5);
        EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY);
        SAME(bytes, zeros, 16);
        if (bad) {
            REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x13,
                    relakit_apply(table, sizeof table, &symbols, &target, NULL, fresh()));
            EQ(fault.limit, 0x1211);
            EQ(fault.entry, 2);
        } else {
            ACCEPTS(relakit_apply(table, sizeof table, &symbols, &target, NULL, fresh()));
            EQ(load(bytes, 8), 0x121100000013);
            ACCEPTS(relakit_clear(table, sizeof table, &symbols, &target, NULL, fresh()));
        }
        SAME(bytes, zeros, 16);
    }
}

static void options_decide_what_is_refused(void)
{
    Elf64_Rela far = rela(0, 1, R_X86_64_PLT32, 0), wide_one = rela(0, 1, R_X86_64_32, 0);
    Elf64_Rela small = rela(3, 2, R_X86_64_32, 0);
    unsigned char bytes[8] = {0}, full[8], before[8];
    memset(full, 0xee, 8);
    memcpy(before, full, 8);
    /* PC32 and PLT32. */
    ACCEPTS(run(0, &far, 1, bytes, 8, 0, 0));
    EQ(load(bytes, 8), (uint32_t)(0x55667788 - 0x1000));
    ACCEPTS(run(1, &far, 1, bytes, 8, 0, 0));
    REFUSES(RELAKIT_ERR_OVERFLOW, 0x1122334455667788 - 0x1000, run(0, &far, 1, bytes, 8, RELAKIT_OPT_CHECK_PC32, 0));
    REFUSES(RELAKIT_ERR_OVERFLOW, 0x1122334455667788 - 0x1000, run(0, &far, 1, bytes, 8, 0, RELAKIT_PROFILE_ELF));
    EQ(load(bytes, 8), 0);
    /* Fields that are not zero. */
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x7654321, run(0, &small, 1, full, 8, 0, 0));
    SAME(full, before, 8);
    ACCEPTS(run(0, &small, 1, full, 8, RELAKIT_OPT_ALLOW_NONZERO, 0));
    EQ(load(full, 8), 0xee07654321eeeeee);
    memcpy(full, before, 8);
    /* Which of two faults is named. */
    REFUSES(RELAKIT_ERR_OVERFLOW, three_values[1], run(0, &wide_one, 1, full, 8, 0, 0));
    REFUSES(RELAKIT_ERR_OVERFLOW, three_values[1], run(0, &wide_one, 1, full, 8, 0, RELAKIT_LINUX(6, 3)));
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, three_values[1], run(0, &wide_one, 1, full, 8, 0, RELAKIT_LINUX(6, 2)));
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, three_values[1], run(0, &wide_one, 1, full, 8, RELAKIT_OPT_REPORT_NONZERO_FIRST, 0));
    SAME(full, before, 8);
    /* With ALLOW_NONZERO plain memory is still all or nothing. */
    Elf64_Rela two[2];
    two[0] = small;
    two[1] = wide_one;
    REFUSES(RELAKIT_ERR_OVERFLOW, three_values[1], run(0, two, 2, full, 8, RELAKIT_OPT_ALLOW_NONZERO, 0));
    SAME(full, before, 8);
}

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
    const uint32_t flags = RELAKIT_OPT_ADD_TO_FIELD | RELAKIT_OPT_CHECK_PC32;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        uint64_t values[2] = {0, rows[row].s};
        size_t size = rows[row].type == R_X86_64_64 ? 8 : 4;
        unsigned char bytes[16] = {0}, before[16];
        Elf64_Rela two[2];
        struct relakit_symbols symbols = {values, NULL, 2};
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
    unsigned char bytes[8] = {0};
    uint32_t both = RELAKIT_OPT_ADD_TO_FIELD | RELAKIT_OPT_ALLOW_NONZERO;
    for (int clear = 0; clear < 2; clear++)
        REFUSES(RELAKIT_ERR_FLAGS_CONFLICT, both, run(clear, &small, 1, bytes, 8, both, 0));
    EQ(load(bytes, 8), 0);
}

static void nothing_to_do_is_done(void)
{
    struct relakit_symbols none = {NULL, NULL, 0};
    struct relakit_target empty = {NULL, 0, 0, NULL};
    Elf64_Rela nothing = rela(UINT64_MAX, 0, R_X86_64_NONE, 7);
    ACCEPTS(relakit_apply(NULL, 0, &none, &empty, NULL, fresh()));
    ACCEPTS(relakit_clear(NULL, 0, &none, &empty, NULL, fresh()));
    ACCEPTS(relakit_dry_run(NULL, 0, &none, &empty, NULL, fresh()));
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, relakit_apply(&nothing, 24, &none, &empty, NULL, fresh()));
    ACCEPTS(relakit_apply(&nothing, 24, &three_symbols, &empty, NULL, fresh()));
    nothing.r_info = (uint64_t)1 << 32 | R_X86_64_64;
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 8, relakit_apply(&nothing, 24, &three_symbols, &empty, NULL, fresh()));
    EQ(fault.limit, 0);
}

static void tables_and_symbols_need_no_alignment(void)
{
    Elf64_Rela table[3];
    Elf64_Sym symtab[3];
    unsigned char want[ROOM] = {0}, raw[sizeof table + sizeof symtab + 16];
    three(table);
    memset(symtab, 0x5a, sizeof symtab);
    for (size_t i = 0; i < 3; i++)
        symtab[i].st_value = three_values[i];
    ACCEPTS(run(0, table, 3, want, ROOM, 0, 0));
    for (size_t off = 0; off < 8; off++) {
        unsigned char bytes[ROOM + 8] = {0};
        struct relakit_target target = {bytes + off, ROOM, 0x1000, NULL};
        struct relakit_symbols symbols = {NULL, raw + sizeof table + off, 3};
        memcpy(raw + off, table, sizeof table);
        memcpy(raw + sizeof table + off, symtab, sizeof symtab);
        ACCEPTS(relakit_apply(raw + off, sizeof table, &symbols, &target, NULL, fresh()));
        SAME(bytes + off, want, ROOM);
    }
}

int main(void)
{
    every_type_writes_what_the_psabi_says_or_is_refused();
    a_fault_in_any_entry_is_named_and_undoes_those_before_it();
    a_table_of_a_size_that_is_no_multiple_is_refused_whole();
    clearing_wants_what_was_applied_in_every_field();
    fields_that_overlap_are_applied_if_they_can_be_and_not_checked();
    options_decide_what_is_refused();
    values_are_added_to_fields_if_that_is_asked_for();
    nothing_to_do_is_done();
    tables_and_symbols_need_no_alignment();
    return test_end("apply");
}
