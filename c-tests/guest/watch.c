/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch FOLDER [tcg]: runs modules in a guest, and an attacker who changes them. The hypervisor finds each change from outside.
 * The guest's processor is never running while its memory is read.
 */
#include "running.h"

static struct guest_module watched, patch, target;
static unsigned char *watched_file, *patch_file, *target_file;
static size_t watched_size, patch_size, target_size;
static struct guest_expected expected;

/* The last difference, and how many there were. */
static struct relakit_difference seen;
static unsigned differences;

/* relakit is in the middle of a call on the module, so it cannot be called here. */
static void note(void *ctx, const struct relakit_difference *difference)
{
    (void)ctx;
    seen = *difference;
    differences++;
}

static const struct guest_watch watch = { &guest, &names, note, NULL };

static const char *name_at(uint64_t address)
{
    const struct module_symbol *symbol = guest_symbol_at(&names, address);

    return symbol ? symbol->name : "something unknown";
}

static void explain(void)
{
    struct relakit_section section = { .struct_size = sizeof section };

    ACCEPTS(relakit_module_section(expected.relakit, seen.section, &section, fresh()));
    printf("    %s+%#llx, %llu bytes", section.name, (unsigned long long)seen.offset, (unsigned long long)seen.size);
    if (seen.cause == RELAKIT_CAUSE_RELOCATION)
        printf(", leads to %s and not to %s", name_at(seen.leads_to), name_at(seen.expected_value));
    else if (seen.seen == RELAKIT_SEEN_BRANCH)
        printf(", a branch to %s", name_at(seen.leads_to));
    if (seen.cause == RELAKIT_CAUSE_PATCH_SITE)
        printf(", no known form of a %s", relakit_role_name(seen.role));
    if (seen.seen == RELAKIT_SEEN_BREAKPOINT)
        printf(", a breakpoint");
    printf("\n");
}

/* Verifies a module, and returns the number of differences. */
static unsigned verify(const struct guest_module *module, const void *file, size_t size)
{
    struct relakit_verified verified;

    ACCEPTS(guest_expect(&expected, module, file, size, &watch, fresh()));
    memset(&seen, 0, sizeof seen);
    differences = 0;
    if (!ACCEPTS(guest_verify(&expected, &watch, &verified, fresh())))
        print_error(&fault);
    EQ(verified.differences, differences);
    CHECK(verified.bytes > 0 && verified.flexible < verified.bytes);
    printf("  %s: %llu bytes compared, %llu of them at patch sites; %llu not judged; differences: %u\n", module->name,
           (unsigned long long)verified.bytes, (unsigned long long)verified.flexible, (unsigned long long)verified.not_judged,
           differences);
    if (differences != 0)
        explain();
    return differences;
}

static void attack(int which)
{
    EQ(run(&watched, "watched_attack", which, VCPU_RETURNED), which);
}

/* An attack that is found, once; then the attacker takes it back. */
static void finds(int which, uint32_t cause, uint64_t address, uint64_t size)
{
    attack(which);
    EQ(verify(&watched, watched_file, watched_size), 1);
    EQ(seen.cause, cause);
    CHECK(seen.address <= address && address + size <= seen.address + seen.size);
    attack(0);
    EQ(verify(&watched, watched_file, watched_size), 0);
}

static void attacks(void)
{
    EQ(run(&watched, "watched_call", 5, VCPU_RETURNED), 1005);
    EQ(run(&watched, "watched_constant", 5, VCPU_RETURNED), 1005);
    EQ(run(&watched, "watched_branch", 5, VCPU_RETURNED), 5);
    EQ(verify(&watched, watched_file, watched_size), 0);

    printf(" the attacker redirects a call\n");
    attack(1);
    EQ(run(&watched, "watched_call", 5, VCPU_RETURNED), 40005);
    attack(0);
    finds(1, RELAKIT_CAUSE_RELOCATION, guest_module_symbol(&watched, "watched_field"), 4);

    printf(" the attacker changes a constant\n");
    finds(2, RELAKIT_CAUSE_RELOCATION, guest_module_symbol(&watched, "watched_operation"), 8);
    printf(" the attacker sets a breakpoint\n");
    finds(3, RELAKIT_CAUSE_CONTENT, guest_module_symbol(&watched, "watched_call"), 1);

    printf(" the guest's kernel switches the jump label on\n");
    attack(4);
    EQ(run(&watched, "watched_branch", 5, VCPU_RETURNED), 5005);
    EQ(verify(&watched, watched_file, watched_size), 0);
    attack(0);
    printf(" the attacker lets the jump label lead elsewhere\n");
    finds(5, RELAKIT_CAUSE_PATCH_SITE, guest_module_symbol(&watched, "watched_label"), 5);
}

