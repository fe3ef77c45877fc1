/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The second level: relakit in the place of a loader's own apply_relocate_add and klp_apply_section_relocs. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

relakit_status level2_place(struct level2 *loader, unsigned char *file, size_t size, struct relakit_error *error)
{
    struct object *object = &loader->object;
    relakit_status status;

    memset(loader, 0, sizeof *loader);
    status = object_open(object, file, size, error);
    if (status != RELAKIT_OK)
        return status;
    loader->sechdrs = (struct relakit_sechdrs) {
        .struct_size = sizeof loader->sechdrs,
        .sechdrs = object->sections,
        .section_count = object->section_count,
        .symindex = object->symtab,
        .shstrtab = (const char *)file + object->sections[object->shstrtab].sh_offset,
        .shstrtab_size = object->sections[object->shstrtab].sh_size,
        .strtab = (const char *)file + object->sections[object->strtab].sh_offset,
        .strtab_size = object->sections[object->strtab].sh_size,
    };
    return object_place(object, &loader->memory, &loader->module, error);
}

/* Clears the ordinary relocations of all sections before `end`, and those of a livepatch for the host. */
static void clear_before(struct level2 *loader, uint32_t end)
{
    while (end-- > 0)
        if (object_is_rela(&loader->object, end) &&
            relakit_clear_relocate_add(&loader->sechdrs, end, NULL, NULL, NULL) != RELAKIT_OK)
            abort(); /* other code wrote there meanwhile */
    if (relakit_klp_clear(&loader->sechdrs, "vmlinux", NULL, NULL, NULL, NULL) != RELAKIT_OK)
        abort();
}

/*
 * The module's memory is still plain memory here: no writer. Each call applies everything or nothing. A loader that gives
 * the memory back when it fails does not need clear_before.
 */
relakit_status level2_relocate(struct level2 *loader, struct relakit_error *error)
{
    const struct relakit_resolver resolver = host_resolver();
    /* A module that is no livepatch has no sections for "vmlinux", and the call does nothing. */
    relakit_status status = relakit_klp_apply(&loader->sechdrs, "vmlinux", &resolver, NULL, NULL, NULL, error);

    for (uint32_t i = 0; status == RELAKIT_OK && i < loader->object.section_count; i++) {
        if (!object_is_rela(&loader->object, i))
            continue;
        status = relakit_apply_relocate_add(&loader->sechdrs, i, NULL, NULL, error);
        if (status != RELAKIT_OK)
            clear_before(loader, i);
    }
    return status;
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

/* From here on the code is sealed, so all changes go through the writer. `object` must be loaded: it is looked up. */
relakit_status level2_coming(struct level2 *loader, const char *object, uint32_t *sections, struct relakit_error *error)
{
    const struct relakit_resolver resolver = host_resolver();
    const struct relakit_writer writer = memory_writer(&loader->memory);

    return relakit_klp_apply(&loader->sechdrs, object, &resolver, &writer, NULL, sections, error);
}

relakit_status level2_going(struct level2 *loader, const char *object, uint32_t *sections, struct relakit_error *error)
{
    const struct relakit_writer writer = memory_writer(&loader->memory);

    return relakit_klp_clear(&loader->sechdrs, object, &writer, NULL, sections, error);
}

void level2_unload(struct level2 *loader)
{
    free(loader->module.defined);
    memory_unmap(&loader->memory);
    object_close(&loader->object);
    memset(loader, 0, sizeof *loader);
}
