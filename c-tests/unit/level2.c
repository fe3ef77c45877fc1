/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: one relocation section of a Linux-shaped loader. Nothing in its section headers is trusted. */

#include "hooks.h"

enum { NONE, TEXT_, RELA_, SYMTAB, STRTAB, REL_, DATA_, SECTIONS };
#define ROOM 64
#define SYMBOLS 3

/* Everything lies in one piece, so that targets can be made to overlap what they must not. */
static struct {
    unsigned char front[64];
    Elf64_Shdr headers[SECTIONS];
    unsigned char text[ROOM];
    Elf64_Rela table[2];
    unsigned char between[64];
    Elf64_Sym symbols[SYMBOLS];
    char strings[32];
    unsigned char back[64];
} w, before;

static uint64_t here(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static void header(int index, uint32_t type, const void *at, uint64_t size, uint32_t info, uint32_t link)
{
    Elf64_Shdr *to = &w.headers[index];
    memset(to, 0, sizeof *to);
    to->sh_type = type;
    to->sh_flags = SHF_ALLOC;
    to->sh_addr = here(at);
    to->sh_size = size;
    to->sh_info = info;
    to->sh_link = link;
}

static void reset(void)
{
    hooks_reset();
    memset(&w, 0, sizeof w);
    memset(flat, 0, FLAT);
    header(TEXT_, SHT_PROGBITS, w.text, ROOM, 0, 0);
    header(RELA_, SHT_RELA, w.table, sizeof w.table, TEXT_, SYMTAB);
    header(SYMTAB, SHT_SYMTAB, w.symbols, sizeof w.symbols, 1, STRTAB);
    header(STRTAB, SHT_STRTAB, w.strings, sizeof w.strings, 0, 0);
    header(REL_, SHT_REL, w.table, 32, TEXT_, SYMTAB);
    header(DATA_, SHT_NOBITS, w.between, 64, 0, 0);
    w.table[0] = rela(8, 1, R_X86_64_64, 5);
    w.table[1] = rela(20, 2, R_X86_64_PC32, -4);
    w.symbols[1].st_value = 0x1122334455667788;
    w.symbols[2].st_value = here(w.text) + 0x1234;
}

typedef relakit_status pass(const void *, uint32_t, const char *, uint32_t, uint32_t, uint32_t,
                            const struct relakit_writer *, const struct relakit_options *, struct relakit_error *);
static pass *now;

static relakit_status call(uint32_t count, uint32_t symindex, uint32_t symbols, uint32_t relsec)
{
    relakit_status status;
    before = w;
    status = now(w.headers, count, NULL, symindex, symbols, relsec, NULL, NULL, fresh());
    if (status < 0)
        SAME(&w, &before, sizeof w);
    return status;
}

static relakit_status usual(void)
{
    return call(SECTIONS, SYMTAB, SYMBOLS, RELA_);
}

static void sections_are_applied_and_cleared(void)
{
    Elf64_Shdr *odd = (Elf64_Shdr *)(void *)((unsigned char *)heap(sizeof w.headers + 1) + 1);
    for (int i = 0; i < 3; i++) {
        const void *headers = i == 2 ? (const void *)odd : w.headers;
        reset();
        memcpy(odd, w.headers, sizeof w.headers);
        ACCEPTS(relakit_apply_relocate_add(headers, SECTIONS, i == 1 ? w.strings : NULL, SYMTAB, SYMBOLS, RELA_, NULL,
                                           NULL, fresh()));
        EQ(load(w.text + 8, 8), 0x112233445566778d);
        EQ(load(w.text + 20, 4), 0x1234 - 4 - 20);
        EQ(load(w.text, 8) | load(w.text + 16, 4) | load(w.text + 24, 8), 0);
        ACCEPTS(relakit_clear_relocate_add(headers, SECTIONS, i == 1 ? w.strings : NULL, SYMTAB, SYMBOLS, RELA_, NULL,
                                           NULL, fresh()));
        for (size_t byte = 0; byte < ROOM; byte++)
            EQ(w.text[byte], 0);
    }
    free((unsigned char *)odd - 1);
}

static void faults_of_relocations_name_the_section_that_holds_them(void)
{
    now = relakit_apply_relocate_add;
    reset();
    w.text[21] = 1;
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1234 - 24, usual());
    EQ(fault.has, RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE);
    EQ(fault.section, RELA_);
    EQ(fault.entry, 1);
    EQ(fault.limit, 0x100);
    reset();
    w.table[1].r_offset = ROOM - 3;
    REFUSES(RELAKIT_ERR_OFFSET_OUTSIDE, 4, usual());
    EQ(fault.section, RELA_);
    reset();
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, call(SECTIONS, SYMTAB, 2, RELA_));
    EQ(fault.limit, 2);
    EQ(fault.symbol, 2);
    REFUSES(RELAKIT_ERR_SYMBOL_INDEX, 0, call(SECTIONS, SYMTAB, 0, RELA_));
    w.headers[RELA_].sh_size--;
    REFUSES(RELAKIT_ERR_PARTIAL_ENTRY, 47, usual());
    EQ(fault.section, RELA_);
    EQ(fault.limit, 23);
    now = relakit_clear_relocate_add;
    reset();
    REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x1234 - 24, usual());
    EQ(fault.section, RELA_);
    EQ(fault.entry, 1);
}

