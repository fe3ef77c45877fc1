//! Is what runs what was loaded? These functions compare the memory of a module, for example in a
//! guest, with what it should hold. docs/embedding/verify.md says what this proves.
//!
//! The caller loads the module a second time, into plain memory of its own, with the run-time
//! addresses of the first: relakit_module_init, relakit_module_assign, relakit_module_fill,
//! relakit_module_early, and relakit_module_apply_late for each patched object that is loaded. This
//! memory has the expected content.

use core::ffi::{c_char, c_uchar, c_void};
use relakit_linux::special::Role;

/// relakit_difference.cause: the bytes are those of the file.
pub const RELAKIT_CAUSE_CONTENT: u32 = 0;
/// relakit_difference.cause: the bytes are the field of a relocation.
pub const RELAKIT_CAUSE_RELOCATION: u32 = 1;
/// relakit_difference.cause: the bytes are code that Linux rewrites because of an entry of a
/// special section, but not in a form that Linux writes.
pub const RELAKIT_CAUSE_PATCH_SITE: u32 = 2;
/// relakit_difference.cause: the bytes are an entry of a table that Linux sorts.
pub const RELAKIT_CAUSE_TABLE: u32 = 3;

/// relakit_difference.seen: nothing that has a name.
pub const RELAKIT_SEEN_OTHER: u32 = 0;
/// relakit_difference.seen: INT3. It is a kprobe, or Linux is about to rewrite the
/// instruction.
pub const RELAKIT_SEEN_BREAKPOINT: u32 = 1;
/// relakit_difference.seen: a call or jump to `leads_to`.
pub const RELAKIT_SEEN_BRANCH: u32 = 2;

/// An instruction that .altinstructions may replace.
pub const RELAKIT_ROLE_ALTERNATIVE: u32 = 0;
const _: () = assert!(RELAKIT_ROLE_ALTERNATIVE == Role::Alternative as u32);
/// The replacement in .altinstructions. Linux copies it while the module loads.
pub const RELAKIT_ROLE_REPLACEMENT: u32 = 1;
const _: () = assert!(RELAKIT_ROLE_REPLACEMENT == Role::Replacement as u32);
/// A call or jump to a retpoline.
pub const RELAKIT_ROLE_RETPOLINE: u32 = 2;
const _: () = assert!(RELAKIT_ROLE_RETPOLINE == Role::Retpoline as u32);
/// A jump to the return thunk.
pub const RELAKIT_ROLE_RETURN: u32 = 3;
const _: () = assert!(RELAKIT_ROLE_RETURN == Role::Return as u32);
/// A direct call, if call depth is tracked.
pub const RELAKIT_ROLE_CALL: u32 = 4;
const _: () = assert!(RELAKIT_ROLE_CALL == Role::Call as u32);
/// An ENDBR that is not needed.
pub const RELAKIT_ROLE_ENDBR: u32 = 5;
const _: () = assert!(RELAKIT_ROLE_ENDBR == Role::Endbr as u32);
/// The CFI preamble of a function, with the ENDBR after it.
pub const RELAKIT_ROLE_CFI_PREAMBLE: u32 = 6;
const _: () = assert!(RELAKIT_ROLE_CFI_PREAMBLE == Role::CfiPreamble as u32);
/// A lock prefix.
pub const RELAKIT_ROLE_LOCK: u32 = 7;
const _: () = assert!(RELAKIT_ROLE_LOCK == Role::Lock as u32);
/// A paravirt call.
pub const RELAKIT_ROLE_PARAVIRT: u32 = 8;
const _: () = assert!(RELAKIT_ROLE_PARAVIRT == Role::Paravirt as u32);
/// A jump label: a NOP or a jump. It is also rewritten when its key changes.
pub const RELAKIT_ROLE_JUMP_LABEL: u32 = 9;
const _: () = assert!(RELAKIT_ROLE_JUMP_LABEL == Role::JumpLabel as u32);
/// A static call. It is also rewritten when its key changes.
pub const RELAKIT_ROLE_STATIC_CALL: u32 = 10;
const _: () = assert!(RELAKIT_ROLE_STATIC_CALL == Role::StaticCall as u32);
/// The trampoline of a static call of this module. It is rewritten when its key changes.
pub const RELAKIT_ROLE_TRAMPOLINE: u32 = 11;
const _: () = assert!(RELAKIT_ROLE_TRAMPOLINE == Role::Trampoline as u32);
/// A call to the function tracer. It is also rewritten when the function is traced.
pub const RELAKIT_ROLE_TRACE: u32 = 12;
const _: () = assert!(RELAKIT_ROLE_TRACE == Role::Trace as u32);

/// The number of bytes in relakit_difference.expected and relakit_difference.found.
pub const RELAKIT_EXCERPT_SIZE: usize = 16;

