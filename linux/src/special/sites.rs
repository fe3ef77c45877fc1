//! The code that the readers of special sections rewrite, as ranges of addresses.

use super::{Special, Version};
use crate::bytes::{u8_at, u32_at, u64_at};
use core::ffi::CStr;
use relakit::text::{Texts, texts};

/// What Linux does with the code at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// An instruction that `.altinstructions` may replace.
    Alternative,
    /// The replacement in `.altinstructions`. Linux copies it while the module loads.
    Replacement,
    /// A call or jump to a retpoline.
    Retpoline,
    /// A jump to the return thunk.
    Return,
    /// A direct call, if call depth is tracked.
    Call,
    /// An ENDBR that is not needed.
    Endbr,
    /// The CFI preamble of a function, with the ENDBR after it.
    CfiPreamble,
    /// A lock prefix.
    Lock,
    /// A paravirt call.
    Paravirt,
    /// A jump label: a NOP or a jump. It is also rewritten when its key changes.
    JumpLabel,
    /// A static call. It is also rewritten when its key changes.
    StaticCall,
    /// The trampoline of a static call of this module. It is rewritten when its key changes.
    Trampoline,
    /// A call to the function tracer. It is also rewritten when the function is traced.
    Trace,
}

impl Role {
    /// Every role, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Alternative,
        Self::Replacement,
        Self::Retpoline,
        Self::Return,
        Self::Call,
        Self::Endbr,
        Self::CfiPreamble,
        Self::Lock,
        Self::Paravirt,
        Self::JumpLabel,
        Self::StaticCall,
        Self::Trampoline,
        Self::Trace,
    ];

    /// Returns an English name, such as "jump label".
    pub fn name(self) -> &'static str {
        Self::names().get(self as usize)
    }

    /// Returns the same name for C.
    pub fn c_name(self) -> &'static CStr {
        Self::names().c_str(self as usize)
    }

    const fn names() -> Texts {
        texts!(
            "alternative",
            "replacement of an alternative",
            "retpoline",
            "return",
            "call",
            "ENDBR",
            "CFI preamble",
            "lock prefix",
            "paravirt call",
            "jump label",
            "static call",
            "static call trampoline",
            "tracer call"
        )
    }

    /// Returns whether Linux leaves a site alone that a late relocation completes.
    ///
    /// The reader of calls ignores a call unless its function has room before it. A late call leads
    /// to the next instruction, because its field is still 0.
    #[must_use]
    pub const fn ignores_late(self) -> bool {
        matches!(self, Self::Call)
    }
}

/// A range of code to which an entry of a special section points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Index of the entry, counted from 0.
    pub entry: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// Size in bytes. It is the usual size of an instruction that may be shorter or longer, see
    /// [`size_in`](Self::size_in).
    pub size: u64,
    /// What Linux does with it.
    pub role: Role,
}

impl Site {
    /// Returns the size in bytes of the site if `code` is at its address. `code` need not be
    /// relocated.
    ///
    /// A jump label is a short or a near jump or NOP. A static call or a retpoline is a near call
    /// or jump. It has one more byte if it is conditional, and a retpoline one more if it has a CS
    /// prefix, with which compilers pad it.
    pub fn size_in(&self, code: &[u8]) -> u64 {
        let is_padded = self.role == Role::Retpoline && u8_at(code, 0) == Some(0x2e);
        let opcode = usize::from(is_padded);
        let size = match (self.role, u8_at(code, opcode), u8_at(code, opcode.saturating_add(1))) {
            (Role::JumpLabel, Some(0xeb), _) | (Role::JumpLabel, Some(0x66), Some(0x90)) => 2,
            (Role::StaticCall | Role::Retpoline, Some(0x0f), Some(0x80..=0x8f)) => 6,
            _ => self.size,
        };
        size.saturating_add(u64::from(is_padded))
    }
}

/// The format of the entries of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A 32-bit offset from the entry's own address. The code has this size.
    Offset(u64),
    /// A 64-bit address. The code has this size.
    Address(u64),
    /// The entry is code itself. This many bytes of it are rewritten.
    Here(u64),
    /// A 64-bit address, a type, and the size of the code.
    Paravirt,
    /// Two 32-bit offsets from their own addresses, a feature and flags, and the two sizes.
    Alternative,
}

