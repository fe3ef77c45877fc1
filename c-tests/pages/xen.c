/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/xen.md, with stand-ins for Xen's types. XEN_4_19: the members that Xen 4.19 has. */
#include "table.h"

#define cf_check
#define XENLOG_ERR
#define LIVEPATCH "livepatch: "
#define printk print
typedef Elf64_Rela Elf_RelA;

struct livepatch_elf_sec {
    const Elf64_Shdr *sec;
    const char *name;
#ifdef XEN_4_19
    void *addr;
#else
    const void *data;
    void *load_addr;
#endif
};

struct livepatch_elf_sym {
    const Elf64_Sym *sym;
    bool ignored;
};

struct livepatch_elf {
    const char *name;
    struct livepatch_elf_sym *sym;
    unsigned int nsym;
};

#ifdef XEN_4_19
#define data addr
#define load_addr addr
#endif
#include "xen-page.h"

static struct livepatch_elf_sym symbols[SYMBOLS];
static Elf64_Shdr headers[2];

static int relocate(void)
{
    struct livepatch_elf elf = { "payload", symbols, SYMBOLS };
    struct livepatch_elf_sec base = { .sec = &headers[0], .name = ".text", .load_addr = text_bytes };
    struct livepatch_elf_sec rela = { .sec = &headers[1], .name = ".rela.text", .data = (void *)table };

    return arch_livepatch_perform_rela(&elf, &base, &rela);
}

static void reset(void)
{
    fresh_table();
    for (int i = 1; i < SYMBOLS; i++)
        symbols[i] = (struct livepatch_elf_sym){ &symtab[i], false };
    headers[0].sh_size = TEXT_SIZE;
    headers[1].sh_size = sizeof table;
    headers[1].sh_entsize = sizeof table[0];
}

static void refuses(int want)
{
    EQ(relocate(), want);
    is_untouched();
    reset();
}

int main(void)
{
    reset();
    EQ(relocate(), 0);
    is_applied();
    reset();
    table[1] = rela(16, NO_SYMBOL, R_X86_64_64, 0);
    refuses(-EOPNOTSUPP);
    symbols[GLOBAL].ignored = true;
    refuses(-EINVAL);
    symbols[GLOBAL].sym = NULL;
    refuses(-EINVAL);
    table[1] = rela(16, SYMBOLS, R_X86_64_64, 0);
    refuses(-EINVAL);
    table[1] = rela(TEXT_SIZE - 7, GLOBAL, R_X86_64_64, 0);
    refuses(-EINVAL);
    table[1] = rela(16, GLOBAL, R_X86_64_GOTPCREL, 0);
    refuses(-EOPNOTSUPP);
    table[1] = rela(16, GLOBAL, R_X86_64_PC32, INT64_C(0x7fffffff0));
    EQ(relocate(), -EOVERFLOW);
    CHECK(strstr(printed, "payload: .rela.text: ") != NULL && strstr(printed, "R_X86_64_PC32") != NULL);
    reset();
    headers[1].sh_entsize = 32;
    refuses(-EINVAL);
    return test_end("xen");
}
