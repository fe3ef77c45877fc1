/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compare forms.o LINKED: loads forms.o where a linker has put it, and compares each relocation that refers to a GOT. A linker
 * numbers its slots in another order, so the fields differ. What they lead to must not.
 */
#include "../unit/test.h"

static unsigned char *object, *linked;
static size_t object_size, linked_size;

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = malloc(1 << 20);

    if (file == NULL || bytes == NULL) {
        perror(path);
        exit(2);
    }
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static const Elf64_Shdr *header(const unsigned char *file, uint32_t index)
{
    return (const Elf64_Shdr *)(const void *)(file + ((const Elf64_Ehdr *)(const void *)file)->e_shoff) + index;
}

static uint32_t headers(const unsigned char *file)
{
    return ((const Elf64_Ehdr *)(const void *)file)->e_shnum;
}

/* The address that the linker gave a symbol. */
static int find(const char *name, size_t length, uint64_t *value)
{
    for (uint32_t i = 1; i < headers(linked); i++) {
        const Elf64_Shdr *table = header(linked, i);
        const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(linked + table->sh_offset);
        if (table->sh_type != SHT_SYMTAB)
            continue;
        for (size_t s = 1; s < table->sh_size / sizeof *symbols; s++) {
            const char *own = (const char *)linked + header(linked, table->sh_link)->sh_offset + symbols[s].st_name;
            if (strlen(own) == length && memcmp(own, name, length) == 0 && symbols[s].st_shndx != SHN_UNDEF) {
                *value = symbols[s].st_value;
                return 1;
            }
        }
    }
    return 0;
}

static int32_t exported(void *ctx, const char *name, size_t length, uint64_t *value)
{
    (void)ctx;
    return find(name, length, value) ? RELAKIT_OK : RELAKIT_NOT_FOUND;
}

/* The bytes at an address of the linked program. */
static const unsigned char *linked_at(uint64_t address)
{
    for (uint32_t i = 1; i < headers(linked); i++) {
        const Elf64_Shdr *section = header(linked, i);
        if (section->sh_flags & SHF_ALLOC && section->sh_type == SHT_PROGBITS && address >= section->sh_addr &&
            address + 8 <= section->sh_addr + section->sh_size)
            return linked + section->sh_offset + (address - section->sh_addr);
    }
    return NULL;
}

static uint64_t number(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    int32_t low;

    if (size == 8) {
        memcpy(&value, bytes, 8);
        return value;
    }
    memcpy(&low, bytes, 4);
    return (uint64_t)(int64_t)low;
}

/* How many of each type were compared. */
static unsigned compared[64];

int main(int argc, char **argv)
{
    enum { SECTIONS_ = 64, SYMBOLS_ = 256 };
    static uint64_t state[RELAKIT_MODULE_SIZE / 8], plan[SYMBOLS_ / 32], values[SYMBOLS_];
    static unsigned char slots[SYMBOLS_ * 8];
    static struct relakit_section_memory sections[SECTIONS_];
    const struct relakit_options options = {.struct_size = sizeof options, .profile = RELAKIT_PROFILE_ELF};
    struct relakit_resolver resolver = {.struct_size = sizeof resolver, .exported = exported};
    struct relakit_memory memory = {.struct_size = sizeof memory, .sections = sections, .count = SECTIONS_};
    struct relakit_module_info info = {.struct_size = sizeof info};
    struct relakit_got_section got;
    struct relakit_module *module;
    unsigned char *text;
    uint64_t start, table = 0, size, at;
    uint32_t code = 0, entries = 0;

    if (argc != 3)
        return 2;
    object = read_all(argv[1], &object_size);
    linked = read_all(argv[2], &linked_size);
    if (!find("forms_start", 11, &start))
        return 2;
    find("_GLOBAL_OFFSET_TABLE_", 21, &table);
    ACCEPTS(relakit_module_init(state, sizeof state, object, object_size, &options, &module, fresh()));
    ACCEPTS(relakit_module_describe(module, &info, fresh()));
    ACCEPTS(relakit_module_plan(module, plan, SYMBOLS_ / 32, 0, &got, fresh()));
    for (uint32_t i = 1; i < headers(object); i++) {
        if (header(object, i)->sh_flags & SHF_EXECINSTR)
            code = i;
        if (header(object, i)->sh_type == SHT_RELA)
            entries = i;
    }
    size = header(object, code)->sh_size;
    text = malloc(size);
    at = (start + size + 0x1000) & ~(uint64_t)15;
    sections[code] = (struct relakit_section_memory){RELAKIT_MEMORY_PRESENT, 0, text, size, start, 0};
    sections[got.section] = (struct relakit_section_memory){RELAKIT_MEMORY_PRESENT, 0, slots, got.size, at, 0};
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
    ACCEPTS(relakit_module_fill(module, &memory, fresh()));
    ACCEPTS(relakit_module_early(module, &memory, values, SYMBOLS_, &resolver, fresh()));

    unsigned char *same = malloc(size);
    memcpy(same, text, size);
    const Elf64_Rela *rela = (const Elf64_Rela *)(const void *)(object + header(object, entries)->sh_offset);
    for (size_t i = 0; i < header(object, entries)->sh_size / sizeof *rela; i++) {
        uint32_t type = (uint32_t)rela[i].r_info;
        uint64_t symbol = rela[i].r_info >> 32, offset = rela[i].r_offset, addend = (uint64_t)rela[i].r_addend;
        uint64_t p = start + offset;
        size_t bytes = type >= R_X86_64_GOTOFF64 && type <= R_X86_64_PLTOFF64 && type != R_X86_64_GOTPC32 ? 8 : 4;
        const unsigned char *theirs = linked_at(p);
        uint64_t ours_is = number(text + offset, bytes), theirs_is = number(theirs, bytes);

        memcpy(same + offset, theirs, bytes); /* the rest must be equal */
        compared[type]++;
        switch (type) {
        case R_X86_64_GOTOFF64: /* S + A - GOT */
        case R_X86_64_PLTOFF64:
            EQ(ours_is + at, theirs_is + table);
            EQ(ours_is + at, values[symbol] + addend);
            break;
        case R_X86_64_GOTPC32: /* GOT + A - P */
        case R_X86_64_GOTPC64:
            EQ(ours_is - at, theirs_is - table);
            break;
        case R_X86_64_GOT64: { /* G + A */
            const unsigned char *slot = linked_at(theirs_is + table - addend);
            if (!CHECK(ours_is - addend < got.size && slot != NULL))
                break;
            EQ(number(slots + ours_is - addend, 8), number(slot, 8));
            EQ(number(slot, 8), values[symbol]);
            break;
        }
        default: { /* G + GOT + A - P */
            const unsigned char *slot = linked_at(theirs_is + p - addend);
            if (!CHECK(ours_is + p - addend - at < got.size && slot != NULL))
                break;
            EQ(number(slots + (ours_is + p - addend - at), 8), number(slot, 8));
            EQ(number(slot, 8), values[symbol]);
            break;
        }
        }
    }
    SAME(same, linked_at(start), size);
    for (uint32_t type = 0; type < 64; type++)
        if (compared[type])
            printf("  %-26s %4u fields\n", relakit_type_name(type), compared[type]);
    return test_end("compare");
}
