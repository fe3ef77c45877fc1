/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: all sections in one arena, bases of Linux's memories, and invalid arguments. */

#include "module.h"

#define PAGE 4096

static struct relakit_layout is;
static struct relakit_section_memory got[SECTIONS + 2];

static relakit_status lay_out(void *arena, uint64_t address, uint64_t page, size_t many)
{
    memset(got, 0xa5, sizeof got);
    memset(&is, 0xa5, sizeof is);
    is.struct_size = sizeof is;
    return relakit_module_layout(module, arena, address, page, many == 0 ? NULL : got, many, &is, fresh());
}

/* The groups of the module: .text; .klp.rela.*; __jump_table; .data, .bss. */
static void sections_are_in_groups(void)
{
    static const struct {
        uint32_t section;
        uint64_t offset;
    } want[] = {
        {TEXT_, 0},      {KLP_EARLY, PAGE}, {LATE1, PAGE + 24}, {LATE2, PAGE + 72}, {TWO_, PAGE + 120},
        {JUMP, 2 * PAGE}, {DATA_, 3 * PAGE}, {BSS_, 3 * PAGE + 64},
    };
    static const uint64_t sizes[RELAKIT_GROUP_COUNT] = {PAGE, PAGE, PAGE, PAGE, 0, 0, 0};
    unsigned char *arena = (unsigned char *)heap(4 * PAGE);
    for (int pass = 0; pass < 3; pass++) { /* sizes, plain memory, a writer */
        size_t many = pass == 0 ? 0 : SECTIONS + 2, present = 0;
        uint64_t at = 0;
        module_reset(pass == 1 ? RELAKIT_STAGE_LOADED : RELAKIT_STAGE_PARSED, 0, 0);
        ACCEPTS(lay_out(pass == 1 ? arena : NULL, pass == 0 ? 1 : BASE, PAGE, many));
        EQ(is.size, 4 * PAGE);
        EQ(is.align, PAGE);
        EQ(is.reserved, 0);
        for (size_t i = 0; i < RELAKIT_GROUP_COUNT; at += sizes[i++]) {
            EQ(is.groups[i].offset, at);
            EQ(is.groups[i].size, sizes[i]);
        }
        for (size_t i = 0; i < many; i++)
            present += got[i].flags != 0;
        EQ(present, many == 0 ? 0 : sizeof want / sizeof *want);
        for (size_t i = 0; many && i < sizeof want / sizeof *want; i++) {
            const struct relakit_section_memory *place = &got[want[i].section];
            EQ(place->flags, pass == 1 ? RELAKIT_MEMORY_PRESENT : RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER);
            CHECK(place->bytes == (pass == 1 ? arena + want[i].offset : NULL));
            EQ(place->address, BASE + want[i].offset);
            EQ(place->size, parts[want[i].section].size);
            EQ(place->reserved, 0);
            EQ(place->symbols_at, 0);
        }
    }
    ACCEPTS(lay_out(NULL, 0, 0, 0));
    EQ(is.align, 8);
    EQ(is.size, 80 + 144 + 16 + 64 + 32);
    free(arena);
}

/* From 6.16 on, the per-CPU template is in the arena. */
static void the_per_cpu_section_is_the_callers_or_init_data(void)
{
    module_reset(RELAKIT_STAGE_PARSED, 0, RELAKIT_LINUX(6, 14));
    ACCEPTS(lay_out(NULL, 0, PAGE, SECTIONS));
    EQ(got[PERCPU].flags, 0);
    EQ(is.groups[RELAKIT_GROUP_INIT_DATA].size, 0);
    module_reset(RELAKIT_STAGE_PARSED, 0, RELAKIT_LINUX(6, 16));
    ACCEPTS(lay_out(NULL, 0, PAGE, SECTIONS));
    EQ(got[PERCPU].flags, RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER);
    EQ(got[PERCPU].address, is.groups[RELAKIT_GROUP_INIT_DATA].offset);
    EQ(is.groups[RELAKIT_GROUP_INIT_DATA].size, PAGE);
}

