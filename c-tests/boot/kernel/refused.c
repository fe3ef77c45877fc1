/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Modules with one defect each. Every one must be refused where the table says, for the reason that it says, with the
 * modules' memory as it was; and after each a good module must load and run. damage.c makes them.
 */
#include "loader.h"

enum step { READ, PLACE, EARLY, COMING };

static const char *const step_names[] = { "read", "place", "early", "coming" };

struct refusal {
    const char *file;
    enum step step;
    relakit_status status;
};

static const struct refusal refusals[] = {
    { "empty.ko", READ, RELAKIT_ERR_EMPTY_FILE },
    { "not-elf.ko", READ, RELAKIT_ERR_NOT_ELF },
    { "32-bit.ko", READ, RELAKIT_ERR_BAD_IDENT },
    { "executable.ko", READ, RELAKIT_ERR_NOT_RELOCATABLE },
    { "wrong-machine.ko", READ, RELAKIT_ERR_NOT_X86_64 },
    { "header-size.ko", READ, RELAKIT_ERR_BAD_HEADER_SIZE },
    { "truncated-header.ko", READ, RELAKIT_ERR_TRUNCATED },
    { "truncated-sections.ko", READ, RELAKIT_ERR_TRUNCATED },
    { "section-outside.ko", READ, RELAKIT_ERR_TRUNCATED },
    { "name-table.ko", READ, RELAKIT_ERR_BAD_NAME_TABLE },
    { "section-name.ko", READ, RELAKIT_ERR_BAD_SECTION_NAME },
    { "no-symbol-table.ko", READ, RELAKIT_ERR_NO_SYMBOL_TABLE },
    { "string-table.ko", READ, RELAKIT_ERR_BAD_STRING_TABLE },
    { "symbol-name.ko", READ, RELAKIT_ERR_BAD_SYMBOL_NAME },
    { "shared-tables.ko", READ, RELAKIT_ERR_RELOCATIONS_TOO_LARGE },

    { "too-large.ko", PLACE, RELAKIT_ERR_NOT_ASSIGNED },
    { "alignment.ko", PLACE, RELAKIT_ERR_NOT_ASSIGNED },

    { "symbol-section.ko", EARLY, RELAKIT_ERR_SYMBOL_SECTION },
    { "common-symbol.ko", EARLY, RELAKIT_ERR_COMMON_SYMBOL },
    { "unknown-symbol.ko", EARLY, RELAKIT_ERR_UNKNOWN_SYMBOL },
    { "target-section.ko", EARLY, RELAKIT_ERR_TARGET_OUT_OF_RANGE },
    { "rel-section.ko", EARLY, RELAKIT_ERR_REL_SECTION },
    { "symbol-index.ko", EARLY, RELAKIT_ERR_SYMBOL_INDEX },
    { "unknown-type.ko", EARLY, RELAKIT_ERR_UNKNOWN_TYPE },
    { "offset-outside.ko", EARLY, RELAKIT_ERR_OFFSET_OUTSIDE },
    { "offset-last-byte.ko", EARLY, RELAKIT_ERR_OFFSET_OUTSIDE },
    { "overflow-pc32.ko", EARLY, RELAKIT_ERR_OVERFLOW },
    { "overflow-32.ko", EARLY, RELAKIT_ERR_OVERFLOW },
    { "overflow-32s.ko", EARLY, RELAKIT_ERR_OVERFLOW },
    { "non-zero.ko", EARLY, RELAKIT_ERR_TARGET_NOT_ZERO },

    { "klp-section-name.ko", EARLY, RELAKIT_ERR_BAD_KLP_SECTION_NAME },
    { "klp-target-table.ko", EARLY, RELAKIT_ERR_TARGET_IS_RELOCATIONS },
    { "klp-symbol-name.ko", EARLY, RELAKIT_ERR_BAD_KLP_SYMBOL_NAME },
    { "klp-ordinary-symbol.ko", EARLY, RELAKIT_ERR_NOT_KLP_SYMBOL },
    { "klp-unknown.ko", EARLY, RELAKIT_ERR_KLP_NOT_FOUND },
    { "klp-ambiguous.ko", EARLY, RELAKIT_ERR_KLP_AMBIGUOUS },
    { "klp-position.ko", EARLY, RELAKIT_ERR_KLP_SYMPOS },

    { "late-section-name.ko", COMING, RELAKIT_ERR_BAD_KLP_SECTION_NAME },
    { "late-symbol-name.ko", COMING, RELAKIT_ERR_BAD_KLP_SYMBOL_NAME },
    { "late-kernel-symbol.ko", COMING, RELAKIT_ERR_VMLINUX_FROM_MODULE },
    { "late-unknown.ko", COMING, RELAKIT_ERR_KLP_NOT_FOUND },
    { "late-ambiguous.ko", COMING, RELAKIT_ERR_KLP_AMBIGUOUS },
    { "late-position.ko", COMING, RELAKIT_ERR_KLP_SYMPOS },
    { "late-not-alloc.ko", COMING, RELAKIT_ERR_LATE_NOT_ALLOCATED },
    { "late-target-section.ko", COMING, RELAKIT_ERR_TARGET_OUT_OF_RANGE },
    { "late-target-in-file.ko", COMING, RELAKIT_ERR_TARGET_NOT_ALLOCATED },
    { "late-target-symbols.ko", COMING, RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE },
    { "late-target-table.ko", COMING, RELAKIT_ERR_TARGET_IS_RELOCATIONS },
    { "late-target-itself.ko", COMING, RELAKIT_ERR_TARGET_IS_RELOCATIONS },
    { "late-unknown-type.ko", COMING, RELAKIT_ERR_UNKNOWN_TYPE },
    { "late-offset-outside.ko", COMING, RELAKIT_ERR_OFFSET_OUTSIDE },
    { "late-overflow.ko", COMING, RELAKIT_ERR_OVERFLOW },
    { "late-non-zero.ko", COMING, RELAKIT_ERR_TARGET_NOT_ZERO },
};
#define REFUSALS (sizeof refusals / sizeof refusals[0])

