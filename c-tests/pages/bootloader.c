/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/embedding/bootloader.md, with stand-ins for a kernel's functions. c-tests/boot runs such a kernel. */
#include "table.h"

enum { MOST_SECTIONS = 8, OUT_OF_MEMORY = -1000 };
struct module {
    struct relakit_module *relakit;
    struct relakit_section_memory sections[MOST_SECTIONS];
    struct relakit_memory memory;
    struct relakit_layout layout;
};
static unsigned char *allocate_pages(uint64_t size, uint64_t align);
static uint64_t run_time_address(const unsigned char *bytes);
#include "bootloader-page.h"

static unsigned char *pages;

static unsigned char *allocate_pages(uint64_t size, uint64_t align)
{
    pages = NULL;
    if (size > 0x100000 || posix_memalign((void **)&pages, align, size) != 0)
        return NULL;
    return pages;
}

static uint64_t run_time_address(const unsigned char *bytes)
{
    return 0xffffffffa0000000 + ((uintptr_t)bytes & (PAGE_SIZE - 1));
}

/* A file with one section of code and one of data. */
static struct {
    Elf64_Ehdr header;
    Elf64_Shdr sections[4];
    unsigned char content[64];
    char names[2];
} file;

int main(void)
{
    uint64_t state[RELAKIT_MODULE_SIZE / 8];
    struct module module;

    put_elf_header(&file, offsetof(__typeof__(file), sections), 4, 3);
    file.sections[1] = (Elf64_Shdr){
        .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addralign = 16,
        .sh_offset = offsetof(__typeof__(file), content), .sh_size = 64,
    };
    file.sections[2] = (Elf64_Shdr){
        .sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_WRITE, .sh_addralign = 32, .sh_size = 100,
        .sh_offset = offsetof(__typeof__(file), names),
    };
    file.sections[3] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB, .sh_offset = offsetof(__typeof__(file), names), .sh_size = 2,
    };
    ACCEPTS(relakit_module_init(state, sizeof state, &file, sizeof file, NULL, &module.relakit, fresh()));
    ACCEPTS(module_allocate(&module, fresh()));
    EQ(module.sections[1].address, run_time_address(module.sections[1].bytes));
    EQ(module.sections[2].address % PAGE_SIZE, 0);
    EQ(module.layout.groups[RELAKIT_GROUP_TEXT].size, PAGE_SIZE);
    EQ(module.layout.groups[RELAKIT_GROUP_DATA].size, PAGE_SIZE);
    ACCEPTS(relakit_module_assign(module.relakit, &module.memory, fresh()));
    ACCEPTS(relakit_module_fill(module.relakit, &module.memory, fresh()));
    free(pages);
    file.sections[2].sh_size = 0x200000;
    ACCEPTS(relakit_module_init(state, sizeof state, &file, sizeof file, NULL, &module.relakit, fresh()));
    ANSWERS(OUT_OF_MEMORY, module_allocate(&module, fresh()));
    return test_end("bootloader");
}
