/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The second level: relakit_apply_relocate_add in the place of a loader's own. */
#include "level2.h"

#include <stdlib.h>
#include <string.h>

/* Linux's rules, but for one: a PC32 that does not fit is refused. Linux would write half of it. */
const struct relakit_options level2_options = { .struct_size = sizeof level2_options, .flags = RELAKIT_OPT_CHECK_PC32 };

/* Sets the sh_addr of every section: to its memory, or to the file where it is read only while the module is loaded. */
static int place_sections(struct level2 *loader)
{
    struct object *object = &loader->object;

    for (uint32_t i = 0; i < object->section_count; i++) {
        Elf64_Shdr *section = &object->sections[i];
        unsigned char *at = object->file + section->sh_offset;
        if (section->sh_flags & SHF_ALLOC) {
            at = memory_take(&loader->memory, section->sh_flags, section->sh_size, section->sh_addralign);
            if (!at)
                return -1;
            if (section->sh_type != SHT_NOBITS)
                memcpy(at, object->file + section->sh_offset, section->sh_size);
        }
        section->sh_addr = (Elf64_Addr)(uintptr_t)at;
    }
    object->sections[object->symtab].sh_addr = (Elf64_Addr)(uintptr_t)object->symbols; /* the copy, with values */
    return 0;
}

/* Makes st_value the value of every symbol; answers the first that nobody has, or 0. */
static uint32_t resolve_symbols(struct level2 *loader)
{
    struct object *object = &loader->object;

    for (uint32_t i = 1; i < object->symbol_count; i++) {
        Elf64_Sym *symbol = &object->symbols[i];
        const char *name = object_symbol_name(object, i);
        if (symbol->st_shndx == SHN_UNDEF) {
            if (host_exported(NULL, name, strlen(name), &symbol->st_value) != RELAKIT_OK &&
                ELF64_ST_BIND(symbol->st_info) != STB_WEAK) /* a weak one is 0 */
                return i;
        } else if (symbol->st_shndx != RELAKIT_SHN_LIVEPATCH) { /* these wait for relakit_klp_apply */
            if (symbol->st_shndx < object->section_count)
                symbol->st_value += object->sections[symbol->st_shndx].sh_addr;
            module_define(&loader->module, name, symbol->st_value);
        }
    }
    return 0;
}

relakit_status level2_place(struct level2 *loader, unsigned char *file, size_t size, struct relakit_error *error)
{
    relakit_status status;
    uint32_t unknown;

    memset(loader, 0, sizeof *loader);
    status = object_open(&loader->object, file, size, error);
    if (status != RELAKIT_OK)
        return status;
    loader->module.defined = allocate(loader->object.symbol_count * sizeof(struct name));
    loader->values = allocate(loader->object.symbol_count * sizeof *loader->values);
    memset(error, 0, sizeof *error);
    if (memory_map(&loader->memory) != 0 || place_sections(loader) != 0)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    unknown = resolve_symbols(loader);
    if (unknown != 0) {
        error->has = RELAKIT_ERROR_HAS_SYMBOL;
        error->symbol = unknown;
        return error->status = RELAKIT_ERR_UNKNOWN_SYMBOL;
    }
    return RELAKIT_OK;
}

/* Takes back the ordinary relocations of all sections before `end`, the last section first. */
static void clear_before(struct level2 *loader, uint32_t end)
{
    const struct object *object = &loader->object;

    while (end-- > 0)
        if (object_is_rela(object, end) &&
            relakit_clear_relocate_add(object->sections, object->section_count, NULL, object->symtab,
                                       object->symbol_count, end, NULL, &level2_options, NULL) != RELAKIT_OK)
            abort(); /* somebody else wrote there meanwhile */
}

/*
 * A section is relocated as a whole or not at all. That all of them together are, too, takes clear_before; a loader
 * that gives the memory back when it fails does not need it.
 */
relakit_status level2_relocate(struct level2 *loader, struct relakit_error *error)
{
    const struct object *object = &loader->object;

    for (uint32_t i = 0; i < object->section_count; i++) {
        relakit_status status;
        if (!object_is_rela(object, i))
            continue;
        status = relakit_apply_relocate_add(object->sections, object->section_count, NULL, object->symtab,
                                            object->symbol_count, i, NULL, &level2_options, error);
        if (status != RELAKIT_OK) {
            clear_before(loader, i);
            return status;
        }
    }
    return RELAKIT_OK;
}

void level2_unrelocate(struct level2 *loader)
{
    clear_before(loader, loader->object.section_count);
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

void level2_unload(struct level2 *loader)
{
    free(loader->module.defined);
    free(loader->values);
    memory_unmap(&loader->memory);
    object_close(&loader->object);
    memset(loader, 0, sizeof *loader);
}
