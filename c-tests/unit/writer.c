/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1 behind a writer: which calls are made, in which order, and what is left when any of them fails. */

#include "callbacks.h"

#define AT 256 /* where the target is in flat memory */
#define ROOM 64

static Elf64_Rela table[6];
static const uint64_t values[3] = {0, 0x1122334455667788, 0x7654321};
static const struct relakit_symbols symbols = {values, NULL, 3, NULL, NULL};
static const struct relakit_target target = {NULL, ROOM, BASE + AT, &hooked};
static struct relakit_options options;

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
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.flags = RELAKIT_OPT_EXTRA_TYPES;
}

static relakit_status apply(void)
{
    return relakit_apply(table, sizeof table, &symbols, &target, &options, fresh());
}

static relakit_status clear(void)
{
    return relakit_clear(table, sizeof table, &symbols, &target, &options, fresh());
}

static relakit_status check(void)
{
    return relakit_dry_run(table, sizeof table, &symbols, &target, &options, fresh());
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
    put_fields(flat, fields, 5);
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
}

static void each_call_fails_in_turn(void)
{
    static const struct {
        relakit_status (*pass)(void);
        void (*reset)(void);
        unsigned fail_at;
        relakit_status status;
        uint64_t entry;
        const char *calls; /* fields are restored in the reverse order, and then synced */
    } rows[] = {
        {check, empty, 3, RELAKIT_ERR_WRITER, 3, "r0 r8 r20 r22"},
        {apply, empty, 1, RELAKIT_ERR_WRITER, 1, "r0 r8"},
        {apply, empty, 10, RELAKIT_ERR_WRITER, 2, "r0 r8 r20 r22 r32 r0 w0 r8 w8 r20 w20 w8 w0 s"},
        {apply, empty, 15, RELAKIT_ERR_SYNC, 0,
         "r0 r8 r20 r22 r32 r0 w0 r8 w8 r20 w20 r22 w22 r32 w32 s w32 w22 w20 w8 w0 s"},
        {clear, full, 10, RELAKIT_ERR_WRITER, 2, "r0 r8 r20 r22 r32 r32 w32 r22 w22 r20 w20 w22 w32 s"},
    };
    five_fields();
    fail_in_turn(apply, empty, fields, 5, 1);
    fail_in_turn(clear, full, fields, 5, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int is_sync = rows[i].status == RELAKIT_ERR_SYNC;
        hooks_reset();
        rows[i].reset();
        fail_at = rows[i].fail_at;
        fail_number = -5;
        REFUSES(rows[i].status, (uint64_t)-5, rows[i].pass());
        EQ(fault.has, is_sync ? 0 : RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
        EQ(fault.entry, rows[i].entry);
        EQ(fault.offset, is_sync ? 0 : table[rows[i].entry].r_offset);
        ASKED(rows[i].calls);
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
    a_writer_without_sync_is_asked_for_none();
    a_field_that_changes_between_the_readings_is_noticed();
    a_callback_may_call_for_another_target();
    return test_end("writer");
}
