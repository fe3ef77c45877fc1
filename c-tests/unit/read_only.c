/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1: a dry run only reads, and nothing writes to the table: each lies in memory that cannot be written. */

#define _GNU_SOURCE
#include "test.h"

#include <sys/mman.h>

#define PAGE 4096u

/* The last bytes of a page, with one that cannot be touched behind them. */
static unsigned char *pages, *other_pages;

static unsigned char *two_pages(void)
{
    void *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect((unsigned char *)at + PAGE, PAGE, PROT_NONE) != 0)
        exit(97);
    return (unsigned char *)at;
}

/* Copies bytes to the end of the first page, and takes the right to write there. */
static unsigned char *read_only(unsigned char *at, const void *from, size_t size)
{
    if (mprotect(at, PAGE, PROT_READ | PROT_WRITE) != 0)
        exit(97);
    memcpy(at + PAGE - size, from, size);
    if (mprotect(at, PAGE, PROT_READ) != 0)
        exit(97);
    return at + PAGE - size;
}

#define ROOM 32
static const uint64_t values[3] = {0, 0x1122334455667788, 0x654321};
static const struct relakit_symbols symbols = {values, NULL, 3};

static unsigned reads, writes;
static const unsigned char *behind;

static int32_t read_behind(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    (void)ctx, (void)address;
    reads++;
    memcpy(bytes, behind + offset, size);
    return 0;
}

static int32_t write_behind(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    (void)ctx, (void)address, (void)offset, (void)bytes, (void)size;
    writes++;
    return 1;
}

static int32_t sync_behind(void *ctx)
{
    (void)ctx;
    writes++;
    return 1;
}

static const struct relakit_writer writer = {sizeof writer, RELAKIT_WRITER_FOREIGN, NULL, read_behind, write_behind,
                                             sync_behind};

/* Tables of up to three entries, the byte that is not zero, and what a dry run says with and without ALLOW_NONZERO. */
static const struct {
    struct {
        uint64_t offset;
        uint32_t symbol, type;
    } entries[3];
    size_t count;
    int dirty;
    relakit_status status, any;
    uint64_t entry;
} rows[] = {
    {{{0, 2, R_X86_64_32}, {4, 1, R_X86_64_64}, {28, 2, R_X86_64_32S}}, 3, -1, 0, 0, 0},
    {{{0, 2, R_X86_64_32}, {4, 1, R_X86_64_64}, {24, 1, R_X86_64_64}}, 3, -1, 0, 0, 0},
    {{{0, 2, R_X86_64_32}, {4, 1, R_X86_64_64}, {25, 1, R_X86_64_64}}, 3, -1, RELAKIT_ERR_OFFSET_OUTSIDE,
     RELAKIT_ERR_OFFSET_OUTSIDE, 2},
    {{{0, 2, R_X86_64_32}, {4, 1, R_X86_64_64}, {16, 2, R_X86_64_32}}, 3, 19, RELAKIT_ERR_TARGET_NOT_ZERO, 0, 2},
    {{{0, 2, R_X86_64_32}, {4, 1, R_X86_64_64}, {16, 2, R_X86_64_32}}, 3, 20, 0, 0, 0},
    /* Fields that do not ascend: by a byte, and not quite; from the front; the same twice. */
    {{{0, 1, R_X86_64_64}, {8, 2, R_X86_64_32}}, 2, -1, 0, 0, 0},
    {{{0, 1, R_X86_64_64}, {7, 2, R_X86_64_32}}, 2, -1, RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, 1},
    {{{4, 2, R_X86_64_32}, {0, 2, R_X86_64_32}}, 2, -1, RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, 1},
    {{{8, 1, R_X86_64_64}, {16, 1, R_X86_64_64}, {8, 1, R_X86_64_64}}, 3, -1, RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, 2},
    /* Entries without a field have no order. */
    {{{8, 1, R_X86_64_64}, {0, 0, R_X86_64_NONE}, {16, 1, R_X86_64_64}}, 3, -1, 0, 0, 0},
    /* A fault in an entry before the first that does not ascend. */
    {{{8, 1, R_X86_64_32}, {16, 1, R_X86_64_64}, {0, 1, R_X86_64_64}}, 3, -1, RELAKIT_ERR_OVERFLOW,
     RELAKIT_ERR_OVERFLOW, 0},
    {{{8, 1, R_X86_64_64}, {0, 9, R_X86_64_64}, {16, 1, R_X86_64_64}}, 3, -1, RELAKIT_ERR_FIELDS_NOT_ASCENDING,
     RELAKIT_ERR_SYMBOL_INDEX, 1},
};

