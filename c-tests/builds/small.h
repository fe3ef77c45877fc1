/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What small-host.c hands to the flat binary of small.c. */
#ifndef SMALL_H
#define SMALL_H

#include "relakit.h"

struct small_call {
    const void *rela;
    size_t rela_size;
    const uint64_t *values;
    size_t count;
    void *bytes;
    size_t size;
    uint64_t address;
    size_t *entry;
};

relakit_status start(const struct small_call *call);

#endif