/* The processor waits at a write to the module's code. If the guest's kernel may make it, the hypervisor lets it happen. */
static void traps(uint64_t address, const void *bytes, size_t size, uint32_t want)
{
    uint32_t may = 2;

    ACCEPTS(guest_may_write(&expected, &watch, address, bytes, size, &may, fresh()));
    EQ(may, want);
    open_text(MODULE_TEXT, MODULE_PAGES);
    if (may)
        EQ(hooks.write(hooks.ctx, address, 0, bytes, size), 0);
    close_text();
}

/* Writes to code, as the guest's kernel makes them when a key changes, and as an attacker makes them. */
static void trapped_writes(void)
{
    static const unsigned char breakpoint = 0xcc, nop[5] = { 0x0f, 0x1f, 0x44, 0, 0 };
    const uint64_t label = guest_module_symbol(&watched, "watched_label");
    const uint64_t distance = guest_module_symbol(&watched, "watched_label_target") - (label + 5);
    const uint64_t elsewhere = guest_module_symbol(&watched, "watched_call");
    unsigned char jump[5] = { 0xe9 };

    for (int i = 0; i < 4; i++)
        jump[1 + i] = (unsigned char)(distance >> 8 * i);
    ACCEPTS(guest_expect(&expected, &watched, watched_file, watched_size, &watch, fresh()));
    EQ(expected.site_count, 1);
    traps(elsewhere, &breakpoint, 1, 0);
    traps(label + 1, jump + 1, 4, 0); /* other processors would run half an instruction */
    traps(label, &breakpoint, 1, 1);
    traps(label + 1, "\x01\x02\x03\x04", 4, 0);
    traps(label + 1, jump + 1, 4, 1);
    traps(label, jump, 1, 1);
    EQ(run(&watched, "watched_branch", 5, VCPU_RETURNED), 5005);
    EQ(verify(&watched, watched_file, watched_size), 0);
    ACCEPTS(guest_expect(&expected, &watched, watched_file, watched_size, &watch, fresh()));
    jump[1] ^= 1;
    traps(label, jump, 5, 0);
    traps(label, nop, 5, 1);
    EQ(run(&watched, "watched_branch", 5, VCPU_RETURNED), 5);
    printf("  trapped writes to code: only those of the guest's kernel are let through\n");
}

/* The livepatch relocations for target are expected exactly while they are applied. */
static void livepatch(void)
{
    uint32_t sections = 0;

    names.target = &target;
    EQ(verify(&patch, patch_file, patch_size), 0);
    open_text(MODULE_TEXT, MODULE_PAGES);
    ACCEPTS(relakit_module_coming(patch.relakit, "target", &patch.memory, &resolver, &sections, fresh()));
    printf(" target has come\n");
    EQ(verify(&patch, patch_file, patch_size), 0);
    EQ(verify(&target, target_file, target_size), 0);
    ACCEPTS(relakit_module_going(patch.relakit, "target", &patch.memory, &sections, fresh()));
    close_text();
    printf(" target has gone\n");
    EQ(verify(&patch, patch_file, patch_size), 0);
    names.target = NULL;
}

/* A page that is not there is no difference: the call fails. */
static void missing_page(void)
{
    unsigned char *entry = guest_entry(&guest, guest_module_symbol(&watched, "watched_call"), 12);
    const uint64_t old = entry_load(entry);
    struct relakit_verified verified;

    ACCEPTS(guest_expect(&expected, &watched, watched_file, watched_size, &watch, fresh()));
    entry_store(entry, old & ~ENTRY_PRESENT);
    REFUSES(RELAKIT_ERR_READER, (int64_t)GUEST_NOT_PRESENT, guest_verify(&expected, &watch, &verified, fresh()));
    entry_store(entry, old);
    printf("  a page that the guest has not mapped: an error, and not a difference\n");
}

int main(int argc, char **argv)
{
    struct guest_space small_pages = SMALL_PAGES;

    start(argc, argv);
    watched_file = read_file("watched.ko", &watched_size);
    patch_file = read_file("patch.ko", &patch_size);
    target_file = read_file("target.ko", &target_size);
    load_module(&watched, "watched", watched_file, watched_size, &small_pages);
    load_module(&patch, "patch", patch_file, patch_size, &small_pages);
    load_module(&target, "target", target_file, target_size, &small_pages);
    names.other = &watched;
    attacks();
    trapped_writes();
    livepatch();
    missing_page();
    free(watched_file);
    free(patch_file);
    free(target_file);
    return stop("watch");
}
