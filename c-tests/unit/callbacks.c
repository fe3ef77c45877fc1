/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1 behind a writer: which calls are made, in which order, and what is left when any of them fails. */

#include "hooks.h"

#define AT 256 /* where the target is in flat memory */
#define ROOM 64

static Elf64_Rela table[6];
static const uint64_t values[3] = {0, 0x1122334455667788, 0x7654321};
static const struct relakit_symbols symbols = {values, NULL, 3};
static const struct relakit_target target = {NULL, ROOM, BASE + AT, &hooked};
static struct relakit_options options;
static size_t count;

/* Fields of all four sizes, one entry without a field, one that is relative. */
static const struct field fields[] = {
    {0, 0, AT + 0, 4, 0x7654321}, {0, 1, AT + 8, 8, 0x1122334455667789}, {0, 2, AT + 20, 2, 0x4321},
    {0, 3, AT + 22, 1, 0x21},     {0, 5, AT + 32, 4, 0x7654320 - (uint32_t)(BASE + AT + 32)},
};

static void five_fields(void)
{
    table[0] = rela(0, 2, R_X86_64_32, 0);
    table[1] = rela(8, 1, R_X86_64_64, 1);
    table[2] = rela(20, 2, R_X86_64_16, 0x4321 - 0x7654321);
    table[3] = rela(22, 2, R_X86_64_8, 0x21 - 0x7654321);
    table[4] = rela(24, 2, R_X86_64_NONE, 0);
    table[5] = rela(32, 2, R_X86_64_PC32, -1);
    count = 6;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.flags = RELAKIT_OPT_EXTRA_TYPES;
}

static relakit_status apply(void)
{
    return relakit_apply(table, count * sizeof *table, &symbols, &target, &options, fresh());
}

static relakit_status clear(void)
{
    return relakit_clear(table, count * sizeof *table, &symbols, &target, &options, fresh());
}

static relakit_status check(void)
{
    return relakit_dry_run(table, count * sizeof *table, &symbols, &target, &options, fresh());
}

static void empty(void)
{
    memset(flat, 0, FLAT);
    memset(flat, 0xcc, AT);
    memset(flat + AT + ROOM, 0xcc, 64);
}

static void full(void)
{
    empty();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        for (size_t byte = 0; byte < fields[i].size; byte++)
            flat[fields[i].at + byte] = (unsigned char)(fields[i].value >> (8 * byte));
}

static void all_are_read_before_the_first_is_written_and_synced_once(void)
{
    unsigned char want[FLAT];
    five_fields();
    hooks_reset();
    empty();
    ACCEPTS(apply());
    ASKED("r0 r8 r20 r22 r32 r0 w0 r8 w8 r20 w20 r22 w22 r32 w32 s");
    for (unsigned i = 0; i < asked_count - 1; i++) {
        const struct field *field = &fields[i < 5 ? i : (i - 5) / 2];
        EQ(asked[i].address, BASE + field->at);
        EQ(asked[i].size, field->size);
        EQ(asked[i].value, asked[i].kind == 'w' ? field->value : 0);
    }
    memcpy(want, flat, FLAT);
    full();
    SAME(flat, want, FLAT);
}

static void clearing_reads_all_and_then_goes_from_the_last_to_the_first(void)
{
    unsigned char want[FLAT];
    hooks_reset();
    full();
    ACCEPTS(clear());
    ASKED("r0 r8 r20 r22 r32 r32 w32 r22 w22 r20 w20 r8 w8 r0 w0 s");
    for (unsigned i = 0; i < asked_count - 1; i++)
        EQ(asked[i].kind == 'w' ? asked[i].value : 0, 0);
    memcpy(want, flat, FLAT);
    empty();
    SAME(flat, want, FLAT);
}

static void checking_only_reads(void)
{
    hooks_reset();
    empty();
    ACCEPTS(check());
    ASKED("r0 r8 r20 r22 r32");
    /* The first entry at fault is named before anything is written. */
    flat[AT + 23] = 1;
    ACCEPTS(check());
    flat[AT + 22] = 1;
    hooks_reset();
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x21, check());
    EQ(fault.entry, 3);
    EQ(fault.limit, 1);
    hooks_reset();
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x21, apply());
    ASKED("r0 r8 r20 r22");
    hooks_reset();
    full();
    flat[AT + 8] = 0;
    REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x1122334455667789, clear());
    EQ(fault.entry, 1);
    ASKED("r0 r8");
}

