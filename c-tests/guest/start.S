/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where QEMU begins: by multiboot, in 32 bits without paging. Turns paging on with tables of its own, which have this code
 * at its physical address and the highest 512 GiB of the guest, and goes to kernel_enter, which takes the guest's tables.
 */
#include "start.h"

#define MULTIBOOT 0x1badb002

    .text
    .code32
    .balign 4
    .long MULTIBOOT, 0, -MULTIBOOT /* in the first 8 KiB of the file */
    .globl start
start:
    cli
    movl START_PARAMETERS + START_ROOT, %esi /* the guest's tables are below 4 GiB */
    movl 511 * 8(%esi), %eax
    movl %eax, top_table + 511 * 8
    movl 511 * 8 + 4(%esi), %eax
    movl %eax, top_table + 511 * 8 + 4
    movl $0x20, %eax /* CR4: PAE */
    movl %eax, %cr4
    movl $top_table, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER: long mode, no-execute */
    movl $0x900, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80010031, %eax /* CR0: as in kvm.c */
    movl %eax, %cr0
    lidt nothing
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    movl $16, %eax
    movl %eax, %ss
    movq START_PARAMETERS + START_STACK, %rsp
    movq START_PARAMETERS + START_FUNCTION, %rdi
    movq START_PARAMETERS + START_ARGUMENT, %rsi
    movq START_PARAMETERS + START_ROOT, %rdx
    jmp *START_PARAMETERS + START_ENTER

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* 64-bit code */
    .quad 0x00cf92000000ffff /* data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt
nothing: /* an exception resets the machine */
    .word 0
    .long 0
    .balign 4096
top_table:
    .long third_table + 3, 0
    .fill 511, 8, 0
third_table:
    .long second_table + 3, 0
    .fill 511, 8, 0
second_table:
    .quad 0x83 /* the lowest 2 MiB */
    .fill 511, 8, 0
    .section .note.GNU-stack, "", @progbits
