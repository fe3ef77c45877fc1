/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: what Linux would not notice about a module is told, of the file and of one section, and wrong calls are answered. */

#include "module.h"

#define RULES 50

/* What was reported. */
static struct relakit_finding found[400];
static unsigned found_count;
static char context;
static void (*then)(void);

/* What holds for every finding. */
static void note(void *ctx, const struct relakit_finding *finding)
{
    static const uint32_t has[] = {RELAKIT_ERROR_HAS_SECTION, RELAKIT_ERROR_HAS_ENTRY, RELAKIT_ERROR_HAS_SYMBOL, RELAKIT_ERROR_HAS_OTHER_SECTION,
                                   RELAKIT_ERROR_HAS_OTHER_ENTRY};
    uint64_t members[] = {finding->section, finding->entry, finding->symbol, finding->other_section, finding->other_entry};
    uint64_t numbers[] = {finding->offset, finding->value, finding->limit};
    uint32_t unknown = finding->has;
    CHECK(ctx == &context);
    if (!CHECK(finding->lint >= 1 && finding->lint <= RULES))
        return;
    CHECK(finding->severity >= RELAKIT_SEVERITY_INFO && finding->severity <= RELAKIT_SEVERITY_ERROR);
    for (int i = 0; i < 5; i++) {
        unknown &= ~has[i];
        if (!(finding->has & has[i]))
            EQ(members[i], 0);
    }
    EQ(unknown, 0);
    for (uint32_t i = 0; i < 3; i++)
        if (relakit_lint_field_name(finding->lint, i)[0] == 0)
            EQ(numbers[i], 0);
    if (finding->has & RELAKIT_ERROR_HAS_OTHER_SECTION)
        CHECK(relakit_lint_field_name(finding->lint, 3)[0] != 0);
    CHECK(finding->section < SECTIONS || !(finding->has & RELAKIT_ERROR_HAS_SECTION));
    if (found_count < sizeof found / sizeof *found)
        found[found_count] = *finding;
    found_count++;
    if (then != NULL)
        then();
}

/* The module has more sections than symbols. */
static uint64_t room[SECTIONS];

static relakit_status of_file(uint32_t kernel)
{
    found_count = 0;
    return relakit_module_findings(module, kernel, room, SECTIONS, note, &context, fresh());
}

static relakit_status of_section(uint32_t index, uint32_t kernel)
{
    found_count = 0;
    return relakit_module_section_findings(module, index, kernel, note, &context, fresh());
}

/* Findings of a rule, and the last of them. */
static struct relakit_finding last;
static unsigned told(const char *name)
{
    unsigned count = 0;
    memset(&last, 0, sizeof last);
    for (unsigned i = 0; i < found_count; i++)
        if (strcmp(relakit_lint_name(found[i].lint), name) == 0) {
            last = found[i];
            count++;
        }
    return count;
}

static void start(uint32_t profile)
{
    module_reset(RELAKIT_STAGE_PARSED, 0, profile);
    file_build();
}

/* linux/src/findings/lint.rs has the lints and their texts. */
static void every_rule_has_its_texts(void)
{
    static const int32_t none[] = {0, -1, RULES + 1, INT32_MAX, INT32_MIN};
    for (int32_t rule = 1; rule <= RULES; rule++) {
        const char *help = relakit_lint_help(rule), *message = relakit_lint_message(rule);
        CHECK(relakit_lint_name(rule) != NULL && strlen(relakit_lint_name(rule)) > 5);
        CHECK(message != NULL && strlen(message) > 20 && message[strlen(message) - 1] != '.');
        CHECK(help != NULL && strlen(help) > 5 && help[strlen(help) - 1] != '.');
        for (uint32_t which = 0; which < 4; which++)
            CHECK(relakit_lint_field_name(rule, which) != NULL);
        CHECK(relakit_lint_field_name(rule, 4) == NULL && relakit_lint_field_name(rule, UINT32_MAX) == NULL);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        CHECK(relakit_lint_name(none[i]) == NULL && relakit_lint_message(none[i]) == NULL);
        CHECK(relakit_lint_help(none[i]) == NULL && relakit_lint_field_name(none[i], 0) == NULL);
    }
    TEXT(relakit_lint_name(1), "object-name-cut");
    TEXT(relakit_lint_name(RULES), "not-converted");
    TEXT(relakit_lint_field_name(1, 0), "");
    TEXT(relakit_lint_field_name(1, 1), "length");
    TEXT(relakit_lint_field_name(1, 2), "maximum");
    TEXT(relakit_lint_field_name(24, 0), "offset");
    TEXT(relakit_lint_field_name(24, 3), "relocation of the same field");
}

