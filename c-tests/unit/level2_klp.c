/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 2: the livepatch sections of one object, early and late, as one transaction. */

#include "hooks.h"

#define LIVEPATCH ((uint64_t)RELAKIT_SHF_RELA_LIVEPATCH)
#define SHN_KLP RELAKIT_SHN_LIVEPATCH

enum { NONE, TEXT_, DATA_, LATE1, LATE2, EARLY, OTHER, RELA_, SYMTAB, STRTAB, SHSTRTAB, SECTIONS };
enum { NULL_, F, G, V, PLAIN, SYMBOLS };
#define ROOM 64
#define DATA_AT 512

static const char *const section_names[SECTIONS] = {"", ".text", ".data", ".klp.rela.obj..text", ".klp.rela.obj..data",
    ".klp.rela.vmlinux..text", ".klp.rela.other..data", ".rela.text", ".symtab", ".strtab", ".shstrtab"};
static const char *const symbol_names[SYMBOLS] = {"", ".klp.sym.obj.f,2", ".klp.sym.obj.g,0", ".klp.sym.vmlinux.v,0",
    "plain"};

static struct {
    Elf64_Shdr headers[SECTIONS];
    Elf64_Rela late1[2], late2[2], early[1], other[1];
    Elf64_Sym symbols[SYMBOLS];
    char strings[256], names[256];
    uint64_t values[SYMBOLS];
    struct relakit_image image;
} w, before;
static uint32_t sections;
static const char *object;
static struct relakit_options options;
static int behind_writer;
static const struct known everybody[] = {
    {"obj", "f", {0x1111, 0x2222, 0}}, {"obj", "g", {0x123456789abc, 0, 0}}, {"vmlinux", "v", {0x7777, 0, 0}},
};
/* The fields of "obj", in the order of its coming. */
static const struct field fields[] = {{LATE1, 0, 0, 8, 0x2223}, {LATE1, 1, 8, 4, 0x2222},
                                      {LATE2, 0, DATA_AT, 8, 0x123456789abc}, {LATE2, 1, DATA_AT + 16, 4, 0x2220}};
#define FIELDS (sizeof fields / sizeof *fields)

static void header(int index, uint32_t type, uint64_t flags, const void *at, uint64_t size, uint32_t info)
{
    Elf64_Shdr *to = &w.headers[index];
    to->sh_type = type;
    to->sh_flags = flags;
    to->sh_addr = (uint64_t)(uintptr_t)at;
    to->sh_size = size;
    to->sh_info = info;
    to->sh_link = type == SHT_RELA ? SYMTAB : type == SHT_SYMTAB ? STRTAB : 0;
}

static void place(int on_writer)
{
    behind_writer = on_writer;
    w.headers[TEXT_].sh_addr = on_writer ? BASE : (uint64_t)(uintptr_t)flat;
    w.headers[DATA_].sh_addr = w.headers[TEXT_].sh_addr + DATA_AT;
}

static void reset(void)
{
    size_t at = 1;
    memset(&w, 0, sizeof w);
    memset(flat, 0, FLAT);
    memset(w.values, 0x99, sizeof w.values);
    header(TEXT_, SHT_PROGBITS, SHF_ALLOC, NULL, ROOM, 0);
    header(DATA_, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, NULL, ROOM, 0);
    header(LATE1, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.late1, sizeof w.late1, TEXT_);
    header(LATE2, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.late2, sizeof w.late2, DATA_);
    header(EARLY, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.early, sizeof w.early, TEXT_);
    header(OTHER, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.other, sizeof w.other, DATA_);
    header(RELA_, SHT_RELA, 0, NULL, 24, TEXT_);
    header(SYMTAB, SHT_SYMTAB, SHF_ALLOC, w.symbols, sizeof w.symbols, 0);
    header(STRTAB, SHT_STRTAB, SHF_ALLOC, w.strings, sizeof w.strings, 0);
    header(SHSTRTAB, SHT_STRTAB, 0, w.names, sizeof w.names, 0);
    for (int i = 1; i < SECTIONS; at += strlen(section_names[i++]) + 1) {
        w.headers[i].sh_name = (uint32_t)at;
        strcpy(w.names + at, section_names[i]);
    }
    at = 1;
    for (int i = 1; i < SYMBOLS; at += strlen(symbol_names[i++]) + 1) {
        w.symbols[i].st_name = (uint32_t)at;
        w.symbols[i].st_shndx = i == PLAIN ? TEXT_ : SHN_KLP;
        strcpy(w.strings + at, symbol_names[i]);
    }
    w.symbols[PLAIN].st_value = 0x4242;
    w.late1[0] = rela(0, F, R_X86_64_64, 1);
    w.late1[1] = rela(8, F, R_X86_64_32, 0);
    w.late2[0] = rela(0, G, R_X86_64_64, 0);
    w.late2[1] = rela(16, F, R_X86_64_32, -2);
    w.early[0] = rela(32, V, R_X86_64_64, 0);
    w.other[0] = rela(32, G, R_X86_64_64, 0);
    w.image.struct_size = sizeof w.image;
    w.image.sechdrs = w.headers;
    w.image.section_count = SECTIONS;
    w.image.symindex = SYMTAB;
    w.image.symbol_count = SYMBOLS;
    w.image.shstrtab = w.names;
    w.image.shstrtab_size = sizeof w.names;
    w.image.strtab = w.strings;
    w.image.strtab_size = sizeof w.strings;
    w.image.values = w.values;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    known_names = everybody;
    known_count = sizeof everybody / sizeof *everybody;
    object = "obj";
    hooks_reset();
    place(0);
}