/// Sections whose readers rewrite code, and their formats. The table of special sections says which
/// kernels read them, and how large an entry is in each.
///
/// Sources (facts only): Linux as Debian ships it, 6.1.192 and 6.12.117, the struct or function in
/// each row, in `arch/x86` unless the row says otherwise. The table leaves out code that has no
/// relocations: padding that must be NOPs (`patch_dest` of call depth tracking), and the hash
/// before a retpoline, a constant of the compiler (`cfi_rewrite_callers`). ITS mitigation changes
/// targets at retpoline and return sites, not their extent.
#[rustfmt::skip]
const FORMATS: &[(&str, Layout, Role)] = &[
    // struct alt_instr (asm/alternative.h), apply_alternatives.
    (".altinstructions", Layout::Alternative, Role::Alternative),
    // apply_retpolines and apply_returns replace whole instructions: patch_retpoline, patch_return.
    (".retpoline_sites", Layout::Offset(5), Role::Retpoline),
    (".return_sites", Layout::Offset(5), Role::Return),
    // patch_call (kernel/callthunks.c), only where a call is.
    (".call_sites", Layout::Offset(5), Role::Call),
    // apply_ibt_endbr, later apply_seal_endbr: 4 bytes. The hash that the latter clears is in the
    // preamble below.
    (".ibt_endbr_seal", Layout::Offset(4), Role::Endbr),
    // cfi_rewrite_preamble, cfi_rewrite_endbr: 16 bytes before the function, and its ENDBR.
    (".cfi_sites", Layout::Offset(20), Role::CfiPreamble),
    // alternatives_smp_unlock: the prefix alone.
    (".smp_locks", Layout::Offset(1), Role::Lock),
    // struct paravirt_patch_site (asm/paravirt_types.h).
    (".parainstructions", Layout::Paravirt, Role::Paravirt),
    // struct jump_entry (include/linux/jump_label.h); arch_jump_entry_size takes it from the
    // instruction, from 5.14 on.
    ("__jump_table", Layout::Offset(5), Role::JumpLabel),
    // struct static_call_site (include/linux/static_call_types.h): the flags are in the key's
    // offset, not in this one.
    (".static_call_sites", Layout::Offset(5), Role::StaticCall),
    // ARCH_DEFINE_STATIC_CALL_TRAMP (asm/static_call.h): a jump or return, and 3 bytes of signature
    // or padding.
    (".static_call.text", Layout::Here(5), Role::Trampoline),
    // MCOUNT_INSN_SIZE (asm/ftrace.h); ftrace_call_adjust leaves the address as it is.
    ("__mcount_loc", Layout::Address(5), Role::Trace),
];

/// Returns the sites of a special section in kernels of this version.
///
/// `bytes` is the content of the section after the early pass, and `address` its run-time address.
/// There are no sites if those kernels do not read the section, or rewrite no code for it. Entries
/// may point outside of the module.
pub fn sites<'b>(special: &Special, version: Version, bytes: &'b [u8], address: u64) -> Sites<'b> {
    let is_read = special.is_read_by(version);
    let format = FORMATS.iter().find(|(name, ..)| is_read && *name == special.name);
    let (size, format) = match (special.entry_size(version), format) {
        (Some(size), Some(&(_, layout, role))) => (usize::from(size), Some((layout, role))),
        _ => (0, None),
    };
    Sites { format, size, rest: bytes, address, entry: 0, replacement: None }
}

/// Returns the role of the sites of a special section. `None` if kernels of this version rewrite no
/// code for it.
pub(crate) fn role_of(special: &Special, version: Version) -> Option<Role> {
    let format = FORMATS.iter().find(|(name, ..)| *name == special.name)?;
    special.is_read_by(version).then_some(format.2)
}

/// See [`sites`].
#[derive(Clone, Debug)]
pub struct Sites<'b> {
    format: Option<(Layout, Role)>,
    /// Size of an entry in bytes; 0 without a format.
    size: usize,
    rest: &'b [u8],
    /// Address of `rest`.
    address: u64,
    entry: u64,
    /// The second site of the previous entry.
    replacement: Option<Site>,
}

impl Sites<'_> {
    /// Returns the number of bytes after the last whole entry. It is 0 unless the section is
    /// truncated, or made for kernels whose entries have another size. In `Finalize`, readers then
    /// read past the end of the section. Other readers ignore the rest.
    pub fn left_over(&self) -> usize {
        self.rest.len().checked_rem(self.size).unwrap_or(0)
    }
}

impl Iterator for Sites<'_> {
    type Item = Site;

    fn next(&mut self) -> Option<Site> {
        if let Some(replacement) = self.replacement.take() {
            return Some(replacement);
        }
        let (layout, role) = self.format?;
        let (bytes, rest) = self.rest.split_at_checked(self.size)?;
        let (here, entry) = (self.address, self.entry);
        (self.rest, self.address) = (rest, here.wrapping_add(self.size as u64));
        self.entry = entry.saturating_add(1);
        // An offset counts from its own address.
        let offset_at = |at: usize| {
            let offset = i64::from(u32_at(bytes, at).unwrap_or(0).cast_signed());
            here.wrapping_add(at as u64).wrapping_add(offset.cast_unsigned())
        };
        let address = || u64_at(bytes, 0).unwrap_or(0);
        let length_at = |at: usize| u64::from(u8_at(bytes, at).unwrap_or(0));
        let site = |address, size, role| Site { entry, address, size, role };
        Some(match layout {
            Layout::Offset(size) => site(offset_at(0), size, role),
            Layout::Address(size) => site(address(), size, role),
            Layout::Here(size) => site(here, size, role),
            Layout::Paravirt => site(address(), length_at(9), role),
            Layout::Alternative => {
                // Feature and flags share 2 bytes, and have 4 in entries of 14.
                let (original, replacement) = match self.size {
                    14 => (length_at(12), length_at(13)),
                    _ => (length_at(10), length_at(11)),
                };
                self.replacement = Some(site(offset_at(4), replacement, Role::Replacement));
                // One that is longer, which assemblers do not make, is copied whole by 6.1 and
                // 6.12.
                site(offset_at(0), original.max(replacement), role)
            }
        })
    }
}
