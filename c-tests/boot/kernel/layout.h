/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The kernel's address space, for C, the assembler and the linker.
 *
 * Everything is within the first GiB of physical memory. A module is written through the direct map, and runs somewhere
 * else: the two highest GiB are what 32-bit relocations reach, so that is where kernels and their modules live.
 */
#define DIRECT_BASE 0xffff800000000000  /* physical memory: can be written, cannot be executed */
#define KERNEL_BASE 0xffffffff80000000  /* physical memory: where the kernel runs */
#define KERNEL_START 0x100000           /* the kernel's physical address */
#define MODULES_BASE 0xffffffffc0000000 /* modules run here */

/* Bits of page table entries. */
#define PAGE_PRESENT 0x1
#define PAGE_WRITABLE 0x2
#define PAGE_LARGE 0x80
#define PAGE_NO_EXECUTE 0x8000000000000000

/* Who has started the kernel: multiboot.S or pvh.S. */
#define PROTOCOL_MULTIBOOT 1
#define PROTOCOL_PVH 2
