/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loader FOLDER: loads what is in the folder in every way there is, calls it, and looks at what it returns; then does
 * everything wrong that it can think of. Prints what happens; exit code 0 when all of it was as it should be.
 */
#include "faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

unsigned char *module_file(const char *name, size_t *size)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_file(path, size);
}

void expect_ok(relakit_status status, const struct relakit_error *error, const char *what)
{
    check(status == RELAKIT_OK, "%s is refused", what);
    if (status != RELAKIT_OK)
        print_error(error);
}

int count_of(const struct module *target)
{
    const int *count = (const int *)(uintptr_t)module_find(target, "target_count", strlen("target_count"), 1);

    return count ? *count : -1;
}

/* Prints how many relocations there are of each type, so that it is seen what the compiler has made. */
static void print_types(const char *name, unsigned char *file, size_t size, int want_all)
{
    unsigned counts[64] = { 0 };
    struct relakit_error error;
    struct object object;

    expect_ok(object_open(&object, file, size, &error), &error, name);
    printf("\n%s:", name);
    for (uint32_t i = 0; i < object.section_count; i++) {
        for (uint64_t at = 0; object_is_rela(&object, i) && at < object.sections[i].sh_size; at += sizeof(Elf64_Rela)) {
            Elf64_Rela rela;
            memcpy(&rela, file + object.sections[i].sh_offset + at, sizeof rela);
            counts[ELF64_R_TYPE(rela.r_info) & 63]++;
        }
    }
    for (uint32_t type = 0; type < 64; type++)
        if (counts[type])
            printf(" %s %u", relakit_type_name(type) ? relakit_type_name(type) : "?", counts[type]);
    printf("\n");
    check(!want_all || (counts[R_X86_64_64] && counts[R_X86_64_PC32] && counts[R_X86_64_PLT32] &&
                        counts[R_X86_64_32] && counts[R_X86_64_32S]),
          "%s has all common types", name);
    object_close(&object);
}

void run_plain(const struct module *module, const char *how)
{
    int first = module_call(module, "plain_run", 3), second = module_call(module, "plain_run", 2);

    printf("  %s at %#" PRIx64 ": plain_run(3) = %d, plain_run(2) = %d\n", how,
           module_find(module, "plain_run", strlen("plain_run"), 1), first, second);
    check(first == 3128 && second == 2124, "plain_run returns 3128 and 2124");
}

static void load_plain(const char *name, int want_all)
{
    struct relakit_error error;
    struct level1 one;
    struct level2 two;
    static struct level3 three;
    size_t size;
    unsigned char *file = module_file(name, &size);

    print_types(name, file, size, want_all);
    expect_ok(level1_load(&one, "plain", file, size, &error), &error, "level 1");
    run_plain(&one.module, "level 1");
    expect_ok(level2_load(&two, "plain", file, size, &error), &error, "level 2");
    run_plain(&two.module, "level 2");
    expect_ok(level3_load(&three, "plain", file, size, &error), &error, "level 3");
    run_plain(&three.module, "level 3");
    level1_unload(&one);
    level2_unload(&two);
    level3_unload(&three);
    free(file);
}

/* A livepatch at either level, so that both live the same life below. */
struct patch {
    int level;
    struct level2 two;
    struct level3 three;
};

static relakit_status patch_load(struct patch *patch, unsigned char *file, size_t size, struct relakit_error *error)
{
    return patch->level == 2 ? livepatch2_load(&patch->two, "patch", file, size, error)
                             : livepatch3_load(&patch->three, "patch", file, size, error);
}

static relakit_status patch_coming(struct patch *patch, uint32_t *sections, struct relakit_error *error)
{
    return patch->level == 2 ? livepatch2_coming(&patch->two, "target", sections, error)
                             : livepatch3_coming(&patch->three, "target", sections, error);
}

static relakit_status patch_going(struct patch *patch, uint32_t *sections, struct relakit_error *error)
{
    return patch->level == 2 ? livepatch2_going(&patch->two, "target", sections, error)
                             : livepatch3_going(&patch->three, "target", sections, error);
}

