/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The control of the runs with AddressSanitizer and valgrind: a caller that lies about the length of its table, so that
 * the library reads one entry behind the end of the caller's memory. The run must report it.
 */
#include "../test.h"

int main(void)
{
    Elf64_Rela entry = rela(0, 0, R_X86_64_NONE, 0);
    void *table = copy_of(&entry, sizeof entry);
    uint64_t value = 0;
    struct relakit_symbols symbols = {&value, NULL, 1, NULL, NULL};
    struct relakit_target target = {NULL, 0, 0, NULL};
    relakit_status status = relakit_apply(table, 2 * sizeof entry, &symbols, &target, NULL, fresh());
    printf("nobody noticed: %d\n", (int)status);
    free(table);
    return 0;
}
