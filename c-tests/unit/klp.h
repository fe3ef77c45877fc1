/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A module with livepatch sections as a Linux-shaped loader holds it, and what it takes to apply them. */
#ifndef KLP_H
#define KLP_H

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
    struct relakit_sechdrs image;
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

static inline void header(int index, uint32_t type, uint64_t flags, const void *at, uint64_t size, uint32_t info)
{
    Elf64_Shdr *to = &w.headers[index];
    to->sh_type = type;
    to->sh_flags = flags;
    to->sh_addr = (uint64_t)(uintptr_t)at;
    to->sh_size = size;
    to->sh_info = info;
    to->sh_link = type == SHT_RELA ? SYMTAB : type == SHT_SYMTAB ? STRTAB : 0;
}

static inline void place(int on_writer)
{
    behind_writer = on_writer;
    w.headers[TEXT_].sh_addr = on_writer ? BASE : (uint64_t)(uintptr_t)flat;
    w.headers[DATA_].sh_addr = w.headers[TEXT_].sh_addr + DATA_AT;
}

static inline void reset(void)
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
static inline relakit_status untouched(relakit_status status)
{
    if (status < 0) {
        memcpy(before.values, w.values, sizeof w.values);
        SAME(&w, &before, sizeof w);
        EQ(sections, 0xa5a5a5a5);
    }
    return status;
}

static inline relakit_status apply(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return untouched(relakit_klp_apply(&w.image, object, &names, behind_writer ? &hooked : NULL, &options, &sections,
                                       fresh()));
}

static inline relakit_status clear(void)
{
    before = w;
    sections = 0xa5a5a5a5;
    return untouched(relakit_klp_clear(&w.image, object, behind_writer ? &hooked : NULL, &options, &sections, fresh()));
}

#endif /* KLP_H */
