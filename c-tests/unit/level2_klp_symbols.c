/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Level 2: livepatch sections with more symbols than relakit_klp_apply stores during a call, so that the resolver is called
 * again for each of them: before a section is written, while it is written, and when the symbol table is written.
 */
#include "callbacks.h"

enum { NONE, TEXT_, DATA_, LATE1, LATE2, SYMTAB, SECTIONS };
enum { COUNT = 20, SYMBOLS = COUNT + 1, ENTRIES = 2 * COUNT, DATA_AT = 1024 };

static struct {
    Elf64_Shdr headers[SECTIONS];
    Elf64_Rela late[2][ENTRIES];
    Elf64_Sym symbols[SYMBOLS];
    char strings[SYMBOLS * 24];
    uint64_t guard;
    struct relakit_sechdrs image;
} w, before;
static const char section_names[] = "\0.klp.rela.obj.";
static struct known known[COUNT];
static char texts[COUNT][2];
static const struct relakit_writer *given_writer;
static struct field fields[2 * ENTRIES];
static uint32_t sections;

static void header(int index, uint32_t type, uint64_t flags, uint64_t address, uint64_t size, uint32_t info)
{
    Elf64_Shdr *to = &w.headers[index];
    to->sh_type = type;
    to->sh_flags = flags;
    to->sh_addr = address;
    to->sh_size = size;
    to->sh_info = info;
    to->sh_name = type == SHT_RELA;
}

static uint64_t here(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static void reset(void)
{
    const uint64_t base = given_writer ? BASE : here(flat), late = SHF_ALLOC | RELAKIT_SHF_RELA_LIVEPATCH;
    memset(&w, 0, sizeof w);
    memset(flat, 0, FLAT);
    hooks_reset();
    header(TEXT_, SHT_PROGBITS, SHF_ALLOC, base, 8 * ENTRIES, 0);
    header(DATA_, SHT_PROGBITS, SHF_ALLOC, base + DATA_AT, 8 * ENTRIES, 0);
    header(LATE1, SHT_RELA, late, here(w.late[0]), sizeof w.late[0], TEXT_);
    header(LATE2, SHT_RELA, late, here(w.late[1]), sizeof w.late[1], DATA_);
    header(SYMTAB, SHT_SYMTAB, 0, here(w.symbols), sizeof w.symbols, 0);
    for (uint32_t i = 1; i < SYMBOLS; i++) {
        texts[i - 1][0] = (char)('a' + i);
        known[i - 1].object = "obj";
        known[i - 1].name = texts[i - 1];
        known[i - 1].values[0] = UINT64_C(0x1000) * i;
        w.symbols[i].st_name = 24 * i;
        w.symbols[i].st_shndx = RELAKIT_SHN_LIVEPATCH;
        snprintf(w.strings + 24 * i, 24, ".klp.sym.obj.%c,1", texts[i - 1][0]);
    }
    for (uint32_t section = 0; section < 2; section++)
        for (uint32_t i = 0; i < ENTRIES; i++) {
            const uint32_t symbol = i % COUNT + 1;
            const struct field field = {LATE1 + section, i, section * DATA_AT + 8 * i, 8, 0x1000 * symbol + i};
            w.late[section][i] = rela(8 * i, symbol, R_X86_64_64, i);
            fields[ENTRIES * section + i] = field;
        }
    w.image.struct_size = sizeof w.image;
    w.image.sechdrs = w.headers;
    w.image.section_count = SECTIONS;
    w.image.symindex = SYMTAB;
    w.image.shstrtab = section_names;
    w.image.shstrtab_size = sizeof section_names;
    w.image.strtab = w.strings;
    w.image.strtab_size = sizeof w.strings;
    known_names = known;
    known_count = COUNT;
    sections = 0xa5a5a5a5;
}

static relakit_status apply(void)
{
    before = w;
    return relakit_klp_apply(&w.image, "obj", &names, given_writer, NULL, &sections, fresh());
}

static relakit_status clear(void)
{
    return relakit_klp_clear(&w.image, "obj", given_writer, NULL, &sections, fresh());
}

/* Only st_value of symbols has changed; returns how many, and checks that each has its new value. */
static unsigned changed_symbols(void)
{
    unsigned changed = 0;
    for (uint32_t i = 1; i < SYMBOLS; i++)
        if (w.symbols[i].st_value != before.symbols[i].st_value) {
            EQ(w.symbols[i].st_value, 0x1000 * i);
            before.symbols[i].st_value = w.symbols[i].st_value;
            changed++;
        }
    SAME(&w, &before, sizeof w);
    return changed;
}

/* The number of calls before the last step: the last field is written, and then the symbol table. */
static unsigned calls_before_the_store;

static void look_for_the_last_field(void)
{
    const struct field *last = &fields[sizeof fields / sizeof *fields - 1];
    if (!holds(last, last->value))
        calls_before_the_store = asked_count;
}

static void all_values_are_written(void)
{
    unsigned char zeros[FLAT] = {0};
    reset();
    ACCEPTS(apply());
    EQ(sections, 2);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        CHECK(holds(&fields[i], fields[i].value));
    EQ(changed_symbols(), COUNT);
    /* Lookups for each relocation; with a writer also two reads and a write, and one sync. */
    EQ(asked_count, given_writer == NULL ? 3 * 2 * ENTRIES : (4 + 3) * 2 * ENTRIES + 1);
    ACCEPTS(clear());
    SAME(flat, zeros, FLAT);
    ACCEPTS(apply());
    EQ(changed_symbols(), 0);
}

/* A resolver that fails, or does not know a symbol any more, in each of its calls. */
static void a_resolver_that_fails_changes_nothing(void)
{
    static const int32_t answers[] = {-7, RELAKIT_NOT_FOUND, 2};
    unsigned char zeros[FLAT] = {0};
    unsigned calls, partly = 0;
    reset();
    meanwhile = look_for_the_last_field;
    ACCEPTS(apply());
    calls = asked_count;
    CHECK(calls_before_the_store > COUNT && calls - calls_before_the_store > COUNT);
    for (unsigned k = 0; k < calls; k++)
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
            relakit_status status;
            unsigned changed;
            reset();
            fail_at = k;
            fail_number = answers[i];
            status = apply();
            if (asked[k].kind != 'c')
                continue; /* level2_klp.c */
            if (answers[i] == RELAKIT_NOT_FOUND)
                CHECK(status == RELAKIT_ERR_KLP_NOT_FOUND || status == RELAKIT_ERR_UNKNOWN_SYMBOL);
            else
                EQ(status, RELAKIT_ERR_RESOLVER);
            if (answers[i] != RELAKIT_NOT_FOUND)
                EQ(fault.value, (uint64_t)(int64_t)answers[i]);
            EQ(fault.has & (RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL),
               RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL);
            EQ(sections, 0xa5a5a5a5);
            SAME(flat, zeros, FLAT);
            changed = changed_symbols();
            if (k < calls_before_the_store)
                EQ(changed, 0);
            partly += changed != 0;
            ACCEPTS(apply()); /* it can be tried again */
        }
    CHECK(partly != 0); /* in the last step symbols can have changed already */
}

