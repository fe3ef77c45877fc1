/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: places that are wrong, for every call that takes them. */

#include "module.h"

static uint64_t scratch[SYMBOLS];
static uint32_t count;

static relakit_status place(const void *given) { return relakit_module_assign(module, (const struct relakit_memory *)given, fresh()); }
static relakit_status fill(const void *given) { return relakit_module_fill(module, (const struct relakit_memory *)given, fresh()); }
static relakit_status early(const void *given)
{
    return relakit_module_early(module, (const struct relakit_memory *)given, values, SYMBOLS, &names, fresh());
}
static relakit_status keep(const void *given)
{
    return relakit_module_retain(module, (const struct relakit_memory *)given, scratch, SYMBOLS, kept, kept_size, fresh());
}
static relakit_status coming(const void *given)
{
    return relakit_module_coming(module, "obj", (const struct relakit_memory *)given, &names, &count, fresh());
}
static relakit_status going(const void *given)
{
    return relakit_module_going(module, "obj", (const struct relakit_memory *)given, &count, fresh());
}

static const struct {
    const char *name;
    taker *call;
    int stage;
    uint64_t argument;
} calls[] = {
    {"place", place, RELAKIT_STAGE_PARSED, 2}, {"fill", fill, RELAKIT_STAGE_ASSIGNED, 2},
    {"early", early, RELAKIT_STAGE_FILLED, 2}, {"keep", keep, RELAKIT_STAGE_LOADED, 2},
    {"coming", coming, RELAKIT_STAGE_LATE, 3}, {"going", going, RELAKIT_STAGE_LATE, 3},
};
#define CALLS (sizeof calls / sizeof *calls)

/* A module in which the call can be made. */
static void prepare(size_t i)
{
    module_reset(calls[i].stage, 0, 0);
    if (calls[i].call == keep) {
        free(kept);
        ACCEPTS(relakit_module_retained_size(module, scratch, SYMBOLS, &kept_size, fresh()));
        kept = heap(kept_size);
    }
    if (calls[i].call == going)
        ACCEPTS(relakit_module_coming(module, "obj", &memory, &names, NULL, fresh()));
    hooks_reset();
}

static void refused(size_t i, relakit_status status, int section)
{
    unsigned char before[FLAT];
    memcpy(before, flat, FLAT);
    if (!test_refused(__FILE__, __LINE__, calls[i].name, calls[i].call(&memory), status, calls[i].argument))
        printf("    in %s, section %d\n", calls[i].name, section);
    SAME(flat, before, FLAT);
    EQ(relakit_module_stage(module), calls[i].stage);
    EQ(fault.has, section >= 0 ? RELAKIT_ERROR_HAS_SECTION : 0);
    if (section >= 0)
        EQ(fault.section, section);
    places_reset(0);
}

