/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Level 3: what is found in the memory of a module that runs. */

#include "module.h"

/* The memory of the running module, at the addresses of flat. flat is the expected memory. */
static unsigned char guest[FLAT];
/* The jump label, the code to which it leads, and its entry's key. */
#define LABEL (FLAT_AT(TEXT_) + 64)
#define LABEL_TARGET (FLAT_AT(TEXT_) + 76)
#define KEY 0x7777
static const unsigned char nop[5] = {0x0f, 0x1f, 0x44, 0, 0}, jump[5] = {0xe9, 7, 0, 0, 0};

static struct relakit_difference seen[8];
static unsigned seen_count, reads;
static int32_t read_fails;
static struct relakit_verified verified;
static uint32_t kernel;

static int32_t guest_read(void *ctx, uint64_t address, void *bytes, size_t bytes_size)
{
    CHECK(ctx == guest && bytes_size > 0 && bytes_size <= 256);
    EQ(address / 256, (address + bytes_size - 1) / 256);
    reads++;
    if (read_fails != 0)
        return read_fails;
    memcpy(bytes, guest + (address - BASE), bytes_size);
    return 0;
}

static void note(void *ctx, const struct relakit_difference *difference)
{
    CHECK(ctx == guest);
    if (seen_count < sizeof seen / sizeof *seen)
        seen[seen_count] = *difference;
    seen_count++;
}

static void put32(unsigned char *to, int32_t value)
{
    memcpy(to, &value, 4);
}

/* A loaded module with a jump label, and memory in which it runs: Linux has cleared a flag of the key. */
static void start(uint32_t profile)
{
    unsigned char *entry;
    hooks_reset();
    file_build();
    memset(flat, 0xcc, FLAT);
    memset(values, 0, sizeof values);
    memset(&module_options, 0, sizeof module_options);
    module_options.struct_size = sizeof module_options;
    module_options.profile = profile;
    ACCEPTS(module_start());
    entry = (unsigned char *)file_section(JUMP);
    memcpy((unsigned char *)file_section(TEXT_) + 64, nop, 5);
    put32(entry, LABEL - FLAT_AT(JUMP));
    put32(entry + 4, LABEL_TARGET - (FLAT_AT(JUMP) + 4));
    places_reset(0);
    ACCEPTS(place());
    ACCEPTS(fill());
    ACCEPTS(early());
    memcpy(guest, flat, FLAT);
    if (profile != RELAKIT_PROFILE_ELF)
        guest[FLAT_AT(JUMP) + 8] = KEY & 0xfd;
    memset(&verifier, 0, sizeof verifier);
    verifier.struct_size = sizeof verifier;
    verifier.ctx = guest;
    verifier.read = guest_read;
    verifier.report = note;
    kernel = 0;
    read_fails = 0;
}

static relakit_status verify_with(const struct relakit_verifier *given, uint64_t *words, size_t many, void *out)
{
    relakit_status status;
    memset(&verified, 0xa5, sizeof verified);
    verified.struct_size = sizeof verified;
    memset(seen, 0xa5, sizeof seen);
    seen_count = reads = 0;
    status = relakit_module_verify(module, &memory, given, kernel, words, many, (struct relakit_verified *)out, fresh());
    if (status == RELAKIT_OK && out == &verified)
        EQ(verified.differences, seen_count);
    return status;
}

/* Verifies, and afterwards has the expected memory as it was. */
static relakit_status check(void)
{
    unsigned char before[FLAT];
    relakit_status status;
    memcpy(before, flat, FLAT);
    status = verify_with(&verifier, section_places, 3 * SECTIONS, &verified);
    memcpy(flat, before, FLAT);
    return status;
}

