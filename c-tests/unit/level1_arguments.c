/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1: a call with an invalid argument returns an error with the argument's number, and changes nothing. */

#include "callbacks.h"

typedef relakit_status pass(const void *, size_t, const struct relakit_symbols *, const struct relakit_target *,
                            const struct relakit_options *, struct relakit_error *);

static pass *const passes[] = {relakit_apply, relakit_clear, relakit_dry_run};

/* A valid call, made anew for each test: one field of zeros, and a table that writes a zero there. */
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

static void reset(void)
{
    table[0] = rela(4, 1, R_X86_64_64, 0);
    memset(values, 0, sizeof values);
    memset(symtab, 0, sizeof symtab);
    symtab[1].st_shndx = SHN_ABS;
    memset(bytes, 0, sizeof bytes);
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    writer = hooked;
    hooks_reset();
    symbols.values = values;
    symbols.symtab = NULL;
    symbols.count = 2;
    symbols.value = NULL;
    symbols.ctx = NULL;
    target.bytes = bytes;
    target.size = ROOM;
    target.address = BASE;
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
    const struct relakit_target behind = {NULL, ROOM, BASE, (const struct relakit_writer *)given};
    hooks_reset();
    return now(table, sizeof table, &symbols, &behind, NULL, fresh());
}

static relakit_status usual(void)
{
    return call(table, 24);
}

static void the_table(void)
{
    static const size_t lengths[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 23};
    ACCEPTS(usual());
    REFUSES(RELAKIT_ERR_NULL, 1, call(NULL, 24));
    REFUSES(RELAKIT_ERR_NULL, 1, call(NULL, 1));
    ACCEPTS(call(NULL, 0));
    REFUSES(RELAKIT_ERR_LENGTH, 1, call((const void *)(UINTPTR_MAX - 22), 24));
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        REFUSES(RELAKIT_ERR_LENGTH, 1, call(table, lengths[i]));
        EQ(fault.limit, lengths[i]);
    }
}

static void structs_that_are_null(void)
{
    REFUSES(RELAKIT_ERR_NULL, 3, now(table, 24, NULL, &target, &options, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, now(table, 24, &symbols, NULL, &options, fresh()));
    ACCEPTS(now(table, 24, &symbols, &target, NULL, fresh()));
    /* Without an error struct the status is the same. */
    EQ(now(table, 24, &symbols, &target, NULL, NULL), RELAKIT_OK);
    EQ(now(NULL, 24, &symbols, &target, NULL, NULL), RELAKIT_ERR_NULL);
    EQ(now(table, 23, &symbols, &target, NULL, NULL), RELAKIT_ERR_PARTIAL_ENTRY);
    EQ(now(NULL, 0, NULL, NULL, NULL, NULL), RELAKIT_ERR_NULL);
}

static void members_that_are_wrong(void)
{
    static const struct wrong rows[] = {
        WRONG(target.bytes, 0, RELAKIT_ERR_NULL, 4),
        WRONG(target.bytes, UINTPTR_MAX - 14, RELAKIT_ERR_LENGTH, 4),
        WRONG(target.size, 0, RELAKIT_ERR_OFFSET_OUTSIDE, 8),
        WRONG(target.size, (uint64_t)PTRDIFF_MAX + 1, RELAKIT_ERR_LENGTH, 4),
        WRONG(target.size, SIZE_MAX, RELAKIT_ERR_LENGTH, 4),
        /* The size of the values in bytes is too large, or wraps to a small number. */
        WRONG(symbols.count, (size_t)PTRDIFF_MAX / 8 + 1, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.count, SIZE_MAX / 8 + 2, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.count, SIZE_MAX, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.values, UINTPTR_MAX - 7, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.values, 0, RELAKIT_ERR_SYMBOLS, 3),
        WRONG(symbols.symtab, 8, RELAKIT_ERR_SYMBOLS, 3),
        WRONG(symbols.value, 8, RELAKIT_ERR_SYMBOLS, 3),
        WRONG(options.reserved, 1, RELAKIT_ERR_RESERVED, 5),
        WRONG(options.reserved, 0x80000000, RELAKIT_ERR_RESERVED, 5),
        WRONG(options.profile, 3, RELAKIT_ERR_PROFILE, 3),
        WRONG(options.profile, 0x80000000, RELAKIT_ERR_PROFILE, 0x80000000),
        WRONG(options.profile, 0x80000006, RELAKIT_ERR_PROFILE, 0x80000006),
        WRONG(options.profile, 0xffffffff, RELAKIT_ERR_PROFILE, 0xffffffff),
        WRONG(options.profile, 0xffff, RELAKIT_ERR_PROFILE, 0xffff),
        WRONG(options.profile, RELAKIT_LINUX(5, 7), RELAKIT_ERR_PROFILE, RELAKIT_LINUX(5, 7)),
        WRONG(options.profile, RELAKIT_LINUX(4, 65535), RELAKIT_ERR_PROFILE, RELAKIT_LINUX(4, 65535)),
    };
    static const uint32_t profiles[] = {RELAKIT_PROFILE_DEFAULT, RELAKIT_PROFILE_ELF, RELAKIT_PROFILE_XEN, RELAKIT_PROFILE_GRUB,
                                        RELAKIT_PROFILE_FREEBSD, RELAKIT_PROFILE_KEXEC, RELAKIT_LINUX(5, 8), RELAKIT_LINUX(6, 12), RELAKIT_LINUX(32767, 65535)};
    REFUSES_EACH(rows, reset, usual);
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        options.profile = profiles[i];
        ACCEPTS(usual());
    }
}

