/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the loaders share: memory, the ELF file, and the program that modules are loaded into. Then the three levels. */
#ifndef LOADER_H
#define LOADER_H

#include <elf.h>
#include <relakit.h>
#include <stddef.h>
#include <stdint.h>

/* memory.c: where one module lives: its code, and right after it its data, as many bytes each. */
struct memory {
    unsigned char *bytes;
    size_t used[2]; /* of the code, of the data */
    struct relakit_group code[2]; /* what memory_seal seals: the first half, or what memory_code says */
};

int memory_map(struct memory *memory);
/* So many bytes for a section with these sh_flags; NULL when there is no room. They are zeros. */
unsigned char *memory_take(struct memory *memory, uint64_t sh_flags, uint64_t size, uint64_t align);
size_t memory_size(void);
/* The code is in the two groups of text. */
void memory_code(struct memory *memory, const struct relakit_group *groups);
int memory_seal(const struct memory *memory); /* the code can be executed, and no longer be written */
int memory_open(const struct memory *memory); /* the other way round */
void memory_unmap(struct memory *memory);
/* A writer for memory that is sealed already: it opens the code, writes, and seals it again. */
struct relakit_writer memory_writer(struct memory *memory);

struct module;

/* object.c: an ELF file whose tables are where they say; what levels 1 and 2 need, and level 3 does by itself. */
struct object {
    unsigned char *file;
    size_t size;
    Elf64_Shdr *sections; /* a copy, in which object_place sets sh_addr */
    uint32_t section_count;
    Elf64_Sym *symbols; /* a copy, in which object_place sets st_value */
    uint32_t symbol_count;
    uint32_t symtab;   /* section index of the symbol table */
    uint32_t strtab;   /* section index of its strings */
    uint32_t shstrtab; /* section index of the section names */
};

relakit_status object_open(struct object *object, unsigned char *file, size_t size, struct relakit_error *error);
/* Gives sections their memory and symbols their values, and notes what the module defines. */
relakit_status object_place(struct object *object, struct memory *memory, struct module *module,
                            struct relakit_error *error);
void object_close(struct object *object);
const char *symbol_name(const struct object *object, uint32_t symbol);
/* The undefined symbol that is the GOT itself. */
#define GOT_SYMBOL "_GLOBAL_OFFSET_TABLE_"
/* Is `section` a table of ordinary relocations for something that is in memory? */
int object_is_rela(const struct object *object, uint32_t section);

/* host.c: the program, and the modules that are loaded into it. */
struct name {
    const char *name;
    uint64_t address;
};

struct module {
    const char *name;
    struct name *defined; /* what it defines, in the order of its symbol table; the names are those in the file */
    uint32_t defined_count;
};

/* Notes a symbol that the module defines; there must be room for it. */
void module_define(struct module *module, const char *name, uint64_t address);
/* The address of the position-th symbol of that name, counted from 1; 0 when there are fewer. */
uint64_t module_find(const struct module *module, const char *name, size_t length, uint64_t position);
/* Calls a function of the module: all of ours take and return an int. */
int module_call(const struct module *module, const char *name, int argument);
/* A module that has come can be found by host_candidate. */
void host_coming(const struct module *module);
void host_going(const struct module *module);

/* Who has a name: callbacks for struct relakit_resolver, which are good for levels 1 and 2 as well. */
int32_t host_exported(void *ctx, const char *name, size_t length, uint64_t *value);
int32_t host_candidate(void *ctx, const char *object, size_t object_length, const char *name, size_t length,
                       uint64_t position, uint64_t *value);
struct relakit_resolver host_resolver(void);

/* What the host, which plays the kernel, has for modules. */
int kernel_add(int n);
extern int kernel_limit;
extern int verbose;

/* report.c: what a person reads. */
void print_error(const struct relakit_error *error);
void *allocate(size_t size); /* zeros; ends the program when there is no memory */
unsigned char *read_file(const char *path, size_t *size);

/* --- level1.c: the loader does everything else, and relakit applies one table to one section. --- */

struct level1 {
    struct module module;
    struct object object;
    struct memory memory;
    struct relakit_got got; /* objects that were compiled with default flags need it */
    unsigned char *got_bytes;
    uint64_t got_size;
};

/* Loads the object in `file`, which must stay as long as the module; or changes nothing and says why. */
relakit_status level1_load(struct level1 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error);
void level1_unload(struct level1 *loader);

/* The two halves of level1_load: all but the relocations, and these, all of them or none. */
relakit_status level1_place(struct level1 *loader, unsigned char *file, size_t size, struct relakit_error *error);
relakit_status level1_relocate(struct level1 *loader, struct relakit_error *error);

/* --- level2.c: a loader like Linux's, whose section headers and symbols hold addresses. --- */

struct level2 {
    struct module module;
    struct object object; /* sh_addr: where the section is; st_value: the symbol's value */
    struct relakit_sechdrs sechdrs; /* leads to the object's tables; the same for every call */
    struct memory memory;
};

/*
 * Loads the object in `file`, which must stay as long as the module; or changes nothing and says why. The object may be a
 * livepatch.
 */
relakit_status level2_load(struct level2 *loader, const char *name, unsigned char *file, size_t size,
                           struct relakit_error *error);
void level2_unload(struct level2 *loader);

/* The module is a livepatch, and a module that it patches is loaded or unloaded. */
relakit_status level2_coming(struct level2 *loader, const char *object, uint32_t *sections,
                             struct relakit_error *error);
relakit_status level2_going(struct level2 *loader, const char *object, uint32_t *sections, struct relakit_error *error);

/* The two halves of level2_load: all but the relocations, and these, all of them or none. */
relakit_status level2_place(struct level2 *loader, unsigned char *file, size_t size, struct relakit_error *error);
relakit_status level2_relocate(struct level2 *loader, struct relakit_error *error);

/* --- level3.c: relakit reads the file, and takes the module through its whole life. --- */

/* It must stay where it is: relakit knows a module by the address of its state. */
struct level3 {
    uint64_t state[RELAKIT_MODULE_SIZE / sizeof(uint64_t)]; /* aligned to RELAKIT_MODULE_ALIGN, 8 */
    struct relakit_module *module_state;
    struct module module;
    struct memory memory;
    struct relakit_layout layout;
    struct relakit_section_memory *sections; /* in memory.bytes */
    struct relakit_memory section_memory;    /* leads to `sections`; the same for every call */
    struct relakit_writer writer;
    uint64_t *values;
    size_t value_count;
    uint64_t *plan; /* of the GOT */
    void *retained; /* the late passes need it, and neither the file nor `values` */
};

/*
 * Loads the object in `file`, or changes nothing and says why. The object may be a livepatch. The file must stay as long as
 * the module only because module.defined has names of it.
 */
relakit_status level3_load(struct level3 *loader, const char *name, const void *file, size_t size,
                           struct relakit_error *error);
void level3_unload(struct level3 *loader);

/* The module is a livepatch, and a module that it patches is loaded or unloaded. */
relakit_status level3_coming(struct level3 *loader, const char *object, uint32_t *sections,
                             struct relakit_error *error);
relakit_status level3_going(struct level3 *loader, const char *object, uint32_t *sections, struct relakit_error *error);

/* The parts of level3_load: memory and content; the early relocations; what the late passes need. */
relakit_status level3_place(struct level3 *loader, const void *file, size_t size, struct relakit_error *error);
relakit_status level3_relocate(struct level3 *loader, struct relakit_error *error);
relakit_status level3_retain(struct level3 *loader, struct relakit_error *error);

#endif
