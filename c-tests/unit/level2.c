/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: one relocation section of a loader like Linux's. The library trusts nothing in the section headers. */

#include "sechdrs.h"

typedef relakit_status section_pass(const struct relakit_sechdrs *, uint32_t, const struct relakit_writer *,
                                    const struct relakit_options *, struct relakit_error *);
static section_pass *const passes[] = {relakit_apply_relocate_add, relakit_clear_relocate_add};
static section_pass *now;
static int is_unknown; /* whether the library is told the number of headers */

static void reset_section(void)
{
    reset();
    w.image.section_count = is_unknown ? RELAKIT_SECTION_COUNT_UNKNOWN : SECTIONS;
    /* The names are not used. */
    w.image.shstrtab = w.image.strtab = is_unknown ? NULL : (const char *)(uintptr_t)1;
    w.image.shstrtab_size = w.image.strtab_size = SIZE_MAX;
}

static relakit_status call(uint32_t relsec)
{
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(now(&w.image, relsec, NULL, NULL, fresh()));
}

static relakit_status usual(void)
{
    return call(RELA_);
}

/* The headers need no alignment. */
static void sections_are_applied_and_cleared(void)
{
    Elf64_Shdr *odd = (Elf64_Shdr *)(void *)((unsigned char *)heap(sizeof w.headers + 1) + 1);
    for (int i = 0; i < 2; i++) {
        unsigned char want[FLAT] = {0};
        reset_section();
        memcpy(odd, w.headers, sizeof w.headers);
        w.image.sechdrs = i ? (const void *)odd : w.headers;
        put_fields(want, ordinary_fields, 2);
        ACCEPTS(relakit_apply_relocate_add(&w.image, RELA_, NULL, NULL, fresh()));
        SAME(flat, want, FLAT);
        ACCEPTS(relakit_clear_relocate_add(&w.image, RELA_, NULL, NULL, fresh()));
        memset(want, 0, FLAT);
        SAME(flat, want, FLAT);
    }
    free((unsigned char *)odd - 1);
}

static void an_error_of_a_relocation_names_its_section(void)
{
    reset_section();
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
    reset_section();
    w.ordinary[0].r_info = (uint64_t)F << 32 | R_X86_64_64;
    REFUSES(RELAKIT_ERR_SYMBOL_UNRESOLVED, SHN_KLP, apply_section());
    EQ(fault.section, RELA_);
    EQ(fault.symbol, F);
}

static void section_numbers_that_are_wrong(void)
{
    static const uint32_t none[] = {0, SECTIONS, SECTIONS + 1, 0xff00, 0x80000000, UINT32_MAX};
    /* If the number of headers is unknown, indices are only compared with 0. */
    for (size_t i = 0; i < (is_unknown ? 1 : sizeof none / sizeof *none); i++) {
        reset_section();
        REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, none[i], call(none[i]));
        EQ(fault.limit, is_unknown ? SYMTAB + 1 : SECTIONS);
        w.image.symindex = none[i];
        REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, none[i], usual());
        EQ(fault.limit, is_unknown ? RELA_ + 1 : SECTIONS);
        w.image.symindex = SYMTAB;
        w.headers[RELA_].sh_info = none[i];
        REFUSES(RELAKIT_ERR_TARGET_OUT_OF_RANGE, none[i], usual());
        EQ(fault.limit, is_unknown ? SYMTAB + 1 : SECTIONS);
        EQ(fault.section, RELA_);
    }
    if (is_unknown)
        return;
    reset_section();
    w.image.section_count = SYMTAB;
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, SYMTAB, usual());
    w.image.section_count = 0; /* not the unknown number */
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, SYMTAB, usual());
    w.image.section_count = RELA_;
    w.image.symindex = TEXT_;
    w.headers[TEXT_].sh_size = 48;
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, RELA_, usual());
}

