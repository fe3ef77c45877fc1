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
        EQ(section.size, parts[i].size);
        EQ(section.link, parts[i].link);
        EQ(section.info, parts[i].info);
        EQ(section.align, i == 0 ? 0 : 8);
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
        EQ(symbol.shndx, symbol_rows[i].shndx);
        EQ(symbol.info, symbol_rows[i].info);
        EQ(symbol.value, symbol_rows[i].value);
        EQ(symbol.size, i == 0 ? 0 : 4);
        EQ(symbol.reserved, 0);
    }
}

static void malformed_sections_say_what_is_wrong(void)
{
    struct relakit_section section = {.struct_size = sizeof section};
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    file_header(LATE1)->sh_flags = LIVEPATCH;
    file_header(LATE2)->sh_info = SECTIONS;
    file_header(RELA_)->sh_info = STRTAB;
    file_header(KLP_EARLY)->sh_info = COMMENT_;
    file_header(COMMENT_)->sh_type = SHT_REL;
    file_header(COMMENT_)->sh_info = TEXT_;
    ACCEPTS(module_start());
    ACCEPTS(relakit_module_section(module, LATE1, &section, fresh()));
    EQ(section.section_class, RELAKIT_CLASS_MALFORMED);
    EQ(section.status, RELAKIT_ERR_LATE_NOT_ALLOCATED);
    EQ(section.flags, RELAKIT_SECTION_FAILS_COMING);
    NAME(section.object, section.object_len, "obj");
    ACCEPTS(relakit_module_section(module, LATE2, &section, fresh()));
    EQ(section.status, RELAKIT_ERR_TARGET_OUT_OF_RANGE);
    EQ(section.flags, RELAKIT_SECTION_FAILS_COMING | RELAKIT_SECTION_IN_MEMORY);
    ACCEPTS(relakit_module_section(module, RELA_, &section, fresh()));
    EQ(section.section_class, RELAKIT_CLASS_MALFORMED);
    EQ(section.status, RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE);
    EQ(section.flags, RELAKIT_SECTION_FAILS_LOAD);
    ACCEPTS(relakit_module_section(module, KLP_EARLY, &section, fresh()));
    EQ(section.section_class, RELAKIT_CLASS_SKIPPED);
    EQ(section.status, RELAKIT_OK);
    ACCEPTS(relakit_module_section(module, COMMENT_, &section, fresh()));
    EQ(section.status, RELAKIT_ERR_REL_SECTION);
    EQ(section.flags, RELAKIT_SECTION_FAILS_LOAD);
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
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
    EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
    if (on_writer)
        ACCEPTS(relakit_module_filled(module, fresh()));
    else
        ACCEPTS(relakit_module_fill(module, &memory, fresh()));
    EQ(relakit_module_stage(module), RELAKIT_STAGE_FILLED);
    SAME(flat, image, FLAT);
    ACCEPTS(relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()));
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LOADED);
    for (size_t i = 0; i < EARLY_FIELDS; i++)
        for (size_t byte = 0; byte < early_fields[i].size; byte++)
            image[early_fields[i].at + byte] = (unsigned char)(early_fields[i].value >> (8 * byte));
    SAME(flat, image, FLAT);
    SAME(values, want, sizeof want);
    ASKED(on_writer ? "exp_a exp_b weak_c r0 r8 r16 r24 r32 r40 r0 w0 r8 w8 r16 w16 r24 w24 r32 w32 r40 w40 "
                      "vmlinux:v:1 vmlinux:v:2 r8 r8 w8 s"
                    : "exp_a exp_b weak_c vmlinux:v:1 vmlinux:v:2");
}

static void special_sections_are_told_when_everything_is_in_place(void)
{
    struct relakit_special special;
    for (int stage = RELAKIT_STAGE_PARSED; stage <= RELAKIT_STAGE_LATE; stage++) {
        module_reset(stage, 0, 0);
        memset(&special, 0xa5, sizeof special);
        special.struct_size = sizeof special;
        if (stage != RELAKIT_STAGE_LOADED) {
            REFUSES(RELAKIT_ERR_ORDER, stage, relakit_module_special(module, JUMP, &special, fresh()));
            EQ(special.read_at, 0xa5a5a5a5);
            continue;
        }
        ACCEPTS(relakit_module_special(module, JUMP, &special, fresh()));
        EQ(special.read_at, RELAKIT_READ_AT_COMING);
        EQ(special.entry_size, 16);
        EQ(special.rewrites_code, 1);
        memset(&special, 0xa5, sizeof special);
        special.struct_size = sizeof special;
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_special(module, DATA_, &special, fresh()));
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_special(module, PERCPU, &special, fresh()));
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_special(module, 0, &special, fresh()));
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_special(module, SECTIONS, &special, fresh()));
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_special(module, UINT32_MAX, &special, fresh()));
        EQ(special.read_at, 0xa5a5a5a5);
    }
    module_reset(RELAKIT_STAGE_LOADED, 0, RELAKIT_LINUX(5, 8));
    ACCEPTS(relakit_module_special(module, JUMP, &special, fresh()));
    EQ(special.read_at, RELAKIT_READ_AT_FINALIZE);
}

