/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: callbacks that fail, and callbacks that call the library. */

#include "module.h"

static int on_writer;

/* A call that fails changes neither the stage nor the count. */
static relakit_status early_checked(void)
{
    relakit_status status = early();
    EQ(relakit_module_stage(module), status == RELAKIT_OK ? RELAKIT_STAGE_LOADED : RELAKIT_STAGE_FILLED);
    return status;
}

static relakit_status counted(relakit_status status)
{
    EQ(count, status == RELAKIT_OK ? 2 : 77);
    return status;
}

static relakit_status coming_checked(void) { return counted(coming()); }
static relakit_status going_checked(void) { return counted(going()); }

/* hooks_reset() was called, and what is to fail is set afterwards. */
static void filled_module(void) { module_reset(RELAKIT_STAGE_FILLED, on_writer, 0); }
static void late(void)
{
    module_reset(RELAKIT_STAGE_LATE, on_writer, 0);
    count = 77;
}
static void live(void)
{
    late();
    ACCEPTS(coming());
    count = 77;
    hooks_reset();
}

static void a_call_that_failed_can_be_made_again(void)
{
    for (unsigned k = 0; k < 3; k++) {
        filled_module();
        fail_at = k;
        fail_number = 42;
        /* All symbols are looked at, and the last fault is the one that is told. */
        fail_again = 2;
        fail_again_number = 43;
        REFUSES(RELAKIT_ERR_RESOLVER, k == 2 ? 42 : 43, early());
        EQ(fault.symbol, WEAK);
        EQ(fault.section, SYMTAB);
        EQ(asked_count, 3);
        hooks_reset();
        ACCEPTS(early());
    }
    late();
    fail_at = 0;
    fail_number = INT32_MIN;
    REFUSES(RELAKIT_ERR_RESOLVER, (int64_t)INT32_MIN, coming());
    EQ(fault.section, LATE1);
    EQ(fault.symbol, F);
    hooks_reset();
    ACCEPTS(coming());
    ACCEPTS(going());
}

/* From inside every callback: the module is busy, and everything else works. */
static void call_back(void)
{
    uint64_t own[RELAKIT_MODULE_SIZE / 8];
    struct relakit_error outer = fault;
    struct relakit_module *other;
    struct relakit_module_info info = {.struct_size = sizeof info};
    EQ(relakit_module_stage(module), RELAKIT_STAGE_BUSY);
    for (size_t i = 0; i < CALLS; i++)
        if (!REFUSES(RELAKIT_ERR_BUSY, 0, calls[i].call()))
            printf("    %s\n", calls[i].name);
    if (file != NULL) {
        ACCEPTS(relakit_module_init(own, sizeof own, file, file_size, NULL, &other, fresh()));
        ACCEPTS(relakit_module_describe(other, &info, fresh()));
        EQ(info.section_count, SECTIONS);
    }
    fault = outer;
}

static void a_module_is_busy_while_its_callbacks_run(void)
{
    filled_module();
    meanwhile = call_back;
    fresh();
    ACCEPTS(early());
    CHECK(asked_count > 3);
    late();
    meanwhile = call_back;
    ACCEPTS(coming());
    ACCEPTS(going());
    meanwhile = NULL;
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LATE);
    /* Nor is it left busy by a call that fails. */
    late();
    meanwhile = call_back;
    fail_at = 1;
    fail_number = 1 + on_writer;
    EQ(coming() < 0, 1);
    hooks_reset();
    ACCEPTS(coming());
}

static void a_resolver_without_callbacks_knows_nothing(void)
{
    filled_module();
    names.exported = NULL;
    REFUSES(RELAKIT_ERR_UNKNOWN_SYMBOL, 0, early());
    EQ(fault.symbol, EXP_B);
    EQ(fault.linux_errno, 2);
    names.exported = hook_exported;
    names.nth_symbol = NULL;
    REFUSES(RELAKIT_ERR_KLP_NOT_FOUND, 0, early());
    EQ(fault.symbol, V);
    EQ(fault.section, KLP_EARLY);
    names.nth_symbol = hook_candidate;
    ACCEPTS(early());
}

/* The resolver's failures among the exported symbols are told last first, so they are not for fail_in_turn. */
static relakit_status early_resolved(void)
{
    relakit_status status;
    unsigned at = fail_at, again = fail_again;
    fail_at += at == NEVER ? 0 : 3;
    fail_again += again == NEVER ? 0 : 3;
    status = early_checked();
    memmove(asked, asked + 3, (sizeof asked / sizeof *asked - 3) * sizeof *asked);
    asked_count -= 3;
    fail_at = at;
    fail_again = again;
    return status;
}

int main(void)
{
    for (on_writer = 0; on_writer < 2; on_writer++) {
        a_call_that_failed_can_be_made_again();
        a_module_is_busy_while_its_callbacks_run();
        a_resolver_without_callbacks_knows_nothing();
        fail_in_turn(early_resolved, filled_module, early_fields, EARLY_FIELDS, 1);
        fail_in_turn(coming_checked, late, obj_fields, OBJ_FIELDS, 1);
        fail_in_turn(going_checked, live, obj_fields, OBJ_FIELDS, 0);
    }
    return module_test_end("level3_callbacks");
}
