/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The second level, with one fault at a time: ordinary relocations. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>

/* The arguments of relakit_apply_relocate_add, each of which can be wrong. */
struct call {
    const void *sechdrs;
    uint32_t section_count, symindex, symbol_count, relsec;
    const struct relakit_writer *writer;
    int clear;
};

static relakit_status one_section(void *ctx, struct relakit_error *error)
{
    const struct call *call = ctx;

    return (call->clear ? relakit_clear_relocate_add : relakit_apply_relocate_add)(
        call->sechdrs, call->section_count, NULL, call->symindex, call->symbol_count, call->relsec, call->writer,
        &level2_options, error);
}

static relakit_status relocate(void *ctx, struct relakit_error *error)
{
    return level2_relocate(ctx, error);
}

static void watch(struct bench *bench, const struct level2 *loader)
{
    const struct object *object = &loader->object;

    bench_watch(bench, "memory", loader->memory.bytes, memory_size());
    bench_watch(bench, "file", object->file, object->size);
    bench_watch(bench, "headers", object->sections, object->section_count * sizeof(Elf64_Shdr));
    bench_watch(bench, "symbols", object->symbols, object->symbol_count * sizeof(Elf64_Sym));
}

void faults_level2(void)
{
    struct level2 loader;
    struct relakit_error error;
    size_t size;
    unsigned char *file = module_file("plain.o", &size);
    struct bench bench = { .call = relocate, .ctx = &loader }, one = { .call = one_section };
    struct failing failing = { .calls = 0 };
    const struct relakit_writer writer = failing_writer(&failing);
    struct call call;
    struct entry pc32, number;
    Elf64_Shdr *table, *target;

    printf("\nfaults, level 2:\n");
    expect_ok(level2_place(&loader, file, size, &error), &error, "plain.o");
    pc32 = find_entry(&loader.object, ".rela.text", R_X86_64_PC32);
    number = find_entry(&loader.object, ".rela.text", R_X86_64_32);
    table = &loader.object.sections[pc32.section];
    target = &loader.object.sections[pc32.target];
    watch(&bench, &loader);
    fault64(&bench, "r_offset outside", RELA(pc32, r_offset), UINT64_MAX - 1, RELAKIT_ERR_OFFSET_OUTSIDE);
    fault32(&bench, "symbol index outside", RELA(pc32, r_info) + 4, UINT32_MAX, RELAKIT_ERR_SYMBOL_INDEX);
    fault32(&bench, "unknown type", RELA(pc32, r_info), 255, RELAKIT_ERR_UNKNOWN_TYPE);
    fault64(&bench, "st_value does not fit", &loader.object.symbols[number.symbol].st_value, UINT64_C(1) << 32,
            RELAKIT_ERR_OVERFLOW);
    fault8(&bench, "field is not zero", (unsigned char *)(uintptr_t)target->sh_addr + number.offset, 1,
           RELAKIT_ERR_TARGET_NOT_ZERO);
    fault64(&bench, "section has shrunk", &target->sh_size, 8, RELAKIT_ERR_OFFSET_OUTSIDE);
    fault64(&bench, "sh_addr of the target is NULL", &target->sh_addr, 0, RELAKIT_ERR_NOT_ASSIGNED);
    fault64(&bench, "sh_addr wraps around", &target->sh_addr, UINT64_MAX - 4, RELAKIT_ERR_NOT_ASSIGNED);
    fault64(&bench, "target lies over the headers", &target->sh_addr, (uint64_t)(uintptr_t)loader.object.sections,
            RELAKIT_ERR_TARGET_OVERLAPS);

    call.sechdrs = loader.object.sections;
    call.section_count = loader.object.section_count;
    call.symindex = loader.object.symtab;
    call.symbol_count = loader.object.symbol_count;
    call.relsec = pc32.section;
    call.writer = NULL;
    call.clear = 0;
    one.ctx = &call;
    watch(&one, &loader);
    fault32(&one, "no such relsec", &call.relsec, call.section_count, RELAKIT_ERR_NO_SUCH_SECTION);
    fault32(&one, "relsec is the code", &call.relsec, pc32.target, RELAKIT_ERR_NOT_RELOCATIONS);
    fault32(&one, "no such symindex", &call.symindex, 0, RELAKIT_ERR_NO_SUCH_SECTION);
    fault32(&one, "fewer symbols", &call.symbol_count, 1, RELAKIT_ERR_SYMBOL_INDEX);
    fault32(&one, "sh_type is SHT_REL", &table->sh_type, SHT_REL, RELAKIT_ERR_REL_SECTION);
    fault32(&one, "sh_info names no section", &table->sh_info, UINT32_MAX, RELAKIT_ERR_TARGET_OUT_OF_RANGE);
    fault32(&one, "sh_info names the symbols", &table->sh_info, call.symindex, RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE);
    fault64(&one, "no headers", &call.sechdrs, 0, RELAKIT_ERR_NULL);
    call.clear = 1;
    fault(&one, "cleared before it was applied", NULL, NULL, 0, RELAKIT_ERR_TARGET_MISMATCH);
    call.clear = 0;
    failing.to = memory_writer(&loader.memory);
    call.writer = &writer;
    fault_writer(&one, &failing); /* applies it in the end */
    call.clear = 1;
    fault64(&one, "symbol has moved since", &loader.object.symbols[number.symbol].st_value, 64, RELAKIT_ERR_TARGET_MISMATCH);
    fault_writer(&one, &failing); /* clears it in the end */

    check(memory_open(&loader.memory) == 0, "writable again"); /* the writer has sealed it */
    expect_ok(level2_relocate(&loader, &error), &error, "the good run afterwards");
    check(memory_seal(&loader.memory) == 0, "sealed");
    run_plain(&loader.module, "after all of that");
    bench_close(&bench);
    bench_close(&one);
    level2_unload(&loader);
    free(file);
}
