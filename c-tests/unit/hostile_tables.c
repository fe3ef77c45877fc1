/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 1 and 2: tables that are targets, and a writer that changes the table while a pass reads it. */

#include "hooks.h"

#define LIVEPATCH ((uint64_t)RELAKIT_SHF_RELA_LIVEPATCH)
#define ROOM 64
#define ENTRIES 3

enum { NONE, DATA_, FIRST, SECOND, SYMTAB, SHSTRTAB, SECTIONS };
enum { NULL_, F, SYMBOLS };

static struct {
    unsigned char front[64];
    unsigned char data[ROOM];
    unsigned char between[64];
    Elf64_Rela first[ENTRIES], second[ENTRIES];
    Elf64_Shdr headers[SECTIONS];
    Elf64_Sym symbols[SYMBOLS];
    char strings[32], names[64];
    uint64_t values[SYMBOLS];
    unsigned char back[64];
} w, before;

static const struct known everybody[] = {{"obj", "f", {0x1234, 0, 0}}, {"vmlinux", "f", {0x1234, 0, 0}}};

/* The writer. It reaches nothing but DATA_, and counts its calls. */
static unsigned calls, fails_at, fails_again, lies_at, asked_outside;
static void (*lie)(void);

static uint64_t here(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static int32_t ask(uint64_t address, uint64_t offset, size_t size)
{
    unsigned call = calls++;
    if (offset > ROOM - size || address != here(w.data) + offset) {
        asked_outside++;
        return 99;
    }
    if (call == lies_at)
        lie();
    return call == fails_at || call == fails_again ? 7 : 0;
}

static int32_t read_data(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    int32_t answer = ask(address, offset, size);
    (void)ctx;
    if (answer == 0)
        memcpy(bytes, w.data + offset, size);
    return answer;
}

static int32_t write_data(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    int32_t answer = ask(address, offset, size);
    (void)ctx;
    if (answer == 0)
        memcpy(w.data + offset, bytes, size);
    return answer;
}

static int32_t sync_data(void *ctx)
{
    unsigned call = calls++;
    (void)ctx;
    if (call == lies_at)
        lie();
    return call == fails_at || call == fails_again ? 7 : 0;
}

static struct relakit_writer bounded = {sizeof bounded, 0, NULL, read_data, write_data, sync_data};

static void header(int index, uint32_t type, uint64_t flags, const void *at, uint64_t size, uint32_t info)
{
    Elf64_Shdr *to = &w.headers[index];
    memset(to, 0, sizeof *to);
    to->sh_type = type;
    to->sh_flags = flags;
    to->sh_addr = here(at);
    to->sh_size = size;
    to->sh_info = info;
    to->sh_link = type == SHT_RELA ? SYMTAB : 0;
}

static void reset(int vmlinux)
{
    const char *object = vmlinux ? "vmlinux" : "obj";
    memset(&w, 0, sizeof w);
    memset(w.front, 0x5a, sizeof w.front);
    memset(w.between, 0x5a, sizeof w.between);
    memset(w.back, 0x5a, sizeof w.back);
    header(DATA_, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, w.data, ROOM, 0);
    header(FIRST, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.first, sizeof w.first, DATA_);
    header(SECOND, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.second, sizeof w.second, DATA_);
    header(SYMTAB, SHT_SYMTAB, SHF_ALLOC, w.symbols, sizeof w.symbols, 0);
    header(SHSTRTAB, SHT_STRTAB, 0, w.names, sizeof w.names, 0);
    snprintf(w.names + 1, 40, ".klp.rela.%s..data", object);
    snprintf(w.strings + 1, 30, ".klp.sym.%s.f,1", object);
    w.headers[FIRST].sh_name = w.headers[SECOND].sh_name = 1;
    w.symbols[F].st_name = 1;
    w.symbols[F].st_shndx = RELAKIT_SHN_LIVEPATCH;
    w.symbols[F].st_value = 0x1234;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        w.first[i] = rela(8 * i, F, R_X86_64_64, 0);
        w.second[i] = rela(32 + 8 * i, F, R_X86_64_64, 0);
    }
    known_names = everybody;
    known_count = 2;
    calls = asked_outside = 0;
    fails_at = fails_again = lies_at = NEVER;
    hooks_reset();
}

/* Every way in which FIRST is applied or cleared. */
enum act { APPLY, CLEAR, CHECK_, APPLY2, CLEAR2, KLP_APPLY, KLP_CLEAR, EARLY_APPLY, EARLY_CLEAR, ACTS };

