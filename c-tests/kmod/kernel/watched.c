// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The kernel's side: where it puts the sections of a module, and their bytes when every relocation is applied and no
 * special section has been read. That is when module_finalize begins, and a probe on it copies them.
 */
#include "relakit_test.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

static LIST_HEAD(modules);
static struct watched *awaited;	/* the module that the probe is to copy */

int read_whole_file(const char *path, void **bytes, size_t *size)
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	ssize_t length = -ENOMEM;
	loff_t from = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	*size = i_size_read(file_inode(file));
	*bytes = vmalloc(*size);
	if (*bytes)
		length = kernel_read(file, *bytes, *size, &from);
	fput(file);
	if (length == *size)
		return 0;
	vfree(*bytes);
	*bytes = NULL;
	return length < 0 ? length : -EIO;
}

/* module_finalize(ELF header, section headers, module), before its first instruction. Nothing here may sleep. */
static int finalizing(struct kprobe *probe, struct pt_regs *regs)
{
	const Elf_Ehdr *header = (const void *)regs->di;
	const Elf_Shdr *headers = (const void *)regs->si;
	const struct module *module = (const void *)regs->dx;
	struct watched *w = READ_ONCE(awaited);
	u32 i;

	if (!w || strcmp(w->name, module->name) != 0 || header->e_shnum != w->section_count)
		return 0;
	for (i = 1; i < w->section_count; i++) {
		struct section *section = &w->sections[i];

		if (headers[i].sh_size != section->size)
			return 0;
		section->address = headers[i].sh_addr;
		if (section->in_memory)
			memcpy(w->theirs + section->at, (void *)headers[i].sh_addr, section->size);
	}
	w->per_cpu = (u64)module->percpu;
	w->seen = true;
	WRITE_ONCE(awaited, NULL);
	return 0;
}
NOKPROBE_SYMBOL(finalizing);

static struct kprobe probe = { .symbol_name = "module_finalize", .pre_handler = finalizing };

int watch_begin(void)
{
	return register_kprobe(&probe);
}

void watch_end(void)
{
	struct watched *w, *next;

	unregister_kprobe(&probe);
	list_for_each_entry_safe(w, next, &modules, list)
		watched_forget(w);
}

struct watched *watched_find(const char *name)
{
	struct watched *w;

	list_for_each_entry(w, &modules, list)
		if (strcmp(w->name, name) == 0)
			return w;
	return NULL;
}

void watched_forget(struct watched *w)
{
	if (READ_ONCE(awaited) == w) {
		WRITE_ONCE(awaited, NULL);
		synchronize_rcu();	/* a probe may be at it: it runs with preemption off */
	}
	list_del(&w->list);
	vfree(w->file);
	vfree(w->theirs);
	vfree(w->ours);
	kvfree(w->sections);
	kvfree(w->places);
	kvfree(w->values);
	kvfree(w->kept);
	kvfree(w->sites);
	kfree(w->state);
	kfree(w);
}

/* The section that an address is in; NULL if there is none. */
const struct section *section_at(const struct watched *w, u64 address)
{
	u32 i;

	for (i = 1; i < w->section_count; i++)
		if (w->sections[i].in_memory && address - w->sections[i].address < w->sections[i].size)
			return &w->sections[i];
	return NULL;
}

/* Gives each section its room in the two copies. */
static int lay_out(struct watched *w)
{
	u32 i;

	for (i = 1; i < w->section_count; i++) {
		struct relakit_section section;

		if (!describe_section(w, i, &section))
			return -EINVAL;
		w->sections[i].name = section.name;
		w->sections[i].size = section.sh_size;
		w->sections[i].at = w->size;
		w->sections[i].in_memory = section.flags & RELAKIT_SECTION_IN_MEMORY;
		/* The template of the per-CPU data has no relocations before 6.16, but the symbols count. */
		if (w->sections[i].in_memory || i == w->per_cpu_section)
			w->size += ALIGN(section.sh_size, 64);
	}
	return 0;
}

/* Reads the module's file, and lends relakit all memory that it will need: struct watched has it, and not the stack. */
static int open_module(struct watched *w, const char *path)
{
	const struct relakit_options options = {
		.struct_size = sizeof(options), .profile = RELAKIT_LINUX(LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL),
	};
	struct relakit_module_info info = { .struct_size = sizeof(info) };
	struct relakit_error error;
	int failed;

	failed = read_whole_file(path, &w->file, &w->file_size);
	if (failed)
		return failed;
	w->state = kzalloc(relakit_module_size(), GFP_KERNEL);
	if (!w->state)
		return -ENOMEM;
	if (relakit_module_init(w->state, relakit_module_size(), w->file, w->file_size, &options, &w->module, &error) ||
	    relakit_module_describe(w->module, &info, &error))
		return explain(w, "file", &error);
	w->section_count = info.section_count;
	w->symbol_count = info.symbol_count;
	w->per_cpu_section = info.per_cpu_section;
	w->sections = kvcalloc(info.section_count, sizeof(*w->sections), GFP_KERNEL);
	w->places = kvcalloc(info.section_count, sizeof(*w->places), GFP_KERNEL);
	w->values = kvcalloc(info.symbol_count, sizeof(*w->values), GFP_KERNEL);
	if (!w->sections || !w->places || !w->values)
		return -ENOMEM;
	failed = lay_out(w);
	if (failed)
		return failed;
	w->theirs = vzalloc(w->size);
	w->ours = vzalloc(w->size);
	return w->theirs && w->ours ? 0 : -ENOMEM;
}

/* The module is about to be loaded by the kernel. */
int watch_module(const char *name, const char *path)
{
	struct watched *w;
	int failed;

	w = watched_find(name);
	if (w)
		watched_forget(w);
	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	strscpy(w->name, name, sizeof(w->name));
	list_add_tail(&w->list, &modules);
	failed = open_module(w, path);
	if (failed)
		watched_forget(w);
	else
		WRITE_ONCE(awaited, w);
	return failed;
}
