/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where modules live. Their memory has two addresses: it is written through the direct map, where nothing can be
 * executed, and runs at MODULES_BASE, where code cannot be written. So no page is ever both, and relakit needs no writer
 * to change code that is already in use.
 */
#include "kernel.h"

#define PAGE 4096
#define SIZE 0x40000 /* bytes for all modules together */
#define TRAP 0xcc    /* int3: what is left of a module that has gone */

extern uint64_t module_pages[512]; /* start.S */

static unsigned char memory[SIZE] __attribute__((aligned(PAGE)));
static unsigned char remembered[SIZE];
static uint64_t used;

static unsigned char *bytes(void)
{
    return direct((uint64_t)memory - KERNEL_BASE);
}

void memory_open(void)
{
    memset(bytes(), TRAP, SIZE);
}

bool memory_take(uint64_t size, uint64_t align, struct arena *arena)
{
    uint64_t start;

    if (align > SIZE || size > SIZE)
        return false;
    start = (used + align - 1) & ~(align - 1); /* MODULES_BASE is aligned to more than SIZE */
    if (start > SIZE - size)
        return false;
    used = start + size;
    *arena = (struct arena){ .bytes = bytes() + start, .address = MODULES_BASE + start, .size = size };
    return true;
}

void memory_map(const struct arena *arena, uint64_t offset, uint64_t size, uint64_t bits)
{
    uint64_t first = arena->address - MODULES_BASE + offset;

    for (uint64_t at = first; at < first + size; at += PAGE) {
        module_pages[at / PAGE] = bits ? ((uint64_t)memory - KERNEL_BASE + at) | bits : 0;
        __asm__ volatile("invlpg (%0)" : : "r"(MODULES_BASE + at) : "memory");
    }
}

void memory_release(const struct arena *arena)
{
    memory_map(arena, 0, arena->size, 0);
    memset(arena->bytes, TRAP, arena->size);
    if (arena->address - MODULES_BASE + arena->size == used)
        used -= arena->size;
}

void *memory_alias(uint64_t address)
{
    uint64_t offset = address - MODULES_BASE;

    if (offset >= SIZE)
        panic("not an address of a module");
    return bytes() + offset;
}

/*
 * A processor may have fetched instructions already that were written at another address; a serialising instruction makes
 * it fetch them again. With several processors each of them needs one.
 */
void memory_changed(void)
{
    uint32_t a = 0, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
}

void memory_remember(void)
{
    memcpy(remembered, bytes(), SIZE);
}

bool memory_is_unchanged(void)
{
    return memcmp(remembered, bytes(), SIZE) == 0;
}
