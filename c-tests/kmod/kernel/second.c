// SPDX-License-Identifier: MIT OR Apache-2.0
/* Another module to be patched, with per-CPU data. */
#include <linux/module.h>
#include <linux/percpu.h>

int second_get(void);

static DEFINE_PER_CPU(int, calls);

static noinline int step(void)
{
	return this_cpu_inc_return(calls);
}

noinline int second_get(void)
{
	return step();
}

static int __init begin(void)
{
	pr_info("relakit_second: %d\n", second_get());
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("Another module for relakit_livepatch to patch");
MODULE_LICENSE("Dual MIT/GPL");
