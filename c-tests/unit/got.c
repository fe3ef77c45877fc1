/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A global offset table: what crosses the ABI at level 1, and the plan of a module. core/tests/reloc/got.rs and
 * core/tests/module/got.rs prove formulas, slots and stubs.
 */
#include "module.h"

#define GOT_AT (BASE + 0x800)
#define FAR UINT64_C(0x123456789abc)

static uint64_t words[2];
static unsigned char code[32], slots[64];
static Elf64_Rela table[2];
static uint64_t symbol_values[3];
static struct relakit_got got;
static struct relakit_symbols symbols;
static struct relakit_target target, memory_of_got;
static uint64_t got_size;

static relakit_status find_size(void)
{
    return relakit_got_size(&got, table, sizeof table, &got_size, fresh());
}

static relakit_status fill_got(void)
{
    return relakit_got_fill(&got, &symbols, &memory_of_got, NULL, fresh());
}

static relakit_status apply(void)
{
    return relakit_got_apply(&got, table, sizeof table, &symbols, &target, NULL, fresh());
}

static relakit_status clear(void)
{
    return relakit_got_clear(&got, table, sizeof table, &symbols, &target, NULL, fresh());
}

static void reset(void)
{
    memset(words, 0, sizeof words);
    memset(code, 0, sizeof code);
    memset(slots, 0, sizeof slots);
    table[0] = rela(3, 1, R_X86_64_REX_GOTPCRELX, -4);
    table[1] = rela(12, 2, R_X86_64_PLT32, -4);
    symbol_values[1] = FAR;
    symbol_values[2] = BASE + 0x40;
    memset(&got, 0, sizeof got);
    got.struct_size = sizeof got;
    got.plan = words;
    got.count = relakit_got_words(3);
    got.address = GOT_AT;
    memset(&symbols, 0, sizeof symbols);
    symbols.values = symbol_values;
    symbols.count = 3;
    memset(&target, 0, sizeof target);
    target.bytes = code;
    target.size = sizeof code;
    target.address = BASE;
    memset(&memory_of_got, 0, sizeof memory_of_got);
    memory_of_got.bytes = slots;
    memory_of_got.size = 8;
    memory_of_got.address = GOT_AT;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static int32_t field_at(size_t offset)
{
    int32_t field;
    memcpy(&field, code + offset, sizeof field);
    return field;
}

static void a_table_is_planned_filled_applied_and_cleared(void)
{
    static const unsigned char zeros[sizeof code];
    reset();
    EQ(relakit_got_words(0), 0);
    EQ(relakit_got_words(32), 1);
    EQ(relakit_got_words(33), 2);
    ACCEPTS(find_size());
    EQ(got_size, 8);
    ACCEPTS(find_size()); /* a second table with the same symbols */
    EQ(got_size, 8);
    ACCEPTS(fill_got());
    EQ(word_at(slots), FAR);
    ACCEPTS(apply());
    EQ(BASE + 7 + (uint64_t)(int64_t)field_at(3), GOT_AT);
    EQ(BASE + 16 + (uint64_t)(int64_t)field_at(12), BASE + 0x40);
    ACCEPTS(clear());
    SAME(code, zeros, sizeof code);
    EQ(word_at(slots), FAR);

    reset();
    symbol_values[2] = FAR;
    ACCEPTS(find_size());
    REFUSES(RELAKIT_ERR_OVERFLOW, FAR - (BASE + 16), apply());
    SAME(code, zeros, sizeof code);
    memset(words, 0, sizeof words);
    got.flags = RELAKIT_GOT_STUBS | RELAKIT_GOT_ENDBR;
    ACCEPTS(find_size());
    EQ(got_size, 2 * 8 + 2 * 16);
    memory_of_got.size = got_size;
    ACCEPTS(fill_got());
    ACCEPTS(apply());
    EQ(BASE + 16 + (uint64_t)(int64_t)field_at(12), GOT_AT + 2 * 8 + 16);
    SAME(slots + 2 * 8 + 16, "\xf3\x0f\x1e\xfa\xff\x25", 6);
}

static void a_branch_of_the_old_type_leads_to_a_stub_in_code_only(void)
{
    reset();
    got.flags = RELAKIT_GOT_STUBS;
    symbol_values[2] = FAR;
    ACCEPTS(find_size());
    table[1] = rela(12, 2, R_X86_64_PC32, -4);
    code[11] = 0xe8;
    REFUSES(RELAKIT_ERR_OVERFLOW, FAR - (BASE + 16), apply());
    got.flags |= RELAKIT_GOT_IN_CODE;
    ACCEPTS(apply());
}

static void memory_behind_a_writer_is_filled(void)
{
    reset();
    hooks_reset();
    memset(flat, 0, FLAT);
    memory_of_got.bytes = NULL;
    memory_of_got.address = BASE;
    memory_of_got.writer = &hooked;
    ACCEPTS(find_size());
    ACCEPTS(fill_got());
    EQ(word_at(flat), FAR);
    memory_of_got.bytes = slots;
    REFUSES(RELAKIT_ERR_RESERVED, 3, fill_got());
}

static void what_is_wrong_is_refused(void)
{
    unsigned char before[sizeof slots];
    reset();
    ACCEPTS(find_size());
    REFUSES(RELAKIT_ERR_NULL, 1, relakit_got_size(NULL, table, sizeof table, &got_size, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_got_size(&got, table, sizeof table, NULL, fresh()));
    REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, 25, relakit_got_size(&got, table, 25, &got_size, fresh()));
    got.plan = (uint64_t *)(void *)table;
    REFUSES(RELAKIT_ERR_OVERLAP, 1, find_size());
    reset();
    got.flags = 1;
    REFUSES(RELAKIT_ERR_FLAGS, 1, find_size());
    REFUSES(RELAKIT_ERR_FLAGS, 1, apply());
    REFUSES(RELAKIT_ERR_FLAGS, 1, fill_got());
    reset();
    got.plan = NULL;
    REFUSES(RELAKIT_ERR_NULL, 1, find_size());
    reset();
    REFUSES(RELAKIT_ERR_NO_GOT_SLOT, 0, apply()); /* never planned */
    ACCEPTS(find_size());
    got.address += 4;
    REFUSES(RELAKIT_ERR_ADDRESS_MISALIGNED, GOT_AT + 4, apply());
    reset();
    ACCEPTS(find_size());
    target.bytes = words;
    target.size = sizeof words;
    REFUSES(RELAKIT_ERR_OVERLAP, 5, apply());
    memory_of_got.bytes = words;
    REFUSES(RELAKIT_ERR_OVERLAP, 3, fill_got());
    reset();
    ACCEPTS(find_size());
    memory_of_got.size = 16;
    REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 16, fill_got());
    memory_of_got.size = 8;
    slots[7] = 1;
    memcpy(before, slots, sizeof slots);
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, FAR, fill_got());
    SAME(slots, before, sizeof slots);
}

