/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: calls of relakit_klp_apply and relakit_klp_clear with invalid arguments. The module has no livepatch sections. */

#include "sechdrs.h"

static int clears;

static void reset_call(void)
{
    reset();
    for (int i = LATE1; i <= OTHER; i++)
        w.headers[i].sh_flags = 0;
}

static relakit_status run(const struct relakit_sechdrs *image, const char *name, const struct relakit_resolver *resolver,
                          const struct relakit_writer *writer, const struct relakit_options *options, uint32_t *count)
{
    relakit_status status;
    before = w;
    sections = 0xa5a5a5a5;
    status = clears ? relakit_klp_clear(image, name, writer, options, count, fresh())
                    : relakit_klp_apply(image, name, resolver, writer, options, count, fresh());
    EQ(sections, status == RELAKIT_OK && count == &sections ? 0 : 0xa5a5a5a5);
    SAME(&w, &before, sizeof w);
    return status;
}

static relakit_status with_image(const void *given)
{
    return run((const struct relakit_sechdrs *)given, object, &names, NULL, NULL, &sections);
}

static relakit_status call(void)
{
    return with_image(&w.image);
}

static relakit_status with_resolver(const void *given)
{
    return run(&w.image, object, (const struct relakit_resolver *)given, NULL, NULL, &sections);
}

static relakit_status with_writer(const void *given)
{
    return run(&w.image, object, &names, (const struct relakit_writer *)given, NULL, &sections);
}

static relakit_status with_options(const void *given)
{
    return run(&w.image, object, &names, NULL, (const struct relakit_options *)given, &sections);
}

static void pointers(void)
{
    reset_call();
    ACCEPTS(call());
    REFUSES(RELAKIT_ERR_NULL, 2, run(&w.image, NULL, &names, NULL, NULL, &sections));
    ACCEPTS(run(&w.image, object, &names, NULL, NULL, NULL));
    reset_call();
    w.headers[SYMTAB].sh_addr = w.headers[SYMTAB].sh_size = 0;
    ACCEPTS(call());
    reset_call();
    w.image.shstrtab = w.image.strtab = NULL;
    w.image.shstrtab_size = w.image.strtab_size = 0;
    ACCEPTS(call());
    reset_call();
    for (uintptr_t off = 1; off < 4; off++) {
        uint32_t room[2] = {0x12345678, 0x12345678};
        REFUSES(RELAKIT_ERR_ALIGNMENT, clears ? 5 : 6,
                run(&w.image, object, &names, NULL, NULL, (uint32_t *)((uintptr_t)room + off)));
        EQ(room[0] & room[1], 0x12345678);
    }
}

static void members_that_are_wrong(void)
{
    static const struct wrong rows[] = {
        WRONG(w.image.sechdrs, 0, RELAKIT_ERR_NULL, 1),
        WRONG(w.image.sechdrs, UINTPTR_MAX - 63, RELAKIT_ERR_LENGTH, 1),
        WRONG(w.image.shstrtab, 0, RELAKIT_ERR_NULL, 1),
        WRONG(w.image.shstrtab_size, (size_t)PTRDIFF_MAX + 1, RELAKIT_ERR_LENGTH, 1),
        WRONG(w.image.shstrtab_size, SIZE_MAX, RELAKIT_ERR_LENGTH, 1),
        WRONG(w.image.strtab, 0, RELAKIT_ERR_NULL, 1),
        WRONG(w.image.strtab, UINTPTR_MAX - 14, RELAKIT_ERR_LENGTH, 1),
        WRONG(w.image.strtab_size, (size_t)PTRDIFF_MAX + 1, RELAKIT_ERR_LENGTH, 1),
        WRONG(w.image.strtab_size, SIZE_MAX, RELAKIT_ERR_LENGTH, 1),
        WRONG(w.image.symindex, 0, RELAKIT_ERR_NO_SUCH_SECTION, 0),
        WRONG(w.image.symindex, SECTIONS, RELAKIT_ERR_NO_SUCH_SECTION, SECTIONS),
        WRONG(w.image.symindex, UINT32_MAX, RELAKIT_ERR_NO_SUCH_SECTION, UINT32_MAX),
        WRONG(w.image.section_count, 0, RELAKIT_ERR_NO_SUCH_SECTION, SYMTAB),
        WRONG(w.image.section_count, RELAKIT_SECTION_COUNT_UNKNOWN, RELAKIT_ERR_NO_SUCH_SECTION, SYMTAB),
        WRONG(w.headers[SYMTAB].sh_addr, 0, RELAKIT_ERR_NOT_ASSIGNED, sizeof w.symbols),
        WRONG(w.headers[SYMTAB].sh_addr, UINT64_MAX - 7, RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX - 7),
        WRONG(w.headers[SYMTAB].sh_size, 25, RELAKIT_ERR_PARTIAL_ENTRY, 25),
        WRONG(w.headers[SYMTAB].sh_size, sizeof w.symbols - 1, RELAKIT_ERR_PARTIAL_ENTRY, sizeof w.symbols - 1),
    };
    REFUSES_EACH(rows, reset_call, call);
}

static void structs(void)
{
    struct relakit_options options = {sizeof options, 0, 0, 0};
    struct relakit_writer writer = hooked;
    struct relakit_resolver resolver = names;
    uint64_t writer_number = clears ? 3 : 4, options_number = clears ? 4 : 5;
    reset_call();
    takes_struct(with_image, &w.image, sizeof w.image, 1, 8, NULL_IS_REFUSED);
    takes_no_flags(with_image, &w.image, sizeof w.image, 1, 0);
    takes_struct(with_writer, &writer, sizeof writer, writer_number, 8, NULL_IS_TAKEN);
    takes_no_flags(with_writer, &writer, sizeof writer, writer_number, RELAKIT_WRITER_FOREIGN);
    takes_struct(with_options, &options, sizeof options, options_number, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, options_number, RELAKIT_OPT_TRUNCATE_PC32);
    takes_only_options(with_options, &options, options_number);
    takes_only(WRITER_FLAGS, with_writer, &writer, sizeof writer, offsetof(struct relakit_writer, flags), writer_number);
    if (!clears) {
        takes_struct(with_resolver, &resolver, sizeof resolver, 3, 8, NULL_IS_REFUSED);
        takes_no_flags(with_resolver, &resolver, sizeof resolver, 3, 0);
    }
    options.flags = RELAKIT_OPT_TRUNCATE_PC32;
    ACCEPTS(with_options(&options));
    options.reserved = 0x80000000;
    REFUSES(RELAKIT_ERR_RESERVED, options_number, with_options(&options));
    options.reserved = 0;
    options.profile = 6;
    REFUSES(RELAKIT_ERR_PROFILE, 6, with_options(&options));
    writer.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, writer_number, with_writer(&writer));
    writer.read = hooked.read;
    writer.write = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, writer_number, with_writer(&writer));
}

int main(void)
{
    for (clears = 0; clears < 2; clears++) {
        pointers();
        members_that_are_wrong();
        structs();
    }
    return test_end("level2_klp_arguments");
}
