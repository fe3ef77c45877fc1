/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Steps of lookups in tables of names: plain ones, one name many times, and names that were chosen to have one hash. */

#include "steps.h"

struct entry {
    uint64_t value;
    const char *name;
};

#define LENGTH 24
static struct entry *entries;
static struct relakit_name_table names = {.struct_size = sizeof names};
static void *memory;
static const struct relakit_index *made;
static size_t found;

/* The second word of a name takes back what the first one did to the hash. Whether it still does is seen by what it costs:
 * steps that do not grow are a failure. */
static int colliding(uint64_t number, char *name)
{
    uint64_t words[LENGTH / 8];
    words[0] = number * UINT64_C(0x2545f4914f6cdd1d);
    words[1] = (LENGTH ^ words[0]) * UINT64_C(0x9e3779b97f4a7c15);
    words[1] = (words[1] << 29 | words[1] >> 35) ^ UINT64_C(0x0123456789abcdef);
    words[2] = UINT64_C(0x0101010101010101);
    memcpy(name, words, LENGTH);
    return memchr(name, 0, LENGTH) == NULL;
}

enum kind { ONE_NAME, ONE_HASH };

static int by_name(const void *one, const void *other)
{
    return memcmp(((const struct entry *)one)->name, ((const struct entry *)other)->name, LENGTH);
}

static relakit_status build(void)
{
    return relakit_index_build(&names, memory, relakit_index_size(names.count), &made, fresh());
}

static enum kind kind;
static int sorted;

static void make_names(void)
{
    uint64_t number = 0;
    char *text;
    entries = (struct entry *)lend(things * sizeof *entries);
    text = (char *)lend(things * (size_t)(LENGTH + 1));
    for (uint32_t i = 0; i < things; i++, text += LENGTH + 1) {
        entries[i].name = text;
        if (kind == ONE_NAME)
            memset(text, '_', LENGTH);
        else
            while (!colliding(++number, text))
                ;
    }
    names.first = &entries[0].name;
    names.stride = sizeof *entries;
    names.count = things;
    memory = lend(relakit_index_size(things));
    EQ(build(), RELAKIT_OK);
    if (sorted)
        qsort(entries, things, sizeof *entries, by_name);
}

static relakit_status find_last(void) { return relakit_index_find(made, entries[things - 1].name, LENGTH, things, &found); }
static relakit_status find_one(void) { return relakit_index_find(made, entries[things - 1].name, LENGTH, 1, &found); }
static relakit_status find_none(void) { return relakit_index_find(made, entries[0].name, LENGTH - 1, 1, &found); }
static relakit_status sorted_last(void) { return relakit_find_sorted(&names, entries[0].name, LENGTH, things, &found); }
static relakit_status sorted_one(void) { return relakit_find_sorted(&names, entries[things - 1].name, LENGTH, 1, &found); }
static relakit_status size(void) { return relakit_index_size(things) == 0; }

int main(void)
{
    static const struct {
        const char *what, *grows;
        enum kind kind;
        counted *call;
        relakit_status want;
    } rows[] = {
        {"relakit_index_size: a number", CONSTANT, ONE_NAME, size, RELAKIT_OK},
        {"relakit_index_build: one name", LINEAR, ONE_NAME, build, RELAKIT_OK},
        {"relakit_index_build: names of one hash", N_LOG_N, ONE_HASH, build, RELAKIT_OK},
        {"relakit_index_find: the last of one name", CONSTANT, ONE_NAME, find_last, RELAKIT_OK},
        {"relakit_index_find: a name among those of its hash", LOGARITHMIC, ONE_HASH, find_one, RELAKIT_OK},
        {"relakit_index_find: a name that is not there", CONSTANT, ONE_HASH, find_none, RELAKIT_NOT_FOUND},
        {"relakit_find_sorted: the last of one name", LOGARITHMIC, ONE_NAME, sorted_last, RELAKIT_OK},
        {"relakit_find_sorted: a name", LOGARITHMIC, ONE_HASH, sorted_one, RELAKIT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kind = rows[i].kind;
        sorted = rows[i].call == sorted_one;
        count_things(rows[i].grows, rows[i].what, 1000, make_names, rows[i].call, rows[i].want);
    }
    return test_end("index");
}
