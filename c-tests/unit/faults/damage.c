/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * damage PLAIN PATCH DIRECTORY: makes the modules that must be refused, one defect each, from the good ones. Each function
 * below has the name of its defect in defects.h.
 */
#include "defects.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *file;
static size_t size; /* a defect may cut it short */
static const char *base, *defect;

__attribute__((noreturn)) static void fail(const char *what, const char *name)
{
    fprintf(stderr, "damage: %s, %s: %s %s\n", base, defect, what, name);
    exit(1);
}

/* --- where things are in the file --- */

static Elf64_Ehdr *header(void)
{
    return (Elf64_Ehdr *)file;
}

static Elf64_Shdr *section_at(uint32_t index)
{
    return (Elf64_Shdr *)(file + header()->e_shoff) + index;
}

static Elf64_Shdr *section(const char *name)
{
    const char *names = (const char *)file + section_at(header()->e_shstrndx)->sh_offset;

    for (uint32_t i = 0; i < header()->e_shnum; i++)
        if (strcmp(names + section_at(i)->sh_name, name) == 0)
            return section_at(i);
    fail("there is no section", name);
}

static uint32_t index_of(const Elf64_Shdr *section)
{
    return (uint32_t)(section - section_at(0));
}

static char *symbol_name(const Elf64_Sym *symbol)
{
    return (char *)file + section_at(section(".symtab")->sh_link)->sh_offset + symbol->st_name;
}

static Elf64_Sym *symbol(const char *name)
{
    Elf64_Sym *symbols = (Elf64_Sym *)(file + section(".symtab")->sh_offset);

    for (size_t i = 1; i < section(".symtab")->sh_size / sizeof *symbols; i++)
        if (strcmp(symbol_name(&symbols[i]), name) == 0)
            return &symbols[i];
    fail("there is no symbol", name);
}

/* The last relocation of this type in the section: those before it are right, and must be taken back. */
static Elf64_Rela *rela(const char *name, uint32_t type)
{
    Elf64_Rela *entries = (Elf64_Rela *)(file + section(name)->sh_offset);

    for (size_t i = section(name)->sh_size / sizeof *entries; i-- > 0;)
        if (ELF64_R_TYPE(entries[i].r_info) == type)
            return &entries[i];
    fail("there is no such relocation in", name);
}

/* The field that it relocates. */
static unsigned char *field(const char *name, uint32_t type)
{
    return file + section_at(section(name)->sh_info)->sh_offset + rela(name, type)->r_offset;
}

static void set_type(Elf64_Rela *entry, uint32_t type)
{
    entry->r_info = ELF64_R_INFO(ELF64_R_SYM(entry->r_info), type);
}

static void set_symbol(Elf64_Rela *entry, uint64_t index)
{
    entry->r_info = ELF64_R_INFO(index, ELF64_R_TYPE(entry->r_info));
}

static uint64_t symbol_index(const char *name)
{
    return (uint64_t)(symbol(name) - (Elf64_Sym *)(file + section(".symtab")->sh_offset));
}

/* The name of a livepatch symbol ends with its position. */
static void set_position(const char *name, char position)
{
    char *end = strchr(symbol_name(symbol(name)), 0);

    end[-1] = position;
}

static void set_letter(const char *name, size_t at, char letter)
{
    symbol_name(symbol(name))[at] = letter;
}

/* --- the defects --- */

#define TEXT ".rela.text"
#define KLP_TEXT ".klp.rela.vmlinux..text"
#define LATE_TEXT ".klp.rela.target..text"
#define LATE_DATA ".klp.rela.target..data"
#define SECRET ".klp.sym.vmlinux.secret,0"
#define SCALE ".klp.sym.vmlinux.scale,2"
#define STEP ".klp.sym.target.step,2"

static void empty(void) { size = 0; }
static void not_elf(void) { file[0] = 'M'; }
static void class_32(void) { header()->e_ident[EI_CLASS] = ELFCLASS32; }
static void executable(void) { header()->e_type = ET_EXEC; }
static void wrong_machine(void) { header()->e_machine = EM_AARCH64; }
static void header_size(void) { header()->e_shentsize--; }
static void truncated_header(void) { size = sizeof(Elf64_Ehdr) - 1; }
static void truncated_sections(void) { size--; /* the last bytes are the last section header */ }
static void section_outside(void) { section(".text")->sh_offset = size; }
static void name_table(void) { header()->e_shstrndx = header()->e_shnum; }
static void section_name(void) { section(".text")->sh_name = UINT32_MAX; }
static void no_symbol_table(void) { section(".symtab")->sh_type = SHT_PROGBITS; }
static void string_table(void) { section(".symtab")->sh_link = header()->e_shnum; }

/* With the other tables it is larger than the file. */
static void shared_tables(void) { section(TEXT)->sh_offset = 0, section(TEXT)->sh_size = size; }

static void too_large(void) { section(".bss")->sh_size = UINT64_C(1) << 40; }
static void alignment(void) { section(".text")->sh_addralign = 24; }
static void target_section(void) { section(TEXT)->sh_info = header()->e_shnum; }

