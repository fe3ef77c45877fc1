/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/embedding/verify.md, with stand-ins for a guest. c-tests/guest runs such a program. */
#include "../unit/module.h"

enum { NOT_MAPPED = 14, LABEL = FLAT_AT(TEXT_) + 64 };
struct guest {
    unsigned char memory[FLAT];
    int unmapped, alarms;
};

static int guest_read(struct guest *guest, uint64_t address, void *bytes, size_t bytes_size)
{
    memcpy(bytes, guest->memory + (address - BASE), bytes_size);
    return guest->unmapped ? NOT_MAPPED : 0;
}

static int guest_kernel_symbol(struct guest *guest, const char *name, uint64_t *value)
{
    return 0;
}

static int guest_is_function(struct guest *guest, uint64_t address)
{
    return 0;
}

static void guest_alarm(struct guest *guest, const struct relakit_difference *difference)
{
    guest->alarms++;
}
#include "verify-page.h"

static struct guest guest;
static const char *const objects[] = { "obj", "two", NULL };
static struct watch watch = { &guest, &names, objects };
static struct relakit_verified verified;

/* A module with a jump label, in memory of ours. */
static relakit_status expect(void)
{
    const int32_t code = LABEL - FLAT_AT(JUMP), target = LABEL + 8 - (FLAT_AT(JUMP) + 4);

    hooks_reset();
    file_build();
    memcpy((unsigned char *)file_section(TEXT_) + 64, "\x0f\x1f\x44\0\0", 5);
    memcpy(file_section(JUMP), &code, 4);
    memcpy((unsigned char *)file_section(JUMP) + 4, &target, 4);
    memset(&module_options, 0, sizeof module_options);
    module_options.struct_size = sizeof module_options;
    module_options.profile = RELAKIT_LINUX(6, 12);
    ACCEPTS(module_start());
    places_reset(0);
    return watch_expect(&watch, module, &memory, values, SYMBOLS, fresh());
}

static relakit_status verify_now(void)
{
    guest.alarms = 0;
    return watch_verify(&watch, module, &memory, section_places, 3 * SECTIONS, &verified, fresh());
}

int main(void)
{
    struct relakit_patch_site sites[2];
    size_t found;

    /* What runs is what was loaded: the first bytes are those of the early pass. */
    ACCEPTS(expect());
    memcpy(guest.memory, flat, FLAT);
    guest.memory[FLAT_AT(JUMP) + 8] &= 0xfd;
    ACCEPTS(expect());
    ACCEPTS(verify_now());
    EQ(guest.alarms, 0);
    EQ(verified.flexible, 5);

    /* The target module is loaded. */
    put_fields(guest.memory, obj_fields, OBJ_FIELDS);
    ACCEPTS(expect());
    ACCEPTS(verify_now());
    EQ(guest.alarms, 0);

    guest.memory[FLAT_AT(TEXT_) + 8] ^= 1;
    ACCEPTS(expect());
    ACCEPTS(verify_now());
    EQ(guest.alarms, 1);
    EQ(verified.differences, 1);
    guest.memory[FLAT_AT(TEXT_) + 8] ^= 1;

    ACCEPTS(expect());
    ACCEPTS(watch_sites(module, &memory, section_places, 3 * SECTIONS, sites, 2, &found, fresh()));
    EQ(found, 1);
    EQ(sites[0].address, BASE + LABEL);
    EQ(watch_may_write(&watch, module, &memory, sites, found, BASE + LABEL, "\xe9\x03\0\0\0", 5), 1);
    EQ(watch_may_write(&watch, module, &memory, sites, found, BASE + LABEL, "\xe9\x04\0\0\0", 5), 0);
    EQ(watch_may_write(&watch, module, &memory, sites, found, BASE + LABEL + 5, "\xcc", 1), 0);
    guest.unmapped = 1;
    EQ(watch_may_write(&watch, module, &memory, sites, found, BASE + LABEL, "\xe9\x03\0\0\0", 5), 0);
    REFUSES(RELAKIT_ERR_READER, NOT_MAPPED, verify_now());
    return module_test_end("verify");
}