/* Numbers of arguments are those of the function that was called, and not those of relakit_apply. */
static void errors_have_the_number_of_their_argument(void)
{
    struct relakit_options options = {.struct_size = sizeof options, .reserved = 1};
    reset();
    ACCEPTS(find_size());
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_got_apply(&got, NULL, sizeof table, &symbols, &target, NULL, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_got_apply(&got, table, sizeof table, NULL, &target, NULL, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_got_clear(&got, table, sizeof table, &symbols, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_RESERVED, 6, relakit_got_apply(&got, table, sizeof table, &symbols, &target, &options, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_got_fill(&got, NULL, &memory_of_got, NULL, fresh()));
    symbols.symtab = table;
    REFUSES(RELAKIT_ERR_SYMBOLS, 4, apply());
    REFUSES(RELAKIT_ERR_SYMBOLS, 4, clear());
    REFUSES(RELAKIT_ERR_SYMBOLS, 2, fill_got());
    symbols.symtab = NULL;
    symbols.values = (const uint64_t *)(const void *)((const unsigned char *)symbol_values + 1);
    REFUSES(RELAKIT_ERR_ALIGNMENT, 4, apply());
    REFUSES(RELAKIT_ERR_ALIGNMENT, 2, fill_got());
}

static struct relakit_got_section section_of_got;

static relakit_status plan(void)
{
    return relakit_module_plan(module, words, 1, 0, &section_of_got, fresh());
}

/* The module of the other tests, with one relocation of another type, by the rules of ELF. */
static void start(void)
{
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    ((Elf64_Rela *)file_section(RELA_))[1] = rela(8, EXP_B, R_X86_64_GOTPCREL, -4);
    module_options.struct_size = sizeof module_options;
    module_options.flags = 0;
    module_options.profile = RELAKIT_PROFILE_ELF;
    ACCEPTS(module_start());
    memset(&section_of_got, 0xa5, sizeof section_of_got);
}

static void a_module_has_its_got_as_one_more_section(void)
{
    static struct relakit_section_memory all[SECTIONS + 1];
    struct relakit_layout layout = {.struct_size = sizeof layout};
    start();
    ACCEPTS(plan());
    EQ(section_of_got.section, SECTIONS);
    EQ(section_of_got.group, RELAKIT_GROUP_RODATA);
    EQ(section_of_got.size, 8);
    EQ(section_of_got.align, 8);
    EQ(relakit_module_stage(module), RELAKIT_STAGE_PARSED);
    REFUSES(RELAKIT_ERR_OVERLAP, 2, plan()); /* the module still uses the words */
    ACCEPTS(relakit_module_plan(module, words + 1, 1, 0, &section_of_got, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 6, relakit_module_layout(module, NULL, BASE, 64, all, SECTIONS, &layout, fresh()));
    ACCEPTS(relakit_module_layout(module, NULL, BASE, 64, all, SECTIONS + 1, &layout, fresh()));
    EQ(all[SECTIONS].size, 8);

    REFUSES(RELAKIT_ERR_NOT_ASSIGNED, 8, place());
    memcpy(all, places, sizeof places);
    memset(slots, 0xa5, sizeof slots);
    all[SECTIONS] = (struct relakit_section_memory){RELAKIT_MEMORY_PRESENT, 0, slots, 8, BASE + 0x8000, 0};
    memory.sections = all;
    memory.count = SECTIONS + 1;
    all[SECTIONS].bytes = words + 1;
    REFUSES(RELAKIT_ERR_OVERLAP, 2, place());
    all[SECTIONS].bytes = slots;
    ACCEPTS(place());
    REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_ASSIGNED, plan());
    ACCEPTS(fill());
    EQ(word_at(slots), 0);
    ACCEPTS(early());
    EQ(word_at(slots), UINT64_C(0xffffffff81000000));
    REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_LOADED, plan());
}

static void a_plan_needs_its_memory(void)
{
    start();
    REFUSES(RELAKIT_ERR_GOT_PLAN_TOO_SHORT, 0, relakit_module_plan(module, NULL, 0, 0, &section_of_got, fresh()));
    EQ(fault.limit, 1);
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_module_plan(module, words, 1, 0, NULL, fresh()));
    REFUSES(RELAKIT_ERR_FLAGS, 4, relakit_module_plan(module, words, 1, RELAKIT_GOT_IN_CODE, &section_of_got, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 2,
            relakit_module_plan(module, (uint64_t *)(void *)file, 1, 0, &section_of_got, fresh()));
    /* Linux has no GOT. */
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    ACCEPTS(plan());
    EQ(section_of_got.section, 0);
    EQ(section_of_got.size, 0);
    EQ(section_of_got.align, 0);
}

int main(void)
{
    a_table_is_planned_filled_applied_and_cleared();
    a_branch_of_the_old_type_leads_to_a_stub_in_code_only();
    memory_behind_a_writer_is_filled();
    what_is_wrong_is_refused();
    errors_have_the_number_of_their_argument();
    a_module_has_its_got_as_one_more_section();
    a_plan_needs_its_memory();
    return test_end("got");
}
