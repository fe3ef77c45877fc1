//! Every status that a function can return.
//!
//! The parentheses have the meaning of the members `offset`, `value` and `limit` of struct
//! relakit_error; a target is given as its section index. If error->entry is valid, error->offset
//! is r_offset. Groups of errors that several functions return:
//! - Argument errors. Every function can return them. error->value is the number of the argument,
//!   counted from 1: RELAKIT_ERR_NULL, RELAKIT_ERR_LENGTH, RELAKIT_ERR_ALIGNMENT,
//!   RELAKIT_ERR_STRUCT_SIZE, RELAKIT_ERR_FLAGS, RELAKIT_ERR_RESERVED, RELAKIT_ERR_OVERLAP,
//!   RELAKIT_ERR_CALLBACK, RELAKIT_ERR_SYMBOLS.
//! - Option errors. Every function with `options` can return them: RELAKIT_ERR_PROFILE,
//!   RELAKIT_ERR_FLAGS_CONFLICT.
//! - Module errors. Every function that takes a struct relakit_module can return them. The
//!   description of the function lists the stages that allow the call: RELAKIT_ERR_ORDER,
//!   RELAKIT_ERR_NOT_A_MODULE_STATE, RELAKIT_ERR_BUSY.
//! - Pass errors. The descriptions of the functions name this group: RELAKIT_ERR_SYMBOL_INDEX,
//!   RELAKIT_ERR_UNKNOWN_TYPE, RELAKIT_ERR_OVERFLOW, RELAKIT_ERR_OFFSET_OUTSIDE,
//!   RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_WRITER, RELAKIT_ERR_SYNC, RELAKIT_ERR_NOT_UNDONE.
//! - Livepatch symbol errors. The descriptions of the functions name this group:
//!   RELAKIT_ERR_NOT_KLP_SYMBOL, RELAKIT_ERR_BAD_SYMBOL_NAME, RELAKIT_ERR_BAD_KLP_SYMBOL_NAME,
//!   RELAKIT_ERR_VMLINUX_FROM_MODULE, RELAKIT_ERR_KLP_NOT_FOUND, RELAKIT_ERR_KLP_AMBIGUOUS,
//!   RELAKIT_ERR_KLP_SYMPOS, RELAKIT_ERR_RESOLVER.

use crate::types::relakit_status;
use core::ffi::c_char;
use core::ptr;
use relakit::text::{Texts, texts};
use relakit::{ErrorKind, Profile};

/// Success.
pub const RELAKIT_OK: i32 = 0;
/// The requested item does not exist. This is a result, not an error.
pub const RELAKIT_NOT_FOUND: i32 = 1;
/// Result of a callback for symbol values: relakit skips the relocations with this symbol. No
/// function returns it.
pub const RELAKIT_SKIP: i32 = 2;

