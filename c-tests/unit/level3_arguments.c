/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: what is wrong with a call is said, and the module stays what it was. */

#include "module.h"

static uint64_t scratch[SYMBOLS];
static size_t size;
static uint32_t count;
static unsigned char before[FLAT];

/* The calls that take a module, each in a stage in which it can be made. */
static relakit_status place(void) { return relakit_module_assign(module, &memory, fresh()); }
static relakit_status fill(void) { return relakit_module_fill(module, &memory, fresh()); }
static relakit_status filled(void) { return relakit_module_filled(module, fresh()); }
static relakit_status early(void) { return relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()); }
static relakit_status retained_size(void) { return relakit_module_retained_size(module, scratch, SYMBOLS, &size, fresh()); }
static relakit_status coming(void) { return relakit_module_coming(module, "obj", &memory, &names, &count, fresh()); }
static relakit_status going(void) { return relakit_module_going(module, "obj", &memory, &count, fresh()); }
static relakit_status keep(void)
{
    return relakit_module_retain(module, &memory, scratch, SYMBOLS, kept, kept_size, fresh());
}
static relakit_status object(void)
{
    static const char *name;
    return relakit_module_object(module, 0, &name, &size, &count, fresh());
}
static relakit_status describe(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    return relakit_module_describe(module, &info, fresh());
}
static relakit_status section(void)
{
    struct relakit_section out = {.struct_size = sizeof out};
    return relakit_module_section(module, 1, &out, fresh());
}
static relakit_status symbol(void)
{
    struct relakit_symbol out = {.struct_size = sizeof out};
    return relakit_module_symbol(module, 1, &out, fresh());
}
static relakit_status special(void)
{
    struct relakit_special out = {.struct_size = sizeof out};
    return relakit_module_special(module, JUMP, &out, fresh());
}

/* The stages in which each can be made: bits 1 to 5. */
static const struct {
    const char *name;
    relakit_status (*call)(void);
    unsigned stages;
} calls[] = {
    {"place", place, 0xe},       {"fill", fill, 0xc},         {"filled", filled, 0xc},       {"early", early, 0x8},
    {"retained_size", retained_size, 0x1e}, {"keep", keep, 0x10},     {"object", object, 0x20},      {"coming", coming, 0x20},
    {"describe", describe, 0x1e}, {"section", section, 0x1e}, {"symbol", symbol, 0x1e},      {"special", special, 0x10},
};
#define CALLS (sizeof calls / sizeof *calls)

static void calls_out_of_order_are_refused_with_the_stage(void)
{
    for (int stage = RELAKIT_STAGE_PARSED; stage <= RELAKIT_STAGE_LATE; stage++)
        for (size_t i = 0; i < CALLS; i++) {
            module_reset(stage, 0, 0);
            if (kept == NULL)
                kept = heap(kept_size = 4096);
            memcpy(before, flat, FLAT);
            if (calls[i].stages >> stage & 1) {
                if (!ACCEPTS(calls[i].call()))
                    printf("    %s in stage %d\n", calls[i].name, stage);
                continue;
            }
            if (!REFUSES(RELAKIT_ERR_ORDER, stage, calls[i].call()))
                printf("    %s in stage %d\n", calls[i].name, stage);
            EQ(relakit_module_stage(module), stage);
            SAME(flat, before, FLAT);
        }
    for (int stage = RELAKIT_STAGE_PARSED; stage < RELAKIT_STAGE_LATE; stage++) {
        module_reset(stage, 0, 0);
        REFUSES(RELAKIT_ERR_ORDER, stage, going());
    }
}

static void what_is_no_module_is_not_taken_for_one(void)
{
    struct relakit_module *real;
    size_t room = relakit_module_size();
    unsigned char *other = (unsigned char *)heap(room + 8);
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    real = module;
    for (int which = 0; which < 5; which++)
        for (size_t i = 0; i <= CALLS; i++) {
            relakit_status want = which == 0 ? RELAKIT_ERR_NULL : RELAKIT_ERR_NOT_A_MODULE_STATE;
            relakit_status status;
            if (which == 1)
                memset(other, 0, room); /* zeros */
            if (which == 2)
                memset(other, 0xff, room);
            if (which == 3)
                memcpy(other, real, room); /* copied elsewhere */
            module = which == 0 ? NULL : (struct relakit_module *)(void *)(other + (which == 4 ? 1 : 0));
            status = i == CALLS ? going() : calls[i].call();
            if (!test_refused(__FILE__, __LINE__, "no module", status, want, which == 0))
                printf("    %s of %d\n", i == CALLS ? "going" : calls[i].name, which);
            EQ(relakit_module_stage(module), want);
        }
    module = real;
    ACCEPTS(describe());
    free(other);
}

