/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A walk over page tables that somebody else has written. Everything in them is checked before it is used, each entry is
 * read once, and there are four of them at most, wherever they lead.
 */
#include "guest.h"

#include <string.h>

#define ENTRY_PAT_LARGE UINT64_C(0x1000) /* the lowest bit of a large page's address has another meaning */

/* The host pointer to guest-physical memory; NULL unless all of it is there. */
static unsigned char *host_pointer(const struct guest *guest, uint64_t physical, uint64_t size)
{
    uint64_t offset = physical - guest->base; /* of what is below the base: larger than any size */

    if (offset > guest->size || size > guest->size - offset)
        return NULL;
    return guest->bytes + offset;
}

int guest_walk(const struct guest *guest, uint64_t address, struct guest_page *page)
{
    uint64_t table = guest->root & ENTRY_ADDRESS;

    page->writable = 1;
    if ((address + (UINT64_C(1) << 47)) >> 48 != 0)
        return GUEST_NOT_CANONICAL; /* bits 63 to 47 are not the same */
    for (unsigned shift = 39;; shift -= 9) {
        const uint64_t within = (UINT64_C(1) << shift) - 1; /* bits of an address that an entry here says nothing of */
        const unsigned char *at = host_pointer(guest, table + (address >> shift & 511) * 8, 8);
        uint64_t entry;

        if (!at)
            return GUEST_OUTSIDE;
        memcpy(&entry, at, sizeof entry);
        if (!(entry & ENTRY_PRESENT))
            return GUEST_NOT_PRESENT;
        if (!(entry & ENTRY_WRITABLE))
            page->writable = 0; /* at any level */
        if (shift == 12 || entry & ENTRY_LARGE) {
            if (shift == 39 || (shift > 12 && entry & ENTRY_ADDRESS & within & ~ENTRY_PAT_LARGE))
                return GUEST_BAD_ENTRY;
            page->physical = (entry & ENTRY_ADDRESS & ~within) + (address & within);
            page->left = within + 1 - (address & within);
            return 0;
        }
        table = entry & ENTRY_ADDRESS;
    }
}

int guest_pieces(const struct guest *guest, uint64_t address, size_t size, enum guest_access access,
                 struct guest_piece pieces[2])
{
    memset(pieces, 0, 2 * sizeof *pieces);
    if (size > PAGE)
        return GUEST_TOO_LONG; /* and might lie in more than two pages */
    if (size != 0 && address + (size - 1) < address)
        return GUEST_NOT_CANONICAL; /* wraps around */
    for (int i = 0; i < 2 && size != 0; i++) {
        struct guest_page page;
        int fault = guest_walk(guest, address, &page);

        if (fault != 0)
            return fault;
        if (access == GUEST_WRITE && !page.writable)
            return GUEST_READ_ONLY;
        pieces[i].physical = page.physical;
        pieces[i].size = size < page.left ? size : (size_t)page.left;
        pieces[i].bytes = host_pointer(guest, page.physical, pieces[i].size);
        if (!pieces[i].bytes)
            return GUEST_OUTSIDE;
        address += pieces[i].size;
        size -= pieces[i].size;
    }
    return 0;
}

int guest_read(const struct guest *guest, uint64_t address, void *bytes, size_t size)
{
    struct guest_piece pieces[2];
    int fault = guest_pieces(guest, address, size, GUEST_READ, pieces);

    for (int i = 0; i < 2 && fault == 0; i++) {
        if (pieces[i].size != 0)
            memcpy(bytes, pieces[i].bytes, pieces[i].size);
        bytes = (unsigned char *)bytes + pieces[i].size;
    }
    return fault;
}
