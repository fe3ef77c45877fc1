/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * relakit relocates x86-64 ELF modules. It checks every relocation, and applies all or none.
 *
 * There are three levels. You can use each level without the others:
 *   1. one relocation table: relakit_apply, relakit_clear, relakit_dry_run;
 *   2. a module that a loader like Linux's has copied to memory: relakit_apply_relocate_add,
 *      relakit_klp_apply and their inverses;
 *   3. the file of a module: relakit_module_init and the functions after it.
 * relakit_find_sorted and relakit_index_find look up names in a caller-provided table. The end of
 * the header describes the statuses, and groups of errors that several functions can return.
 *
 * Words:
 *   pass            one call that applies, clears or checks (relakit_dry_run) relocations
 *   field           the bytes that one relocation changes
 *   target          the memory or the section whose fields a relocation table changes
 *   patched object  "vmlinux" or a module: the code that a livepatch section refers to
 *   early           applied when the module itself is loaded: ordinary relocations, and livepatch
 *                   sections for vmlinux
 *   late            applied when another module is loaded: livepatch sections for that module
 *   index           the number of a section, a symbol or an entry in its table, counted from 0
 *   special section a section that Linux recognises by its name and reads itself
 *   sympos          N selects the N-th symbol of a name, from 1. In a file, 0: the name is unique
 * Names in `backticks` are arguments of the function or members of the struct.
 *
 * Rules for all functions:
 * - Result: RELAKIT_OK (0), RELAKIT_NOT_FOUND (1) where listed, or a negative RELAKIT_ERR_ number.
 *   The descriptions of the functions do not repeat the argument, option and module errors.
 * - If a call fails, it has changed nothing and has written only struct relakit_error. Exceptions:
 *   RELAKIT_ERR_NOT_UNDONE; buffers that the call overwrites according to its description;
 *   sections that relakit_module_fill has filled before the error.
 * - `options` and `error` may be NULL. Another pointer may be NULL only if its description says so,
 *   or if its length is 0. relakit passes `ctx` to the callbacks, and it may have any value.
 * - If a description names an error for a condition, the function checks the condition. The caller
 *   must ensure everything else that a description requires.
 * - The caller must ensure that a pointer that is not NULL is valid for the stated length, or for
 *   one struct, during the call, and that no other code writes there during the call.
 * - relakit uses a pointer only during the call, unless its description says "retained".
 * - Callbacks must return (no longjmp, no exception). Except for what their arguments point to,
 *   they must not access buffers of the call that they serve. A writer accesses only the target. A
 *   callback may call every function of relakit, except with its own module (RELAKIT_ERR_BUSY).
 * - Thread safety: all functions are reentrant. They have no globals, do not allocate, lock or
 *   print. Threads may work on different modules and targets at the same time.
 * - Set structs that begin with struct_size to 0 before you fill them in, because later versions
 *   add members: struct relakit_options options = { .struct_size = sizeof options };
 * - Lengths are in bytes, counts in items. Modules are little-endian, 64-bit and for x86-64.
 */

#ifndef RELAKIT_H
#define RELAKIT_H

/*
 * Language: C90 or later, C++11 or later. A freestanding compiler is enough.
 * Types: the header needs int32_t, int64_t, uint32_t, uint64_t and size_t, and nothing else. They
 * come from <linux/types.h> if __KERNEL__ is defined, and otherwise from <stddef.h> and <stdint.h>.
 * RELAKIT_TYPES_H is the name of another header that declares these types, for example with this
 * argument of the compiler: -DRELAKIT_TYPES_H='"xen/types.h"'
 */
#if defined(RELAKIT_TYPES_H)
#include RELAKIT_TYPES_H
#elif defined(__KERNEL__)
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

/*
 * RELAKIT_CALL is the calling convention of the functions and callbacks: System V, also in a
 * program that GCC or Clang compiles for another one (-mabi=ms). Such a program defines a callback
 * like this, and the compiler reports an incompatible pointer if RELAKIT_CALL is missing:
 *   static int32_t RELAKIT_CALL sync(void *ctx) { ... }
 * Where System V is the default, a callback may omit it. Compilers that write COFF (Windows, UEFI)
 * link only a library of Microsoft's convention, so with them RELAKIT_CALL is that convention.
 * RELAKIT_MS_ABI selects it for other compilers. A program can also define RELAKIT_CALL itself.
 */
#if defined(RELAKIT_CALL)
/* Defined by the program. */
#elif !defined(__x86_64__) || !(defined(__GNUC__) || defined(__clang__))
#define RELAKIT_CALL
#elif defined(RELAKIT_MS_ABI) || defined(_WIN32) || defined(__CYGWIN__)
#define RELAKIT_CALL __attribute__((ms_abi))
#else
#define RELAKIT_CALL __attribute__((sysv_abi))
#endif

/** Profile of a Linux version from 5.8 on, for struct relakit_options: RELAKIT_LINUX(6, 12). */
#define RELAKIT_LINUX(major, minor) (((uint32_t)(major) << 16) | (uint32_t)(minor))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Versions of the header and of the library ----------------------------------------------- */

/** ABI version. A program and a library of the same number work together, even if one is newer. */
#define RELAKIT_ABI (1U)
/** Version of this header: major << 16 | minor << 8 | patch. */
#define RELAKIT_VERSION_NUM (0x000100U)

/** Returns the RELAKIT_ABI of the library. Compare it with the RELAKIT_ABI of this header. */
uint32_t RELAKIT_CALL relakit_abi(void);

/** Returns the version of the library, such as "0.1.0". The text is constant. */
const char *RELAKIT_CALL relakit_version(void);

/* ---- Level 1: options, errors, symbol values and memory, also for the other levels ----------- */

/** RELAKIT_OK, RELAKIT_NOT_FOUND or a RELAKIT_ERR_ number. A number is never reused. */
typedef int32_t relakit_status;

/** relakit_options.flags: RELAKIT_OPT_ flags. */
typedef uint32_t relakit_option_flags;
/** Writes the low 32 bits of a PC32 or PLT32 value that does not fit its field, as Linux does.
 * Without this flag such a value is an error, as the psABI requires. */
#define RELAKIT_OPT_TRUNCATE_PC32 (1U)
/** Accepts fields that are not zero before their relocation, for loaders that reuse memory. Without
 * this flag or RELAKIT_OPT_ADD_TO_FIELD they are an error, as in Linux. A pass through a writer
 * then has no rollback: if the writer fails after the first write, the function returns
 * RELAKIT_ERR_NOT_UNDONE. In plain memory a pass still applies all entries or changes nothing. */
#define RELAKIT_OPT_ALLOW_NONZERO (2U)
/** Adds the value to the content of the field, for formats that store a part of the addend there.
 * The content has the size of the field, and is sign-extended except for the types 64, PC64 and
 * 32. The sum must fit; error->value is the sum. Rollback and relakit_clear subtract the value,
 * which restores the old content. If other code has changed a field since, clearing notices it
 * only if the difference does not fit (RELAKIT_ERR_OVERFLOW). RELAKIT_OPT_REPORT_NONZERO_FIRST has
 * no effect, and RELAKIT_OPT_ALLOW_NONZERO must not be set. */
#define RELAKIT_OPT_ADD_TO_FIELD (32U)
/** Checks that the field is zero before it checks that the value fits. The order decides which
 * error is returned if both fail. Profiles before RELAKIT_LINUX(6, 3) always use this order. */
#define RELAKIT_OPT_REPORT_NONZERO_FIRST (4U)
/** Also accepts the types 8, 16, PC8 and PC16. Linux does not support them. */
#define RELAKIT_OPT_EXTRA_TYPES (8U)
/** In a symbol table, accepts st_value 0 for a symbol that is SHN_LIVEPATCH, or SHN_UNDEF and not
 * weak. Without this flag it is RELAKIT_ERR_SYMBOL_UNRESOLVED, because 0 usually means that the
 * table is not resolved yet. A loader that is part of Linux should set this flag: the value of the
 * per-CPU symbol fixed_percpu_data, which kvm-intel.ko uses, is 0. */
#define RELAKIT_OPT_ALLOW_ZERO_SYMBOLS (16U)

/** relakit_options.profile: one of these numbers, or RELAKIT_LINUX(major, minor). */
typedef uint32_t relakit_profile;
/** The default profile. It has the strict rules of RELAKIT_PROFILE_ELF. */
#define RELAKIT_PROFILE_DEFAULT (0U)
/** The strict rules: the gABI and the psABI as written. Livepatch sections work as in the newest
 * Linux version that relakit knows. These are errors, although versions of Linux accept them: an
 * e_ident that is not ELF64, little-endian, version 1; a symbol name outside the string table; a
 * relocation section whose target does not exist; a second SHT_SYMTAB_SHNDX section for the symbol
 * table; a PC32 or PLT32 value that does not fit. */
#define RELAKIT_PROFILE_ELF (0x80000001U)
/** As ELF, for Xen's livepatch payloads: the types NONE, 64, PC32 and PLT32; the content of a field
 * is ignored (RELAKIT_OPT_ALLOW_NONZERO); no livepatch sections in the format of Linux. */
#define RELAKIT_PROFILE_XEN (0x80000002U)
/** As ELF, for GRUB's modules: the types 64, PC32, PLT32, PC64, 32 and 32S, but not NONE; the value
 * is added to the field (RELAKIT_OPT_ADD_TO_FIELD); no livepatch sections. */
#define RELAKIT_PROFILE_GRUB (0x80000003U)
/** As ELF, for FreeBSD's kernel objects: the types NONE, 64, PC32, PLT32 and 32S; the content of a
 * field is ignored; PC32 and PLT32 are truncated; no livepatch sections. FreeBSD also truncates
 * 32S; with this profile a value of 32S must fit. */
#define RELAKIT_PROFILE_FREEBSD (0x80000004U)
/** As ELF, for kexec's purgatory: all types of Linux except PC64; the content of a field is
 * ignored; PC32 and PLT32 are truncated; no livepatch sections. */
#define RELAKIT_PROFILE_KEXEC (0x80000005U)

/** Flags and profile of a call. NULL means no flags and RELAKIT_PROFILE_DEFAULT, so the rules are
 * strict. A caller that wants the rules of Linux names the version: RELAKIT_LINUX(6, 12). The
 * functions of level 1, relakit_apply_relocate_add and relakit_clear_relocate_add take every flag.
 * Others take RELAKIT_OPT_TRUNCATE_PC32 only; their other rules come from the profile. */
struct relakit_options {
    uint32_t struct_size;       /**< sizeof(struct relakit_options). */
    relakit_option_flags flags; /**< RELAKIT_OPT_TRUNCATE_PC32 and other flags, or 0. */
    /** A RELAKIT_PROFILE_ number or RELAKIT_LINUX(major, minor), from 5.8 on. A version between two
     * known ones has the rules of the older one. */
    relakit_profile profile;
    uint32_t reserved;          /**< Must be 0. */
};

/** relakit_error.has: RELAKIT_ERROR_HAS_ flags. */
typedef uint32_t relakit_error_has;
/** relakit_error.section is valid. For a relocation it is the section that holds it, not its
 * target. For RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE, RELAKIT_ERR_ADDRESS_WRAPS and
 * RELAKIT_ERR_SECTION_MOVED it is the section whose memory is wrong. Level 1 never sets it. */
#define RELAKIT_ERROR_HAS_SECTION (1U)
/** relakit_error.entry is valid: the index of the relocation in its section, counted from 0. */
#define RELAKIT_ERROR_HAS_ENTRY (2U)
/** relakit_error.symbol is valid: the index of the symbol in the symbol table. */
#define RELAKIT_ERROR_HAS_SYMBOL (4U)
/** relakit_error.r_type is valid: the psABI number of the relocation type. */
#define RELAKIT_ERROR_HAS_TYPE (8U)

/** Describes an error. If a function fails, it writes all members; otherwise it writes none. The
 * size of this struct never changes. */
struct relakit_error {
    relakit_status status; /**< The status that the function returned. */
    int32_t linux_errno;   /**< relakit_linux_errno(status). */
    relakit_error_has has; /**< RELAKIT_ERROR_HAS_ flags of the next four members. Others are 0. */
    uint32_t section;      /**< See RELAKIT_ERROR_HAS_SECTION. */
    uint32_t symbol;       /**< See RELAKIT_ERROR_HAS_SYMBOL. */
    uint32_t r_type;       /**< See RELAKIT_ERROR_HAS_TYPE. relakit_type_name returns its name. */
    uint64_t entry;        /**< See RELAKIT_ERROR_HAS_ENTRY. */
    /** r_offset or an offset in the file, in bytes. The RELAKIT_ERR_ numbers list the meaning of
     * `offset`, `value` and `limit` in parentheses. relakit_error_field_name returns it. */
    uint64_t offset;
    /** The number that caused the error, or the result of a callback, sign-extended to 64 bits. */
    uint64_t value;
    uint64_t limit;        /**< A second number, often the one that `value` was compared with. */
    uint64_t reserved;     /**< 0. */
};

/** Symbol values by symbol index. Set one of `values`, `symtab` and `value`, and leave the other
 * two NULL. If `count` is 0, all three may be NULL. */
struct relakit_symbols {
    /** An array with one value for each symbol, aligned to 8 bytes. This is the faster form. */
    const uint64_t *values;
    /** An array of Elf64_Sym whose st_value members are the resolved values. It needs no alignment.
     * The symbol table of a file is not resolved: its st_value members are offsets in sections, or
     * 0. relakit detects 0, see RELAKIT_OPT_ALLOW_ZERO_SYMBOLS, but not an offset in a section. */
    const void *symtab;
    size_t count; /**< Number of symbols, including the null symbol. */
    /** Callback for the value of one symbol, slower than an array. relakit calls it once or more
     * for each relocation. `symbol` is less than `count`. The callback returns one of these
     * numbers:
     * RELAKIT_OK (0)         *value is the symbol's value;
     * RELAKIT_SKIP (2)       relocations with this symbol are skipped: neither checked nor written;
     * RELAKIT_NOT_FOUND (1)  the call fails with RELAKIT_ERR_UNKNOWN_SYMBOL;
     * any other number       the call fails with RELAKIT_ERR_RESOLVER; error->value is the number.
     * The result for a symbol must not change during one call of relakit. After an error, relakit
     * calls it again for the rollback if relocations were skipped, with RELAKIT_OPT_ADD_TO_FIELD,
     * and in relakit_clear. If it then fails, the call returns RELAKIT_ERR_NOT_UNDONE. If it then
     * gives another result, fields of the table can have a wrong content. */
    int32_t (RELAKIT_CALL *value)(void *ctx, uint32_t symbol, uint64_t *value);
    void *ctx;    /**< First argument of `value`. */
};

/** relakit_writer.flags: RELAKIT_WRITER_ flags. No other family of flags has these numbers. */
typedef uint32_t relakit_writer_flags;
/** Addresses belong to another address space, such as a guest. Without this flag relakit refuses a
 * section whose addresses overlap memory that the call uses. */
#define RELAKIT_WRITER_FOREIGN (0x100U)