static void *state_now;
static size_t state_size;

static relakit_status init(const void *bytes, size_t len, const struct relakit_options *options)
{
    unsigned char was[1024];
    struct relakit_module *out = (struct relakit_module *)(uintptr_t)0xa5a5;
    size_t seen = state_now == NULL || state_size > sizeof was ? 0 : state_size;
    relakit_status status;
    memset(was, 0x3c, sizeof was);
    if (seen)
        memset(state_now, 0x3c, seen);
    status = relakit_module_init(state_now, state_size, bytes, len, options, &out, fresh());
    if (status < 0) {
        CHECK((uintptr_t)out == 0xa5a5);
        if (seen)
            SAME(state_now, was, seen);
    } else
        CHECK((void *)out == state_now);
    return status;
}

static relakit_status init_with_options(const void *given)
{
    return init(file, file_size, (const struct relakit_options *)given);
}

static void making_a_module(void)
{
    uint64_t raw[RELAKIT_MODULE_SIZE / 8 + 1];
    struct relakit_options options = {sizeof options, 0, 0, 0};
    size_t need = relakit_module_size();
    void *joined;
    file_build();
    memset(raw, 0x3c, sizeof raw);
    state_now = heap(need);
    memset(state_now, 0x3c, need);
    for (state_size = 0; state_size < need; state_size++) {
        if (state_size % 7)
            continue;
        REFUSES(RELAKIT_ERR_STATE_TOO_SHORT, state_size, init(file, file_size, NULL));
        EQ(fault.limit, need);
    }
    state_size = need;
    REFUSES(RELAKIT_ERR_NULL, 3, init(NULL, 1, NULL));
    REFUSES(RELAKIT_ERR_LENGTH, 3, init(file, (size_t)PTRDIFF_MAX + 1, NULL));
    EQ(fault.limit, (size_t)PTRDIFF_MAX + 1);
    REFUSES(RELAKIT_ERR_LENGTH, 3, init((const void *)(UINTPTR_MAX - 7), 9, NULL));
    REFUSES(RELAKIT_ERR_EMPTY_FILE, 0, init(NULL, 0, NULL));
    REFUSES(RELAKIT_ERR_EMPTY_FILE, 0, init(file, 0, NULL));
    REFUSES(RELAKIT_ERR_NULL, 6, relakit_module_init(state_now, need, file, file_size, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 6,
            relakit_module_init(state_now, need, file, file_size, NULL,
                                (struct relakit_module **)((uintptr_t)raw + 4), fresh()));
    state_size = SIZE_MAX;
    REFUSES(RELAKIT_ERR_LENGTH, 1, init(file, file_size, NULL));
    free(state_now);
    state_now = NULL;
    state_size = need;
    REFUSES(RELAKIT_ERR_NULL, 1, init(file, file_size, NULL));
    state_size = 0;
    REFUSES(RELAKIT_ERR_NULL, 1, init(file, file_size, NULL));
    state_size = need;
    for (size_t off = 1; off < 8; off++) {
        state_now = (char *)raw + off;
        REFUSES(RELAKIT_ERR_ALIGNMENT, 1, init(file, file_size, NULL));
        EQ(fault.limit, 8);
    }
    state_now = raw;
    takes_struct(init_with_options, &options, sizeof options, 5, 4, NULL_IS_TAKEN);
    takes_no_flags(init_with_options, &options, sizeof options, 5, RELAKIT_OPT_CHECK_PC32);
    options.flags = RELAKIT_OPT_CHECK_PC32;
    ACCEPTS(init_with_options(&options));
    options.reserved = 1;
    REFUSES(RELAKIT_ERR_RESERVED, 5, init_with_options(&options));
    options.reserved = 0;
    options.profile = RELAKIT_LINUX(5, 7);
    REFUSES(RELAKIT_ERR_PROFILE, RELAKIT_LINUX(5, 7), init_with_options(&options));
    /* The state inside the file, and the file right behind the state. */
    joined = heap(need + file_size);
    state_now = joined;
    memcpy((char *)joined + need, file, file_size);
    ACCEPTS(init((char *)joined + need, file_size, NULL));
    REFUSES(RELAKIT_ERR_OVERLAP, 1, init((char *)joined + need - 1, file_size, NULL));
    REFUSES(RELAKIT_ERR_OVERLAP, 1, init(joined, need, NULL));
    free(joined);
    EQ(relakit_module_init(NULL, 0, NULL, 0, NULL, NULL, NULL), RELAKIT_ERR_NULL);
}

static relakit_status with_info(void *out) { return relakit_module_describe(module, (struct relakit_module_info *)out, fresh()); }
static relakit_status with_section(void *out) { return relakit_module_section(module, LATE1, (struct relakit_section *)out, fresh()); }
static relakit_status with_symbol(void *out) { return relakit_module_symbol(module, EXP_A, (struct relakit_symbol *)out, fresh()); }
static relakit_status with_special(void *out) { return relakit_module_special(module, JUMP, (struct relakit_special *)out, fresh()); }

static void structs_that_are_filled_in(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    struct relakit_section is = {.struct_size = sizeof is};
    struct relakit_symbol sym = {.struct_size = sizeof sym};
    struct relakit_special spec = {.struct_size = sizeof spec};
    module_reset(RELAKIT_STAGE_LOADED, 0, 0);
    ACCEPTS(with_info(&info));
    ACCEPTS(with_section(&is));
    ACCEPTS(with_symbol(&sym));
    ACCEPTS(with_special(&spec));
    gives_struct(with_info, &info, sizeof info, 2);
    gives_struct(with_section, &is, sizeof is, 3);
    gives_struct(with_symbol, &sym, sizeof sym, 3);
    gives_struct(with_special, &spec, sizeof spec, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t none = i == 2 ? UINT32_MAX : i;
        struct relakit_section untouched = is;
        struct relakit_symbol sym_was = sym;
        REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, none + (none == UINT32_MAX ? 0 : SECTIONS),
                relakit_module_section(module, none + (none == UINT32_MAX ? 0 : SECTIONS), &is, fresh()));
        EQ(fault.limit, SECTIONS);
        SAME(&is, &untouched, sizeof is);
        REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0,
                relakit_module_symbol(module, none + (none == UINT32_MAX ? 0 : SYMBOLS), &sym, fresh()));
        EQ(fault.limit, SYMBOLS);
        SAME(&sym, &sym_was, sizeof sym);
    }
}

