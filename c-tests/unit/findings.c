/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: what Linux would not notice about a module is told, of the file and of one section, and wrong calls are answered. */

#include "module.h"

/* The rules by number: a name or a severity here never changes. */
static const struct rule {
    const char *name;
    int32_t severity;
} rules[] = {
    {"object-name-cut", 2},
    {"object-name-hyphen", 2},
    {"object-name-case", 2},
    {"object-name-dot", 2},
    {"sympos-trailing-text", 2},
    {"sympos-too-large", 2},
    {"klp-name-without-flag", 3},
    {"klp-flag-without-name", 3},
    {"klp-names-other-target", 2},
    {"klp-symbol-name-width", 1},
    {"object-not-patched", 2},
    {"third-module-symbol", 2},
    {"module-symbol-in-vmlinux-section", 2},
    {"klp-symbol-shared", 2},
    {"ordinary-uses-klp-symbol", 2},
    {"late-not-allocated", 3},
    {"late-into-init", 3},
    {"late-target-not-allocated", 3},
    {"klp-relocations-skipped", 2},
    {"relocations-skipped", 1},
    {"target-out-of-range", 3},
    {"partial-entry", 2},
    {"pc32-truncated", 3},
    {"repeated-field", 3},
    {"overlapping-fields", 3},
    {"late-field-not-zero", 3},
    {"late-into-special-section", 3},
    {"late-into-rewritten-code", 3},
    {"klp-arch-leftover", 2},
    {"sympos-not-needed", 1},
    {"sympos-missing", 3},
    {"half-applied", 3},
    {"not-cleared", 3},
    {"never-cleared", 2},
    {"klp-symbol-not-marked", 3},
};
#define RULES ((int32_t)(sizeof rules / sizeof *rules))

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
    EQ(finding->severity, rules[finding->lint - 1].severity);
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
#define SCRATCH SECTIONS
static uint64_t scratch[SCRATCH];

static relakit_status findings(uint32_t kernel, uint64_t *lent, size_t count)
{
    found_count = 0;
    return relakit_module_findings(module, kernel, lent, count, note, &context, fresh());
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

static void every_rule_has_its_number_and_its_texts(void)
{
    for (int32_t rule = 1; rule <= RULES; rule++) {
        const char *help = relakit_lint_help(rule), *message = relakit_lint_message(rule);
        TEXT(relakit_lint_name(rule), rules[rule - 1].name);
        CHECK(message != NULL && strlen(message) > 20 && message[strlen(message) - 1] != '.');
        CHECK(help != NULL && strlen(help) > 5 && help[strlen(help) - 1] != '.');
        for (uint32_t which = 0; which < 4; which++)
            CHECK(relakit_lint_field_name(rule, which) != NULL);
        CHECK(relakit_lint_field_name(rule, 4) == NULL && relakit_lint_field_name(rule, UINT32_MAX) == NULL);
    }
    static const int32_t none[] = {0, -1, RULES + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        CHECK(relakit_lint_name(none[i]) == NULL && relakit_lint_message(none[i]) == NULL);
        CHECK(relakit_lint_help(none[i]) == NULL && relakit_lint_field_name(none[i], 0) == NULL);
    }
    TEXT(relakit_lint_field_name(1, 0), "");
    TEXT(relakit_lint_field_name(1, 1), "length");
    TEXT(relakit_lint_field_name(1, 2), "most");
    TEXT(relakit_lint_field_name(24, 0), "offset");
    TEXT(relakit_lint_field_name(24, 3), "relocation of the same field");
}

/* The module enables no livepatch, so that none of its objects is patched. Nothing else is wrong with it. */
static void what_the_file_tells(void)
{
    static const uint32_t late[] = {LATE1, LATE2, TWO_};
    start(0);
    ACCEPTS(module_start());
    for (int again = 0; again < 2; again++) {
        ACCEPTS(findings(0, scratch, SCRATCH));
        EQ(found_count, 3);
        for (uint32_t i = 0; i < 3; i++) {
            TEXT(relakit_lint_name(found[i].lint), "object-not-patched");
            EQ(found[i].has, RELAKIT_ERROR_HAS_SECTION);
            EQ(found[i].section, late[i]);
        }
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
    file_header(LATE2)->sh_size -= 1;
    file_header(TWO_)->sh_info = TEXT_;
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

    ACCEPTS(of_section(LATE2, 0));
    EQ(found_count, 1);
    EQ(told("partial-entry"), 1);
    EQ(last.value, 47);
    EQ(last.limit, 23);

    ACCEPTS(of_section(TWO_, 0));
    EQ(found_count, 2);
    EQ(told("klp-names-other-target"), 1);
    EQ(last.value, TEXT_);
    EQ(told("third-module-symbol"), 1);
    EQ(last.has, RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL);
    EQ(last.symbol, F);
    EQ(last.offset, 32);

    /* The sections share a symbol. */
    ACCEPTS(findings(0, scratch, SCRATCH));
    EQ(told("klp-symbol-shared"), 1);
    EQ(last.has, RELAKIT_ERROR_HAS_SECTION | RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_SYMBOL | RELAKIT_ERROR_HAS_OTHER_SECTION);
    EQ(last.section, TWO_);
    EQ(last.other_section, LATE1);
    EQ(found_count, 3 + 1 + 1 + 2 + 1);
}

/* All findings, or an error that says how many entries are needed. */
static void a_short_scratch_is_refused(void)
{
    start(0);
    ACCEPTS(module_start());
    for (size_t count = 0; count < SCRATCH; count++) {
        REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, count, findings(0, scratch, count));
        EQ(fault.limit, SCRATCH);
        EQ(found_count, 0);
    }
    REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, 0, findings(0, NULL, 0));
    EQ(fault.limit, SCRATCH);
    EQ(found_count, 0);
    ACCEPTS(findings(0, scratch, SCRATCH));
    EQ(found_count, 3);
}

