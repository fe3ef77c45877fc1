/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The life of a module in the guest: every section is behind the hooks, and this program never has a pointer to one. */
#include "guest.h"

#include <elf.h>
#include <string.h>

/* For what relakit leaves to us. */
static relakit_status refuse(struct relakit_error *error, relakit_status status, uint32_t section, uint64_t value)
{
    memset(error, 0, sizeof *error);
    error->status = status;
    error->linux_errno = relakit_linux_errno(status);
    error->has = RELAKIT_ERROR_HAS_SECTION;
    error->section = section;
    error->value = value;
    return status;
}

/* Takes room for a section; 0 when there is none. Neither size nor alignment is believed. */
static uint64_t take(struct guest_space *space, int data, uint64_t size, uint64_t align)
{
    uint64_t at = space->next[data], left = space->end[data] - at, gap;

    if (align == 0)
        align = 1; /* gABI: no constraint */
    if (align > PAGE || (align & (align - 1)) != 0)
        return 0;
    gap = -at & (align - 1);
    if (gap > left || size > left - gap)
        return 0;
    space->next[data] = at + gap + size;
    return at + gap;
}

/* Writes a section's content, and zeros where it has none: relakit_module_fill does not fill sections behind hooks. */
static int32_t fill(const struct relakit_section *section, uint64_t address, const struct relakit_writer *hooks)
{
    static const unsigned char zeros[PAGE];
    int32_t fault = 0;

    for (uint64_t done = 0, size; done < section->sh_size && fault == 0; done += size) {
        const void *from = section->content ? (const unsigned char *)section->content + done : zeros;

        size = section->sh_size - done < PAGE ? section->sh_size - done : PAGE;
        fault = hooks->write(hooks->ctx, address + done, done, from, size);
    }
    return fault;
}

static relakit_status place_section(struct guest_module *module, uint32_t index, struct guest_space *space,
                                    const struct relakit_writer *hooks, struct relakit_error *error)
{
    struct relakit_section section = { .struct_size = sizeof section };
    relakit_status status = relakit_module_section(module->relakit, index, &section, error);
    uint64_t address;
    int32_t fault;

    if (status != RELAKIT_OK)
        return status;
    /* Relocations need no room: relakit_module_retain copies those that come late. */
    if (section.section_class != RELAKIT_CLASS_NOT_RELOCATION || !(section.flags & RELAKIT_SECTION_IN_MEMORY))
        return RELAKIT_OK;
    address = index < MOST_SECTIONS ? take(space, !(section.sh_flags & SHF_EXECINSTR), section.sh_size, section.sh_addralign) : 0;
    if (address == 0)
        return refuse(error, RELAKIT_ERR_NOT_ASSIGNED, index, section.sh_size);
    module->places[index].flags = RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER; /* and no bytes */
    module->places[index].size = section.sh_size;
    module->places[index].address = address; /* guest-virtual: of this relakit makes P */
    fault = fill(&section, address, hooks);
    return fault == 0 ? RELAKIT_OK : refuse(error, RELAKIT_ERR_WRITER, index, (uint64_t)(int64_t)fault);
}

/* A module that was compiled with default flags needs a GOT. It is one more section. */
static relakit_status place_got(struct guest_module *module, struct guest_space *space, const struct relakit_writer *hooks,
                                struct relakit_error *error)
{
    static const unsigned char zeros[MOST_SYMBOLS * 8];
    struct relakit_got_section got;
    relakit_status status = relakit_module_plan(module->relakit, module->plan, MOST_SYMBOLS / 32, 0, &got, error);
    struct relakit_section_memory *place = &module->places[got.section];
    int32_t fault;

    if (status != RELAKIT_OK || got.size == 0)
        return status;
    if (got.section >= MOST_SECTIONS)
        return refuse(error, RELAKIT_ERR_NOT_ASSIGNED, got.section, got.size);
    place->address = take(space, 1, got.size, got.align);
    if (place->address == 0)
        return refuse(error, RELAKIT_ERR_NOT_ASSIGNED, got.section, got.size);
    place->flags = RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER;
    place->size = got.size;
    fault = hooks->write(hooks->ctx, place->address, 0, zeros, got.size);
    return fault == 0 ? RELAKIT_OK : refuse(error, RELAKIT_ERR_WRITER, got.section, (uint64_t)(int64_t)fault);
}

relakit_status guest_module_place(struct guest_module *module, const char *name, const void *file, size_t size,
                                  struct guest_space *space, const struct relakit_writer *hooks,
                                  struct relakit_error *error)
{
    /* Stricter than any Linux: what is no 64-bit ELF is refused, and so is a PC32 that does not fit. */
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    struct relakit_module_info info = { .struct_size = sizeof info };
    relakit_status status;

