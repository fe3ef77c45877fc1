/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What every livepatch of this test includes. KLP names an object, its symbol and the symbol's position;
 * relakit convert makes the livepatch sections of it. Weak: modpost accepts it.
 */
#include <linux/livepatch.h>
#include <linux/module.h>

#define KLP(object, name, position) asm("\".klp.sym.rela." #object "." #object "." #name "," #position "\"") __weak

int replacement(void);
int second_replacement(void);

noinline int replacement(void)
{
	return 0;
}

noinline int second_replacement(void)
{
	return 1;
}

#define LIVEPATCH(patch)                       \
	static int __init begin(void)          \
	{                                      \
		return klp_enable_patch(patch);\
	}                                      \
	static void __exit end(void)           \
	{                                      \
	}                                      \
	module_init(begin);                    \
	module_exit(end)

MODULE_DESCRIPTION("A livepatch with at most one mistake");
MODULE_LICENSE("Dual MIT/GPL");
