/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first level, with one fault at a time. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static relakit_status relocate(void *ctx, struct relakit_error *error)
{
    return level1_relocate(ctx, error);
}

/* One table by itself, with or without a writer, there or back. */
struct table {
    struct level1 *loader;
    uint32_t section;
    const struct relakit_writer *writer;
    const void *symtab; /* NULL: as it should be, next to values */
    uint64_t entries;   /* only so many of its first; 0: all */
    int clear;
};

static relakit_status one_table(void *ctx, struct relakit_error *error)
{
    const struct table *table = ctx;
    const struct object *object = &table->loader->object;
    const Elf64_Shdr *header = &object->sections[table->section];
    unsigned char *place = table->loader->places[header->sh_info];
    const struct relakit_symbols symbols = {
        .values = table->loader->values,
        .symtab = table->symtab,
        .count = object->symbol_count,
    };
    const struct relakit_target target = {
        .bytes = table->writer ? NULL : place,
        .size = object->sections[header->sh_info].sh_size,
        .address = (uint64_t)(uintptr_t)place,
        .writer = table->writer,
    };

    return (table->clear ? relakit_clear : relakit_apply)(
        object->file + header->sh_offset, table->entries ? table->entries * sizeof(Elf64_Rela) : header->sh_size,
        &symbols, &target, NULL, error);
}

static void watch(struct bench *bench, const struct level1 *loader)
{
    bench_watch(bench, "memory", loader->memory.bytes, memory_size());
    bench_watch(bench, "file", loader->object.file, loader->object.size);
    bench_watch(bench, "values", loader->values, loader->object.symbol_count * sizeof(uint64_t));
}

/*
 * The one case in which a call that fails does change something: a writer that fails, and fails again when the pass is
 * to be undone. The error says which entries hold their values; when the writer works again they can be cleared.
 */
static void writer_is_gone(struct table *table, struct failing *failing)
{
    unsigned char *before = allocate(memory_size());
    unsigned undone = 0;

    memcpy(before, table->loader->memory.bytes, memory_size());
    failing->for_good = 1;
    for (unsigned k = 1;; k++) {
        struct relakit_error error;
        relakit_status status;
        failing->calls = 0;
        failing->fail_at = k;
        status = one_table(table, &error);
        failing->fail_at = 0;
        if (status == RELAKIT_OK)
            break;
        check(status == RELAKIT_ERR_WRITER || status == RELAKIT_ERR_SYNC || status == RELAKIT_ERR_NOT_UNDONE,
              "writer is gone: status %d", status);
        if (status == RELAKIT_ERR_NOT_UNDONE && error.has & RELAKIT_ERROR_HAS_ENTRY) {
            if (undone++ == 0) {
                printf("  writer fails at call %u and ever after: ", k);
                print_error(&error);
            }
            table->clear = 1;
            table->entries = error.entry + 1;
            expect_ok(one_table(table, &error), &error, "clearing what was not undone");
            table->clear = 0;
            table->entries = 0;
        }
        check(memcmp(before, table->loader->memory.bytes, memory_size()) == 0, "all is as it was, at call %u", k);
    }
    failing->for_good = 0;
    printf("  writer works again: the entries up to that one are cleared, and all is as it was, %u times\n", undone);
    check(undone != 0, "something was not undone");
    free(before);
}

/* A file that is cut short is refused by the loader itself: wherever it ends, nothing behind the end is read. */
static void truncated(const unsigned char *file, size_t size)
{
    struct relakit_error error = { 0 };
    struct level1 loader;

    for (size_t end = 0; end < size; end++) {
        unsigned char *part = allocate(end);
        memcpy(part, file, end);
        check(level1_load(&loader, "plain", part, end, &error) != RELAKIT_OK, "%zu of %zu bytes", end, size);
        free(part);
    }
    printf("  file cut short, at every byte: ");
    print_error(&error);
}

/* At this level the loader looks names up, and relakit never hears of one that nobody has. */
static void unknown_symbol(struct object *object, uint32_t symbol)
{
    unsigned char *name = object->file + object->sections[object->strtab].sh_offset + object->symbols[symbol].st_name;
    struct relakit_error error = { 0 };
    struct level1 other;

    *name ^= 0x20;
    check(level1_load(&other, "plain", object->file, object->size, &error) == RELAKIT_ERR_UNKNOWN_SYMBOL, "nobody has %s",
          name);
    printf("  symbol that nobody exports: ");
    print_error(&error);
    *name ^= 0x20;
}

