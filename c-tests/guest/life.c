/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * life FOLDER [tcg]: loads a kernel, a livepatch and its target into a guest, and lets the guest's processor run them: by
 * KVM, or if there is none, or if it is told so, by QEMU's emulation. FOLDER has the modules and, for QEMU, start.elf.
 */
#include "running.h"

static struct guest_module patch, target;
static struct guest_space small_pages = SMALL_PAGES;
static unsigned char before[IMAGE_SIZE];

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

int main(int argc, char **argv)
{
    struct guest_space large_page = IN_LARGE_PAGE;
    unsigned char *patch_file, *target_file;
    size_t patch_size, target_size;

    start(argc, argv);
    patch_file = read_file("patch.ko", &patch_size);
    target_file = read_file("target.ko", &target_size);
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

    free(patch_file);
    free(target_file);
    return stop("life");
}
