/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An object with every relocation type that both loaders know, in text, read-only and writable data, against local, global,
   absolute and weak symbols. With one of the macros below it is one that they should not load. */

	.text
	.globl purgatory_start
purgatory_start:
	movabs $value, %rax		/* 64 */
	lea value(%rip), %rcx		/* PC32 */
	call helper@PLT			/* PLT32 */
	mov $low, %edx			/* 32 */
	mov $high, %rdx			/* 32S */
	call nobody			/* PLT32, weak and undefined */
	ret
	.globl helper
helper:
	ret
	.weak nobody
	.globl low
	.set low, 0xfffffff0
	.globl high
	.set high, 0xffffffff80000000

	.section .rodata, "a", @progbits
	.quad purgatory_start, value, low, high
	.long helper - .
	.reloc ., R_X86_64_NONE, value

	.data
	.balign 64
	.globl value
value:
	.quad value + 0x1234
	.quad common_end - 1
	.long low

	.bss
	.balign 4096
	.skip 4096
	.globl common_end
common_end:

#ifdef FAR
	/* PC32 that does not fit. */
	.text
	.globl far
	.set far, 0x7fff00000000
	.long far - .
#endif
#ifdef WIDE
	/* 32 that does not fit. */
	.data
	.globl wide
	.set wide, 0x100000000
	.long wide
#endif
#ifdef FULL
	/* A field that is not zero. */
	.data
	.quad 0x1122334455667788
	.reloc . - 8, R_X86_64_64, value
#endif
#ifdef TYPE
	/* A type that is not applied. */
	.text
	mov value@GOTPCREL(%rip), %rax
#endif
#ifdef UNDEFINED
	.text
	call missing
#endif
#ifdef BSS
	/* A relocation into memory that has no bytes in the file. */
	.bss
	.skip 64
	.reloc . - 8, R_X86_64_64, value
#endif
	.section .note.GNU-stack, "", @progbits
