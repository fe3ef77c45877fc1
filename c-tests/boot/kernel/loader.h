/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Modules: what a kernel holds of one, and its life. The order of the functions is the order of the calls. */
#ifndef LOADER_H
#define LOADER_H

#include "kernel.h"

#include <relakit.h>

/* There is no heap: relakit refuses what does not fit, and says how much it would have needed. */
#define MOST_SECTIONS 48
#define MOST_SYMBOLS 96
#define MOST_MODULES 4
#define KEPT_SIZE 2048

struct module_symbol {
    const char *name; /* in the file */
    uint64_t address;
};

/* It must stay where it is: relakit knows a module by the address of its state. */
struct module {
    uint64_t state[RELAKIT_MODULE_SIZE / sizeof(uint64_t)]; /* aligned to RELAKIT_MODULE_ALIGN, 8 */
    struct relakit_module *relakit;
    const char *name;
    struct relakit_section_memory places[MOST_SECTIONS];
    uint64_t plan[MOST_SYMBOLS / 32];
    struct relakit_memory memory; /* leads to the places; the same for every call */
    struct arena arena;
    struct module_symbol symbols[MOST_SYMBOLS]; /* what it defines, in the order of its symbol table */
    size_t symbol_count;
    uint64_t kept[KEPT_SIZE / sizeof(uint64_t)]; /* what is needed of the file when other modules come and go */
};

/*
 * Loads a module, or changes nothing but `error`. The file must stay, because the symbols' names are in it. The two
 * functions below are the halves of it: everything before the relocations, and everything from then on.
 */
relakit_status module_load(struct module *module, const char *name, const struct file *file,
                           struct relakit_error *error);
relakit_status module_prepare(struct module *module, const char *name, const struct file *file,
                              struct relakit_error *error);
relakit_status module_relocate(struct module *module, struct relakit_error *error);

/* For a livepatch: the module `object`, which must be loaded, has come; it goes, and is still loaded. All or nothing. */
relakit_status module_coming(struct module *module, const char *object, struct relakit_error *error);
relakit_status module_going(struct module *module, const char *object, struct relakit_error *error);

/* Also after a module_prepare or module_relocate that has failed. */
void module_unload(struct module *module);

uint64_t module_symbol(const struct module *module, const char *name); /* its address; panics when there is none */
int module_call(const struct module *module, const char *name, int argument); /* ours take and return an int */
const struct module *module_loaded(size_t index); /* NULL after the last */

/* symbols.c: who has which name. */
extern const struct relakit_resolver resolver;

/* code.c: changes code that is in memory. */
relakit_status special_sections(struct module *module, struct relakit_error *error);

/* A function of a module that another one stands in for. */
struct redirection {
    unsigned char *bytes;
    unsigned char saved[5];
};

void redirect(struct redirection *redirection, uint64_t from, uint64_t to);
void redirect_back(const struct redirection *redirection);

/* refused.c: the modules that must not load. `target` is loaded, and stays. */
void refuse_all(void);
void print_error(const struct relakit_error *error);

#endif
