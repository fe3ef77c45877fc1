/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Level 3: what is wrong with a file crosses the ABI. core/tests proves the parser, and ffi/tests/agrees that damaged files
 * live the same life through C. Here the file ends where its memory ends, so that the sanitizers notice a read behind it.
 */

#include "module.h"

static void every_prefix_is_refused(void)
{
    unsigned char *whole;
    size_t length;
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    length = file_size;
    whole = (unsigned char *)copy_of(file, length);
    for (file_size = 0; file_size < length; file_size++) {
        free(file);
        file = (unsigned char *)copy_of(whole, file_size);
        EQ(module_start(), file_size == 0  ? RELAKIT_ERR_EMPTY_FILE
                           : file_size < 4 ? RELAKIT_ERR_NOT_ELF
                                           : RELAKIT_ERR_TRUNCATED);
        if (fault.status == RELAKIT_ERR_TRUNCATED)
            EQ(fault.limit, file_size);
        CHECK(module == NULL);
    }
    free(whole);
}

static void magic(void) { file[3] = 'G'; }
static void executable(void) { ((Elf64_Ehdr *)(void *)file)->e_type = ET_EXEC; }
static void wraps(void) { file_header(DATA_)->sh_offset = UINT64_MAX - 7; }
static void name_outside(void) { file_header(DATA_)->sh_name = 192; }
static void no_strings(void) { file_header(SYMTAB)->sh_link = TEXT_; }

static void what_is_wrong_with_a_file_is_told(void)
{
    static const struct {
        void (*edit)(void);
        uint32_t profile;
        relakit_status status;
        uint64_t value, limit; /* limit 0: the file's size */
        uint32_t section;      /* 0: none */
    } rows[] = {
        {magic, 0, RELAKIT_ERR_NOT_ELF, 0x474c457f, 0, 0},
        {executable, 0, RELAKIT_ERR_NOT_RELOCATABLE, ET_EXEC, ET_REL, 0},
        {wraps, 0, RELAKIT_ERR_TRUNCATED, 64, 0, DATA_},
        {name_outside, 0, RELAKIT_ERR_BAD_SECTION_NAME, 192, 192, DATA_},
        {no_strings, RELAKIT_LINUX(6, 12), RELAKIT_OK, 0, 0, 0},
        {no_strings, RELAKIT_LINUX(6, 13), RELAKIT_ERR_BAD_STRING_TABLE, TEXT_, SECTIONS, SYMTAB},
    };
    struct relakit_symbol out = {.struct_size = sizeof out};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        module_reset(RELAKIT_STAGE_PARSED, 0, rows[i].profile);
        file_build();
        rows[i].edit();
        if (rows[i].status == RELAKIT_OK) {
            ACCEPTS(module_start());
            continue;
        }
        REFUSES(rows[i].status, rows[i].value, module_start());
        EQ(fault.limit, rows[i].status == RELAKIT_ERR_TRUNCATED ? file_size : rows[i].limit);
        EQ(fault.has, rows[i].section == 0 ? 0 : RELAKIT_ERROR_HAS_SECTION);
        EQ(fault.section, rows[i].section);
        CHECK(module == NULL);
    }
    /* A name outside of the strings stops only the call that needs it. */
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    ((Elf64_Sym *)file_section(SYMTAB))[EXP_A].st_name = 128;
    ACCEPTS(module_start());
    REFUSES(RELAKIT_ERR_BAD_SYMBOL_NAME, 128, relakit_module_symbol(module, EXP_A, &out, fresh()));
    EQ(fault.symbol, EXP_A);
    ACCEPTS(relakit_module_symbol(module, EXP_B, &out, fresh()));
}

int main(void)
{
    every_prefix_is_refused();
    what_is_wrong_with_a_file_is_told();
    return module_test_end("level3_file");
}
