/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/freebsd.md, with stand-ins for FreeBSD's types. */
#include "table.h"

#define printf print
#define ELF_ST_BIND ELF64_ST_BIND
#define ELF_ST_TYPE ELF64_ST_TYPE
typedef Elf64_Addr Elf_Addr;
typedef Elf64_Rela Elf_Rela;
typedef Elf64_Sym Elf_Sym;
typedef size_t Elf_Size;
typedef struct linker_file { const char *filename; } *linker_file_t;
typedef struct { void *addr; size_t size; int sec; } Elf_progent;
typedef struct { Elf_Rela *rela; int nrela; int sec; } Elf_relaent;
typedef struct elf_file {
    struct linker_file lf;
    Elf_progent *progtab;
    int nprogtab;
    Elf_relaent *relatab;
    int nrelatab;
    int nreltab;
    Elf_Sym *ddbsymtab;
    long ddbsymcnt;
} *elf_file_t;

static int elf_obj_lookup(linker_file_t lf, Elf_Size symidx, int deps, Elf_Addr *res);
#include "freebsd-page.h"
#undef printf

/* Only symbols that are not undefined; dependencies have none. */
static int elf_obj_lookup(linker_file_t lf, Elf_Size symidx, int deps, Elf_Addr *res)
{
    const Elf_Sym *sym = ((elf_file_t)lf)->ddbsymtab + symidx;

    *res = sym->st_value;
    return sym->st_shndx == SHN_UNDEF ? EINVAL : 0;
}

static Elf_progent progtab[2] = { { NULL, 0, 1 }, { text_bytes, TEXT_SIZE, 7 } };
static Elf_relaent relatab = { table, 2, 7 };
static struct elf_file file = { { "test.ko" }, progtab, 2, &relatab, 1, 0, symtab, SYMBOLS };

int main(void)
{
    uint32_t relative = 0x1000 - 4 - 4;

    /* The local pass writes the field of the local symbol only. */
    fresh_table();
    EQ(relocate_tables(&file, true), 0);
    EQ(load(text_bytes + 4, 4), relative);
    EQ(load(text_bytes + 16, 8), 0);
    EQ(relocate_tables(&file, false), 0);
    is_applied();

    /* An undefined symbol stops the second pass; the first does not look it up. */
    fresh_table();
    table[1] = rela(16, UNDEFINED, R_X86_64_64, 0);
    EQ(relocate_tables(&file, true), 0);
    EQ(relocate_tables(&file, false), ENOENT);
    CHECK(strstr(printed, "kldload: test.ko: section 7: ") != NULL);
    EQ(load(text_bytes + 4, 4), relative);
    EQ(load(text_bytes + 16, 8), 0);

    /* An ifunc belongs to neither pass. */
    fresh_table();
    symtab[LOCAL].st_info = ELF64_ST_INFO(STB_LOCAL, STT_GNU_IFUNC);
    symtab[GLOBAL].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC);
    EQ(relocate_tables(&file, true), 0);
    EQ(relocate_tables(&file, false), 0);
    is_untouched();

    fresh_table();
    table[1] = rela(16, SYMBOLS, R_X86_64_64, 0);
    EQ(relocate_tables(&file, true), ENOEXEC);
    is_untouched();
    relatab.sec = 3;
    EQ(relocate_tables(&file, true), ENOEXEC);
    relatab.sec = 7;
    file.nreltab = 1;
    EQ(relocate_tables(&file, true), ENOEXEC);
    is_untouched();
    return test_end("freebsd");
}