static void what_was_loaded_has_no_difference(void)
{
    start(RELAKIT_LINUX(6, 12));
    ACCEPTS(check());
    EQ(seen_count, 0);
    EQ(verified.reserved, 0);
    EQ(verified.bytes, 80 + 16);
    EQ(verified.flexible, 5);
    EQ(verified.not_judged, 64 + 32 + 6 * 24); /* data, and the livepatch relocations, which have no memory here */
    verifier.report = NULL;
    ACCEPTS(relakit_module_verify(module, &memory, &verifier, 0, section_places, 3 * SECTIONS, &verified, fresh()));
    EQ(verified.differences, 0);
    /* A kernel that rewrites nothing. */
    start(RELAKIT_PROFILE_ELF);
    ACCEPTS(check());
    EQ(seen_count, 0);
    EQ(verified.flexible, 0);
    EQ(verified.bytes, 80);
    /* The kernel, and not the profile, decides. */
    kernel = RELAKIT_LINUX(6, 12);
    guest[FLAT_AT(JUMP) + 8] = KEY & 0xfd;
    ACCEPTS(check());
    EQ(seen_count, 0);
    EQ(verified.flexible, 5);
}

static void each_changed_byte_is_found_and_named(void)
{
    start(RELAKIT_LINUX(6, 12));
    for (unsigned at = 0; at < 64 + 16; at++) {
        const struct relakit_difference *it = seen;
        int is_label = at >= 64 && at < 69;
        guest[FLAT_AT(TEXT_) + at] ^= 0x80;
        ACCEPTS(check());
        guest[FLAT_AT(TEXT_) + at] ^= 0x80;
        EQ(seen_count, 1);
        EQ(it->section, TEXT_);
        EQ(it->address, BASE + FLAT_AT(TEXT_) + it->offset);
        CHECK(it->offset <= at && at < it->offset + it->size);
        EQ(it->shown, it->size);
        EQ(it->expected[at - it->offset] ^ it->found[at - it->offset], 0x80);
        if (is_label) {
            EQ(it->cause, RELAKIT_CAUSE_PATCH_SITE);
            EQ(it->role, RELAKIT_ROLE_JUMP_LABEL);
            EQ(it->other_section, JUMP);
            EQ(it->entry, 0);
            SAME(it->expected, nop, 5);
            continue;
        }
        for (size_t i = 0; i < 6; i++) {
            const struct field *field = &early_fields[i];
            size_t offset = field->at - FLAT_AT(TEXT_);
            if (at < offset || at >= offset + field->size)
                continue;
            EQ(it->cause, RELAKIT_CAUSE_RELOCATION);
            EQ(it->offset, offset);
            EQ(it->other_section, RELA_);
            EQ(it->entry, i);
            EQ(it->r_type, i == 1 ? R_X86_64_PC32 : i == 5 ? R_X86_64_32 : R_X86_64_64);
            EQ(load(it->expected, field->size), field->value);
        }
        EQ(it->role, 0);
    }
    for (unsigned at = 0; at < 64; at++)
        guest[FLAT_AT(DATA_) + at] ^= 1;
    ACCEPTS(check());
    EQ(seen_count, 0);
}

static void a_redirected_field_says_where_it_leads(void)
{
    start(RELAKIT_LINUX(6, 12));
    put32(guest + FLAT_AT(TEXT_) + 8, 252 + 16);
    ACCEPTS(check());
    EQ(seen_count, 1);
    EQ(seen[0].symbol, LOCAL);
    EQ(seen[0].expected_value, BASE + FLAT_AT(DATA_) + 8);
    EQ(seen[0].leads_to, BASE + FLAT_AT(DATA_) + 8 + 16);
    /* A field that begins like a breakpoint is none. */
    put32(guest + FLAT_AT(TEXT_) + 8, 0xcc);
    ACCEPTS(check());
    EQ(seen[0].leads_to, BASE + FLAT_AT(DATA_) + 8 + 0xcc - 252);
    EQ(seen[0].seen, RELAKIT_SEEN_OTHER);
}

