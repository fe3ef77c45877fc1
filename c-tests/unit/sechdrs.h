/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A module with livepatch sections as a loader like Linux's holds it: section headers whose sh_addr are addresses, and a
 * symbol table. The buffers of the caller have guards between them, so that a target can lie beside a buffer.
 */
#ifndef SECHDRS_H
#define SECHDRS_H

#include "callbacks.h"

#define LIVEPATCH ((uint64_t)RELAKIT_SHF_RELA_LIVEPATCH)
#define SHN_KLP RELAKIT_SHN_LIVEPATCH

enum { NONE, TEXT_, DATA_, RELA_, LATE1, LATE2, EARLY, OTHER, SYMTAB, STRTAB, SHSTRTAB, SECTIONS };
enum { NULL_, F, G, V, PLAIN, NEAR, SYMBOLS };
#define ROOM 64
#define DATA_AT 512

static const char *const section_names[SECTIONS] = {"", ".text", ".data", ".rela.text", ".klp.rela.obj..text",
    ".klp.rela.obj..data", ".klp.rela.vmlinux..text", ".klp.rela.other..data", ".symtab", ".strtab", ".shstrtab"};
static const char *const symbol_names[SYMBOLS] = {"", ".klp.sym.obj.f,2", ".klp.sym.obj.g,0", ".klp.sym.vmlinux.v,0",
    "plain", "near"};

static struct {
    unsigned char guard0[64];
    Elf64_Shdr headers[SECTIONS];
    unsigned char guard1[64];
    Elf64_Rela ordinary[2];
    unsigned char guard2[64];
    Elf64_Rela late1[2], late2[2], early[1], other[1];
    unsigned char guard3[64];
    Elf64_Sym symbols[SYMBOLS];
    unsigned char guard4[64];
    char strings[256];
    unsigned char guard5[64];
    char names[256];
    unsigned char guard6[64];
    uint64_t values[SYMBOLS]; /* for level 1 */
    unsigned char guard7[64];
    struct relakit_sechdrs image;
} w, before;
static uint32_t sections;
static const char *object;
static const struct relakit_writer *given_writer; /* NULL: plain memory */
static const struct known everybody[] = {
    {"obj", "f", {0x1111, 0x2222, 0}}, {"obj", "g", {0x123456789abc, 0, 0}}, {"vmlinux", "v", {0x7777, 0, 0}},
};
/* The fields of .rela.text, and those of "obj" in the order in which they are applied. */
static const struct field ordinary_fields[] UNUSED = {{RELA_, 0, 40, 8, 0x4247}, {RELA_, 1, 52, 4, 0x1234 - 4 - 52}};
static const struct field obj_fields[] UNUSED = {{LATE1, 0, 0, 8, 0x2223}, {LATE1, 1, 8, 4, 0x2222},
                                          {LATE2, 0, DATA_AT, 8, 0x123456789abc}, {LATE2, 1, DATA_AT + 16, 4, 0x2220}};
#define OBJ_FIELDS (sizeof obj_fields / sizeof *obj_fields)

static inline uint64_t here(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static inline void header(int index, uint32_t type, uint64_t flags, const void *at, uint64_t size, uint32_t info)
{
    Elf64_Shdr *to = &w.headers[index];
    to->sh_type = type;
    to->sh_flags = flags;
    to->sh_addr = here(at);
    to->sh_size = size;
    to->sh_info = info;
    to->sh_link = type == SHT_RELA ? SYMTAB : type == SHT_SYMTAB ? STRTAB : 0;
}

/* Puts .text and .data into plain memory, or behind `writer`. */
static inline void place(const struct relakit_writer *writer)
{
    given_writer = writer;
    w.headers[TEXT_].sh_addr = writer == NULL ? here(flat) : BASE;
    w.headers[DATA_].sh_addr = w.headers[TEXT_].sh_addr + DATA_AT;
    w.symbols[NEAR].st_value = w.headers[TEXT_].sh_addr + 0x1234;
}

static inline void reset(void)
{
    size_t at = 1;
    memset(&w, 0, sizeof w);
    memset(flat, 0, FLAT);
    memset(w.values, 0x99, sizeof w.values);
    header(TEXT_, SHT_PROGBITS, SHF_ALLOC, NULL, ROOM, 0);
    header(DATA_, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, NULL, ROOM, 0);
    header(RELA_, SHT_RELA, 0, w.ordinary, sizeof w.ordinary, TEXT_);
    header(LATE1, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.late1, sizeof w.late1, TEXT_);
    header(LATE2, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.late2, sizeof w.late2, DATA_);
    header(EARLY, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.early, sizeof w.early, TEXT_);
    header(OTHER, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.other, sizeof w.other, DATA_);
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
        w.symbols[i].st_shndx = i >= PLAIN ? TEXT_ : SHN_KLP;
        strcpy(w.strings + at, symbol_names[i]);
    }
    w.symbols[PLAIN].st_value = 0x4242;
    w.ordinary[0] = rela(40, PLAIN, R_X86_64_64, 5);
    w.ordinary[1] = rela(52, NEAR, R_X86_64_PC32, -4);
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
    w.image.shstrtab = w.names;
    w.image.shstrtab_size = sizeof w.names;
    w.image.strtab = w.strings;
    w.image.strtab_size = sizeof w.strings;
    known_names = everybody;
    known_count = sizeof everybody / sizeof *everybody;
    object = "obj";
    hooks_reset();
    place(NULL);
}

/* A call that fails changes nothing. */
static inline relakit_status unchanged(relakit_status status)
{
    if (status < 0) {
        SAME(&w, &before, sizeof w);
        EQ(sections, 0xa5a5a5a5);
    }
    return status;
}

/* Level 1 with the same buffers: the table of LATE2, and the values from one of both sources. */
typedef relakit_status pass(const void *, size_t, const struct relakit_symbols *, const struct relakit_target *,
                            const struct relakit_options *, struct relakit_error *);
static int from_symtab;

static inline relakit_status level1(pass *call)
{
    const struct relakit_symbols symbols = {from_symtab ? NULL : w.values, from_symtab ? w.symbols : NULL, SYMBOLS,
                                            NULL, NULL};
    const Elf64_Shdr *data = &w.headers[DATA_];
    const struct relakit_target target = {given_writer ? NULL : (void *)(uintptr_t)data->sh_addr, data->sh_size,
                                          data->sh_addr, given_writer};
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(call(w.late2, sizeof w.late2, &symbols, &target, NULL, fresh()));
}

static inline relakit_status apply(void) { return level1(relakit_apply); }
static inline relakit_status clear(void) { return level1(relakit_clear); }
static inline relakit_status check(void) { return level1(relakit_dry_run); }

/* The four functions of level 2. */
typedef relakit_status level2_call(void);

static inline relakit_status apply_section(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(relakit_apply_relocate_add(&w.image, RELA_, given_writer, NULL, fresh()));
}

static inline relakit_status clear_section(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(relakit_clear_relocate_add(&w.image, RELA_, given_writer, NULL, fresh()));
}

static inline relakit_status apply_object(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(relakit_klp_apply(&w.image, object, &names, given_writer, NULL, &sections, fresh()));
}

static inline relakit_status clear_object(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return unchanged(relakit_klp_clear(&w.image, object, given_writer, NULL, &sections, fresh()));
}

#endif /* SECHDRS_H */
