/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every number has its name, and a number that is none is answered too. */

#include "layout.h"
#include "test.h"

/* The statuses and their numbers. core/src/error.rs has the errno and the texts of each. */
static const struct status {
    relakit_status is, want;
} statuses[] = {
    {RELAKIT_OK, 0}, {RELAKIT_NOT_FOUND, 1}, {RELAKIT_SKIP, 2}, {RELAKIT_ERR_TRUNCATED, -1}, {RELAKIT_ERR_NOT_ELF, -2},
    {RELAKIT_ERR_BAD_IDENT, -3}, {RELAKIT_ERR_NOT_RELOCATABLE, -4}, {RELAKIT_ERR_WRONG_MACHINE, -5},
    {RELAKIT_ERR_BAD_HEADER_SIZE, -6}, {RELAKIT_ERR_BAD_SECTION_ZERO, -7}, {RELAKIT_ERR_TOO_MANY_SECTIONS, -8},
    {RELAKIT_ERR_NO_SECTIONS, -9}, {RELAKIT_ERR_BAD_NAME_TABLE, -10}, {RELAKIT_ERR_BAD_SECTION_NAME, -11},
    {RELAKIT_ERR_NO_SYMBOL_TABLE, -12}, {RELAKIT_ERR_MANY_SYMBOL_TABLES, -13}, {RELAKIT_ERR_BAD_STRING_TABLE, -14},
    {RELAKIT_ERR_BAD_SYMBOL_NAME, -15}, {RELAKIT_ERR_PARTIAL_ENTRY, -16}, {RELAKIT_ERR_SYMBOL_INDEX, -17},
    {RELAKIT_ERR_SYMBOL_SECTION, -18}, {RELAKIT_ERR_COMMON_SYMBOL, -19}, {RELAKIT_ERR_UNKNOWN_SYMBOL, -20},
    {RELAKIT_ERR_SYMBOL_UNASSIGNED, -21}, {RELAKIT_ERR_VALUES_TOO_SHORT, -22}, {RELAKIT_ERR_RESOLVER, -23},
    {RELAKIT_ERR_BAD_KLP_SECTION_NAME, -24}, {RELAKIT_ERR_NOT_KLP_SYMBOL, -25},
    {RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, -26}, {RELAKIT_ERR_VMLINUX_FROM_MODULE, -27}, {RELAKIT_ERR_KLP_NOT_FOUND, -28},
    {RELAKIT_ERR_KLP_AMBIGUOUS, -29}, {RELAKIT_ERR_KLP_SYMPOS, -30}, {RELAKIT_ERR_LATE_NOT_ALLOCATED, -31},
    {RELAKIT_ERR_TARGET_OUT_OF_RANGE, -32}, {RELAKIT_ERR_TARGET_NOT_ALLOCATED, -33},
    {RELAKIT_ERR_TARGET_PER_CPU, -34}, {RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, -35},
    {RELAKIT_ERR_NO_RELOCATION_BYTES, -36}, {RELAKIT_ERR_REL_SECTION, -37}, {RELAKIT_ERR_UNKNOWN_TYPE, -38},
    {RELAKIT_ERR_OVERFLOW, -39}, {RELAKIT_ERR_OFFSET_OUTSIDE, -40}, {RELAKIT_ERR_TARGET_NOT_ZERO, -41},
    {RELAKIT_ERR_TARGET_MISMATCH, -42}, {RELAKIT_ERR_WRITER, -43}, {RELAKIT_ERR_SYNC, -44}, {RELAKIT_ERR_NOT_UNDONE, -45},
    {RELAKIT_ERR_FIELDS_NOT_ASCENDING, -46}, {RELAKIT_ERR_NOT_ASSIGNED, -47}, {RELAKIT_ERR_ASSIGNED_SIZE, -48},
    {RELAKIT_ERR_NOT_A_MODULE, -49}, {RELAKIT_ERR_ALREADY_LIVE, -50}, {RELAKIT_ERR_NOT_LIVE, -51},
    {RELAKIT_ERR_RETAINED_TOO_SHORT, -52}, {RELAKIT_ERR_SECTION_MOVED, -53}, {RELAKIT_ERR_TOO_MANY_OBJECTS, -54},
    {RELAKIT_ERR_NO_SUCH_SECTION, -55}, {RELAKIT_ERR_NOT_RELOCATIONS, -56}, {RELAKIT_ERR_TARGET_OVERLAPS, -57},
    {RELAKIT_ERR_INDEX_TOO_SHORT, -58}, {RELAKIT_ERR_MANY_SECTION_INDICES, -59},
    {RELAKIT_ERR_TARGET_IS_RELOCATIONS, -60}, {RELAKIT_ERR_ADDRESS_WRAPS, -61},
    {RELAKIT_ERR_RELOCATIONS_TOO_LARGE, -62}, {RELAKIT_ERR_SYMBOL_UNRESOLVED, -63}, {RELAKIT_ERR_EMPTY_FILE, -64},
    {RELAKIT_ERR_KLP_NAME_OUTSIDE, -65}, {RELAKIT_ERR_SHARED_BYTES, -66}, {RELAKIT_ERR_NULL_OUTSIDE, -67},
    {RELAKIT_ERR_FLAGS_CONFLICT, -68}, {RELAKIT_ERR_TABLE_OVERLAPS, -69}, {RELAKIT_ERR_BAD_ALIGNMENT, -70},
    {RELAKIT_ERR_LAYOUT_TOO_LARGE, -71}, {RELAKIT_ERR_ADDRESS_MISALIGNED, -72}, {RELAKIT_ERR_READER, -73},
    {RELAKIT_ERR_NOT_PLAIN, -74},
    {RELAKIT_ERR_GOT_PLAN_TOO_SHORT, -75},
    {RELAKIT_ERR_NO_GOT_SLOT, -76},
    {RELAKIT_ERR_NULL, -101}, {RELAKIT_ERR_LENGTH, -102}, {RELAKIT_ERR_ALIGNMENT, -103},
    {RELAKIT_ERR_STRUCT_SIZE, -104}, {RELAKIT_ERR_FLAGS, -105}, {RELAKIT_ERR_RESERVED, -106},
    {RELAKIT_ERR_OVERLAP, -107}, {RELAKIT_ERR_ORDER, -108}, {RELAKIT_ERR_STATE_TOO_SHORT, -109},
    {RELAKIT_ERR_NOT_A_MODULE_STATE, -110}, {RELAKIT_ERR_BUSY, -111}, {RELAKIT_ERR_PROFILE, -112},
    {RELAKIT_ERR_CALLBACK, -113}, {RELAKIT_ERR_SYMBOLS, -114}, {RELAKIT_ERR_NOT_AN_INDEX, -115},
};
#define STATUSES (sizeof statuses / sizeof *statuses)