static relakit_status run(enum act act, const struct relakit_writer *writer)
{
    const struct relakit_symbols symbols = {NULL, w.symbols, SYMBOLS};
    const struct relakit_target target = {writer == NULL ? w.data : NULL, ROOM, here(w.data), writer};
    const char *object = act >= EARLY_APPLY ? "vmlinux" : "obj";
    struct relakit_sechdrs image;
    memset(&image, 0, sizeof image);
    image.struct_size = sizeof image;
    image.sechdrs = w.headers;
    image.section_count = SECTIONS;
    image.symindex = SYMTAB;
    image.symbol_count = SYMBOLS;
    image.shstrtab = w.names;
    image.shstrtab_size = sizeof w.names;
    image.strtab = w.strings;
    image.strtab_size = sizeof w.strings;
    image.values = w.values;
    switch (act) {
    case APPLY: return relakit_apply(w.first, sizeof w.first, &symbols, &target, NULL, fresh());
    case CLEAR: return relakit_clear(w.first, sizeof w.first, &symbols, &target, NULL, fresh());
    case CHECK_: return relakit_dry_run(w.first, sizeof w.first, &symbols, &target, NULL, fresh());
    case APPLY2:
        return relakit_apply_relocate_add(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, FIRST, writer, NULL, fresh());
    case CLEAR2:
        return relakit_clear_relocate_add(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, FIRST, writer, NULL, fresh());
    case KLP_APPLY:
    case EARLY_APPLY: return relakit_klp_apply(&image, object, &names, writer, NULL, NULL, fresh());
    default: return relakit_klp_clear(&image, object, writer, NULL, NULL, fresh());
    }
}

static int clears(enum act act)
{
    return act == CLEAR || act == CLEAR2 || act == KLP_CLEAR || act == EARLY_CLEAR;
}

/* The world for an act, with what it clears applied. */
static void prepare(enum act act)
{
    reset(act >= EARLY_APPLY);
    if (clears(act))
        ACCEPTS(run(act - 1, NULL));
    hooks_reset();
}

/* Compares all but the memory that is lent for values. */
static void unchanged(void)
{
    memcpy(before.values, w.values, sizeof w.values);
    SAME(&w, &before, sizeof w);
}

static void a_relocation_section_is_no_target(void)
{
    static const struct {
        uint32_t target, type;
        uint64_t flags;
        int refused;
    } rows[] = {
        {FIRST, SHT_RELA, SHF_ALLOC, 1},              {SECOND, SHT_RELA, SHF_ALLOC, 1},
        {SECOND, SHT_RELA, 0, 1},                     {SECOND, SHT_REL, SHF_ALLOC, 1},
        {SECOND, SHT_PROGBITS, SHF_ALLOC | LIVEPATCH, 1}, {SECOND, SHT_PROGBITS, SHF_ALLOC, 0},
    };
    for (enum act act = APPLY2; act < ACTS; act++)
        for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
            for (int kind = 0; kind < 3; kind++) {
                struct relakit_writer writer = bounded;
                relakit_status status;
                /* A livepatch section of another kind is no section of the object, or another's fault comes first. */
                if (act >= KLP_APPLY && (rows[row].type != SHT_RELA || !(rows[row].flags & SHF_ALLOC)))
                    continue;
                writer.flags = kind == 2 ? RELAKIT_WRITER_FOREIGN : 0;
                reset(act >= EARLY_APPLY);
                w.headers[rows[row].target].sh_type = rows[row].type;
                w.headers[rows[row].target].sh_flags = rows[row].flags | (act >= KLP_APPLY ? LIVEPATCH : 0);
                w.headers[FIRST].sh_info = rows[row].target;
                w.first[0] = rela(0, F, R_X86_64_64, 0x4321);
                memset(w.second, 0, sizeof w.second);
                before = w;
                status = run(act, kind == 0 ? NULL : &writer);
                if (!rows[row].refused) {
                    /* Memory like any other: it can be reached without the writer, which knows only DATA_. */
                    CHECK(status != RELAKIT_ERR_TARGET_IS_RELOCATIONS);
                    continue;
                }
                test_refused(__FILE__, __LINE__, "a table as target", status, RELAKIT_ERR_TARGET_IS_RELOCATIONS,
                             rows[row].target);
                EQ(fault.section, FIRST);
                EQ(fault.has, RELAKIT_ERROR_HAS_SECTION);
                unchanged();
                CHECK(kind != 0 || calls == 0);
                EQ(asked_outside, 0);
                /* A table without entries writes nothing, so its target does not matter. */
                w.headers[FIRST].sh_size = 0;
                if (act < KLP_APPLY)
                    ACCEPTS(run(act, kind == 0 ? NULL : &writer));
            }
}

