/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: calls with invalid arguments, or in the wrong stage. The module stays as it was. */

#include "module.h"

static unsigned char before[FLAT];

static void calls_in_the_wrong_stage_are_refused(void)
{
    for (relakit_stage stage = RELAKIT_STAGE_PARSED; stage <= RELAKIT_STAGE_LATE; stage++)
        for (size_t i = 0; i < CALLS; i++) {
            int accepted = calls[i].stages >> stage & 1;
            module_reset(stage, 0, 0);
            if (kept == NULL)
                kept = heap(kept_size = 4096);
            memcpy(before, flat, FLAT);
            if (!(accepted ? ACCEPTS(calls[i].call()) : REFUSES(RELAKIT_ERR_ORDER, stage, calls[i].call())))
                printf("    %s in stage %d\n", calls[i].name, stage);
            if (accepted)
                continue;
            EQ(relakit_module_stage(module), stage);
            SAME(flat, before, FLAT);
        }
}

static void what_is_no_module_is_refused(void)
{
    enum { IS_NULL, ZEROS, ONES, COPY, NOT_ALIGNED, KINDS };
    struct relakit_module *real;
    size_t room = relakit_module_size();
    unsigned char *other = (unsigned char *)heap(room + 8);
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    real = module;
    for (int kind = IS_NULL; kind < KINDS; kind++)
        for (size_t i = 0; i < CALLS; i++) {
            relakit_status want = kind == IS_NULL ? RELAKIT_ERR_NULL : RELAKIT_ERR_NOT_A_MODULE_STATE;
            memset(other, kind == ONES ? 0xff : 0, room);
            if (kind == COPY || kind == NOT_ALIGNED)
                memcpy(other, real, room);
            module = kind == IS_NULL ? NULL : (struct relakit_module *)(void *)(other + (kind == NOT_ALIGNED));
            if (!REFUSES(want, kind == IS_NULL, calls[i].call()))
                printf("    %s of %d\n", calls[i].name, kind);
            EQ(relakit_module_stage(module), RELAKIT_STAGE_NONE);
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
    const size_t need = relakit_module_size();
    void *joined = heap(need + (file_build(), file_size));
    const struct {
        void *state;
        size_t state_size;
        const void *file;
        size_t size;
        relakit_status status;
        uint64_t value;
    } rows[] = {
        {raw, 0, file, file_size, RELAKIT_ERR_STATE_TOO_SHORT, 0},
        {raw, need - 1, file, file_size, RELAKIT_ERR_STATE_TOO_SHORT, need - 1},
        {raw, SIZE_MAX, file, file_size, RELAKIT_ERR_LENGTH, 1},
        {NULL, need, file, file_size, RELAKIT_ERR_NULL, 1},
        {NULL, 0, file, file_size, RELAKIT_ERR_NULL, 1},
        {raw, need, NULL, 1, RELAKIT_ERR_NULL, 3},
        {raw, need, NULL, 0, RELAKIT_ERR_EMPTY_FILE, 0},
        {raw, need, file, 0, RELAKIT_ERR_EMPTY_FILE, 0},
        {raw, need, file, (size_t)PTRDIFF_MAX + 1, RELAKIT_ERR_LENGTH, 3},
        {raw, need, (const void *)(UINTPTR_MAX - 7), 9, RELAKIT_ERR_LENGTH, 3},
        /* The file right behind the state, and the state inside the file. */
        {joined, need, (char *)joined + need, file_size, RELAKIT_OK, 0},
        {joined, need, (char *)joined + need - 1, file_size, RELAKIT_ERR_OVERLAP, 1},
        {joined, need, joined, need, RELAKIT_ERR_OVERLAP, 1},
    };
    memcpy((char *)joined + need, file, file_size);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        state_now = rows[i].state;
        state_size = rows[i].state_size;
        if (rows[i].status == RELAKIT_OK)
            ACCEPTS(init(rows[i].file, rows[i].size, NULL));
        else
            REFUSES(rows[i].status, rows[i].value, init(rows[i].file, rows[i].size, NULL));
        if (rows[i].status == RELAKIT_ERR_STATE_TOO_SHORT)
            EQ(fault.limit, need);
    }
    free(joined);
    state_size = need;
    for (size_t off = 1; off < 8; off++) {
        state_now = (char *)raw + off;
        REFUSES(RELAKIT_ERR_ALIGNMENT, 1, init(file, file_size, NULL));
        EQ(fault.limit, 8);
    }
    state_now = raw;
    REFUSES(RELAKIT_ERR_NULL, 6, relakit_module_init(raw, need, file, file_size, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 6,
            relakit_module_init(raw, need, file, file_size, NULL, (struct relakit_module **)((uintptr_t)raw + 4), fresh()));
    takes_struct(init_with_options, &options, sizeof options, 5, 4, NULL_IS_TAKEN);
    takes_no_flags(init_with_options, &options, sizeof options, 5, RELAKIT_OPT_TRUNCATE_PC32);
    takes_only_options(init_with_options, &options, 5);
    options.reserved = 1;
    REFUSES(RELAKIT_ERR_RESERVED, 5, init_with_options(&options));
    options.reserved = 0;
    options.profile = RELAKIT_LINUX(5, 7);
    REFUSES(RELAKIT_ERR_PROFILE, RELAKIT_LINUX(5, 7), init_with_options(&options));
    EQ(relakit_module_init(NULL, 0, NULL, 0, NULL, NULL, NULL), RELAKIT_ERR_NULL);
}

static relakit_status with_info(void *out) { return relakit_module_describe(module, (struct relakit_module_info *)out, fresh()); }
static relakit_status with_section(void *out) { return relakit_module_section(module, LATE1, (struct relakit_section *)out, fresh()); }
static relakit_status with_symbol(void *out) { return relakit_module_symbol(module, EXP_A, (struct relakit_symbol *)out, fresh()); }
static relakit_status with_layout(void *out)
{
    return relakit_module_layout(module, NULL, 0, 1, NULL, 0, (struct relakit_layout *)out, fresh());
}
static relakit_status with_found(void *out)
{
    return relakit_module_find_symbol(module, "local", (struct relakit_symbol *)out, fresh());
}
static relakit_status with_special(void *out) { return relakit_module_special(module, JUMP, (struct relakit_special *)out, fresh()); }

static void structs_that_are_filled_in(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    struct relakit_section is = {.struct_size = sizeof is};
    struct relakit_symbol sym = {.struct_size = sizeof sym};
    struct relakit_special spec = {.struct_size = sizeof spec};
    struct relakit_layout is_laid_out = {.struct_size = sizeof is_laid_out};
    module_reset(RELAKIT_STAGE_LOADED, 0, 0);
    ACCEPTS(with_info(&info));
    ACCEPTS(with_section(&is));
    ACCEPTS(with_symbol(&sym));
    ACCEPTS(with_special(&spec));
    gives_struct(with_info, &info, sizeof info, 2);
    gives_struct(with_section, &is, sizeof is, 3);
    gives_struct(with_symbol, &sym, sizeof sym, 3);
    ACCEPTS(with_layout(&is_laid_out));
    gives_struct(with_layout, &is_laid_out, sizeof is_laid_out, 7);
    ACCEPTS(with_found(&sym));
    gives_struct(with_found, &sym, sizeof sym, 3);
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
    char name[RELAKIT_OBJECT_NAME_SIZE] = "";
    uint64_t room[2];
    module_reset(RELAKIT_STAGE_LOADED, 0, 0);
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_retained_size(module, NULL, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 2,
            relakit_module_retained_size(module, (size_t *)((uintptr_t)room + 4), fresh()));
    module_reset(RELAKIT_STAGE_LATE, 0, 0);
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_object(module, 0, NULL, &count, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 4,
            relakit_module_object(module, 0, name, (uint32_t *)((uintptr_t)room + 2), fresh()));
    CHECK(name[0] == 0);
    memcpy(before, flat, FLAT);
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_coming(module, NULL, &memory, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_going(module, NULL, &memory, &count, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 5,
            relakit_module_coming(module, "obj", &memory, &names, (uint32_t *)((uintptr_t)room + 1), fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 4,
            relakit_module_going(module, "obj", &memory, (uint32_t *)((uintptr_t)room + 1), fresh()));
    SAME(flat, before, FLAT);
}

/* A fill that fails does not change the stage. Placing again returns to the stage before filling. */
static void filling_is_a_stage(void)
{
    for (relakit_stage stage = RELAKIT_STAGE_ASSIGNED; stage <= RELAKIT_STAGE_FILLED; stage++) {
        module_reset(stage, 0, 0);
        places[DATA_].size--;
        REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 63, fill());
        EQ(relakit_module_stage(module), stage);
        places_reset(0);
        ACCEPTS(fill());
        ACCEPTS(place());
        REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_ASSIGNED, early());
        ACCEPTS(filled());
        ACCEPTS(early());
    }
}

/* The buffers that calls work in. */
static relakit_status early_in(void *at, size_t length)
{
    return relakit_module_early(module, &memory, (uint64_t *)at, length, &names, fresh());
}
static relakit_status keep_with_scratch(void *at, size_t length)
{
    return relakit_module_retain(module, &memory, (uint64_t *)at, length, kept, kept_size, fresh());
}
static relakit_status keep_in(void *at, size_t length)
{
    return relakit_module_retain(module, &memory, scratch, SYMBOLS, at, length, fresh());
}

static relakit_status findings_in(void *at, size_t length)
{
    return relakit_module_findings(module, 0, (uint64_t *)at, length, ignore_finding, NULL, fresh());
}

static void buffers_that_cannot_be_used(void)
{
    static const struct {
        relakit_status (*call)(void *at, size_t length);
        relakit_stage stage;
        uint64_t argument;
        size_t item, needed; /* 0: kept_size */
        relakit_status too_short;
    } rows[] = {
        {early_in, RELAKIT_STAGE_FILLED, 3, 8, SYMBOLS, RELAKIT_ERR_VALUES_TOO_SHORT},
        {keep_with_scratch, RELAKIT_STAGE_LOADED, 3, 8, SYMBOLS, RELAKIT_ERR_VALUES_TOO_SHORT},
        {keep_in, RELAKIT_STAGE_LOADED, 5, 1, 0, RELAKIT_ERR_RETAINED_TOO_SHORT},
        {findings_in, RELAKIT_STAGE_FILLED, 3, 8, SECTIONS, RELAKIT_ERR_VALUES_TOO_SHORT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t room[512];
        size_t needed, argument = rows[i].argument, item = rows[i].item;
        module_reset(RELAKIT_STAGE_LOADED, 0, 0);
        kept_reset();
        module_reset(rows[i].stage, 0, 0);
        void *const used[] = {file + file_size - 8, file + 64, state, (char *)state + relakit_module_size() - 8};
        needed = rows[i].needed == 0 ? kept_size : rows[i].needed;
        memcpy(before, flat, FLAT);
        for (size_t length = 0; length < needed; length++) {
            REFUSES(rows[i].too_short, length, rows[i].call(room, length));
            EQ(fault.limit, needed);
        }
        REFUSES(RELAKIT_ERR_NULL, argument, rows[i].call(NULL, needed));
        REFUSES(RELAKIT_ERR_LENGTH, argument, rows[i].call(room, SIZE_MAX / item));
        if (item == 8)
            REFUSES(RELAKIT_ERR_LENGTH, argument, rows[i].call(room, SIZE_MAX / item + 2));
        for (size_t off = 1; off < item; off++)
            REFUSES(RELAKIT_ERR_ALIGNMENT, argument, rows[i].call((char *)room + off, needed));
        for (size_t n = 0; n < sizeof used / sizeof *used; n++)
            REFUSES(RELAKIT_ERR_OVERLAP, argument, rows[i].call(used[n], needed));
        if (rows[i].call == keep_in)
            REFUSES(RELAKIT_ERR_OVERLAP, argument, keep_in(scratch + SYMBOLS - 1, needed));
        EQ(relakit_module_stage(module), rows[i].stage);
        SAME(flat, before, FLAT);
        ACCEPTS(rows[i].call(room, needed));
    }
}

int main(void)
{
    calls_in_the_wrong_stage_are_refused();
    what_is_no_module_is_refused();
    making_a_module();
    structs_that_are_filled_in();
    answers_that_have_nowhere_to_go();
    filling_is_a_stage();
    buffers_that_cannot_be_used();
    return module_test_end("level3_arguments");
}
