/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A livepatch at the second level, with one fault at a time: early, when the target comes, and when it goes. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* relakit_klp_apply and relakit_klp_clear, with what can be wrong. */
struct call {
    struct level2 *loader;
    struct relakit_sechdrs image;
    struct relakit_resolver resolver;
    const struct relakit_writer *writer;
    const char *object;
    int clear;
};

static relakit_status one_object(void *ctx, struct relakit_error *error)
{
    const struct call *call = ctx;

    return call->clear
               ? relakit_klp_clear(&call->image, call->object, call->writer, &level2_options, NULL, error)
               : relakit_klp_apply(&call->image, call->object, &call->resolver, call->writer, &level2_options, NULL,
                                   error);
}

static relakit_status early(void *ctx, struct relakit_error *error)
{
    return livepatch2_early(ctx, error);
}

static int32_t failing_candidate(void *ctx, const char *object, size_t object_length, const char *name, size_t length,
                                 uint64_t position, uint64_t *value)
{
    (void)ctx, (void)object, (void)object_length, (void)name, (void)length, (void)position, (void)value;
    return -5;
}

static void watch(struct bench *bench, const struct level2 *loader)
{
    const struct object *object = &loader->object;

    bench_watch(bench, "memory", loader->memory.bytes, memory_size());
    bench_watch(bench, "file", object->file, object->size);
    bench_watch(bench, "headers", object->sections, object->section_count * sizeof(Elf64_Shdr));
    bench_watch(bench, "symbols", object->symbols, object->symbol_count * sizeof(Elf64_Sym));
}

/* Livepatch sections are SHF_ALLOC: what relakit reads is not the file, but the copy in the module's memory. */
static struct entry find_in_memory(const struct object *object, const char *section_name, uint32_t type)
{
    struct entry entry = find_entry(object, section_name, type);
    const Elf64_Shdr *section = &object->sections[entry.section];

    entry.bytes = (unsigned char *)(uintptr_t)section->sh_addr + (entry.bytes - (object->file + section->sh_offset));
    return entry;
}

static char *name_of(const struct object *object, uint32_t symbol)
{
    return (char *)object->file + object->sections[object->strtab].sh_offset + object->symbols[symbol].st_name;
}

/* The last character of a symbol's name: its position. */
static char *position_of(const struct object *object, uint32_t symbol)
{
    return strchr(name_of(object, symbol), 0) - 1;
}

static void early_faults(struct level2 *loader, uint32_t *host_symbol)
{
    struct object *object = &loader->object;
    struct bench bench = { .call = early, .ctx = loader };
    struct entry call = find_in_memory(object, ".klp.rela.vmlinux..text", R_X86_64_PLT32);
    struct entry scale = call, key = find_in_memory(object, ".klp.rela.vmlinux..host_keys", R_X86_64_64);
    char *section_name = (char *)object->file + object->sections[object->shstrtab].sh_offset +
                         object->sections[call.section].sh_name;

    while (strcmp(name_of(object, scale.symbol), ".klp.sym.vmlinux.host_scale,2") != 0)
        scale.symbol++;
    *host_symbol = call.symbol;
    watch(&bench, loader);
    fault8(&bench, "early: symbol that nobody has", name_of(object, call.symbol) + 17, 'X', RELAKIT_ERR_KLP_NOT_FOUND);
    fault8(&bench, "early: one of two, but which", position_of(object, scale.symbol), '0', RELAKIT_ERR_KLP_AMBIGUOUS);
    fault8(&bench, "early: the third of two", position_of(object, scale.symbol), '3', RELAKIT_ERR_KLP_SYMPOS);
    fault8(&bench, "early: symbol's name without comma", position_of(object, scale.symbol) - 1, '.',
           RELAKIT_ERR_BAD_KLP_SYMBOL_NAME);
    fault(&bench, "early: not a livepatch symbol", &object->symbols[call.symbol].st_shndx, "\xf1\xff", 2,
          RELAKIT_ERR_NOT_KLP_SYMBOL);
    fault8(&bench, "early: section's name without object", section_name + 10, '.', RELAKIT_ERR_BAD_KLP_SECTION_NAME);
    fault64(&bench, "early: r_offset outside", RELA(call, r_offset), 0x10000, RELAKIT_ERR_OFFSET_OUTSIDE);
    fault32(&bench, "early: symbol index outside", RELA(call, r_info) + 4, object->symbol_count,
            RELAKIT_ERR_SYMBOL_INDEX);
    fault64(&bench, "early: too far for a call", RELA(call, r_addend), UINT64_C(1) << 33, RELAKIT_ERR_OVERFLOW);
    fault8(&bench, "early: field in the last section is not zero",
           (unsigned char *)(uintptr_t)object->sections[key.target].sh_addr + key.offset + 7, 1, RELAKIT_ERR_TARGET_NOT_ZERO);
    fault64(&bench, "early: no memory for values", &loader->values, 0, RELAKIT_ERR_NULL);
    bench_close(&bench);
}

