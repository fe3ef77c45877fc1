/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the faults share. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITER_SAYS (-77) /* what a failing writer returns, and must come back */

void bench_watch(struct bench *bench, const char *what, const void *bytes, size_t size)
{
    struct piece *piece = &bench->pieces[bench->piece_count++];

    piece->what = what;
    piece->bytes = bytes;
    piece->copy = allocate(size);
    piece->size = size;
}

void bench_close(struct bench *bench)
{
    for (unsigned i = 0; i < bench->piece_count; i++)
        free(bench->pieces[i].copy);
    memset(bench, 0, sizeof *bench);
}

/* Makes the call, which must be refused and change nothing. */
static relakit_status refused(struct bench *bench, struct relakit_error *error)
{
    relakit_status status;

    for (unsigned i = 0; i < bench->piece_count; i++)
        memcpy(bench->pieces[i].copy, bench->pieces[i].bytes, bench->pieces[i].size);
    memset(error, 0x5a, sizeof *error);
    status = bench->call(bench->ctx, error);
    if (status == RELAKIT_OK) {
        check(error->linux_errno == 0x5a5a5a5a, "the error is not touched");
        return status;
    }
    check(error->status == status && error->reserved == 0, "the error is filled in");
    for (unsigned i = 0; i < bench->piece_count; i++) {
        const struct piece *piece = &bench->pieces[i];
        size_t at = 0;
        while (at < piece->size && piece->bytes[at] == piece->copy[at])
            at++;
        check(at == piece->size, "%s: byte %zu of %zu has changed", piece->what, at, piece->size);
    }
    return status;
}

void fault(struct bench *bench, const char *what, void *at, const void *bad, size_t size, relakit_status want)
{
    unsigned char good[16];
    struct relakit_error error;
    relakit_status status;

    if (at) {
        memcpy(good, at, size);
        memcpy(at, bad, size);
    }
    status = refused(bench, &error);
    if (at)
        memcpy(at, good, size);
    printf("  %s: ", what);
    if (status == RELAKIT_OK)
        printf("accepted\n");
    else
        print_error(&error);
    check(status == want, "%s: status %d, not %d", what, status, want);
}

void fault64(struct bench *bench, const char *what, void *at, uint64_t bad, relakit_status want)
{
    fault(bench, what, at, &bad, sizeof bad, want);
}

void fault32(struct bench *bench, const char *what, void *at, uint32_t bad, relakit_status want)
{
    fault(bench, what, at, &bad, sizeof bad, want);
}

void fault8(struct bench *bench, const char *what, void *at, char bad, relakit_status want)
{
    fault(bench, what, at, &bad, sizeof bad, want);
}

static int fails(struct failing *failing)
{
    failing->calls++;
    return failing->calls == failing->fail_at ||
           (failing->for_good && failing->fail_at != 0 && failing->calls > failing->fail_at);
}

static int32_t failing_read(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size)
{
    struct failing *failing = ctx;

    return fails(failing) ? WRITER_SAYS : failing->to.read(failing->to.ctx, address, offset, bytes, size);
}

static int32_t failing_write(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size)
{
    struct failing *failing = ctx;

    return fails(failing) ? WRITER_SAYS : failing->to.write(failing->to.ctx, address, offset, bytes, size);
}

static int32_t failing_sync(void *ctx)
{
    struct failing *failing = ctx;

    return fails(failing) ? WRITER_SAYS : failing->to.sync(failing->to.ctx);
}

struct relakit_writer failing_writer(struct failing *failing)
{
    struct relakit_writer writer = { .struct_size = sizeof writer, .ctx = failing };

    writer.read = failing_read;
    writer.write = failing_write;
    writer.sync = failing_sync;
    return writer;
}

void fault_writer(struct bench *bench, struct failing *failing)
{
    relakit_status said = RELAKIT_OK;

    for (unsigned k = 1;; k++) {
        struct relakit_error error;
        relakit_status status;
        failing->calls = 0;
        failing->fail_at = k;
        status = refused(bench, &error);
        failing->fail_at = 0;
        if (status == RELAKIT_OK) {
            printf("  writer has failed at each of its %u calls once, and does not fail: done\n", failing->calls);
            check(k > 1 && failing->calls == k - 1, "each call has failed once");
            return;
        }
        check(status == RELAKIT_ERR_WRITER || status == RELAKIT_ERR_SYNC, "writer: status %d", status);
        check(error.value == (uint64_t)WRITER_SAYS, "the writer's own number comes back");
        if (status != said) { /* one line for all that are alike */
            printf("  writer fails at call %u: ", k);
            print_error(&error);
        }
        said = status;
        if (k > 1000)
            return;
    }
}

struct entry find_entry(const struct object *object, const char *section_name, uint32_t type)
{
    for (uint32_t i = 0; i < object->section_count; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type != SHT_RELA || strcmp(object_section_name(object, i), section_name) != 0)
            continue;
        for (uint64_t at = 0; at < section->sh_size; at += sizeof(Elf64_Rela)) {
            Elf64_Rela rela;
            memcpy(&rela, object->file + section->sh_offset + at, sizeof rela);
            if (ELF64_R_TYPE(rela.r_info) == type) {
                struct entry entry = { .section = i, .target = section->sh_info };
                entry.symbol = (uint32_t)ELF64_R_SYM(rela.r_info);
                entry.offset = rela.r_offset;
                entry.bytes = object->file + section->sh_offset + at;
                return entry;
            }
        }
    }
    fprintf(stderr, "no entry of type %u in %s\n", type, section_name);
    exit(2);
}
