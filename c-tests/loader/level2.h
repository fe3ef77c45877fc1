/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The second level: a loader like Linux's, whose section headers and symbols hold addresses. */
#ifndef LEVEL2_H
#define LEVEL2_H

#include "loader.h"

extern const struct relakit_options level2_options;

struct level2 {
    struct module module;
    struct object object; /* sh_addr: where the section is; st_value: what the symbol is worth */
    struct memory memory;
    uint64_t *values; /* of livepatch2.c: what relakit_klp_apply works in */
};

/* Loads the object in `file`, which must stay as long as the module; or changes nothing and says why. */
relakit_status level2_load(struct level2 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error);
void level2_unload(struct level2 *loader);

/* The two halves of level2_load: all but the relocations, and these, all of them or none. */
relakit_status level2_place(struct level2 *loader, unsigned char *file, size_t size, struct relakit_error *error);
relakit_status level2_relocate(struct level2 *loader, struct relakit_error *error);
/* Takes the second one back. */
void level2_unrelocate(struct level2 *loader);

/* livepatch2.c: the same with livepatch sections, and a module that comes and goes. */
relakit_status livepatch2_load(struct level2 *loader, const char *name, unsigned char *file, size_t size,
                               struct relakit_error *error);
relakit_status livepatch2_coming(struct level2 *loader, const char *object, uint32_t *sections,
                                 struct relakit_error *error);
relakit_status livepatch2_going(struct level2 *loader, const char *object, uint32_t *sections,
                                struct relakit_error *error);
/* The second half of livepatch2_load, and what is handed to relakit for all three. */
relakit_status livepatch2_early(struct level2 *loader, struct relakit_error *error);
struct relakit_sechdrs livepatch2_image(const struct level2 *loader);

#endif
