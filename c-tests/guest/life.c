/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * life FOLDER [tcg]: loads a kernel, a livepatch and its target into a guest, and lets the guest's processor run them: by
 * KVM, or if there is none, or if it is told so, by QEMU's emulation. FOLDER has the modules and, for QEMU, start.elf.
 */
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
static struct guest_module kernel, patch, target;
static struct guest_space small_pages = SMALL_PAGES;
static unsigned char before[IMAGE_SIZE];
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
static int variable(const struct guest_module *module, const char *name)
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

static void coming(void)
{
    uint32_t sections = 0;

    open_text(MODULE_TEXT, MODULE_PAGES);
    ACCEPTS(relakit_module_coming(patch.relakit, "target", &patch.memory, &resolver, &sections, fresh()));
    close_text();
    EQ(sections, 3);
}

static void going(void)
{
    uint32_t sections = 0;

    open_text(MODULE_TEXT, MODULE_PAGES);
    ACCEPTS(relakit_module_going(patch.relakit, "target", &patch.memory, &sections, fresh()));
    close_text();
    EQ(sections, 3);
}

/* The first five bytes of target_submit become a jump to patch_submit, or what they were: nothing of relakit's. */
static void redirect(int to_patch)
{
    static unsigned char old[5];
    const uint64_t at = guest_module_symbol(&target, "target_submit");
    const uint64_t distance = guest_module_symbol(&patch, "patch_submit") - (at + 5);
    unsigned char jump[5] = { 0xe9 };

    for (int i = 0; i < 4; i++)
        jump[1 + i] = (unsigned char)(distance >> 8 * i);
    open_text(at, 1);
    if (to_patch)
        EQ(guest_read(&guest, at, old, sizeof old), 0);
    EQ(hooks.write(hooks.ctx, at, 0, to_patch ? jump : old, sizeof old), 0);
    EQ(hooks.sync(hooks.ctx), 0);
    close_text();
}

/* The target has been loaded, wherever. Ordering: coming before the redirection, going after it is taken back. */
static void come_and_go(void)
{
    names.target = &target;
    memcpy(before, guest.bytes, IMAGE_SIZE);
    coming();
    CHECK(memcmp(before, guest.bytes, IMAGE_SIZE) != 0);
    going();
    SAME(guest.bytes, before, IMAGE_SIZE);
    printf(" target at %#llx comes and goes: all of the guest's memory is as it was\n",
           (unsigned long long)guest_module_symbol(&target, "target_submit"));

    EQ(run(&target, "target_submit", 5, VCPU_RETURNED), 1006);
    EQ(variable(&target, "target_count"), 1);
    coming();
    redirect(1);
    printf(" target has come, and is patched\n");
    EQ(run(&target, "target_submit", 5, VCPU_RETURNED), 1030); /* kernel_add(3 * 5) + 3 * 5 */
    EQ(variable(&target, "target_count"), 1201); /* through the livepatch's pointer, and by the second step(), twice */
    EQ(run(&patch, "patch_late_edge", 7, VCPU_RETURNED), 21);
    redirect(0);
    going();
    printf(" target has gone: it is as before, and the livepatch must not run\n");
    EQ(run(&target, "target_submit", 6, VCPU_RETURNED), 1007);
    run(&patch, "patch_submit", 5, VCPU_DIED);
    EQ(variable(&target, "target_count"), 1302);
    names.target = NULL;
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

int main(int argc, char **argv)
{
    struct guest_space kernel_pages = FOR_KERNEL;
    struct guest_space large_page = IN_LARGE_PAGE;
    unsigned char *kernel_file, *patch_file, *target_file;
    size_t kernel_size, patch_size, target_size;
    const char *why;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "tcg") != 0) || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: life FOLDER [tcg]\n");
        return 2;
    }
    why = argc == 3 ? "as told" : kvm_missing();
    use_tcg = why != NULL;
    printf("the guest's processor: %s%s%s\n", use_tcg ? "QEMU's emulation, TCG (KVM is not used: " : "KVM",
           use_tcg ? why : "", use_tcg ? ")" : "");

    kernel_file = read_file("kernel.ko", &kernel_size);
    patch_file = read_file("patch.ko", &patch_size);
    target_file = read_file("target.ko", &target_size);
    ram = open_ram();
    guest_make(&guest, ram + IMAGE_BASE);
    writer.flush = flush;
    hooks = guest_hooks(&writer);
    resolver = guest_resolver(&names);

    load_module(&kernel, "kernel", kernel_file, kernel_size, &kernel_pages);
    names.kernel = &kernel;
    printf(" kernel\n");
    EQ(run(&kernel, "kernel_add", -7, VCPU_RETURNED), 993);
    run(&kernel, "kernel_writes_its_code", 1, VCPU_DIED); /* read-only for the guest, though the hooks wrote it */
    EQ(run(&kernel, "kernel_other", 1, VCPU_RETURNED), 40001);

    load_module(&patch, "patch", patch_file, patch_size, &small_pages);
    printf(" livepatch, early\n");
    EQ(guest_module_symbol(&patch, "patch_early_edge") % PAGE, PAGE - 7); /* and their fields are in two pages each */
    EQ(guest_module_symbol(&patch, "patch_late_edge") % PAGE, PAGE - 6);
    EQ(guest_module_symbol(&patch, "patch_counter") % PAGE, PAGE - 3);
    EQ(run(&patch, "patch_early", 5, VCPU_RETURNED), 7 * 5 + 20005);
    EQ(run(&patch, "patch_early_edge", 6, VCPU_RETURNED), 42);

    load_module(&target, "target", target_file, target_size, &small_pages);
    come_and_go();
    load_module(&target, "target", target_file, target_size, &large_page); /* it comes back elsewhere: in a page of 2 MiB */
    come_and_go();
    printf(" %llu times sync was called, with %llu frames to make visible\n", (unsigned long long)flushes,
           (unsigned long long)flushed_frames);

    kvm_close();
    free(kernel_file);
    free(patch_file);
    free(target_file);
    munmap(ram, RAM_SIZE);
    return test_end(use_tcg ? "life (TCG)" : "life (KVM)");
}
