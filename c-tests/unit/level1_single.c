/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* relakit_relocate and relakit_apply_small: the same as relakit_apply, and each wrong argument. */

#include "test.h"

#define ROOM 32
#define ADDRESS 0x1000

static const uint64_t values[3] = {0, 0x1122334455667788, 0x7654321};

static const uint32_t types[] = {R_X86_64_NONE,  R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_32,  R_X86_64_32S,
                                 R_X86_64_PC64,  R_X86_64_16, R_X86_64_PC16, R_X86_64_8,     R_X86_64_PC8, 3,
                                 UINT32_MAX};
static const uint64_t edges[] = {0,          1,          0x7f,           0x80,           0xff,
                                 0x100,      0x7fff,     0x8000,         0xffff,         0x10000,
                                 0x7fffffff, 0x80000000, 0xffffffff,     0x100000000,    UINT64_MAX,
                                 (uint64_t)-0x80, (uint64_t)-0x81, (uint64_t)-0x8000, (uint64_t)-0x8001,
                                 (uint64_t)-0x80000000LL, (uint64_t)-0x80000001LL};

/* One relocation by itself and as a table. */
static void both(uint32_t type, uint64_t value, size_t size, unsigned char fill, uint32_t flags)
{
    const uint64_t one[1] = {value};
    const struct relakit_symbols symbol = {one, NULL, 1, NULL, NULL};
    const struct relakit_options options = {sizeof options, flags, 0, 0};
    unsigned char bytes[16], want[16];
    const struct relakit_target target = {want, size, 0, NULL};
    Elf64_Rela entry = rela(0, 0, type, 0);
    struct relakit_error expected;
    relakit_status status;
    memset(bytes, fill, sizeof bytes);
    memset(want, fill, sizeof want);
    memset(&expected, 0xa5, sizeof expected);
    status = relakit_apply(&entry, sizeof entry, &symbol, &target, &options, &expected);
    EQ(relakit_relocate(type, value, 0, 0, bytes, size, &options, fresh()), status);
    SAME(bytes, want, sizeof bytes);
    if (status == RELAKIT_OK) {
        SAME(&fault, &expected, sizeof fault);
        return;
    }
    EQ(fault.status, status);
    EQ(fault.linux_errno, expected.linux_errno);
    EQ(fault.value, expected.value);
    EQ(fault.limit, expected.limit);
    EQ(fault.r_type, expected.r_type);
    EQ(fault.has, expected.has & RELAKIT_ERROR_HAS_TYPE);
    EQ(fault.entry, 0);
    EQ(fault.symbol, 0);
    EQ(fault.offset, 0);
}

static void one_relocation_is_as_in_a_table(void)
{
    for (size_t type = 0; type < sizeof types / sizeof *types; type++)
        for (uint32_t flags = 0; flags < 64; flags++) {
            for (size_t edge = 0; edge < sizeof edges / sizeof *edges; edge++)
                both(types[type], edges[edge], 8, 0, flags);
            for (size_t size = 0; size < 10; size++) {
                both(types[type], 0x12, size, 0, flags);
                both(types[type], 0x12, size, 1, flags);
            }
        }
}

static void s_a_and_p_are_where_they_belong(void)
{
    unsigned char bytes[4] = {0};
    ACCEPTS(relakit_relocate(R_X86_64_PC32, 0x5000, -4, 0x1001, bytes, 4, NULL, fresh()));
    EQ(load(bytes, 4), 0x5000 - 4 - 0x1001);
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x5000 - 4 - 0x1001,
            relakit_relocate(R_X86_64_PC32, 0x5000, -4, 0x1001, bytes, 4, NULL, fresh()));
    EQ(fault.limit, 0x3ffb);
}

static relakit_status with_options(const void *given)
{
    unsigned char bytes[8] = {0};
    return relakit_relocate(R_X86_64_64, 1, 0, 0, bytes, 8, (const struct relakit_options *)given, fresh());
}

