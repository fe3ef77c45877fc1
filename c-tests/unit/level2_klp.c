/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: the livepatch sections of one object, early and late, as one transaction. */

#include "sechdrs.h"

static void an_object_comes_and_goes(void)
{
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        unsigned char zeros[FLAT] = {0};
        reset();
        place(on_writer ? &hooked : NULL);
        ACCEPTS(apply_object());
        EQ(sections, 2);
        for (size_t i = 0; i < OBJ_FIELDS; i++)
            CHECK(holds(&obj_fields[i], obj_fields[i].value));
        /* The values are in the symbol table, and those of nobody else. */
        EQ(w.symbols[F].st_value, 0x2222);
        EQ(w.symbols[G].st_value, 0x123456789abc);
        EQ(w.symbols[V].st_value, 0);
        EQ(w.symbols[PLAIN].st_value, 0x4242);
        EQ(w.symbols[F].st_shndx, SHN_KLP);
        REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x2223, apply_object());
        ACCEPTS(clear_object());
        EQ(sections, 2);
        SAME(flat, zeros, FLAT);
        REFUSES(RELAKIT_ERR_TARGET_MISMATCH, on_writer ? 0x123456789abc : 0x2220, clear_object());
        /* Behind a writer all fields are read from the first on; plain memory is cleared from the last on. */
        EQ(fault.section, LATE2);
        EQ(fault.entry, on_writer ? 0 : 1);
        ACCEPTS(apply_object());
    }
}

static void vmlinux_comes_early(void)
{
    reset();
    object = "vmlinux";
    ACCEPTS(apply_object());
    EQ(sections, 1);
    EQ(load(flat + 32, 8), 0x7777);
    EQ(w.symbols[V].st_value, 0x7777);
    ACCEPTS(clear_object());
    EQ(load(flat + 32, 8), 0);
}

static void objects_that_have_nothing(void)
{
    static const char *const nobody[] = {"ob", "objx", "a-name-that-is-longer-than-any-that-a-module-can-have-56"};
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        unsigned char zeros[FLAT] = {0};
        reset();
        object = nobody[i];
        ACCEPTS(apply_object());
        EQ(sections, 0);
        ACCEPTS(clear_object());
        EQ(sections, 0);
        SAME(flat, zeros, FLAT);
    }
    reset();
    object = "";
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, apply_object());
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, clear_object());
    object = NULL;
    REFUSES(RELAKIT_ERR_NULL, 2, apply_object());
    REFUSES(RELAKIT_ERR_NULL, 2, clear_object());
}

/* Symbols, sections and targets that cannot be used. core/tests/module/headers.rs has all of them. */
static void errors_name_what_they_are_about(void)
{
    static const struct {
        uint32_t *member, value; /* what is wrong */
        relakit_status status;
        uint64_t number;
        uint32_t section, has;
    } rows[] = {
        {&w.symbols[G].st_name, sizeof w.strings, RELAKIT_ERR_BAD_SYMBOL_NAME, sizeof w.strings, LATE2,
         RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL},
        {&w.headers[OTHER].sh_name, sizeof w.names, RELAKIT_ERR_BAD_SECTION_NAME, sizeof w.names, OTHER,
         RELAKIT_ERROR_HAS_SECTION},
        {&w.headers[LATE2].sh_info, SECTIONS, RELAKIT_ERR_TARGET_OUT_OF_RANGE, SECTIONS, LATE2, RELAKIT_ERROR_HAS_SECTION},
        {&w.headers[LATE2].sh_type, SHT_REL, RELAKIT_ERR_REL_SECTION, DATA_, LATE2, RELAKIT_ERROR_HAS_SECTION},
    };
    unsigned char zeros[FLAT] = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reset();
        *rows[i].member = rows[i].value;
        REFUSES(rows[i].status, rows[i].number, apply_object());
        EQ(fault.section, rows[i].section);
        EQ(fault.has & ~(uint32_t)RELAKIT_ERROR_HAS_TYPE, rows[i].has);
        SAME(flat, zeros, FLAT);
    }
    /* The string table ends inside the name of G. */
    reset();
    w.image.strtab_size = w.symbols[G].st_name + 5;
    REFUSES(RELAKIT_ERR_BAD_SYMBOL_NAME, w.symbols[G].st_name, apply_object());
    EQ(fault.limit, w.image.strtab_size);
    /* The resolver knows nothing, or has no callback. */
    reset();
    known_count = 0;
    REFUSES(RELAKIT_ERR_KLP_NOT_FOUND, 2, apply_object());
    EQ(fault.symbol, F);
    names.nth_symbol = NULL;
    REFUSES(RELAKIT_ERR_KLP_NOT_FOUND, 2, apply_object());
    names.nth_symbol = hook_candidate;
    /* A target or a table without an address, and one past the end of the address space. */
    for (int i = 0; i < 2; i++) {
        uint32_t section = i ? LATE2 : DATA_;
        reset();
        w.headers[section].sh_addr = 0;
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, w.headers[section].sh_size, apply_object());
        EQ(fault.section, section);
        w.headers[section].sh_addr = UINT64_MAX - 7;
        REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX - 7, apply_object());
        EQ(fault.section, section);
        EQ(fault.limit, w.headers[section].sh_size);
        SAME(flat, zeros, FLAT);
    }
    /* The strings may be longer than the table. */
    reset();
    w.image.strtab_size += sizeof w.guard5 + sizeof w.names;
    w.image.shstrtab_size += sizeof w.guard6 + sizeof w.values;
    ACCEPTS(apply_object());
    ACCEPTS(clear_object());
}

static void each_call_fails_in_turn(void)
{
    reset();
    ACCEPTS(apply_object());
    ASKED("obj:f:2 obj:g:1 obj:g:2");
    reset();
    place(&hooked);
    ACCEPTS(apply_object());
    ASKED("obj:f:2 r0 r8 r0 w0 r8 w8 obj:g:1 obj:g:2 r0 r16 r0 w0 r16 w16 s");
    hooks_reset();
    ACCEPTS(clear_object());
    ASKED("r0 r16 r16 w16 r0 w0 r0 r8 r8 w8 r0 w0 s");
}

static void behind(void)
{
    reset();
    place(&hooked);
}

static void applied(void)
{
    behind();
    ACCEPTS(apply_object());
    hooks_reset();
}

int main(void)
{
    an_object_comes_and_goes();
    vmlinux_comes_early();
    objects_that_have_nothing();
    errors_name_what_they_are_about();
    each_call_fails_in_turn();
    fail_in_turn(apply_object, behind, obj_fields, OBJ_FIELDS, 1);
    fail_in_turn(clear_object, applied, obj_fields, OBJ_FIELDS, 0);
    reset();
    fail_in_turn(apply_object, reset, obj_fields, OBJ_FIELDS, 1);
    return test_end("level2_klp");
}