static void symbol_name_outside(void) { symbol("kernel_add")->st_name = UINT32_MAX; }
static void symbol_section(void) { symbol("plain_run")->st_shndx = header()->e_shnum; }
static void common_symbol(void) { symbol("kernel_limit")->st_shndx = SHN_COMMON; }
static void unknown_symbol(void) { set_letter("kernel_add", 7, 'o'); }
static void rel_section(void) { section(TEXT)->sh_type = SHT_REL; }
static void bad_symbol_index(void) { set_symbol(rela(TEXT, R_X86_64_PLT32), UINT32_MAX); }
static void unknown_type(void) { set_type(rela(TEXT, R_X86_64_PLT32), R_X86_64_GOTTPOFF); }
static void offset_outside(void) { rela(TEXT, R_X86_64_PLT32)->r_offset = UINT64_MAX - 1; }
static void offset_last_byte(void) { rela(TEXT, R_X86_64_PLT32)->r_offset = section(".text")->sh_size - 3; }
static void overflow_pc32(void) { rela(TEXT, R_X86_64_PC32)->r_addend = INT64_C(1) << 40; }

/* A field of 32 bits that zero-extends holds no negative value. */
static void overflow_32(void)
{
    Elf64_Rela *entry = rela(TEXT, R_X86_64_32S);

    set_type(entry, R_X86_64_32);
    entry->r_addend = -(INT64_C(1) << 40);
}

static void overflow_32s(void) { rela(TEXT, R_X86_64_32S)->r_addend = INT64_C(1) << 40; }
static void non_zero(void) { field(TEXT, R_X86_64_PLT32)[3] = 1; }
static void data_non_zero(void) { field(".rela.data", R_X86_64_64)[7] = 1; /* .text must be taken back */ }

/* What is left is no name of a livepatch section, and the flag still says that it is one. */
static void bad_section_name(const char *name)
{
    char *names = (char *)file + section_at(header()->e_shstrndx)->sh_offset;

    names[section(name)->sh_name] = '_';
}

static void klp_section_name(void) { bad_section_name(KLP_TEXT); }
static void klp_target_table(void) { section(KLP_TEXT)->sh_info = index_of(section(LATE_TEXT)); }
static void klp_symbol_name(void) { set_letter(SECRET, strlen(SECRET) - 2, '.'); }
static void klp_ordinary_symbol(void) { symbol(SECRET)->st_shndx = SHN_ABS; }
static void klp_unknown(void) { set_letter(SECRET, strlen(SECRET) - 3, '_'); }
static void klp_ambiguous(void) { set_position(SCALE, '0'); }
static void klp_position(void) { set_position(SCALE, '3'); }

/* With a target that is in memory it would be refused while the module is loaded. */
static void late_section_name(void)
{
    section(LATE_TEXT)->sh_info = index_of(section(".comment"));
    bad_section_name(LATE_TEXT);
}

static void late_symbol_name(void) { set_letter(STEP, strlen(STEP) - 2, '.'); }
static void late_kernel_symbol(void) { set_symbol(rela(LATE_TEXT, R_X86_64_PLT32), symbol_index(SECRET)); }
static void late_unknown(void) { set_letter(STEP, strlen(STEP) - 3, '_'); }
static void late_ambiguous(void) { set_position(STEP, '0'); }
static void late_position(void) { set_position(STEP, '3'); }
static void late_not_alloc(void) { section(LATE_TEXT)->sh_flags &= ~(uint64_t)SHF_ALLOC; }
static void late_target_section(void) { section(LATE_TEXT)->sh_info = header()->e_shnum; }
static void late_target_in_file(void) { section(LATE_TEXT)->sh_info = index_of(section(".comment")); }
static void late_target_symbols(void) { section(LATE_TEXT)->sh_info = index_of(section(".symtab")); }
static void late_target_table(void) { section(LATE_TEXT)->sh_info = index_of(section(LATE_DATA)); }
static void late_target_itself(void) { section(LATE_TEXT)->sh_info = index_of(section(LATE_TEXT)); }
static void late_unknown_type(void) { set_type(rela(LATE_TEXT, R_X86_64_PLT32), R_X86_64_GOTTPOFF); }
static void late_offset_outside(void) { rela(LATE_TEXT, R_X86_64_PLT32)->r_offset = section(".text")->sh_size; }
static void late_overflow(void) { rela(LATE_TEXT, R_X86_64_PLT32)->r_addend = INT64_C(1) << 40; }
/* In the second section: the first one must be taken back. */
static void late_non_zero(void) { field(LATE_DATA, R_X86_64_64)[7] = 1; }

static const struct {
    const char *name;
    enum base base;
    void (*make)(void);
} defects[] = {
#define DEFECT(name, base, step, status) { #name, base, name },
    DEFECTS
#undef DEFECT
};

/* The base, read anew for each defect. */
static void read_base(void)
{
    FILE *in = fopen(base, "rb");
    long end;

    if (!in || fseek(in, 0, SEEK_END) != 0 || (end = ftell(in)) <= 0)
        fail("cannot read", base);
    size = (size_t)end;
    file = malloc(size);
    rewind(in);
    if (!file || fread(file, 1, size, in) != size)
        fail("cannot read", base);
    fclose(in);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: damage PLAIN PATCH DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        char path[4096];
        FILE *out;
        base = argv[1 + defects[i].base];
        defect = defects[i].name;
        read_base();
        defects[i].make();
        snprintf(path, sizeof path, "%s/%s.ko", argv[3], defect);
        out = fopen(path, "wb");
        if (!out || fwrite(file, 1, size, out) != size || fclose(out) != 0)
            fail("cannot write", path);
        free(file);
    }
    return 0;
}
