/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The guest's kernel, second half. */
__attribute__((noinline, used)) static int scale(int n)
{
    return n + 40000;
}

int kernel_other(int n)
{
    return scale(n);
}
