/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first level: relakit_apply for each table of relocations. Everything else is the loader's own. */
#include "level1.h"

#include <stdlib.h>
#include <string.h>

/* Gives every section that is needed while the module runs its memory and its content. */
static int place_sections(struct level1 *loader)
{
    const struct object *object = &loader->object;

    for (uint32_t i = 0; i < object->section_count; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (!(section->sh_flags & SHF_ALLOC))
            continue;
        loader->places[i] = memory_take(&loader->memory, section->sh_flags, section->sh_size, section->sh_addralign);
        if (!loader->places[i])
            return -1;
        if (section->sh_type != SHT_NOBITS)
            memcpy(loader->places[i], object->file + section->sh_offset, section->sh_size);
    }
    return 0;
}

/* Finds the value of every symbol; answers the first that nobody has, or 0. */
static uint32_t resolve_symbols(struct level1 *loader)
{
    const struct object *object = &loader->object;

    for (uint32_t i = 1; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        const char *name = object_symbol_name(object, i);
        if (symbol->st_shndx == SHN_UNDEF) {
            if (host_exported(NULL, name, strlen(name), &loader->values[i]) != RELAKIT_OK &&
                ELF64_ST_BIND(symbol->st_info) != STB_WEAK) /* a weak one is 0 */
                return i;
        } else {
            loader->values[i] = symbol->st_value;
            if (symbol->st_shndx < object->section_count)
                loader->values[i] += (uint64_t)(uintptr_t)loader->places[symbol->st_shndx];
            module_define(&loader->module, name, loader->values[i]);
        }
    }
    return 0;
}

relakit_status level1_place(struct level1 *loader, unsigned char *file, size_t size, struct relakit_error *error)
{
    relakit_status status;
    uint32_t unknown;

    memset(loader, 0, sizeof *loader);
    status = object_open(&loader->object, file, size, error);
    if (status != RELAKIT_OK)
        return status;
    loader->places = allocate(loader->object.section_count * sizeof *loader->places);
    loader->values = allocate(loader->object.symbol_count * sizeof *loader->values);
    loader->module.defined = allocate(loader->object.symbol_count * sizeof(struct name));
    memset(error, 0, sizeof *error);
    if (memory_map(&loader->memory) != 0 || place_sections(loader) != 0)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    unknown = resolve_symbols(loader);
    if (unknown != 0) {
        error->has = RELAKIT_ERROR_HAS_SYMBOL;
        error->symbol = unknown;
        return error->status = RELAKIT_ERR_UNKNOWN_SYMBOL;
    }
    return RELAKIT_OK;
}

/* One call to relakit_apply or relakit_clear: the table `index` and the section that it is for. */
static relakit_status one_table(struct level1 *loader, uint32_t index, int clear, struct relakit_error *error)
{
    const Elf64_Shdr *table = &loader->object.sections[index];
    const struct relakit_symbols symbols = { .values = loader->values, .count = loader->object.symbol_count };
    const struct relakit_target target = {
        .bytes = loader->places[table->sh_info],
        .size = loader->object.sections[table->sh_info].sh_size,
        .address = (uint64_t)(uintptr_t)loader->places[table->sh_info], /* it runs where it is */
    };
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    const unsigned char *entries = loader->object.file + table->sh_offset;

    return clear ? relakit_clear(entries, table->sh_size, &symbols, &target, &options, error)
                 : relakit_apply(entries, table->sh_size, &symbols, &target, &options, error);
}

/*
 * A table is applied as a whole or not at all. That the tables together are, too, takes the second loop; a loader that
 * gives the memory back when it fails does not need it.
 */
relakit_status level1_relocate(struct level1 *loader, struct relakit_error *error)
{
    relakit_status status = RELAKIT_OK;
    uint32_t i;

    for (i = 0; i < loader->object.section_count; i++) {
        if (!object_is_rela(&loader->object, i))
            continue;
        status = one_table(loader, i, 0, error);
        if (status != RELAKIT_OK) {
            error->has |= RELAKIT_ERROR_HAS_SECTION; /* relakit_apply cannot know which one it was */
            error->section = i;
            break;
        }
    }
    while (status != RELAKIT_OK && i-- > 0)
        if (object_is_rela(&loader->object, i) && one_table(loader, i, 1, NULL) != RELAKIT_OK)
            abort(); /* somebody else wrote there meanwhile */
    return status;
}

relakit_status level1_load(struct level1 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error)
{
    relakit_status status = level1_place(loader, file, size, error);

    if (status == RELAKIT_OK)
        status = level1_relocate(loader, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0)
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level1_unload(loader);
    return status;
}

void level1_unload(struct level1 *loader)
{
    free(loader->places);
    free(loader->values);
    free(loader->module.defined);
    memory_unmap(&loader->memory);
    object_close(&loader->object);
    memset(loader, 0, sizeof *loader);
}
