//! The structs that cross the border, and their layout.

use core::ffi::{c_char, c_void};

/// 0 (RELAKIT_OK), RELAKIT_NONE, or a negative RELAKIT_ERR_ number. Numbers are never reused.
pub type relakit_status = i32;

/// PC32 and PLT32 must fit, as the psABI demands. Linux writes the low 32 bits of what does not.
pub const RELAKIT_CHECK_PC32: u32 = 1;
/// The field may hold anything before its relocation, for loaders that reuse memory. Linux wants zeros. With this rule a
/// pass cannot be undone when a writer fails half-way; plain memory is still all or nothing.
pub const RELAKIT_ALLOW_NONZERO: u32 = 2;
/// Which of two faults of one entry is named: the field that is not zero comes before the value that does not fit. A
/// profile of a Linux before 6.3 has this anyway.
pub const RELAKIT_ZERO_BEFORE_RANGE: u32 = 4;
/// Also the types 8, 16, PC8 and PC16, which Linux does not know.
pub const RELAKIT_MORE_TYPES: u32 = 8;

/// Values in a symbol table may be 0 where the symbol is undefined or a livepatch symbol (SHN_LIVEPATCH). Without this flag such
/// a symbol fails with RELAKIT_ERR_SYMBOL_UNRESOLVED, because a symbol table that was not resolved looks like that. A part of
/// Linux sets it: the per-CPU symbol fixed_percpu_data, which kvm-intel.ko uses, is 0 when it is resolved.
pub const RELAKIT_ALLOW_ZERO_SYMBOLS: u32 = 16;

/// The default profile: Linux 6.12.
pub const RELAKIT_PROFILE_DEFAULT: u32 = 0;
/// No Linux: the gABI and the psABI as written, for bootloaders, hypervisors and other loaders of one's own. Livepatch
/// sections work as with Linux. What Linux lets pass is refused: another e_ident than ELF64's, symbol names outside their
/// table, relocations of no section, PC32 and PLT32 that do not fit.
pub const RELAKIT_PROFILE_ELF: u32 = 1;

/// How strictly to work. Wherever options are taken, NULL is the same as no flags and the default profile: like Linux
/// 6.12. Functions that apply one table take every flag; those that know livepatch sections, whose rules are those of
/// the profile, take RELAKIT_CHECK_PC32.
///
/// Linux writes the low 32 bits of a PC32 or PLT32 that does not fit, without a word. A loader that is no Linux should ask for
/// RELAKIT_CHECK_PC32, or for RELAKIT_PROFILE_ELF, which includes it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_options {
    /// sizeof(struct relakit_options).
    pub struct_size: u32,
    /// RELAKIT_CHECK_PC32 and the like, or 0.
    pub flags: u32,
    /// RELAKIT_PROFILE_DEFAULT, RELAKIT_PROFILE_ELF or RELAKIT_LINUX(major, minor). A version between two that
    /// differ takes the older one's rules.
    pub profile: u32,
    /// 0.
    pub reserved: u32,
}

/// error->section is the index of the section at fault: for a relocation the section that holds it, not its target; for
/// RELAKIT_ERR_NOT_PLACED, _PLACED_SIZE, _ADDRESS_WRAPS and _MOVED the section whose place is meant. Functions that are given one table
/// cannot know it.
pub const RELAKIT_HAS_SECTION: u32 = 1;
/// error->entry is the index of the relocation in its section, counted from 0.
pub const RELAKIT_HAS_ENTRY: u32 = 2;
/// error->symbol is the index of the symbol in the symbol table.
pub const RELAKIT_HAS_SYMBOL: u32 = 4;
/// error->r_type is the psABI type number of the relocation.
pub const RELAKIT_HAS_TYPE: u32 = 8;

/// A fault in full. Wherever one is taken, NULL is allowed; it is written when the function fails, in all members, and
/// not touched otherwise. Its size never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_error {
    /// What the function returned.
    pub status: relakit_status,
    /// relakit_linux_errno(status).
    pub linux_errno: i32,
    /// RELAKIT_HAS_SECTION and the like: which of the next four members say something. The others are 0.
    pub has: u32,
    /// See RELAKIT_HAS_SECTION.
    pub section: u32,
    /// See RELAKIT_HAS_SYMBOL.
    pub symbol: u32,
    /// See RELAKIT_HAS_TYPE; relakit_type_name gives its name.
    pub r_type: u32,
    /// See RELAKIT_HAS_ENTRY.
    pub entry: u64,
    /// r_offset, or an offset in the file, in bytes. What the three numbers are is said with each status, and
    /// relakit_number_name tells it.
    pub offset: u64,
    /// The number at fault. A number that a callback returned is signed: RELAKIT_ERR_RESOLVER, _WRITER, _SYNC,
    /// _NOT_UNDONE.
    pub value: u64,
    /// What the number was held against.
    pub limit: u64,
    /// 0.
    pub reserved: u64,
}

/// Symbol values by index. Exactly one of the two pointers is not NULL; with a count of 0 both may be.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_symbols {
    /// One value a symbol; the fastest. Aligned to 8 bytes.
    pub values: *const u64,
    /// Or an array of Elf64_Sym whose st_value are the values. Need not be aligned. A file's own symbol table is no such array: its
    /// st_value are offsets, or 0, until a loader has resolved them. What can be recognised of that is refused, see
    /// RELAKIT_ALLOW_ZERO_SYMBOLS; symbols of sections cannot be recognised.
    pub symtab: *const c_void,
    /// Number of symbols, the null symbol included.
    pub count: usize,
}

