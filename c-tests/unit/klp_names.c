/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The two livepatch name grammars, good and bad spellings, one a line. */

#include "test.h"

#define O10 "oooooooooo"
#define O55 O10 O10 O10 O10 O10 "ooooo"
#define S100 O10 O10 O10 O10 O10 O10 O10 O10 O10 O10
#define S127 S100 O10 O10 "ooooooo"
#define S511 S100 S100 S100 S100 S100 O10 "o"
#define MALFORMED_SECTION RELAKIT_ERR_BAD_KLP_SECTION_NAME
#define MALFORMED_SYMBOL RELAKIT_ERR_BAD_KLP_SYMBOL_NAME

/* Reads a section's name, which ends where its memory ends. */
static relakit_status section(const char *text, struct relakit_klp_section_name *parts, const char **copy)
{
    relakit_status status;
    *copy = (const char *)copy_of(text, strlen(text));
    memset(parts, 0xa5, sizeof *parts);
    parts->struct_size = sizeof *parts;
    status = relakit_parse_klp_section_name(*copy, strlen(text), parts);
    if (status != RELAKIT_OK) {
        struct relakit_klp_section_name untouched;
        memset(&untouched, 0xa5, sizeof untouched);
        untouched.struct_size = sizeof untouched;
        SAME(parts, &untouched, sizeof untouched);
    }
    return status;
}

