/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What Linux does with a relocation section (docs/linux-semantics.md, section 9), condition by condition: the value is
 * computed and must fit for 32 and 32S, the field must be zero (memcmp), and the value is written through a function
 * pointer (memcpy, or text_poke). No bounds. Stops at the first fault, with what was written before it.
 */
#include <elf.h>
#include <stddef.h>
#include <string.h>

typedef void *writer(void *to, const void *from, size_t size);

/* 0, or 1 + the index of the entry at fault. The address of bytes[0] when it runs is `address`. */
size_t bench_linux_loop(const Elf64_Rela *rela, size_t count, const Elf64_Sym *symtab, unsigned char *bytes,
                        Elf64_Addr address, writer *write)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char *field = bytes + rela[i].r_offset;
        Elf64_Addr place = address + rela[i].r_offset;
        Elf64_Xword value = symtab[ELF64_R_SYM(rela[i].r_info)].st_value + (Elf64_Xword)rela[i].r_addend;
        Elf64_Xword zero = 0;
        size_t size = 4;

        switch (ELF64_R_TYPE(rela[i].r_info)) {
        case R_X86_64_NONE:
            continue;
        case R_X86_64_64:
            size = 8;
            break;
        case R_X86_64_32:
            if (value != (Elf64_Word)value)
                return i + 1;
            break;
        case R_X86_64_32S:
            if ((Elf64_Sxword)value != (Elf64_Sword)value)
                return i + 1;
            break;
        case R_X86_64_PC32:
        case R_X86_64_PLT32:
            value -= place;
            break;
        case R_X86_64_PC64:
            value -= place;
            size = 8;
            break;
        default:
            return i + 1;
        }
        if (memcmp(field, &zero, size) != 0)
            return i + 1;
        write(field, &value, size);
    }
    return 0;
}
