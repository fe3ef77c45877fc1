/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Multiboot (version 1): a header in the first 8 KiB of the file, and where it leads to. */
#include "layout.h"

#define HEADER_MAGIC 0x1badb002
#define LOADED_MAGIC 0x2badb002
#define HAS_ADDRESSES 0x10000 /* load by the addresses below: loaders of this protocol know no 64-bit ELF */

    .section .multiboot, "a"
    .balign 4
header:
    .long HEADER_MAGIC
    .long HAS_ADDRESSES
    .long -(HEADER_MAGIC + HAS_ADDRESSES)
    .long header - KERNEL_BASE
    .long kernel_begin - KERNEL_BASE
    .long kernel_data_end - KERNEL_BASE
    .long kernel_end - KERNEL_BASE
    .long entry - KERNEL_BASE

    .section .text.start, "ax"
    .code32
    .globl entry
entry:
    cmpl $LOADED_MAGIC, %eax
    jne .
    movl $PROTOCOL_MULTIBOOT, %edi
    movl %ebx, %esi
    jmp start32

    .section .note.GNU-stack, "", @progbits
