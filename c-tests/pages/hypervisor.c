/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/embedding/hypervisor.md, with stand-ins for a guest. c-tests/guest runs such a program. */
#include "table.h"

enum { GUEST_WRITE, NOT_MAPPED = 14 };
struct guest {
    unsigned char first[2], second[2];
    int unmapped; /* the second page */
};
struct guest_piece {
    unsigned char *bytes;
    size_t size;
    uint64_t physical;
};
struct guest_writer {
    struct guest *guest;
    int noted;
};

/* A field of four bytes lies in two pages. */
static int guest_pieces(struct guest *guest, uint64_t address, size_t size, int access, struct guest_piece *pieces)
{
    pieces[0] = (struct guest_piece){ guest->first, 2, 0x1000 };
    pieces[1] = (struct guest_piece){ guest->second, 2, 0x9000 };
    return guest->unmapped ? NOT_MAPPED : 0;
}

static void note(struct guest_writer *writer, uint64_t physical)
{
    writer->noted++;
}
#include "hypervisor-page.h"

int main(void)
{
    struct guest guest = { { 0 }, { 0 }, 0 };
    struct guest_writer writer = { &guest, 0 };

    EQ(hook_write(&writer, 0xffe, 0, "abcd", 4), 0);
    SAME(guest.first, "ab", 2);
    SAME(guest.second, "cd", 2);
    EQ(writer.noted, 2);
    guest.unmapped = 1;
    EQ(hook_write(&writer, 0xffe, 0, "efgh", 4), NOT_MAPPED);
    SAME(guest.first, "ab", 2);
    EQ(writer.noted, 2);
    return test_end("hypervisor");
}
