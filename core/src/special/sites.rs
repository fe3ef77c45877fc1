//! Which code the readers of special sections rewrite: the entries of a section that is relocated, as ranges of
//! addresses.
//!
//! Formats, facts only: Linux as Debian ships it, 6.1.192 and 6.12.117 (`asm/alternative.h`, `linux/jump_label.h`,
//! `linux/static_call_types.h`, `asm/paravirt_types.h`, `kernel/alternative.c`, `kernel/ftrace.c`); the sizes of entries
//! in other versions are in the table of special sections.

use super::{Special, Version};
use crate::read::{u8_at, u32_at, u64_at};

/// What is done with the code at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// An instruction that `.altinstructions` may replace.
    Alternative,
    /// What `.altinstructions` replaces it with: copied from here while the module loads, and not read again.
    Replacement,
    /// A call or jump to a retpoline.
    Retpoline,
    /// A jump to the return thunk.
    Return,
    /// A direct call, when call depth is tracked.
    Call,
    /// An ENDBR that nothing needs.
    Endbr,
    /// A function's CFI preamble with the ENDBR behind it.
    CfiPreamble,
    /// A lock prefix.
    Lock,
    /// A paravirt call.
    Paravirt,
    /// A jump label: a NOP or a jump, now and whenever its key changes.
    JumpLabel,
    /// A static call: now and whenever its key changes.
    StaticCall,
    /// A call to the function tracer: now and whenever the function is traced.
    Trace,
}

/// A range of code that an entry of a special section leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Number of the entry, counted from 0.
    pub entry: u64,
    /// Address of the first byte when it runs.
    pub address: u64,
    /// Bytes. An instruction that may be shorter or longer counts with its usual size; see [`size_in`](Self::size_in).
    pub size: u64,
    /// What is done there.
    pub role: Role,
}

impl Site {
    /// Bytes of the site where `code` is what is at its address. Jump labels have two bytes or five (from Linux 5.14),
    /// calls and jumps five, and six where they are conditional.
    pub fn size_in(&self, code: &[u8]) -> u64 {
        let (first, second) = (u8_at(code, 0), u8_at(code, 1));
        match (self.role, first, second) {
            (Role::JumpLabel, Some(0xeb), _) | (Role::JumpLabel, Some(0x66), Some(0x90)) => 2,
            (Role::StaticCall | Role::Retpoline, Some(0x0f), Some(0x80..=0x8f)) => 6,
            _ => self.size,
        }
    }
}

/// How the entries of a section say where their code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A 32-bit offset from the entry's own address; the code has so many bytes.
    Offset(u64),
    /// A 64-bit address; the code has so many bytes.
    Address(u64),
    /// A 64-bit address, a type, and how many bytes the code has.
    Paravirt,
    /// Two 32-bit offsets from their own addresses, and at this offset in the entry how many bytes each has.
    Alternative(usize),
}

fn layout(special: &Special, entry_size: u16) -> Option<(Layout, Role)> {
    Some(match special.name {
        // Features and flags come before the lengths: 2 bytes, and 4 in entries of 14 bytes.
        ".altinstructions" => {
            (Layout::Alternative(if entry_size == 14 { 12 } else { 10 }), Role::Alternative)
        }
        ".retpoline_sites" => (Layout::Offset(5), Role::Retpoline),
        ".return_sites" => (Layout::Offset(5), Role::Return),
        ".call_sites" => (Layout::Offset(5), Role::Call),
        ".ibt_endbr_seal" => (Layout::Offset(4), Role::Endbr),
        // 16 bytes before the function and its ENDBR.
        ".cfi_sites" => (Layout::Offset(20), Role::CfiPreamble),
        ".smp_locks" => (Layout::Offset(1), Role::Lock),
        ".parainstructions" => (Layout::Paravirt, Role::Paravirt),
        "__jump_table" => (Layout::Offset(5), Role::JumpLabel),
        ".static_call_sites" => (Layout::Offset(5), Role::StaticCall),
        "__mcount_loc" => (Layout::Address(5), Role::Trace),
        _ => return None,
    })
}

/// The sites of a special section in kernels of this version: `bytes` is the section as it is right after the early pass,
/// `address` where it runs. Empty for a section that no code is rewritten for, and for one that those kernels do not read.
/// A part of an entry at the end is left out.
pub fn sites<'b>(special: &Special, version: Version, bytes: &'b [u8], address: u64) -> Sites<'b> {
    let size = special.entry_size(version).filter(|_| special.is_read_by(version));
    let layout = size.and_then(|size| layout(special, size));
    Sites { layout, size: usize::from(size.unwrap_or(0)), rest: bytes, address, entry: 0, replacement: None }
}

/// See [`sites`].
#[derive(Clone, Debug)]
pub struct Sites<'b> {
    layout: Option<(Layout, Role)>,
    /// Bytes of an entry.
    size: usize,
    rest: &'b [u8],
    /// Address of `rest`.
    address: u64,
    entry: u64,
    /// The second site of the entry before.
    replacement: Option<Site>,
}

impl Iterator for Sites<'_> {
    type Item = Site;

    fn next(&mut self) -> Option<Site> {
        if let Some(replacement) = self.replacement.take() {
            return Some(replacement);
        }
        let (layout, role) = self.layout?;
        let (bytes, rest) = self.rest.split_at_checked(self.size).filter(|(bytes, _)| !bytes.is_empty())?;
        let (here, entry) = (self.address, self.entry);
        (self.rest, self.address) = (rest, here.wrapping_add(self.size as u64));
        self.entry = entry.saturating_add(1);
        // An offset counts from its own address.
        let offset_at = |at: usize| {
            let offset = i64::from(u32_at(bytes, at).unwrap_or(0).cast_signed());
            here.wrapping_add(at as u64).wrapping_add(offset.cast_unsigned())
        };
        let length_at = |at: usize| u64::from(u8_at(bytes, at).unwrap_or(0));
        let site = |address, size, role| Site { entry, address, size, role };
        Some(match layout {
            Layout::Offset(size) => site(offset_at(0), size, role),
            Layout::Address(size) => site(u64_at(bytes, 0).unwrap_or(0), size, role),
            Layout::Paravirt => site(u64_at(bytes, 0).unwrap_or(0), length_at(9), role),
            Layout::Alternative(lengths) => {
                let replacement = length_at(lengths.saturating_add(1));
                self.replacement = Some(site(offset_at(4), replacement, Role::Replacement));
                site(offset_at(0), length_at(lengths), role)
            }
        })
    }
}
