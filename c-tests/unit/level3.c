/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: the whole life of a module, in plain memory and behind a writer. */

#include "module.h"

static void its_parts_are_described(void)
{
    struct relakit_module_info info = {sizeof info, 1, 1, 1, 1, 1};
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    CHECK(module == (void *)state);
    ACCEPTS(relakit_module_describe(module, &info, fresh()));
    EQ(info.section_count, SECTIONS);
    EQ(info.symbol_count, SYMBOLS);
    EQ(info.symbols_section, SYMTAB);
    EQ(info.per_cpu_section, PERCPU);
    EQ(info.reserved, 0);
    for (uint32_t i = 0; i < SECTIONS; i++) {
        static const uint32_t classes[SECTIONS] = {
            [RELA_] = RELAKIT_CLASS_ORDINARY, [KLP_EARLY] = RELAKIT_CLASS_KLP_EARLY, [LATE1] = RELAKIT_CLASS_KLP_LATE,
            [LATE2] = RELAKIT_CLASS_KLP_LATE, [TWO_] = RELAKIT_CLASS_KLP_LATE};
        struct relakit_section section;
        memset(&section, 0xa5, sizeof section);
        section.struct_size = sizeof section;
        ACCEPTS(relakit_module_section(module, i, &section, fresh()));
        EQ(section.section_class, classes[i]);
        EQ(section.sh_type, parts[i].type);
        EQ(section.sh_flags, parts[i].flags);
        EQ(section.sh_size, parts[i].size);
        EQ(section.sh_link, parts[i].link);
        EQ(section.sh_info, parts[i].info);
        EQ(section.sh_addralign, i == 0 ? 0 : 8);
        EQ(section.target, classes[i] == 0 ? 0 : parts[i].info);
        EQ(section.status, RELAKIT_OK);
        CHECK(section.reason != NULL && strlen(section.reason) > 3);
        NAME(section.name, section.name_len, parts[i].name);
        TEXT(section.name, parts[i].name);
        /* The per-CPU template is not in memory in this Linux. */
        EQ(section.flags, (parts[i].flags & SHF_ALLOC) && i != PERCPU ? RELAKIT_SECTION_IN_MEMORY : 0);
        if (classes[i] == RELAKIT_CLASS_KLP_LATE)
            NAME(section.object, section.object_len, i == TWO_ ? "two" : "obj");
        else
            CHECK(section.object == NULL && section.object_len == 0);
        if (i == 0 || parts[i].type == SHT_NOBITS)
            CHECK(section.content == NULL);
        else
            CHECK(section.content == file_section(i));
    }
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        struct relakit_symbol symbol;
        memset(&symbol, 0xa5, sizeof symbol);
        symbol.struct_size = sizeof symbol;
        ACCEPTS(relakit_module_symbol(module, i, &symbol, fresh()));
        TEXT(symbol.name, symbol_rows[i].name);
        NAME(symbol.name, symbol.name_len, symbol_rows[i].name);
        EQ(symbol.st_shndx, symbol_rows[i].shndx);
        EQ(symbol.st_info, symbol_rows[i].info);
        EQ(symbol.st_value, symbol_rows[i].value);
        EQ(symbol.st_size, i == 0 ? 0 : 4);
        EQ(symbol.index, i);
    }
}

static void symbols_are_found_by_name(void)
{
    static const char *const none[] = {"", "exp_a", "weak_c", ".klp.sym.obj.f,1", "loca", "locals", ".text"};
    static const uint32_t defined[] = {LOCAL, PCPU, ABS_};
    char name[4098];
    struct relakit_symbol found, same;
    module_reset(RELAKIT_STAGE_LOADED, 0, 0);
    for (size_t i = 0; i < sizeof defined / sizeof *defined; i++) {
        memset(&found, 0xa5, sizeof found);
        same.struct_size = found.struct_size = sizeof found;
        ACCEPTS(relakit_module_find_symbol(module, symbol_rows[defined[i]].name, &found, fresh()));
        EQ(found.index, defined[i]);
        ACCEPTS(relakit_module_symbol(module, defined[i], &same, fresh()));
        SAME(&found, &same, sizeof found);
    }
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_find_symbol(module, none[i], &found, fresh()));
    ANSWERS(RELAKIT_NOT_FOUND, relakit_module_find_symbol(module, name, &found, fresh()));
    SAME(&found, &same, sizeof found);
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_find_symbol(module, NULL, &found, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_find_symbol(module, "local", NULL, fresh()));
}

