/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * klp-convert OBJECT LIVEPATCH: gives a compiled object its livepatch sections.
 *
 * In the object a symbol .klp.sym.<object>.<name>.<position> stands for one that <object> has and does not export.
 * Every relocation that uses it moves from .rela<section> to .klp.rela.<object>.<section>, with SHF_RELA_LIVEPATCH, and
 * the symbol becomes .klp.sym.<object>.<name>,<position> in SHN_LIVEPATCH: the comma that no assembler would take.
 *
 * The file keeps its bytes and its section numbers. What grows is added after them: the new sections, the two string
 * tables, and the section headers.
 */
#include "loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KLP_SYM ".klp.sym."
#define KLP_RELA ".klp.rela."
#define MOST 64 /* livepatch sections in one module */

__attribute__((noreturn)) static void fail(const char *what, const char *name)
{
    fprintf(stderr, "klp-convert: %s%s%s\n", what, *name ? ": " : "", name);
    exit(1);
}

/* A file that grows. */
struct output {
    unsigned char *bytes;
    size_t size;
};

/* Adds bytes, at a multiple of 8; answers where they are. */
static size_t append(struct output *output, const void *bytes, size_t size)
{
    size_t at = (output->size + 7) & ~(size_t)7;
    unsigned char *grown = realloc(output->bytes, at + size);

    if (!grown)
        fail("out of memory", "");
    memset(grown + output->size, 0, at - output->size);
    memcpy(grown + at, bytes, size);
    output->bytes = grown;
    output->size = at + size;
    return at;
}

/* A string table that grows; what is in it already stays where it is. */
struct strings {
    char *bytes;
    size_t size;
};

static struct strings strings_of(const struct object *object, uint32_t section)
{
    const Elf64_Shdr *header = &object->sections[section];
    struct strings strings = { allocate(header->sh_size), header->sh_size };

    memcpy(strings.bytes, object->file + header->sh_offset, strings.size);
    return strings;
}

static Elf64_Word add_string(struct strings *strings, const char *string)
{
    size_t size = strlen(string) + 1, at = strings->size;
    char *grown = realloc(strings->bytes, at + size);

    if (!grown)
        fail("out of memory", "");
    memcpy(grown + at, string, size);
    strings->bytes = grown;
    strings->size = at + size;
    return (Elf64_Word)at;
}

/* The object that a symbol is waiting for, to be freed; NULL for an ordinary symbol. */
static char *object_of(const char *name)
{
    const char *begin = name + strlen(KLP_SYM), *end;
    char *object;

    if (strncmp(name, KLP_SYM, strlen(KLP_SYM)) != 0)
        return NULL;
    end = strchr(begin, '.');
    if (!end || end == begin || end - begin > 55)
        fail("the object's name must have 1 to 55 bytes", name);
    object = allocate((size_t)(end - begin) + 1);
    memcpy(object, begin, (size_t)(end - begin));
    return object;
}

/* .klp.sym.o.n.1 becomes .klp.sym.o.n,1: the last dot is the one. */
static Elf64_Word add_klp_name(struct strings *strings, const char *name)
{
    Elf64_Word at = add_string(strings, name);
    char *dot = strrchr(strings->bytes + at, '.');
    size_t digits = strspn(dot + 1, "0123456789");

    if (strchr(name + strlen(KLP_SYM), '.') == strrchr(name, '.') || digits == 0 || dot[1 + digits] != 0)
        fail("not .klp.sym.<object>.<name>.<position>", name);
    *dot = ',';
    return at;
}

/* One livepatch section that is to be added. */
struct klp_section {
    char *name;
    Elf64_Shdr header;
    Elf64_Rela *entries;
    size_t count;
};

struct conversion {
    struct object object;
    char **objects; /* by symbol: what it waits for, or NULL */
    struct klp_section added[MOST];
    size_t added_count;
};

/* The section of the livepatch for relocations of `table` that wait for `object`. */
static struct klp_section *section_for(struct conversion *conversion, const Elf64_Shdr *table, const char *object)
{
    const char *target = object_section_name(&conversion->object, table->sh_info);
    size_t room = strlen(KLP_RELA) + strlen(object) + 1 + strlen(target) + 1;
    char *name = allocate(room);
    struct klp_section *section;

    snprintf(name, room, KLP_RELA "%s.%s", object, target);
    for (size_t i = 0; i < conversion->added_count; i++) {
        section = &conversion->added[i];
        if (strcmp(section->name, name) != 0)
            continue;
        if (section->header.sh_info != table->sh_info)
            fail("two sections would have this name", name);
        free(name);
        return section;
    }
    if (conversion->added_count == MOST)
        fail("too many livepatch sections", name);
    section = &conversion->added[conversion->added_count++];
    section->name = name;
    section->header = *table; /* SHT_RELA, for the same target, with the same symbols */
    section->header.sh_flags = SHF_ALLOC | SHF_INFO_LINK | RELAKIT_SHF_RELA_LIVEPATCH; /* read when the object comes */
    section->header.sh_addralign = 8;
    section->entries = allocate(table->sh_size);
    return section;
}