/* From its k-th call on the resolver gives every symbol another value. */
static unsigned moves_at;

static void move_symbols(void)
{
    if (asked_count == moves_at + 1)
        for (int i = 0; i < COUNT; i++)
            known[i].values[0] += 0x10;
}

static void a_resolver_that_contradicts_itself_is_noticed_by_clear(void)
{
    unsigned char zeros[FLAT] = {0};
    unsigned calls, noticed = 0;
    reset();
    ACCEPTS(apply());
    calls = asked_count;
    for (unsigned k = 0; k < calls; k++) {
        relakit_status status;
        reset();
        moves_at = k;
        meanwhile = move_symbols;
        ACCEPTS(apply());
        meanwhile = NULL;
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            CHECK(holds(&fields[i], fields[i].value) || holds(&fields[i], fields[i].value + 0x10));
        for (uint32_t i = 1; i < SYMBOLS; i++)
            CHECK(w.symbols[i].st_value == 0x1000 * i || w.symbols[i].st_value == 0x1000 * i + 0x10);
        status = clear();
        if (status == RELAKIT_OK)
            SAME(flat, zeros, FLAT);
        else
            EQ(status, RELAKIT_ERR_TARGET_MISMATCH);
        noticed += status != RELAKIT_OK;
    }
    CHECK(noticed != 0);
}

int main(void)
{
    for (int i = 0; i < 2; i++) {
        given_writer = i ? &hooked : NULL;
        all_values_are_written();
        a_resolver_that_fails_changes_nothing();
        a_resolver_that_contradicts_itself_is_noticed_by_clear();
    }
    return test_end("level2_klp_symbols");
}
