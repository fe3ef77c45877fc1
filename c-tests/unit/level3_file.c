/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: files that are no modules, files that are cut or changed anywhere, and what Linux versions differ in. */

#include "module.h"

static void every_prefix_is_refused(void)
{
    unsigned char *whole;
    size_t size;
    file_build();
    whole = (unsigned char *)copy_of(file, file_size);
    size = file_size;
    for (file_size = 0; file_size < size; file_size++) {
        unsigned char untouched[RELAKIT_MODULE_SIZE];
        relakit_status status;
        free(file);
        file = (unsigned char *)copy_of(whole, file_size);
        free(state);
        state = heap(relakit_module_size());
        memset(state, 0xa5, relakit_module_size());
        memset(untouched, 0xa5, sizeof untouched);
        module = NULL;
        status = relakit_module_init(state, relakit_module_size(), file, file_size, NULL, &module, fresh());
        EQ(status, file_size == 0  ? RELAKIT_ERR_EMPTY_FILE
                   : file_size < 4 ? RELAKIT_ERR_NOT_ELF
                                   : RELAKIT_ERR_TRUNCATED);
        if (status == RELAKIT_ERR_TRUNCATED)
            EQ(fault.limit, file_size);
        EQ(fault.status, status);
        CHECK(module == NULL);
        SAME(state, untouched, relakit_module_size());
    }
    free(whole);
}

/* A whole life, in which every call may fail but none may go astray. */
static void live_somehow(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    struct relakit_section_memory there[64];
    struct relakit_memory where = {sizeof where, 0, there, 64, NULL};
    uint64_t room[64];
    size_t need = 0;
    unsigned char *keeps = NULL;
    relakit_status status = module_start();
    CHECK(status == 0 || (status >= -15 && status <= -1) || status == RELAKIT_ERR_RELOCATIONS_TOO_LARGE ||
          status == RELAKIT_ERR_SHARED_BYTES);
    if (status < 0)
        return;
    ACCEPTS(relakit_module_describe(module, &info, fresh()));
    if (info.section_count > 64 || info.symbol_count > 64)
        return;
    memset(there, 0, sizeof there);
    for (uint32_t i = 0; i < info.section_count; i++) {
        struct relakit_section section = {.struct_size = sizeof section};
        ACCEPTS(relakit_module_section(module, i, &section, fresh()));
        CHECK(strlen(section.name) == section.name_len && relakit_class_name(section.section_class) != NULL);
        if (section.content != NULL)
            CHECK((const unsigned char *)section.content + section.size <= file + file_size);
        if (!(section.sh_flags & SHF_ALLOC) || section.size > 4096)
            continue;
        there[i].flags = RELAKIT_MEMORY_PRESENT;
        there[i].bytes = heap(section.size);
        memset(there[i].bytes, 0, section.size);
        there[i].size = section.size;
        there[i].address = BASE + FLAT_AT((uint64_t)i);
    }
    for (uint32_t i = 0; i < info.symbol_count; i++) {
        struct relakit_symbol symbol = {.struct_size = sizeof symbol};
        if (relakit_module_symbol(module, i, &symbol, fresh()) == RELAKIT_OK)
            CHECK(strlen(symbol.name) == symbol.name_len);
        else
            EQ(fault.status, RELAKIT_ERR_BAD_SYMBOL_NAME);
    }
    if (relakit_module_assign(module, &where, fresh()) == RELAKIT_OK &&
        relakit_module_fill(module, &where, fresh()) == RELAKIT_OK &&
        relakit_module_early(module, &where, room, 64, &names, fresh()) == RELAKIT_OK) {
        uint32_t count;
        hooks_reset();
        ACCEPTS(relakit_module_retained_size(module, room, 64, &need, fresh()));
        keeps = (unsigned char *)heap(need);
        ACCEPTS(relakit_module_retain(module, &where, room, 64, keeps, need, fresh()));
        for (int again = 0; again < 2; again++) {
            status = relakit_module_coming(module, "obj", &where, &names, &count, fresh());
            CHECK(status <= 0 && status > -67);
            if (status == RELAKIT_OK)
                ACCEPTS(relakit_module_going(module, "obj", &where, &count, fresh()));
        }
    } else
        CHECK(fault.status < 0 && fault.status > -67);
    hooks_reset();
    free(keeps);
    for (int i = 0; i < 64; i++)
        free(there[i].bytes);
}

