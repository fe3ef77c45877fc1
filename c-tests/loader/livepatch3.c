/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A livepatch at the third level: relakit_module_retain, and then relakit_module_coming and _going. */
#include "loader.h"

#include <stddef.h>

/* After this relakit reads neither the file nor the symbol values; they could be given back. */
relakit_status livepatch3_keep(struct level3 *loader, struct relakit_error *error)
{
    size_t size;
    relakit_status status =
        relakit_module_retained_size(loader->module_state, loader->values, loader->value_count, &size, error);

    if (status != RELAKIT_OK)
        return status;
    loader->kept = allocate(size);
    return relakit_module_retain(loader->module_state, &loader->map, loader->values, loader->value_count, loader->kept,
                               size, error);
}

relakit_status livepatch3_load(struct level3 *loader, const char *name, const void *file, size_t size,
                               struct relakit_error *error)
{
    relakit_status status = level3_place(loader, file, size, 1, error);

    if (status == RELAKIT_OK)
        status = level3_relocate(loader, error); /* what belongs to the host, too */
    if (status == RELAKIT_OK)
        status = level3_names(loader, error);
    if (status == RELAKIT_OK)
        status = livepatch3_keep(loader, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0) /* the writer did, if it had anything to write */
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level3_unload(loader);
    return status;
}

/* The code is sealed, and behind the writer. `object` must be loaded: it is looked up. */
relakit_status livepatch3_coming(struct level3 *loader, const char *object, uint32_t *sections,
                                 struct relakit_error *error)
{
    const struct relakit_resolver resolver = host_resolver();

    return relakit_module_coming(loader->module_state, object, &loader->map, &resolver, sections, error);
}

relakit_status livepatch3_going(struct level3 *loader, const char *object, uint32_t *sections,
                                struct relakit_error *error)
{
    return relakit_module_going(loader->module_state, object, &loader->map, sections, error);
}
