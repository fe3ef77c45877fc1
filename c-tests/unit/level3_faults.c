/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: callbacks that fail, callbacks that call back, and faults of the module's own. */

#include "module.h"

static uint32_t count;
static int on_writer;

static relakit_status early(void)
{
    relakit_status status = relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh());
    EQ(relakit_module_stage(module), status == RELAKIT_OK ? RELAKIT_STAGE_LOADED : RELAKIT_STAGE_FILLED);
    return status;
}

static relakit_status coming(void)
{
    relakit_status status;
    count = 77;
    status = relakit_module_coming(module, "obj", &memory, &names, &count, fresh());
    EQ(count, status == RELAKIT_OK ? 2 : 77);
    return status;
}

static relakit_status going(void)
{
    relakit_status status;
    count = 77;
    status = relakit_module_going(module, "obj", &memory, &count, fresh());
    EQ(count, status == RELAKIT_OK ? 2 : 77);
    return status;
}

/* hooks_reset() was called, and what is to fail is set afterwards. */
static void filled(void) { module_reset(RELAKIT_STAGE_FILLED, on_writer, 0); }
static void late(void) { module_reset(RELAKIT_STAGE_LATE, on_writer, 0); }
static void live(void)
{
    late();
    ACCEPTS(coming());
    hooks_reset();
}

static void a_call_that_failed_can_be_made_again(void)
{
    for (unsigned k = 0; k < 3; k++) {
        filled();
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
    EQ(fault.entry, 0);
    EQ(fault.symbol, F);
    hooks_reset();
    ACCEPTS(coming());
    if (!on_writer)
        return;
    hooks_reset();
    fail_at = 3;
    fail_number = 5;
    REFUSES(RELAKIT_ERR_WRITER, 5, going());
    EQ(fault.section, LATE2);
    EQ(fault.symbol, F);
    EQ(fault.entry, 1);
    hooks_reset();
    ACCEPTS(going());
    ACCEPTS(coming());
}

/* From inside every callback: the module is busy, and everything else works. */
static struct relakit_module *inside;

static void call_back(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    struct relakit_section section = {.struct_size = sizeof section};
    struct relakit_symbol symbol = {.struct_size = sizeof symbol};
    struct relakit_special special = {.struct_size = sizeof special};
    uint64_t room[SYMBOLS], own[RELAKIT_MODULE_SIZE / 8];
    struct relakit_module *other;
    struct relakit_error outer = fault;
    const char *name;
    size_t size;
    uint32_t number;
    EQ(relakit_module_stage(inside), RELAKIT_ERR_BUSY);
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_describe(inside, &info, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_section(inside, 1, &section, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_symbol(inside, 1, &symbol, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_special(inside, 1, &special, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_assign(inside, &memory, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_fill(inside, &memory, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_filled(inside, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_early(inside, &memory, room, SYMBOLS, &names, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_retained_size(inside, room, SYMBOLS, &size, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_retain(inside, &memory, room, SYMBOLS, own, 8, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_object(inside, 0, &name, &size, &number, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_coming(inside, "two", &memory, &names, NULL, fresh()));
    REFUSES(RELAKIT_ERR_BUSY, 0, relakit_module_going(inside, "obj", &memory, NULL, fresh()));
    if (file != NULL) {
        ACCEPTS(relakit_module_init(own, sizeof own, file, file_size, NULL, &other, fresh()));
        ACCEPTS(relakit_module_describe(other, &info, fresh()));
        EQ(info.section_count, SECTIONS);
    }
    fault = outer;
}

static void a_module_is_busy_while_its_callbacks_run(void)
{
    filled();
    inside = module;
    meanwhile = call_back;
    fresh();
    ACCEPTS(early());
    CHECK(asked_count > 3);
    late();
    inside = module;
    meanwhile = call_back;
    ACCEPTS(coming());
    ACCEPTS(going());
    meanwhile = NULL;
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LATE);
    /* Nor is it left busy by a call that fails. */
    late();
    inside = module;
    meanwhile = call_back;
    fail_at = 1;
    fail_number = 1 + on_writer;
    EQ(coming() < 0, 1);
    hooks_reset();
    ACCEPTS(coming());
}

static void symbols_of_the_module_itself(void)
{
    static const struct {
        int symbol;
        uint16_t shndx;
        relakit_status status;
        uint64_t value;
    } rows[] = {
        {LOCAL, SHN_COMMON, RELAKIT_ERR_COMMON_SYMBOL, 4},
        {LOCAL, SECTIONS, RELAKIT_ERR_SYMBOL_SECTION, SECTIONS},
        {LOCAL, 0xff05, RELAKIT_ERR_SYMBOL_SECTION, 0xff05},
        {H, SHN_UNDEF, RELAKIT_ERR_UNKNOWN_SYMBOL, 0},
        {ABS_, SHN_UNDEF, RELAKIT_ERR_UNKNOWN_SYMBOL, 0},
        {V, SHN_ABS, RELAKIT_ERR_NOT_KLP_SYMBOL, SHN_ABS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char before[FLAT];
        filled();
        file_build();
        ((Elf64_Sym *)file_section(SYMTAB))[rows[i].symbol].st_shndx = rows[i].shndx;
        ACCEPTS(module_start());
        ACCEPTS(relakit_module_assign(module, &memory, fresh()));
        ACCEPTS(relakit_module_filled(module, fresh()));
        memcpy(before, flat, FLAT);
        REFUSES(rows[i].status, rows[i].value, early());
        EQ(fault.symbol, rows[i].symbol);
        CHECK(fault.has & RELAKIT_ERROR_HAS_SYMBOL);
        EQ(fault.section, rows[i].status == RELAKIT_ERR_NOT_KLP_SYMBOL ? KLP_EARLY : SYMTAB);
        SAME(flat, before, FLAT);
    }
    /* Nobody exports anything, or nobody has anything. */
    filled();
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

static void the_first_relocation_at_fault_undoes_the_sections_before_it(void)
{
    unsigned char before[FLAT];
    filled();
    flat[FLAT_AT(JUMP) + 15] = 1;
    memcpy(before, flat, FLAT);
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x7777, early());
    EQ(fault.section, KLP_EARLY);
    EQ(fault.entry, 0);
    EQ(fault.symbol, V);
    SAME(flat, before, FLAT);
    flat[FLAT_AT(JUMP) + 15] = 0;
    ACCEPTS(early());
    late();
    flat[FLAT_AT(DATA_) + 31] = 1;
    memcpy(before, flat, FLAT);
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1112, coming());
    EQ(fault.section, LATE2);
    EQ(fault.entry, 1);
    EQ(fault.symbol, F);
    EQ(fault.r_type, R_X86_64_64);
    EQ(fault.offset, 24);
    SAME(flat, before, FLAT);
    flat[FLAT_AT(DATA_) + 31] = 0;
    ACCEPTS(coming());
}

/* The resolver's failures among the exported symbols are told last first, so they are not for fail_in_turn. */
static relakit_status early_resolved(void)
{
    relakit_status status;
    unsigned at = fail_at, again = fail_again;
    fail_at += at == NEVER ? 0 : 3;
    fail_again += again == NEVER ? 0 : 3;
    status = early();
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
        symbols_of_the_module_itself();
        the_first_relocation_at_fault_undoes_the_sections_before_it();
        fail_in_turn(early_resolved, filled, early_fields, EARLY_FIELDS, 1);
        fail_in_turn(coming, late, obj_fields, OBJ_FIELDS, 1);
        fail_in_turn(going, live, obj_fields, OBJ_FIELDS, 0);
    }
    return module_test_end("level3_faults");
}
