/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sections that end with the last address there is, and a byte later, at every level. */

#include "module.h"

#define ROOM 32
/* The largest address at which a section of so many bytes ends in the address space. */
#define HIGHEST(size) (UINT64_MAX - (size) + 1)

static unsigned char bytes[ROOM];

static int32_t read_bytes(void *ctx, uint64_t address, uint64_t offset, void *to, size_t size)
{
    (void)ctx, (void)address;
    CHECK(offset <= ROOM - size);
    memcpy(to, bytes + offset, size);
    return 0;
}

static int32_t write_bytes(void *ctx, uint64_t address, uint64_t offset, const void *from, size_t size)
{
    (void)ctx, (void)address;
    CHECK(offset <= ROOM - size);
    memcpy(bytes + offset, from, size);
    return 0;
}

static struct relakit_writer writer = {sizeof writer, 0, NULL, read_bytes, write_bytes, NULL};

/* The last field of the section holds S - P. */
static const uint64_t symbol_values[2] = {0, 0x1000};

static relakit_status level1(int act, int hook, uint64_t address, uint64_t size)
{
    const struct relakit_symbols symbols = {symbol_values, NULL, 2};
    const struct relakit_target target = {hook ? NULL : bytes, size, address, hook ? &writer : NULL};
    const Elf64_Rela entry = rela(size < 8 ? 0 : size - 8, 1, size < 8 ? R_X86_64_NONE : R_X86_64_PC64, 0);
    return (act == 0   ? relakit_dry_run
            : act == 1 ? relakit_apply
                       : relakit_clear)(&entry, sizeof entry, &symbols, &target, NULL, fresh());
}

static void one_table(void)
{
    static const uint64_t sizes[] = {0, 1, 8, ROOM};
    static const unsigned char zeros[ROOM] = {0};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        uint64_t size = sizes[i / 2], highest = size == 0 ? UINT64_MAX : HIGHEST(size);
        int hook = i & 1;
        for (int act = 0; act < 3; act++) {
            ACCEPTS(level1(act, hook, highest, size));
            if (act == 1 && size >= 8)
                EQ(load(bytes + size - 8, 8), symbol_values[1] - (highest + size - 8));
        }
        SAME(bytes, zeros, ROOM);
        for (uint64_t more = 1; more < size; more++)
            for (int act = 0; act < 3; act++) {
                REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, highest + more, level1(act, hook, highest + more, size));
                EQ(fault.limit, size);
                EQ(fault.has, 0);
                SAME(bytes, zeros, ROOM);
            }
    }
    /* A size that no memory has, behind a writer that knows it. */
    writer.flags = RELAKIT_WRITER_FOREIGN;
    {
        const struct relakit_symbols none = {NULL, NULL, 0};
        struct relakit_target target = {NULL, UINT64_MAX, 1, &writer};
        ACCEPTS(relakit_apply(NULL, 0, &none, &target, NULL, fresh()));
        target.address = 2;
        REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, 2, relakit_apply(NULL, 0, &none, &target, NULL, fresh()));
        EQ(fault.limit, UINT64_MAX);
    }
    writer.flags = 0;
}

enum { TARGET = 1, RELAS, SYMBOL_TABLE, HEADERS };

static void one_section(void)
{
    Elf64_Sym symtab[2];
    Elf64_Shdr headers[HEADERS];
    Elf64_Rela table = rela(ROOM - 8, 1, R_X86_64_PC64, 0);
    const uint64_t highest = HIGHEST((uint64_t)ROOM);
    memset(symtab, 0, sizeof symtab);
    memset(headers, 0, sizeof headers);
    symtab[1].st_shndx = SHN_ABS;
    symtab[1].st_value = 0x1000;
    headers[TARGET].sh_type = SHT_PROGBITS;
    headers[TARGET].sh_size = ROOM;
    headers[RELAS].sh_type = SHT_RELA;
    headers[RELAS].sh_addr = (uint64_t)(uintptr_t)&table;
    headers[RELAS].sh_size = sizeof table;
    headers[RELAS].sh_info = TARGET;
    headers[SYMBOL_TABLE].sh_type = SHT_SYMTAB;
    headers[SYMBOL_TABLE].sh_addr = (uint64_t)(uintptr_t)symtab;
    for (int foreign = 0; foreign < 2; foreign++)
        for (uint64_t more = 0; more < 3; more++) {
            writer.flags = foreign ? RELAKIT_WRITER_FOREIGN : 0;
            memset(bytes, 0, ROOM);
            headers[TARGET].sh_addr = highest + more;
            if (more == 0) {
                ACCEPTS(relakit_apply_relocate_add(headers, HEADERS, NULL, SYMBOL_TABLE, 2, RELAS, &writer, NULL, fresh()));
                EQ(load(bytes + ROOM - 8, 8), 0x1000 - (highest + ROOM - 8));
                ACCEPTS(relakit_clear_relocate_add(headers, HEADERS, NULL, SYMBOL_TABLE, 2, RELAS, &writer, NULL, fresh()));
                continue;
            }
            REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, highest + more,
                    relakit_apply_relocate_add(headers, HEADERS, NULL, SYMBOL_TABLE, 2, RELAS, &writer, NULL, fresh()));
            EQ(fault.limit, ROOM);
            EQ(fault.section, TARGET);
            REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, highest + more,
                    relakit_clear_relocate_add(headers, HEADERS, NULL, SYMBOL_TABLE, 2, RELAS, &writer, NULL, fresh()));
            EQ(load(bytes + ROOM - 8, 8), 0);
        }
    writer.flags = 0;
}