static void places_that_are_wrong(size_t i)
{
    struct relakit_writer writer = hooked;
    static const size_t too_long[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX};
    prepare(i);
    for (int bit = 3; bit < 32; bit++) {
        places[DATA_].flags |= (uint32_t)1 << bit;
        refused(i, RELAKIT_ERR_FLAGS, DATA_);
    }
    for (int bit = 0; bit < 32; bit++) {
        places[TEXT_].reserved = (uint32_t)1 << bit;
        refused(i, RELAKIT_ERR_RESERVED, TEXT_);
    }
    /* Members without their flags. */
    places[DATA_].symbols_at = 1;
    refused(i, RELAKIT_ERR_RESERVED, DATA_);
    places[NONE].size = 1;
    refused(i, RELAKIT_ERR_RESERVED, NONE);
    places[NONE].address = 1;
    refused(i, RELAKIT_ERR_RESERVED, NONE);
    places[NONE].bytes = flat;
    refused(i, RELAKIT_ERR_RESERVED, NONE);
    places[NONE].symbols_at = 1;
    refused(i, RELAKIT_ERR_RESERVED, NONE);
    places[NONE].flags = RELAKIT_MEMORY_WRITER;
    refused(i, RELAKIT_ERR_RESERVED, NONE);
    places[NONE].flags = RELAKIT_MEMORY_SYMBOLS_AT;
    refused(i, RELAKIT_ERR_RESERVED, NONE);
    /* Behind a writer there are no bytes, and there is a writer. */
    memory.writer = &hooked;
    places[DATA_].flags |= RELAKIT_MEMORY_WRITER;
    refused(i, RELAKIT_ERR_RESERVED, DATA_);
    places[DATA_].flags |= RELAKIT_MEMORY_WRITER;
    places[DATA_].bytes = NULL;
    refused(i, RELAKIT_ERR_CALLBACK, DATA_);
    memory.writer = &writer;
    writer.write = NULL;
    refused(i, RELAKIT_ERR_CALLBACK, -1);
    memory.writer = &writer;
    writer = hooked;
    writer.flags = 4;
    refused(i, RELAKIT_ERR_FLAGS, -1);
    memory.writer = &writer;
    writer.flags = 0;
    writer.struct_size = 39;
    refused(i, RELAKIT_ERR_STRUCT_SIZE, -1);
    /* Bytes that are not there, or too many. */
    places[DATA_].bytes = NULL;
    refused(i, RELAKIT_ERR_NULL, DATA_);
    places[DATA_].bytes = (void *)(UINTPTR_MAX - 62);
    refused(i, RELAKIT_ERR_LENGTH, DATA_);
    for (size_t n = 0; n < 2; n++) {
        places[DATA_].size = too_long[n];
        refused(i, RELAKIT_ERR_LENGTH, DATA_);
        memory.count = too_long[n];
        refused(i, RELAKIT_ERR_LENGTH, -1);
    }
    memory.count = SIZE_MAX / sizeof *places + 2;
    refused(i, RELAKIT_ERR_LENGTH, -1);
    memory.places = NULL;
    refused(i, RELAKIT_ERR_NULL, -1);
    memory.places = (const struct relakit_section_memory *)((uintptr_t)places + 4);
    memory.count = 2;
    refused(i, RELAKIT_ERR_ALIGNMENT, -1);
    EQ(fault.limit, 8);
    /* What lies over something else that is lent. */
    places[BSS_].bytes = places + 1;
    refused(i, RELAKIT_ERR_OVERLAP, BSS_);
    if (file != NULL) {
        places[BSS_].bytes = file + file_size - 1;
        refused(i, RELAKIT_ERR_OVERLAP, BSS_);
        places[BSS_].bytes = file - 31;
        refused(i, RELAKIT_ERR_OVERLAP, BSS_);
    }
    ACCEPTS(calls[i].call(&memory));
}

static taker *call_now;
static size_t number_now;

static relakit_status anew(const void *given)
{
    prepare(number_now);
    return call_now(given);
}

static void structs_of_every_size(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        struct relakit_memory good;
        places_reset(0);
        good = memory;
        call_now = calls[i].call;
        number_now = i;
        takes_struct(anew, &good, sizeof good, calls[i].argument, 8, NULL_IS_REFUSED);
        takes_no_flags(anew, &good, sizeof good, calls[i].argument, 0);
    }
}

static relakit_status early_resolver(const void *given)
{
    module_reset(RELAKIT_STAGE_FILLED, 0, 0);
    return relakit_module_early(module, &memory, values, SYMBOLS, (const struct relakit_resolver *)given, fresh());
}

static relakit_status coming_resolver(const void *given)
{
    module_reset(RELAKIT_STAGE_LATE, 0, 0);
    return relakit_module_coming(module, "obj", &memory, (const struct relakit_resolver *)given, NULL, fresh());
}

