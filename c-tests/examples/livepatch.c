/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The life of a livepatch in one file, at level 3. The livepatch is loaded. Then the module that it patches is loaded,
 * unloaded, and loaded at another address. The code of the livepatch is not run, so its memory can be anywhere.
 *
 *   gcc livepatch.c -lrelakit -o livepatch && ./livepatch cli/demo/livepatch.ko
 */
#include <inttypes.h>
#include <relakit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t demo_disk; /* the address of the module demo_disk; 0 if it is not loaded */

/* What a kernel knows of itself and of its modules. `base` is added to the value. */
static const uint64_t none = 0;
static const struct symbol {
    const char *object, *name;
    uint64_t sympos, value;
    const uint64_t *base;
} known[] = {
    { "vmlinux", "_printk", 1, 0xffffffff81113f20, &none },
    { "vmlinux", "klp_enable_patch", 1, 0xffffffff8112c6b0, &none },
    { "vmlinux", "seq_printf", 1, 0xffffffff8146a5d0, &none },
    { "vmlinux", "diskstats_key", 1, 0xffffffff82e4b2c0, &none },
    { "vmlinux", "part_in_flight", 1, 0xffffffff815a1c40, &none },
    { "vmlinux", "part_in_flight", 2, 0xffffffff815b7e60, &none },
    { "demo_disk", "demo_queue", 1, 0x0, &demo_disk },
    { "demo_disk", "demo_limits", 1, 0x2040, &demo_disk },
    { "demo_disk", "demo_requests", 1, 0x2400, &demo_disk },
};

static int is(const char *text, const char *name, size_t len)
{
    return strlen(text) == len && memcmp(text, name, len) == 0;
}

/* Looks up the symbol number `sympos` of this name in the object. */
static int32_t RELAKIT_CALL nth_symbol(void *ctx, const char *object, size_t object_len, const char *name,
                                       size_t name_len, uint64_t sympos, uint64_t *value)
{
    (void)ctx;
    for (const struct symbol *s = known; s < known + sizeof known / sizeof *known; s++) {
        int is_loaded = s->base == &none || *s->base != 0;
        if (is_loaded && is(s->object, object, object_len) && is(s->name, name, name_len) && s->sympos == sympos) {
            *value = *s->base + s->value;
            return RELAKIT_OK;
        }
    }
    return RELAKIT_NOT_FOUND;
}

/* Looks up a symbol that modules may use. */
static int32_t RELAKIT_CALL exported(void *ctx, const char *name, size_t len, uint64_t *value)
{
    return nth_symbol(ctx, "vmlinux", 7, name, len, 1, value);
}

static struct relakit_module *module;
static struct relakit_error error;

/* Ends the program at an error. The call that failed has changed nothing. */
static void check(const char *what, relakit_status status)
{
    char text[512];

    if (status == RELAKIT_OK)
        return;
    relakit_error_format(&error, module, text, sizeof text);
    printf("%s: %s\n", what, text);
    exit(1);
}

int main(int argc, char **argv)
{
    static uint64_t state[RELAKIT_MODULE_SIZE / 8], file[1 << 17];
    FILE *in = fopen(argc > 1 ? argv[1] : "livepatch.ko", "rb");
    size_t size = in ? fread(file, 1, sizeof file, in) : 0, retained_size;
    struct relakit_options options = { .struct_size = sizeof options, .profile = RELAKIT_LINUX(6, 12) };
    struct relakit_resolver resolver = { .struct_size = sizeof resolver, .exported = exported, .nth_symbol = nth_symbol };
    struct relakit_module_info info = { .struct_size = sizeof info };
    struct relakit_layout layout = { .struct_size = sizeof layout };
    char object[RELAKIT_OBJECT_NAME_SIZE];
    uint32_t count;

    /* Read the file, and provide memory: one arena for all sections, which will run at 0xffffffffc0900000. */
    check("init", relakit_module_init(state, sizeof state, file, size, &options, &module, &error));
    check("describe", relakit_module_describe(module, &info, &error));
    check("layout", relakit_module_layout(module, NULL, 0, 4096, NULL, 0, &layout, &error));
    struct relakit_section_memory *sections = calloc(info.section_count, sizeof *sections);
    struct relakit_memory memory = { .struct_size = sizeof memory, .sections = sections, .count = info.section_count };
    void *arena = malloc(layout.size);
    check("layout", relakit_module_layout(module, arena, 0xffffffffc0900000, 4096, sections, memory.count, &layout, &error));
    check("assign", relakit_module_assign(module, &memory, &error));
    check("fill", relakit_module_fill(module, &memory, &error));

    /* Early: the ordinary relocations and those for the kernel. Only now may anything read the special sections. */
    uint64_t *values = calloc(info.symbol_count, sizeof *values);
    check("early", relakit_module_early(module, &memory, values, info.symbol_count, &resolver, &error));

    /* Keep what the late passes need. Then the file and the values are not needed any more. */
    check("size", relakit_module_retained_size(module, &retained_size, &error));
    void *retained = malloc(retained_size);
    check("retain", relakit_module_retain(module, &memory, values, info.symbol_count, retained, retained_size, &error));
    check("object", relakit_module_object(module, 0, object, NULL, &error));

    /* Late: each time that the patched module is loaded, before it runs; and when it is unloaded. */
    for (demo_disk = 0xffffffffc0a10000; demo_disk <= 0xffffffffc0b10000; demo_disk += 0x100000) {
        check("coming", relakit_module_coming(module, object, &memory, &resolver, &count, &error));
        printf("%s at 0x%" PRIx64 ": %" PRIu32 " sections are relocated\n", object, demo_disk, count);
        check("going", relakit_module_going(module, object, &memory, &count, &error));
    }
    return free(values), free(sections), free(arena), free(retained), 0;
}
