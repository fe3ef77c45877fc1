/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The guest's page tables. Frames are handed out from both ends of the small pages: tables from the first one up, pages from
 * the last one down. So no two pages that follow each other do so in guest-physical memory.
 */
#include "guest.h"

#include <string.h>

#define TABLES 6 /* one each of the two highest levels, two each of the two lowest */

struct frames {
    uint64_t table, page; /* guest-physical: the next table; the last page */
};

uint64_t entry_load(const unsigned char *entry)
{
    uint64_t value;

    memcpy(&value, entry, sizeof value);
    return value;
}

void entry_store(unsigned char *entry, uint64_t value)
{
    memcpy(entry, &value, sizeof value);
}

unsigned char *guest_entry(const struct guest *guest, uint64_t address, unsigned shift)
{
    uint64_t table = guest->root;

    for (unsigned level = 39;; level -= 9) {
        unsigned char *entry = guest->bytes + (table - guest->base) + (address >> level & 511) * 8;

        if (level == shift)
            return entry;
        table = entry_load(entry) & ENTRY_ADDRESS;
    }
}

/* Maps a page of 1 << shift bytes, and makes the tables on the way there. */
static void map(const struct guest *guest, struct frames *frames, uint64_t address, unsigned shift, uint64_t entry)
{
    for (unsigned level = 39; level > shift; level -= 9) {
        unsigned char *at = guest_entry(guest, address, level);

        if (entry_load(at) == 0) {
            entry_store(at, frames->table | ENTRY_PRESENT | ENTRY_WRITABLE);
            frames->table += PAGE;
        }
    }
    entry_store(guest_entry(guest, address, shift), entry);
}

static void map_small(const struct guest *guest, struct frames *frames, uint64_t address, uint64_t count, uint64_t flags)
{
    for (uint64_t i = 0; i < count; i++) {
        frames->page -= PAGE;
        map(guest, frames, address + i * PAGE, 12, frames->page | ENTRY_PRESENT | flags);
    }
}

void guest_make(struct guest *guest, void *bytes)
{
    const uint64_t large = (IMAGE_BASE + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1), data = ENTRY_WRITABLE | ENTRY_NO_EXECUTE;
    struct frames frames = { IMAGE_BASE + PAGE, large };

    memset(bytes, 0xcc, IMAGE_SIZE); /* pages are not clean when a guest takes them */
    memset(bytes, 0, TABLES * PAGE);
    guest->bytes = bytes;
    guest->base = IMAGE_BASE;
    guest->size = IMAGE_SIZE;
    guest->root = IMAGE_BASE;
    map_small(guest, &frames, KERNEL_TEXT, KERNEL_PAGES, 0);
    map_small(guest, &frames, KERNEL_DATA, KERNEL_PAGES, data);
    map_small(guest, &frames, STACK, STACK_PAGES, data);
    map_small(guest, &frames, MODULE_TEXT, MODULE_PAGES, 0);
    map_small(guest, &frames, MODULE_DATA, MODULE_PAGES, data);
    map(guest, &frames, MODULE_LARGE, 21, large | ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_LARGE);
}
