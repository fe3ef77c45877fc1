/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A guest as its hypervisor sees it. Each of its bytes has three addresses:
 *
 *   host pointer      where this program reads and writes it; of no interest to relakit
 *   guest-physical    where the guest's processor finds it without paging: what page tables lead to
 *   guest-virtual     where the guest's code runs: the address of a section, and so the P of a relocation
 */
#ifndef GUEST_H
#define GUEST_H

#include <relakit.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE UINT64_C(0x1000)
#define LARGE_PAGE UINT64_C(0x200000)

/* --- memory.c: from one address to the other -------------------------------------------------------------------------- */

struct guest {
    unsigned char *bytes; /* host pointer to the byte at `base` */
    uint64_t base;        /* guest-physical */
    uint64_t size;
    uint64_t root;        /* guest-physical: the guest's CR3 */
};

/* Why an address cannot be used. Hooks answer with these numbers, and relakit hands them on in error->value. */
enum guest_fault {
    GUEST_NOT_CANONICAL = -1,
    GUEST_NOT_PRESENT = -2,
    GUEST_BAD_ENTRY = -3, /* a page table entry with a reserved bit */
    GUEST_OUTSIDE = -4,   /* a table or a page that is not in the guest's memory */
    GUEST_READ_ONLY = -5,
    GUEST_TOO_LONG = -6,  /* more than a page at once */
    GUEST_FLUSH = -7      /* what was written could not be made visible */
};

struct guest_page {
    uint64_t physical; /* of the byte that was asked for */
    uint64_t left;     /* bytes from there to the end of the page, which has 4 KiB, 2 MiB or 1 GiB */
    int writable;
};

/* Bytes that lie in one page. */
struct guest_piece {
    unsigned char *bytes;
    uint64_t physical;
    size_t size;
};

enum guest_access { GUEST_READ, GUEST_WRITE, GUEST_OVERRIDE /* write, also where the guest may not */ };

/* All of these answer 0 or a guest_fault, and believe nothing that the guest's tables say. */
int guest_walk(const struct guest *guest, uint64_t address, struct guest_page *page);
/* Up to a page of bytes: they lie in one page, or in two that may be anywhere. Of one piece the other has size 0. */
int guest_pieces(const struct guest *guest, uint64_t address, size_t size, enum guest_access access,
                 struct guest_piece pieces[2]);
int guest_read(const struct guest *guest, uint64_t address, void *bytes, size_t size);

/* --- tables.c: the guest's page tables, which a real guest makes for itself ------------------------------------------- */

#define ENTRY_PRESENT UINT64_C(1)
#define ENTRY_WRITABLE UINT64_C(2)
#define ENTRY_LARGE UINT64_C(0x80)
#define ENTRY_NO_EXECUTE (UINT64_C(1) << 63)
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)

/* Guest-physical: 1 MiB of small pages, and one large page. It begins nowhere near 0. */
#define IMAGE_BASE UINT64_C(0x1100000)
#define IMAGE_SIZE UINT64_C(0x300000)

/* Guest-virtual: like Linux, everything is in the highest 2 GiB. */
#define KERNEL_TEXT UINT64_C(0xffffffff80000000) /* may be executed, and not written */
#define KERNEL_DATA UINT64_C(0xffffffff80100000) /* the other way round */
#define STACK UINT64_C(0xffffffff80180000)
#define MODULE_TEXT UINT64_C(0xffffffffc01c0000)
#define MODULE_DATA UINT64_C(0xffffffffc01e0000) /* up to the large page */
#define MODULE_LARGE UINT64_C(0xffffffffc0200000) /* one page of 2 MiB that may be written and executed */
#define KERNEL_PAGES UINT64_C(8)
#define STACK_PAGES UINT64_C(2)
#define MODULE_PAGES UINT64_C(32)

/* Makes a guest in memory of IMAGE_SIZE bytes: its page tables, and pages that hold 0xcc. */
void guest_make(struct guest *guest, void *bytes);
/* The entry for an address in the table whose entries stand for 1 << shift bytes: 39, 30, 21 or 12. It must exist. */
unsigned char *guest_entry(const struct guest *guest, uint64_t address, unsigned shift);
uint64_t entry_load(const unsigned char *entry);
void entry_store(unsigned char *entry, uint64_t value);

/* --- writer.c: the hooks ---------------------------------------------------------------------------------------------- */

#define MOST_FRAMES 64

/* Told which frames (guest-physical, 4 KiB each) have changed; frames is NULL when there were too many to list. */
typedef int32_t guest_flush(void *ctx, const uint64_t *frames, size_t count);

struct guest_writer {
    struct guest *guest;
    uint64_t open, open_size; /* read-only in the guest's tables, but the hypervisor has decided to write it */
    guest_flush *flush;
    void *flush_ctx;
    uint64_t frames[MOST_FRAMES]; /* written, and not yet told to flush */
    size_t frame_count;           /* more than MOST_FRAMES: too many */
};

