/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/linux.md, and with LINUX_6_1 docs/loaders/linux-6.1.md, with stand-ins for Linux's types. */
#include "kernel.h"

#define IS_ENABLED(option) 1
enum { MODULE_NAME_LEN = 56, KSYM_NAME_LEN = 512, MOD_DATA = 0 };
typedef Elf64_Ehdr Elf_Ehdr;
typedef Elf64_Shdr Elf_Shdr;
typedef Elf64_Sym Elf_Sym;

struct klp_modinfo {
    Elf_Ehdr hdr;
    Elf_Shdr *sechdrs;
    char *secstrings;
    unsigned int symndx;
};
struct module_memory {
    void *base;
    unsigned int size;
};
#define module_layout module_memory
#define core_layout mem[MOD_DATA]
struct module {
    enum { MODULE_STATE_LIVE, MODULE_STATE_UNFORMED } state;
    const char *name;
    struct module_memory mem[1];
    struct { char *strtab; } core_kallsyms;
    struct klp_modinfo *klp_info;
};
struct load_info {
    Elf_Ehdr *hdr;
    Elf_Shdr *sechdrs;
    char *secstrings, *strtab;
    struct { unsigned int sym, str; } index;
};
struct klp_object {
    const char *name;
};
struct klp_patch {
    struct module *mod;
};
struct klp_find_arg {
    const char *objname, *name;
    unsigned long addr, count, pos;
};
struct purgatory_info {
    const Elf_Ehdr *ehdr;
    Elf_Shdr *sechdrs;
    void *purgatory_buf;
};

/* vmlinux has one `known`, the module `nfs` has two. */
#ifdef LINUX_6_1
struct module_with_name {
    const char *name;
};

static int klp_find_callback(void *data, const char *name, const struct module_with_name *module, unsigned long addr)
{
    struct klp_find_arg *args = data;

    if (!module != !args->objname || strcmp(name, args->name) != 0 || (module && strcmp(module->name, args->objname) != 0))
        return 0;
    args->addr = addr;
    args->count++;
    return args->count == args->pos;
}

typedef int callback(void *, const char *, const struct module_with_name *, unsigned long);

static void kallsyms_on_each_symbol(callback *call, void *data)
{
    if (call(data, "other", NULL, near(0x3000)) == 0)
        call(data, "known", NULL, near(0x1000));
}

static void module_kallsyms_on_each_symbol(callback *call, void *data)
{
    static const struct module_with_name nfs = { "nfs" }, other = { "other" };

    EQ(text_mutex, 0);
    if (call(data, "known", &other, near(0x3000)) == 0 && call(data, "known", &nfs, near(0x1000)) == 0)
        call(data, "known", &nfs, near(0x2000));
}
#else
static int klp_match_callback(void *data, unsigned long addr)
{
    struct klp_find_arg *args = data;

    args->addr = addr;
    args->count++;
    return args->count == args->pos;
}

static int klp_find_callback(void *data, const char *name, unsigned long addr)
{
    struct klp_find_arg *args = data;

    return strcmp(name, args->name) == 0 && klp_match_callback(data, addr);
}

static void kallsyms_on_each_match_symbol(int (*call)(void *, unsigned long), const char *name, void *data)
{
    if (strcmp(name, "known") == 0)
        call(data, near(0x1000));
}

static void module_kallsyms_on_each_symbol(const char *module, int (*call)(void *, const char *, unsigned long),
                                           void *data)
{
    EQ(text_mutex, 0);
    if (strcmp(module, "nfs") == 0 && call(data, "known", near(0x1000)) == 0)
        call(data, "known", near(0x2000));
}
#endif
#include "linux-page.h"

enum { NULL_, TEXT_, RELA_, SYMTAB_, STRTAB_, SHSTRTAB_, SECTIONS };
static char names[] = "\0.klp.rela.nfs..text\0.klp.rela.vmlinux..text";
static char strings[] = "\0.klp.sym.nfs.known,2\0.klp.sym.vmlinux.known,0";
static Elf_Shdr headers[SECTIONS];
static struct klp_modinfo info = { .sechdrs = headers, .secstrings = names, .symndx = SYMTAB_ };
static struct module module = { .name = "livepatch", .klp_info = &info };

static void reset(void)
{
    fresh_table();
    memset(headers, 0, sizeof headers);
    headers[TEXT_] = (Elf_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_size = TEXT_SIZE };
    headers[TEXT_].sh_addr = near(0);
    headers[RELA_] = (Elf_Shdr){ .sh_type = SHT_RELA, .sh_link = SYMTAB_, .sh_info = TEXT_, .sh_size = sizeof table };
    headers[RELA_].sh_addr = (uintptr_t)table;
    headers[SYMTAB_] = (Elf_Shdr){ .sh_type = SHT_SYMTAB, .sh_link = STRTAB_, .sh_size = sizeof symtab };
    headers[SYMTAB_].sh_addr = (uintptr_t)symtab;
    headers[STRTAB_] = (Elf_Shdr){ .sh_type = SHT_STRTAB, .sh_size = sizeof strings };
    headers[SHSTRTAB_] = (Elf_Shdr){ .sh_type = SHT_STRTAB, .sh_size = sizeof names };
    info.hdr.e_shnum = SECTIONS;
    info.hdr.e_shstrndx = SHSTRTAB_;
    module.core_kallsyms.strtab = module.mem[MOD_DATA].base = strings;
    module.mem[MOD_DATA].size = sizeof strings;
    module.state = MODULE_STATE_LIVE;
    pokes = syncs = 0;
}

