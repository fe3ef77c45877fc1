/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The calls of level 3, for the module that was built. */
#ifndef STEPS_LIFE_H
#define STEPS_LIFE_H

#include "module.h"

static struct relakit_options options = {.struct_size = sizeof options};
static uint64_t *values;

static uint64_t state[RELAKIT_MODULE_SIZE / 8];
static struct relakit_module *module;
static struct relakit_memory memory = {.struct_size = sizeof memory};
static void *kept;
static size_t kept_size;

static relakit_status init(void)
{
    return relakit_module_init(state, sizeof state, file, file_size, &options, &module, fresh());
}
static relakit_status place(void) { return relakit_module_assign(module, &memory, fresh()); }
static relakit_status fill(void) { return relakit_module_fill(module, &memory, fresh()); }
static relakit_status early(void)
{
    return relakit_module_early(module, &memory, values, symbol_count, &resolver, fresh());
}
static relakit_status retained_size(void)
{
    return relakit_module_retained_size(module, values, symbol_count, &kept_size, fresh());
}
static relakit_status make_room(void)
{
    kept = lend(kept_size);
    return RELAKIT_OK;
}
static relakit_status keep(void)
{
    return relakit_module_retain(module, &memory, values, symbol_count, kept, kept_size, fresh());
}
static relakit_status coming(void)
{
    return relakit_module_coming(module, "obj", &memory, &resolver, NULL, fresh());
}
static relakit_status going(void) { return relakit_module_going(module, "obj", &memory, NULL, fresh()); }

/* The object of a late section. */
static relakit_status object_at(uint32_t index)
{
    const char *name;
    size_t len;
    uint32_t live;
    return relakit_module_object(module, index, &name, &len, &live, fresh());
}

/* What was found is not the question here. */
static uint64_t *users;
static size_t users_count;
static void hear(void *ctx, const struct relakit_finding *finding)
{
    (void)ctx;
    (void)finding;
}
static relakit_status make_users(void)
{
    users_count = symbol_count > section_count ? symbol_count : section_count;
    users = (uint64_t *)lend(users_count * sizeof *users);
    return RELAKIT_OK;
}
static relakit_status findings(void)
{
    return relakit_module_findings(module, 0, users, users_count, hear, NULL, fresh());
}

/* The life of a module, and after how many of its steps it is what. */
static counted *const life[] = {init, place, fill, early, retained_size, make_room, keep, coming};
enum { PARSED = 1, PLACED, FILLED, LOADED, SIZED = 6, KEPT, LIVE };

#endif /* STEPS_LIFE_H */