static void sections_that_are_not_there(void)
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
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, SYMTAB, call(SYMTAB, SYMTAB, SYMBOLS, RELA_));
}

static void sections_that_are_something_else(void)
{
    static const uint32_t types[] = {SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_NOBITS, 0xffffffff};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        reset();
        w.headers[RELA_].sh_type = types[i];
        REFUSES(RELAKIT_ERR_NOT_RELOCATIONS, types[i], usual());
        EQ(fault.section, RELA_);
    }
    reset();
    REFUSES(RELAKIT_ERR_REL_SECTION, TEXT_, call(SECTIONS, SYMTAB, SYMBOLS, REL_));
    EQ(fault.section, REL_);
    w.headers[RELA_].sh_info = SYMTAB;
    REFUSES(RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, SYMTAB, usual());
    w.headers[RELA_].sh_info = STRTAB;
    REFUSES(RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, STRTAB, usual());
    EQ(fault.section, RELA_);
}

static void addresses_that_lead_nowhere(void)
{
    static const struct {
        uint64_t address, size;
    } rows[] = {
        {0, ROOM}, {UINT64_MAX - 3, ROOM}, {UINT64_MAX, ROOM}, {(uint64_t)INT64_MIN, (uint64_t)INT64_MAX + 1},
        {1, UINT64_MAX}, {0x1000, (uint64_t)INT64_MAX + 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reset();
        w.headers[TEXT_].sh_addr = rows[i].address;
        w.headers[TEXT_].sh_size = rows[i].size;
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, rows[i].size, usual());
        EQ(fault.section, TEXT_);
        reset();
        w.headers[RELA_].sh_addr = rows[i].address;
        w.headers[RELA_].sh_size = rows[i].size;
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, rows[i].size, usual());
        EQ(fault.section, RELA_);
    }
    /* "An sh_addr is NULL, or so large that the section would wrap around": the symbol table's as well. */
    reset();
    w.headers[SYMTAB].sh_addr = 0;
    EQ(usual(), RELAKIT_ERR_NOT_ASSIGNED);
    w.headers[SYMTAB].sh_addr = UINT64_MAX - 3;
    EQ(usual(), RELAKIT_ERR_NOT_ASSIGNED);
}

