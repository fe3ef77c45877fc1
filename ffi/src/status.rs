//! Every status that a function can return.

use crate::types::relakit_status;
use core::ffi::{CStr, c_char};
use core::ptr;
use relakit::ErrorKind;

/// Done.
pub const RELAKIT_OK: i32 = 0;
/// There is no such thing, which is an answer and no error.
pub const RELAKIT_NONE: i32 = 1;

// What is wrong with a module, or with what was asked of it. In parentheses: what relakit_error's numbers mean.
/// A table, a section or a record reaches past the end of the file.
/// (offset: file offset; value: size; limit: file size)
pub const RELAKIT_ERR_TRUNCATED: i32 = -1;
/// The file does not begin with the ELF magic.
/// (value: first four bytes)
pub const RELAKIT_ERR_NOT_ELF: i32 = -2;
/// e_ident does not say ELF64, little-endian, version 1 (gABI 4). Linux does not look.
/// (offset: file offset; value: byte; limit: expected)
pub const RELAKIT_ERR_BAD_IDENT: i32 = -3;
/// e_type is not ET_REL.
/// (value: e_type; limit: expected)
pub const RELAKIT_ERR_NOT_RELOCATABLE: i32 = -4;
/// e_machine is not EM_X86_64.
/// (value: e_machine; limit: expected)
pub const RELAKIT_ERR_NOT_X86_64: i32 = -5;
/// e_shentsize is not the size of a section header.
/// (value: e_shentsize; limit: expected)
pub const RELAKIT_ERR_BAD_HEADER_SIZE: i32 = -6;
/// Section 0 is not empty: type NULL, size 0, address 0.
/// (value: field)
pub const RELAKIT_ERR_BAD_SECTION_ZERO: i32 = -7;
/// More sections than an index can name.
/// (value: sections; limit: most)
pub const RELAKIT_ERR_TOO_MANY_SECTIONS: i32 = -8;
/// The module has no sections at all, or counts them in a way that this profile does not know.
/// (value: e_shnum)
pub const RELAKIT_ERR_NO_SECTIONS: i32 = -9;
/// e_shstrndx does not lead to a string table that ends with NUL.
/// (value: e_shstrndx; limit: sections)
pub const RELAKIT_ERR_BAD_NAME_TABLE: i32 = -10;
/// sh_name is outside the name table, or the name is not ended within the table or the longest name.
/// (value: sh_name; limit: table size)
pub const RELAKIT_ERR_BAD_SECTION_NAME: i32 = -11;
/// A relocatable module needs a symbol table.
pub const RELAKIT_ERR_NO_SYMBOL_TABLE: i32 = -12;
/// There may be one symbol table only.
/// (value: first one)
pub const RELAKIT_ERR_MANY_SYMBOL_TABLES: i32 = -13;
/// sh_link of the symbol table does not lead to a string table; or that one is not as the profile wants it.
/// (value: sh_link; limit: sections)
pub const RELAKIT_ERR_BAD_STRING_TABLE: i32 = -14;
/// st_name is outside the string table, or the name is not ended within the table or the longest name.
/// (value: st_name; limit: table size)
pub const RELAKIT_ERR_BAD_SYMBOL_NAME: i32 = -15;
/// The size of a relocation table is not a multiple of 24. Linux ignores the rest.
/// (value: size; limit: bytes left over)
pub const RELAKIT_ERR_PARTIAL_ENTRY: i32 = -16;
/// A relocation names a symbol that does not exist.
/// (offset: r_offset; limit: symbols)
pub const RELAKIT_ERR_SYMBOL_INDEX: i32 = -17;
/// st_shndx names a section that does not exist, or a reserved index without a meaning here.
/// (value: st_shndx; limit: sections)
pub const RELAKIT_ERR_SYMBOL_SECTION: i32 = -18;
/// A common symbol: compile with -fno-common.
/// (value: size)
pub const RELAKIT_ERR_COMMON_SYMBOL: i32 = -19;
/// Undefined, not weak, and the resolver does not know it.
pub const RELAKIT_ERR_UNKNOWN_SYMBOL: i32 = -20;
/// A relocation uses a symbol of a section that was not placed.
/// (offset: r_offset; value: symbol's section)
pub const RELAKIT_ERR_SYMBOL_UNPLACED: i32 = -21;
/// The memory lent for symbol values is too short.
/// (value: entries lent; limit: entries needed)
pub const RELAKIT_ERR_VALUES_TOO_SHORT: i32 = -22;
/// The resolver failed; error->value is its own number.
/// (value: its number)
pub const RELAKIT_ERR_RESOLVER: i32 = -23;
/// A section has SHF_RELA_LIVEPATCH, and its name does not begin with .klp.rela.<object>.
pub const RELAKIT_ERR_BAD_KLP_SECTION_NAME: i32 = -24;
/// A livepatch relocation uses a symbol whose st_shndx is not SHN_LIVEPATCH.
/// (offset: r_offset; value: st_shndx)
pub const RELAKIT_ERR_NOT_KLP_SYMBOL: i32 = -25;
/// The symbol's name is not .klp.sym.<object>.<name>,<position>.
/// (offset: r_offset)
pub const RELAKIT_ERR_BAD_KLP_SYMBOL_NAME: i32 = -26;
/// A module's livepatch section names a vmlinux symbol: that belongs into the early pass.
/// (offset: r_offset)
pub const RELAKIT_ERR_VMLINUX_FROM_MODULE: i32 = -27;
/// No symbol of that object has that name, or its value is 0.
/// (offset: r_offset; value: position)
pub const RELAKIT_ERR_KLP_NOT_FOUND: i32 = -28;
/// Position 0 means "the only one", and there are several.
/// (offset: r_offset; value: position)
pub const RELAKIT_ERR_KLP_AMBIGUOUS: i32 = -29;
/// The object has fewer symbols of that name.
/// (offset: r_offset; value: position)
pub const RELAKIT_ERR_KLP_POSITION: i32 = -30;
/// A late section that is not SHF_ALLOC: gone when its object comes. Linux reads freed memory.
/// (value: sh_flags)
pub const RELAKIT_ERR_LATE_NOT_ALLOCATED: i32 = -31;
/// sh_info of a late section names no section. Linux writes through a wild pointer.
/// (value: sh_info; limit: sections)
pub const RELAKIT_ERR_TARGET_OUT_OF_RANGE: i32 = -32;
/// The target of a late section is not in memory. Linux writes to freed memory.
/// (value: target; limit: its sh_flags)
pub const RELAKIT_ERR_TARGET_NOT_ALLOCATED: i32 = -33;
/// The target of a late section is the template of the per-CPU data, which is gone by then.
/// (value: target)
pub const RELAKIT_ERR_TARGET_PER_CPU: i32 = -34;
/// The target is the symbol or string table that the pass itself reads.
/// (value: target)
pub const RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE: i32 = -35;
/// A livepatch section of type NOBITS has no relocations to read.
/// (value: size)
pub const RELAKIT_ERR_NO_RELOCATION_BYTES: i32 = -36;
/// x86-64 has no REL relocations (psABI 4.4).
/// (value: target)
pub const RELAKIT_ERR_REL_SECTION: i32 = -37;
/// The relocation type is not one that the rules know.
/// (offset: r_offset)
pub const RELAKIT_ERR_UNKNOWN_TYPE: i32 = -38;
/// The value does not fit its field.
/// (offset: r_offset; value: value; limit: largest)
pub const RELAKIT_ERR_OVERFLOW: i32 = -39;
/// The field is not inside the target section.
/// (offset: r_offset; value: field size; limit: section size)
pub const RELAKIT_ERR_OFFSET_OUTSIDE: i32 = -40;
/// The field was not zero before the relocation.
/// (offset: r_offset; value: value; limit: existing)
pub const RELAKIT_ERR_NON_ZERO: i32 = -41;
/// Clearing: the field does not hold what was applied.
/// (offset: r_offset; value: expected; limit: existing)
pub const RELAKIT_ERR_MISMATCH: i32 = -42;
/// The writer failed; nothing is changed. error->value is its own number.
/// (offset: r_offset; value: its number)
pub const RELAKIT_ERR_WRITER: i32 = -43;
/// The writer failed to make the change visible; it was undone. error->value is its own number.
/// (value: its number)
pub const RELAKIT_ERR_SYNC: i32 = -44;
/// The writer failed, and failed again when the pass was to be undone: the entries from 0 to entry hold
/// their values, those after it are as they were (cleared, if the pass was to clear); without an entry none
/// holds its value. value is the writer's own number.
/// (offset: r_offset; value: its number)
pub const RELAKIT_ERR_NOT_UNDONE: i32 = -45;
/// A dry run through a writer: fields that overlap or do not ascend can be judged by writing only.
/// (offset: r_offset)
pub const RELAKIT_ERR_UNORDERED: i32 = -46;
/// A section that is relocated, or was asked for, has no place.
/// (value: size)
pub const RELAKIT_ERR_NOT_PLACED: i32 = -47;
/// The memory for a section is not of the section's size.
/// (value: bytes lent; limit: bytes needed)
pub const RELAKIT_ERR_PLACED_SIZE: i32 = -48;
/// The name of an object that comes or goes is empty, or is "vmlinux".
/// (value: length)
pub const RELAKIT_ERR_NOT_A_MODULE: i32 = -49;
/// The object came before and has not gone.
pub const RELAKIT_ERR_ALREADY_LIVE: i32 = -50;
/// The object is not there.
pub const RELAKIT_ERR_NOT_LIVE: i32 = -51;
/// The memory lent for what stays after loading is too short.
/// (value: bytes lent; limit: bytes needed)
pub const RELAKIT_ERR_KEPT_TOO_SHORT: i32 = -52;
/// The section is not where it was when the early pass was done.
/// (value: address; limit: expected)
pub const RELAKIT_ERR_MOVED: i32 = -53;
/// More objects than can be listed.
/// (limit: most)
pub const RELAKIT_ERR_TOO_MANY_OBJECTS: i32 = -54;
/// There is no section of that index, or it is section 0.
/// (value: index; limit: sections)
pub const RELAKIT_ERR_NO_SUCH_SECTION: i32 = -55;
/// The section that was to be applied is not of type RELA.
/// (value: sh_type)
pub const RELAKIT_ERR_NOT_RELOCATIONS: i32 = -56;
/// The target overlaps what the pass reads: section headers, symbols, names or the relocations themselves.
/// (value: target)
pub const RELAKIT_ERR_TARGET_OVERLAPS: i32 = -57;
/// The memory lent for an index of names is too short.
/// (value: bytes lent; limit: bytes needed)
pub const RELAKIT_ERR_INDEX_TOO_SHORT: i32 = -58;
/// Two SHT_SYMTAB_SHNDX sections belong to the symbol table; which one counts is said nowhere. Linux does not look.
/// (value: first one)
pub const RELAKIT_ERR_MANY_SECTION_INDICES: i32 = -59;
/// The target is a relocation section itself. Linux would read the changed entries, relakit reads the file's.
/// (value: target)
pub const RELAKIT_ERR_TARGET_IS_RELOCATIONS: i32 = -60;
/// The section's last byte would have an address past 2^64 - 1.
/// (value: address; limit: size)
pub const RELAKIT_ERR_ADDRESS_WRAPS: i32 = -61;
/// All relocation tables together are larger than the file, so they share bytes. Linux takes as long as they say.
/// (value: bytes together; limit: file size)
pub const RELAKIT_ERR_RELOCATIONS_TOO_LARGE: i32 = -62;
/// A relocation uses a symbol that was not resolved: SHN_LIVEPATCH, or SHN_UNDEF and not weak, with value 0.
/// (offset: offset; value: st_shndx)
pub const RELAKIT_ERR_SYMBOL_UNRESOLVED: i32 = -63;
/// The file has no bytes. Linux's finit_module refuses it before the loader looks.
pub const RELAKIT_ERR_EMPTY_FILE: i32 = -64;
/// An unused header (SHT_NULL) has SHF_RELA_LIVEPATCH and a name outside the name table. Linux reads the name.
/// (value: sh_name; limit: table size)
pub const RELAKIT_ERR_KLP_NAME_OUTSIDE: i32 = -65;
/// A section shares bytes of the file with what Linux writes before it reads the section: the section headers, or the per-CPU
/// template (relocation tables and section names).
/// (value: file offset; limit: size)
pub const RELAKIT_ERR_SHARED_BYTES: i32 = -66;
/// An unused header (SHT_NULL) has SHF_ALLOC and leads outside of the file. Linux copies from there.
/// (value: file offset; limit: size)
pub const RELAKIT_ERR_NULL_OUTSIDE: i32 = -67;

