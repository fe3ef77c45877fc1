/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first level: relakit_apply for each table of relocations. Everything else is the loader's own. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

static const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };

static struct relakit_symbols symbols_of(const struct object *object)
{
    return (struct relakit_symbols){ .symtab = object->symbols, .count = object->symbol_count };
}

/* Finds out which symbols need a slot in a GOT, gives the GOT its memory, and fills it. Most modules need none. */
static relakit_status make_got(struct level1 *loader, struct relakit_error *error)
{
    const struct object *object = &loader->object;
    const struct relakit_symbols symbols = symbols_of(object);
    struct relakit_target target;
    relakit_status status = RELAKIT_OK;

    loader->got.struct_size = sizeof loader->got;
    loader->got.count = relakit_got_words(object->symbol_count);
    loader->got.plan = allocate(loader->got.count * sizeof *loader->got.plan);
    for (uint32_t i = 0; i < object->section_count && status == RELAKIT_OK; i++)
        if (object_is_rela(object, i))
            status = relakit_got_size(&loader->got, object->file + object->sections[i].sh_offset,
                                      object->sections[i].sh_size, &loader->got_size, error);
    if (status != RELAKIT_OK || loader->got_size == 0)
        return status;
    loader->got_bytes = memory_take(&loader->memory, SHF_ALLOC, loader->got_size, 8);
    if (!loader->got_bytes)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    loader->got.address = (uintptr_t)loader->got_bytes;
    for (uint32_t i = 1; i < object->symbol_count; i++)
        if (object->symbols[i].st_shndx == SHN_UNDEF && strcmp(symbol_name(object, i), GOT_SYMBOL) == 0)
            object->symbols[i].st_value = loader->got.address;
    target = (struct relakit_target){ loader->got_bytes, loader->got_size, loader->got.address, NULL };
    return relakit_got_fill(&loader->got, &symbols, &target, &options, error);
}

relakit_status level1_place(struct level1 *loader, unsigned char *file, size_t size, struct relakit_error *error)
{
    relakit_status status;

    memset(loader, 0, sizeof *loader);
    status = object_open(&loader->object, file, size, error);
    if (status == RELAKIT_OK)
        status = object_place(&loader->object, &loader->memory, &loader->module, error);
    return status == RELAKIT_OK ? make_got(loader, error) : status;
}

/* One call to relakit_apply or relakit_clear: the table `index` and the section that it is for. */
static relakit_status one_table(struct level1 *loader, uint32_t index, int clear, struct relakit_error *error)
{
    const struct object *object = &loader->object;
    const Elf64_Shdr *table = &object->sections[index], *section = &object->sections[table->sh_info];
    const struct relakit_symbols symbols = symbols_of(object);
    const struct relakit_target target = {
        .bytes = (void *)(uintptr_t)section->sh_addr,
        .size = section->sh_size,
        .address = section->sh_addr, /* it runs where it is */
    };
    const unsigned char *entries = object->file + table->sh_offset;

    if (loader->got_size != 0)
        return clear ? relakit_got_clear(&loader->got, entries, table->sh_size, &symbols, &target, &options, error)
                     : relakit_got_apply(&loader->got, entries, table->sh_size, &symbols, &target, &options, error);
    return clear ? relakit_clear(entries, table->sh_size, &symbols, &target, &options, error)
                 : relakit_apply(entries, table->sh_size, &symbols, &target, &options, error);
}

/*
 * A table is applied as a whole or not at all. That the tables together are, too, takes the second loop; a loader that
 * gives the memory back when it fails does not need it.
 */
relakit_status level1_relocate(struct level1 *loader, struct relakit_error *error)
{
    relakit_status status = RELAKIT_OK;
    uint32_t i;

    for (i = 0; i < loader->object.section_count; i++) {
        if (!object_is_rela(&loader->object, i))
            continue;
        status = one_table(loader, i, 0, error);
        if (status != RELAKIT_OK) {
            error->has |= RELAKIT_ERROR_HAS_SECTION; /* relakit_apply cannot know which one it was */
            error->section = i;
            break;
        }
    }
    while (status != RELAKIT_OK && i-- > 0)
        if (object_is_rela(&loader->object, i) && one_table(loader, i, 1, NULL) != RELAKIT_OK)
            abort(); /* somebody else wrote there meanwhile */
    return status;
}

relakit_status level1_load(struct level1 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error)
{
    relakit_status status = level1_place(loader, file, size, error);

    if (status == RELAKIT_OK)
        status = level1_relocate(loader, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0)
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level1_unload(loader);
    return status;
}

void level1_unload(struct level1 *loader)
{
    free(loader->module.defined);
    free(loader->got.plan);
    memory_unmap(&loader->memory);
    object_close(&loader->object);
    memset(loader, 0, sizeof *loader);
}