/** Callbacks for memory that relakit cannot write directly: kernel text, a guest, a bounce buffer.
 *
 * A pass over one section has these steps:
 * - It calls `read` for every field and checks it. If a field cannot be relocated, the pass ends.
 *   If fields overlap or do not ascend, clearing omits this step.
 * - It writes the fields in the order of the table, or in the reverse order if it clears them. For
 *   each field it calls `read` once more, then `write` once.
 * - It calls `sync` once. A call with several sections checks and writes them one after the other,
 *   and calls `sync` once after the last. With RELAKIT_OPT_ALLOW_NONZERO it checks all sections
 *   before it writes the first.
 * - Rollback: if a step fails after the first write, relakit restores the fields with `write`, in
 *   the reverse order, and calls `sync`. With RELAKIT_OPT_ALLOW_NONZERO there is no rollback.
 *
 * `address` is the run-time address of the field, `offset` its offset in the section, `size` its
 * size: 1, 2, 4 or 8 bytes. A callback returns 0 for success. Any other number makes the call fail
 * with RELAKIT_ERR_WRITER (`read`, `write`) or RELAKIT_ERR_SYNC (`sync`). If `write` fails, it
 * must not have written anything. */
struct relakit_writer {
    uint32_t struct_size;       /**< sizeof(struct relakit_writer). */
    relakit_writer_flags flags; /**< RELAKIT_WRITER_FOREIGN, or 0. */
    void *ctx;                  /**< First argument of each callback. */
    /** Reads `size` bytes into `bytes`. Must not be NULL. */
    int32_t (RELAKIT_CALL *read)(void *ctx, uint64_t address, uint64_t offset, void *bytes,
        size_t size);
    /** Writes `size` bytes, or fails and changes nothing. Must not be NULL, even for
     * relakit_dry_run, which never calls it. */
    int32_t (RELAKIT_CALL *write)(void *ctx, uint64_t address, uint64_t offset, const void *bytes,
        size_t size);
    /** Makes the written bytes visible to the code that uses them. May be NULL. relakit can also
     * call it if nothing was written. After a rollback, relakit ignores its result. */
    int32_t (RELAKIT_CALL *sync)(void *ctx);
};

/** The memory that is relocated. `bytes` is where relakit accesses it, `address` is where it runs.
 * They differ in a bootloader, hypervisor or test. P of a relocation is `address` + r_offset. */
struct relakit_target {
    /** The memory. It must be NULL with a writer, and may be NULL if `size` is 0. */
    void *bytes;
    uint64_t size;                       /**< Size in bytes. */
    uint64_t address;                    /**< Run-time address of the first byte. */
    const struct relakit_writer *writer; /**< NULL for plain memory. */
};

/* ---- Level 1: one relocation table and one target. The loader does everything else ----------- */

/** Applies every relocation of one table to one target, or changes nothing.
 *
 * - `rela` is the table, an array of Elf64_Rela with `rela_size` bytes. It needs no alignment.
 * - If `target` overlaps the table or the symbol values, the function returns RELAKIT_ERR_OVERLAP.
 *   With a writer this check uses target->address, unless RELAKIT_WRITER_FOREIGN is set.
 *
 * In plain memory the function checks and writes the entries one after the other. If an entry
 * fails, it restores the fields written so far. With a writer or with RELAKIT_OPT_ALLOW_NONZERO it
 * checks all entries before the first write. The time is linear in `rela_size`.
 *
 * Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_PARTIAL_ENTRY, RELAKIT_ERR_TARGET_NOT_ZERO,
 * RELAKIT_ERR_SYMBOL_UNRESOLVED (symbols->symtab), RELAKIT_ERR_UNKNOWN_SYMBOL or
 * RELAKIT_ERR_RESOLVER (symbols->value). */
relakit_status RELAKIT_CALL relakit_apply(const void *rela, size_t rela_size,
    const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, struct relakit_error *error);

/** Sets every field of one relocation table back to zero, or changes nothing. With
 * RELAKIT_OPT_ADD_TO_FIELD it subtracts the value from the field instead, and cannot check the
 * field.
 *
 * The function checks that each field still holds the value that relakit_apply wrote. The
 * arguments are those of relakit_apply; the caller must pass the same symbol values, address and
 * options. Entries are cleared from the last to the first.
 *
 * Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_TARGET_MISMATCH, RELAKIT_ERR_PARTIAL_ENTRY,
 * RELAKIT_ERR_UNKNOWN_SYMBOL or RELAKIT_ERR_RESOLVER (symbols->value). */
relakit_status RELAKIT_CALL relakit_clear(const void *rela, size_t rela_size,
    const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, struct relakit_error *error);

/** Checks whether relakit_apply would succeed, and writes nothing.
 *
 * The arguments are those of relakit_apply; target->bytes may be read-only memory. The function
 * calls only the `read` callback of a writer. The fields must be in ascending order, as linkers
 * write them. With RELAKIT_OPT_ALLOW_NONZERO the function accepts any order.
 *
 * Returns RELAKIT_OK, an error as in relakit_apply, or RELAKIT_ERR_FIELDS_NOT_ASCENDING. */
relakit_status RELAKIT_CALL relakit_dry_run(const void *rela, size_t rela_size,
    const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, struct relakit_error *error);

/** Applies one relocation without a table, or changes nothing. The checks are those of
 * relakit_apply.
 *
 * - `r_type` is the psABI number of the type.
 * - `symbol_value`, `addend` and `address` are S, A and P: the value of the symbol, the addend,
 *   and the run-time address of the field.
 * - `field` is the memory of the field. `size` is the number of bytes that may be written there.
 *   It may be more than the size of the field.
 *
 * Returns RELAKIT_OK, or one of these errors, without `entry` and `symbol`:
 * RELAKIT_ERR_UNKNOWN_TYPE, RELAKIT_ERR_OVERFLOW, RELAKIT_ERR_OFFSET_OUTSIDE,
 * RELAKIT_ERR_TARGET_NOT_ZERO, RELAKIT_ERR_ADDRESS_WRAPS. */
relakit_status RELAKIT_CALL relakit_relocate(uint32_t r_type, uint64_t symbol_value, int64_t addend,
    uint64_t address, void *field, size_t size, const struct relakit_options *options,
    struct relakit_error *error);

/* ---- Level 1 in little code, for a program that has not relocated itself yet ----------------- */

/** Applies every relocation of one table to one target, or changes nothing. This is a small form of
 * relakit_apply without options, writer and struct relakit_error, for code that runs early: it has
 * no data, and it calls nothing, so that a program can call it before it has relocated itself.
 *
 * - `rela` is the table, an array of Elf64_Rela with `rela_size` bytes. It needs no alignment.
 * - `values` has `count` symbol values by symbol index, aligned to 8 bytes.
 * - `bytes` is the memory that is relocated, with `size` bytes. It must not overlap the table or
 *   the values. `address` is the run-time address of its first byte.
 * - `entry` may be NULL. If an entry fails, the function stores its index there. Otherwise it
 *   stores nothing.
 *
 * The rules are those of RELAKIT_PROFILE_ELF. The function checks and writes the entries one after
 * the other. If an entry fails, it sets the fields written so far to zero. The time is linear in
 * `rela_size`.
 *
 * Returns RELAKIT_OK, or the error of relakit_apply with the same arguments, except that `values`
 * NULL with a `count` that is not 0 is RELAKIT_ERR_NULL. If *entry has failed:
 * RELAKIT_ERR_SYMBOL_INDEX, RELAKIT_ERR_UNKNOWN_TYPE, RELAKIT_ERR_OVERFLOW,
 * RELAKIT_ERR_OFFSET_OUTSIDE, RELAKIT_ERR_TARGET_NOT_ZERO. Otherwise: RELAKIT_ERR_PARTIAL_ENTRY,
 * RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_NULL, RELAKIT_ERR_LENGTH, RELAKIT_ERR_ALIGNMENT,
 * RELAKIT_ERR_OVERLAP. */
relakit_status RELAKIT_CALL relakit_apply_small(const void *rela, size_t rela_size,
    const uint64_t *values, size_t count, void *bytes, size_t size, uint64_t address,
    size_t *entry);

/* ---- Level 1 with a global offset table ------------------------------------------------------ */

/** relakit_got.flags: RELAKIT_GOT_ flags. No other family of flags has these numbers. */
typedef uint32_t relakit_got_flags;
/** The GOT also has a stub for each slot: code that jumps to the address in the slot. A call
 * whose value does not fit its field then leads to the stub. The GOT must be executable. */
#define RELAKIT_GOT_STUBS (0x10000U)
/** Each stub begins with endbr64, so that an indirect branch may lead to it. */
#define RELAKIT_GOT_ENDBR (0x20000U)
/** The target of this call is executable code. With RELAKIT_GOT_STUBS, a field of the type PC32
 * after the opcode of a branch can lead to a stub, too. Assemblers before 2018 use PC32 for
 * branches. Only a branch to the symbol itself leads to the stub: its addend is -4. */
#define RELAKIT_GOT_IN_CODE (0x40000U)

/** A global offset table (GOT): memory with a slot of 8 bytes for each symbol whose address code
 * loads from memory, as compilers do by default. The plan says which symbols have a slot. */
struct relakit_got {
    uint32_t struct_size; /**< sizeof(struct relakit_got). */
    /** RELAKIT_GOT_ flags, or 0. RELAKIT_GOT_STUBS and RELAKIT_GOT_ENDBR must be the same in every
     * call for a GOT. */
    relakit_got_flags flags;
    /** The plan: an array of `count` words, aligned to 8 bytes. relakit_got_size fills it. */
    uint64_t *plan;
    size_t count;         /**< Number of words: relakit_got_words(number of symbols). */
    /** Run-time address of the GOT, a multiple of 8; with RELAKIT_GOT_STUBS, a multiple of 16. */
    uint64_t address;
};

/** Returns the number of 64-bit words in the plan of a GOT for `symbols` symbols: one for 32. */
uint32_t RELAKIT_CALL relakit_got_words(uint32_t symbols);

/** Adds what one relocation table needs to the plan of a GOT, and returns the size of the GOT for
 * all tables so far.
 *
 * The caller sets the words of got->plan to 0, calls the function for every table of the module,
 * and allocates the GOT. The function does not use got->address. With RELAKIT_GOT_STUBS, the
 * symbols of relocations of the type PLT32 have a stub.
 *
 * `rela` is an array of Elf64_Rela with `rela_size` bytes. *size is 0 if no GOT is needed.
 * Returns RELAKIT_OK, or RELAKIT_ERR_PARTIAL_ENTRY, RELAKIT_ERR_OVERLAP. */
relakit_status RELAKIT_CALL relakit_got_size(const struct relakit_got *got, const void *rela,
    size_t rela_size, uint64_t *size, struct relakit_error *error);

/** Writes the symbol values to the slots of a GOT, and the stubs, or changes nothing.
 *
 * `target` is the memory of the GOT, with its run-time address. Its size is that of
 * relakit_got_size, and its content must be 0. got->address is not used. `symbols` must not use
 * the callback `value`.
 * Returns RELAKIT_OK, an error as in relakit_apply, or RELAKIT_ERR_ASSIGNED_SIZE,
 * RELAKIT_ERR_ADDRESS_MISALIGNED. */
relakit_status RELAKIT_CALL relakit_got_fill(const struct relakit_got *got,
    const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, struct relakit_error *error);

/** Does what relakit_apply does, and also applies the types that refer to a GOT: GOTPCREL,
 * GOTPCRELX, REX_GOTPCRELX and its forms for APX, GOTPCREL64, GOT64, GOTPC32, GOTPC64, GOTOFF64,
 * PLTOFF64. The GOT may be filled before or after. Returns RELAKIT_OK, an error as in
 * relakit_apply, or RELAKIT_ERR_NO_GOT_SLOT, RELAKIT_ERR_ADDRESS_MISALIGNED (got->address). */
relakit_status RELAKIT_CALL relakit_got_apply(const struct relakit_got *got, const void *rela,
    size_t rela_size, const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, struct relakit_error *error);

/** Does what relakit_clear does, for a table of relakit_got_apply. It does not change the GOT.
 * Returns RELAKIT_OK, an error as in relakit_clear, or one that relakit_got_apply adds. */
relakit_status RELAKIT_CALL relakit_got_clear(const struct relakit_got *got, const void *rela,
    size_t rela_size, const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, struct relakit_error *error);

/* ---- Levels 2 and 3: callbacks that look up symbols ------------------------------------------ */

/** Callbacks that look up symbols which the module does not define. Names have the given length and
 * do not end with NUL. A callback returns one of these numbers:
 * RELAKIT_OK (0)         the symbol exists, and *value is its address;
 * RELAKIT_NOT_FOUND (1)  the symbol does not exist;
 * any other number       the call fails with RELAKIT_ERR_RESOLVER. */
struct relakit_resolver {
    uint32_t struct_size; /**< sizeof(struct relakit_resolver). */
    uint32_t flags;       /**< Must be 0. */
    void *ctx;            /**< First argument of each callback. */
    /** Looks up the exported symbol `name`. relakit calls it once for each undefined symbol whose
     * name has at most 4096 bytes, in the order of the symbol table. NULL: no symbol is exported.
     */
    int32_t (RELAKIT_CALL *exported)(void *ctx, const char *name, size_t name_len, uint64_t *value);
    /** Looks up the N-th symbol of `name` in `object`, counted from 1, where N is `sympos`. sympos
     * comes from the file and can be any number from 1 on. The callback returns RELAKIT_NOT_FOUND
     * if the object has fewer symbols of that name, or is not loaded. If *value is 0, relakit
     * treats the symbol as not found. Count all defined symbols, exported or not: in "vmlinux" in
     * the order of their addresses, in a module in the order of its symbol table.
     *
     * relakit calls it for the livepatch symbols that a section uses, possibly several times for
     * one symbol: once or more before the section is written, while it is written, and in
     * relakit_klp_apply also at the end. If sympos is 0 in the file, relakit calls it with 1 and 2
     * to check that the name is unique. The result must be the same each time during one call of
     * relakit. NULL: no symbol is found. */
    int32_t (RELAKIT_CALL *nth_symbol)(void *ctx, const char *object, size_t object_len,
        const char *name, size_t name_len, uint64_t sympos, uint64_t *value);
};

/* ---- Level 2: the section headers, symbols and names of a module in memory ------------------- */

/** relakit_sechdrs.section_count: the caller does not know the number of headers. Only
 * relakit_apply_relocate_add and relakit_clear_relocate_add take it, see there. */
#define RELAKIT_SECTION_COUNT_UNKNOWN (0xffffffffU)

/** A module that its loader, like Linux, has copied to memory. sh_addr has the addresses. */
struct relakit_sechdrs {
    uint32_t struct_size; /**< sizeof(struct relakit_sechdrs). */
    uint32_t flags;       /**< Must be 0. */
    /** An array of `section_count` Elf64_Shdr. It needs no alignment. If a function reads a
     * section, sh_addr must be where it is in memory. For a target in plain memory, sh_addr
     * must also be its run-time address. For a target with a writer, it is only the run-time
     * address. */
    const void *sechdrs;
    /** Number of section headers, including section 0, or RELAKIT_SECTION_COUNT_UNKNOWN. With 0,
     * every section index is an error. */
    uint32_t section_count;
    /** Section index of the symbol table. sh_addr is the address of sh_size / 24 Elf64_Sym,
     * including the null symbol. */
    uint32_t symindex;
    /** The section names. relakit_klp_apply and relakit_klp_clear read them. */
    const char *shstrtab;
    /** Size of `shstrtab` in bytes. Names end with NUL, so it may be any upper bound of readable
     * memory without the symbol table and targets, for example up to the end of the module's
     * data. */
    size_t shstrtab_size;
    const char *strtab;   /**< The symbol names. relakit_klp_apply reads them. */
    /** Size of `strtab` in bytes, or an upper bound as for `shstrtab_size`. */
    size_t strtab_size;
};

/* ---- Level 2: relocation sections and livepatch sections of a module in memory --------------- */

