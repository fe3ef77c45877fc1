// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The module that livepatches patch. Both its files have a static function twin, and a static function half, which is an
 * init function in the other file.
 */
#include <linux/export.h>
#include <linux/jump_label.h>
#include <linux/module.h>

int target_call(int n);
int target_other(int n);
int target_untraced(int n);
int target_begin(int n);
int target_secret(int n);
int target_prepare(int n);

int target_count = 1;
int target_begun __initdata = 1;
DEFINE_STATIC_KEY_FALSE(target_key);

static noinline int twin(int n)
{
	return n + target_count++;
}

static noinline int half(int n)
{
	return n / 2 + target_count;
}

noinline int target_secret(int n)
{
	return n * target_count;
}

noinline notrace int target_untraced(int n)
{
	return n + target_count++;
}

noinline int target_call(int n)
{
	return twin(n) + half(n) + target_secret(n) + target_untraced(n) + target_other(n);
}
EXPORT_SYMBOL_GPL(target_call);

noinline int __init target_begin(int n)
{
	return n + target_begun;
}

static int __init begin(void)
{
	if (static_branch_unlikely(&target_key))
		target_count++;
	target_call(target_begin(target_prepare(1)));
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module that livepatches patch");
MODULE_LICENSE("Dual MIT/GPL");
