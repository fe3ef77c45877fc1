/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An error as one line of text: numbers, names, every size of the buffer, and structs that no function has filled in. */

#include "module.h"

#define TEXT_MAX 2048
#define HAS_ALL \
    (RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_TYPE)

/* The text, in a buffer of exactly the size that it needs. */
static const char *text_of(const struct relakit_error *error, struct relakit_module *of)
{
    static char text[TEXT_MAX];
    size_t len = relakit_error_format(error, of, NULL, 0);
    char *exact = (char *)heap(len + 1);
    CHECK(len < TEXT_MAX);
    memset(exact, 'x', len + 1);
    EQ(relakit_error_format(error, of, exact, len + 1), len);
    EQ(strlen(exact), len);
    for (size_t i = 0; i < len; i++)
        CHECK(exact[i] >= ' ' && exact[i] <= '~');
    memset(text, 0, sizeof text);
    memcpy(text, exact, len < TEXT_MAX ? len : TEXT_MAX - 1);
    free(exact);
    return text;
}

static struct relakit_error zeroed(relakit_status status)
{
    struct relakit_error error;
    memset(&error, 0, sizeof error);
    error.status = status;
    return error;
}

static struct relakit_error overflow(void)
{
    struct relakit_error error = zeroed(RELAKIT_ERR_OVERFLOW);
    error.linux_errno = 8;
    error.has = HAS_ALL;
    error.section = RELA_;
    error.entry = 3;
    error.r_type = R_X86_64_PC32;
    error.symbol = EXP_A;
    error.offset = 0x20;
    error.value = UINT64_C(0xffffffff00000000);
    error.limit = 0x7fffffff;
    return error;
}

#define OVERFLOW_END ", offset 0x20, value 0xffffffff00000000, largest 0x7fffffff"
#define OVERFLOW_TEXT \
    "value does not fit its field: section 6, entry 3, type R_X86_64_PC32, symbol 2" OVERFLOW_END

static void an_error_without_a_module_is_its_message_and_its_numbers(void)
{
    struct relakit_error error = overflow();
    TEXT(text_of(&error, NULL), OVERFLOW_TEXT);
    error = zeroed(RELAKIT_ERR_NO_SYMBOL_TABLE);
    TEXT(text_of(&error, NULL), "no symbol table");
    error = zeroed(RELAKIT_ERR_LENGTH);
    error.value = 3;
    error.limit = UINT64_C(0x8000000000000000);
    TEXT(text_of(&error, NULL), "invalid length: argument 3, length 0x8000000000000000");
    error = zeroed(RELAKIT_ERR_OVERLAP);
    error.value = 4;
    error.has = RELAKIT_ERROR_HAS_SECTION;
    error.section = 10;
    TEXT(text_of(&error, NULL), "buffers overlap: section 10, argument 4");
    error = zeroed(RELAKIT_ERR_WRITER);
    error.value = (uint64_t)-5;
    TEXT(text_of(&error, NULL), "writer failed, nothing is changed: offset 0, callback result -5");
    error = zeroed(RELAKIT_OK);
    TEXT(text_of(&error, NULL), "success");
    TEXT(text_of(NULL, NULL), "");
}

/* The message is that of relakit_strerror, and each number that has a name follows. */
static void every_status_has_its_text(void)
{
    for (relakit_status status = -130; status <= 5; status++) {
        char want[TEXT_MAX];
        struct relakit_error error = zeroed(status);
        const uint64_t numbers[3] = {0x11111, 0x22222, 0x33333};
        const int32_t is_result = status == RELAKIT_ERR_RESOLVER || status == RELAKIT_ERR_WRITER ||
                                  status == RELAKIT_ERR_SYNC || status == RELAKIT_ERR_NOT_UNDONE ||
                                  status == RELAKIT_ERR_READER;
        int len = snprintf(want, sizeof want, "%s", relakit_strerror(status)), first = 1;
        error.offset = numbers[0];
        error.value = numbers[1];
        error.limit = numbers[2];
        for (uint32_t i = 0; i < 3; i++) {
            const char *name = relakit_error_field_name(status, i);
            if (name[0] == 0)
                continue;
            len += snprintf(want + len, sizeof want - (size_t)len, is_result && i == 1 ? "%s%s %llu" : "%s%s %#llx",
                            first ? ": " : ", ", name, (unsigned long long)numbers[i]);
            first = 0;
        }
        TEXT(text_of(&error, NULL), want);
    }
}

