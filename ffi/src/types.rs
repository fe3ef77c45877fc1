//! Level 1: options, errors, symbol values and memory, also for the other levels.

use core::ffi::c_void;

/// RELAKIT_OK, RELAKIT_NOT_FOUND or a RELAKIT_ERR_ number. A number is never reused.
pub type relakit_status = i32;

/// relakit_options.flags: RELAKIT_OPT_ flags.
pub type relakit_option_flags = u32;
/// Writes the low 32 bits of a PC32 or PLT32 value that does not fit its field, as Linux does.
/// Without this flag such a value is an error, as the psABI requires.
pub const RELAKIT_OPT_TRUNCATE_PC32: relakit_option_flags = 1;
/// Accepts fields that are not zero before their relocation, for loaders that reuse memory. Without
/// this flag or RELAKIT_OPT_ADD_TO_FIELD they are an error, as in Linux. A pass through a writer
/// then has no rollback: if the writer fails after the first write, the function returns
/// RELAKIT_ERR_NOT_UNDONE. In plain memory a pass still applies all entries or changes nothing.
pub const RELAKIT_OPT_ALLOW_NONZERO: relakit_option_flags = 2;
/// Adds the value to the content of the field, for formats that store a part of the addend there.
/// The content has the size of the field, and is sign-extended except for the types 64, PC64 and
/// 32. The sum must fit; error->value is the sum. Rollback and relakit_clear subtract the value,
/// which restores the old content. If other code has changed a field since, clearing notices it
/// only if the difference does not fit (RELAKIT_ERR_OVERFLOW). RELAKIT_OPT_REPORT_NONZERO_FIRST has
/// no effect, and RELAKIT_OPT_ALLOW_NONZERO must not be set.
pub const RELAKIT_OPT_ADD_TO_FIELD: relakit_option_flags = 32;
/// Checks that the field is zero before it checks that the value fits. The order decides which
/// error is returned if both fail. Profiles before RELAKIT_LINUX(6, 3) always use this order.
pub const RELAKIT_OPT_REPORT_NONZERO_FIRST: relakit_option_flags = 4;
/// Also accepts the types 8, 16, PC8 and PC16. Linux does not support them.
pub const RELAKIT_OPT_EXTRA_TYPES: relakit_option_flags = 8;
/// In a symbol table, accepts st_value 0 for a symbol that is SHN_LIVEPATCH, or SHN_UNDEF and not
/// weak. Without this flag it is RELAKIT_ERR_SYMBOL_UNRESOLVED, because 0 usually means that the
/// table is not resolved yet. A loader that is part of Linux should set this flag: the value of the
/// per-CPU symbol fixed_percpu_data, which kvm-intel.ko uses, is 0.
pub const RELAKIT_OPT_ALLOW_ZERO_SYMBOLS: relakit_option_flags = 16;

/// relakit_options.profile: one of these numbers, or RELAKIT_LINUX(major, minor).
pub type relakit_profile = u32;
/// The default profile. It has the strict rules of RELAKIT_PROFILE_ELF.
pub const RELAKIT_PROFILE_DEFAULT: relakit_profile = 0;
/// The strict rules: the gABI and the psABI as written. Livepatch sections work as in the newest
/// Linux version that relakit knows. These are errors, although versions of Linux accept them: an
/// e_ident that is not ELF64, little-endian, version 1; a symbol name outside the string table; a
/// relocation section whose target does not exist; a second SHT_SYMTAB_SHNDX section for the symbol
/// table; a PC32 or PLT32 value that does not fit.
pub const RELAKIT_PROFILE_ELF: relakit_profile = 0x8000_0001;
/// As ELF, for Xen's livepatch payloads: the types NONE, 64, PC32 and PLT32; the content of a field
/// is ignored (RELAKIT_OPT_ALLOW_NONZERO); no livepatch sections in the format of Linux.
pub const RELAKIT_PROFILE_XEN: relakit_profile = 0x8000_0002;
/// As ELF, for GRUB's modules: the types 64, PC32, PLT32, PC64, 32 and 32S, but not NONE; the value
/// is added to the field (RELAKIT_OPT_ADD_TO_FIELD); no livepatch sections.
pub const RELAKIT_PROFILE_GRUB: relakit_profile = 0x8000_0003;
/// As ELF, for FreeBSD's kernel objects: the types NONE, 64, PC32, PLT32 and 32S; the content of a
/// field is ignored; PC32 and PLT32 are truncated; no livepatch sections. FreeBSD also truncates
/// 32S; with this profile a value of 32S must fit.
pub const RELAKIT_PROFILE_FREEBSD: relakit_profile = 0x8000_0004;
/// As ELF, for kexec's purgatory: all types of Linux except PC64; the content of a field is
/// ignored; PC32 and PLT32 are truncated; no livepatch sections.
pub const RELAKIT_PROFILE_KEXEC: relakit_profile = 0x8000_0005;

