/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From 32 bits without paging to main(protocol, information) at KERNEL_BASE. There is no interrupt table: whatever
 * goes wrong resets the machine.
 */
#include "layout.h"

#define CR0_PROTECTION 0x1
#define CR0_WRITE_PROTECT 0x10000 /* pages that are not writable are not writable for the kernel either */
#define CR0_PAGING 0x80000000
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LONG_MODE 0x100
#define EFER_NO_EXECUTE 0x800

#define TABLE (PAGE_PRESENT + PAGE_WRITABLE)

    .section .text.start, "ax"
    .code32
    .globl start32
start32: /* %edi, %esi: the arguments of main */
    cli
    cld
    movl $CR4_PAE, %eax /* and no OSFXSR: an SSE instruction would be an invalid opcode */
    movl %eax, %cr4
    movl $(top_table - KERNEL_BASE), %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    movl $(EFER_LONG_MODE + EFER_NO_EXECUTE), %eax
    xorl %edx, %edx
    wrmsr
    movl $(CR0_PAGING + CR0_WRITE_PROTECT + CR0_PROTECTION), %eax
    movl %eax, %cr0
    lgdt gdt_pointer - KERNEL_BASE
    ljmp $8, $(start64 - KERNEL_BASE)

    .code64
start64:
    movabsq $1f, %rax
    jmp *%rax
1:  movq $0, top_table(%rip) /* from here on NULL, and an address that has lost its upper half, lead to nothing */
    movq %cr3, %rax
    movq %rax, %cr3
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    leaq stack_end(%rip), %rsp
    xorl %ebp, %ebp
    movl %edi, %edi
    movl %esi, %esi
    call main
    hlt

    .section .rodata, "a"
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* 64-bit code */
gdt_pointer:
    .word . - gdt - 1
    .long gdt - KERNEL_BASE

    .section .data.tables, "aw"
    .balign 4096
top_table:
    .quad low_gib - KERNEL_BASE + TABLE /* for the way through start64 */
    .fill 255, 8, 0
    .quad low_gib - KERNEL_BASE + TABLE + PAGE_NO_EXECUTE /* DIRECT_BASE */
    .fill 254, 8, 0
    .quad high_gibs - KERNEL_BASE + TABLE
low_gib:
    .quad physical - KERNEL_BASE + TABLE
    .fill 511, 8, 0
high_gibs:
    .fill 510, 8, 0
    .quad physical - KERNEL_BASE + TABLE /* KERNEL_BASE */
    .quad modules - KERNEL_BASE + TABLE  /* MODULES_BASE */
physical:
    .set page, 0
    .rept 512
    .quad page + PAGE_PRESENT + PAGE_WRITABLE + PAGE_LARGE
    .set page, page + 0x200000
    .endr
modules:
    .quad module_pages - KERNEL_BASE + TABLE
    .fill 511, 8, 0
    .globl module_pages
module_pages: /* memory.c fills it */
    .fill 512, 8, 0

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip 0x10000
stack_end:

    .section .note.GNU-stack, "", @progbits