/* FIRST is right and SECOND has FIRST for its target: what FIRST wrote is taken back, whatever the writer does. */
static void tables_that_target_each_other_change_nothing(void)
{
    static const enum act acts[] = {KLP_APPLY, EARLY_APPLY};
    for (size_t a = 0; a < 2; a++)
        for (unsigned k = 0; CHECK(k < 100); k++) {
            unsigned all;
            reset(acts[a] == EARLY_APPLY);
            w.headers[SECOND].sh_info = FIRST;
            w.second[0] = rela(0, F, R_X86_64_64, 0);
            before = w;
            fails_at = k;
            if (run(acts[a], &bounded) == RELAKIT_ERR_TARGET_IS_RELOCATIONS) {
                EQ(fault.section, SECOND);
                EQ(fault.value, FIRST);
                unchanged();
                EQ(asked_outside, 0);
                if (k >= calls) {
                    CHECK(k > 6);
                    break;
                }
                continue;
            }
            CHECK(fault.status == RELAKIT_ERR_WRITER || fault.status == RELAKIT_ERR_NOT_UNDONE);
            if (fault.status == RELAKIT_ERR_WRITER)
                unchanged();
            SAME(w.first, before.first, sizeof w.first + sizeof w.second);
            EQ(asked_outside, 0);
            all = calls;
            for (unsigned m = k + 1; m < all; m++) {
                reset(acts[a] == EARLY_APPLY);
                w.headers[SECOND].sh_info = FIRST;
                before = w;
                fails_at = k;
                fails_again = m;
                CHECK(run(acts[a], &bounded) < 0);
                EQ(asked_outside, 0);
                SAME(w.first, before.first, sizeof w.first + sizeof w.second);
                SAME(w.front, before.front, sizeof w.front);
                SAME(w.between, before.between, sizeof w.between);
                SAME(w.data + 24, before.data + 24, ROOM - 24);
            }
        }
}

/* Where the lie leads, and of which type the entries become. */
static uint64_t lie_offset;
static uint32_t lie_type, lie_symbol;

static void change_the_tables(void)
{
    for (size_t i = 0; i < ENTRIES; i++)
        w.first[i] = w.second[i] = rela(lie_offset, lie_symbol, lie_type, (int64_t)i);
}

/*
 * The contract forbids it, and a hostile file once came to it through a table that was its own target. Whatever the
 * table says by then, each access is inside of the section.
 */
static void no_access_is_outside_when_the_table_changes_meanwhile(void)
{
    static const uint64_t offsets[] = {0, ROOM - 8, ROOM - 7, ROOM - 4, ROOM - 3, ROOM - 1, ROOM, ROOM + 8, 0x7ffffff8,
                                       (uint64_t)INT64_MAX, UINT64_MAX - 7, UINT64_MAX - 3, UINT64_MAX};
    static const uint32_t types[] = {R_X86_64_64, R_X86_64_32, R_X86_64_NONE, 99};
    lie = change_the_tables;
    for (enum act act = APPLY; act < ACTS; act++)
        for (size_t o = 0; o < 4 * 3 * (sizeof offsets / sizeof *offsets); o++) {
            unsigned count;
            int fails = (int)(o % 3);
            prepare(act);
            ACCEPTS(run(act, &bounded));
            count = calls;
            CHECK(count > 2);
            lie_offset = offsets[o / 12];
            lie_type = types[o / 3 % 4];
            lie_symbol = o & 1 ? F : UINT32_MAX;
            for (unsigned k = 0; k < count; k++) {
                struct relakit_writer writer = bounded;
                writer.flags = k & 1 ? RELAKIT_WRITER_FOREIGN : 0;
                prepare(act);
                calls = 0;
                before = w;
                lies_at = k;
                /* The lie alone, with its own call failing, and with the next one failing. */
                fails_at = fails == 0 ? NEVER : k + (unsigned)fails - 1;
                run(act, &writer);
                EQ(asked_outside, 0);
                SAME(w.front, before.front, sizeof w.front);
                SAME(w.between, before.between, sizeof w.between);
                SAME(w.back, before.back, sizeof w.back);
                SAME(w.headers, before.headers, sizeof w.headers);
            }
        }
}

int main(void)
{
    a_relocation_section_is_no_target();
    tables_that_target_each_other_change_nothing();
    no_access_is_outside_when_the_table_changes_meanwhile();
    (void)hooked;
    return test_end("hostile_tables");
}
