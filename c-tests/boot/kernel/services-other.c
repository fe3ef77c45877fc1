/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Linked after services.c, so that this is the second function called scale in the order of addresses. */
#include "kernel.h"

static int scale(int n)
{
    return n + 40000;
}
HIDDEN(scale);
