/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every number has its name, and a number that is none is answered too. */

#include "test.h"

/* The statuses: number, name, what Linux answers (ENOENT 2, ENOEXEC 8, EINVAL 22), the names of the numbers. */
static const struct status {
    relakit_status is, want;
    int32_t linux_errno;
    const char *names[3];
} statuses[] = {
    {RELAKIT_OK, 0, 0, {"", "", ""}},
    {RELAKIT_NOT_FOUND, 1, 0, {"", "", ""}},
    {RELAKIT_ERR_TRUNCATED, -1, 8, {"file offset", "size", "file size"}},
    {RELAKIT_ERR_NOT_ELF, -2, 8, {"", "first four bytes", ""}},
    {RELAKIT_ERR_BAD_IDENT, -3, 0, {"file offset", "byte", "expected"}},
    {RELAKIT_ERR_NOT_RELOCATABLE, -4, 8, {"", "e_type", "expected"}},
    {RELAKIT_ERR_NOT_X86_64, -5, 8, {"", "e_machine", "expected"}},
    {RELAKIT_ERR_BAD_HEADER_SIZE, -6, 8, {"", "e_shentsize", "expected"}},
    {RELAKIT_ERR_BAD_SECTION_ZERO, -7, 8, {"", "field", ""}},
    {RELAKIT_ERR_TOO_MANY_SECTIONS, -8, 8, {"", "sections", "most"}},
    {RELAKIT_ERR_NO_SECTIONS, -9, 8, {"", "e_shnum", ""}},
    {RELAKIT_ERR_BAD_NAME_TABLE, -10, 8, {"", "e_shstrndx", "sections"}},
    {RELAKIT_ERR_BAD_SECTION_NAME, -11, 8, {"", "sh_name", "table size"}},
    {RELAKIT_ERR_NO_SYMBOL_TABLE, -12, 8, {"", "", ""}},
    {RELAKIT_ERR_MANY_SYMBOL_TABLES, -13, 8, {"", "first one", ""}},
    {RELAKIT_ERR_BAD_STRING_TABLE, -14, 8, {"", "sh_link", "sections"}},
    {RELAKIT_ERR_BAD_SYMBOL_NAME, -15, 8, {"", "st_name", "table size"}},
    {RELAKIT_ERR_PARTIAL_ENTRY, -16, 0, {"", "size", "bytes left over"}},
    {RELAKIT_ERR_SYMBOL_INDEX, -17, 0, {"offset", "", "symbols"}},
    {RELAKIT_ERR_SYMBOL_SECTION, -18, 8, {"", "st_shndx", "sections"}},
    {RELAKIT_ERR_COMMON_SYMBOL, -19, 8, {"", "size", ""}},
    {RELAKIT_ERR_UNKNOWN_SYMBOL, -20, 2, {"", "", ""}},
    {RELAKIT_ERR_SYMBOL_UNASSIGNED, -21, 0, {"offset", "symbol's section", ""}},
    {RELAKIT_ERR_VALUES_TOO_SHORT, -22, 0, {"", "entries lent", "entries needed"}},
    {RELAKIT_ERR_RESOLVER, -23, 0, {"", "its number", ""}},
    {RELAKIT_ERR_BAD_KLP_SECTION_NAME, -24, 22, {"", "", ""}},
    {RELAKIT_ERR_NOT_KLP_SYMBOL, -25, 22, {"offset", "st_shndx", ""}},
    {RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, -26, 22, {"offset", "", ""}},
    {RELAKIT_ERR_VMLINUX_FROM_MODULE, -27, 22, {"offset", "", ""}},
    {RELAKIT_ERR_KLP_NOT_FOUND, -28, 22, {"offset", "position", ""}},
    {RELAKIT_ERR_KLP_AMBIGUOUS, -29, 22, {"offset", "position", ""}},
    {RELAKIT_ERR_KLP_SYMPOS, -30, 22, {"offset", "position", ""}},
    {RELAKIT_ERR_LATE_NOT_ALLOCATED, -31, 0, {"", "sh_flags", ""}},
    {RELAKIT_ERR_TARGET_OUT_OF_RANGE, -32, 0, {"", "sh_info", "sections"}},
    {RELAKIT_ERR_TARGET_NOT_ALLOCATED, -33, 0, {"", "target", "its sh_flags"}},
    {RELAKIT_ERR_TARGET_PER_CPU, -34, 0, {"", "target", ""}},
    {RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, -35, 0, {"", "target", ""}},
    {RELAKIT_ERR_NO_RELOCATION_BYTES, -36, 22, {"", "size", ""}},
    {RELAKIT_ERR_REL_SECTION, -37, 8, {"", "target", ""}},
    {RELAKIT_ERR_UNKNOWN_TYPE, -38, 8, {"offset", "", ""}},
    {RELAKIT_ERR_OVERFLOW, -39, 8, {"offset", "value", "largest"}},
    {RELAKIT_ERR_OFFSET_OUTSIDE, -40, 0, {"offset", "field size", "section size"}},
    {RELAKIT_ERR_TARGET_NOT_ZERO, -41, 8, {"offset", "value", "existing"}},
    {RELAKIT_ERR_TARGET_MISMATCH, -42, 0, {"offset", "expected", "existing"}},
    {RELAKIT_ERR_WRITER, -43, 0, {"offset", "its number", ""}},
    {RELAKIT_ERR_SYNC, -44, 0, {"", "its number", ""}},
    {RELAKIT_ERR_NOT_UNDONE, -45, 0, {"offset", "its number", ""}},
    {RELAKIT_ERR_FIELDS_NOT_ASCENDING, -46, 0, {"offset", "", ""}},
    {RELAKIT_ERR_NOT_ASSIGNED, -47, 0, {"", "size", ""}},
    {RELAKIT_ERR_ASSIGNED_SIZE, -48, 0, {"", "bytes lent", "bytes needed"}},
    {RELAKIT_ERR_NOT_A_MODULE, -49, 22, {"", "length", ""}},
    {RELAKIT_ERR_ALREADY_LIVE, -50, 0, {"", "", ""}},
    {RELAKIT_ERR_NOT_LIVE, -51, 0, {"", "", ""}},
    {RELAKIT_ERR_RETAINED_TOO_SHORT, -52, 0, {"", "bytes lent", "bytes needed"}},
    {RELAKIT_ERR_SECTION_MOVED, -53, 0, {"", "address", "expected"}},
    {RELAKIT_ERR_TOO_MANY_OBJECTS, -54, 0, {"", "", "most"}},
    {RELAKIT_ERR_NO_SUCH_SECTION, -55, 0, {"", "index", "sections"}},
    {RELAKIT_ERR_NOT_RELOCATIONS, -56, 0, {"", "sh_type", ""}},
    {RELAKIT_ERR_TARGET_OVERLAPS, -57, 0, {"", "target", ""}},
    {RELAKIT_ERR_INDEX_TOO_SHORT, -58, 0, {"", "bytes lent", "bytes needed"}},
    {RELAKIT_ERR_MANY_SECTION_INDICES, -59, 0, {"", "first one", ""}},
    {RELAKIT_ERR_TARGET_IS_RELOCATIONS, -60, 0, {"", "target", ""}},
    {RELAKIT_ERR_ADDRESS_WRAPS, -61, 0, {"", "address", "size"}},
    {RELAKIT_ERR_RELOCATIONS_TOO_LARGE, -62, 0, {"", "bytes together", "file size"}},
    {RELAKIT_ERR_SYMBOL_UNRESOLVED, -63, 0, {"offset", "st_shndx", ""}},
    {RELAKIT_ERR_EMPTY_FILE, -64, 22, {"", "", ""}},
    {RELAKIT_ERR_KLP_NAME_OUTSIDE, -65, 0, {"", "sh_name", "table size"}},
    {RELAKIT_ERR_SHARED_BYTES, -66, 0, {"", "file offset", "size"}},
    {RELAKIT_ERR_NULL_OUTSIDE, -67, 0, {"", "file offset", "size"}},
    {RELAKIT_ERR_FLAGS_CONFLICT, -68, 0, {"", "flags", ""}},
    {RELAKIT_ERR_NULL, -101, 0, {"", "argument", ""}},
    {RELAKIT_ERR_LENGTH, -102, 0, {"", "argument", "length"}},
    {RELAKIT_ERR_ALIGNMENT, -103, 0, {"", "argument", "multiple of"}},
    {RELAKIT_ERR_STRUCT_SIZE, -104, 0, {"", "argument", "struct_size"}},
    {RELAKIT_ERR_FLAGS, -105, 0, {"", "argument", "flags"}},
    {RELAKIT_ERR_RESERVED, -106, 0, {"", "argument", ""}},
    {RELAKIT_ERR_OVERLAP, -107, 0, {"", "argument", ""}},
    {RELAKIT_ERR_ORDER, -108, 0, {"", "stage", ""}},
    {RELAKIT_ERR_STATE_TOO_SHORT, -109, 0, {"", "bytes lent", "bytes needed"}},
    {RELAKIT_ERR_NOT_A_MODULE_STATE, -110, 0, {"", "", ""}},
    {RELAKIT_ERR_BUSY, -111, 0, {"", "", ""}},
    {RELAKIT_ERR_PROFILE, -112, 0, {"", "profile", ""}},
    {RELAKIT_ERR_CALLBACK, -113, 0, {"", "argument", ""}},
    {RELAKIT_ERR_SYMBOLS, -114, 0, {"", "argument", ""}},
    {RELAKIT_ERR_NOT_AN_INDEX, -115, 0, {"", "", ""}},
};
#define STATUSES (sizeof statuses / sizeof *statuses)

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
        CHECK(text != NULL && strlen(text) > 5);
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