/// Flags and profile of a call. NULL means no flags and RELAKIT_PROFILE_DEFAULT, so the rules are
/// strict. A caller that wants the rules of Linux names the version: RELAKIT_LINUX(6, 12). The
/// functions of level 1, relakit_apply_relocate_add and relakit_clear_relocate_add take every flag.
/// Others take RELAKIT_OPT_TRUNCATE_PC32 only; their other rules come from the profile.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_options {
    /// sizeof(struct relakit_options).
    pub struct_size: u32,
    /// RELAKIT_OPT_TRUNCATE_PC32 and other flags, or 0.
    pub flags: relakit_option_flags,
    /// A RELAKIT_PROFILE_ number or RELAKIT_LINUX(major, minor), from 5.8 on. A version between two
    /// known ones has the rules of the older one.
    pub profile: relakit_profile,
    /// Must be 0.
    pub reserved: u32,
}

/// relakit_error.has: RELAKIT_ERROR_HAS_ flags.
pub type relakit_error_has = u32;
/// relakit_error.section is valid. For a relocation it is the section that holds it, not its
/// target. For RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE, RELAKIT_ERR_ADDRESS_WRAPS and
/// RELAKIT_ERR_SECTION_MOVED it is the section whose memory is wrong. Level 1 never sets it.
pub const RELAKIT_ERROR_HAS_SECTION: relakit_error_has = 1;
/// relakit_error.entry is valid: the index of the relocation in its section, counted from 0.
pub const RELAKIT_ERROR_HAS_ENTRY: relakit_error_has = 2;
/// relakit_error.symbol is valid: the index of the symbol in the symbol table.
pub const RELAKIT_ERROR_HAS_SYMBOL: relakit_error_has = 4;
/// relakit_error.r_type is valid: the psABI number of the relocation type.
pub const RELAKIT_ERROR_HAS_TYPE: relakit_error_has = 8;

/// Describes an error. If a function fails, it writes all members; otherwise it writes none. The
/// size of this struct never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_error {
    /// The status that the function returned.
    pub status: relakit_status,
    /// relakit_linux_errno(status).
    pub linux_errno: i32,
    /// RELAKIT_ERROR_HAS_ flags of the next four members. Others are 0.
    pub has: relakit_error_has,
    /// See RELAKIT_ERROR_HAS_SECTION.
    pub section: u32,
    /// See RELAKIT_ERROR_HAS_SYMBOL.
    pub symbol: u32,
    /// See RELAKIT_ERROR_HAS_TYPE. relakit_type_name returns its name.
    pub r_type: u32,
    /// See RELAKIT_ERROR_HAS_ENTRY.
    pub entry: u64,
    /// r_offset or an offset in the file, in bytes. The RELAKIT_ERR_ numbers list the meaning of
    /// `offset`, `value` and `limit` in parentheses. relakit_error_field_name returns it.
    pub offset: u64,
    /// The number that caused the error, or the result of a callback, sign-extended to 64 bits.
    pub value: u64,
    /// A second number, often the one that `value` was compared with.
    pub limit: u64,
    /// 0.
    pub reserved: u64,
}

