/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the tests share: checks that count, faults that are looked at in full, and structs of every size.
 *
 * A check that fails prints where it is, what it looked at and both numbers, and the program goes on.
 */
#ifndef TEST_H
#define TEST_H

#include "relakit.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNUSED __attribute__((unused))

static unsigned long test_checks, test_failures;

/* Are two numbers the same? */
#define EQ(is, want) test_equal(__FILE__, __LINE__, #is, (uint64_t)(is), (uint64_t)(want))
#define CHECK(that) test_equal(__FILE__, __LINE__, #that, (that) ? 1 : 0, 1)
/* Are `size` bytes the same? */
#define SAME(is, want, size) test_same(__FILE__, __LINE__, #is, (is), (want), (size))
/* Is it this text? */
#define TEXT(is, want) test_text(__FILE__, __LINE__, #is, (is), (want))
/* Is text without a NUL this text? */
#define NAME(is, len, want) test_name(__FILE__, __LINE__, #is, (is), (len), (want))

/* A call that succeeds with RELAKIT_OK, and leaves its error alone: `fresh()` is what it is given. */
#define ACCEPTS(call) test_accepted(__FILE__, __LINE__, #call, (call), RELAKIT_OK)
#define ANSWERS(answer, call) test_accepted(__FILE__, __LINE__, #call, (call), (answer))
/* A call that fails with this status, and error->value; the error must be filled in, in all members. */
#define REFUSES(status, number, call) \
    test_refused(__FILE__, __LINE__, #call, (call), (status), (uint64_t)(number))

static inline int test_equal(const char *file, int line, const char *what, uint64_t is, uint64_t want)
{
    test_checks++;
    if (is == want)
        return 1;
    test_failures++;
    printf("%s:%d: %s is %lld (%#llx), not %lld (%#llx)\n", file, line, what, (long long)is,
           (unsigned long long)is, (long long)want, (unsigned long long)want);
    return 0;
}

static inline int test_same(const char *file, int line, const char *what, const void *is, const void *want,
                            size_t size)
{
    const unsigned char *a = (const unsigned char *)is, *b = (const unsigned char *)want;
    size_t at = 0;
    while (at < size && a[at] == b[at])
        at++;
    test_checks++;
    if (at == size)
        return 1;
    test_failures++;
    printf("%s:%d: byte %zu of %zu of %s is %#x, not %#x\n", file, line, at, size, what, a[at], b[at]);
    return 0;
}

static inline int test_text(const char *file, int line, const char *what, const char *is, const char *want)
{
    test_checks++;
    if (is != NULL && strcmp(is, want) == 0)
        return 1;
    test_failures++;
    printf("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, is == NULL ? "(NULL)" : is, want);
    return 0;
}

static inline int test_name(const char *file, int line, const char *what, const char *is, size_t len,
                            const char *want)
{
    test_checks++;
    if (is != NULL && len == strlen(want) && memcmp(is, want, len) == 0)
        return 1;
    test_failures++;
    printf("%s:%d: %s has %zu bytes (\"%.*s\"), not those of \"%s\"\n", file, line, what, len,
           is == NULL ? 0 : (int)len, is == NULL ? "" : is, want);
    return 0;
}

/* The error that every call is given. */
static struct relakit_error fault;

static inline struct relakit_error *fresh(void)
{
    memset(&fault, 0xa5, sizeof fault);
    return &fault;
}

static inline int test_accepted(const char *file, int line, const char *what, relakit_status is,
                                relakit_status want)
{
    struct relakit_error untouched;
    int right = test_equal(file, line, what, (uint64_t)is, (uint64_t)want);
    memset(&untouched, 0xa5, sizeof untouched);
    if (!test_same(file, line, "the error of a call that succeeds", &fault, &untouched, sizeof fault))
        printf("    in %s\n", what);
    return right;
}

static inline int test_refused(const char *file, int line, const char *what, relakit_status is,
                               relakit_status want, uint64_t number)
{
    unsigned long failures = test_failures;
    if (!test_equal(file, line, what, (uint64_t)is, (uint64_t)want) && is >= 0)
        return 0;
    test_equal(file, line, "error->status", (uint64_t)fault.status, (uint64_t)want);
    test_equal(file, line, "error->value", fault.value, number);
    test_equal(file, line, "error->linux_errno", (uint64_t)fault.linux_errno,
               (uint64_t)relakit_linux_errno(want));
    test_equal(file, line, "unknown bits of error->has", fault.has & ~(uint32_t)15, 0);
    test_equal(file, line, "error->reserved", fault.reserved, 0);
    if (!(fault.has & RELAKIT_ERROR_HAS_SECTION))
        test_equal(file, line, "error->section, which says nothing", fault.section, 0);
    if (!(fault.has & RELAKIT_ERROR_HAS_SYMBOL))
        test_equal(file, line, "error->symbol, which says nothing", fault.symbol, 0);
    if (!(fault.has & RELAKIT_ERROR_HAS_TYPE))
        test_equal(file, line, "error->r_type, which says nothing", fault.r_type, 0);
    if (!(fault.has & RELAKIT_ERROR_HAS_ENTRY))
        test_equal(file, line, "error->entry, which says nothing", fault.entry, 0);
    /* A number that has no name is 0, but for r_offset. */
    if (!(fault.has & RELAKIT_ERROR_HAS_ENTRY) && relakit_error_field_name(want, 0)[0] == 0)
        test_equal(file, line, "error->offset, which has no name", fault.offset, 0);
    if (relakit_error_field_name(want, 1)[0] == 0)
        test_equal(file, line, "error->value, which has no name", fault.value, 0);
    if (relakit_error_field_name(want, 2)[0] == 0)
        test_equal(file, line, "error->limit, which has no name", fault.limit, 0);
    if (test_failures != failures)
        printf("    in %s\n", what);
    return test_failures == failures;
}

/* Memory of exactly this size, so that the byte behind it is nobody's. */
static inline void *heap(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    if (memory == NULL)
        exit(99);
    return memory;
}

static inline void *copy_of(const void *from, size_t size)
{
    void *copy = heap(size);
    if (size != 0)
        memcpy(copy, from, size);
    return copy;
}

static inline Elf64_Rela rela(uint64_t offset, uint32_t symbol, uint32_t type, int64_t addend)
{
    Elf64_Rela entry;
    entry.r_offset = offset;
    entry.r_info = (uint64_t)symbol << 32 | type;
    entry.r_addend = addend;
    return entry;
}

/* The header of a relocatable file for x86-64, whose section names are in section `names`. */
static inline void put_elf_header(void *file, uint64_t headers_at, size_t sections, uint16_t names)
{
    static const unsigned char ident[16] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    Elf64_Ehdr *header = (Elf64_Ehdr *)file;
    memcpy(header->e_ident, ident, sizeof ident);
    header->e_type = ET_REL;
    header->e_machine = EM_X86_64;
    header->e_version = EV_CURRENT;
    header->e_shoff = headers_at;
    header->e_ehsize = sizeof *header;
    header->e_shentsize = sizeof(Elf64_Shdr);
    header->e_shnum = (uint16_t)sections;
    header->e_shstrndx = names;
}

static inline uint64_t load(const void *bytes, size_t size)
{
    uint64_t value = 0;
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

/* A member of a struct with a value for which a call is refused, and error->value. */
struct wrong {
    void *member;
    size_t size;
    uint64_t value;
    relakit_status status;
    uint64_t number;
};
#define WRONG(member, value, status, number) {(void *)&(member), sizeof(member), (uint64_t)(value), status, number}
#define REFUSES_EACH(rows, reset, call) test_refuses_each(__LINE__, rows, sizeof rows / sizeof *rows, reset, call)

/* Makes the call with each of the members wrong by itself. */
static inline void test_refuses_each(int line, const struct wrong *rows, size_t count, void (*reset)(void),
                                     relakit_status (*call)(void))
{
    for (size_t i = 0; i < count; i++) {
        reset();
        memcpy(rows[i].member, &rows[i].value, rows[i].size);
        if (!REFUSES(rows[i].status, rows[i].number, call()))
            printf("    row %zu of line %d\n", i, line);
    }
    reset();
}

/* A call with one of its structs given; it uses fresh(). */
typedef relakit_status taker(const void *given);

enum null { NULL_IS_REFUSED, NULL_IS_TAKEN, NULL_IS_SOMETHING_ELSE };

/* What holds for every struct that begins with struct_size and is read: `good` is a right one. */
static inline void takes_struct(taker *call, const void *good, uint32_t size, uint64_t number, size_t align,
                                enum null null)
{
    static const uint32_t wrong[] = {0, 1, 4097, 0x7fffffff, 0xa5a5a5a5, 0xffffffff};
    static const uint32_t larger[] = {1, 4, 8, 200};
    unsigned char *room = (unsigned char *)heap(4096 + 16);
    ACCEPTS(call(good));
    if (null == NULL_IS_TAKEN)
        ACCEPTS(call(NULL));
    if (null == NULL_IS_REFUSED)
        REFUSES(RELAKIT_ERR_NULL, number, call(NULL));
    for (size_t off = 1; off < align; off++) {
        memset(room, 0, 4096);
        memcpy(room + off, good, size);
        REFUSES(RELAKIT_ERR_ALIGNMENT, number, call(room + off));
        EQ(fault.limit, align);
    }
    memset(room, 0, 4096);
    memcpy(room, good, size);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong + 1; i++) {
        uint32_t is = i < sizeof wrong / sizeof *wrong ? wrong[i] : size - 1;
        memcpy(room, &is, 4);
        REFUSES(RELAKIT_ERR_STRUCT_SIZE, number, call(room));
        EQ(fault.limit, is);
    }
    for (size_t i = 0; i < sizeof larger / sizeof *larger + 1; i++) {
        uint32_t is = i < sizeof larger / sizeof *larger ? size + larger[i] : 4096;
        unsigned char *exact = (unsigned char *)heap(is);
        memset(exact, 0, is);
        memcpy(exact, good, size);
        memcpy(exact, &is, 4);
        ACCEPTS(call(exact));
        exact[is - 1] = 1;
        REFUSES(RELAKIT_ERR_RESERVED, number, call(exact));
        exact[is - 1] = 0;
        exact[size] = 0x80;
        REFUSES(RELAKIT_ERR_RESERVED, number, call(exact));
        free(exact);
    }
    free(room);
}

/* The same for the member `flags`, which follows struct_size: no bit but those of `known` is taken. */
static inline void takes_no_flags(taker *call, const void *good, uint32_t size, uint64_t number, uint32_t known)
{
    unsigned char *copy = (unsigned char *)copy_of(good, size);
    for (int bit = 0; bit < 32; bit++) {
        uint32_t flags = (uint32_t)1 << bit;
        if (flags & known)
            continue;
        memcpy(copy + 4, &flags, 4);
        REFUSES(RELAKIT_ERR_FLAGS, number, call(copy));
        EQ(fault.limit, flags);
    }
    free(copy);
}

/* The families of numbers that a caller passes. No number is in two of them, but for 0. */
enum family { OPTION_FLAGS, WRITER_FLAGS, MEMORY_FLAGS, PROFILES };
static const struct {
    enum family family;
    uint32_t number;
} family_numbers[] = {
    {OPTION_FLAGS, RELAKIT_OPT_TRUNCATE_PC32}, {OPTION_FLAGS, RELAKIT_OPT_ALLOW_NONZERO},
    {OPTION_FLAGS, RELAKIT_OPT_REPORT_NONZERO_FIRST}, {OPTION_FLAGS, RELAKIT_OPT_EXTRA_TYPES},
    {OPTION_FLAGS, RELAKIT_OPT_ALLOW_ZERO_SYMBOLS}, {OPTION_FLAGS, RELAKIT_OPT_ADD_TO_FIELD},
    {WRITER_FLAGS, RELAKIT_WRITER_FOREIGN}, {MEMORY_FLAGS, RELAKIT_MEMORY_PRESENT},
    {MEMORY_FLAGS, RELAKIT_MEMORY_WRITER}, {MEMORY_FLAGS, RELAKIT_MEMORY_SYMBOLS_AT},
    {PROFILES, RELAKIT_PROFILE_ELF}, {PROFILES, RELAKIT_PROFILE_XEN}, {PROFILES, RELAKIT_PROFILE_GRUB},
    {PROFILES, RELAKIT_PROFILE_FREEBSD}, {PROFILES, RELAKIT_PROFILE_KEXEC}, {PROFILES, RELAKIT_LINUX(5, 8)},
    {PROFILES, RELAKIT_LINUX(6, 12)},
};
#define FAMILY_NUMBERS (sizeof family_numbers / sizeof *family_numbers)

/* What holds for a member `at` bytes into a struct: it takes no number of another family. */
static inline void takes_only(enum family family, taker *call, const void *good, uint32_t size, size_t at,
                              uint64_t argument)
{
    unsigned char *copy = (unsigned char *)copy_of(good, size);
    for (size_t i = 0; i < FAMILY_NUMBERS; i++) {
        uint32_t number = family_numbers[i].number;
        if (family_numbers[i].family == family)
            continue;
        memcpy(copy + at, &number, 4);
        if (family == PROFILES)
            REFUSES(RELAKIT_ERR_PROFILE, number, call(copy));
        else if (REFUSES(RELAKIT_ERR_FLAGS, argument, call(copy)))
            EQ(fault.limit, number);
    }
    free(copy);
}

/* The same for both members of the options, argument `argument`. */
static inline void takes_only_options(taker *call, const struct relakit_options *good, uint64_t argument)
{
    takes_only(OPTION_FLAGS, call, good, sizeof *good, offsetof(struct relakit_options, flags), argument);
    takes_only(PROFILES, call, good, sizeof *good, offsetof(struct relakit_options, profile), argument);
}

/* A call that fills in a struct; it uses fresh(). */
typedef relakit_status giver(void *given);

/* What holds for every struct that begins with struct_size and is filled in: `good` is what it must be then. */
static inline void gives_struct(giver *call, const void *good, uint32_t size, uint64_t number)
{
    static const uint32_t wrong[] = {0, 1, 4097, 0xa5a5a5a5, 0xffffffff};
    static const uint32_t larger[] = {1, 8, 200};
    unsigned char *room = (unsigned char *)heap(4096 + 16);
    unsigned char untouched[4096];
    memset(untouched, 0xa5, sizeof untouched);
    REFUSES(RELAKIT_ERR_NULL, number, call(NULL));
    for (size_t off = 1; off < 4; off++) {
        memset(room, 0xa5, 4096);
        memcpy(room + off, &size, 4);
        REFUSES(RELAKIT_ERR_ALIGNMENT, number, call(room + off));
        SAME(room + off + 4, untouched, size);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong + 1; i++) {
        uint32_t is = i < sizeof wrong / sizeof *wrong ? wrong[i] : size - 1;
        memset(room, 0xa5, 4096);
        memcpy(room, &is, 4);
        REFUSES(RELAKIT_ERR_STRUCT_SIZE, number, call(room));
        EQ(fault.limit, is);
        SAME(room + 4, untouched, size);
    }
    for (size_t i = 0; i < sizeof larger / sizeof *larger + 1; i++) {
        uint32_t is = i == 0 ? size : size + larger[i - 1];
        unsigned char *exact = (unsigned char *)heap(is), zeros[256] = {0};
        memset(exact, 0xa5, is);
        memcpy(exact, &is, 4);
        ACCEPTS(call(exact));
        EQ(load(exact, 4), is);
        SAME(exact + 4, (const unsigned char *)good + 4, size - 4);
        SAME(exact + size, zeros, is - size);
        free(exact);
    }
    free(room);
}

static inline int test_end(const char *name)
{
    printf("%s: %lu checks, %lu failures\n", name, test_checks, test_failures);
    return test_failures != 0;
}

#endif /* TEST_H */