static void a_jump_label_has_two_forms(void)
{
    unsigned char *label = guest + LABEL;
    start(RELAKIT_LINUX(6, 12));
    memcpy(label, jump, 5);
    ACCEPTS(check());
    EQ(seen_count, 0);
    label[1]++;
    ACCEPTS(check());
    EQ(seen_count, 1);
    EQ(seen[0].cause, RELAKIT_CAUSE_PATCH_SITE);
    EQ(seen[0].seen, RELAKIT_SEEN_BRANCH);
    EQ(seen[0].leads_to, BASE + LABEL_TARGET + 1);
    label[0] = 0xcc;
    ACCEPTS(check());
    EQ(seen_count, 1);
    EQ(seen[0].seen, RELAKIT_SEEN_BREAKPOINT);
    verifier.policies[RELAKIT_ROLE_JUMP_LABEL] = RELAKIT_POLICY_ANYTHING;
    ACCEPTS(check());
    EQ(seen_count, 0);
    verifier.policies[RELAKIT_ROLE_JUMP_LABEL] = RELAKIT_POLICY_UNTOUCHED;
    memcpy(label, nop, 5);
    ACCEPTS(check());
    EQ(seen_count, 0);
    EQ(verified.flexible, 0);
    memcpy(label, jump, 5);
    ACCEPTS(check());
    EQ(seen_count, 1);
    memcpy(label, nop, 5);
    guest[FLAT_AT(JUMP) + 4]++;
    ACCEPTS(check());
    EQ(seen_count, 1);
    EQ(seen[0].cause, RELAKIT_CAUSE_TABLE);
    EQ(seen[0].other_section, JUMP);
    EQ(seen[0].entry, 0);
}

static void late_relocations_are_found_and_expected(void)
{
    start(RELAKIT_LINUX(6, 12));
    count = 7;
    ACCEPTS(is_applied());
    EQ(count, 0);
    put_fields(guest, obj_fields, OBJ_FIELDS);
    ACCEPTS(is_applied());
    EQ(count, 1);
    ACCEPTS(relakit_module_is_applied(module, "two", &memory, &verifier, &count, fresh()));
    EQ(count, 0);
    ACCEPTS(relakit_module_is_applied(module, "nobody", &memory, &verifier, &count, fresh()));
    EQ(count, 0);
    ACCEPTS(check());
    EQ(seen_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        EQ(seen[i].cause, RELAKIT_CAUSE_RELOCATION);
        EQ(seen[i].other_section, LATE1);
        EQ(seen[i].entry, i);
    }
    ACCEPTS(apply_late());
    EQ(count, 2);
    SAME(flat + FLAT_AT(TEXT_), guest + FLAT_AT(TEXT_), 80);
    SAME(flat + FLAT_AT(DATA_), guest + FLAT_AT(DATA_), 64);
    ACCEPTS(check());
    EQ(seen_count, 0);
    memcpy(guest, flat, FLAT);
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x1111, apply_late());
    SAME(flat, guest, FLAT);
    ACCEPTS(relakit_module_apply_late(module, "nobody", &memory, values, SYMBOLS, &names, NULL, fresh()));
    ACCEPTS(relakit_module_apply_late(module, "two", &memory, values, SYMBOLS, &names, &count, fresh()));
    EQ(count, 1);
}