static void with_symtab(void)
{
    reset();
    symbols.values = NULL;
    symbols.symtab = symtab;
}

static void symbol_tables_that_are_wrong(void)
{
    static const struct wrong rows[] = {
        WRONG(symbols.symtab, 0, RELAKIT_ERR_SYMBOLS, 3),
        WRONG(symbols.value, 8, RELAKIT_ERR_SYMBOLS, 3),
        WRONG(symbols.symtab, UINTPTR_MAX - 7, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.count, SIZE_MAX / 24 + 2, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.count, SIZE_MAX, RELAKIT_ERR_LENGTH, 3),
        WRONG(symbols.count, 0, RELAKIT_ERR_SYMBOL_INDEX, 0),
    };
    REFUSES_EACH(rows, with_symtab, usual);
    ACCEPTS(usual());
    symbols.symtab = NULL;
    symbols.count = 0;
    ACCEPTS(call(NULL, 0));
}

static void behind_writer(void)
{
    reset();
    table[0] = rela(0, 0, R_X86_64_NONE, 0);
    target.bytes = NULL;
    target.address = 0;
    target.writer = &writer;
}

static void writers_that_are_wrong(void)
{
    static const struct wrong rows[] = {
        WRONG(writer.read, 0, RELAKIT_ERR_CALLBACK, 4),
        WRONG(writer.write, 0, RELAKIT_ERR_CALLBACK, 4),
        WRONG(target.bytes, 8, RELAKIT_ERR_RESERVED, 4),
        WRONG(target.size, UINT64_MAX, RELAKIT_ERR_OVERLAP, 4),
    };
    REFUSES_EACH(rows, behind_writer, usual);
    ACCEPTS(usual());
    /* Memory behind a foreign writer may have any size. */
    target.size = UINT64_MAX;
    writer.flags = RELAKIT_WRITER_FOREIGN;
    ACCEPTS(usual());
}

static void pointers_that_are_not_aligned(void)
{
    unsigned char raw[sizeof(struct relakit_error) + 16];
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
    EQ(now(NULL, 24, &symbols, &target, NULL, (struct relakit_error *)(void *)(raw + 1)), RELAKIT_ERR_NULL);
    EQ(load(raw + 1, 4), (uint32_t)RELAKIT_ERR_NULL);
}

static void structs_of_every_size(void)
{
    takes_struct(with_options, &options, sizeof options, 5, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, 5,
                   RELAKIT_OPT_TRUNCATE_PC32 | RELAKIT_OPT_ALLOW_NONZERO | RELAKIT_OPT_REPORT_NONZERO_FIRST | RELAKIT_OPT_EXTRA_TYPES |
                       RELAKIT_OPT_ALLOW_ZERO_SYMBOLS | RELAKIT_OPT_ADD_TO_FIELD);
    takes_struct(with_writer, &writer, sizeof writer, 4, 8, NULL_IS_SOMETHING_ELSE);
    takes_no_flags(with_writer, &writer, sizeof writer, 4, RELAKIT_WRITER_FOREIGN);
    takes_only_options(with_options, &options, 5);
    takes_only(WRITER_FLAGS, with_writer, &writer, sizeof writer, offsetof(struct relakit_writer, flags), 4);
}

int main(void)
{
    static void (*const tests[])(void) = {
        the_table,
        structs_that_are_null,
        members_that_are_wrong,
        symbol_tables_that_are_wrong,
        writers_that_are_wrong,
        pointers_that_are_not_aligned,
        structs_of_every_size,
    };
    for (size_t i = 0; i < 3; i++)
        for (size_t test = 0; test < sizeof tests / sizeof *tests; test++) {
            now = passes[i];
            reset();
            tests[test]();
        }
    return test_end("level1_arguments");
}
