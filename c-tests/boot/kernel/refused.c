/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Modules with one defect each. Every one must be refused where the table says, for the reason that it says, with the
 * modules' memory as it was; and after each a good module must load and run.
 */
#include "../../unit/faults/defects.h"
#include "loader.h"

static const char *const step_names[] = { "read", "place", "early", "coming" };

struct refusal {
    const char *file;
    enum step step;
    relakit_status status;
};

static const struct refusal refusals[] = {
#define DEFECT(name, base, step, status) { #name ".ko", step, RELAKIT_##status },
    DEFECTS
#undef DEFECT
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
    return result == 3128;
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
    check(files == REFUSALS + 4, "refused: every file but plain.ko, pic.ko, target.ko and patch.ko was tried");
}