/** Applies one relocation section, or changes nothing. It replaces apply_relocate_add of Linux and
 * checks all bounds.
 *
 * - `sechdrs` has the section headers and the index of the symbol table, whose st_value members
 *   are the symbol values. `shstrtab` and `strtab` are not used.
 * - `relsec` is the index of the relocation section. Its sh_addr is the address of the
 *   relocations, and its sh_info is the target.
 * - `writer` is NULL for plain memory.
 *
 * If sechdrs->section_count is RELAKIT_SECTION_COUNT_UNKNOWN, the function reads only the headers
 * of `relsec`, of the symbol table and of the target. The caller must then ensure that `relsec`,
 * sechdrs->symindex and, if the type of `relsec` is SHT_RELA, its sh_info are indices of headers.
 * Everything else is checked as with a number. Only the headers up to the last of the three count
 * as memory that a target must not overlap, and their number is error->limit.
 *
 * The caller must resolve the symbols. The function detects st_value 0, see
 * RELAKIT_OPT_ALLOW_ZERO_SYMBOLS, but not an st_value that is still an offset in a section. A
 * livepatch section (SHF_RELA_LIVEPATCH) is applied like every other section; relakit_klp_apply
 * also resolves its symbols.
 *
 * Sections must not overlap each other in memory; the function checks this only as
 * RELAKIT_ERR_TARGET_OVERLAPS says. The time is linear in the size of `relsec`.
 *
 * Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_NO_SUCH_SECTION (`relsec` or symindex),
 * RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_NOT_RELOCATIONS, RELAKIT_ERR_PARTIAL_ENTRY (of `relsec` or
 * of the symbol table), RELAKIT_ERR_TARGET_OUT_OF_RANGE, RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE,
 * RELAKIT_ERR_TARGET_IS_RELOCATIONS, RELAKIT_ERR_TARGET_OVERLAPS, RELAKIT_ERR_NOT_ASSIGNED,
 * RELAKIT_ERR_SYMBOL_UNRESOLVED, RELAKIT_ERR_TARGET_NOT_ZERO. */
relakit_status RELAKIT_CALL relakit_apply_relocate_add(const struct relakit_sechdrs *sechdrs,
    uint32_t relsec, const struct relakit_writer *writer, const struct relakit_options *options,
    struct relakit_error *error);

/** Sets every field of one relocation section back to zero, or changes nothing. With
 * RELAKIT_OPT_ADD_TO_FIELD it subtracts the value from the field instead, and cannot check the
 * field.
 *
 * The function checks that each field still holds the value that relakit_apply_relocate_add wrote.
 * The arguments are those of relakit_apply_relocate_add; the caller must pass the same symbol
 * values and options. Entries are cleared from the last to the first.
 *
 * Returns RELAKIT_OK, an error as in relakit_apply_relocate_add, or
 * RELAKIT_ERR_TARGET_MISMATCH. */
relakit_status RELAKIT_CALL relakit_clear_relocate_add(const struct relakit_sechdrs *sechdrs,
    uint32_t relsec, const struct relakit_writer *writer, const struct relakit_options *options,
    struct relakit_error *error);

/** Resolves the symbols of all livepatch sections of one patched object and applies these sections,
 * or changes nothing. Linux does this section by section in klp_apply_section_relocs.
 *
 * `object` is the name of the patched object, ended by NUL:
 * - "vmlinux": call the function during the load of the livepatch module, together with the
 *   ordinary relocations and before anything reads the special sections. Sections whose target
 *   does not exist or is not SHF_ALLOC are skipped, as in Linux.
 * - the name of a module, at most 55 bytes: call the function when that module is loaded (Linux:
 *   MODULE_STATE_COMING).
 *
 * The sections are processed in the order of their indices: the function resolves the symbols of a
 * section with resolver->nth_symbol, then applies the section. It does not call
 * resolver->exported. `writer` is NULL for plain memory. `section_total` may be NULL.
 *
 * After all sections are applied and writer->sync has returned, the function writes the symbol
 * values into the symbol table, where relakit_klp_clear needs them. *section_total is then the
 * number of livepatch sections for `object`. It is 0 if the module has no section for `object`.
 * Often this means that the name is misspelt.
 *
 * The function needs no memory for the values: it stores at most 8 of them at a time, and looks a
 * symbol up again when it needs another one. It can look up the symbol of a relocation up to three
 * times in plain memory: before the section is written, while it is written, and when the symbol
 * table is written. With a writer it is up to four times, and up to six times with a profile that
 * ignores the content of fields. The resolver must return the same result each time. If it does
 * not, the memory accesses remain inside of the targets and the symbol table, and one of these
 * happens:
 * - The call fails, for example with RELAKIT_ERR_UNKNOWN_SYMBOL for a symbol that the resolver has
 *   found before, and the sections are rolled back (if that is impossible,
 *   RELAKIT_ERR_NOT_UNDONE). If this happens in the last step, some symbols in the symbol table
 *   have their new values already.
 * - The call succeeds, and a field has another value than the symbol table. relakit_klp_clear then
 *   returns RELAKIT_ERR_TARGET_MISMATCH.
 *
 * relakit does not record which objects are applied. If the same object is applied twice, the
 * fields are not zero, and the second call returns RELAKIT_ERR_TARGET_NOT_ZERO. The time is linear
 * in the number of sections and in the sizes of the object's relocation sections. If sections
 * share a table, it counts once for each. Two threads must not call the function for the same
 * symbol table at the same time.
 *
 * Returns RELAKIT_OK, a pass error, a livepatch symbol error, or one of these errors:
 * - of the call: RELAKIT_ERR_NOT_A_MODULE (`object` is empty), RELAKIT_ERR_NO_SUCH_SECTION
 *   (symindex; if section_count is RELAKIT_SECTION_COUNT_UNKNOWN, error->limit is 0);
 * - of a section with SHF_RELA_LIVEPATCH of any object: RELAKIT_ERR_BAD_SECTION_NAME,
 *   RELAKIT_ERR_BAD_KLP_SECTION_NAME;
 * - of a section of `object`: RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_NOT_RELOCATIONS,
 *   RELAKIT_ERR_PARTIAL_ENTRY (also of the symbol table), RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE,
 *   RELAKIT_ERR_TARGET_IS_RELOCATIONS, RELAKIT_ERR_TARGET_OVERLAPS, RELAKIT_ERR_TABLE_OVERLAPS,
 *   RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_TARGET_NOT_ZERO;
 * - of a section of `object`, if that is a module: RELAKIT_ERR_LATE_NOT_ALLOCATED,
 *   RELAKIT_ERR_TARGET_NOT_ALLOCATED, RELAKIT_ERR_TARGET_OUT_OF_RANGE. */
relakit_status RELAKIT_CALL relakit_klp_apply(const struct relakit_sechdrs *sechdrs,
    const char *object, const struct relakit_resolver *resolver,
    const struct relakit_writer *writer, const struct relakit_options *options,
    uint32_t *section_total, struct relakit_error *error);

/** Sets every field of all livepatch sections of one patched object back to zero, or changes
 * nothing. Call it when the object is unloaded (Linux: MODULE_STATE_GOING). Linux clears
 * relocations from RELAKIT_LINUX(6, 3) on; the function does it with every profile.
 *
 * The function checks that each field still holds the value that relakit_klp_apply wrote. The
 * arguments are those of relakit_klp_apply. Sections and entries are cleared from the last to the
 * first.
 *
 * The symbol table must still have the values that relakit_klp_apply wrote there. The table has
 * only one value for each symbol. If the sections of two objects use the same symbol, and applying
 * the second gives this symbol a new value, clearing the first returns
 * RELAKIT_ERR_TARGET_MISMATCH. relakit_module_coming and relakit_module_going use separate symbol
 * values for each section.
 *
 * Returns RELAKIT_OK, an error as in relakit_klp_apply, or RELAKIT_ERR_TARGET_MISMATCH. */
relakit_status RELAKIT_CALL relakit_klp_clear(const struct relakit_sechdrs *sechdrs,
    const char *object, const struct relakit_writer *writer, const struct relakit_options *options,
    uint32_t *section_total, struct relakit_error *error);

/* ---- Level 3: the state of a module, in a caller-provided buffer ----------------------------- */

/** State of a module, in a caller-provided buffer; see relakit_module_init. Members are private. */
struct relakit_module;

/** Stage of a module: a RELAKIT_STAGE_ number. It says which functions are allowed. */
typedef uint32_t relakit_stage;
/** The pointer is NULL, or not a state that relakit_module_init made. */
#define RELAKIT_STAGE_NONE (0U)
/** relakit_module_init has read and checked the file. */
#define RELAKIT_STAGE_PARSED (1U)
/** relakit_module_assign has checked the section memory. */
#define RELAKIT_STAGE_ASSIGNED (2U)
/** The sections have their content. */
#define RELAKIT_STAGE_FILLED (3U)
/** The early relocations are applied. The special sections may be read. */
#define RELAKIT_STAGE_LOADED (4U)
/** The file is no longer needed. Patched objects can be loaded and unloaded. */
#define RELAKIT_STAGE_LATE (5U)
/** A call with this module is in progress: a callback runs. */
#define RELAKIT_STAGE_BUSY (6U)

/** Upper limit of relakit_module_size() in bytes, in every version with this RELAKIT_ABI. Use it
 * for buffers whose size must be known at compile time. */
#define RELAKIT_MODULE_SIZE (512U)
/** Alignment of the state of a module, in bytes. */
#define RELAKIT_MODULE_ALIGN (8U)

/* ---- Level 3: the section memory of a module ------------------------------------------------- */

/** relakit_section_memory.flags: RELAKIT_MEMORY_ flags. */
typedef uint32_t relakit_memory_flags;
/** The section has memory. Without this flag all members must be 0. */
#define RELAKIT_MEMORY_PRESENT (0x1000U)
/** relakit reads and writes the section with relakit_memory.writer. `bytes` must be NULL. */
#define RELAKIT_MEMORY_WRITER (0x2000U)
/** The value of a symbol in this section is `symbols_at` + st_value, instead of `address` +
 * st_value. This is for per-CPU data, whose symbol values are offsets. */
#define RELAKIT_MEMORY_SYMBOLS_AT (0x4000U)

/** The memory of one section. All members are 0 if the section has none. */
struct relakit_section_memory {
    relakit_memory_flags flags; /**< RELAKIT_MEMORY_PRESENT and other flags, or 0. */
    uint32_t reserved;          /**< Must be 0. */
    /** The memory. It must be NULL with RELAKIT_MEMORY_WRITER, and may be NULL if `size` is 0. */
    void *bytes;
    uint64_t size;              /**< Size in bytes. It must be the size of the section. */
    uint64_t address;           /**< Run-time address of the first byte. */
    /** See RELAKIT_MEMORY_SYMBOLS_AT. Without this flag it must be 0. */
    uint64_t symbols_at;
};

/** The memory of a module's sections. The caller must fill sections that use a writer.
 *
 * The caller must pass the same addresses and sizes in every call for a module.
 * relakit_module_coming and relakit_module_going check this for the targets of their relocations;
 * the other functions check only the sizes. A section may be plain memory in one call and use a
 * writer in a later call, for example after its memory was made read-only.
 *
 * If the memory of a section overlaps the file, the state, the retained state, the plan of a GOT,
 * the array or another buffer of the call, the function returns RELAKIT_ERR_OVERLAP. The memory of
 * two sections must not overlap. relakit does not check this, because a check needs quadratic
 * time, or memory to sort the sections. relakit_module_layout avoids overlaps. */
struct relakit_memory {
    uint32_t struct_size; /**< sizeof(struct relakit_memory). */
    uint32_t flags;       /**< Must be 0. */
    /** An array with one element for each section, by section index. */
    const struct relakit_section_memory *sections;
    /** Number of elements. Sections after the last element have no memory. */
    size_t count;
    /** Writer of the sections with RELAKIT_MEMORY_WRITER. May be NULL if there are none. */
    const struct relakit_writer *writer;
};

/* ---- Level 3: a whole module, from its file to the early pass -------------------------------- */

/** In the values of relakit_module_early: the section of this symbol has no memory. A real symbol
 * may have the same value, so check its section too. As an address the number is not canonical. */
#define RELAKIT_UNASSIGNED (((uint64_t)0x5ec71000U << 32) | 0x0U)

/** Returns the number of bytes that relakit_module_init needs for the state of a module. */
size_t RELAKIT_CALL relakit_module_size(void);

/** Returns the alignment of the state of a module, in bytes: RELAKIT_MODULE_ALIGN. */
size_t RELAKIT_CALL relakit_module_align(void);

/** Reads and checks a relocatable ELF file, and makes the state of a module.
 *
 * - `memory` is a buffer for the state: `size` bytes, at least relakit_module_size(), aligned to
 *   RELAKIT_MODULE_ALIGN. It is retained: relakit uses it until the caller stops using the module.
 *   No call is needed to release it.
 * - `file` is the ELF file, `file_size` bytes. It is retained, and must not change until
 *   relakit_module_retain has succeeded or the caller stops using the module.
 *
 * On success *module is `memory`, and the module is in RELAKIT_STAGE_PARSED. Two threads must not
 * use the same module at the same time.
 *
 * Returns RELAKIT_OK, or one of these errors:
 * - with every profile: RELAKIT_ERR_STATE_TOO_SHORT, RELAKIT_ERR_EMPTY_FILE,
 *   RELAKIT_ERR_TRUNCATED, RELAKIT_ERR_NOT_ELF, RELAKIT_ERR_NOT_RELOCATABLE,
 *   RELAKIT_ERR_WRONG_MACHINE, RELAKIT_ERR_BAD_HEADER_SIZE, RELAKIT_ERR_BAD_SECTION_ZERO,
 *   RELAKIT_ERR_TOO_MANY_SECTIONS, RELAKIT_ERR_NO_SECTIONS, RELAKIT_ERR_BAD_NAME_TABLE,
 *   RELAKIT_ERR_BAD_SECTION_NAME, RELAKIT_ERR_MANY_SYMBOL_TABLES, RELAKIT_ERR_BAD_STRING_TABLE,
 *   RELAKIT_ERR_RELOCATIONS_TOO_LARGE;
 * - not with Linux before RELAKIT_LINUX(6, 13): RELAKIT_ERR_BAD_SYMBOL_NAME;
 * - with Linux, Xen and FreeBSD: RELAKIT_ERR_NO_SYMBOL_TABLE;
 * - with Linux: RELAKIT_ERR_SHARED_BYTES, RELAKIT_ERR_NULL_OUTSIDE;
 * - not with Linux: RELAKIT_ERR_BAD_IDENT, RELAKIT_ERR_MANY_SECTION_INDICES.
 *
 * The function refuses a file if its relocation tables together are larger than the file.
 * Therefore the time of each relakit_module_ function, except relakit_module_findings, is at most
 * linear in `file_size`, in `count` and in the size of the memory that it fills. */
relakit_status RELAKIT_CALL relakit_module_init(void *memory, size_t size, const void *file,
    size_t file_size, const struct relakit_options *options, struct relakit_module **module,
    struct relakit_error *error);

/** Returns the stage of a module. If `module` is NULL or not a state, it is RELAKIT_STAGE_NONE. If
 * a callback of a call with this module asks, it is RELAKIT_STAGE_BUSY. */
relakit_stage RELAKIT_CALL relakit_module_stage(const struct relakit_module *module);

