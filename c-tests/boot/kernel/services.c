/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the kernel has for modules, and what it has for itself. Livepatches use both. */
#include "kernel.h"

int kernel_add(int n);

int kernel_limit = 1000;
EXPORT(kernel_limit);

int kernel_add(int n)
{
    return n + kernel_limit;
}
EXPORT(kernel_add);

/* The key of a branch in a livepatch: see code.c. */
static int verbose = 1;
HIDDEN(verbose);

static int secret(int n)
{
    return 7 * n;
}
HIDDEN(secret);

/* services-other.c has another static function of this name. */
static int scale(int n)
{
    return n + 20000;
}
HIDDEN(scale);