static void arguments_of_one_relocation(void)
{
    const struct relakit_options options = {sizeof options, 0, 0, 0};
    unsigned char bytes[8] = {0};
    takes_struct(with_options, &options, sizeof options, 7, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, 7, 63);
    takes_only_options(with_options, &options, 7);
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_relocate(R_X86_64_64, 1, 0, 0, NULL, 8, NULL, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 5, relakit_relocate(R_X86_64_64, 1, 0, 0, bytes, SIZE_MAX, NULL, fresh()));
    ACCEPTS(relakit_relocate(R_X86_64_NONE, 1, 0, 0, NULL, 0, NULL, fresh()));
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 8, relakit_relocate(R_X86_64_64, 1, 0, 0, NULL, 0, NULL, fresh()));
    REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX - 6,
            relakit_relocate(R_X86_64_64, 1, 0, UINT64_MAX - 6, bytes, 8, NULL, fresh()));
    EQ(relakit_relocate(R_X86_64_64, 1, 0, UINT64_MAX - 7, bytes, 8, NULL, NULL), RELAKIT_OK);
    EQ(load(bytes, 8), 1);
}

/* Both ways to apply a table, whose statuses and entries must be the same. */
static void small(const void *table, size_t table_size, const uint64_t *array, size_t count, unsigned char *bytes,
                  size_t size, uint64_t address)
{
    const struct relakit_symbols from = {array, NULL, count, NULL, NULL};
    const struct relakit_target target = {bytes, size, address, NULL};
    unsigned char before[256], after[256];
    size_t room = size < sizeof before ? size : 0, entry = 0xa5a5;
    relakit_status status;
    if (bytes != NULL)
        memcpy(before, bytes, room);
    status = relakit_apply(table, table_size, &from, &target, NULL, fresh());
    if (bytes != NULL) {
        memcpy(after, bytes, room);
        memcpy(bytes, before, room);
    }
    EQ(relakit_apply_small(table, table_size, array, count, bytes, size, address, &entry), status);
    if (bytes != NULL)
        SAME(bytes, after, room);
    EQ(entry, status != RELAKIT_OK && fault.has & RELAKIT_ERROR_HAS_ENTRY ? fault.entry : 0xa5a5);
    if (bytes != NULL)
        memcpy(bytes, before, room);
    EQ(relakit_apply_small(table, table_size, array, count, bytes, size, address, NULL), status);
    if (bytes != NULL)
        memcpy(bytes, before, room);
}

static void a_small_apply_is_as_the_large_one(void)
{
    unsigned char bytes[ROOM] = {0};
    Elf64_Rela table[3];
    for (size_t bad = 0; bad < 3; bad++)
        for (size_t type = 0; type < sizeof types / sizeof *types; type++)
            for (uint32_t symbol = 0; symbol < 4; symbol++)
                for (uint64_t offset = 14; offset < ROOM + 2; offset++) {
                    table[0] = rela(0, 2, R_X86_64_64, 0);
                    table[1] = rela(8, 2, R_X86_64_32, 0);
                    table[2] = rela(12, 2, R_X86_64_32S, 1);
                    table[bad] = rela(offset == ROOM + 1 ? UINT64_MAX - 2 : offset, symbol, types[type], 0);
                    small(table, sizeof table, values, 3, bytes, ROOM, ADDRESS);
                }
    bytes[9] = 1;
    small(table, sizeof table, values, 3, bytes, ROOM, ADDRESS);
}