/* The early pass over the arena writes what it writes into separate buffers. */
static void a_module_is_loaded_into_the_arena(void)
{
    unsigned char *arena = (unsigned char *)heap(4 * PAGE), per_cpu[16];
    uint64_t separate[SYMBOLS];
    module_reset(RELAKIT_STAGE_FILLED, 0, 0);
    for (int i = TEXT_; i < PERCPU; i++)
        places[i].address = (uint64_t)(uintptr_t)arena;
    ACCEPTS(lay_out(arena, BASE, PAGE, SECTIONS));
    places_reset(0);
    for (int i = TEXT_; i < PERCPU; i++)
        places[i].address = got[i].address;
    ACCEPTS(place());
    ACCEPTS(fill());
    ACCEPTS(early());
    memcpy(separate, values, sizeof separate);
    memset(values, 0, sizeof values);
    ACCEPTS(module_start());
    ACCEPTS(lay_out(arena, BASE, PAGE, SECTIONS));
    got[PERCPU] = places[PERCPU]; /* the caller's matter */
    got[PERCPU].bytes = per_cpu;
    memory.sections = got;
    memory.count = SECTIONS;
    ACCEPTS(place());
    ACCEPTS(fill());
    ACCEPTS(early());
    SAME(values, separate, sizeof separate);
    for (int i = TEXT_; i < PERCPU; i++)
        SAME(got[i].bytes, flat + FLAT_AT(i), parts[i].size);
    free(arena);
}

static void what_cannot_be_laid_out_is_refused(void)
{
    static const uint64_t bad[] = {3, 6, 4095, UINT64_MAX};
    static const struct {
        uint64_t size, align;
        relakit_status status;
        uint64_t value;
    } rows[] = {
        {0, UINT64_C(1) << 61, RELAKIT_OK, 0},
        {INT64_MAX - 5 * PAGE, 8, RELAKIT_OK, 0},
        {INT64_MAX, 8, RELAKIT_ERR_LAYOUT_TOO_LARGE, (uint64_t)INT64_MAX + 64},
        {UINT64_MAX, 8, RELAKIT_ERR_LAYOUT_TOO_LARGE, UINT64_MAX},
        {UINT64_MAX - 64, 1, RELAKIT_ERR_LAYOUT_TOO_LARGE, UINT64_MAX},
        {1, UINT64_C(1) << 63, RELAKIT_ERR_LAYOUT_TOO_LARGE, (UINT64_C(1) << 63) + 1},
        {1, 3, RELAKIT_ERR_BAD_ALIGNMENT, 3},
    };
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSES(RELAKIT_ERR_BAD_ALIGNMENT, bad[i], lay_out(NULL, 0, bad[i], 0));
        EQ(fault.has, 0);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        file_header(BSS_)->sh_size = rows[i].size;
        file_header(BSS_)->sh_addralign = rows[i].align;
        ACCEPTS(module_start());
        if (rows[i].status == RELAKIT_OK) {
            ACCEPTS(lay_out(NULL, 0, PAGE, 0));
            continue;
        }
        REFUSES(rows[i].status, rows[i].value, lay_out(NULL, 0, PAGE, SECTIONS));
        EQ(fault.section, BSS_);
        EQ(got[TEXT_].flags, 0xa5a5a5a5);
        EQ(is.size, UINT64_C(0xa5a5a5a5a5a5a5a5));
    }
    file_build();
}

