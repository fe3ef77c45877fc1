/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory for modules. Like a kernel's modules, ours refer to each other and to the program in 32 bits: everything must
 * be within the same 2 GiB, which here are the lowest ones (a kernel's are the highest). So the program is linked with
 * -no-pie, which puts it there, and memory is asked for at addresses there. MAP_32BIT would do so on a bare machine; an
 * address that is only a hint does so under valgrind and the sanitizers as well.
 */
#include "loader.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define LOWEST ((uintptr_t)0x10000000)
#define HIGHEST ((uintptr_t)0x70000000)
#define STEP ((uintptr_t)0x400000)
#define PART ((size_t)0x10000) /* bytes of code, and bytes of data; whole pages */
#define GAP ((size_t)64)       /* between sections, where a write that misses its section is noticed */

int memory_map(struct memory *memory)
{
    /* No address is used twice: whoever keeps one of a module that has gone will be found out. */
    static uintptr_t next = LOWEST;

    memset(memory, 0, sizeof *memory);
    for (; next < HIGHEST; next += STEP) {
        void *want = (void *)next;
        void *got = mmap(want, 2 * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (got == MAP_FAILED)
            continue;
        if (got == want) {
            next += STEP;
            memory->bytes = (unsigned char *)got;
            memory->code[0].size = PART;
            return 0;
        }
        munmap(got, 2 * PART);
    }
    return -1;
}

unsigned char *memory_take(struct memory *memory, uint64_t sh_flags, uint64_t size, uint64_t align)
{
    size_t part = sh_flags & SHF_EXECINSTR ? 0 : 1;
    size_t start = memory->used[part] + GAP;

    if (align == 0)
        align = 1; /* gABI: no constraint */
    if (align > PART || (align & (align - 1)) != 0 || size > PART)
        return NULL;
    start = (start + (size_t)align - 1) & ~((size_t)align - 1);
    if (start > PART - (size_t)size)
        return NULL;
    memory->used[part] = start + (size_t)size;
    return memory->bytes + part * PART + start;
}

size_t memory_size(void)
{
    return 2 * PART;
}

void memory_code(struct memory *memory, const struct relakit_group *groups)
{
    memory->code[0] = groups[RELAKIT_GROUP_TEXT];
    memory->code[1] = groups[RELAKIT_GROUP_INIT_TEXT];
}

static int protect(const struct memory *memory, int protection)
{
    int failed = 0;

    for (int i = 0; i < 2 && !failed; i++)
        if (memory->code[i].size)
            failed = mprotect(memory->bytes + memory->code[i].offset, memory->code[i].size, protection);
    return failed;
}

int memory_seal(const struct memory *memory)
{
    return protect(memory, PROT_READ | PROT_EXEC);
}

int memory_open(const struct memory *memory)
{
    return protect(memory, PROT_READ | PROT_WRITE);
}

void memory_unmap(struct memory *memory)
{
    if (memory->bytes)
        munmap(memory->bytes, 2 * PART);
    memset(memory, 0, sizeof *memory);
}

static int32_t writer_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    (void)ctx, (void)offset;
    memcpy(bytes, (const void *)(uintptr_t)address, size);
    return 0;
}

/* Nobody executes the code meanwhile: one thread. With several, this is where the text_poke of a kernel is called. */
static int32_t writer_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    const struct memory *memory = ctx;

    (void)offset;
    if (memory_open(memory) != 0)
        return -errno; /* nothing is written, which is what a failing write promises */
    memcpy((void *)(uintptr_t)address, bytes, size);
    return 0;
}

static int32_t writer_sync(void *ctx)
{
    return memory_seal(ctx) == 0 ? 0 : -errno;
}

struct relakit_writer memory_writer(struct memory *memory)
{
    struct relakit_writer writer = { .struct_size = sizeof writer, .ctx = memory };

    writer.read = writer_read;
    writer.write = writer_write;
    writer.sync = writer_sync;
    return writer;
}