/* What Linux returns (ENOENT 2, ENOEXEC 8, EINVAL 22), and the names of the numbers. */
static const struct {
    relakit_status status;
    int32_t linux_errno;
    const char *names[3];
} samples[] = {
    {RELAKIT_OK, 0, {"", "", ""}},
    {RELAKIT_ERR_TRUNCATED, 8, {"file offset", "size", "file size"}},
    {RELAKIT_ERR_UNKNOWN_SYMBOL, 2, {"", "", ""}},
    {RELAKIT_ERR_BAD_KLP_SECTION_NAME, 22, {"", "", ""}},
    {RELAKIT_ERR_OVERFLOW, 8, {"offset", "value", "largest"}},
    {RELAKIT_ERR_TARGET_MISMATCH, 0, {"offset", "expected", "existing"}},
    {RELAKIT_ERR_LENGTH, 0, {"", "argument", "length"}},
    {RELAKIT_ERR_ORDER, 0, {"", "stage", ""}},
};

static const struct status *known(relakit_status status)
{
    for (size_t i = 0; i < STATUSES; i++)
        if (statuses[i].want == status)
            return &statuses[i];
    return NULL;
}

static void every_status_has_its_number_and_a_sentence_of_its_own(void)
{
    const char *unknown = relakit_strerror(-200);
    for (size_t i = 0; i < STATUSES; i++)
        EQ(statuses[i].is, statuses[i].want);
    for (relakit_status status = -200; status <= 10; status++) {
        const char *text = relakit_strerror(status);
        const struct status *row = known(status);
        CHECK(text != NULL && strlen(text) > 3);
        if (text == NULL)
            continue;
        CHECK(text[strlen(text) - 1] != '.');
        if (row == NULL) {
            TEXT(text, unknown);
            continue;
        }
        CHECK(strcmp(text, unknown) != 0);
        for (relakit_status other = -200; other < status; other++)
            CHECK(strcmp(text, relakit_strerror(other)) != 0);
        CHECK(text == relakit_strerror(status));
    }
    TEXT(relakit_strerror(RELAKIT_OK), "success");
    TEXT(relakit_strerror(RELAKIT_ERR_OVERFLOW), "value does not fit its field");
    TEXT(relakit_strerror(INT32_MIN), unknown);
    TEXT(relakit_strerror(INT32_MAX), unknown);
}

