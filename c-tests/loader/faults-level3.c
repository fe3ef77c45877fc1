/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The third level, with one fault at a time: in the file, in the memory, and in the order of calls. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static relakit_status relocate(void *ctx, struct relakit_error *error)
{
    return level3_relocate(ctx, error);
}

static int32_t failing_exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
    (void)ctx, (void)name, (void)length, (void)value;
    return -5;
}

static relakit_status relocate_unresolved(void *ctx, struct relakit_error *error)
{
    struct relakit_resolver resolver = { .struct_size = sizeof resolver, .exported = failing_exported };
    struct level3 *loader = ctx;

    return relakit_module_early(loader->module_state, &loader->map, loader->values, loader->value_count, &resolver,
                                error);
}

/* The rule that livepatches are about: nobody reads a special section before all early relocations are in place. */
static relakit_status read_special(void *ctx, struct relakit_error *error)
{
    struct relakit_special special = { .struct_size = sizeof special };

    return relakit_module_special(((struct level3 *)ctx)->module_state, 1, &special, error);
}

static relakit_status place(void *ctx, struct relakit_error *error)
{
    struct level3 *loader = ctx;

    return relakit_module_assign(loader->module_state, &loader->map, error);
}

/* The arguments of relakit_module_init, each of which can be wrong. */
struct init {
    void *memory;
    size_t memory_size;
    unsigned char *file;
    size_t size;
};

static relakit_status init(void *ctx, struct relakit_error *error)
{
    const struct init *call = ctx;
    struct relakit_module *module;

    return relakit_module_init(call->memory, call->memory_size, call->file, call->size, NULL, &module, error);
}

/* A file with a fault that shows when it is relocated. It is lent and may not change meanwhile, so it changes first. */
static void file_fault(const char *what, unsigned char *file, size_t size, unsigned char *at, uint64_t bad,
                       relakit_status want)
{
    static struct level3 loader;
    struct bench bench = { .call = relocate, .ctx = &loader };
    struct relakit_error error;
    uint64_t good;

    memcpy(&good, at, sizeof good);
    memcpy(at, &bad, sizeof bad);
    expect_ok(level3_place(&loader, file, size, 0, &error), &error, what);
    bench_watch(&bench, "memory", loader.memory.bytes, memory_size());
    bench_watch(&bench, "file", file, size);
    bench_watch(&bench, "places", loader.places, loader.map.count * sizeof *loader.places);
    fault(&bench, what, NULL, NULL, 0, want);
    check(relakit_module_stage(loader.module_state) == RELAKIT_STAGE_FILLED, "the stage is the same");
    memcpy(at, &good, sizeof good);
    bench_close(&bench);
    level3_unload(&loader);
}

static void file_faults(unsigned char *file, size_t size)
{
    struct relakit_error error;
    struct object object;
    struct entry pc32, number, call;
    unsigned char *name;

    expect_ok(object_open(&object, file, size, &error), &error, "plain.o");
    pc32 = find_entry(&object, ".rela.text", R_X86_64_PC32);
    number = find_entry(&object, ".rela.text", R_X86_64_32);
    call = find_entry(&object, ".rela.text", R_X86_64_PLT32);
    name = object.file + object.sections[object.strtab].sh_offset + object.symbols[call.symbol].st_name;
    file_fault("r_offset outside", file, size, RELA(pc32, r_offset), 0x123456, RELAKIT_ERR_OFFSET_OUTSIDE);
    file_fault("symbol index outside", file, size, RELA(pc32, r_info), ELF64_R_INFO(UINT64_C(4000), R_X86_64_PC32),
               RELAKIT_ERR_SYMBOL_INDEX);
    file_fault("unknown type", file, size, RELA(pc32, r_info), ELF64_R_INFO((uint64_t)pc32.symbol, R_X86_64_GOTPCREL),
               RELAKIT_ERR_UNKNOWN_TYPE);
    file_fault("32 bits for a negative address", file, size, RELA(number, r_addend), UINT64_C(0) - 0x7fffffff,
               RELAKIT_ERR_OVERFLOW);
    file_fault("PC32 to what is too far", file, size, RELA(pc32, r_addend), UINT64_C(1) << 40, RELAKIT_ERR_OVERFLOW);
    file_fault("field is not zero", file, size, file + object.sections[number.target].sh_offset + number.offset - 4,
               UINT64_C(0x0100000000000000), RELAKIT_ERR_TARGET_NOT_ZERO);
    file_fault("symbol that nobody exports", file, size, name, UINT64_C(0x6464615f74736f48), /* Host_add */
               RELAKIT_ERR_UNKNOWN_SYMBOL);
    object_close(&object);
}

/* What relakit_module_init refuses. */
static void init_faults(unsigned char *file, size_t size)
{
    static struct level3 loader;
    struct init call = { loader.state, sizeof loader.state, file, size };
    struct bench bench = { .call = init, .ctx = &call };
    struct relakit_error error = { 0 };

    bench_watch(&bench, "state", loader.state, sizeof loader.state);
    bench_watch(&bench, "file", file, size);
    fault8(&bench, "not an ELF file", file, 'X', RELAKIT_ERR_NOT_ELF);
    fault8(&bench, "for another machine", file + offsetof(Elf64_Ehdr, e_machine), 3, RELAKIT_ERR_NOT_X86_64);
    fault64(&bench, "section headers behind the end", file + offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX - 63,
            RELAKIT_ERR_TRUNCATED);
    fault64(&bench, "state too short", &call.memory_size, 100, RELAKIT_ERR_STATE_TOO_SHORT);
    fault64(&bench, "state not aligned", &call.memory, (uint64_t)(uintptr_t)loader.state + 4, RELAKIT_ERR_ALIGNMENT);
    fault64(&bench, "no file", &call.file, 0, RELAKIT_ERR_NULL);
    for (size_t end = 0; end < size; end++) {
        unsigned char *part = allocate(end);
        relakit_status want = RELAKIT_ERR_TRUNCATED;
        if (end < SELFMAG)
            want = end == 0 ? RELAKIT_ERR_EMPTY_FILE : RELAKIT_ERR_NOT_ELF;
        memcpy(part, file, end);
        check(level3_load(&loader, "plain", part, end, &error) == want, "%zu of %zu bytes", end, size);
        free(part);
    }
    printf("  file cut short, at every byte: ");
    print_error(&error);
    bench_close(&bench);
}