static void no_changed_byte_leads_astray(void)
{
    static const unsigned char changes[] = {0x01, 0x80, 0xff};
    size_t size;
    file_build();
    size = file_size;
    memset(&module_options, 0, sizeof module_options);
    module_options.struct_size = sizeof module_options;
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            file_build();
            file[at] = (unsigned char)(file[at] ^ changes[i]);
            hooks_reset();
            live_somehow();
        }
}

/* What is wrong, edited into the file; the fault that is told; and its section, if it has one. */
static void truncated(void) { file_header(DATA_)->sh_offset = file_size - 63; }
static void wraps(void) { file_header(DATA_)->sh_offset = UINT64_MAX - 7; }
static void magic(void) { file[3] = 'G'; }
static void executable(void) { ((Elf64_Ehdr *)(void *)file)->e_type = ET_EXEC; }
static void arm(void) { ((Elf64_Ehdr *)(void *)file)->e_machine = EM_AARCH64; }
static void small_headers(void) { ((Elf64_Ehdr *)(void *)file)->e_shentsize = 40; }
static void zero_used(void) { memset((unsigned char *)file_header(0) + 4, 1, 1); }
static void no_sections(void) { ((Elf64_Ehdr *)(void *)file)->e_shnum = ((Elf64_Ehdr *)(void *)file)->e_shstrndx = 0; }
static void sections_unknown(void) { ((Elf64_Ehdr *)(void *)file)->e_shnum = 0; }
static void no_names(void) { ((Elf64_Ehdr *)(void *)file)->e_shstrndx = 0; }
static void names_elsewhere(void) { ((Elf64_Ehdr *)(void *)file)->e_shstrndx = SECTIONS; }
static void name_outside(void) { file_header(DATA_)->sh_name = 192; }
static void no_symbols(void) { file_header(SYMTAB)->sh_type = SHT_PROGBITS; }
static void two_symbol_tables(void) { file_header(COMMENT_)->sh_type = SHT_SYMTAB; }
static void no_strings(void) { file_header(SYMTAB)->sh_link = TEXT_; }
static void strings_elsewhere(void) { file_header(SYMTAB)->sh_link = SECTIONS; }
static void wrong_class(void) { file[EI_CLASS] = ELFCLASS32; }
static void strings_without_end(void) { ((char *)file_section(STRTAB))[127] = 'x'; }
static void symbol_name_outside(void) { ((Elf64_Sym *)file_section(SYMTAB))[EXP_A].st_name = 128; }

