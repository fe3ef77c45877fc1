/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loader FOLDER: loads the modules of the folder at each level, calls them, and checks the results. Prints what it does.
 * Exit code 0 if all checks hold.
 */
#include "loader.h"
#include "../unit/test.h"

#include <inttypes.h>

static const char *folder;

static unsigned char *module_file(const char *name, size_t *size)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_file(path, size);
}

static void expect_ok(relakit_status status, const struct relakit_error *error, const char *what)
{
    if (EQ(status, RELAKIT_OK))
        return;
    printf("    %s is refused: ", what);
    print_error(error);
    exit(1); /* the rest would call what is not there */
}

static int count_of(const struct module *target)
{
    const int *count = (const int *)(uintptr_t)module_find(target, "target_count", strlen("target_count"), 1);

    return count ? *count : -1;
}

static void run_plain(const struct module *module, const char *how)
{
    int first = module_call(module, "plain_run", 3), second = module_call(module, "plain_run", 2);

    printf("  %s at %#" PRIx64 ": plain_run(3) = %d, plain_run(2) = %d\n", how,
           module_find(module, "plain_run", strlen("plain_run"), 1), first, second);
    EQ(first, 3128);
    EQ(second, 2124);
}

/* `levels` are the levels that can load it, such as "13". */
static void load_plain(const char *name, const char *levels)
{
    struct relakit_error error;
    struct level1 one;
    struct level2 two;
    static struct level3 three;
    size_t size;
    unsigned char *file = module_file(name, &size);

    printf("\n%s:\n", name);
    expect_ok(level1_load(&one, "plain", file, size, &error), &error, "level 1");
    run_plain(&one.module, "level 1");
    if (strchr(levels, '2')) {
        expect_ok(level2_load(&two, "plain", file, size, &error), &error, "level 2");
        run_plain(&two.module, "level 2");
        level2_unload(&two);
    }
    expect_ok(level3_load(&three, "plain", file, size, &error), &error, "level 3");
    run_plain(&three.module, "level 3");
    level1_unload(&one);
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
    return patch->level == 2 ? level2_load(&patch->two, "patch", file, size, error)
                             : level3_load(&patch->three, "patch", file, size, error);
}

static relakit_status patch_coming(struct patch *patch, uint32_t *sections, struct relakit_error *error)
{
    return patch->level == 2 ? level2_coming(&patch->two, "target", sections, error)
                             : level3_coming(&patch->three, "target", sections, error);
}

static relakit_status patch_going(struct patch *patch, uint32_t *sections, struct relakit_error *error)
{
    return patch->level == 2 ? level2_going(&patch->two, "target", sections, error)
                             : level3_going(&patch->three, "target", sections, error);
}

/* The target has been loaded, wherever: it comes, is used, and goes. `module` is the patch. */
static void come_and_go(struct patch *patch, const struct module *module, const unsigned char *memory,
                        const struct module *target, int loaded_by)
{
    unsigned char *before = allocate(memory_size());
    struct relakit_error error;
    uint32_t sections = 0;
    int result;

    memcpy(before, memory, memory_size());
    host_coming(target);
    expect_ok(patch_coming(patch, &sections, &error), &error, "coming");
    EQ(sections, 2);
    result = module_call(module, "patch_submit", 5);
    printf("  target, loaded by level %d, comes at %#" PRIx64 ": patch_submit(5) = %d, target_count = %d\n", loaded_by,
           module_find(target, "step", strlen("step"), 2), result, count_of(target));
    EQ(result, 3 * 5 + 7 * 5);
    EQ(count_of(target), 1100); /* by the patch, and by target's second step() */

    expect_ok(patch_going(patch, &sections, &error), &error, "going");
    host_going(target);
    SAME(memory, before, memory_size());
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
    uint64_t key;
    int result;

    printf("\npatch.ko at level %d:\n", level);
    patch.level = level;
    expect_ok(patch_load(&patch, file, patch_size, &error), &error, "patch.ko");
    memory = level == 2 ? patch.two.memory.bytes : patch.three.memory.bytes;

    /* The early pass is done: now the host may read __jump_table. */
    key = module_find(module, "patch_key", strlen("patch_key"), 1);
    CHECK(key != 0 && key + *(uint64_t *)(uintptr_t)key == (uint64_t)(uintptr_t)&verbose);
    result = module_call(module, "patch_early", 5);
    EQ(host_candidate(NULL, "vmlinux", 7, "scale", 5, 2, &scale), RELAKIT_OK);
    EQ(result, 7 * 5 + ((int (*)(int))(uintptr_t)scale)(5)); /* functions that the host does not export */
    printf("  early: verbose is the key in __jump_table, patch_early(5) = %d\n", result);

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
    load_plain("plain.o", "123");
    load_plain("plain-large.o", "123");
    /* They need a GOT. Level 2 is for loaders like Linux's, which has none. */
    load_plain("plain-default.o", "13");
    load_plain("plain-pic.o", "13");
    load_plain("plain-large-pic.o", "13");
    load_plain("plain-rust.o", "13");
    live(2);
    live(3);
    return test_end("loader");
}