/* What fails changes nothing but the memory lent for values. */
static relakit_status untouched(relakit_status status)
{
    if (status < 0) {
        memcpy(before.values, w.values, sizeof w.values);
        SAME(&w, &before, sizeof w);
        EQ(sections, 0xa5a5a5a5);
    }
    return status;
}

static relakit_status apply(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return untouched(relakit_klp_apply(&w.image, object, &names, behind_writer ? &hooked : NULL, &options, &sections,
                                       fresh()));
}

static relakit_status clear(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return untouched(relakit_klp_clear(&w.image, object, behind_writer ? &hooked : NULL, &options, &sections, fresh()));
}

static void an_object_comes_and_goes(void)
{
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        unsigned char zeros[FLAT] = {0};
        reset();
        place(on_writer);
        ACCEPTS(apply());
        EQ(sections, 2);
        for (size_t i = 0; i < FIELDS; i++)
            CHECK(holds(&fields[i], fields[i].value));
        /* The values are in the symbol table, and those of nobody else. */
        EQ(w.symbols[F].st_value, 0x2222);
        EQ(w.symbols[G].st_value, 0x123456789abc);
        EQ(w.symbols[V].st_value, 0);
        EQ(w.symbols[PLAIN].st_value, 0x4242);
        EQ(w.symbols[F].st_shndx, SHN_KLP);
        REFUSES(RELAKIT_ERR_NON_ZERO, 0x2223, apply());
        ACCEPTS(clear());
        EQ(sections, 2);
        SAME(flat, zeros, FLAT);
        REFUSES(RELAKIT_ERR_MISMATCH, on_writer ? 0x123456789abc : 0x2220, clear());
        /* Behind a writer all fields are read from the first on; plain memory is cleared from the last on. */
        EQ(fault.section, LATE2);
        EQ(fault.entry, on_writer ? 0 : 1);
        ACCEPTS(apply());
    }
}

static void vmlinux_comes_early(void)
{
    reset();
    object = "vmlinux";
    ACCEPTS(apply());
    EQ(sections, 1);
    EQ(load(flat + 32, 8), 0x7777);
    EQ(w.symbols[V].st_value, 0x7777);
    ACCEPTS(clear());
    EQ(load(flat + 32, 8), 0);
    /* Targets that are not in memory are passed over, as by Linux. */
    w.headers[TEXT_].sh_flags = 0;
    ACCEPTS(apply());
    EQ(sections, 0);
    w.headers[EARLY].sh_info = SECTIONS;
    ACCEPTS(apply());
    EQ(sections, 0);
    /* The section itself need not stay. */
    reset();
    object = "vmlinux";
    w.headers[EARLY].sh_flags = LIVEPATCH;
    ACCEPTS(apply());
    EQ(sections, 1);
    /* A vmlinux section may use a module's symbol. */
    reset();
    object = "vmlinux";
    w.early[0] = rela(32, G, R_X86_64_64, 0);
    ACCEPTS(apply());
    EQ(load(flat + 32, 8), 0x123456789abc);
}

