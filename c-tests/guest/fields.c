/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1 through the hooks: fields in two pages, what is called when, and what is left when it fails half-way. */
#include "broken.h"

#define AT (MODULE_LARGE - 2 * PAGE) /* two small pages and the beginning of the large one */
#define SIZE (3 * PAGE)
#define ENTRIES 6

static Elf64_Rela table[ENTRIES];
static size_t sizes[ENTRIES];
static uint64_t wanted[ENTRIES];
static const uint64_t values[2] = { 0, UINT64_C(0xffffffff91a2b3c4) };
static const struct relakit_symbols symbols = { values, NULL, 2 };
static const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
static const struct relakit_target target = { .size = SIZE, .address = AT, .writer = &hooks };
static uint64_t flushed[MOST_FRAMES];
static size_t flushed_count;
static int flushed_all;

static int32_t flush(void *ctx, const uint64_t *frames, size_t count)
{
    (void)ctx;
    flushed_count = count;
    flushed_all = frames == NULL;
    if (frames)
        memcpy(flushed, frames, count * sizeof *frames);
    return 0;
}

static int32_t no_flush(void *ctx, const uint64_t *frames, size_t count)
{
    (void)ctx, (void)frames, (void)count;
    return GUEST_FLUSH;
}

static relakit_status apply(void)
{
    return relakit_apply(table, sizeof table, &symbols, &target, &options, fresh());
}

static relakit_status clear(void)
{
    return relakit_clear(table, sizeof table, &symbols, &target, &options, fresh());
}

static void entry(size_t index, uint64_t offset, uint32_t type, int64_t addend)
{
    table[index] = rela(offset, 1, type, addend);
    sizes[index] = type == R_X86_64_64 ? 8 : 4;
    wanted[index] = values[1] + (uint64_t)addend;
    if (type == R_X86_64_PC32 || type == R_X86_64_PLT32)
        wanted[index] -= AT + offset; /* the guest-virtual address: nothing else here is P */
    if (sizes[index] == 4)
        wanted[index] &= 0xffffffff;
}

/* A byte of the guest, found without the code that is tested. */
static unsigned char *byte_at(uint64_t address)
{
    uint64_t physical = address >= MODULE_LARGE ? (entry_load(guest_entry(&guest, address, 21)) & ENTRY_ADDRESS) +
                                                      (address - MODULE_LARGE)
                                                : (entry_load(guest_entry(&guest, address, 12)) & ENTRY_ADDRESS) +
                                                      address % PAGE;

    return image + (physical - IMAGE_BASE);
}

/* Fields in each page and over both edges: `before_edge` of the 4, or of the 8, bytes are before the edge. */
static void make_table(uint64_t before_edge)
{
    uint64_t of_four = 1 + before_edge % 3;

    make_hooks(flush);
    arm(BREAK_PAGE, 0, 0);
    entry(0, 0x10, R_X86_64_64, 1);
    entry(1, PAGE - of_four, R_X86_64_PC32, -4);
    entry(2, PAGE + 0x100, R_X86_64_32S, 2);
    entry(3, 2 * PAGE - before_edge, R_X86_64_64, 3);
    entry(4, 2 * PAGE + 0x20, R_X86_64_PLT32, -5);
    entry(5, 2 * PAGE + 0x40, R_X86_64_64, 6);
    for (uint64_t i = 0; i < SIZE; i++)
        *byte_at(AT + i) = 0xcc;
    for (size_t i = 0; i < ENTRIES; i++)
        for (size_t byte = 0; byte < sizes[i]; byte++)
            *byte_at(AT + table[i].r_offset + byte) = 0;
}

static void look_at_fields(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        unsigned char bytes[8];

        for (size_t byte = 0; byte < sizes[i]; byte++)
            bytes[byte] = *byte_at(AT + table[i].r_offset + byte);
        EQ(load(bytes, sizes[i]), wanted[i]);
    }
}

/* Flush was told of the frames that have changed, each once, and of no others. */
static void look_at_frames(size_t want)
{
    size_t changed = 0;

    for (uint64_t at = 0; at < IMAGE_SIZE; at += PAGE) {
        size_t told = 0;

        for (size_t i = 0; i < flushed_count; i++)
            told += flushed[i] == IMAGE_BASE + at;
        EQ(told, memcmp(image + at, image_before + at, PAGE) != 0);
        changed += told;
    }
    EQ(changed, flushed_count);
    EQ(changed, want);
}

static void edges(void)
{
    CHECK(byte_at(AT + PAGE) != byte_at(AT + PAGE - 1) + 1); /* neighbours only where the guest runs */
    CHECK(byte_at(AT + 2 * PAGE) != byte_at(AT + 2 * PAGE - 1) + 1);
    memcpy(image_before, image, IMAGE_SIZE);
    ACCEPTS(relakit_dry_run(table, sizeof table, &symbols, &target, &options, fresh()));
    TEXT(broken.log, "rrrrrr");
    same_image(image_before);
    arm(BREAK_PAGE, 0, 0);
    ACCEPTS(apply());
    TEXT(broken.log, "rrrrrr" "rwrwrwrwrwrw" "s"); /* all is proven before the first write */
    look_at_fields();
    look_at_frames(3);
    ACCEPTS(clear());
    same_image(image_before);
    for (size_t i = 1; i <= 3; i += 2) { /* nothing but a field that is in two frames */
        ACCEPTS(relakit_apply(&table[i], sizeof *table, &symbols, &target, &options, fresh()));
        look_at_frames(2);
        ACCEPTS(relakit_clear(&table[i], sizeof *table, &symbols, &target, &options, fresh()));
        same_image(image_before);
    }
}

