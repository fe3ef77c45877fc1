/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who has which name: what relakit asks while it relocates. Names are not ended by NUL. */
#include "loader.h"

extern const struct kernel_symbol kernel_symbols[], kernel_symbols_end[]; /* kernel.lds.S */

/* Ordinary modules see what the kernel exports, and nothing else. */
static int32_t exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
    (void)ctx;
    for (const struct kernel_symbol *symbol = kernel_symbols; symbol < kernel_symbols_end; symbol++) {
        if (symbol->is_exported && is_name(symbol->name, name, length)) {
            *value = symbol->address;
            return RELAKIT_OK;
        }
    }
    return RELAKIT_NOT_FOUND;
}

/* The position-th of that name in the order of addresses: each round finds the next higher one. */
static int32_t find_in_kernel(const char *name, size_t length, uint64_t position, uint64_t *value)
{
    uint64_t found = 0;

    for (; position > 0; position--) {
        uint64_t next = UINT64_MAX;
        for (const struct kernel_symbol *symbol = kernel_symbols; symbol < kernel_symbols_end; symbol++) {
            uint64_t address = symbol->address;
            if (address > found && address < next && is_name(symbol->name, name, length))
                next = address;
        }
        if (next == UINT64_MAX)
            return RELAKIT_NOT_FOUND; /* a position is any number that a file says: this ends the rounds */
        found = next;
    }
    *value = found;
    return RELAKIT_OK;
}

/* The position-th of that name in the order of the symbol table. */
static int32_t find_in_module(const struct module *module, const char *name, size_t length, uint64_t position,
                              uint64_t *value)
{
    for (size_t i = 0; i < module->symbol_count; i++) {
        if (is_name(module->symbols[i].name, name, length) && --position == 0) {
            *value = module->symbols[i].address;
            return RELAKIT_OK;
        }
    }
    return RELAKIT_NOT_FOUND;
}

/* Livepatches see everything: also what is static, of which there may be several with one name. */
static int32_t nth_symbol(void *ctx, const char *object, size_t object_length, const char *name, size_t length,
                         uint64_t position, uint64_t *value)
{
    const struct module *module;

    (void)ctx;
    if (is_name("vmlinux", object, object_length))
        return find_in_kernel(name, length, position, value);
    for (size_t i = 0; (module = module_loaded(i)) != NULL; i++)
        if (is_name(module->name, object, object_length))
            return find_in_module(module, name, length, position, value);
    return RELAKIT_NOT_FOUND;
}

const struct relakit_resolver resolver = {
    .struct_size = sizeof resolver,
    .exported = exported,
    .nth_symbol = nth_symbol,
};
