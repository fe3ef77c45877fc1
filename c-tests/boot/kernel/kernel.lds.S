/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel as a file: loaded at KERNEL_START, running at KERNEL_BASE + KERNEL_START. */
#include "layout.h"

ENTRY(entry)
PHDRS
{
    code PT_LOAD FLAGS(5);
    data PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
}
SECTIONS
{
    . = KERNEL_BASE + KERNEL_START;
    kernel_begin = .;
    .text : AT(ADDR(.text) - KERNEL_BASE) {
        KEEP(*(.multiboot))
        *(.text.start)
        . = ALIGN(4096); /* the rest has the same addresses whatever the protocol is */
        *(.text .text.*)
        *(.rodata .rodata.*)
        . = ALIGN(8);
        kernel_symbols = .; /* symbols.c */
        KEEP(*(.symbols))
        kernel_symbols_end = .;
    } :code
    .note : AT(ADDR(.note) - KERNEL_BASE) { KEEP(*(.note.pvh)) } :code :note
    . = ALIGN(4096);
    .data : AT(ADDR(.data) - KERNEL_BASE) { *(.data .data.*) } :data
    kernel_data_end = .;
    .bss : AT(ADDR(.bss) - KERNEL_BASE) { *(.bss .bss.*) } :data
    kernel_end = .;
    /DISCARD/ : { *(.comment) *(.eh_frame) *(.note.GNU-stack) *(.note.gnu.property) }
}