static void apply_late_refuses(void)
{
    static const struct known nobody_has_g[] = {{"obj", "f", {0x1111, 0, 0}}};
    unsigned char before[FLAT];
    start(RELAKIT_LINUX(6, 12));
    memcpy(before, flat, FLAT);
    count = 7;
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 0, relakit_module_apply_late(module, "", &memory, values, SYMBOLS, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NOT_A_MODULE, 7,
            relakit_module_apply_late(module, "vmlinux", &memory, values, SYMBOLS, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_apply_late(module, NULL, &memory, values, SYMBOLS, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 3, relakit_module_apply_late(module, "obj", NULL, values, SYMBOLS, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 4, relakit_module_apply_late(module, "obj", &memory, NULL, SYMBOLS, &names, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 6, relakit_module_apply_late(module, "obj", &memory, values, SYMBOLS, NULL, &count, fresh()));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 7,
            relakit_module_apply_late(module, "obj", &memory, values, SYMBOLS, &names, (uint32_t *)(void *)((char *)state + 1), fresh()));
    REFUSES(RELAKIT_ERR_OVERLAP, 4,
            relakit_module_apply_late(module, "obj", &memory, (uint64_t *)state, 1, &names, &count, fresh()));
    value_count = SYMBOLS - 1;
    REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, SYMBOLS - 1, apply_late());
    value_count = SYMBOLS;
    known_names = nobody_has_g;
    known_count = 1;
    REFUSES(RELAKIT_ERR_KLP_NOT_FOUND, 0, apply_late());
    known_count = 0;
    REFUSES(RELAKIT_ERR_KLP_NOT_FOUND, 1, apply_late());
    known_names = everybody;
    known_count = sizeof everybody / sizeof *everybody;
    fail_at = asked_count;
    fail_number = -5;
    REFUSES(RELAKIT_ERR_RESOLVER, (int64_t)-5, apply_late());
    places[DATA_].flags = 0;
    places[DATA_].bytes = NULL;
    places[DATA_].size = places[DATA_].address = 0;
    REFUSES(RELAKIT_ERR_NOT_ASSIGNED, 64, apply_late());
    places_reset(0);
    places[DATA_].size = 63;
    REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 63, apply_late());
    places_reset(0);
    EQ(count, 7);
    SAME(flat, before, FLAT);
    ACCEPTS(apply_late());
}

static void errors_of_a_verification(void)
{
    start(RELAKIT_LINUX(6, 12));
    read_fails = -14;
    REFUSES(RELAKIT_ERR_READER, (int64_t)-14, check());
    EQ(seen_count, 0);
    EQ(verified.bytes, UINT64_C(0xa5a5a5a5a5a5a5a5));
    REFUSES(RELAKIT_ERR_READER, (int64_t)-14, is_applied());
    read_fails = 0;
    places_reset(1);
    REFUSES(RELAKIT_ERR_NOT_PLAIN, 0, check());
    places_reset(0);
    places[TEXT_].size = 79;
    REFUSES(RELAKIT_ERR_ASSIGNED_SIZE, 79, check());
    places_reset(0);
    places[TEXT_].address = UINT64_MAX - 78;
    REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, UINT64_MAX - 78, check());
    places_reset(0);
    REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, 3 * SECTIONS - 1, verify_with(&verifier, section_places, 3 * SECTIONS - 1, &verified));
    EQ(fault.limit, 3 * SECTIONS);
    kernel = 6;
    REFUSES(RELAKIT_ERR_PROFILE, 6, check());
    kernel = 0;
    ACCEPTS(check());
    EQ(seen_count, 0);
}

static relakit_status with_verifier(const void *given)
{
    static unsigned char kept_flat[FLAT];
    relakit_status status;
    memcpy(kept_flat, flat, FLAT);
    status = verify_with((const struct relakit_verifier *)given, section_places, 3 * SECTIONS, &verified);
    memcpy(flat, kept_flat, FLAT);
    return status;
}

static relakit_status asks_with_verifier(const void *given)
{
    return relakit_module_is_applied(module, "obj", &memory, (const struct relakit_verifier *)given, &count, fresh());
}

static relakit_status writes_with_verifier(const void *given)
{
    return relakit_module_allowed_patch(module, &memory, (const struct relakit_verifier *)given, 0, patch_sites, site_count,
                                        BASE + LABEL, "\xcc", 1, &count, fresh());
}

static relakit_status gives_verified(void *given)
{
    static unsigned char kept_flat[FLAT];
    relakit_status status;
    memcpy(kept_flat, flat, FLAT);
    status = relakit_module_verify(module, &memory, &verifier, 0, section_places, 3 * SECTIONS,
                                   (struct relakit_verified *)given, fresh());
    memcpy(flat, kept_flat, FLAT);
    return status;
}

