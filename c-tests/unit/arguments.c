/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1: what is wrong with a call is said, with the number of the argument, and nothing is changed. */

#include "test.h"

typedef relakit_status pass(const void *, size_t, const struct relakit_symbols *, const struct relakit_target *,
                            const struct relakit_options *, struct relakit_error *);

static pass *const passes[] = {relakit_apply, relakit_clear, relakit_dry_run};

/* A right call, made anew for each test: one field of zeros, and a table that writes a zero there. */
#define ROOM 16
static pass *now;
static Elf64_Rela table[1];
static uint64_t values[2];
static Elf64_Sym symtab[2];
static unsigned char bytes[ROOM];
static struct relakit_symbols symbols;
static struct relakit_target target;
static struct relakit_options options;
static struct relakit_writer writer;

static int32_t read_zeros(void *ctx, uint64_t address, uint64_t offset, void *into, size_t size)
{
    (void)ctx, (void)address, (void)offset;
    memset(into, 0, size);
    return 0;
}

static int32_t write_nothing(void *ctx, uint64_t address, uint64_t offset, const void *from, size_t size)
{
    (void)ctx, (void)address, (void)offset, (void)from, (void)size;
    return 0;
}

static void reset(void)
{
    table[0] = rela(4, 1, R_X86_64_64, 0);
    memset(values, 0, sizeof values);
    memset(symtab, 0, sizeof symtab);
    symtab[1].st_shndx = SHN_ABS;
    memset(bytes, 0, sizeof bytes);
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    memset(&writer, 0, sizeof writer);
    writer.struct_size = sizeof writer;
    writer.read = read_zeros;
    writer.write = write_nothing;
    symbols.values = values;
    symbols.symtab = NULL;
    symbols.count = 2;
    target.bytes = bytes;
    target.size = ROOM;
    target.address = 0;
    target.writer = NULL;
}

static relakit_status call(const void *rela_at, size_t size)
{
    static const unsigned char zeros[ROOM] = {0};
    relakit_status status = now(rela_at, size, &symbols, &target, &options, fresh());
    SAME(bytes, zeros, ROOM);
    return status;
}

static relakit_status with_options(const void *given)
{
    return now(table, sizeof table, &symbols, &target, (const struct relakit_options *)given, fresh());
}

static relakit_status with_writer(const void *given)
{
    struct relakit_target hooked = {NULL, ROOM, 0, NULL};
    hooked.writer = (const struct relakit_writer *)given;
    return now(table, sizeof table, &symbols, &hooked, NULL, fresh());
}

static void pointers_that_are_null(void)
{
    ACCEPTS(call(table, 24));
    REFUSES(RELAKIT_ERR_NULL, 1, call(NULL, 24));
    REFUSES(RELAKIT_ERR_NULL, 1, call(NULL, 1));
    ACCEPTS(call(NULL, 0));
    REFUSES(RELAKIT_ERR_NULL, 3, now(table, 24, NULL, &target, &options, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, now(table, 24, &symbols, NULL, &options, fresh()));
    ACCEPTS(now(table, 24, &symbols, &target, NULL, fresh()));
    target.bytes = NULL;
    REFUSES(RELAKIT_ERR_NULL, 4, call(table, 24));
    target.size = 0;
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 8, call(table, 24));
    reset();
    /* Without an error the answer is the same. */
    EQ(now(table, 24, &symbols, &target, NULL, NULL), RELAKIT_OK);
    EQ(now(NULL, 24, &symbols, &target, NULL, NULL), RELAKIT_ERR_NULL);
    EQ(now(table, 23, &symbols, &target, NULL, NULL), RELAKIT_ERR_PARTIAL_ENTRY);
    EQ(now(NULL, 0, NULL, NULL, NULL, NULL), RELAKIT_ERR_NULL);
}