/* The module enables no livepatch, so that none of its objects is patched. Nothing else is wrong with it. */
static void what_the_file_tells(void)
{
    static const uint32_t late[] = {LATE1, LATE2, TWO_};
    start(0);
    ACCEPTS(module_start());
    ACCEPTS(of_file(0));
    EQ(found_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        TEXT(relakit_lint_name(found[i].lint), "object-not-patched");
        EQ(found[i].has, RELAKIT_ERROR_HAS_SECTION);
        EQ(found[i].section, late[i]);
    }
    for (uint32_t i = 0; i < SECTIONS; i++) {
        ACCEPTS(of_section(i, 0));
        EQ(found_count, 0);
    }
}

static void where_it_is_and_how_much(void)
{
    start(0);
    ((unsigned char *)file_section(TEXT_))[57] = 0x12; /* in the field of LATE1's second relocation */
    ((Elf64_Rela *)file_section(TWO_))->r_info = (uint64_t)F << 32 | R_X86_64_64;
    ACCEPTS(module_start());

    ACCEPTS(of_section(LATE1, 0));
    EQ(found_count, 1);
    EQ(told("late-field-not-zero"), 1);
    EQ(last.has, RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY);
    EQ(last.section, LATE1);
    EQ(last.entry, 1);
    EQ(last.offset, 56);
    EQ(last.value, 0x1200);
    EQ(last.severity, RELAKIT_SEVERITY_ERROR);

    /* The sections share a symbol. */
    ACCEPTS(of_file(0));
    EQ(told("klp-symbol-shared"), 1);
    EQ(last.has, RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_OTHER_SECTION);
    EQ(last.section, TWO_);
    EQ(last.other_section, LATE1);
}

static void a_kernel_tells_what_is_read_early(void)
{
    static const struct {
        uint32_t profile, kernel;
        unsigned too_late, never_cleared;
    } rows[] = {
        {0, 0, 1, 0},
        {RELAKIT_LINUX(6, 1), 0, 0, 1},
        {RELAKIT_LINUX(6, 2), RELAKIT_LINUX(6, 2), 1, 1}, /* of which the profile is 6.1 */
        {RELAKIT_PROFILE_ELF, 0, 0, 0},
        {RELAKIT_PROFILE_ELF, RELAKIT_LINUX(7, 3), 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start(rows[i].profile);
        file_header(TWO_)->sh_info = JUMP;
        strcpy((char *)file_section(SHSTRTAB) + file_header(JUMP)->sh_name, ".call_sites");
        ACCEPTS(module_start());
        ACCEPTS(of_section(TWO_, rows[i].kernel));
        EQ(told("late-into-special-section"), rows[i].too_late);
        if (rows[i].too_late)
            EQ(last.other_section, JUMP);
        EQ(told("never-cleared"), rows[i].never_cleared);
        ACCEPTS(of_file(rows[i].kernel));
        EQ(told("late-into-special-section"), rows[i].too_late);
    }
}

static void call_again(void)
{
    for (size_t i = 0; i < CALLS; i++)
        EQ(calls[i].call(), RELAKIT_ERR_BUSY);
    TEXT(relakit_lint_name(1), "object-name-cut"); /* a function that takes no module can be called */
}

static void wrong_calls_are_refused_and_report_nothing(void)
{
    static const uint32_t kernels[] = {RELAKIT_PROFILE_ELF, 2, RELAKIT_LINUX(5, 7), RELAKIT_LINUX(0, 65535)};
    start(0);
    ACCEPTS(module_start());
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        REFUSES(RELAKIT_ERR_PROFILE, kernels[i], of_file(kernels[i]));
        EQ(found_count, 0);
        REFUSES(RELAKIT_ERR_PROFILE, kernels[i], of_section(LATE1, kernels[i]));
        EQ(found_count, 0);
    }
    for (size_t i = 0; i < FAMILY_NUMBERS; i++) {
        if (family_numbers[i].family == PROFILES)
            continue;
        REFUSES(RELAKIT_ERR_PROFILE, family_numbers[i].number, of_file(family_numbers[i].number));
        REFUSES(RELAKIT_ERR_PROFILE, family_numbers[i].number, of_section(LATE1, family_numbers[i].number));
    }
    EQ(found_count, 0);
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, SECTIONS, of_section(SECTIONS, 0));
    EQ(fault.limit, SECTIONS);
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, UINT32_MAX, of_section(UINT32_MAX, 0));
    REFUSES(RELAKIT_ERR_CALLBACK, 5, relakit_module_findings(module, 0, NULL, 0, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_CALLBACK, 4, relakit_module_section_findings(module, LATE1, 0, NULL, NULL, fresh()));
    EQ(found_count, 0);
    then = call_again;
    fresh();
    EQ(of_file(0), RELAKIT_OK);
    EQ(found_count, 3);
    then = NULL;
}

int main(void)
{
    every_rule_has_its_texts();
    what_the_file_tells();
    where_it_is_and_how_much();
    a_kernel_tells_what_is_read_early();
    wrong_calls_are_refused_and_report_nothing();
    return module_test_end("findings");
}
