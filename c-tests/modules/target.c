/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The module that is patched, first half. */
extern int kernel_add(int n);
int target_count;

__attribute__((noinline, used)) static int step(int n)
{
    target_count++;
    return kernel_add(n);
}

/* Begins with five bytes that can be replaced by a jump. */
__attribute__((patchable_function_entry(5))) int target_submit(int n)
{
    return step(n) + 1;
}
