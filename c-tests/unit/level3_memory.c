/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: section memory that is invalid or overlaps a buffer, for every call that takes it. */

#include "module.h"

/* What a call reads or works in, a bit each. */
enum { PLACES = 1, STATE = 2, FILE_ = 4, VALUES = 8, SCRATCH = 16, KEPT = 32 };

static const struct {
    const char *name;
    relakit_status (*call)(void);
    relakit_stage stage;
    uint64_t argument;
    unsigned uses;
} passes[] = {
    {"place", place, RELAKIT_STAGE_PARSED, 2, PLACES | STATE | FILE_},
    {"fill", fill, RELAKIT_STAGE_ASSIGNED, 2, PLACES | STATE | FILE_},
    {"early", early, RELAKIT_STAGE_FILLED, 2, PLACES | STATE | FILE_ | VALUES},
    {"keep", keep, RELAKIT_STAGE_LOADED, 2, PLACES | STATE | FILE_ | SCRATCH | KEPT},
    {"coming", coming, RELAKIT_STAGE_LATE, 3, PLACES | STATE | KEPT},
    {"going", going, RELAKIT_STAGE_LATE, 3, PLACES | STATE | KEPT},
};
#define PASSES (sizeof passes / sizeof *passes)

/* A module in which the call can be made. */
static void prepare(size_t i, int on_writer)
{
    module_reset(passes[i].stage, on_writer, 0);
    if (passes[i].call == keep)
        kept_reset();
    if (passes[i].call == going)
        ACCEPTS(coming());
    hooks_reset();
}

static void refused(size_t i, relakit_status status, int section)
{
    unsigned char before[FLAT];
    memcpy(before, flat, FLAT);
    if (!test_refused(__FILE__, __LINE__, passes[i].name, passes[i].call(), status, passes[i].argument))
        printf("    in %s, section %d\n", passes[i].name, section);
    SAME(flat, before, FLAT);
    EQ(relakit_module_stage(module), passes[i].stage);
    EQ(fault.has, section >= 0 ? RELAKIT_ERROR_HAS_SECTION : 0);
    if (section >= 0)
        EQ(fault.section, section);
    places_reset(0);
}

#define PLACE(section, member, value, status) \
    {section, offsetof(struct relakit_section_memory, member), sizeof places->member, value, status}
#define MEMORY(member, value, status) {-1, offsetof(struct relakit_memory, member), sizeof memory.member, value, status}

static void members_that_are_wrong(size_t i)
{
    static const struct {
        int section; /* whose place; -1: struct relakit_memory */
        size_t at, size;
        uint64_t value;
        relakit_status status;
    } rows[] = {
        /* Members without their flags. */
        PLACE(DATA_, symbols_at, 1, RELAKIT_ERR_RESERVED),
        PLACE(NONE, size, 1, RELAKIT_ERR_RESERVED),
        PLACE(NONE, address, 1, RELAKIT_ERR_RESERVED),
        PLACE(NONE, bytes, 0x1000, RELAKIT_ERR_RESERVED),
        PLACE(NONE, symbols_at, 1, RELAKIT_ERR_RESERVED),
        PLACE(NONE, flags, RELAKIT_MEMORY_WRITER, RELAKIT_ERR_RESERVED),
        PLACE(NONE, flags, RELAKIT_MEMORY_SYMBOLS_AT, RELAKIT_ERR_RESERVED),
        /* No bytes, or too many. */
        PLACE(DATA_, bytes, 0, RELAKIT_ERR_NULL),
        PLACE(DATA_, bytes, UINTPTR_MAX - 62, RELAKIT_ERR_LENGTH),
        PLACE(DATA_, size, (uint64_t)PTRDIFF_MAX + 1, RELAKIT_ERR_LENGTH),
        PLACE(DATA_, size, SIZE_MAX, RELAKIT_ERR_LENGTH),
        MEMORY(count, (uint64_t)PTRDIFF_MAX + 1, RELAKIT_ERR_LENGTH),
        MEMORY(count, SIZE_MAX, RELAKIT_ERR_LENGTH),
        MEMORY(count, SIZE_MAX / sizeof *places + 2, RELAKIT_ERR_LENGTH),
        MEMORY(sections, 0, RELAKIT_ERR_NULL),
        MEMORY(sections, 4, RELAKIT_ERR_ALIGNMENT),
    };
    prepare(i, 0);
    for (int bit = 0; bit < 32; bit++) {
        places[TEXT_].reserved = (uint32_t)1 << bit;
        refused(i, RELAKIT_ERR_RESERVED, TEXT_);
        if ((uint32_t)1 << bit & (RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER | RELAKIT_MEMORY_SYMBOLS_AT))
            continue;
        places[DATA_].flags |= (uint32_t)1 << bit;
        refused(i, RELAKIT_ERR_FLAGS, DATA_);
    }
    for (size_t number = 0; number < FAMILY_NUMBERS; number++) {
        if (family_numbers[number].family == MEMORY_FLAGS)
            continue;
        places[DATA_].flags = family_numbers[number].number;
        refused(i, RELAKIT_ERR_FLAGS, DATA_);
    }
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        char *to = rows[row].section < 0 ? (char *)&memory : (char *)&places[rows[row].section];
        memcpy(to + rows[row].at, &rows[row].value, rows[row].size);
        refused(i, rows[row].status, rows[row].section);
    }
    ACCEPTS(passes[i].call());
}