static void arguments_of_a_verification(void)
{
    static const struct {
        taker *call;
        uint64_t number;
    } calls_with[] = {{with_verifier, 3}, {asks_with_verifier, 4}, {writes_with_verifier, 3}};
    static const unsigned roles = RELAKIT_ROLE_TRACE + 1;
    start(RELAKIT_LINUX(6, 12));
    ACCEPTS(find_sites());
    for (size_t i = 0; i < sizeof calls_with / sizeof *calls_with; i++) {
        struct relakit_verifier given = verifier;
        taker *call = calls_with[i].call;
        takes_struct(call, &verifier, sizeof verifier, calls_with[i].number, 8, NULL_IS_REFUSED);
        takes_no_flags(call, &verifier, sizeof verifier, calls_with[i].number, 0);
        given.read = NULL;
        REFUSES(RELAKIT_ERR_CALLBACK, calls_with[i].number, call(&given));
        given = verifier;
        if (call == asks_with_verifier)
            continue;
        for (unsigned role = 0; role < 32; role++)
            for (unsigned policy = 0; policy < 4; policy++) {
                int is_policy = policy == 0 || (role < roles && policy <= RELAKIT_POLICY_ANYTHING);
                given.policies[role] = (unsigned char)policy;
                if (is_policy)
                    ACCEPTS(call(&given));
                else
                    REFUSES(RELAKIT_ERR_RESERVED, 3, call(&given));
                given.policies[role] = 0;
            }
    }
    ACCEPTS(check());
    gives_struct(gives_verified, &verified, sizeof verified, 7);
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_verify(module, NULL, &verifier, 0, section_places, 3 * SECTIONS, &verified, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 5, verify_with(&verifier, NULL, 3 * SECTIONS, &verified));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 5,
            verify_with(&verifier, (uint64_t *)(void *)((char *)section_places + 4), 3 * SECTIONS - 1, &verified));
    REFUSES(RELAKIT_ERR_LENGTH, 5, verify_with(&verifier, section_places, SIZE_MAX / 8, &verified));
    REFUSES(RELAKIT_ERR_OVERLAP, 5, verify_with(&verifier, (uint64_t *)state, 8, &verified));
    REFUSES(RELAKIT_ERR_OVERLAP, 5, verify_with(&verifier, (uint64_t *)(void *)file, 8, &verified));
    REFUSES(RELAKIT_ERR_NULL, 5, relakit_module_is_applied(module, "obj", &memory, &verifier, NULL, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 2, relakit_module_is_applied(module, NULL, &memory, &verifier, &count, fresh()));
}

static relakit_status sites_with(struct relakit_patch_site *to, size_t many, size_t *out)
{
    return relakit_module_patch_sites(module, &memory, kernel, section_places, 3 * SECTIONS, to, many, out, fresh());
}

static void sites_are_listed(void)
{
    struct relakit_patch_site site[2];
    size_t found = 7;
    start(RELAKIT_LINUX(6, 12));
    memset(site, 0xa5, sizeof site);
    ACCEPTS(sites_with(NULL, 0, &found));
    EQ(found, 1);
    ACCEPTS(sites_with(site, 2, &found));
    EQ(found, 1);
    EQ(site[0].address, BASE + LABEL);
    EQ(site[0].offset, 64);
    EQ(site[0].size, 5);
    EQ(site[0].entry, 0);
    EQ(site[0].code, TEXT_);
    EQ(site[0].section, JUMP);
    EQ(site[0].role, RELAKIT_ROLE_JUMP_LABEL);
    EQ(site[0].reserved, 0);
    EQ(site[1].role, 0xa5a5a5a5);
    REFUSES(RELAKIT_ERR_NULL, 6, sites_with(NULL, 1, &found));
    REFUSES(RELAKIT_ERR_NULL, 8, sites_with(site, 1, NULL));
    REFUSES(RELAKIT_ERR_ALIGNMENT, 6, sites_with((struct relakit_patch_site *)(void *)((char *)site + 4), 1, &found));
    REFUSES(RELAKIT_ERR_LENGTH, 6, sites_with(site, SIZE_MAX / 48, &found));
    REFUSES(RELAKIT_ERR_OVERLAP, 6, sites_with((struct relakit_patch_site *)state, 1, &found));
    REFUSES(RELAKIT_ERR_OVERLAP, 6, sites_with((struct relakit_patch_site *)(void *)section_places, 1, &found));
    REFUSES(RELAKIT_ERR_VALUES_TOO_SHORT, 3 * SECTIONS - 1,
            relakit_module_patch_sites(module, &memory, 0, section_places, 3 * SECTIONS - 1, site, 2, &found, fresh()));
    kernel = 6;
    REFUSES(RELAKIT_ERR_PROFILE, 6, sites_with(site, 2, &found));
    start(RELAKIT_PROFILE_ELF);
    ACCEPTS(sites_with(site, 2, &found));
    EQ(found, 0);
}

static void writes(unsigned at, const void *bytes, size_t bytes_size, uint32_t want)
{
    count = 7;
    ACCEPTS(relakit_module_allowed_patch(module, &memory, &verifier, kernel, patch_sites, site_count, BASE + at, bytes,
                                         bytes_size, &count, fresh()));
    EQ(count, want);
    if (want)
        memcpy(guest + at, bytes, bytes_size);
}

