/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An object with every relocation type that both loaders know, in text, read-only and writable data, against local, global,
   absolute and weak symbols. With one of the macros below it is one that they should not load. */

	.text
	.globl purgatory_start
purgatory_start:
	movabs $value, %rax		/* 64 */
	lea value(%rip), %rcx		/* PC32 */
	call helper@PLT			/* PLT32 */
	.byte 0xba			/* mov $low, %edx: 32 */
	.reloc ., R_X86_64_32, low
	.long 0
	.byte 0x48, 0xc7, 0xc2		/* mov $high, %rdx: 32S */
	.reloc ., R_X86_64_32S, high
	.long 0
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
	.quad purgatory_start, value, nobody
	.reloc ., R_X86_64_64, high
	.quad 0
	.long helper - .
	.reloc ., R_X86_64_NONE, value

	.data
	.balign 64
	.globl value
value:
	.quad value + 0x1234
	.quad common_end - 1
	.reloc ., R_X86_64_32, low
	.long 0

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
	.reloc ., R_X86_64_PC32, far
	.long 0
#endif
#ifdef WIDE
	/* 32 that does not fit. */
	.data
	.globl wide
	.set wide, 0x100000000
	.reloc ., R_X86_64_32, wide
	.long 0
#endif
#ifdef FULL
	/* A field that is not zero. */
	.data
	.quad 0x1122334455667788
	.reloc . - 8, R_X86_64_64, value
#endif
#ifdef TYPE
	/* A type that is not applied. */
	.data
	.reloc ., R_X86_64_16, value
	.short 0
#endif
#ifdef UNDEFINED
	.text
	call missing
#endif
	.section .note.GNU-stack, "", @progbits
