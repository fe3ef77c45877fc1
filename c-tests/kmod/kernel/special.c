// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The module as it runs: alternatives, return thunks, jump labels and the like have been patched since it was relocated. A
 * field of its code or constants holds what relakit wrote, or lies where an entry of a special section says that code is
 * rewritten. The entries are read from relakit's own copy, which nobody has patched.
 */
#include "relakit_test.h"

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

/* Sections whose entries say where code is rewritten, and how many fields it was. Each has a bit. */
#define REASONS 32
static struct reason {
	char name[32];
	u64 fields;
} reasons[REASONS];

/* The bit of a section; 0 when there are too many, and what it says will not count. */
static u32 reason_of(const char *name)
{
	u32 i;

	for (i = 0; i < REASONS; i++) {
		if (!reasons[i].name[0])
			strscpy(reasons[i].name, name, sizeof(reasons[i].name));
		if (strcmp(reasons[i].name, name) == 0)
			return 1u << i;
	}
	return 0;
}

/* An instruction may be in several sections: ftrace and call depth tracking both know the calls of __fentry__. */
void report_rewritten(void)
{
	u32 i;

	for (i = 0; i < REASONS; i++)
		if (reasons[i].fields)
			pr_info("rewritten fields in %s: %llu\n", reasons[i].name, reasons[i].fields);
}

/* An entry begins with the distance from itself to the code, or with its address. */
static u64 code_of(const struct section *section, const u8 *entry, u64 offset)
{
	s32 distance;
	u64 address;

	if (strcmp(section->name, "__mcount_loc") == 0 || strcmp(section->name, ".parainstructions") == 0) {
		memcpy(&address, entry, sizeof(address));
		return address;
	}
	memcpy(&distance, entry, sizeof(distance));
	return section->address + offset + distance;
}

/* Bytes of code that are rewritten: as many as the entry says, or one instruction. */
static u32 length_of(const char *name, const u8 *entry, u32 entry_size, const u8 *code)
{
	if (strcmp(name, ".altinstructions") == 0)
		return entry[entry_size - 2];
	if (strcmp(name, ".parainstructions") == 0)
		return entry[9];
	if (strcmp(name, ".smp_locks") == 0)
		return 1;	/* the prefix */
	if (code[0] == 0xeb || code[0] == 0x66)
		return 2;	/* jmp rel8, or as many bytes of nop */
	if (code[0] == 0x2e || (code[0] == 0x0f && code[1] != 0x1f))
		return 6;	/* cs call, cs jmp, jcc rel32 */
	return 5;		/* call, jmp, nop */
}

/* Is section i a special one? Notes its bit in map, at each byte of code that it says is rewritten. */
static bool read_special(const struct watched *w, u32 i, u32 *map)
{
	struct relakit_special special = { .struct_size = sizeof(special) };
	const struct section *section = &w->sections[i];
	u32 reason, *mark;
	u64 offset;

	if (relakit_module_special(w->module, i, &special, NULL) != RELAKIT_OK)
		return false;
	if (!special.rewrites_code || !special.entry_size)
		return true;
	reason = reason_of(section->name);
	for (offset = 0; offset + special.entry_size <= section->size; offset += special.entry_size) {
		const u8 *entry = w->ours + section->at + offset;
		u64 address = code_of(section, entry, offset);
		const struct section *code = section_at(w, address);
		u64 at = code ? address - code->address : 0;
		u32 length;

		if (!code || code->size - at < 2)
			continue;
		length = length_of(section->name, entry, special.entry_size, w->ours + code->at + at);
		for (mark = map + code->at + at; length && at < code->size; length--, at++)
			*mark++ |= reason;
	}
	return true;
}

static int running_field(const struct watched *w, const u32 *map, const struct section *section, u64 offset, u32 size)
{
	const u8 *ours = w->ours + section->at + offset;
	u32 i, marks = 0;
	u8 now[8];

	if (copy_from_kernel_nofault(now, (void *)(section->address + offset), size))
		return -EFAULT;
	if (memcmp(now, ours, size) == 0) {
		totals.live++;
		return 0;
	}
	for (i = 0; i < size; i++)
		marks |= map[section->at + offset + i];
	for (i = 0; i < REASONS; i++)
		reasons[i].fields += marks >> i & 1;
	if (marks) {
		totals.rewritten++;
		return 0;
	}
	pr_err("%s: running: %s, offset %#llx: relakit %*ph, kernel %*ph, and no special section says so\n", w->name,
	       section->name, offset, (int)size, ours, (int)size, now);
	return -EILSEQ;
}

/* The fields that one table writes into code or constants. Those of init sections are gone. */
static int running_table(struct watched *w, u32 index, const u32 *map, const bool *is_special)
{
	struct relakit_section table, target;
	u64 i;

	if (!describe_section(w, index, &table))
		return -EINVAL;
	if (table.section_class != RELAKIT_CLASS_ORDINARY && table.section_class != RELAKIT_CLASS_KLP_EARLY)
		return 0;
	if (!describe_section(w, table.target, &target))
		return -EINVAL;
	if (target.sh_flags & SHF_WRITE || strncmp(target.name, ".init", 5) == 0 ||
	    (is_special[table.target] && !(target.sh_flags & SHF_EXECINSTR)))
		return 0;
	for (i = 0; i < table.sh_size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela rela = rela_at(&table, i);
		u32 size = field_size(rela.r_info);
		int failed = size ? running_field(w, map, &w->sections[table.target], rela.r_offset, size) : 0;

		if (failed)
			return failed;
	}
	return 0;
}

/* After early, while the module is loaded. Who is blind to special sections must come upon a field that is rewritten. */
int running(struct watched *w, bool blind)
{
	bool *is_special = kcalloc(w->section_count, sizeof(*is_special), GFP_KERNEL);
	u32 *map = vzalloc(w->size * sizeof(*map));
	const struct totals before = totals;
	int failed = 0;
	u32 i;

	if (map && is_special) {
		for (i = 1; i < w->section_count; i++)
			is_special[i] = read_special(w, i, map);
		if (blind)
			memset(map, 0, w->size * sizeof(*map));
		for (i = 1; i < w->section_count && !failed; i++)
			failed = running_table(w, i, map, is_special);
	} else {
		failed = -ENOMEM;
	}
	kfree(is_special);
	vfree(map);
	if (!failed)
		pr_info("%s: running: %llu fields hold it, %llu are rewritten\n", w->name, totals.live - before.live,
			totals.rewritten - before.rewritten);
	return failed;
}
