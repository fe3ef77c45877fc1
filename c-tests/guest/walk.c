/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From guest-virtual to guest-physical, with tables that are right, wrong, and noise. The image ends where the heap does. */
#include "../unit/test.h"
#include "guest.h"

#define END (IMAGE_BASE + IMAGE_SIZE)

static struct guest guest;
static unsigned char *image;

static void remake(void)
{
    guest_make(&guest, image);
    for (uint64_t at = LARGE_PAGE / 2; at < IMAGE_SIZE; at += 8) /* the large page: each 8 bytes are their address */
        entry_store(image + at, IMAGE_BASE + at);
}

static int walk(uint64_t address)
{
    struct guest_page page;

    return guest_walk(&guest, address, &page);
}

static int reads(uint64_t address, size_t size)
{
    unsigned char bytes[PAGE + 1];

    return guest_read(&guest, address, bytes, size);
}

static int may_write(uint64_t address, size_t size)
{
    struct guest_piece pieces[2];

    return guest_pieces(&guest, address, size, GUEST_WRITE, pieces);
}

/* Each page leads to a frame of its own; one that follows another does not lie behind it. */
static void mapped(void)
{
    static const struct {
        uint64_t from, pages;
        int writable;
    } areas[] = {
        { KERNEL_TEXT, KERNEL_PAGES, 0 }, { KERNEL_DATA, KERNEL_PAGES, 1 }, { STACK, STACK_PAGES, 1 },
        { MODULE_TEXT, MODULE_PAGES, 0 }, { MODULE_DATA, MODULE_PAGES, 1 },
    };
    static unsigned char used[IMAGE_SIZE / PAGE];
    struct guest_page page;
    uint64_t previous = 0;

    for (size_t i = 0; i < sizeof areas / sizeof *areas; i++) {
        for (uint64_t at = areas[i].from; at < areas[i].from + areas[i].pages * PAGE; at += PAGE) {
            EQ(guest_walk(&guest, at + 0x123, &page), 0);
            EQ(page.physical % PAGE, 0x123);
            EQ(page.left, PAGE - 0x123);
            EQ(page.writable, areas[i].writable);
            EQ(page.physical < END ? used[(page.physical - IMAGE_BASE) / PAGE]++ : 1, 0);
            CHECK(page.physical != previous + PAGE);
            previous = page.physical;
        }
        EQ(may_write(areas[i].from, 8), areas[i].writable ? 0 : GUEST_READ_ONLY);
    }
    EQ(guest_walk(&guest, MODULE_LARGE + 0x12345, &page), 0);
    EQ(page.physical, IMAGE_BASE + LARGE_PAGE / 2 + 0x12345);
    EQ(page.left, LARGE_PAGE - 0x12345);
    EQ(walk(KERNEL_TEXT - 1), GUEST_NOT_PRESENT);
    EQ(walk(KERNEL_TEXT + KERNEL_PAGES * PAGE), GUEST_NOT_PRESENT);
    EQ(walk(STACK + STACK_PAGES * PAGE), GUEST_NOT_PRESENT);
    EQ(walk(MODULE_LARGE + LARGE_PAGE), GUEST_NOT_PRESENT);
    printf("  every page of 4 KiB and of 2 MiB\n");
}

static void addresses(void)
{
    const uint64_t last = UINT64_C(0xfffffffffffff000);
    uint64_t data = entry_load(guest_entry(&guest, KERNEL_DATA, 12)), tables = IMAGE_BASE + 64 * PAGE;

    EQ(walk(UINT64_C(0x0000800000000000)), GUEST_NOT_CANONICAL);
    EQ(walk(UINT64_C(0xffff7fffffffffff)), GUEST_NOT_CANONICAL);
    EQ(walk(KERNEL_TEXT & ~(UINT64_C(1) << 63)), GUEST_NOT_CANONICAL);
    EQ(walk(UINT64_C(0x00007fffffffffff)), GUEST_NOT_PRESENT);
    EQ(walk(UINT64_C(0xffff800000000000)), GUEST_NOT_PRESENT);
    /* The last page there is: what reaches over its end does not begin anew at 0. */
    entry_store(guest_entry(&guest, last, 21), tables | ENTRY_PRESENT | ENTRY_WRITABLE);
    entry_store(guest_entry(&guest, last, 12), data);
    EQ(reads(last + PAGE - 4, 4), 0);
    EQ(reads(last + PAGE - 4, 5), GUEST_NOT_CANONICAL);
    EQ(reads(MODULE_LARGE, PAGE), 0);
    EQ(reads(MODULE_LARGE, PAGE + 1), GUEST_TOO_LONG);
    EQ(reads(0x1234, 0), 0); /* nothing is nowhere */
    remake();
    printf("  addresses that are none, and the end of the address space\n");
}