static void coming_faults(struct bench *bench, struct call *call, uint32_t host_symbol)
{
    struct object *object = &call->loader->object;
    struct entry pointer = find_in_memory(object, ".klp.rela.target..data", R_X86_64_64);
    struct entry step = find_in_memory(object, ".klp.rela.target..text", R_X86_64_PLT32);
    Elf64_Shdr *section = &object->sections[step.section];
    Elf64_Shdr *target = &object->sections[step.target];
    const char *no_name = "";

    fault32(bench, "coming: host's symbol in target's section", RELA(step, r_info) + 4, host_symbol,
            RELAKIT_ERR_VMLINUX_FROM_MODULE);
    fault8(bench, "coming: the third of two", position_of(object, step.symbol), '3', RELAKIT_ERR_KLP_SYMPOS);
    fault64(bench, "coming: section is not in memory", &section->sh_flags,
            section->sh_flags & ~(uint64_t)SHF_ALLOC, RELAKIT_ERR_LATE_NOT_ALLOCATED);
    fault64(bench, "coming: target is not in memory", &target->sh_flags, target->sh_flags & ~(uint64_t)SHF_ALLOC,
            RELAKIT_ERR_TARGET_NOT_ALLOCATED);
    fault32(bench, "coming: sh_info names no section", &section->sh_info, 0x7777, RELAKIT_ERR_TARGET_OUT_OF_RANGE);
    fault64(bench, "coming: section has shrunk", &target->sh_size, 0, RELAKIT_ERR_OFFSET_OUTSIDE);
    fault8(bench, "coming: field is not zero",
           (unsigned char *)(uintptr_t)object->sections[pointer.target].sh_addr + pointer.offset, 1,
           RELAKIT_ERR_TARGET_NOT_ZERO);
    fault(bench, "coming: who?", &call->object, &no_name, sizeof no_name, RELAKIT_ERR_NOT_A_MODULE);
    call->resolver.nth_symbol = failing_candidate;
    fault(bench, "coming: resolver fails with -5", NULL, NULL, 0, RELAKIT_ERR_RESOLVER);
    call->resolver = host_resolver();
}

static void going_faults(struct bench *bench, const struct call *call)
{
    struct object *object = &call->loader->object;
    struct entry pointer = find_in_memory(object, ".klp.rela.target..data", R_X86_64_64);
    struct entry step = find_in_memory(object, ".klp.rela.target..text", R_X86_64_PLT32);
    unsigned char *field = (unsigned char *)(uintptr_t)object->sections[pointer.target].sh_addr + pointer.offset;

    fault8(bench, "going: somebody changed the pointer", field, (char)(*field ^ 0x10), RELAKIT_ERR_TARGET_MISMATCH);
    fault64(bench, "going: target has moved since", &object->symbols[step.symbol].st_value, 0x20000000,
            RELAKIT_ERR_TARGET_MISMATCH);
}

void faults_livepatch2(void)
{
    struct level2 loader;
    struct level1 target;
    struct relakit_error error;
    size_t size, target_size;
    unsigned char *file = module_file("patch.ko", &size), *target_file = module_file("target.ko", &target_size);
    struct bench bench = { .call = one_object };
    struct failing failing = { .calls = 0 };
    const struct relakit_writer writer = failing_writer(&failing);
    struct call call = { .loader = &loader, .writer = &writer, .object = "target" };
    uint32_t host_symbol, sections = 9;

    printf("\nfaults, livepatch at level 2:\n");
    expect_ok(level2_place(&loader, file, size, &error), &error, "patch.ko");
    early_faults(&loader, &host_symbol);
    expect_ok(livepatch2_early(&loader, &error), &error, "the good run afterwards");
    check(memory_seal(&loader.memory) == 0, "sealed");

    call.image = livepatch2_image(&loader);
    call.resolver = host_resolver();
    failing.to = memory_writer(&loader.memory);
    bench.ctx = &call;
    watch(&bench, &loader);
    fault(&bench, "coming: target is not there", NULL, NULL, 0, RELAKIT_ERR_KLP_NOT_FOUND);
    expect_ok(level1_load(&target, "target", target_file, target_size, &error), &error, "target.ko");
    host_coming(&target.module);
    call.clear = 1;
    fault(&bench, "going: but it has not come", NULL, NULL, 0, RELAKIT_ERR_TARGET_MISMATCH);
    call.clear = 0;
    coming_faults(&bench, &call, host_symbol);
    expect_ok(livepatch2_coming(&loader, "taregt", &sections, &error), &error, "a misspelt target");
    check(sections == 0, "nothing is known of it");
    printf("  coming: misspelt: no error, and %u sections\n", sections);

    fault_writer(&bench, &failing); /* it has come in the end */
    check(module_call(&loader.module, "patch_submit", 5) == 1050 && count_of(&target.module) == 1100, "it works");
    fault(&bench, "coming: twice", NULL, NULL, 0, RELAKIT_ERR_TARGET_NOT_ZERO);
    call.clear = 1;
    going_faults(&bench, &call);
    fault_writer(&bench, &failing); /* it has gone in the end */
    fault(&bench, "going: twice", NULL, NULL, 0, RELAKIT_ERR_TARGET_MISMATCH);
    expect_ok(livepatch2_coming(&loader, "target", NULL, &error), &error, "the good run afterwards");
    check(module_call(&loader.module, "patch_submit", 5) == 1050 && count_of(&target.module) == 2200, "it works");

    host_going(&target.module);
    bench_close(&bench);
    level1_unload(&target);
    level2_unload(&loader);
    free(file);
    free(target_file);
}
