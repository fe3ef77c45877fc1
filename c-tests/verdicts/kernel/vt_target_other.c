// SPDX-License-Identifier: MIT OR Apache-2.0
/* The second file of vt_target. */
#include <linux/compiler.h>

int target_other(int n);

static noinline int twin(int n)
{
	return n * 3;
}

noinline int target_other(int n)
{
	return twin(n) + 1;
}
