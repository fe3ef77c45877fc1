/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Counting the steps of one call. A step is an instruction. Callgrind counts those of the call, callbacks included, and
 * writes them into a file, together with what was counted; judge.awk reads it.
 */
#ifndef STEPS_H
#define STEPS_H

#include "../unit/test.h"

#include <valgrind/callgrind.h>

/* How steps grow with the number of things that a call is given. Those with "not" are for controls. */
#define LINEAR "linear"
#define CONSTANT "constant"
#define LOGARITHMIC "logarithmic"
#define N_LOG_N "n log n"
#define AT_MOST_N_LOG_N "<= n log n"
#define AT_MOST_LOGARITHMIC "<= log n"
#define NOT_LINEAR "not linear"
#define NOT_CONSTANT "not constant"
#define NOT_LOGARITHMIC "not logarithmic"
#define NOT_N_LOG_N "not n log n"
#define NOT_AT_MOST_N_LOG_N "not <= n log n"
#define NOT_AT_MOST_LOGARITHMIC "not <= log n"

/* Each call is counted with n things, with 4n and with 16n. */
static const uint32_t times[] = {1, 4, 16};
#define TIMES (sizeof times / sizeof *times)

/* The memory functions that the library calls. Those of libc choose between several ways, by length and processor; these
 * go eight bytes at a time and compare each byte. */
typedef uint64_t __attribute__((may_alias, aligned(1))) unaligned;

void *memcpy(void *to, const void *from, size_t size)
{
    unsigned char *out = (unsigned char *)to;
    const unsigned char *in = (const unsigned char *)from;
    for (; size >= 8; size -= 8, in += 8, out += 8)
        *(unaligned *)(void *)out = *(const unaligned *)(const void *)in;
    while (size-- > 0)
        *out++ = *in++;
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    unsigned char *out = (unsigned char *)to;
    uint64_t bytes = (unsigned char)byte * UINT64_C(0x0101010101010101);
    for (; size >= 8; size -= 8, out += 8)
        *(unaligned *)(void *)out = bytes;
    while (size-- > 0)
        *out++ = (unsigned char)byte;
    return to;
}

int memcmp(const void *one, const void *other, size_t size)
{
    const unsigned char *a = (const unsigned char *)one, *b = (const unsigned char *)other;
    for (; size > 0; size--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

int bcmp(const void *one, const void *other, size_t size);
int bcmp(const void *one, const void *other, size_t size)
{
    return memcmp(one, other, size);
}

/* What is counted: one call of the library, with what was made ready before. */
typedef relakit_status counted(void);

/* Counts a call, which must answer `want`: one that stops early would do with few steps. */
static inline void count_steps(const char *grows, const char *what, uint32_t things, counted *call, relakit_status want)
{
    char label[400];
    relakit_status status;
    snprintf(label, sizeof label, "%s|%s|%lu", grows, what, (unsigned long)things);
    CALLGRIND_TOGGLE_COLLECT;
    status = call();
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(label);
    if (!EQ(status, want))
        printf("    %s\n", label);
}

/* Memory for one case, lent in the same order each time: which of two things is first decides how soon they are known not
 * to overlap. */
static unsigned char arena[48 << 20];
static size_t arena_used;

static inline void *lend(size_t size)
{
    unsigned char *memory = arena + arena_used;
    size = (size + 63) / 64 * 64;
    if (size > sizeof arena - arena_used)
        exit(99);
    arena_used += size;
    memset(memory, 0, size);
    return memory;
}

static uint32_t things;

/* Counts a call that is given n things, with n, 4n and 16n. `prepare` makes them ready. */
static inline void count_things(const char *grows, const char *what, uint32_t n, void (*prepare)(void), counted *call,
                         relakit_status want)
{
    for (size_t t = 0; t < TIMES; t++) {
        things = n * times[t];
        arena_used = 0;
        if (prepare != NULL)
            prepare();
        count_steps(grows, what, things, call, want);
    }
}

/* Memory behind a writer, which runs from this address on. */
#define BASE UINT64_C(0x40000000)
static unsigned char *behind;
static int32_t sync_fails;

static int32_t behind_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    (void)ctx, (void)offset;
    memcpy(bytes, behind + (address - BASE), size);
    return 0;
}

static int32_t behind_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    (void)ctx, (void)offset;
    memcpy(behind + (address - BASE), bytes, size);
    return 0;
}

static int32_t behind_sync(void *ctx)
{
    (void)ctx;
    return sync_fails;
}

static const struct relakit_writer writer = {sizeof writer, 0, NULL, behind_read, behind_write, behind_sync};

#endif /* STEPS_H */
