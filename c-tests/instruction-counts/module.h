/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Modules of any size, in memory: a file whose headers are those of a Linux-shaped loader as well.
 *
 * Sections come in pairs, one with room for fields of eight bytes, and one with the relocations that fill them. Each symbol
 * and each relocation section has a name of its own, and the names of one kind differ in their last digits only.
 */
#ifndef STEPS_MODULE_H
#define STEPS_MODULE_H

#include "../unit/life.h"
#include "steps.h"

#define LIVEPATCH ((uint64_t)SHF_ALLOC | RELAKIT_SHF_RELA_LIVEPATCH)

enum { SYMTAB = 1, STRTAB, SHSTRTAB, FIRST };
#define ROOM(pair) (FIRST + 2 * (pair))
#define RELA_(pair) (FIRST + 2 * (pair) + 1)

/* What a module's relocations are, and the names of their sections and symbols: a beginning, as many letters as fit, and a
 * number. */
struct kind {
    const char *what, *section, *symbol, *end;
    uint32_t section_letters, symbol_letters;
    uint64_t flags;
    uint16_t shndx;
};

enum { ORDINARY, EARLY, LATE, OBJECTS, KINDS };
static const struct kind kinds[KINDS] = {
    {"ordinary", ".rela.text.", "symbol_", "", 4000, 4000, 0, SHN_UNDEF},
    {"early", ".klp.rela.vmlinux..text.", ".klp.sym.vmlinux.", ",0", 4000, 500, LIVEPATCH, RELAKIT_SHN_LIVEPATCH},
    {"late", ".klp.rela.obj..text.", ".klp.sym.obj.", ",0", 4000, 500, LIVEPATCH, RELAKIT_SHN_LIVEPATCH},
    /* Each section is another object's. */
    {"late, each of another object", ".klp.rela.o", ".klp.sym.obj.", ",0", 40, 500, LIVEPATCH, RELAKIT_SHN_LIVEPATCH},
};

/* What there are n of: 0 stands for n, 1 and 2 for themselves. A name is read up to its NUL, but no further than 4096 bytes:
 * each section with a long name takes some ten thousand steps, however many there are. */
struct growth {
    const char *what;
    uint32_t n, pairs, entries, symbols;
    int long_names;
};

enum { GROWTHS = 5 };
static const struct growth growths[GROWTHS] = {
    {"n sections, 2 symbols", 128, 0, 1, 2, 0},
    {"n relocations, 2 symbols in turn", 128, 1, 0, 2, 0},
    {"n symbols", 128, 1, 1, 0, 0},
    {"n relocations, n symbols", 128, 1, 0, 0, 0},
    {"n sections, n symbols, long names", 16, 0, 1, 0, 1}, /* relakit_klp_apply stores 8 values */
};

/* The module that is built. */
static const struct kind *kind;
static unsigned char *file, *room;
static size_t file_size;
static uint32_t pairs, entries, symbol_count, section_count;
static Elf64_Shdr *headers;
static Elf64_Sym *symtab;
static Elf64_Rela *relas;
static struct relakit_section_memory *places;
static uint64_t *values;

/* `count` names, one after the other and the first at byte 1. Answers the bytes of each. */
static inline uint32_t put_names(char *to, const char *begin, uint32_t letters, const char *end, uint32_t count)
{
    uint32_t before = (uint32_t)strlen(begin), each = before + letters + 8 + (uint32_t)strlen(end) + 1;
    for (uint32_t i = 0; to != NULL && i < count; i++) {
        char *name = to + 1 + (size_t)i * each;
        memcpy(name, begin, before);
        memset(name + before, 'x', letters);
        sprintf(name + before + letters, "%08lu%s", (unsigned long)i, end);
    }
    return each;
}

/* Puts the next section into the file. sh_entsize is 0, by which a loop would never end, or as large as can be. */
static inline void *put_section(uint32_t index, uint32_t type, uint64_t size, size_t *at)
{
    headers[index].sh_type = type;
    headers[index].sh_offset = *at;
    headers[index].sh_addr = (uint64_t)(uintptr_t)(file + *at);
    headers[index].sh_size = size;
    headers[index].sh_addralign = 8;
    headers[index].sh_entsize = index / 2 % 2 == 0 ? 0 : UINT64_MAX;
    *at += (size + 7) / 8 * 8;
    return file + headers[index].sh_offset;
}

/* Who knows every name, or nobody. A name is not looked at. */
static int knows_nobody;

static int32_t exported(void *ctx, const char *name, size_t name_len, uint64_t *value)
{
    (void)ctx, (void)name, (void)name_len;
    *value = 0x1000;
    return knows_nobody ? RELAKIT_NOT_FOUND : RELAKIT_OK;
}

static int32_t nth_symbol(void *ctx, const char *object, size_t object_len, const char *name, size_t name_len,
                         uint64_t position, uint64_t *value)
{
    (void)ctx, (void)object, (void)object_len, (void)name, (void)name_len;
    *value = 0x1000;
    return position != 1 ? RELAKIT_NOT_FOUND : RELAKIT_OK;
}

static const struct relakit_resolver resolver = {sizeof resolver, 0, NULL, exported, nth_symbol};

