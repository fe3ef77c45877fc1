/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A module that is loaded twice: by the kernel, and beside it by relakit, to the same addresses. */
#ifndef RELAKIT_TEST_H
#define RELAKIT_TEST_H

#define pr_fmt(format) KBUILD_MODNAME ": " format

#include <linux/elf.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <relakit.h>

/* One section: where the kernel has put it, and where its bytes are in both copies. */
struct section {
	u64 address;
	u64 size;
	size_t at;
	bool in_memory;
	const char *name;	/* in the file */
};

/* A field that is written when an object comes, and cleared when it goes. */
struct site {
	u32 late;	/* the how many-th late section */
	u32 target;	/* section that has the field */
	u64 offset;
	u32 size;
};

struct watched {
	struct list_head list;
	char name[MODULE_NAME_LEN];
	void *file;
	size_t file_size;
	struct section *sections;
	u32 section_count, symbol_count, per_cpu_section;

	/* The kernel's: its bytes when they were relocated and nothing had read them yet. */
	u8 *theirs;
	u64 per_cpu;	/* what its per-CPU symbols count from */
	bool seen;

	/* relakit's, at the same addresses. */
	u8 *ours;
	size_t size;	/* of each copy */
	u64 *state;
	struct relakit_module *module;
	struct relakit_section_memory *places;
	struct relakit_memory memory;
	u64 *values;
	void *kept;
	struct relakit_writer writer;
	u32 syncs;
	struct site *sites;
	u32 site_count;
};

/* What main.c sums up. */
struct totals {
	u64 modules, per_cpu, sections, bytes, fields, tables, live, rewritten, late, cleared;
};

extern struct totals totals;

/* What is made wrong on purpose, to see the comparison fail. */
enum fault { FAULT_NONE, FAULT_BYTE, FAULT_ADDRESS, FAULT_SYMBOL, FAULT_PER_CPU };

/* watched.c: the kernel's side. */
const struct section *section_at(const struct watched *w, u64 address);
int watch_begin(void);
void watch_end(void);
int watch_module(const char *name, const char *path);
struct watched *watched_find(const char *name);
void watched_forget(struct watched *w);
int read_whole_file(const char *path, void **bytes, size_t *size);

/* early.c: relakit's side, and the comparison with the kernel's. */
int early(struct watched *w, enum fault fault);
int explain(const struct watched *w, const char *what, const struct relakit_error *error);
bool describe_section(struct watched *w, u32 index, struct relakit_section *section);
Elf64_Rela rela_at(const struct relakit_section *table, u64 index);
u32 field_size(u64 r_info);

/* special.c: what the kernel has rewritten since. */
int running(struct watched *w, bool blind);
void report_rewritten(void);

/* level2.c: the same by the function that replaces apply_relocate_add. */
int level2_again(struct watched *w);

/* late.c: objects that come and go. */
struct relakit_writer copy_writer(struct watched *w);
int late_keep(struct watched *w);
int late_coming(struct watched *w, const char *object);
int late_going(struct watched *w, const char *object);
int late_refused(struct watched *w, const char *object);
int late_compare(struct watched *w);

/* symbols.c: who has a name. */
int symbols_read(const char *path);
void symbols_forget(void);
struct relakit_resolver symbols_resolver(enum fault fault);

#endif
