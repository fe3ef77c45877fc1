// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Writes one byte of the kernel's image, also if it is read-only, and does not stay loaded. The guest damages the purgatory
 * with it, which is a part of the kernel.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/vmalloc.h>

static unsigned long at;
module_param(at, ulong, 0);
static unsigned char value;
module_param(value, byte, 0);

static int __init begin(void)
{
	struct page *page = virt_to_page((void *)at);
	unsigned char *bytes = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!bytes)
		return -ENOMEM;
	bytes[offset_in_page(at)] = value;
	vunmap(bytes);
	return -EAGAIN;
}

module_init(begin);
MODULE_DESCRIPTION("Writes one byte of the kernel");
MODULE_LICENSE("Dual MIT/GPL");
