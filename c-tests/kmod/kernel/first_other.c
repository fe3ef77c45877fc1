// SPDX-License-Identifier: MIT OR Apache-2.0
/* The other half of first.c. */
#include <linux/compiler.h>

int first_other_add(int n);

static int counter = 100;

static noinline int step(int n)
{
	return n * counter++;
}

noinline int first_other_add(int n)
{
	return step(n);
}