/// Symbol values by symbol index. Set one of `values`, `symtab` and `value`, and leave the other
/// two NULL. If `count` is 0, all three may be NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_symbols {
    /// An array with one value for each symbol, aligned to 8 bytes. This is the faster form.
    pub values: *const u64,
    /// An array of Elf64_Sym whose st_value members are the resolved values. It needs no alignment.
    /// The symbol table of a file is not resolved: its st_value members are offsets in sections, or
    /// 0. relakit detects 0, see RELAKIT_OPT_ALLOW_ZERO_SYMBOLS, but not an offset in a section.
    pub symtab: *const c_void,
    /// Number of symbols, including the null symbol.
    pub count: usize,
    /// Callback for the value of one symbol, slower than an array. relakit calls it once or more
    /// for each relocation. `symbol` is less than `count`. The callback returns one of these
    /// numbers:
    /// RELAKIT_OK (0)         *value is the symbol's value;
    /// RELAKIT_SKIP (2)       relocations with this symbol are skipped: neither checked nor written;
    /// RELAKIT_NOT_FOUND (1)  the call fails with RELAKIT_ERR_UNKNOWN_SYMBOL;
    /// any other number       the call fails with RELAKIT_ERR_RESOLVER; error->value is the number.
    /// The result for a symbol must not change during one call of relakit. After an error, relakit
    /// calls it again for the rollback if relocations were skipped, with RELAKIT_OPT_ADD_TO_FIELD,
    /// and in relakit_clear. If it then fails, the call returns RELAKIT_ERR_NOT_UNDONE. If it then
    /// gives another result, fields of the table can have a wrong content.
    pub value: Option<unsafe extern "C" fn(ctx: *mut c_void, symbol: u32, value: *mut u64) -> i32>,
    /// First argument of `value`.
    pub ctx: *mut c_void,
}

/// relakit_writer.flags: RELAKIT_WRITER_ flags. No other family of flags has these numbers.
pub type relakit_writer_flags = u32;
/// Addresses belong to another address space, such as a guest. Without this flag relakit refuses a
/// section whose addresses overlap memory that the call uses.
pub const RELAKIT_WRITER_FOREIGN: relakit_writer_flags = 0x100;

/// Callbacks for memory that relakit cannot write directly: kernel text, a guest, a bounce buffer.
///
/// A pass over one section has these steps:
/// - It calls `read` for every field and checks it. If a field cannot be relocated, the pass ends.
///   If fields overlap or do not ascend, clearing omits this step.
/// - It writes the fields in the order of the table, or in the reverse order if it clears them. For
///   each field it calls `read` once more, then `write` once.
/// - It calls `sync` once. A call with several sections checks and writes them one after the other,
///   and calls `sync` once after the last. With RELAKIT_OPT_ALLOW_NONZERO it checks all sections
///   before it writes the first.
/// - Rollback: if a step fails after the first write, relakit restores the fields with `write`, in
///   the reverse order, and calls `sync`. With RELAKIT_OPT_ALLOW_NONZERO there is no rollback.
///
/// `address` is the run-time address of the field, `offset` its offset in the section, `size` its
/// size: 1, 2, 4 or 8 bytes. A callback returns 0 for success. Any other number makes the call fail
/// with RELAKIT_ERR_WRITER (`read`, `write`) or RELAKIT_ERR_SYNC (`sync`). If `write` fails, it
/// must not have written anything.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_writer {
    /// sizeof(struct relakit_writer).
    pub struct_size: u32,
    /// RELAKIT_WRITER_FOREIGN, or 0.
    pub flags: relakit_writer_flags,
    /// First argument of each callback.
    pub ctx: *mut c_void,
    /// Reads `size` bytes into `bytes`. Must not be NULL.
    pub read: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            address: u64,
            offset: u64,
            bytes: *mut c_void,
            size: usize,
        ) -> i32,
    >,
    /// Writes `size` bytes, or fails and changes nothing. Must not be NULL, even for
    /// relakit_dry_run, which never calls it.
    pub write: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            address: u64,
            offset: u64,
            bytes: *const c_void,
            size: usize,
        ) -> i32,
    >,
    /// Makes the written bytes visible to the code that uses them. May be NULL. relakit can also
    /// call it if nothing was written. After a rollback, relakit ignores its result.
    pub sync: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
}

/// The memory that is relocated. `bytes` is where relakit accesses it, `address` is where it runs.
/// They differ in a bootloader, hypervisor or test. P of a relocation is `address` + r_offset.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_target {
    /// The memory. It must be NULL with a writer, and may be NULL if `size` is 0.
    pub bytes: *mut c_void,
    /// Size in bytes.
    pub size: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// NULL for plain memory.
    pub writer: *const relakit_writer,
}
