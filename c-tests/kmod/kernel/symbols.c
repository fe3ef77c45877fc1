// SPDX-License-Identifier: MIT OR Apache-2.0
/* Who has a name: the lines of /proc/kallsyms, and the export tables that they lead to. */
#include "relakit_test.h"

#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/stringhash.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define KSYMTAB "__ksymtab_"
#define BUCKETS (1u << 16)

/* One line, "ffffffffc0000000 t name\t[object]". */
struct symbol {
	u64 value;
	const char *name;
	const char *object;	/* "vmlinux" when the line names none */
	u32 next;		/* with the same hash, further down; 0: none */
};

static void *text;
static struct symbol *symbols;	/* the first one is none */
static u32 *buckets;

void symbols_forget(void)
{
	vfree(text);
	vfree(symbols);
	vfree(buckets);
	text = NULL;
	symbols = NULL;
	buckets = NULL;
}

static u32 bucket_of(const char *name, size_t length)
{
	return full_name_hash(NULL, name, length) % BUCKETS;
}

/* Reads a line, and ends its parts by NUL. */
static bool parse(char *line, struct symbol *symbol)
{
	char *name, *object;

	if (strlen(line) < 20 || line[16] != ' ' || line[18] != ' ')
		return false;
	line[16] = 0;
	name = line + 19;
	object = strchr(name, '\t');
	if (object) {
		*object++ = 0;
		object = strchr(object, '[');
		if (!object)
			return false;
		*strchrnul(++object, ']') = 0;
	}
	symbol->name = name;
	symbol->object = object ?: "vmlinux";
	return kstrtou64(line, 16, &symbol->value) == 0;
}

/* A copy of /proc/kallsyms; what was read before is forgotten. */
int symbols_read(const char *path)
{
	size_t size, lines = 0;
	u32 count = 1;
	char *rest, *line;
	int error;

	symbols_forget();
	error = read_whole_file(path, &text, &size);
	if (error)
		return error;
	if (size == 0 || ((char *)text)[size - 1] != '\n')
		return -EINVAL;
	((char *)text)[size - 1] = 0;
	for (line = text; line; line = strchr(line + 1, '\n'))
		lines++;
	symbols = vzalloc((lines + 1) * sizeof(*symbols));
	buckets = vzalloc(BUCKETS * sizeof(*buckets));
	if (!symbols || !buckets)
		return -ENOMEM;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (!parse(line, &symbols[count])) {
			pr_err("not a line of kallsyms: %s\n", line);
			return -EINVAL;
		}
		count++;
	}
	while (--count > 0) {	/* backwards, so that a bucket is in the order of the file */
		u32 *bucket = &buckets[bucket_of(symbols[count].name, strlen(symbols[count].name))];

		symbols[count].next = *bucket;
		*bucket = count;
	}
	return 0;
}

static bool is_name(const char *ours, const char *name, size_t length)
{
	return strlen(ours) == length && memcmp(ours, name, length) == 0;
}

/* The position-th line of that name, counted from 1; of that object, unless it is NULL. */
static const struct symbol *find(const char *object, size_t object_length, const char *name, size_t length, u64 position)
{
	u32 at = buckets ? buckets[bucket_of(name, length)] : 0;

	for (; at; at = symbols[at].next) {
		const struct symbol *symbol = &symbols[at];

		if (!is_name(symbol->name, name, length) || (object && !is_name(symbol->object, object, object_length)))
			continue;
		if (--position == 0)
			return symbol;
	}
	return NULL;
}

/* Names and addresses do not tell which of several symbols is exported: each has an entry in a table, which has a name. */
static int32_t exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
	const enum fault *fault = ctx;
	const struct symbol *symbol;
	char *entry_name;
	s32 distance;

	entry_name = kasprintf(GFP_KERNEL, KSYMTAB "%.*s", (int)length, name);
	if (!entry_name)
		return -ENOMEM;
	symbol = find(NULL, 0, entry_name, strlen(entry_name), 1);
	kfree(entry_name);
	if (!symbol)
		return RELAKIT_NOT_FOUND;
	/* The first member of an entry is the distance from it to the symbol. */
	if (copy_from_kernel_nofault(&distance, (void *)symbol->value, sizeof(distance)))
		return -EFAULT;
	*value = symbol->value + distance + (*fault == FAULT_SYMBOL);
	return RELAKIT_OK;
}

static int32_t nth_symbol(void *ctx, const char *object, size_t object_length, const char *name, size_t length,
			 uint64_t position, uint64_t *value)
{
	const struct symbol *symbol = find(object, object_length, name, length, position);

	if (!symbol)
		return RELAKIT_NOT_FOUND;
	*value = symbol->value;
	return RELAKIT_OK;
}

struct relakit_resolver symbols_resolver(enum fault fault)
{
	static enum fault what;	/* one command at a time */

	what = fault;
	return (struct relakit_resolver){
		.struct_size = sizeof(struct relakit_resolver), .ctx = &what, .exported = exported, .nth_symbol = nth_symbol,
	};
}