/* core/tests/module/sections.rs has every reason. */
static void malformed_sections_say_what_is_wrong(void)
{
    static const struct {
        uint32_t section, flags, section_class;
        relakit_status status;
    } rows[] = {
        {LATE1, RELAKIT_SECTION_FAILS_COMING, RELAKIT_CLASS_MALFORMED, RELAKIT_ERR_LATE_NOT_ALLOCATED},
        {RELA_, RELAKIT_SECTION_FAILS_LOAD, RELAKIT_CLASS_MALFORMED, RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE},
        {KLP_EARLY, RELAKIT_SECTION_IN_MEMORY, RELAKIT_CLASS_SKIPPED, RELAKIT_OK},
    };
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    file_header(LATE1)->sh_flags = LIVEPATCH;
    file_header(RELA_)->sh_info = STRTAB;
    file_header(KLP_EARLY)->sh_info = COMMENT_;
    ACCEPTS(module_start());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relakit_section section = {.struct_size = sizeof section};
        ACCEPTS(relakit_module_section(module, rows[i].section, &section, fresh()));
        EQ(section.section_class, rows[i].section_class);
        EQ(section.status, rows[i].status);
        EQ(section.flags, rows[i].flags);
        if (rows[i].section == LATE1)
            NAME(section.object, section.object_len, "obj");
    }
}

static void it_is_loaded(int on_writer)
{
    uint64_t want[SYMBOLS] = {0, BASE + FLAT_AT(DATA_) + 8, 0xaaaa0000, 0xffffffff81000000, 0, 0x7777, 0, 0,
                              PER_CPU_AT + 4, 0x1234, 0};
    unsigned char image[FLAT];
    module_reset(RELAKIT_STAGE_FILLED, on_writer, 0);
    /* Filled with the file's content, and zeros where it has none. */
    memset(image, 0xcc, FLAT);
    for (uint32_t i = TEXT_; i <= PERCPU; i++)
        if (i == BSS_)
            memset(image + FLAT_AT(i), 0, parts[i].size);
        else
            memcpy(image + FLAT_AT(i), file_section(i), parts[i].size);
    SAME(flat, image, FLAT);
    ACCEPTS(place());
    EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
    if (on_writer)
        ACCEPTS(relakit_module_filled(module, fresh()));
    else
        ACCEPTS(fill());
    EQ(relakit_module_stage(module), RELAKIT_STAGE_FILLED);
    SAME(flat, image, FLAT);
    ACCEPTS(early());
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LOADED);
    put_fields(image, early_fields, EARLY_FIELDS);
    SAME(flat, image, FLAT);
    SAME(values, want, sizeof want);
    ASKED(on_writer ? "exp_a exp_b weak_c r0 r8 r16 r24 r32 r40 r0 w0 r8 w8 r16 w16 r24 w24 r32 w32 r40 w40 "
                      "vmlinux:v:1 vmlinux:v:2 r8 r8 w8 s"
                    : "exp_a exp_b weak_c vmlinux:v:1 vmlinux:v:2");
}

