/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What Linux does with the name of an exported symbol: bsearch and strcmp, in a table that is in the order of its names. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *name;
    uint64_t value;
};

static int by_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct entry *)entry)->name);
}

/* Where an entry called `name` is, or `count`. */
size_t bench_bsearch(const struct entry *entries, size_t count, const char *name)
{
    const struct entry *found = bsearch(name, entries, count, sizeof *entries, by_name);
    return found == NULL ? count : (size_t)(found - entries);
}