static void an_errno_and_names_of_the_numbers(void)
{
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        EQ(relakit_linux_errno(samples[i].status), samples[i].linux_errno);
        for (uint32_t which = 0; which < 3; which++)
            TEXT(relakit_error_field_name(samples[i].status, which), samples[i].names[which]);
    }
    for (relakit_status status = -200; status <= 10; status++) {
        int32_t number = relakit_linux_errno(status);
        CHECK(number == 0 || number == 2 || number == 8 || number == 22);
        for (uint32_t which = 0; which < 3; which++) {
            CHECK(relakit_error_field_name(status, which) != NULL);
            CHECK(known(status) != NULL || (number == 0 && relakit_error_field_name(status, which)[0] == 0));
        }
        CHECK(relakit_error_field_name(status, 3) == NULL && relakit_error_field_name(status, UINT32_MAX) == NULL);
    }
    EQ(relakit_linux_errno(INT32_MIN), 0);
    EQ(relakit_linux_errno(INT32_MAX), 0);
    CHECK(relakit_error_field_name(INT32_MIN, UINT32_MAX) == NULL);
    TEXT(relakit_error_field_name(INT32_MIN, 0), "");
}

/* core/tests/reloc/names.rs has every type. */
static void relocation_types_have_the_names_of_elf_h(void)
{
#define TYPE(name) {name, #name}
    static const struct {
        uint32_t type;
        const char *name;
    } rows[] = {
        TYPE(R_X86_64_NONE), TYPE(R_X86_64_64), TYPE(R_X86_64_PC32), TYPE(R_X86_64_PLT32), TYPE(R_X86_64_32S),
        TYPE(R_X86_64_PC8), TYPE(R_X86_64_PC64), TYPE(R_X86_64_REX_GOTPCRELX), {30, NULL}, {39, NULL}, {52, NULL},
        {(uint32_t)1 << 31 | 1, NULL}, {UINT32_MAX, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].name == NULL)
            CHECK(relakit_type_name(rows[i].type) == NULL);
        else
            TEXT(relakit_type_name(rows[i].type), rows[i].name);
}

static void classes_have_names_of_their_own(void)
{
    for (uint32_t a = RELAKIT_CLASS_NOT_RELOCATION; a <= RELAKIT_CLASS_MALFORMED; a++) {
        CHECK(relakit_class_name(a) != NULL && strlen(relakit_class_name(a)) > 3);
        for (uint32_t b = 0; b < a; b++)
            CHECK(strcmp(relakit_class_name(a), relakit_class_name(b)) != 0);
    }
    CHECK(relakit_class_name(RELAKIT_CLASS_MALFORMED + 1) == NULL);
    CHECK(relakit_class_name(UINT32_MAX) == NULL);
}

static void the_archive_agrees_with_the_header(void)
{
    unsigned major, minor, patch;
    char end;
    CHECK(sscanf(relakit_version(), "%u.%u.%u%c", &major, &minor, &patch, &end) == 3);
    CHECK(relakit_version() == relakit_version());
    EQ(relakit_abi(), RELAKIT_ABI);
    EQ(relakit_module_align(), RELAKIT_MODULE_ALIGN);
    CHECK(relakit_module_size() > 0 && relakit_module_size() <= RELAKIT_MODULE_SIZE);
    EQ(relakit_module_size() % RELAKIT_MODULE_ALIGN, 0);
}

int main(void)
{
    every_status_has_its_number_and_a_sentence_of_its_own();
    an_errno_and_names_of_the_numbers();
    relocation_types_have_the_names_of_elf_h();
    classes_have_names_of_their_own();
    the_archive_agrees_with_the_header();
    return test_end("names");
}
