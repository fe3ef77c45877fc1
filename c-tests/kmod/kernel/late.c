// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A livepatch that is loaded: objects come and go, for the kernel and right after for relakit. After each step the fields of
 * all late relocations are compared with the kernel's memory as it is then, whether their object is there or not.
 *
 * Loaded code is read-only, so relakit writes it by callbacks, as it would by text_poke. Ours go to our copy.
 */
#include "relakit_test.h"

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

static u8 *our_bytes(const struct watched *w, u64 address)
{
	const struct section *section = section_at(w, address);

	return section ? w->ours + section->at + (address - section->address) : NULL;
}

static int32_t poke_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
	const u8 *from = our_bytes(ctx, address);

	return from ? copy_from_kernel_nofault(bytes, from, size) : -EFAULT;
}

static int32_t poke_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
	u8 *to = our_bytes(ctx, address);

	if (!to)
		return -EFAULT;
	memcpy(to, bytes, size);
	return 0;
}

static int32_t poke_sync(void *ctx)
{
	struct watched *w = ctx;

	w->syncs++;
	return 0;
}

/* For the kernel's addresses: it reads and writes our copy. */
struct relakit_writer copy_writer(struct watched *w)
{
	return (struct relakit_writer){
		.struct_size = sizeof(struct relakit_writer), .ctx = w, .read = poke_read, .write = poke_write,
		.sync = poke_sync,
	};
}

/* From now on every section is behind the writer; the addresses stay. The file goes, and with it the names. */
static void seal(struct watched *w)
{
	u32 i;

	w->writer = copy_writer(w);
	w->memory.writer = &w->writer;
	for (i = 1; i < w->section_count; i++) {
		w->sections[i].name = "";
		if (!(w->places[i].flags & RELAKIT_MEMORY_PRESENT))
			continue;
		w->places[i].flags |= RELAKIT_MEMORY_WRITER;
		w->places[i].bytes = NULL;
	}
}

/* Notes the fields of one late section. */
static void add_sites(struct watched *w, const struct relakit_section *table, u32 late)
{
	u64 i;

	for (i = 0; i < table->sh_size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela rela = rela_at(table, i);

		w->sites[w->site_count++] = (struct site){
			.late = late, .target = table->target, .offset = rela.r_offset, .size = field_size(rela.r_info),
		};
	}
}

static int collect_sites(struct watched *w)
{
	struct relakit_section table;
	u64 entries = 0;
	u32 i, late = 0;

	for (i = 1; i < w->section_count; i++) {
		if (!describe_section(w, i, &table))
			return -EINVAL;
		if (table.section_class == RELAKIT_CLASS_KLP_LATE)
			entries += table.sh_size / sizeof(Elf64_Rela);
	}
	w->sites = kvcalloc(entries, sizeof(*w->sites), GFP_KERNEL);
	if (!w->sites)
		return -ENOMEM;
	for (i = 1; i < w->section_count; i++)
		if (describe_section(w, i, &table) && table.section_class == RELAKIT_CLASS_KLP_LATE)
			add_sites(w, &table, late++);
	return 0;
}

/* After early: relakit keeps what comings need, and the file goes. */
int late_keep(struct watched *w)
{
	struct relakit_error error;
	size_t size;
	int failed;

	failed = collect_sites(w);
	if (failed)
		return failed;
	if (relakit_module_retained_size(w->module, &size, &error))
		return explain(w, "late size", &error);
	w->kept = kvmalloc(size, GFP_KERNEL);
	if (!w->kept)
		return -ENOMEM;
	if (relakit_module_retain(w->module, &w->memory, w->values, w->symbol_count, w->kept, size, &error))
		return explain(w, "keep", &error);
	seal(w);
	vfree(w->file);
	kvfree(w->values);
	w->file = NULL;
	w->values = NULL;
	pr_info("%s: %zu bytes are kept for %u late fields, %zu bytes of file are freed\n", w->name, size, w->site_count,
		w->file_size);
	return 0;
}

/* Is the object of this site there? */
static bool is_live(const struct watched *w, const struct site *site)
{
	char object[RELAKIT_OBJECT_NAME_SIZE];
	u32 live = 0;

	return relakit_module_object(w->module, site->late, object, &live, NULL) == RELAKIT_OK && live;
}

int late_compare(struct watched *w)
{
	static const u8 zeros[8];
	u32 i, live = 0, cleared = 0;

	for (i = 0; i < w->site_count; i++) {
		const struct site *site = &w->sites[i];
		const struct section *section = &w->sections[site->target];
		const u8 *ours = w->ours + section->at + site->offset;
		u8 now[8];

		if (copy_from_kernel_nofault(now, (void *)(section->address + site->offset), site->size))
			return -EFAULT;
		if (memcmp(now, ours, site->size) != 0) {
			pr_err("%s: late field %u at offset %#llx of section %u: relakit %*ph, kernel %*ph\n", w->name, i,
			       site->offset, site->target, (int)site->size, ours, (int)site->size, now);
			return -EILSEQ;
		}
		if (is_live(w, site) && memcmp(ours, zeros, site->size) == 0)
			return -ENODATA;	/* nothing was written: this would compare equal for ever */
		if (memcmp(ours, zeros, site->size) == 0)
			cleared++;
		else
			live++;
	}
	totals.late += live;
	totals.cleared += cleared;
	pr_info("%s: late: %u fields hold a value, %u are zero: as in the kernel\n", w->name, live, cleared);
	return 0;
}

/* The kernel has loaded the object, and its symbols are known. */
int late_coming(struct watched *w, const char *object)
{
	const struct relakit_resolver resolver = symbols_resolver(FAULT_NONE);
	struct relakit_error error;
	u32 sections;

	w->syncs = 0;
	if (relakit_module_coming(w->module, object, &w->memory, &resolver, &sections, &error))
		return explain(w, object, &error);
	if (w->syncs != 1)
		return -EPROTO;	/* one for all sections, not one for each */
	pr_info("%s: %s comes: %u sections\n", w->name, object, sections);
	return sections ? 0 : -ENOENT;
}

int late_going(struct watched *w, const char *object)
{
	struct relakit_error error;
	u32 sections;

	if (relakit_module_going(w->module, object, &w->memory, &sections, &error))
		return explain(w, object, &error);
	pr_info("%s: %s goes: %u sections\n", w->name, object, sections);
	return sections ? 0 : -ENOENT;
}

/* The kernel has refused the object, because its fields are not zero: relakit must say the same, and change nothing. */
int late_refused(struct watched *w, const char *object)
{
	const struct relakit_resolver resolver = symbols_resolver(FAULT_NONE);
	struct relakit_error error;

	if (relakit_module_coming(w->module, object, &w->memory, &resolver, NULL, &error) != RELAKIT_ERR_TARGET_NOT_ZERO ||
	    error.linux_errno != ENOEXEC)
		return -EINVAL;
	pr_info("%s: %s is refused: %s\n", w->name, object, relakit_strerror(error.status));
	return 0;
}
