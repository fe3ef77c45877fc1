/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1: one table is applied, and the result is compared with memory that is read. */

#include "callbacks.h"

#define SIZE 600

static unsigned char expected[SIZE], guest[SIZE];
static Elf64_Rela table[3];
static const uint64_t values[] = {0, UINT64_C(0xffffffff81000000), BASE + 0x40};
static struct relakit_symbols symbols;
static struct relakit_target target;
static struct relakit_options options;
static struct relakit_verifier verifier;
static struct relakit_verified verified;
static struct relakit_difference seen[4];
static unsigned seen_count;
static int32_t read_fails;

static int32_t guest_read(void *ctx, uint64_t address, void *bytes, size_t size)
{
    CHECK(ctx == guest && size > 0 && size <= 256 && address >= BASE && address + size <= BASE + SIZE);
    EQ(address / 256, (address + size - 1) / 256);
    memcpy(bytes, guest + (address - BASE), size);
    return read_fails;
}

static void note(void *ctx, const struct relakit_difference *difference)
{
    CHECK(ctx == guest);
    seen[seen_count++ % 4] = *difference;
}

static void start(void)
{
    table[0] = rela(8, 1, R_X86_64_64, 5);
    table[1] = rela(254, 1, R_X86_64_PC32, -4);
    table[2] = rela(592, 2, R_X86_64_32S, 0);
    memset(expected, 0x90, SIZE);
    memset(expected + 8, 0, 8);
    memset(expected + 254, 0, 4);
    memset(expected + 592, 0, 4);
    memset(&symbols, 0, sizeof symbols);
    symbols.values = values;
    symbols.count = 3;
    memset(&target, 0, sizeof target);
    target.bytes = expected;
    target.size = SIZE;
    target.address = BASE;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    memset(&verifier, 0, sizeof verifier);
    verifier.struct_size = sizeof verifier;
    verifier.ctx = guest;
    verifier.read = guest_read;
    verifier.report = note;
    read_fails = 0;
}

static relakit_status verify_all(const struct relakit_verifier *given, const struct relakit_options *how, size_t table_size,
                                 void *out)
{
    seen_count = 0;
    return relakit_verify(table, table_size, &symbols, &target, how, given, (struct relakit_verified *)out, fresh());
}

static relakit_status verify(void)
{
    memset(&verified, 0xa5, sizeof verified);
    verified.struct_size = sizeof verified;
    return verify_all(&verifier, &options, sizeof table, &verified);
}

/* The memory that apply makes. */
static void run_guest(void)
{
    start();
    memcpy(guest, expected, SIZE);
    target.bytes = guest;
    ACCEPTS(relakit_apply(table, sizeof table, &symbols, &target, &options, fresh()));
    target.bytes = expected;
}

static void what_was_applied_has_no_difference(void)
{
    run_guest();
    ACCEPTS(verify());
    EQ(seen_count, 0);
    EQ(verified.bytes, SIZE);
    EQ(verified.differences, 0);
    EQ(verified.flexible, 0);
    EQ(verified.not_judged, 0);
    SAME(expected, guest, SIZE);
}

static void each_changed_byte_is_one_difference(void)
{
    for (unsigned at = 0; at < SIZE; at++) {
        unsigned entry = at >= 8 && at < 16 ? 0 : at >= 254 && at < 258 ? 1 : at >= 592 && at < 596 ? 2 : 3;
        run_guest();
        guest[at] ^= 0x10;
        ACCEPTS(verify());
        EQ(seen_count, 1);
        EQ(verified.differences, 1);
        EQ(seen[0].section, 0);
        EQ(seen[0].address, BASE + seen[0].offset);
        EQ(seen[0].cause, entry == 3 ? RELAKIT_CAUSE_CONTENT : RELAKIT_CAUSE_RELOCATION);
        EQ(seen[0].offset, entry == 3 ? at : table[entry].r_offset);
        EQ(seen[0].entry, entry == 3 ? 0 : entry);
        EQ(seen[0].expected_value, entry == 3 ? 0 : values[entry == 2 ? 2 : 1]);
        CHECK(entry == 3 || seen[0].leads_to != seen[0].expected_value);
    }
}

