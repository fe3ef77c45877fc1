// SPDX-License-Identifier: MIT OR Apache-2.0
/* A module that uses vt_target. */
#include <linux/module.h>

int target_call(int n);
int user_call(int n);

noinline int user_call(int n)
{
	return target_call(n);
}

static int __init begin(void)
{
	user_call(1);
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module that uses vt_target");
MODULE_LICENSE("Dual MIT/GPL");
