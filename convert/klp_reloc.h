/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Declares a symbol that the kernel or a module has and does not export:
 *
 *   extern char *saved_command_line KLP_RELOC_SYMBOL(vmlinux, vmlinux, saved_command_line);
 *   extern int loop_add(int i) KLP_RELOC_SYMBOL(loop, loop, loop_add);
 *
 * LP_OBJ is the object whose functions use the symbol: vmlinux, or a module that the livepatch
 * patches. SYM_OBJ is the object that has the symbol. SYM is the name in SYM_OBJ. Module names have
 * underscores, not hyphens.
 *
 * POS is 0 if the name is unique in SYM_OBJ, or N for the N-th symbol of this name. With auto,
 * relakit convert looks the position up.
 *
 * The symbol is weak, so that modpost accepts that no file defines it. relakit convert makes the
 * livepatch relocations from it.
 */
#ifndef KLP_RELOC_H
#define KLP_RELOC_H

/* An assembler needs quotes around a name with a comma. clang writes them itself. */
#ifdef __clang__
#define KLP_RELOC_QUOTE
#else
#define KLP_RELOC_QUOTE "\""
#endif

#define KLP_RELOC_SYMBOL_POS(LP_OBJ, SYM_OBJ, SYM, POS) \
	__asm__(KLP_RELOC_QUOTE ".klp.sym.rela." #LP_OBJ "." #SYM_OBJ "." #SYM "," #POS KLP_RELOC_QUOTE) \
	__attribute__((weak))

#define KLP_RELOC_SYMBOL(LP_OBJ, SYM_OBJ, SYM) KLP_RELOC_SYMBOL_POS(LP_OBJ, SYM_OBJ, SYM, 0)

#endif
