/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Steps of level 1 with a GOT: the plan of one table, its slots and stubs, and the table. */

#include "steps.h"

static Elf64_Rela *table;
static uint64_t *values;
static unsigned char *bytes, *slots;
static struct relakit_got got;
static struct relakit_symbols symbols;

/* Each entry has a symbol of its own. Every second one is a call that does not reach. */
static void make_table(void)
{
    table = (Elf64_Rela *)lend(things * sizeof *table);
    values = (uint64_t *)lend(things * sizeof *values);
    bytes = (unsigned char *)lend(things * 8);
    slots = (unsigned char *)lend(things * 24 + 16);
    got = (struct relakit_got){.struct_size = sizeof got, .flags = RELAKIT_GOT_STUBS | RELAKIT_GOT_ENDBR};
    got.count = relakit_got_words(things);
    got.plan = (uint64_t *)lend(got.count * sizeof *got.plan);
    got.address = BASE + 8 * (uint64_t)things;
    got.address += -got.address % 16;
    for (uint32_t i = 0; i < things; i++) {
        table[i] = rela(8 * (uint64_t)i, i, i & 1 ? R_X86_64_PLT32 : R_X86_64_REX_GOTPCRELX, -4);
        values[i] = UINT64_C(0x123456789abc0000) + i;
    }
    symbols.values = values;
    symbols.count = things;
}

static uint64_t got_bytes;

static relakit_status size(void)
{
    return relakit_got_size(&got, table, things * sizeof *table, &got_bytes, fresh());
}

static relakit_status fill(void)
{
    const struct relakit_target target = {slots, got_bytes, got.address, NULL};
    return relakit_got_fill(&got, &symbols, &target, NULL, fresh());
}

static relakit_status apply(void)
{
    const struct relakit_target target = {bytes, things * 8, BASE, NULL};
    return relakit_got_apply(&got, table, things * sizeof *table, &symbols, &target, NULL, fresh());
}

static relakit_status clear(void)
{
    const struct relakit_target target = {bytes, things * 8, BASE, NULL};
    return relakit_got_clear(&got, table, things * sizeof *table, &symbols, &target, NULL, fresh());
}

static relakit_status words(void)
{
    return relakit_got_words(things) == 0;
}

static void planned(void)
{
    make_table();
    EQ(size(), RELAKIT_OK);
}

static void applied(void)
{
    planned();
    EQ(apply(), RELAKIT_OK);
}

static void last_is_bad(void)
{
    planned();
    table[things - 1].r_info |= UINT64_C(0x7fffffff);
}

static void last_slot_is_used(void)
{
    planned();
    slots[got_bytes - 1] = 1;
}

int main(void)
{
    count_things(CONSTANT, "relakit_got_words: a number", 1000, NULL, words, 0);
    count_things(LINEAR, "relakit_got_size: entries", 1000, make_table, size, RELAKIT_OK);
    count_things(LINEAR, "relakit_got_fill: slots and stubs", 1000, planned, fill, RELAKIT_OK);
    count_things(LINEAR, "relakit_got_fill: slots and stubs, the last one at fault", 1000, last_slot_is_used, fill,
                 RELAKIT_ERR_TARGET_NOT_ZERO);
    count_things(LINEAR, "relakit_got_apply: entries", 1000, planned, apply, RELAKIT_OK);
    count_things(LINEAR, "relakit_got_apply: entries, the last one at fault", 1000, last_is_bad, apply,
                 RELAKIT_ERR_UNKNOWN_TYPE);
    count_things(LINEAR, "relakit_got_clear: entries", 1000, applied, clear, RELAKIT_OK);
    return test_end("got");
}
