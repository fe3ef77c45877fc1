/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The functions of level 3, each for the one module and with valid arguments. The includer sets the variables. */
#ifndef LIFE_H
#define LIFE_H

#include "test.h"

static struct relakit_module *module;
static struct relakit_memory memory;
static const struct relakit_resolver *given_resolver;
static uint64_t *given_values, *given_scratch;
static size_t value_count, scratch_count, size, kept_size;
static void *kept;
static uint32_t count;
/* The section, symbol, special section and object that a function is asked about. */
static const char *wanted = "local";
static uint32_t section_at = 1, symbol_at = 1, special_at = 1, object_at;

static inline relakit_status place(void) { return relakit_module_assign(module, &memory, fresh()); }
static inline relakit_status fill(void) { return relakit_module_fill(module, &memory, fresh()); }
static inline relakit_status filled(void) { return relakit_module_filled(module, fresh()); }
static inline relakit_status early(void)
{
    return relakit_module_early(module, &memory, given_values, value_count, given_resolver, fresh());
}
static inline relakit_status retained_size(void)
{
    return relakit_module_retained_size(module, &size, fresh());
}
static inline relakit_status keep(void)
{
    return relakit_module_retain(module, &memory, given_scratch, value_count, kept, kept_size, fresh());
}
static inline relakit_status coming(void)
{
    return relakit_module_coming(module, "obj", &memory, given_resolver, &count, fresh());
}
static inline relakit_status going(void) { return relakit_module_going(module, "obj", &memory, &count, fresh()); }
static inline relakit_status object(void)
{
    char name[RELAKIT_OBJECT_NAME_SIZE];
    uint32_t live;
    return relakit_module_object(module, object_at, name, &live, fresh());
}
static inline relakit_status describe(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    return relakit_module_describe(module, &info, fresh());
}
static inline relakit_status section(void)
{
    struct relakit_section out = {.struct_size = sizeof out};
    return relakit_module_section(module, section_at, &out, fresh());
}
static inline relakit_status symbol(void)
{
    struct relakit_symbol out = {.struct_size = sizeof out};
    return relakit_module_symbol(module, symbol_at, &out, fresh());
}
static inline relakit_status find_symbol(void)
{
    struct relakit_symbol out = {.struct_size = sizeof out};
    return relakit_module_find_symbol(module, wanted, &out, fresh());
}
/* Only the sizes. */
static inline relakit_status layout(void)
{
    struct relakit_layout out = {.struct_size = sizeof out};
    return relakit_module_layout(module, NULL, 0, 4096, NULL, 0, &out, fresh());
}
static inline relakit_status special(void)
{
    struct relakit_special out = {.struct_size = sizeof out};
    return relakit_module_special(module, special_at, &out, fresh());
}

/* What was found is not the question here. */
static void ignore_finding(void *ctx, const struct relakit_finding *finding)
{
    (void)ctx, (void)finding;
}
static inline relakit_status findings(void)
{
    return relakit_module_findings(module, 0, given_scratch, scratch_count, ignore_finding, NULL, fresh());
}
static inline relakit_status section_findings(void)
{
    return relakit_module_section_findings(module, section_at, 0, ignore_finding, NULL, fresh());
}

/* The memory of the running module: bytes whose run-time addresses begin at `running_at`. */
static const unsigned char *running;
static uint64_t running_at;
static int32_t running_read(void *ctx, uint64_t address, void *bytes, size_t bytes_size)
{
    (void)ctx;
    memcpy(bytes, running + (address - running_at), bytes_size);
    return 0;
}
static void ignore_difference(void *ctx, const struct relakit_difference *difference)
{
    (void)ctx, (void)difference;
}
static struct relakit_verifier verifier = {.struct_size = sizeof verifier, .read = running_read, .report = ignore_difference};
static struct relakit_patch_site patch_sites[4];
static uint64_t *given_places;
static size_t place_count, site_count;
static inline relakit_status apply_late(void)
{
    return relakit_module_apply_late(module, "obj", &memory, given_values, value_count, given_resolver, &count, fresh());
}
static inline relakit_status is_applied(void)
{
    return relakit_module_is_applied(module, "obj", &memory, &verifier, &count, fresh());
}
static inline relakit_status verify(void)
{
    struct relakit_verified out = {.struct_size = sizeof out};
    return relakit_module_verify(module, &memory, &verifier, 0, given_places, place_count, &out, fresh());
}
static inline relakit_status find_sites(void)
{
    return relakit_module_patch_sites(module, &memory, 0, given_places, place_count, patch_sites,
                                      sizeof patch_sites / sizeof *patch_sites, &site_count, fresh());
}
static inline relakit_status allowed_patch(void)
{
    return relakit_module_allowed_patch(module, &memory, &verifier, 0, patch_sites, site_count, running_at, "\xcc", 1, &count,
                                        fresh());
}

#endif /* LIFE_H */
