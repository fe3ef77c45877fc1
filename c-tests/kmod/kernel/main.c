// SPDX-License-Identifier: MIT OR Apache-2.0
/* The commands: one line, written to /proc/relakit. What fails is an errno of the write. */
#include "relakit_test.h"

#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/slab.h>
#include <linux/string.h>

struct totals totals;
static DEFINE_MUTEX(one_command);

/* What is wrong must be noticed: the comparison fails, and nothing is counted. */
static int broken(struct watched *w, const char *what)
{
	static const char *const faults[] = { "none", "byte", "address", "symbol", "per_cpu" };
	const struct totals before = totals;
	int fault = match_string(faults, ARRAY_SIZE(faults), what);

	if (fault <= FAULT_NONE)
		return -EINVAL;
	if (early(w, fault) != -EILSEQ)
		return -EBADMSG;
	totals = before;
	pr_info("%s: a wrong %s is noticed\n", w->name, what);
	return 0;
}

/* The code is compared without regard for what the kernel rewrites. */
static int blind(struct watched *w)
{
	const struct totals before = totals;

	if (running(w, true) != -EILSEQ)
		return -EBADMSG;
	totals = before;
	pr_info("%s: rewritten code is noticed\n", w->name);
	return 0;
}

/* The kernel has made a step that relakit has not. */
static int stale(struct watched *w)
{
	const struct totals before = totals;

	if (late_compare(w) != -EILSEQ)
		return -EBADMSG;
	totals = before;
	pr_info("%s: late: a step behind is noticed\n", w->name);
	return 0;
}

static int report(void)
{
	report_rewritten();
	pr_info("total: %llu modules, %llu with per-CPU data: %llu fields and %llu bytes are as in the kernel\n",
		totals.modules, totals.per_cpu, totals.fields, totals.bytes);
	pr_info("total: running: %llu fields hold it, %llu are rewritten; late: %llu fields with a value, %llu without\n",
		totals.live, totals.rewritten, totals.late, totals.cleared);
	return 0;
}

static int command(const char *line)
{
	char verb[12] = "", name[MODULE_NAME_LEN] = "", argument[128] = "";
	struct watched *w;

	BUILD_BUG_ON(MODULE_NAME_LEN < 56);
	sscanf(line, "%11s %55s %127s", verb, name, argument);
	if (strcmp(verb, "symbols") == 0)
		return symbols_read(name);
	if (strcmp(verb, "watch") == 0)
		return watch_module(name, argument);
	if (strcmp(verb, "report") == 0)
		return report();
	w = watched_find(name);
	if (!w)
		return -ENOENT;
	if (strcmp(verb, "early") == 0)
		return early(w, FAULT_NONE);
	if (strcmp(verb, "broken") == 0)
		return broken(w, argument);
	if (strcmp(verb, "running") == 0)
		return running(w, false);
	if (strcmp(verb, "blind") == 0)
		return blind(w);
	if (strcmp(verb, "keep") == 0)
		return late_keep(w);
	if (strcmp(verb, "late") == 0)
		return late_compare(w);
	if (strcmp(verb, "stale") == 0)
		return stale(w);
	if (strcmp(verb, "coming") == 0)
		return late_coming(w, argument);
	if (strcmp(verb, "going") == 0)
		return late_going(w, argument);
	if (strcmp(verb, "refused") == 0)
		return late_refused(w, argument);
	if (strcmp(verb, "forget") == 0) {
		watched_forget(w);
		return 0;
	}
	return -EINVAL;
}

static ssize_t write(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	char *line;
	int failed;

	if (size > 512)
		return -EINVAL;
	line = memdup_user_nul(from, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&one_command);
	failed = command(line);
	mutex_unlock(&one_command);
	kfree(line);
	return failed ?: size;
}

static const struct proc_ops operations = { .proc_write = write };

static int __init begin(void)
{
	int failed;

	BUILD_BUG_ON(RELAKIT_ABI != 1);
	failed = watch_begin();
	if (failed)
		return failed;
	if (!proc_create("relakit", 0200, NULL, &operations)) {
		watch_end();
		return -ENOMEM;
	}
	pr_info("relakit %s, ABI %u\n", relakit_version(), relakit_abi());
	return 0;
}

static void __exit end(void)
{
	remove_proc_entry("relakit", NULL);
	watch_end();
	symbols_forget();
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("Relocates modules with relakit, beside the kernel, and compares");
MODULE_LICENSE("Dual MIT/GPL");
