# SPDX-License-Identifier: MIT OR Apache-2.0
# Every instruction form and every relocation type that refers to a GOT, with several addends. Two linkers and relakit place
# it at the same address; compare.c compares.
    .text
    .globl forms_start
forms_start:

    .macro form text:vararg
    .balign 16, 0x90
    \text
    .endm

    # What compilers make: the assembler chooses GOTPCRELX, REX_GOTPCRELX or GOTPCREL.
    # An undefined weak symbol and an absolute one are not here: GNU ld replaces their instructions even without relaxation.
    .irp symbol, foo, bar, own, hidden
    .irp register, eax, ecx, edx, ebx, esi, edi, ebp, esp, r8d, r12d, r13d, r15d, rax, rcx, rdx, rbx, rsi, rdi, rbp, rsp, r8, r12, r13, r15
    form mov \symbol@GOTPCREL(%rip), %\register
    .endr
    form call *\symbol@GOTPCREL(%rip)
    form jmp *\symbol@GOTPCREL(%rip)
    form push \symbol@GOTPCREL(%rip)
    .irp operation, adc, add, and, cmp, or, sbb, sub, xor
    .irp register, eax, rax, r8
    form \operation \symbol@GOTPCREL(%rip), %\register
    .endr
    .endr
    .irp register, eax, rax, r13
    form test %\register, \symbol@GOTPCREL(%rip)
    .endr
    form notrack call *\symbol@GOTPCREL(%rip)
    form lea \symbol@GOTPCREL(%rip), %rax
    form mov %rax, \symbol@GOTPCREL(%rip)
    form add %rax, \symbol@GOTPCREL(%rip)
    form movzbl \symbol@GOTPCREL(%rip), %eax
    form imul \symbol@GOTPCREL(%rip), %rax
    form cmove \symbol@GOTPCREL(%rip), %rax
    form xchg \symbol@GOTPCREL(%rip), %rax
    form movq \symbol@GOTPCREL(%rip), %xmm0
    form cmpq $0, \symbol@GOTPCREL(%rip)
    form testl $1, \symbol@GOTPCREL(%rip)
    form movabs $\symbol@GOT, %rax
    .endr

    # The large model, for symbols that a linker knows: others have no place relative to the GOT.
    .irp symbol, foo, bar, own, hidden
    form movabs $\symbol@GOTOFF, %rax
    form movabs $\symbol@GOTOFF + 24, %rax
    form movabs $\symbol@PLTOFF, %rax
    .endr
    form lea _GLOBAL_OFFSET_TABLE_(%rip), %rbx
    form movabs $_GLOBAL_OFFSET_TABLE_, %r11

    # Types and addends as they stand, whatever the instruction is.
    .macro entry type, symbol, addend, size
    .balign 16, 0x90
    .byte 0x48, 0x8b, 0x05
    .reloc ., R_X86_64_\type, \symbol + \addend
    .skip \size
    .endm
    .irp addend, -4, -8, -5, 0, 1, 4, 100
    .irp type, GOTPCREL, GOTPCRELX, REX_GOTPCRELX
    entry \type, foo, \addend, 4
    entry \type, own, \addend, 4
    .endr
    .ifndef WITHOUT_GOTPCREL64 # lld 14 does not know it
    entry GOTPCREL64, foo, \addend, 8
    .endif
    entry GOT64, bar, \addend, 8
    .endr

own:
    ret
    .hidden hidden
