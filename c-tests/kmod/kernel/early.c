// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * relakit's side: the same file, relocated for the addresses where the kernel has it, in memory of our own. Then every
 * field and every byte is compared. Nothing is left out, with two exceptions: the kernel has sorted the exception table,
 * which is compared entry by entry, and struct module is in use, of which the relocated fields are compared.
 */
#include "relakit_test.h"

#include <linux/string.h>

#define EXTABLE "__ex_table"
#define THIS_MODULE_SECTION ".gnu.linkonce.this_module"

int explain(const struct watched *w, const char *what, const struct relakit_error *error)
{
	const char *type = error->has & RELAKIT_ERROR_HAS_TYPE ? relakit_type_name(error->r_type) : NULL;

	pr_err("%s: %s: section %u, entry %llu, %s, symbol %u: %s (offset %#llx, value %#llx, limit %#llx)\n", w->name,
	       what, error->section, error->entry, type ?: "no type", error->symbol, relakit_strerror(error->status),
	       error->offset, error->value, error->limit);
	return -(error->linux_errno ?: EINVAL);
}

bool describe_section(struct watched *w, u32 index, struct relakit_section *section)
{
	struct relakit_error error;

	*section = (struct relakit_section){ .struct_size = sizeof(*section) };
	if (relakit_module_section(w->module, index, section, &error) == RELAKIT_OK)
		return true;
	explain(w, "section", &error);
	return false;
}

/* Tables need not be aligned in the file. */
Elf64_Rela rela_at(const struct relakit_section *table, u64 index)
{
	Elf64_Rela rela;

	memcpy(&rela, table->content + index * sizeof(rela), sizeof(rela));
	return rela;
}

/* Bytes that a relocation of this type writes. */
u32 field_size(u64 r_info)
{
	switch (ELF_R_TYPE(r_info)) {
	case R_X86_64_NONE:
		return 0;
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	default:
		return 4;
	}
}

/* Where each section runs, and our bytes of it. */
static void place(struct watched *w, enum fault fault)
{
	u32 i;

	for (i = 1; i < w->section_count; i++) {
		const struct section *section = &w->sections[i];
		struct relakit_section_memory *place = &w->places[i];

		if (!section->in_memory && i != w->per_cpu_section)
			continue;
		place->flags = RELAKIT_MEMORY_PRESENT;
		place->bytes = section->size ? w->ours + section->at : NULL;
		place->size = section->size;
		place->address = section->address;
		if (fault == FAULT_ADDRESS && strcmp(section->name, ".text") == 0)
			place->address += 16;
		if (i == w->per_cpu_section) {
			place->flags |= RELAKIT_MEMORY_SYMBOLS_AT;
			place->symbols_at = w->per_cpu + (fault == FAULT_PER_CPU);
		}
	}
	w->memory = (struct relakit_memory){
		.struct_size = sizeof(w->memory), .sections = w->places, .count = w->section_count,
	};
}

static struct section *section_called(struct watched *w, const char *name)
{
	u32 i;

	for (i = 1; i < w->section_count; i++)
		if (strcmp(w->sections[i].name, name) == 0)
			return &w->sections[i];
	return &w->sections[0];	/* at the beginning */
}

static int different(const struct watched *w, u32 section, u64 offset, const char *what)
{
	const struct section *s = &w->sections[section];

	pr_err("%s: %s differs: section %u %s, offset %#llx: relakit %*ph, kernel %*ph\n", w->name, what, section, s->name,
	       offset, (int)min_t(u64, 8, s->size - offset), w->ours + s->at + offset,
	       (int)min_t(u64, 8, s->size - offset), w->theirs + s->at + offset);
	return -EILSEQ;
}

