/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Loads a module and calls its function module_run, or prints why it does not load.
 *
 *   load low|high|mixed|top MODULE
 *
 * low: everything in the lowest 2 GiB. high: everything together, above 4 GiB. mixed: the module is low, and the kernel's
 * function and variable are 64 TiB above. top: in the highest 2 GiB; nothing is called there. The "kernel" has these two:
 * int kernel_function(int n), which returns n + 1, and int kernel_counter.
 *
 * Prints "loads", "loads with a GOT" or "loads with a GOT and stubs", or the name of the error and, for a relocation, its
 * type and the symbol's name.
 */
#define _GNU_SOURCE
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static unsigned char *kernel;
/* From the memory to the run-time address. */
static uint64_t distance;

static int32_t RELAKIT_CALL exported(void *ctx, const char *name, size_t name_len, uint64_t *value)
{
    (void)ctx, (void)name_len;
    if (strcmp(name, "kernel_function") == 0)
        *value = (uint64_t)(uintptr_t)kernel + distance;
    else if (strcmp(name, "kernel_counter") == 0)
        *value = (uint64_t)(uintptr_t)kernel + 4096 + distance;
    else
        return RELAKIT_NOT_FOUND;
    return RELAKIT_OK;
}

static const char *status_name(relakit_status status)
{
    static char number[40];
    switch (status) {
    case RELAKIT_ERR_UNKNOWN_TYPE: return "RELAKIT_ERR_UNKNOWN_TYPE";
    case RELAKIT_ERR_OVERFLOW: return "RELAKIT_ERR_OVERFLOW";
    case RELAKIT_ERR_COMMON_SYMBOL: return "RELAKIT_ERR_COMMON_SYMBOL";
    case RELAKIT_ERR_UNKNOWN_SYMBOL: return "RELAKIT_ERR_UNKNOWN_SYMBOL";
    case RELAKIT_ERR_NOT_RELOCATABLE: return "RELAKIT_ERR_NOT_RELOCATABLE";
    case RELAKIT_ERR_NOT_ELF: return "RELAKIT_ERR_NOT_ELF";
    default: snprintf(number, sizeof number, "status %d", (int)status); return number;
    }
}

#define REFUSED 3
static char why[300];

static int refused(struct relakit_module *module, relakit_status status, const struct relakit_error *error)
{
    struct relakit_symbol symbol = { .struct_size = sizeof symbol };
    const char *type = error->has & RELAKIT_ERROR_HAS_TYPE ? relakit_type_name(error->r_type) : NULL;
    int has_name = error->has & RELAKIT_ERROR_HAS_SYMBOL &&
                   relakit_module_symbol(module, error->symbol, &symbol, NULL) == RELAKIT_OK && symbol.name_len != 0;

    snprintf(why, sizeof why, "%s%s%s%s%s", status_name(status), type ? " " : "", type ? type : "", has_name ? " " : "",
             has_name ? symbol.name : "");
    return REFUSED;
}

static unsigned char *arena;
static const char *const outcomes[] = { "loads", "loads with a GOT", "loads with a GOT and stubs" };

