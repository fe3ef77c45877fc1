/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first level: relakit_apply for each table of relocations. Everything else is the loader's own. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

relakit_status level1_place(struct level1 *loader, unsigned char *file, size_t size, struct relakit_error *error)
{
    relakit_status status;

    memset(loader, 0, sizeof *loader);
    status = object_open(&loader->object, file, size, error);
    return status == RELAKIT_OK ? object_place(&loader->object, &loader->memory, &loader->module, error) : status;
}

/* One call to relakit_apply or relakit_clear: the table `index` and the section that it is for. */
static relakit_status one_table(struct level1 *loader, uint32_t index, int clear, struct relakit_error *error)
{
    const struct object *object = &loader->object;
    const Elf64_Shdr *table = &object->sections[index], *section = &object->sections[table->sh_info];
    const struct relakit_symbols symbols = { .symtab = object->symbols, .count = object->symbol_count };
    const struct relakit_target target = {
        .bytes = (void *)(uintptr_t)section->sh_addr,
        .size = section->sh_size,
        .address = section->sh_addr, /* it runs where it is */
    };
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    const unsigned char *entries = object->file + table->sh_offset;

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
    free(loader->module.defined);
    memory_unmap(&loader->memory);
    object_close(&loader->object);
    memset(loader, 0, sizeof *loader);
}
