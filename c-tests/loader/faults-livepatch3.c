/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A livepatch at the third level, with one fault at a time: while it loads, when the target comes, when it goes. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
    struct level3 *loader;
    const char *object;
    size_t kept_size;
};

static relakit_status early(void *ctx, struct relakit_error *error)
{
    return level3_relocate(((const struct call *)ctx)->loader, error);
}

static relakit_status coming(void *ctx, struct relakit_error *error)
{
    const struct call *call = ctx;

    return livepatch3_coming(call->loader, call->object, NULL, error);
}

static relakit_status going(void *ctx, struct relakit_error *error)
{
    const struct call *call = ctx;

    return livepatch3_going(call->loader, call->object, NULL, error);
}

static relakit_status keep(void *ctx, struct relakit_error *error)
{
    static uint64_t kept[64];
    const struct call *call = ctx;
    struct level3 *loader = call->loader;

    return relakit_module_retain(loader->module_state, &loader->map, loader->values, loader->value_count, kept,
                               call->kept_size, error);
}

static void watch(struct bench *bench, struct level3 *loader)
{
    bench_watch(bench, "memory", loader->memory.bytes, memory_size());
    bench_watch(bench, "places", loader->places, loader->map.count * sizeof *loader->places);
}

/* Faults of names, which are in the file: they are there before the module is. */
static void name_fault(const char *what, unsigned char *file, size_t size, unsigned char *at, unsigned char bad,
                       relakit_status want)
{
    static struct level3 loader;
    struct call call = { .loader = &loader };
    struct bench bench = { .call = early, .ctx = &call };
    struct relakit_error error;
    unsigned char good = *at;

    *at = bad;
    expect_ok(level3_place(&loader, file, size, 1, &error), &error, what);
    watch(&bench, &loader);
    bench_watch(&bench, "file", file, size);
    fault(&bench, what, NULL, NULL, 0, want);
    *at = good;
    bench_close(&bench);
    level3_unload(&loader);
}

static unsigned char *find_bytes(unsigned char *file, size_t size, const char *text)
{
    for (size_t at = 0; at + strlen(text) <= size; at++)
        if (memcmp(file + at, text, strlen(text)) == 0)
            return file + at;
    fprintf(stderr, "no %s in the file\n", text);
    exit(2);
}

static void early_faults(unsigned char *file, size_t size)
{
    unsigned char *scale = find_bytes(file, size, ".klp.sym.vmlinux.host_scale,2");

    name_fault("early: symbol that nobody has", file, size, scale + 17, 'H', RELAKIT_ERR_KLP_NOT_FOUND);
    name_fault("early: one of two, but which", file, size, scale + 28, '0', RELAKIT_ERR_KLP_AMBIGUOUS);
    name_fault("early: the ninth of two", file, size, scale + 28, '9', RELAKIT_ERR_KLP_SYMPOS);
    name_fault("early: symbol's name without comma", file, size, scale + 27, ';', RELAKIT_ERR_BAD_KLP_SYMBOL_NAME);
    name_fault("early: section's name without object", file, size,
               find_bytes(file, size, ".klp.rela.vmlinux..text") + 10, '.', RELAKIT_ERR_BAD_KLP_SECTION_NAME);
}

/* The section where the target's address goes: its place, and the address of the pointer. */
static uint32_t find_place(const struct level3 *loader, uint64_t address)
{
    for (uint32_t i = 1; i < loader->map.count; i++)
        if (loader->places[i].flags && address - loader->places[i].address < loader->places[i].size)
            return i;
    return 0;
}

