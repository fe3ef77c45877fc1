/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a loader does before levels 1 and 2. object_open checks the ELF file: afterwards every table is inside the file, every
 * name ends inside its table, and every symbol's section exists. object_place gives sections and symbols their addresses.
 */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

static relakit_status fault(struct relakit_error *error, relakit_status status, uint32_t has, uint32_t index)
{
    memset(error, 0, sizeof *error);
    error->status = status;
    error->linux_errno = relakit_linux_errno(status);
    error->has = has;
    error->section = has & RELAKIT_ERROR_HAS_SECTION ? index : 0;
    error->symbol = has & RELAKIT_ERROR_HAS_SYMBOL ? index : 0;
    return status;
}

static relakit_status truncated(struct relakit_error *error, uint32_t has, uint32_t section, uint64_t offset,
                                uint64_t size, uint64_t limit)
{
    fault(error, RELAKIT_ERR_TRUNCATED, has, section);
    error->offset = offset;
    error->value = size;
    error->limit = limit;
    return RELAKIT_ERR_TRUNCATED;
}

static int is_inside(uint64_t offset, uint64_t size, uint64_t limit)
{
    return offset <= limit && size <= limit - offset;
}

/* A string table that ends with NUL, so that every name that begins in it ends in it. */
static int is_strings(const struct object *object, uint32_t index)
{
    const Elf64_Shdr *section = &object->sections[index];

    return section->sh_type == SHT_STRTAB && section->sh_size != 0 &&
           object->file[section->sh_offset + section->sh_size - 1] == 0;
}

static relakit_status open_sections(struct object *object, struct relakit_error *error)
{
    Elf64_Ehdr header;

    if (object->size < sizeof header)
        return truncated(error, 0, 0, 0, sizeof header, object->size);
    memcpy(&header, object->file, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return fault(error, RELAKIT_ERR_NOT_ELF, 0, 0);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
        return fault(error, RELAKIT_ERR_BAD_IDENT, 0, 0);
    if (header.e_type != ET_REL)
        return fault(error, RELAKIT_ERR_NOT_RELOCATABLE, 0, 0);
    if (header.e_machine != EM_X86_64)
        return fault(error, RELAKIT_ERR_WRONG_MACHINE, 0, 0);
    if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr))
        return fault(error, RELAKIT_ERR_NO_SECTIONS, 0, 0);
    if (!is_inside(header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr), object->size))
        return truncated(error, 0, 0, header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr), object->size);

    object->section_count = header.e_shnum;
    object->sections = allocate(header.e_shnum * sizeof(Elf64_Shdr));
    memcpy(object->sections, object->file + header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr));
    for (uint32_t i = 0; i < object->section_count; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type != SHT_NOBITS && !is_inside(section->sh_offset, section->sh_size, object->size))
            return truncated(error, RELAKIT_ERROR_HAS_SECTION, i, section->sh_offset, section->sh_size, object->size);
        if (section->sh_type == SHT_REL)
            return fault(error, RELAKIT_ERR_REL_SECTION, RELAKIT_ERROR_HAS_SECTION, i);
        if (section->sh_type == SHT_RELA && section->sh_info >= object->section_count)
            return fault(error, RELAKIT_ERR_TARGET_OUT_OF_RANGE, RELAKIT_ERROR_HAS_SECTION, i);
        if (section->sh_type == SHT_SYMTAB)
            object->symtab = i;
    }
    object->shstrtab = header.e_shstrndx;
    if (object->shstrtab >= object->section_count || !is_strings(object, object->shstrtab))
        return fault(error, RELAKIT_ERR_BAD_NAME_TABLE, 0, 0);
    for (uint32_t i = 0; i < object->section_count; i++)
        if (object->sections[i].sh_name >= object->sections[object->shstrtab].sh_size)
            return fault(error, RELAKIT_ERR_BAD_SECTION_NAME, RELAKIT_ERROR_HAS_SECTION, i);
    return RELAKIT_OK;
}

