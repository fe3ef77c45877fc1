/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Steps of level 1, of names, and of the functions that tell what a number means. And of the controls. */

#include "steps.h"

#define UNKNOWN UINT32_C(0x7fffffff)

static unsigned char *target_bytes;
static struct relakit_symbols symbols;
static struct relakit_target target;
static struct relakit_options options = {.struct_size = sizeof options};
static Elf64_Rela *table;

static relakit_status apply(void)
{
    return relakit_apply(table, things * sizeof *table, &symbols, &target, &options, fresh());
}

static relakit_status clear(void)
{
    return relakit_clear(table, things * sizeof *table, &symbols, &target, &options, fresh());
}

static relakit_status check(void)
{
    return relakit_dry_run(table, things * sizeof *table, &symbols, &target, &options, fresh());
}

static relakit_status apply_small(void)
{
    return relakit_apply_small(table, things * sizeof *table, symbols.values, things, target_bytes, things * 8, BASE, NULL);
}

/* What the table makes of the target, at another place. */
static unsigned char *running;

static int32_t running_read(void *ctx, uint64_t address, void *bytes, size_t size)
{
    (void)ctx;
    memcpy(bytes, running + (address - BASE), size);
    return 0;
}

static relakit_status verify(void)
{
    struct relakit_verifier of = {.struct_size = sizeof of, .read = running_read};
    struct relakit_verified out = {.struct_size = sizeof out};
    return relakit_verify(table, things * sizeof *table, &symbols, &target, &options, &of, &out, fresh());
}

/* The types of a table's entries, over and over. */
static const uint32_t common[] = {R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_32S, R_X86_64_PC64};
static const uint32_t others[] = {R_X86_64_32, R_X86_64_NONE, R_X86_64_8, R_X86_64_PC16};
static const uint32_t mixed[] = {R_X86_64_PC32, R_X86_64_32};
enum order { ASCENDING, DESCENDING, ONE_FIELD };

static const struct {
    const char *what;
    const uint32_t *types;
    uint32_t count;
    enum order order;
} tables[] = {
    {"common types", common, 5, ASCENDING}, /* 1000 is a multiple of each count. */
    {"other types", others, 4, ASCENDING},
    {"common and other types in turn", mixed, 2, ASCENDING},
    {"common types, descending", common, 5, DESCENDING},
    {"common and other types in turn, one field", mixed, 2, ONE_FIELD},
};
#define TABLES (sizeof tables / sizeof *tables)

/* Each entry has a symbol of its own, and a field of eight bytes that comes to hold 1. Where all have one field it comes to
 * hold 0, so that each finds it as it should be. */
static void make_table(size_t kind, uint32_t size)
{
    uint64_t *values;
    arena_used = 0;
    things = size;
    table = (Elf64_Rela *)lend(size * sizeof *table);
    target_bytes = (unsigned char *)lend(size * 8);
    running = (unsigned char *)lend(size * 8);
    values = (uint64_t *)lend(size * sizeof *values);
    for (uint32_t i = 0; i < size; i++) {
        running[8 * (size_t)i] = tables[kind].order != ONE_FIELD;
        uint32_t type = tables[kind].types[i % tables[kind].count];
        uint64_t offset = 8 * (tables[kind].order == ASCENDING    ? (uint64_t)i
                               : tables[kind].order == DESCENDING ? (uint64_t)(size - 1 - i)
                                                                  : 0);
        int relative = type == R_X86_64_PC32 || type == R_X86_64_PLT32 || type == R_X86_64_PC64 || type == R_X86_64_PC16;
        values[i] = BASE + i;
        table[i] = rela(offset, i, type, (int64_t)((relative ? BASE + offset : 0) - values[i]));
        table[i].r_addend += tables[kind].order != ONE_FIELD;
    }
    symbols.values = values;
    symbols.count = size;
}

enum fault { NO_FAULT, ENTRY, FIELD, SYNC };

