/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1 with symbol values by callback: each result of the callback, at each of its calls. */

#include "callbacks.h"

#define ROOM 32
#define SYMBOLS 4

typedef relakit_status pass(const void *, size_t, const struct relakit_symbols *, const struct relakit_target *,
                            const struct relakit_options *, struct relakit_error *);

static const uint64_t values[SYMBOLS] = {0, 0x1122334455667788, 0x7654321, 0x42};
static Elf64_Rela table[3];
static unsigned char bytes[ROOM];
static const struct relakit_target target = {bytes, ROOM, 0x1000, NULL};
static struct relakit_options options;

/* The result of call `special_at`, and of each call after it if `from_there_on`; the other calls succeed. */
static unsigned calls, special_at;
static int from_there_on;
static int32_t special;
static uint32_t asked_for[64];
static uint32_t skipped_symbol;

static int32_t value_of(void *ctx, uint32_t symbol, uint64_t *value)
{
    unsigned call = calls++;
    CHECK(ctx == &calls && symbol < SYMBOLS && call < 64);
    asked_for[call % 64] = symbol;
    if (call == special_at || (from_there_on && call > special_at)) {
        *value = 0x5a5a5a5a; /* ignored */
        return special;
    }
    *value = values[symbol];
    return symbol == skipped_symbol ? RELAKIT_SKIP : RELAKIT_OK;
}

static const struct relakit_symbols symbols = {NULL, NULL, SYMBOLS, value_of, &calls};

static void reset(void)
{
    table[0] = rela(0, 1, R_X86_64_64, 1);
    table[1] = rela(8, 2, R_X86_64_32, 0);
    table[2] = rela(20, 3, R_X86_64_PC32, -4);
    memset(bytes, 0, ROOM);
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    calls = 0;
    special_at = NEVER;
    skipped_symbol = NEVER;
    from_there_on = 0;
}

static relakit_status run(pass *which)
{
    return which(table, sizeof table, &symbols, &target, &options, fresh());
}

/* The bytes with the entries of `mask` applied. */
static void expected(unsigned char *want, unsigned mask)
{
    static const uint64_t fields[3] = {0x1122334455667789, 0x7654321, (uint32_t)(0x42 - 4 - 0x1014)};
    static const size_t at[3] = {0, 8, 20}, size[3] = {8, 4, 4};
    memset(want, 0, ROOM);
    for (size_t i = 0; i < 3; i++)
        for (size_t byte = 0; byte < size[i] && mask >> i & 1; byte++)
            want[at[i] + byte] = (unsigned char)(fields[i] >> (8 * byte));
}

static void a_callback_gives_the_same_as_an_array(void)
{
    const struct relakit_symbols array = {values, NULL, SYMBOLS, NULL, NULL};
    unsigned char want[ROOM], zeros[ROOM] = {0};
    reset();
    expected(want, 7);
    ACCEPTS(run(relakit_dry_run));
    SAME(bytes, zeros, ROOM);
    calls = 0;
    ACCEPTS(run(relakit_apply));
    SAME(bytes, want, ROOM);
    EQ(calls, 3);
    EQ(asked_for[0], 1);
    EQ(asked_for[1], 2);
    EQ(asked_for[2], 3);
    ACCEPTS(relakit_clear(table, sizeof table, &array, &target, &options, fresh()));
    ACCEPTS(relakit_apply(table, sizeof table, &array, &target, &options, fresh()));
    ACCEPTS(run(relakit_clear));
    SAME(bytes, zeros, ROOM);
}

static void each_result_at_each_call_of_apply(void)
{
    static const int32_t numbers[] = {-1, 3, -40, INT32_MIN, INT32_MAX, RELAKIT_ERR_RESOLVER};
    unsigned char want[ROOM], zeros[ROOM] = {0};
    for (unsigned at = 0; at < 3; at++)
        for (int on = 0; on < 2; on++) {
            reset();
            special_at = at;
            special = RELAKIT_SKIP;
            from_there_on = on;
            ACCEPTS(run(relakit_apply));
            expected(want, on ? (1u << at) - 1 : 7 & ~(1u << at));
            SAME(bytes, want, ROOM);
            reset();
            special_at = at;
            special = RELAKIT_NOT_FOUND;
            from_there_on = on;
            REFUSES(RELAKIT_ERR_UNKNOWN_SYMBOL, 0, run(relakit_apply));
            EQ(fault.entry, at);
            EQ(fault.symbol, at + 1);
            EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
            SAME(bytes, zeros, ROOM);
            for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
                reset();
                special_at = at;
                special = numbers[i];
                from_there_on = on;
                REFUSES(RELAKIT_ERR_RESOLVER, (int64_t)numbers[i], run(relakit_apply));
                EQ(fault.entry, at);
                EQ(fault.symbol, at + 1);
                SAME(bytes, zeros, ROOM);
                /* The rollback needs no value. */
                EQ(calls, at + 1);
            }
        }
}

