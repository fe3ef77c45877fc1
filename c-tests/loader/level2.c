/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The second level: relakit_apply_relocate_add in the place of a loader's own. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

/* Linux's rules, but for one: a PC32 that does not fit is refused. Linux would write half of it. */
const struct relakit_options level2_options = { .struct_size = sizeof level2_options };

relakit_status level2_place(struct level2 *loader, unsigned char *file, size_t size, struct relakit_error *error)
{
    relakit_status status;

    memset(loader, 0, sizeof *loader);
    status = object_open(&loader->object, file, size, error);
    if (status != RELAKIT_OK)
        return status;
    loader->values = allocate(loader->object.symbol_count * sizeof *loader->values);
    return object_place(&loader->object, &loader->memory, &loader->module, error);
}

/* Takes back the ordinary relocations of all sections before `end`, the last section first. */
static void clear_before(struct level2 *loader, uint32_t end)
{
    const struct object *object = &loader->object;

    while (end-- > 0)
        if (object_is_rela(object, end) &&
            relakit_clear_relocate_add(object->sections, object->section_count, NULL, object->symtab,
                                       object->symbol_count, end, NULL, &level2_options, NULL) != RELAKIT_OK)
            abort(); /* somebody else wrote there meanwhile */
}

/*
 * A section is relocated as a whole or not at all. That all of them together are, too, takes clear_before; a loader
 * that gives the memory back when it fails does not need it.
 */
relakit_status level2_relocate(struct level2 *loader, struct relakit_error *error)
{
    const struct object *object = &loader->object;

    for (uint32_t i = 0; i < object->section_count; i++) {
        relakit_status status;
        if (!object_is_rela(object, i))
            continue;
        status = relakit_apply_relocate_add(object->sections, object->section_count, NULL, object->symtab,
                                            object->symbol_count, i, NULL, &level2_options, error);
        if (status != RELAKIT_OK) {
            clear_before(loader, i);
            return status;
        }
    }
    return RELAKIT_OK;
}

void level2_unrelocate(struct level2 *loader)
{
    clear_before(loader, loader->object.section_count);
}

relakit_status level2_load(struct level2 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error)
{
    relakit_status status = level2_place(loader, file, size, error);

    if (status == RELAKIT_OK)
        status = level2_relocate(loader, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0)
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level2_unload(loader);
    return status;
}

void level2_unload(struct level2 *loader)
{
    free(loader->module.defined);
    free(loader->values);
    memory_unmap(&loader->memory);
    object_close(&loader->object);
    memset(loader, 0, sizeof *loader);
}
