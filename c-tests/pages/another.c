/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/README.md: "Another loader" and "Looking up names". */
#include "table.h"

#define berr print
static bool find_export(const char *name, uint64_t *value)
{
    *value = near(0x2000);
    return strcmp(name, "exported") == 0;
}
#include "another-page.h"

int main(void)
{
    static const char strtab[] = "\0exported\0unknown";
    static uint64_t addresses[3];
    struct module module = { symtab, strtab, addresses, 3 };
    const struct relakit_target target = { text_bytes, TEXT_SIZE, near(0), NULL };
    const Elf64_Shdr header = { .sh_size = sizeof table };

    /* A symbol table as it is in the file. */
    fresh_table();
    addresses[1] = near(0x800);
    symtab[LOCAL].st_shndx = 1;
    symtab[LOCAL].st_value = 0x800;
    symtab[GLOBAL].st_shndx = SHN_UNDEF;
    symtab[GLOBAL].st_name = 1;
    ACCEPTS(relocate(&module, SYMBOLS, &header, table, &target, fresh()));
    is_applied();

    memset(text_bytes, 0, sizeof text_bytes);
    symtab[GLOBAL].st_name = 10;
    REFUSES(RELAKIT_ERR_UNKNOWN_SYMBOL, 0, relocate(&module, SYMBOLS, &header, table, &target, fresh()));
    EQ(fault.symbol, GLOBAL);
    EQ(fault.entry, 1);
    is_untouched();
    symtab[GLOBAL].st_shndx = 2; /* not loaded */
    REFUSES(RELAKIT_ERR_RESOLVER, -ENOEXEC, relocate(&module, SYMBOLS, &header, table, &target, fresh()));
    is_untouched();

    /* One relocation at a time. */
    fresh_table();
    EQ(up_relocateadd(&table[0], &symtab[LOCAL], near(4), NULL), 0);
    EQ(up_relocateadd(&table[1], &symtab[GLOBAL], near(16), NULL), 0);
    is_applied();
    table[0] = rela(0, 0, R_X86_64_NONE, 0);
    EQ(up_relocateadd(&table[0], NULL, near(4), NULL), 0);
    is_applied();
    EQ(up_relocateadd(&table[1], NULL, near(16), NULL), -EINVAL);
    table[0] = rela(0, 1, R_X86_64_GOTPCREL, 0);
    EQ(up_relocateadd(&table[0], &symtab[LOCAL], near(4), NULL), -EINVAL);
    is_applied();
    return test_end("another");
}
