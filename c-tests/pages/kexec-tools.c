/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/loaders/kexec-tools.md, with stand-ins for kexec-tools' types. */
#include "table.h"

struct mem_shdr {
    const unsigned char *sh_data;
    uint64_t sh_size, sh_addr;
    uint32_t sh_info;
};
struct mem_ehdr {
    struct mem_shdr *e_shdr;
};
static int died;
#define die(...) (died++, print(__VA_ARGS__))
#include "kexec-tools-page.h"

int main(void)
{
    /* The bytes are here, and will be at 0x100000. */
    static const uint64_t values[SYMBOLS] = { 0, 0x101000, 0x102000, 0 };
    struct mem_shdr headers[2] = {
        { text_bytes, TEXT_SIZE, 0x100000, 0 }, { (const unsigned char *)table, sizeof table, 0, 0 },
    };
    struct mem_ehdr file = { headers };

    fresh_table();
    relocate(&file, &headers[1], values, SYMBOLS);
    EQ(died, 0);
    EQ(load(text_bytes + 4, 4), 0x1000 - 4 - 4);
    EQ(load(text_bytes + 16, 8), 0x102001);
    fresh_table();
    table[1].r_offset = TEXT_SIZE - 7;
    relocate(&file, &headers[1], values, SYMBOLS);
    EQ(died, 1);
    is_untouched();
    return test_end("kexec-tools");
}
