// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A module with one relocation, of a section with 8 bytes. The parameter shows the two numbers that follow this section in
 * memory: 0,0 unless the relocation is written outside of its section.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>

#define IN(section) __section(section) __aligned(8) __attribute__((no_reorder))

static int known;
int *relakit_pointer IN("relakit_section") = &known;
static unsigned long after[2] IN("relakit_section_after");
module_param_array(after, ulong, NULL, 0444);

static int __init begin(void)
{
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module with one relocation in a section of its own");
MODULE_LICENSE("Dual MIT/GPL");
