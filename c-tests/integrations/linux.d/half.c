// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A livepatch for relakit_first whose late relocations can fail half-way. They write two fields, and both must be 0. The
 * parameters show the fields: after "echo 1 > b", the relocation of a succeeds and the relocation of b fails.
 */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

extern int first_counter asm("\".klp.sym.rela.relakit_first.relakit_first.counter,1\"") __weak;

static struct {
	unsigned long a, b;
} fields = { (unsigned long)&first_counter, (unsigned long)&first_counter };
module_param_named(a, fields.a, ulong, 0644);
module_param_named(b, fields.b, ulong, 0644);

static int patched_first_add(int n)
{
	return n;
}

static struct klp_func functions[] = {
	{ .old_name = "first_add", .new_func = patched_first_add }, {}
};

static struct klp_object objects[] = {
	{ .name = "relakit_first", .funcs = functions }, {}
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
MODULE_DESCRIPTION("A livepatch whose late relocations can fail half-way");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_INFO(livepatch, "Y");
