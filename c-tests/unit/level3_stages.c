/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: filling is a stage; what is filled with what; objects by their number; what a hostile file is refused for. */

#include "module.h"

static relakit_status early(void) { return relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()); }

static void nothing_is_relocated_before_it_is_filled(void)
{
    for (int on_writer = 0; on_writer < 2; on_writer++)
        for (int by_hand = 0; by_hand < 2; by_hand++) {
            unsigned char before[FLAT];
            module_reset(RELAKIT_STAGE_ASSIGNED, on_writer, 0);
            memcpy(before, flat, FLAT);
            REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_ASSIGNED, early());
            SAME(flat, before, FLAT);
            EQ(asked_count, 0);
            EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
            /* A fill that fails is none. */
            places[DATA_].size--;
            REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 63, relakit_module_fill(module, &memory, fresh()));
            EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
            REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_ASSIGNED, early());
            places_reset(0);
            ACCEPTS(relakit_module_fill(module, &memory, fresh()));
            EQ(relakit_module_stage(module), RELAKIT_STAGE_FILLED);
            /* Placing takes it back; filling can be done again, and is said or done. */
            places_reset(on_writer);
            ACCEPTS(relakit_module_assign(module, &memory, fresh()));
            EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
            REFUSES(RELAKIT_ERR_ORDER, RELAKIT_STAGE_ASSIGNED, early());
            memcpy(before, flat, FLAT);
            for (int again = 0; again < 2; again++) {
                if (by_hand || on_writer)
                    ACCEPTS(relakit_module_filled(module, fresh()));
                else
                    ACCEPTS(relakit_module_fill(module, &memory, fresh()));
                SAME(flat, before, FLAT);
                EQ(asked_count, 0);
                EQ(relakit_module_stage(module), RELAKIT_STAGE_FILLED);
            }
            ACCEPTS(early());
        }
}

/* A fill that fails after one that succeeded leaves the stage. */
static void a_second_fill_that_fails(void)
{
    module_reset(RELAKIT_STAGE_FILLED, 0, 0);
    places[DATA_].size--;
    REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 63, relakit_module_fill(module, &memory, fresh()));
    EQ(relakit_module_stage(module), RELAKIT_STAGE_FILLED);
}

static void an_unused_header_with_memory_is_zeroed(void)
{
    for (uint32_t profile = 0; profile < 2; profile++)
        for (int is_null = 0; is_null < 2; is_null++) {
            struct relakit_section section = {.struct_size = sizeof section};
            unsigned char zeros[64] = {0};
            module_reset(RELAKIT_STAGE_PARSED, 0, profile);
            file_build();
            memset(file_section(DATA_), 0x33, 64);
            memset((Elf64_Rela *)file_section(RELA_) + 1, 0, 24);
            if (is_null)
                file_header(DATA_)->sh_type = SHT_NULL;
            ACCEPTS(module_start());
            ACCEPTS(relakit_module_section(module, DATA_, &section, fresh()));
            EQ(section.flags, RELAKIT_SECTION_IN_MEMORY);
            EQ(section.size, 64);
            CHECK((section.content == NULL) == is_null);
            memset(flat, 0xcc, FLAT);
            ACCEPTS(relakit_module_assign(module, &memory, fresh()));
            ACCEPTS(relakit_module_fill(module, &memory, fresh()));
            SAME(flat + FLAT_AT(DATA_), is_null ? (const void *)zeros : file_section(DATA_), 64);
            EQ(flat[FLAT_AT(DATA_) + 64], 0xcc);
            EQ(flat[FLAT_AT(DATA_) - 1], 0xcc);
            /* Without a place nothing is asked for and nothing is written. */
            ACCEPTS(module_start());
            memset(&places[DATA_], 0, sizeof places[DATA_]);
            memset(flat, 0xcc, FLAT);
            ACCEPTS(relakit_module_assign(module, &memory, fresh()));
            ACCEPTS(relakit_module_fill(module, &memory, fresh()));
            EQ(flat[FLAT_AT(DATA_)], 0xcc);
        }
}

static void a_symbol_without_memory_has_the_sentinel(void)
{
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    /* Nobody uses it. */
    ((Elf64_Rela *)file_section(RELA_))[4] = rela(32, ABS_, R_X86_64_64, 0);
    ACCEPTS(module_start());
    memset(&places[PERCPU], 0, sizeof places[PERCPU]);
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
    ACCEPTS(relakit_module_fill(module, &memory, fresh()));
    ACCEPTS(early());
    EQ(values[PCPU], RELAKIT_UNASSIGNED);
    /* A real symbol that has this value can be used. */
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    ((Elf64_Sym *)file_section(SYMTAB))[ABS_].st_value = RELAKIT_UNASSIGNED;
    ((Elf64_Rela *)file_section(RELA_))[5] = rela(40, ABS_, R_X86_64_64, 0);
    ACCEPTS(module_start());
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
    ACCEPTS(relakit_module_fill(module, &memory, fresh()));
    ACCEPTS(early());
    EQ(values[ABS_], RELAKIT_UNASSIGNED);
    EQ(load(flat + FLAT_AT(TEXT_) + 40, 8), RELAKIT_UNASSIGNED);
}