/// writer->flags: the addresses are those of another address space, such as a guest's. Without this flag an address names memory of
/// this program, and a section whose addresses overlap memory that the call reads or keeps is refused.
pub const RELAKIT_WRITER_FOREIGN: u32 = 1;

/// Reads and writes memory that is not plain: text behind text_poke, a guest's, a bounce buffer.
///
/// A pass first reads every field, and only when all of them are right writes them: one call of write a field, in the
/// order of the relocations, each right after one more read of the same field. (Clearing goes from the last to the first;
/// fields that overlap or do not ascend are cleared without the first reading.) Then sync is called, once. A pass that
/// fails while it writes puts back what it has written, in the reverse order, through write, and calls sync.
///
/// ctx is the struct's. address is where the field will be when it runs, offset where it is in its section, both in
/// bytes; size is 1, 2, 4 or 8. A callback returns 0, or any other number, which fails the pass with
/// RELAKIT_ERR_WRITER (sync: RELAKIT_ERR_SYNC) and comes back in error->value, sign-extended; write then must have
/// written nothing. A callback may call any function of relakit, but not for the module that it is called for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_writer {
    /// sizeof(struct relakit_writer).
    pub struct_size: u32,
    /// RELAKIT_WRITER_FOREIGN, or 0.
    pub flags: u32,
    /// Handed to each callback.
    pub ctx: *mut c_void,
    /// Reads size bytes into bytes.
    pub read: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            address: u64,
            offset: u64,
            bytes: *mut c_void,
            size: usize,
        ) -> i32,
    >,
    /// Writes size bytes, or changes nothing.
    pub write: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            address: u64,
            offset: u64,
            bytes: *const c_void,
            size: usize,
        ) -> i32,
    >,
    /// Makes what was written visible where it will run. May be NULL. Also called when there was nothing to write, or
    /// nothing was written yet; and after a pass was undone, when its answer is looked at no more.
    pub sync: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
}

/// Answers for the names that a module does not define. Names are not ended by NUL: they have the length that is given.
///
/// A callback returns RELAKIT_OK (0) after it has set *value, or RELAKIT_NONE (1) when there is no such symbol, or any
/// other number, which fails the pass with RELAKIT_ERR_RESOLVER and comes back in error->value, sign-extended. A
/// callback may call any function of relakit, but not for the module that it is called for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_resolver {
    /// sizeof(struct relakit_resolver).
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// Handed to each callback.
    pub ctx: *mut c_void,
    /// The address of the exported symbol name. Called once for each undefined symbol of the symbol table, in the
    /// order of the table. NULL: nobody exports anything.
    pub exported: Option<
        unsafe extern "C" fn(ctx: *mut c_void, name: *const c_char, name_len: usize, value: *mut u64) -> i32,
    >,
    /// The address of the position-th symbol (counted from 1) called name in object, exported or not; RELAKIT_NONE when
    /// there are fewer. The order is that of addresses in "vmlinux" and that of the symbol table in a module; undefined
    /// symbols do not count, and an object that is not there has none. position comes from the file and may be any
    /// number. Called for each livepatch symbol that a section uses, once or a few times. NULL: nobody has any.
    pub candidate: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            object: *const c_char,
            object_len: usize,
            name: *const c_char,
            name_len: usize,
            position: u64,
            value: *mut u64,
        ) -> i32,
    >,
}

/// What is relocated: size bytes, and the address that the first of them will have when it runs. The two differ in a
/// bootloader, a hypervisor and a test; the P of a relocation is always address + r_offset.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_target {
    /// The bytes; NULL when they are behind a writer, or when size is 0.
    pub bytes: *mut c_void,
    /// Number of bytes.
    pub size: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// NULL for plain memory.
    pub writer: *const relakit_writer,
}

/// The section has a place. A place without this flag is none, and must be all zeros.
pub const RELAKIT_PLACED: u32 = 1;
/// The section's bytes are behind the writer of struct relakit_memory; bytes is NULL.
pub const RELAKIT_PLACE_WRITER: u32 = 2;
/// The section's symbols count from symbols_at, and not from address: per-CPU data, whose symbols are offsets.
pub const RELAKIT_PLACE_SYMBOLS_AT: u32 = 4;

/// Where one section of a module lives. All zeros: nowhere.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_place {
    /// RELAKIT_PLACED and the like, or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// The section's bytes; NULL behind a writer, or when size is 0.
    pub bytes: *mut c_void,
    /// Number of bytes: the section's size.
    pub size: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// See RELAKIT_PLACE_SYMBOLS_AT; otherwise 0.
    pub symbols_at: u64,
}

/// Where the sections of a module live. Addresses and sizes are the same for every call that takes one: a module does not
/// move. Whether a section is plain memory or behind a writer may change, for memory that cannot be written any more when the
/// late relocations come. A section behind a writer is filled by the caller.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_memory {
    /// sizeof(struct relakit_memory).
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// One place a section, by section index. They must overlap neither each other, which is not checked, nor anything else
    /// that is lent.
    pub places: *const relakit_place,
    /// Number of places; sections after the last have none.
    pub count: usize,
    /// For the places with RELAKIT_PLACE_WRITER; may be NULL when there are none.
    pub writer: *const relakit_writer,
}