static relakit_status check(size_t row, const unsigned char *table, unsigned char *bytes, int allow, int hook)
{
    const struct relakit_options options = {sizeof options, allow ? RELAKIT_OPT_ALLOW_NONZERO : 0, 0, 0};
    const struct relakit_target target = {hook ? NULL : bytes, ROOM, 0x1000, hook ? &writer : NULL};
    behind = bytes;
    return relakit_dry_run(table, rows[row].count * sizeof(Elf64_Rela), &symbols, &target, &options, fresh());
}

static void a_dry_run_only_reads(void)
{
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        Elf64_Rela table[3];
        unsigned char content[ROOM] = {0}, *target, *lent;
        for (size_t i = 0; i < rows[row].count; i++)
            table[i] = rela(rows[row].entries[i].offset, rows[row].entries[i].symbol, rows[row].entries[i].type, 0);
        if (rows[row].dirty >= 0)
            content[rows[row].dirty] = 1;
        target = read_only(pages, content, ROOM);
        lent = read_only(other_pages, table, rows[row].count * sizeof *table);
        for (int way = 0; way < 4; way++) {
            int allow = way & 1, hook = way >> 1;
            relakit_status want = allow ? rows[row].any : rows[row].status, is;
            writes = reads = 0;
            is = check(row, lent, target, allow, hook);
            EQ(writes, 0);
            SAME(target, content, ROOM);
            /* Behind a writer what is wrong with an entry by itself is told before the order. */
            if (hook && want == RELAKIT_ERR_FIELDS_NOT_ASCENDING && rows[row].any != 0)
                want = rows[row].any;
            EQ(is, want);
            if (is == RELAKIT_OK)
                continue;
            EQ(fault.status, want);
            EQ(fault.entry, rows[row].entry);
            CHECK(fault.has & RELAKIT_ERROR_HAS_ENTRY);
            if (want == RELAKIT_ERR_FIELDS_NOT_ASCENDING) {
                EQ(fault.offset, rows[row].entries[rows[row].entry].offset);
                EQ(fault.value, 0);
                EQ(fault.limit, 0);
            }
        }
    }
}

/* What a dry run calls unordered, applying decides; and clearing undoes it. The table is only read by both. */
static void tables_that_cannot_be_written(void)
{
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        Elf64_Rela table[3];
        unsigned char bytes[ROOM] = {0}, zeros[ROOM] = {0}, *lent;
        const struct relakit_target target = {bytes, ROOM, 0x1000, NULL};
        size_t size = rows[row].count * sizeof *table;
        relakit_status status;
        for (size_t i = 0; i < rows[row].count; i++)
            table[i] = rela(rows[row].entries[i].offset, rows[row].entries[i].symbol, rows[row].entries[i].type, 0);
        lent = read_only(other_pages, table, size);
        status = relakit_apply(lent, size, &symbols, &target, NULL, fresh());
        if (status == RELAKIT_OK)
            ACCEPTS(relakit_clear(lent, size, &symbols, &target, NULL, fresh()));
        SAME(bytes, zeros, ROOM);
        SAME(lent, table, size);
        if (rows[row].status == RELAKIT_OK)
            EQ(status, RELAKIT_OK);
    }
}

/* A table of any length, in order or with one entry out of order at any place. */
static void the_first_field_out_of_order_is_named(void)
{
    enum { MANY = 40 };
    Elf64_Rela table[MANY];
    unsigned char zeros[8 * MANY] = {0}, *target = read_only(pages, zeros, sizeof zeros);
    const struct relakit_target given = {target, sizeof zeros, 0, NULL};
    for (size_t at = 0; at < MANY; at++) {
        unsigned char *lent;
        for (uint64_t i = 0; i < MANY; i++)
            table[i] = rela(8 * i, 1, R_X86_64_64, 0);
        if (at != 0)
            table[at].r_offset--;
        lent = read_only(other_pages, table, sizeof table);
        if (at == 0)
            ACCEPTS(relakit_dry_run(lent, sizeof table, &symbols, &given, NULL, fresh()));
        else if (REFUSES(RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, relakit_dry_run(lent, sizeof table, &symbols, &given, NULL, fresh())))
            EQ(fault.entry, at);
    }
}

int main(void)
{
    pages = two_pages();
    other_pages = two_pages();
    a_dry_run_only_reads();
    tables_that_cannot_be_written();
    the_first_field_out_of_order_is_named();
    return test_end("read_only");
}
