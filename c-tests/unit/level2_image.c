/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: what is wrong with a call of relakit_klp_apply or relakit_klp_clear itself. */

#include "hooks.h"

static Elf64_Shdr headers[3];
static Elf64_Sym symtab[2];
static char shstrtab[16], strtab[16];
static uint64_t values[2];
static struct relakit_sechdrs image;
static uint32_t sections;
static int clears;

static void reset(void)
{
    memset(headers, 0, sizeof headers);
    memset(&image, 0, sizeof image);
    headers[1].sh_type = SHT_SYMTAB;
    headers[1].sh_link = 2;
    headers[1].sh_addr = (uint64_t)(uintptr_t)symtab;
    headers[2].sh_type = SHT_STRTAB;
    image.struct_size = sizeof image;
    image.sechdrs = headers;
    image.section_count = 3;
    image.symindex = 1;
    image.symbol_count = 2;
    image.shstrtab = shstrtab;
    image.shstrtab_size = sizeof shstrtab;
    image.strtab = strtab;
    image.strtab_size = sizeof strtab;
    image.values = clears ? NULL : values;
    hooks_reset();
}

static relakit_status run(const struct relakit_sechdrs *i, const char *object, const struct relakit_resolver *r,
                          const struct relakit_writer *w, const struct relakit_options *o, uint32_t *n)
{
    struct relakit_sechdrs before = image;
    relakit_status status;
    sections = 0xa5a5a5a5;
    status = clears ? relakit_klp_clear(i, object, w, o, n, fresh()) : relakit_klp_apply(i, object, r, w, o, n, fresh());
    EQ(sections, status == RELAKIT_OK && n == &sections ? 0 : 0xa5a5a5a5);
    SAME(&image, &before, sizeof image);
    return status;
}

static relakit_status with_image(const void *given)
{
    return run((const struct relakit_sechdrs *)given, "obj", &names, NULL, NULL, &sections);
}

static relakit_status call(void)
{
    return with_image(&image);
}

static relakit_status with_resolver(const void *given)
{
    return run(&image, "obj", (const struct relakit_resolver *)given, NULL, NULL, &sections);
}

static relakit_status with_writer(const void *given)
{
    return run(&image, "obj", &names, (const struct relakit_writer *)given, NULL, &sections);
}

static relakit_status with_options(const void *given)
{
    return run(&image, "obj", &names, NULL, (const struct relakit_options *)given, &sections);
}

static void pointers(void)
{
    reset();
    ACCEPTS(call());
    REFUSES(RELAKIT_ERR_NULL, 2, run(&image, NULL, &names, NULL, NULL, &sections));
    ACCEPTS(run(&image, "obj", &names, NULL, NULL, NULL));
    image.sechdrs = NULL;
    REFUSES(RELAKIT_ERR_NULL, 1, call());
    reset();
    image.shstrtab = NULL;
    REFUSES(RELAKIT_ERR_NULL, 1, call());
    image.shstrtab_size = 0;
    ACCEPTS(call());
    reset();
    image.strtab = NULL;
    REFUSES(RELAKIT_ERR_NULL, 1, call());
    image.strtab_size = 0;
    ACCEPTS(call());
    reset();
    image.values = NULL;
    if (clears)
        ACCEPTS(call());
    else
        REFUSES(RELAKIT_ERR_NULL, 1, call());
    image.symbol_count = 0;
    ACCEPTS(call());
    reset();
    headers[1].sh_addr = 0;
    EQ(call(), RELAKIT_ERR_NOT_ASSIGNED);
    if (!clears)
        for (uintptr_t off = 1; off < 8; off++) {
            uint64_t room[4];
            reset();
            image.values = (uint64_t *)((uintptr_t)room + off);
            REFUSES(RELAKIT_ERR_ALIGNMENT, 1, call());
            EQ(fault.limit, 8);
        }
    reset();
    for (uintptr_t off = 1; off < 4; off++) {
        uint32_t room[2] = {0x12345678, 0x12345678};
        REFUSES(RELAKIT_ERR_ALIGNMENT, clears ? 5 : 6,
                run(&image, "obj", &names, NULL, NULL, (uint32_t *)((uintptr_t)room + off)));
        EQ(room[0], 0x12345678);
        EQ(room[1], 0x12345678);
    }
}

