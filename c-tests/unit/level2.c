/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: one relocation section of a loader like Linux's. The library trusts nothing in the section headers. */

#include "sechdrs.h"

typedef relakit_status section_pass(const void *, uint32_t, const char *, uint32_t, uint32_t, uint32_t,
                                    const struct relakit_writer *, const struct relakit_options *, struct relakit_error *);
static section_pass *const passes[] = {relakit_apply_relocate_add, relakit_clear_relocate_add};
static section_pass *now;

static relakit_status call(uint32_t count, uint32_t symindex, uint32_t symbols, uint32_t relsec)
{
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(now(w.headers, count, NULL, symindex, symbols, relsec, NULL, NULL, fresh()));
}

static relakit_status usual(void)
{
    return call(SECTIONS, SYMTAB, SYMBOLS, RELA_);
}

/* The headers need no alignment, and the argument `strtab` is not used. */
static void sections_are_applied_and_cleared(void)
{
    Elf64_Shdr *odd = (Elf64_Shdr *)(void *)((unsigned char *)heap(sizeof w.headers + 1) + 1);
    for (int i = 0; i < 3; i++) {
        const void *headers = i == 2 ? (const void *)odd : w.headers;
        unsigned char want[FLAT] = {0};
        reset();
        memcpy(odd, w.headers, sizeof w.headers);
        put_fields(want, ordinary_fields, 2);
        ACCEPTS(relakit_apply_relocate_add(headers, SECTIONS, i == 1 ? w.strings : NULL, SYMTAB, SYMBOLS, RELA_, NULL,
                                           NULL, fresh()));
        SAME(flat, want, FLAT);
        ACCEPTS(relakit_clear_relocate_add(headers, SECTIONS, i == 1 ? w.strings : NULL, SYMTAB, SYMBOLS, RELA_, NULL,
                                           NULL, fresh()));
        memset(want, 0, FLAT);
        SAME(flat, want, FLAT);
    }
    free((unsigned char *)odd - 1);
}

static void an_error_of_a_relocation_names_its_section(void)
{
    reset();
    flat[53] = 1;
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1234 - 4 - 52, apply_section());
    EQ(fault.has, RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
    EQ(fault.section, RELA_);
    EQ(fault.entry, 1);
    EQ(fault.symbol, NEAR);
    EQ(fault.limit, 0x100);
    REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x1234 - 4 - 52, clear_section());
    EQ(fault.section, RELA_);
    EQ(fault.entry, 1);
    reset();
    w.ordinary[0].r_info = (uint64_t)F << 32 | R_X86_64_64;
    REFUSES(RELAKIT_ERR_SYMBOL_UNRESOLVED, SHN_KLP, apply_section());
    EQ(fault.section, RELA_);
    EQ(fault.symbol, F);
}

static void section_numbers_that_are_wrong(void)
{
    static const uint32_t none[] = {0, SECTIONS, SECTIONS + 1, 0xff00, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        reset();
        REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, none[i], call(SECTIONS, SYMTAB, SYMBOLS, none[i]));
        EQ(fault.limit, SECTIONS);
        REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, none[i], call(SECTIONS, none[i], SYMBOLS, RELA_));
        EQ(fault.limit, SECTIONS);
        w.headers[RELA_].sh_info = none[i];
        REFUSES(RELAKIT_ERR_TARGET_OUT_OF_RANGE, none[i], usual());
        EQ(fault.limit, SECTIONS);
        EQ(fault.section, RELA_);
    }
    reset();
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, RELA_, call(RELA_, 1, SYMBOLS, RELA_));
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, SYMTAB, call(0, SYMTAB, SYMBOLS, RELA_));
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, call(SECTIONS, SYMTAB, now == passes[0] ? PLAIN : 0, RELA_));
    REFUSES(RELAKIT_ERR_NOT_RELOCATIONS, SHT_PROGBITS, call(SECTIONS, SYMTAB, SYMBOLS, TEXT_));
    w.headers[RELA_].sh_size--;
    REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, 47, usual());
    EQ(fault.section, RELA_);
    EQ(fault.limit, 23);
}

static void addresses_that_are_no_memory(void)
{
    static const struct {
        uint64_t address, size;
    } rows[] = {
        {0, ROOM}, {UINT64_MAX - 3, ROOM}, {UINT64_MAX, ROOM}, {(uint64_t)INT64_MIN, (uint64_t)INT64_MAX + 1},
        {1, UINT64_MAX}, {0x1000, (uint64_t)INT64_MAX + 1},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        uint32_t section = i & 1 ? TEXT_ : RELA_;
        reset();
        w.headers[section].sh_addr = rows[i / 2].address;
        w.headers[section].sh_size = rows[i / 2].size;
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, rows[i / 2].size, usual());
        EQ(fault.section, section);
    }
    for (int i = 0; i < 2; i++) {
        reset();
        w.headers[SYMTAB].sh_addr = i == 0 ? 0 : UINT64_MAX - 3;
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, sizeof w.symbols, usual());
        EQ(fault.section, SYMTAB);
    }
}

