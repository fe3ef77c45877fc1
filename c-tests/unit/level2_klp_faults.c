/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: livepatch sections and symbols that cannot be used. */

#include "klp.h"

static void bad(relakit_status status, uint64_t value, uint32_t section, int entry)
{
    unsigned char zeros[FLAT] = {0};
    REFUSES(status, value, apply());
    EQ(fault.section, section);
    CHECK(fault.has & RELAKIT_ERROR_HAS_SECTION);
    if (entry >= 0) {
        EQ(fault.entry, entry);
        CHECK(fault.has & RELAKIT_ERROR_HAS_ENTRY);
        CHECK(fault.has & RELAKIT_ERROR_HAS_SYMBOL);
    }
    SAME(flat, zeros, FLAT);
}

static void symbols_that_cannot_be_used(void)
{
    static const struct known none[] = {{"obj", "f", {1, 0, 0}}},
                              two[] = {{"obj", "f", {1, 2, 0}}, {"obj", "g", {1, 2, 0}}};
    reset();
    known_count = 0;
    bad(RELAKIT_ERR_KLP_NOT_FOUND, 2, LATE1, 0);
    reset();
    known_names = none;
    known_count = 1;
    bad(RELAKIT_ERR_KLP_SYMPOS, 2, LATE1, 0);
    reset();
    known_names = two;
    known_count = 2;
    bad(RELAKIT_ERR_KLP_AMBIGUOUS, 0, LATE2, 0);
    reset();
    names.nth_symbol = NULL;
    bad(RELAKIT_ERR_KLP_NOT_FOUND, 2, LATE1, 0);
    names.nth_symbol = hook_candidate;
    reset();
    w.late2[1] = rela(16, PLAIN, R_X86_64_32, 0);
    bad(RELAKIT_ERR_NOT_KLP_SYMBOL, TEXT_, LATE2, 1);
    reset();
    w.late2[1] = rela(16, V, R_X86_64_32, 0);
    bad(RELAKIT_ERR_VMLINUX_FROM_MODULE, 0, LATE2, 1);
    reset();
    w.late2[1] = rela(16, SYMBOLS, R_X86_64_32, 0);
    bad(RELAKIT_ERR_SYMBOL_INDEX, 0, LATE2, 1);
    reset();
    w.symbols[G].st_name = sizeof w.strings;
    bad(RELAKIT_ERR_BAD_SYMBOL_NAME, sizeof w.strings, LATE2, 0);
    reset();
    w.symbols[G].st_name++;
    bad(RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, 0, LATE2, 0);
    /* A name without an end. */
    reset();
    w.image.strtab_size = w.symbols[G].st_name + 5;
    bad(RELAKIT_ERR_BAD_SYMBOL_NAME, w.symbols[G].st_name, LATE2, 0);
    EQ(fault.limit, w.image.strtab_size);
}

static void sections_that_cannot_be_used(void)
{
    /* A malformed name stops every object. */
    reset();
    w.headers[OTHER].sh_name = w.headers[OTHER].sh_name + 1;
    bad(RELAKIT_ERR_BAD_KLP_SECTION_NAME, 0, OTHER, -1);
    reset();
    w.headers[OTHER].sh_name = sizeof w.names;
    bad(RELAKIT_ERR_BAD_SECTION_NAME, sizeof w.names, OTHER, -1);
    EQ(fault.limit, sizeof w.names);
    reset();
    w.headers[LATE2].sh_flags = LIVEPATCH;
    bad(RELAKIT_ERR_LATE_NOT_ALLOCATED, LIVEPATCH, LATE2, -1);
    reset();
    w.headers[DATA_].sh_flags = SHF_WRITE;
    bad(RELAKIT_ERR_TARGET_NOT_ALLOCATED, DATA_, LATE2, -1);
    EQ(fault.limit, SHF_WRITE);
    reset();
    w.headers[LATE2].sh_info = SECTIONS;
    bad(RELAKIT_ERR_TARGET_OUT_OF_RANGE, SECTIONS, LATE2, -1);
    reset();
    w.headers[LATE2].sh_info = STRTAB;
    bad(RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, STRTAB, LATE2, -1);
    reset();
    w.headers[LATE2].sh_type = SHT_REL;
    bad(RELAKIT_ERR_REL_SECTION, DATA_, LATE2, -1);
    reset();
    w.headers[LATE2].sh_type = SHT_NOBITS;
    bad(RELAKIT_ERR_NOT_RELOCATIONS, SHT_NOBITS, LATE2, -1);
    reset();
    w.headers[LATE2].sh_size -= 1;
    bad(RELAKIT_ERR_PARTIAL_ENTRY, 47, LATE2, -1);
    reset();
    w.headers[DATA_].sh_addr = 0;
    bad(RELAKIT_ERR_NOT_ASSIGNED, ROOM, DATA_, -1);
    /* A section of another object may be as wrong as it likes, if its name is right. */
    reset();
    w.headers[OTHER].sh_info = SECTIONS;
    w.headers[OTHER].sh_addr = 3;
    w.headers[OTHER].sh_type = 0;
    ACCEPTS(apply());
    EQ(sections, 2);
}

static void targets_that_overlap_what_is_lent(void)
{
    void *const lent[] = {w.headers, w.names, w.strings, w.symbols, w.values, w.late2};
    for (size_t i = 0; i < sizeof lent / sizeof *lent; i++) {
        reset();
        w.headers[DATA_].sh_addr = (uint64_t)(uintptr_t)lent[i] + 8;
        w.headers[DATA_].sh_size = 24;
        bad(RELAKIT_ERR_TARGET_OVERLAPS, DATA_, LATE2, -1);
    }
}

static void relocations_that_overlap_what_is_written(void)
{
    reset();
    memset(w.symbols, 0, sizeof w.symbols);
    memset(w.values, 0, sizeof w.values);
    void *const written[] = {w.symbols, w.values};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        for (int hooked = 0; hooked < 2; hooked++) {
            reset();
            place(hooked);
            w.headers[LATE2].sh_addr = (uint64_t)(uintptr_t)written[i] + 8;
            bad(RELAKIT_ERR_NOT_ASSIGNED, 48, LATE2, -1);
            w.headers[LATE2].sh_size = 0;
            ACCEPTS(apply());
        }
    }
}

int main(void)
{
    symbols_that_cannot_be_used();
    sections_that_cannot_be_used();
    targets_that_overlap_what_is_lent();
    relocations_that_overlap_what_is_written();
    return test_end("level2_klp_faults");
}