static void section_names_are_read_as_linux_reads_them(void)
{
    /* target NULL: the name does not follow the convention there. */
    static const struct {
        const char *text;
        relakit_status status;
        const char *object, *target;
    } rows[] = {
        {".klp.rela.vmlinux..text", RELAKIT_OK, "vmlinux", ".text"},
        {".klp.rela.vmlinux.__jump_table", RELAKIT_OK, "vmlinux", "__jump_table"},
        {".klp.rela.ext4..text.ext4_sync_fs", RELAKIT_OK, "ext4", ".text.ext4_sync_fs"},
        {".klp.rela.vmlinux", RELAKIT_OK, "vmlinux", NULL},
        {".klp.rela.vmlinux.", RELAKIT_OK, "vmlinux", NULL},
        {".klp.rela.vmlinux2..text", RELAKIT_OK, "vmlinux2", ".text"},
        {".klp.rela.vmlinu..text", RELAKIT_OK, "vmlinu", ".text"},
        {".klp.rela.a b/\xc3\xa9.x", RELAKIT_OK, "a b/\xc3\xa9", "x"},
        {".klp.rela.nf-tables..data", RELAKIT_OK, "nf-tables", ".data"},
        {".klp.rela." O55, RELAKIT_OK, O55, NULL},
        {".klp.rela." O55 "..text", RELAKIT_OK, O55, ".text"},
        {".klp.rela." O55 "o..text", RELAKIT_OK, O55, NULL},
        {".klp.rela." O55 O55, RELAKIT_OK, O55, NULL},
        {".klp.rela.", MALFORMED_SECTION, NULL, NULL},
        {".klp.rela..", MALFORMED_SECTION, NULL, NULL},
        {".klp.rela..text", MALFORMED_SECTION, NULL, NULL},
        {"", RELAKIT_NOT_FOUND, NULL, NULL},
        {".", RELAKIT_NOT_FOUND, NULL, NULL},
        {".klp.rela", RELAKIT_NOT_FOUND, NULL, NULL},
        {".klp.rel.vmlinux..text", RELAKIT_NOT_FOUND, NULL, NULL},
        {".klp.arch.vmlinux..altinstructions", RELAKIT_NOT_FOUND, NULL, NULL},
        {".KLP.rela.vmlinux..text", RELAKIT_NOT_FOUND, NULL, NULL},
        {" .klp.rela.vmlinux..text", RELAKIT_NOT_FOUND, NULL, NULL},
        {"klp.rela.vmlinux..text", RELAKIT_NOT_FOUND, NULL, NULL},
        {".rela.text", RELAKIT_NOT_FOUND, NULL, NULL},
        {".klp.sym.vmlinux.a,0", RELAKIT_NOT_FOUND, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relakit_klp_section_name parts;
        const char *name;
        if (!EQ(section(rows[i].text, &parts, &name), rows[i].status))
            printf("    in \"%s\"\n", rows[i].text);
        if (rows[i].status == RELAKIT_OK) {
            EQ(parts.struct_size, sizeof parts);
            CHECK(parts.object == name + strlen(".klp.rela."));
            NAME(parts.object, parts.object_len, rows[i].object);
            EQ(parts.is_early, strcmp(rows[i].object, "vmlinux") == 0);
            if (rows[i].target != NULL)
                NAME(parts.section, parts.section_len, rows[i].target);
            else
                CHECK(parts.section == NULL && parts.section_len == 0);
        }
        free((void *)(uintptr_t)name);
    }
}

static relakit_status symbol(const char *text, size_t len, uint32_t profile,
                             struct relakit_klp_symbol_name *parts, const char **copy)
{
    relakit_status status;
    *copy = (const char *)copy_of(text, len);
    memset(parts, 0xa5, sizeof *parts);
    parts->struct_size = sizeof *parts;
    status = relakit_parse_klp_symbol_name(*copy, len, profile, parts);
    if (status != RELAKIT_OK) {
        struct relakit_klp_symbol_name untouched;
        memset(&untouched, 0xa5, sizeof untouched);
        untouched.struct_size = sizeof untouched;
        SAME(parts, &untouched, sizeof untouched);
    }
    return status;
}

static void symbol_names_are_read_as_linux_reads_them(void)
{
    static const struct {
        const char *text;
        uint32_t profile;
        relakit_status status;
        const char *object, *name;
        uint64_t sympos;
        size_t trailing;
    } rows[] = {
        {".klp.sym.vmlinux.printk,0", 0, RELAKIT_OK, "vmlinux", "printk", 0, 0},
        {".klp.sym.vmlinux.snprintf,1", 0, RELAKIT_OK, "vmlinux", "snprintf", 1, 0},
        {".klp.sym.zfs.ko.x,0", 0, RELAKIT_OK, "zfs", "ko.x", 0, 0},
        {".klp.sym.m.foo.isra.0,12", 0, RELAKIT_OK, "m", "foo.isra.0", 12, 0},
        {".klp.sym.m..a,0", 0, RELAKIT_OK, "m", ".a", 0, 0},
        {".klp.sym.m. a,0", 0, RELAKIT_OK, "m", " a", 0, 0},
        {".klp.sym.m.a,007", 0, RELAKIT_OK, "m", "a", 7, 0},
        {".klp.sym.m.a, \t\n\v\f\r3", 0, RELAKIT_OK, "m", "a", 3, 0},
        {".klp.sym.m.a,1xyz", 0, RELAKIT_OK, "m", "a", 1, 3},
        {".klp.sym.m.a,0x1", 0, RELAKIT_OK, "m", "a", 0, 2},
        {".klp.sym.m.a,0,1", 0, RELAKIT_OK, "m", "a", 0, 2},
        {".klp.sym.m.a,2 ", 0, RELAKIT_OK, "m", "a", 2, 1},
        {".klp.sym.m.a,18446744073709551615", 0, RELAKIT_OK, "m", "a", UINT64_MAX, 0},
        {".klp.sym.m.a,18446744073709551616", 0, RELAKIT_OK, "m", "a", 0, 0},
        {".klp.sym.m.a,18446744073709551618", RELAKIT_LINUX(7, 1), RELAKIT_OK, "m", "a", 2, 0},
        {".klp.sym.m.a,18446744073709551618", RELAKIT_LINUX(7, 2), RELAKIT_OK, "m", "a", UINT64_MAX, 0},
        {".klp.sym.m.a,18446744073709551618", RELAKIT_PROFILE_ELF, RELAKIT_OK, "m", "a", UINT64_MAX, 0},
        {".klp.sym." O55 ".a,0", 0, RELAKIT_OK, O55, "a", 0, 0},
        {".klp.sym.m." S127 ",0", RELAKIT_LINUX(6, 0), RELAKIT_OK, "m", S127, 0, 0},
        {".klp.sym.m." S127 "o,0", RELAKIT_LINUX(6, 0), MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m." S127 "o,0", RELAKIT_LINUX(6, 1), RELAKIT_OK, "m", S127 "o", 0, 0},
        {".klp.sym.m." S511 ",0", 0, RELAKIT_OK, "m", S511, 0, 0},
        {".klp.sym.m." S511 "o,0", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym." O55 "o.a,0", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.a", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.a,", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.a, ", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.a,x", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.a,-1", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.a,+1", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m.,0", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym..a,0", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {".klp.sym.m,0", 0, MALFORMED_SYMBOL, NULL, NULL, 0, 0},
        {"", 0, RELAKIT_NOT_FOUND, NULL, NULL, 0, 0},
        {".klp.sym", 0, RELAKIT_NOT_FOUND, NULL, NULL, 0, 0},
        {"klp.sym.m.a,0", 0, RELAKIT_NOT_FOUND, NULL, NULL, 0, 0},
        {"printk", 0, RELAKIT_NOT_FOUND, NULL, NULL, 0, 0},
        {".klp.rela.vmlinux..text", 0, RELAKIT_NOT_FOUND, NULL, NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relakit_klp_symbol_name parts;
        const char *name;
        size_t len = strlen(rows[i].text);
        if (!EQ(symbol(rows[i].text, len, rows[i].profile, &parts, &name), rows[i].status))
            printf("    in \"%s\"\n", rows[i].text);
        if (rows[i].status == RELAKIT_OK) {
            EQ(parts.struct_size, sizeof parts);
            NAME(parts.object, parts.object_len, rows[i].object);
            NAME(parts.name, parts.name_len, rows[i].name);
            CHECK(parts.object == name + strlen(".klp.sym."));
            CHECK(parts.name == parts.object + parts.object_len + 1);
            EQ(parts.is_vmlinux, strcmp(rows[i].object, "vmlinux") == 0);
            EQ(parts.sympos, rows[i].sympos);
            EQ(parts.trailing, rows[i].trailing);
        }
        free((void *)(uintptr_t)name);
    }
}

static void every_prefix_of_a_name_is_answered(void)
{
    static const char text[] = ".klp.sym.vmlinux.snprintf,123";
    for (size_t len = 0; len < sizeof text; len++) {
        struct relakit_klp_symbol_name parts;
        const char *name;
        relakit_status want = len < 9 ? RELAKIT_NOT_FOUND : len < 27 ? MALFORMED_SYMBOL : RELAKIT_OK;
        EQ(symbol(text, len, 0, &parts, &name), want);
        free((void *)(uintptr_t)name);
    }
}

/* These two functions take no error, so that what is answered is all there is. */
static const char good_section[] = ".klp.rela.vmlinux..text", good_symbol[] = ".klp.sym.vmlinux.a,7";

static void what_is_wrong_with_a_call_is_answered(void)
{
    struct relakit_klp_section_name s = {0};
    struct relakit_klp_symbol_name y = {0};
    static const uint32_t sizes[] = {0, 1, 4, 39, 4097, 0xffffffff};
    unsigned char large[128];
    s.struct_size = sizeof s;
    y.struct_size = sizeof y;
    EQ(relakit_parse_klp_section_name(NULL, 1, &s), RELAKIT_ERR_NULL);
    EQ(relakit_parse_klp_section_name(NULL, 0, &s), RELAKIT_NOT_FOUND);
    EQ(relakit_parse_klp_section_name(good_section, 23, NULL), RELAKIT_ERR_NULL);
    EQ(relakit_parse_klp_section_name(good_section, SIZE_MAX, &s), RELAKIT_ERR_LENGTH);
    EQ(relakit_parse_klp_section_name(good_section, (size_t)PTRDIFF_MAX + 1, &s), RELAKIT_ERR_LENGTH);
    EQ(relakit_parse_klp_section_name((const char *)(UINTPTR_MAX - 7), 9, &s), RELAKIT_ERR_LENGTH);
    EQ(relakit_parse_klp_symbol_name(NULL, 1, 0, &y), RELAKIT_ERR_NULL);
    EQ(relakit_parse_klp_symbol_name(NULL, 0, 0, &y), RELAKIT_NOT_FOUND);
    EQ(relakit_parse_klp_symbol_name(good_symbol, 20, 0, NULL), RELAKIT_ERR_NULL);
    EQ(relakit_parse_klp_symbol_name(good_symbol, SIZE_MAX, 0, &y), RELAKIT_ERR_LENGTH);
    EQ(relakit_parse_klp_symbol_name(good_symbol, (size_t)PTRDIFF_MAX + 1, 0, &y), RELAKIT_ERR_LENGTH);
    EQ(relakit_parse_klp_symbol_name((const char *)(UINTPTR_MAX - 7), 9, 0, &y), RELAKIT_ERR_LENGTH);
    EQ(relakit_parse_klp_symbol_name(good_symbol, 20, 2, &y), RELAKIT_ERR_PROFILE);
    EQ(relakit_parse_klp_symbol_name(good_symbol, 20, RELAKIT_LINUX(5, 7), &y), RELAKIT_ERR_PROFILE);
    EQ(relakit_parse_klp_symbol_name(good_symbol, 20, RELAKIT_LINUX(5, 8), &y), RELAKIT_OK);
    EQ(y.sympos, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        s.struct_size = y.struct_size = sizes[i];
        EQ(relakit_parse_klp_section_name(good_section, 23, &s), RELAKIT_ERR_STRUCT_SIZE);
        EQ(relakit_parse_klp_symbol_name(good_symbol, 20, 0, &y), RELAKIT_ERR_STRUCT_SIZE);
    }
    y.struct_size = sizeof y - 1;
    EQ(relakit_parse_klp_symbol_name(good_symbol, 20, 0, &y), RELAKIT_ERR_STRUCT_SIZE);
    for (size_t off = 1; off < 8; off++) {
        memset(large, 0xa5, sizeof large);
        void *odd = large + (8 - (uintptr_t)large % 8) + off;
        EQ(relakit_parse_klp_section_name(good_section, 23, (struct relakit_klp_section_name *)odd),
           RELAKIT_ERR_ALIGNMENT);
        EQ(relakit_parse_klp_symbol_name(good_symbol, 20, 0, (struct relakit_klp_symbol_name *)odd),
           RELAKIT_ERR_ALIGNMENT);
    }
}

static void a_newer_programs_larger_struct_ends_in_zeros(void)
{
    static const unsigned char zeros[16] = {0};
    struct relakit_klp_section_name *s = (struct relakit_klp_section_name *)heap(sizeof *s + 16);
    struct relakit_klp_symbol_name *y = (struct relakit_klp_symbol_name *)heap(sizeof *y + 16);
    memset(s, 0xa5, sizeof *s + 16);
    memset(y, 0xa5, sizeof *y + 16);
    s->struct_size = sizeof *s + 16;
    y->struct_size = sizeof *y + 16;
    EQ(relakit_parse_klp_section_name(good_section, 23, s), RELAKIT_OK);
    EQ(relakit_parse_klp_symbol_name(good_symbol, 20, 0, y), RELAKIT_OK);
    SAME(s + 1, zeros, 16);
    SAME(y + 1, zeros, 16);
    EQ(s->struct_size, sizeof *s + 16);
    EQ(y->struct_size, sizeof *y + 16);
    EQ(s->is_early, 1);
    EQ(y->is_vmlinux, 1);
    free(s);
    free(y);
}

int main(void)
{
    section_names_are_read_as_linux_reads_them();
    symbol_names_are_read_as_linux_reads_them();
    every_prefix_of_a_name_is_answered();
    what_is_wrong_with_a_call_is_answered();
    a_newer_programs_larger_struct_ends_in_zeros();
    return test_end("klp_names");
}
