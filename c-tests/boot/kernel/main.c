/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the kernel does with relakit: an ordinary module, the life of a livepatch, and modules that must be refused. */
#include "loader.h"

static struct module plain, target, patch;

/* Loads what must load. */
static void load(struct module *module, const char *name, const char *file)
{
    struct relakit_error error;

    if (module_load(module, name, boot_file_named(file), &error) == RELAKIT_OK)
        return;
    print("%s: ", file);
    print_error(&error);
    panic("a good module does not load");
}

static void expect(relakit_status expected, relakit_status status, const struct relakit_error *error, const char *what)
{
    check(status == expected, what);
    if (status != expected && status != RELAKIT_OK) {
        print("    ");
        print_error(error);
    }
}

/* The livepatch alone: what it takes from the kernel is there at once. */
static void patch_loads(void)
{
    uint64_t counter;

    load(&patch, "patch", "patch.ko");
    check(module_call(&patch, "patch_early", 5) == 7 * 5 + 5 + 40000,
          "early: it calls static functions of the kernel, the second of two with one name");
    check(module_call(&patch, "patch_verbose", 0) == 1,
          "early: __jump_table was read when its key, a variable that is not exported, was known");
    counter = module_symbol(&patch, "patch_counter");
    check(*(uint64_t *)counter == 0, "early: what belongs to the target is left alone");
}

/* The target is loaded, and now the livepatch is told. */
static void target_comes(struct redirection *redirection)
{
    struct relakit_error error;

    load(&target, "target", "target.ko");
    check(module_call(&target, "target_submit", 5) == 5 + 1000 + 1, "coming: the target works without the patch");
    memory_remember();
    expect(RELAKIT_OK, module_coming(&patch, "target", &error), &error, "coming: late relocations are applied");
    check(!memory_is_unchanged(), "coming: something was written");
    redirect(redirection, module_symbol(&target, "target_submit"), module_symbol(&patch, "patch_submit"));
    check(module_call(&target, "target_submit", 5) == 3 * 5 + 7 * 5,
          "coming: target_submit is the patch's, which calls the second of the target's static functions");
    check(*(int *)module_symbol(&target, "target_count") == 1 + 1000 + 100,
          "coming: both have counted in the target's variable");
    expect(RELAKIT_ERR_ALREADY_LIVE, module_coming(&patch, "target", &error), &error,
           "coming: twice is refused");
}

/* In this order: nobody calls the patch any more, the patch lets go of the target, the target's memory is given back. */
static void target_goes(const struct redirection *redirection)
{
    struct relakit_error error;
    unsigned char *counter = memory_alias(module_symbol(&patch, "patch_counter"));

    redirect_back(redirection);
    counter[0] ^= 1;
    memory_remember();
    expect(RELAKIT_ERR_TARGET_MISMATCH, module_going(&patch, "target", &error), &error,
           "going: a field that somebody has changed is noticed");
    check(memory_is_unchanged(), "going: and nothing is cleared");
    counter[0] ^= 1;
    expect(RELAKIT_OK, module_going(&patch, "target", &error), &error, "going: late relocations are cleared");
    check(*(uint64_t *)module_symbol(&patch, "patch_counter") == 0, "going: the patch knows no address of the target");
    check(module_call(&target, "target_submit", 5) == 5 + 1000 + 1, "going: the target works without the patch");
    module_unload(&target);
    expect(RELAKIT_ERR_NOT_LIVE, module_going(&patch, "target", &error), &error, "going: twice is refused");
    expect(RELAKIT_ERR_KLP_NOT_FOUND, module_coming(&patch, "target", &error), &error,
           "coming: without the target it is refused");
}

_Noreturn void main(uint32_t protocol, uint32_t information);

void main(uint32_t protocol, uint32_t information)
{
    struct redirection redirection;
    uint64_t first;

    console_open();
    if (relakit_abi() != RELAKIT_ABI)
        panic("the archive is not that of the header");
    memory_open();
    boot_open(protocol, information);

    load(&plain, "plain", "plain.ko");
    check(module_call(&plain, "plain_run", 3) == 3128, "plain: it runs, calls the kernel and uses its data");
    check(module_symbol(&plain, "plain_run") != (uint64_t)memory_alias(module_symbol(&plain, "plain_run")),
          "plain: it was written at another address than it runs at");
    module_unload(&plain);
    load(&plain, "pic", "pic.ko"); /* with a GOT */
    check(module_call(&plain, "plain_run", 3) == 3128, "pic: code that was compiled as position-independent runs");
    module_unload(&plain);

    patch_loads();
    target_comes(&redirection);
    first = module_symbol(&target, "target_submit");
    target_goes(&redirection);

    load(&plain, "plain", "plain.ko"); /* takes the place that the target had */
    target_comes(&redirection);
    check(module_symbol(&target, "target_submit") != first, "coming: again, at another address");

    refuse_all();
    check(module_call(&target, "target_submit", 5) == 3 * 5 + 7 * 5, "at the end: the patched target still works");
    finish();
}
