/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Levels 1 and 2: targets behind a writer whose addresses are those of memory that the call reads or works in. */

#include "test.h"

#define LIVEPATCH ((uint64_t)RELAKIT_SHF_RELA_LIVEPATCH)

enum { NONE, DATA_, RELA_, SYMTAB, STRTAB, SHSTRTAB, SECTIONS };
#define SYMBOLS 3

/* What a call is given, each with memory of nobody's around it. */
static struct {
    unsigned char room0[64];
    Elf64_Rela table[2];
    unsigned char room1[64];
    Elf64_Sym symbols[SYMBOLS];
    unsigned char room2[64];
    uint64_t values[SYMBOLS];
    unsigned char room3[64];
    Elf64_Shdr headers[SECTIONS];
    unsigned char room4[64];
    char strings[40];
    unsigned char room5[64];
    char names[40];
    unsigned char room6[64];
} w, before;

static unsigned writes;

static int32_t read_zeros(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    (void)ctx, (void)address, (void)offset;
    memset(bytes, 0, size);
    return 0;
}

static int32_t write_nowhere(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    (void)ctx, (void)address, (void)offset, (void)bytes, (void)size;
    writes++;
    return 0;
}

static int32_t found(void *ctx, const char *object, size_t object_len, const char *name, size_t name_len,
                     uint64_t position, uint64_t *value)
{
    (void)ctx, (void)object, (void)object_len, (void)name, (void)name_len;
    *value = 0x42;
    return position == 1 ? RELAKIT_OK : RELAKIT_NOT_FOUND;
}

static struct relakit_writer writer = {sizeof writer, 0, NULL, read_zeros, write_nowhere, NULL};
static const struct relakit_resolver resolver = {sizeof resolver, 0, NULL, NULL, found};

