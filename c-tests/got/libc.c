/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libc FOLDER: loads each object of the folder by itself, with a GOT and stubs, and calls functions of some. Objects with
 * thread-local data are refused. What an object does not define has an address that is made up.
 */
#include "../unit/test.h"

#include <dirent.h>
#include <sys/mman.h>

#define MEMORY ((size_t)1 << 22)
#define PAGE 4096

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    *size = (size_t)ftell(file);
    bytes = malloc(*size + 1);
    rewind(file);
    if (bytes == NULL || fread(bytes, 1, *size, file) != *size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return bytes;
}

static unsigned char *arena;
/* Whether what an object does not define is so far away that a call needs a stub. Data then needs a slot, which only some
 * objects have: the others are loaded again, within reach. */
static int is_far;

static int32_t exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
    uint64_t hash = 14695981039346656037u;

    (void)ctx;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 1099511628211u;
    *value = (uint64_t)(uintptr_t)arena + (is_far ? UINT64_C(0x100000000000) : 0x10000000) + (hash & 0xfffffff0) / 8;
    return RELAKIT_OK;
}

struct loaded {
    struct relakit_module *module;
    struct relakit_module_info info;
    struct relakit_got_section got;
    struct relakit_section_memory *sections;
    uint64_t *values, *plan;
    uint64_t state[RELAKIT_MODULE_SIZE / 8];
};

