/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: places behind a writer whose addresses are those of memory that the caller has provided. */

#include "module.h"

static uint64_t scratch[SYMBOLS];
static uint32_t count;

static relakit_status place(void) { return relakit_module_assign(module, &memory, fresh()); }
static relakit_status fill(void) { return relakit_module_fill(module, &memory, fresh()); }
static relakit_status early(void) { return relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()); }
static relakit_status keep(void)
{
    return relakit_module_retain(module, &memory, scratch, SYMBOLS, kept, kept_size, fresh());
}
static relakit_status coming(void) { return relakit_module_coming(module, "obj", &memory, &names, &count, fresh()); }
static relakit_status going(void) { return relakit_module_going(module, "obj", &memory, &count, fresh()); }

/* What a call reads or works in, a bit each. */
enum { PLACES = 1, STATE = 2, FILE_ = 4, VALUES = 8, SCRATCH = 16, KEPT = 32 };

static const struct {
    const char *name;
    relakit_status (*call)(void);
    int stage;
    uint64_t argument;
    unsigned uses;
} calls[] = {
    {"place", place, RELAKIT_STAGE_PARSED, 2, PLACES | STATE | FILE_},
    {"fill", fill, RELAKIT_STAGE_ASSIGNED, 2, PLACES | STATE | FILE_},
    {"early", early, RELAKIT_STAGE_FILLED, 2, PLACES | STATE | FILE_ | VALUES},
    {"keep", keep, RELAKIT_STAGE_LOADED, 2, PLACES | STATE | FILE_ | SCRATCH | KEPT},
    {"coming", coming, RELAKIT_STAGE_LATE, 3, PLACES | STATE | KEPT},
    {"going", going, RELAKIT_STAGE_LATE, 3, PLACES | STATE | KEPT},
};
#define CALLS (sizeof calls / sizeof *calls)

static void prepare(size_t i)
{
    module_reset(calls[i].stage, 1, 0);
    if (calls[i].call == keep) {
        free(kept);
        ACCEPTS(relakit_module_retained_size(module, scratch, SYMBOLS, &kept_size, fresh()));
        kept = heap(kept_size);
    }
    if (calls[i].call == going)
        ACCEPTS(coming());
    hooks_reset();
}

/*
 * The place of .bss, which nothing relocates, behind a writer at `address`. Its address may differ from that of the early
 * pass, because no late relocation leads there.
 */
static void try_at(size_t i, const char *piece, uint64_t address, int overlaps)
{
    struct relakit_writer foreign = hooked;
    unsigned char before[FLAT];
    relakit_status status;
    memcpy(before, flat, FLAT);
    places_reset(1);
    places[BSS_].address = address;
    status = calls[i].call();
    if (!overlaps) {
        if (!test_accepted(__FILE__, __LINE__, calls[i].name, status, RELAKIT_OK))
            printf("    %s, %s\n", calls[i].name, piece);
        prepare(i);
        return;
    }
    if (!test_refused(__FILE__, __LINE__, calls[i].name, status, RELAKIT_ERR_OVERLAP, calls[i].argument))
        printf("    %s, %s\n", calls[i].name, piece);
    EQ(fault.has, RELAKIT_ERROR_HAS_SECTION);
    EQ(fault.section, BSS_);
    EQ(relakit_module_stage(module), calls[i].stage);
    EQ(asked_count, 0);
    SAME(flat, before, FLAT);
    foreign.flags = RELAKIT_WRITER_FOREIGN;
    memory.writer = &foreign;
    if (!ACCEPTS(calls[i].call()))
        printf("    %s, %s, foreign\n", calls[i].name, piece);
    prepare(i);
}

static void addresses_of_what_a_call_uses(void)
{
    for (size_t i = 0; i < CALLS; i++)
        for (unsigned bit = PLACES; bit <= KEPT; bit <<= 1) {
            const char *piece = bit == PLACES ? "places" : bit == STATE ? "state" : bit == FILE_ ? "file" : "lent";
            uint64_t size = parts[BSS_].size, start, end;
            prepare(i);
            if (!(calls[i].uses & bit))
                continue;
            /* prepare() lends memory anew, so the numbers are taken anew. */
            for (int n = 0; n < 6; n++) {
                const void *at = bit == PLACES    ? (const void *)places
                                 : bit == STATE   ? state
                                 : bit == FILE_   ? (const void *)file
                                 : bit == VALUES  ? (const void *)values
                                 : bit == SCRATCH ? (const void *)scratch
                                                  : kept;
                size_t bytes = bit == PLACES    ? (PERCPU + 1) * sizeof *places
                               : bit == STATE   ? relakit_module_size()
                               : bit == FILE_   ? file_size
                               : bit == VALUES  ? sizeof values
                               : bit == SCRATCH ? sizeof scratch
                                                : kept_size;
                start = (uint64_t)(uintptr_t)at;
                end = start + bytes;
                try_at(i, piece, n == 0   ? start
                                 : n == 1 ? start - size + 1
                                 : n == 2 ? end - 1
                                 : n == 3 ? start + 8
                                 : n == 4 ? end - 8
                                          : start + 1, 1);
            }
        }
}

/* Right before and right behind: in one piece of memory, so that what lies there is known. */
static void addresses_beside_it(void)
{
    static uint64_t room[4 + SYMBOLS + 4];
    uint64_t start = (uint64_t)(uintptr_t)(room + 4), size = parts[BSS_].size;
    const uint64_t at[] = {start - size, start + 8 * SYMBOLS, start - size + 1, start + 8 * SYMBOLS - 1};
    for (size_t n = 0; n < 4; n++) {
        relakit_status status;
        module_reset(RELAKIT_STAGE_FILLED, 1, 0);
        places[BSS_].address = at[n];
        status = relakit_module_early(module, &memory, room + 4, SYMBOLS, &names, fresh());
        if (n < 2)
            test_accepted(__FILE__, __LINE__, "beside the values", status, RELAKIT_OK);
        else
            test_refused(__FILE__, __LINE__, "over the values", status, RELAKIT_ERR_OVERLAP, 2);
    }
    /* A section without bytes is nowhere. */
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    file_header(BSS_)->sh_size = 0;
    ACCEPTS(module_start());
    places_reset(1);
    places[BSS_].size = 0;
    places[BSS_].address = (uint64_t)(uintptr_t)file + 8;
    ACCEPTS(place());
}

/* A place in plain memory may have any address: only its bytes are memory of this program. */
static void addresses_of_plain_memory(void)
{
    module_reset(RELAKIT_STAGE_FILLED, 0, 0);
    places[TEXT_].address = (uint64_t)(uintptr_t)file & ~UINT64_C(0xfff);
    places[BSS_].address = (uint64_t)(uintptr_t)values;
    ACCEPTS(early());
}

int main(void)
{
    addresses_of_what_a_call_uses();
    addresses_beside_it();
    addresses_of_plain_memory();
    return module_test_end("level3_overlaps");
}