static void sections_that_are_not_what_they_should_be(void)
{
    static const uint32_t targets[] = {SYMTAB, STRTAB, RELA_, LATE1};
    reset_section();
    REFUSES(RELAKIT_ERR_NOT_RELOCATIONS, SHT_PROGBITS, call(TEXT_));
    EQ(fault.section, TEXT_);
    for (size_t i = 0; i < 4; i++) {
        reset_section();
        w.headers[RELA_].sh_info = targets[i];
        REFUSES(i < 2 ? RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE : RELAKIT_ERR_TARGET_IS_RELOCATIONS, targets[i], usual());
        EQ(fault.section, RELA_);
    }
    reset_section();
    w.headers[TEXT_].sh_type = SHT_NULL;
    REFUSES(RELAKIT_ERR_TARGET_OUT_OF_RANGE, TEXT_, usual());
    /* sh_info of REL and of other sections is not used, so it can be any number. */
    reset_section();
    w.headers[RELA_].sh_info = UINT32_MAX;
    w.headers[RELA_].sh_type = SHT_REL;
    REFUSES(RELAKIT_ERR_REL_SECTION, UINT32_MAX, usual());
    w.headers[RELA_].sh_type = SHT_NOTE;
    REFUSES(RELAKIT_ERR_NOT_RELOCATIONS, SHT_NOTE, usual());
}

/* The number of entries and the number of symbols come from sh_size. */
static void sizes_that_are_wrong(void)
{
    static const uint64_t rests[] = {1, 8, 23};
    for (size_t i = 0; i < 3; i++) {
        reset_section();
        w.headers[RELA_].sh_size += rests[i];
        REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, sizeof w.ordinary + rests[i], usual());
        EQ(fault.section, RELA_);
        EQ(fault.limit, rests[i]);
        reset_section();
        w.headers[SYMTAB].sh_size += rests[i];
        REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, sizeof w.symbols + rests[i], usual());
        EQ(fault.section, SYMTAB);
        EQ(fault.limit, rests[i]);
    }
    /* The last symbol that is used is the last of the table, or the first behind it. */
    for (uint32_t count = SYMBOLS; count >= PLAIN; count--) {
        reset_section();
        put_fields(flat, ordinary_fields, now == passes[0] ? 0 : 2);
        w.headers[SYMTAB].sh_size = count * sizeof *w.symbols;
        if (count > NEAR)
            ACCEPTS(usual());
        else {
            REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, usual());
            EQ(fault.limit, count);
        }
    }
}

static void addresses_that_are_no_memory(void)
{
    static const struct {
        uint64_t address, size;
        relakit_status status;
        uint64_t number;
    } rows[] = {
        {0, 24, RELAKIT_ERR_NOT_ASSIGNED, 24},
        {0, UINT64_MAX - 15, RELAKIT_ERR_NOT_ASSIGNED, UINT64_MAX - 15},
        {UINT64_MAX - 23, 24, RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX - 23}, /* no object of C can end there */
        {UINT64_MAX - 22, 24, RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX - 22},
        {UINT64_MAX, 24, RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX},
        {1, UINT64_MAX - 15, RELAKIT_ERR_ADDRESS_WRAPS, 1},
        {0x1000, (uint64_t)INT64_MAX + 17, RELAKIT_ERR_ADDRESS_WRAPS, 0x1000},
    };
    static const uint32_t of[] = {RELA_, TEXT_, SYMTAB};
    for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
        uint32_t section = of[i % 3];
        reset_section();
        w.headers[section].sh_addr = rows[i / 3].address;
        w.headers[section].sh_size = rows[i / 3].size;
        REFUSES(rows[i / 3].status, rows[i / 3].number, usual());
        EQ(fault.limit, rows[i / 3].status == RELAKIT_ERR_ADDRESS_WRAPS ? rows[i / 3].size : 0);
        EQ(fault.section, section);
        EQ(fault.has, RELAKIT_ERROR_HAS_SECTION);
    }
}