/* All fields that one table writes. Of an exception table they are compared with the rest of it. */
static int compare_fields(struct watched *w, const struct relakit_section *table)
{
	const struct section *target = &w->sections[table->target];
	u64 i;

	totals.tables++;
	for (i = 0; i < table->sh_size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela rela = rela_at(table, i);
		u32 size = field_size(rela.r_info);

		if (strcmp(target->name, EXTABLE) != 0 &&
		    memcmp(w->ours + target->at + rela.r_offset, w->theirs + target->at + rela.r_offset, size) != 0)
			return different(w, table->target, rela.r_offset, "field");
		if (size)
			totals.fields++;
	}
	return 0;
}

/* An entry of an exception table: two distances, each from its own place, and what is to be done. */
struct entry {
	s32 instruction, fixup, data;
};

static bool same_entry(u64 at, const struct entry *entry, u64 other_at, const struct entry *other)
{
	return at + entry->instruction == other_at + other->instruction &&
	       at + entry->fixup == other_at + other->fixup && entry->data == other->data;
}

/* Every entry of ours is one of theirs, and each of theirs is taken once. */
static int compare_extable(struct watched *w, u32 index)
{
	const struct section *section = &w->sections[index];
	struct entry *ours = (void *)(w->ours + section->at), *theirs = (void *)(w->theirs + section->at);
	const struct entry taken = {};
	u64 count = section->size / sizeof(*ours), i, j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < count; j++)
			if (same_entry(section->address + i * sizeof(*ours), &ours[i],
				       section->address + j * sizeof(*ours), &theirs[j]))
				break;
		if (j == count)
			return different(w, index, i * sizeof(*ours), "entry");
		theirs[j] = taken;
	}
	return 0;
}

static int compare_bytes(struct watched *w, u32 index)
{
	const struct section *section = &w->sections[index];
	u64 offset;

	if (strcmp(section->name, EXTABLE) == 0)
		return compare_extable(w, index);
	if (strcmp(section->name, THIS_MODULE_SECTION) == 0)
		return 0;
	for (offset = 0; offset < section->size; offset++)
		if (w->ours[section->at + offset] != w->theirs[section->at + offset])
			return different(w, index, offset, "byte");
	totals.bytes += section->size;
	return 0;
}

static int compare(struct watched *w)
{
	int failed;
	u32 i;

	for (i = 1; i < w->section_count; i++) {
		struct relakit_section section;

		if (!describe_section(w, i, &section))
			return -EINVAL;
		if (section.section_class == RELAKIT_CLASS_ORDINARY || section.section_class == RELAKIT_CLASS_KLP_EARLY) {
			failed = compare_fields(w, &section);
			if (failed)
				return failed;
		}
	}
	for (i = 1; i < w->section_count; i++) {
		if (!w->sections[i].in_memory || !w->sections[i].size)
			continue;
		failed = compare_bytes(w, i);
		if (failed)
			return failed;
		totals.sections++;
	}
	return 0;
}

/* Once the kernel has loaded the module, and symbols are known. */
int early(struct watched *w, enum fault fault)
{
	const struct relakit_resolver resolver = symbols_resolver(fault);
	const struct totals before = totals;
	struct relakit_error error;
	int failed;

	if (!w->seen)
		return -ENODATA;
	place(w, fault);
	if (relakit_module_assign(w->module, &w->memory, &error) || relakit_module_fill(w->module, &w->memory, &error) ||
	    relakit_module_early(w->module, &w->memory, w->values, w->symbol_count, &resolver, &error))
		return explain(w, "early", &error);
	/* With a mistake of ours, clearing would notice it before the comparison. */
	failed = fault == FAULT_NONE ? level2_again(w) : 0;
	if (failed)
		return failed;
	if (fault == FAULT_BYTE)
		w->ours[section_called(w, ".text")->at] ^= 1;
	failed = compare(w);
	if (failed)
		return failed;
	totals.modules++;
	totals.per_cpu += w->per_cpu_section != 0;
	pr_info("%s: early: %llu fields of %llu tables, %llu bytes of %llu sections: as in the kernel\n", w->name,
		totals.fields - before.fields, totals.tables - before.tables, totals.bytes - before.bytes,
		totals.sections - before.sections);
	return 0;
}