/// A range of bytes that are not as expected. The size of this struct never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_difference {
    /// A RELAKIT_CAUSE_ number.
    pub cause: u32,
    /// Section index of the bytes. Level 1 sets 0.
    pub section: u32,
    /// Offset of the first byte in the section, in bytes.
    pub offset: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// Size of the range in bytes. Ranges that are fewer than 8 bytes apart are one range.
    pub size: u64,
    /// Section index of the relocation section or of the special section, or 0.
    pub other_section: u32,
    /// psABI number of the relocation type, or 0.
    pub r_type: u32,
    /// Index of the relocation or of the entry in `other_section`, from 0, or 0.
    pub entry: u64,
    /// Index of the relocation's symbol, or 0.
    pub symbol: u32,
    /// For RELAKIT_CAUSE_PATCH_SITE, the RELAKIT_ROLE_ number, or 0.
    pub role: u32,
    /// For RELAKIT_CAUSE_RELOCATION, the symbol value with which the relocation gives what was
    /// found. For a call, and for RELAKIT_SEEN_BRANCH, it is the address to which it leads. Or
    /// 0.
    pub leads_to: u64,
    /// For RELAKIT_CAUSE_RELOCATION, the symbol value with which it gives what is expected, or
    /// 0.
    pub expected_value: u64,
    /// A RELAKIT_SEEN_ number.
    pub seen: u32,
    /// Number of bytes that are valid in `expected` and `found`: at most RELAKIT_EXCERPT_SIZE.
    pub shown: u32,
    /// The first bytes that are expected. At a patch site it is the code before Linux rewrites
    /// it.
    pub expected: [c_uchar; RELAKIT_EXCERPT_SIZE],
    /// The first bytes that were found.
    pub found: [c_uchar; RELAKIT_EXCERPT_SIZE],
}

/// What a verification has looked at.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_verified {
    /// sizeof(struct relakit_verified), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Number of bytes that were compared.
    pub bytes: u64,
    /// Number of bytes of these at patch sites for which more than one content is accepted.
    pub flexible: u64,
    /// Number of bytes in memory that were not compared: data, and sections that are freed
    /// after the init function.
    pub not_judged: u64,
    /// Number of differences that were reported. 0 means that the module is as it should be.
    pub differences: u64,
}

/// relakit_verifier.is_target: a function of the kernel or of a module begins at the address.
pub const RELAKIT_TARGET_FUNCTION: u32 = 0;
/// relakit_verifier.is_target: a traced function may call the address. relakit asks for
/// addresses that are not those of ftrace_caller and ftrace_regs_caller.
pub const RELAKIT_TARGET_TRACER: u32 = 1;
/// relakit_verifier.is_target: an ITS thunk for register `number`, which Linux has allocated,
/// is at the address.
pub const RELAKIT_TARGET_ITS_THUNK: u32 = 2;

/// relakit_verifier.policies: the code as it was relocated, or a form that Linux writes.
pub const RELAKIT_POLICY_KNOWN_FORMS: u32 = 0;
/// relakit_verifier.policies: the code as it was relocated.
pub const RELAKIT_POLICY_UNTOUCHED: u32 = 1;
/// relakit_verifier.policies: anything. The bytes are not compared.
pub const RELAKIT_POLICY_ANYTHING: u32 = 2;

/// The callbacks of a verification. `report` and `is_target` may be called many times; none of
/// them may call relakit with the same module.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_verifier {
    /// sizeof(struct relakit_verifier).
    pub struct_size: u32,
    /// Must be 0.
    pub flags: u32,
    /// First argument of each callback.
    pub ctx: *mut c_void,
    /// Reads `size` bytes of the module's memory at the run-time address `address`. Must not
    /// be NULL. The bytes lie in one section, are at most 256, and do not cross a multiple of
    /// 256. It returns 0 for success. Any other number makes the call fail with
    /// RELAKIT_ERR_READER. It must return the same bytes for the same address during a call.
    pub read:
        Option<unsafe extern "C" fn(ctx: *mut c_void, address: u64, bytes: *mut c_void, size: usize) -> i32>,
    /// Called for each difference. *difference is valid during the call. May be NULL.
    pub report: Option<unsafe extern "C" fn(ctx: *mut c_void, difference: *const relakit_difference)>,
    /// Stores the address of a symbol of the kernel (not of a module) in *value and returns
    /// RELAKIT_OK, or returns RELAKIT_NOT_FOUND. `name` ends with NUL. NULL: no symbol is
    /// known, so fewer forms are.
    pub symbol: Option<
        unsafe extern "C" fn(ctx: *mut c_void, name: *const c_char, length: usize, value: *mut u64) -> i32,
    >,
    /// Returns 1 if `address` is what a RELAKIT_TARGET_ number says, or else 0. NULL: no
    /// address is.
    pub is_target:
        Option<unsafe extern "C" fn(ctx: *mut c_void, target: u32, number: u32, address: u64) -> i32>,
    /// A RELAKIT_POLICY_ number for each RELAKIT_ROLE_ number. The rest must be 0.
    pub policies: [c_uchar; 32],
}