static void a_kernel_tells_what_is_read_early(void)
{
    static const struct {
        uint32_t profile, kernel;
        unsigned too_late, never_cleared;
    } rows[] = {
        {0, 0, 1, 0},
        {RELAKIT_LINUX(6, 1), 0, 0, 1},
        {RELAKIT_LINUX(6, 1), RELAKIT_LINUX(6, 1), 0, 1},
        {RELAKIT_LINUX(6, 2), RELAKIT_LINUX(6, 2), 1, 1}, /* of which the profile is 6.1 */
        {RELAKIT_LINUX(6, 3), RELAKIT_LINUX(6, 3), 1, 0},
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
        ACCEPTS(findings(rows[i].kernel, scratch, SCRATCH));
        EQ(told("late-into-special-section"), rows[i].too_late);
    }
}

static void call_again(void)
{
    struct relakit_module_info info = {.struct_size = sizeof info};
    EQ(relakit_module_describe(module, &info, NULL), RELAKIT_ERR_BUSY);
    EQ(relakit_module_findings(module, 0, NULL, 0, note, &context, NULL), RELAKIT_ERR_BUSY);
    TEXT(relakit_lint_name(1), "object-name-cut"); /* what takes no module may be called */
}

static void wrong_calls_are_refused_and_report_nothing(void)
{
    static const uint32_t kernels[] = {RELAKIT_PROFILE_ELF, 2, RELAKIT_LINUX(5, 7), RELAKIT_LINUX(0, 65535)};
    size_t state_size = relakit_module_size();
    start(0);
    ACCEPTS(module_start());
    found_count = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        REFUSES(RELAKIT_ERR_PROFILE, kernels[i], findings(kernels[i], NULL, 0));
        REFUSES(RELAKIT_ERR_PROFILE, kernels[i], of_section(LATE1, kernels[i]));
    }
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, SECTIONS, of_section(SECTIONS, 0));
    EQ(fault.limit, SECTIONS);
    REFUSES(RELAKIT_ERR_NO_SUCH_SECTION, UINT32_MAX, of_section(UINT32_MAX, 0));
    REFUSES(RELAKIT_ERR_CALLBACK, 5, relakit_module_findings(module, 0, NULL, 0, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_CALLBACK, 4, relakit_module_section_findings(module, LATE1, 0, NULL, NULL, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 3, findings(0, NULL, 1));
    REFUSES(RELAKIT_ERR_LENGTH, 3, findings(0, scratch, SIZE_MAX));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 3, findings(0, (uint64_t *)(void *)((char *)scratch + 4), SCRATCH - 1));
    REFUSES(RELAKIT_ERR_OVERLAP, 3, findings(0, (uint64_t *)state, 1));
    REFUSES(RELAKIT_ERR_OVERLAP, 3, findings(0, (uint64_t *)(void *)((char *)state + state_size - 8), 1));
    REFUSES(RELAKIT_ERR_OVERLAP, 3, findings(0, (uint64_t *)(void *)file, 1));
    EQ(found_count, 0);
    then = call_again;
    ACCEPTS(findings(0, scratch, SCRATCH));
    EQ(found_count, 3);
    then = NULL;
    for (int stage = RELAKIT_STAGE_PARSED; stage <= RELAKIT_STAGE_LATE; stage++) {
        module_reset(stage, 0, 0);
        if (stage < RELAKIT_STAGE_LATE) {
            ACCEPTS(findings(0, scratch, SCRATCH));
            EQ(found_count, 3);
            ACCEPTS(of_section(LATE1, 0));
            EQ(found_count, 0);
        } else {
            REFUSES(RELAKIT_ERR_ORDER, stage, findings(0, scratch, SCRATCH));
            REFUSES(RELAKIT_ERR_ORDER, stage, of_section(LATE1, 0));
            EQ(found_count, 0);
        }
        EQ(relakit_module_stage(module), stage);
    }
}

/* Every byte of the file is changed. What holds for findings holds, and nothing is written. */
static void no_changed_byte_leads_astray(void)
{
    static const unsigned char changes[] = {0x01, 0x80, 0xff};
    unsigned long findings_told = 0;
    size_t size;
    start(0);
    size = file_size;
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            unsigned char *was;
            uint64_t *lent;
            size_t count;
            struct relakit_module_info info = {.struct_size = sizeof info};
            file_build();
            file[at] = (unsigned char)(file[at] ^ changes[i]);
            if (module_start() < 0)
                continue;
            was = (unsigned char *)copy_of(file, file_size);
            ACCEPTS(relakit_module_describe(module, &info, fresh()));
            count = info.symbol_count > info.section_count ? info.symbol_count : info.section_count;
            lent = (uint64_t *)malloc(count * sizeof *lent);
            if (!CHECK(lent != NULL))
                abort();
            ACCEPTS(findings(0, lent, count));
            findings_told += found_count;
            free(lent);
            for (uint32_t index = 0; index < info.section_count; index++)
                ACCEPTS(of_section(index, 0));
            SAME(file, was, file_size);
            free(was);
        }
    CHECK(findings_told > size);
}

int main(void)
{
    every_rule_has_its_number_and_its_texts();
    what_the_file_tells();
    where_it_is_and_how_much();
    a_short_scratch_is_refused();
    a_kernel_tells_what_is_read_early();
    wrong_calls_are_refused_and_report_nothing();
    no_changed_byte_leads_astray();
    return module_test_end("findings");
}
