/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The third level: relakit reads the file, and takes the module through its whole life. */
#ifndef LEVEL3_H
#define LEVEL3_H

#include "loader.h"

/* It must stay where it is: relakit knows a module by the address of its state. */
struct level3 {
    uint64_t state[RELAKIT_MODULE_SIZE / sizeof(uint64_t)]; /* aligned to RELAKIT_MODULE_ALIGN, 8 */
    struct relakit_module *module_state;
    struct module module;
    struct memory memory;
    struct relakit_section_memory *places;
    struct relakit_memory map; /* leads to the places; the same for every call */
    struct relakit_writer writer;
    uint64_t *values;
    size_t value_count;
    void *kept; /* of livepatch3.c */
};

/* Loads the object in `file`, which must stay as long as the module; or changes nothing and says why. */
relakit_status level3_load(struct level3 *loader, const char *name, const void *file, size_t size,
                           struct relakit_error *error);
void level3_unload(struct level3 *loader);

/* Two halves of level3_load: all but the relocations, and these. With a writer the code is behind it. */
relakit_status level3_place(struct level3 *loader, const void *file, size_t size, int with_writer,
                            struct relakit_error *error);
relakit_status level3_relocate(struct level3 *loader, struct relakit_error *error);
relakit_status level3_names(struct level3 *loader, struct relakit_error *error);

/* livepatch3.c: the same with livepatch sections, and a module that comes and goes. */
relakit_status livepatch3_load(struct level3 *loader, const char *name, const void *file, size_t size,
                               struct relakit_error *error);
relakit_status livepatch3_coming(struct level3 *loader, const char *object, uint32_t *sections,
                                 struct relakit_error *error);
relakit_status livepatch3_going(struct level3 *loader, const char *object, uint32_t *sections,
                                struct relakit_error *error);
/* Part of livepatch3_load: puts aside what comings need. */
relakit_status livepatch3_keep(struct level3 *loader, struct relakit_error *error);

#endif
