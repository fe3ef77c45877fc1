/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lookups of names in the caller's table, with an index and without. core/tests/index proves the index itself. */

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

static void a_sorted_table_needs_no_index(void)
{
    static const struct export sorted[] = {{1, "a", 0}, {2, "b", 0}, {3, "b", 0}, {4, "b", 0}, {5, "bb", 0}, {6, "c", 0}};
    static const struct {
        const char *name;
        size_t len;
        uint64_t sympos;
        relakit_status status;
        size_t at;
    } rows[] = {
        {"a", 1, 1, RELAKIT_OK, 0},    {"b", 1, 1, RELAKIT_OK, 1},    {"b", 1, 3, RELAKIT_OK, 3},
        {"b", 1, 4, RELAKIT_NOT_FOUND, 0},  {"b", 1, 0, RELAKIT_NOT_FOUND, 0},  {"bb", 2, 1, RELAKIT_OK, 4},
        {"bb", 3, 1, RELAKIT_NOT_FOUND, 0}, {"", 0, 1, RELAKIT_NOT_FOUND, 0},   {"c", 1, 1, RELAKIT_OK, 5},
        {"d", 1, 1, RELAKIT_NOT_FOUND, 0},
    };
    struct relakit_name_table names = {.struct_size = sizeof names};
    names.first = &sorted[0].name;
    names.stride = sizeof *sorted;
    for (names.count = 0; names.count <= 6; names.count++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int found = rows[i].status == RELAKIT_OK && rows[i].at < names.count;
            size_t at = 77;
            EQ(find_in(&names, rows[i].name, rows[i].len, rows[i].sympos, &at), found ? RELAKIT_OK : RELAKIT_NOT_FOUND);
            EQ(at, found ? rows[i].at : 77);
        }
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

static void tables_that_are_none_are_refused(void)
{
#define MEMBER(name) offsetof(struct relakit_name_table, name)
    static const struct {
        int in_strings;
        size_t at, value;
        relakit_status status;
        uint64_t limit;
    } rows[] = {
        {0, MEMBER(first), 0, RELAKIT_ERR_NULL, 0},
        {0, MEMBER(strings_size), 1, RELAKIT_ERR_NULL, 0},
        {0, MEMBER(stride), 0, RELAKIT_ERR_LENGTH, 0},
        {0, MEMBER(stride), 7, RELAKIT_ERR_LENGTH, 7},
        {0, MEMBER(stride), SIZE_MAX / 2, RELAKIT_ERR_LENGTH, SIZE_MAX},
        {1, MEMBER(stride), 3, RELAKIT_ERR_LENGTH, 3},
        {1, MEMBER(strings_size), SIZE_MAX, RELAKIT_ERR_LENGTH, SIZE_MAX},
    };
    const struct relakit_name_table good = of_exports(), offsets = of_symtab();
    struct relakit_name_table names = good;
    takes_struct(with_names, &good, sizeof good, 1, 8, NULL_IS_REFUSED);
    takes_no_flags(with_names, &good, sizeof good, 1, 0);
    EQ(sorted_with(NULL), RELAKIT_ERR_NULL);
    names.struct_size = 0;
    EQ(sorted_with(&names), RELAKIT_ERR_STRUCT_SIZE);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        names = rows[i].in_strings ? offsets : good;
        memcpy((char *)&names + rows[i].at, &rows[i].value, sizeof rows[i].value);
        REFUSES(rows[i].status, 1, with_names(&names));
        EQ(fault.limit, rows[i].limit);
        EQ(sorted_with(&names), rows[i].status);
    }
    /* The size of a table is stride and count together. */
    names = good;
    names.stride = 8;
    names.count = (size_t)PTRDIFF_MAX / 8 + 1;
    REFUSES(RELAKIT_ERR_LENGTH, 1, with_names(&names));
    EQ(fault.limit, (uint64_t)PTRDIFF_MAX + 1);
    /* An empty table needs no entries. */
    names = good;
    names.first = NULL;
    names.count = 0;
    ACCEPTS(with_names(&names));
    EQ(sorted_with(&names), RELAKIT_NOT_FOUND);
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
    REFUSES(RELAKIT_ERR_LENGTH, 2, relakit_index_build(&names, room, SIZE_MAX, &index, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_index_build(&names, room, size, NULL, fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 2,
            relakit_index_build(&names, room, size, (const struct relakit_index **)(void *)room, fresh()));
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
    static uint64_t zeros[64];
    unsigned char *copy, *odd;
    uintptr_t mark;
    ACCEPTS(build(&names));
    copy = (unsigned char *)copy_of(memory, size);
    odd = (unsigned char *)copy_of(memory, size);
    const void *const none[] = {zeros, copy, odd + 4};
    /* With the mark that it would have if it were aligned, wherever that is. */
    for (size_t i = 0; i + 12 <= size; i += 8) {
        mark = (uintptr_t)load((const char *)memory + i, 8) ^ (uintptr_t)memory ^ (uintptr_t)(odd + 4);
        memcpy(odd + 4 + i, &mark, 8);
    }
    EQ(relakit_index_find(NULL, "a", 1, 1, &at), RELAKIT_ERR_NULL);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        EQ(relakit_index_find((const struct relakit_index *)none[i], "a", 1, 1, &at), RELAKIT_ERR_NOT_AN_INDEX);
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
    free(odd);
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
    a_sorted_table_needs_no_index();
    tables_that_are_none_are_refused();
    memory_that_is_too_short_or_overlaps_is_refused_and_left_alone();
    what_is_no_index_is_refused();
    the_size_of_an_index_keeps_its_promise();
    free(memory);
    free(strtab);
    return test_end("index");
}