/* Level 3, in plain memory: sections that are relocated early when they are placed, the others when they are filled. */
static void a_module(void)
{
    static const uint32_t sections[] = {TEXT_, JUMP, DATA_, BSS_};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        uint32_t section = sections[i];
        uint64_t size = parts[section].size;
        int is_early = section == TEXT_ || section == JUMP;
        module_reset(RELAKIT_STAGE_PARSED, 0, 0);
        places[section].address = HIGHEST(size);
        ACCEPTS(relakit_module_assign(module, &memory, fresh()));
        ACCEPTS(relakit_module_fill(module, &memory, fresh()));
        /* PC32 to the other end of the address space is cut, as Linux does. */
        ACCEPTS(relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()));
        module_reset(RELAKIT_STAGE_PARSED, 0, 0);
        places[section].address = HIGHEST(size) + 1;
        if (is_early) {
            REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, HIGHEST(size) + 1, relakit_module_assign(module, &memory, fresh()));
            EQ(relakit_module_stage(module), RELAKIT_STAGE_PARSED);
        } else {
            ACCEPTS(relakit_module_assign(module, &memory, fresh()));
            REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, HIGHEST(size) + 1, relakit_module_fill(module, &memory, fresh()));
            EQ(relakit_module_stage(module), RELAKIT_STAGE_ASSIGNED);
        }
        EQ(fault.limit, size);
        EQ(fault.section, section);
        EQ(fault.has, RELAKIT_ERROR_HAS_SECTION);
        /* The same places in later calls. */
        module_reset(RELAKIT_STAGE_ASSIGNED, 0, 0);
        places[section].address = HIGHEST(size) + 1;
        REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, HIGHEST(size) + 1, relakit_module_fill(module, &memory, fresh()));
        EQ(fault.section, section);
        module_reset(RELAKIT_STAGE_FILLED, 0, 0);
        places[section].address = HIGHEST(size) + 1;
        if (is_early)
            REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, HIGHEST(size) + 1,
                    relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()));
    }
    /* Behind a writer. */
    module_reset(RELAKIT_STAGE_PARSED, 1, 0);
    places[TEXT_].address = HIGHEST(parts[TEXT_].size) + 1;
    REFUSES(RELAKIT_ERR_ADDRESS_WRAPS, places[TEXT_].address, relakit_module_assign(module, &memory, fresh()));
    places[TEXT_].address--;
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
}

/* A late target is not looked at before its object comes. */
static void a_late_target(void)
{
    for (uint64_t more = 0; more < 2; more++) {
        uint64_t scratch[SYMBOLS], at = HIGHEST(parts[DATA_].size) + more;
        unsigned char before[FLAT];
        uint32_t count = 7;
        relakit_status status;
        module_reset(RELAKIT_STAGE_FILLED, 0, 0);
        places[DATA_].address = at;
        ACCEPTS(relakit_module_early(module, &memory, values, SYMBOLS, &names, fresh()));
        ACCEPTS(relakit_module_retained_size(module, scratch, SYMBOLS, &kept_size, fresh()));
        free(kept);
        kept = heap(kept_size);
        ACCEPTS(relakit_module_retain(module, &memory, scratch, SYMBOLS, kept, kept_size, fresh()));
        memcpy(before, flat, FLAT);
        status = relakit_module_coming(module, "obj", &memory, &names, &count, fresh());
        if (more == 0) {
            EQ(status, RELAKIT_OK);
            ACCEPTS((fresh(), relakit_module_going(module, "obj", &memory, &count, &fault)));
        } else {
            test_refused(__FILE__, __LINE__, "coming", status, RELAKIT_ERR_ADDRESS_WRAPS, at);
            EQ(fault.limit, parts[DATA_].size);
            EQ(count, 7);
        }
        SAME(flat, before, FLAT);
    }
}

int main(void)
{
    one_table();
    one_section();
    a_module();
    a_late_target();
    return module_test_end("address_edges");
}