static void answers_that_have_nowhere_to_go(void)
{
    const char *name = NULL;
    uint64_t room[2];
    module_reset(RELAKIT_STAGE_LATE, 0, 0);
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_object(module, 0, NULL, &size, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_module_object(module, 0, &name, NULL, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_module_object(module, 0, &name, &size, NULL, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 3,
            relakit_module_object(module, 0, (const char **)((uintptr_t)room + 1), &size, &count, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 4,
            relakit_module_object(module, 0, &name, (size_t *)((uintptr_t)room + 4), &count, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 5,
            relakit_module_object(module, 0, &name, &size, (uint32_t *)((uintptr_t)room + 2), fresh()));
    CHECK(name == NULL);
    memcpy(before, flat, FLAT);
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_coming(module, NULL, &memory, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_going(module, NULL, &memory, &count, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 5,
            relakit_module_coming(module, "obj", &memory, &names, (uint32_t *)((uintptr_t)room + 1), fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 4,
            relakit_module_going(module, "obj", &memory, (uint32_t *)((uintptr_t)room + 1), fresh()));
    SAME(flat, before, FLAT);
}

static void memory_for_values_and_for_what_is_kept(void)
{
    uint64_t room[SYMBOLS + 1];
    module_reset(RELAKIT_STAGE_FILLED, 0, 0);
    memcpy(before, flat, FLAT);
    size = 0xa5a5;
    for (size_t lent = 0; lent < SYMBOLS; lent++) {
        REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, lent, relakit_module_early(module, &memory, values, lent, &names, fresh()));
        EQ(fault.limit, SYMBOLS);
        REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, lent, relakit_module_retained_size(module, scratch, lent, &size, fresh()));
        EQ(fault.limit, SYMBOLS);
    }
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_early(module, &memory, NULL, SYMBOLS, &names, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 3, relakit_module_early(module, &memory, values, SIZE_MAX / 8, &names, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 3, relakit_module_early(module, &memory, values, SIZE_MAX / 8 + 2, &names, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_retained_size(module, NULL, SYMBOLS, &size, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 2, relakit_module_retained_size(module, scratch, SIZE_MAX / 8, &size, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_module_retained_size(module, scratch, SYMBOLS, NULL, fresh()));
    for (uintptr_t off = 1; off < 8; off++) {
        uint64_t *odd = (uint64_t *)((uintptr_t)room + off);
        REFUSES(RELAKIT_ERR_ALIGNMENT, 3, relakit_module_early(module, &memory, odd, SYMBOLS, &names, fresh()));
        REFUSES(RELAKIT_ERR_ALIGNMENT, 2, relakit_module_retained_size(module, odd, SYMBOLS, &size, fresh()));
        REFUSES(RELAKIT_ERR_ALIGNMENT, 4,
                relakit_module_retained_size(module, scratch, SYMBOLS, (size_t *)((uintptr_t)room + off), fresh()));
    }
    /* Over the file. */
    REFUSES(RELAKIT_ERR_OVERLAP, 3,
            relakit_module_early(module, &memory, (uint64_t *)(void *)(file + file_size - 8), SYMBOLS, &names, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 2,
            relakit_module_retained_size(module, (uint64_t *)(void *)(file + 64), SYMBOLS, &size, fresh()));
    EQ(size, 0xa5a5);
    SAME(flat, before, FLAT);
    /* A place over the values. */
    places[BSS_].bytes = (unsigned char *)(void *)(values + 1);
    REFUSES(RELAKIT_ERR_OVERLAP, 2, early());
    EQ(fault.has, RELAKIT_ERROR_HAS_SECTION);
    EQ(fault.section, BSS_);
    places_reset(0);
    ACCEPTS(early());

    ACCEPTS(retained_size());
    free(kept);
    kept_size = size;
    kept = heap(kept_size);
    for (size_t lent = 0; lent < kept_size; lent++) {
        REFUSES(RELAKIT_ERR_RETAINED_TOO_SHORT, lent,
                relakit_module_retain(module, &memory, scratch, SYMBOLS, kept, lent, fresh()));
        EQ(fault.limit, kept_size);
    }
    for (size_t lent = 0; lent < SYMBOLS; lent++)
        REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, lent,
                relakit_module_retain(module, &memory, scratch, lent, kept, kept_size, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_retain(module, &memory, NULL, SYMBOLS, kept, kept_size, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_module_retain(module, &memory, scratch, SYMBOLS, NULL, kept_size, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 5, relakit_module_retain(module, &memory, scratch, SYMBOLS, kept, SIZE_MAX, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 3, relakit_module_retain(module, &memory, scratch, SIZE_MAX / 8, kept, 0, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 3,
            relakit_module_retain(module, &memory, (uint64_t *)((uintptr_t)room + 4), SYMBOLS, kept, kept_size, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 5, relakit_module_retain(module, &memory, scratch, SYMBOLS, file, kept_size, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 5, relakit_module_retain(module, &memory, scratch, SYMBOLS, scratch, 8, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 3,
            relakit_module_retain(module, &memory, (uint64_t *)(void *)(file + 64), SYMBOLS, kept, kept_size, fresh()));
    places[TEXT_].bytes = kept;
    REFUSES(RELAKIT_ERR_OVERLAP, 2, keep());
    EQ(fault.section, TEXT_);
    places[TEXT_].bytes = scratch;
    REFUSES(RELAKIT_ERR_OVERLAP, 2, keep());
    places_reset(0);
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LOADED);
    ACCEPTS(keep());
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LATE);
    /* What is kept may be anywhere, but not in a section. */
    places[DATA_].bytes = (char *)kept + kept_size - 1;
    REFUSES(RELAKIT_ERR_OVERLAP, 3, coming());
    EQ(fault.section, DATA_);
    REFUSES(RELAKIT_ERR_OVERLAP, 3, going());
    places_reset(0);
    ACCEPTS(coming());
}

int main(void)
{
    calls_out_of_order_are_refused_with_the_stage();
    what_is_no_module_is_not_taken_for_one();
    making_a_module();
    structs_that_are_filled_in();
    answers_that_have_nowhere_to_go();
    memory_for_values_and_for_what_is_kept();
    return module_test_end("level3_arguments");
}
