/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The life of a module: relakit reads the file and relocates; the kernel decides where sections live. */
#include "loader.h"

#define PAGE 4096
#define SHN_UNDEF 0

static const struct module *loaded[MOST_MODULES];
static uint64_t values[MOST_SYMBOLS]; /* lent to relakit while a module is loaded */

/*
 * Places the sections: they are written in the arena, and run at another address, of which relakit makes P. It never reads
 * or writes there.
 */
static relakit_status place(struct module *module, struct relakit_error *error)
{
    static const uint64_t bits[RELAKIT_GROUP_COUNT] = {
        [RELAKIT_GROUP_TEXT] = PAGE_PRESENT,
        [RELAKIT_GROUP_RODATA] = PAGE_PRESENT | PAGE_NO_EXECUTE,
        [RELAKIT_GROUP_RO_AFTER_INIT] = PAGE_PRESENT | PAGE_NO_EXECUTE, /* our modules have no init functions */
        [RELAKIT_GROUP_DATA] = PAGE_PRESENT | PAGE_WRITABLE | PAGE_NO_EXECUTE,
        [RELAKIT_GROUP_INIT_TEXT] = PAGE_PRESENT,
        [RELAKIT_GROUP_INIT_DATA] = PAGE_PRESENT | PAGE_WRITABLE | PAGE_NO_EXECUTE,
        [RELAKIT_GROUP_INIT_RODATA] = PAGE_PRESENT | PAGE_NO_EXECUTE,
    };
    struct relakit_layout layout = { .struct_size = sizeof layout };
    struct relakit_got_section got;
    /* A module that was compiled with default flags needs a GOT. It is one more section, with the constants. */
    relakit_status status = relakit_module_plan(module->relakit, module->plan, MOST_SYMBOLS / 32, 0, &got, error);

    if (status == RELAKIT_OK)
        status = relakit_module_layout(module->relakit, NULL, 0, PAGE, NULL, 0, &layout, error);
    if (status != RELAKIT_OK)
        return status;
    if (!memory_take(layout.size, layout.align, &module->arena)) {
        *error = (struct relakit_error){ .status = RELAKIT_ERR_NOT_ASSIGNED, .value = layout.size };
        return error->status;
    }
    status = relakit_module_layout(module->relakit, module->arena.bytes, module->arena.address, PAGE, module->places,
                                   MOST_SECTIONS, &layout, error);
    for (size_t i = 0; i < RELAKIT_GROUP_COUNT && status == RELAKIT_OK; i++)
        memory_map(&module->arena, layout.groups[i].offset, layout.groups[i].size, bits[i]);
    return status;
}

relakit_status module_prepare(struct module *module, const char *name, const struct file *file,
                              struct relakit_error *error)
{
    /* Stricter than any Linux, which passes over relocations of no section and cuts off a PC32 that does not fit. */
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    relakit_status status;

    memset(module, 0, sizeof *module);
    module->name = name;
    module->memory = (struct relakit_memory){
        .struct_size = sizeof module->memory, .sections = module->places, .count = MOST_SECTIONS
    };
    status = relakit_module_init(module->state, sizeof module->state, file->bytes, file->size, &options,
                                 &module->relakit, error);
    if (status == RELAKIT_OK)
        status = place(module, error);
    if (status == RELAKIT_OK)
        status = relakit_module_assign(module->relakit, &module->memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_fill(module->relakit, &module->memory, error);
    return status;
}

/* Notes what the module defines, for whoever calls or patches it. */
static relakit_status note_symbols(struct module *module, struct relakit_error *error)
{
    struct relakit_module_info info = { .struct_size = sizeof info };
    relakit_status status = relakit_module_describe(module->relakit, &info, error);

    for (uint32_t i = 1; i < info.symbol_count && status == RELAKIT_OK; i++) {
        struct relakit_symbol symbol = { .struct_size = sizeof symbol };
        status = relakit_module_symbol(module->relakit, i, &symbol, error);
        if (status == RELAKIT_OK && symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != RELAKIT_SHN_LIVEPATCH)
            module->symbols[module->symbol_count++] = (struct module_symbol){ symbol.name, values[i] };
    }
    return status;
}

static void add_to_loaded(const struct module *module)
{
    for (size_t i = 0; i < MOST_MODULES; i++) {
        if (!loaded[i]) {
            loaded[i] = module;
            return;
        }
    }
    panic("too many modules"); /* ours are counted */
}

relakit_status module_relocate(struct module *module, struct relakit_error *error)
{
    /* All that comes early: ordinary relocations, and those of a livepatch that belong to the kernel. */
    relakit_status status =
        relakit_module_early(module->relakit, &module->memory, values, MOST_SYMBOLS, &resolver, error);

    /* Not a line earlier: until now these sections led to nowhere. relakit_module_special answers only from here on. */
    if (status == RELAKIT_OK)
        status = special_sections(module, error);
    if (status == RELAKIT_OK)
        status = note_symbols(module, error);
    /* The symbol values may go, and the module can wait for others. It loses the values in the array: this is last. */
    if (status == RELAKIT_OK)
        status = relakit_module_retain(module->relakit, &module->memory, values, MOST_SYMBOLS, module->kept,
                                     sizeof module->kept, error);
    if (status != RELAKIT_OK)
        return status;
    memory_changed();
    add_to_loaded(module);
    return RELAKIT_OK;
}

relakit_status module_load(struct module *module, const char *name, const struct file *file,
                           struct relakit_error *error)
{
    relakit_status status = module_prepare(module, name, file, error);

    if (status == RELAKIT_OK)
        status = module_relocate(module, error);
    if (status != RELAKIT_OK)
        module_unload(module);
    return status;
}

relakit_status module_coming(struct module *module, const char *object, struct relakit_error *error)
{
    relakit_status status =
        relakit_module_coming(module->relakit, object, &module->memory, &resolver, NULL, error);

    memory_changed();
    return status;
}

relakit_status module_going(struct module *module, const char *object, struct relakit_error *error)
{
    relakit_status status = relakit_module_going(module->relakit, object, &module->memory, NULL, error);

    memory_changed();
    return status;
}

void module_unload(struct module *module)
{
    for (size_t i = 0; i < MOST_MODULES; i++)
        if (loaded[i] == module)
            loaded[i] = NULL;
    memory_release(&module->arena);
    memory_changed();
    memset(module, 0, sizeof *module); /* relakit holds nothing that would have to be given back */
}

uint64_t module_symbol(const struct module *module, const char *name)
{
    for (size_t i = 0; i < module->symbol_count; i++)
        if (is_name(module->symbols[i].name, name, strlen(name)))
            return module->symbols[i].address;
    print("%s: ", name);
    panic("the module has no such symbol");
}

int module_call(const struct module *module, const char *name, int argument)
{
    return ((int (*)(int))module_symbol(module, name))(argument);
}

const struct module *module_loaded(size_t index)
{
    for (size_t i = 0; i < MOST_MODULES; i++)
        if (loaded[i] && index-- == 0)
            return loaded[i];
    return NULL;
}
