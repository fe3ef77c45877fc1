// SPDX-License-Identifier: MIT OR Apache-2.0
/* A module to be patched. Both its files have a static function step and a static counter. */
#include <linux/module.h>

int first_add(int n);
int first_other_add(int n);

static int counter = 1;

static noinline int step(int n)
{
	return n + counter++;
}

noinline int first_add(int n)
{
	return step(n) + first_other_add(n);
}

static int __init begin(void)
{
	pr_info("relakit_first: %d\n", first_add(1));
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module for relakit_livepatch to patch");
MODULE_LICENSE("Dual MIT/GPL");
