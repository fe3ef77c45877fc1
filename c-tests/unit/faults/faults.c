/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * faults FOLDER: the example loaders with the damaged modules of defects.h, and with files that are cut short. A call that
 * fails must leave the module's memory and the file as they were; afterwards a good module must load.
 */
#include "../../loader/loader.h"
#include "../test.h"
#include "defects.h"

static const struct defect {
    const char *name;
    enum base base;
    enum step step;
    relakit_status status;
} defects[] = {
#define DEFECT(name, base, step, status) { #name, base, step, RELAKIT_##status },
    DEFECTS
#undef DEFECT
};
#define DEFECT_COUNT (sizeof defects / sizeof defects[0])

static const char *folder;

static unsigned char *module_file(const char *name, size_t *size)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s.ko", folder, name);
    return read_file(path, size);
}

/* A module at one of the three levels, on its way through the steps. */
struct attempt {
    int level;
    struct level1 one;
    struct level2 two;
    struct level3 three;
};

static struct memory *memory_of(struct attempt *attempt)
{
    return attempt->level == 1 ? &attempt->one.memory : attempt->level == 2 ? &attempt->two.memory : &attempt->three.memory;
}

static relakit_status place(struct attempt *attempt, unsigned char *file, size_t size, struct relakit_error *error)
{
    switch (attempt->level) {
    case 1: return level1_place(&attempt->one, file, size, error);
    case 2: return level2_place(&attempt->two, file, size, error);
    default: return level3_place(&attempt->three, file, size, error);
    }
}

static relakit_status early(struct attempt *attempt, struct relakit_error *error)
{
    switch (attempt->level) {
    case 1: return level1_relocate(&attempt->one, error);
    case 2: return level2_relocate(&attempt->two, error);
    default: return level3_relocate(&attempt->three, error);
    }
}

static relakit_status coming(struct attempt *attempt, struct relakit_error *error)
{
    return attempt->level == 2 ? level2_coming(&attempt->two, "target", NULL, error)
                               : level3_coming(&attempt->three, "target", NULL, error);
}

static void unload(struct attempt *attempt)
{
    switch (attempt->level) {
    case 1: level1_unload(&attempt->one); break;
    case 2: level2_unload(&attempt->two); break;
    default: level3_unload(&attempt->three); break;
    }
}

typedef relakit_status pass(struct attempt *attempt, struct relakit_error *error);

/* Makes a call. If it fails it must have changed nothing. */
static relakit_status checked(pass *call, struct attempt *attempt, struct relakit_error *error, const char *what)
{
    const unsigned char *bytes = memory_of(attempt)->bytes;
    unsigned char *before = allocate(memory_size());
    relakit_status status;

    memcpy(before, bytes, memory_size());
    memset(error, 0x5a, sizeof *error);
    status = call(attempt, error);
    if (status == RELAKIT_OK)
        EQ(error->linux_errno, 0x5a5a5a5a); /* not touched */
    else {
        EQ(error->status, status);
        if (!SAME(bytes, before, memory_size()))
            printf("    %s\n", what);
    }
    free(before);
    return status;
}

/* Takes a module as far as it gets. */
static relakit_status load_module(struct attempt *attempt, unsigned char *file, size_t size, enum step *step,
                           struct relakit_error *error, const char *what)
{
    relakit_status status = place(attempt, file, size, error);

    *step = attempt->level == 3 && attempt->three.module_state ? PLACE : READ;
    if (status != RELAKIT_OK)
        return status;
    *step = EARLY;
    status = checked(early, attempt, error, what);
    if (status == RELAKIT_OK && attempt->level == 3)
        status = level3_retain(&attempt->three, error);
    if (status != RELAKIT_OK || attempt->level == 1)
        return status;
    *step = COMING;
    return checked(coming, attempt, error, what);
}

/*
 * At level 3 relakit reads the file. At levels 1 and 2 the loader's own checks refuse some defects earlier, or with another
 * status: it does not know which tables share bytes, and its symbol table is not SHF_ALLOC.
 */
static int is_expected(int level, const struct defect *defect, enum step step, relakit_status status)
{
    if (step == defect->step && status == defect->status)
        return 1;
    if (level == 3 || status == RELAKIT_OK)
        return 0;
    return step < defect->step || defect->step <= PLACE || status == RELAKIT_ERR_TARGET_NOT_ALLOCATED;
}

static void refuse(int level, const struct defect *defect)
{
    static struct attempt attempt;
    struct relakit_error error;
    enum step step = READ;
    relakit_status status;
    size_t size;
    unsigned char *file = module_file(defect->name, &size), *before;

    attempt.level = level;
    before = allocate(size);
    memcpy(before, file, size);
    status = load_module(&attempt, file, size, &step, &error, defect->name);
    if (!CHECK(is_expected(level, defect, step, status)))
        printf("    level %d, %s: status %d in step %d\n", level, defect->name, status, (int)step);
    SAME(file, before, size);
    if (level == 3) {
        printf("  %s: ", defect->name);
        print_error(&error);
    }
    unload(&attempt);
    free(before);
    free(file);
}

static void accept(int level, const char *name)
{
    static struct attempt attempt;
    struct relakit_error error;
    enum step step;
    size_t size;
    unsigned char *file = module_file(name, &size);

    attempt.level = level;
    EQ(load_module(&attempt, file, size, &step, &error, name), RELAKIT_OK);
    unload(&attempt);
    free(file);
}

static void cut_short(void)
{
    struct level1 one;
    struct relakit_error error;
    size_t size;
    unsigned char *file = module_file("plain", &size);

    for (size_t end = 0; end < size; end++) {
        unsigned char *part = allocate(end);
        memcpy(part, file, end);
        CHECK(level1_load(&one, "plain", part, end, &error) != RELAKIT_OK);
        free(part);
    }
    printf("  file cut short, at every byte: ");
    print_error(&error);
    free(file);
}

int main(int argc, char **argv)
{
    struct relakit_error error;
    struct level1 target;
    size_t size;
    unsigned char *file;

    if (argc != 2) {
        fprintf(stderr, "usage: faults FOLDER\n");
        return 2;
    }
    folder = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    cut_short();
    file = module_file("target", &size);
    EQ(level1_load(&target, "target", file, size, &error), RELAKIT_OK);
    host_coming(&target.module);
    for (int level = 1; level <= 3; level++) {
        for (size_t i = 0; i < DEFECT_COUNT; i++)
            if (level > 1 || defects[i].base == PLAIN)
                refuse(level, &defects[i]);
        accept(level, level == 1 ? "plain" : "patch");
    }
    host_going(&target.module);
    level1_unload(&target);
    free(file);
    return test_end("faults");
}