// Errors of the core, with its numbers.
/// A table, a section or a record ends after the end of the file. (offset: file offset; value:
/// size; limit: file size)
pub const RELAKIT_ERR_TRUNCATED: i32 = -1;
/// The file does not begin with the ELF magic. (value: first four bytes)
pub const RELAKIT_ERR_NOT_ELF: i32 = -2;
/// e_ident is not ELF64, little-endian, version 1 (gABI 4). Linux does not check this. (offset:
/// file offset; value: byte; limit: expected)
pub const RELAKIT_ERR_BAD_IDENT: i32 = -3;
/// e_type is not ET_REL. (value: e_type; limit: expected)
pub const RELAKIT_ERR_NOT_RELOCATABLE: i32 = -4;
/// e_machine is not EM_X86_64. (value: e_machine; limit: expected)
pub const RELAKIT_ERR_WRONG_MACHINE: i32 = -5;
/// e_shentsize is not the size of a section header. (value: e_shentsize; limit: expected)
pub const RELAKIT_ERR_BAD_HEADER_SIZE: i32 = -6;
/// Section 0 is not empty: its type must be SHT_NULL, its address 0, and its size 0 unless it has
/// the number of sections (RELAKIT_ERR_NO_SECTIONS). (value: content of the wrong member)
pub const RELAKIT_ERR_BAD_SECTION_ZERO: i32 = -7;
/// The file has more sections than 32-bit indices can number. (value: number; limit: largest)
pub const RELAKIT_ERR_TOO_MANY_SECTIONS: i32 = -8;
/// The file has no section headers. With Linux also: e_shnum is 0, and sh_size of section 0 has the
/// number, because it does not fit e_shnum. (value: e_shnum)
pub const RELAKIT_ERR_NO_SECTIONS: i32 = -9;
/// e_shstrndx is not a string table that ends with NUL. (value: e_shstrndx; limit: sections)
pub const RELAKIT_ERR_BAD_NAME_TABLE: i32 = -10;
/// sh_name is outside the section name table, or the name does not end inside the table. (value:
/// sh_name; limit: table size)
pub const RELAKIT_ERR_BAD_SECTION_NAME: i32 = -11;
/// The file has no symbol table.
pub const RELAKIT_ERR_NO_SYMBOL_TABLE: i32 = -12;
/// The file has more than one symbol table. (value: section index of the first one)
pub const RELAKIT_ERR_MANY_SYMBOL_TABLES: i32 = -13;
/// sh_link of the symbol table is not the index of a string table, or the profile does not accept
/// that string table. (value: sh_link; limit: sections)
pub const RELAKIT_ERR_BAD_STRING_TABLE: i32 = -14;
/// st_name is outside the string table, or the name does not end inside the table.
/// (value: st_name; limit: table size)
pub const RELAKIT_ERR_BAD_SYMBOL_NAME: i32 = -15;
/// The size of a relocation table or of a symbol table is not a multiple of 24 bytes. Linux ignores
/// the remainder. (value: size; limit: size of the remainder)
pub const RELAKIT_ERR_PARTIAL_ENTRY: i32 = -16;
/// A symbol index is not in the symbol table. (limit: number of symbols)
pub const RELAKIT_ERR_SYMBOL_INDEX: i32 = -17;
/// st_shndx is the index of a section that does not exist, or a reserved index that modules cannot
/// use. (value: st_shndx; limit: sections)
pub const RELAKIT_ERR_SYMBOL_SECTION: i32 = -18;
/// The module has a common symbol. Compile it with -fno-common. (value: st_size)
pub const RELAKIT_ERR_COMMON_SYMBOL: i32 = -19;
/// A symbol is undefined and not weak, and the resolver does not find it.
pub const RELAKIT_ERR_UNKNOWN_SYMBOL: i32 = -20;
/// A relocation uses a symbol whose section has no memory. (value: section index of the symbol)
pub const RELAKIT_ERR_SYMBOL_UNASSIGNED: i32 = -21;
/// The buffer for symbol values is too short. (value: entries provided; limit: entries needed)
pub const RELAKIT_ERR_VALUES_TOO_SHORT: i32 = -22;
/// A callback of the resolver failed. (value: result of the callback)
pub const RELAKIT_ERR_RESOLVER: i32 = -23;
/// A section has SHF_RELA_LIVEPATCH, but its name does not begin with .klp.rela.<object>.
pub const RELAKIT_ERR_BAD_KLP_SECTION_NAME: i32 = -24;
/// A livepatch relocation uses a symbol that is not SHN_LIVEPATCH. (value: st_shndx)
pub const RELAKIT_ERR_NOT_KLP_SYMBOL: i32 = -25;
/// The name of a livepatch symbol is not .klp.sym.<object>.<name>,<sympos>, or this part of it is
/// longer than 4096 bytes.
pub const RELAKIT_ERR_BAD_KLP_SYMBOL_NAME: i32 = -26;
/// A livepatch section for a module uses a symbol of vmlinux. Only sections for vmlinux may.
pub const RELAKIT_ERR_VMLINUX_FROM_MODULE: i32 = -27;
/// The patched object has no symbol of that name, or its value is 0. (value: sympos)
pub const RELAKIT_ERR_KLP_NOT_FOUND: i32 = -28;
/// sympos is 0, so the name must be unique, but it is not in the patched object. (value: sympos)
pub const RELAKIT_ERR_KLP_AMBIGUOUS: i32 = -29;
/// The patched object has fewer than sympos symbols of that name. (value: sympos)
pub const RELAKIT_ERR_KLP_SYMPOS: i32 = -30;
/// A late section is not SHF_ALLOC, so its memory is freed before its patched object is loaded.
/// Linux would read freed memory. (value: sh_flags)
pub const RELAKIT_ERR_LATE_NOT_ALLOCATED: i32 = -31;
/// sh_info of a relocation section is not the index of a section that can be relocated. For a late
/// section Linux would write through a wild pointer. (value: sh_info; limit: sections)
pub const RELAKIT_ERR_TARGET_OUT_OF_RANGE: i32 = -32;
/// The target of a late section is not in memory. Linux would write to freed memory. (value:
/// target; limit: sh_flags of the target)
pub const RELAKIT_ERR_TARGET_NOT_ALLOCATED: i32 = -33;
/// The target of a late section is the per-CPU template, which Linux has freed. (value: target)
pub const RELAKIT_ERR_TARGET_PER_CPU: i32 = -34;
/// The target is the symbol table or its string table, which the pass reads. (value: target)
pub const RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE: i32 = -35;
/// A livepatch section has no content in the file (SHT_NOBITS or SHT_NULL). (value: sh_size)
pub const RELAKIT_ERR_NO_RELOCATION_BYTES: i32 = -36;
/// The section is of type SHT_REL, which x86-64 does not use (psABI 4.4). (value: target)
pub const RELAKIT_ERR_REL_SECTION: i32 = -37;
/// The options do not support the relocation type, see RELAKIT_OPT_EXTRA_TYPES. A type such as
/// R_X86_64_GOTPCREL means position-independent code: docs/modules.md says how to compile.
pub const RELAKIT_ERR_UNKNOWN_TYPE: i32 = -38;
/// The value does not fit its field: the symbol is out of reach. docs/modules.md says how to
/// compile a module for a code model. (value: computed value; limit: largest value that fits)
pub const RELAKIT_ERR_OVERFLOW: i32 = -39;
/// The field is not inside the target section. (value: field size; limit: section size)
pub const RELAKIT_ERR_OFFSET_OUTSIDE: i32 = -40;
/// The field is not zero before the relocation, see RELAKIT_OPT_ALLOW_NONZERO. (value: computed
/// value; limit: content of the field)
pub const RELAKIT_ERR_TARGET_NOT_ZERO: i32 = -41;
/// The field to be cleared does not hold the value that the relocation wrote, because other code
/// has changed it. (value: expected content; limit: content of the field)
pub const RELAKIT_ERR_TARGET_MISMATCH: i32 = -42;
/// The `read` or `write` callback of the writer failed. The pass is rolled back, so nothing is
/// changed. (value: result of the callback)
pub const RELAKIT_ERR_WRITER: i32 = -43;
/// The `sync` callback of the writer failed. The pass is rolled back, so nothing is changed.
/// (value: result of the callback)
pub const RELAKIT_ERR_SYNC: i32 = -44;
/// A callback of the writer failed, and the rollback failed too or is impossible
/// (RELAKIT_OPT_ALLOW_NONZERO). In section error->section, error->entry is the last entry that is
/// still relocated: the entries 0 to error->entry hold their values. The later entries are as
/// before the call, or cleared if the pass was clearing. If RELAKIT_ERROR_HAS_ENTRY is not set, no
/// entry of this section is relocated. Other sections of the call can also be changed. (value:
/// result of the callback)
pub const RELAKIT_ERR_NOT_UNDONE: i32 = -45;
/// The field of error->entry overlaps the field before it, or has a smaller offset. The result of
/// such a table depends on the writes, so a check without writes is impossible.
pub const RELAKIT_ERR_FIELDS_NOT_ASCENDING: i32 = -46;
/// A section that is needed has no memory. For struct relakit_sechdrs: sh_addr is NULL (with a
/// writer, that of a target may be NULL). (value: sh_size)
pub const RELAKIT_ERR_NOT_ASSIGNED: i32 = -47;
/// Section memory has a wrong size. (value: bytes provided; limit: bytes needed)
pub const RELAKIT_ERR_ASSIGNED_SIZE: i32 = -48;
/// The name of the patched object is empty, or is "vmlinux". (value: length of the name)
pub const RELAKIT_ERR_NOT_A_MODULE: i32 = -49;
/// The relocations of this patched object are applied already.
pub const RELAKIT_ERR_ALREADY_LIVE: i32 = -50;
/// The relocations of this patched object are not applied.
pub const RELAKIT_ERR_NOT_LIVE: i32 = -51;
/// The buffer for the retained state is too short. (value: bytes provided; limit: bytes needed)
pub const RELAKIT_ERR_RETAINED_TOO_SHORT: i32 = -52;
/// A section's address has changed since relakit_module_retain. (value: address; limit: old one)
pub const RELAKIT_ERR_SECTION_MOVED: i32 = -53;
/// A list of patched objects is full. No function returns this. (limit: largest number)
pub const RELAKIT_ERR_TOO_MANY_OBJECTS: i32 = -54;
/// No section has the index, or it is 0 and must not be. (value: index; limit: sections)
pub const RELAKIT_ERR_NO_SUCH_SECTION: i32 = -55;
/// The section is not of type SHT_RELA. (value: sh_type)
pub const RELAKIT_ERR_NOT_RELOCATIONS: i32 = -56;
/// The target overlaps section headers, symbols, names or relocations that the pass uses. With a
/// writer the check uses sh_addr, unless RELAKIT_WRITER_FOREIGN is set. (value: target)
pub const RELAKIT_ERR_TARGET_OVERLAPS: i32 = -57;
/// The buffer for an index of names is too short. (value: bytes provided; limit: bytes needed)
pub const RELAKIT_ERR_INDEX_TOO_SHORT: i32 = -58;
/// Two SHT_SYMTAB_SHNDX sections belong to the symbol table. The specification does not say which
/// one takes precedence. Linux does not check this. (value: section index of the first one)
pub const RELAKIT_ERR_MANY_SECTION_INDICES: i32 = -59;
/// The target is a relocation section. Linux would apply its changed entries. (value: target)
pub const RELAKIT_ERR_TARGET_IS_RELOCATIONS: i32 = -60;
/// The address of the last byte of the section would be greater than 2^64 - 1. For struct
/// relakit_sechdrs also: the section has 2^63 bytes or more. (value: address; limit: size)
pub const RELAKIT_ERR_ADDRESS_WRAPS: i32 = -61;
/// All relocation tables together are larger than the file, so some share bytes. Linux accepts this
/// and can take very long. (value: size of all tables; limit: file size)
pub const RELAKIT_ERR_RELOCATIONS_TOO_LARGE: i32 = -62;
/// A symbol of a symbol table is not resolved: its value is 0, and it is SHN_LIVEPATCH, or
/// SHN_UNDEF and not weak. See RELAKIT_OPT_ALLOW_ZERO_SYMBOLS. (value: st_shndx)
pub const RELAKIT_ERR_SYMBOL_UNRESOLVED: i32 = -63;
/// The file has 0 bytes. Linux's finit_module returns an error before the loader reads it.
pub const RELAKIT_ERR_EMPTY_FILE: i32 = -64;
/// An unused header (SHT_NULL) has SHF_RELA_LIVEPATCH, and its name is outside the section name
/// table. Linux would read outside the table. (value: sh_name; limit: table size)
pub const RELAKIT_ERR_KLP_NAME_OUTSIDE: i32 = -65;
/// Linux: a section shares bytes of the file with the section headers, or relocations or section
/// names share bytes with the per-CPU section. Linux changes these bytes before it reads the
/// section. (value: file offset; limit: size)
pub const RELAKIT_ERR_SHARED_BYTES: i32 = -66;
/// Linux: an unused header (SHT_NULL) has SHF_ALLOC, and its content is outside the file. Linux
/// would copy that content. (value: file offset; limit: size)
pub const RELAKIT_ERR_NULL_OUTSIDE: i32 = -67;
/// RELAKIT_OPT_ALLOW_NONZERO and RELAKIT_OPT_ADD_TO_FIELD are both set. (value: the flags,
/// including those of the profile)
pub const RELAKIT_ERR_FLAGS_CONFLICT: i32 = -68;
/// A relocation table overlaps memory that the call writes: the symbol table or a caller-provided
/// buffer. (value: size of the table)
pub const RELAKIT_ERR_TABLE_OVERLAPS: i32 = -69;
/// sh_addralign of a section is not a power of two. Without RELAKIT_ERROR_HAS_SECTION, the page
/// size is not a power of two. (value: the alignment)
pub const RELAKIT_ERR_BAD_ALIGNMENT: i32 = -70;
/// The layout has more than 2^63 - 1 bytes, or ends after the end of the address space, or has
/// offsets of more than the 32 bits that Linux has. (value: bytes needed, or UINT64_MAX if that is
/// more than 64 bits; limit: largest size)
pub const RELAKIT_ERR_LAYOUT_TOO_LARGE: i32 = -71;
/// The address is not a multiple of the alignment. (value: address; limit: alignment)
pub const RELAKIT_ERR_ADDRESS_MISALIGNED: i32 = -72;
/// `read` of a verifier failed, so not everything was verified. (offset: offset in the section;
/// value: its result)
pub const RELAKIT_ERR_READER: i32 = -73;
/// The memory for the expected content of a verification is behind a writer.
pub const RELAKIT_ERR_NOT_PLAIN: i32 = -74;
/// The buffer for the plan of a GOT is too short. (value: words provided; limit: words needed)
pub const RELAKIT_ERR_GOT_PLAN_TOO_SHORT: i32 = -75;
/// A relocation refers to the GOT slot of a symbol that has none, because the GOT was planned
/// without this table. (offset: r_offset)
pub const RELAKIT_ERR_NO_GOT_SLOT: i32 = -76;

