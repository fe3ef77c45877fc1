// SPDX-License-Identifier: MIT OR Apache-2.0
/* A module that uses lv_target. */
#include <linux/module.h>

int target_call(int n);

static int __init begin(void)
{
	return target_call(2) == 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module that uses another one");
MODULE_LICENSE("Dual MIT/GPL");