static void each_call_fails_in_turn(void)
{
    five_fields();
    fail_in_turn(apply, empty, fields, 5, 1);
    fail_in_turn(clear, full, fields, 5, 0);
    /* Where an entry is at fault it is named with everything. */
    hooks_reset();
    empty();
    fail_at = 1;
    fail_number = -5;
    REFUSES(RELAKIT_ERR_WRITER, (uint64_t)-5, apply());
    EQ(fault.has, RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
    EQ(fault.entry, 1);
    EQ(fault.symbol, 1);
    EQ(fault.r_type, R_X86_64_64);
    EQ(fault.offset, 8);
    EQ(asked_count, 2);
    /* What was written is put back in the reverse order, and that is synced. */
    hooks_reset();
    empty();
    fail_at = 10;
    fail_number = 1;
    REFUSES(RELAKIT_ERR_WRITER, 1, apply());
    EQ(fault.entry, 2);
    ASKED("r0 r8 r20 r22 r32 r0 w0 r8 w8 r20 w20 w8 w0 s");
    hooks_reset();
    empty();
    fail_at = 15;
    fail_number = 1;
    REFUSES(RELAKIT_ERR_SYNC, 1, apply());
    EQ(fault.has, 0);
    ASKED("r0 r8 r20 r22 r32 r0 w0 r8 w8 r20 w20 r22 w22 r32 w32 s w32 w22 w20 w8 w0 s");
    hooks_reset();
    full();
    fail_at = 10;
    fail_number = 1;
    REFUSES(RELAKIT_ERR_WRITER, 1, clear());
    EQ(fault.entry, 2);
    ASKED("r0 r8 r20 r22 r32 r32 w32 r22 w22 r20 w20 w22 w32 s");
    /* Failed reads of a dry run. */
    for (unsigned k = 0; k < 5; k++) {
        hooks_reset();
        empty();
        fail_at = k;
        fail_number = HOOK_NUMBER(k);
        REFUSES(RELAKIT_ERR_WRITER, (int64_t)HOOK_NUMBER(k), check());
        EQ(asked_count, k + 1);
    }
    hooks_reset();
}

static void without_zeros_nothing_can_be_put_back(void)
{
    five_fields();
    options.flags |= RELAKIT_OPT_ALLOW_NONZERO;
    for (unsigned k = 0; k < 16; k++) {
        unsigned written = 0, last;
        unsigned char before[FLAT];
        relakit_status status;
        hooks_reset();
        empty();
        memset(flat + AT, 0xee, ROOM);
        memcpy(before, flat, FLAT);
        fail_at = k;
        fail_number = -9;
        status = apply();
        for (unsigned i = 0; i < k; i++)
            written += asked[i].kind == 'w';
        last = written == 0 ? NEVER : (unsigned)fields[written - 1].entry;
        EQ(status, written == 0 ? RELAKIT_ERR_WRITER : RELAKIT_ERR_NOT_UNDONE);
        EQ(fault.status, status);
        EQ(fault.value, (uint64_t)-9);
        if (written != 0) {
            CHECK(fault.has & RELAKIT_ERROR_HAS_ENTRY);
            EQ(fault.entry, last);
        }
        for (size_t i = 0; i < 5; i++)
            EQ(load(flat + fields[i].at, fields[i].size),
               i < written ? fields[i].value : load(before + fields[i].at, fields[i].size));
    }
    hooks_reset();
}

static void a_writer_without_sync_is_asked_for_none(void)
{
    struct relakit_writer quiet = hooked;
    struct relakit_target there = target;
    quiet.sync = NULL;
    there.writer = &quiet;
    five_fields();
    hooks_reset();
    empty();
    ACCEPTS(relakit_apply(table, sizeof table, &symbols, &there, &options, fresh()));
    ASKED("r0 r8 r20 r22 r32 r0 w0 r8 w8 r20 w20 r22 w22 r32 w32");
}

static void fields_that_do_not_ascend(void)
{
    unsigned char zeros[FLAT];
    static const struct field lone[] = {{0, 0, AT + 8, 4, 0x7654321}, {0, 1, AT + 0, 4, 0x7654321}};
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    table[0] = rela(8, 2, R_X86_64_32, 0);
    table[1] = rela(0, 2, R_X86_64_32, 0);
    count = 2;
    hooks_reset();
    empty();
    memcpy(zeros, flat, FLAT);
    REFUSES(RELAKIT_ERR_FIELDS_NOT_ASCENDING, 0, check());
    EQ(fault.entry, 1);
    EQ(fault.offset, 0);
    for (unsigned i = 0; i < asked_count; i++)
        EQ(asked[i].kind, 'r');
    hooks_reset();
    ACCEPTS(apply());
    ASKED("r8 r0 r8 w8 r0 w0 s");
    hooks_reset();
    ACCEPTS(clear());
    /* These are cleared without the first reading. */
    ASKED("r0 w0 r8 w8 s");
    SAME(flat, zeros, FLAT);
    fail_in_turn(apply, empty, lone, 2, 1);
    /* Two that overlap: the second is not zero any more when its turn comes, and the first is put back. */
    table[1] = rela(10, 2, R_X86_64_32, 0);
    hooks_reset();
    empty();
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x7654321, apply());
    EQ(fault.entry, 1);
    ASKED("r8 r10 r8 w8 r10 w8 s");
    SAME(flat, zeros, FLAT);
}

