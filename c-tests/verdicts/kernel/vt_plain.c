// SPDX-License-Identifier: MIT OR Apache-2.0
/* A module that imports ordinary, GPL-only and weak symbols. */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>

extern int plain_absent(int n) __attribute__((weak));

int plain_call(int n);

noinline int plain_call(int n)
{
	struct kobject *object = kobject_create_and_add("vt_plain_object", kernel_kobj); /* GPL-only */

	kobject_put(object);
	if (plain_absent)
		n = plain_absent(n);
	return n + (object != NULL);
}

static int __init begin(void)
{
	pr_debug("%d\n", plain_call(1));
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module that imports symbols");
MODULE_LICENSE("GPL");
