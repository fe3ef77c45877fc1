/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory behind a writer, and somebody who knows symbols. Both write down what they are asked, and fail when told to.
 */
#ifndef CALLBACKS_H
#define CALLBACKS_H

#include "test.h"

/* Every address in these tests: FLAT bytes from BASE on. */
#define BASE UINT64_C(0xffffffffc0000000)
#define FLAT 4096

static unsigned char flat[FLAT];

struct asked {
    char kind; /* 'r'ead, 'w'rite, 's'ync, 'e'xported, 'c'andidate */
    uint64_t address, offset, value;
    size_t size;
    char text[160];
};

static struct asked asked[4096];
static unsigned asked_count;
/* The numbers of the calls that fail, counted from 0, and what they fail with. */
static unsigned fail_at, fail_again;
static int32_t fail_number, fail_again_number;
/* Called from every callback, if not NULL. */
static void (*meanwhile)(void);

#define NEVER UINT32_MAX

static inline void hooks_reset(void)
{
    asked_count = 0;
    fail_at = fail_again = NEVER;
    fail_number = fail_again_number = 0;
    meanwhile = NULL;
}

static inline int32_t hooks_note(char kind, uint64_t address, uint64_t offset, size_t size, struct asked **note)
{
    unsigned call = asked_count;
    CHECK(call < sizeof asked / sizeof *asked);
    *note = &asked[call % (sizeof asked / sizeof *asked)];
    asked_count++;
    memset(*note, 0, sizeof **note);
    (*note)->kind = kind;
    (*note)->address = address;
    (*note)->offset = offset;
    (*note)->size = size;
    if (meanwhile != NULL)
        meanwhile();
    return call == fail_at ? fail_number : call == fail_again ? fail_again_number : 0;
}

static inline unsigned char *hooks_at(uint64_t address, size_t size)
{
    CHECK(size == 1 || size == 2 || size == 4 || size == 8);
    if (address < BASE || address - BASE > FLAT - size) {
        EQ(address, BASE);
        exit(98);
    }
    return flat + (address - BASE);
}

static int32_t hook_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    struct asked *note;
    int32_t answer = hooks_note('r', address, offset, size, &note);
    CHECK(ctx == flat);
    if (answer == 0) {
        memcpy(bytes, hooks_at(address, size), size);
        note->value = load(bytes, size);
    } else
        memset(bytes, 0x77, size); /* What a failed read leaves is not looked at. */
    return answer;
}

static int32_t hook_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    struct asked *note;
    int32_t answer = hooks_note('w', address, offset, size, &note);
    CHECK(ctx == flat);
    note->value = load(bytes, size);
    if (answer == 0)
        memcpy(hooks_at(address, size), bytes, size);
    return answer;
}

static int32_t hook_sync(void *ctx)
{
    struct asked *note;
    CHECK(ctx == flat);
    return hooks_note('s', 0, 0, 0, &note);
}

static struct relakit_writer hooked = {sizeof hooked, 0, flat, hook_read, hook_write, hook_sync};

/* Who knows what: an object ("" is what all export), a name, and its values by position. */
struct known {
    const char *object, *name;
    uint64_t values[3];
};

static const struct known *known_names;
static size_t known_count;

static inline int32_t known_value(const char *object, const char *name, uint64_t position, uint64_t *value)
{
    for (size_t i = 0; i < known_count; i++)
        if (strcmp(known_names[i].object, object) == 0 && strcmp(known_names[i].name, name) == 0) {
            if (position > 3 || known_names[i].values[position - 1] == 0)
                return RELAKIT_NOT_FOUND;
            *value = known_names[i].values[position - 1];
            return RELAKIT_OK;
        }
    return RELAKIT_NOT_FOUND;
}

static int32_t hook_exported(void *ctx, const char *name, size_t name_len, uint64_t *value)
{
    struct asked *note;
    int32_t answer = hooks_note('e', 0, 0, 0, &note);
    CHECK(ctx == flat && name_len < 64);
    snprintf(note->text, sizeof note->text, "%.*s", (int)name_len, name);
    return answer != 0 ? answer : known_value("", note->text, 1, value);
}

static int32_t hook_candidate(void *ctx, const char *object, size_t object_len, const char *name, size_t name_len,
                              uint64_t position, uint64_t *value)
{
    struct asked *note;
    char object_text[64];
    int32_t answer = hooks_note('c', 0, 0, 0, &note);
    CHECK(ctx == flat && object_len < 56 && name_len < 64 && position != 0);
    snprintf(object_text, sizeof object_text, "%.*s", (int)object_len, object);
    snprintf(note->text, sizeof note->text, "%.*s", (int)name_len, name);
    answer = answer != 0 ? answer : known_value(object_text, note->text, position, value);
    snprintf(note->text, sizeof note->text, "%s:%.*s:%llu", object_text, (int)name_len, name,
             (unsigned long long)position);
    return answer;
}

static struct relakit_resolver names UNUSED = {sizeof names, 0, flat, hook_exported, hook_candidate};

/* A field of a pass, in the order of the pass: where it is, and what it holds when it is applied. */
struct field {
    uint32_t section;
    uint64_t entry, at;
    size_t size;
    uint64_t value;
};

