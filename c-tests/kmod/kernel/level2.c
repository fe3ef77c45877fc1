// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Level 2: what level 3 has applied is cleared, table by table, and applied again, by the function that replaces
 * apply_relocate_add. It gets what apply_relocate_add gets: the number of section headers is unknown. The sections are
 * behind the writer, because the addresses in the headers are those of the kernel's copy.
 */
#include "relakit_test.h"

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>

/* Section headers with addresses, as the kernel has them. Tables stay in the file. */
static Elf64_Shdr *headers_of(const struct watched *w)
{
	const Elf64_Ehdr *file = w->file;
	Elf64_Shdr *headers = kvmalloc_array(w->section_count, sizeof(*headers), GFP_KERNEL);
	u32 i;

	if (!headers)
		return NULL;
	memcpy(headers, w->file + file->e_shoff, w->section_count * sizeof(*headers));
	for (i = 1; i < w->section_count; i++)
		headers[i].sh_addr = w->sections[i].in_memory ? w->sections[i].address :
								(u64)w->file + headers[i].sh_offset;
	return headers;
}

/* The symbol table with the values of the early pass. */
static Elf64_Sym *symbols_of(const struct watched *w, const Elf64_Shdr *table)
{
	Elf64_Sym *symbols = kvmalloc(table->sh_size, GFP_KERNEL);
	u32 i;

	if (!symbols)
		return NULL;
	memcpy(symbols, w->file + table->sh_offset, table->sh_size);
	for (i = 0; i < w->symbol_count; i++)
		symbols[i].st_value = w->values[i];
	return symbols;
}

static int run_tables(struct watched *w, const struct relakit_sechdrs *sechdrs)
{
	const struct relakit_writer writer = copy_writer(w);
	const struct relakit_options options = {
		.struct_size = sizeof(options), .flags = RELAKIT_OPT_ALLOW_ZERO_SYMBOLS,
		.profile = RELAKIT_LINUX(LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL),
	};
	u32 step, tables = 0;

	for (step = 1; step < 2 * w->section_count; step++) {
		const bool applies = step > w->section_count;
		const u32 i = applies ? step - w->section_count : w->section_count - step;
		struct relakit_section table;
		struct relakit_error error;

		if (i == 0 || step == w->section_count)
			continue;
		if (!describe_section(w, i, &table))
			return -EINVAL;
		if (table.section_class != RELAKIT_CLASS_ORDINARY)
			continue;
		if (applies ? relakit_apply_relocate_add(sechdrs, i, &writer, &options, &error) :
			      relakit_clear_relocate_add(sechdrs, i, &writer, &options, &error))
			return explain(w, applies ? "level 2, apply" : "level 2, clear", &error);
		tables++;
	}
	if (tables == 0)
		return -ENODATA;
	pr_info("%s: level 2: %u tables are cleared and applied again\n", w->name, tables / 2);
	return 0;
}

/* After the early pass of level 3. */
int level2_again(struct watched *w)
{
	struct relakit_module_info info = { .struct_size = sizeof(info) };
	struct relakit_sechdrs sechdrs = {
		.struct_size = sizeof(sechdrs), .section_count = RELAKIT_SECTION_COUNT_UNKNOWN,
	};
	Elf64_Shdr *headers = headers_of(w);
	Elf64_Sym *symbols = NULL;
	struct relakit_error error;
	int failed = -ENOMEM;

	if (relakit_module_describe(w->module, &info, &error))
		failed = explain(w, "level 2", &error);
	else if (headers)
		symbols = symbols_of(w, &headers[info.symbols_section]);
	if (symbols) {
		headers[info.symbols_section].sh_addr = (u64)symbols;
		sechdrs.sechdrs = headers;
		sechdrs.symindex = info.symbols_section;
		failed = run_tables(w, &sechdrs);
	}
	kvfree(symbols);
	kvfree(headers);
	return failed;
}
