/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Steps for the worst files that we know: relocation sections that share the bytes of one table, and modules with many
 * objects. The time must grow with the size of the file, whatever its sections say.
 */

#include "module.h"

/* With this addend each entry writes 0, because exported() and candidate() return 0x1000. So the next one finds zeros. */
#define TO_ZERO (-INT64_C(0x1000))

enum { TARGET = FIRST, SHARING };

/* Puts the section that all relocations write to, with its memory. Returns its content in the file. */
static void *put_target(uint64_t size, size_t *at)
{
    void *content = put_section(TARGET, SHT_PROGBITS, size, at);
    headers[TARGET].sh_flags = SHF_ALLOC;
    places[TARGET].flags = RELAKIT_MEMORY_PRESENT;
    places[TARGET].bytes = (unsigned char *)lend(size);
    places[TARGET].size = size;
    places[TARGET].address = BASE;
    return content;
}

static void put_relocations(uint32_t section, uint64_t flags)
{
    headers[section].sh_type = SHT_RELA;
    headers[section].sh_flags = flags;
    headers[section].sh_info = TARGET;
    headers[section].sh_link = SYMTAB;
    headers[section].sh_addralign = 8;
}

/* Builds `sections` relocation sections that share one table of `many` entries. If `filled`, the file ends with unused
 * bytes and is exactly as large as all tables together. Otherwise the tables together are much larger. */
static void build_shared(const struct kind *of, uint32_t sections, uint32_t many, int filled)
{
    static const char names[] = "\0.klp.sym.obj.f,1";
    size_t table = many * sizeof *relas, tables = sections * table, at;
    size_t content = 2 * sizeof *symtab + 128 + table + 8 * (size_t)many;
    at = begin(of, SHARING + sections, 2, content);
    if (filled) {
        if (file_size > tables)
            exit(98);
        at = begin(of, SHARING + sections, 2, content + tables - file_size);
        EQ(file_size, tables);
    }
    symtab = (Elf64_Sym *)put_section(SYMTAB, SHT_SYMTAB, 2 * sizeof *symtab, &at);
    memcpy(put_section(STRTAB, SHT_STRTAB, sizeof names, &at), names, sizeof names);
    strcpy((char *)put_section(SHSTRTAB, SHT_STRTAB, 64, &at) + 1, of->section);
    headers[SYMTAB].sh_link = STRTAB;
    symtab[1].st_name = 1;
    symtab[1].st_info = STB_GLOBAL << 4;
    symtab[1].st_shndx = of->shndx;
    put_target(8 * (uint64_t)many, &at);
    relas = (Elf64_Rela *)put_section(SHARING, SHT_RELA, table, &at);
    for (uint32_t i = 0; i < many; i++)
        relas[i] = rela((uint64_t)i * 8, 1, R_X86_64_64, TO_ZERO);
    for (uint32_t i = 0; i < sections; i++) {
        headers[SHARING + i] = headers[SHARING];
        headers[SHARING + i].sh_name = 1;
        put_relocations(SHARING + i, of->flags);
    }
}

/* Builds a livepatch with `many` late sections, each of another object, and as many pointers to names. If `patched`, these
 * are the names of the objects, as in struct klp_object. */
static void build_objects(uint32_t many, int patched)
{
    static const char names[] = "\0klp_enable_patch\0.klp.sym.vmlinux.f,1";
    enum { POINTERS = SHARING, OBJECT };
    uint32_t text = put_names(NULL, "o", 0, "", 0), name = put_names(NULL, ".klp.rela.o", 0, ".text", 0);
    size_t at = begin(&kinds[OBJECTS], OBJECT + many, 4,
                      4 * sizeof *symtab + 256 + (size_t)many * (text + 8 + name + 2 * sizeof *relas));
    pairs = many;
    symtab = (Elf64_Sym *)put_section(SYMTAB, SHT_SYMTAB, 4 * sizeof *symtab, &at);
    memcpy(put_section(STRTAB, SHT_STRTAB, sizeof names, &at), names, sizeof names);
    put_names((char *)put_section(SHSTRTAB, SHT_STRTAB, 1 + (uint64_t)many * name, &at), ".klp.rela.o", 0, ".text", many);
    headers[SYMTAB].sh_link = STRTAB;
    symtab[1].st_shndx = TARGET;
    symtab[2].st_name = 1;
    symtab[3].st_name = 18;
    symtab[3].st_shndx = RELAKIT_SHN_LIVEPATCH;
    for (uint32_t i = 2; i < 4; i++)
        symtab[i].st_info = STB_GLOBAL << 4;
    /* The target begins with the fields; the names come after them. */
    put_names((char *)put_target(8 * (uint64_t)many + 1 + (uint64_t)many * text, &at) + 8 * (size_t)many, patched ? "o" : "p",
              0, "", many);
    relas = (Elf64_Rela *)put_section(POINTERS, SHT_RELA, many * sizeof *relas, &at);
    put_relocations(POINTERS, 0);
    for (uint32_t i = 0; i < many; i++) {
        uint64_t of = 8 * (uint64_t)many + 1 + (uint64_t)(many - 1 - i) * text;
        relas[i] = rela((uint64_t)i * 8, 1, R_X86_64_64, (int64_t)of);
    }
    for (uint32_t i = 0; i < many; i++) {
        *(Elf64_Rela *)put_section(OBJECT + i, SHT_RELA, sizeof *relas, &at) = rela((uint64_t)i * 8, 3, R_X86_64_64, 0);
        put_relocations(OBJECT + i, LIVEPATCH);
        headers[OBJECT + i].sh_name = 1 + i * name;
    }
}