#ifdef LINUX_6_1
#define apply_section(...) apply_relocate_add(__VA_ARGS__)
#else
#define apply_section(...) write_relocate_add(__VA_ARGS__, true)
#endif

static void one_section(void)
{
    reset();
    module.state = MODULE_STATE_UNFORMED;
    EQ(apply_section(headers, strings, SYMTAB_, RELA_, &module), 0);
    is_applied();
    EQ(pokes, 0);
    module.state = MODULE_STATE_LIVE;
#ifdef LINUX_6_1
    memset(text_bytes, 0, sizeof text_bytes);
    EQ(apply_relocate_add(headers, strings, SYMTAB_, RELA_, &module), 0);
    is_applied();
    memset(text_bytes, 0, sizeof text_bytes);
#else
    EQ(write_relocate_add(headers, strings, SYMTAB_, RELA_, &module, false), 0);
#endif
    is_untouched();
    EQ(pokes, 2);
    EQ(syncs, 1);
    table[1].r_offset = TEXT_SIZE - 7;
    EQ(apply_section(headers, strings, SYMTAB_, RELA_, &module), -ENOEXEC);
    CHECK(strstr(printed, "livepatch: ") == printed);
    is_untouched();
    /* fixed_percpu_data */
    reset();
    symtab[GLOBAL].st_shndx = SHN_UNDEF;
    symtab[GLOBAL].st_value = 0;
    EQ(apply_section(headers, strings, SYMTAB_, RELA_, &module), 0);
}

static void livepatch_sections(void)
{
    struct klp_patch patch = { &module };
    struct klp_object nfs = { "nfs" };
    struct load_info load_info = { &info.hdr, headers, names, strings, { SYMTAB_, STRTAB_ } };
    uint64_t value = near(0x2000) + 1;

    reset();
    headers[RELA_].sh_flags = SHF_ALLOC | RELAKIT_SHF_RELA_LIVEPATCH;
    headers[RELA_].sh_name = 1;
    headers[RELA_].sh_size = sizeof table[0];
    table[0] = rela(8, UNDEFINED, R_X86_64_64, 1);
    symtab[UNDEFINED].st_shndx = RELAKIT_SHN_LIVEPATCH;
    symtab[UNDEFINED].st_name = 1;
    EQ(klp_write_object_relocs(&patch, &nfs, true), 0);
    EQ(load(text_bytes + 8, 8), value);
    EQ(symtab[UNDEFINED].st_value, near(0x2000));
    EQ(pokes, 1);
    EQ(klp_write_object_relocs(&patch, &nfs, false), 0);
    is_untouched();
    EQ(apply_klp_relocations(&module, &load_info), 0); /* nothing for vmlinux */
    is_untouched();

    symtab[UNDEFINED].st_name = 22; /* of vmlinux, which a section for a module must not use */
    EQ(klp_write_object_relocs(&patch, &nfs, true), -EINVAL);
    is_untouched();
    headers[RELA_].sh_name = 21;
    EQ(apply_klp_relocations(&module, &load_info), 0);
    EQ(load(text_bytes + 8, 8), near(0x1000) + 1);
    EQ(apply_klp_relocations(&module, &load_info), -ENOEXEC); /* the field is not zero */
}

#ifndef LINUX_6_1 /* the same as in 6.12 */
static void purgatory(void)
{
    static struct {
        Elf_Ehdr header;
        Elf64_Rela table[2];
        Elf_Sym symtab[SYMBOLS];
    } file;
    Elf_Shdr section = { .sh_addr = 0x100000, .sh_size = TEXT_SIZE }, rela_header = { .sh_size = sizeof table };
    Elf_Shdr symtab_header = { .sh_size = sizeof symtab };
    struct purgatory_info pi = { &file.header, headers, text_bytes };

    reset();
    rela_header.sh_offset = (uintptr_t)file.table - (uintptr_t)&file;
    symtab_header.sh_offset = (uintptr_t)file.symtab - (uintptr_t)&file;
    file.header.e_shnum = SECTIONS;
    headers[TEXT_].sh_addr = 0x101000;
    symtab[LOCAL].st_shndx = TEXT_;
    symtab[LOCAL].st_value = 0x10;
    symtab[GLOBAL].st_value = 0x102000;
    memcpy(file.table, table, sizeof table);
    memcpy(file.symtab, symtab, sizeof symtab);
    EQ(arch_kexec_apply_relocations_add(&pi, &section, &rela_header, &symtab_header), 0);
    EQ(load(text_bytes + 4, 4), 0x1010 - 4 - 4);
    EQ(load(text_bytes + 16, 8), 0x102001);

    memset(text_bytes, 0, sizeof text_bytes);
    file.symtab[GLOBAL].st_shndx = SHN_UNDEF;
    EQ(arch_kexec_apply_relocations_add(&pi, &section, &rela_header, &symtab_header), -ENOEXEC);
    CHECK(strstr(printed, "purgatory, section 0: ") == printed);
    file.symtab[GLOBAL].st_shndx = SECTIONS;
    EQ(arch_kexec_apply_relocations_add(&pi, &section, &rela_header, &symtab_header), -ENOEXEC);
    is_untouched();
}
#endif

int main(void)
{
    one_section();
    livepatch_sections();
#ifndef LINUX_6_1
    purgatory();
#endif
    return test_end("linux");
}
