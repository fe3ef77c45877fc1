/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names in tables of every layout: found where looking at all entries finds them, and every wrong call is answered. */

#include "test.h"

/* What a kernel has: the name is not the first member. */
struct export {
    uint64_t address;
    const char *name;
    uint32_t flags;
};

static const struct export exports[] = {
    {0x1000, "kfree", 0},     {0x1010, "printk", 0},   {0x1020, "__func__.0", 0}, {0x1030, "", 0},
    {0x1040, "printk_now", 0}, {0x1050, "__func__.0", 0}, {0x1060, "print", 0},      {0x1070, "__func__.0", 0},
    {0x1080, NULL, 0},        {0x1090, "\xff\x80", 0}, {0x10a0, "__func__.0", 0},
};
#define EXPORTS (sizeof exports / sizeof *exports)

static struct relakit_name_table of_exports(void)
{
    struct relakit_name_table names = {.struct_size = sizeof names};
    names.first = &exports[0].name;
    names.stride = sizeof exports[0];
    names.count = EXPORTS;
    return names;
}

static const char *name_of(size_t at)
{
    return exports[at].name == NULL ? "" : exports[at].name;
}

/* The same names as an ELF symbol table; that of the last one ends where the strings end. */
static Elf64_Sym symtab[EXPORTS];
static char *strtab;

static struct relakit_name_table of_symtab(void)
{
    struct relakit_name_table names = {.struct_size = sizeof names};
    char text[256] = "?";
    size_t end = 2;
    for (size_t i = 0; i < EXPORTS; i++) {
        symtab[i].st_name = name_of(i)[0] == 0 ? (i == 3 ? 1 : UINT32_MAX) : (uint32_t)end;
        strcpy(text + end, name_of(i));
        end += strlen(name_of(i)) + 1;
    }
    free(strtab);
    strtab = (char *)copy_of(text, end - 1);
    names.first = symtab;
    names.stride = sizeof *symtab;
    names.count = EXPORTS;
    names.strings = strtab;
    names.strings_size = end - 1;
    return names;
}

/* Memory of just the size. */
static void *memory;
static const struct relakit_index *made;

static relakit_status build(const struct relakit_name_table *names)
{
    size_t size = relakit_index_size(names->count);
    free(memory);
    memory = heap(size);
    made = NULL;
    return relakit_index_build(names, memory, size, &made, fresh());
}

/* A name that ends where its memory ends. */
static relakit_status find_in(const struct relakit_name_table *sorted, const char *name, size_t len, uint64_t position, size_t *at)
{
    char *copy = (char *)copy_of(name, len);
    relakit_status status = sorted == NULL ? relakit_index_find(made, copy, len, position, at)
                                           : relakit_find_sorted(sorted, copy, len, position, at);
    free(copy);
    return status;
}

static void every_position_of_every_name_is_found(void)
{
    struct relakit_name_table tables[2];
    tables[0] = of_exports();
    tables[1] = of_symtab();
    for (size_t table = 0; table < 2; table++) {
        ACCEPTS(build(&tables[table]));
        CHECK((const void *)made == memory);
        for (size_t i = 0; i < EXPORTS; i++) {
            uint64_t position = 0;
            size_t at = 77, len = strlen(name_of(i));
            for (size_t other = 0; other < EXPORTS; other++) {
                if (strcmp(name_of(i), name_of(other)) != 0)
                    continue;
                EQ(find_in(NULL, name_of(i), len, ++position, &at), RELAKIT_OK);
                EQ(at, other);
            }
            at = 77;
            EQ(find_in(NULL, name_of(i), len, 0, &at), RELAKIT_NOT_FOUND);
            EQ(find_in(NULL, name_of(i), len, position + 1, &at), RELAKIT_NOT_FOUND);
            EQ(find_in(NULL, name_of(i), len, UINT64_MAX, &at), RELAKIT_NOT_FOUND);
            EQ(find_in(NULL, name_of(i), len + 1, 1, &at), RELAKIT_NOT_FOUND); /* with its NUL */
            EQ(at, 77);
        }
        EQ(find_in(NULL, "prin", 4, 1, &(size_t){0}), RELAKIT_NOT_FOUND);
        EQ(find_in(NULL, "printk\0now", 10, 1, &(size_t){0}), RELAKIT_NOT_FOUND);
    }
}

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct export *)one)->name, ((const struct export *)other)->name);
}