/** Checks the memory that the caller provides for the sections. It writes nothing to that memory
 * and retains no pointer.
 *
 * Each section that is relocated early needs memory of its own size. If a section has none, it
 * cannot be the target of a late relocation, and relocations cannot use its symbols.
 *
 * Stages: RELAKIT_STAGE_PARSED, RELAKIT_STAGE_ASSIGNED and RELAKIT_STAGE_FILLED. It becomes
 * RELAKIT_STAGE_ASSIGNED, so after a call in RELAKIT_STAGE_FILLED, fill the sections again.
 * Returns RELAKIT_OK, or RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE,
 * RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_ADDRESS_MISALIGNED (the GOT). */
relakit_status RELAKIT_CALL relakit_module_assign(struct relakit_module *module,
    const struct relakit_memory *memory, struct relakit_error *error);

/** Copies the content of every section with memory from the file. A section without content in the
 * file (SHT_NOBITS, SHT_NULL) is filled with zeros. The function skips sections with
 * RELAKIT_MEMORY_WRITER. The caller must fill them before relakit_module_early.
 *
 * Stages: RELAKIT_STAGE_ASSIGNED and RELAKIT_STAGE_FILLED. It becomes RELAKIT_STAGE_FILLED. If the
 * function fails, the stage is unchanged, but sections before error->section may be filled.
 * Returns RELAKIT_OK or an error as in relakit_module_assign. */
relakit_status RELAKIT_CALL relakit_module_fill(struct relakit_module *module,
    const struct relakit_memory *memory, struct relakit_error *error);

/** Tells relakit that the caller has filled every section with memory itself: with the content from
 * the file, or with zeros if the file has none. The call reads and writes no section.
 *
 * Stages: RELAKIT_STAGE_ASSIGNED and RELAKIT_STAGE_FILLED. It becomes RELAKIT_STAGE_FILLED. */
relakit_status RELAKIT_CALL relakit_module_filled(struct relakit_module *module,
    struct relakit_error *error);

/** Resolves the symbols and applies the early relocations, or leaves all sections unchanged. The
 * early relocations are the ordinary ones and the livepatch relocations for vmlinux. They are
 * applied in section order, as in Linux.
 *
 * `values` is a caller-provided buffer of `count` entries, at least one for each symbol. After the
 * call it holds the symbol values, see also RELAKIT_UNASSIGNED. relakit does not use it later.
 *
 * Order of the callbacks: resolver->exported is called first, for the undefined symbols in the
 * order of the symbol table. Then the sections are processed one after the other:
 * resolver->nth_symbol is called for the symbols of a livepatch section, then the section is
 * written. The writer's `sync` is called once at the end. If several symbols have an error, the
 * function returns the error of the last one, as in Linux.
 *
 * Stage: RELAKIT_STAGE_FILLED. It becomes RELAKIT_STAGE_LOADED; only then may anything read the
 * special sections. If the function fails, the stage and the sections are unchanged, and the
 * caller can call it again. The exception is RELAKIT_ERR_NOT_UNDONE.
 *
 * Returns RELAKIT_OK, a pass error, a livepatch symbol error, or one of these errors:
 * - of the symbols: RELAKIT_ERR_VALUES_TOO_SHORT, RELAKIT_ERR_UNKNOWN_SYMBOL,
 *   RELAKIT_ERR_COMMON_SYMBOL, RELAKIT_ERR_SYMBOL_SECTION, RELAKIT_ERR_BAD_SYMBOL_NAME (undefined
 *   symbols);
 * - of the section memory: an error as in relakit_module_assign;
 * - of the relocations: RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_TARGET_OUT_OF_RANGE,
 *   RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, RELAKIT_ERR_TARGET_IS_RELOCATIONS,
 *   RELAKIT_ERR_NO_RELOCATION_BYTES, RELAKIT_ERR_BAD_KLP_SECTION_NAME,
 *   RELAKIT_ERR_KLP_NAME_OUTSIDE, RELAKIT_ERR_SYMBOL_UNASSIGNED, RELAKIT_ERR_TARGET_NOT_ZERO. */
relakit_status RELAKIT_CALL relakit_module_early(struct relakit_module *module,
    const struct relakit_memory *memory, uint64_t *values, size_t count,
    const struct relakit_resolver *resolver, struct relakit_error *error);

/* ---- Level 3: the global offset table of a module -------------------------------------------- */

/** The GOT of a module: one more section, which is not in the file. Its memory is an element of
 * relakit_memory.sections like that of the others. All members are 0 if no GOT is needed. */
struct relakit_got_section {
    uint32_t section; /**< Its section index: the number of sections in the file. */
    uint32_t group;   /**< RELAKIT_GROUP_RODATA, or with RELAKIT_GOT_STUBS, RELAKIT_GROUP_TEXT. */
    uint64_t size;    /**< Its size in bytes. */
    uint64_t align;   /**< The alignment of its address in bytes: a power of two. */
};

/** Finds out which GOT a module needs, so that objects which were compiled with default flags can
 * be loaded. Without this call, relocations that refer to a GOT are RELAKIT_ERR_UNKNOWN_TYPE.
 *
 * - `words` is a buffer of `count` words, at least relakit_got_words(number of symbols). It is
 *   retained: it must not change until relakit_module_retain has succeeded or the caller stops
 *   using the module. The call overwrites it.
 * - `flags` is RELAKIT_GOT_STUBS (undefined symbols that the module calls have stubs),
 *   RELAKIT_GOT_ENDBR, both, or 0.
 * - *got is the GOT. relakit_module_layout then contains it. relakit_module_fill or the caller sets
 *   it to 0, and relakit_module_early writes it together with the sections, or changes nothing.
 *
 * Only RELAKIT_PROFILE_ELF has these types. Late relocations cannot use the GOT.
 * Stage: RELAKIT_STAGE_PARSED. Returns RELAKIT_OK, or RELAKIT_ERR_GOT_PLAN_TOO_SHORT,
 * RELAKIT_ERR_TOO_MANY_SECTIONS. */
relakit_status RELAKIT_CALL relakit_module_plan(struct relakit_module *module, uint64_t *words,
    size_t count, relakit_got_flags flags, struct relakit_got_section *got,
    struct relakit_error *error);

/* ---- Level 3: all sections of a module in one arena ------------------------------------------ */

/** Code: executable sections. */
#define RELAKIT_GROUP_TEXT (0U)
/** Constants: sections that are neither executable nor writable. */
#define RELAKIT_GROUP_RODATA (1U)
/** Data that can be made read-only after the module's init function: .data..ro_after_init,
 * __jump_table, and writable sections with SHF_RO_AFTER_INIT. */
#define RELAKIT_GROUP_RO_AFTER_INIT (2U)
/** Other writable sections. */
#define RELAKIT_GROUP_DATA (3U)
/** Code that can be freed after the init function: executable sections named ".init...". */
#define RELAKIT_GROUP_INIT_TEXT (4U)
/** Writable data that can be freed after the init function: writable sections named ".init...", and
 * the template of the per-CPU data. */
#define RELAKIT_GROUP_INIT_DATA (5U)
/** Constants that can be freed after the init function: other sections named ".init...". */
#define RELAKIT_GROUP_INIT_RODATA (6U)
/** Number of groups. */
#define RELAKIT_GROUP_COUNT (7U)

/** A group of sections: a range of the arena that needs the same page protection. */
struct relakit_group {
    uint64_t offset; /**< Offset of the first byte in the arena, a multiple of the page size. */
    /** Size in bytes, a multiple of the page size. 0 if the module has no byte in this group. */
    uint64_t size;
};

/** The layout of a module in one arena. */
struct relakit_layout {
    uint32_t struct_size; /**< sizeof(struct relakit_layout), set by the caller. */
    uint32_t reserved;    /**< 0. */
    /** Size of the arena in bytes, a multiple of the page size. At most 2^63 - 1. */
    uint64_t size;
    /** Alignment of the arena's run-time address: a power of two, at least the page size. */
    uint64_t align;
    /** The groups, by RELAKIT_GROUP_ number. Their offsets ascend. */
    struct relakit_group groups[RELAKIT_GROUP_COUNT];
};

/** Computes where each section is if all sections are in one arena, and fills `sections` for struct
 * relakit_memory.
 *
 * - First call: `sections` is NULL and `count` is 0. The function fills only *layout, and does not
 *   use `arena` and `address`. The caller then allocates layout->size bytes.
 * - Second call: `arena` has layout->size bytes, and `address` is its run-time address, a multiple
 *   of layout->align. `sections` is an array of `count` elements, at least one for each section,
 *   and one more if relakit_module_plan has found a GOT.
 *   The function writes all elements. If `arena` is NULL and layout->size is not 0, all sections
 *   are behind the writer of struct relakit_memory (RELAKIT_MEMORY_WRITER).
 *
 * `page_size` is a power of two. Each group begins at a multiple of it. 0 means that groups are
 * not aligned to pages. Within a group, sections are in the order of the file, and each is aligned
 * to its sh_addralign.
 *
 * The groups are those of RELAKIT_LINUX(6, 4) and later (layout_sections, module_init_section). An
 * executable section is code even if it is also writable. Sections that are not in memory while
 * the module runs have no part of the arena; their elements are 0.
 *
 * Per-CPU data: the element of section relakit_module_info.per_cpu_section is the caller's matter,
 * because the values of its symbols are offsets. After the second call, set
 * RELAKIT_MEMORY_SYMBOLS_AT and `symbols_at`. With profiles that relocate the template (from
 * RELAKIT_LINUX(6, 16) on), the template is in RELAKIT_GROUP_INIT_DATA. With older profiles of
 * Linux it has no part of the arena: also set RELAKIT_MEMORY_PRESENT, `bytes`, `size` and
 * `address`.
 *
 * The function writes nothing to the arena and does not change the stage. The time is linear in
 * the number of sections. Stages: every stage before RELAKIT_STAGE_LATE.
 *
 * Returns RELAKIT_OK, or RELAKIT_ERR_BAD_ALIGNMENT, RELAKIT_ERR_LAYOUT_TOO_LARGE,
 * RELAKIT_ERR_ADDRESS_MISALIGNED (`address`), RELAKIT_ERR_LENGTH (`count` is less than
 * error->limit). */
relakit_status RELAKIT_CALL relakit_module_layout(struct relakit_module *module, void *arena,
    uint64_t address, uint64_t page_size, struct relakit_section_memory *sections, size_t count,
    struct relakit_layout *layout, struct relakit_error *error);

/** One memory for each group: struct module has the array mem. */
#define RELAKIT_MEMORIES_BY_GROUP (0U)
/** Two memories: struct module has core_layout and init_layout. */
#define RELAKIT_MEMORIES_CORE_AND_INIT (1U)

/** Sets the address of each section as Linux has placed it, from the memories that Linux has
 * allocated for the module. So a program that reads `struct module` of a running module needs no
 * address of a section.
 *
 * `memories` is RELAKIT_MEMORIES_BY_GROUP (RELAKIT_LINUX(6, 4) and later) or
 * RELAKIT_MEMORIES_CORE_AND_INIT. `bases` has RELAKIT_GROUP_COUNT addresses, by RELAKIT_GROUP_
 * number. With RELAKIT_MEMORIES_BY_GROUP, they are the bases of the groups. Otherwise, that of
 * RELAKIT_GROUP_TEXT is core_layout.base, that of RELAKIT_GROUP_INIT_TEXT is init_layout.base, and
 * the others are ignored.
 *
 * `sections` is an array of `count` elements, at least one for each section. The function writes
 * only `address`, and only for sections in a memory whose base is not 0. The per-CPU section is in
 * none of them. If the function fails, it writes nothing.
 *
 * The time is linear in the number of sections. Stages: every stage before RELAKIT_STAGE_LATE.
 *
 * Returns RELAKIT_OK, or RELAKIT_ERR_LAYOUT_TOO_LARGE (a section ends past 2^32 - 1, the largest
 * offset in Linux), RELAKIT_ERR_LENGTH (`count` is less than the number of sections, which is
 * error->limit). */
relakit_status RELAKIT_CALL relakit_module_addresses(struct relakit_module *module,
    uint32_t memories, const uint64_t *bases, struct relakit_section_memory *sections, size_t count,
    struct relakit_error *error);

/* ---- Level 3: the late passes, and the state that is retained for them ----------------------- */

/** Returns in *size the number of bytes that relakit_module_retain needs. It is 0 if the module has
 * no late sections (livepatch sections for modules). Stage: RELAKIT_STAGE_LOADED. */
relakit_status RELAKIT_CALL relakit_module_retained_size(struct relakit_module *module,
    size_t *size, struct relakit_error *error);

/** Copies everything that the late passes need into `retained`. After that the caller may free the
 * file, the symbol values and `scratch`.
 *
 * - `scratch` is a caller-provided buffer of `count` entries, at least one for each symbol. The
 *   call overwrites it. It may be the `values` array of relakit_module_early, if its content is no
 *   longer needed.
 * - `retained` is a buffer of `retained_size` bytes, at least the size from
 *   relakit_module_retained_size. It needs no alignment. It is retained: relakit uses it until the
 *   caller stops using the module.
 *
 * Stage: RELAKIT_STAGE_LOADED. It becomes RELAKIT_STAGE_LATE; then the functions that describe the
 * file are no longer allowed. If the function fails, the stage is unchanged. A late section whose
 * target has no memory is not an error here, but in relakit_module_coming.
 *
 * Returns RELAKIT_OK, or RELAKIT_ERR_RETAINED_TOO_SHORT, RELAKIT_ERR_VALUES_TOO_SHORT. */
relakit_status RELAKIT_CALL relakit_module_retain(struct relakit_module *module,
    const struct relakit_memory *memory, uint64_t *scratch, size_t count, void *retained,
    size_t retained_size, struct relakit_error *error);

/** Size of a buffer for the name of a patched object, with its NUL. */
#define RELAKIT_OBJECT_NAME_SIZE (56U)

/** Copies the name of the patched object of a late section to `object`.
 *
 * `late_index` counts the late sections from 0. Sections with a malformed name have no object and
 * are not counted. `object` is a buffer of RELAKIT_OBJECT_NAME_SIZE bytes. The name ends with NUL,
 * so that relakit_module_coming and relakit_module_going take it. *live is 1 if the object's
 * relocations are applied, otherwise 0; `live` may be NULL. An object with several sections is
 * returned several times. The time is logarithmic in the number of late sections.
 *
 * Stage: RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or RELAKIT_NOT_FOUND if `late_index` is too
 * large. */
relakit_status RELAKIT_CALL relakit_module_object(struct relakit_module *module,
    uint32_t late_index, char *object, uint32_t *live, struct relakit_error *error);

/** Applies the late relocations for a patched object, or changes nothing. Call it when that object
 * is loaded (Linux: MODULE_STATE_COMING).
 *
 * `object` is the name of the patched object, at most 55 bytes, ended by NUL. `section_total` may
 * be NULL. On success *section_total is the number of sections of the object. It is 0 if the
 * module has no section for `object`. Often this means that the name is misspelt.
 *
 * The sections are processed in section order, as in Linux: the function resolves the symbols of a
 * section with resolver->nth_symbol, then applies the section. It does not call
 * resolver->exported.
 *
 * Stage: RELAKIT_STAGE_LATE. Returns RELAKIT_OK, a pass error, a livepatch symbol error, or one of
 * these errors:
 * - of the object: RELAKIT_ERR_NOT_A_MODULE (empty or "vmlinux"), RELAKIT_ERR_ALREADY_LIVE;
 * - of the section memory, now or in relakit_module_retain: RELAKIT_ERR_SECTION_MOVED,
 *   RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE;
 * - of the names in the module, for every object: RELAKIT_ERR_BAD_KLP_SECTION_NAME,
 *   RELAKIT_ERR_KLP_NAME_OUTSIDE;
 * - of the object's sections: RELAKIT_ERR_LATE_NOT_ALLOCATED, RELAKIT_ERR_TARGET_OUT_OF_RANGE,
 *   RELAKIT_ERR_TARGET_NOT_ALLOCATED, RELAKIT_ERR_TARGET_PER_CPU,
 *   RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, RELAKIT_ERR_TARGET_IS_RELOCATIONS,
 *   RELAKIT_ERR_NO_RELOCATION_BYTES, RELAKIT_ERR_TARGET_NOT_ZERO. */