// Errors of the call itself.
/// A pointer that must not be NULL is NULL.
pub const RELAKIT_ERR_NULL: i32 = -101;
/// A buffer has more than PTRDIFF_MAX bytes or ends after the end of the address space, or the
/// stride of a table is too small. (limit: the length)
pub const RELAKIT_ERR_LENGTH: i32 = -102;
/// A pointer does not have the alignment of its type. (limit: required alignment in bytes)
pub const RELAKIT_ERR_ALIGNMENT: i32 = -103;
/// struct_size is less than that of the first version, or more than 4096. (limit: struct_size)
pub const RELAKIT_ERR_STRUCT_SIZE: i32 = -104;
/// A flag is unknown to this version, or the function does not accept it. (limit: the flags)
pub const RELAKIT_ERR_FLAGS: i32 = -105;
/// A member that must be 0 is not 0: a reserved member, a member of a newer version, or one that
/// must be unused with these flags or with a writer.
pub const RELAKIT_ERR_RESERVED: i32 = -106;
/// Two buffers overlap. If one is the memory of a section, error->section is valid.
pub const RELAKIT_ERR_OVERLAP: i32 = -107;
/// The module is in a stage that does not allow this call. (value: RELAKIT_STAGE_ number)
pub const RELAKIT_ERR_ORDER: i32 = -108;
/// The buffer for a module's state is too short. (value: bytes provided; limit: bytes needed)
pub const RELAKIT_ERR_STATE_TOO_SHORT: i32 = -109;
/// The pointer is not a state that relakit_module_init made, or the state was copied.
pub const RELAKIT_ERR_NOT_A_MODULE_STATE: i32 = -110;
/// A callback called relakit with the module for which the callback runs.
pub const RELAKIT_ERR_BUSY: i32 = -111;
/// The profile is unknown, or is Linux before RELAKIT_LINUX(5, 8). (value: the profile)
pub const RELAKIT_ERR_PROFILE: i32 = -112;
/// A required callback or a required writer is NULL.
pub const RELAKIT_ERR_CALLBACK: i32 = -113;
/// `count` is not 0, and none or several of `values`, `symtab` and `value` are set.
pub const RELAKIT_ERR_SYMBOLS: i32 = -114;
/// The pointer is not an index of names from relakit_index_build, or the index was copied.
pub const RELAKIT_ERR_NOT_AN_INDEX: i32 = -115;