void faults_livepatch3(void)
{
    static struct level3 loader;
    struct level2 target;
    struct relakit_error error;
    size_t size, target_size, kept_size = 0;
    unsigned char *file = module_file("patch.ko", &size), *target_file = module_file("target.ko", &target_size);
    struct call call = { .loader = &loader, .object = "target" };
    struct bench bench = { .call = early, .ctx = &call };
    struct failing failing = { .calls = 0 };
    const char *vmlinux = "vmlinux", *no_name = "", *nobody = NULL;
    struct relakit_section_memory *place;
    unsigned char *pointer;
    uint32_t sections = 9;

    printf("\nfaults, livepatch at level 3:\n");
    early_faults(file, size);
    expect_ok(level3_place(&loader, file, size, 1, &error), &error, "patch.ko");
    failing.to = loader.writer;
    loader.writer = failing_writer(&failing);
    watch(&bench, &loader);
    fault_writer(&bench, &failing); /* it is loaded in the end */
    expect_ok(level3_names(&loader, &error), &error, "names");

    bench.call = coming;
    fault(&bench, "coming: file is not put aside yet", NULL, NULL, 0, RELAKIT_ERR_ORDER);
    expect_ok(relakit_module_retained_size(loader.module_state, loader.values, loader.value_count, &kept_size, &error),
              &error, "retained_size");
    bench.call = keep;
    call.kept_size = kept_size - 1;
    fault(&bench, "keep: a byte too few", NULL, NULL, 0, RELAKIT_ERR_RETAINED_TOO_SHORT);
    fault64(&bench, "keep: scratch too short", &loader.value_count, 2, RELAKIT_ERR_VALUES_TOO_SHORT);
    expect_ok(livepatch3_keep(&loader, &error), &error, "keeping");
    pointer = (unsigned char *)(uintptr_t)module_find(&loader.module, "patch_counter", strlen("patch_counter"), 1);
    place = &loader.places[find_place(&loader, (uint64_t)(uintptr_t)pointer)];

    bench.call = going;
    fault(&bench, "going: but it has not come", NULL, NULL, 0, RELAKIT_ERR_NOT_LIVE);
    bench.call = coming;
    fault(&bench, "coming: target is not there", NULL, NULL, 0, RELAKIT_ERR_KLP_NOT_FOUND);
    expect_ok(level2_load(&target, "target", target_file, target_size, &error), &error, "target.ko");
    host_coming(&target.module);
    fault(&bench, "coming: the host itself", &call.object, &vmlinux, sizeof vmlinux, RELAKIT_ERR_NOT_A_MODULE);
    fault(&bench, "coming: no name", &call.object, &no_name, sizeof no_name, RELAKIT_ERR_NOT_A_MODULE);
    fault(&bench, "coming: NULL", &call.object, &nobody, sizeof nobody, RELAKIT_ERR_NULL);
    fault64(&bench, "coming: section has moved", &place->address, place->address + 64, RELAKIT_ERR_SECTION_MOVED);
    fault64(&bench, "coming: section's memory too short", &place->size, place->size - 1, RELAKIT_ERR_ASSIGNED_SIZE);
    fault64(&bench, "coming: last places forgotten", &loader.map.count, 1, RELAKIT_ERR_NOT_ASSIGNED);
    fault8(&bench, "coming: field is not zero", pointer, 1, RELAKIT_ERR_TARGET_NOT_ZERO);
    expect_ok(livepatch3_coming(&loader, "taregt", &sections, &error), &error, "a misspelt target");
    check(sections == 0, "nothing is known of it");
    fault_writer(&bench, &failing); /* it has come in the end */
    check(module_call(&loader.module, "patch_submit", 5) == 1050 && count_of(&target.module) == 1100, "it works");
    fault(&bench, "coming: twice", NULL, NULL, 0, RELAKIT_ERR_ALREADY_LIVE);

    bench.call = going;
    fault8(&bench, "going: somebody changed the pointer", pointer, (char)(*pointer ^ 0x10), RELAKIT_ERR_TARGET_MISMATCH);
    fault64(&bench, "going: section has moved", &place->address, place->address - 64, RELAKIT_ERR_SECTION_MOVED);
    fault_writer(&bench, &failing); /* it has gone in the end */
    fault(&bench, "going: twice", NULL, NULL, 0, RELAKIT_ERR_NOT_LIVE);
    expect_ok(livepatch3_coming(&loader, "target", NULL, &error), &error, "the good run afterwards");
    check(module_call(&loader.module, "patch_submit", 5) == 1050 && count_of(&target.module) == 2200, "it works");

    host_going(&target.module);
    bench_close(&bench);
    level2_unload(&target);
    level3_unload(&loader);
    free(file);
    free(target_file);
}
