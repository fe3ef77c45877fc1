/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/grub.md, with stand-ins for GRUB's types. */
#include "table.h"

typedef enum { GRUB_ERR_NONE, GRUB_ERR_BAD_MODULE, GRUB_ERR_NOT_IMPLEMENTED_YET } grub_err_t;
typedef uintptr_t grub_addr_t;
typedef size_t grub_size_t;
typedef Elf64_Ehdr Elf_Ehdr;
typedef Elf64_Shdr Elf_Shdr;
typedef struct grub_dl { Elf64_Sym *symtab; size_t symsize; } *grub_dl_t;
typedef struct grub_dl_segment { void *addr; size_t size; } *grub_dl_segment_t;

#define grub_error(status, ...) (print(__VA_ARGS__), status)
#include "grub-page.h"

/* A file: its header, the headers of three sections, and the table. */
static struct {
    Elf64_Ehdr header;
    Elf64_Shdr sections[3];
    Elf64_Rela table[2];
} file;
static struct grub_dl module = { symtab, sizeof symtab[0] };

static grub_err_t relocate(void)
{
    struct grub_dl_segment segment = { text_bytes, TEXT_SIZE };

    memcpy(file.table, table, sizeof table);
    return grub_arch_dl_relocate_symbols(&module, &file, &file.sections[1], &segment);
}

static void reset(void)
{
    fresh_table();
    file.header.e_shoff = sizeof file.header;
    file.header.e_shentsize = sizeof file.sections[0];
    file.header.e_shnum = 3;
    file.sections[1] = (Elf64_Shdr){
        .sh_type = SHT_RELA, .sh_link = 2, .sh_offset = sizeof file - sizeof table, .sh_size = sizeof table,
    };
    file.sections[2] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_size = sizeof symtab };
}

static void refuses(grub_err_t want)
{
    EQ(relocate(), want);
    is_untouched();
    reset();
}

int main(void)
{
    reset();
    EQ(relocate(), GRUB_ERR_NONE);
    is_applied();
    reset();
    table[1] = rela(16, SYMBOLS, R_X86_64_64, 0);
    refuses(GRUB_ERR_BAD_MODULE);
    table[1] = rela(16, SYMBOLS - 1, R_X86_64_64, 0); /* undefined, value 0 */
    refuses(GRUB_ERR_BAD_MODULE);
    table[1] = rela(TEXT_SIZE, GLOBAL, R_X86_64_64, 0);
    refuses(GRUB_ERR_BAD_MODULE);
    table[1] = rela(16, GLOBAL, R_X86_64_GOTPCREL, 0);
    refuses(GRUB_ERR_NOT_IMPLEMENTED_YET);
    file.sections[1].sh_size -= 8; /* an error that is of no entry */
    refuses(GRUB_ERR_BAD_MODULE);
    file.sections[1].sh_type = SHT_REL;
    refuses(GRUB_ERR_BAD_MODULE);
    file.sections[1].sh_link = 3;
    refuses(GRUB_ERR_BAD_MODULE);
    file.sections[2].sh_type = SHT_PROGBITS;
    refuses(GRUB_ERR_BAD_MODULE);
    return test_end("grub");
}