/* Writes the values of the fields into a copy of flat memory. */
static inline void put_fields(unsigned char *image, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < fields[i].size; byte++)
            image[fields[i].at + byte] = (unsigned char)(fields[i].value >> (8 * byte));
}

static inline int holds(const struct field *field, uint64_t value)
{
    return load(flat + field->at, field->size) == value;
}

/* Numbers that callbacks fail with; each comes back sign-extended. */
static const int32_t hook_numbers[] = {-1, 2, -5, INT32_MIN, INT32_MAX, 77, RELAKIT_ERR_BUSY, 0x10000};
#define HOOK_NUMBER(i) hook_numbers[(i) % (sizeof hook_numbers / sizeof *hook_numbers)]

/*
 * Makes each call of a pass fail in turn, alone and together with each call after it. `run` makes the pass, `reset` restores
 * what it needs. `applies`: the pass applies the fields; otherwise it clears them.
 */
static inline void fail_in_turn(relakit_status (*run)(void), void (*reset)(void), const struct field *fields,
                                size_t count, int applies)
{
    unsigned char before[FLAT], after[FLAT];
    unsigned calls, unsynced = 0;
    static char kinds[sizeof asked / sizeof *asked];
    hooks_reset();
    reset();
    memcpy(before, flat, FLAT);
    ACCEPTS(run());
    memcpy(after, flat, FLAT);
    calls = asked_count;
    for (unsigned i = 0; i < calls; i++)
        kinds[i] = asked[i].kind;
    for (unsigned k = 0; k < calls; k++) {
        int resolver = kinds[k] == 'e' || kinds[k] == 'c';
        relakit_status want = resolver              ? RELAKIT_ERR_RESOLVER
                              : kinds[k] == 's'     ? RELAKIT_ERR_SYNC
                                                    : RELAKIT_ERR_WRITER;
        unsigned all;
        hooks_reset();
        reset();
        fail_at = k;
        fail_number = HOOK_NUMBER(k);
        if (!REFUSES(want, (int64_t)fail_number, run()))
            printf("    when call %u ('%c') of %u failed\n", k, kinds[k], calls);
        SAME(flat, before, FLAT);
        for (unsigned i = 0; i < k; i++)
            EQ(asked[i].kind, kinds[i]);
        all = asked_count;
        /* And again on the way back. */
        for (unsigned m = k + 1; m < all; m++) {
            relakit_status status;
            hooks_reset();
            reset();
            fail_at = k;
            fail_number = HOOK_NUMBER(k);
            fail_again = m;
            fail_again_number = HOOK_NUMBER(k + m + 1);
            status = run();
            if (asked[m].kind != 'w') {
                test_refused(__FILE__, __LINE__, "sync during rollback failed", status, want,
                             (uint64_t)(int64_t)fail_number);
                SAME(flat, before, FLAT);
                continue;
            }
            if (!test_refused(__FILE__, __LINE__, "failed twice", status, RELAKIT_ERR_NOT_UNDONE,
                              (uint64_t)(int64_t)fail_again_number))
                printf("    when calls %u and %u of %u failed\n", k, m, all);
            /* Something was changed and is not undone, so it is made visible. */
            if (asked[asked_count - 1].kind != 's' && unsynced++ == 0)
                printf("%s:%d: no sync when calls %u and %u of %u failed\n", __FILE__, __LINE__, k, m, all);
            for (size_t i = 0; i < count; i++) {
                int is_section = !(fault.has & RELAKIT_ERROR_HAS_SECTION) || fault.section == fields[i].section;
                int up_to = (fault.has & RELAKIT_ERROR_HAS_ENTRY) && fields[i].entry <= fault.entry;
                if (is_section)
                    CHECK(holds(&fields[i], up_to ? fields[i].value : 0));
                else
                    CHECK(holds(&fields[i], fields[i].value) || holds(&fields[i], 0));
                if (fault.has & RELAKIT_ERROR_HAS_ENTRY && is_section && fields[i].entry == fault.entry)
                    CHECK((fault.has & RELAKIT_ERROR_HAS_TYPE) && (fault.has & RELAKIT_ERROR_HAS_SYMBOL));
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        EQ(load(after + fields[i].at, fields[i].size), applies ? fields[i].value : 0);
        EQ(load(before + fields[i].at, fields[i].size), applies ? 0 : fields[i].value);
    }
    EQ(unsynced, 0);
    hooks_reset();
}

/* The calls of a pass as text: "r0 r8 w0 s". */
static inline void asked_is(const char *file, int line, const char *want)
{
    char is[4096] = "";
    size_t end = 0;
    for (unsigned i = 0; i < asked_count && end < sizeof is - 200; i++) {
        if (i != 0)
            is[end++] = ' ';
        if (asked[i].kind == 'r' || asked[i].kind == 'w')
            end += (size_t)snprintf(is + end, 64, "%c%llu", asked[i].kind, (unsigned long long)asked[i].offset);
        else if (asked[i].kind == 's')
            is[end++] = 's';
        else
            end += (size_t)snprintf(is + end, 170, "%s", asked[i].text);
        is[end] = 0;
    }
    test_text(file, line, "the calls of the pass", is, want);
}
#define ASKED(want) asked_is(__FILE__, __LINE__, want)

#endif /* CALLBACKS_H */
