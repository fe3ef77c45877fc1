/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a kernel does to the code of its modules after they are relocated. relakit only says which sections are special;
 * what is done with them is the kernel's. This one knows __jump_table: branches that are decided when the module is
 * loaded. It trusts the entries, as it trusts the code: both come from a module that it is about to run.
 */
#include "loader.h"

#define JUMP 0xe9
#define JUMP_SIZE 5

/* An entry of __jump_table, in Linux's format: each number counts from where it is itself. */
struct jump {
    int32_t code, target;
    int64_t key;
};

static void write_jump(unsigned char *bytes, uint64_t from, uint64_t to)
{
    int32_t distance = (int32_t)(to - (from + JUMP_SIZE));

    bytes[0] = JUMP;
    memcpy(bytes + 1, &distance, sizeof distance);
}

/* Where the key says so, the five bytes of "do nothing" become a jump. */
static void read_jump_table(const struct relakit_section_memory *place)
{
    for (uint64_t at = 0; at + sizeof(struct jump) <= place->size; at += sizeof(struct jump)) {
        struct jump jump;
        uint64_t address = place->address + at, code, target;
        const int *key;
        memcpy(&jump, (unsigned char *)place->bytes + at, sizeof jump);
        code = address + offsetof(struct jump, code) + (uint64_t)(int64_t)jump.code;
        target = address + offsetof(struct jump, target) + (uint64_t)(int64_t)jump.target;
        key = (const int *)(address + offsetof(struct jump, key) + (uint64_t)jump.key);
        if (*key)
            write_jump(memory_alias(code), code, target);
    }
}

relakit_status special_sections(struct module *module, struct relakit_error *error)
{
    for (uint32_t i = 1; i < module->memory.count; i++) {
        struct relakit_special special = { .struct_size = sizeof special };
        struct relakit_section section = { .struct_size = sizeof section };
        relakit_status status = relakit_module_special(module->relakit, i, &special, error);
        if (status == RELAKIT_NOT_FOUND)
            continue;
        if (status == RELAKIT_OK)
            status = relakit_module_section(module->relakit, i, &section, error);
        if (status != RELAKIT_OK)
            return status;
        if (is_name("__jump_table", section.name, section.name_len) && special.entry_size == sizeof(struct jump))
            read_jump_table(&module->places[i]);
    }
    return RELAKIT_OK;
}

/* The function must begin with five bytes that can be replaced: gcc's patchable_function_entry. */
void redirect(struct redirection *redirection, uint64_t from, uint64_t to)
{
    redirection->bytes = memory_alias(from);
    memcpy(redirection->saved, redirection->bytes, JUMP_SIZE);
    write_jump(redirection->bytes, from, to);
    memory_changed();
}

void redirect_back(const struct redirection *redirection)
{
    memcpy(redirection->bytes, redirection->saved, JUMP_SIZE);
    memory_changed();
}