static relakit_status open_symbols(struct object *object, struct relakit_error *error)
{
    const Elf64_Shdr *table = &object->sections[object->symtab];

    if (object->symtab == 0)
        return fault(error, RELAKIT_ERR_NO_SYMBOL_TABLE, 0, 0);
    if (table->sh_link >= object->section_count || !is_strings(object, table->sh_link))
        return fault(error, RELAKIT_ERR_BAD_STRING_TABLE, RELAKIT_ERROR_HAS_SECTION, object->symtab);
    object->strtab = table->sh_link;
    object->symbol_count = (uint32_t)(table->sh_size / sizeof(Elf64_Sym));
    object->symbols = allocate(object->symbol_count * sizeof(Elf64_Sym));
    memcpy(object->symbols, object->file + table->sh_offset, object->symbol_count * sizeof(Elf64_Sym));
    for (uint32_t i = 0; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        if (symbol->st_name >= object->sections[object->strtab].sh_size)
            return fault(error, RELAKIT_ERR_BAD_SYMBOL_NAME, RELAKIT_ERROR_HAS_SYMBOL, i);
        if (symbol->st_shndx >= object->section_count && symbol->st_shndx != SHN_ABS &&
            symbol->st_shndx != RELAKIT_SHN_LIVEPATCH)
            return fault(error, RELAKIT_ERR_SYMBOL_SECTION, RELAKIT_ERROR_HAS_SYMBOL, i);
    }
    return RELAKIT_OK;
}

relakit_status object_open(struct object *object, unsigned char *file, size_t size, struct relakit_error *error)
{
    relakit_status status;

    memset(object, 0, sizeof *object);
    object->file = file;
    object->size = size;
    status = open_sections(object, error);
    if (status == RELAKIT_OK)
        status = open_symbols(object, error);
    if (status != RELAKIT_OK)
        object_close(object);
    return status;
}

void object_close(struct object *object)
{
    free(object->sections);
    free(object->symbols);
    memset(object, 0, sizeof *object);
}

/* Gives every section that is needed while the module runs its memory and its content. The others stay in the file. */
static int place_sections(struct object *object, struct memory *memory)
{
    for (uint32_t i = 0; i < object->section_count; i++) {
        Elf64_Shdr *section = &object->sections[i];
        unsigned char *at = object->file + section->sh_offset;

        if (section->sh_flags & SHF_ALLOC) {
            at = memory_take(memory, section->sh_flags, section->sh_size, section->sh_addralign);
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

const char *symbol_name(const struct object *object, uint32_t symbol)
{
    return (const char *)object->file + object->sections[object->strtab].sh_offset +
           object->symbols[symbol].st_name;
}

/* Makes st_value the value of every symbol. Returns the first symbol that nobody has, or 0. */
static uint32_t resolve_symbols(struct object *object, struct module *module)
{
    for (uint32_t i = 1; i < object->symbol_count; i++) {
        Elf64_Sym *symbol = &object->symbols[i];
        const char *name = symbol_name(object, i);

        if (symbol->st_shndx == SHN_UNDEF) {
            if (host_exported(NULL, name, strlen(name), &symbol->st_value) != RELAKIT_OK &&
                ELF64_ST_BIND(symbol->st_info) != STB_WEAK && strcmp(name, GOT_SYMBOL) != 0)
                return i; /* a weak one is 0; the GOT gets its address later */
        } else if (symbol->st_shndx != RELAKIT_SHN_LIVEPATCH) { /* these wait for relakit_klp_apply */
            if (symbol->st_shndx < object->section_count)
                symbol->st_value += object->sections[symbol->st_shndx].sh_addr;
            module_define(module, name, symbol->st_value);
        }
    }
    return 0;
}

relakit_status object_place(struct object *object, struct memory *memory, struct module *module,
                            struct relakit_error *error)
{
    uint32_t unknown;

    memset(error, 0, sizeof *error);
    module->defined = allocate(object->symbol_count * sizeof(struct name));
    if (memory_map(memory) != 0 || place_sections(object, memory) != 0)
        return error->status = RELAKIT_ERR_NOT_ASSIGNED;
    unknown = resolve_symbols(object, module);
    return unknown == 0 ? RELAKIT_OK : fault(error, RELAKIT_ERR_UNKNOWN_SYMBOL, RELAKIT_ERROR_HAS_SYMBOL, unknown);
}

int object_is_rela(const struct object *object, uint32_t section)
{
    const Elf64_Shdr *rela = &object->sections[section];

    return rela->sh_type == SHT_RELA && !(rela->sh_flags & RELAKIT_SHF_RELA_LIVEPATCH) &&
           object->sections[rela->sh_info].sh_flags & SHF_ALLOC;
}
