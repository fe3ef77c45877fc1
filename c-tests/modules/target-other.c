/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The module that is patched, second half: another static function of the same name, the one that the patch wants. */
extern int target_count;

__attribute__((noinline, used)) static int step(int n)
{
    target_count += 100;
    return 3 * n;
}

int target_other(int n)
{
    return step(n) + 2;
}