/* Only when all early relocations are applied: level3_arguments.c has the stages. */
static void special_sections_are_described(void)
{
    static const uint32_t none[] = {0, DATA_, PERCPU, SECTIONS, UINT32_MAX};
    struct relakit_special special = {.struct_size = sizeof special, .read_at = 0xa5};
    module_reset(RELAKIT_STAGE_LOADED, 0, 0);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_special(module, none[i], &special, fresh()));
    EQ(special.read_at, 0xa5);
    ACCEPTS(relakit_module_special(module, JUMP, &special, fresh()));
    EQ(special.read_at, RELAKIT_READ_AT_COMING);
    EQ(special.entry_size, 16);
    EQ(special.rewrites_code, 1);
    module_reset(RELAKIT_STAGE_LOADED, 0, RELAKIT_LINUX(5, 8));
    ACCEPTS(relakit_module_special(module, JUMP, &special, fresh()));
    EQ(special.read_at, RELAKIT_READ_AT_FINALIZE);
}

static void objects(unsigned live)
{
    static const char *const want[] = {"obj", "obj", "two"};
    char object[RELAKIT_OBJECT_NAME_SIZE], zeros[RELAKIT_OBJECT_NAME_SIZE] = "", was[RELAKIT_OBJECT_NAME_SIZE];
    uint32_t is;
    for (uint32_t i = 0; i < 3; i++) {
        memset(object, 0xa5, sizeof object);
        ACCEPTS(relakit_module_object(module, i, object, &is, fresh()));
        TEXT(object, want[i]);
        SAME(object + 3, zeros, sizeof object - 3);
        EQ(is, live >> i & 1);
        ACCEPTS(relakit_module_object(module, i, object, NULL, fresh()));
    }
    memset(object, 0xa5, sizeof object);
    memcpy(was, object, sizeof was);
    is = 7;
    ANSWERS(RELAKIT_NOT_FOUND, relakit_module_object(module, 3, object, &is, fresh()));
    ANSWERS(RELAKIT_NOT_FOUND, relakit_module_object(module, UINT32_MAX, object, &is, fresh()));
    SAME(object, was, sizeof was);
    EQ(is, 7);
}

static void objects_come_and_go_and_come_again(int on_writer)
{
    unsigned char loaded[FLAT], with_obj[FLAT], with_both[FLAT];
    module_reset(RELAKIT_STAGE_LATE, on_writer, 0);
    memcpy(loaded, flat, FLAT);
    memcpy(with_obj, loaded, FLAT);
    put_fields(with_obj, obj_fields, OBJ_FIELDS);
    memcpy(with_both, with_obj, FLAT);
    memcpy(with_both + FLAT_AT(DATA_) + 32, "\x55\x55", 2);
    objects(0);
    for (int again = 0; again < 3; again++) {
        hooks_reset();
        ACCEPTS(coming());
        ASKED(on_writer ? "obj:f:1 r48 r56 r48 w48 r56 w56 obj:g:1 obj:g:2 obj:f:1 r16 r24 r16 w16 r24 w24 s"
                        : "obj:f:1 obj:g:1 obj:g:2 obj:f:1");
        EQ(count, 2);
        SAME(flat, with_obj, FLAT);
        objects(3);
        count = 9;
        REFUSES(RELAKIT_ERR_ALREADY_LIVE, 0, coming());
        EQ(count, 9);
        REFUSES(RELAKIT_ERR_NOT_LIVE, 0, relakit_module_going(module, "two", &memory, &count, fresh()));
        ACCEPTS(relakit_module_coming(module, "two", &memory, &names, &count, fresh()));
        EQ(count, 1);
        SAME(flat, with_both, FLAT);
        objects(7);
        /* Somebody else changed a field. */
        flat[FLAT_AT(TEXT_) + 48] ^= 1;
        memcpy(with_both + FLAT_AT(TEXT_), flat + FLAT_AT(TEXT_), 64);
        REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x1111, going());
        EQ(fault.section, LATE1);
        EQ(fault.entry, 0);
        EQ(fault.symbol, F);
        EQ(fault.limit, 0x1110);
        SAME(flat, with_both, FLAT);
        objects(7);
        flat[FLAT_AT(TEXT_) + 48] ^= 1;
        memcpy(with_both + FLAT_AT(TEXT_), flat + FLAT_AT(TEXT_), 64);
        ACCEPTS(relakit_module_going(module, "two", &memory, NULL, fresh()));
        SAME(flat, with_obj, FLAT);
        hooks_reset();
        ACCEPTS(going());
        ASKED(on_writer ? "r16 r24 r24 w24 r16 w16 r48 r56 r56 w56 r48 w48 s" : "");
        EQ(count, 2);
        SAME(flat, loaded, FLAT);
        objects(0);
        REFUSES(RELAKIT_ERR_NOT_LIVE, 0, going());
    }
    ACCEPTS(relakit_module_coming(module, "nobody", &memory, &names, &count, fresh()));
    EQ(count, 0);
    ACCEPTS(relakit_module_going(module, "nobody", &memory, &count, fresh()));
    EQ(count, 0);
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, relakit_module_coming(module, "", &memory, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 7, relakit_module_coming(module, "vmlinux", &memory, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, relakit_module_going(module, "", &memory, &count, fresh()));
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 7, relakit_module_going(module, "vmlinux", &memory, &count, fresh()));
    SAME(flat, loaded, FLAT);
}

