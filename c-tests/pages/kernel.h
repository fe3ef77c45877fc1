/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stand-ins for functions of Linux. */
#ifndef KERNEL_H
#define KERNEL_H

#include "table.h"

typedef uint64_t u64;
typedef int64_t s64;
typedef uint32_t u32;
typedef int mutex;

static mutex text_mutex;
static int pokes, syncs;

#define pr_err print
#define scnprintf snprintf

static inline void mutex_lock(mutex *lock)
{
    EQ((*lock)++, 0);
}

static inline void mutex_unlock(mutex *lock)
{
    EQ(--*lock, 0);
}

static inline int copy_from_kernel_nofault(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return 0;
}

static inline void *text_poke(void *to, const void *from, size_t size)
{
    pokes++;
    EQ(text_mutex, 1);
    return memcpy(to, from, size);
}

static inline void text_poke_sync(void)
{
    syncs++;
}

#endif /* KERNEL_H */