/* hooks->ctx is the guest_writer. */
struct relakit_writer guest_hooks(struct guest_writer *writer);

/* --- module.c: modules in the guest ----------------------------------------------------------------------------------- */

#define MOST_SECTIONS 48
#define MOST_SYMBOLS 96

/* Where sections are put: text and data, each from `next` up to `end`. */
struct guest_space {
    uint64_t next[2], end[2];
};

/* Room for modules: in small pages, and in the large one. */
#define SMALL_PAGES { { MODULE_TEXT, MODULE_DATA }, \
                      { MODULE_TEXT + MODULE_PAGES * PAGE, MODULE_DATA + MODULE_PAGES * PAGE } }
#define IN_LARGE_PAGE { { MODULE_LARGE, MODULE_LARGE + LARGE_PAGE / 2 }, \
                        { MODULE_LARGE + LARGE_PAGE / 2, MODULE_LARGE + LARGE_PAGE } }
#define FOR_KERNEL { { KERNEL_TEXT, KERNEL_DATA }, \
                     { KERNEL_TEXT + KERNEL_PAGES * PAGE, KERNEL_DATA + KERNEL_PAGES * PAGE } }

struct module_symbol {
    const char *name; /* in the file */
    uint64_t address; /* guest-virtual */
    int exported, is_function;
};

/* It must stay where it is: relakit knows a module by the address of its state. */
struct guest_module {
    uint64_t state[RELAKIT_MODULE_SIZE / sizeof(uint64_t)];
    uint64_t kept[512];
    struct relakit_module *relakit;
    const char *name;
    struct relakit_section_memory places[MOST_SECTIONS];
    uint64_t plan[MOST_SYMBOLS / 32];
    struct relakit_memory memory; /* leads to the places; the same for every call */
    struct module_symbol symbols[MOST_SYMBOLS];
    size_t symbol_count;
};

/* The guest has a kernel, at most one module that can be patched, and one more, whose symbols are not looked up. */
struct guest_names {
    const struct guest_module *kernel, *target, *other;
};

struct relakit_resolver guest_resolver(struct guest_names *names);
/* Reads the file, gives the sections their places, and writes their content there through the hooks. */
relakit_status guest_module_place(struct guest_module *module, const char *name, const void *file, size_t size,
                                  struct guest_space *space, const struct relakit_writer *hooks,
                                  struct relakit_error *error);
/* Applies what comes early, and keeps what comes late; the file's names are still used. */
relakit_status guest_module_early(struct guest_module *module, const struct relakit_resolver *resolver,
                                  struct relakit_error *error);
relakit_status guest_module_keep(struct guest_module *module, struct relakit_error *error);
/* The address of the only symbol of that name that is not an undefined one; 0 when there is none. */
uint64_t guest_module_symbol(const struct guest_module *module, const char *name);
/* The symbol of the kernel or a module that has this address; NULL if there is none. */
const struct module_symbol *guest_symbol_at(const struct guest_names *names, uint64_t address);

/* --- verify.c: is what the guest runs what was loaded? ---------------------------------------------------------------- */

/* The kernel version decides which code the guest's kernel may rewrite, and in which forms. */
#define GUEST_KERNEL RELAKIT_LINUX(6, 12)
#define MOST_SITES 16

/* What the memory of a module should hold: the module, loaded once more into memory of ours. It must stay where it is. */
struct guest_expected {
    uint64_t state[RELAKIT_MODULE_SIZE / sizeof(uint64_t)];
    struct relakit_module *relakit;
    uint64_t plan[MOST_SYMBOLS / 32];
    struct relakit_section_memory places[MOST_SECTIONS]; /* our bytes, and the addresses of the guest */
    struct relakit_memory memory;
    uint64_t values[MOST_SYMBOLS], scratch[3 * MOST_SECTIONS];
    struct relakit_patch_site sites[MOST_SITES];
    size_t site_count;
    unsigned char bytes[0x8000];
};

/* Whose memory is read, and who is told. */
struct guest_watch {
    const struct guest *guest;
    struct guest_names *names;
    void (*report)(void *ctx, const struct relakit_difference *difference);
    void *ctx;
};

/*
 * Loads the module again. For each patched object (only the target can be one), the livepatch relocations are applied here if
 * they are applied in the guest. It is good for one guest_verify; and for any number of guest_may_write before.
 */
relakit_status guest_expect(struct guest_expected *expected, const struct guest_module *module, const void *file, size_t size,
                            const struct guest_watch *watch, struct relakit_error *error);
/* Reports each difference. The guest's processors are paused. */
relakit_status guest_verify(struct guest_expected *expected, const struct guest_watch *watch,
                            struct relakit_verified *verified, struct relakit_error *error);
/* Called for a write to the module's code that was trapped: may the guest's kernel make it? */
relakit_status guest_may_write(struct guest_expected *expected, const struct guest_watch *watch, uint64_t address,
                               const void *bytes, size_t size, uint32_t *may, struct relakit_error *error);

#endif