static uint64_t here(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static void header(int index, uint32_t type, uint64_t flags, const void *at, uint64_t size, uint32_t info, uint32_t link)
{
    Elf64_Shdr *to = &w.headers[index];
    to->sh_type = type;
    to->sh_flags = flags;
    to->sh_addr = here(at);
    to->sh_size = size;
    to->sh_info = info;
    to->sh_link = link;
}

/* The symbols have value 0, so that clearing finds in the zeros what was applied. */
static void reset(void)
{
    memset(&w, 0, sizeof w);
    header(DATA_, SHT_PROGBITS, SHF_ALLOC, NULL, 0, 0, 0);
    header(RELA_, SHT_RELA, SHF_ALLOC | LIVEPATCH, w.table, sizeof w.table, DATA_, SYMTAB);
    header(SYMTAB, SHT_SYMTAB, SHF_ALLOC, w.symbols, sizeof w.symbols, 0, STRTAB);
    header(STRTAB, SHT_STRTAB, SHF_ALLOC, w.strings, sizeof w.strings, 0, 0);
    header(SHSTRTAB, SHT_STRTAB, 0, w.names, sizeof w.names, 0, 0);
    strcpy(w.names + 1, ".klp.rela.obj..data");
    strcpy(w.strings + 1, ".klp.sym.obj.f,0");
    w.headers[RELA_].sh_name = 1;
    w.symbols[1].st_name = 1;
    w.symbols[1].st_shndx = RELAKIT_SHN_LIVEPATCH;
    w.symbols[2].st_shndx = SHN_ABS;
    w.table[0] = rela(0, 1, R_X86_64_NONE, 0);
    w.table[1] = rela(0, 1, R_X86_64_NONE, 0);
    writer.flags = 0;
    writes = 0;
}

/* One call, with a target of `size` bytes at `address`. */
static uint64_t at, bytes;
static int with_symtab;
typedef relakit_status pass(const void *, size_t, const struct relakit_symbols *, const struct relakit_target *,
                            const struct relakit_options *, struct relakit_error *);

static relakit_status level1(pass *now)
{
    const struct relakit_symbols symbols = {with_symtab ? NULL : w.values, with_symtab ? w.symbols : NULL, SYMBOLS};
    const struct relakit_target target = {NULL, bytes, at, &writer};
    return now(w.table, sizeof w.table, &symbols, &target, NULL, fresh());
}

static relakit_status apply1(void) { return level1(relakit_apply); }
static relakit_status clear1(void) { return level1(relakit_clear); }
static relakit_status check1(void) { return level1(relakit_dry_run); }

static void place(void)
{
    w.headers[DATA_].sh_addr = at;
    w.headers[DATA_].sh_size = bytes;
}

static relakit_status apply2(void)
{
    place();
    return relakit_apply_relocate_add(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, &writer, NULL, fresh());
}

static relakit_status clear2(void)
{
    place();
    return relakit_clear_relocate_add(w.headers, SECTIONS, NULL, SYMTAB, SYMBOLS, RELA_, &writer, NULL, fresh());
}

static struct relakit_sechdrs image(void)
{
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
    place();
    return image;
}

static relakit_status klp_apply(void)
{
    const struct relakit_sechdrs given = image();
    return relakit_klp_apply(&given, "obj", &resolver, &writer, NULL, NULL, fresh());
}

static relakit_status klp_clear(void)
{
    const struct relakit_sechdrs given = image();
    return relakit_klp_clear(&given, "obj", &writer, NULL, NULL, fresh());
}

#define PIECE(member, levels) {#member, offsetof_(member), sizeof w.member, levels}
#define offsetof_(member) ((size_t)((const char *)&w.member - (const char *)&w))
enum { LEVEL1 = 1, LEVEL1_SYMTAB = 2, LEVEL2 = 4, LEVEL2_KLP = 8 };

static const struct call {
    const char *name;
    relakit_status (*call)(void);
    unsigned level;
    relakit_status status;
    uint64_t value;
} calls[] = {
    {"apply", apply1, LEVEL1, RELAKIT_ERR_OVERLAP, 4},
    {"clear", clear1, LEVEL1, RELAKIT_ERR_OVERLAP, 4},
    {"check", check1, LEVEL1, RELAKIT_ERR_OVERLAP, 4},
    {"apply, symbol table", apply1, LEVEL1_SYMTAB, RELAKIT_ERR_OVERLAP, 4},
    {"clear, symbol table", clear1, LEVEL1_SYMTAB, RELAKIT_ERR_OVERLAP, 4},
    {"check, symbol table", check1, LEVEL1_SYMTAB, RELAKIT_ERR_OVERLAP, 4},
    {"apply_relocate_add", apply2, LEVEL2, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
    {"clear_relocate_add", clear2, LEVEL2, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
    {"klp_apply", klp_apply, LEVEL2_KLP, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
    {"klp_clear", klp_clear, LEVEL2_KLP, RELAKIT_ERR_TARGET_OVERLAPS, DATA_},
};

static void try_at(const struct call *call, const char *piece, uint64_t address, uint64_t size, int overlaps)
{
    relakit_status status;
    reset();
    with_symtab = call->level == LEVEL1_SYMTAB;
    at = address;
    bytes = size;
    place();
    before = w;
    status = call->call();
    if (!(overlaps ? test_refused(__FILE__, __LINE__, "an overlap", status, call->status, call->value)
                   : test_accepted(__FILE__, __LINE__, "no overlap", status, RELAKIT_OK)))
        printf("    %s, %s, %llu bytes\n", call->name, piece, (unsigned long long)size);
    if (overlaps && call->status == RELAKIT_ERR_TARGET_OVERLAPS)
        EQ(fault.section, RELA_);
    EQ(writes, 0);
    if (status < 0) {
        memcpy(before.values, w.values, sizeof w.values);
        SAME(&w, &before, sizeof w);
    }
    /* Another address space: the same numbers are other memory. */
    reset();
    writer.flags = RELAKIT_WRITER_FOREIGN;
    if (!ACCEPTS(call->call()))
        printf("    %s, %s, foreign\n", call->name, piece);
}

static void overlaps_by_a_byte_and_not_quite(void)
{
    const struct {
        const char *name;
        size_t start, size;
        unsigned levels;
    } pieces[] = {
        PIECE(table, LEVEL1 | LEVEL1_SYMTAB | LEVEL2 | LEVEL2_KLP), PIECE(symbols, LEVEL1_SYMTAB | LEVEL2 | LEVEL2_KLP),
        PIECE(values, LEVEL1 | LEVEL2_KLP), PIECE(headers, LEVEL2 | LEVEL2_KLP), PIECE(strings, LEVEL2_KLP),
        PIECE(names, LEVEL2_KLP),
    };
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            uint64_t start = here(&w) + pieces[p].start, size = pieces[p].size;
            int reads = (pieces[p].levels & calls[c].level) != 0;
            for (uint64_t n = 1; n <= 33; n += 8) {
                try_at(&calls[c], pieces[p].name, start - n, n, 0);
                try_at(&calls[c], pieces[p].name, start - n + 1, n, reads);
                try_at(&calls[c], pieces[p].name, start + 8, n, reads);
                try_at(&calls[c], pieces[p].name, start + size - 1, n, reads);
                try_at(&calls[c], pieces[p].name, start + size, n, 0);
            }
            try_at(&calls[c], pieces[p].name, start - 64, size + 128, reads);
            /* No bytes overlap nothing. */
            try_at(&calls[c], pieces[p].name, start + 8, 0, 0);
        }
}

/* The whole address space, all but its first byte and all but its last, and the top of it. */
static void sections_of_any_size(void)
{
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        try_at(&calls[c], "all", 0, UINT64_MAX, 1);
        try_at(&calls[c], "all", 1, UINT64_MAX, 1);
        try_at(&calls[c], "below", 0, here(&w), 0);
        try_at(&calls[c], "above", here(&w + 1), UINT64_MAX - here(&w + 1) + 1, 0);
        try_at(&calls[c], "top", UINT64_MAX, 1, 0);
        try_at(&calls[c], "bottom", 0, 1, 0);
    }
}

int main(void)
{
    overlaps_by_a_byte_and_not_quite();
    sections_of_any_size();
    return test_end("writer_overlaps");
}