static void lengths_that_no_object_has(void)
{
    static const size_t lengths[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 23, (size_t)1 << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        reset();
        REFUSES(RELAKIT_ERR_LENGTH, 1, call(table, lengths[i]));
        EQ(fault.limit, lengths[i]);
        target.size = lengths[i];
        REFUSES(RELAKIT_ERR_LENGTH, 4, call(table, 24));
        EQ(fault.limit, lengths[i]);
        reset();
        symbols.count = lengths[i];
        REFUSES(RELAKIT_ERR_LENGTH, 3, call(table, 24));
        symbols.count = lengths[i] / 8;
        symbols.values = NULL;
        symbols.symtab = symtab;
        REFUSES(RELAKIT_ERR_LENGTH, 3, call(table, 24));
    }
    reset();
    /* Counts whose bytes are just too many, or wrap to few. */
    symbols.count = (size_t)PTRDIFF_MAX / 8 + 1;
    REFUSES(RELAKIT_ERR_LENGTH, 3, call(table, 24));
    symbols.count = SIZE_MAX / 8 + 2;
    REFUSES(RELAKIT_ERR_LENGTH, 3, call(table, 24));
    symbols.values = NULL;
    symbols.symtab = symtab;
    symbols.count = SIZE_MAX / 24 + 2;
    REFUSES(RELAKIT_ERR_LENGTH, 3, call(table, 24));
    /* Pieces that wrap around the end of the address space. */
    reset();
    REFUSES(RELAKIT_ERR_LENGTH, 1, call((const void *)(UINTPTR_MAX - 22), 24));
    symbols.values = (const uint64_t *)(UINTPTR_MAX - 7);
    REFUSES(RELAKIT_ERR_LENGTH, 3, call(table, 24));
    reset();
    target.bytes = (void *)(UINTPTR_MAX - 14);
    REFUSES(RELAKIT_ERR_LENGTH, 4, call(table, 24));
    /* What is behind a writer is nobody's object. */
    reset();
    target.bytes = NULL;
    target.writer = &writer;
    target.size = UINT64_MAX;
    REFUSES(RELAKIT_ERR_OVERLAP, 4, call(table, 24));
    writer.flags = RELAKIT_WRITER_FOREIGN;
    ACCEPTS(call(table, 24));
}

static void pointers_that_are_not_aligned(void)
{
    unsigned char raw[sizeof(struct relakit_target) + 16];
    for (size_t off = 1; off < 8; off++) {
        unsigned char *odd = raw + (8 - (uintptr_t)raw % 8) + off;
        reset();
        memcpy(odd, &symbols, sizeof symbols);
        REFUSES(RELAKIT_ERR_ALIGNMENT, 3,
                now(table, 24, (const struct relakit_symbols *)(void *)odd, &target, NULL, fresh()));
        EQ(fault.limit, 8);
        memcpy(odd, &target, sizeof target);
        REFUSES(RELAKIT_ERR_ALIGNMENT, 4,
                now(table, 24, &symbols, (const struct relakit_target *)(void *)odd, NULL, fresh()));
        EQ(fault.limit, 8);
        symbols.count = 1;
        symbols.values = (const uint64_t *)(uintptr_t)((uintptr_t)values + off);
        REFUSES(RELAKIT_ERR_ALIGNMENT, 3, call(table, 24));
        EQ(fault.limit, 8);
    }
    /* The error may lie anywhere. */
    reset();
    memset(raw, 0xa5, sizeof raw);
    {
        unsigned char *odd = (unsigned char *)heap(sizeof(struct relakit_error) + 1) + 1;
        EQ(now(NULL, 24, &symbols, &target, NULL, (struct relakit_error *)(void *)odd), RELAKIT_ERR_NULL);
        EQ(load(odd, 4), (uint32_t)RELAKIT_ERR_NULL);
        free(odd - 1);
    }
}

static void structs_of_every_size(void)
{
    takes_struct(with_options, &options, sizeof options, 5, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, 5,
                   RELAKIT_OPT_CHECK_PC32 | RELAKIT_OPT_ALLOW_NONZERO | RELAKIT_OPT_REPORT_NONZERO_FIRST | RELAKIT_OPT_EXTRA_TYPES |
                       RELAKIT_OPT_ALLOW_ZERO_SYMBOLS | RELAKIT_OPT_ADD_TO_FIELD);
    takes_struct(with_writer, &writer, sizeof writer, 4, 8, NULL_IS_SOMETHING_ELSE);
    takes_no_flags(with_writer, &writer, sizeof writer, 4, RELAKIT_WRITER_FOREIGN);
}

static void reserved_members_are_zero(void)
{
    for (int bit = 0; bit < 32; bit++) {
        reset();
        options.reserved = (uint32_t)1 << bit;
        REFUSES(RELAKIT_ERR_RESERVED, 5, call(table, 24));
    }
    /* Bytes and a writer. */
    reset();
    target.writer = &writer;
    REFUSES(RELAKIT_ERR_RESERVED, 4, call(table, 24));
    target.bytes = NULL;
    ACCEPTS(call(table, 24));
}

