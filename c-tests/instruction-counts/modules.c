/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Steps of levels 2 and 3: everything that is given a module. */

#include "module.h"

/* The memory of the running module, which is what is expected; and a buffer for the places. */
static relakit_status run_elsewhere(void)
{
    size_t bytes = (size_t)pairs * entries * 8;
    running = (const unsigned char *)memcpy(lend(bytes), room, bytes);
    running_at = BASE;
    place_count = 3 * (size_t)section_count;
    given_places = (uint64_t *)lend(place_count * sizeof *given_places);
    return RELAKIT_OK;
}

static const struct relakit_writer *given_writer;

/* Level 2. */
static struct relakit_sechdrs image(void)
{
    struct relakit_sechdrs of = {.struct_size = sizeof of, .sechdrs = headers, .section_count = section_count,
                               .symindex = SYMTAB};
    of.shstrtab = (const char *)file + headers[SHSTRTAB].sh_offset;
    of.shstrtab_size = headers[SHSTRTAB].sh_size;
    of.strtab = (const char *)file + headers[STRTAB].sh_offset;
    of.strtab_size = headers[STRTAB].sh_size;
    return of;
}

static relakit_status apply_section(void)
{
    struct relakit_sechdrs of = image();
    return relakit_apply_relocate_add(&of, RELA_(pairs - 1), given_writer, NULL, fresh());
}

static relakit_status clear_section(void)
{
    struct relakit_sechdrs of = image();
    return relakit_clear_relocate_add(&of, RELA_(pairs - 1), given_writer, NULL, fresh());
}

static relakit_status klp_apply(void)
{
    struct relakit_sechdrs of = image();
    return relakit_klp_apply(&of, kind == &kinds[EARLY] ? "vmlinux" : "obj", &resolver, given_writer, NULL, NULL, fresh());
}

static relakit_status klp_clear(void)
{
    struct relakit_sechdrs of = image();
    return relakit_klp_clear(&of, kind == &kinds[EARLY] ? "vmlinux" : "obj", given_writer, NULL, NULL, fresh());
}

/* Level 3: the functions that life.h does not have. */
static relakit_status plan(void)
{
    struct relakit_got_section got;
    uint64_t *words = (uint64_t *)lend(relakit_got_words(symbol_count) * sizeof *words);
    return relakit_module_plan(module, words, relakit_got_words(symbol_count), RELAKIT_GOT_STUBS, &got, fresh());
}

static relakit_status no_object(void)
{
    object_at = UINT32_MAX;
    return object();
}
static relakit_status addresses(void)
{
    static const uint64_t bases[RELAKIT_GROUP_COUNT] = {BASE, BASE, BASE, BASE, BASE, BASE, BASE};
    return relakit_module_addresses(module, RELAKIT_MEMORIES_BY_GROUP, bases, places, section_count, fresh());
}
/* The text of an error of the last symbol. */
static relakit_status error_text(void)
{
    struct relakit_error of = {.status = RELAKIT_ERR_OVERFLOW, .has = UINT32_MAX, .section = section_at, .symbol = symbol_at};
    char line[300];
    return relakit_error_format(&of, module, line, sizeof line) < 60;
}
static relakit_status stage(void) { return (relakit_status)relakit_module_stage(module); }

/* What is wrong. */
enum fault { NO_FAULT, LAST_ENTRY, LAST_NAME, EVERY_LATE, FIRST_FIELD, NOBODY, UNASSIGNED, SYNC, FAULTS };
static const char *const faults[FAULTS] = {"", ", the last relocation at fault", ", the last section at fault",
    ", every section at fault", ", the first field at fault", ", nobody knows a symbol", ", a symbol without a place",
    ", sync fails"};