relakit_status RELAKIT_CALL relakit_module_coming(struct relakit_module *module, const char *object,
    const struct relakit_memory *memory, const struct relakit_resolver *resolver,
    uint32_t *section_total, struct relakit_error *error);

/** Clears the late relocations for a patched object, or changes nothing. Call it when that object
 * is unloaded (Linux: MODULE_STATE_GOING).
 *
 * The function checks that each field still holds the value that relakit_module_coming wrote.
 * Sections and entries are cleared from the last to the first. The arguments are those of
 * relakit_module_coming.
 *
 * Linux clears relocations from RELAKIT_LINUX(6, 3) on. With an older profile the function returns
 * RELAKIT_OK and writes nothing. Then the next relakit_module_coming of the object returns
 * RELAKIT_ERR_TARGET_NOT_ZERO.
 *
 * Stage: RELAKIT_STAGE_LATE. Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_NOT_A_MODULE (empty
 * or "vmlinux"), RELAKIT_ERR_NOT_LIVE (if the module has sections for `object`),
 * RELAKIT_ERR_TARGET_MISMATCH, RELAKIT_ERR_SECTION_MOVED, RELAKIT_ERR_NOT_ASSIGNED,
 * RELAKIT_ERR_ASSIGNED_SIZE. */
relakit_status RELAKIT_CALL relakit_module_going(struct relakit_module *module, const char *object,
    const struct relakit_memory *memory, uint32_t *section_total, struct relakit_error *error);

/* ---- Level 3: descriptions of a module, its sections and its symbols ------------------------- */

/** Numbers that describe a module. */
struct relakit_module_info {
    uint32_t struct_size;     /**< sizeof(struct relakit_module_info), set by the caller. */
    uint32_t section_count;   /**< Number of sections, including section 0. */
    /** Number of symbols, including the null symbol: entries of buffers for symbol values. */
    uint32_t symbol_count;
    uint32_t symbols_section; /**< Section index of the symbol table. 0 if the module has none. */
    /** Section index of the per-CPU section. 0 if the module has none, or if the profile does not
     * treat it specially. */
    uint32_t per_cpu_section;
    uint32_t reserved;        /**< 0. */
};

/** Fills *info with numbers of the module. Stages: every stage before RELAKIT_STAGE_LATE. */
relakit_status RELAKIT_CALL relakit_module_describe(struct relakit_module *module,
    struct relakit_module_info *info, struct relakit_error *error);

/** Class of a section: when its relocations are applied. A RELAKIT_CLASS_ number. */
typedef uint32_t relakit_section_class;
/** The section holds no relocations. */
#define RELAKIT_CLASS_NOT_RELOCATION (0U)
/** The section holds ordinary relocations. They are applied early. */
#define RELAKIT_CLASS_ORDINARY (1U)
/** The section holds livepatch relocations for vmlinux. They are applied early. */
#define RELAKIT_CLASS_KLP_EARLY (2U)
/** The section holds livepatch relocations for a module: it is a late section. The relocations are
 * applied when that module is loaded and cleared when it is unloaded. */
#define RELAKIT_CLASS_KLP_LATE (3U)
/** The section holds relocations that the loader skips. relakit_section.reason says why. */
#define RELAKIT_CLASS_SKIPPED (4U)
/** A livepatch section of the design before RELAKIT_LINUX(5, 8). Later loaders do not read it. */
#define RELAKIT_CLASS_LEGACY_ARCH (5U)
/** The section holds relocations that cannot be applied. RELAKIT_SECTION_FAILS_LOAD and
 * RELAKIT_SECTION_FAILS_COMING say which call fails. */
#define RELAKIT_CLASS_MALFORMED (6U)

/** relakit_section.flags: RELAKIT_SECTION_ flags. */
typedef uint32_t relakit_section_flags;
/** The section is in memory while the module runs: it is SHF_ALLOC, and the loader of the profile
 * loads it. Linux does not load .modinfo, for example. */
#define RELAKIT_SECTION_IN_MEMORY (1U)
/** The section is malformed, and relakit_module_early fails because of it. */
#define RELAKIT_SECTION_FAILS_LOAD (2U)
/** The section is malformed, and relakit_module_coming fails because of it: for
 * relakit_section.object, or for every object if that is NULL. */
#define RELAKIT_SECTION_FAILS_COMING (4U)

/** One section of a module. Pointers are into the file, except for `reason` and an empty name. */
struct relakit_section {
    uint32_t struct_size;                /**< sizeof(struct relakit_section), set by the caller. */
    relakit_section_flags flags;         /**< RELAKIT_SECTION_IN_MEMORY and other flags, or 0. */
    uint32_t sh_type;                    /**< sh_type. */
    relakit_section_class section_class; /**< A RELAKIT_CLASS_ number. */
    /** Section index of the target of relocations: sh_info, which may be invalid for
     * RELAKIT_CLASS_SKIPPED and RELAKIT_CLASS_MALFORMED. Otherwise 0. */
    uint32_t target;
    /** For a malformed section, the RELAKIT_ERR_ number of its error. Otherwise RELAKIT_OK. */
    relakit_status status;
    /** Why the section has its class: a constant English text that ends with NUL. */
    const char *reason;
    const char *name;                    /**< Name of the section, ended by NUL. */
    /** Length of the name in bytes, without the NUL. 4097 if the name has more than 4096 bytes. */
    size_t name_len;
    /** Name of the patched object of a late section, not ended by NUL. NULL if there is none. */
    const char *object;
    size_t object_len;                   /**< Length of the object's name in bytes. */
    /** Content of the section in the file. NULL if it has none. */
    const void *content;
    /** sh_size in bytes. For SHT_NOBITS it is the size in memory; the file has no such bytes. */
    uint64_t sh_size;
    /** sh_addralign, as in the file. relakit does not check that it is a power of two. */
    uint64_t sh_addralign;
    uint64_t sh_flags;                   /**< sh_flags, as in the file. */
    uint32_t sh_link;                    /**< sh_link, as in the file. */
    uint32_t sh_info;                    /**< sh_info, as in the file. */
};

/** Fills *section with the description of section `section_index`. Index 0 is allowed. Stages:
 * every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or RELAKIT_ERR_NO_SUCH_SECTION. */
relakit_status RELAKIT_CALL relakit_module_section(struct relakit_module *module,
    uint32_t section_index, struct relakit_section *section, struct relakit_error *error);

/** One symbol of a module. `name` points into the file. */
struct relakit_symbol {
    uint32_t struct_size; /**< sizeof(struct relakit_symbol), set by the caller. */
    uint32_t st_shndx;    /**< st_shndx, as in the file. */
    uint32_t st_info;     /**< st_info: binding in the upper four bits, type in the lower four. */
    uint32_t index;       /**< Index of the symbol in the symbol table. */
    const char *name;     /**< Name of the symbol, ended by NUL. */
    /** Length of the name in bytes, without the NUL. 4097 if the name has more than 4096 bytes. */
    size_t name_len;
    /** st_value, as in the file. For a symbol in a section it is an offset, not an address.
     * relakit_module_early returns the addresses in its values array. */
    uint64_t st_value;
    uint64_t st_size;     /**< st_size, in bytes. */
};

/** Fills *symbol with the description of symbol `symbol_index`. Index 0 is allowed. Stages: every
 * stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or RELAKIT_ERR_SYMBOL_INDEX,
 * RELAKIT_ERR_BAD_SYMBOL_NAME. */
relakit_status RELAKIT_CALL relakit_module_symbol(struct relakit_module *module,
    uint32_t symbol_index, struct relakit_symbol *symbol, struct relakit_error *error);

/** Fills *symbol with the description of the symbol `name`: the first global or weak symbol of this
 * name that the module defines, or else the first local one. Its value is at symbol->index in the
 * values array of relakit_module_early.
 *
 * `name` ends with NUL. A name of more than 4096 bytes is not found. Symbols of the types
 * STT_SECTION and STT_FILE, and common and livepatch symbols, do not count. The time is linear in
 * the number of symbols. Stages: every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or
 * RELAKIT_NOT_FOUND if the module defines no symbol of this name. */
relakit_status RELAKIT_CALL relakit_module_find_symbol(struct relakit_module *module,
    const char *name, struct relakit_symbol *symbol, struct relakit_error *error);

/** When Linux first reads a special section: a RELAKIT_READ_ number. */
typedef uint32_t relakit_read_at;
/** Before relocation. A relocation that changes the section has no effect on what Linux reads. */
#define RELAKIT_READ_AT_LOAD (1U)
/** Right after relocation, before the code is executable: alternatives, paravirt, return sites. */
#define RELAKIT_READ_AT_FINALIZE (2U)
/** After RELAKIT_READ_AT_FINALIZE and before the module's state is COMING: ftrace. */
#define RELAKIT_READ_AT_FORMATION (3U)
/** In the COMING notifiers: jump labels, static calls, tracepoints. */
#define RELAKIT_READ_AT_COMING (4U)
/** After the notifiers, before or in the module's init function. */
#define RELAKIT_READ_AT_INIT (5U)
/** On demand, for example for a page fault, a trap or a file read. */
#define RELAKIT_READ_ON_DEMAND (6U)
/** Never. */
#define RELAKIT_READ_NEVER (7U)

/** A special section: a section that Linux recognises by its name. If several Linux versions have
 * the same rules, see `profile` in struct relakit_options, the members describe the oldest of
 * them. With a profile that is not of Linux, they describe the oldest version relakit knows. */
struct relakit_special {
    uint32_t struct_size;    /**< sizeof(struct relakit_special), set by the caller. */
    relakit_read_at read_at; /**< When Linux first reads the section: a RELAKIT_READ_ number. */
    uint32_t entry_size;     /**< Size of each entry in bytes. 0 if it is not fixed. */
    /** 1 if Linux patches the instructions to which the entries point, otherwise 0. */
    uint32_t rewrites_code;
};

/** Fills *special with the description of section `section_index`, if it is a special section.
 *
 * Stage: RELAKIT_STAGE_LOADED, because special sections must not be read before all early
 * relocations are applied. Returns RELAKIT_OK, or RELAKIT_NOT_FOUND if the section does not exist,
 * is not a special section or is not in memory. */
relakit_status RELAKIT_CALL relakit_module_special(struct relakit_module *module,
    uint32_t section_index, struct relakit_special *special, struct relakit_error *error);

/* ---- Level 3: findings, which are mistakes in a module that Linux accepts -------------------- */

/** relakit_finding.severity: information. It is not a mistake by itself. */
#define RELAKIT_SEVERITY_INFO (1)
/** relakit_finding.severity: probably a mistake. */
#define RELAKIT_SEVERITY_WARNING (2)
/** relakit_finding.severity: the module will not work, or will do harm. */
#define RELAKIT_SEVERITY_ERROR (3)

/** relakit_finding.other_section is valid: a section index. */
#define RELAKIT_ERROR_HAS_OTHER_SECTION (16U)
/** relakit_finding.other_entry is valid: the index of a relocation in `other_section`, from 0. */
#define RELAKIT_ERROR_HAS_OTHER_ENTRY (32U)

/** Something suspicious in a module that Linux does not report when it loads the module. Linux can
 * load a module in spite of its findings. The functions that load a module return the errors that
 * prevent loading. The size of this struct never changes. */
struct relakit_finding {
    /** Number of the kind of finding, called a lint. relakit_lint_name, relakit_lint_message and
     * relakit_lint_help return its texts. A number is never reused. */
    int32_t lint;
    /** A RELAKIT_SEVERITY_ number. All findings of a lint have the same one. */
    int32_t severity;
    uint32_t has;         /**< RELAKIT_ERROR_HAS_ flags of the next five members. Others are 0. */
    /** Section index. For a relocation, the relocation section, not the target section. */
    uint32_t section;
    uint32_t symbol;      /**< Index of the symbol in the symbol table. */
    /** Index of another section. relakit_lint_field_name says which one. */
    uint32_t other_section;
    uint64_t entry;       /**< Index of the relocation in its section, counted from 0. */
    uint64_t other_entry; /**< Index of a relocation in `other_section`, counted from 0. */
    /** r_offset of the relocation, in bytes. 0 if the finding is not about a single relocation. */
    uint64_t offset;
    /** A length, the content of a field, or another number. relakit_lint_field_name says which. */
    uint64_t value;
    uint64_t limit;       /**< A second number, often the one that `value` was compared with. */
};

/** Called once for each finding. *finding is valid during the call. `ctx` is the argument of
 * relakit_module_findings or relakit_module_section_findings. */
typedef void (RELAKIT_CALL *relakit_finding_fn)(void *ctx, const struct relakit_finding *finding);

/** Checks the file of a module for mistakes that Linux accepts, and calls `report` for each.
 *
 * Examples: names that match no object or symbol, late relocations for an object that the module
 * does not patch, relocations that are never applied, late relocations of sections that Linux has
 * already read or freed. The call changes neither the module nor the file.
 *
 * - `kernel` is the version that loads the module: RELAKIT_LINUX(major, minor), or 0 for the first
 *   version of the module's profile. It decides when Linux reads each special section. With a
 *   profile that is not of Linux, 0 means the oldest version that relakit knows.
 * - `scratch` is a caller-provided buffer of `count` entries. The call overwrites it. `count` must
 *   be at least the larger of `symbol_count` and `section_count` in struct relakit_module_info. To
 *   learn the number, pass NULL and 0: the call reports nothing and returns
 *   RELAKIT_ERR_VALUES_TOO_SHORT with the number in error->limit.
 * - `ctx` is passed to `report`.
 *
 * The findings are not sorted. Each is about one section, symbol or relocation. A bad file can
 * have more findings than relocations. With n symbols, sections and relocations the call takes at
 * most n log n steps, without the time of the callbacks.
 *
 * Stages: every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, also if there are findings,
 * or RELAKIT_ERR_VALUES_TOO_SHORT, RELAKIT_ERR_PROFILE (`kernel` is neither 0 nor RELAKIT_LINUX(5,
 * 8) or later). */
relakit_status RELAKIT_CALL relakit_module_findings(struct relakit_module *module, uint32_t kernel,
    uint64_t *scratch, size_t count, relakit_finding_fn report, void *ctx,
    struct relakit_error *error);

/** Checks only section `section_index`, and calls `report` for each finding.
 *
 * It reports the findings of relakit_module_findings that need no other section. It does not check
 * whether the section's object is patched, or whether the section shares symbols with the sections
 * of other objects. `kernel`, `report` and `ctx` are those of relakit_module_findings. The time is
 * linear in the size of the section.
 *
 * Stages: every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, also if there are findings,
 * or RELAKIT_ERR_NO_SUCH_SECTION, RELAKIT_ERR_PROFILE (`kernel` is neither 0 nor RELAKIT_LINUX(5,
 * 8) or later). */