static void objects_that_have_nothing(void)
{
    static const char *const nobody[] = {"ob", "objx", "OBJ", "obj ", ".", "other2", "a-very-long-name-that-no-module-can-have-because-it-has-56b",
                                         ".klp.rela.obj"};
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        unsigned char zeros[FLAT] = {0};
        reset();
        object = nobody[i];
        ACCEPTS(apply());
        EQ(sections, 0);
        ACCEPTS(clear());
        EQ(sections, 0);
        SAME(flat, zeros, FLAT);
    }
    reset();
    object = "";
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, apply());
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, clear());
    object = NULL;
    REFUSES(RELAKIT_ERR_NULL, 2, apply());
    REFUSES(RELAKIT_ERR_NULL, 2, clear());
    /* The number of sections is for whoever wants it. */
    reset();
    EQ(relakit_klp_apply(&w.image, "obj", &names, NULL, NULL, NULL, NULL), RELAKIT_OK);
    EQ(relakit_klp_clear(&w.image, "obj", NULL, NULL, NULL, NULL), RELAKIT_OK);
}

static void two_sections_are_one_transaction(void)
{
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        unsigned char now[FLAT];
        reset();
        place(on_writer);
        flat[DATA_AT + 17] = 1;
        memcpy(now, flat, FLAT);
        REFUSES(RELAKIT_ERR_NON_ZERO, 0x2220, apply());
        EQ(fault.section, LATE2);
        EQ(fault.entry, 1);
        EQ(fault.symbol, F);
        EQ(fault.limit, 0x100);
        SAME(flat, now, FLAT);
        flat[DATA_AT + 17] = 0;
        ACCEPTS(apply());
        /* Clearing finds the first section changed after it has cleared the second. */
        flat[3] ^= 1;
        memcpy(now, flat, FLAT);
        REFUSES(RELAKIT_ERR_MISMATCH, 0x2223, clear());
        EQ(fault.section, LATE1);
        EQ(fault.entry, 0);
        EQ(fault.limit, 0x1002223);
        SAME(flat, now, FLAT);
    }
}

static void bad(relakit_status status, uint64_t value, uint32_t section, int entry)
{
    unsigned char zeros[FLAT] = {0};
    REFUSES(status, value, apply());
    EQ(fault.section, section);
    CHECK(fault.has & RELAKIT_HAS_SECTION);
    if (entry >= 0) {
        EQ(fault.entry, entry);
        CHECK(fault.has & RELAKIT_HAS_ENTRY);
        CHECK(fault.has & RELAKIT_HAS_SYMBOL);
    }
    SAME(flat, zeros, FLAT);
}

static void symbols_that_cannot_be_used(void)
{
    static const struct known none[] = {{"obj", "f", {1, 0, 0}}},
                              two[] = {{"obj", "f", {1, 2, 0}}, {"obj", "g", {1, 2, 0}}};
    reset();
    known_count = 0;
    bad(RELAKIT_ERR_KLP_NOT_FOUND, 2, LATE1, 0);
    reset();
    known_names = none;
    known_count = 1;
    bad(RELAKIT_ERR_KLP_POSITION, 2, LATE1, 0);
    reset();
    known_names = two;
    known_count = 2;
    bad(RELAKIT_ERR_KLP_AMBIGUOUS, 0, LATE2, 0);
    reset();
    names.candidate = NULL;
    bad(RELAKIT_ERR_KLP_NOT_FOUND, 2, LATE1, 0);
    names.candidate = hook_candidate;
    reset();
    w.late2[1] = rela(16, PLAIN, R_X86_64_32, 0);
    bad(RELAKIT_ERR_NOT_KLP_SYMBOL, TEXT_, LATE2, 1);
    reset();
    w.late2[1] = rela(16, V, R_X86_64_32, 0);
    bad(RELAKIT_ERR_VMLINUX_FROM_MODULE, 0, LATE2, 1);
    reset();
    w.late2[1] = rela(16, SYMBOLS, R_X86_64_32, 0);
    bad(RELAKIT_ERR_SYMBOL_INDEX, 0, LATE2, 1);
    reset();
    w.symbols[G].st_name = sizeof w.strings;
    bad(RELAKIT_ERR_BAD_SYMBOL_NAME, sizeof w.strings, LATE2, 0);
    reset();
    w.symbols[G].st_name++;
    bad(RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, 0, LATE2, 0);
    /* A name without an end. */
    reset();
    w.image.strtab_size = w.symbols[G].st_name + 5;
    bad(RELAKIT_ERR_BAD_SYMBOL_NAME, w.symbols[G].st_name, LATE2, 0);
    EQ(fault.limit, w.image.strtab_size);
}