/* Splits one table: what waits for nobody closes up and stays. */
static void split(struct conversion *conversion, Elf64_Shdr *table)
{
    unsigned char *from = conversion->object.file + table->sh_offset, *to = from;

    for (uint64_t left = table->sh_size / sizeof(Elf64_Rela); left > 0; left--, from += sizeof(Elf64_Rela)) {
        Elf64_Rela rela;
        memcpy(&rela, from, sizeof rela);
        if (ELF64_R_SYM(rela.r_info) >= conversion->object.symbol_count)
            fail("a relocation names no symbol", "");
        if (conversion->objects[ELF64_R_SYM(rela.r_info)]) {
            struct klp_section *section =
                section_for(conversion, table, conversion->objects[ELF64_R_SYM(rela.r_info)]);
            section->entries[section->count++] = rela;
        } else {
            memcpy(to, &rela, sizeof rela);
            to += sizeof rela;
        }
    }
    table->sh_size = (uint64_t)(to - (conversion->object.file + table->sh_offset));
}

static struct output write_out(struct conversion *conversion, struct strings *names, struct strings *strings)
{
    const struct object *object = &conversion->object;
    struct output output = { NULL, 0 };
    size_t old = object->section_count, count = old + conversion->added_count;
    Elf64_Shdr *headers = allocate(count * sizeof *headers);
    Elf64_Ehdr header;

    append(&output, object->file, object->size);
    memcpy(headers, object->sections, old * sizeof *headers);
    for (size_t i = 0; i < conversion->added_count; i++) {
        const struct klp_section *section = &conversion->added[i];
        headers[old + i] = section->header;
        headers[old + i].sh_name = add_string(names, section->name);
        headers[old + i].sh_size = section->count * sizeof(Elf64_Rela);
        headers[old + i].sh_offset = append(&output, section->entries, section->count * sizeof(Elf64_Rela));
    }
    headers[object->shstrtab].sh_offset = append(&output, names->bytes, names->size);
    headers[object->shstrtab].sh_size = names->size;
    if (strings != names) {
        headers[object->strtab].sh_offset = append(&output, strings->bytes, strings->size);
        headers[object->strtab].sh_size = strings->size;
    }
    headers[object->symtab].sh_offset =
        append(&output, object->symbols, object->symbol_count * sizeof(Elf64_Sym));
    memcpy(&header, object->file, sizeof header);
    header.e_shnum = (Elf64_Half)count;
    header.e_shoff = append(&output, headers, count * sizeof *headers); /* last: a file that is cut short has none */
    memcpy(output.bytes, &header, sizeof header);
    free(headers);
    return output;
}

int main(int argc, char **argv)
{
    static struct conversion conversion;
    struct object *object = &conversion.object;
    struct strings names, separate, *strings = &separate;
    struct relakit_error error;
    struct output output;
    size_t size;
    unsigned char *file;
    FILE *out;

    if (argc != 3)
        fail("usage: klp-convert OBJECT LIVEPATCH", "");
    file = read_file(argv[1], &size);
    if (object_open(object, file, size, &error) != RELAKIT_OK)
        fail(argv[1], relakit_strerror(error.status));
    names = strings_of(object, object->shstrtab);
    if (object->strtab == object->shstrtab)
        strings = &names; /* clang has one table for all names */
    else
        separate = strings_of(object, object->strtab);

    conversion.objects = allocate(object->symbol_count * sizeof *conversion.objects);
    for (uint32_t i = 0; i < object->symbol_count; i++) {
        const char *name = object_symbol_name(object, i);
        conversion.objects[i] = object_of(name);
        if (!conversion.objects[i])
            continue;
        if (object->symbols[i].st_shndx != SHN_UNDEF)
            fail("must be defined elsewhere", name);
        object->symbols[i].st_name = add_klp_name(strings, name);
        object->symbols[i].st_shndx = RELAKIT_SHN_LIVEPATCH;
    }
    for (uint32_t i = 0; i < object->section_count; i++)
        if (object_is_rela(object, i))
            split(&conversion, &object->sections[i]);
    output = write_out(&conversion, &names, strings);

    out = fopen(argv[2], "wb");
    if (!out || fwrite(output.bytes, 1, output.size, out) != output.size || fclose(out) != 0)
        fail("cannot write", argv[2]);

    for (size_t i = 0; i < conversion.added_count; i++) {
        free(conversion.added[i].name);
        free(conversion.added[i].entries);
    }
    for (uint32_t i = 0; i < object->symbol_count; i++)
        free(conversion.objects[i]);
    free(conversion.objects);
    free(names.bytes);
    if (strings != &names)
        free(strings->bytes);
    free(output.bytes);
    object_close(object);
    free(file);
    return 0;
}
