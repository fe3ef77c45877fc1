/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Relocates kexec's purgatory with relakit. Compiled inside kexec-tools, next to kexec/kexec-elf-rel.c; see
   docs/loaders/kexec-tools.md. */

#define _GNU_SOURCE /* for kexec.h */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kexec.h"
#include "kexec-elf.h"

#include "relakit.h"
#include "relakit_kexec.h"

struct symbol_table {
	const struct mem_ehdr *ehdr;
	const unsigned char *bytes;
};

/* The value of a symbol at run time. relakit has checked that the table has this symbol. */
static int32_t symbol_value(void *ctx, uint32_t symbol, uint64_t *value)
{
	const struct symbol_table *table = ctx;
	Elf64_Sym sym;

	memcpy(&sym, table->bytes + symbol * sizeof(sym), sizeof(sym));
	if (sym.st_shndx == SHN_UNDEF) {
		if (symbol != 0 && ELF64_ST_BIND(sym.st_info) != STB_WEAK)
			return RELAKIT_NOT_FOUND;
		*value = 0;
	} else if (sym.st_shndx == SHN_ABS) {
		*value = sym.st_value;
	} else if (sym.st_shndx < table->ehdr->e_shnum) {
		*value = table->ehdr->e_shdr[sym.st_shndx].sh_addr + sym.st_value;
	} else {
		return RELAKIT_NOT_FOUND; /* a common symbol, for example */
	}
	return RELAKIT_OK;
}

static void relocate(struct mem_ehdr *ehdr, unsigned index)
{
	const struct mem_shdr *rela = &ehdr->e_shdr[index];
	const struct mem_shdr *section = &ehdr->e_shdr[rela->sh_info];
	const struct mem_shdr *symtab = &ehdr->e_shdr[rela->sh_link];
	/* The psABI as written: unlike in the loop that this replaces, PC32 and PLT32 must fit. */
	const struct relakit_options options = {
		.struct_size = sizeof(options), .profile = RELAKIT_PROFILE_ELF,
	};
	struct symbol_table table = { .ehdr = ehdr, .bytes = symtab->sh_data };
	const struct relakit_symbols symbols = {
		.value = symbol_value, .ctx = &table, .count = symtab->sh_size / sizeof(Elf64_Sym),
	};
	const struct relakit_target target = {
		.bytes = (void *)section->sh_data,
		.size = section->sh_type == SHT_NOBITS ? 0 : section->sh_size,
		.address = section->sh_addr,
	};
	struct relakit_error error;
	char text[300];

	if (relakit_apply(rela->sh_data, rela->sh_size, &symbols, &target, &options, &error) == RELAKIT_OK)
		return;
	relakit_error_format(&error, NULL, text, sizeof(text));
	die("relakit: section %u: %s\n", index, text);
}

void relakit_kexec_relocate(struct mem_ehdr *ehdr)
{
	unsigned i;

	if (ehdr->ei_class != ELFCLASS64 || ehdr->e_machine != EM_X86_64)
		die("relakit: not an x86-64 ELF64 object\n");

	for (i = 1; i < ehdr->e_shnum; i++) {
		const struct mem_shdr *rela = &ehdr->e_shdr[i];

		if (rela->sh_type != SHT_RELA && rela->sh_type != SHT_REL)
			continue;
		if (rela->sh_info >= ehdr->e_shnum || rela->sh_link >= ehdr->e_shnum)
			die("relakit: section %u names a section that does not exist\n", i);
		if (!(ehdr->e_shdr[rela->sh_info].sh_flags & SHF_ALLOC))
			continue;
		if (rela->sh_type == SHT_REL)
			die("relakit: section %u is REL, which x86-64 does not use\n", i);
		if (ehdr->e_shdr[rela->sh_link].sh_type != SHT_SYMTAB)
			die("relakit: section %u names section %u as its symbol table\n", i, rela->sh_link);
		relocate(ehdr, i);
	}
}
