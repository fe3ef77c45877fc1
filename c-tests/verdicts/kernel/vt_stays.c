// SPDX-License-Identifier: MIT OR Apache-2.0
/* A module that cannot be unloaded: it has an init function and no exit function. */
#include <linux/module.h>

int stays_call(int n);

noinline int stays_call(int n)
{
	return n + 1;
}

static int __init begin(void)
{
	stays_call(1);
	return 0;
}

module_init(begin);
MODULE_DESCRIPTION("A module without an exit function");
MODULE_LICENSE("Dual MIT/GPL");
