/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The life of a module: relakit reads the file and relocates; the kernel decides where sections live. */
#include "loader.h"

#define SHF_EXECINSTR 4
#define SHN_UNDEF 0

static const struct module *loaded[MOST_MODULES];
static uint64_t values[MOST_SYMBOLS]; /* lent to relakit while a module is loaded */

/* For what relakit leaves to us. */
static relakit_status refuse(struct relakit_error *error, relakit_status status, uint32_t section, uint64_t value,
                             uint64_t limit)
{
    *error = (struct relakit_error){
        .status = status, .has = RELAKIT_ERROR_HAS_SECTION, .section = section, .value = value, .limit = limit
    };
    return status;
}

/* Gives section `index` its place, if it is needed while the module runs. */
static relakit_status place_section(struct module *module, uint32_t index, struct relakit_error *error)
{
    struct relakit_section section = { .struct_size = sizeof section };
    struct piece piece;
    relakit_status status = relakit_module_section(module->relakit, index, &section, error);

    if (status != RELAKIT_OK)
        return status;
    /* Relocations need no memory: relakit_module_retain copies those that come late. */
    if (section.section_class != RELAKIT_CLASS_NOT_RELOCATION || !(section.flags & RELAKIT_SECTION_IN_MEMORY))
        return RELAKIT_OK;
    if (index >= MOST_SECTIONS ||
        !memory_take(section.sh_flags & SHF_EXECINSTR, section.sh_size, section.sh_addralign, &piece))
        return refuse(error, RELAKIT_ERR_NOT_ASSIGNED, index, section.sh_size, 0);
    module->places[index] = (struct relakit_section_memory){
        .flags = RELAKIT_MEMORY_PRESENT,
        .bytes = piece.bytes,
        .size = section.sh_size,
        .address = piece.address, /* of which relakit makes P; it never reads or writes there */
    };
    return RELAKIT_OK;
}

relakit_status module_prepare(struct module *module, const char *name, const struct file *file,
                              struct relakit_error *error)
{
    /* Stricter than any Linux, which passes over relocations of no section and cuts off a PC32 that does not fit. */
    const struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF };
    struct relakit_module_info info = { .struct_size = sizeof info };
    relakit_status status;

    memset(module, 0, sizeof *module);
    module->name = name;
    module->begin = memory_mark();
    module->memory = (struct relakit_memory){ .struct_size = sizeof module->memory, .sections = module->places };
    status = relakit_module_init(module->state, sizeof module->state, file->bytes, file->size, &options,
                                 &module->relakit, error);
    if (status == RELAKIT_OK)
        status = relakit_module_describe(module->relakit, &info, error);
    for (uint32_t i = 1; i < info.section_count && status == RELAKIT_OK; i++)
        status = place_section(module, i, error);
    module->end = memory_mark();
    module->memory.count = info.section_count < MOST_SECTIONS ? info.section_count : MOST_SECTIONS;
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
    memory_release(&module->begin, &module->end);
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