static void sections_that_cannot_be_used(void)
{
    /* A malformed name stops every object. */
    reset();
    w.headers[OTHER].sh_name = w.headers[OTHER].sh_name + 1;
    bad(RELAKIT_ERR_BAD_KLP_SECTION_NAME, 0, OTHER, -1);
    reset();
    w.headers[OTHER].sh_name = sizeof w.names;
    bad(RELAKIT_ERR_BAD_SECTION_NAME, sizeof w.names, OTHER, -1);
    EQ(fault.limit, sizeof w.names);
    reset();
    w.headers[LATE2].sh_flags = LIVEPATCH;
    bad(RELAKIT_ERR_LATE_NOT_ALLOCATED, LIVEPATCH, LATE2, -1);
    reset();
    w.headers[DATA_].sh_flags = SHF_WRITE;
    bad(RELAKIT_ERR_TARGET_NOT_ALLOCATED, DATA_, LATE2, -1);
    EQ(fault.limit, SHF_WRITE);
    reset();
    w.headers[LATE2].sh_info = SECTIONS;
    bad(RELAKIT_ERR_TARGET_OUT_OF_RANGE, SECTIONS, LATE2, -1);
    reset();
    w.headers[LATE2].sh_info = STRTAB;
    bad(RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, STRTAB, LATE2, -1);
    reset();
    w.headers[LATE2].sh_type = SHT_REL;
    bad(RELAKIT_ERR_REL_SECTION, DATA_, LATE2, -1);
    reset();
    w.headers[LATE2].sh_type = SHT_NOBITS;
    bad(RELAKIT_ERR_NOT_RELOCATIONS, SHT_NOBITS, LATE2, -1);
    reset();
    w.headers[LATE2].sh_size -= 1;
    bad(RELAKIT_ERR_PARTIAL_ENTRY, 47, LATE2, -1);
    reset();
    w.headers[DATA_].sh_addr = 0;
    bad(RELAKIT_ERR_NOT_PLACED, ROOM, DATA_, -1);
    /* A section of another object may be as wrong as it likes, if its name is right. */
    reset();
    w.headers[OTHER].sh_info = SECTIONS;
    w.headers[OTHER].sh_addr = 3;
    w.headers[OTHER].sh_type = 0;
    ACCEPTS(apply());
    EQ(sections, 2);
}

static void targets_that_overlap_what_is_lent(void)
{
    void *const lent[] = {w.headers, w.names, w.strings, w.symbols, w.values, w.late2};
    for (size_t i = 0; i < sizeof lent / sizeof *lent; i++) {
        reset();
        w.headers[DATA_].sh_addr = (uint64_t)(uintptr_t)lent[i] + 8;
        w.headers[DATA_].sh_size = 24;
        bad(RELAKIT_ERR_TARGET_OVERLAPS, DATA_, LATE2, -1);
    }
}

static void relocations_that_overlap_what_is_written(void)
{
    reset();
    memset(w.symbols, 0, sizeof w.symbols);
    memset(w.values, 0, sizeof w.values);
    void *const written[] = {w.symbols, w.values};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        for (int hooked = 0; hooked < 2; hooked++) {
            reset();
            place(hooked);
            w.headers[LATE2].sh_addr = (uint64_t)(uintptr_t)written[i] + 8;
            bad(RELAKIT_ERR_NOT_PLACED, 48, LATE2, -1);
            w.headers[LATE2].sh_size = 0;
            ACCEPTS(apply());
        }
    }
}

static void each_call_fails_in_turn(void)
{
    reset();
    ACCEPTS(apply());
    ASKED("obj:f:2 obj:g:1 obj:g:2 obj:f:2");
    reset();
    place(1);
    ACCEPTS(apply());
    ASKED("obj:f:2 r0 r8 r0 w0 r8 w8 obj:g:1 obj:g:2 obj:f:2 r0 r16 r0 w0 r16 w16 s");
    hooks_reset();
    ACCEPTS(clear());
    ASKED("r0 r16 r16 w16 r0 w0 r0 r8 r8 w8 r0 w0 s");
}

static void behind(void)
{
    reset();
    place(1);
}
static void applied(void)
{
    behind();
    relakit_klp_apply(&w.image, object, &names, &hooked, &options, NULL, NULL);
    hooks_reset();
}

int main(void)
{
    an_object_comes_and_goes();
    vmlinux_comes_early();
    objects_that_have_nothing();
    two_sections_are_one_transaction();
    symbols_that_cannot_be_used();
    sections_that_cannot_be_used();
    targets_that_overlap_what_is_lent();
    relocations_that_overlap_what_is_written();
    each_call_fails_in_turn();
    fail_in_turn(apply, behind, fields, FIELDS, 1);
    fail_in_turn(clear, applied, fields, FIELDS, 0);
    reset();
    fail_in_turn(apply, reset, fields, FIELDS, 1);
    return test_end("level2_klp");
}