/* Before Linux 6.3, going clears nothing. */
static void the_profile_decides_what_going_does(void)
{
    static const uint32_t profiles[] = {RELAKIT_LINUX(5, 8), RELAKIT_LINUX(6, 2), RELAKIT_LINUX(6, 3), RELAKIT_PROFILE_ELF};
    for (size_t i = 0; i < 2 * sizeof profiles / sizeof *profiles; i++) {
        int clears = i / 2 >= 2;
        unsigned char loaded[FLAT], live[FLAT];
        module_reset(RELAKIT_STAGE_LATE, i & 1, profiles[i / 2]);
        memcpy(loaded, flat, FLAT);
        ACCEPTS(coming());
        memcpy(live, flat, FLAT);
        hooks_reset();
        ACCEPTS(going());
        EQ(count, 2);
        SAME(flat, clears ? loaded : live, FLAT);
        if (clears)
            ACCEPTS(coming());
        else
            REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1111, coming());
    }
}

/* TRUNCATE_PC32 is the only flag that a module accepts. */
static void pc32_is_truncated_if_the_flag_says_so(void)
{
    for (uint32_t flags = 0; flags <= RELAKIT_OPT_TRUNCATE_PC32; flags++) {
        module_reset(RELAKIT_STAGE_PARSED, 0, RELAKIT_PROFILE_ELF);
        file_build();
        ((Elf64_Rela *)file_section(RELA_))[1] = rela(8, ABS_, R_X86_64_PLT32, 0);
        module_options.flags = flags;
        ACCEPTS(module_start());
        places[TEXT_].address = UINT64_C(0x123400000000); /* more than 2 GiB away from 0x1234 */
        ACCEPTS(place());
        ACCEPTS(fill());
        if (flags != 0)
            ACCEPTS(early());
        else
            REFUSES(RELAKIT_ERR_OVERFLOW, UINT64_C(0x1234) - UINT64_C(0x123400000008), early());
    }
}

static void a_symbol_of_a_section_without_memory_has_the_sentinel(void)
{
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    memset(&places[PERCPU], 0, sizeof places[PERCPU]);
    ACCEPTS(place());
    ACCEPTS(fill());
    REFUSES(RELAKIT_ERR_SYMBOL_UNASSIGNED, PERCPU, early());
    EQ(fault.section, RELA_);
    EQ(fault.symbol, PCPU);
    EQ(values[PCPU], RELAKIT_UNASSIGNED);
}

int main(void)
{
    its_parts_are_described();
    symbols_are_found_by_name();
    malformed_sections_say_what_is_wrong();
    special_sections_are_described();
    the_profile_decides_what_going_does();
    pc32_is_truncated_if_the_flag_says_so();
    a_symbol_of_a_section_without_memory_has_the_sentinel();
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        it_is_loaded(on_writer);
        objects_come_and_go_and_come_again(on_writer);
    }
    return module_test_end("level3");
}
