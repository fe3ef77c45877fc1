/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Hooks whose n-th call finds the guest broken, as if somebody had taken a page away between two calls: the page of the
 * field's last byte, so that a field in two pages fails in its second half. And the test that is made of them.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include "../unit/test.h"
#include "guest.h"

#define MOST_CALLS 4096

enum breakage { BREAK_PAGE, BREAK_READ_ONLY, BREAK_TABLE, BREAK_IMAGE, BREAKAGES };

static const char *const breakage_names[BREAKAGES] = { "page unmapped", "page read-only", "table outside", "image cut" };
static const int64_t breakage_faults[BREAKAGES] = { GUEST_NOT_PRESENT, GUEST_READ_ONLY, GUEST_OUTSIDE, GUEST_OUTSIDE };

static unsigned char image[IMAGE_SIZE], image_before[IMAGE_SIZE], image_after[IMAGE_SIZE];
static struct guest guest;
static struct guest_writer writer;
static struct relakit_writer good_hooks, hooks; /* hooks: these, which may be broken */

static struct {
    enum breakage breakage;
    size_t at;  /* the call that goes wrong, counted from 1; 0: none */
    int stays;  /* broken until it is mended; otherwise for this one call */
    size_t calls;
    char log[MOST_CALLS + 1]; /* r, w, s: what was called */
    unsigned char *entry;     /* what to mend */
    uint64_t old_entry, old_size, old_open;
} broken;

static void break_guest(uint64_t last)
{
    unsigned shift = entry_load(guest_entry(&guest, last, 21)) & ENTRY_LARGE ? 21 : 12;
    unsigned char *entry = guest_entry(&guest, last, broken.breakage == BREAK_TABLE ? shift + 9 : shift);
    uint64_t old = entry_load(entry), in_page = last & ((UINT64_C(1) << shift) - 1);

    broken.entry = entry;
    broken.old_entry = old;
    broken.old_size = guest.size;
    broken.old_open = writer.open_size;
    if (broken.breakage == BREAK_PAGE)
        entry_store(entry, old & ~ENTRY_PRESENT);
    if (broken.breakage == BREAK_READ_ONLY) {
        entry_store(entry, old & ~ENTRY_WRITABLE);
        writer.open_size = 0;
    }
    if (broken.breakage == BREAK_TABLE)
        entry_store(entry, (old & ~ENTRY_ADDRESS) | (guest.base + guest.size)); /* right behind the last byte */
    if (broken.breakage == BREAK_IMAGE)
        guest.size = (old & ENTRY_ADDRESS) + in_page - guest.base; /* the field's last byte is the first that is gone */
}

static void mend(void)
{
    if (!broken.entry)
        return;
    entry_store(broken.entry, broken.old_entry);
    guest.size = broken.old_size;
    writer.open_size = broken.old_open;
    broken.entry = NULL;
}

static int is_now(char what)
{
    if (broken.calls < MOST_CALLS)
        broken.log[broken.calls] = what;
    broken.calls++;
    return broken.calls == broken.at;
}

static int32_t broken_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    int32_t answer;

    if (is_now('r'))
        break_guest(address + size - 1);
    answer = good_hooks.read(ctx, address, offset, bytes, size);
    if (!broken.stays)
        mend();
    return answer;
}

static int32_t broken_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    int32_t answer;

    if (is_now('w'))
        break_guest(address + size - 1);
    answer = good_hooks.write(ctx, address, offset, bytes, size);
    if (!broken.stays)
        mend();
    return answer;
}

static int32_t broken_sync(void *ctx)
{
    return is_now('s') ? GUEST_FLUSH : good_hooks.sync(ctx);
}

/* Breaks call `at` from now on; 0: none. */
static void arm(enum breakage breakage, size_t at, int stays)
{
    mend();
    memset(&broken, 0, sizeof broken);
    broken.breakage = breakage;
    broken.at = at;
    broken.stays = stays;
}

static void make_hooks(guest_flush *flush)
{
    guest_make(&guest, image);
    writer.guest = &guest;
    writer.flush = flush;
    good_hooks = guest_hooks(&writer);
    hooks = good_hooks;
    hooks.read = broken_read;
    hooks.write = broken_write;
    hooks.sync = broken_sync;
}

/* All of the guest's memory; quickly, because it is done often. */
static void same_image(const unsigned char *want)
{
    if (memcmp(image, want, IMAGE_SIZE) == 0)
        test_checks++;
    else
        SAME(image, want, IMAGE_SIZE);
}

typedef relakit_status pass(void);

/*
 * Makes every call of a pass fail, one after the other and in every way, and looks at all of the guest's memory each time.
 * `back` takes the pass back. A read does not mind a read-only page.
 */
static void fail_each_call(const char *what, pass *forward, pass *back)
{
    static char log[MOST_CALLS + 1];
    size_t calls, refused = 0, passed = 0;

    memcpy(image_before, image, IMAGE_SIZE);
    arm(BREAK_PAGE, 0, 0);
    ACCEPTS(forward());
    calls = broken.calls;
    memcpy(log, broken.log, sizeof log);
    CHECK(calls > 0 && calls <= MOST_CALLS);
    memcpy(image_after, image, IMAGE_SIZE);
    CHECK(memcmp(image_before, image_after, IMAGE_SIZE) != 0);
    ACCEPTS(back());
    same_image(image_before);
    for (int breakage = 0; breakage < BREAKAGES; breakage++) {
        for (size_t at = 1; at <= calls && at <= MOST_CALLS; at++) {
            int is_sync = log[at - 1] == 's';

            arm((enum breakage)breakage, at, 0);
            if (breakage == BREAK_READ_ONLY && log[at - 1] == 'r') {
                ACCEPTS(forward());
                same_image(image_after);
                arm(BREAK_PAGE, 0, 0);
                ACCEPTS(back());
                passed++;
            } else {
                REFUSES(is_sync ? RELAKIT_ERR_SYNC : RELAKIT_ERR_WRITER,
                        is_sync ? GUEST_FLUSH : breakage_faults[breakage], forward());
                refused++;
            }
            same_image(image_before);
        }
    }
    printf("  %s: %zu calls, each failing in %d ways: %zu times refused, and all memory as before", what, calls,
           BREAKAGES, refused);
    printf("; %zu times only read from a read-only page\n", passed);
}

#endif