static void errors_change_nothing(void)
{
    unsigned char before[SIZE];
    run_guest();
    memcpy(before, expected, SIZE);
    REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, sizeof table - 1, verify_all(&verifier, &options, sizeof table - 1, &verified));
    table[2].r_info = (uint64_t)2 << 32 | 0x7fff;
    REFUSES(RELAKIT_ERR_UNKNOWN_TYPE, 0, verify());
    table[2] = rela(592, 3, R_X86_64_32S, 0);
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, verify());
    table[2] = rela(597, 2, R_X86_64_32S, 0);
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 4, verify());
    table[2] = rela(592, 2, R_X86_64_32, 0);
    (void)verify();
    EQ(fault.status, RELAKIT_ERR_OVERFLOW);
    start();
    target.writer = &hooked;
    target.bytes = NULL;
    REFUSES(RELAKIT_ERR_NOT_PLAIN, 0, verify());
    start();
    target.address = UINT64_MAX - SIZE + 2;
    REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, target.address, verify());
    start();
    target.size = (uint64_t)PTRDIFF_MAX + 1;
    REFUSES(RELAKIT_ERR_LENGTH, 4, verify());
    start();
    target.bytes = (unsigned char *)(void *)table;
    target.size = 24;
    REFUSES(RELAKIT_ERR_OVERLAP, 4, verify());
    start();
    options.flags = 0x8000;
    REFUSES(RELAKIT_ERR_FLAGS, 5, verify());
    start();
    symbols.values = NULL;
    (void)verify();
    CHECK(fault.status == RELAKIT_ERR_SYMBOLS || fault.status == RELAKIT_ERR_NULL);
    start();
    SAME(expected, before, SIZE);
    /* Only the reader is called after the table was applied. */
    read_fails = -3;
    REFUSES(RELAKIT_ERR_READER, (int64_t)-3, verify());
    EQ(seen_count, 0);
    EQ(verified.differences, UINT64_C(0xa5a5a5a5a5a5a5a5));
}

static relakit_status with_verifier(const void *given)
{
    run_guest();
    memset(&verified, 0, sizeof verified);
    verified.struct_size = sizeof verified;
    return verify_all((const struct relakit_verifier *)given, &options, sizeof table, &verified);
}

static relakit_status with_options(const void *given)
{
    run_guest();
    return verify_all(&verifier, (const struct relakit_options *)given, sizeof table, &verified);
}

static relakit_status gives_verified(void *given)
{
    run_guest();
    return verify_all(&verifier, &options, sizeof table, given);
}

static void arguments(void)
{
    struct relakit_verifier given;
    struct relakit_options how;
    run_guest();
    given = verifier;
    how = options;
    takes_struct(with_verifier, &given, sizeof given, 6, 8, NULL_IS_REFUSED);
    takes_no_flags(with_verifier, &given, sizeof given, 6, 0);
    takes_struct(with_options, &how, sizeof how, 5, 4, NULL_IS_TAKEN);
    takes_only_options(with_options, &how, 5);
    run_guest();
    ACCEPTS(verify());
    gives_struct(gives_verified, &verified, sizeof verified, 7);
    given.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 6, with_verifier(&given));
    given = verifier;
    given.report = NULL;
    ACCEPTS(with_verifier(&given));
    REFUSES(RELAKIT_ERR_NULL, 1, relakit_verify(NULL, 24, &symbols, &target, NULL, &verifier, &verified, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_verify(table, 24, NULL, &target, NULL, &verifier, &verified, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_verify(table, 24, &symbols, NULL, NULL, &verifier, &verified, fresh()));
}

int main(void)
{
    what_was_applied_has_no_difference();
    each_changed_byte_is_one_difference();
    errors_change_nothing();
    arguments();
    return test_end("level1_verify");
}
