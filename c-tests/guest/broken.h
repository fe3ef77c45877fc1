/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Hooks whose n-th call finds the guest broken, as if somebody had taken a page away between two calls; and the test that is
 * made of them: after a pass that fails all of the guest's memory must be as before.
 */
#ifndef BROKEN_H
#define BROKEN_H

#include "../unit/test.h"
#include "guest.h"

static unsigned char image[IMAGE_SIZE], image_before[IMAGE_SIZE], image_after[IMAGE_SIZE];
static struct guest guest;
static struct relakit_writer good_hooks, hooks; /* hooks: these, which may be broken */

/* Told which frames have changed. */
static uint64_t flushed[MOST_FRAMES];
static size_t flushed_count;
static int flushed_all;
static int32_t flush_answer;

static int32_t flush(void *ctx, const uint64_t *frames, size_t count)
{
    (void)ctx;
    flushed_count = count;
    flushed_all = frames == NULL;
    if (frames)
        memcpy(flushed, frames, count * sizeof *frames);
    return flush_answer;
}

static struct guest_writer writer = { .guest = &guest, .flush = flush };

#define MOST_CALLS 4096

enum breakage { BREAK_PAGE, BREAK_READ_ONLY, BREAK_TABLE, BREAK_IMAGE, BREAKAGES };
static const int64_t breakage_faults[BREAKAGES] = { GUEST_NOT_PRESENT, GUEST_READ_ONLY, GUEST_OUTSIDE, GUEST_OUTSIDE };

static struct {
    enum breakage breakage;
    size_t at; /* the call that goes wrong, counted from 1; 0: none */
    size_t calls;
    char log[MOST_CALLS + 1]; /* r, w, s: what was called */
} broken;

static int is_now(char what)
{
    if (broken.calls < MOST_CALLS)
        broken.log[broken.calls] = what;
    return ++broken.calls == broken.at;
}

/* Makes the call with a guest that is broken at the field's last byte, so that a field in two pages fails in its second. */
static int32_t while_broken(char what, void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    const uint64_t last = address + size - 1, old_size = guest.size, old_open = writer.open_size;
    unsigned shift = entry_load(guest_entry(&guest, last, 21)) & ENTRY_LARGE ? 21 : 12;
    unsigned char *entry = guest_entry(&guest, last, broken.breakage == BREAK_TABLE ? shift + 9 : shift);
    const uint64_t old = entry_load(entry);
    int32_t answer;

    switch (broken.breakage) {
    case BREAK_PAGE: entry_store(entry, old & ~ENTRY_PRESENT); break;
    case BREAK_READ_ONLY:
        entry_store(entry, old & ~ENTRY_WRITABLE);
        writer.open_size = 0;
        break;
    case BREAK_TABLE: entry_store(entry, (old & ~ENTRY_ADDRESS) | (guest.base + guest.size)); break;
    default: guest.size = (old & ENTRY_ADDRESS) + (last & ((UINT64_C(1) << shift) - 1)) - guest.base;
    }
    answer = what == 'r' ? good_hooks.read(ctx, address, offset, bytes, size)
                         : good_hooks.write(ctx, address, offset, bytes, size);
    entry_store(entry, old);
    guest.size = old_size;
    writer.open_size = old_open;
    return answer;
}

static int32_t broken_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    return is_now('r') ? while_broken('r', ctx, address, offset, bytes, size)
                       : good_hooks.read(ctx, address, offset, bytes, size);
}

static int32_t broken_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    return is_now('w') ? while_broken('w', ctx, address, offset, (void *)(uintptr_t)bytes, size)
                       : good_hooks.write(ctx, address, offset, bytes, size);
}

static int32_t broken_sync(void *ctx)
{
    return is_now('s') ? GUEST_FLUSH : good_hooks.sync(ctx);
}

/* Breaks call `at` from now on; 0: none. */
static void arm(enum breakage breakage, size_t at)
{
    memset(&broken, 0, sizeof broken);
    broken.breakage = breakage;
    broken.at = at;
}

static void make_hooks(void)
{
    guest_make(&guest, image);
    good_hooks = hooks = guest_hooks(&writer);
    hooks.read = broken_read;
    hooks.write = broken_write;
    hooks.sync = broken_sync;
    arm(BREAK_PAGE, 0);
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

/* Makes every call of a pass fail, one after the other and in every way. `back` takes the pass back. */
static void fail_each_call(const char *what, pass *forward, pass *back)
{
    static char log[MOST_CALLS + 1];
    size_t calls;

    memcpy(image_before, image, IMAGE_SIZE);
    arm(BREAK_PAGE, 0);
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

            arm((enum breakage)breakage, at);
            if (breakage == BREAK_READ_ONLY && log[at - 1] == 'r') { /* a read does not mind a read-only page */
                ACCEPTS(forward());
                same_image(image_after);
                arm(BREAK_PAGE, 0);
                ACCEPTS(back());
            } else
                REFUSES(is_sync ? RELAKIT_ERR_SYNC : RELAKIT_ERR_WRITER,
                        is_sync ? GUEST_FLUSH : breakage_faults[breakage], forward());
            same_image(image_before);
        }
    }
    printf("  %s: %zu calls, each failing in %d ways\n", what, calls, BREAKAGES);
}

#endif
