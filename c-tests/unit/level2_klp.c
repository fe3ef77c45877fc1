/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: the livepatch sections of one object, early and late, as one transaction. */

#include "klp.h"

static void an_object_comes_and_goes(void)
{
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        unsigned char zeros[FLAT] = {0};
        reset();
        place(on_writer);
        ACCEPTS(apply());
        EQ(sections, 2);
        for (size_t i = 0; i < FIELDS; i++)
            CHECK(holds(&fields[i], fields[i].value));
        /* The values are in the symbol table, and those of nobody else. */
        EQ(w.symbols[F].st_value, 0x2222);
        EQ(w.symbols[G].st_value, 0x123456789abc);
        EQ(w.symbols[V].st_value, 0);
        EQ(w.symbols[PLAIN].st_value, 0x4242);
        EQ(w.symbols[F].st_shndx, SHN_KLP);
        REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x2223, apply());
        ACCEPTS(clear());
        EQ(sections, 2);
        SAME(flat, zeros, FLAT);
        REFUSES(RELAKIT_ERR_TARGET_MISMATCH, on_writer ? 0x123456789abc : 0x2220, clear());
        /* Behind a writer all fields are read from the first on; plain memory is cleared from the last on. */
        EQ(fault.section, LATE2);
        EQ(fault.entry, on_writer ? 0 : 1);
        ACCEPTS(apply());
    }
}

static void vmlinux_comes_early(void)
{
    reset();
    object = "vmlinux";
    ACCEPTS(apply());
    EQ(sections, 1);
    EQ(load(flat + 32, 8), 0x7777);
    EQ(w.symbols[V].st_value, 0x7777);
    ACCEPTS(clear());
    EQ(load(flat + 32, 8), 0);
    /* Targets that are not in memory are passed over, as by Linux. */
    w.headers[TEXT_].sh_flags = 0;
    ACCEPTS(apply());
    EQ(sections, 0);
    w.headers[EARLY].sh_info = SECTIONS;
    ACCEPTS(apply());
    EQ(sections, 0);
    /* The section itself need not stay. */
    reset();
    object = "vmlinux";
    w.headers[EARLY].sh_flags = LIVEPATCH;
    ACCEPTS(apply());
    EQ(sections, 1);
    /* A vmlinux section may use a module's symbol. */
    reset();
    object = "vmlinux";
    w.early[0] = rela(32, G, R_X86_64_64, 0);
    ACCEPTS(apply());
    EQ(load(flat + 32, 8), 0x123456789abc);
}

static void objects_that_have_nothing(void)
{
    static const char *const nobody[] = {"ob", "objx", "OBJ", "obj ", ".", "other2", "a-very-long-name-that-no-module-can-have-because-it-has-56b",
                                         ".klp.rela.obj"};
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        unsigned char zeros[FLAT] = {0};
        reset();
        object = nobody[i];
        ACCEPTS(apply());
        EQ(sections, 0);
        ACCEPTS(clear());
        EQ(sections, 0);
        SAME(flat, zeros, FLAT);
    }
    reset();
    object = "";
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, apply());
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, clear());
    object = NULL;
    REFUSES(RELAKIT_ERR_NULL, 2, apply());
    REFUSES(RELAKIT_ERR_NULL, 2, clear());
    /* The number of sections is for whoever wants it. */
    reset();
    EQ(relakit_klp_apply(&w.image, "obj", &names, NULL, NULL, NULL, NULL), RELAKIT_OK);
    EQ(relakit_klp_clear(&w.image, "obj", NULL, NULL, NULL, NULL), RELAKIT_OK);
}

static void two_sections_are_one_transaction(void)
{
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        unsigned char now[FLAT];
        reset();
        place(on_writer);
        flat[DATA_AT + 17] = 1;
        memcpy(now, flat, FLAT);
        REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x2220, apply());
        EQ(fault.section, LATE2);
        EQ(fault.entry, 1);
        EQ(fault.symbol, F);
        EQ(fault.limit, 0x100);
        SAME(flat, now, FLAT);
        flat[DATA_AT + 17] = 0;
        ACCEPTS(apply());
        /* Clearing finds the first section changed after it has cleared the second. */
        flat[3] ^= 1;
        memcpy(now, flat, FLAT);
        REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x2223, clear());
        EQ(fault.section, LATE1);
        EQ(fault.entry, 0);
        EQ(fault.limit, 0x1002223);
        SAME(flat, now, FLAT);
    }
}

static void each_call_fails_in_turn(void)
{
    reset();
    ACCEPTS(apply());
    ASKED("obj:f:2 obj:g:1 obj:g:2 obj:f:2");
    reset();
    place(1);
    ACCEPTS(apply());
    ASKED("obj:f:2 r0 r8 r0 w0 r8 w8 obj:g:1 obj:g:2 obj:f:2 r0 r16 r0 w0 r16 w16 s");
    hooks_reset();
    ACCEPTS(clear());
    ASKED("r0 r16 r16 w16 r0 w0 r0 r8 r8 w8 r0 w0 s");
}

static void behind(void)
{
    reset();
    place(1);
}
static void applied(void)
{
    behind();
    relakit_klp_apply(&w.image, object, &names, &hooked, &options, NULL, NULL);
    hooks_reset();
}

int main(void)
{
    an_object_comes_and_goes();
    vmlinux_comes_early();
    objects_that_have_nothing();
    two_sections_are_one_transaction();
    each_call_fails_in_turn();
    fail_in_turn(apply, behind, fields, FIELDS, 1);
    fail_in_turn(clear, applied, fields, FIELDS, 0);
    reset();
    fail_in_turn(apply, reset, fields, FIELDS, 1);
    return test_end("level2_klp");
}
