/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Calls with many arguments, with structs and with callbacks, which fail or crash if program and library disagree about
 * the calling convention or about a type.
 *
 * WITHOUT_TEXTS: the archive is built with TEXTS=no.
 * WITH_MODULE: the third level too, with a resolver. module.inc is then the file of modules/plain.c as numbers.
 */
#include "calls.h"

static void (*print_text)(const char *text);
static unsigned checks, failures;

static void print_number(uint64_t number)
{
    char digits[21];
    int at = 20;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    print_text(digits + at);
}

#define EQ(is, want) equal(__LINE__, #is, (uint64_t)(is), (uint64_t)(want))
static void equal(unsigned line, const char *what, uint64_t is, uint64_t want)
{
    checks++;
    if (is == want)
        return;
    failures++;
    print_text("calls.c:");
    print_number(line);
    print_text(": ");
    print_text(what);
    print_text(" is ");
    print_number(is);
    print_text(", not ");
    print_number(want);
    print_text("\n");
}

static int same_text(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Three entries: R_X86_64_64 at 0, R_X86_64_PC32 at 8, R_X86_64_32S at 12; of the symbols 1, 2 and 1. */
static const uint64_t table[9] = {
    0,  UINT64_C(1) << 32 | 1,  7,
    8,  UINT64_C(2) << 32 | 2,  (uint64_t)-4,
    12, UINT64_C(1) << 32 | 11, 0,
};
static const uint64_t values[3] = { 0, 0x11223344, 0x401000 };
static const uint64_t address = 0x400000;
static const unsigned char applied[16] = {
    0x4b, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0xf4, 0x0f, 0, 0, 0x44, 0x33, 0x22, 0x11,
};

/* Memory behind a writer. */
struct memory {
    unsigned char bytes[16];
    unsigned reads, writes, syncs;
    unsigned fails_at; /* the write that fails, counted from 1 */
};

static int32_t RELAKIT_CALL memory_read(void *ctx, uint64_t at, uint64_t offset, void *bytes, size_t size)
{
    struct memory *memory = (struct memory *)ctx;
    unsigned char *to = (unsigned char *)bytes;
    EQ(at, address + offset);
    memory->reads++;
    for (size_t i = 0; i < size; i++)
        to[i] = memory->bytes[offset + i];
    return 0;
}

static int32_t RELAKIT_CALL memory_write(void *ctx, uint64_t at, uint64_t offset, const void *bytes, size_t size)
{
    struct memory *memory = (struct memory *)ctx;
    const unsigned char *from = (const unsigned char *)bytes;
    EQ(at, address + offset);
    if (++memory->writes == memory->fails_at)
        return 77;
    for (size_t i = 0; i < size; i++)
        memory->bytes[offset + i] = from[i];
    return 0;
}

static int32_t RELAKIT_CALL memory_sync(void *ctx)
{
    ((struct memory *)ctx)->syncs++;
    return 0;
}

static int32_t RELAKIT_CALL symbol_value(void *ctx, uint32_t symbol, uint64_t *value)
{
    ++*(unsigned *)ctx;
    *value = values[symbol];
    return RELAKIT_OK;
}

static void bytes_are(const unsigned char *bytes, const unsigned char *want)
{
    for (unsigned i = 0; i < 16; i++)
        EQ(bytes[i], want == NULL ? 0 : want[i]);
}

static void plain_memory(void)
{
    struct relakit_symbols symbols = { .values = values, .count = 3 };
    unsigned char bytes[16] = { 0 };
    struct relakit_target target = { bytes, sizeof bytes, address, NULL };
    struct relakit_error error;

    EQ(relakit_dry_run(table, sizeof table, &symbols, &target, NULL, &error), RELAKIT_OK);
    bytes_are(bytes, NULL);
    EQ(relakit_apply(table, sizeof table, &symbols, &target, NULL, &error), RELAKIT_OK);
    bytes_are(bytes, applied);
    EQ(relakit_apply(table, sizeof table, &symbols, &target, NULL, &error), RELAKIT_ERR_TARGET_NOT_ZERO);
    EQ(error.status, RELAKIT_ERR_TARGET_NOT_ZERO);
    EQ(error.entry, 0);
    EQ(error.r_type, 1);
    EQ(error.symbol, 1);
    EQ(error.limit, 0x1122334b);
#ifdef WITHOUT_TEXTS
    EQ(same_text(relakit_strerror(error.status), ""), 1);
    EQ(same_text(relakit_type_name(error.r_type), ""), 1);
#else
    EQ(relakit_strerror(error.status)[0] != 0, 1);
    EQ(same_text(relakit_type_name(error.r_type), "R_X86_64_64"), 1);
#endif
    EQ(relakit_clear(table, sizeof table, &symbols, &target, NULL, &error), RELAKIT_OK);
    bytes_are(bytes, NULL);
}

static void values_by_callback(void)
{
    unsigned calls = 0;
    struct relakit_symbols symbols = { .count = 3, .value = symbol_value, .ctx = &calls };
    unsigned char bytes[16] = { 0 };
    struct relakit_target target = { bytes, sizeof bytes, address, NULL };
    struct relakit_error error;

    EQ(relakit_apply(table, sizeof table, &symbols, &target, NULL, &error), RELAKIT_OK);
    bytes_are(bytes, applied);
    EQ(calls >= 3, 1);
}

static void behind_a_writer(void)
{
    struct relakit_symbols symbols = { .values = values, .count = 3 };
    struct memory memory = { { 0 }, 0, 0, 0, 0 };
    struct relakit_writer writer = { sizeof writer, 0, NULL, memory_read, memory_write, memory_sync };
    struct relakit_target target = { NULL, sizeof memory.bytes, address, &writer };
    struct relakit_options options = { sizeof options, RELAKIT_OPT_TRUNCATE_PC32, RELAKIT_PROFILE_DEFAULT, 0 };
    struct relakit_error error;

    writer.ctx = &memory;
    writer.flags = RELAKIT_WRITER_FOREIGN;
    EQ(relakit_apply(table, sizeof table, &symbols, &target, &options, &error), RELAKIT_OK);
    bytes_are(memory.bytes, applied);
    EQ(memory.reads, 6);
    EQ(memory.writes, 3);
    EQ(memory.syncs, 1);
    EQ(relakit_clear(table, sizeof table, &symbols, &target, &options, &error), RELAKIT_OK);
    bytes_are(memory.bytes, NULL);
    memory.writes = 0;
    memory.fails_at = 3;
    EQ(relakit_apply(table, sizeof table, &symbols, &target, &options, &error), RELAKIT_ERR_WRITER);
    EQ(error.entry, 2);
    EQ(error.value, 77);
    bytes_are(memory.bytes, NULL);
}

#ifdef WITH_MODULE
static const unsigned char module_file[] __attribute__((aligned(16))) = {
#include "module.inc"
};
/* Symbols of the "kernel": plain.c needs these. */
static unsigned resolved;

static int32_t RELAKIT_CALL exported(void *ctx, const char *name, size_t name_len, uint64_t *value)
{
    EQ(ctx == &resolved, 1);
    EQ(name[name_len], 0);
    resolved++;
    if (same_text(name, "kernel_add"))
        *value = 0x10000;
    else if (same_text(name, "kernel_limit"))
        *value = 0x20000;
    else
        return RELAKIT_NOT_FOUND;
    return RELAKIT_OK;
}

static int32_t RELAKIT_CALL nth_symbol(void *ctx, const char *object, size_t object_len, const char *name, size_t name_len,
                                       uint64_t sympos, uint64_t *value)
{
    (void)ctx, (void)object, (void)object_len, (void)name, (void)name_len, (void)sympos, (void)value;
    return RELAKIT_NOT_FOUND;
}

static void module(void)
{
    static uint64_t state[RELAKIT_MODULE_SIZE / 8], symbol_values[100];
    static struct relakit_section_memory sections[40];
    static uint64_t arena[1024];
    struct relakit_memory memory = { sizeof memory, 0, sections, 0, NULL };
    struct relakit_resolver resolver = { sizeof resolver, 0, &resolved, exported, nth_symbol };
    struct relakit_module_info info = { .struct_size = sizeof info };
    struct relakit_module *loaded = NULL;
    struct relakit_error error;
    size_t at = 0;

    EQ(relakit_module_init(state, sizeof state, module_file, sizeof module_file, NULL, &loaded, &error), RELAKIT_OK);
    EQ(relakit_module_describe(loaded, &info, &error), RELAKIT_OK);
    if (failures != 0 || info.section_count > 40 || info.symbol_count > 100) {
        EQ(info.section_count <= 40 && info.symbol_count <= 100, 1);
        return;
    }
    memory.count = info.section_count;
    for (uint32_t i = 1; i < info.section_count; i++) {
        struct relakit_section section = { .struct_size = sizeof section };
        EQ(relakit_module_section(loaded, i, &section, &error), RELAKIT_OK);
        if (!(section.flags & RELAKIT_SECTION_IN_MEMORY))
            continue;
        sections[i].flags = RELAKIT_MEMORY_PRESENT;
        sections[i].bytes = (unsigned char *)arena + at;
        sections[i].size = section.sh_size;
        sections[i].address = 0x100000 + at;
        at = (at + section.sh_size + 63) & ~(size_t)63;
    }
    EQ(at <= sizeof arena, 1);
    EQ(relakit_module_assign(loaded, &memory, &error), RELAKIT_OK);
    EQ(relakit_module_fill(loaded, &memory, &error), RELAKIT_OK);
    EQ(relakit_module_early(loaded, &memory, symbol_values, info.symbol_count, &resolver, &error), RELAKIT_OK);
    EQ(relakit_module_stage(loaded), RELAKIT_STAGE_LOADED);
    EQ(resolved, 3); /* kernel_absent is weak */
}
#endif

int calls_run(const char *name, void (*print)(const char *text))
{
    print_text = print;
    EQ(relakit_abi(), RELAKIT_ABI);
    plain_memory();
    values_by_callback();
    behind_a_writer();
#ifdef WITH_MODULE
    module();
#endif
    print_text(name);
    print_text(": ");
    print_number(checks);
    print_text(" checks, ");
    print_number(failures);
    print_text(" failures\n");
    return failures != 0;
}
