/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1 through the hooks: fields in two pages, what is called when, and which frames are flushed. */
#include "broken.h"

#define AT (MODULE_LARGE - 2 * PAGE) /* two small pages and the beginning of the large one */
#define SIZE (3 * PAGE)
#define ENTRIES 6

static Elf64_Rela table[ENTRIES];
static size_t sizes[ENTRIES];
static uint64_t wanted[ENTRIES];
static const uint64_t values[2] = { 0, UINT64_C(0xffffffff91a2b3c4) };
static const struct relakit_symbols symbols = { values, NULL, 2, NULL, NULL };
static const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
static const struct relakit_target in_guest = { .size = SIZE, .address = AT, .writer = &hooks };

static relakit_status apply(void)
{
    return relakit_apply(table, sizeof table, &symbols, &in_guest, &options, fresh());
}

static relakit_status clear(void)
{
    return relakit_clear(table, sizeof table, &symbols, &in_guest, &options, fresh());
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
    unsigned shift = address >= MODULE_LARGE ? 21 : 12;
    uint64_t in_page = address & ((UINT64_C(1) << shift) - 1);

    return image + ((entry_load(guest_entry(&guest, address, shift)) & ENTRY_ADDRESS) + in_page - IMAGE_BASE);
}

/* Fields in each page and over both edges: `before_edge` of the 4, or of the 8, bytes are before the edge. */
static void make_table(uint64_t before_edge)
{
    make_hooks();
    entry(0, 0x10, R_X86_64_64, 1);
    entry(1, PAGE - (1 + before_edge % 3), R_X86_64_PC32, -4);
    entry(2, PAGE + 0x100, R_X86_64_32S, 2);
    entry(3, 2 * PAGE - before_edge, R_X86_64_64, 3);
    entry(4, 2 * PAGE + 0x20, R_X86_64_PLT32, -5);
    entry(5, 2 * PAGE + 0x40, R_X86_64_64, 6);
    for (size_t i = 0; i < ENTRIES; i++)
        for (size_t byte = 0; byte < sizes[i]; byte++)
            *byte_at(AT + table[i].r_offset + byte) = 0;
    memcpy(image_before, image, IMAGE_SIZE);
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
    ACCEPTS(apply());
    TEXT(broken.log, "rrrrrr" "rwrwrwrwrwrw" "s");
    for (size_t i = 0; i < ENTRIES; i++)
        for (size_t byte = 0; byte < sizes[i]; byte++)
            EQ(*byte_at(AT + table[i].r_offset + byte), (unsigned char)(wanted[i] >> 8 * byte));
    look_at_frames(3);
    ACCEPTS(clear());
    same_image(image_before);
    for (size_t i = 1; i <= 3; i += 2) { /* nothing but a field that is in two frames */
        ACCEPTS(relakit_apply(&table[i], sizeof *table, &symbols, &in_guest, &options, fresh()));
        look_at_frames(2);
        ACCEPTS(relakit_clear(&table[i], sizeof *table, &symbols, &in_guest, &options, fresh()));
        same_image(image_before);
    }
}

/* Sync fails, and once more after the pass was undone. Its frames wait for the next one. */
static void sync_stays_broken(void)
{
    arm(BREAK_PAGE, 0);
    flush_answer = GUEST_FLUSH;
    REFUSES(RELAKIT_ERR_SYNC, (int64_t)GUEST_FLUSH, apply());
    TEXT(broken.log, "rrrrrr" "rwrwrwrwrwrw" "s" "wwwwww" "s");
    EQ(writer.frame_count, 3);
    same_image(image_before);
    flush_answer = 0;
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
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, wanted[2],
            relakit_apply(&table[1], 2 * sizeof *table, &symbols, &in_guest, &options, fresh()));
    EQ(fault.entry, 1);
    EQ(fault.limit, wanted[1]);
    same_image(image_before);
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
}

int main(void)
{
    for (uint64_t before_edge = 1; before_edge < 8; before_edge++) {
        make_table(before_edge);
        edges();
    }
    printf("  fields over the edges of pages, at every byte\n");
    fail_each_call("apply", apply, clear);
    sync_stays_broken();
    one_frame_twice();
    many_frames();
    return test_end("fields");
}
