/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The third level: relakit_module_*. The loader decides where sections live, and who has which name. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

/* Gives section `index` its place, if it is needed while the module runs. */
static relakit_status place_section(struct level3 *loader, uint32_t index, struct relakit_error *error)
{
    struct relakit_section section = { .struct_size = sizeof section };
    struct relakit_section_memory *place = &loader->places[index];
    relakit_status status = relakit_module_section(loader->module_state, index, &section, error);
    unsigned char *at;

    if (status != RELAKIT_OK || !(section.flags & RELAKIT_SECTION_IN_MEMORY))
        return status;
    at = memory_take(&loader->memory, section.sh_flags, section.sh_size, section.sh_addralign);
    if (!at)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    place->flags = RELAKIT_MEMORY_PRESENT;
    place->bytes = at;
    place->size = section.sh_size;
    place->address = (uint64_t)(uintptr_t)at; /* it runs where it is */
    if (loader->map.writer && section.sh_flags & SHF_EXECINSTR) {
        place->flags |= RELAKIT_MEMORY_WRITER; /* it will be sealed when a module comes */
        place->bytes = NULL;
        if (section.content) /* relakit_module_fill does not fill sections behind a writer */
            memcpy(at, section.content, section.sh_size);
    }
    return RELAKIT_OK;
}

relakit_status level3_place(struct level3 *loader, const void *file, size_t size, int with_writer,
                            struct relakit_error *error)
{
    struct relakit_module_info info = { .struct_size = sizeof info };
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    relakit_status status;

    memset(loader, 0, sizeof *loader);
    memset(error, 0, sizeof *error);
    status = relakit_module_init(loader->state, sizeof loader->state, file, size, &options, &loader->module_state,
                                 error);
    if (status == RELAKIT_OK)
        status = relakit_module_describe(loader->module_state, &info, error);
    if (status != RELAKIT_OK)
        return status;

    if (memory_map(&loader->memory) != 0)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    loader->places = allocate(info.section_count * sizeof *loader->places);
    loader->values = allocate(info.symbol_count * sizeof *loader->values);
    loader->value_count = info.symbol_count;
    loader->module.defined = allocate(info.symbol_count * sizeof(struct name));
    loader->writer = memory_writer(&loader->memory);
    loader->map.struct_size = sizeof loader->map;
    loader->map.sections = loader->places;
    loader->map.count = info.section_count;
    loader->map.writer = with_writer ? &loader->writer : NULL;
    for (uint32_t i = 1; i < info.section_count && status == RELAKIT_OK; i++)
        status = place_section(loader, i, error);
    if (status == RELAKIT_OK)
        status = relakit_module_assign(loader->module_state, &loader->map, error);
    if (status == RELAKIT_OK)
        status = relakit_module_fill(loader->module_state, &loader->map, error);
    return status;
}

/* All relocations that come early, or none. Afterwards special sections may be read. */
relakit_status level3_relocate(struct level3 *loader, struct relakit_error *error)
{
    const struct relakit_resolver resolver = host_resolver();

    return relakit_module_early(loader->module_state, &loader->map, loader->values, loader->value_count, &resolver,
                                error);
}

/* Notes what the module defines, for whoever calls it; while relakit still has the file. */
relakit_status level3_names(struct level3 *loader, struct relakit_error *error)
{
    for (uint32_t i = 1; i < loader->value_count; i++) {
        struct relakit_symbol symbol = { .struct_size = sizeof symbol };
        relakit_status status = relakit_module_symbol(loader->module_state, i, &symbol, error);
        if (status != RELAKIT_OK)
            return status;
        if (symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != RELAKIT_SHN_LIVEPATCH)
            module_define(&loader->module, symbol.name, loader->values[i]);
    }
    return RELAKIT_OK;
}

relakit_status level3_load(struct level3 *loader, const char *name, const void *file, size_t size,
                           struct relakit_error *error)
{
    relakit_status status = level3_place(loader, file, size, 0, error);

    if (status == RELAKIT_OK)
        status = level3_relocate(loader, error);
    if (status == RELAKIT_OK)
        status = level3_names(loader, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0)
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level3_unload(loader);
    return status;
}

void level3_unload(struct level3 *loader)
{
    free(loader->places);
    free(loader->values);
    free(loader->kept);
    free(loader->module.defined);
    memory_unmap(&loader->memory);
    memset(loader, 0, sizeof *loader);
}