/* Counts one function with one kind of table. */
static void count_table(const char *name, counted *call, size_t kind, int written, enum fault at, uint32_t flags)
{
    int clears = call == clear, ordered = tables[kind].order == ASCENDING;
    static const char *const faults[] = {"", ", the last entry at fault", ", the last field at fault", ", sync fails"};
    for (size_t t = 0; t < TIMES; t++) {
        relakit_status want = RELAKIT_OK;
        char what[200];
        make_table(kind, 1000 * times[t]);
        behind = target_bytes;
        sync_fails = 0;
        options.flags = RELAKIT_OPT_EXTRA_TYPES | flags;
        target.bytes = written ? NULL : target_bytes;
        target.size = things * 8;
        target.address = BASE;
        target.writer = written ? &writer : NULL;
        if (clears)
            EQ(apply(), RELAKIT_OK);
        /* Clearing begins with the last entry, but what is behind a writer and ascends is read before from the first on. */
        if (at == ENTRY || at == FIELD) {
            uint32_t last = clears && !(written && ordered) ? 0 : things - 1;
            if (at == ENTRY)
                table[last].r_info = (uint64_t)last << 32 | UNKNOWN;
            else
                target_bytes[table[last].r_offset] ^= 1;
            want = at == ENTRY ? RELAKIT_ERR_UNKNOWN_TYPE : clears ? RELAKIT_ERR_TARGET_MISMATCH : RELAKIT_ERR_TARGET_NOT_ZERO;
        }
        sync_fails = at == SYNC;
        if (at == SYNC)
            want = flags & RELAKIT_OPT_ALLOW_NONZERO && !clears ? RELAKIT_ERR_NOT_UNDONE : RELAKIT_ERR_SYNC;
        /* In plain memory a dry run ends at the second field; behind a writer every entry is looked at by itself first. */
        int stops = call == check && !written && !ordered;
        if (stops || (call == check && !ordered && at == NO_FAULT))
            want = RELAKIT_ERR_FIELDS_NOT_ASCENDING;
        snprintf(what, sizeof what, "%s: %s%s%s%s", name, tables[kind].what, written ? ", behind a writer" : "",
                 flags ? ", any bytes before" : "", faults[at]);
        count_steps(stops ? CONSTANT : LINEAR, what, things, call, want);
    }
}

static void count_tables(void)
{
    static const struct {
        const char *name;
        counted *call;
    } calls[] = {{"relakit_apply", apply}, {"relakit_clear", clear}, {"relakit_dry_run", check}};
    for (size_t c = 0; c < 3; c++)
        for (size_t kind = 0; kind < TABLES; kind++)
            for (int written = 0; written < 2; written++) {
                count_table(calls[c].name, calls[c].call, kind, written, NO_FAULT, 0);
                count_table(calls[c].name, calls[c].call, kind, written, ENTRY, 0);
                if (tables[kind].order != ONE_FIELD)
                    count_table(calls[c].name, calls[c].call, kind, written, FIELD, 0);
                if (written && calls[c].call != check)
                    count_table(calls[c].name, calls[c].call, kind, written, SYNC, 0);
            }
    for (size_t kind = 0; kind < TABLES; kind++) {
        if (tables[kind].types == others) /* It knows only the types that need no option. */
            continue;
        count_table("relakit_apply_small", apply_small, kind, 0, NO_FAULT, 0);
        count_table("relakit_apply_small", apply_small, kind, 0, ENTRY, 0);
        if (tables[kind].order != ONE_FIELD)
            count_table("relakit_apply_small", apply_small, kind, 0, FIELD, 0);
    }
    for (size_t kind = 0; kind < TABLES; kind++) {
        count_table("relakit_verify", verify, kind, 0, NO_FAULT, 0); /* others: R_X86_64_NONE makes differences */
        count_table("relakit_verify", verify, kind, 0, ENTRY, 0);
    }
    count_table("relakit_apply", apply, 2, 0, NO_FAULT, RELAKIT_OPT_ALLOW_NONZERO);
    count_table("relakit_apply", apply, 2, 0, ENTRY, RELAKIT_OPT_ALLOW_NONZERO);
    count_table("relakit_apply", apply, 1, 1, SYNC, RELAKIT_OPT_ALLOW_NONZERO);
}