/* Behind a writer there are no bytes, and there is a writer. */
static void writers_that_are_wrong(size_t i)
{
    struct relakit_writer writer = hooked;
    prepare(i, 0);
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
    for (size_t number = 0; number < FAMILY_NUMBERS; number++) {
        if (family_numbers[number].family == WRITER_FLAGS)
            continue;
        memory.writer = &writer;
        writer.flags = family_numbers[number].number;
        refused(i, RELAKIT_ERR_FLAGS, -1);
    }
    memory.writer = &writer;
    writer.flags = 0;
    writer.struct_size = 39;
    refused(i, RELAKIT_ERR_STRUCT_SIZE, -1);
}

static size_t pass_now;

static relakit_status with_memory(const void *given)
{
    const struct relakit_memory *where = (const struct relakit_memory *)given;
    prepare(pass_now, 0);
    return passes[pass_now].call == place    ? relakit_module_assign(module, where, fresh())
           : passes[pass_now].call == fill   ? relakit_module_fill(module, where, fresh())
           : passes[pass_now].call == early  ? relakit_module_early(module, where, values, SYMBOLS, &names, fresh())
           : passes[pass_now].call == keep   ? relakit_module_retain(module, where, scratch, SYMBOLS, kept, kept_size, fresh())
           : passes[pass_now].call == coming ? relakit_module_coming(module, "obj", where, &names, &count, fresh())
                                            : relakit_module_going(module, "obj", where, &count, fresh());
}

static void structs_of_every_size(void)
{
    for (pass_now = 0; pass_now < PASSES; pass_now++) {
        struct relakit_memory good;
        places_reset(0);
        good = memory;
        takes_struct(with_memory, &good, sizeof good, passes[pass_now].argument, 8, NULL_IS_REFUSED);
        takes_no_flags(with_memory, &good, sizeof good, passes[pass_now].argument, 0);
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
            prepare(i, 0);
            places[section].flags = 0;
            memset(&places[section], 0, sizeof places[section]);
            REFUSES(RELAKIT_ERR_NOT_ASSIGNED, parts[section].size, passes[i].call());
            EQ(fault.section, section);
            EQ(relakit_module_stage(module), passes[i].stage);
            places_reset(0);
            memory.count = (size_t)section;
            REFUSES(RELAKIT_ERR_NOT_ASSIGNED, parts[section].size, passes[i].call());
            EQ(fault.section, section);
            for (int more = -1; more < 2; more += 2) {
                places_reset(0);
                places[section].size += (uint64_t)(int64_t)more;
                REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, parts[section].size + (uint64_t)(int64_t)more, passes[i].call());
                EQ(fault.limit, parts[section].size);
                EQ(fault.section, section);
            }
            places_reset(0);
            ACCEPTS(passes[i].call());
        }
    /* Filling needs the right size of every section that has memory. */
    prepare(1, 0);
    places[DATA_].size--;
    REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 63, fill());
    EQ(fault.section, DATA_);
    EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
}

