// SPDX-License-Identifier: MIT OR Apache-2.0
// The header from C++11: the layout, and each level once.

#include "layout.h"
#include "test.h"

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

static_assert(std::is_standard_layout<relakit_writer>::value, "a C struct");
static_assert(std::is_standard_layout<relakit_section>::value, "a C struct");
static_assert(std::is_same<relakit_status, std::int32_t>::value, "a number");

namespace {

/* What is behind the writer, and who knows symbols: objects, handed over as ctx. */
struct Text {
    std::vector<unsigned char> bytes = std::vector<unsigned char>(64);
    std::uint64_t address = 0x10000;
    std::string calls;
};

struct Symbols {
    std::string asked;
};

} // namespace

extern "C" {

static std::int32_t text_read(void *ctx, std::uint64_t address, std::uint64_t offset, void *to, std::size_t size)
{
    Text &text = *static_cast<Text *>(ctx);
    EQ(address, text.address + offset);
    text.calls += 'r';
    memcpy(to, &text.bytes[offset], size);
    return 0;
}

static std::int32_t text_write(void *ctx, std::uint64_t, std::uint64_t offset, const void *from, std::size_t size)
{
    Text &text = *static_cast<Text *>(ctx);
    text.calls += 'w';
    memcpy(&text.bytes[offset], from, size);
    return 0;
}

static std::int32_t text_sync(void *ctx)
{
    static_cast<Text *>(ctx)->calls += 's';
    return 0;
}

static std::int32_t exported(void *ctx, const char *name, std::size_t name_len, std::uint64_t *value)
{
    static_cast<Symbols *>(ctx)->asked += std::string(name, name_len) + ";";
    *value = 0x4000;
    return RELAKIT_OK;
}

static std::int32_t nth_symbol(void *ctx, const char *object, std::size_t object_len, const char *name,
                              std::size_t name_len, std::uint64_t position, std::uint64_t *value)
{
    static_cast<Symbols *>(ctx)->asked += std::string(object, object_len) + ":" + std::string(name, name_len) + ";";
    *value = 0x5000;
    return position == 1 ? RELAKIT_OK : RELAKIT_NOT_FOUND;
}

} // extern "C"

