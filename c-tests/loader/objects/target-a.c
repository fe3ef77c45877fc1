/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The module that is patched, first half. */
extern int host_add(int n);
int target_count;

__attribute__((noinline, used)) static int step(int n)
{
    target_count++;
    return host_add(n);
}

int target_submit(int n)
{
    return step(n) + 1;
}
