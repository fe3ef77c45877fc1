/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Loads a module where relakit_module_layout puts its sections, gives each group of sections the permissions that its name
 * says, and calls the module's functions.
 *
 *   layout MODULE
 */
#define _GNU_SOURCE
#include "../unit/test.h"

#include <sys/mman.h>

static uint64_t page(uint64_t size)
{
    return (size + 4095) & ~(uint64_t)4095;
}

static int32_t RELAKIT_CALL nothing(void *ctx, const char *name, size_t name_len, uint64_t *value)
{
    (void)ctx, (void)name, (void)name_len, (void)value;
    return RELAKIT_NOT_FOUND;
}

static int protection(uint32_t group)
{
    switch (group) {
    case RELAKIT_GROUP_TEXT:
    case RELAKIT_GROUP_INIT_TEXT:
        return PROT_READ | PROT_EXEC;
    case RELAKIT_GROUP_DATA:
    case RELAKIT_GROUP_INIT_DATA:
        return PROT_READ | PROT_WRITE;
    default:
        return PROT_READ;
    }
}

static int call(struct relakit_module *module, const uint64_t *values, const char *name, int argument)
{
    struct relakit_symbol symbol = { .struct_size = sizeof symbol };
    int (*function)(int);

    ACCEPTS(relakit_module_find_symbol(module, name, &symbol, fresh()));
    memcpy(&function, &values[symbol.index], sizeof function);
    return function(argument);
}

int main(int count, char **arguments)
{
    /* layout-module.c has a section for each of these. */
    static const uint32_t used[] = { RELAKIT_GROUP_TEXT, RELAKIT_GROUP_RODATA, RELAKIT_GROUP_RO_AFTER_INIT,
                                RELAKIT_GROUP_DATA, RELAKIT_GROUP_INIT_TEXT, RELAKIT_GROUP_INIT_DATA };
    static uint64_t state[RELAKIT_MODULE_SIZE / 8];
    FILE *opened = count == 2 ? fopen(arguments[1], "rb") : NULL;
    unsigned char *file = (unsigned char *)heap(1 << 16), *arena;
    size_t file_size = opened ? fread(file, 1, 1 << 16, opened) : 0;
    struct relakit_resolver resolver = { .struct_size = sizeof resolver, .exported = nothing };
    struct relakit_layout sizes = { .struct_size = sizeof sizes }, layout = { .struct_size = sizeof layout };
    struct relakit_module_info info = { .struct_size = sizeof info };
    struct relakit_memory memory = { .struct_size = sizeof memory };
    struct relakit_section_memory *sections;
    struct relakit_module *module = NULL;
    uint64_t *values, end = 0;

    if (!ACCEPTS(relakit_module_init(state, sizeof state, file, file_size, NULL, &module, fresh())))
        return test_end("layout");
    ACCEPTS(relakit_module_describe(module, &info, fresh()));
    sections = (struct relakit_section_memory *)heap(info.section_count * sizeof *sections);
    values = (uint64_t *)heap(info.symbol_count * sizeof *values);

    ACCEPTS(relakit_module_layout(module, NULL, 0, 4096, NULL, 0, &sizes, fresh()));
    CHECK(sizes.size != 0);
    CHECK(sizes.align <= 4096);
    arena = (unsigned char *)mmap(NULL, page(sizes.size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                                  -1, 0);
    CHECK(arena != MAP_FAILED);
    ACCEPTS(relakit_module_layout(module, arena, (uint64_t)(uintptr_t)arena, 4096, sections, info.section_count, &layout,
                                  fresh()));
    EQ(layout.size, sizes.size);
    memory.sections = sections;
    memory.count = info.section_count;
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
    ACCEPTS(relakit_module_fill(module, &memory, fresh()));
    ACCEPTS(relakit_module_early(module, &memory, values, info.symbol_count, &resolver, fresh()));

    for (uint32_t group = 0; group < RELAKIT_GROUP_COUNT; group++) {
        EQ(layout.groups[group].offset, sizes.groups[group].offset);
        EQ(layout.groups[group].size, sizes.groups[group].size);
        if (layout.groups[group].size == 0)
            continue;
        /* In the arena, on its own pages, after the group before it. */
        EQ(layout.groups[group].offset % 4096, 0);
        CHECK(layout.groups[group].offset >= end);
        end = layout.groups[group].offset + layout.groups[group].size;
        CHECK(end <= layout.size);
        EQ(mprotect(arena + layout.groups[group].offset, page(layout.groups[group].size), protection(group)), 0);
    }
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        CHECK(layout.groups[used[i]].size != 0);
    EQ(call(module, values, "module_init", 5), 105);
    EQ(call(module, values, "module_run", 1), 106);
    /* The initial code and data are not used again. */
    EQ(munmap(arena + layout.groups[RELAKIT_GROUP_INIT_TEXT].offset,
              page(layout.groups[RELAKIT_GROUP_INIT_TEXT].size)), 0);
    EQ(call(module, values, "module_run", 2), 108);
    return test_end("layout");
}