static void every_size_of_the_buffer_gets_the_beginning_and_a_nul(void)
{
    const struct relakit_error error = overflow();
    const size_t len = strlen(OVERFLOW_TEXT);
    for (size_t room = 0; room <= len + 2; room++) {
        char *buffer = (char *)heap(room);
        size_t fits = room > len ? len : room - 1;
        memset(buffer, 'x', room == 0 ? 1 : room);
        EQ(relakit_error_format(&error, NULL, buffer, room), len);
        if (room == 0) {
            EQ(buffer[0], 'x');
        } else {
            SAME(buffer, OVERFLOW_TEXT, fits);
            EQ(buffer[fits], 0);
            for (size_t i = fits + 1; i < room; i++)
                EQ(buffer[i], 'x');
        }
        free(buffer);
    }
    EQ(relakit_error_format(&error, NULL, NULL, 100), len);
    char empty = 'x';
    EQ(relakit_error_format(NULL, NULL, &empty, 1), 0);
    EQ(empty, 0);
}

/* The names of the file in all stages that have it, those of the late symbols afterwards. */
static void names_are_those_that_the_module_knows(void)
{
    for (relakit_stage stage = RELAKIT_STAGE_PARSED; stage <= RELAKIT_STAGE_LATE; stage++) {
        struct relakit_error error = overflow();
        const int is_late = stage == RELAKIT_STAGE_LATE;
        module_reset(stage, 0, 0);
        TEXT(text_of(&error, module), is_late ? OVERFLOW_TEXT
             : "value does not fit its field: section 6 (.rela.text), entry 3, type R_X86_64_PC32, symbol 2 (exp_a)"
               OVERFLOW_END);
        error = zeroed(RELAKIT_ERR_KLP_SYMPOS);
        error.has = RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_SYMBOL;
        error.section = LATE1;
        error.symbol = F;
        error.value = 1;
        TEXT(text_of(&error, module),
             is_late ? "sympos is greater than the number of symbols of that name: section 8, symbol 6 (f of obj), "
                       "offset 0, sympos 1"
                     : "sympos is greater than the number of symbols of that name: section 8 (.klp.rela.obj..text), "
                       "symbol 6 (.klp.sym.obj.f,1), offset 0, sympos 1");
        /* The same stage afterwards, and the module can be used. */
        EQ(relakit_module_stage(module), stage);
    }
    ACCEPTS(coming());
    ACCEPTS(going());
}

static void a_symbol_of_a_section_has_the_name_of_the_section(void)
{
    struct relakit_error error = overflow();
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    ((Elf64_Sym *)file_section(SYMTAB))[LOCAL].st_name = 0;
    ACCEPTS(module_start());
    error.has = RELAKIT_ERROR_HAS_SYMBOL;
    error.symbol = LOCAL;
    TEXT(text_of(&error, module), "value does not fit its field: symbol 1 (.data)" OVERFLOW_END);
    error.symbol = 0;
    TEXT(text_of(&error, module), "value does not fit its field: symbol 0" OVERFLOW_END);
}

static void a_name_that_no_log_should_have_is_escaped(void)
{
    struct relakit_error error = overflow();
    char *name;
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    file_build();
    name = (char *)file_section(STRTAB) + ((Elf64_Sym *)file_section(SYMTAB))[EXP_A].st_name;
    memcpy(name, "\n)\\\x7f\xff", 5);
    ACCEPTS(module_start());
    error.has = RELAKIT_ERROR_HAS_SYMBOL;
    TEXT(text_of(&error, module), "value does not fit its field: symbol 2 (\\x0a\\x29\\x5c\\x7f\\xff)" OVERFLOW_END);
}

