/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A livepatch for the module `target`. It uses what nobody exports: of the kernel, which is called vmlinux, and of the
 * target. KLP says whose symbol a name stands for: the only one (0), or the n-th of that name. relakit convert does the rest.
 */
#include "../../convert/klp_reloc.h"

#define KLP(object, name, position) KLP_RELOC_SYMBOL_POS(object, object, name, position)

extern int kernel_secret(int n) KLP(vmlinux, secret, 0);
extern int kernel_scale(int n) KLP(vmlinux, scale, 2);
extern int kernel_verbose KLP(vmlinux, verbose, 0);
extern int target_step(int n) KLP(target, step, 2);
extern int target_count KLP(target, target_count, 0);

/* NULL until the target comes, and again when it has gone. */
int *volatile patch_counter = &target_count;

/* Can be called as soon as the patch is loaded. */
int patch_early(int n)
{
    return kernel_secret(n) + kernel_scale(n);
}

/*
 * Five bytes that do nothing, and an entry in __jump_table: where they are, where to jump instead, and the variable that
 * decides. A kernel reads it once, when the module is loaded, and not before the variable's address is known.
 */
int patch_verbose(int n)
{
    __asm__ goto("1: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
                 ".pushsection __jump_table, \"aw\"\n"
                 ".balign 8\n"
                 ".long 1b - ., %l[yes] - .\n"
                 ".globl patch_key\n"
                 "patch_key: .quad %c0 - .\n"
                 ".popsection"
                 :
                 : "i"(&kernel_verbose)
                 :
                 : yes);
    return n;
yes:
    return n + 1;
}

/* Can be called while the target is there: replaces its target_submit. */
int patch_submit(int n)
{
    *patch_counter += 1000;
    return target_step(n) + kernel_secret(n);
}
