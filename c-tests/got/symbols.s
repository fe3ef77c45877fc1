# SPDX-License-Identifier: MIT OR Apache-2.0
# What forms.s refers to.
    .text
    .globl _start, foo, hidden
_start:
    nop
    .hidden hidden
foo:
    ret
hidden:
    ret
    .data
    .globl bar
bar:
    .quad 0