static void arguments_of_a_small_apply(void)
{
    union {
        uint64_t words[8];
        unsigned char raw[64];
    } buffer = {{0}};
    unsigned char bytes[ROOM] = {0};
    Elf64_Rela table[2];
    const uint64_t *odd = (const uint64_t *)(uintptr_t)((uintptr_t)values + 4);
    table[0] = rela(0, 2, R_X86_64_64, 0);
    table[1] = rela(8, 2, R_X86_64_32, 0);
    for (size_t size = 0; size <= sizeof table; size++)
        small(table, size, values, 3, bytes, ROOM, ADDRESS);
    small(NULL, 0, NULL, 0, NULL, 0, 0);
    small(NULL, 24, values, 3, bytes, ROOM, ADDRESS);
    small(table, SIZE_MAX, values, 3, bytes, ROOM, ADDRESS);
    small(table, (size_t)PTRDIFF_MAX + 1, values, 3, bytes, ROOM, ADDRESS);
    small(table, 24, odd, 1, bytes, ROOM, ADDRESS);
    small(table, 24, odd, 0, bytes, ROOM, ADDRESS);
    small(table, 24, values, SIZE_MAX, bytes, ROOM, ADDRESS);
    small(table, 24, values, SIZE_MAX / 8 + 2, bytes, ROOM, ADDRESS);
    small(table, 24, values, 3, NULL, ROOM, ADDRESS);
    small(table, 24, values, 3, bytes, SIZE_MAX, ADDRESS);
    small(table, 24, values, 3, bytes, ROOM, UINT64_MAX - ROOM + 1);
    small(table, 24, values, 3, bytes, ROOM, UINT64_MAX - ROOM + 2);
    /* relakit_apply reports a NULL with another status, because its struct has two arrays. */
    EQ(relakit_apply_small(table, 24, NULL, 3, bytes, ROOM, ADDRESS, NULL), RELAKIT_ERR_NULL);
    /* The table, the target and the values behind each other, and with one byte in common. */
    memcpy(buffer.raw, table, 24);
    EQ(relakit_apply_small(buffer.raw, 24, values, 3, buffer.raw + 24, 8, 0, NULL), RELAKIT_OK);
    small(buffer.raw, 24, values, 3, buffer.raw + 23, 8, 0);
    EQ(relakit_apply_small(buffer.raw, 24, values, 3, buffer.raw + 23, 8, 0, NULL), RELAKIT_ERR_OVERLAP);
    memset(buffer.raw, 0, sizeof buffer.raw);
    EQ(relakit_apply_small(table, 24, buffer.words, 3, buffer.raw + 24, 8, 0, NULL), RELAKIT_OK);
    small(table, 24, buffer.words, 3, buffer.raw + 23, 8, 0);
    EQ(relakit_apply_small(table, 24, buffer.words, 3, buffer.raw + 23, 8, 0, NULL), RELAKIT_ERR_OVERLAP);
    SAME(bytes, buffer.raw + 40, 24);
}

static void a_small_apply_needs_no_alignment_of_table_target_and_entry(void)
{
    Elf64_Rela table[2];
    unsigned char raw[sizeof table + 8], where[16];
    size_t entry;
    for (size_t off = 0; off < 8; off++) {
        unsigned char bytes[ROOM + 8] = {0}, want[ROOM] = {0};
        table[0] = rela(1, 2, R_X86_64_32, 0);
        table[1] = rela(1, 2, 99, 0);
        memcpy(raw + off, table, sizeof table);
        want[1] = 0x21, want[2] = 0x43, want[3] = 0x65, want[4] = 7;
        EQ(relakit_apply_small(raw + off, 24, values, 3, bytes + off, ROOM, 0, NULL), RELAKIT_OK);
        SAME(bytes + off, want, ROOM);
        memset(bytes, 0, sizeof bytes);
        memset(want, 0, sizeof want);
        EQ(relakit_apply_small(raw + off, 48, values, 3, bytes + off, ROOM, 0, (size_t *)(void *)(where + off)),
           RELAKIT_ERR_UNKNOWN_TYPE);
        memcpy(&entry, where + off, sizeof entry);
        EQ(entry, 1);
        SAME(bytes + off, want, ROOM);
    }
}

int main(void)
{
    one_relocation_is_as_in_a_table();
    s_a_and_p_are_where_they_belong();
    arguments_of_one_relocation();
    a_small_apply_is_as_the_large_one();
    arguments_of_a_small_apply();
    a_small_apply_needs_no_alignment_of_table_target_and_entry();
    return test_end("level1_single");
}