/* Names of any length. */
static char *text;
static const char *text_begin;
static int text_fill;

static void make_text(void)
{
    text = (char *)lend(things);
    memset(text, text_fill, things);
    memcpy(text, text_begin, strlen(text_begin));
}

static relakit_status section_name(void)
{
    struct relakit_klp_section_name parts = {.struct_size = sizeof parts};
    return relakit_parse_klp_section_name(text, things, &parts);
}

static relakit_status symbol_name(void)
{
    struct relakit_klp_symbol_name parts = {.struct_size = sizeof parts};
    return relakit_parse_klp_symbol_name(text, things, 0, &parts);
}

static void count_names(void)
{
    static const struct {
        const char *what, *grows, *begin;
        int fill;
        counted *call;
        relakit_status want;
    } rows[] = {
        {"relakit_parse_klp_section_name: a long object", CONSTANT, ".klp.rela.", 'o', section_name, RELAKIT_OK},
        {"relakit_parse_klp_section_name: a long section", CONSTANT, ".klp.rela.o.", '.', section_name, RELAKIT_OK},
        {"relakit_parse_klp_section_name: dots", CONSTANT, ".klp.rela.", '.', section_name,
         RELAKIT_ERR_BAD_KLP_SECTION_NAME},
        {"relakit_parse_klp_symbol_name: a long object", CONSTANT, ".klp.sym.", 'o', symbol_name,
         RELAKIT_ERR_BAD_KLP_SYMBOL_NAME},
        {"relakit_parse_klp_symbol_name: a long name", CONSTANT, ".klp.sym.o.", 'n', symbol_name,
         RELAKIT_ERR_BAD_KLP_SYMBOL_NAME},
        {"relakit_parse_klp_symbol_name: a long position", LINEAR, ".klp.sym.o.n,", '9', symbol_name, RELAKIT_OK},
        {"relakit_parse_klp_symbol_name: white space", LINEAR, ".klp.sym.o.n,", ' ', symbol_name,
         RELAKIT_ERR_BAD_KLP_SYMBOL_NAME},
        {"relakit_parse_klp_symbol_name: a long rest", CONSTANT, ".klp.sym.o.n,1", 'r', symbol_name, RELAKIT_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        text_begin = rows[i].begin;
        text_fill = rows[i].fill;
        count_things(rows[i].grows, rows[i].what, 1000, make_text, rows[i].call, rows[i].want);
    }
}

/* What is given one number, which no table knows. */
static relakit_status strerror_of(void) { return relakit_strerror(-(relakit_status)things) == NULL; }
static relakit_status linux_errno(void) { return relakit_linux_errno(-(relakit_status)things); }
static relakit_status error_field_name(void) { return relakit_error_field_name(-(relakit_status)things, 2) == NULL; }
static relakit_status abi(void) { return relakit_abi() != RELAKIT_ABI; }
static relakit_status version(void) { return relakit_version() == NULL; }
static relakit_status type_name(void) { return relakit_type_name(things) != NULL; }
static relakit_status class_name(void) { return relakit_class_name(things) != NULL; }
static relakit_status rule_name(void) { return relakit_lint_name((int32_t)things) != NULL; }
static relakit_status rule_message(void) { return relakit_lint_message((int32_t)things) != NULL; }
static relakit_status rule_help(void) { return relakit_lint_help((int32_t)things) != NULL; }
static relakit_status lint_field_name(void) { return relakit_lint_field_name((int32_t)things, 0) != NULL; }
static relakit_status role_name(void) { return relakit_role_name(things) != NULL; }
static relakit_status relocate(void)
{
    uint32_t field = 0;
    return relakit_relocate(things, 1, 2, BASE, &field, sizeof field, NULL, fresh()) != RELAKIT_ERR_UNKNOWN_TYPE;
}
static relakit_status error_format(void)
{
    struct relakit_error error = {.status = RELAKIT_ERR_OVERFLOW, .has = UINT32_MAX, .section = things % 10, .value = UINT64_MAX - things};
    char line[300];
    return relakit_error_format(&error, NULL, line, sizeof line) < 60;
}
static relakit_status module_size(void) { return relakit_module_size() == 0; }
static relakit_status module_align(void) { return relakit_module_align() != RELAKIT_MODULE_ALIGN; }

static void count_numbers(void)
{
    static const struct {
        const char *name;
        counted *call;
    } rows[] = {
        {"relakit_strerror", strerror_of}, {"relakit_linux_errno", linux_errno}, {"relakit_error_field_name", error_field_name},
        {"relakit_abi", abi}, {"relakit_version", version}, {"relakit_type_name", type_name},
        {"relakit_class_name", class_name}, {"relakit_lint_name", rule_name}, {"relakit_lint_message", rule_message},
        {"relakit_lint_help", rule_help}, {"relakit_lint_field_name", lint_field_name},
        {"relakit_role_name", role_name}, {"relakit_relocate", relocate}, {"relakit_error_format", error_format},
        {"relakit_module_size", module_size}, {"relakit_module_align", module_align},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char what[100];
        snprintf(what, sizeof what, "%s: a number", rows[i].name);
        count_things(CONSTANT, what, 1000, NULL, rows[i].call, 0);
    }
}

/* The controls: what judge.awk must notice. Volatile, so that the compiler leaves them as they are. */
static volatile uint64_t sum;

static void work(uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        sum += i;
}

/* Each name is looked for among those before it. */
static relakit_status search(void)
{
    for (uint32_t i = 0; i < things; i++)
        work(i);
    return RELAKIT_OK;
}

/* A lot to do for each thing, and a little more for every hundred things before it. */
static relakit_status hidden_search(void)
{
    for (uint32_t i = 0; i < things; i++)
        work(100 + i / 100);
    return RELAKIT_OK;
}

/* Things are halved until one is left, as sorting does. */
static relakit_status halve(void)
{
    for (uint32_t part = things; part > 1; part /= 2)
        work(things);
    return RELAKIT_OK;
}

static relakit_status look(void)
{
    work(things);
    return RELAKIT_OK;
}

static relakit_status once(void)
{
    work(1000);
    return RELAKIT_OK;
}

static relakit_status a_little_more(void)
{
    work(1000 + things / 200);
    return RELAKIT_OK;
}

static void count_controls(void)
{
    static const struct {
        const char *what, *grows;
        counted *call;
    } rows[] = {
        {"control: each thing is looked for among all before it", NOT_LINEAR, search},
        {"control: a little more for every hundred things before", NOT_LINEAR, hidden_search},
        {"control: n log n", NOT_LINEAR, halve},
        {"control: nothing is done with the things", NOT_LINEAR, once},
        {"control: a little more for two hundred things more", NOT_CONSTANT, a_little_more},
        {"control: every thing is looked at, and more than once", NOT_LOGARITHMIC, halve},
        {"control: each thing is looked for among all before it, which is no sorting", NOT_N_LOG_N, search},
        {"control: each thing is looked for among all before it, which is no search", NOT_AT_MOST_N_LOG_N, search},
        {"control: every thing is looked at, which is no search", NOT_AT_MOST_LOGARITHMIC, look},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        count_things(rows[i].grows, rows[i].what, 200, NULL, rows[i].call, RELAKIT_OK);
}

int main(void)
{
    count_tables();
    count_names();
    count_numbers();
    count_controls();
    return test_end("level1");
}