static void lengths(void)
{
    static const size_t too_long[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX};
    for (size_t i = 0; i < 2; i++) {
        reset();
        image.shstrtab_size = too_long[i];
        REFUSES(RELAKIT_ERR_LENGTH, 1, call());
        EQ(fault.limit, too_long[i]);
        reset();
        image.strtab_size = too_long[i];
        REFUSES(RELAKIT_ERR_LENGTH, 1, call());
        EQ(fault.limit, too_long[i]);
    }
    reset();
    image.strtab = (const char *)(UINTPTR_MAX - 14);
    REFUSES(RELAKIT_ERR_LENGTH, 1, call());
    reset();
    image.sechdrs = (const void *)(UINTPTR_MAX - 63);
    REFUSES(RELAKIT_ERR_LENGTH, 1, call());
    reset();
    image.symindex = 3;
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, 3, call());
    EQ(fault.limit, 3);
    image.symindex = 0;
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, 0, call());
    image.symindex = UINT32_MAX;
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, UINT32_MAX, call());
    reset();
    image.section_count = 0;
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, 1, call());
}

static void structs(void)
{
    struct relakit_options options = {sizeof options, 0, 0, 0};
    struct relakit_writer writer = hooked;
    struct relakit_resolver resolver = names;
    uint64_t w = clears ? 3 : 4, o = clears ? 4 : 5;
    reset();
    takes_struct(with_image, &image, sizeof image, 1, 8, NULL_IS_REFUSED);
    takes_no_flags(with_image, &image, sizeof image, 1, 0);
    takes_struct(with_writer, &writer, sizeof writer, w, 8, NULL_IS_TAKEN);
    takes_no_flags(with_writer, &writer, sizeof writer, w, RELAKIT_WRITER_FOREIGN);
    takes_struct(with_options, &options, sizeof options, o, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, o, RELAKIT_OPT_CHECK_PC32);
    if (!clears) {
        takes_struct(with_resolver, &resolver, sizeof resolver, 3, 8, NULL_IS_REFUSED);
        takes_no_flags(with_resolver, &resolver, sizeof resolver, 3, 0);
    }
    options.flags = RELAKIT_OPT_CHECK_PC32;
    ACCEPTS(with_options(&options));
    options.reserved = 0x80000000;
    REFUSES(RELAKIT_ERR_RESERVED, o, with_options(&options));
    options.reserved = 0;
    options.profile = 2;
    REFUSES(RELAKIT_ERR_PROFILE, 2, with_options(&options));
    writer.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, w, with_writer(&writer));
    writer.read = hooked.read;
    writer.write = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, w, with_writer(&writer));
    image.reserved = 1;
    REFUSES(RELAKIT_ERR_RESERVED, 1, call());
}

static void what_is_written_overlaps_nothing(void)
{
    uint64_t raw[64];
    const char *base = (const char *)raw;
    /* The symbol table is written, the rest is read. */
    for (int i = 0; i < 3; i++) {
        for (int far = 0; far < 2; far++) {
            reset();
            memset(raw, 0, sizeof raw);
            headers[1].sh_addr = (uint64_t)(uintptr_t)(base + 100);
            if (i == 0) {
                memcpy(raw + (far ? 19 : 18), headers, sizeof headers);
                image.sechdrs = raw + (far ? 19 : 18);
            }
            if (i == 1)
                image.strtab = base + (far ? 148 : 147);
            if (i == 2)
                image.shstrtab = base + (far ? 84 : 85);
            if (far)
                ACCEPTS(call());
            else
                REFUSES(RELAKIT_ERR_OVERLAP, 1, call());
        }
    }
    if (clears)
        return;
    for (int i = 0; i < 4; i++) {
        reset();
        memset(raw, 0, sizeof raw);
        image.values = raw + 20;
        if (i == 0) {
            memcpy(raw + 18, headers, sizeof headers);
            image.sechdrs = raw + 18;
        }
        if (i == 1)
            image.strtab = base + 175;
        if (i == 2)
            image.shstrtab = base + 145;
        if (i == 3)
            headers[1].sh_addr = (uint64_t)(uintptr_t)(base + 175);
        REFUSES(RELAKIT_ERR_OVERLAP, 1, call());
        image.values = raw + 50;
        ACCEPTS(call());
    }
}

int main(void)
{
    for (clears = 0; clears < 2; clears++) {
        pointers();
        lengths();
        structs();
        what_is_written_overlaps_nothing();
    }
    return test_end("level2_image");
}