// What is wrong with the call itself. Nothing was looked at, nothing was changed.
/// A pointer that must not be NULL is.
/// (value: number of the argument, counted from 1)
pub const RELAKIT_ERR_NULL: i32 = -101;
/// A length that no object has (over PTRDIFF_MAX bytes), or that wraps around the end of the address space.
/// (value: number of the argument, counted from 1; limit: the length)
pub const RELAKIT_ERR_LENGTH: i32 = -102;
/// A pointer is not aligned for what it leads to.
/// (value: number of the argument, counted from 1; limit: bytes it must be a multiple of)
pub const RELAKIT_ERR_ALIGNMENT: i32 = -103;
/// The struct_size of a struct is smaller than the first version of that struct, or unreasonably large.
/// (value: number of the argument, counted from 1; limit: struct_size)
pub const RELAKIT_ERR_STRUCT_SIZE: i32 = -104;
/// A flag that this version does not know, or that this function does not take.
/// (value: number of the argument, counted from 1; limit: the flags)
pub const RELAKIT_ERR_FLAGS: i32 = -105;
/// A member that must be 0 is not: a reserved one, one that this version does not know, or one of a place without
/// RELAKIT_PLACED.
/// (value: number of the argument, counted from 1)
pub const RELAKIT_ERR_RESERVED: i32 = -106;
/// Two pieces of memory overlap that must not.
/// (value: number of the argument, counted from 1; section: the section's index, for places)
pub const RELAKIT_ERR_OVERLAP: i32 = -107;
/// The call is out of order: the module is not in a state in which it can be made.
/// (value: the RELAKIT_STAGE_ it is in)
pub const RELAKIT_ERR_ORDER: i32 = -108;
/// The memory lent for the state of a module is too short.
/// (value: bytes lent; limit: bytes needed)
pub const RELAKIT_ERR_STATE_TOO_SHORT: i32 = -109;
/// The pointer does not lead to a state that relakit_module_init has made, or the state was copied
/// elsewhere.
pub const RELAKIT_ERR_NOT_A_MODULE_STATE: i32 = -110;
/// A callback called back into the module that it is called for.
pub const RELAKIT_ERR_BUSY: i32 = -111;
/// No such profile, or a Linux before 5.8.
/// (value: the profile)
pub const RELAKIT_ERR_PROFILE: i32 = -112;
/// A callback that is needed is NULL.
/// (value: number of the argument, counted from 1)
pub const RELAKIT_ERR_CALLBACK: i32 = -113;
/// Of the two sources of symbol values not exactly one was given.
/// (value: number of the argument, counted from 1)
pub const RELAKIT_ERR_SYMBOLS: i32 = -114;
/// The pointer does not lead to an index that relakit_index_build has made, or the index was copied elsewhere.
pub const RELAKIT_ERR_NOT_AN_INDEX: i32 = -115;