static void a_table_in_order_needs_no_index(void)
{
    static char text[1000][8];
    static struct export sorted[1000];
    struct relakit_name_table names = {.struct_size = sizeof names};
    for (size_t i = 0; i < 1000; i++) {
        snprintf(text[i], sizeof text[i], "%zu", i / 3 * 7 % 1000);
        sorted[i].name = text[i];
    }
    qsort(sorted, 1000, sizeof *sorted, by_name);
    names.first = &sorted[0].name;
    names.stride = sizeof *sorted;
    for (size_t count = 0; count <= 1000; count += count < 20 ? 1 : 98) {
        names.count = count;
        ACCEPTS(build(&names));
        for (size_t i = 0; i < 1000; i++) {
            size_t at = 0, again = 0, first = i;
            relakit_status want = i < count ? RELAKIT_OK : RELAKIT_NOT_FOUND;
            while (first > 0 && strcmp(sorted[first - 1].name, sorted[i].name) == 0)
                first--;
            EQ(find_in(&names, sorted[i].name, strlen(sorted[i].name), i - first + 1, &at), want);
            EQ(find_in(NULL, sorted[i].name, strlen(sorted[i].name), i - first + 1, &again), want);
            if (want == RELAKIT_OK)
                EQ(at, i);
            EQ(again, at);
        }
        EQ(find_in(&names, "", 0, 1, &(size_t){0}), RELAKIT_NOT_FOUND);
        EQ(find_in(&names, "4", 1, 0, &(size_t){0}), RELAKIT_NOT_FOUND);
        EQ(find_in(&names, sorted[0].name, strlen(sorted[0].name) + 1, 1, &(size_t){0}), RELAKIT_NOT_FOUND); /* with its NUL */
    }
}

/* As a resolver's callbacks. */
static int32_t exported(void *ctx, const char *name, size_t name_len, uint64_t *value)
{
    size_t at;
    relakit_status status = relakit_index_find((const struct relakit_index *)ctx, name, name_len, 1, &at);
    if (status == RELAKIT_OK)
        *value = exports[at].address;
    return status;
}

static void a_resolver_answers_with_what_the_index_answers(void)
{
    struct relakit_resolver resolver = {.struct_size = sizeof resolver};
    struct relakit_name_table names = of_exports();
    uint64_t value = 0;
    ACCEPTS(build(&names));
    resolver.ctx = memory;
    resolver.exported = exported;
    EQ(resolver.exported(resolver.ctx, "printk", 6, &value), RELAKIT_OK);
    EQ(value, 0x1010);
    EQ(resolver.exported(resolver.ctx, "panic", 5, &value), RELAKIT_NOT_FOUND);
    EQ(resolver.exported(NULL, "panic", 5, &value), RELAKIT_ERR_NULL);
}

static relakit_status with_names(const void *given)
{
    static uint64_t room[64];
    made = NULL;
    return relakit_index_build((const struct relakit_name_table *)given, room, sizeof room, &made, fresh());
}

static relakit_status sorted_with(const struct relakit_name_table *names)
{
    size_t at = 77;
    relakit_status status = relakit_find_sorted(names, "a", 1, 1, &at);
    EQ(at, 77);
    return status;
}

/* What both functions refuse of a table. */
static void refused(relakit_status status, const struct relakit_name_table *names, uint64_t limit)
{
    REFUSES(status, 1, with_names(names));
    EQ(fault.limit, limit);
    EQ(sorted_with(names), status);
}

static void tables_that_are_none_are_refused(void)
{
    const struct relakit_name_table good = of_exports(), offsets = of_symtab();
    struct relakit_name_table names = good;
    takes_struct(with_names, &good, sizeof good, 1, 8, NULL_IS_REFUSED);
    takes_no_flags(with_names, &good, sizeof good, 1, 0);
    EQ(sorted_with(NULL), RELAKIT_ERR_NULL);
    names.struct_size = 0;
    EQ(sorted_with(&names), RELAKIT_ERR_STRUCT_SIZE);

    names = good;
    names.first = NULL;
    refused(RELAKIT_ERR_NULL, &names, 0);
    names.count = 0;
    ACCEPTS(with_names(&names));
    EQ(sorted_with(&names), RELAKIT_NOT_FOUND);
    names = good;
    names.strings_size = 1;
    refused(RELAKIT_ERR_NULL, &names, 0);
    names = good;
    names.stride = 7;
    refused(RELAKIT_ERR_LENGTH, &names, 7);
    names.stride = 0;
    refused(RELAKIT_ERR_LENGTH, &names, 0);
    names.stride = SIZE_MAX / 2;
    refused(RELAKIT_ERR_LENGTH, &names, SIZE_MAX);
    names.stride = 8;
    names.count = (size_t)PTRDIFF_MAX / 8 + 1;
    refused(RELAKIT_ERR_LENGTH, &names, (uint64_t)PTRDIFF_MAX + 1);
    names = offsets;
    names.stride = 3;
    refused(RELAKIT_ERR_LENGTH, &names, 3);
    names = offsets;
    names.strings_size = SIZE_MAX;
    refused(RELAKIT_ERR_LENGTH, &names, SIZE_MAX);
}

