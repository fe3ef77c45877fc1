// SPDX-License-Identifier: MIT OR Apache-2.0
/* Replaces a function of the kernel, and all other livepatches. */
#include "livepatch.h"

static struct klp_func of_vmlinux[] = { { .old_name = "cmdline_proc_show", .new_func = second_replacement }, {} };
static struct klp_object objects[] = { { .funcs = of_vmlinux }, {} };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects, .replace = true };

LIVEPATCH(&patch);
MODULE_INFO(livepatch, "Y");
