/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The two functions that parse the names of livepatches: which part of a name goes where. core/src/klp/name.rs proves the
 * grammar. These functions take no struct relakit_error.
 */
#include "test.h"

/* A name is parsed from memory that ends where the name ends. A call without RELAKIT_OK writes nothing. */
static char *copy;

static relakit_status section(const char *text, struct relakit_klp_section_name *parts)
{
    struct relakit_klp_section_name untouched;
    relakit_status status;
    free(copy);
    copy = (char *)copy_of(text, strlen(text));
    memset(&untouched, 0xa5, sizeof untouched);
    untouched.struct_size = sizeof untouched;
    *parts = untouched;
    status = relakit_parse_klp_section_name(copy, strlen(text), parts);
    if (status != RELAKIT_OK)
        SAME(parts, &untouched, sizeof untouched);
    return status;
}

static relakit_status symbol(const char *text, uint32_t profile, struct relakit_klp_symbol_name *parts)
{
    struct relakit_klp_symbol_name untouched;
    relakit_status status;
    free(copy);
    copy = (char *)copy_of(text, strlen(text));
    memset(&untouched, 0xa5, sizeof untouched);
    untouched.struct_size = sizeof untouched;
    *parts = untouched;
    status = relakit_parse_klp_symbol_name(copy, strlen(text), profile, parts);
    if (status != RELAKIT_OK)
        SAME(parts, &untouched, sizeof untouched);
    return status;
}

