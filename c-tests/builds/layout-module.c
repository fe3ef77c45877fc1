/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A module with a section of each kind, for layout.c. */
int module_init(int n);
int module_run(int n);

static int total;
static const int numbers[4] = { 0, 1, 2, 3 };
static const volatile int hundred = 100;
static const volatile int *pointer __attribute__((section(".data..ro_after_init"))) = &hundred;
static int initial __attribute__((section(".init.data"))) = 5;

__attribute__((section(".init.text"))) int module_init(int n)
{
    total = *pointer;
    return total += n == initial ? n : -1;
}

int module_run(int n)
{
    return total += numbers[n & 3];
}
