/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A livepatch for the module `target`. KLP says whose symbol a name stands for: the only one (0), or the n-th of that name;
 * relakit convert makes the sections for them.
 */
#include "../../../convert/klp_reloc.h"

#define KLP(object, name, position) KLP_RELOC_SYMBOL_POS(object, object, name, position)

extern int kernel_add(int n);
extern int kernel_secret(int n) KLP(vmlinux, secret, 1);
extern int kernel_scale(int n) KLP(vmlinux, scale, 2);
extern int target_step(int n) KLP(target, step, 2);

/*
 * Fields that lie in two pages: an early call with two bytes in each, a late call with one byte and three, and a late
 * pointer with three and five. The pages are neighbours only where the code runs.
 */
__asm__(".pushsection .text.edge, \"ax\"\n"
        ".balign 4096\n"
        ".org 4096 - 7, 0xcc\n"
        ".globl patch_early_edge, patch_late_edge, patch_counter\n"
        "patch_early_edge:\n"
        "    subq $8, %rsp\n"
        "    call \".klp.sym.rela.vmlinux.vmlinux.secret,1\"\n"
        "    addq $8, %rsp\n"
        "    ret\n"
        ".org 2 * 4096 - 6, 0xcc\n"
        "patch_late_edge:\n"
        "    subq $8, %rsp\n"
        "    call \".klp.sym.rela.target.target.step,2\"\n"
        "    addq $8, %rsp\n"
        "    ret\n"
        ".section .data.edge, \"aw\"\n"
        ".balign 4096\n"
        ".org 4096 - 3\n"
        "patch_counter:\n"
        "    .quad \".klp.sym.rela.target.target.target_count,0\"\n"
        ".popsection\n");

extern int patch_late_edge(int n);

/* NULL until the target comes, and again when it has gone. */
typedef int *volatile pointer __attribute__((aligned(1)));
extern pointer patch_counter;

/* Can be called as soon as the patch is loaded. */
int patch_early(int n)
{
    return kernel_secret(n) + kernel_scale(n);
}

/* Can be called while the target is there: replaces its target_submit. */
int patch_submit(int n)
{
    *patch_counter += 1000;
    return kernel_add(target_step(n)) + patch_late_edge(n);
}
