/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A loader in one file, at level 1. It reads an object, relocates it with relakit, and calls its function `run`.
 *
 *   gcc -O2 -fno-pic -fno-pie -fcf-protection=none -c module.c
 *   gcc -D_GNU_SOURCE -no-pie level1.c -lrelakit -o level1 && ./level1 module.o
 */
#include <elf.h>
#include <relakit.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SIZE = 1 << 20, ALIGN = 64, RWX = PROT_READ | PROT_WRITE | PROT_EXEC };

static uint64_t words[SIZE / 8 + 1]; /* the file, and zeros after it: every string in it ends */
static size_t size;                 /* of the file */

static int in_file(uint64_t offset, uint64_t bytes)
{
    return offset <= size && bytes <= size - offset;
}

int main(int argc, char **argv)
{
    unsigned char *file = (unsigned char *)words;
    FILE *in = fopen(argc > 1 ? argv[1] : "module.o", "rb");
    const Elf64_Ehdr *header = (void *)file;
    unsigned char *memory = mmap(NULL, SIZE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0), *next = memory;

    size = in ? fread(file, 1, SIZE, in) : 0;
    unsigned count = header->e_shnum;
    Elf64_Shdr *sections = (void *)&words[header->e_shoff % SIZE / 8], *table = sections;
    if (size < sizeof *header || memcmp(file, ELFMAG, SELFMAG) != 0 || count == 0 || header->e_shoff % 8 != 0
        || !in_file(header->e_shoff, count * sizeof *sections) || memory == MAP_FAILED)
        return puts("this is not an object"), 1;

    /* Give each section memory. As in Linux, sh_addr is then its address, or 0. */
    for (Elf64_Shdr *s = sections; s < sections + count; s++) {
        if (s->sh_type != SHT_NOBITS && !in_file(s->sh_offset, s->sh_size))
            return puts("a section is not in the file"), 1;
        if (s->sh_type == SHT_SYMTAB)
            table = s;
        next += -(uintptr_t)next % ALIGN;
        s->sh_addr = s->sh_flags & SHF_ALLOC ? (uintptr_t)next : 0;
        if (s->sh_addr == 0)
            continue;
        if (s->sh_addralign > ALIGN || s->sh_size > (size_t)(memory + SIZE - ALIGN - next))
            return puts("a section is too large"), 1;
        if (s->sh_type != SHT_NOBITS)
            memcpy(next, file + s->sh_offset, s->sh_size);
        next += s->sh_size;
    }

    /* Give each symbol its value. relakit refuses a relocation with a symbol that remains undefined. */
    Elf64_Sym *symbols = (void *)&words[table->sh_offset / 8], *run = NULL;
    struct relakit_symbols values = { .symtab = symbols, .count = table->sh_size / sizeof *symbols };
    uint64_t strings = sections[table->sh_link % count].sh_offset;
    for (Elf64_Sym *symbol = symbols; symbol < symbols + values.count; symbol++) {
        const char *name = (char *)file + (in_file(strings, symbol->st_name) ? strings + symbol->st_name : SIZE);
        if (symbol->st_shndx == SHN_UNDEF && strcmp(name, "puts") == 0)
            symbol->st_value = (uintptr_t)puts;
        if (symbol->st_shndx != SHN_UNDEF && symbol->st_shndx < count)
            symbol->st_value += sections[symbol->st_shndx].sh_addr;
        if (symbol->st_shndx != SHN_UNDEF && strcmp(name, "run") == 0)
            run = symbol;
    }

    for (Elf64_Shdr *s = sections; s < sections + count; s++) {
        const Elf64_Shdr *to = &sections[s->sh_info % count];
        struct relakit_target target = { .bytes = (void *)to->sh_addr, .size = to->sh_size, .address = to->sh_addr };
        struct relakit_error error;
        char text[200];
        if (s->sh_type != SHT_RELA || to->sh_addr == 0)
            continue;
        if (relakit_apply(file + s->sh_offset, s->sh_size, &values, &target, NULL, &error) != RELAKIT_OK)
            return relakit_error_format(&error, NULL, text, sizeof text), puts(text), 1;
    }
    return run ? ((int (*)(void))run->st_value)() : 1;
}