void print_error(const struct relakit_error *error)
{
    print("%s", relakit_strerror(error->status));
    if (error->has & RELAKIT_ERROR_HAS_SECTION)
        print(", section %d", (int)error->section);
    if (error->has & RELAKIT_ERROR_HAS_ENTRY)
        print(", entry %lu", error->entry);
    if (error->has & RELAKIT_ERROR_HAS_TYPE)
        print(", %s", relakit_type_name(error->r_type));
    if (error->has & RELAKIT_ERROR_HAS_SYMBOL)
        print(", symbol %lu", (uint64_t)error->symbol);
    for (uint32_t i = 0; i < 3; i++) {
        const uint64_t number[] = { error->offset, error->value, error->limit };
        const char *name = relakit_error_field_name(error->status, i);
        if (*name)
            print(", %s 0x%lx", name, number[i]);
    }
    print("\n");
}

/* Takes a module as far as it gets; memory_remember is called before what may fail. */
static relakit_status load_until_refused(struct module *module, const struct file *file, enum step *step,
                                         struct relakit_error *error)
{
    relakit_status status;

    memory_remember();
    status = module_prepare(module, "refused", file, error);
    *step = module->relakit ? PLACE : READ;
    if (status != RELAKIT_OK)
        return status;
    memory_remember();
    *step = EARLY;
    status = module_relocate(module, error);
    if (status != RELAKIT_OK)
        return status;
    memory_remember();
    *step = COMING;
    return module_coming(module, "target", error);
}

static bool good_module_runs(void)
{
    static struct module module;
    struct relakit_error error;
    int result;

    if (module_load(&module, "good", boot_file_named("plain.ko"), &error) != RELAKIT_OK)
        return false;
    result = module_call(&module, "plain_run", 3);
    module_unload(&module);
    return result == 3004;
}

static void refuse(const struct refusal *refusal)
{
    static struct module module;
    struct relakit_error error = { .status = RELAKIT_OK };
    enum step step;
    relakit_status status = load_until_refused(&module, boot_file_named(refusal->file), &step, &error);
    bool is_refused = status == refusal->status && error.status == status && step == refusal->step;
    bool is_unchanged = memory_is_unchanged(), is_good;

    module_unload(&module);
    is_good = good_module_runs();
    verdict(is_refused && is_unchanged && is_good);
    print("%s: %s: ", refusal->file, step_names[step]);
    print_error(&error);
    if (!is_refused)
        print("    it should be %s: %s\n", step_names[refusal->step], relakit_strerror(refusal->status));
    if (!is_unchanged)
        print("    it has changed memory\n");
    if (!is_good)
        print("    a good module does not load any more\n");
}

void refuse_all(void)
{
    size_t files = 0;

    for (size_t i = 0; i < REFUSALS; i++)
        refuse(&refusals[i]);
    while (boot_file(files))
        files++;
    check(files == REFUSALS + 3, "refused: every file but plain.ko, target.ko and patch.ko was tried");
}
