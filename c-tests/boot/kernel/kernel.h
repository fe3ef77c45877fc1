/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of the kernel share. loader.h has what modules are. */
#ifndef KERNEL_H
#define KERNEL_H

#include "layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* string.c: what the compiler calls, and relakit; and what we call ourselves. */
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);
size_t strlen(const char *string);
/* Is `ours` the name that has `length` bytes at `name`? Names in files need not end with NUL. */
bool is_name(const char *ours, const char *name, size_t length);

/* console.c: the first serial port, and QEMU's isa-debug-exit. */
void console_open(void);
void print(const char *format, ...) __attribute__((format(printf, 1, 2))); /* %s %d %lu %lx, without widths */
/* Begins a line with "ok: " or "FAILED: ", and counts; check also ends it. */
void verdict(bool holds);
void check(bool holds, const char *what);
_Noreturn void finish(void);                  /* ends QEMU: status 33 when all checks held, 35 if not */
_Noreturn void panic(const char *why);        /* status 35 */

/* boot.c: the files in the archives that the boot protocol has brought. */
struct file {
    char name[40]; /* with NUL */
    const unsigned char *bytes;
    size_t size;
};

void boot_open(uint32_t protocol, uint32_t information);
const struct file *boot_file(size_t index); /* NULL after the last */
const struct file *boot_file_named(const char *name); /* panics when it is not there */

/* memory.c: physical memory, and where modules live. */
static inline void *direct(uint64_t physical)
{
    return (void *)(DIRECT_BASE + physical);
}

/* The arena of a module: written at `bytes`, running at `address`. */
struct arena {
    unsigned char *bytes;
    uint64_t address, size;
};

void memory_open(void);
/* Takes memory for a module; false when there is not enough. */
bool memory_take(uint64_t size, uint64_t align, struct arena *arena);
/* Maps whole pages of an arena, with these bits of page table entries. */
void memory_map(const struct arena *arena, uint64_t offset, uint64_t size, uint64_t bits);
/* Destroys and unmaps an arena; its memory can be taken again when nothing was taken after it. */
void memory_release(const struct arena *arena);
void *memory_alias(uint64_t address); /* where to write what runs at this address, which must be a module's */
void memory_changed(void); /* to be called after writing code, and before it is run */
/* Remembers all of the modules' memory; is it still the same? */
void memory_remember(void);
bool memory_is_unchanged(void);

/* symbols.c: the kernel's own symbols, as kallsyms is to Linux. */
struct kernel_symbol {
    const char *name;
    uint64_t address;
    bool is_exported;
};

/* Aligned, or the compiler would leave gaps between what the linker makes one array of. */
#define KERNEL_SYMBOL(symbol, exported)                                                \
    static const struct kernel_symbol symbol_##symbol                                  \
        __attribute__((used, section(".symbols"), aligned(8))) = { #symbol, (uint64_t)&symbol, exported }
#define EXPORT(symbol) KERNEL_SYMBOL(symbol, true)
#define HIDDEN(symbol) KERNEL_SYMBOL(symbol, false)

#endif