static relakit_status copied(void *ctx, struct relakit_error *error)
{
    static struct level3 copy;

    copy = *(const struct level3 *)ctx;
    return relakit_module_assign((struct relakit_module *)(void *)copy.state, &copy.map, error);
}

/* A resolver that calls for the module that it is called for. */
static int32_t busy(void *ctx, const char *name, size_t length, uint64_t *value)
{
    check(relakit_module_stage(ctx) == RELAKIT_ERR_BUSY, "the module is busy");
    return host_exported(NULL, name, length, value);
}

static void place_faults(struct level3 *loader, unsigned char *file, uint32_t text)
{
    struct bench bench = { .call = place, .ctx = loader };
    struct relakit_section_memory *places = loader->places;

    bench_watch(&bench, "memory", loader->memory.bytes, memory_size());
    fault64(&bench, "memory too short", &places[text].size, places[text].size - 1, RELAKIT_ERR_ASSIGNED_SIZE);
    fault(&bench, "no memory at all", &places[text].flags, "\0\0\0\0", 4, RELAKIT_ERR_RESERVED);
    fault64(&bench, "no bytes", &places[text].bytes, 0, RELAKIT_ERR_NULL);
    fault64(&bench, "place lies over the file", &places[text].bytes, (uint64_t)(uintptr_t)file, RELAKIT_ERR_OVERLAP);
    fault64(&bench, "last places forgotten", &loader->map.count, 1, RELAKIT_ERR_NOT_ASSIGNED);
    fault32(&bench, "bytes and a writer", &places[text].flags, RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER,
            RELAKIT_ERR_RESERVED);
    fault32(&bench, "unknown flag", &places[text].flags, RELAKIT_MEMORY_PRESENT | 1024, RELAKIT_ERR_FLAGS);
    bench.call = copied;
    fault(&bench, "state was copied elsewhere", NULL, NULL, 0, RELAKIT_ERR_NOT_A_MODULE_STATE);
    bench_close(&bench);
}

void faults_level3(void)
{
    static struct level3 loader;
    struct relakit_error error;
    struct object object;
    size_t size;
    unsigned char *file = module_file("plain.o", &size);
    struct bench bench = { .call = relocate, .ctx = &loader };
    struct relakit_resolver resolver = host_resolver();
    struct failing failing = { .calls = 0 };

    printf("\nfaults, level 3:\n");
    init_faults(file, size);
    file_faults(file, size);
    expect_ok(object_open(&object, file, size, &error), &error, "plain.o");
    expect_ok(level3_place(&loader, file, size, 0, &error), &error, "plain.o");
    place_faults(&loader, file, find_entry(&object, ".rela.text", R_X86_64_PC32).target);
    object_close(&object);
    expect_ok(place(&loader, &error), &error, "the good places afterwards");
    bench_watch(&bench, "memory", loader.memory.bytes, memory_size());
    fault(&bench, "relocated before it is filled", NULL, NULL, 0, RELAKIT_ERR_ORDER);
    expect_ok(relakit_module_fill(loader.module_state, &loader.map, &error), &error, "filled");
    fault64(&bench, "too few values", &loader.value_count, 3, RELAKIT_ERR_VALUES_TOO_SHORT);
    bench.call = relocate_unresolved;
    fault(&bench, "resolver fails with -5", NULL, NULL, 0, RELAKIT_ERR_RESOLVER);
    bench.call = read_special;
    fault(&bench, "special sections are read too early", NULL, NULL, 0, RELAKIT_ERR_ORDER);
    bench.call = relocate;
    resolver.exported = busy;
    resolver.ctx = loader.module_state;
    expect_ok(relakit_module_early(loader.module_state, &loader.map, loader.values, loader.value_count, &resolver,
                                   &error), &error, "the good run afterwards");
    check(read_special(&loader, &error) == RELAKIT_NOT_FOUND, "now they may be: this one is none");
    fault(&bench, "relocated twice", NULL, NULL, 0, RELAKIT_ERR_ORDER);
    expect_ok(level3_names(&loader, &error), &error, "names");
    check(memory_seal(&loader.memory) == 0, "sealed");
    run_plain(&loader.module, "after all of that");
    bench_close(&bench);
    level3_unload(&loader);

    /* Once more with the code behind a writer. */
    expect_ok(level3_place(&loader, file, size, 1, &error), &error, "plain.o");
    failing.to = loader.writer;
    loader.writer = failing_writer(&failing);
    bench.call = relocate;
    bench.ctx = &loader;
    bench_watch(&bench, "memory", loader.memory.bytes, memory_size());
    fault64(&bench, "writer forgotten", &loader.map.writer, 0, RELAKIT_ERR_CALLBACK);
    fault_writer(&bench, &failing); /* it is relocated in the end */
    expect_ok(level3_names(&loader, &error), &error, "names");
    run_plain(&loader.module, "after all of that");
    bench_close(&bench);
    level3_unload(&loader);
    free(file);
}