static void each_error_at_each_call_of_clear(void)
{
    unsigned char want[ROOM], applied[ROOM];
    for (unsigned at = 0; at < 3; at++)
        for (int on = 0; on < 2; on++) {
            reset();
            ACCEPTS(run(relakit_apply));
            expected(applied, 7);
            calls = 0;
            special_at = at;
            special = -7;
            from_there_on = on;
            if (on && at != 0) {
                /* The last entries are cleared, and their values are not known any more. */
                REFUSES(RELAKIT_ERR_NOT_UNDONE, -7, run(relakit_clear));
                EQ(fault.entry, 2 - at);
                expected(want, (1u << (3 - at)) - 1);
                SAME(bytes, want, ROOM);
            } else {
                REFUSES(RELAKIT_ERR_RESOLVER, -7, run(relakit_clear));
                EQ(fault.entry, 2 - at);
                SAME(bytes, applied, ROOM);
            }
        }
}

/* Each entry is asked for twice: where its field begins, and for its value. */
static void each_error_at_each_call_of_a_dry_run(void)
{
    unsigned char zeros[ROOM] = {0};
    unsigned all;
    reset();
    ACCEPTS(run(relakit_dry_run));
    all = calls;
    for (unsigned at = 0; at < all; at++) {
        reset();
        special_at = at;
        special = RELAKIT_NOT_FOUND;
        from_there_on = 1;
        REFUSES(RELAKIT_ERR_UNKNOWN_SYMBOL, 0, run(relakit_dry_run));
        EQ(fault.entry, at / 2);
        SAME(bytes, zeros, ROOM);
    }
}

static void a_skipped_relocation_is_not_looked_at(void)
{
    unsigned char before[ROOM];
    reset();
    table[0] = rela(UINT64_MAX, 1, R_X86_64_64, 0);
    table[1] = rela(0, 1, 99, 0);
    table[2] = rela(0, 1, R_X86_64_32, INT64_MAX);
    memset(bytes, 0xee, ROOM);
    memcpy(before, bytes, ROOM);
    special_at = 0;
    special = RELAKIT_SKIP;
    from_there_on = 1;
    ACCEPTS(run(relakit_dry_run));
    ACCEPTS(run(relakit_apply));
    ACCEPTS(run(relakit_clear));
    SAME(bytes, before, ROOM);
}

/* A relocation fails after one was skipped whose field is not zero. */
static void a_rollback_leaves_skipped_fields_alone(void)
{
    unsigned char before[ROOM];
    reset();
    table[2] = rela(16, 2, R_X86_64_32, INT64_MAX);
    skipped_symbol = 1;
    memset(bytes, 0x77, 8);
    memcpy(before, bytes, ROOM);
    REFUSES(RELAKIT_ERR_OVERFLOW, (uint64_t)0x7654321 + INT64_MAX, run(relakit_apply));
    EQ(fault.entry, 2);
    SAME(bytes, before, ROOM);
    /* Both entries before it were asked for again, and one of them fails then. */
    EQ(calls, 5);
    for (special_at = 3; special_at < 5; special_at++) {
        calls = 0;
        special = 77;
        REFUSES(RELAKIT_ERR_NOT_UNDONE, 77, run(relakit_apply));
        EQ(fault.entry, 4 - special_at);
        EQ(load(bytes + 8, 4), special_at == 3 ? 0x7654321 : 0);
        memcpy(bytes, before, ROOM);
    }
}

static void an_index_outside_is_not_asked_for(void)
{
    unsigned char zeros[ROOM] = {0};
    static const uint32_t outside[] = {SYMBOLS, SYMBOLS + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        reset();
        table[1] = rela(8, outside[i], R_X86_64_32, 0);
        REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, run(relakit_apply));
        EQ(fault.limit, SYMBOLS);
        EQ(fault.symbol, outside[i]);
        EQ(calls, 1);
        SAME(bytes, zeros, ROOM);
    }
    reset();
    const struct relakit_symbols none = {NULL, NULL, 0, value_of, &calls};
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, relakit_apply(table, 24, &none, &target, &options, fresh()));
    ACCEPTS(relakit_apply(table, 0, &none, &target, &options, fresh()));
    EQ(calls, 0);
}

/* With a writer, and with a value that is added to the field. */
static void callbacks_of_both_kinds_work_together(void)
{
    const struct relakit_target behind = {NULL, ROOM, BASE, &hooked};
    reset();
    memset(flat, 0, FLAT);
    flat[8] = 1;
    options.flags = RELAKIT_OPT_ADD_TO_FIELD;
    table[2] = rela(20, 2, R_X86_64_32, 0);
    hooks_reset();
    ACCEPTS(relakit_apply(table, sizeof table, &symbols, &behind, &options, fresh()));
    ASKED("r0 r8 r20 r0 w0 r8 w8 r20 w20 s");
    EQ(load(flat, 8), 0x1122334455667789);
    EQ(load(flat + 8, 4), 0x7654322);
    EQ(calls, 6);
    hooks_reset();
    calls = 0;
    ACCEPTS(relakit_clear(table, sizeof table, &symbols, &behind, &options, fresh()));
    EQ(load(flat, 8), 0);
    EQ(load(flat + 8, 4), 1);
    EQ(load(flat + 20, 4), 0);
    hooks_reset();
}

int main(void)
{
    a_callback_gives_the_same_as_an_array();
    each_result_at_each_call_of_apply();
    each_error_at_each_call_of_clear();
    each_error_at_each_call_of_a_dry_run();
    a_skipped_relocation_is_not_looked_at();
    a_rollback_leaves_skipped_fields_alone();
    an_index_outside_is_not_asked_for();
    callbacks_of_both_kinds_work_together();
    return test_end("level1_values");
}