static void what_is_no_module_gives_the_numbers(void)
{
    const struct relakit_error error = overflow();
    uint64_t none[RELAKIT_MODULE_SIZE / 8];
    memset(none, 0xa5, sizeof none);
    TEXT(text_of(&error, (struct relakit_module *)(void *)none), OVERFLOW_TEXT);
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    memcpy(none, state, sizeof none < relakit_module_size() ? sizeof none : relakit_module_size());
    TEXT(text_of(&error, (struct relakit_module *)(void *)none), OVERFLOW_TEXT);
    TEXT(text_of(&error, (struct relakit_module *)(void *)((char *)state + 1)), OVERFLOW_TEXT);
}

static unsigned inside;

static void format_inside(void)
{
    const struct relakit_error error = overflow();
    inside++;
    TEXT(text_of(&error, module), OVERFLOW_TEXT);
}

static void a_callback_may_make_the_text_of_an_error(void)
{
    module_reset(RELAKIT_STAGE_LATE, 1, 0);
    inside = 0;
    meanwhile = format_inside;
    ACCEPTS(coming());
    meanwhile = NULL;
    CHECK(inside > 0);
}

/* A buffer over memory of the module: names would be read while they are overwritten. */
static void a_buffer_in_memory_of_the_module_gets_only_numbers(void)
{
    const struct relakit_error error = overflow();
    const size_t at = sizeof(Elf64_Ehdr), room = strlen(OVERFLOW_TEXT) + 1;
    char kept_bytes[sizeof OVERFLOW_TEXT];
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    memcpy(kept_bytes, file + at, room);
    EQ(relakit_error_format(&error, module, (char *)file + at, room), strlen(OVERFLOW_TEXT));
    TEXT((const char *)file + at, OVERFLOW_TEXT);
    memcpy(file + at, kept_bytes, room);
    /* Over the error itself, which is read first. */
    union {
        struct relakit_error error;
        char text[TEXT_MAX];
    } both;
    memset(&both, 0, sizeof both);
    both.error = error;
    relakit_error_format(&both.error, NULL, both.text, sizeof both);
    TEXT(both.text, OVERFLOW_TEXT);
}

static uint64_t next_number(void)
{
    static uint64_t state_of = 88172645463325252u;
    state_of ^= state_of << 13;
    state_of ^= state_of >> 7;
    return state_of ^= state_of << 17;
}

static void any_struct_gives_a_text(void)
{
    module_reset(RELAKIT_STAGE_PARSED, 0, 0);
    for (unsigned i = 0; i < 20000; i++) {
        struct relakit_error error;
        uint64_t words[sizeof error / 8];
        if (i == 10000)
            module_reset(RELAKIT_STAGE_LATE, 0, 0);
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            words[k] = i % 3 == 0 ? next_number() : next_number() % 64;
        if (i == 0)
            memset(words, 0xff, sizeof words);
        memcpy(&error, words, sizeof error);
        if (i % 2)
            error.status = (relakit_status)(i / 2 % 140) - 130;
        CHECK(strlen(text_of(&error, i % 5 ? module : NULL)) > 3);
    }
}

int main(void)
{
    an_error_without_a_module_is_its_message_and_its_numbers();
    every_status_has_its_text();
    every_size_of_the_buffer_gets_the_beginning_and_a_nul();
    names_are_those_that_the_module_knows();
    a_symbol_of_a_section_has_the_name_of_the_section();
    a_name_that_no_log_should_have_is_escaped();
    what_is_no_module_gives_the_numbers();
    a_callback_may_make_the_text_of_an_error();
    a_buffer_in_memory_of_the_module_gets_only_numbers();
    any_struct_gives_a_text();
    return module_test_end("errors");
}