/* One entry at each level is changed. */
static void entries(uint64_t address, unsigned lowest)
{
    for (unsigned shift = 39; shift >= lowest; shift -= 9) {
        unsigned char *entry = guest_entry(&guest, address, shift);
        uint64_t old = entry_load(entry), flags = old & ~ENTRY_ADDRESS;
        static const uint64_t outside[] = { 0, IMAGE_BASE - PAGE, END, ENTRY_ADDRESS };

        entry_store(entry, old & ~ENTRY_PRESENT);
        EQ(reads(address, 8), GUEST_NOT_PRESENT);
        entry_store(entry, old & ~ENTRY_WRITABLE);
        EQ(reads(address, 8), 0);
        EQ(may_write(address, 8), GUEST_READ_ONLY);
        for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
            if (shift == 21 && lowest == 21 && outside[i] == IMAGE_BASE - PAGE)
                continue; /* no address of a large page */
            entry_store(entry, flags | (shift == lowest ? outside[i] & ~((UINT64_C(1) << shift) - 1) : outside[i]));
            EQ(reads(address, 8), GUEST_OUTSIDE);
        }
        if (shift > lowest) {
            entry_store(entry, (IMAGE_BASE + 64 * PAGE) | flags | ENTRY_LARGE); /* aligned to 4 KiB only */
            EQ(reads(address, 8), GUEST_BAD_ENTRY);
        }
        entry_store(entry, old);
        EQ(reads(address, 8), 0);
    }
}

static void wrong_tables(void)
{
    static const uint64_t roots[] = { 0, IMAGE_BASE - PAGE, END, END - PAGE + 1, ENTRY_ADDRESS, UINT64_MAX };
    struct guest_page page;
    unsigned char *entry;
    uint64_t value;

    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        guest.root = roots[i];
        EQ(walk(KERNEL_DATA), roots[i] == END - PAGE + 1 ? GUEST_NOT_PRESENT : GUEST_OUTSIDE);
    }
    guest.root = IMAGE_BASE | 0xfff; /* CR3 has flags, too */
    EQ(walk(KERNEL_DATA), 0);
    guest.root = IMAGE_BASE;
    entries(MODULE_DATA, 12);
    entries(MODULE_LARGE + 0x100000, 21);
    entry = guest_entry(&guest, 0, 39);
    entry_store(entry, ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_LARGE); /* there are no pages of 512 GiB */
    EQ(reads(IMAGE_BASE, 8), GUEST_BAD_ENTRY);
    entry = guest_entry(&guest, MODULE_LARGE, 21);
    entry_store(entry, entry_load(entry) | PAGE); /* a bit that is no part of a large page's address */
    EQ(guest_read(&guest, MODULE_LARGE + 0x100000, &value, 8), 0);
    EQ(value, IMAGE_BASE + LARGE_PAGE);
    printf("  entries at each level: not there, read-only, leading out of the image, with reserved bits\n");

    /* A table that is its own: four entries are read, and the table is the page. */
    entry = guest_entry(&guest, 0, 39);
    entry_store(entry, guest.root | ENTRY_PRESENT | ENTRY_WRITABLE);
    EQ(guest_walk(&guest, 0x18, &page), 0);
    EQ(page.physical, guest.root + 0x18);
    /* A page of 1 GiB, of which the image is a small part. */
    entry_store(guest_entry(&guest, KERNEL_DATA, 30), ENTRY_PRESENT | ENTRY_LARGE);
    EQ(guest_walk(&guest, KERNEL_TEXT + IMAGE_BASE + 5, &page), 0);
    EQ(page.physical, IMAGE_BASE + 5);
    EQ(page.left, (UINT64_C(1) << 30) - IMAGE_BASE - 5);
    EQ(reads(KERNEL_TEXT + END - 8, 8), 0);
    EQ(reads(KERNEL_TEXT + END - 8, 9), GUEST_OUTSIDE);
    EQ(reads(KERNEL_TEXT + IMAGE_BASE, 8), 0);
    EQ(reads(KERNEL_TEXT + IMAGE_BASE - 1, 1), GUEST_OUTSIDE);
    remake();
    printf("  a table that leads to itself, and a page of 1 GiB\n");
}