static void linux_answers_each_fault_with_an_errno_or_not_at_all(void)
{
    for (relakit_status status = -200; status <= 10; status++)
        EQ(relakit_linux_errno(status), known(status) == NULL ? 0 : known(status)->linux_errno);
    EQ(relakit_linux_errno(INT32_MIN), 0);
    EQ(relakit_linux_errno(INT32_MAX), 0);
}

static void the_numbers_of_a_fault_have_names(void)
{
    for (relakit_status status = -200; status <= 10; status++)
        for (uint32_t which = 0; which < 3; which++)
            TEXT(relakit_error_field_name(status, which), known(status) == NULL ? "" : known(status)->names[which]);
    CHECK(relakit_error_field_name(RELAKIT_ERR_OVERFLOW, 3) == NULL);
    CHECK(relakit_error_field_name(RELAKIT_ERR_OVERFLOW, UINT32_MAX) == NULL);
    CHECK(relakit_error_field_name(RELAKIT_OK, 3) == NULL);
    CHECK(relakit_error_field_name(INT32_MIN, UINT32_MAX) == NULL);
    TEXT(relakit_error_field_name(INT32_MIN, 0), "");
}

static void a_relocation_type_is_called_what_the_psabi_and_elf_h_call_it(void)
{
#define TYPE(name) TEXT(relakit_type_name(name), #name)
    TYPE(R_X86_64_NONE);
    TYPE(R_X86_64_64);
    TYPE(R_X86_64_PC32);
    TYPE(R_X86_64_GOT32);
    TYPE(R_X86_64_PLT32);
    TYPE(R_X86_64_COPY);
    TYPE(R_X86_64_GLOB_DAT);
    TYPE(R_X86_64_JUMP_SLOT);
    TYPE(R_X86_64_RELATIVE);
    TYPE(R_X86_64_GOTPCREL);
    TYPE(R_X86_64_32);
    TYPE(R_X86_64_32S);
    TYPE(R_X86_64_16);
    TYPE(R_X86_64_PC16);
    TYPE(R_X86_64_8);
    TYPE(R_X86_64_PC8);
    TYPE(R_X86_64_DTPMOD64);
    TYPE(R_X86_64_DTPOFF64);
    TYPE(R_X86_64_TPOFF64);
    TYPE(R_X86_64_TLSGD);
    TYPE(R_X86_64_TLSLD);
    TYPE(R_X86_64_DTPOFF32);
    TYPE(R_X86_64_GOTTPOFF);
    TYPE(R_X86_64_TPOFF32);
    TYPE(R_X86_64_PC64);
    TYPE(R_X86_64_GOTOFF64);
    TYPE(R_X86_64_GOTPC32);
    TYPE(R_X86_64_SIZE32);
    TYPE(R_X86_64_SIZE64);
    TYPE(R_X86_64_GOTPC32_TLSDESC);
    TYPE(R_X86_64_TLSDESC_CALL);
    TYPE(R_X86_64_TLSDESC);
    TYPE(R_X86_64_IRELATIVE);
    TYPE(R_X86_64_RELATIVE64);
    TYPE(R_X86_64_GOTPCRELX);
    TYPE(R_X86_64_REX_GOTPCRELX);
    /* 30 was never given out, 39 and 40 were taken back. */
    CHECK(relakit_type_name(30) == NULL);
    CHECK(relakit_type_name(39) == NULL);
    for (uint32_t type = 43; type < 1000; type++)
        CHECK(relakit_type_name(type) == NULL);
    CHECK(relakit_type_name(UINT32_MAX) == NULL);
    CHECK(relakit_type_name((uint32_t)1 << 31 | 1) == NULL);
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

static void the_archive_says_its_version(void)
{
    unsigned major, minor, patch;
    char end;
    CHECK(sscanf(relakit_version(), "%u.%u.%u%c", &major, &minor, &patch, &end) == 3);
    CHECK(relakit_version() == relakit_version());
    EQ(relakit_abi(), RELAKIT_ABI);
}

int main(void)
{
    every_status_has_its_number_and_a_sentence_of_its_own();
    linux_answers_each_fault_with_an_errno_or_not_at_all();
    the_numbers_of_a_fault_have_names();
    a_relocation_type_is_called_what_the_psabi_and_elf_h_call_it();
    classes_have_names_of_their_own();
    the_archive_says_its_version();
    return test_end("names");
}