static const struct {
    const char *what;
    void (*edit)(void);
    uint32_t profile;
    relakit_status status;
    uint64_t value, limit;
    int section;
} wrong_files[] = {
    {"a section behind the end", truncated, 0, RELAKIT_ERR_TRUNCATED, 64, 0, DATA_},
    {"a section that wraps", wraps, 0, RELAKIT_ERR_TRUNCATED, 64, 0, DATA_},
    {"another magic", magic, 0, RELAKIT_ERR_NOT_ELF, 0x474c457f, 0, -1},
    {"a program", executable, 0, RELAKIT_ERR_NOT_RELOCATABLE, ET_EXEC, ET_REL, -1},
    {"another machine", arm, 0, RELAKIT_ERR_NOT_X86_64, EM_AARCH64, EM_X86_64, -1},
    {"headers of another size", small_headers, 0, RELAKIT_ERR_BAD_HEADER_SIZE, 40, 64, -1},
    {"section 0 is used", zero_used, 0, RELAKIT_ERR_BAD_SECTION_ZERO, 1, 0, 0},
    {"no sections", no_sections, 0, RELAKIT_ERR_NO_SECTIONS, 0, 0, -1},
    {"no sections, and names in one", sections_unknown, 0, RELAKIT_ERR_BAD_NAME_TABLE, SHSTRTAB, 0, -2},
    {"no name table", no_names, 0, RELAKIT_ERR_BAD_NAME_TABLE, 0, SECTIONS, -2},
    {"a name table elsewhere", names_elsewhere, 0, RELAKIT_ERR_BAD_NAME_TABLE, SECTIONS, SECTIONS, -2},
    {"a name outside", name_outside, 0, RELAKIT_ERR_BAD_SECTION_NAME, 192, 192, DATA_},
    {"no symbols", no_symbols, 0, RELAKIT_ERR_NO_SYMBOL_TABLE, 0, 0, -1},
    {"two symbol tables", two_symbol_tables, 0, RELAKIT_ERR_MANY_SYMBOL_TABLES, COMMENT_, 0, SYMTAB},
    {"strings elsewhere", strings_elsewhere, 0, RELAKIT_ERR_BAD_STRING_TABLE, SECTIONS, SECTIONS, SYMTAB},
    {"no strings, 6.12", no_strings, RELAKIT_LINUX(6, 12), RELAKIT_OK, 0, 0, -1},
    {"no strings, 6.13", no_strings, RELAKIT_LINUX(6, 13), RELAKIT_ERR_BAD_STRING_TABLE, TEXT_, SECTIONS, SYMTAB},
    {"class, as Linux", wrong_class, 0, RELAKIT_OK, 0, 0, -1},
    {"class, by the gABI", wrong_class, RELAKIT_PROFILE_ELF, RELAKIT_ERR_BAD_IDENT, ELFCLASS32, ELFCLASS64, -1},
    {"strings, 6.12", strings_without_end, RELAKIT_LINUX(6, 12), RELAKIT_OK, 0, 0, -1},
    {"strings, 6.13", strings_without_end, RELAKIT_LINUX(6, 13), RELAKIT_ERR_BAD_STRING_TABLE, STRTAB, SECTIONS, SYMTAB},
    {"symbol name, 6.12", symbol_name_outside, RELAKIT_LINUX(6, 12), RELAKIT_OK, 0, 0, -1},
    {"symbol name, 6.13", symbol_name_outside, RELAKIT_LINUX(6, 13), RELAKIT_ERR_BAD_SYMBOL_NAME, 128, 128, SYMTAB},
};

static void what_is_wrong_with_a_file_is_told(void)
{
    for (size_t i = 0; i < sizeof wrong_files / sizeof *wrong_files; i++) {
        module_reset(RELAKIT_STAGE_PARSED, 0, wrong_files[i].profile);
        file_build();
        wrong_files[i].edit();
        if (wrong_files[i].status == RELAKIT_OK) {
            ACCEPTS(module_start());
            continue;
        }
        if (!REFUSES(wrong_files[i].status, wrong_files[i].value, module_start()))
            printf("    %s\n", wrong_files[i].what);
        if (wrong_files[i].status != RELAKIT_ERR_TRUNCATED)
            EQ(fault.limit, wrong_files[i].limit);
        else
            EQ(fault.limit, file_size);
        if (wrong_files[i].section >= 0)
            EQ(fault.section, wrong_files[i].section);
        CHECK(module == NULL);
    }
    /* A name outside stops only what asks for it. */
    struct relakit_symbol symbol = {.struct_size = sizeof symbol};
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    symbol_name_outside();
    ACCEPTS(module_start());
    REFUSES(RELAKIT_ERR_BAD_SYMBOL_NAME, 128, relakit_module_symbol(module, EXP_A, &symbol, fresh()));
    EQ(fault.symbol, EXP_A);
    ACCEPTS(relakit_module_symbol(module, EXP_B, &symbol, fresh()));
}