static void short_image(void)
{
    uint64_t value;

    EQ(guest_read(&guest, MODULE_LARGE + LARGE_PAGE - 8, &value, 8), 0);
    EQ(value, END - 8);
    for (uint64_t less = 1; less <= 8; less++) {
        guest.size = IMAGE_SIZE - less;
        EQ(reads(MODULE_LARGE + LARGE_PAGE - 8, 8), GUEST_OUTSIDE);
        EQ(reads(MODULE_LARGE + LARGE_PAGE - 16, 8), 0);
    }
    /* Each table is cut off in turn: the image ends in the middle of the entry that is needed. */
    for (unsigned shift = 39; shift >= 12; shift -= 9) {
        guest.size = (uint64_t)(guest_entry(&guest, MODULE_DATA, shift) - image) + 7;
        EQ(walk(MODULE_DATA), GUEST_OUTSIDE);
        guest.size++;
        EQ(walk(MODULE_DATA), shift == 12 ? 0 : GUEST_OUTSIDE);
        guest.size = IMAGE_SIZE;
    }
    guest.size = 0;
    EQ(walk(KERNEL_TEXT), GUEST_OUTSIDE);
    guest.size = IMAGE_SIZE;
    printf("  an image that is too short for a page or a table\n");
}

static uint64_t noise(void)
{
    static uint64_t state = 1;

    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Tables of noise that often leads to where tables are: every answer is a fault, or bytes of the image. */
static void noise_tables(void)
{
    unsigned long walks = 0, faults[8] = { 0 };

    for (int round = 0; round < 40; round++) {
        for (uint64_t at = 0; at < 32 * PAGE; at += 8) {
            uint64_t random = noise(), entry = random & ~ENTRY_ADDRESS;

            entry |= random >> 60 == 0 ? noise() & ENTRY_ADDRESS : IMAGE_BASE + noise() % 36 * PAGE;
            entry |= random >> 40 & 7 ? ENTRY_PRESENT : 0;
            entry &= random >> 44 & 7 ? ~ENTRY_LARGE : ~UINT64_C(0);
            entry_store(image + at, entry);
        }
        guest.size = 33 * PAGE + noise() % PAGE;
        for (int i = 0; i < 2000; i++, walks++) {
            struct guest_piece pieces[2];
            uint64_t address = noise() & UINT64_C(0x7fffffffffff);
            size_t size = 1 + noise() % 4096;
            int answer;

            address |= noise() & 1 ? UINT64_C(0xffff800000000000) : 0;
            answer = guest_pieces(&guest, address, size, GUEST_WRITE, pieces);
            CHECK(answer <= 0 && answer > -8);
            faults[-answer & 7]++;
            for (int piece = 0; piece < 2 && answer == 0; piece++) {
                if (pieces[piece].size == 0)
                    continue;
                CHECK(pieces[piece].bytes >= image && pieces[piece].bytes + pieces[piece].size <= image + guest.size);
                EQ(pieces[piece].bytes - image, pieces[piece].physical - IMAGE_BASE);
            }
            if (answer == 0)
                EQ(pieces[0].size + pieces[1].size, size);
        }
    }
    CHECK(faults[0] && faults[-GUEST_NOT_PRESENT] && faults[-GUEST_BAD_ENTRY] && faults[-GUEST_OUTSIDE] &&
          faults[-GUEST_READ_ONLY]);
    printf("  %lu walks over noise\n", walks);
    remake();
}

int main(void)
{
    image = heap(IMAGE_SIZE); /* so that a sanitizer sees a byte too far */
    remake();
    mapped();
    addresses();
    wrong_tables();
    short_image();
    noise_tables();
    free(image);
    return test_end("walk");
}
