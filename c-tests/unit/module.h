/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A small module, built in memory by the gABI, and what it takes to load it. Section i lives i * 256 bytes into flat. */
#ifndef MODULE_H
#define MODULE_H

#include "callbacks.h"
#include "life.h"

#define LIVEPATCH ((uint64_t)RELAKIT_SHF_RELA_LIVEPATCH)
#define SHN_KLP RELAKIT_SHN_LIVEPATCH
#define PER_CPU_AT 0x18000

enum { NONE, TEXT_, DATA_, JUMP, BSS_, PERCPU, RELA_, KLP_EARLY, LATE1, LATE2, TWO_, COMMENT_, SYMTAB, STRTAB, SHSTRTAB,
       SECTIONS };
enum { NULL_, LOCAL, EXP_A, EXP_B, WEAK, V, F, G, PCPU, ABS_, H, SYMBOLS };
#define FLAT_AT(section) ((section) * 256)

static const struct part {
    const char *name;
    uint32_t type;
    uint64_t flags, size;
    uint32_t info, link;
} parts[SECTIONS] = {
    {"", SHT_NULL, 0, 0, 0, 0},
    {".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 80, 0, 0},
    {".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 64, 0, 0},
    {"__jump_table", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 16, 0, 0},
    {".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 32, 0, 0},
    {".data..percpu", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 16, 0, 0},
    {".rela.text", SHT_RELA, 0, 6 * 24, TEXT_, SYMTAB},
    {".klp.rela.vmlinux.__jump_table", SHT_RELA, SHF_ALLOC | LIVEPATCH, 24, JUMP, SYMTAB},
    {".klp.rela.obj..text", SHT_RELA, SHF_ALLOC | LIVEPATCH, 2 * 24, TEXT_, SYMTAB},
    {".klp.rela.obj..data", SHT_RELA, SHF_ALLOC | LIVEPATCH, 2 * 24, DATA_, SYMTAB},
    {".klp.rela.two..data", SHT_RELA, SHF_ALLOC | LIVEPATCH, 24, DATA_, SYMTAB},
    {".comment", SHT_PROGBITS, 0, 8, 0, 0},
    {".symtab", SHT_SYMTAB, 0, SYMBOLS * 24, 2, STRTAB},
    {".strtab", SHT_STRTAB, 0, 128, 0, 0},
    {".shstrtab", SHT_STRTAB, 0, 192, 0, 0},
};

static const struct {
    const char *name;
    unsigned char info;
    uint16_t shndx;
    uint64_t value;
} symbol_rows[SYMBOLS] = {
    {"", 0, 0, 0},
    {"local", STT_OBJECT, DATA_, 8},
    {"exp_a", STB_GLOBAL << 4, SHN_UNDEF, 0},
    {"exp_b", STB_GLOBAL << 4, SHN_UNDEF, 0},
    {"weak_c", STB_WEAK << 4, SHN_UNDEF, 0},
    {".klp.sym.vmlinux.v,0", STB_GLOBAL << 4, SHN_KLP, 0},
    {".klp.sym.obj.f,1", STB_GLOBAL << 4, SHN_KLP, 0},
    {".klp.sym.obj.g,0", STB_GLOBAL << 4, SHN_KLP, 0},
    {"pcpu", STB_GLOBAL << 4 | STT_OBJECT, PERCPU, 4},
    {"abs", STB_GLOBAL << 4, SHN_ABS, 0x1234},
    {".klp.sym.two.h,0", STB_GLOBAL << 4, SHN_KLP, 0},
};

static const struct known everybody[] = {
    {"", "exp_a", {0xaaaa0000, 0, 0}},  {"", "exp_b", {0xffffffff81000000, 0, 0}}, {"vmlinux", "v", {0x7777, 0, 0}},
    {"obj", "f", {0x1111, 0x2222, 0}},  {"obj", "g", {0x123456789abc, 0, 0}},      {"two", "h", {0x5555, 0, 0}},
};

/* What each pass puts where. */
static const struct field early_fields[] = {
    {RELA_, 0, FLAT_AT(TEXT_) + 0, 8, 0xaaaa0000}, {RELA_, 1, FLAT_AT(TEXT_) + 8, 4, 252},
    {RELA_, 2, FLAT_AT(TEXT_) + 16, 8, 0xffffffff81000000}, {RELA_, 3, FLAT_AT(TEXT_) + 24, 8, 5},
    {RELA_, 4, FLAT_AT(TEXT_) + 32, 8, PER_CPU_AT + 4}, {RELA_, 5, FLAT_AT(TEXT_) + 40, 4, 0x1234},
    {KLP_EARLY, 0, FLAT_AT(JUMP) + 8, 8, 0x7777},
};
#define EARLY_FIELDS (sizeof early_fields / sizeof *early_fields)
static const struct field obj_fields[] = {
    {LATE1, 0, FLAT_AT(TEXT_) + 48, 8, 0x1111}, {LATE1, 1, FLAT_AT(TEXT_) + 56, 4, 0x110f},
    {LATE2, 0, FLAT_AT(DATA_) + 16, 8, 0x123456789abc}, {LATE2, 1, FLAT_AT(DATA_) + 24, 8, 0x1112},
};
#define OBJ_FIELDS (sizeof obj_fields / sizeof *obj_fields)

/* The file: as many bytes as it has, and not one more. */
static unsigned char *file;
static size_t file_size;
static uint64_t values[SYMBOLS];

static inline Elf64_Shdr *file_header(uint32_t index)
{
    return (Elf64_Shdr *)(void *)(file + ((Elf64_Ehdr *)(void *)file)->e_shoff) + index;
}

static inline void *file_section(uint32_t index)
{
    return file + file_header(index)->sh_offset;
}

static inline void file_build(void)
{
    Elf64_Rela *to;
    size_t at = sizeof(Elf64_Ehdr), name = 1;
    free(file);
    file_size = sizeof(Elf64_Ehdr);
    for (int i = 0; i < SECTIONS; i++)
        file_size += parts[i].type == SHT_NOBITS ? 0 : (parts[i].size + 7) / 8 * 8;
    file_size += SECTIONS * sizeof(Elf64_Shdr);
    file = (unsigned char *)heap(file_size);
    memset(file, 0, file_size);
    put_elf_header(file, file_size - SECTIONS * sizeof(Elf64_Shdr), SECTIONS, SHSTRTAB);
    for (uint32_t i = 1; i < SECTIONS; i++) {
        Elf64_Shdr *header = file_header(i);
        header->sh_type = parts[i].type;
        header->sh_flags = parts[i].flags;
        header->sh_size = parts[i].size;
        header->sh_info = parts[i].info;
        header->sh_link = parts[i].link;
        header->sh_addralign = 8;
        header->sh_offset = at;
        at += parts[i].type == SHT_NOBITS ? 0 : (parts[i].size + 7) / 8 * 8;
    }
    for (uint32_t i = 1; i < SECTIONS; name += strlen(parts[i++].name) + 1) {
        file_header(i)->sh_name = (uint32_t)name;
        strcpy((char *)file_section(SHSTRTAB) + name, parts[i].name);
    }
    name = 1;
    for (int i = 1; i < SYMBOLS; name += strlen(symbol_rows[i++].name) + 1) {
        Elf64_Sym *symbol = (Elf64_Sym *)file_section(SYMTAB) + i;
        symbol->st_name = (uint32_t)name;
        symbol->st_info = symbol_rows[i].info;
        symbol->st_shndx = symbol_rows[i].shndx;
        symbol->st_value = symbol_rows[i].value;
        symbol->st_size = 4;
        strcpy((char *)file_section(STRTAB) + name, symbol_rows[i].name);
    }
    to = (Elf64_Rela *)file_section(RELA_);
    to[0] = rela(0, EXP_A, R_X86_64_64, 0);
    to[1] = rela(8, LOCAL, R_X86_64_PC32, -4);
    to[2] = rela(16, EXP_B, R_X86_64_64, 0);
    to[3] = rela(24, WEAK, R_X86_64_64, 5);
    to[4] = rela(32, PCPU, R_X86_64_64, 0);
    to[5] = rela(40, ABS_, R_X86_64_32, 0);
    *(Elf64_Rela *)file_section(KLP_EARLY) = rela(8, V, R_X86_64_64, 0);
    to = (Elf64_Rela *)file_section(LATE1);
    to[0] = rela(48, F, R_X86_64_64, 0);
    to[1] = rela(56, F, R_X86_64_32S, -2);
    to = (Elf64_Rela *)file_section(LATE2);
    to[0] = rela(16, G, R_X86_64_64, 0);
    to[1] = rela(24, F, R_X86_64_64, 1);
    *(Elf64_Rela *)file_section(TWO_) = rela(32, H, R_X86_64_64, 0);
    memset((unsigned char *)file_section(TEXT_) + 64, 0x90, 16);
    memcpy(file_section(COMMENT_), "comment", 8);
    known_names = everybody;
    known_count = sizeof everybody / sizeof *everybody;
}

/* Where it goes: every section that is in memory, and the per-CPU template. */
static struct relakit_section_memory places[SECTIONS];

/* Without a base, no address changes. */
static inline relakit_status addresses(void)
{
    static const uint64_t bases[RELAKIT_GROUP_COUNT];
    return relakit_module_addresses(module, RELAKIT_MEMORIES_BY_GROUP, bases, places, SECTIONS, fresh());
}

static inline void places_reset(int on_writer)
{
    memset(places, 0, sizeof places);
    for (int i = TEXT_; i <= PERCPU; i++) {
        places[i].flags = on_writer ? RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER : RELAKIT_MEMORY_PRESENT;
        places[i].bytes = on_writer ? NULL : flat + FLAT_AT(i);
        places[i].size = parts[i].size;
        places[i].address = BASE + FLAT_AT((uint64_t)i);
    }
    places[PERCPU].flags |= RELAKIT_MEMORY_SYMBOLS_AT;
    places[PERCPU].symbols_at = PER_CPU_AT;
    memset(&memory, 0, sizeof memory);
    memory.struct_size = sizeof memory;
    memory.sections = places;
    memory.count = PERCPU + 1;
    memory.writer = on_writer ? &hooked : NULL;
}

static void *state;
static uint64_t scratch[SECTIONS]; /* there are more sections than symbols */
static uint64_t section_places[3 * SECTIONS];
static struct relakit_options module_options;

static inline relakit_status module_start(void)
{
    free(state);
    state = heap(relakit_module_size());
    module = NULL;
    given_values = values;
    given_scratch = scratch;
    given_resolver = &names;
    value_count = SYMBOLS;
    scratch_count = SECTIONS;
    special_at = JUMP;
    given_places = section_places;
    place_count = 3 * SECTIONS;
    running = flat;
    running_at = BASE;
    return relakit_module_init(state, relakit_module_size(), file, file_size, &module_options, &module, fresh());
}

/* The buffer for what is retained: exactly as large as it must be. */
static inline void kept_reset(void)
{
    ACCEPTS(relakit_module_retained_size(module, &kept_size, fresh()));
    free(kept);
    kept = heap(kept_size);
}

static inline relakit_status nobody_going(void) { return relakit_module_going(module, "nobody", &memory, NULL, fresh()); }

/* Every function that takes a module, and the stages in which it can be called: bits 1 to 5. */
static const struct {
    const char *name;
    relakit_status (*call)(void);
    unsigned stages;
} calls[] = {
    {"place", place, 0xe},
    {"fill", fill, 0xc},
    {"filled", filled, 0xc},
    {"early", early, 0x8},
    {"retained_size", retained_size, 0x10},
    {"keep", keep, 0x10},
    {"object", object, 0x20},
    {"coming", coming, 0x20},
    {"going", nobody_going, 0x20},
    {"describe", describe, 0x1e},
    {"section", section, 0x1e},
    {"symbol", symbol, 0x1e},
    {"find_symbol", find_symbol, 0x1e},
    {"layout", layout, 0x1e},
    {"addresses", addresses, 0x1e},
    {"special", special, 0x10},
    {"findings", findings, 0x1e},
    {"section_findings", section_findings, 0x1e},
    {"apply_late", apply_late, 0x10},
    {"is_applied", is_applied, 0x10},
    {"verify", verify, 0x10},
    {"patch_sites", find_sites, 0x10},
    {"allowed_patch", allowed_patch, 0x10},
};
#define CALLS (sizeof calls / sizeof *calls)

/* The file, memory, and a module of some stage. */
static inline void module_reset(relakit_stage stage, int on_writer, uint32_t profile)
{
    hooks_reset();
    file_build();
    memset(flat, 0xcc, FLAT);
    memset(values, 0, sizeof values);
    memset(&module_options, 0, sizeof module_options);
    module_options.struct_size = sizeof module_options;
    module_options.profile = profile ? profile : RELAKIT_LINUX(6, 12);
    ACCEPTS(module_start());
    places_reset(0);
    if (stage >= RELAKIT_STAGE_ASSIGNED) {
        ACCEPTS(place());
        if (stage >= RELAKIT_STAGE_FILLED)
            ACCEPTS(fill());
    }
    places_reset(on_writer);
    if (stage >= RELAKIT_STAGE_LOADED)
        ACCEPTS(early());
    if (stage >= RELAKIT_STAGE_LATE) {
        kept_reset();
        ACCEPTS(keep());
        /* The file is not needed any more. */
        memset(file, 0xee, file_size);
        free(file);
        file = NULL;
    }
    EQ(relakit_module_stage(module), stage);
    hooks_reset();
}

static inline int module_test_end(const char *name)
{
    free(file);
    free(state);
    free(kept);
    return test_end(name);
}

#endif /* MODULE_H */
