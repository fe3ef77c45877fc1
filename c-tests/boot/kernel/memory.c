/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where modules live. Their memory has two addresses: it is written through the direct map, where nothing can be
 * executed, and runs at MODULES_BASE, where code cannot be written. So no page is ever both, and relakit needs no writer
 * to change code that is already in use.
 */
#include "kernel.h"

#define PAGE 4096
#define PART 0x10000 /* bytes of code, and bytes of data */
#define GAP 64       /* between sections, where a write that misses its section is noticed */
#define TRAP 0xcc    /* int3: what is left of a module that has gone */

extern uint64_t module_pages[512]; /* start.S */

static unsigned char parts[2][PART] __attribute__((aligned(PAGE)));
static unsigned char remembered[2][PART];
static struct memory_mark used;

static unsigned char *bytes_of(int part)
{
    return direct((uint64_t)parts[part] - KERNEL_BASE);
}

void memory_open(void)
{
    for (uint64_t at = 0; at < PART; at += PAGE) {
        uint64_t code = (uint64_t)parts[0] - KERNEL_BASE + at, data = (uint64_t)parts[1] - KERNEL_BASE + at;
        module_pages[at / PAGE] = code | PAGE_PRESENT;
        module_pages[(PART_STEP + at) / PAGE] = data | PAGE_PRESENT | PAGE_WRITABLE | PAGE_NO_EXECUTE;
    }
    memset(bytes_of(0), TRAP, PART);
    memset(bytes_of(1), TRAP, PART);
}

bool memory_take(bool is_code, uint64_t size, uint64_t align, struct piece *piece)
{
    int part = is_code ? 0 : 1;
    uint64_t start = used.used[part] + GAP;

    if (align == 0)
        align = 1; /* gABI: no constraint */
    if (align > PAGE || (align & (align - 1)) != 0 || size > PART)
        return false;
    start = (start + align - 1) & ~(align - 1);
    if (start > PART - size)
        return false;
    used.used[part] = start + size;
    piece->bytes = bytes_of(part) + start;
    piece->address = MODULES_BASE + (uint64_t)part * PART_STEP + start;
    return true;
}

struct memory_mark memory_mark(void)
{
    return used;
}

void memory_release(const struct memory_mark *from, const struct memory_mark *to)
{
    for (int part = 0; part < 2; part++) {
        memset(bytes_of(part) + from->used[part], TRAP, to->used[part] - from->used[part]);
        if (used.used[part] == to->used[part])
            used.used[part] = from->used[part];
    }
}

void *memory_alias(uint64_t address)
{
    uint64_t offset = address - MODULES_BASE;

    if (offset / PART_STEP > 1 || offset % PART_STEP >= PART)
        panic("not an address of a module");
    return bytes_of((int)(offset / PART_STEP)) + offset % PART_STEP;
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
    for (int part = 0; part < 2; part++)
        memcpy(remembered[part], bytes_of(part), PART);
}

bool memory_is_unchanged(void)
{
    return memcmp(remembered[0], bytes_of(0), PART) == 0 && memcmp(remembered[1], bytes_of(1), PART) == 0;
}