void faults_level1(void)
{
    struct level1 loader;
    struct relakit_error error;
    size_t size;
    unsigned char *file = module_file("plain.o", &size);
    struct bench bench = { .call = relocate, .ctx = &loader }, one = { .call = one_table };
    struct failing failing = { .calls = 0 };
    const struct relakit_writer writer = failing_writer(&failing);
    struct table table = { .loader = &loader };
    struct entry pc32, number;
    unsigned char *field;

    printf("\nfaults, level 1:\n");
    truncated(file, size);
    expect_ok(level1_place(&loader, file, size, &error), &error, "plain.o");
    pc32 = find_entry(&loader.object, ".rela.text", R_X86_64_PC32);
    number = find_entry(&loader.object, ".rela.text", R_X86_64_32);
    field = loader.places[number.target] + number.offset;
    unknown_symbol(&loader.object, find_entry(&loader.object, ".rela.text", R_X86_64_PLT32).symbol);
    watch(&bench, &loader);

    fault64(&bench, "r_offset outside", RELA(pc32, r_offset), 0x100000, RELAKIT_ERR_OFFSET_OUTSIDE);
    fault64(&bench, "r_offset at the last byte", RELA(pc32, r_offset),
            loader.object.sections[pc32.target].sh_size - 1, RELAKIT_ERR_OFFSET_OUTSIDE);
    fault32(&bench, "symbol index outside", RELA(pc32, r_info) + 4, loader.object.symbol_count,
            RELAKIT_ERR_SYMBOL_INDEX);
    fault32(&bench, "unknown type", RELA(pc32, r_info), R_X86_64_TPOFF32, RELAKIT_ERR_UNKNOWN_TYPE);
    fault64(&bench, "32 bits for a high address", &loader.values[number.symbol], UINT64_C(1) << 40,
            RELAKIT_ERR_OVERFLOW);
    fault64(&bench, "PC32 to what is too far", RELA(pc32, r_addend), UINT64_C(1) << 40, RELAKIT_ERR_OVERFLOW);
    fault8(&bench, "field is not zero", field, 1, RELAKIT_ERR_TARGET_NOT_ZERO);
    fault64(&bench, "half an entry", &loader.object.sections[pc32.section].sh_size,
            loader.object.sections[pc32.section].sh_size - 12, RELAKIT_ERR_PARTIAL_ENTRY);
    fault64(&bench, "values not aligned", &loader.values, (uint64_t)(uintptr_t)loader.values + 1,
            RELAKIT_ERR_ALIGNMENT);
    fault64(&bench, "target is the table itself", &loader.places[pc32.target],
            (uint64_t)(uintptr_t)file + loader.object.sections[pc32.section].sh_offset, RELAKIT_ERR_OVERLAP);

    table.section = number.section;
    one.ctx = &table;
    watch(&one, &loader);
    table.clear = 1;
    fault64(&one, "two sources of values", &table.symtab, (uint64_t)(uintptr_t)loader.object.symbols,
            RELAKIT_ERR_SYMBOLS);
    fault(&one, "cleared before it was applied", NULL, NULL, 0, RELAKIT_ERR_TARGET_MISMATCH);
    table.clear = 0;
    failing.to = memory_writer(&loader.memory);
    table.writer = &writer;
    writer_is_gone(&table, &failing); /* applies it in the end */
    table.clear = 1;
    fault_writer(&one, &failing); /* clears it in the end */
    table.clear = 0;
    fault_writer(&one, &failing);
    fault(&one, "applied twice", NULL, NULL, 0, RELAKIT_ERR_TARGET_NOT_ZERO);
    table.clear = 1;
    table.writer = NULL;
    check(memory_open(&loader.memory) == 0, "writable again"); /* the writer has sealed it */
    fault8(&one, "field was changed since", field, (char)(*field ^ 1), RELAKIT_ERR_TARGET_MISMATCH);
    expect_ok(one_table(&table, &error), &error, "clearing");

    expect_ok(level1_relocate(&loader, &error), &error, "the good run afterwards");
    check(memory_seal(&loader.memory) == 0, "sealed");
    run_plain(&loader.module, "after all of that");
    bench_close(&bench);
    bench_close(&one);
    level1_unload(&loader);
    free(file);
}