static relakit_status load_object(struct loaded *to, const unsigned char *file, size_t size, struct relakit_error *error)
{
    const struct relakit_options options = {.struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF};
    const struct relakit_resolver resolver = {.struct_size = sizeof resolver, .exported = exported};
    struct relakit_layout layout = {.struct_size = sizeof layout};
    struct relakit_memory memory = {.struct_size = sizeof memory};
    uint64_t at = (uint64_t)(uintptr_t)arena;
    relakit_status status;
    size_t words;

    to->info.struct_size = sizeof to->info;
    status = relakit_module_init(to->state, sizeof to->state, file, size, &options, &to->module, error);
    if (status == RELAKIT_OK)
        status = relakit_module_describe(to->module, &to->info, error);
    if (status != RELAKIT_OK)
        return status;
    words = relakit_got_words(to->info.symbol_count);
    to->plan = calloc(words + 1, sizeof *to->plan);
    to->values = calloc(to->info.symbol_count + 1, sizeof *to->values);
    memory.count = to->info.section_count + 1;
    memory.sections = to->sections = calloc(memory.count, sizeof *to->sections);
    status = relakit_module_plan(to->module, to->plan, words, RELAKIT_GOT_STUBS | RELAKIT_GOT_ENDBR, &to->got, error);
    if (status == RELAKIT_OK)
        status = relakit_module_layout(to->module, NULL, 0, PAGE, NULL, 0, &layout, error);
    if (status == RELAKIT_OK && layout.size > MEMORY)
        exit(2);
    if (status == RELAKIT_OK)
        status = relakit_module_layout(to->module, arena, at, PAGE, to->sections, memory.count, &layout, error);
    if (status == RELAKIT_OK)
        status = relakit_module_assign(to->module, &memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_fill(to->module, &memory, error);
    if (status == RELAKIT_OK)
        status = relakit_module_early(to->module, &memory, to->values, to->info.symbol_count, &resolver, error);
    return status;
}

static void release(struct loaded *module)
{
    free(module->plan);
    free(module->values);
    free(module->sections);
    memset(module, 0, sizeof *module);
}

static unsigned slots, calls, direct;

/* Each entry that refers to a slot leads to one with the value of its symbol, and each call to its function. */
static void check_fields(const struct loaded *of)
{
    for (uint32_t i = 1; i < of->info.section_count; i++) {
        struct relakit_section section = {.struct_size = sizeof section};
        ACCEPTS(relakit_module_section(of->module, i, &section, fresh()));
        if (section.section_class != RELAKIT_CLASS_ORDINARY)
            continue;
        const Elf64_Rela *table = section.content;
        const struct relakit_section_memory *target = &of->sections[section.target];
        const struct relakit_section_memory *got = &of->sections[of->info.section_count];
        for (size_t entry = 0; entry < section.sh_size / sizeof *table; entry++) {
            Elf64_Rela rela;
            int32_t field;
            uint64_t slot, value;
            memcpy(&rela, table + entry, sizeof rela);
            value = of->values[rela.r_info >> 32];
            memcpy(&field, (unsigned char *)target->bytes + rela.r_offset, sizeof field);
            slot = target->address + rela.r_offset + (uint64_t)(int64_t)field - (uint64_t)rela.r_addend;
            switch ((uint32_t)rela.r_info) {
            case R_X86_64_GOTPCREL:
            case R_X86_64_GOTPCRELX:
            case R_X86_64_REX_GOTPCRELX:
                slots++;
                break;
            case R_X86_64_PLT32:
                if (slot == value) {
                    direct++;
                    continue;
                }
                /* endbr64, jmp *slot(%rip) */
                calls++;
                if (!CHECK(slot - got->address < got->size) || !CHECK(memcmp((void *)(uintptr_t)slot, "\xf3\x0f\x1e\xfa\xff\x25", 6) == 0))
                    continue;
                memcpy(&field, (void *)(uintptr_t)(slot + 6), sizeof field);
                slot += 10 + (uint64_t)(int64_t)field;
                break;
            default:
                continue;
            }
            if (CHECK(slot - got->address < got->size))
                EQ(*(const uint64_t *)(uintptr_t)slot, value);
        }
    }
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Calls a function, if the object defines it. Returns whether it does. */
static int call(const struct loaded *of)
{
    static const int sorted[] = {1, 3, 7, 8, 20};
    static const char *const names[] = {"ffs", "ffsll", "labs", "a64l", "div", "bsearch"};
    int known = -1;
    uint64_t at;
    struct relakit_symbol symbol = {.struct_size = sizeof symbol};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (relakit_module_find_symbol(of->module, names[i], &symbol, fresh()) == RELAKIT_OK && symbol.st_shndx != SHN_UNDEF) {
            known = (int)i;
            break;
        }
    if (known < 0)
        return 0;
    at = of->values[symbol.index];
    switch (known) {
    case 0:
        EQ(((int (*)(int))(uintptr_t)at)(0x50), 5);
        break;
    case 1:
        EQ(((int (*)(long long))(uintptr_t)at)(1LL << 40), 41);
        break;
    case 2:
        EQ(((long (*)(long))(uintptr_t)at)(-7), 7);
        break;
    case 3:
        EQ(((long (*)(const char *))(uintptr_t)at)("./1"), 64 + 3 * 4096);
        break;
    case 4:
        EQ(((div_t (*)(int, int))(uintptr_t)at)(17, 5).rem, 2);
        break;
    case 5: {
        int wanted = 7;
        const int *found = ((const int *(*)(const void *, const void *, size_t, size_t, int (*)(const void *, const void *)))(
            uintptr_t)at)(&wanted, sorted, 5, sizeof *sorted, compare_ints);
        CHECK(found == &sorted[2]);
        break;
    }
    default:
        break;
    }
    printf("  %s was called\n", names[known]);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned loaded = 0, thread_local_data = 0, others = 0, called = 0;
    struct dirent *entry;
    DIR *folder;

    if (argc != 2 || (folder = opendir(argv[1])) == NULL)
        return 2;
    arena = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return 2;
    while ((entry = readdir(folder)) != NULL) {
        static struct loaded module;
        struct relakit_error error;
        char path[4096], line[512];
        size_t size;
        unsigned char *file;

        if (strchr(entry->d_name, '.') == entry->d_name)
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        file = read_all(path, &size);
        memset(&module, 0, sizeof module);
        memset(&error, 0, sizeof error);
        is_far = 1;
        if (load_object(&module, file, size, &error) == RELAKIT_ERR_OVERFLOW) {
            release(&module);
            is_far = 0;
            load_object(&module, file, size, &error);
        }
        if (relakit_module_stage(module.module) == RELAKIT_STAGE_LOADED) {
            loaded++;
            check_fields(&module);
            called += (unsigned)call(&module);
        } else if (error.status == RELAKIT_ERR_UNKNOWN_TYPE && strstr(relakit_type_name(error.r_type), "TP") != NULL) {
            thread_local_data++;
        } else if (error.status == RELAKIT_ERR_UNKNOWN_TYPE && strstr(relakit_type_name(error.r_type), "TLS") != NULL) {
            thread_local_data++;
        } else {
            others++;
            relakit_error_format(&error, NULL, line, sizeof line);
            printf("  %s: %s\n", entry->d_name, line);
        }
        free(file);
        release(&module);
    }
    closedir(folder);
    printf("%u objects are loaded, %u use thread-local data, %u are refused for other reasons\n", loaded, thread_local_data,
           others);
    printf("%u fields lead to slots, %u calls to stubs, %u calls to their functions; %u objects were called\n", slots, calls,
           direct, called);
    CHECK(loaded >= 1000);
    EQ(others, 0);
    CHECK(called == 6);
    return test_end("libc");
}
