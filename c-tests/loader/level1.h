/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first level: the loader has its own everything, and relakit applies one table to one section. */
#ifndef LEVEL1_H
#define LEVEL1_H

#include "loader.h"

struct level1 {
    struct module module;
    struct object object;
    struct memory memory;
    unsigned char **places; /* where each section lives, by its index; NULL: nowhere */
    uint64_t *values;       /* the value of each symbol, by its index */
};

/* Loads the object in `file`, which must stay as long as the module; or changes nothing and says why. */
relakit_status level1_load(struct level1 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error);
void level1_unload(struct level1 *loader);

/* The two halves of level1_load: all but the relocations, and these, all of them or none. */
relakit_status level1_place(struct level1 *loader, unsigned char *file, size_t size, struct relakit_error *error);
relakit_status level1_relocate(struct level1 *loader, struct relakit_error *error);

#endif
