// SPDX-License-Identifier: MIT OR Apache-2.0
/* Replaces the function of lv_target in which a reader sleeps. */
#include "livepatch.h"

static struct klp_func of_target[] = { { .old_name = "target_wait", .new_func = second_replacement }, {} };
static struct klp_object objects[] = { { .name = "lv_target", .funcs = of_target }, {} };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

LIVEPATCH(&patch);
MODULE_INFO(livepatch, "Y");