/* The last section of the address space, behind a writer that must not be called. */
static void a_target_may_end_with_the_address_space(void)
{
    const uint64_t highest = UINT64_MAX - ROOM + 1;
    for (uint64_t more = 0; more < 2; more++) {
        reset_section();
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

static relakit_status with_image(const void *given)
{
    return now((const struct relakit_sechdrs *)given, RELA_, NULL, NULL, fresh());
}

static relakit_status with_options(const void *given)
{
    reset_section();
    if (now == relakit_clear_relocate_add)
        ACCEPTS(apply_section());
    return now(&w.image, RELA_, NULL, (const struct relakit_options *)given, fresh());
}

static relakit_status with_writer(const void *given)
{
    reset_section();
    place(&hooked);
    if (now == relakit_clear_relocate_add)
        ACCEPTS(apply_section());
    return now(&w.image, RELA_, (const struct relakit_writer *)given, NULL, fresh());
}

static void prepare_rows(void)
{
    reset_section();
    w.headers[RELA_].sh_size = 0; /* nothing to do */
}

static void arguments_that_are_wrong(void)
{
    static const struct wrong rows[] = {
        WRONG(w.image.sechdrs, 0, RELAKIT_ERR_NULL, 1),
        WRONG(w.image.sechdrs, UINTPTR_MAX - 63, RELAKIT_ERR_LENGTH, 1),
    };
    struct relakit_options options = {sizeof options, 0, 0, 0};
    struct relakit_writer writer = hooked;
    REFUSES_EACH(rows, prepare_rows, usual);
    prepare_rows();
    takes_struct(with_image, &w.image, sizeof w.image, 1, 8, NULL_IS_REFUSED);
    takes_no_flags(with_image, &w.image, sizeof w.image, 1, 0);
    EQ(now(NULL, RELA_, NULL, NULL, NULL), RELAKIT_ERR_NULL);
    takes_struct(with_options, &options, sizeof options, 4, 4, NULL_IS_TAKEN);
    takes_no_flags(with_options, &options, sizeof options, 4,
                   RELAKIT_OPT_TRUNCATE_PC32 | RELAKIT_OPT_ALLOW_NONZERO | RELAKIT_OPT_REPORT_NONZERO_FIRST | RELAKIT_OPT_EXTRA_TYPES |
                       RELAKIT_OPT_ALLOW_ZERO_SYMBOLS | RELAKIT_OPT_ADD_TO_FIELD);
    takes_struct(with_writer, &writer, sizeof writer, 3, 8, NULL_IS_SOMETHING_ELSE);
    takes_no_flags(with_writer, &writer, sizeof writer, 3, RELAKIT_WRITER_FOREIGN);
    takes_only_options(with_options, &options, 4);
    takes_only(WRITER_FLAGS, with_writer, &writer, sizeof writer, offsetof(struct relakit_writer, flags), 3);
    options.reserved = 1;
    REFUSES(RELAKIT_ERR_RESERVED, 4, with_options(&options));
    options.reserved = 0;
    options.profile = RELAKIT_LINUX(5, 7);
    REFUSES(RELAKIT_ERR_PROFILE, RELAKIT_LINUX(5, 7), with_options(&options));
    options.profile = RELAKIT_PROFILE_ELF;
    ACCEPTS(with_options(&options));
    writer.write = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 3, with_writer(&writer));
    writer = hooked;
    writer.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 3, with_writer(&writer));
    writer = hooked;
    writer.sync = NULL;
    ACCEPTS(with_writer(&writer));
}

/* Nothing is behind the last of them, which the sanitizers and valgrind check; the others contain nonsense. */
static void only_the_headers_that_are_used_are_read(void)
{
    static const uint32_t pairs[][2] = {{RELA_, SYMTAB}, {SYMTAB, RELA_}};
    for (size_t i = 0; i < 2; i++) {
        /* The last header is that of the symbols, of the relocations, or of the target. */
        for (uint32_t target = TEXT_; target <= SECTIONS; target += SECTIONS - TEXT_) {
            uint32_t relsec = pairs[i][0], symtab = pairs[i][1];
            uint32_t count = target > SYMTAB ? target + 1 : SYMTAB + 1;
            Elf64_Shdr *headers = (Elf64_Shdr *)heap(count * sizeof *headers);
            reset_section();
            memset(headers, 0xff, count * sizeof *headers);
            headers[relsec] = w.headers[RELA_];
            headers[relsec].sh_info = target;
            headers[symtab] = w.headers[SYMTAB];
            headers[target] = w.headers[TEXT_];
            w.image.sechdrs = headers;
            w.image.symindex = symtab;
            put_fields(flat, ordinary_fields, now == passes[0] ? 0 : 2);
            ACCEPTS(now(&w.image, relsec, NULL, NULL, fresh()));
            free(headers);
        }
    }
}

static void behind_a_writer(void)
{
    reset_section();
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
    for (is_unknown = 0; is_unknown < 2; is_unknown++) {
        sections_are_applied_and_cleared();
        an_error_of_a_relocation_names_its_section();
        for (int i = 0; i < 2; i++) {
            now = passes[i];
            section_numbers_that_are_wrong();
            sections_that_are_not_what_they_should_be();
            sizes_that_are_wrong();
            addresses_that_are_no_memory();
            arguments_that_are_wrong();
            if (is_unknown)
                only_the_headers_that_are_used_are_read();
        }
        a_target_may_end_with_the_address_space();
        a_writer_that_fails();
    }
    return test_end("level2");
}