static void the_parts_of_section_names(void)
{
    static const struct {
        const char *text;
        relakit_status status;
        const char *object, *target;
        uint32_t is_early;
    } rows[] = {
        {".klp.rela.vmlinux..text", RELAKIT_OK, "vmlinux", ".text", 1},
        {".klp.rela.ext4..text.ext4_sync_fs", RELAKIT_OK, "ext4", ".text.ext4_sync_fs", 0},
        {".klp.rela.vmlinux2", RELAKIT_OK, "vmlinux2", NULL, 0},
        {".klp.rela..text", RELAKIT_ERR_BAD_KLP_SECTION_NAME, NULL, NULL, 0},
        {".rela.text", RELAKIT_NOT_FOUND, NULL, NULL, 0},
        {"", RELAKIT_NOT_FOUND, NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relakit_klp_section_name parts;
        EQ(section(rows[i].text, &parts), rows[i].status);
        if (rows[i].status != RELAKIT_OK)
            continue;
        CHECK(parts.object == copy + strlen(".klp.rela."));
        NAME(parts.object, parts.object_len, rows[i].object);
        EQ(parts.is_early, rows[i].is_early);
        if (rows[i].target != NULL)
            NAME(parts.section, parts.section_len, rows[i].target);
        else
            CHECK(parts.section == NULL && parts.section_len == 0);
    }
}

static void the_parts_of_symbol_names(void)
{
    static const struct {
        const char *text;
        uint32_t profile;
        relakit_status status;
        const char *object, *name;
        uint64_t sympos;
        size_t trailing;
        uint32_t is_vmlinux;
    } rows[] = {
        {".klp.sym.vmlinux.printk,0", 0, RELAKIT_OK, "vmlinux", "printk", 0, 0, 1},
        {".klp.sym.m.foo.isra.0,12", 0, RELAKIT_OK, "m", "foo.isra.0", 12, 0, 0},
        {".klp.sym.m.a,1xyz", 0, RELAKIT_OK, "m", "a", 1, 3, 0},
        {".klp.sym.m.a,18446744073709551618", RELAKIT_LINUX(7, 1), RELAKIT_OK, "m", "a", 2, 0, 0},
        {".klp.sym.m.a,18446744073709551618", RELAKIT_LINUX(7, 2), RELAKIT_OK, "m", "a", UINT64_MAX, 0, 0},
        {".klp.sym.m.a", 0, RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, NULL, NULL, 0, 0, 0},
        {"printk", 0, RELAKIT_NOT_FOUND, NULL, NULL, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relakit_klp_symbol_name parts;
        EQ(symbol(rows[i].text, rows[i].profile, &parts), rows[i].status);
        if (rows[i].status != RELAKIT_OK)
            continue;
        CHECK(parts.object == copy + strlen(".klp.sym."));
        CHECK(parts.name == parts.object + parts.object_len + 1);
        NAME(parts.object, parts.object_len, rows[i].object);
        NAME(parts.name, parts.name_len, rows[i].name);
        EQ(parts.is_vmlinux, rows[i].is_vmlinux);
        EQ(parts.sympos, rows[i].sympos);
        EQ(parts.trailing, rows[i].trailing);
    }
}

/* The two functions with valid arguments, but for the name and the struct. */
static const char *const good[] = {".klp.rela.vmlinux..text", ".klp.sym.vmlinux.a,7"};

static relakit_status parse(int is_symbol, const char *name, size_t len, void *parts)
{
    return is_symbol ? relakit_parse_klp_symbol_name(name, len, 0, (struct relakit_klp_symbol_name *)parts)
                     : relakit_parse_klp_section_name(name, len, (struct relakit_klp_section_name *)parts);
}

static void arguments_that_are_wrong(void)
{
    struct relakit_klp_symbol_name parts = {.struct_size = sizeof parts};
    EQ(relakit_parse_klp_symbol_name(good[1], 20, 6, &parts), RELAKIT_ERR_PROFILE);
    EQ(relakit_parse_klp_symbol_name(good[1], 20, RELAKIT_LINUX(5, 7), &parts), RELAKIT_ERR_PROFILE);
    for (int is_symbol = 0; is_symbol < 2; is_symbol++) {
        size_t len = strlen(good[is_symbol]);
        uint32_t size = is_symbol ? sizeof parts : sizeof(struct relakit_klp_section_name);
        const uint32_t sizes[] = {0, 1, 4, size - 1, 4097, 0xffffffff};
        uint64_t room[16];
        memset(room, 0, sizeof room);
        memcpy(room, &size, 4);
        EQ(parse(is_symbol, NULL, 1, room), RELAKIT_ERR_NULL);
        EQ(parse(is_symbol, NULL, 0, room), RELAKIT_NOT_FOUND);
        EQ(parse(is_symbol, good[is_symbol], len, NULL), RELAKIT_ERR_NULL);
        EQ(parse(is_symbol, good[is_symbol], SIZE_MAX, room), RELAKIT_ERR_LENGTH);
        EQ(parse(is_symbol, good[is_symbol], (size_t)PTRDIFF_MAX + 1, room), RELAKIT_ERR_LENGTH);
        EQ(parse(is_symbol, (const char *)(UINTPTR_MAX - 7), 9, room), RELAKIT_ERR_LENGTH);
        for (size_t off = 1; off < 8; off++)
            EQ(parse(is_symbol, good[is_symbol], len, (char *)room + off), RELAKIT_ERR_ALIGNMENT);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            memcpy(room, &sizes[i], 4);
            EQ(parse(is_symbol, good[is_symbol], len, room), RELAKIT_ERR_STRUCT_SIZE);
        }
        /* The struct of a newer program ends in zeros. */
        memset(room, 0xa5, sizeof room);
        size += 16;
        memcpy(room, &size, 4);
        EQ(parse(is_symbol, good[is_symbol], len, room), RELAKIT_OK);
        EQ(load(room, 4), size);
        EQ(load((char *)room + 4, 4), 1); /* is_early, or is_vmlinux */
        EQ(load((char *)room + size - 16, 8) | load((char *)room + size - 8, 8), 0);
        EQ(load((char *)room + size, 8), 0xa5a5a5a5a5a5a5a5);
    }
}

int main(void)
{
    the_parts_of_section_names();
    the_parts_of_symbol_names();
    arguments_that_are_wrong();
    free(copy);
    return test_end("klp_names");
}
