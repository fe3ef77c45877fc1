/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Copies the flat binary of small.c to memory at addresses for which it was not linked, calls it there, and compares it with
 * relakit_apply of the archive for programs.
 *
 *   small-host small.bin
 */
#define _GNU_SOURCE
#include "../unit/test.h"
#include "small.h"

#include <sys/mman.h>

static const uint64_t values[4] = { 0, 0x11223344, 0x401000, 0x7fffffffffff };

static unsigned char *image_at(const char *path, uint64_t address, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *image = (unsigned char *)mmap((void *)(uintptr_t)address, 1 << 20, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (file == NULL || image == MAP_FAILED)
        exit(99);
    *size = fread(image, 1, 1 << 20, file);
    fclose(file);
    mprotect(image, 1 << 20, PROT_READ | PROT_EXEC);
    return image;
}

/* One table: the image and relakit_apply must agree about the result, the entry and each byte. */
static void one(const unsigned char *image, const Elf64_Rela *table, size_t entries)
{
    relakit_status (*run)(const struct small_call *call);
    unsigned char small[32] = { 0 }, whole[32] = { 0 }, zeros[32] = { 0 };
    struct relakit_symbols symbols;
    struct relakit_target target = { whole, sizeof whole, 0x400000, NULL };
    struct relakit_error error;
    size_t entry = 99;
    struct small_call call = { table, entries * sizeof *table, values, 4, small, sizeof small, 0x400000, &entry };
    relakit_status is, want;

    memset(&symbols, 0, sizeof symbols);
    symbols.values = values;
    symbols.count = 4;
    memset(&error, 0, sizeof error);
    memcpy(&run, &image, sizeof run);
    is = run(&call);
    want = relakit_apply(table, entries * sizeof *table, &symbols, &target, NULL, &error);
    EQ(is, want);
    SAME(small, whole, sizeof whole);
    if (want != RELAKIT_OK) {
        EQ(entry, error.entry);
        SAME(small, zeros, sizeof zeros);
    }
}

int main(int count, char **arguments)
{
    static const uint64_t addresses[] = { 0x10000, 0x7ffff000, 0x123456789000, 0x7e0000000000 };
    const Elf64_Rela good[3] = { rela(0, 1, R_X86_64_64, 7), rela(8, 2, R_X86_64_PC32, -4), rela(12, 1, R_X86_64_32S, 0) };
    const Elf64_Rela overflow[2] = { good[0], rela(8, 3, R_X86_64_PC32, -4) };
    const Elf64_Rela outside[2] = { good[0], rela(29, 1, R_X86_64_PC32, -4) };
    const Elf64_Rela type[2] = { good[0], rela(8, 1, R_X86_64_GOTPCREL, 0) };
    const Elf64_Rela symbol[2] = { good[0], rela(8, 4, R_X86_64_32S, 0) };
    const Elf64_Rela twice[2] = { good[0], good[0] };

    if (count != 2)
        return 2;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        size_t size;
        unsigned char *image = image_at(arguments[1], addresses[i], &size);
        EQ((uintptr_t)image, addresses[i]);
        CHECK(size > 100);
        one(image, good, 3);
        one(image, good, 0);
        one(image, overflow, 2);
        one(image, outside, 2);
        one(image, type, 2);
        one(image, symbol, 2);
        one(image, twice, 2);
        munmap(image, 1 << 20);
    }
    return test_end("small");
}
