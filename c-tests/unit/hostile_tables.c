/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Levels 1 and 2: a writer that changes the relocation tables while a pass reads them. */

#include "sechdrs.h"

static const struct {
    level2_call *call, *first; /* `first` applies what `call` clears */
} calls[] = {
    {apply, NULL}, {clear, apply}, {check, NULL}, {apply_section, NULL}, {clear_section, apply_section},
    {apply_object, NULL}, {clear_object, apply_object},
};

static void prepare(size_t call, const struct relakit_writer *writer)
{
    reset();
    place(writer);
    from_symtab = 1;
    w.symbols[F].st_value = w.symbols[G].st_value = 0x1234; /* for level 1 */
    if (calls[call].first != NULL)
        ACCEPTS(calls[call].first());
    hooks_reset();
}

/* At call `lie_at` of a callback, each entry gets this offset, symbol and type. */
static unsigned lie_at;
static uint64_t lie_offset;
static uint32_t lie_symbol, lie_type;

static void change_the_tables(void)
{
    Elf64_Rela *const tables[] = {w.ordinary, w.late1, w.late2, before.ordinary, before.late1, before.late2};
    if (asked_count != lie_at + 1)
        return;
    for (size_t i = 0; i < 12; i++)
        tables[i / 2][i % 2] = rela(lie_offset, lie_symbol, lie_type, (int64_t)i % 6);
}

/* relakit_klp_apply may change the values in the symbol table. */
static void nothing_else_has_changed(void)
{
    for (int i = F; i <= G; i++)
        before.symbols[i].st_value = w.symbols[i].st_value;
    SAME(&w, &before, sizeof w);
    for (unsigned i = 0; i < asked_count; i++)
        if (asked[i].kind == 'r' || asked[i].kind == 'w') {
            CHECK(asked[i].offset <= ROOM - asked[i].size);
            CHECK(asked[i].address == BASE + asked[i].offset || asked[i].address == BASE + DATA_AT + asked[i].offset);
        }
}

/*
 * The contract forbids a change of the table, and a hostile file once made a pass change its own table. Each access must
 * be inside of the section, whatever the table contains by then.
 */
static void no_access_is_outside_when_the_table_changes(void)
{
    static const uint64_t offsets[] = {0, ROOM - 8, ROOM - 7, ROOM - 3, ROOM, 0x7ffffff8, UINT64_MAX - 7, UINT64_MAX};
    static const uint32_t types[] = {R_X86_64_64, R_X86_64_32, R_X86_64_NONE, 99};
    for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
        for (size_t o = 0; o < 4 * 3 * (sizeof offsets / sizeof *offsets); o++) {
            struct relakit_writer writer = hooked;
            unsigned count;
            prepare(call, &writer);
            calls[call].call();
            count = asked_count;
            CHECK(count >= 2);
            lie_offset = offsets[o / 12];
            lie_type = types[o / 3 % 4];
            lie_symbol = o & 1 ? F : UINT32_MAX;
            for (unsigned k = 0; k < count; k++) {
                /* The lie alone, with its own call failing, and with the next one failing. */
                unsigned fails = (unsigned)(o % 3);
                writer.flags = k & 1 ? RELAKIT_WRITER_FOREIGN : 0;
                prepare(call, &writer);
                before = w;
                meanwhile = change_the_tables;
                lie_at = k;
                fail_at = fails == 0 ? NEVER : k + fails - 1;
                fail_number = 7;
                calls[call].call();
                meanwhile = NULL;
                nothing_else_has_changed();
            }
        }
}

int main(void)
{
    no_access_is_outside_when_the_table_changes();
    return test_end("hostile_tables");
}
