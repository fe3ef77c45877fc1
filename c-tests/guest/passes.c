/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* passes FOLDER: every pass of level 3 with every call of a hook failing, for the modules that life.c runs. */
#include "../loader/loader.h"
#include "broken.h"

#include <unistd.h>

static struct guest_module kernel, patch, target;
static struct guest_names names;
static struct relakit_resolver resolver;
static const struct guest_space small_pages = SMALL_PAGES;
static const struct guest_space large_page = IN_LARGE_PAGE;
static const void *patch_file, *target_file;
static size_t patch_size, target_size;

static relakit_status place_patch(void)
{
    struct guest_space space = small_pages;

    return guest_module_place(&patch, "patch", patch_file, patch_size, &space, &hooks, fresh());
}

static relakit_status place_target(void)
{
    struct guest_space space = large_page;

    return guest_module_place(&target, "target", target_file, target_size, &space, &hooks, fresh());
}

static relakit_status early_patch(void)
{
    return guest_module_early(&patch, &resolver, fresh());
}

static relakit_status early_target(void)
{
    return guest_module_early(&target, &resolver, fresh());
}

static relakit_status coming(void)
{
    return relakit_module_coming(patch.relakit, "target", &patch.memory, &resolver, NULL, fresh());
}

static relakit_status going(void)
{
    return relakit_module_going(patch.relakit, "target", &patch.memory, NULL, fresh());
}

/* Who has which name: the callbacks, and our own question. */
static void look_up(void)
{
    uint64_t value = 0;

    EQ(resolver.exported(resolver.ctx, "kernel_add", 10, &value), RELAKIT_OK);
    EQ(value, guest_module_symbol(&kernel, "kernel_add"));
    EQ(resolver.exported(resolver.ctx, "kernel_add", 9, &value), RELAKIT_NOT_FOUND);
    EQ(resolver.exported(resolver.ctx, "secret", 6, &value), RELAKIT_NOT_FOUND); /* static */
    EQ(resolver.nth_symbol(resolver.ctx, "vmlinux", 7, "secret", 6, 1, &value), RELAKIT_OK);
    EQ(resolver.nth_symbol(resolver.ctx, "vmlinux", 7, "secret", 6, 2, &value), RELAKIT_NOT_FOUND);
    EQ(resolver.nth_symbol(resolver.ctx, "target", 6, "step", 4, 2, &value), RELAKIT_OK);
    EQ(resolver.nth_symbol(resolver.ctx, "target", 6, "step", 4, 0, &value), RELAKIT_NOT_FOUND);
    EQ(resolver.nth_symbol(resolver.ctx, "other", 5, "step", 4, 1, &value), RELAKIT_NOT_FOUND);
    EQ(guest_module_symbol(&target, "step"), 0); /* there are two */
    printf("  names: exported or not, and the n-th of a name\n");
}

/* What the guest's memory has to say about a file, and not relakit. */
static void wrong_files(void)
{
    static const struct {
        uint64_t size, align; /* of .bss */
    } wrong[] = { { UINT64_C(1) << 40, 1 }, { LARGE_PAGE / 2 + 1, 1 }, { 4, 3 }, { 4, 2 * PAGE } };
    const void *good = target_file;

    arm(BREAK_PAGE, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        unsigned char *bad = copy_of(good, target_size);
        Elf64_Shdr section;
        Elf64_Ehdr header;
        size_t at;

        memcpy(&header, bad, sizeof header);
        at = header.e_shoff;
        do {
            at += sizeof section;
            memcpy(&section, bad + at, sizeof section);
        } while (section.sh_type != SHT_NOBITS);
        section.sh_size = wrong[i].size;
        section.sh_addralign = wrong[i].align;
        memcpy(bad + at, &section, sizeof section);
        target_file = bad;
        REFUSES(RELAKIT_ERR_NOT_ASSIGNED, wrong[i].size, place_target());
        free(bad);
    }
    target_file = good;
    memcpy(image_before, image, IMAGE_SIZE);
    writer.open_size = 0;
    REFUSES(RELAKIT_ERR_WRITER, (int64_t)GUEST_READ_ONLY, place_patch());
    writer.open_size = MODULE_PAGES * PAGE;
    same_image(image_before); /* the text is the first section */
    printf("  place: refused for sections that have no room, and for text that is not open\n");
}