namespace {

template <class T> T sized()
{
    T value = T();
    value.struct_size = sizeof value;
    return value;
}

relakit_writer writer_of(Text &text)
{
    relakit_writer writer = sized<relakit_writer>();
    writer.ctx = &text;
    writer.read = text_read;
    writer.write = text_write;
    writer.sync = text_sync;
    return writer;
}

relakit_resolver resolver_of(Symbols &symbols)
{
    relakit_resolver resolver = sized<relakit_resolver>();
    resolver.ctx = &symbols;
    resolver.exported = exported;
    resolver.nth_symbol = nth_symbol;
    return resolver;
}

void level_one()
{
    Text text;
    relakit_writer writer = writer_of(text);
    const std::vector<std::uint64_t> values = {0, 0x20000};
    const Elf64_Rela table[] = {rela(8, 1, R_X86_64_PC32, -4), rela(16, 1, R_X86_64_64, 0)};
    relakit_symbols symbols = {values.data(), nullptr, values.size(), nullptr, nullptr};
    relakit_target target = {nullptr, text.bytes.size(), text.address, &writer};
    relakit_options options = sized<relakit_options>();
    options.profile = RELAKIT_LINUX(6, 12);
    ACCEPTS(relakit_dry_run(table, sizeof table, &symbols, &target, &options, fresh()));
    ACCEPTS(relakit_apply(table, sizeof table, &symbols, &target, &options, fresh()));
    CHECK(text.calls == "rr" "rr" "rwrw" "s");
    EQ(load(&text.bytes[8], 4), 0x20000 - 4 - 0x10008);
    EQ(load(&text.bytes[16], 8), 0x20000);
    REFUSES(RELAKIT_ERR_TARGET_NOT_ZERO, 0x20000 - 4 - 0x10008,
            relakit_apply(table, sizeof table, &symbols, &target, &options, fresh()));
    ACCEPTS(relakit_clear(table, sizeof table, &symbols, &target, &options, fresh()));
    CHECK(text.bytes == std::vector<unsigned char>(64));
}

void level_two()
{
    alignas(8) unsigned char text[16] = {};
    Elf64_Rela table[] = {rela(0, 1, R_X86_64_64, 1)};
    Elf64_Sym symtab[2] = {};
    const char shstrtab[] = "\0.klp.rela.obj.t", strtab[] = "\0.klp.sym.obj.f,1";
    Symbols symbols;
    relakit_resolver resolver = resolver_of(symbols);
    std::uint32_t sections = 0;
    const auto here = [](const void *at) { return reinterpret_cast<std::uintptr_t>(at); };
    Elf64_Shdr headers[5] = {};
    headers[1] = {0, SHT_PROGBITS, SHF_ALLOC, here(text), 0, sizeof text, 0, 0, 1, 0};
    headers[2] = {1, SHT_RELA, SHF_ALLOC | RELAKIT_SHF_RELA_LIVEPATCH, here(table), 0, sizeof table, 3, 1, 8, 24};
    headers[3] = {0, SHT_SYMTAB, 0, here(symtab), 0, sizeof symtab, 4, 0, 8, 24};
    symtab[1].st_name = 1;
    symtab[1].st_shndx = RELAKIT_SHN_LIVEPATCH;
    relakit_sechdrs image = sized<relakit_sechdrs>();
    image.sechdrs = headers;
    image.section_count = 5;
    image.symindex = 3;
    image.shstrtab = shstrtab;
    image.shstrtab_size = sizeof shstrtab;
    image.strtab = strtab;
    image.strtab_size = sizeof strtab;
    ACCEPTS(relakit_klp_apply(&image, "obj", &resolver, nullptr, nullptr, &sections, fresh()));
    EQ(sections, 1);
    CHECK(symbols.asked == "obj:f;");
    EQ(load(text, 8), 0x5001);
    ACCEPTS(relakit_klp_clear(&image, "obj", nullptr, nullptr, nullptr, fresh()));
    ACCEPTS(relakit_apply_relocate_add(&image, 2, nullptr, nullptr, fresh()));
    EQ(load(text, 8), 0x5001);
    image.section_count = RELAKIT_SECTION_COUNT_UNKNOWN;
    ACCEPTS(relakit_clear_relocate_add(&image, 2, nullptr, nullptr, fresh()));
    EQ(load(text, 8), 0);
}

/* .text, .rela.text and what every file has, one behind the other. */
struct File {
    Elf64_Ehdr header;
    Elf64_Shdr headers[6];
    unsigned char text[16];
    Elf64_Rela table[1];
    Elf64_Sym symbols[2];
    char strings[8], names[8];
};

void level_three()
{
    std::unique_ptr<File> file(new File());
    put_elf_header(&file->header, offsetof(File, headers), 6, 5);
    file->headers[1] = {0, SHT_PROGBITS, SHF_ALLOC, 0, offsetof(File, text), 16, 0, 0, 1, 0};
    file->headers[2] = {0, SHT_RELA, 0, 0, offsetof(File, table), 24, 3, 1, 8, 24};
    file->headers[3] = {0, SHT_SYMTAB, 0, 0, offsetof(File, symbols), 48, 4, 1, 8, 24};
    file->headers[4] = {0, SHT_STRTAB, 0, 0, offsetof(File, strings), 8, 0, 0, 1, 0};
    file->headers[5] = {0, SHT_STRTAB, 0, 0, offsetof(File, names), 8, 0, 0, 1, 0};
    file->table[0] = rela(4, 1, R_X86_64_64, 2);
    file->symbols[1].st_name = 1;
    file->symbols[1].st_info = STB_GLOBAL << 4;
    memcpy(file->strings + 1, "printk", 7);

    alignas(RELAKIT_MODULE_ALIGN) unsigned char state[RELAKIT_MODULE_SIZE];
    relakit_module *module = nullptr;
    relakit_module_info info = sized<relakit_module_info>();
    ACCEPTS(relakit_module_init(state, sizeof state, file.get(), sizeof *file, nullptr, &module, fresh()));
    ACCEPTS(relakit_module_describe(module, &info, fresh()));
    EQ(info.section_count, 6);
    Text text;
    Symbols symbols;
    relakit_writer writer = writer_of(text);
    relakit_resolver resolver = resolver_of(symbols);
    std::vector<relakit_section_memory> places(info.section_count, relakit_section_memory());
    places[1].flags = RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER;
    places[1].size = 16;
    places[1].address = text.address;
    relakit_memory memory = sized<relakit_memory>();
    memory.sections = places.data();
    memory.count = places.size();
    memory.writer = &writer;
    std::vector<std::uint64_t> values(info.symbol_count);
    ACCEPTS(relakit_module_assign(module, &memory, fresh()));
    ACCEPTS(relakit_module_fill(module, &memory, fresh()));
    ACCEPTS(relakit_module_early(module, &memory, values.data(), values.size(), &resolver, fresh()));
    CHECK(symbols.asked == "printk;");
    CHECK(text.calls == "rrws");
    EQ(load(&text.bytes[4], 8), 0x4002);
    EQ(values[1], 0x4000);
    std::size_t size = 1;
    ACCEPTS(relakit_module_retained_size(module, &size, fresh()));
    EQ(size, 0);
    ACCEPTS(relakit_module_retain(module, &memory, values.data(), values.size(), nullptr, 0, fresh()));
    file.reset();
    std::uint32_t sections = 1;
    ACCEPTS(relakit_module_coming(module, "obj", &memory, &resolver, &sections, fresh()));
    EQ(sections, 0);
    EQ(relakit_module_stage(module), RELAKIT_STAGE_LATE);
}

} // namespace

int main()
{
    level_one();
    level_two();
    level_three();
    return test_end("cxx");
}
