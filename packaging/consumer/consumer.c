/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that uses an installed relakit. Prints the library's version; its exit code says what is wrong. */
#include <relakit.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    const uint64_t rela[3] = {1, UINT64_C(1) << 32 | 4, (uint64_t)-4}; /* R_X86_64_PLT32 of symbol 1 */
    const uint64_t values[2] = {0, 0x5000};
    unsigned char text[6] = {0xe8, 0, 0, 0, 0, 0xc3};
    const struct relakit_symbols symbols = {.values = values, .count = 2};
    const struct relakit_target target = {.bytes = text, .size = sizeof text, .address = 0x1000};

    if (relakit_abi() != RELAKIT_ABI)
        return 1;
    if (relakit_apply(rela, sizeof rela, &symbols, &target, NULL, NULL) != RELAKIT_OK)
        return 2;
    if (memcmp(text, "\xe8\xfb\x3f\0\0\xc3", sizeof text) != 0)
        return 3;
    return puts(relakit_version()) < 0;
}