    memset(module, 0, sizeof *module);
    module->name = name;
    status = relakit_module_init(module->state, sizeof module->state, file, size, &options, &module->relakit, error);
    if (status == RELAKIT_OK)
        status = relakit_module_describe(module->relakit, &info, error);
    if (status == RELAKIT_OK)
        status = place_got(module, space, hooks, error);
    for (uint32_t i = 1; i < info.section_count && status == RELAKIT_OK; i++)
        status = place_section(module, i, space, hooks, error);
    module->memory.struct_size = sizeof module->memory;
    module->memory.sections = module->places;
    module->memory.count = MOST_SECTIONS;
    module->memory.writer = hooks;
    if (status == RELAKIT_OK)
        status = relakit_module_assign(module->relakit, &module->memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_filled(module->relakit, error); /* place_section has */
    return status;
}

relakit_status guest_module_early(struct guest_module *module, const struct relakit_resolver *resolver,
                                  struct relakit_error *error)
{
    uint64_t values[MOST_SYMBOLS];
    struct relakit_module_info info = { .struct_size = sizeof info };
    /* All that comes early: ordinary relocations, and those of a livepatch that belong to the kernel. */
    relakit_status status =
        relakit_module_early(module->relakit, &module->memory, values, MOST_SYMBOLS, resolver, error);

    if (status == RELAKIT_OK)
        status = relakit_module_describe(module->relakit, &info, error);
    for (uint32_t i = 1; i < info.symbol_count && status == RELAKIT_OK; i++) {
        struct relakit_symbol symbol = { .struct_size = sizeof symbol };

        status = relakit_module_symbol(module->relakit, i, &symbol, error);
        if (status == RELAKIT_OK && symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != RELAKIT_SHN_LIVEPATCH) {
            struct module_symbol *ours = &module->symbols[module->symbol_count++];

            ours->name = symbol.name;
            ours->address = values[i];
            ours->exported = symbol.st_info >> 4 != STB_LOCAL;
            ours->is_function = (symbol.st_info & 15) == STT_FUNC;
        }
    }
    return status;
}

relakit_status guest_module_keep(struct guest_module *module, struct relakit_error *error)
{
    uint64_t scratch[MOST_SYMBOLS];

    return relakit_module_retain(module->relakit, &module->memory, scratch, MOST_SYMBOLS, module->kept,
                               sizeof module->kept, error);
}

uint64_t guest_module_symbol(const struct guest_module *module, const char *name)
{
    uint64_t address = 0;

    for (size_t i = 0; i < module->symbol_count; i++)
        if (strcmp(module->symbols[i].name, name) == 0)
            address = address == 0 ? module->symbols[i].address : 0;
    return address;
}

const struct module_symbol *guest_symbol_at(const struct guest_names *names, uint64_t address)
{
    const struct guest_module *all[] = { names->kernel, names->target, names->other };

    for (size_t which = 0; which < sizeof all / sizeof *all; which++)
        for (size_t i = 0; all[which] && i < all[which]->symbol_count; i++)
            if (all[which]->symbols[i].address == address && all[which]->symbols[i].name[0] != 0)
                return &all[which]->symbols[i];
    return NULL;
}

/* --- who has which name ----------------------------------------------------------------------------------------------- */

static int is_name(const char *ours, const char *name, size_t length)
{
    return strlen(ours) == length && memcmp(ours, name, length) == 0;
}

static int32_t exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
    const struct guest_module *kernel = ((struct guest_names *)ctx)->kernel;

    for (size_t i = 0; kernel && i < kernel->symbol_count; i++) {
        if (kernel->symbols[i].exported && is_name(kernel->symbols[i].name, name, length)) {
            *value = kernel->symbols[i].address;
            return RELAKIT_OK;
        }
    }
    return RELAKIT_NOT_FOUND;
}

/* Is this symbol the position-th of its name: in a module by the order of its table, in the kernel by addresses? */
static int is_position(const struct guest_module *module, size_t symbol, uint64_t position, int by_address)
{
    const struct module_symbol *symbols = module->symbols;
    uint64_t at = 1;

    for (size_t i = 0; i < module->symbol_count; i++)
        if (strcmp(symbols[i].name, symbols[symbol].name) == 0 &&
            (by_address ? symbols[i].address < symbols[symbol].address : i < symbol))
            at++;
    return at == position;
}

static int32_t nth_symbol(void *ctx, const char *object, size_t object_length, const char *name, size_t length,
                         uint64_t position, uint64_t *value)
{
    const struct guest_names *names = ctx;
    int in_kernel = is_name("vmlinux", object, object_length);
    const struct guest_module *module = in_kernel ? names->kernel : names->target;

    if (!module || (!in_kernel && !is_name(module->name, object, object_length)))
        return RELAKIT_NOT_FOUND;
    for (size_t i = 0; i < module->symbol_count; i++) {
        if (is_name(module->symbols[i].name, name, length) && is_position(module, i, position, in_kernel)) {
            *value = module->symbols[i].address;
            return RELAKIT_OK;
        }
    }
    return RELAKIT_NOT_FOUND;
}

struct relakit_resolver guest_resolver(struct guest_names *names)
{
    struct relakit_resolver resolver = { .struct_size = sizeof resolver, .ctx = names };

    resolver.exported = exported;
    resolver.nth_symbol = nth_symbol;
    return resolver;
}
