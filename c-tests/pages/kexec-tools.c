/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/kexec-tools.md, with stand-ins for kexec-tools' types. */
#include "table.h"

struct mem_shdr {
    uint32_t sh_type;
    const unsigned char *sh_data;
    uint64_t sh_size, sh_addr;
    uint32_t sh_info, sh_link;
};
struct mem_ehdr {
    struct mem_shdr *e_shdr;
    uint32_t e_shnum;
};
static int died;
#define die(...) (died++, print(__VA_ARGS__))
#include "kexec-tools-page.h"

/* The bytes are here, and will be at 0x100000. */
enum { NULL_, TEXT_, RELA_, SYMTAB_, SECTIONS };
static struct mem_shdr headers[SECTIONS];
static struct mem_ehdr file = { headers, SECTIONS };

static void fresh_file(void)
{
    fresh_table();
    headers[TEXT_] = (struct mem_shdr){ SHT_PROGBITS, text_bytes, TEXT_SIZE, 0x100000, 0, 0 };
    headers[RELA_] = (struct mem_shdr){ SHT_RELA, (void *)table, sizeof table, 0, TEXT_, SYMTAB_ };
    headers[SYMTAB_] = (struct mem_shdr){ SHT_SYMTAB, (void *)symtab, sizeof symtab, 0, 0, 0 };
    symtab[LOCAL].st_shndx = TEXT_;
    symtab[LOCAL].st_value = 0x10;
    symtab[GLOBAL].st_value = 0x102000;
    died = 0;
}

static void is_refused(const char *why)
{
    relocate(&file, RELA_);
    EQ(died, 1);
    CHECK(strstr(printed, "relakit: section 2: ") == printed);
    CHECK(strstr(printed, why) != NULL);
    is_untouched();
}

int main(void)
{
    fresh_file();
    relocate(&file, RELA_);
    EQ(died, 0);
    EQ(load(text_bytes + 4, 4), 0x10 - 4 - 4);
    EQ(load(text_bytes + 16, 8), 0x102001);

    fresh_file();
    table[1].r_offset = TEXT_SIZE - 7;
    is_refused("entry 1");
    fresh_file();
    headers[TEXT_].sh_type = SHT_NOBITS;
    is_refused("section size 0");

    /* Symbols without a value; a weak one has the value 0. */
    fresh_file();
    symtab[GLOBAL].st_shndx = SHN_UNDEF;
    is_refused("unknown symbol");
    fresh_file();
    symtab[GLOBAL].st_shndx = SHN_COMMON;
    is_refused("unknown symbol");
    fresh_file();
    symtab[GLOBAL].st_shndx = SECTIONS;
    is_refused("unknown symbol");
    fresh_file();
    symtab[GLOBAL].st_shndx = SHN_UNDEF;
    symtab[GLOBAL].st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
    relocate(&file, RELA_);
    EQ(died, 0);
    EQ(load(text_bytes + 16, 8), 1);
    return test_end("kexec-tools");
}
