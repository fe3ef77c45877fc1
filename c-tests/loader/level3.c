/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The third level: relakit_module_*. The loader provides memory and looks names up: the whole life of a livepatch. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096

/* The module runs where it is. Without `arena`, its sections are behind the writer. Before there is memory: only sizes. */
static relakit_status lay_out(struct level3 *loader, void *arena, struct relakit_error *error)
{
    loader->layout.struct_size = sizeof loader->layout;
    return relakit_module_layout(loader->module_state, arena, (uintptr_t)loader->memory.bytes, PAGE, loader->sections,
                                 loader->section_memory.count, &loader->layout, error);
}

relakit_status level3_place(struct level3 *loader, const void *file, size_t size, struct relakit_error *error)
{
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    struct relakit_module_info info = { .struct_size = sizeof info };
    struct relakit_got_section got;
    size_t words;
    relakit_status status;

    memset(loader, 0, sizeof *loader);
    memset(error, 0, sizeof *error);
    status = relakit_module_init(loader->state, sizeof loader->state, file, size, &options, &loader->module_state,
                                 error);
    if (status == RELAKIT_OK)
        status = relakit_module_describe(loader->module_state, &info, error);
    if (status != RELAKIT_OK)
        return status;
    /* Objects that were compiled with default flags need a GOT: one more section. */
    words = relakit_got_words(info.symbol_count);
    loader->plan = allocate(words * sizeof *loader->plan);
    status = relakit_module_plan(loader->module_state, loader->plan, words, 0, &got, error);
    if (status == RELAKIT_OK)
        status = lay_out(loader, NULL, error);
    if (status != RELAKIT_OK)
        return status;
    if (loader->layout.size > memory_size() || memory_map(&loader->memory) != 0)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    memory_code(&loader->memory, loader->layout.groups);
    loader->sections = allocate((info.section_count + 1) * sizeof *loader->sections);
    loader->values = allocate(info.symbol_count * sizeof *loader->values);
    loader->value_count = info.symbol_count;
    loader->module.defined = allocate(info.symbol_count * sizeof(struct name));
    loader->writer = memory_writer(&loader->memory);
    loader->section_memory.struct_size = sizeof loader->section_memory;
    loader->section_memory.sections = loader->sections;
    loader->section_memory.count = info.section_count + 1;
    loader->section_memory.writer = &loader->writer;
    status = lay_out(loader, loader->memory.bytes, error);
    if (status == RELAKIT_OK)
        status = relakit_module_assign(loader->module_state, &loader->section_memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_fill(loader->module_state, &loader->section_memory, error);
    return status;
}

/* Applies all early relocations, or none. Afterwards special sections may be read. */
relakit_status level3_relocate(struct level3 *loader, struct relakit_error *error)
{
    const struct relakit_resolver resolver = host_resolver();

    return relakit_module_early(loader->module_state, &loader->section_memory, loader->values, loader->value_count,
                                &resolver, error);
}

/* Stores what the late passes need. From here on the code is sealed, and all changes go through the writer. */
relakit_status level3_retain(struct level3 *loader, struct relakit_error *error)
{
    size_t size;
    relakit_status status = lay_out(loader, NULL, error);

    for (uint32_t i = 1; i < loader->value_count && status == RELAKIT_OK; i++) { /* for modules that use this one */
        struct relakit_symbol symbol = { .struct_size = sizeof symbol };
        status = relakit_module_symbol(loader->module_state, i, &symbol, error);
        if (status == RELAKIT_OK && symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != RELAKIT_SHN_LIVEPATCH)
            module_define(&loader->module, symbol.name, loader->values[i]);
    }
    if (status == RELAKIT_OK)
        status = relakit_module_retained_size(loader->module_state, &size, error);
    if (status != RELAKIT_OK)
        return status;
    loader->retained = allocate(size);
    status = relakit_module_retain(loader->module_state, &loader->section_memory, loader->values, loader->value_count,
                                   loader->retained, size, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0)
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    return status;
}

relakit_status level3_load(struct level3 *loader, const char *name, const void *file, size_t size,
                           struct relakit_error *error)
{
    relakit_status status = level3_place(loader, file, size, error);

    if (status == RELAKIT_OK)
        status = level3_relocate(loader, error);
    if (status == RELAKIT_OK)
        status = level3_retain(loader, error);
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level3_unload(loader);
    return status;
}

/* `object` must be loaded, because its symbols are looked up. */
relakit_status level3_coming(struct level3 *loader, const char *object, uint32_t *sections, struct relakit_error *error)
{
    const struct relakit_resolver resolver = host_resolver();

    return relakit_module_coming(loader->module_state, object, &loader->section_memory, &resolver, sections, error);
}

relakit_status level3_going(struct level3 *loader, const char *object, uint32_t *sections, struct relakit_error *error)
{
    return relakit_module_going(loader->module_state, object, &loader->section_memory, sections, error);
}

void level3_unload(struct level3 *loader)
{
    free(loader->sections);
    free(loader->values);
    free(loader->plan);
    free(loader->retained);
    free(loader->module.defined);
    memory_unmap(&loader->memory);
    memset(loader, 0, sizeof *loader);
}