/// The statuses that the core does not have: number, sentence, what value and limit are.
const CALL_STATUSES: &[(relakit_status, &CStr, [&CStr; 2])] = &[
    (RELAKIT_OK, c"success", [c"", c""]),
    (RELAKIT_NONE, c"no such thing", [c"", c""]),
    (RELAKIT_ERR_NULL, c"pointer is NULL", [c"argument", c""]),
    (RELAKIT_ERR_LENGTH, c"impossible length", [c"argument", c"length"]),
    (RELAKIT_ERR_ALIGNMENT, c"pointer is not aligned", [c"argument", c"multiple of"]),
    (RELAKIT_ERR_STRUCT_SIZE, c"impossible struct_size", [c"argument", c"struct_size"]),
    (RELAKIT_ERR_FLAGS, c"unknown flag", [c"argument", c"flags"]),
    (RELAKIT_ERR_RESERVED, c"member that must be 0 is not", [c"argument", c""]),
    (RELAKIT_ERR_OVERLAP, c"memory overlaps", [c"argument", c""]),
    (RELAKIT_ERR_ORDER, c"call out of order", [c"stage", c""]),
    (
        RELAKIT_ERR_STATE_TOO_SHORT,
        c"memory lent for the state is too short",
        [c"bytes lent", c"bytes needed"],
    ),
    (RELAKIT_ERR_NOT_A_MODULE_STATE, c"not the state of a module", [c"", c""]),
    (RELAKIT_ERR_BUSY, c"called back into the module by its own callback", [c"", c""]),
    (RELAKIT_ERR_PROFILE, c"unknown profile", [c"profile", c""]),
    (RELAKIT_ERR_CALLBACK, c"callback is NULL", [c"argument", c""]),
    (RELAKIT_ERR_SYMBOLS, c"not exactly one source of symbol values", [c"argument", c""]),
    (RELAKIT_ERR_NOT_AN_INDEX, c"not an index of names", [c"", c""]),
];