/* The target has been loaded, wherever: it comes, is used, and goes. `module` is the patch. */
static void come_and_go(struct patch *patch, const struct module *module, const unsigned char *memory,
                        const struct module *target, int loaded_by)
{
    unsigned char *before = allocate(memory_size());
    struct relakit_error error;
    uint32_t sections = 0;
    relakit_status status;
    int result;

    memcpy(before, memory, memory_size());
    host_coming(target);
    status = patch_coming(patch, &sections, &error);
    expect_ok(status, &error, "coming");
    if (status != RELAKIT_OK) { /* what it calls is not there */
        host_going(target);
        free(before);
        return;
    }
    check(sections == 2, "two sections are applied, not %" PRIu32, sections);
    result = module_call(module, "patch_submit", 5);
    printf("  target, loaded by level %d, comes at %#" PRIx64 ": patch_submit(5) = %d, target_count = %d\n", loaded_by,
           module_find(target, "step", strlen("step"), 2), result, count_of(target));
    check(result == 1050, "host_add(3 * 5) + 7 * 5");
    check(count_of(target) == 1100, "this copy of target's second step() was called, once");

    expect_ok(patch_going(patch, &sections, &error), &error, "going");
    host_going(target);
    check(memcmp(before, memory, memory_size()) == 0, "all is as before the target came");
    printf("  target goes: %" PRIu32 " sections are cleared, and all bytes are as before it came\n", sections);
    free(before);
}

static void live(int level)
{
    static struct patch patch;
    struct relakit_error error;
    struct level1 first;
    static struct level3 second;
    const struct module *module = level == 2 ? &patch.two.module : &patch.three.module;
    uint64_t scale = 0;
    size_t patch_size, target_size;
    unsigned char *file = module_file("patch.ko", &patch_size), *target = module_file("target.ko", &target_size);
    const unsigned char *memory;
    uint64_t keys;
    int result;

    printf("\npatch.ko at level %d:\n", level);
    patch.level = level;
    expect_ok(patch_load(&patch, file, patch_size, &error), &error, "patch.ko");
    memory = level == 2 ? patch.two.memory.bytes : patch.three.memory.bytes;

    /* The early pass is done: only now the host reads what stands in for a special section. */
    keys = module_find(module, "host_keys", strlen("host_keys"), 1);
    check(keys != 0 && *(int **)(uintptr_t)keys == &host_verbose, "the key is the host's");
    result = module_call(module, "patch_early", 5);
    check(host_candidate(NULL, "vmlinux", 7, "host_scale", 10, 2, &scale) == RELAKIT_OK, "a second host_scale");
    check(result == 7 * 5 + ((int (*)(int))(uintptr_t)scale)(5), "patch_early calls what the host does not export");
    printf("  early: host_verbose is in .host_keys, patch_early(5) = %d\n", result);

    expect_ok(level1_load(&first, "target", target, target_size, &error), &error, "target.ko");
    come_and_go(&patch, module, memory, &first.module, 1);
    level1_unload(&first);
    expect_ok(level3_load(&second, "target", target, target_size, &error), &error, "target.ko");
    come_and_go(&patch, module, memory, &second.module, 3);
    level3_unload(&second);

    if (level == 2)
        level2_unload(&patch.two);
    else
        level3_unload(&patch.three);
    free(file);
    free(target);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: loader FOLDER\n");
        return 2;
    }
    folder = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0); /* so that it can be seen how far it came */
    if (relakit_abi() != RELAKIT_ABI) {
        fprintf(stderr, "the archive has ABI %" PRIu32 ", the header %d\n", relakit_abi(), RELAKIT_ABI);
        return 2;
    }
    printf("relakit %s\n", relakit_version());
    load_plain("plain.o", 1);
    load_plain("plain-large.o", 0);
    live(2);
    live(3);
    faults_level1();
    faults_level2();
    faults_livepatch2();
    faults_level3();
    faults_livepatch3();
    return report();
}