relakit_status RELAKIT_CALL relakit_module_section_findings(struct relakit_module *module,
    uint32_t section_index, uint32_t kernel, relakit_finding_fn report, void *ctx,
    struct relakit_error *error);

/** Returns the stable name of a lint, such as "late-into-init", or NULL if no lint has the number.
 * A name never changes, and docs/findings has a page of that name. Lints are numbered from 1
 * without gaps. The text is constant. */
const char *RELAKIT_CALL relakit_lint_name(int32_t lint);

/** Returns the message of a lint, an English text without the values of a finding, or NULL if no
 * lint has the number. The text is constant. */
const char *RELAKIT_CALL relakit_lint_message(int32_t lint);

/** Returns how to fix a finding of a lint, as English text, or NULL if no lint has the number. The
 * text is constant. */
const char *RELAKIT_CALL relakit_lint_help(int32_t lint);

/** Returns the meaning of a member of the findings of a lint. `member` is 0 for `offset`, 1 for
 * `value`, 2 for `limit`, 3 for `other_section` and `other_entry`. It returns "" if the lint does
 * not use the member, and NULL if `lint` or `member` is unknown. The text is constant. */
const char *RELAKIT_CALL relakit_lint_field_name(int32_t lint, uint32_t member);

/* -------------------------------------------------------------------------------------------------
 * Is what runs what was loaded? These functions compare the memory of a module, for example in a
 * guest, with what it should hold. docs/embedding/verify.md says what this proves.
 *
 * The caller loads the module a second time, into plain memory of its own, with the run-time
 * addresses of the first: relakit_module_init, relakit_module_assign, relakit_module_fill,
 * relakit_module_early, and relakit_module_apply_late for each patched object that is loaded. This
 * memory has the expected content.
 * ---------------------------------------------------------------------------------------------- */

/** relakit_difference.cause: the bytes are those of the file. */
#define RELAKIT_CAUSE_CONTENT (0U)
/** relakit_difference.cause: the bytes are the field of a relocation. */
#define RELAKIT_CAUSE_RELOCATION (1U)
/** relakit_difference.cause: the bytes are code that Linux rewrites because of an entry of a
 * special section, but not in a form that Linux writes. */
#define RELAKIT_CAUSE_PATCH_SITE (2U)
/** relakit_difference.cause: the bytes are an entry of a table that Linux sorts. */
#define RELAKIT_CAUSE_TABLE (3U)

/** relakit_difference.seen: nothing that has a name. */
#define RELAKIT_SEEN_OTHER (0U)
/** relakit_difference.seen: INT3. It is a kprobe, or Linux is about to rewrite the
 * instruction. */
#define RELAKIT_SEEN_BREAKPOINT (1U)
/** relakit_difference.seen: a call or jump to `leads_to`. */
#define RELAKIT_SEEN_BRANCH (2U)

/** An instruction that .altinstructions may replace. */
#define RELAKIT_ROLE_ALTERNATIVE (0U)
/** The replacement in .altinstructions. Linux copies it while the module loads. */
#define RELAKIT_ROLE_REPLACEMENT (1U)
/** A call or jump to a retpoline. */
#define RELAKIT_ROLE_RETPOLINE (2U)
/** A jump to the return thunk. */
#define RELAKIT_ROLE_RETURN (3U)
/** A direct call, if call depth is tracked. */
#define RELAKIT_ROLE_CALL (4U)
/** An ENDBR that is not needed. */
#define RELAKIT_ROLE_ENDBR (5U)
/** The CFI preamble of a function, with the ENDBR after it. */
#define RELAKIT_ROLE_CFI_PREAMBLE (6U)
/** A lock prefix. */
#define RELAKIT_ROLE_LOCK (7U)
/** A paravirt call. */
#define RELAKIT_ROLE_PARAVIRT (8U)
/** A jump label: a NOP or a jump. It is also rewritten when its key changes. */
#define RELAKIT_ROLE_JUMP_LABEL (9U)
/** A static call. It is also rewritten when its key changes. */
#define RELAKIT_ROLE_STATIC_CALL (10U)
/** The trampoline of a static call of this module. It is rewritten when its key changes. */
#define RELAKIT_ROLE_TRAMPOLINE (11U)
/** A call to the function tracer. It is also rewritten when the function is traced. */
#define RELAKIT_ROLE_TRACE (12U)

/** The number of bytes in relakit_difference.expected and relakit_difference.found. */
#define RELAKIT_EXCERPT_SIZE (16U)

/** A range of bytes that are not as expected. The size of this struct never changes. */
struct relakit_difference {
    uint32_t cause;                            /**< A RELAKIT_CAUSE_ number. */
    uint32_t section;                          /**< Section index of the bytes. Level 1 sets 0. */
    /** Offset of the first byte in the section, in bytes. */
    uint64_t offset;
    uint64_t address;                          /**< Run-time address of the first byte. */
    /** Size of the range in bytes. Ranges that are fewer than 8 bytes apart are one range. */
    uint64_t size;
    /** Section index of the relocation section or of the special section, or 0. */
    uint32_t other_section;
    uint32_t r_type;                           /**< psABI number of the relocation type, or 0. */
    /** Index of the relocation or of the entry in `other_section`, from 0, or 0. */
    uint64_t entry;
    uint32_t symbol;                           /**< Index of the relocation's symbol, or 0. */
    /** For RELAKIT_CAUSE_PATCH_SITE, the RELAKIT_ROLE_ number, or 0. */
    uint32_t role;
    /** For RELAKIT_CAUSE_RELOCATION, the symbol value with which the relocation gives what was
     * found. For a call, and for RELAKIT_SEEN_BRANCH, it is the address to which it leads. Or
     * 0. */
    uint64_t leads_to;
    /** For RELAKIT_CAUSE_RELOCATION, the symbol value with which it gives what is expected, or
     * 0. */
    uint64_t expected_value;
    uint32_t seen;                             /**< A RELAKIT_SEEN_ number. */
    /** Number of bytes that are valid in `expected` and `found`: at most RELAKIT_EXCERPT_SIZE. */
    uint32_t shown;
    /** The first bytes that are expected. At a patch site it is the code before Linux rewrites
     * it. */
    unsigned char expected[RELAKIT_EXCERPT_SIZE];
    unsigned char found[RELAKIT_EXCERPT_SIZE]; /**< The first bytes that were found. */
};

/** What a verification has looked at. */
struct relakit_verified {
    uint32_t struct_size; /**< sizeof(struct relakit_verified), set by the caller. */
    uint32_t reserved;    /**< 0. */
    uint64_t bytes;       /**< Number of bytes that were compared. */
    /** Number of bytes of these at patch sites for which more than one content is accepted. */
    uint64_t flexible;
    /** Number of bytes in memory that were not compared: data, and sections that are freed
     * after the init function. */
    uint64_t not_judged;
    /** Number of differences that were reported. 0 means that the module is as it should be. */
    uint64_t differences;
};

/** relakit_verifier.is_target: a function of the kernel or of a module begins at the address. */
#define RELAKIT_TARGET_FUNCTION (0U)
/** relakit_verifier.is_target: a traced function may call the address. relakit asks for
 * addresses that are not those of ftrace_caller and ftrace_regs_caller. */
#define RELAKIT_TARGET_TRACER (1U)
/** relakit_verifier.is_target: an ITS thunk for register `number`, which Linux has allocated,
 * is at the address. */
#define RELAKIT_TARGET_ITS_THUNK (2U)

/** relakit_verifier.policies: the code as it was relocated, or a form that Linux writes. */
#define RELAKIT_POLICY_KNOWN_FORMS (0U)
/** relakit_verifier.policies: the code as it was relocated. */
#define RELAKIT_POLICY_UNTOUCHED (1U)
/** relakit_verifier.policies: anything. The bytes are not compared. */
#define RELAKIT_POLICY_ANYTHING (2U)

/** The callbacks of a verification. `report` and `is_target` may be called many times; none of
 * them may call relakit with the same module. */
struct relakit_verifier {
    uint32_t struct_size; /**< sizeof(struct relakit_verifier). */
    uint32_t flags;       /**< Must be 0. */
    void *ctx;            /**< First argument of each callback. */
    /** Reads `size` bytes of the module's memory at the run-time address `address`. Must not
     * be NULL. The bytes lie in one section, are at most 256, and do not cross a multiple of
     * 256. It returns 0 for success. Any other number makes the call fail with
     * RELAKIT_ERR_READER. It must return the same bytes for the same address during a call. */
    int32_t (RELAKIT_CALL *read)(void *ctx, uint64_t address, void *bytes, size_t size);
    /** Called for each difference. *difference is valid during the call. May be NULL. */
    void (RELAKIT_CALL *report)(void *ctx, const struct relakit_difference *difference);
    /** Stores the address of a symbol of the kernel (not of a module) in *value and returns
     * RELAKIT_OK, or returns RELAKIT_NOT_FOUND. `name` ends with NUL. NULL: no symbol is
     * known, so fewer forms are. */
    int32_t (RELAKIT_CALL *symbol)(void *ctx, const char *name, size_t length, uint64_t *value);
    /** Returns 1 if `address` is what a RELAKIT_TARGET_ number says, or else 0. NULL: no
     * address is. */
    int32_t (RELAKIT_CALL *is_target)(void *ctx, uint32_t target, uint32_t number,
        uint64_t address);
    /** A RELAKIT_POLICY_ number for each RELAKIT_ROLE_ number. The rest must be 0. */
    unsigned char policies[32];
};

/* ---- Verification of one table, of a module, and of writes to its code ----------------------- */

/** Applies one relocation table to `target`, and compares the result with what `verifier`
 * reads at its run-time address.
 *
 * The arguments are those of relakit_apply. target->bytes has the content of the section
 * before relocation, and target->writer is NULL. After the call, it has the relocated
 * content, or what was found where a relocation is wrong. relakit calls only `read` and
 * `report` of the verifier.
 *
 * Returns RELAKIT_OK, also if there are differences, an error as in relakit_apply, with which
 * nothing is compared and the bytes are as before, or RELAKIT_ERR_READER. */
relakit_status RELAKIT_CALL relakit_verify(const void *rela, size_t rela_size,
    const struct relakit_symbols *symbols, const struct relakit_target *target,
    const struct relakit_options *options, const struct relakit_verifier *verifier,
    struct relakit_verified *verified, struct relakit_error *error);

/** Applies the late relocations for `object` to `memory`, or changes nothing, and sets
 * *section_total to the number of its sections. It is for the expected content of a
 * verification: it reads the file and needs no retained state. A loader uses
 * relakit_module_coming.
 *
 * `memory`, `values` and `count` are those of relakit_module_early. The call overwrites the
 * values of livepatch symbols.
 *
 * Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, a pass error, RELAKIT_ERR_NOT_A_MODULE
 * (empty or "vmlinux"), RELAKIT_ERR_VALUES_TOO_SHORT, RELAKIT_ERR_TARGET_NOT_ZERO (already
 * applied), RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE, or an error of the resolver
 * as in relakit_module_coming. */
relakit_status RELAKIT_CALL relakit_module_apply_late(struct relakit_module *module,
    const char *object, const struct relakit_memory *memory, uint64_t *values, size_t count,
    const struct relakit_resolver *resolver, uint32_t *section_total, struct relakit_error *error);

/** Sets *is_applied to 1 if the late relocations for `object` are applied to the memory that
 * `verifier` reads, or to 0. They are if one of their fields is not as in `memory`, to which
 * they are not applied. Then call relakit_module_apply_late before relakit_module_verify.
 *
 * With a profile of Linux before RELAKIT_LINUX(6, 3), fields stay applied when the object
 * goes.
 *
 * Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, or an error as in relakit_module_verify. */
relakit_status RELAKIT_CALL relakit_module_is_applied(struct relakit_module *module,
    const char *object, const struct relakit_memory *memory,
    const struct relakit_verifier *verifier, uint32_t *is_applied, struct relakit_error *error);

/** Compares the code and the constants of a module with what they should be, and calls
 * verifier->report for each difference.
 *
 * - `memory` has the expected content, in plain memory. After the call, it has what was found
 *   where Linux rewrites code or a relocation is wrong, so it is good for one verification.
 * - `kernel` is the version that runs the module: RELAKIT_LINUX(major, minor), or 0 for the
 *   first version of the module's profile. It decides which code Linux rewrites, and in which
 *   forms. With 0 and a profile that is not of Linux, no code is rewritten.
 * - `scratch` is a caller-provided buffer of `count` entries, at least three for each
 *   section. The call overwrites it.
 *
 * The time is linear in the sizes of the file and of the memory, apart from sorting: n log n
 * steps for n sections or entries of a table.
 *
 * Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, also if there are differences, or
 * RELAKIT_ERR_READER, RELAKIT_ERR_NOT_PLAIN, RELAKIT_ERR_ASSIGNED_SIZE,
 * RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_VALUES_TOO_SHORT (`scratch`), RELAKIT_ERR_PROFILE
 * (`kernel`). */
relakit_status RELAKIT_CALL relakit_module_verify(struct relakit_module *module,
    const struct relakit_memory *memory, const struct relakit_verifier *verifier, uint32_t kernel,
    uint64_t *scratch, size_t count, struct relakit_verified *verified,
    struct relakit_error *error);

/* ---- Code that Linux may rewrite, and whether a write to it is allowed ----------------------- */

/** Code of a module that Linux may rewrite. The size of this struct never changes. */
struct relakit_patch_site {
    uint64_t address;  /**< Run-time address of the first byte. */
    uint64_t offset;   /**< Offset of the first byte in section `code`, in bytes. */
    uint64_t size;     /**< Size in bytes, at most 255. */
    uint64_t entry;    /**< Index of the entry in `section`, counted from 0. */
    uint32_t code;     /**< Section index of the code. */
    uint32_t section;  /**< Section index of the special section. */
    uint32_t role;     /**< A RELAKIT_ROLE_ number. */
    uint32_t reserved; /**< 0. */
};

/** Stores the code of a module that Linux may rewrite in `sites`, in ascending order of the
 * addresses, and sets *found to the number of sites. If it is greater than `site_count`, the
 * rest is missing, and the function must be called again with a longer array. `sites` may be
 * NULL if `site_count` is 0.
 *
 * The other arguments are those of relakit_module_verify, before that call. With `kernel` 0
 * and a profile that is not of Linux, there are no sites.
 *
 * Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, RELAKIT_ERR_VALUES_TOO_SHORT (`scratch`)
 * or RELAKIT_ERR_PROFILE (`kernel`). */
relakit_status RELAKIT_CALL relakit_module_patch_sites(struct relakit_module *module,
    const struct relakit_memory *memory, uint32_t kernel, uint64_t *scratch, size_t count,
    struct relakit_patch_site *sites, size_t site_count, size_t *found,
    struct relakit_error *error);

/** For a hypervisor that traps writes to code: decides whether Linux may write `size` bytes of
 * `bytes` to the run-time address `address` now. It may if the code at a site of `sites` then
 * has a known form, or has one after one of the three steps in which Linux rewrites an
 * instruction: INT3 over the first byte, the other bytes, the first byte. Sets *is_allowed to
 * 1 or 0.
 *
 * `sites` has the sites of relakit_module_patch_sites. The other arguments are those of
 * relakit_module_verify, before that call; `read` reads the memory before the write, and
 * `report` is not called. The time is logarithmic in `site_count`, and linear in the number
 * of sites within 255 bytes before `address`.
 *
 * Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, or an error as in relakit_module_verify. If a
 * site is not one of this module, it can be RELAKIT_ERR_NOT_ASSIGNED or RELAKIT_ERR_OFFSET_OUTSIDE.
 */
