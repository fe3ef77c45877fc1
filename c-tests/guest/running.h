/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A running guest, for the programs that load modules into one and let its processor run them. */
#ifndef RUNNING_H
#define RUNNING_H

#include "../loader/loader.h"
#include "../unit/test.h"
#include "vcpu.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned char *ram; /* RAM_FILE */
static struct guest guest;
static struct guest_writer writer = { .guest = &guest };
static struct relakit_writer hooks;
static struct guest_names names;
static struct relakit_resolver resolver;
static struct guest_module kernel;
static uint64_t flushes, flushed_frames;
static int use_tcg;

static int32_t flush(void *ctx, const uint64_t *frames, size_t count)
{
    (void)ctx, (void)frames;
    flushes++;
    flushed_frames += count;
    return 0; /* there is nothing to do: kernel_enter serialises, and QEMU begins anew */
}

static int run(const struct guest_module *module, const char *function, int argument, enum vcpu_end want)
{
    struct vcpu_call call;
    enum vcpu_end end;
    int result = -1;

    call.enter = guest_module_symbol(&kernel, "kernel_enter");
    call.function = guest_module_symbol(module, function);
    call.stack = STACK + STACK_PAGES * PAGE;
    call.argument = argument;
    CHECK(call.enter != 0 && call.function != 0);
    end = use_tcg ? tcg_call(&guest, ram, &call, &result) : kvm_call(&guest, &call, &result);
    EQ(end, want);
    if (end == VCPU_RETURNED)
        printf("  the guest runs %s(%d) at %#llx: %d\n", function, argument, (unsigned long long)call.function, result);
    else
        printf("  the guest runs %s(%d) at %#llx and %s\n", function, argument, (unsigned long long)call.function,
               end == VCPU_DIED ? "dies of it" : "the host fails");
    return result;
}

/* What the guest has in one of its variables, seen from outside. */
static UNUSED int variable(const struct guest_module *module, const char *name)
{
    unsigned char bytes[4] = { 0 };

    EQ(guest_read(&guest, guest_module_symbol(module, name), bytes, sizeof bytes), 0);
    return (int)load(bytes, sizeof bytes);
}

/* The text of a module may be written from here to close_text: for one pass. */
static void open_text(uint64_t address, uint64_t pages)
{
    writer.open = address;
    writer.open_size = pages * PAGE;
}

static void close_text(void)
{
    writer.open = writer.open_size = 0;
}

static void load_module(struct guest_module *module, const char *name, const void *file, size_t size,
                        struct guest_space *space)
{
    const uint64_t flushes_before = flushes;

    open_text(space->next[0] & ~(PAGE - 1), (space->end[0] - space->next[0]) / PAGE + 1);
    ACCEPTS(guest_module_place(module, name, file, size, space, &hooks, fresh()));
    ACCEPTS(guest_module_early(module, &resolver, fresh()));
    ACCEPTS(guest_module_keep(module, fresh()));
    EQ(flushes, flushes_before + 1);
    close_text();
}

static unsigned char *open_ram(void)
{
    int file = open(RAM_FILE, O_RDWR | O_CREAT | O_TRUNC, 0600);
    void *map = MAP_FAILED;

    if (file >= 0 && ftruncate(file, (off_t)RAM_SIZE) == 0)
        map = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) {
        perror(RAM_FILE);
        exit(2);
    }
    close(file);
    return map;
}

/*
 * NAME FOLDER [tcg]: goes to the folder, makes a guest and loads its kernel. KVM runs it, or QEMU's emulation if there is no
 * KVM or the arguments ask for it.
 */
static void start(int argc, char **argv)
{
    struct guest_space kernel_pages = FOR_KERNEL;
    unsigned char *file;
    const char *why;
    size_t size;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "tcg") != 0) || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: %s FOLDER [tcg]\n", argv[0]);
        exit(2);
    }
    why = argc == 3 ? "as told" : kvm_missing();
    use_tcg = why != NULL;
    printf("the guest's processor: %s%s%s\n", use_tcg ? "QEMU's emulation, TCG (KVM is not used: " : "KVM",
           use_tcg ? why : "", use_tcg ? ")" : "");

    ram = open_ram();
    guest_make(&guest, ram + IMAGE_BASE);
    writer.flush = flush;
    hooks = guest_hooks(&writer);
    resolver = guest_resolver(&names);
    file = read_file("kernel.ko", &size);
    load_module(&kernel, "kernel", file, size, &kernel_pages);
    names.kernel = &kernel;
    printf(" kernel\n");
    /* The names of the kernel's symbols are in its file, so the file stays. */
}

static int stop(const char *name)
{
    char line[64];

    kvm_close();
    munmap(ram, RAM_SIZE);
    snprintf(line, sizeof line, "%s (%s)", name, use_tcg ? "TCG" : "KVM");
    return test_end(line);
}

#endif
