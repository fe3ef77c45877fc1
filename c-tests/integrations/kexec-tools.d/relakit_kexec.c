/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Relocates kexec's purgatory with relakit. Compiled inside kexec-tools, next to kexec/kexec-elf-rel.c; see
   docs/loaders/kexec-tools.md. */

#define _GNU_SOURCE /* for kexec.h */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kexec.h"
#include "kexec-elf.h"

#include "relakit.h"
#include "relakit_kexec.h"

/* The run-time value of every symbol of one table, by index; the caller frees it. */
static uint64_t *symbol_values(const struct mem_ehdr *ehdr, const struct mem_shdr *symtab, size_t count)
{
	uint64_t *values = xmalloc(count * sizeof(*values));
	size_t i;

	for (i = 0; i < count; i++) {
		Elf64_Sym sym;

		memcpy(&sym, symtab->sh_data + i * sizeof(sym), sizeof(sym));
		if (sym.st_shndx == SHN_UNDEF) {
			if (i != 0 && ELF64_ST_BIND(sym.st_info) != STB_WEAK)
				die("relakit: symbol %zu is undefined\n", i);
			values[i] = 0;
		} else if (sym.st_shndx == SHN_ABS) {
			values[i] = sym.st_value;
		} else if (sym.st_shndx < ehdr->e_shnum) {
			values[i] = ehdr->e_shdr[sym.st_shndx].sh_addr + sym.st_value;
		} else {
			die("relakit: symbol %zu is in section %u, which does not exist\n", i, (unsigned)sym.st_shndx);
		}
	}
	return values;
}

/* Ends the program with everything that is known of a fault. */
static void fail(size_t section, const struct relakit_error *error)
{
	const uint64_t numbers[] = { error->offset, error->value, error->limit };
	const char *type;
	unsigned i;

	fprintf(stderr, "relakit: section %zu", section);
	if (error->has & RELAKIT_ERROR_HAS_ENTRY)
		fprintf(stderr, ", entry %llu", (unsigned long long)error->entry);
	if (error->has & RELAKIT_ERROR_HAS_SYMBOL)
		fprintf(stderr, ", symbol %u", error->symbol);
	if (error->has & RELAKIT_ERROR_HAS_TYPE) {
		type = relakit_type_name(error->r_type);
		fprintf(stderr, ", type %u %s", error->r_type, type ? type : "");
	}
	fprintf(stderr, ": %s", relakit_strerror(error->status));
	for (i = 0; i < 3; i++) {
		const char *name = relakit_error_field_name(error->status, i);

		if (name && *name)
			fprintf(stderr, ", %s %#llx", name, (unsigned long long)numbers[i]);
	}
	die("\n");
}

void relakit_kexec_relocate(struct mem_ehdr *ehdr)
{
	/* The psABI as written: unlike the loop that this replaces, PC32 and PLT32 must fit. */
	const struct relakit_options options = {
		.struct_size = sizeof(options),
		.profile = RELAKIT_PROFILE_ELF,
	};
	size_t i;

	if (ehdr->ei_class != ELFCLASS64 || ehdr->e_machine != EM_X86_64)
		die("relakit: not an x86-64 ELF64 object\n");

	for (i = 1; i < ehdr->e_shnum; i++) {
		const struct mem_shdr *rela = &ehdr->e_shdr[i], *section, *symtab;
		struct relakit_symbols symbols;
		struct relakit_target target;
		struct relakit_error error;
		uint64_t *values;

		if (rela->sh_type != SHT_RELA && rela->sh_type != SHT_REL)
			continue;
		if (rela->sh_info >= ehdr->e_shnum || rela->sh_link >= ehdr->e_shnum)
			die("relakit: section %zu names a section that does not exist\n", i);
		section = &ehdr->e_shdr[rela->sh_info];
		symtab = &ehdr->e_shdr[rela->sh_link];
		if (!(section->sh_flags & SHF_ALLOC))
			continue;
		if (rela->sh_type == SHT_REL)
			die("relakit: section %zu is REL, which x86-64 does not use\n", i);
		if (symtab->sh_type != SHT_SYMTAB)
			die("relakit: section %zu names section %u as its symbol table\n", i, rela->sh_link);

		memset(&symbols, 0, sizeof(symbols));
		symbols.count = symtab->sh_size / sizeof(Elf64_Sym);
		symbols.values = values = symbol_values(ehdr, symtab, symbols.count);

		memset(&target, 0, sizeof(target));
		if (section->sh_type != SHT_NOBITS) {
			target.bytes = (void *)section->sh_data;
			target.size = section->sh_size;
		}
		target.address = section->sh_addr;

		if (relakit_apply(rela->sh_data, rela->sh_size, &symbols, &target, &options, &error) != RELAKIT_OK)
			fail(i, &error);
		free(values);
	}
}
