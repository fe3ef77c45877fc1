/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Levels 1 and 2: targets that overlap a buffer that the call reads or works in, in plain memory and behind a writer, and
 * buffers that overlap each other. Every relocation is R_X86_64_NONE, so a call that is accepted writes nothing.
 */
#include "sechdrs.h"

static uint64_t target_address, target_size;
enum { LEVEL1 = 1, LEVEL1_SYMTAB = 2, LEVEL2 = 4, LEVEL2_KLP = 8 };

static const struct call {
    const char *name;
    level2_call *call;
    unsigned level;
    relakit_status status;
    uint64_t value;
} calls[] = {
    {"apply", apply, LEVEL1, RELAKIT_ERR_OVERLAP, 4},
    {"clear", clear, LEVEL1, RELAKIT_ERR_OVERLAP, 4},
    {"check", check, LEVEL1, RELAKIT_ERR_OVERLAP, 4},
    {"apply, symbol table", apply, LEVEL1_SYMTAB, RELAKIT_ERR_OVERLAP, 4},
    {"clear, symbol table", clear, LEVEL1_SYMTAB, RELAKIT_ERR_OVERLAP, 4},
    {"check, symbol table", check, LEVEL1_SYMTAB, RELAKIT_ERR_OVERLAP, 4},
    {"apply_relocate_add", apply_section, LEVEL2, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
    {"clear_relocate_add", clear_section, LEVEL2, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
    {"klp_apply", apply_object, LEVEL2_KLP, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
    {"klp_clear", clear_object, LEVEL2_KLP, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
};

/* One relocation section, whose target is .data at the address under test. Level 2 uses the same table for both. */
static void prepare(const struct relakit_writer *writer)
{
    reset();
    w.late2[0] = w.late2[1] = rela(0, G, R_X86_64_NONE, 0);
    memset(w.values, 0, sizeof w.values);
    w.headers[RELA_] = w.headers[LATE2];
    w.headers[RELA_].sh_flags = 0;
    w.headers[LATE1].sh_flags = 0;
    w.headers[LATE1].sh_type = SHT_PROGBITS;
    w.headers[DATA_].sh_addr = target_address;
    w.headers[DATA_].sh_size = target_size;
    given_writer = writer;
}

static void try_at(const struct call *call, const char *piece, uint64_t address, uint64_t size, int overlaps)
{
    static const char *const kinds[] = {"plain", "writer", "foreign"};
    target_address = address;
    target_size = size;
    from_symtab = call->level == LEVEL1_SYMTAB;
    for (int kind = 0; kind < 3; kind++) {
        struct relakit_writer writer = hooked;
        relakit_status status;
        int is_ok;
        /* Plain memory can only be inside of w. A foreign writer's addresses are of another address space. */
        if (kind == 0 && (address < here(&w) || address > here(&w + 1) || size > here(&w + 1) - address))
            continue;
        writer.flags = kind == 2 ? RELAKIT_WRITER_FOREIGN : 0;
        prepare(kind == 0 ? NULL : &writer);
        status = call->call();
        is_ok = overlaps && kind != 2
                    ? test_refused(__FILE__, __LINE__, "an overlap", status, call->status, call->value)
                    : test_accepted(__FILE__, __LINE__, "no overlap", status, RELAKIT_OK);
        if (!is_ok)
            printf("    %s, %s, %s, %llu bytes\n", call->name, kinds[kind], piece, (unsigned long long)size);
        if (status == RELAKIT_ERR_TARGET_OVERLAPS)
            EQ(fault.section, call->level == LEVEL2 ? RELA_ : LATE2);
        for (unsigned i = 0; i < asked_count; i++)
            CHECK(asked[i].kind != 'r' && asked[i].kind != 'w');
    }
}

#define PIECE(member, levels) {#member, &w.member, sizeof w.member, levels}

static void a_target_that_overlaps_a_buffer_is_refused(void)
{
    static const struct {
        const char *name;
        const void *at;
        size_t size;
        unsigned levels;
    } pieces[] = {
        PIECE(late2, LEVEL1 | LEVEL1_SYMTAB | LEVEL2 | LEVEL2_KLP), PIECE(symbols, LEVEL1_SYMTAB | LEVEL2 | LEVEL2_KLP),
        PIECE(values, LEVEL1), PIECE(headers, LEVEL2 | LEVEL2_KLP), PIECE(strings, LEVEL2_KLP),
        PIECE(names, LEVEL2_KLP),
    };
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            uint64_t start = here(pieces[p].at), size = pieces[p].size;
            int reads = (pieces[p].levels & calls[c].level) != 0;
            for (uint64_t n = 1; n <= 17; n += 8) {
                try_at(&calls[c], pieces[p].name, start - n, n, 0);
                try_at(&calls[c], pieces[p].name, start - n + 1, n, reads);
                try_at(&calls[c], pieces[p].name, start + 8, n, reads);
                try_at(&calls[c], pieces[p].name, start + size - 1, n, reads);
                try_at(&calls[c], pieces[p].name, start + size, n, 0);
            }
            try_at(&calls[c], pieces[p].name, start - 8, size + 16, reads);
            /* A target without bytes overlaps nothing. */
            try_at(&calls[c], pieces[p].name, start + 8, 0, 0);
        }
}

static void targets_of_any_size_behind_a_writer(void)
{
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        try_at(&calls[c], "all", 0, UINT64_MAX, 1);
        try_at(&calls[c], "all", 1, UINT64_MAX, 1);
        try_at(&calls[c], "below", 0, here(&w), 0);
        try_at(&calls[c], "above", here(&w + 1), UINT64_MAX - here(&w + 1) + 1, 0);
        try_at(&calls[c], "top", UINT64_MAX, 1, 0);
        try_at(&calls[c], "bottom", 0, 1, 0);
    }
}

/* The library writes the symbol table. It is moved to both edges of what the library reads. */
static void buffers_that_overlap_each_other(void)
{
    enum { COUNT = 2 };
    const struct {
        const void *at;
        size_t size;
    } read[] = {{w.headers, sizeof w.headers}, {w.strings, sizeof w.strings}, {w.names, sizeof w.names}};
    for (int clears = 0; clears < 2; clears++)
        for (size_t i = 0; i < 3; i++)
            for (int edge = 0; edge < 4; edge++) {
                uint64_t start = here(read[i].at), end = start + read[i].size;
                uint64_t size = COUNT * sizeof *w.symbols;
                const uint64_t edges[] = {start - size, start - size + 1, end - 1, end};
                relakit_status status;
                reset();
                object = "nobody";
                w.headers[SYMTAB].sh_size = size;
                w.headers[SYMTAB].sh_addr = edges[edge];
                status = clears ? clear_object() : apply_object();
                if (edge == 1 || edge == 2)
                    test_refused(__FILE__, __LINE__, "buffers that overlap", status, RELAKIT_ERR_OVERLAP, 1);
                else
                    test_accepted(__FILE__, __LINE__, "buffers side by side", status, RELAKIT_OK);
            }
}

/* A relocation table in the symbols, which are written. Without entries it is not read. */
static void tables_in_the_symbols(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t start = here(w.symbols), end = start + sizeof w.symbols, size = sizeof w.late2;
        const uint64_t overlapping[] = {start - size + 1, start + 8, end - 1}, apart[] = {start - size, end};
        for (size_t k = 0; k < 3; k++) {
            reset();
            place(i ? &hooked : NULL);
            w.headers[LATE2].sh_addr = overlapping[k];
            REFUSES(RELAKIT_ERR_TABLE_OVERLAPS, sizeof w.late2, apply_object());
            EQ(fault.section, LATE2);
            w.headers[LATE2].sh_size = 0;
            ACCEPTS(apply_object());
        }
        for (size_t k = 0; k < 2; k++) {
            reset();
            place(i ? &hooked : NULL);
            memcpy(w.guard3 + sizeof w.guard3 - size, w.late2, size);
            memcpy(w.guard4, w.late2, size);
            w.headers[LATE2].sh_addr = apart[k];
            ACCEPTS(apply_object());
        }
    }
}

int main(void)
{
    a_target_that_overlaps_a_buffer_is_refused();
    targets_of_any_size_behind_a_writer();
    buffers_that_overlap_each_other();
    tables_in_the_symbols();
    return test_end("overlaps");
}