/* Loads the module without a GOT, with a GOT, or also with stubs. */
static int load(int attempt, const unsigned char *file, size_t size)
{
    static unsigned char state[RELAKIT_MODULE_SIZE] __attribute__((aligned(8)));
    static struct relakit_section_memory sections[2000];
    static uint64_t values[5000], plan[5000 / 32 + 1];
    struct relakit_got_section got = { 0 };
    struct relakit_resolver resolver = { .struct_size = sizeof resolver, .exported = exported };
    struct relakit_memory memory = { .struct_size = sizeof memory, .sections = sections };
    struct relakit_module_info info = { .struct_size = sizeof info };
    struct relakit_module *module = NULL;
    struct relakit_error error;
    relakit_status status;
    size_t at = 8192;

    memset(sections, 0, sizeof sections);
    status = relakit_module_init(state, sizeof state, file, size, NULL, &module, &error);
    if (status != RELAKIT_OK)
        return refused(module, status, &error);
    if (relakit_module_describe(module, &info, NULL) != RELAKIT_OK || info.section_count > 2000 ||
        info.symbol_count > 5000)
        return 2;
    if (attempt > 0)
        status = relakit_module_plan(module, plan, relakit_got_words(info.symbol_count), attempt > 1 ? RELAKIT_GOT_STUBS : 0,
                                     &got, &error);
    if (status != RELAKIT_OK)
        return refused(module, status, &error);
    memory.count = info.section_count + 1;
    for (uint32_t i = 1; i < info.section_count; i++) {
        struct relakit_section section = { .struct_size = sizeof section };
        if (relakit_module_section(module, i, &section, NULL) != RELAKIT_OK)
            return 2;
        if (!(section.flags & RELAKIT_SECTION_IN_MEMORY))
            continue;
        at = (at + 63) & ~(size_t)63;
        sections[i].flags = RELAKIT_MEMORY_PRESENT;
        sections[i].bytes = arena + at;
        sections[i].size = section.sh_size;
        sections[i].address = (uint64_t)(uintptr_t)(arena + at) + distance;
        at += section.sh_size;
    }
    if (got.size != 0) {
        at = (at + 63) & ~(size_t)63;
        sections[got.section].flags = RELAKIT_MEMORY_PRESENT;
        sections[got.section].bytes = arena + at;
        sections[got.section].size = got.size;
        sections[got.section].address = (uint64_t)(uintptr_t)(arena + at) + distance;
    }
    status = relakit_module_assign(module, &memory, &error);
    if (status == RELAKIT_OK)
        status = relakit_module_fill(module, &memory, &error);
    if (status == RELAKIT_OK)
        status = relakit_module_early(module, &memory, values, info.symbol_count, &resolver, &error);
    if (status != RELAKIT_OK)
        return refused(module, status, &error);
    if (distance != 0) {
        printf("%s\n", outcomes[attempt]);
        return 0;
    }

    for (uint32_t i = 1; i < info.symbol_count; i++) {
        struct relakit_symbol symbol = { .struct_size = sizeof symbol };
        int (*run)(int);
        int counter = 0;
        if (relakit_module_symbol(module, i, &symbol, NULL) != RELAKIT_OK || strcmp(symbol.name, "module_run") != 0)
            continue;
        memcpy(&run, &values[i], sizeof run);
        /* Adds 41 to the counter, and returns kernel_function(41). */
        if (run(41) != 42 || (memcpy(&counter, kernel + 4096, sizeof counter), counter != 41)) {
            printf("loads, but the function returns something else\n");
            return 1;
        }
        printf("%s\n", outcomes[attempt]);
        return 0;
    }
    printf("has no module_run\n");
    return 1;
}

int main(int count, char **arguments)
{
    static unsigned char file[1 << 20];
    static const unsigned char function[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x8d, 0x47, 0x01, 0xc3 }; /* lea 1(%rdi),%eax; ret */
    FILE *opened = count == 3 ? fopen(arguments[2], "rb") : NULL;
    int flags = count == 3 && strcmp(arguments[1], "high") != 0 ? MAP_32BIT : 0, status = REFUSED;
    size_t size;

    if (opened == NULL)
        return 2;
    size = fread(file, 1, sizeof file, opened);
    fclose(opened);
    arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    kernel = arena;
    if (strcmp(arguments[1], "mixed") == 0)
        kernel = mmap((void *)0x400000000000, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED || kernel == MAP_FAILED)
        return 2;
    memcpy(kernel, function, sizeof function);
    if (strcmp(arguments[1], "top") == 0)
        distance = UINT64_C(0xffffffff81000000) - (uint64_t)(uintptr_t)arena;
    for (int attempt = 0; attempt < 3 && status == REFUSED; attempt++)
        status = load(attempt, file, size);
    if (status == REFUSED)
        printf("%s\n", why);
    return status != 0;
}