static void sections_that_need_a_place_have_one_of_their_size(void)
{
    /* Those that are relocated early; in the order of their relocations. */
    static const int needed[] = {TEXT_, JUMP};
    for (int n = 0; n < 2; n++)
        for (size_t i = 0; i < 3; i++) {
            int section = needed[n];
            prepare(i);
            places[section].flags = 0;
            memset(&places[section], 0, sizeof places[section]);
            REFUSES(RELAKIT_ERR_NOT_ASSIGNED, parts[section].size, calls[i].call(&memory));
            EQ(fault.section, section);
            EQ(relakit_module_stage(module), calls[i].stage);
            places_reset(0);
            memory.count = (size_t)section;
            REFUSES(RELAKIT_ERR_NOT_ASSIGNED, parts[section].size, calls[i].call(&memory));
            EQ(fault.section, section);
            for (int more = -1; more < 2; more += 2) {
                places_reset(0);
                places[section].size += (uint64_t)(int64_t)more;
                REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, parts[section].size + (uint64_t)(int64_t)more, calls[i].call(&memory));
                EQ(fault.limit, parts[section].size);
                EQ(fault.section, section);
            }
            places_reset(0);
            ACCEPTS(calls[i].call(&memory));
        }
    /* Filling wants the right size of every section that has a place. */
    prepare(1);
    places[DATA_].size--;
    REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 63, fill(&memory));
    EQ(fault.section, DATA_);
    /* A symbol of a section that has none cannot be used. */
    prepare(2);
    memset(&places[PERCPU], 0, sizeof places[PERCPU]);
    REFUSES(RELAKIT_ERR_SYMBOL_UNASSIGNED, PERCPU, early(&memory));
    EQ(fault.section, RELA_);
    EQ(fault.entry, 4);
    EQ(fault.symbol, PCPU);
    EQ(fault.offset, 32);
}

static void a_module_does_not_move(void)
{
    for (size_t i = 4; i < 6; i++) {
        prepare(i);
        places[DATA_].address++;
        REFUSES(RELAKIT_ERR_SECTION_MOVED, BASE + FLAT_AT(DATA_) + 1, calls[i].call(&memory));
        EQ(fault.limit, BASE + FLAT_AT(DATA_));
        EQ(fault.section, DATA_);
        places_reset(0);
        places[TEXT_].size--;
        REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 79, calls[i].call(&memory));
        EQ(fault.section, TEXT_);
        places_reset(0);
        memset(&places[TEXT_], 0, sizeof places[TEXT_]);
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, 80, calls[i].call(&memory));
        EQ(fault.section, TEXT_);
        places_reset(0);
        ACCEPTS(calls[i].call(&memory));
    }
    /* A late target without a place stops its object, and nothing else. */
    module_reset(RELAKIT_STAGE_LOADED, 0, 0);
    free(kept);
    ACCEPTS(relakit_module_retained_size(module, scratch, SYMBOLS, &kept_size, fresh()));
    kept = heap(kept_size);
    memset(&places[DATA_], 0, sizeof places[DATA_]);
    ACCEPTS(keep(&memory));
    REFUSES(RELAKIT_ERR_NOT_ASSIGNED, 64, coming(&memory));
    EQ(fault.section, DATA_);
    ACCEPTS(relakit_module_coming(module, "nobody", &memory, &names, &count, fresh()));
}

/* The memory of the module's state is lent as well. (Only placing writes nothing.) */
static void no_place_lies_over_the_state(void)
{
    prepare(0);
    places[BSS_].bytes = state;
    refused(0, RELAKIT_ERR_OVERLAP, BSS_);
    places[BSS_].bytes = (char *)state + relakit_module_size() - 1;
    refused(0, RELAKIT_ERR_OVERLAP, BSS_);
}

int main(void)
{
    for (size_t i = 0; i < CALLS; i++)
        places_that_are_wrong(i);
    structs_of_every_size();
    {
        struct relakit_resolver resolver = names;
        takes_struct(early_resolver, &resolver, sizeof resolver, 5, 8, NULL_IS_REFUSED);
        takes_no_flags(early_resolver, &resolver, sizeof resolver, 5, 0);
        takes_struct(coming_resolver, &resolver, sizeof resolver, 4, 8, NULL_IS_REFUSED);
        takes_no_flags(coming_resolver, &resolver, sizeof resolver, 4, 0);
    }
    sections_that_need_a_place_have_one_of_their_size();
    a_module_does_not_move();
    no_place_lies_over_the_state();
    return module_test_end("level3_memory");
}