static void damage_file(enum fault at)
{
    uint32_t last = RELA_(pairs - 1);
    if (at == LAST_ENTRY)
        relas[entries - 1].r_info |= 0x7fffffff;
    if (at == LAST_NAME) /* Of a livepatch section it must be a certain one, of others any. */
        headers[last].sh_name = kind->flags == 0 ? UINT32_MAX : 0;
    if (at == UNASSIGNED)
        symtab[symbol_count - 1].st_shndx = SYMTAB;
    for (uint32_t pair = 0; at == EVERY_LATE && pair < pairs; pair++)
        headers[RELA_(pair)].sh_flags &= ~(uint64_t)SHF_ALLOC;
}

static void damage_rest(enum fault at)
{
    if (at == FIRST_FIELD)
        room[0] ^= 1;
    knows_nobody = at == NOBODY;
    sync_fails = at == SYNC;
}

/* What is counted: a call, after that many steps of a module's life, or after `first`; with modules of each of these kinds;
 * and how its steps grow with each of the `growths`: L linearly, C not at all, G as log n does or
 * less, - is not counted. */
struct row {
    const char *name;
    counted *call;
    int after;
    counted *first;
    const char *kinds, *grows;
    enum fault fault;
    relakit_status want;
};

static const struct row level2[] = {
    {"relakit_apply_relocate_add", apply_section, 0, NULL, "o", "CLCLC", NO_FAULT, RELAKIT_OK},
    {"relakit_apply_relocate_add", apply_section, 0, NULL, "o", "-L-L-", LAST_ENTRY, RELAKIT_ERR_UNKNOWN_TYPE},
    {"relakit_apply_relocate_add", apply_section, 0, NULL, "o", "-L---", SYNC, RELAKIT_ERR_SYNC},
    {"relakit_clear_relocate_add", clear_section, 0, apply_section, "o", "CLCLC", NO_FAULT, RELAKIT_OK},
    {"relakit_clear_relocate_add", clear_section, 0, apply_section, "o", "-L-L-", FIRST_FIELD, RELAKIT_ERR_TARGET_MISMATCH},
    {"relakit_clear_relocate_add", clear_section, 0, apply_section, "o", "-L---", SYNC, RELAKIT_ERR_SYNC},
    {"relakit_klp_apply", klp_apply, 0, NULL, "el", "LLCLL", NO_FAULT, RELAKIT_OK},
    {"relakit_klp_apply", klp_apply, 0, NULL, "x", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_klp_apply", klp_apply, 0, NULL, "el", "LL-LL", LAST_ENTRY, RELAKIT_ERR_UNKNOWN_TYPE},
    {"relakit_klp_apply", klp_apply, 0, NULL, "lx", "L---L", LAST_NAME, RELAKIT_ERR_BAD_KLP_SECTION_NAME},
    {"relakit_klp_apply", klp_apply, 0, NULL, "el", "LL--L", SYNC, RELAKIT_ERR_SYNC},
    {"relakit_klp_clear", klp_clear, 0, klp_apply, "el", "LLCLL", NO_FAULT, RELAKIT_OK},
    {"relakit_klp_clear", klp_clear, 0, klp_apply, "x", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_klp_clear", klp_clear, 0, klp_apply, "el", "LL-LL", FIRST_FIELD, RELAKIT_ERR_TARGET_MISMATCH},
    {"relakit_klp_clear", klp_clear, 0, klp_apply, "el", "LL--L", SYNC, RELAKIT_ERR_SYNC},
};

static const struct row level3[] = {
    {"relakit_module_init", init, 0, NULL, "olx", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_init", init, 0, NULL, "o", "L---L", LAST_NAME, RELAKIT_ERR_BAD_SECTION_NAME},
    {"relakit_module_assign", place, PARSED, NULL, "oelx", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_fill", fill, PLACED, NULL, "ol", "LLC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_filled", filled, PLACED, NULL, "ol", "CCC-C", NO_FAULT, RELAKIT_OK},
    {"relakit_module_early", early, FILLED, NULL, "oe", "LLLLL", NO_FAULT, RELAKIT_OK},
    {"relakit_module_early", early, FILLED, NULL, "lx", "LLL-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_early", early, FILLED, NULL, "oe", "LL-LL", LAST_ENTRY, RELAKIT_ERR_UNKNOWN_TYPE},
    {"relakit_module_early", early, FILLED, NULL, "el", "L---L", LAST_NAME, RELAKIT_ERR_BAD_KLP_SECTION_NAME},
    {"relakit_module_early", early, FILLED, NULL, "o", "--LLL", NOBODY, RELAKIT_ERR_UNKNOWN_SYMBOL},
    {"relakit_module_early", early, FILLED, NULL, "oe", "LL-LL", UNASSIGNED, RELAKIT_OK},
    {"relakit_module_early", early, FILLED, NULL, "oe", "LL--L", SYNC, RELAKIT_ERR_SYNC},
    {"relakit_module_early", early, FILLED, NULL, "l", "L---L", EVERY_LATE, RELAKIT_OK},
    {"relakit_module_retained_size", retained_size, LOADED, NULL, "oelx", "C-C-C", NO_FAULT, RELAKIT_OK},
    {"relakit_module_layout", layout, LOADED, NULL, "oelx", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_addresses", addresses, LOADED, NULL, "oelx", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_find_symbol", find_symbol, LOADED, NULL, "oelx", "C-L--", NO_FAULT, RELAKIT_NOT_FOUND},
    {"relakit_module_retain", keep, SIZED, NULL, "lx", "LL-LL", NO_FAULT, RELAKIT_OK},
    {"relakit_module_retain", keep, SIZED, NULL, "l", "L---L", EVERY_LATE, RELAKIT_OK},
    {"relakit_module_coming", coming, KEPT, NULL, "l", "LLCLL", NO_FAULT, RELAKIT_OK},
    {"relakit_module_coming", coming, KEPT, NULL, "x", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_coming", coming, KEPT, NULL, "l", "LL-LL", LAST_ENTRY, RELAKIT_ERR_UNKNOWN_TYPE},
    {"relakit_module_coming", coming, KEPT, NULL, "l", "LL--L", SYNC, RELAKIT_ERR_SYNC},
    {"relakit_module_going", going, LIVE, NULL, "l", "LLCLL", NO_FAULT, RELAKIT_OK},
    {"relakit_module_going", going, LIVE, NULL, "x", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_going", going, LIVE, NULL, "l", "LL-LL", FIRST_FIELD, RELAKIT_ERR_TARGET_MISMATCH},
    {"relakit_module_going", going, LIVE, NULL, "l", "LL--L", SYNC, RELAKIT_ERR_SYNC},
    {"relakit_module_object", object, KEPT, NULL, "lx", "G---G", NO_FAULT, RELAKIT_OK},
    {"relakit_module_object, past the last", no_object, KEPT, NULL, "lx", "G---G", NO_FAULT, RELAKIT_NOT_FOUND},
    {"relakit_module_stage", stage, LOADED, NULL, "l", "C-C--", NO_FAULT, RELAKIT_STAGE_LOADED},
    {"relakit_module_describe", describe, LOADED, NULL, "l", "C-C--", NO_FAULT, RELAKIT_OK},
    {"relakit_module_section", section, LOADED, NULL, "oelx", "C-C-C", NO_FAULT, RELAKIT_OK},
    {"relakit_module_symbol", symbol, LOADED, NULL, "ol", "C-C-C", NO_FAULT, RELAKIT_OK},
    /* Larger indices have more digits. The retained state is searched for a symbol. */
    {"relakit_error_format", error_text, LOADED, NULL, "ol", "G---G", NO_FAULT, RELAKIT_OK},
    {"relakit_error_format", error_text, KEPT, NULL, "l", "G---N", NO_FAULT, RELAKIT_OK},
    {"relakit_module_findings", findings, LOADED, make_users, "oel", "LLLLL", NO_FAULT, RELAKIT_OK},
    /* Each section is held against up to 64 objects, of which there are so many only at the end. */
    {"relakit_module_findings", findings, LOADED, make_users, "x", "-LLL-", NO_FAULT, RELAKIT_OK},
    {"relakit_module_section_findings", section_findings, LOADED, NULL, "oelx", "CLCLC", NO_FAULT, RELAKIT_OK},
    {"relakit_module_apply_late", apply_late, LOADED, NULL, "l", "LLCLL", NO_FAULT, RELAKIT_OK},
    {"relakit_module_apply_late", apply_late, LOADED, NULL, "oex", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_apply_late", apply_late, LOADED, NULL, "l", "LL-LL", LAST_ENTRY, RELAKIT_ERR_UNKNOWN_TYPE},
    {"relakit_module_is_applied", is_applied, LOADED, run_elsewhere, "l", "LLCLL", NO_FAULT, RELAKIT_OK},
    {"relakit_module_is_applied", is_applied, LOADED, run_elsewhere, "oex", "LCC-L", NO_FAULT, RELAKIT_OK},
    /* Sections are sorted by their addresses. */
    {"relakit_module_verify", verify, LOADED, run_elsewhere, "oelx", "NLCLN", NO_FAULT, RELAKIT_OK},
    {"relakit_module_verify", verify, LOADED, run_elsewhere, "oelx", "NLCLN", FIRST_FIELD, RELAKIT_OK},
    {"relakit_module_patch_sites", find_sites, LOADED, run_elsewhere, "ol", "NCC-N", NO_FAULT, RELAKIT_OK},
    {"relakit_module_allowed_patch", allowed_patch, LOADED, run_elsewhere, "ol", "LCC-L", NO_FAULT, RELAKIT_OK},
    {"relakit_module_special", special, LOADED, NULL, "ol", "C-C-C", NO_FAULT, RELAKIT_NOT_FOUND},
};

static void count_row(const struct row *row, const struct kind *of, const struct growth *growth, char grows, uint32_t n)
{
    char what[200];
    build(of, growth, n, row->fault == SYNC);
    given_writer = memory.writer = row->fault == SYNC ? &writer : NULL;
    section_at = section_count - 1;
    symbol_at = symbol_count - 2;
    special_at = section_count - 2;
    object_at = pairs - 1;
    damage_rest(NO_FAULT);
    damage_file(row->fault);
    for (int i = 0; i < row->after; i++)
        if (!EQ(life[i](), RELAKIT_OK))
            return;
    if (row->first != NULL)
        EQ(row->first(), RELAKIT_OK);
    damage_rest(row->fault);
    snprintf(what, sizeof what, "%s: %s%s: %s%s", row->name, of->what, faults[row->fault], growth->what,
             options.profile == RELAKIT_PROFILE_ELF ? ", ELF's rules" : "");
    count_steps(grows == 'L'   ? LINEAR
                : grows == 'C' ? CONSTANT
                : grows == 'N' ? AT_MOST_N_LOG_N
                               : AT_MOST_LOGARITHMIC,
                what, n, row->call, row->want);
}

static void count_rows(const struct row *rows, size_t many)
{
    for (const struct row *row = rows; row < rows + many; row++)
        for (const char *of = row->kinds; *of != 0; of++)
            for (int g = 0; g < GROWTHS; g++)
                for (size_t t = 0; t < TIMES && row->grows[g] != '-'; t++)
                    count_row(row, &kinds[strchr("oelx", *of) - "oelx"], &growths[g], row->grows[g],
                              growths[g].n * times[t]);
}

int main(void)
{
    static const struct row elf[] = {
        {"relakit_module_init", init, 0, NULL, "o", "LCL-L", NO_FAULT, RELAKIT_OK},
        {"relakit_module_plan", plan, PARSED, NULL, "o", "LL--L", NO_FAULT, RELAKIT_OK},
    };
    count_rows(level2, sizeof level2 / sizeof *level2);
    count_rows(level3, sizeof level3 / sizeof *level3);
    options.profile = RELAKIT_PROFILE_ELF;
    count_rows(elf, sizeof elf / sizeof *elf);
    return test_end("modules");
}