/* What is refused before anything is written, and the number that says why. */
static void refusals(void)
{
    const uint64_t at = guest_module_symbol(&patch, "patch_counter");
    const uint64_t last_field = guest_module_symbol(&patch, "patch_late_edge") + 5; /* subq, and the call's first byte */
    unsigned char byte = 0;

    memcpy(image_before, image, IMAGE_SIZE);
    writer.open_size = 0;
    arm(BREAK_PAGE, 0);
    REFUSES(RELAKIT_ERR_WRITER, (int64_t)GUEST_READ_ONLY, coming()); /* the guest's text, and nobody has opened it */
    same_image(image_before);
    writer.open_size = last_field + 3 - MODULE_TEXT;
    REFUSES(RELAKIT_ERR_WRITER, (int64_t)GUEST_READ_ONLY, coming()); /* all but the last byte of it */
    same_image(image_before);
    writer.open_size++;
    ACCEPTS(coming());
    ACCEPTS(going());
    writer.open_size = MODULE_PAGES * PAGE;
    names.target = NULL;
    arm(BREAK_PAGE, 0);
    REFUSES(RELAKIT_ERR_KLP_NOT_FOUND, 2, coming());
    EQ(strchr(broken.log, 'w') != NULL, 0);
    same_image(image_before);
    names.target = &target;
    printf("  coming: refused for text that is not open, and for a target that is not there\n");

    ACCEPTS(coming());
    EQ(guest_read(&guest, at, &byte, 1), 0);
    byte ^= 1;
    EQ(good_hooks.write(good_hooks.ctx, at, 0, &byte, 1), 0);
    memcpy(image_after, image, IMAGE_SIZE);
    (void)going();
    EQ(fault.status, RELAKIT_ERR_TARGET_MISMATCH); /* and of the other numbers one is the address in the guest */
    same_image(image_after);
    byte ^= 1;
    EQ(good_hooks.write(good_hooks.ctx, at, 0, &byte, 1), 0);
    ACCEPTS(going());
    same_image(image_before);
    printf("  going: refused for a field that somebody has changed\n");
}

int main(int argc, char **argv)
{
    struct guest_space kernel_pages = FOR_KERNEL;
    const void *kernel_file;
    size_t kernel_size;

    if (argc != 2 || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: passes FOLDER\n");
        return 2;
    }
    kernel_file = read_file("kernel.ko", &kernel_size);
    patch_file = read_file("patch.ko", &patch_size);
    target_file = read_file("target.ko", &target_size);
    make_hooks();
    resolver = guest_resolver(&names);

    writer.open = KERNEL_TEXT;
    writer.open_size = KERNEL_PAGES * PAGE;
    ACCEPTS(guest_module_place(&kernel, "kernel", kernel_file, kernel_size, &kernel_pages, &hooks, fresh()));
    ACCEPTS(guest_module_early(&kernel, &resolver, fresh()));
    names.kernel = &kernel;

    writer.open = MODULE_TEXT;
    writer.open_size = MODULE_PAGES * PAGE;
    wrong_files();
    ACCEPTS(place_patch());
    fail_each_call("early, livepatch", early_patch, place_patch);
    ACCEPTS(early_patch());
    ACCEPTS(guest_module_keep(&patch, fresh()));

    ACCEPTS(place_target());
    fail_each_call("early, in the large page", early_target, place_target);
    ACCEPTS(early_target());
    names.target = &target;
    look_up();
    fail_each_call("coming", coming, going);
    ACCEPTS(coming());
    fail_each_call("going", going, coming);
    ACCEPTS(going());
    refusals();
    return test_end("passes");
}