/* The last section of the address space, behind a writer that must not be called. */
static void a_target_may_end_with_the_address_space(void)
{
    const uint64_t highest = UINT64_MAX - ROOM + 1;
    for (uint64_t more = 0; more < 2; more++) {
        reset();
        memset(w.ordinary, 0, sizeof w.ordinary);
        given_writer = &hooked;
        w.headers[TEXT_].sh_addr = highest + more;
        for (int i = 0; i < 2; i++)
            if (more == 0)
                ACCEPTS(i == 0 ? apply_section() : clear_section());
            else if (REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, highest + 1, i == 0 ? apply_section() : clear_section())) {
                EQ(fault.limit, ROOM);
                EQ(fault.section, TEXT_);
            }
    }
}

static relakit_status with_options(const void *given)
{
    reset();
    if (now == relakit_clear_relocate_add)
        ACCEPTS(apply_section());
    return now(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, NULL, (const struct relakit_options *)given, fresh());
}

static relakit_status with_writer(const void *given)
{
    reset();
    place(&hooked);
    if (now == relakit_clear_relocate_add)
        ACCEPTS(apply_section());
    return now(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, (const struct relakit_writer *)given, NULL, fresh());
}

static void arguments_that_are_wrong(void)
{
    struct relakit_options options = {sizeof options, 0, 0, 0};
    struct relakit_writer writer = hooked;
    reset();
    REFUSES(RELAKIT_ERR_NULL, 1, now(NULL, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_LENGTH, 1,
            now((const void *)(UINTPTR_MAX - 62), 1, NULL, SYMTAB, SYMBOLS, RELA_, NULL, NULL, fresh()));
    EQ(now(NULL, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, NULL, NULL, NULL), RELAKIT_ERR_NULL);
    takes_struct(with_options, &options, sizeof options, 8, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, 8,
                   RELAKIT_OPT_TRUNCATE_PC32 | RELAKIT_OPT_ALLOW_NONZERO | RELAKIT_OPT_REPORT_NONZERO_FIRST | RELAKIT_OPT_EXTRA_TYPES |
                       RELAKIT_OPT_ALLOW_ZERO_SYMBOLS | RELAKIT_OPT_ADD_TO_FIELD);
    takes_struct(with_writer, &writer, sizeof writer, 7, 8, NULL_IS_SOMETHING_ELSE);
    takes_no_flags(with_writer, &writer, sizeof writer, 7, RELAKIT_WRITER_FOREIGN);
    takes_only_options(with_options, &options, 8);
    takes_only(WRITER_FLAGS, with_writer, &writer, sizeof writer, offsetof(struct relakit_writer, flags), 7);
    options.reserved = 1;
    REFUSES(RELAKIT_ERR_RESERVED, 8, with_options(&options));
    options.reserved = 0;
    options.profile = RELAKIT_LINUX(5, 7);
    REFUSES(RELAKIT_ERR_PROFILE, RELAKIT_LINUX(5, 7), with_options(&options));
    options.profile = RELAKIT_PROFILE_ELF;
    ACCEPTS(with_options(&options));
    writer.write = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 7, with_writer(&writer));
    writer = hooked;
    writer.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 7, with_writer(&writer));
    writer = hooked;
    writer.sync = NULL;
    ACCEPTS(with_writer(&writer));
}

static void behind_a_writer(void)
{
    reset();
    place(&hooked);
}

static void applied(void)
{
    behind_a_writer();
    put_fields(flat, ordinary_fields, 2);
}

static void a_writer_that_fails(void)
{
    fail_in_turn(apply_section, behind_a_writer, ordinary_fields, 2, 1);
    behind_a_writer();
    ACCEPTS(apply_section());
    ASKED("r40 r52 r40 w40 r52 w52 s");
    fail_in_turn(clear_section, applied, ordinary_fields, 2, 0);
    applied();
    ACCEPTS(clear_section());
    ASKED("r40 r52 r52 w52 r40 w40 s");
}

int main(void)
{
    sections_are_applied_and_cleared();
    an_error_of_a_relocation_names_its_section();
    for (int i = 0; i < 2; i++) {
        now = passes[i];
        section_numbers_that_are_wrong();
        addresses_that_are_no_memory();
        arguments_that_are_wrong();
    }
    a_target_may_end_with_the_address_space();
    a_writer_that_fails();
    return test_end("level2");
}