static void targets_that_overlap_what_is_read(void)
{
    const struct {
        const void *at;
        size_t size;
    } pieces[] = {{w.headers, sizeof w.headers}, {w.symbols, sizeof w.symbols}, {w.table, sizeof w.table}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        for (size_t size = 1; size <= 33; size += 16) {
            uint64_t start = here(pieces[i].at), end = start + pieces[i].size;
            const uint64_t bad[] = {start, start - size + 1, end - 1, start + 8};
            const uint64_t good[] = {start - size, end};
            for (size_t n = 0; n < sizeof bad / sizeof *bad; n++) {
                reset();
                header(DATA_, SHT_PROGBITS, NULL, size, 0, 0);
                w.headers[DATA_].sh_addr = bad[n];
                w.headers[RELA_].sh_info = DATA_;
                REFUSES(RELAKIT_ERR_TARGET_OVERLAPS, DATA_, usual());
                EQ(fault.section, RELA_);
            }
            for (size_t n = 0; n < sizeof good / sizeof *good; n++) {
                reset();
                w.headers[DATA_].sh_addr = good[n];
                w.headers[DATA_].sh_size = size;
                w.headers[RELA_].sh_info = DATA_;
                w.table[0] = rela(0, 0, R_X86_64_NONE, 0);
                w.table[1] = rela(0, 0, R_X86_64_NONE, 0);
                ACCEPTS(usual());
            }
        }
}

static relakit_status with_options(const void *given)
{
    relakit_status status;
    reset();
    if (now == relakit_clear_relocate_add)
        relakit_apply_relocate_add(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, NULL, NULL, NULL);
    status = now(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, NULL, (const struct relakit_options *)given,
                 fresh());
    return status;
}

static relakit_status with_writer(const void *given)
{
    struct relakit_error error;
    reset();
    w.headers[TEXT_].sh_addr = BASE;
    w.symbols[2].st_value = BASE;
    if (now == relakit_clear_relocate_add)
        relakit_apply_relocate_add(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, &hooked, NULL, &error);
    return now(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, (const struct relakit_writer *)given, NULL,
               fresh());
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
                   RELAKIT_OPT_CHECK_PC32 | RELAKIT_OPT_ALLOW_NONZERO | RELAKIT_OPT_REPORT_NONZERO_FIRST | RELAKIT_OPT_EXTRA_TYPES |
                       RELAKIT_OPT_ALLOW_ZERO_SYMBOLS | RELAKIT_OPT_ADD_TO_FIELD);
    takes_struct(with_writer, &writer, sizeof writer, 7, 8, NULL_IS_SOMETHING_ELSE);
    takes_no_flags(with_writer, &writer, sizeof writer, 7, RELAKIT_WRITER_FOREIGN);
    options.reserved = 1;
    REFUSES(RELAKIT_ERR_RESERVED, 8, with_options(&options));
    options.reserved = 0;
    options.profile = RELAKIT_LINUX(5, 7);
    REFUSES(RELAKIT_ERR_PROFILE, RELAKIT_LINUX(5, 7), with_options(&options));
    writer.write = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 7, with_writer(&writer));
    writer = hooked;
    writer.read = NULL;
    REFUSES(RELAKIT_ERR_CALLBACK, 7, with_writer(&writer));
    writer = hooked;
    writer.sync = NULL;
    ACCEPTS(with_writer(&writer));
    options.profile = RELAKIT_PROFILE_ELF;
    ACCEPTS(with_options(&options));
}

static const struct field fields[] = {{RELA_, 0, 8, 8, 0x112233445566778d}, {RELA_, 1, 20, 4, (uint32_t)-24}};

static void behind_a_writer(void)
{
    reset();
    w.headers[TEXT_].sh_addr = BASE;
    w.symbols[2].st_value = BASE;
}

static relakit_status hooked_now(void)
{
    return now(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, &hooked, NULL, fresh());
}

static void applied(void)
{
    behind_a_writer();
    for (int i = 0; i < 2; i++)
        for (size_t byte = 0; byte < fields[i].size; byte++)
            flat[fields[i].at + byte] = (unsigned char)(fields[i].value >> (8 * byte));
}

static void a_writer_that_fails(void)
{
    now = relakit_apply_relocate_add;
    fail_in_turn(hooked_now, behind_a_writer, fields, 2, 1);
    behind_a_writer();
    ACCEPTS(hooked_now());
    ASKED("r8 r20 r8 w8 r20 w20 s");
    now = relakit_clear_relocate_add;
    fail_in_turn(hooked_now, applied, fields, 2, 0);
    applied();
    ACCEPTS(hooked_now());
    ASKED("r8 r20 r20 w20 r8 w8 s");
}

int main(void)
{
    static pass *const passes[] = {relakit_apply_relocate_add, relakit_clear_relocate_add};
    sections_are_applied_and_cleared();
    faults_of_relocations_name_the_section_that_holds_them();
    for (int i = 0; i < 2; i++) {
        now = passes[i];
        sections_that_are_not_there();
        sections_that_are_something_else();
        addresses_that_lead_nowhere();
        targets_that_overlap_what_is_read();
        arguments_that_are_wrong();
    }
    a_writer_that_fails();
    (void)names;
    return test_end("level2");
}
