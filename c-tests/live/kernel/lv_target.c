// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The module that livepatches patch. Who reads the parameter `wait` sleeps in target_wait, so that a transition that replaces
 * this function waits, too.
 */
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/module.h>

int target_call(int n);
int target_secret(int n);
int target_wait(char *buffer, const struct kernel_param *param);

static int count = 1;

noinline int target_secret(int n)
{
	return n * count;
}

noinline int target_call(int n)
{
	return target_secret(n) + count++;
}
EXPORT_SYMBOL_GPL(target_call);

noinline int target_wait(char *buffer, const struct kernel_param *param)
{
	msleep_interruptible(600000);
	return sprintf(buffer, "%d\n", target_call(1));
}

static const struct kernel_param_ops waits = { .get = target_wait };

module_param_cb(wait, &waits, NULL, 0444);

static int __init begin(void)
{
	return target_call(1) == 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module that livepatches patch");
MODULE_LICENSE("Dual MIT/GPL");
