/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* PVH: an ELF note says where to enter. The kernel is loaded like any ELF program, at its physical addresses. */
#include "layout.h"

#define PHYS32_ENTRY 18

    .section .note.pvh, "a", @note
    .balign 4
    .long name_end - name
    .long 8 /* bytes of the address */
    .long PHYS32_ENTRY
name:
    .asciz "Xen"
name_end:
    .quad entry - KERNEL_BASE

    .section .text.start, "ax"
    .code32
    .globl entry
entry:
    movl $PROTOCOL_PVH, %edi
    movl %ebx, %esi
    jmp start32

    .section .note.GNU-stack, "", @progbits