static void fields_outside_are_never_asked_for(void)
{
    static const uint64_t outside[] = {ROOM - 7, ROOM, UINT64_MAX - 3, UINT64_MAX, (uint64_t)INT64_MAX};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        five_fields();
        hooks_reset();
        empty();
        table[5] = rela(outside[i], 1, R_X86_64_64, 0);
        REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 8, apply());
        EQ(fault.limit, ROOM);
        EQ(fault.entry, 5);
        ASKED("r0 r8 r20 r22");
    }
}

/* Somebody else writes between the first reading and the second. */
static void meanwhile_write_there(void)
{
    if (asked_count == 6)
        flat[AT + 8] = 0x42;
}

static void a_field_that_changes_between_the_readings_is_noticed(void)
{
    five_fields();
    hooks_reset();
    empty();
    meanwhile = meanwhile_write_there;
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1122334455667789, apply());
    EQ(fault.limit, 0x42);
    EQ(fault.entry, 1);
    ASKED("r0 r8 r20 r22 r32 r0 w0 r8 w0 s");
    EQ(load(flat + AT, 8), 0);
    hooks_reset();
}

/* A callback may use the library for something else. */
static void meanwhile_apply_elsewhere(void)
{
    unsigned char bytes[8] = {0};
    Elf64_Rela other = rela(0, 1, R_X86_64_64, 0);
    struct relakit_target elsewhere = {bytes, 8, 0, NULL};
    struct relakit_error error;
    EQ(relakit_apply(&other, sizeof other, &symbols, &elsewhere, NULL, &error), RELAKIT_OK);
    EQ(load(bytes, 8), values[1]);
}

static void a_callback_may_call_for_another_target(void)
{
    unsigned char want[FLAT];
    five_fields();
    full();
    memcpy(want, flat, FLAT);
    hooks_reset();
    empty();
    meanwhile = meanwhile_apply_elsewhere;
    ACCEPTS(apply());
    SAME(flat, want, FLAT);
    hooks_reset();
}

int main(void)
{
    all_are_read_before_the_first_is_written_and_synced_once();
    clearing_reads_all_and_then_goes_from_the_last_to_the_first();
    checking_only_reads();
    each_call_fails_in_turn();
    without_zeros_nothing_can_be_put_back();
    a_writer_without_sync_is_asked_for_none();
    fields_that_do_not_ascend();
    fields_outside_are_never_asked_for();
    a_field_that_changes_between_the_readings_is_noticed();
    a_callback_may_call_for_another_target();
    (void)names;
    return test_end("callbacks");
}
