// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A livepatch for relakit_first and relakit_second. It uses what nobody exports: of vmlinux, early, also in a special
 * section; of the two modules, late. KLP says whose symbol a name stands for, and which of that name: the only one (0), or
 * the n-th. relakit convert makes the livepatch sections of it. Weak: modpost accepts it.
 */
#include <linux/jump_label.h>
#include <linux/livepatch.h>
#include <linux/module.h>

#define KLP(object, name, position) asm("\".klp.sym.rela." #object "." #object "." #name "," #position "\"") __weak

/* Early: a function, data of which there are many, and a key for __jump_table. */
extern unsigned long vmlinux_lookup(const char *name) KLP(vmlinux, kallsyms_lookup_name, 0);
extern const char vmlinux_function_name[] KLP(vmlinux, __func__.0, 3);
extern struct static_key_false vmlinux_schedstats KLP(vmlinux, sched_schedstats, 0);

/* Late. */
extern int first_step(int n) KLP(relakit_first, step, 2);
extern int first_counter KLP(relakit_first, counter, 1);
extern int second_step(void) KLP(relakit_second, step, 0);

/* Zero until their object comes, and when it has gone. */
static int *volatile counters[] = { &first_counter };
static int (*volatile second)(void) = second_step;

static int patched_first_add(int n)
{
	(*counters[0])++;
	if (static_branch_unlikely(&vmlinux_schedstats))
		n++;
	return first_step(n) + (int)strlen(vmlinux_function_name);
}

static int patched_second_get(void)
{
	return second_step() + second() + (vmlinux_lookup("_stext") != 0);
}

static struct klp_func first_functions[] = {
	{ .old_name = "first_add", .new_func = patched_first_add }, {}
};

static struct klp_func second_functions[] = {
	{ .old_name = "second_get", .new_func = patched_second_get }, {}
};

static struct klp_object objects[] = {
	{ .name = "relakit_first", .funcs = first_functions },
	{ .name = "relakit_second", .funcs = second_functions },
	{}
};

static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init begin(void)
{
	return klp_enable_patch(&patch);
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A livepatch for relakit to follow");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_INFO(livepatch, "Y");