static void before_6_3_nothing_is_cleared(void)
{
    static const uint32_t versions[] = {RELAKIT_LINUX(5, 8), RELAKIT_LINUX(6, 1), RELAKIT_LINUX(6, 2), RELAKIT_LINUX(6, 3),
                                        RELAKIT_LINUX(6, 12), RELAKIT_LINUX(7, 3), RELAKIT_PROFILE_ELF};
    for (size_t i = 0; i < 2 * sizeof versions / sizeof *versions; i++) {
        uint32_t version = versions[i / 2], count = 0;
        int on_writer = i & 1, clears = version >= RELAKIT_LINUX(6, 3) || version == RELAKIT_PROFILE_ELF;
        unsigned char loaded[FLAT], live[FLAT];
        module_reset(RELAKIT_STAGE_LATE, on_writer, version);
        memcpy(loaded, flat, FLAT);
        ACCEPTS(relakit_module_coming(module, "obj", &memory, &names, &count, fresh()));
        EQ(count, 2);
        memcpy(live, flat, FLAT);
        CHECK(memcmp(loaded, live, FLAT) != 0);
        hooks_reset();
        ACCEPTS(relakit_module_going(module, "obj", &memory, &count, fresh()));
        EQ(count, 2);
        SAME(flat, clears ? loaded : live, FLAT);
        if (!clears)
            EQ(asked_count, 0);
        if (clears)
            ACCEPTS(relakit_module_coming(module, "obj", &memory, &names, &count, fresh()));
        else
            REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1111, relakit_module_coming(module, "obj", &memory, &names, &count, fresh()));
        SAME(flat, live, FLAT);
    }
}

static void the_per_cpu_template_by_version(void)
{
    static const struct {
        uint32_t profile, ordinary;
        relakit_status late;
        uint32_t index;
    } rows[] = {
        {RELAKIT_LINUX(5, 8), RELAKIT_CLASS_SKIPPED, RELAKIT_ERR_TARGET_NOT_ALLOCATED, PERCPU},
        {RELAKIT_LINUX(6, 15), RELAKIT_CLASS_SKIPPED, RELAKIT_ERR_TARGET_NOT_ALLOCATED, PERCPU},
        {RELAKIT_LINUX(6, 16), RELAKIT_CLASS_ORDINARY, RELAKIT_ERR_TARGET_PER_CPU, PERCPU},
        {RELAKIT_PROFILE_ELF, RELAKIT_CLASS_ORDINARY, RELAKIT_OK, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relakit_section section = {.struct_size = sizeof section};
        struct relakit_module_info info = {.struct_size = sizeof info};
        module_reset(RELAKIT_STAGE_PARSED, 0, rows[i].profile);
        file_build();
        file_header(RELA_)->sh_info = PERCPU;
        file_header(TWO_)->sh_info = PERCPU;
        ACCEPTS(module_start());
        ACCEPTS(relakit_module_describe(module, &info, fresh()));
        EQ(info.per_cpu_section, rows[i].index);
        ACCEPTS(relakit_module_section(module, RELA_, &section, fresh()));
        EQ(section.section_class, rows[i].ordinary);
        ACCEPTS(relakit_module_section(module, TWO_, &section, fresh()));
        EQ(section.status, rows[i].late);
    }
}

static void pc32_is_checked_when_asked(void)
{
    for (uint32_t flags = 0; flags <= RELAKIT_OPT_CHECK_PC32; flags++) {
        module_reset(RELAKIT_STAGE_PARSED, 0, 0);
        file_build();
        ((Elf64_Rela *)file_section(RELA_))[1] = rela(8, ABS_, R_X86_64_PLT32, 0);
        module_options.flags = flags;
        /* 0x1234 is further than 2 GiB away from an address that is not sign-extended. */
        ACCEPTS(module_start());
        places[TEXT_].address = UINT64_C(0x123400000000);
        ACCEPTS(relakit_module_assign(module, &memory, fresh()));
        ACCEPTS(relakit_module_fill(module, &memory, fresh()));
        if (flags == 0)
            ACCEPTS(relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()));
        else
            REFUSES(RELAKIT_ERR_OVERFLOW, UINT64_C(0x1234) - UINT64_C(0x123400000008),
                    relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()));
    }
}

int main(void)
{
    every_prefix_is_refused();
    no_changed_byte_leads_astray();
    what_is_wrong_with_a_file_is_told();
    before_6_3_nothing_is_cleared();
    the_per_cpu_template_by_version();
    pc32_is_checked_when_asked();
    return module_test_end("level3_file");
}