static void a_write_is_allowed_if_linux_makes_it(void)
{
    start(RELAKIT_LINUX(6, 12));
    ACCEPTS(find_sites());
    EQ(site_count, 1);
    writes(LABEL, jump, 5, 1);
    writes(LABEL, nop, 5, 1);
    writes(LABEL, nop, 4, 1);
    writes(LABEL, jump, 1, 0);
    writes(LABEL, "\x90\x90\x90\x90\x90", 5, 0);
    writes(LABEL + 1, jump + 1, 4, 0);
    writes(LABEL, "\xcc", 1, 1);
    writes(LABEL, "\xe8", 1, 0);
    writes(LABEL + 1, "\x08\0\0\0", 4, 0);
    writes(LABEL + 1, jump + 1, 4, 1);
    writes(LABEL, "\xe8", 1, 0);
    writes(LABEL, jump, 1, 1);
    ACCEPTS(check());
    EQ(seen_count, 0);
    writes(LABEL - 1, "\xcc", 1, 0);
    writes(LABEL + 5, "\xcc", 1, 0);
    writes(LABEL, "\xe9\x07\0\0\0\0", 6, 0); /* ends outside of the site */
    verifier.policies[RELAKIT_ROLE_JUMP_LABEL] = RELAKIT_POLICY_UNTOUCHED;
    writes(LABEL, nop, 5, 0);
    verifier.policies[RELAKIT_ROLE_JUMP_LABEL] = RELAKIT_POLICY_ANYTHING;
    writes(LABEL, "\x90\x90\x90\x90\x90", 5, 1);
    verifier.policies[RELAKIT_ROLE_JUMP_LABEL] = 0;
    read_fails = 3;
    REFUSES(RELAKIT_ERR_READER, 3, writes_with_verifier(&verifier));
    read_fails = 0;
    REFUSES(RELAKIT_ERR_NULL, 10,
            relakit_module_allowed_patch(module, &memory, &verifier, 0, patch_sites, 1, BASE, nop, 5, NULL, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 8,
            relakit_module_allowed_patch(module, &memory, &verifier, 0, patch_sites, 1, BASE, NULL, 5, &count, fresh()));
    REFUSES(RELAKIT_ERR_NULL, 5,
            relakit_module_allowed_patch(module, &memory, &verifier, 0, NULL, 1, BASE, nop, 5, &count, fresh()));
    REFUSES(RELAKIT_ERR_PROFILE, 6,
            relakit_module_allowed_patch(module, &memory, &verifier, 6, patch_sites, 1, BASE, nop, 5, &count, fresh()));
    /* The caller may change a site: it names a section or an offset that does not exist. */
    for (int i = 0; i < 4; i++) {
        struct relakit_patch_site site = patch_sites[0];
        *(i == 0 ? &site.code : i == 1 ? &site.section : i == 2 ? &site.role : (uint32_t *)(void *)&site.offset) = 0x10000;
        count = 7;
        (void)relakit_module_allowed_patch(module, &memory, &verifier, 0, &site, 1, BASE + LABEL, jump, 5, &count, fresh());
        CHECK(count != 1);
    }
}

static void roles_have_names(void)
{
    TEXT(relakit_role_name(RELAKIT_ROLE_ALTERNATIVE), "alternative");
    TEXT(relakit_role_name(RELAKIT_ROLE_JUMP_LABEL), "jump label");
    TEXT(relakit_role_name(RELAKIT_ROLE_TRACE), "tracer call");
    for (uint32_t role = 0; role <= RELAKIT_ROLE_TRACE; role++)
        CHECK(relakit_role_name(role) != NULL && relakit_role_name(role)[0] != 0);
    CHECK(relakit_role_name(RELAKIT_ROLE_TRACE + 1) == NULL);
    CHECK(relakit_role_name(UINT32_MAX) == NULL);
}

int main(void)
{
    what_was_loaded_has_no_difference();
    each_changed_byte_is_found_and_named();
    a_redirected_field_says_where_it_leads();
    a_jump_label_has_two_forms();
    late_relocations_are_found_and_expected();
    apply_late_refuses();
    errors_of_a_verification();
    arguments_of_a_verification();
    sites_are_listed();
    a_write_is_allowed_if_linux_makes_it();
    roles_have_names();
    return module_test_end("level3_verify");
}