static void memory_that_is_too_short_or_overlaps_is_refused_and_left_alone(void)
{
    struct relakit_name_table names = of_exports();
    const struct relakit_index *index = NULL;
    size_t size = relakit_index_size(EXPORTS);
    unsigned char *room = (unsigned char *)heap(size + 8), untouched[1024];
    memset(untouched, 0xa5, sizeof untouched);
    memset(room, 0xa5, size + 8);
    for (size_t less = 1; less <= size; less++) {
        REFUSES(RELAKIT_ERR_INDEX_TOO_SHORT, size - less, relakit_index_build(&names, room, size - less, &index, fresh()));
        EQ(fault.limit, size);
    }
    for (size_t off = 1; off < 8; off++)
        REFUSES(RELAKIT_ERR_ALIGNMENT, 2, relakit_index_build(&names, room + off, size, &index, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_index_build(&names, NULL, size, &index, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_index_build(&names, NULL, 0, &index, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 2, relakit_index_build(&names, room, SIZE_MAX, &index, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_index_build(&names, room, size, NULL, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 2,
            relakit_index_build(&names, room, size, (const struct relakit_index **)(void *)room, fresh()));
    EQ(relakit_index_build(&names, room, size - 1, &index, NULL), RELAKIT_ERR_INDEX_TOO_SHORT);
    SAME(room, untouched, size);
    /* The table, or its strings, in the memory of the index. */
    names.first = room + size - 8;
    names.stride = 8;
    names.count = 1;
    REFUSES(RELAKIT_ERR_OVERLAP, 2, relakit_index_build(&names, room, size, &index, fresh()));
    names = of_symtab();
    names.strings = (const char *)room;
    REFUSES(RELAKIT_ERR_OVERLAP, 2, relakit_index_build(&names, room, size, &index, fresh()));
    SAME(room, untouched, size + 8);
    CHECK(index == NULL);
    names = of_exports();
    ACCEPTS(relakit_index_build(&names, room, size, &index, fresh()));
    SAME(room + size, untouched, 8);
    free(room);
}

static void what_is_no_index_is_refused(void)
{
    struct relakit_name_table names = of_exports();
    size_t at = 77, size = relakit_index_size(EXPORTS);
    unsigned char *copy;
    static uint64_t zeros[64];
    uintptr_t mark;
    ACCEPTS(build(&names));
    copy = (unsigned char *)copy_of(memory, size);
    EQ(relakit_index_find(NULL, "a", 1, 1, &at), RELAKIT_ERR_NULL);
    EQ(relakit_index_find((const struct relakit_index *)(const void *)copy, "a", 1, 1, &at), RELAKIT_ERR_NOT_AN_INDEX);
    EQ(relakit_index_find((const struct relakit_index *)(const void *)zeros, "a", 1, 1, &at), RELAKIT_ERR_NOT_AN_INDEX);
    EQ(relakit_index_find((const struct relakit_index *)(const void *)(copy + 4), "a", 1, 1, &at),
       RELAKIT_ERR_NOT_AN_INDEX);
    /* With the mark that it would have if it were aligned, wherever that is. */
    for (size_t i = 0; i + 12 <= size; i += 8) {
        mark = (uintptr_t)load((const char *)memory + i, 8) ^ (uintptr_t)memory ^ (uintptr_t)(copy + 4);
        memcpy(copy + 4 + i, &mark, 8);
    }
    EQ(relakit_index_find((const struct relakit_index *)(const void *)(copy + 4), "a", 1, 1, &at),
       RELAKIT_ERR_NOT_AN_INDEX);
    EQ(relakit_index_find(made, NULL, 1, 1, &at), RELAKIT_ERR_NULL);
    EQ(relakit_index_find(made, "a", SIZE_MAX, 1, &at), RELAKIT_ERR_LENGTH);
    EQ(relakit_index_find(made, "kfree", 5, 1, NULL), RELAKIT_ERR_NULL);
    EQ(relakit_index_find(made, "kfree", 5, 1, (size_t *)(void *)(copy + 1)), RELAKIT_ERR_ALIGNMENT);
    EQ(relakit_find_sorted(&names, NULL, 1, 1, &at), RELAKIT_ERR_NULL);
    EQ(relakit_find_sorted(&names, "a", 1, 1, NULL), RELAKIT_ERR_NULL);
    EQ(at, 77);
    EQ(relakit_index_find(made, NULL, 0, 1, &at), RELAKIT_OK); /* the empty name */
    EQ(at, 3);
    free(copy);
}

static void the_size_of_an_index_keeps_its_promise(void)
{
    for (size_t count = 0; count < 70000; count += 1 + count / 50) {
        size_t size = relakit_index_size(count);
        CHECK(size >= 5 * count && size <= 6 * count + RELAKIT_INDEX_SIZE);
    }
    EQ(relakit_index_size(((size_t)1 << 30) + 1), SIZE_MAX);
    EQ(relakit_index_size(SIZE_MAX), SIZE_MAX);
}

int main(void)
{
    every_position_of_every_name_is_found();
    a_table_in_order_needs_no_index();
    a_resolver_answers_with_what_the_index_answers();
    tables_that_are_none_are_refused();
    memory_that_is_too_short_or_overlaps_is_refused_and_left_alone();
    what_is_no_index_is_refused();
    the_size_of_an_index_keeps_its_promise();
    free(memory);
    free(strtab);
    return test_end("index");
}
