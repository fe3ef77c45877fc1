/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the loaders share: memory to load into, the ELF file, and the program that modules are loaded into. */
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
};

int memory_map(struct memory *memory);
/* So many bytes for a section with these sh_flags; NULL when there is no room. They are zeros. */
unsigned char *memory_take(struct memory *memory, uint64_t sh_flags, uint64_t size, uint64_t align);
size_t memory_size(void);
int memory_seal(const struct memory *memory); /* the code can be executed, and no longer be written */
int memory_open(const struct memory *memory); /* the other way round */
void memory_unmap(struct memory *memory);
/* A writer for memory that is sealed already: it opens the code, writes, and seals it again. */
struct relakit_writer memory_writer(struct memory *memory);

/* object.c: an ELF file whose tables are where they say; what levels 1 and 2 need, and level 3 does by itself. */
struct object {
    unsigned char *file;
    size_t size;
    Elf64_Shdr *sections; /* a copy */
    uint32_t section_count;
    Elf64_Sym *symbols; /* a copy */
    uint32_t symbol_count;
    uint32_t symtab;   /* section index of the symbol table */
    uint32_t strtab;   /* section index of its strings */
    uint32_t shstrtab; /* section index of the section names */
};

relakit_status object_open(struct object *object, unsigned char *file, size_t size, struct relakit_error *error);
void object_close(struct object *object);
const char *object_section_name(const struct object *object, uint32_t section);
const char *object_symbol_name(const struct object *object, uint32_t symbol);
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

/* What the host has and modules use. */
int host_add(int n);
extern int host_limit;
extern int host_verbose;

/* report.c: what a person reads. */
void print_error(const struct relakit_error *error);
void check(int holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
int report(void); /* prints how many checks there were; 0 when all held */
void *allocate(size_t size); /* zeros; ends the program when there is no memory */
unsigned char *read_file(const char *path, size_t *size);

#endif