/* From this call on, for good. Where nothing was written in the page that is lost, the rest can be undone. */
static void stays_broken(enum breakage breakage, size_t at, size_t *undone, size_t *not_undone)
{
    relakit_status status;

    arm(breakage, at, 1);
    status = apply();
    mend();
    if (status == RELAKIT_ERR_NOT_UNDONE) { /* says up to which entry fields hold their values */
        memcpy(image_after, image, IMAGE_SIZE);
        memcpy(image, image_before, IMAGE_SIZE);
        for (size_t i = 0; fault.has & RELAKIT_ERROR_HAS_ENTRY && i <= fault.entry && i < ENTRIES; i++)
            for (size_t byte = 0; byte < sizes[i]; byte++)
                *byte_at(AT + table[i].r_offset + byte) = (unsigned char)(wanted[i] >> 8 * byte);
        same_image(image_after);
        memcpy(image, image_before, IMAGE_SIZE);
        ++*not_undone;
    } else {
        EQ(status, RELAKIT_ERR_WRITER);
        same_image(image_before);
        ++*undone;
    }
    EQ((int64_t)fault.value, breakage_faults[breakage]);
}

/* Sync fails, and once more after the pass was undone. Its frames wait for the next one. */
static void sync_stays_broken(void)
{
    arm(BREAK_PAGE, 0, 0);
    writer.flush = no_flush;
    REFUSES(RELAKIT_ERR_SYNC, (int64_t)GUEST_FLUSH, apply());
    TEXT(broken.log, "rrrrrr" "rwrwrwrwrwrw" "s" "wwwwww" "s");
    EQ(writer.frame_count, 3);
    same_image(image_before);
    writer.flush = flush;
    printf("  sync for good: undone, and three frames that the next sync is told of\n");
}

/* A guest that maps one frame twice: two fields that are one. The second reading finds out, and the first is undone. */
static void one_frame_twice(void)
{
    make_table(5);
    entry(1, 0x10, R_X86_64_64, 1);
    entry(2, PAGE + 0x10, R_X86_64_64, 2);
    memset(byte_at(AT + PAGE + 0x10), 0, 8);
    entry_store(guest_entry(&guest, AT + PAGE, 12), entry_load(guest_entry(&guest, AT, 12)));
    memcpy(image_before, image, IMAGE_SIZE);
    (void)relakit_apply(&table[1], 2 * sizeof *table, &symbols, &target, &options, fresh());
    EQ(fault.status, RELAKIT_ERR_TARGET_NOT_ZERO);
    EQ(fault.entry, 1);
    EQ(fault.limit, wanted[1]);
    same_image(image_before);
    printf("  a frame that is mapped twice\n");
}

/* More frames than there is room for: flush is told that it is all of them. */
static void many_frames(void)
{
    const unsigned char byte = 0;

    for (uint64_t i = 0; i <= MOST_FRAMES; i++) {
        EQ(good_hooks.write(good_hooks.ctx, MODULE_LARGE + i * PAGE, 0, &byte, 1), 0);
        EQ(good_hooks.write(good_hooks.ctx, MODULE_LARGE + i * PAGE + 1, 1, &byte, 1), 0);
        EQ(writer.frame_count, i + 1);
    }
    EQ(good_hooks.sync(good_hooks.ctx), 0);
    EQ(flushed_count, MOST_FRAMES + 1);
    EQ(flushed_all, 1);
    EQ(writer.frame_count, 0);
    printf("  %d frames with one sync\n", MOST_FRAMES + 1);
}

int main(void)
{
    for (uint64_t before_edge = 1; before_edge < 8; before_edge++) {
        make_table(before_edge);
        edges();
        printf("  fields over an edge, %d of 4 and %d of 8 bytes before it\n", (int)(1 + before_edge % 3),
               (int)before_edge);
    }
    make_table(5);
    fail_each_call("apply", apply, clear);
    ACCEPTS(apply());
    fail_each_call("clear", clear, apply);
    ACCEPTS(clear());

    memcpy(image_before, image, IMAGE_SIZE);
    for (int breakage = 0; breakage < BREAKAGES; breakage++) {
        size_t undone = 0, not_undone = 0;

        for (size_t at = 1; at <= 3 * ENTRIES; at++) /* the last call is sync, which is no page's */
            if (breakage != BREAK_READ_ONLY || (at > ENTRIES && (at - ENTRIES) % 2 == 0)) /* only writes mind */
                stays_broken((enum breakage)breakage, at, &undone, &not_undone);
        printf("  %s for good: %zu times as before, %zu times not undone, up to the entry that is said\n",
               breakage_names[breakage], undone, not_undone);
        CHECK(undone > 0 && not_undone > 0);
    }
    sync_stays_broken();
    one_frame_twice();
    many_frames();
    return test_end("fields");
}