/* The late sections of the file, and what is edited: each can be one that names no object. */
static void objects_are_told_by_number(void)
{
    static const uint32_t late[] = {LATE1, LATE2, TWO_};
    static const char *const objects[] = {"obj", "obj", "two"};
    for (unsigned nameless = 0; nameless < 8; nameless++) {
        uint64_t scratch[SYMBOLS];
        const char *name;
        size_t len;
        uint32_t live, want = 0;
        relakit_status status;
        module_reset(RELAKIT_STAGE_PARSED, 0, 0);
        file_build();
        for (size_t i = 0; i < 3; i++)
            if (nameless >> i & 1) {
                /* A malformed name, of a section that the early pass does not look at. */
                file_header(late[i])->sh_name++;
                file_header(late[i])->sh_info = COMMENT_;
            }
        ACCEPTS(module_start());
        ACCEPTS(relakit_module_assign(module, &memory, fresh()));
        ACCEPTS(relakit_module_fill(module, &memory, fresh()));
        ACCEPTS(early());
        ACCEPTS(relakit_module_retained_size(module, scratch, SYMBOLS, &kept_size, fresh()));
        free(kept);
        kept = heap(kept_size);
        ACCEPTS(relakit_module_retain(module, &memory, scratch, SYMBOLS, kept, kept_size, fresh()));
        for (size_t i = 0; i < 3; i++) {
            if (nameless >> i & 1)
                continue;
            ACCEPTS(relakit_module_object(module, want++, &name, &len, &live, fresh()));
            NAME(name, len, objects[i]);
            EQ(live, 0);
        }
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_object(module, want, &name, &len, &live, fresh()));
        ANSWERS(RELAKIT_NOT_FOUND, relakit_module_object(module, UINT32_MAX, &name, &len, &live, fresh()));
        /* One without an object's name stops every object. */
        status = relakit_module_coming(module, "two", &memory, &names, NULL, fresh());
        EQ(status, nameless == 0 ? RELAKIT_OK : RELAKIT_ERR_BAD_KLP_SECTION_NAME);
    }
}

/* Edits, and what a module is refused for. */
/* The other tables have 6 entries, 144 bytes. */
static void larger_tables(void) { file_header(RELA_)->sh_offset = 64, file_header(RELA_)->sh_size = file_size - 143; }
static void tables_as_large(void) { file_header(RELA_)->sh_offset = 64, file_header(RELA_)->sh_size = file_size - 144; }
static void over_headers(void) { file_header(DATA_)->sh_offset = file_size - SECTIONS * sizeof(Elf64_Shdr) - 63; }
static void before_headers(void) { file_header(DATA_)->sh_offset = file_size - SECTIONS * sizeof(Elf64_Shdr) - 64; }
static void table_over_template(void) { file_header(PERCPU)->sh_offset = file_header(LATE1)->sh_offset + 47; }
static void names_over_template(void) { file_header(PERCPU)->sh_offset = file_header(SHSTRTAB)->sh_offset - 15; }
static void template_beside(void) { file_header(PERCPU)->sh_offset = file_header(SHSTRTAB)->sh_offset - 16; }

static const struct {
    const char *what;
    void (*edit)(void);
    uint32_t profile;
    relakit_status status;
    int section;
} rows[] = {
    {"tables together larger than the file", larger_tables, RELAKIT_PROFILE_ELF, RELAKIT_ERR_RELOCATIONS_TOO_LARGE, 0},
    {"tables together as large as the file", tables_as_large, RELAKIT_PROFILE_ELF, RELAKIT_OK, 0},
    {"a section over the headers", over_headers, 0, RELAKIT_ERR_SHARED_BYTES, DATA_},
    {"a section over the headers, no Linux", over_headers, RELAKIT_PROFILE_ELF, RELAKIT_OK, 0},
    {"a section right before the headers", before_headers, 0, RELAKIT_OK, 0},
    /* Only from 6.16 on is the template relocated in the file's copy. */
    {"a table over the template", table_over_template, RELAKIT_LINUX(6, 16), RELAKIT_ERR_SHARED_BYTES, LATE1},
    {"a table over the template, 6.15", table_over_template, RELAKIT_LINUX(6, 15), RELAKIT_OK, 0},
    {"names over the template", names_over_template, RELAKIT_LINUX(6, 16), RELAKIT_ERR_SHARED_BYTES, SHSTRTAB},
    {"names right behind the template", template_beside, RELAKIT_LINUX(6, 16), RELAKIT_OK, 0},
};

