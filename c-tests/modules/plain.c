/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An ordinary module. What its lines are good for are the relocations that they make, of every common type. */
extern int kernel_add(int n);
extern int kernel_limit;
extern int kernel_absent __attribute__((weak));

static int seen;
static int squares[] = { 0, 1, 4, 9 };

__attribute__((noinline)) static int twice(int n)
{
    return 2 * n;
}

/* Pointers in data: R_X86_64_64. */
static int (*volatile const steps[])(int) = { twice, kernel_add };
static int *volatile limit = &kernel_limit;

/* An address as a number: R_X86_64_32; with -mcmodel=large R_X86_64_64. */
const char *plain_name(int n)
{
    return n ? "plain" : "simple";
}

/* A variable: R_X86_64_PC32. One of an array: R_X86_64_32S. A call: R_X86_64_PLT32. What is not there: 0. */
int plain_run(int n)
{
    seen++;
    squares[n & 3] += seen;
    if (&kernel_absent)
        return -1;
    return steps[n & 1](n) + squares[n & 3] + *limit + kernel_add(n) + plain_name(n)[0];
}