relakit_status RELAKIT_CALL relakit_module_allowed_patch(struct relakit_module *module,
    const struct relakit_memory *memory, const struct relakit_verifier *verifier, uint32_t kernel,
    const struct relakit_patch_site *sites, size_t site_count, uint64_t address, const void *bytes,
    size_t size, uint32_t *is_allowed, struct relakit_error *error);

/** Returns the name of a RELAKIT_ROLE_ number, such as "jump label", or NULL if the number is
 * unknown. The text is constant. */
const char *RELAKIT_CALL relakit_role_name(uint32_t role);

/* ---- Parsers of the names of livepatch sections and symbols ---------------------------------- */

/** sh_flags: the livepatch core applies this section's relocations. Linux's SHF_RELA_LIVEPATCH. */
#define RELAKIT_SHF_RELA_LIVEPATCH (0x00100000U)
/** st_shndx: the livepatch core resolves this symbol. Linux's SHN_LIVEPATCH. */
#define RELAKIT_SHN_LIVEPATCH (0xff20U)

/** The parts of a section name ".klp.rela.<object>.<section>". The pointers point into the name;
 * the parts do not end with NUL. */
struct relakit_klp_section_name {
    uint32_t struct_size; /**< sizeof(struct relakit_klp_section_name), set by the caller. */
    /** 1 if the object is "vmlinux", so that the section is applied early. Otherwise 0. */
    uint32_t is_early;
    const char *object;   /**< The patched object: 1 to 55 bytes without a dot. */
    /** Length of `object` in bytes. Linux cuts a longer name to 55 bytes, and so does relakit. In
     * this case `object[object_len]` is not the dot. */
    size_t object_len;
    /** The <section> part, or NULL if there is none. Linux ignores it; the target is sh_info. */
    const char *section;
    size_t section_len;   /**< Length of `section` in bytes. */
};

/** The parts of a symbol name ".klp.sym.<object>.<name>,<sympos>". The pointers point into the
 * name; the parts do not end with NUL. */
struct relakit_klp_symbol_name {
    uint32_t struct_size; /**< sizeof(struct relakit_klp_symbol_name), set by the caller. */
    uint32_t is_vmlinux;  /**< 1 if the object is "vmlinux", otherwise 0. */
    const char *object;   /**< The patched object: 1 to 55 bytes without a dot. */
    size_t object_len;    /**< Length of `object` in bytes. */
    /** The symbol: 1 to 511 bytes without a comma, or 1 to 127 before RELAKIT_LINUX(6, 1). */
    const char *name;
    size_t name_len;      /**< Length of `name` in bytes. */
    /** 0: the only symbol of that name in the object. N: the N-th symbol of that name, from 1. */
    uint64_t sympos;
    size_t trailing;      /**< Number of bytes after sympos. Linux ignores them. */
};

/** Splits the name of a livepatch section into its parts, by the rules of Linux.
 *
 * `name` has `name_len` bytes and need not end with NUL. The flag SHF_RELA_LIVEPATCH, and not the
 * name, makes a section a livepatch section. With the flag, Linux requires such a name. Without
 * it, Linux applies the section as ordinary relocations, whatever its name is.
 *
 * Returns RELAKIT_OK (only then *parts is filled), RELAKIT_NOT_FOUND if the name does not begin
 * with ".klp.rela.", or RELAKIT_ERR_BAD_KLP_SECTION_NAME if no object follows. */
relakit_status RELAKIT_CALL relakit_parse_klp_section_name(const char *name, size_t name_len,
    struct relakit_klp_section_name *parts);

/** Splits the name of a livepatch symbol into its parts, by the rules of Linux.
 *
 * `name` has `name_len` bytes and need not end with NUL. `profile` is that of struct
 * relakit_options. It decides how long the symbol's name may be, and how a sympos that does not
 * fit 64 bits is converted. The st_shndx SHN_LIVEPATCH (0xff20), and not the name, makes a symbol
 * a livepatch symbol.
 *
 * Returns RELAKIT_OK (only then *parts is filled), RELAKIT_NOT_FOUND if the name does not begin
 * with ".klp.sym.", or RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, RELAKIT_ERR_PROFILE. */
relakit_status RELAKIT_CALL relakit_parse_klp_symbol_name(const char *name, size_t name_len,
    uint32_t profile, struct relakit_klp_symbol_name *parts);

/* ---- Lookups of names in a table of the caller, for its resolver ----------------------------- */

/** A caller-provided table of names: an array of structs, each with the name of one item. A name is
 * a pointer (`strings` is NULL), or an offset in a string table, such as the st_name of an
 * Elf64_Sym. relakit ignores the other members of the structs.
 *
 * A name ends at a NUL or at the end of the string table. A NULL pointer or an offset outside the
 * string table is an empty name. */
struct relakit_name_table {
    uint32_t struct_size; /**< sizeof(struct relakit_name_table). */
    uint32_t flags;       /**< Must be 0. */
    /** Address of the name member of the first struct: a const char *, or a uint32_t offset if
     * `strings` is set. It needs no alignment. */
    const void *first;
    size_t stride;        /**< Distance between two structs in bytes: their sizeof. */
    size_t count;         /**< Number of structs. */
    /** The string table of the offsets, or NULL if the names are pointers. */
    const char *strings;
    size_t strings_size;  /**< Size of the string table in bytes, or 0 if the names are pointers. */
};

/** An index of names in a caller-provided buffer; see relakit_index_build. Members are private. */
struct relakit_index;

/** Finds a name in a table that is sorted by name, in ascending order of unsigned bytes. Linux's
 * tables of exported symbols have this order. The function does not check the order: in a table
 * that is not sorted, it can miss a name.
 *
 * `name` has `name_len` bytes and need not end with NUL. If several entries have this name,
 * `sympos` selects the N-th of them, counted from 1. On success *found_index is the array index of
 * the entry, counted from 0. The function compares at most log2(n) + 2 of n names, and needs no
 * memory. For many lookups relakit_index_find is faster.
 *
 * Returns RELAKIT_OK, or RELAKIT_NOT_FOUND, also if `sympos` is 0 or too large. */
relakit_status RELAKIT_CALL relakit_find_sorted(const struct relakit_name_table *names,
    const char *name, size_t name_len, uint64_t sympos, size_t *found_index);

/** Returns the number of bytes that relakit_index_build needs for `count` names: 5 to 6 for each
 * name, and a constant. It is at most 6 * count + RELAKIT_INDEX_SIZE in every version with this
 * RELAKIT_ABI. Use that for buffers whose size must be known at compile time. For more than 2^30
 * names the function returns SIZE_MAX, because such an index is impossible. */
size_t RELAKIT_CALL relakit_index_size(size_t count);

/** Constant part of the size of an index in bytes: an index of n names needs at most 6 * n +
 * RELAKIT_INDEX_SIZE bytes. See relakit_index_size. */
#define RELAKIT_INDEX_SIZE (256U)

/** Makes an index of a table of names. A lookup in it usually compares one name. The table may have
 * any order.
 *
 * - `memory` is a buffer for the index: `size` bytes, at least relakit_index_size(names->count),
 *   aligned to 8 bytes. It is retained: relakit uses it until the caller stops using the index. No
 *   call is needed to release it.
 * - The structs of the table, their names and the string table are retained too. They must not
 *   change as long as the index is used. *names itself is only read during the call. If the table
 *   changes, make a new index.
 *
 * On success *index is `memory`. The time is usually linear in the number of names n. If many
 * names have the same hash, building takes n log n steps, and a lookup compares up to log n names.
 * Returns RELAKIT_OK, or RELAKIT_ERR_INDEX_TOO_SHORT. */
relakit_status RELAKIT_CALL relakit_index_build(const struct relakit_name_table *names,
    void *memory, size_t size, const struct relakit_index **index, struct relakit_error *error);

/** Finds a name in a table that has an index.
 *
 * `name` has `name_len` bytes and need not end with NUL. If several entries have this name,
 * `sympos` selects the N-th of them in the order of the table, counted from 1. For livepatch
 * symbols of vmlinux the table must be in the order of addresses, because Linux counts in this
 * order. Pass 1 for an exported symbol, and the `sympos` argument of resolver->nth_symbol for a
 * livepatch symbol. The time does not depend on the number of entries with this name. On success
 * *found_index is the array index of the entry, counted from 0.
 *
 * Callbacks of a resolver may call this function, and several threads may use one index at the
 * same time.
 *
 * Returns RELAKIT_OK, RELAKIT_ERR_NOT_AN_INDEX, or RELAKIT_NOT_FOUND if `sympos` is 0 or greater
 * than the number of entries with this name, or if `name_len` is more than 4096. */
relakit_status RELAKIT_CALL relakit_index_find(const struct relakit_index *index, const char *name,
    size_t name_len, uint64_t sympos, size_t *found_index);

/* ---- An error as one line of text ------------------------------------------------------------ */

/** Writes an error as one line of English text, for a log. For example:
 *
 * value does not fit its field: section 43 (.rela.text), entry 3, type R_X86_64_PC32, symbol 7
 * (printk), offset 0x20, value 0xffffffff00000000, largest 0x7fffffff
 *
 * - `error` is the struct that a function of this header has filled in. Its status may be any
 *   number. If `error` is NULL, the text is empty.
 * - `module` is the module whose function returned the error, or NULL. The text has the names of
 *   sections and symbols that it knows: until relakit_module_retain those of the file, and
 *   afterwards those of the symbols that the late passes use. Without a module, during a callback
 *   of a function that uses the module, or if `module` is not the state of a module, the text has
 *   only numbers.
 * - `buffer` has `size` bytes. The text is cut if it does not fit, and always ends with NUL if
 *   `size` is not 0. If `buffer` is NULL, nothing is written. If it overlaps the module's state,
 *   its file or its retained state, the text has only numbers.
 *
 * All bytes of the text are printable ASCII. In a name, other bytes, a backslash and a parenthesis
 * are written as \xNN. The first 128 bytes of a name are written, and "..." if it is longer. The
 * numbers of sections, entries and symbols and the results of callbacks are decimal. Other numbers
 * from 10 on are hexadecimal with 0x. linux_errno is not written. The text may change in later
 * versions.
 *
 * The time is linear in the number of symbols of the module that late passes use, and at most 2048
 * bytes are written. The function may be called in a callback.
 *
 * Returns the length of the whole text in bytes without the NUL, also if it is cut: at most 2047.
 */
size_t RELAKIT_CALL relakit_error_format(const struct relakit_error *error,
    struct relakit_module *module, char *buffer, size_t size);

/* ---- Names of numbers ------------------------------------------------------------------------ */

/** Returns the psABI name of a relocation type, such as "R_X86_64_PC32", or NULL if the number is
 * unknown. It also knows types that relakit does not apply. The text is constant. */
const char *RELAKIT_CALL relakit_type_name(uint32_t r_type);

/** Returns the name of a RELAKIT_CLASS_ number, such as "livepatch, early", or NULL if the number
 * is unknown. The text is constant. */
const char *RELAKIT_CALL relakit_class_name(uint32_t section_class);

/* -------------------------------------------------------------------------------------------------
 * Every status that a function can return.
 *
 * The parentheses have the meaning of the members `offset`, `value` and `limit` of struct
 * relakit_error; a target is given as its section index. If error->entry is valid, error->offset
 * is r_offset. Groups of errors that several functions return:
 * - Argument errors. Every function can return them. error->value is the number of the argument,
 *   counted from 1: RELAKIT_ERR_NULL, RELAKIT_ERR_LENGTH, RELAKIT_ERR_ALIGNMENT,
 *   RELAKIT_ERR_STRUCT_SIZE, RELAKIT_ERR_FLAGS, RELAKIT_ERR_RESERVED, RELAKIT_ERR_OVERLAP,
 *   RELAKIT_ERR_CALLBACK, RELAKIT_ERR_SYMBOLS.
 * - Option errors. Every function with `options` can return them: RELAKIT_ERR_PROFILE,
 *   RELAKIT_ERR_FLAGS_CONFLICT.
 * - Module errors. Every function that takes a struct relakit_module can return them. The
 *   description of the function lists the stages that allow the call: RELAKIT_ERR_ORDER,
 *   RELAKIT_ERR_NOT_A_MODULE_STATE, RELAKIT_ERR_BUSY.
 * - Pass errors. The descriptions of the functions name this group: RELAKIT_ERR_SYMBOL_INDEX,
 *   RELAKIT_ERR_UNKNOWN_TYPE, RELAKIT_ERR_OVERFLOW, RELAKIT_ERR_OFFSET_OUTSIDE,
 *   RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_WRITER, RELAKIT_ERR_SYNC, RELAKIT_ERR_NOT_UNDONE.
 * - Livepatch symbol errors. The descriptions of the functions name this group:
 *   RELAKIT_ERR_NOT_KLP_SYMBOL, RELAKIT_ERR_BAD_SYMBOL_NAME, RELAKIT_ERR_BAD_KLP_SYMBOL_NAME,
 *   RELAKIT_ERR_VMLINUX_FROM_MODULE, RELAKIT_ERR_KLP_NOT_FOUND, RELAKIT_ERR_KLP_AMBIGUOUS,
 *   RELAKIT_ERR_KLP_SYMPOS, RELAKIT_ERR_RESOLVER.
 * ---------------------------------------------------------------------------------------------- */

/** Success. */
#define RELAKIT_OK (0)
/** The requested item does not exist. This is a result, not an error. */
#define RELAKIT_NOT_FOUND (1)
/** Result of a callback for symbol values: relakit skips the relocations with this symbol. No
 * function returns it. */
#define RELAKIT_SKIP (2)

/** A table, a section or a record ends after the end of the file. (offset: file offset; value:
 * size; limit: file size) */
#define RELAKIT_ERR_TRUNCATED (-1)
/** The file does not begin with the ELF magic. (value: first four bytes) */
#define RELAKIT_ERR_NOT_ELF (-2)
/** e_ident is not ELF64, little-endian, version 1 (gABI 4). Linux does not check this. (offset:
 * file offset; value: byte; limit: expected) */
#define RELAKIT_ERR_BAD_IDENT (-3)
/** e_type is not ET_REL. (value: e_type; limit: expected) */
#define RELAKIT_ERR_NOT_RELOCATABLE (-4)
/** e_machine is not EM_X86_64. (value: e_machine; limit: expected) */
#define RELAKIT_ERR_WRONG_MACHINE (-5)
/** e_shentsize is not the size of a section header. (value: e_shentsize; limit: expected) */
#define RELAKIT_ERR_BAD_HEADER_SIZE (-6)
/** Section 0 is not empty: its type must be SHT_NULL, its address 0, and its size 0 unless it has
 * the number of sections (RELAKIT_ERR_NO_SECTIONS). (value: content of the wrong member) */
#define RELAKIT_ERR_BAD_SECTION_ZERO (-7)
/** The file has more sections than 32-bit indices can number. (value: number; limit: largest) */
#define RELAKIT_ERR_TOO_MANY_SECTIONS (-8)
/** The file has no section headers. With Linux also: e_shnum is 0, and sh_size of section 0 has the
 * number, because it does not fit e_shnum. (value: e_shnum) */
#define RELAKIT_ERR_NO_SECTIONS (-9)
/** e_shstrndx is not a string table that ends with NUL. (value: e_shstrndx; limit: sections) */
#define RELAKIT_ERR_BAD_NAME_TABLE (-10)
/** sh_name is outside the section name table, or the name does not end inside the table. (value:
 * sh_name; limit: table size) */