/* Begins a file of `sections` sections whose content has `size` bytes together. Returns the offset of the first of them. */
static inline size_t begin(const struct kind *of, uint32_t sections, uint32_t symbols, size_t size)
{
    size_t at = sizeof(Elf64_Ehdr) + sections * sizeof *headers;
    kind = of;
    section_count = sections;
    symbol_count = symbols;
    file_size = at + size;
    arena_used = 0;
    file = (unsigned char *)lend(file_size);
    put_elf_header(file, sizeof(Elf64_Ehdr), sections, SHSTRTAB);
    headers = (Elf64_Shdr *)(void *)(file + sizeof(Elf64_Ehdr));
    places = (struct relakit_section_memory *)lend(sections * sizeof *places);
    values = (uint64_t *)lend(symbols * sizeof *values);
    memory.struct_size = sizeof memory;
    memory.sections = places;
    memory.count = sections;
    given_values = given_scratch = values;
    value_count = symbols;
    given_resolver = &resolver;
    return at;
}

/* Builds a module with n of what grows. The last symbol of the table is used by nobody. */
static inline void build(const struct kind *of, const struct growth *growth, uint32_t n, int written)
{
    uint32_t used = growth->symbols == 0 ? n : growth->symbols;
    uint32_t section_letters = growth->long_names ? of->section_letters : 16;
    uint32_t symbol_letters = growth->long_names ? of->symbol_letters : 16;
    uint32_t section_name = put_names(NULL, of->section, section_letters, "", 0);
    uint32_t symbol_name = put_names(NULL, of->symbol, symbol_letters, of->end, 0);
    size_t at, each;
    pairs = growth->pairs == 0 ? n : growth->pairs;
    entries = growth->entries == 0 ? n : growth->entries;
    each = (size_t)entries * (sizeof(Elf64_Rela) + 8);
    at = begin(of, FIRST + 2 * pairs, used + 2, (used + 2) * sizeof *symtab + 32 + (size_t)pairs * (section_name + each) +
                                                    (size_t)used * symbol_name);
    room = (unsigned char *)lend((size_t)pairs * entries * 8);
    symtab = (Elf64_Sym *)put_section(SYMTAB, SHT_SYMTAB, symbol_count * sizeof *symtab, &at);
    put_names((char *)put_section(STRTAB, SHT_STRTAB, 1 + (uint64_t)used * symbol_name, &at), of->symbol, symbol_letters,
              of->end, used);
    put_names((char *)put_section(SHSTRTAB, SHT_STRTAB, 1 + (uint64_t)pairs * section_name, &at), of->section,
              section_letters, "", pairs);
    headers[SYMTAB].sh_link = STRTAB;
    for (uint32_t i = 0; i < used; i++) {
        symtab[1 + i].st_name = 1 + i * symbol_name;
        symtab[1 + i].st_info = STB_GLOBAL << 4;
        symtab[1 + i].st_shndx = of->shndx;
        symtab[1 + i].st_value = 0x1000; /* Level 2 wants values. */
    }
    symtab[used + 1].st_shndx = SHN_ABS;
    for (uint32_t pair = 0; pair < pairs; pair++) {
        size_t offset = (size_t)pair * entries * 8;
        struct relakit_section_memory *place = &places[ROOM(pair)];
        put_section(ROOM(pair), SHT_PROGBITS, (uint64_t)entries * 8, &at);
        relas = (Elf64_Rela *)put_section(RELA_(pair), SHT_RELA, entries * sizeof *relas, &at);
        for (uint32_t i = 0; i < entries; i++)
            relas[i] = rela((uint64_t)i * 8, 1 + (pair * entries + i) % used, R_X86_64_64, 1);
        headers[ROOM(pair)].sh_name = headers[RELA_(pair)].sh_name = 1 + pair * section_name;
        headers[ROOM(pair)].sh_flags = SHF_ALLOC;
        headers[RELA_(pair)].sh_flags = of->flags;
        headers[RELA_(pair)].sh_info = ROOM(pair);
        headers[RELA_(pair)].sh_link = SYMTAB;
        place->flags = written ? RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER : RELAKIT_MEMORY_PRESENT;
        place->bytes = written ? NULL : room + offset;
        place->size = (uint64_t)entries * 8;
        place->address = BASE + offset;
        headers[ROOM(pair)].sh_addr = written ? BASE + offset : (uint64_t)(uintptr_t)(room + offset);
    }
    behind = room;
}

/* --- the calls of level 3, for the module that was built --- */

static struct relakit_options options = {.struct_size = sizeof options, .profile = RELAKIT_LINUX(6, 12)};
static uint64_t state[RELAKIT_MODULE_SIZE / 8];

static relakit_status init(void)
{
    return relakit_module_init(state, sizeof state, file, file_size, &options, &module, fresh());
}
static relakit_status make_room(void)
{
    kept_size = size;
    kept = lend(kept_size);
    return RELAKIT_OK;
}
static relakit_status make_users(void)
{
    scratch_count = symbol_count > section_count ? symbol_count : section_count;
    given_scratch = (uint64_t *)lend(scratch_count * sizeof *given_scratch);
    return RELAKIT_OK;
}

/* The life of a module, and after how many of its steps it is what. */
static counted *const life[] = {init, place, fill, early, retained_size, make_room, keep, coming};
enum { PARSED = 1, PLACED, FILLED, LOADED, SIZED = 6, KEPT, LIVE };

#endif /* STEPS_MODULE_H */
