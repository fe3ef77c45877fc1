/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * relakit: proves that every relocation of an x86-64 module can be applied, and applies it.
 *
 * Three levels, each usable without the next:
 *   1. one relocation section: relakit_apply, relakit_clear, relakit_check;
 *   2. Linux-shaped loaders: relakit_apply_relocate_add, relakit_klp_apply and their inverses;
 *   3. the whole module: relakit_module_init and what follows it.
 * For resolvers: relakit_find_sorted and relakit_index_find look names up in the caller's own table.
 *
 * Of all functions:
 * - They return RELAKIT_OK (0), sometimes RELAKIT_NONE (1), or a negative RELAKIT_ERR_ number.
 * - A call that fails has changed nothing, in the target or anywhere else, and has written no
 *   result but struct relakit_error. The exceptions are RELAKIT_ERR_NOT_UNDONE, memory that is lent
 *   to be worked in (values, scratch, kept memory, a module's state), and sections that
 *   relakit_module_fill has filled before a fault.
 * - Any number and any NULL may be passed, and is answered. What cannot be checked is the caller's
 *   promise: a pointer that is not NULL leads to as many bytes as the argument or member for its
 *   length says (or to one struct), for the time of the call; nobody else writes there meanwhile;
 *   callbacks return (no longjmp, no exception), and leave alone what is lent to the call that they
 *   are called from; a writer reads and writes the target and nothing else of it.
 * - Nothing is allocated, locked or printed, there are no globals, and no pointer is kept but where
 *   it says "lent". Different modules and targets can be worked on by different threads at once.
 * - Structs that begin with struct_size are set to 0 before they are filled in, so that members that
 *   come with a later version are 0: struct relakit_options options = { .struct_size = sizeof options };
 * - Lengths are in bytes and counts in items. All of it is for little-endian, 64-bit x86-64 modules.
 */


#ifndef RELAKIT_H
#define RELAKIT_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

/** The profile of a Linux version, for struct relakit_options: RELAKIT_LINUX(6, 12). From 5.8 on. */
#define RELAKIT_LINUX(major, minor) (((uint32_t)(major) << 16) | (uint32_t)(minor))

/** sh_flags: the livepatch core applies this section's relocations. Linux's SHF_RELA_LIVEPATCH. */
#define RELAKIT_SHF_RELA_LIVEPATCH 0x00100000

/** st_shndx: the livepatch core resolves this symbol. Linux's SHN_LIVEPATCH. */
#define RELAKIT_SHN_LIVEPATCH 0xff20


/**
 * PC32 and PLT32 must fit, as the psABI demands. Linux writes the low 32 bits of what does not.
 */
#define RELAKIT_CHECK_PC32 1

/**
 * The field may hold anything before its relocation, for loaders that reuse memory. Linux wants zeros. With this rule a
 * pass cannot be undone when a writer fails half-way; plain memory is still all or nothing.
 */
#define RELAKIT_ALLOW_NONZERO 2

/**
 * Which of two faults of one entry is named: the field that is not zero comes before the value that does not fit. A
 * profile of a Linux before 6.3 has this anyway.
 */
#define RELAKIT_ZERO_BEFORE_RANGE 4

/**
 * Also the types 8, 16, PC8 and PC16, which Linux does not know.
 */
#define RELAKIT_MORE_TYPES 8

/**
 * Values in a symbol table may be 0 where the symbol is undefined or a livepatch symbol (SHN_LIVEPATCH). Without this flag such
 * a symbol fails with RELAKIT_ERR_SYMBOL_UNRESOLVED, because a symbol table that was not resolved looks like that. A part of
 * Linux sets it: the per-CPU symbol fixed_percpu_data, which kvm-intel.ko uses, is 0 when it is resolved.
 */
#define RELAKIT_ALLOW_ZERO_SYMBOLS 16

/**
 * The default profile: Linux 6.12.
 */
#define RELAKIT_PROFILE_DEFAULT 0

/**
 * No Linux: the gABI and the psABI as written, for bootloaders, hypervisors and other loaders of one's own. Livepatch
 * sections work as with Linux. What Linux lets pass is refused: another e_ident than ELF64's, symbol names outside their
 * table, relocations of no section, PC32 and PLT32 that do not fit.
 */
#define RELAKIT_PROFILE_ELF 1

/**
 * error->section is the index of the section at fault: for a relocation the section that holds it, not its target; for
 * RELAKIT_ERR_NOT_PLACED, _PLACED_SIZE, _ADDRESS_WRAPS and _MOVED the section whose place is meant. Functions that are given one table
 * cannot know it.
 */
#define RELAKIT_HAS_SECTION 1

/**
 * error->entry is the index of the relocation in its section, counted from 0.
 */
#define RELAKIT_HAS_ENTRY 2

/**
 * error->symbol is the index of the symbol in the symbol table.
 */
#define RELAKIT_HAS_SYMBOL 4

/**
 * error->r_type is the psABI type number of the relocation.
 */
#define RELAKIT_HAS_TYPE 8

/**
 * writer->flags: the addresses are those of another address space, such as a guest's. Without this flag an address names memory of
 * this program, and a section whose addresses overlap memory that the call reads or keeps is refused.
 */
#define RELAKIT_WRITER_FOREIGN 1

/**
 * The section has a place. A place without this flag is none, and must be all zeros.
 */
#define RELAKIT_PLACED 1

/**
 * The section's bytes are behind the writer of struct relakit_memory; bytes is NULL.
 */
#define RELAKIT_PLACE_WRITER 2

/**
 * The section's symbols count from symbols_at, and not from address: per-CPU data, whose symbols are offsets.
 */
#define RELAKIT_PLACE_SYMBOLS_AT 4

/**
 * Done.
 */
#define RELAKIT_OK 0

/**
 * There is no such thing, which is an answer and no error.
 */
#define RELAKIT_NONE 1

/**
 * A table, a section or a record reaches past the end of the file.
 * (offset: file offset; value: size; limit: file size)
 */
#define RELAKIT_ERR_TRUNCATED -1

/**
 * The file does not begin with the ELF magic.
 * (value: first four bytes)
 */
#define RELAKIT_ERR_NOT_ELF -2

/**
 * e_ident does not say ELF64, little-endian, version 1 (gABI 4). Linux does not look.
 * (offset: file offset; value: byte; limit: expected)
 */
#define RELAKIT_ERR_BAD_IDENT -3

/**
 * e_type is not ET_REL.
 * (value: e_type; limit: expected)
 */
#define RELAKIT_ERR_NOT_RELOCATABLE -4

/**
 * e_machine is not EM_X86_64.
 * (value: e_machine; limit: expected)
 */
#define RELAKIT_ERR_NOT_X86_64 -5

/**
 * e_shentsize is not the size of a section header.
 * (value: e_shentsize; limit: expected)
 */
#define RELAKIT_ERR_BAD_HEADER_SIZE -6

/**
 * Section 0 is not empty: type NULL, size 0, address 0.
 * (value: field)
 */
#define RELAKIT_ERR_BAD_SECTION_ZERO -7

/**
 * More sections than an index can name.
 * (value: sections; limit: most)
 */
#define RELAKIT_ERR_TOO_MANY_SECTIONS -8

/**
 * The module has no sections at all, or counts them in a way that this profile does not know.
 * (value: e_shnum)
 */
#define RELAKIT_ERR_NO_SECTIONS -9

/**
 * e_shstrndx does not lead to a string table that ends with NUL.
 * (value: e_shstrndx; limit: sections)
 */
#define RELAKIT_ERR_BAD_NAME_TABLE -10

/**
 * sh_name is outside the name table, or the name is not ended within the table or the longest name.
 * (value: sh_name; limit: table size)
 */
#define RELAKIT_ERR_BAD_SECTION_NAME -11

/**
 * A relocatable module needs a symbol table.
 */
#define RELAKIT_ERR_NO_SYMBOL_TABLE -12

/**
 * There may be one symbol table only.
 * (value: first one)
 */
#define RELAKIT_ERR_MANY_SYMBOL_TABLES -13

/**
 * sh_link of the symbol table does not lead to a string table; or that one is not as the profile wants it.
 * (value: sh_link; limit: sections)
 */
#define RELAKIT_ERR_BAD_STRING_TABLE -14

/**
 * st_name is outside the string table, or the name is not ended within the table or the longest name.
 * (value: st_name; limit: table size)
 */
#define RELAKIT_ERR_BAD_SYMBOL_NAME -15

/**
 * The size of a relocation table is not a multiple of 24. Linux ignores the rest.
 * (value: size; limit: bytes left over)
 */
#define RELAKIT_ERR_PARTIAL_ENTRY -16

/**
 * A relocation names a symbol that does not exist.
 * (offset: r_offset; limit: symbols)
 */
#define RELAKIT_ERR_SYMBOL_INDEX -17

/**
 * st_shndx names a section that does not exist, or a reserved index without a meaning here.
 * (value: st_shndx; limit: sections)
 */
#define RELAKIT_ERR_SYMBOL_SECTION -18

/**
 * A common symbol: compile with -fno-common.
 * (value: size)
 */
#define RELAKIT_ERR_COMMON_SYMBOL -19

/**
 * Undefined, not weak, and the resolver does not know it.
 */
#define RELAKIT_ERR_UNKNOWN_SYMBOL -20

/**
 * A relocation uses a symbol of a section that was not placed.
 * (offset: r_offset; value: symbol's section)
 */
#define RELAKIT_ERR_SYMBOL_UNPLACED -21

/**
 * The memory lent for symbol values is too short.
 * (value: entries lent; limit: entries needed)
 */
#define RELAKIT_ERR_VALUES_TOO_SHORT -22

/**
 * The resolver failed; error->value is its own number.
 * (value: its number)
 */
#define RELAKIT_ERR_RESOLVER -23

/**
 * A section has SHF_RELA_LIVEPATCH, and its name does not begin with .klp.rela.<object>.
 */
#define RELAKIT_ERR_BAD_KLP_SECTION_NAME -24

/**
 * A livepatch relocation uses a symbol whose st_shndx is not SHN_LIVEPATCH.
 * (offset: r_offset; value: st_shndx)
 */
#define RELAKIT_ERR_NOT_KLP_SYMBOL -25

/**
 * The symbol's name is not .klp.sym.<object>.<name>,<position>.
 * (offset: r_offset)
 */
#define RELAKIT_ERR_BAD_KLP_SYMBOL_NAME -26

/**
 * A module's livepatch section names a vmlinux symbol: that belongs into the early pass.
 * (offset: r_offset)
 */
#define RELAKIT_ERR_VMLINUX_FROM_MODULE -27

/**
 * No symbol of that object has that name, or its value is 0.
 * (offset: r_offset; value: position)
 */
#define RELAKIT_ERR_KLP_NOT_FOUND -28

/**
 * Position 0 means "the only one", and there are several.
 * (offset: r_offset; value: position)
 */
#define RELAKIT_ERR_KLP_AMBIGUOUS -29

/**
 * The object has fewer symbols of that name.
 * (offset: r_offset; value: position)
 */
#define RELAKIT_ERR_KLP_POSITION -30

/**
 * A late section that is not SHF_ALLOC: gone when its object comes. Linux reads freed memory.
 * (value: sh_flags)
 */
#define RELAKIT_ERR_LATE_NOT_ALLOCATED -31

/**
 * sh_info of a late section names no section. Linux writes through a wild pointer.
 * (value: sh_info; limit: sections)
 */
#define RELAKIT_ERR_TARGET_OUT_OF_RANGE -32

/**
 * The target of a late section is not in memory. Linux writes to freed memory.
 * (value: target; limit: its sh_flags)
 */
#define RELAKIT_ERR_TARGET_NOT_ALLOCATED -33

/**
 * The target of a late section is the template of the per-CPU data, which is gone by then.
 * (value: target)
 */
#define RELAKIT_ERR_TARGET_PER_CPU -34

/**
 * The target is the symbol or string table that the pass itself reads.
 * (value: target)
 */
#define RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE -35

/**
 * A livepatch section of type NOBITS has no relocations to read.
 * (value: size)
 */
#define RELAKIT_ERR_NO_RELOCATION_BYTES -36

/**
 * x86-64 has no REL relocations (psABI 4.4).
 * (value: target)
 */
#define RELAKIT_ERR_REL_SECTION -37

/**
 * The relocation type is not one that the rules know.
 * (offset: r_offset)
 */
#define RELAKIT_ERR_UNKNOWN_TYPE -38

/**
 * The value does not fit its field.
 * (offset: r_offset; value: value; limit: largest)
 */
#define RELAKIT_ERR_OVERFLOW -39

/**
 * The field is not inside the target section.
 * (offset: r_offset; value: field size; limit: section size)
 */
#define RELAKIT_ERR_OFFSET_OUTSIDE -40

/**
 * The field was not zero before the relocation.
 * (offset: r_offset; value: value; limit: existing)
 */
#define RELAKIT_ERR_NON_ZERO -41

/**
 * Clearing: the field does not hold what was applied.
 * (offset: r_offset; value: expected; limit: existing)
 */
#define RELAKIT_ERR_MISMATCH -42

/**
 * The writer failed; nothing is changed. error->value is its own number.
 * (offset: r_offset; value: its number)
 */
#define RELAKIT_ERR_WRITER -43

/**
 * The writer failed to make the change visible; it was undone. error->value is its own number.
 * (value: its number)
 */
#define RELAKIT_ERR_SYNC -44

/**
 * The writer failed, and failed again when the pass was to be undone: the entries from 0 to entry hold
 * their values, those after it are as they were (cleared, if the pass was to clear); without an entry none
 * holds its value. value is the writer's own number.
 * (offset: r_offset; value: its number)
 */
#define RELAKIT_ERR_NOT_UNDONE -45

/**
 * A dry run through a writer: fields that overlap or do not ascend can be judged by writing only.
 * (offset: r_offset)
 */
#define RELAKIT_ERR_UNORDERED -46

/**
 * A section that is relocated, or was asked for, has no place.
 * (value: size)
 */
#define RELAKIT_ERR_NOT_PLACED -47

/**
 * The memory for a section is not of the section's size.
 * (value: bytes lent; limit: bytes needed)
 */
#define RELAKIT_ERR_PLACED_SIZE -48

/**
 * The name of an object that comes or goes is empty, or is "vmlinux".
 * (value: length)
 */
#define RELAKIT_ERR_NOT_A_MODULE -49

/**
 * The object came before and has not gone.
 */
#define RELAKIT_ERR_ALREADY_LIVE -50

/**
 * The object is not there.
 */
#define RELAKIT_ERR_NOT_LIVE -51

/**
 * The memory lent for what stays after loading is too short.
 * (value: bytes lent; limit: bytes needed)
 */
#define RELAKIT_ERR_KEPT_TOO_SHORT -52

/**
 * The section is not where it was when the early pass was done.
 * (value: address; limit: expected)
 */
#define RELAKIT_ERR_MOVED -53

/**
 * More objects than can be listed.
 * (limit: most)
 */
#define RELAKIT_ERR_TOO_MANY_OBJECTS -54

/**
 * There is no section of that index, or it is section 0.
 * (value: index; limit: sections)
 */
#define RELAKIT_ERR_NO_SUCH_SECTION -55

/**
 * The section that was to be applied is not of type RELA.
 * (value: sh_type)
 */
#define RELAKIT_ERR_NOT_RELOCATIONS -56

/**
 * The target overlaps what the pass reads: section headers, symbols, names or the relocations themselves.
 * (value: target)
 */
#define RELAKIT_ERR_TARGET_OVERLAPS -57

/**
 * The memory lent for an index of names is too short.
 * (value: bytes lent; limit: bytes needed)
 */
#define RELAKIT_ERR_INDEX_TOO_SHORT -58

/**
 * Two SHT_SYMTAB_SHNDX sections belong to the symbol table; which one counts is said nowhere. Linux does not look.
 * (value: first one)
 */
#define RELAKIT_ERR_MANY_SECTION_INDICES -59

/**
 * The target is a relocation section itself. Linux would read the changed entries, relakit reads the file's.
 * (value: target)
 */
#define RELAKIT_ERR_TARGET_IS_RELOCATIONS -60

/**
 * The section's last byte would have an address past 2^64 - 1.
 * (value: address; limit: size)
 */
#define RELAKIT_ERR_ADDRESS_WRAPS -61

/**
 * All relocation tables together are larger than the file, so they share bytes. Linux takes as long as they say.
 * (value: bytes together; limit: file size)
 */
#define RELAKIT_ERR_RELOCATIONS_TOO_LARGE -62

/**
 * A relocation uses a symbol that was not resolved: SHN_LIVEPATCH, or SHN_UNDEF and not weak, with value 0.
 * (offset: offset; value: st_shndx)
 */
#define RELAKIT_ERR_SYMBOL_UNRESOLVED -63

/**
 * The file has no bytes. Linux's finit_module refuses it before the loader looks.
 */
#define RELAKIT_ERR_EMPTY_FILE -64

/**
 * An unused header (SHT_NULL) has SHF_RELA_LIVEPATCH and a name outside the name table. Linux reads the name.
 * (value: sh_name; limit: table size)
 */
#define RELAKIT_ERR_KLP_NAME_OUTSIDE -65

/**
 * A section shares bytes of the file with what Linux writes before it reads the section: the section headers, or the per-CPU
 * template (relocation tables and section names).
 * (value: file offset; limit: size)
 */
#define RELAKIT_ERR_SHARED_BYTES -66

/**
 * An unused header (SHT_NULL) has SHF_ALLOC and leads outside of the file. Linux copies from there.
 * (value: file offset; limit: size)
 */
#define RELAKIT_ERR_NULL_OUTSIDE -67

/**
 * A pointer that must not be NULL is.
 * (value: number of the argument, counted from 1)
 */
#define RELAKIT_ERR_NULL -101

/**
 * A length that no object has (over PTRDIFF_MAX bytes), or that wraps around the end of the address space.
 * (value: number of the argument, counted from 1; limit: the length)
 */
#define RELAKIT_ERR_LENGTH -102

/**
 * A pointer is not aligned for what it leads to.
 * (value: number of the argument, counted from 1; limit: bytes it must be a multiple of)
 */
#define RELAKIT_ERR_ALIGNMENT -103

/**
 * The struct_size of a struct is smaller than the first version of that struct, or unreasonably large.
 * (value: number of the argument, counted from 1; limit: struct_size)
 */
#define RELAKIT_ERR_STRUCT_SIZE -104

/**
 * A flag that this version does not know, or that this function does not take.
 * (value: number of the argument, counted from 1; limit: the flags)
 */
#define RELAKIT_ERR_FLAGS -105

/**
 * A member that must be 0 is not: a reserved one, one that this version does not know, or one of a place without
 * RELAKIT_PLACED.
 * (value: number of the argument, counted from 1)
 */
#define RELAKIT_ERR_RESERVED -106

/**
 * Two pieces of memory overlap that must not.
 * (value: number of the argument, counted from 1; section: the section's index, for places)
 */
#define RELAKIT_ERR_OVERLAP -107

/**
 * The call is out of order: the module is not in a state in which it can be made.
 * (value: the RELAKIT_STAGE_ it is in)
 */
#define RELAKIT_ERR_ORDER -108

/**
 * The memory lent for the state of a module is too short.
 * (value: bytes lent; limit: bytes needed)
 */
#define RELAKIT_ERR_STATE_TOO_SHORT -109

/**
 * The pointer does not lead to a state that relakit_module_init has made, or the state was copied
 * elsewhere.
 */
#define RELAKIT_ERR_NOT_A_MODULE_STATE -110

/**
 * A callback called back into the module that it is called for.
 */
#define RELAKIT_ERR_BUSY -111

/**
 * No such profile, or a Linux before 5.8.
 * (value: the profile)
 */
#define RELAKIT_ERR_PROFILE -112

/**
 * A callback that is needed is NULL.
 * (value: number of the argument, counted from 1)
 */
#define RELAKIT_ERR_CALLBACK -113

/**
 * Of the two sources of symbol values not exactly one was given.
 * (value: number of the argument, counted from 1)
 */
#define RELAKIT_ERR_SYMBOLS -114

/**
 * The pointer does not lead to an index that relakit_index_build has made, or the index was copied elsewhere.
 */
#define RELAKIT_ERR_NOT_AN_INDEX -115

/**
 * The number of this ABI. A program and an archive with the same number fit together, whichever is newer.
 */
#define RELAKIT_ABI 1

/**
 * The module's file is read and checked.
 */
#define RELAKIT_STAGE_PARSED 1

/**
 * Its memory is known to be right.
 */
#define RELAKIT_STAGE_PLACED 2

/**
 * Its sections have their content.
 */
#define RELAKIT_STAGE_FILLED 3

/**
 * Every early relocation is in place; its special sections may be read.
 */
#define RELAKIT_STAGE_LOADED 4

/**
 * The file is not needed any more; objects come and go.
 */
#define RELAKIT_STAGE_LATE 5

/**
 * Bytes of memory that a module's state needs at most, in every version with this RELAKIT_ABI: for memory that is
 * reserved when a program is compiled. relakit_module_size says what it really needs.
 */
#define RELAKIT_MODULE_SIZE 512

/**
 * What the memory of a module's state must be aligned to, in bytes.
 */
#define RELAKIT_MODULE_ALIGN 8

/**
 * Sentinel in the values of relakit_module_early for a symbol whose section has no memory. As an address it is not canonical, but
 * any number may be the value of a real symbol: whether a symbol's section has memory is told by its section.
 */
#define RELAKIT_UNPLACED 6829444952116690944

/**
 * The section holds no relocations.
 */
#define RELAKIT_CLASS_NOT_RELOCATION 0

/**
 * Ordinary relocations: applied early.
 */
#define RELAKIT_CLASS_ORDINARY 1

/**
 * Livepatch relocations against vmlinux: applied early, in section order with the ordinary ones.
 */
#define RELAKIT_CLASS_KLP_EARLY 2

/**
 * Livepatch relocations against a module: applied when it comes, cleared when it goes.
 */
#define RELAKIT_CLASS_KLP_LATE 3

/**
 * Relocations that are never applied; the reason says why.
 */
#define RELAKIT_CLASS_PASSED_OVER 4

/**
 * A livepatch section of the design before Linux 5.8, which nobody reads.
 */
#define RELAKIT_CLASS_LEGACY_ARCH 5

/**
 * Relocations that cannot be applied: the module does not load (RELAKIT_SECTION_FAILS_LOAD), or objects cannot come.
 */
#define RELAKIT_CLASS_MALFORMED 6

/**
 * The section is in memory while the module runs: it is SHF_ALLOC, and not one that the profile drops.
 */
#define RELAKIT_SECTION_IN_MEMORY 1

/**
 * A malformed section stops the module from being loaded.
 */
#define RELAKIT_SECTION_FAILS_LOAD 2

/**
 * A malformed section stops its object from coming; one without an object's name stops every object.
 */
#define RELAKIT_SECTION_FAILS_COMING 4

/**
 * Before relocation: what a relocation puts there comes too late.
 */
#define RELAKIT_READ_AT_LOAD 1

/**
 * Right after relocation, before the code is made executable: alternatives, paravirt, return sites, ...
 */
#define RELAKIT_READ_AT_FINALIZE 2

/**
 * After that and before the module's state is COMING: ftrace.
 */
#define RELAKIT_READ_AT_FORMATION 3

/**
 * By the COMING notifiers: jump labels, static calls, tracepoints, ...
 */
#define RELAKIT_READ_AT_COMING 4

/**
 * After the notifiers, before or in the module's init function.
 */
#define RELAKIT_READ_AT_INIT 5

/**
 * When something asks: a fault, a trap, a file read.
 */
#define RELAKIT_READ_ON_DEMAND 6

/**
 * Not at all.
 */
#define RELAKIT_READ_NEVER 7

/**
 * finding->severity: a fact that is no mistake by itself.
 */
#define RELAKIT_SEVERITY_INFO 1

/**
 * finding->severity: probably a mistake.
 */
#define RELAKIT_SEVERITY_WARNING 2

/**
 * finding->severity: the module will not work, or will do harm.
 */
#define RELAKIT_SEVERITY_ERROR 3

/**
 * finding->other_section is valid: a section index.
 */
#define RELAKIT_HAS_OTHER_SECTION 16

/**
 * finding->other_entry is valid: the index of a relocation in finding->other_section, from 0.
 */
#define RELAKIT_HAS_OTHER_ENTRY 32

/**
 * See relakit_index_size.
 */
#define RELAKIT_INDEX_SIZE 256

/**
 * An index of a table of names, in memory that the caller lends; see relakit_index_build. Opaque.
 */
struct relakit_index;

/**
 * The life of one module, in memory that the caller lends; see relakit_module_init. Opaque.
 */
struct relakit_module;

/**
 * 0 (RELAKIT_OK), RELAKIT_NONE, or a negative RELAKIT_ERR_ number. Numbers are never reused.
 */
typedef int32_t relakit_status;

/**
 * Symbol values by index. Exactly one of the two pointers is not NULL; with a count of 0 both may be.
 */
struct relakit_symbols {
    /**
     * One value a symbol; the fastest. Aligned to 8 bytes.
     */
    const uint64_t *values;
    /**
     * Or an array of Elf64_Sym whose st_value are the values. Need not be aligned. A file's own symbol table is no such array: its
     * st_value are offsets, or 0, until a loader has resolved them. What can be recognised of that is refused, see
     * RELAKIT_ALLOW_ZERO_SYMBOLS; symbols of sections cannot be recognised.
     */
    const void *symtab;
    /**
     * Number of symbols, the null symbol included.
     */
    size_t count;
};

/**
 * Reads and writes memory that is not plain: text behind text_poke, a guest's, a bounce buffer.
 *
 * A pass first reads every field, and only when all of them are right writes them: one call of write a field, in the
 * order of the relocations, each right after one more read of the same field. (Clearing goes from the last to the first;
 * fields that overlap or do not ascend are cleared without the first reading.) Then sync is called, once. A pass that
 * fails while it writes puts back what it has written, in the reverse order, through write, and calls sync.
 *
 * ctx is the struct's. address is where the field will be when it runs, offset where it is in its section, both in
 * bytes; size is 1, 2, 4 or 8. A callback returns 0, or any other number, which fails the pass with
 * RELAKIT_ERR_WRITER (sync: RELAKIT_ERR_SYNC) and comes back in error->value, sign-extended; write then must have
 * written nothing. A callback may call any function of relakit, but not for the module that it is called for.
 */
struct relakit_writer {
    /**
     * sizeof(struct relakit_writer).
     */
    uint32_t struct_size;
    /**
     * RELAKIT_WRITER_FOREIGN, or 0.
     */
    uint32_t flags;
    /**
     * Handed to each callback.
     */
    void *ctx;
    /**
     * Reads size bytes into bytes.
     */
    int32_t (*read)(void *ctx, uint64_t address, uint64_t offset, void *bytes, size_t size);
    /**
     * Writes size bytes, or changes nothing.
     */
    int32_t (*write)(void *ctx, uint64_t address, uint64_t offset, const void *bytes, size_t size);
    /**
     * Makes what was written visible where it will run. May be NULL. Also called when there was nothing to write, or
     * nothing was written yet; and after a pass was undone, when its answer is looked at no more.
     */
    int32_t (*sync)(void *ctx);
};

/**
 * What is relocated: size bytes, and the address that the first of them will have when it runs. The two differ in a
 * bootloader, a hypervisor and a test; the P of a relocation is always address + r_offset.
 */
struct relakit_target {
    /**
     * The bytes; NULL when they are behind a writer, or when size is 0.
     */
    void *bytes;
    /**
     * Number of bytes.
     */
    uint64_t size;
    /**
     * Run-time address of the first byte.
     */
    uint64_t address;
    /**
     * NULL for plain memory.
     */
    const struct relakit_writer *writer;
};

/**
 * How strictly to work. Wherever options are taken, NULL is the same as no flags and the default profile: like Linux
 * 6.12. Functions that apply one table take every flag; those that know livepatch sections, whose rules are those of
 * the profile, take RELAKIT_CHECK_PC32.
 *
 * Linux writes the low 32 bits of a PC32 or PLT32 that does not fit, without a word. A loader that is no Linux should ask for
 * RELAKIT_CHECK_PC32, or for RELAKIT_PROFILE_ELF, which includes it.
 */
struct relakit_options {
    /**
     * sizeof(struct relakit_options).
     */
    uint32_t struct_size;
    /**
     * RELAKIT_CHECK_PC32 and the like, or 0.
     */
    uint32_t flags;
    /**
     * RELAKIT_PROFILE_DEFAULT, RELAKIT_PROFILE_ELF or RELAKIT_LINUX(major, minor). A version between two that
     * differ takes the older one's rules.
     */
    uint32_t profile;
    /**
     * 0.
     */
    uint32_t reserved;
};

/**
 * A fault in full. Wherever one is taken, NULL is allowed; it is written when the function fails, in all members, and
 * not touched otherwise. Its size never changes.
 */
struct relakit_error {
    /**
     * What the function returned.
     */
    relakit_status status;
    /**
     * relakit_linux_errno(status).
     */
    int32_t linux_errno;
    /**
     * RELAKIT_HAS_SECTION and the like: which of the next four members say something. The others are 0.
     */
    uint32_t has;
    /**
     * See RELAKIT_HAS_SECTION.
     */
    uint32_t section;
    /**
     * See RELAKIT_HAS_SYMBOL.
     */
    uint32_t symbol;
    /**
     * See RELAKIT_HAS_TYPE; relakit_type_name gives its name.
     */
    uint32_t r_type;
    /**
     * See RELAKIT_HAS_ENTRY.
     */
    uint64_t entry;
    /**
     * r_offset, or an offset in the file, in bytes. What the three numbers are is said with each status, and
     * relakit_number_name tells it.
     */
    uint64_t offset;
    /**
     * The number at fault. A number that a callback returned is signed: RELAKIT_ERR_RESOLVER, _WRITER, _SYNC,
     * _NOT_UNDONE.
     */
    uint64_t value;
    /**
     * What the number was held against.
     */
    uint64_t limit;
    /**
     * 0.
     */
    uint64_t reserved;
};

/**
 * A module as a Linux-shaped loader holds it.
 */
struct relakit_image {
    /**
     * sizeof(struct relakit_image).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t flags;
    /**
     * section_count Elf64_Shdr. The sh_addr of each section that a function reads or writes is where it is now and will
     * run; behind a writer, where it will run.
     */
    const void *sechdrs;
    /**
     * Number of section headers, section 0 included.
     */
    uint32_t section_count;
    /**
     * Index of the symbol table's section header. Its sh_addr leads to symbol_count Elf64_Sym.
     */
    uint32_t symindex;
    /**
     * Number of symbols, the null symbol included.
     */
    uint32_t symbol_count;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The section names.
     */
    const char *shstrtab;
    /**
     * Bytes of them.
     */
    size_t shstrtab_size;
    /**
     * The symbol names.
     */
    const char *strtab;
    /**
     * Bytes of them.
     */
    size_t strtab_size;
    /**
     * Lent memory for symbol_count values, which relakit_klp_apply works in; its content is lost. NULL for
     * relakit_klp_clear.
     */
    uint64_t *values;
};

/**
 * Answers for the names that a module does not define. Names are not ended by NUL: they have the length that is given.
 *
 * A callback returns RELAKIT_OK (0) after it has set *value, or RELAKIT_NONE (1) when there is no such symbol, or any
 * other number, which fails the pass with RELAKIT_ERR_RESOLVER and comes back in error->value, sign-extended. A
 * callback may call any function of relakit, but not for the module that it is called for.
 */
struct relakit_resolver {
    /**
     * sizeof(struct relakit_resolver).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t flags;
    /**
     * Handed to each callback.
     */
    void *ctx;
    /**
     * The address of the exported symbol name. Called once for each undefined symbol of the symbol table, in the
     * order of the table. NULL: nobody exports anything.
     */
    int32_t (*exported)(void *ctx, const char *name, size_t name_len, uint64_t *value);
    /**
     * The address of the position-th symbol (counted from 1) called name in object, exported or not; RELAKIT_NONE when
     * there are fewer. The order is that of addresses in "vmlinux" and that of the symbol table in a module; undefined
     * symbols do not count, and an object that is not there has none. position comes from the file and may be any
     * number. Called for each livepatch symbol that a section uses, once or a few times. NULL: nobody has any.
     */
    int32_t (*candidate)(void *ctx,
                         const char *object,
                         size_t object_len,
                         const char *name,
                         size_t name_len,
                         uint64_t position,
                         uint64_t *value);
};

/**
 * Where one section of a module lives. All zeros: nowhere.
 */
struct relakit_place {
    /**
     * RELAKIT_PLACED and the like, or 0.
     */
    uint32_t flags;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The section's bytes; NULL behind a writer, or when size is 0.
     */
    void *bytes;
    /**
     * Number of bytes: the section's size.
     */
    uint64_t size;
    /**
     * Run-time address of the first byte.
     */
    uint64_t address;
    /**
     * See RELAKIT_PLACE_SYMBOLS_AT; otherwise 0.
     */
    uint64_t symbols_at;
};

/**
 * Where the sections of a module live. Addresses and sizes are the same for every call that takes one: a module does not
 * move. Whether a section is plain memory or behind a writer may change, for memory that cannot be written any more when the
 * late relocations come. A section behind a writer is filled by the caller.
 */
struct relakit_memory {
    /**
     * sizeof(struct relakit_memory).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t flags;
    /**
     * One place a section, by section index. They must overlap neither each other, which is not checked, nor anything else
     * that is lent.
     */
    const struct relakit_place *places;
    /**
     * Number of places; sections after the last have none.
     */
    size_t count;
    /**
     * For the places with RELAKIT_PLACE_WRITER; may be NULL when there are none.
     */
    const struct relakit_writer *writer;
};

/**
 * What a module consists of.
 */
struct relakit_module_info {
    /**
     * sizeof(struct relakit_module_info), set by the caller.
     */
    uint32_t struct_size;
    /**
     * Number of sections, section 0 included.
     */
    uint32_t section_count;
    /**
     * Number of symbols, the null symbol included: so many values are to be lent.
     */
    uint32_t symbol_count;
    /**
     * Index of the symbol table's section.
     */
    uint32_t symbols_section;
    /**
     * Index of the per-CPU section, if the profile knows one; 0 when there is none.
     */
    uint32_t per_cpu_section;
    /**
     * 0.
     */
    uint32_t reserved;
};

/**
 * One section of a module. The pointers lead into the file.
 */
struct relakit_section {
    /**
     * sizeof(struct relakit_section), set by the caller.
     */
    uint32_t struct_size;
    /**
     * RELAKIT_SECTION_IN_MEMORY and the like.
     */
    uint32_t flags;
    /**
     * sh_type.
     */
    uint32_t sh_type;
    /**
     * A RELAKIT_CLASS_.
     */
    uint32_t section_class;
    /**
     * Of relocations: the section index of what is relocated, as far as the class knows one. Otherwise 0.
     */
    uint32_t target;
    /**
     * Of a malformed section what is wrong with it, otherwise RELAKIT_OK.
     */
    relakit_status status;
    /**
     * Why it has its class, in English: constant text, ended by NUL.
     */
    const char *reason;
    /**
     * Its name, ended by NUL.
     */
    const char *name;
    /**
     * Bytes of the name, without the NUL.
     */
    size_t name_len;
    /**
     * The object of late relocations, not ended by NUL; otherwise NULL.
     */
    const char *object;
    /**
     * Bytes of the object's name.
     */
    size_t object_len;
    /**
     * Its content in the file; NULL when it has none.
     */
    const void *content;
    /**
     * sh_size: bytes, in the file or (SHT_NOBITS) in memory only.
     */
    uint64_t size;
    /**
     * sh_addralign, as in the file: not checked to be a power of two.
     */
    uint64_t align;
    /**
     * sh_flags, as in the file.
     */
    uint64_t sh_flags;
    /**
     * sh_link, as in the file.
     */
    uint32_t link;
    /**
     * sh_info, as in the file.
     */
    uint32_t info;
};

/**
 * One symbol of a module. The name leads into the file.
 */
struct relakit_symbol {
    /**
     * sizeof(struct relakit_symbol), set by the caller.
     */
    uint32_t struct_size;
    /**
     * st_shndx, as in the file.
     */
    uint32_t shndx;
    /**
     * st_info: binding in the upper four bits, type in the lower four.
     */
    uint32_t info;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Its name, ended by NUL.
     */
    const char *name;
    /**
     * Bytes of the name, without the NUL.
     */
    size_t name_len;
    /**
     * st_value, as in the file: an offset in its section, not an address. After relakit_module_early the address is in
     * the values that were lent.
     */
    uint64_t value;
    /**
     * st_size: bytes.
     */
    uint64_t size;
};

/**
 * A special section: one that Linux knows by name.
 */
struct relakit_special {
    /**
     * sizeof(struct relakit_special), set by the caller.
     */
    uint32_t struct_size;
    /**
     * When the profile's Linux first reads it: a RELAKIT_READ_.
     */
    uint32_t read_at;
    /**
     * Bytes of each entry in the profile's Linux; 0 when that is not fixed.
     */
    uint32_t entry_size;
    /**
     * 1 when the reader patches instructions that the entries point to, otherwise 0.
     */
    uint32_t rewrites_code;
};

/**
 * The parts of ".klp.rela.<object>.<section>". The pointers lead into the name and are not ended by NUL.
 */
struct relakit_klp_section_name {
    /**
     * sizeof(struct relakit_klp_section_name), set by the caller.
     */
    uint32_t struct_size;
    /**
     * 1 when the object is "vmlinux" and the section belongs into the early pass, otherwise 0.
     */
    uint32_t is_early;
    /**
     * The object: 1 to 55 bytes, none of them a dot.
     */
    const char *object;
    /**
     * Bytes of it. A longer name is cut to 55, as Linux does: then what follows does not begin with a dot.
     */
    size_t object_len;
    /**
     * The name of the target section, where the name follows the convention; otherwise NULL. Linux does not look at it: the
     * target is sh_info.
     */
    const char *section;
    /**
     * Bytes of it.
     */
    size_t section_len;
};

/**
 * The parts of ".klp.sym.<object>.<name>,<position>". The pointers lead into the name and are not ended by NUL.
 */
struct relakit_klp_symbol_name {
    /**
     * sizeof(struct relakit_klp_symbol_name), set by the caller.
     */
    uint32_t struct_size;
    /**
     * 1 when the object is "vmlinux", otherwise 0.
     */
    uint32_t is_vmlinux;
    /**
     * The object: 1 to 55 bytes, none of them a dot.
     */
    const char *object;
    /**
     * Bytes of it.
     */
    size_t object_len;
    /**
     * The symbol: 1 to 511 bytes (127 before Linux 6.1), none of them a comma.
     */
    const char *name;
    /**
     * Bytes of it.
     */
    size_t name_len;
    /**
     * 0: the only symbol of that name in the object; N: the N-th, counted from 1.
     */
    uint64_t position;
    /**
     * Bytes after the position, which Linux ignores.
     */
    size_t trailing;
};

/**
 * A mistake in a module that Linux skips without a message, or that does harm later.
 *
 * A module with findings may load: the functions that load a module return what Linux refuses.
 * The size of this struct never changes.
 */
struct relakit_finding {
    /**
     * Number of the rule. relakit_rule_name and the functions after it return its texts. A number
     * is never reused.
     */
    int32_t rule;
    /**
     * A RELAKIT_SEVERITY_ number. All findings of a rule have the same one.
     */
    int32_t severity;
    /**
     * Which of the next five members are valid: RELAKIT_HAS_SECTION, _ENTRY, _SYMBOL,
     * _OTHER_SECTION and _OTHER_ENTRY. The others are 0.
     */
    uint32_t has;
    /**
     * Section index. For a relocation: the section that holds it, not its target.
     */
    uint32_t section;
    /**
     * Index of the symbol in the symbol table.
     */
    uint32_t symbol;
    /**
     * Index of another section. relakit_rule_number_name says which one.
     */
    uint32_t other_section;
    /**
     * Index of the relocation in its section, counted from 0.
     */
    uint64_t entry;
    /**
     * Index of a relocation in other_section, counted from 0.
     */
    uint64_t other_entry;
    /**
     * r_offset of the relocation, in bytes; 0 if the finding is about no single relocation.
     */
    uint64_t offset;
    /**
     * A length, the content of a field, or another number. relakit_rule_number_name says which.
     */
    uint64_t value;
    /**
     * The number that value was compared with.
     */
    uint64_t limit;
};

/**
 * Called once for each finding. *finding is valid during the call. ctx is the caller's argument.
 * The callback may call every function of relakit, except those that take the same module.
 */
typedef void (*relakit_report)(void *ctx, const struct relakit_finding *finding);

/**
 * A table of names, as it is in the caller's memory: an array of structs, each with the name of one thing. They hold
 * pointers to names (.strings = NULL), or offsets of names in a string table, such as the st_name of an Elf64_Sym. What
 * is found is a position in the array, from 0, so what else the structs hold is the caller's business.
 *
 * Names end with NUL or where the string table ends. A NULL, and an offset outside the string table, is an empty name.
 */
struct relakit_names {
    /**
     * sizeof(struct relakit_names).
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t flags;
    /**
     * The first struct's member that leads to its name: a const char *, or with strings a uint32_t. It need not be
     * aligned.
     */
    const void *first;
    /**
     * Bytes from one struct to the next: its sizeof.
     */
    size_t stride;
    /**
     * Number of structs.
     */
    size_t count;
    /**
     * The string table that offsets count from; NULL when there are pointers.
     */
    const char *strings;
    /**
     * Bytes of the string table; 0 when there are pointers.
     */
    size_t strings_size;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * One sentence that says what a status means, in English, without a full stop. Never NULL, also for a number that is
 * no status. The text is constant and lives as long as the program.
 */
const char *relakit_strerror(relakit_status status);

/**
 * The errno that Linux's module loader answers with in this case, as a positive number of x86-64 (ENOENT 2, ENOEXEC
 * 8, EINVAL 22); 0 where Linux would notice nothing or has no such call.
 */
int32_t relakit_linux_errno(relakit_status status);

/**
 * What relakit_error's offset (which = 0), value (1) or limit (2) is when a function returns this status, such as "section
 * size"; the empty string when it is not used, NULL for another which. The text is constant.
 */
const char *relakit_number_name(relakit_status status,
                                uint32_t which);

/**
 * RELAKIT_ABI of the archive, to be held against that of the header.
 */
uint32_t relakit_abi(void);

/**
 * The version of the archive, such as "0.1.0": constant text.
 */
const char *relakit_version(void);

/**
 * The psABI's name of a relocation type, such as "R_X86_64_PC32", also of types that are not applied; NULL for a number
 * that is none. The text is constant.
 */
const char *relakit_type_name(uint32_t r_type);

/**
 * The name of a RELAKIT_CLASS_, such as "livepatch, early"; NULL for a number that is none. The text is constant.
 */
const char *relakit_class_name(uint32_t section_class);

/**
 * Applies every relocation of one table to one target, or changes nothing.
 *
 * rela is rela_size bytes of Elf64_Rela, which need not be aligned. symbols are the values by symbol index. The target
 * must not overlap them; behind a writer its addresses must not, see RELAKIT_WRITER_FOREIGN. The time is linear in rela_size.
 *
 * Plain memory is relocated in one pass that undoes what it wrote when an entry fails. With a writer everything is
 * proven before the first write; see struct relakit_writer.
 *
 * Returns RELAKIT_OK, or
 * RELAKIT_ERR_PARTIAL_ENTRY   rela_size is not a multiple of 24;
 * RELAKIT_ERR_UNKNOWN_TYPE    a type that the options do not know;
 * RELAKIT_ERR_OFFSET_OUTSIDE  a field lies outside the target;
 * RELAKIT_ERR_SYMBOL_INDEX    there is no such symbol;
 * RELAKIT_ERR_OVERFLOW        a value does not fit its field;
 * RELAKIT_ERR_NON_ZERO        a field is not zero (see RELAKIT_ALLOW_NONZERO);
 * RELAKIT_ERR_WRITER, _SYNC   the writer failed, nothing is changed;
 * RELAKIT_ERR_NOT_UNDONE      the writer failed while the pass was undone: entries up to error->entry are written;
 * RELAKIT_ERR_ADDRESS_WRAPS   the target's addresses wrap past 2^64;
 * RELAKIT_ERR_SYMBOL_UNRESOLVED  the values are in a symbol table that was not resolved (see RELAKIT_ALLOW_ZERO_SYMBOLS);
 * RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _PROFILE, _CALLBACK, _SYMBOLS
 *                             the call itself is wrong, error->value is the number of the argument.
 *
 * Reentrant. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_apply(const void *rela,
                             size_t rela_size,
                             const struct relakit_symbols *symbols,
                             const struct relakit_target *target,
                             const struct relakit_options *options,
                             struct relakit_error *error);

/**
 * Sets every field of one table back to zero, or changes nothing. Each must hold what relakit_apply wrote with these
 * symbol values and options; the last entry goes first.
 *
 * The arguments are those of relakit_apply.
 *
 * Returns RELAKIT_OK, or RELAKIT_ERR_MISMATCH when a field does not hold what was applied (error->value is what it
 * should, error->limit what it does hold), or what relakit_apply returns. RELAKIT_ERR_NOT_UNDONE: the entries up to
 * error->entry hold their values, those after it are zero.
 *
 * Reentrant. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_clear(const void *rela,
                             size_t rela_size,
                             const struct relakit_symbols *symbols,
                             const struct relakit_target *target,
                             const struct relakit_options *options,
                             struct relakit_error *error);

/**
 * Says what relakit_apply would return. It only reads: target->bytes may be memory that cannot be written, and of a writer only
 * read is called.
 *
 * The arguments are those of relakit_apply.
 *
 * Returns RELAKIT_OK, or what relakit_apply returns, or
 * RELAKIT_ERR_UNORDERED  a field does not come after the one before it (error->entry), so what one entry writes may decide about
 *                        a later one. Tables that linkers write ascend. With RELAKIT_ALLOW_NONZERO the order does not matter.
 *
 * Reentrant. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_check(const void *rela,
                             size_t rela_size,
                             const struct relakit_symbols *symbols,
                             const struct relakit_target *target,
                             const struct relakit_options *options,
                             struct relakit_error *error);

/**
 * Applies relocation section relsec, or changes nothing: what such loaders know as apply_relocate_add, with the bounds
 * that they never pass.
 *
 * sechdrs is section_count Elf64_Shdr, and need not be aligned. The sh_addr of relsec leads to its relocations, that of
 * the section which its sh_info names is where this one is now and will run (behind a writer: will run), that of symindex
 * leads to symbol_count Elf64_Sym whose st_value are the symbols' values. strtab is unused and may be NULL; it keeps the argument
 * order of Linux's function. writer is NULL for plain memory.
 *
 * The symbols must be resolved. The function refuses an entry whose symbol is recognisably not: SHN_LIVEPATCH, or SHN_UNDEF and not
 * weak, with st_value 0. It cannot recognise that the st_value of a symbol in a section is still an offset. A livepatch section
 * (SHF_RELA_LIVEPATCH) is applied like any other; relakit_klp_apply resolves its symbols first.
 *
 * Sections must not overlap each other in memory. The time is linear in the size of relsec.
 *
 * Returns RELAKIT_OK, or what relakit_apply returns, or
 * RELAKIT_ERR_NO_SUCH_SECTION         relsec or symindex is 0 or not a section;
 * RELAKIT_ERR_NOT_RELOCATIONS, _REL_SECTION  relsec is not of type RELA;
 * RELAKIT_ERR_TARGET_OUT_OF_RANGE     its sh_info is 0 or not a section;
 * RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  its target is the symbol table or its strings;
 * RELAKIT_ERR_NOT_PLACED              an sh_addr is NULL, or so large that the section would wrap around. (A target behind a
 *                                     writer may be at address 0; if it wraps, RELAKIT_ERR_ADDRESS_WRAPS);
 * RELAKIT_ERR_TARGET_IS_RELOCATIONS   its target is a relocation section;
 * RELAKIT_ERR_TARGET_OVERLAPS         the target overlaps the headers, the symbols or the relocations; behind a writer too,
 *                                     by its addresses, unless the writer has RELAKIT_WRITER_FOREIGN;
 * RELAKIT_ERR_SYMBOL_UNRESOLVED       a symbol is not resolved (see RELAKIT_ALLOW_ZERO_SYMBOLS).
 *
 * Reentrant. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_apply_relocate_add(const void *sechdrs,
                                          uint32_t section_count,
                                          const char *strtab,
                                          uint32_t symindex,
                                          uint32_t symbol_count,
                                          uint32_t relsec,
                                          const struct relakit_writer *writer,
                                          const struct relakit_options *options,
                                          struct relakit_error *error);

/**
 * Sets every field of relocation section relsec back to zero, or changes nothing. Each must hold what
 * relakit_apply_relocate_add wrote with the symbol values that are still in the table; the last entry goes first.
 *
 * The arguments and what is returned are those of relakit_apply_relocate_add, and RELAKIT_ERR_MISMATCH when a field does
 * not hold what was applied. Reentrant. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_clear_relocate_add(const void *sechdrs,
                                          uint32_t section_count,
                                          const char *strtab,
                                          uint32_t symindex,
                                          uint32_t symbol_count,
                                          uint32_t relsec,
                                          const struct relakit_writer *writer,
                                          const struct relakit_options *options,
                                          struct relakit_error *error);

/**
 * Resolves the symbols of all livepatch sections of one object, and applies them in section order: all of them, or
 * nothing is changed. What a kernel does section by section in klp_apply_section_relocs.
 *
 * object is "vmlinux" while the module loads, with its ordinary relocations and before anything reads its special
 * sections (early); afterwards the name of a module that comes, at most 55 bytes and a NUL (late). With "vmlinux", sections
 * whose target is not in memory (no such section, or not SHF_ALLOC) are passed over, as Linux does.
 *
 * resolver->candidate is called for the symbols, exported is not. On success the values of the symbols are in the symbol
 * table, for relakit_klp_clear, and *sections, if sections is not NULL, is the number of sections: 0 when the module has
 * none for that object, which is often a misspelt name. error->section names the section at fault. options take
 * RELAKIT_CHECK_PC32 and a profile.
 *
 * Returns RELAKIT_OK, or what relakit_apply_relocate_add returns, or
 * RELAKIT_ERR_NOT_A_MODULE            object is empty;
 * RELAKIT_ERR_NOT_PLACED              also where relocations overlap the symbols or image->values;
 * RELAKIT_ERR_BAD_SECTION_NAME, _BAD_KLP_SECTION_NAME  of any section with SHF_RELA_LIVEPATCH, whatever its object;
 * RELAKIT_ERR_LATE_NOT_ALLOCATED, _TARGET_NOT_ALLOCATED  late: the section or its target is not SHF_ALLOC;
 * RELAKIT_ERR_NOT_KLP_SYMBOL, _BAD_SYMBOL_NAME, _BAD_KLP_SYMBOL_NAME, _VMLINUX_FROM_MODULE  of a symbol it uses;
 * RELAKIT_ERR_KLP_NOT_FOUND, _KLP_AMBIGUOUS, _KLP_POSITION, _RESOLVER  by what the resolver answers;
 *
 * Nobody remembers that an object has come: when it comes twice its fields are not zero, RELAKIT_ERR_NON_ZERO. The time is linear in
 * the number of sections and the sizes of the object's relocation sections; sections that share a table are counted each.
 *
 * Not for two threads with one symbol table. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_klp_apply(const struct relakit_image *image,
                                 const char *object,
                                 const struct relakit_resolver *resolver,
                                 const struct relakit_writer *writer,
                                 const struct relakit_options *options,
                                 uint32_t *sections,
                                 struct relakit_error *error);

/**
 * Verifies and sets back to zero every field of all livepatch sections of one object that goes, the last first: all of
 * them, or nothing is changed. Linux does it from 6.3 on.
 *
 * The arguments are those of relakit_klp_apply; the symbols' values must be those that it has put into the symbol table.
 * A symbol that two objects share has only one value there: when the other object has come elsewhere since, this fails
 * with RELAKIT_ERR_MISMATCH. (The third level keeps values per section.)
 *
 * Returns RELAKIT_OK, or RELAKIT_ERR_MISMATCH when a field does not hold what was applied, or what is wrong with a
 * section as in relakit_klp_apply. Reentrant. Does not allocate, lock, print or keep a pointer.
 */
relakit_status relakit_klp_clear(const struct relakit_image *image,
                                 const char *object,
                                 const struct relakit_writer *writer,
                                 const struct relakit_options *options,
                                 uint32_t *sections,
                                 struct relakit_error *error);

/**
 * Bytes of memory that relakit_module_init needs for the state of a module.
 */
size_t relakit_module_size(void);

/**
 * What the memory for the state of a module must be aligned to, in bytes: RELAKIT_MODULE_ALIGN.
 */
size_t relakit_module_align(void);

/**
 * Reads and checks a whole relocatable object, file_size bytes at file, and makes its state in memory.
 *
 * memory is lent: size bytes, at least relakit_module_size(), aligned to relakit_module_align(). It belongs to the module
 * until the caller takes it back, which needs no call: nothing has to be freed. The file is lent as well, until
 * relakit_module_keep has succeeded or the module is given up, and must not change meanwhile. On success *module is
 * memory, and the module's stage is RELAKIT_STAGE_PARSED. options take RELAKIT_CHECK_PC32 and a profile.
 *
 * Each function below that takes a module must not be called for the same module by two threads at once, and answers
 *
 * RELAKIT_ERR_ORDER               the module is not in a stage for this call;
 * RELAKIT_ERR_NOT_A_MODULE_STATE  module is not what this function made, or was copied elsewhere;
 * RELAKIT_ERR_BUSY                a callback called it for the module that it is called for;
 * RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _PROFILE, _CALLBACK
 *                                 the call itself is wrong, error->value is the number of the argument.
 *
 * This one returns RELAKIT_OK, or one of these, or RELAKIT_ERR_STATE_TOO_SHORT, or what is wrong with the file:
 * RELAKIT_ERR_TRUNCATED to RELAKIT_ERR_BAD_SYMBOL_NAME, RELAKIT_ERR_EMPTY_FILE, _MANY_SECTION_INDICES,
 * _RELOCATIONS_TOO_LARGE, _SHARED_BYTES or _NULL_OUTSIDE.
 *
 * Relocation tables together are no larger than the file (RELAKIT_ERR_RELOCATIONS_TOO_LARGE), so that the time of each function is
 * linear in file_size, count and the memory that it fills.
 */
relakit_status relakit_module_init(void *memory,
                                   size_t size,
                                   const void *file,
                                   size_t file_size,
                                   const struct relakit_options *options,
                                   struct relakit_module **module,
                                   struct relakit_error *error);

/**
 * The stage that a module is in: a RELAKIT_STAGE_, or an error when module is not one or is busy.
 */
relakit_status relakit_module_stage(struct relakit_module *module);

/**
 * Takes the caller's word on where the sections live. Every section that is relocated early needs a place, of the
 * section's size; a section without one cannot be the target of a late relocation, and its symbols cannot be used.
 *
 * The stage becomes RELAKIT_STAGE_PLACED; before relakit_module_early has succeeded it can be called again. Nothing is
 * written, and no pointer is kept.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_NOT_PLACED,
 * RELAKIT_ERR_PLACED_SIZE or RELAKIT_ERR_ADDRESS_WRAPS with the section. RELAKIT_ERR_OVERLAP: error->section is the place that overlaps something
 * else that is lent.
 */
relakit_status relakit_module_place(struct relakit_module *module,
                                    const struct relakit_memory *memory,
                                    struct relakit_error *error);

/**
 * Copies the content of every section with memory from the file, and zeros where the file has none (SHT_NOBITS, SHT_NULL). The
 * caller fills sections behind a writer, before relakit_module_early.
 *
 * In RELAKIT_STAGE_PLACED and RELAKIT_STAGE_FILLED only. The stage becomes RELAKIT_STAGE_FILLED.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_PLACED_SIZE,
 * RELAKIT_ERR_ADDRESS_WRAPS or RELAKIT_ERR_NOT_PLACED (the memory is not the one that was placed): sections before this one
 * are filled, and the stage stays.
 */
relakit_status relakit_module_fill(struct relakit_module *module,
                                   const struct relakit_memory *memory,
                                   struct relakit_error *error);

/**
 * Says that the caller has filled every section with memory by itself: with the file's bytes, or zeros where the file has none.
 * Nothing is read or written.
 *
 * In RELAKIT_STAGE_PLACED and RELAKIT_STAGE_FILLED only. The stage becomes RELAKIT_STAGE_FILLED.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions.
 */
relakit_status relakit_module_filled(struct relakit_module *module,
                                     struct relakit_error *error);

/**
 * Resolves all symbols and applies the early relocations, ordinary and vmlinux-specific, in section order as Linux
 * does: all of them, or nothing is changed.
 *
 * In RELAKIT_STAGE_FILLED only: relakit_module_fill, or relakit_module_filled, comes before.
 *
 * values is lent: count entries, at least one a symbol. Afterwards it has each symbol's value, and is the caller's again. A
 * symbol whose section has no memory has the value RELAKIT_UNPLACED; a real symbol may have it as well.
 * The resolver's exported is called for the undefined symbols in the order of the symbol table, then candidate for the
 * symbols of vmlinux-specific sections. Memory is written when all symbols are known; then the writer's sync is called,
 * once.
 *
 * The stage becomes RELAKIT_STAGE_LOADED: only now may anything read the special sections. When it fails the stage stays
 * RELAKIT_STAGE_FILLED and the sections are as they were, so that it can be called again.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions, or
 * RELAKIT_ERR_VALUES_TOO_SHORT  count is smaller than the number of symbols;
 * RELAKIT_ERR_UNKNOWN_SYMBOL, _COMMON_SYMBOL, _SYMBOL_SECTION, _BAD_SYMBOL_NAME, _RESOLVER
 *                               a symbol; where several are at fault the last, as in Linux;
 * RELAKIT_ERR_BAD_KLP_SECTION_NAME to RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_KLP_NAME_OUTSIDE, _TARGET_IS_RELOCATIONS,
 * _NOT_PLACED, _PLACED_SIZE, _ADDRESS_WRAPS, _SYMBOL_UNPLACED
 *                               a section, or a symbol that it uses;
 * RELAKIT_ERR_UNKNOWN_TYPE to RELAKIT_ERR_NOT_UNDONE  a relocation: see relakit_apply.
 */
relakit_status relakit_module_early(struct relakit_module *module,
                                    const struct relakit_memory *memory,
                                    uint64_t *values,
                                    size_t count,
                                    const struct relakit_resolver *resolver,
                                    struct relakit_error *error);

/**
 * Bytes that relakit_module_keep needs; *size is 0 when the module has no late relocations. scratch is lent: count
 * entries, at least one a symbol; its content is lost. Not after relakit_module_keep.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_VALUES_TOO_SHORT.
 */
relakit_status relakit_module_late_size(struct relakit_module *module,
                                        uint64_t *scratch,
                                        size_t count,
                                        size_t *size,
                                        struct relakit_error *error);

/**
 * Puts what objects that come and go need into kept, after which the file and the symbol values may go.
 *
 * kept is lent for as long as objects come and go: kept_size bytes, at least what relakit_module_late_size says. scratch
 * is lent for the call: count entries, at least one a symbol; its content is lost. So whoever lends the values of
 * relakit_module_early here has looked up before what he wants of them; names and symbols cannot be asked for afterwards. The
 * stage becomes RELAKIT_STAGE_LATE.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_KEPT_TOO_SHORT or
 * RELAKIT_ERR_VALUES_TOO_SHORT, and the stage stays RELAKIT_STAGE_LOADED.
 */
relakit_status relakit_module_keep(struct relakit_module *module,
                                   const struct relakit_memory *memory,
                                   uint64_t *scratch,
                                   size_t count,
                                   void *kept,
                                   size_t kept_size,
                                   struct relakit_error *error);

/**
 * Names the object of the index-th late section, counted from 0: *object leads to *object_len bytes in the kept memory,
 * not ended by NUL (relakit_module_coming wants a copy that is), and *live is 1 when it has come and not gone. An object with several sections is named several
 * times. In RELAKIT_STAGE_LATE only. The time is logarithmic in the number of late sections.
 *
 * Returns RELAKIT_OK, or RELAKIT_NONE after the last one, or what relakit_module_init says of all functions.
 */
relakit_status relakit_module_object(struct relakit_module *module,
                                     uint32_t index,
                                     const char **object,
                                     size_t *object_len,
                                     uint32_t *live,
                                     struct relakit_error *error);

/**
 * An object has come: resolves the symbols of its sections and applies them, in section order as Linux does: all of
 * them, or nothing is changed. In RELAKIT_STAGE_LATE only.
 *
 * object is its name, at most 55 bytes and a NUL. memory is that of relakit_module_early. resolver->candidate is called
 * for each symbol, exported is not. On success *sections, if sections is not NULL, is the number of sections: 0 when the
 * module has none for that object, which is often a misspelt name.
 *
 * Returns RELAKIT_OK, or what relakit_module_init says of all functions, or
 * RELAKIT_ERR_NOT_A_MODULE     object is empty or "vmlinux";
 * RELAKIT_ERR_ALREADY_LIVE     it came before and has not gone;
 * RELAKIT_ERR_MOVED, _NOT_PLACED, _PLACED_SIZE  a section is not where it was, or not there;
 * RELAKIT_ERR_ADDRESS_WRAPS    the addresses of a section wrap past 2^64;
 * RELAKIT_ERR_KLP_NAME_OUTSIDE, _TARGET_IS_RELOCATIONS  a section;
 * RELAKIT_ERR_BAD_KLP_SECTION_NAME to RELAKIT_ERR_NO_RELOCATION_BYTES  a section, or a symbol that it uses;
 * RELAKIT_ERR_SYMBOL_INDEX, _BAD_SYMBOL_NAME  a relocation's symbol does not exist, or its name cannot be read;
 * RELAKIT_ERR_RESOLVER         the resolver failed;
 * RELAKIT_ERR_UNKNOWN_TYPE to RELAKIT_ERR_NOT_UNDONE  a relocation: see relakit_apply.
 */
relakit_status relakit_module_coming(struct relakit_module *module,
                                     const char *object,
                                     const struct relakit_memory *memory,
                                     const struct relakit_resolver *resolver,
                                     uint32_t *sections,
                                     struct relakit_error *error);

/**
 * An object goes: verifies and clears every field that its coming wrote, the last first: all of them, or nothing is
 * changed. With a profile that does not clear (Linux before 6.3) nothing is written, and the object cannot come again
 * into the same memory. In RELAKIT_STAGE_LATE only.
 *
 * The arguments are those of relakit_module_coming. Returns RELAKIT_OK, or what relakit_module_init says of all
 * functions, or
 * RELAKIT_ERR_NOT_A_MODULE     object is empty or "vmlinux";
 * RELAKIT_ERR_NOT_LIVE         it has not come;
 * RELAKIT_ERR_MISMATCH         somebody else changed a field;
 * RELAKIT_ERR_MOVED, _NOT_PLACED, _PLACED_SIZE  a section is not where it was, or not there;
 * RELAKIT_ERR_WRITER, _SYNC, _NOT_UNDONE  the writer failed: see relakit_clear.
 */
relakit_status relakit_module_going(struct relakit_module *module,
                                    const char *object,
                                    const struct relakit_memory *memory,
                                    uint32_t *sections,
                                    struct relakit_error *error);

/**
 * Tells what a module consists of. Not after relakit_module_keep.
 */
relakit_status relakit_module_describe(struct relakit_module *module,
                                       struct relakit_module_info *info,
                                       struct relakit_error *error);

/**
 * Tells everything about section index. Not after relakit_module_keep. Also RELAKIT_ERR_NO_SUCH_SECTION.
 */
relakit_status relakit_module_section(struct relakit_module *module,
                                      uint32_t index,
                                      struct relakit_section *section,
                                      struct relakit_error *error);

/**
 * Tells about symbol index. Not after relakit_module_keep. Also RELAKIT_ERR_SYMBOL_INDEX and RELAKIT_ERR_BAD_SYMBOL_NAME.
 */
relakit_status relakit_module_symbol(struct relakit_module *module,
                                     uint32_t index,
                                     struct relakit_symbol *symbol,
                                     struct relakit_error *error);

/**
 * Tells what section index is to the profile's Linux, when every early relocation is in place: in RELAKIT_STAGE_LOADED
 * only, which is how the ordering rule is kept. Returns RELAKIT_OK; RELAKIT_NONE when it is not a special section, or
 * not in memory; or what relakit_module_init says of all functions.
 */
relakit_status relakit_module_special(struct relakit_module *module,
                                      uint32_t index,
                                      struct relakit_special *special,
                                      struct relakit_error *error);

/**
 * Reads the name of a section, name_len bytes without a NUL, as Linux reads it.
 *
 * Whether a section is a livepatch section is decided by SHF_RELA_LIVEPATCH and not by its name: Linux wants this name of
 * every section that has the flag, and takes a section without the flag for an ordinary one whatever its name.
 *
 * Returns RELAKIT_OK and fills *parts; RELAKIT_NONE when the name does not begin with ".klp.rela.";
 * RELAKIT_ERR_BAD_KLP_SECTION_NAME when it does and goes on wrongly; RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE.
 * Nothing is written unless it is RELAKIT_OK.
 */
relakit_status relakit_parse_klp_section_name(const char *name,
                                              size_t name_len,
                                              struct relakit_klp_section_name *parts);

/**
 * Reads the name of a symbol, name_len bytes without a NUL, as Linux reads it. profile is as in struct
 * relakit_options: it says how long names may be, and what a position beyond 64 bits is.
 *
 * Whether a symbol is a livepatch symbol is decided by its st_shndx, SHN_LIVEPATCH (0xff20).
 *
 * Returns RELAKIT_OK and fills *parts; RELAKIT_NONE when the name does not begin with ".klp.sym.";
 * RELAKIT_ERR_BAD_KLP_SYMBOL_NAME when it does and goes on wrongly; RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE,
 * _PROFILE. Nothing is written unless it is RELAKIT_OK.
 */
relakit_status relakit_parse_klp_symbol_name(const char *name,
                                             size_t name_len,
                                             uint32_t profile,
                                             struct relakit_klp_symbol_name *parts);

/**
 * Checks the file of a module for mistakes that Linux accepts, and calls report for each.
 *
 * Examples: names that match no object or symbol, late relocations for an object that the module
 * does not patch, relocations that are never applied, late relocations of sections that Linux has
 * read or freed by then. The call changes neither the module nor the file. Every stage before
 * RELAKIT_STAGE_LATE allows it.
 *
 * kernel is the version that loads the module: RELAKIT_LINUX(major, minor), or 0 for the first
 * version of the module's profile. It decides which sections Linux reads early.
 *
 * scratch is a caller-provided buffer of count entries. The call overwrites it. It needs one entry
 * for each symbol or for each section of the file, whichever are more; relakit_module_describe
 * returns both numbers. With fewer entries, also with NULL and 0, the call reports nothing and
 * returns RELAKIT_ERR_VALUES_TOO_SHORT; error->limit is then the number of entries needed.
 *
 * The number of objects is not limited. Findings come in no order, one for each section, symbol or
 * relocation: a bad file can have as many as it has relocations, or more. With n symbols,
 * sections and relocations the call takes at most n log n steps; callbacks are not counted.
 *
 * Returns RELAKIT_OK, also if there are findings, or an error:
 * RELAKIT_ERR_VALUES_TOO_SHORT  scratch is too short, see above;
 * RELAKIT_ERR_PROFILE           kernel is older than 5.8, or no version of Linux;
 * RELAKIT_ERR_CALLBACK          report is NULL;
 * RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _OVERLAP
 *                               an argument is invalid, error->value is its number;
 * RELAKIT_ERR_ORDER             relakit_module_keep has succeeded;
 * RELAKIT_ERR_NOT_A_MODULE_STATE, RELAKIT_ERR_BUSY
 *                               as in relakit_module_init.
 */
relakit_status relakit_module_findings(struct relakit_module *module,
                                       uint32_t kernel,
                                       uint64_t *scratch,
                                       size_t count,
                                       relakit_report report,
                                       void *ctx,
                                       struct relakit_error *error);

/**
 * Checks section index alone, and calls report for each finding.
 *
 * It reports the findings of relakit_module_findings that need no other section. It does not check
 * whether the section's object is patched, and which symbols it shares with other objects. kernel,
 * report and ctx are as there. The time is linear in the size of the section.
 *
 * Returns RELAKIT_OK, also if there are findings, or an error:
 * RELAKIT_ERR_NO_SUCH_SECTION  the file has no section index, error->limit is their number;
 * RELAKIT_ERR_PROFILE          kernel is older than 5.8, or no version of Linux;
 * RELAKIT_ERR_CALLBACK         report is NULL;
 * RELAKIT_ERR_NULL, _ALIGNMENT, _ORDER, _NOT_A_MODULE_STATE, _BUSY
 *                              as in relakit_module_findings.
 */
relakit_status relakit_module_section_findings(struct relakit_module *module,
                                               uint32_t index,
                                               uint32_t kernel,
                                               relakit_report report,
                                               void *ctx,
                                               struct relakit_error *error);

/**
 * Returns the stable name of a rule, such as "late-into-init", or NULL if no rule has the number.
 *
 * A name never changes, and docs/findings has a page of that name. Rules are numbered from 1
 * without gaps. The text is constant.
 */
const char *relakit_rule_name(int32_t rule);

/**
 * Returns the message of a rule, an English sentence without the numbers, or NULL if no rule has
 * the number. The text is constant.
 */
const char *relakit_rule_message(int32_t rule);

/**
 * Returns an English text that says how to fix a finding of a rule, or NULL if no rule has the
 * number. The text is constant.
 */
const char *relakit_rule_help(int32_t rule);

/**
 * Returns the meaning of a member of the findings of a rule.
 *
 * which is 0 for offset, 1 for value, 2 for limit, 3 for other_section and other_entry. Returns ""
 * if the rule does not use the member, and NULL if rule or which does not exist. The text is
 * constant.
 */
const char *relakit_rule_number_name(int32_t rule, uint32_t which);

/**
 * Finds a name in a table that is in ascending order of its names, compared as unsigned bytes: in Linux's order of
 * exported symbols, for example. For a few lookups, or where there is no memory for an index: of n names at most
 * log2(n) + 2 are compared.
 *
 * name has name_len bytes without a NUL. Several entries may have it; position says which one of them is asked for,
 * from 1. On success *at is its position in the array.
 *
 * Returns RELAKIT_OK; RELAKIT_NONE when fewer than position entries have that name, when position is 0, or when the table
 * is not in order; RELAKIT_ERR_NULL, _LENGTH (also for a stride that is less than the member), _ALIGNMENT, _STRUCT_SIZE,
 * _FLAGS, _RESERVED.
 */
relakit_status relakit_find_sorted(const struct relakit_names *names,
                                   const char *name,
                                   size_t name_len,
                                   uint64_t position,
                                   size_t *at);

/**
 * Bytes of memory that relakit_index_build needs for the index of count names: between 5 and 6 for each, and some more.
 * In every version with this RELAKIT_ABI not more than 6 * count + RELAKIT_INDEX_SIZE, for memory that is reserved when
 * a program is compiled. SIZE_MAX for more than 2^30 names, of which there can be no index.
 */
size_t relakit_index_size(size_t count);

/**
 * Makes an index of a table, with which a name is found by one comparison, in whatever order the table is: for many
 * lookups. It is made in time that grows with the number of names; names that are chosen to have one hash make that
 * n log n, and a lookup log n comparisons, as without an index.
 *
 * memory is lent: size bytes, at least relakit_index_size(names->count), aligned to 8. It, the structs
 * of the table and their names must stay where they are, and as they are, until the index is used no more, which needs
 * no call; *names itself need not. On success *index is memory. When the table has changed, make the index again.
 *
 * Returns RELAKIT_OK; RELAKIT_ERR_INDEX_TOO_SHORT; RELAKIT_ERR_NULL, _LENGTH (also for a stride that is less than the
 * member), _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP.
 */
relakit_status relakit_index_build(const struct relakit_names *names,
                                   void *memory,
                                   size_t size,
                                   const struct relakit_index **index,
                                   struct relakit_error *error);

/**
 * Finds a name in a table that has an index. May be called from a resolver's callbacks, whose answer it can be, and by
 * several threads at once.
 *
 * name has name_len bytes without a NUL. Several entries may have it; position says which one of them is asked for, from
 * 1, in the table's order: 1 for an exported symbol, and what a resolver's candidate is given. How many there are does
 * not matter for the time. On success *at is its position in the array.
 *
 * Returns RELAKIT_OK; RELAKIT_NONE when fewer than position entries have that name, when position is 0, or when the name
 * is longer than 4096 bytes; RELAKIT_ERR_NOT_AN_INDEX; RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT.
 */
relakit_status relakit_index_find(const struct relakit_index *index,
                                  const char *name,
                                  size_t name_len,
                                  uint64_t position,
                                  size_t *at);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RELAKIT_H */
