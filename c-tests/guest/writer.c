/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hooks of a hypervisor whose guest's processors are paused. relakit calls them; they know nothing of relocations. */
#include "guest.h"

#include <string.h>

static int32_t hook_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    const struct guest_writer *writer = ctx;

    (void)offset;
    return guest_read(writer->guest, address, bytes, size);
}

static int is_open(const struct guest_writer *writer, uint64_t address, size_t size)
{
    uint64_t offset = address - writer->open;

    return address >= writer->open && offset <= writer->open_size && size <= writer->open_size - offset;
}

static void note(struct guest_writer *writer, uint64_t frame)
{
    for (size_t i = 0; i < writer->frame_count && i < MOST_FRAMES; i++)
        if (writer->frames[i] == frame)
            return;
    if (writer->frame_count < MOST_FRAMES)
        writer->frames[writer->frame_count] = frame;
    if (writer->frame_count <= MOST_FRAMES)
        writer->frame_count++;
}

/*
 * A failing write must have written nothing: both pages of a field are looked up before the first is written. A page
 * that the guest may not write is refused, but for the text that the hypervisor is about to patch.
 */
static int32_t hook_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    struct guest_writer *writer = ctx;
    enum guest_access access = is_open(writer, address, size) ? GUEST_OVERRIDE : GUEST_WRITE;
    struct guest_piece pieces[2];
    int fault = guest_pieces(writer->guest, address, size, access, pieces);

    (void)offset;
    for (int i = 0; i < 2 && fault == 0 && pieces[i].size != 0; i++) {
        const uint64_t last = pieces[i].physical + pieces[i].size - 1;

        memcpy(pieces[i].bytes, bytes, pieces[i].size);
        bytes = (const unsigned char *)bytes + pieces[i].size;
        for (uint64_t frame = pieces[i].physical & ~(PAGE - 1); frame <= last; frame += PAGE)
            note(writer, frame);
    }
    return fault;
}

/* Once a pass; once more when what was written is undone, because a processor may have seen it. */
static int32_t hook_sync(void *ctx)
{
    struct guest_writer *writer = ctx;
    int all = writer->frame_count > MOST_FRAMES;
    int32_t fault = writer->flush(writer->flush_ctx, all ? NULL : writer->frames, writer->frame_count);

    if (fault == 0)
        writer->frame_count = 0;
    return fault;
}

struct relakit_writer guest_hooks(struct guest_writer *writer)
{
    struct relakit_writer hooks = { .struct_size = sizeof hooks, .ctx = writer };

    hooks.flags = RELAKIT_WRITER_FOREIGN; /* An address of the guest says nothing about our memory. */
    hooks.read = hook_read;
    hooks.write = hook_write;
    hooks.sync = hook_sync;
    return hooks;
}
