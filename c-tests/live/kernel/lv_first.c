// SPDX-License-Identifier: MIT OR Apache-2.0
/* Replaces a function of the kernel, and one of lv_target by one with a late relocation. */
#include "livepatch.h"

extern int target_secret(int n) KLP(lv_target, target_secret, 0);
int patched_call(int n);

int patched_call(int n)
{
	return target_secret(n) + 1;
}

static struct klp_func of_vmlinux[] = { { .old_name = "cmdline_proc_show", .new_func = replacement }, {} };
static struct klp_func of_target[] = { { .old_name = "target_call", .new_func = patched_call }, {} };
static struct klp_object objects[] = { { .funcs = of_vmlinux }, { .name = "lv_target", .funcs = of_target }, {} };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

LIVEPATCH(&patch);
MODULE_INFO(livepatch, "Y");
