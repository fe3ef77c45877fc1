/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An ordinary module. What its lines are good for are the relocations that they make. */
extern int kernel_add(int n);
extern int kernel_limit;
extern int kernel_absent __attribute__((weak));

static int seen[4];

__attribute__((noinline)) static int twice(int n)
{
    return 2 * n;
}

/* Pointers in data: R_X86_64_64. */
static int (*volatile const steps[])(int) = { twice, kernel_add };

/* A call: R_X86_64_PLT32. A variable: R_X86_64_PC32. One of an array: R_X86_64_32S. What is not there: 0. */
int plain_run(int n)
{
    if (&kernel_absent)
        return -1;
    return steps[n & 1](n) + kernel_add(kernel_limit) + ++seen[n & 3];
}
