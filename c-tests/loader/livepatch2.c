/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A livepatch at the second level: relakit_klp_apply for "vmlinux" while it loads, later for modules that come. */
#include "loader.h"

#include <string.h>

static struct relakit_sechdrs image_of(const struct level2 *loader)
{
    const struct object *object = &loader->object;
    const Elf64_Shdr *names = &object->sections[object->shstrtab];
    const Elf64_Shdr *strings = &object->sections[object->strtab];
    struct relakit_sechdrs image = {
        .struct_size = sizeof image,
        .sechdrs = object->sections,
        .section_count = object->section_count,
        .symindex = object->symtab,
        .symbol_count = object->symbol_count,
        .shstrtab = (const char *)object->file + names->sh_offset,
        .shstrtab_size = names->sh_size,
        .strtab = (const char *)object->file + strings->sh_offset,
        .strtab_size = strings->sh_size,
        .values = loader->values,
    };
    return image;
}

/*
 * What belongs to the host comes before anything reads the module's special sections. The module's memory is still
 * plain memory here: no writer.
 */
relakit_status livepatch2_early(struct level2 *loader, struct relakit_error *error)
{
    const struct relakit_sechdrs image = image_of(loader);
    const struct relakit_resolver resolver = host_resolver();
    relakit_status status = level2_relocate(loader, error);

    if (status != RELAKIT_OK)
        return status;
    status = relakit_klp_apply(&image, "vmlinux", &resolver, NULL, &level2_options, NULL, error);
    if (status != RELAKIT_OK)
        level2_unrelocate(loader);
    return status;
}

relakit_status livepatch2_load(struct level2 *loader, const char *name, unsigned char *file, size_t size,
                               struct relakit_error *error)
{
    relakit_status status = level2_place(loader, file, size, error);

    if (status == RELAKIT_OK)
        status = livepatch2_early(loader, error);
    if (status == RELAKIT_OK && memory_seal(&loader->memory) != 0)
        status = error->status = RELAKIT_ERR_NOT_ASSIGNED;
    if (status == RELAKIT_OK)
        loader->module.name = name;
    else
        level2_unload(loader);
    return status;
}

/* From here on the code is sealed, so all changes go through the writer. `object` must be loaded: it is looked up. */
relakit_status livepatch2_coming(struct level2 *loader, const char *object, uint32_t *sections,
                                 struct relakit_error *error)
{
    const struct relakit_sechdrs image = image_of(loader);
    const struct relakit_resolver resolver = host_resolver();
    const struct relakit_writer writer = memory_writer(&loader->memory);

    return relakit_klp_apply(&image, object, &resolver, &writer, &level2_options, sections, error);
}

relakit_status livepatch2_going(struct level2 *loader, const char *object, uint32_t *sections,
                                struct relakit_error *error)
{
    struct relakit_sechdrs image = image_of(loader);
    const struct relakit_writer writer = memory_writer(&loader->memory);

    image.values = NULL; /* the symbol table still has what the coming put there */
    return relakit_klp_clear(&image, object, &writer, &level2_options, sections, error);
}