/// Each row is a status that the core does not have: number, message, meaning of `value` and
/// `limit` ("" if not used).
macro_rules! call_statuses {
    ($($number:ident, $text:literal, [$value:literal $limit:literal];)*) => {
        /// The row of a status in the tables below. The last row is for unknown numbers.
        fn row(status: relakit_status) -> usize {
            static NUMBERS: &[relakit_status] = &[$($number),*];
            NUMBERS.iter().position(|number| *number == status).unwrap_or(NUMBERS.len())
        }

        const fn messages() -> Texts {
            texts!($($text,)* "unknown status")
        }

        const fn meanings() -> Texts {
            texts!($($value, $limit,)*)
        }
    };
}

call_statuses! {
    RELAKIT_OK, "success", ["" ""];
    RELAKIT_NOT_FOUND, "not found", ["" ""];
    RELAKIT_SKIP, "skip", ["" ""];
    RELAKIT_ERR_NULL, "pointer is NULL", ["argument" ""];
    RELAKIT_ERR_LENGTH, "invalid length", ["argument" "length"];
    RELAKIT_ERR_ALIGNMENT, "misaligned pointer", ["argument" "alignment"];
    RELAKIT_ERR_STRUCT_SIZE, "invalid struct_size", ["argument" "struct_size"];
    RELAKIT_ERR_FLAGS, "unknown or unsupported flag", ["argument" "flags"];
    RELAKIT_ERR_RESERVED, "member that must be 0 is not 0", ["argument" ""];
    RELAKIT_ERR_OVERLAP, "buffers overlap", ["argument" ""];
    RELAKIT_ERR_ORDER, "call is not allowed in this stage", ["stage" ""];
    RELAKIT_ERR_STATE_TOO_SHORT, "buffer for the module state is too short", ["bytes provided" "bytes needed"];
    RELAKIT_ERR_NOT_A_MODULE_STATE, "not a module state", ["" ""];
    RELAKIT_ERR_BUSY, "callback called relakit with its own module", ["" ""];
    RELAKIT_ERR_PROFILE, "unknown profile", ["profile" ""];
    RELAKIT_ERR_CALLBACK, "required callback or writer is NULL", ["argument" ""];
    RELAKIT_ERR_SYMBOLS, "not exactly one of values, symtab and value is set", ["argument" ""];
    RELAKIT_ERR_NOT_AN_INDEX, "not a name index", ["" ""];
}

