/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The program that modules are loaded into, which plays the kernel: who exports what, and who is loaded. */
#include "loader.h"

#include <string.h>

int kernel_limit = 1000;
int verbose = 0;

int kernel_add(int n)
{
    return n + kernel_limit;
}

/* What a livepatch may use although it is not exported. Two files of a kernel may each have a static function scale. */
static int secret(int n)
{
    return 7 * n;
}

static int scale_first(int n)
{
    return n + 20000;
}

static int scale_second(int n)
{
    return n + 40000;
}

/* What a kernel has as its symbol table. */
static const struct host_symbol {
    const char *name;
    uint64_t address;
    int is_exported;
} host_symbols[] = {
    { "kernel_add", (uintptr_t)kernel_add, 1 }, { "kernel_limit", (uintptr_t)&kernel_limit, 1 },
    { "secret", (uintptr_t)secret, 0 },         { "scale", (uintptr_t)scale_first, 0 },
    { "scale", (uintptr_t)scale_second, 0 },    { "verbose", (uintptr_t)&verbose, 0 },
};
#define HOST_SYMBOLS (sizeof host_symbols / sizeof host_symbols[0])

/* Names come from module files: so long, and not ended by NUL. */
static int is_name(const char *ours, const char *name, size_t length)
{
    return strlen(ours) == length && memcmp(ours, name, length) == 0;
}

int32_t host_exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
    (void)ctx;
    for (size_t i = 0; i < HOST_SYMBOLS; i++) {
        if (host_symbols[i].is_exported && is_name(host_symbols[i].name, name, length)) {
            *value = host_symbols[i].address;
            return RELAKIT_OK;
        }
    }
    return RELAKIT_NOT_FOUND;
}

/* The position-th of that name, in the order of addresses: that many minus one of its name are below it. */
static uint64_t find_in_host(const char *name, size_t length, uint64_t position)
{
    for (size_t i = 0; i < HOST_SYMBOLS; i++) {
        uint64_t at = 1;
        if (!is_name(host_symbols[i].name, name, length))
            continue;
        for (size_t j = 0; j < HOST_SYMBOLS; j++)
            if (is_name(host_symbols[j].name, name, length) && host_symbols[j].address < host_symbols[i].address)
                at++;
        if (at == position)
            return host_symbols[i].address;
    }
    return 0;
}

void module_define(struct module *module, const char *name, uint64_t address)
{
    module->defined[module->defined_count].name = name;
    module->defined[module->defined_count].address = address;
    module->defined_count++;
}

uint64_t module_find(const struct module *module, const char *name, size_t length, uint64_t position)
{
    for (uint32_t i = 0; i < module->defined_count; i++)
        if (is_name(module->defined[i].name, name, length) && --position == 0)
            return module->defined[i].address;
    return 0;
}

int module_call(const struct module *module, const char *name, int argument)
{
    uint64_t address = module_find(module, name, strlen(name), 1);

    return address == 0 ? -1 : ((int (*)(int))(uintptr_t)address)(argument);
}

static const struct module *loaded[8];
#define LOADED (sizeof loaded / sizeof loaded[0])

void host_coming(const struct module *module)
{
    for (size_t i = 0; i < LOADED; i++) {
        if (!loaded[i]) {
            loaded[i] = module;
            return;
        }
    }
}

void host_going(const struct module *module)
{
    for (size_t i = 0; i < LOADED; i++)
        if (loaded[i] == module)
            loaded[i] = NULL;
}

int32_t host_candidate(void *ctx, const char *object, size_t object_length, const char *name, size_t length,
                       uint64_t position, uint64_t *value)
{
    uint64_t address = 0;

    (void)ctx;
    if (is_name("vmlinux", object, object_length))
        address = find_in_host(name, length, position);
    for (size_t i = 0; i < LOADED; i++)
        if (loaded[i] && is_name(loaded[i]->name, object, object_length))
            address = module_find(loaded[i], name, length, position);
    if (address == 0)
        return RELAKIT_NOT_FOUND;
    *value = address;
    return RELAKIT_OK;
}

struct relakit_resolver host_resolver(void)
{
    struct relakit_resolver resolver = { .struct_size = sizeof resolver };

    resolver.exported = host_exported;
    resolver.nth_symbol = host_candidate;
    return resolver;
}
