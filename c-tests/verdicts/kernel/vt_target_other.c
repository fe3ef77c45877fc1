// SPDX-License-Identifier: MIT OR Apache-2.0
/* The second file of vt_target. */
#include <linux/init.h>

int target_other(int n);
int target_prepare(int n);

static noinline int twin(int n)
{
	return n * 3;
}

noinline int target_other(int n)
{
	return twin(n) + 1;
}

static noinline int __init half(int n)
{
	return n / 2;
}

int __init target_prepare(int n)
{
	return half(n) + 1;
}