/// The indices of the meanings of `value` and `limit` in their table.
fn value_and_limit(status: relakit_status) -> [usize; 2] {
    let first = row(status).saturating_mul(2);
    [first, first.saturating_add(1)]
}

/// Returns the message of a status, and the meaning of offset, value and limit.
pub(crate) fn texts_of(status: relakit_status) -> (&'static str, [&'static str; 3]) {
    match ErrorKind::from_number(status) {
        Some(kind) => (kind.text(), kind.field_names()),
        None => {
            let [value, limit] = value_and_limit(status).map(|index| meanings().get(index));
            (messages().get(row(status)), ["", value, limit])
        }
    }
}

/// Returns the meaning of a status: an English text without a full stop. It never returns NULL:
/// for an unknown number the text is "unknown status". The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_strerror(status: relakit_status) -> *const c_char {
    let text = match ErrorKind::from_number(status) {
        Some(kind) => kind.message(),
        None => messages().c_str(row(status)),
    };
    text.as_ptr()
}

/// Returns the errno of Linux's module loader for the same error, as a positive number, with the
/// values of Linux on x86-64: ENOENT 2, ENOEXEC 8, EINVAL 22. It returns 0 if Linux does not detect
/// the error, or if the error is about a function that Linux does not have.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_linux_errno(status: relakit_status) -> i32 {
    ErrorKind::from_number(status).map_or(0, Profile::linux_errno)
}

/// Returns the meaning of a member of struct relakit_error for a status, such as "section size".
/// `member` is 0 for `offset`, 1 for `value`, 2 for `limit`. The function returns "" if the status
/// does not use the member, and NULL if `member` is greater than 2. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_error_field_name(status: relakit_status, member: u32) -> *const c_char {
    let names = match ErrorKind::from_number(status) {
        Some(kind) => kind.field_c_names(),
        None => {
            let [value, limit] = value_and_limit(status).map(|index| meanings().c_str(index));
            [c"", value, limit]
        }
    };
    let name = usize::try_from(member).ok().and_then(|member| names.get(member));
    name.map_or(ptr::null(), |name| name.as_ptr())
}