static void arguments_that_cannot_be_used(void)
{
    unsigned char *arena = (unsigned char *)heap(4 * PAGE);
    uint64_t last = UINT64_MAX - 4 * PAGE + 1;
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    ACCEPTS(lay_out(arena, last, PAGE, SECTIONS));
    REFUSES(RELAKIT_ERR_LAYOUT_TOO_LARGE, 4 * PAGE, lay_out(arena, last + PAGE, PAGE, SECTIONS));
    EQ(fault.limit, 3 * PAGE);
    REFUSES(RELAKIT_ERR_ADDRESS_MISALIGNED, BASE + 8, lay_out(arena, BASE + 8, PAGE, SECTIONS));
    EQ(fault.limit, PAGE);
    ACCEPTS(lay_out(arena, BASE + 8, 0, SECTIONS));
    REFUSES(RELAKIT_ERR_ADDRESS_MISALIGNED, BASE + 4, lay_out(arena, BASE + 4, 0, SECTIONS));
    EQ(fault.limit, 8);
    REFUSES(RELAKIT_ERR_LENGTH, 6, lay_out(arena, BASE, PAGE, SECTIONS - 1));
    EQ(fault.limit, SECTIONS);
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_module_layout(module, arena, BASE, PAGE, NULL, SECTIONS, &is, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 5,
            relakit_module_layout(module, arena, BASE, PAGE,
                                  (struct relakit_section_memory *)(void *)((char *)got + 4), SECTIONS, &is, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 5, relakit_module_layout(module, arena, BASE, PAGE, got, SIZE_MAX / 40, &is, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 2, lay_out((void *)(UINTPTR_MAX - PAGE), BASE, PAGE, SECTIONS));
    REFUSES(RELAKIT_ERR_OVERLAP, 2, lay_out(file + file_size - 1, BASE, PAGE, SECTIONS));
    REFUSES(RELAKIT_ERR_OVERLAP, 2, lay_out((char *)state - 4 * PAGE + 1, BASE, PAGE, SECTIONS));
    REFUSES(RELAKIT_ERR_OVERLAP, 2, lay_out((char *)got - 4 * PAGE + 1, BASE, PAGE, SECTIONS));
    REFUSES(RELAKIT_ERR_OVERLAP, 5,
            relakit_module_layout(module, arena, BASE, PAGE, (struct relakit_section_memory *)state, SECTIONS, &is,
                                  fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 5,
            relakit_module_layout(module, arena, BASE, PAGE, (struct relakit_section_memory *)(void *)file, SECTIONS,
                                  &is, fresh()));
    EQ(relakit_module_stage(module), RELAKIT_STAGE_PARSED);
    module_reset(RELAKIT_STAGE_LATE, 0, 0);
    REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_LATE, lay_out(arena, BASE, PAGE, SECTIONS));
    free(arena);
}

/* A module that only names others, such as GRUB's all_video.mod. */
static void a_module_without_symbols_is_the_profiles_matter(void)
{
    static const struct {
        uint32_t profile;
        int wants;
    } rows[] = {
        {RELAKIT_PROFILE_ELF, 0},     {RELAKIT_PROFILE_GRUB, 0},        {RELAKIT_PROFILE_KEXEC, 0},
        {RELAKIT_PROFILE_XEN, 1},     {RELAKIT_PROFILE_FREEBSD, 1},     {RELAKIT_LINUX(5, 8), 1},
        {RELAKIT_LINUX(6, 12), 1},    {RELAKIT_LINUX(7, 3), 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int uses = 0; uses < 2; uses++) {
            struct relakit_module_info info = {.struct_size = sizeof info};
            struct relakit_symbol found = {.struct_size = sizeof found};
            module_reset(RELAKIT_STAGE_PARSED, 0, 0);
            file_build();
            file_header(SYMTAB)->sh_type = SHT_PROGBITS;
            for (uint32_t section = RELA_; section <= TWO_; section++)
                if (section != RELA_ || !uses)
                    file_header(section)->sh_type = SHT_PROGBITS, file_header(section)->sh_flags = 0;
            module_options.profile = rows[i].profile;
            if (rows[i].wants) {
                REFUSES(RELAKIT_ERR_NO_SYMBOL_TABLE, 0, module_start());
                continue;
            }
            ACCEPTS(module_start());
            ACCEPTS(relakit_module_describe(module, &info, fresh()));
            EQ(info.symbol_count, 0);
            EQ(info.symbols_section, 0);
            ANSWERS(RELAKIT_NOT_FOUND, relakit_module_find_symbol(module, "local", &found, fresh()));
            places_reset(0);
            ACCEPTS(place());
            ACCEPTS(fill());
            given_values = NULL;
            value_count = 0;
            if (uses) {
                REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, early());
                EQ(fault.section, RELA_);
                EQ(fault.limit, 0);
                continue;
            }
            ACCEPTS(early());
            ACCEPTS(relakit_module_retained_size(module, &kept_size, fresh()));
            EQ(kept_size, 0);
            ACCEPTS(relakit_module_retain(module, &memory, NULL, 0, NULL, 0, fresh()));
        }
}

/* Each group of this module has one page, so Linux's memories can be where the arena's groups are. */
static void bases_of_linuxs_memories_give_the_addresses(void)
{
    static const uint64_t none[RELAKIT_GROUP_COUNT];
    static const uint64_t by_group[RELAKIT_GROUP_COUNT] = {BASE, BASE + PAGE, BASE + 2 * PAGE, BASE + 3 * PAGE};
    static const uint64_t core[RELAKIT_GROUP_COUNT] = {BASE, 1, 2, 3};
    static const uint64_t text[RELAKIT_GROUP_COUNT] = {BASE};
    struct relakit_section_memory want[SECTIONS + 2], before[SECTIONS + 2];
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    ACCEPTS(lay_out(NULL, BASE, PAGE, SECTIONS));
    memcpy(want, got, sizeof want);
    for (size_t i = 0; i < SECTIONS; i++)
        got[i].address = 7;
    memcpy(before, got, sizeof before);
    ACCEPTS(relakit_module_addresses(module, RELAKIT_MEMORIES_BY_GROUP, none, got, SECTIONS, fresh()));
    SAME(got, before, sizeof got);
    for (int pass = 0; pass < 2; pass++) {
        memcpy(got, before, sizeof got);
        ACCEPTS(relakit_module_addresses(module,
                                         pass == 0 ? RELAKIT_MEMORIES_BY_GROUP : RELAKIT_MEMORIES_CORE_AND_INIT,
                                         pass == 0 ? by_group : core, got, SECTIONS, fresh()));
        for (size_t i = 0; i < SECTIONS; i++) {
            EQ(got[i].address, want[i].flags != 0 ? want[i].address : 7);
            EQ(got[i].flags, want[i].flags);
            EQ(got[i].size, want[i].size);
        }
    }
    memcpy(got, before, sizeof got);
    ACCEPTS(relakit_module_addresses(module, RELAKIT_MEMORIES_BY_GROUP, text, got, SECTIONS, fresh()));
    EQ(got[TEXT_].address, BASE);
    EQ(got[DATA_].address, 7);

    /* Nothing is written if a section does not fit. */
    memcpy(before, got, sizeof before);
    REFUSES(RELAKIT_ERR_FLAGS, 2, relakit_module_addresses(module, 2, by_group, got, SECTIONS, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_addresses(module, 0, NULL, got, SECTIONS, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_module_addresses(module, 0, by_group, NULL, SECTIONS, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 5, relakit_module_addresses(module, 0, by_group, got, SECTIONS - 1, fresh()));
    EQ(fault.limit, SECTIONS);
    REFUSES(RELAKIT_ERR_OVERLAP, 4, relakit_module_addresses(module, 0, (const uint64_t *)(const void *)got, got, SECTIONS, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 4,
            relakit_module_addresses(module, 0, by_group, (struct relakit_section_memory *)state, SECTIONS, fresh()));
    file_header(BSS_)->sh_size = UINT32_MAX;
    ACCEPTS(module_start());
    REFUSES(RELAKIT_ERR_LAYOUT_TOO_LARGE, (uint64_t)UINT32_MAX + 64,
            relakit_module_addresses(module, 0, by_group, got, SECTIONS, fresh()));
    EQ(fault.section, BSS_);
    EQ(fault.limit, UINT32_MAX);
    SAME(got, before, sizeof got);
    file_build();
}

int main(void)
{
    sections_are_in_groups();
    bases_of_linuxs_memories_give_the_addresses();
    the_per_cpu_section_is_the_callers_or_init_data();
    a_module_is_loaded_into_the_arena();
    what_cannot_be_laid_out_is_refused();
    arguments_that_cannot_be_used();
    a_module_without_symbols_is_the_profiles_matter();
    return module_test_end("level3_layout");
}
