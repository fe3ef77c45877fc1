/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the faults share: one thing is made wrong, a call is refused, and nothing at all has changed. */
#ifndef FAULTS_H
#define FAULTS_H

#include "level1.h"
#include "level2.h"
#include "level3.h"

void faults_level1(void);
void faults_level2(void);
void faults_livepatch2(void);
void faults_level3(void);
void faults_livepatch3(void);

/* main.c */
unsigned char *module_file(const char *name, size_t *size);
void expect_ok(relakit_status status, const struct relakit_error *error, const char *what);
void run_plain(const struct module *module, const char *how);
int count_of(const struct module *target);

/* A call that can be made again and again, and the bytes that it may not change when it fails. */
struct bench {
    relakit_status (*call)(void *ctx, struct relakit_error *error);
    void *ctx;
    struct piece {
        const char *what;
        const unsigned char *bytes;
        unsigned char *copy;
        size_t size;
    } pieces[8];
    unsigned piece_count;
};

void bench_watch(struct bench *bench, const char *what, const void *bytes, size_t size);
void bench_close(struct bench *bench);
/* Writes `bad` over the `size` bytes at `at` (NULL: the fault is there already), makes the call, and puts them back. */
void fault(struct bench *bench, const char *what, void *at, const void *bad, size_t size, relakit_status want);
void fault64(struct bench *bench, const char *what, void *at, uint64_t bad, relakit_status want);
void fault32(struct bench *bench, const char *what, void *at, uint32_t bad, relakit_status want);
void fault8(struct bench *bench, const char *what, void *at, char bad, relakit_status want);

/* A writer that hands on to another one, and fails at call `fail_at`, counted from 1; never when that is 0. */
struct failing {
    struct relakit_writer to;
    unsigned calls, fail_at;
    int for_good; /* and at every call after that */
};
struct relakit_writer failing_writer(struct failing *failing);
/* Makes the call with the writer failing at its first call, its second, ... until it does not fail: then it is done. */
void fault_writer(struct bench *bench, struct failing *failing);

/* The first relocation of this type, in the first section whose name begins so; ends the program if there is none. */
struct entry {
    uint32_t section, target;
    uint32_t symbol;
    uint64_t offset;      /* of the field, in the target */
    unsigned char *bytes; /* the Elf64_Rela in the file */
};
struct entry find_entry(const struct object *object, const char *section_name, uint32_t type);
/* A member of the Elf64_Rela. */
#define RELA(entry, member) ((entry).bytes + offsetof(Elf64_Rela, member))

#endif