/// The row of a status that the core does not have.
fn call_status(
    status: relakit_status,
) -> Option<&'static (relakit_status, &'static CStr, [&'static CStr; 2])> {
    CALL_STATUSES.iter().find(|row| row.0 == status)
}

/// The core's kind of a status, if it is one of the core's.
fn kind(status: relakit_status) -> Option<ErrorKind> {
    ErrorKind::ALL.iter().copied().find(|kind| *kind as i32 == status)
}

/// One sentence that says what a status means, in English, without a full stop. Never NULL, also for a number that is
/// no status. The text is constant and lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_strerror(status: relakit_status) -> *const c_char {
    let text = match kind(status) {
        Some(kind) => kind.message(),
        None => call_status(status).map_or(c"unknown status", |row| row.1),
    };
    text.as_ptr()
}

/// The errno that Linux's module loader answers with in this case, as a positive number of x86-64 (ENOENT 2, ENOEXEC
/// 8, EINVAL 22); 0 where Linux would notice nothing or has no such call.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_linux_errno(status: relakit_status) -> i32 {
    kind(status).map_or(0, ErrorKind::linux_errno)
}

/// What relakit_error's offset (which = 0), value (1) or limit (2) is when a function returns this status, such as "section
/// size"; the empty string when it is not used, NULL for another which. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_number_name(status: relakit_status, which: u32) -> *const c_char {
    let names = match (kind(status), call_status(status)) {
        (Some(kind), _) => kind.number_c_names(),
        (None, Some(&(_, _, [value, limit]))) => [c"", value, limit],
        (None, None) => [c""; 3],
    };
    let name = usize::try_from(which).ok().and_then(|which| names.get(which));
    name.map_or(ptr::null(), |name| name.as_ptr())
}
