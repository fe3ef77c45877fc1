/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the boot protocol brings: a list of pieces of physical memory. Each is an ar archive, which binutils can make and
 * whose files need no copy. The loader of the protocol is trusted to tell the truth; the archives are not.
 */
#include "kernel.h"

#define MULTIBOOT_HAS_MODULES 0x8
#define PVH_MAGIC 0x336ec578
#define MOST_FILES 96

#define AR_MAGIC "!<arch>\n"
#define AR_MAGIC_SIZE 8

struct multiboot_information {
    uint32_t flags, unused[4], module_count, modules; /* physical addresses, here and below */
};

struct multiboot_module {
    uint32_t begin, end, string, reserved;
};

struct pvh_information {
    uint32_t magic, version, flags, module_count;
    uint64_t modules;
};

struct pvh_module {
    uint64_t begin, size, string, reserved;
};

/* Text and decimal numbers, filled up with spaces. */
struct ar_header {
    char name[16], date[12], owner[6], group[6], mode[8], size[10], end[2];
};

static struct file files[MOST_FILES];
static size_t file_count;

static size_t decimal(const char *digits, size_t most)
{
    size_t value = 0;

    for (size_t i = 0; i < most && digits[i] >= '0' && digits[i] <= '9'; i++)
        value = value * 10 + (size_t)(digits[i] - '0');
    return value;
}

/* A name ends with a slash. One that does not fit is "/" and where it is in the archive's table of long names. */
static void set_name(struct file *file, const struct ar_header *header, const char *long_names, size_t long_size)
{
    const char *name = header->name;
    size_t most = sizeof header->name, length = 0;

    if (name[0] == '/') {
        size_t at = decimal(name + 1, most - 1);
        if (at >= long_size)
            panic("archive: a long name is outside their table");
        name = long_names + at;
        most = long_size - at;
    }
    while (length < most && name[length] != '/')
        length++;
    if (length == most || length >= sizeof file->name)
        panic("archive: a name has no end, or is too long");
    memcpy(file->name, name, length);
    file->name[length] = 0;
}

static void open_archive(const unsigned char *bytes, size_t size)
{
    const char *long_names = NULL;
    size_t long_size = 0, at = AR_MAGIC_SIZE;

    if (size < AR_MAGIC_SIZE || memcmp(bytes, AR_MAGIC, AR_MAGIC_SIZE) != 0)
        panic("archive: it is none");
    while (at < size) {
        struct ar_header header;
        size_t content;

        if (size - at < sizeof header)
            panic("archive: cut off in a header");
        memcpy(&header, bytes + at, sizeof header);
        at += sizeof header;
        content = decimal(header.size, sizeof header.size);
        if (header.end[0] != '`' || content > size - at)
            panic("archive: cut off in a file");
        if (header.name[0] == '/' && header.name[1] == '/') {
            long_names = (const char *)bytes + at;
            long_size = content;
        } else {
            if (file_count == MOST_FILES)
                panic("archive: too many files");
            set_name(&files[file_count], &header, long_names, long_size);
            files[file_count].bytes = bytes + at;
            files[file_count++].size = content;
        }
        at += content + (content & 1);
    }
}

void boot_open(uint32_t protocol, uint32_t information)
{
    uint32_t count = 0;

    if (protocol == PROTOCOL_MULTIBOOT) {
        const struct multiboot_information *multiboot = direct(information);
        const struct multiboot_module *modules = direct(multiboot->modules);
        count = multiboot->flags & MULTIBOOT_HAS_MODULES ? multiboot->module_count : 0;
        for (uint32_t i = 0; i < count; i++)
            open_archive(direct(modules[i].begin), modules[i].end - modules[i].begin);
    } else {
        const struct pvh_information *pvh = direct(information);
        const struct pvh_module *modules = direct(pvh->modules);
        if (pvh->magic != PVH_MAGIC)
            panic("the boot information is not PVH's");
        count = pvh->module_count;
        for (uint32_t i = 0; i < count; i++)
            open_archive(direct(modules[i].begin), modules[i].size);
    }
    print("boot: %s, archives: %d, files: %d\n", protocol == PROTOCOL_MULTIBOOT ? "multiboot" : "PVH", (int)count,
          (int)file_count);
}

const struct file *boot_file(size_t index)
{
    return index < file_count ? &files[index] : NULL;
}

const struct file *boot_file_named(const char *name)
{
    for (size_t i = 0; i < file_count; i++)
        if (is_name(files[i].name, name, strlen(name)))
            return &files[i];
    print("%s: ", name);
    panic("there is no such file");
}
