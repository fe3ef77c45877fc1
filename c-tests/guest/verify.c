/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Is what the guest runs what was loaded? The module is loaded a second time, into memory of ours with the addresses of the
 * guest, and compared with the guest's memory. docs/verify.md says what this proves.
 */
#include "guest.h"

#include <elf.h>
#include <string.h>

/* --- what relakit asks for -------------------------------------------------------------------------------------------- */

/* At most 256 bytes, which lie in one page. The guest's page tables are believed as little as everywhere else. */
static int32_t read(void *ctx, uint64_t address, void *bytes, size_t size)
{
    return guest_read(((const struct guest_watch *)ctx)->guest, address, bytes, size);
}

static void report(void *ctx, const struct relakit_difference *difference)
{
    const struct guest_watch *watch = ctx;

    if (watch->report)
        watch->report(watch->ctx, difference);
}

/* A symbol of the kernel: a thunk, or the function tracer. */
static int32_t symbol(void *ctx, const char *name, size_t length, uint64_t *value)
{
    const struct guest_watch *watch = ctx;

    (void)length;
    *value = watch->names->kernel ? guest_module_symbol(watch->names->kernel, name) : 0;
    return *value ? RELAKIT_OK : RELAKIT_NOT_FOUND;
}

static int32_t is_target(void *ctx, uint32_t target, uint32_t number, uint64_t address)
{
    const struct module_symbol *found = guest_symbol_at(((const struct guest_watch *)ctx)->names, address);

    (void)number;
    return target == RELAKIT_TARGET_FUNCTION && found && found->is_function;
}

static struct relakit_verifier verifier(const struct guest_watch *watch)
{
    struct relakit_verifier verifier = { .struct_size = sizeof verifier, .ctx = (void *)(uintptr_t)watch };

    verifier.read = read;
    verifier.report = report;
    verifier.symbol = symbol;
    verifier.is_target = is_target;
    return verifier; /* the policy is 0 for each role: the forms that the kernel writes are accepted */
}

/* --- what the guest should have --------------------------------------------------------------------------------------- */

/* Gives each section of the guest's module memory of ours, with the address that the guest's has. */
static relakit_status give_memory(struct guest_expected *expected, const struct guest_module *module,
                                  struct relakit_error *error)
{
    size_t used = 0;

    for (uint32_t i = 0; i < module->memory.count; i++) {
        struct relakit_section_memory *place = &expected->places[i];

        *place = module->places[i];
        if (!(place->flags & RELAKIT_MEMORY_PRESENT))
            continue;
        if (place->size > sizeof expected->bytes - used) {
            memset(error, 0, sizeof *error);
            error->has = RELAKIT_ERROR_HAS_SECTION;
            error->section = i;
            return error->status = RELAKIT_ERR_NOT_ASSIGNED;
        }
        place->flags = RELAKIT_MEMORY_PRESENT; /* plain memory */
        place->bytes = expected->bytes + used;
        used += (size_t)place->size;
    }
    expected->memory.struct_size = sizeof expected->memory;
    expected->memory.sections = expected->places;
    expected->memory.count = module->memory.count;
    return RELAKIT_OK;
}

/* The livepatch relocations for the target are in the guest's memory from coming to going. */
static relakit_status apply_late(struct guest_expected *expected, const struct guest_watch *watch,
                                 const struct relakit_resolver *resolver, struct relakit_error *error)
{
    const struct guest_module *target = watch->names->target;
    const struct relakit_verifier callbacks = verifier(watch);
    uint32_t is_applied = 0;
    relakit_status status;

    if (!target)
        return RELAKIT_OK;
    status = relakit_module_is_applied(expected->relakit, target->name, &expected->memory, &callbacks, &is_applied, error);
    if (status != RELAKIT_OK || !is_applied)
        return status;
    return relakit_module_apply_late(expected->relakit, target->name, &expected->memory, expected->values, MOST_SYMBOLS,
                                     resolver, NULL, error);
}

relakit_status guest_expect(struct guest_expected *expected, const struct guest_module *module, const void *file, size_t size,
                            const struct guest_watch *watch, struct relakit_error *error)
{
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    const struct relakit_resolver resolver = guest_resolver(watch->names);
    struct relakit_got_section got;
    relakit_status status;

    memset(expected, 0, sizeof *expected);
    status = relakit_module_init(expected->state, sizeof expected->state, file, size, &options, &expected->relakit, error);
    if (status == RELAKIT_OK)
        status = relakit_module_plan(expected->relakit, expected->plan, MOST_SYMBOLS / 32, 0, &got, error);
    if (status == RELAKIT_OK)
        status = give_memory(expected, module, error);
    if (status == RELAKIT_OK)
        status = relakit_module_assign(expected->relakit, &expected->memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_fill(expected->relakit, &expected->memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_early(expected->relakit, &expected->memory, expected->values, MOST_SYMBOLS, &resolver, error);
    if (status == RELAKIT_OK)
        status = apply_late(expected, watch, &resolver, error);
    if (status == RELAKIT_OK)
        status = relakit_module_patch_sites(expected->relakit, &expected->memory, GUEST_KERNEL, expected->scratch,
                                            3 * MOST_SECTIONS, expected->sites, MOST_SITES, &expected->site_count, error);
    if (status == RELAKIT_OK && expected->site_count > MOST_SITES) {
        memset(error, 0, sizeof *error);
        status = error->status = RELAKIT_ERR_VALUES_TOO_SHORT; /* relakit has stored the first ones */
    }
    return status;
}

/* --- the two questions ------------------------------------------------------------------------------------------------ */

relakit_status guest_verify(struct guest_expected *expected, const struct guest_watch *watch,
                            struct relakit_verified *verified, struct relakit_error *error)
{
    const struct relakit_verifier callbacks = verifier(watch);

    verified->struct_size = sizeof *verified;
    return relakit_module_verify(expected->relakit, &expected->memory, &callbacks, GUEST_KERNEL, expected->scratch,
                                 3 * MOST_SECTIONS, verified, error);
}

relakit_status guest_may_write(struct guest_expected *expected, const struct guest_watch *watch, uint64_t address,
                               const void *bytes, size_t size, uint32_t *may, struct relakit_error *error)
{
    const struct relakit_verifier callbacks = verifier(watch);

    return relakit_module_allowed_patch(expected->relakit, &expected->memory, &callbacks, GUEST_KERNEL, expected->sites,
                                        expected->site_count, address, bytes, size, may, error);
}