static void a_writer_that_cannot_read_or_write(void)
{
    target.bytes = NULL;
    target.writer = &writer;
    writer.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 4, call(table, 24));
    writer.write = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 4, call(table, 24));
    writer.read = read_zeros;
    REFUSES(RELAKIT_ERR_CALLBACK, 4, call(table, 24));
}

static void profiles_that_there_are_not(void)
{
    static const uint32_t bad[] = {2, 3, 0xffff, RELAKIT_LINUX(5, 7), RELAKIT_LINUX(4, 65535), RELAKIT_LINUX(1, 0)};
    static const uint32_t good[] = {0, 1, RELAKIT_LINUX(5, 8), RELAKIT_LINUX(6, 12), RELAKIT_LINUX(65535, 65535)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.profile = bad[i];
        REFUSES(RELAKIT_ERR_PROFILE, bad[i], call(table, 24));
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        options.profile = good[i];
        ACCEPTS(call(table, 24));
    }
}

static void exactly_one_source_of_values(void)
{
    symbols.symtab = symtab;
    REFUSES(RELAKIT_ERR_SYMBOLS, 3, call(table, 24));
    symbols.values = NULL;
    ACCEPTS(call(table, 24));
    symbols.symtab = NULL;
    REFUSES(RELAKIT_ERR_SYMBOLS, 3, call(table, 24));
    symbols.count = 0;
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, call(table, 24));
    ACCEPTS(call(NULL, 0));
    symbols.values = values;
    symbols.symtab = symtab;
    REFUSES(RELAKIT_ERR_SYMBOLS, 3, call(NULL, 0));
}

static void a_target_that_overlaps_what_is_read(void)
{
    /* One piece of memory with the table in it, and a target that begins and ends around each of its edges. */
    uint64_t raw[20];
    unsigned char *base = (unsigned char *)raw;
    for (int source = 0; source < 3; source++) {
        size_t len = source == 0 ? 24 : source == 1 ? 16 : 48;
        for (size_t start = 0; start <= 80 + 24; start += 8)
            for (size_t size = 0; size <= 24; size += 8) {
                int overlaps = size != 0 && start < 32 + len && start + size > 32;
                relakit_status status;
                reset();
                memset(raw, 0, sizeof raw);
                table[0] = rela(0, 0, R_X86_64_NONE, 0);
                memcpy(base + 32, table, source == 0 ? sizeof table : 0);
                if (source == 1)
                    symbols.values = raw + 4;
                if (source == 2)
                    symbols.values = NULL, symbols.symtab = raw + 4;
                target.bytes = base + start;
                target.size = size;
                status = call(source == 0 ? base + 32 : (const void *)table, 24);
                if (overlaps)
                    test_refused(__FILE__, __LINE__, "an overlap", status, RELAKIT_ERR_OVERLAP, 4);
                else
                    test_accepted(__FILE__, __LINE__, "no overlap", status, RELAKIT_OK);
            }
    }
    /* By one byte. */
    reset();
    memset(raw, 0, sizeof raw);
    table[0] = rela(0, 0, R_X86_64_NONE, 0);
    memcpy(base + 32, table, sizeof table);
    target.bytes = base;
    target.size = 32;
    ACCEPTS(call(base + 32, 24));
    target.size = 33;
    REFUSES(RELAKIT_ERR_OVERLAP, 4, call(base + 32, 24));
    target.bytes = base + 56;
    ACCEPTS(call(base + 32, 24));
    target.bytes = base + 55;
    REFUSES(RELAKIT_ERR_OVERLAP, 4, call(base + 32, 24));
    /* A piece inside the other. */
    target.bytes = base;
    target.size = sizeof raw;
    REFUSES(RELAKIT_ERR_OVERLAP, 4, call(base + 32, 24));
    target.bytes = base + 40;
    target.size = 1;
    REFUSES(RELAKIT_ERR_OVERLAP, 4, call(base + 32, 24));
}

int main(void)
{
    static void (*const tests[])(void) = {
        pointers_that_are_null,     lengths_that_no_object_has,         pointers_that_are_not_aligned,
        structs_of_every_size,      reserved_members_are_zero,          a_writer_that_cannot_read_or_write,
        profiles_that_there_are_not, exactly_one_source_of_values,      a_target_that_overlaps_what_is_read,
    };
    for (size_t i = 0; i < 3; i++)
        for (size_t test = 0; test < sizeof tests / sizeof *tests; test++) {
            now = passes[i];
            reset();
            tests[test]();
        }
    return test_end("arguments");
}