static void a_module_does_not_move(void)
{
    for (size_t i = 4; i < 6; i++) {
        prepare(i, 0);
        places[DATA_].address++;
        REFUSES(RELAKIT_ERR_SECTION_MOVED, BASE + FLAT_AT(DATA_) + 1, passes[i].call());
        EQ(fault.limit, BASE + FLAT_AT(DATA_));
        EQ(fault.section, DATA_);
        places_reset(0);
        places[TEXT_].size--;
        REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 79, passes[i].call());
        EQ(fault.section, TEXT_);
        places_reset(0);
        memset(&places[TEXT_], 0, sizeof places[TEXT_]);
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, 80, passes[i].call());
        EQ(fault.section, TEXT_);
        places_reset(0);
        ACCEPTS(passes[i].call());
    }
}

/* Makes the call with the memory of .bss, which nothing relocates, at this address: plain or behind a writer. */
static void try_at(size_t i, unsigned piece, uint64_t address, int on_writer)
{
    struct relakit_writer foreign = hooked;
    unsigned char before[FLAT];
    memcpy(before, flat, FLAT);
    places_reset(on_writer);
    places[BSS_].address = address;
    if (!on_writer)
        places[BSS_].bytes = (void *)(uintptr_t)address;
    if (!test_refused(__FILE__, __LINE__, passes[i].name, passes[i].call(), RELAKIT_ERR_OVERLAP, passes[i].argument))
        printf("    %s, piece %u\n", passes[i].name, piece);
    EQ(fault.has, RELAKIT_ERROR_HAS_SECTION);
    EQ(fault.section, BSS_);
    EQ(relakit_module_stage(module), passes[i].stage);
    EQ(asked_count, 0);
    SAME(flat, before, FLAT);
    if (!on_writer)
        return;
    /* The same number is other memory in another address space. */
    foreign.flags = RELAKIT_WRITER_FOREIGN;
    memory.writer = &foreign;
    if (!ACCEPTS(passes[i].call()))
        printf("    %s, piece %u, foreign\n", passes[i].name, piece);
    prepare(i, 1);
}

static void memory_that_overlaps_what_a_call_uses(void)
{
    for (size_t i = 0; i < PASSES; i++)
        for (unsigned piece = PLACES; piece <= KEPT; piece <<= 1)
            for (int n = 0; n < 12 && passes[i].uses & piece; n++) {
                const void *at;
                uint64_t start, end, size = parts[BSS_].size;
                prepare(i, n & 1);
                at = piece == PLACES    ? (const void *)places
                     : piece == STATE   ? state
                     : piece == FILE_   ? (const void *)file
                     : piece == VALUES  ? (const void *)values
                     : piece == SCRATCH ? (const void *)scratch
                                        : kept;
                start = (uint64_t)(uintptr_t)at;
                end = start + (piece == PLACES    ? (PERCPU + 1) * sizeof *places
                               : piece == STATE   ? relakit_module_size()
                               : piece == FILE_   ? file_size
                               : piece == VALUES  ? sizeof values
                               : piece == SCRATCH ? SYMBOLS * sizeof *scratch
                                                  : kept_size);
                const uint64_t bad[] = {start, start - size + 1, end - 1, start + 8, end - 8, start + 1};
                try_at(i, piece, bad[n / 2], n & 1);
            }
}

static void plain_memory_with_any_address(void)
{
    /* The address of plain memory may be any number: only its bytes are memory of this program. */
    module_reset(RELAKIT_STAGE_FILLED, 0, 0);
    places[TEXT_].address = (uint64_t)(uintptr_t)file & ~UINT64_C(0xfff);
    places[BSS_].address = (uint64_t)(uintptr_t)values;
    ACCEPTS(early());
}

int main(void)
{
    for (size_t i = 0; i < PASSES; i++) {
        members_that_are_wrong(i);
        writers_that_are_wrong(i);
    }
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
    memory_that_overlaps_what_a_call_uses();
    plain_memory_with_any_address();
    return module_test_end("level3_memory");
}