static void objects(unsigned live)
{
    static const char *const want[] = {"obj", "obj", "two"};
    const char *object;
    size_t len;
    uint32_t is;
    for (uint32_t i = 0; i < 3; i++) {
        ACCEPTS(relakit_module_object(module, i, &object, &len, &is, fresh()));
        NAME(object, len, want[i]);
        CHECK(object >= (const char *)kept && object + len <= (const char *)kept + kept_size);
        EQ(is, live >> i & 1);
    }
    object = NULL;
    len = 7;
    is = 7;
    ANSWERS(RELAKIT_NOT_FOUND, relakit_module_object(module, 3, &object, &len, &is, fresh()));
    ANSWERS(RELAKIT_NOT_FOUND, relakit_module_object(module, UINT32_MAX, &object, &len, &is, fresh()));
    CHECK(object == NULL && len == 7 && is == 7);
}

static void objects_come_and_go_and_come_again(int on_writer)
{
    unsigned char loaded[FLAT], with_obj[FLAT], with_both[FLAT];
    uint32_t count = 9;
    module_reset(RELAKIT_STAGE_LATE, on_writer, 0);
    memcpy(loaded, flat, FLAT);
    memcpy(with_obj, loaded, FLAT);
    for (size_t i = 0; i < OBJ_FIELDS; i++)
        for (size_t byte = 0; byte < obj_fields[i].size; byte++)
            with_obj[obj_fields[i].at + byte] = (unsigned char)(obj_fields[i].value >> (8 * byte));
    memcpy(with_both, with_obj, FLAT);
    memcpy(with_both + FLAT_AT(DATA_) + 32, "\x55\x55", 2);
    objects(0);
    for (int again = 0; again < 3; again++) {
        hooks_reset();
        ACCEPTS(relakit_module_coming(module, "obj", &memory, &names, &count, fresh()));
        ASKED(on_writer ? "obj:f:1 r48 r56 r48 w48 r56 w56 obj:g:1 obj:g:2 obj:f:1 r16 r24 r16 w16 r24 w24 s"
                        : "obj:f:1 obj:g:1 obj:g:2 obj:f:1");
        EQ(count, 2);
        SAME(flat, with_obj, FLAT);
        objects(3);
        count = 9;
        REFUSES(RELAKIT_ERR_ALREADY_LIVE, 0, relakit_module_coming(module, "obj", &memory, &names, &count, fresh()));
        EQ(count, 9);
        REFUSES(RELAKIT_ERR_NOT_LIVE, 0, relakit_module_going(module, "two", &memory, &count, fresh()));
        ACCEPTS(relakit_module_coming(module, "two", &memory, &names, &count, fresh()));
        EQ(count, 1);
        SAME(flat, with_both, FLAT);
        objects(7);
        /* Somebody else changed a field. */
        flat[FLAT_AT(TEXT_) + 48] ^= 1;
        memcpy(with_both + FLAT_AT(TEXT_), flat + FLAT_AT(TEXT_), 64);
        REFUSES(RELAKIT_ERR_TARGET_MISMATCH, 0x1111, relakit_module_going(module, "obj", &memory, &count, fresh()));
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
        ACCEPTS(relakit_module_going(module, "obj", &memory, &count, fresh()));
        ASKED(on_writer ? "r16 r24 r24 w24 r16 w16 r48 r56 r56 w56 r48 w48 s" : "");
        EQ(count, 2);
        SAME(flat, loaded, FLAT);
        objects(0);
        REFUSES(RELAKIT_ERR_NOT_LIVE, 0, relakit_module_going(module, "obj", &memory, &count, fresh()));
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

int main(void)
{
    its_parts_are_described();
    malformed_sections_say_what_is_wrong();
    special_sections_are_told_when_everything_is_in_place();
    for (int on_writer = 0; on_writer < 2; on_writer++) {
        it_is_loaded(on_writer);
        objects_come_and_go_and_come_again(on_writer);
    }
    return module_test_end("level3");
}