/* Does what a loader does with a file, up to the first error. The library may refuse the file, but in linear time. */
static relakit_status whole_life(void)
{
    int stopped = 0;
    for (size_t i = 0; !stopped && i < sizeof life / sizeof *life; i++)
        stopped = life[i]() != RELAKIT_OK;
    return RELAKIT_OK;
}

static relakit_status findings_if_parsed(void)
{
    return init() == RELAKIT_OK ? findings() : RELAKIT_OK;
}

static relakit_status every_object(void)
{
    relakit_status status = RELAKIT_OK;
    for (object_at = 0; (status = object()) == RELAKIT_OK; object_at++)
        ;
    EQ(object_at, pairs);
    return status;
}

/* How many sections share a table of how many entries, for n, 4n and 16n entries in all. */
struct shape {
    const char *what;
    uint32_t n, sections[TIMES], entries[TIMES];
};

static const struct shape shapes[] = {
    {"16 sections with one table of n / 16 entries", 2048, {16, 16, 16}, {128, 512, 2048}},
    {"n / 16 sections with one table of 16 entries", 2048, {128, 512, 2048}, {16, 16, 16}},
    {"as many sections as entries in their one table, n in all", 1024, {32, 64, 128}, {32, 64, 128}},
};

/* Files whose tables together are exactly as large as the file: the most that the library accepts. */
static void count_filled(void)
{
    static const struct {
        const char *name;
        counted *call;
        int after;
        const char *kinds;
    } rows[] = {
        {"relakit_module_init", init, 0, "oel"},
        {"relakit_module_assign", place, PARSED, "oel"},
        {"relakit_module_fill", fill, PLACED, "oel"},
        {"relakit_module_early", early, FILLED, "oel"},
        {"relakit_module_retained_size", retained_size, LOADED, "oel"},
        {"relakit_module_retain", keep, SIZED, "l"},
        {"relakit_module_coming", coming, KEPT, "l"},
        {"relakit_module_going", going, LIVE, "l"},
        {"relakit_module_findings", findings, PARSED, "oel"},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (const char *of = rows[row].kinds; *of != 0; of++)
            for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++)
                for (size_t t = 0; t < TIMES; t++) {
                    char what[200];
                    build_shared(&kinds[strchr("oel", *of) - "oel"], shapes[shape].sections[t], shapes[shape].entries[t], 1);
                    for (int i = 0; i < rows[row].after; i++)
                        EQ(life[i](), RELAKIT_OK);
                    make_users();
                    snprintf(what, sizeof what, "%s: %s, %s: tables as large as the file", rows[row].name, kind->what,
                             shapes[shape].what);
                    count_steps(AT_MOST_N_LOG_N, what, shapes[shape].n * times[t], rows[row].call, RELAKIT_OK);
                }
}

/* Files with n sections and n entries, whose tables together have n * n entries. */
static void count_crowded(void)
{
    static const struct {
        const char *what;
        counted *call;
    } rows[] = {
        {"relakit_module_init: and what follows", whole_life},
        {"relakit_module_findings: if it is parsed", findings_if_parsed},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (int of = ORDINARY; of <= LATE; of++)
            for (size_t t = 0; t < TIMES; t++) {
                char what[200];
                uint32_t n = 32 * times[t];
                build_shared(&kinds[of], n, n, 0);
                make_users();
                snprintf(what, sizeof what, "%s: %s, n sections with one table of n entries", rows[row].what, kind->what);
                count_steps(AT_MOST_N_LOG_N, what, n, rows[row].call, RELAKIT_OK);
            }
}

static void count_objects(void)
{
    static const struct {
        const char *what;
        counted *call;
        int after, patched;
        uint32_t n;
        relakit_status want;
    } rows[] = {
        {"relakit_module_object: every one of n objects", every_object, KEPT, 1, 256, RELAKIT_NOT_FOUND},
        {"relakit_module_findings: n objects, n pointers to their names", findings, PARSED, 1, 256, RELAKIT_OK},
        {"relakit_module_findings: n objects, n pointers to other names", findings, PARSED, 0, 256, RELAKIT_OK},
        /* The first of these have fewer objects than a list of fixed length holds. */
        {"relakit_module_findings: few objects, pointers to their names", findings, PARSED, 1, 4, RELAKIT_OK},
        {"relakit_module_findings: few objects, pointers to other names", findings, PARSED, 0, 4, RELAKIT_OK},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (size_t t = 0; t < TIMES; t++) {
            uint32_t n = rows[row].n * times[t];
            build_objects(n, rows[row].patched);
            for (int i = 0; i < rows[row].after; i++)
                EQ(life[i](), RELAKIT_OK);
            make_users();
            count_steps(AT_MOST_N_LOG_N, rows[row].what, n, rows[row].call, rows[row].want);
        }
}

int main(void)
{
    count_filled();
    count_crowded();
    count_objects();
    return test_end("worst");
}