#define RELAKIT_ERR_BAD_SECTION_NAME (-11)
/** The file has no symbol table. */
#define RELAKIT_ERR_NO_SYMBOL_TABLE (-12)
/** The file has more than one symbol table. (value: section index of the first one) */
#define RELAKIT_ERR_MANY_SYMBOL_TABLES (-13)
/** sh_link of the symbol table is not the index of a string table, or the profile does not accept
 * that string table. (value: sh_link; limit: sections) */
#define RELAKIT_ERR_BAD_STRING_TABLE (-14)
/** st_name is outside the string table, or the name does not end inside the table.
 * (value: st_name; limit: table size) */
#define RELAKIT_ERR_BAD_SYMBOL_NAME (-15)
/** The size of a relocation table or of a symbol table is not a multiple of 24 bytes. Linux ignores
 * the remainder. (value: size; limit: size of the remainder) */
#define RELAKIT_ERR_PARTIAL_ENTRY (-16)
/** A symbol index is not in the symbol table. (limit: number of symbols) */
#define RELAKIT_ERR_SYMBOL_INDEX (-17)
/** st_shndx is the index of a section that does not exist, or a reserved index that modules cannot
 * use. (value: st_shndx; limit: sections) */
#define RELAKIT_ERR_SYMBOL_SECTION (-18)
/** The module has a common symbol. Compile it with -fno-common. (value: st_size) */
#define RELAKIT_ERR_COMMON_SYMBOL (-19)
/** A symbol is undefined and not weak, and the resolver does not find it. */
#define RELAKIT_ERR_UNKNOWN_SYMBOL (-20)
/** A relocation uses a symbol whose section has no memory. (value: section index of the symbol) */
#define RELAKIT_ERR_SYMBOL_UNASSIGNED (-21)
/** The buffer for symbol values is too short. (value: entries provided; limit: entries needed) */
#define RELAKIT_ERR_VALUES_TOO_SHORT (-22)
/** A callback of the resolver failed. (value: result of the callback) */
#define RELAKIT_ERR_RESOLVER (-23)
/** A section has SHF_RELA_LIVEPATCH, but its name does not begin with .klp.rela.<object>. */
#define RELAKIT_ERR_BAD_KLP_SECTION_NAME (-24)
/** A livepatch relocation uses a symbol that is not SHN_LIVEPATCH. (value: st_shndx) */
#define RELAKIT_ERR_NOT_KLP_SYMBOL (-25)
/** The name of a livepatch symbol is not .klp.sym.<object>.<name>,<sympos>, or this part of it is
 * longer than 4096 bytes. */
#define RELAKIT_ERR_BAD_KLP_SYMBOL_NAME (-26)
/** A livepatch section for a module uses a symbol of vmlinux. Only sections for vmlinux may. */
#define RELAKIT_ERR_VMLINUX_FROM_MODULE (-27)
/** The patched object has no symbol of that name, or its value is 0. (value: sympos) */
#define RELAKIT_ERR_KLP_NOT_FOUND (-28)
/** sympos is 0, so the name must be unique, but it is not in the patched object. (value: sympos) */
#define RELAKIT_ERR_KLP_AMBIGUOUS (-29)
/** The patched object has fewer than sympos symbols of that name. (value: sympos) */
#define RELAKIT_ERR_KLP_SYMPOS (-30)
/** A late section is not SHF_ALLOC, so its memory is freed before its patched object is loaded.
 * Linux would read freed memory. (value: sh_flags) */
#define RELAKIT_ERR_LATE_NOT_ALLOCATED (-31)
/** sh_info of a relocation section is not the index of a section that can be relocated. For a late
 * section Linux would write through a wild pointer. (value: sh_info; limit: sections) */
#define RELAKIT_ERR_TARGET_OUT_OF_RANGE (-32)
/** The target of a late section is not in memory. Linux would write to freed memory. (value:
 * target; limit: sh_flags of the target) */
#define RELAKIT_ERR_TARGET_NOT_ALLOCATED (-33)
/** The target of a late section is the per-CPU template, which Linux has freed. (value: target) */
#define RELAKIT_ERR_TARGET_PER_CPU (-34)
/** The target is the symbol table or its string table, which the pass reads. (value: target) */
#define RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE (-35)
/** A livepatch section has no content in the file (SHT_NOBITS or SHT_NULL). (value: sh_size) */
#define RELAKIT_ERR_NO_RELOCATION_BYTES (-36)
/** The section is of type SHT_REL, which x86-64 does not use (psABI 4.4). (value: target) */
#define RELAKIT_ERR_REL_SECTION (-37)
/** The options do not support the relocation type, see RELAKIT_OPT_EXTRA_TYPES. A type such as
 * R_X86_64_GOTPCREL means position-independent code: docs/modules.md says how to compile. */
#define RELAKIT_ERR_UNKNOWN_TYPE (-38)
/** The value does not fit its field: the symbol is out of reach. docs/modules.md says how to
 * compile a module for a code model. (value: computed value; limit: largest value that fits) */
#define RELAKIT_ERR_OVERFLOW (-39)
/** The field is not inside the target section. (value: field size; limit: section size) */
#define RELAKIT_ERR_OFFSET_OUTSIDE (-40)
/** The field is not zero before the relocation, see RELAKIT_OPT_ALLOW_NONZERO. (value: computed
 * value; limit: content of the field) */
#define RELAKIT_ERR_TARGET_NOT_ZERO (-41)
/** The field to be cleared does not hold the value that the relocation wrote, because other code
 * has changed it. (value: expected content; limit: content of the field) */
#define RELAKIT_ERR_TARGET_MISMATCH (-42)
/** The `read` or `write` callback of the writer failed. The pass is rolled back, so nothing is
 * changed. (value: result of the callback) */
#define RELAKIT_ERR_WRITER (-43)
/** The `sync` callback of the writer failed. The pass is rolled back, so nothing is changed.
 * (value: result of the callback) */
#define RELAKIT_ERR_SYNC (-44)
/** A callback of the writer failed, and the rollback failed too or is impossible
 * (RELAKIT_OPT_ALLOW_NONZERO). In section error->section, error->entry is the last entry that is
 * still relocated: the entries 0 to error->entry hold their values. The later entries are as
 * before the call, or cleared if the pass was clearing. If RELAKIT_ERROR_HAS_ENTRY is not set, no
 * entry of this section is relocated. Other sections of the call can also be changed. (value:
 * result of the callback) */
#define RELAKIT_ERR_NOT_UNDONE (-45)
/** The field of error->entry overlaps the field before it, or has a smaller offset. The result of
 * such a table depends on the writes, so a check without writes is impossible. */
#define RELAKIT_ERR_FIELDS_NOT_ASCENDING (-46)
/** A section that is needed has no memory. For struct relakit_sechdrs: sh_addr is NULL (with a
 * writer, that of a target may be NULL). (value: sh_size) */
#define RELAKIT_ERR_NOT_ASSIGNED (-47)
/** Section memory has a wrong size. (value: bytes provided; limit: bytes needed) */
#define RELAKIT_ERR_ASSIGNED_SIZE (-48)
/** The name of the patched object is empty, or is "vmlinux". (value: length of the name) */
#define RELAKIT_ERR_NOT_A_MODULE (-49)
/** The relocations of this patched object are applied already. */
#define RELAKIT_ERR_ALREADY_LIVE (-50)
/** The relocations of this patched object are not applied. */
#define RELAKIT_ERR_NOT_LIVE (-51)
/** The buffer for the retained state is too short. (value: bytes provided; limit: bytes needed) */
#define RELAKIT_ERR_RETAINED_TOO_SHORT (-52)
/** A section's address has changed since relakit_module_retain. (value: address; limit: old one) */
#define RELAKIT_ERR_SECTION_MOVED (-53)
/** A list of patched objects is full. No function returns this. (limit: largest number) */
#define RELAKIT_ERR_TOO_MANY_OBJECTS (-54)
/** No section has the index, or it is 0 and must not be. (value: index; limit: sections) */
#define RELAKIT_ERR_NO_SUCH_SECTION (-55)
/** The section is not of type SHT_RELA. (value: sh_type) */
#define RELAKIT_ERR_NOT_RELOCATIONS (-56)
/** The target overlaps section headers, symbols, names or relocations that the pass uses. With a
 * writer the check uses sh_addr, unless RELAKIT_WRITER_FOREIGN is set. (value: target) */
#define RELAKIT_ERR_TARGET_OVERLAPS (-57)
/** The buffer for an index of names is too short. (value: bytes provided; limit: bytes needed) */
#define RELAKIT_ERR_INDEX_TOO_SHORT (-58)
/** Two SHT_SYMTAB_SHNDX sections belong to the symbol table. The specification does not say which
 * one takes precedence. Linux does not check this. (value: section index of the first one) */
#define RELAKIT_ERR_MANY_SECTION_INDICES (-59)
/** The target is a relocation section. Linux would apply its changed entries. (value: target) */
#define RELAKIT_ERR_TARGET_IS_RELOCATIONS (-60)
/** The address of the last byte of the section would be greater than 2^64 - 1. For struct
 * relakit_sechdrs also: the section has 2^63 bytes or more. (value: address; limit: size) */
#define RELAKIT_ERR_ADDRESS_WRAPS (-61)
/** All relocation tables together are larger than the file, so some share bytes. Linux accepts this
 * and can take very long. (value: size of all tables; limit: file size) */
#define RELAKIT_ERR_RELOCATIONS_TOO_LARGE (-62)
/** A symbol of a symbol table is not resolved: its value is 0, and it is SHN_LIVEPATCH, or
 * SHN_UNDEF and not weak. See RELAKIT_OPT_ALLOW_ZERO_SYMBOLS. (value: st_shndx) */
#define RELAKIT_ERR_SYMBOL_UNRESOLVED (-63)
/** The file has 0 bytes. Linux's finit_module returns an error before the loader reads it. */
#define RELAKIT_ERR_EMPTY_FILE (-64)
/** An unused header (SHT_NULL) has SHF_RELA_LIVEPATCH, and its name is outside the section name
 * table. Linux would read outside the table. (value: sh_name; limit: table size) */
#define RELAKIT_ERR_KLP_NAME_OUTSIDE (-65)
/** Linux: a section shares bytes of the file with the section headers, or relocations or section
 * names share bytes with the per-CPU section. Linux changes these bytes before it reads the
 * section. (value: file offset; limit: size) */
#define RELAKIT_ERR_SHARED_BYTES (-66)
/** Linux: an unused header (SHT_NULL) has SHF_ALLOC, and its content is outside the file. Linux
 * would copy that content. (value: file offset; limit: size) */
#define RELAKIT_ERR_NULL_OUTSIDE (-67)
/** RELAKIT_OPT_ALLOW_NONZERO and RELAKIT_OPT_ADD_TO_FIELD are both set. (value: the flags,
 * including those of the profile) */
#define RELAKIT_ERR_FLAGS_CONFLICT (-68)
/** A relocation table overlaps memory that the call writes: the symbol table or a caller-provided
 * buffer. (value: size of the table) */
#define RELAKIT_ERR_TABLE_OVERLAPS (-69)
/** sh_addralign of a section is not a power of two. Without RELAKIT_ERROR_HAS_SECTION, the page
 * size is not a power of two. (value: the alignment) */
#define RELAKIT_ERR_BAD_ALIGNMENT (-70)
/** The layout has more than 2^63 - 1 bytes, or ends after the end of the address space, or has
 * offsets of more than the 32 bits that Linux has. (value: bytes needed, or UINT64_MAX if that is
 * more than 64 bits; limit: largest size) */
#define RELAKIT_ERR_LAYOUT_TOO_LARGE (-71)
/** The address is not a multiple of the alignment. (value: address; limit: alignment) */
#define RELAKIT_ERR_ADDRESS_MISALIGNED (-72)
/** `read` of a verifier failed, so not everything was verified. (offset: offset in the section;
 * value: its result) */
#define RELAKIT_ERR_READER (-73)
/** The memory for the expected content of a verification is behind a writer. */
#define RELAKIT_ERR_NOT_PLAIN (-74)
/** The buffer for the plan of a GOT is too short. (value: words provided; limit: words needed) */
#define RELAKIT_ERR_GOT_PLAN_TOO_SHORT (-75)
/** A relocation refers to the GOT slot of a symbol that has none, because the GOT was planned
 * without this table. (offset: r_offset) */
#define RELAKIT_ERR_NO_GOT_SLOT (-76)

/** A pointer that must not be NULL is NULL. */
#define RELAKIT_ERR_NULL (-101)
/** A buffer has more than PTRDIFF_MAX bytes or ends after the end of the address space, or the
 * stride of a table is too small. (limit: the length) */
#define RELAKIT_ERR_LENGTH (-102)
/** A pointer does not have the alignment of its type. (limit: required alignment in bytes) */
#define RELAKIT_ERR_ALIGNMENT (-103)
/** struct_size is less than that of the first version, or more than 4096. (limit: struct_size) */
#define RELAKIT_ERR_STRUCT_SIZE (-104)
/** A flag is unknown to this version, or the function does not accept it. (limit: the flags) */
#define RELAKIT_ERR_FLAGS (-105)
/** A member that must be 0 is not 0: a reserved member, a member of a newer version, or one that
 * must be unused with these flags or with a writer. */
#define RELAKIT_ERR_RESERVED (-106)
/** Two buffers overlap. If one is the memory of a section, error->section is valid. */
#define RELAKIT_ERR_OVERLAP (-107)
/** The module is in a stage that does not allow this call. (value: RELAKIT_STAGE_ number) */
#define RELAKIT_ERR_ORDER (-108)
/** The buffer for a module's state is too short. (value: bytes provided; limit: bytes needed) */
#define RELAKIT_ERR_STATE_TOO_SHORT (-109)
/** The pointer is not a state that relakit_module_init made, or the state was copied. */
#define RELAKIT_ERR_NOT_A_MODULE_STATE (-110)
/** A callback called relakit with the module for which the callback runs. */
#define RELAKIT_ERR_BUSY (-111)
/** The profile is unknown, or is Linux before RELAKIT_LINUX(5, 8). (value: the profile) */
#define RELAKIT_ERR_PROFILE (-112)
/** A required callback or a required writer is NULL. */
#define RELAKIT_ERR_CALLBACK (-113)
/** `count` is not 0, and none or several of `values`, `symtab` and `value` are set. */
#define RELAKIT_ERR_SYMBOLS (-114)
/** The pointer is not an index of names from relakit_index_build, or the index was copied. */
#define RELAKIT_ERR_NOT_AN_INDEX (-115)

/** Returns the meaning of a status: an English text without a full stop. It never returns NULL:
 * for an unknown number the text is "unknown status". The text is constant. */
const char *RELAKIT_CALL relakit_strerror(relakit_status status);

/** Returns the errno of Linux's module loader for the same error, as a positive number, with the
 * values of Linux on x86-64: ENOENT 2, ENOEXEC 8, EINVAL 22. It returns 0 if Linux does not detect
 * the error, or if the error is about a function that Linux does not have. */
int32_t RELAKIT_CALL relakit_linux_errno(relakit_status status);

/** Returns the meaning of a member of struct relakit_error for a status, such as "section size".
 * `member` is 0 for `offset`, 1 for `value`, 2 for `limit`. The function returns "" if the status
 * does not use the member, and NULL if `member` is greater than 2. The text is constant. */
const char *RELAKIT_CALL relakit_error_field_name(relakit_status status, uint32_t member);

#ifdef __cplusplus
}
#endif

#endif /* RELAKIT_H */
