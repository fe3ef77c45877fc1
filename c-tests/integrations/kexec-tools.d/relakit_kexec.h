/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef RELAKIT_KEXEC_H
#define RELAKIT_KEXEC_H

struct mem_ehdr;

/* Applies every relocation section of an object whose sections have their addresses (sh_addr) and their bytes (sh_data),
   or ends the program with a message. */
void relakit_kexec_relocate(struct mem_ehdr *ehdr);

#endif
