/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The guest's kernel, first half: as much as modules use. It is loaded by relakit, like everything else in the guest. */
int kernel_limit = 1000;

int kernel_add(int n)
{
    return n + kernel_limit;
}

/*
 * What is static is not exported; a livepatch may use it. The other half has another static function called scale. This one
 * comes first in the symbol table and last in memory: in a kernel, its address makes it the second.
 */
__attribute__((noinline, used, section(".text.last"))) static int scale(int n)
{
    return n + 20000;
}

__attribute__((noinline, used)) static int secret(int n)
{
    return 7 * n;
}

/* The kernel may not write its own code: the processor obeys the page tables that relakit was driven through. */
int kernel_writes_its_code(int n)
{
    *(volatile char *)(unsigned long)kernel_add = (char)n;
    return n;
}

/*
 * Where a processor begins: kernel_enter(function in %rdi, argument in %esi, CR3 in %rdx). Loading CR3 serialises: what was
 * written from outside before is what it executes. The result goes out through port 0xe9, the lowest byte first, and a write
 * to port 0xf4 is the end.
 */
__asm__(".pushsection .text\n"
        ".globl kernel_enter\n"
        "kernel_enter:\n"
        "    movq %rdx, %cr3\n"
        "    movq %rdi, %rax\n"
        "    movl %esi, %edi\n"
        "    call *%rax\n"
        "    movl $4, %ecx\n"
        "1:  outb %al, $0xe9\n"
        "    shrl $8, %eax\n"
        "    decl %ecx\n"
        "    jnz 1b\n"
        "    outb %al, $0xf4\n"
        "2:  hlt\n"
        "    jmp 2b\n"
        ".popsection\n");