static void files_whose_sections_share_bytes(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        relakit_status status;
        module_reset(RELAKIT_STAGE_PARSED, 0, rows[i].profile);
        file_build();
        rows[i].edit();
        status = module_start();
        EQ(status, rows[i].status);
        if (status != rows[i].status)
            printf("    %s\n", rows[i].what);
        if (status == RELAKIT_OK)
            continue;
        EQ(fault.status, status);
        if (status == RELAKIT_ERR_RELOCATIONS_TOO_LARGE) {
            uint64_t all = 0;
            for (uint32_t s = 1; s < SECTIONS; s++)
                all += file_header(s)->sh_type == SHT_RELA ? file_header(s)->sh_size : 0;
            EQ(fault.value, all);
            EQ(fault.limit, file_size);
        } else {
            EQ(fault.value, file_header((uint32_t)rows[i].section)->sh_offset);
            EQ(fault.limit, file_header((uint32_t)rows[i].section)->sh_size);
            EQ(fault.section, rows[i].section);
        }
        CHECK(module == NULL);
    }
}

static void a_table_is_no_target(void)
{
    static const struct {
        uint32_t section, target, flags;
    } tables[] = {
        {RELA_, LATE1, RELAKIT_SECTION_FAILS_LOAD}, {KLP_EARLY, LATE1, RELAKIT_SECTION_FAILS_LOAD},
        {KLP_EARLY, KLP_EARLY, RELAKIT_SECTION_FAILS_LOAD}, {LATE1, LATE2, RELAKIT_SECTION_FAILS_COMING},
        {LATE1, LATE1, RELAKIT_SECTION_FAILS_COMING},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct relakit_section section = {.struct_size = sizeof section};
        module_reset(RELAKIT_STAGE_PARSED, 0, 0);
        file_build();
        file_header(tables[i].section)->sh_info = tables[i].target;
        ACCEPTS(module_start());
        ACCEPTS(relakit_module_section(module, tables[i].section, &section, fresh()));
        EQ(section.status, RELAKIT_ERR_TARGET_IS_RELOCATIONS);
        EQ(section.section_class, RELAKIT_CLASS_MALFORMED);
        EQ(section.flags & ~(uint32_t)RELAKIT_SECTION_IN_MEMORY, tables[i].flags);
        ACCEPTS(relakit_module_assign(module, &memory, fresh()));
        ACCEPTS(relakit_module_fill(module, &memory, fresh()));
        if (tables[i].flags == RELAKIT_SECTION_FAILS_LOAD) {
            REFUSES(RELAKIT_ERR_TARGET_IS_RELOCATIONS, tables[i].target, early());
            EQ(fault.section, tables[i].section);
        } else
            ACCEPTS(early());
    }
}

static void an_unused_header_with_the_livepatch_flag(void)
{
    for (uint32_t outside = 0; outside < 2; outside++) {
        struct relakit_section section = {.struct_size = sizeof section};
        module_reset(RELAKIT_STAGE_PARSED, 0, 0);
        file_build();
        file_header(COMMENT_)->sh_type = SHT_NULL;
        file_header(COMMENT_)->sh_flags = LIVEPATCH;
        file_header(COMMENT_)->sh_info = TEXT_;
        file_header(COMMENT_)->sh_name = (uint32_t)(parts[SHSTRTAB].size - 1 + outside);
        ACCEPTS(module_start());
        ACCEPTS(relakit_module_section(module, COMMENT_, &section, fresh()));
        EQ(section.status, outside ? RELAKIT_ERR_KLP_NAME_OUTSIDE : RELAKIT_ERR_BAD_KLP_SECTION_NAME);
        ACCEPTS(relakit_module_assign(module, &memory, fresh()));
        ACCEPTS(relakit_module_fill(module, &memory, fresh()));
        if (outside) {
            REFUSES(RELAKIT_ERR_KLP_NAME_OUTSIDE, parts[SHSTRTAB].size, early());
            EQ(fault.limit, parts[SHSTRTAB].size);
        } else
            REFUSES(RELAKIT_ERR_BAD_KLP_SECTION_NAME, 0, early());
        EQ(fault.section, COMMENT_);
    }
}

int main(void)
{
    nothing_is_relocated_before_it_is_filled();
    a_second_fill_that_fails();
    an_unused_header_with_memory_is_zeroed();
    a_symbol_without_memory_has_the_sentinel();
    objects_are_told_by_number();
    files_whose_sections_share_bytes();
    a_table_is_no_target();
    an_unused_header_with_the_livepatch_flag();
    return module_test_end("level3_stages");
}
