//! The names of livepatch sections and symbols, on their own.

use crate::fault::{Report, answer};
use crate::pointers::{Piece, VersionedOut};
use crate::relocate::profile;
use crate::status::*;
use crate::types::*;
use core::ffi::c_char;
use core::ptr;
use relakit::abi::{KLP_RELA_PREFIX, KLP_SYM_PREFIX};
use relakit::klp::{RelaName, SymName};

/// The parts of ".klp.rela.<object>.<section>". The pointers lead into the name and are not ended by NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_klp_section_name {
    /// sizeof(struct relakit_klp_section_name), set by the caller.
    pub struct_size: u32,
    /// 1 when the object is "vmlinux" and the section belongs into the early pass, otherwise 0.
    pub is_early: u32,
    /// The object: 1 to 55 bytes, none of them a dot.
    pub object: *const c_char,
    /// Bytes of it. A longer name is cut to 55, as Linux does: then what follows does not begin with a dot.
    pub object_len: usize,
    /// The name of the target section, where the name follows the convention; otherwise NULL. Linux does not look at it: the
    /// target is sh_info.
    pub section: *const c_char,
    /// Bytes of it.
    pub section_len: usize,
}

/// The parts of ".klp.sym.<object>.<name>,<position>". The pointers lead into the name and are not ended by NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_klp_symbol_name {
    /// sizeof(struct relakit_klp_symbol_name), set by the caller.
    pub struct_size: u32,
    /// 1 when the object is "vmlinux", otherwise 0.
    pub is_vmlinux: u32,
    /// The object: 1 to 55 bytes, none of them a dot.
    pub object: *const c_char,
    /// Bytes of it.
    pub object_len: usize,
    /// The symbol: 1 to 511 bytes (127 before Linux 6.1), none of them a comma.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_len: usize,
    /// 0: the only symbol of that name in the object; N: the N-th, counted from 1.
    pub position: u64,
    /// Bytes after the position, which Linux ignores.
    pub trailing: usize,
}

fn flag(value: bool) -> u32 {
    u32::from(value)
}

/// Reads the name of a section, name_len bytes without a NUL, as Linux reads it.
///
/// Whether a section is a livepatch section is decided by SHF_RELA_LIVEPATCH and not by its name: Linux wants this name of
/// every section that has the flag, and takes a section without the flag for an ordinary one whatever its name.
///
/// Returns RELAKIT_OK and fills *parts; RELAKIT_NONE when the name does not begin with ".klp.rela.";
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME when it does and goes on wrongly; RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE.
/// Nothing is written unless it is RELAKIT_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_parse_klp_section_name(
    name: *const c_char,
    name_len: usize,
    parts: *mut relakit_klp_section_name,
) -> relakit_status {
    let parse = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let name: &[u8] = unsafe { Piece::new(name.cast(), name_len, 1, report)?.read() };
        // SAFETY: as above.
        let parts = unsafe { VersionedOut::new(parts, 40, 3, report) }?;
        if !name.starts_with(KLP_RELA_PREFIX) {
            return Ok(RELAKIT_NONE);
        }
        let Some(name) = RelaName::parse(name) else {
            return Err(report.refuse(RELAKIT_ERR_BAD_KLP_SECTION_NAME, 0, 0));
        };
        parts.set(&relakit_klp_section_name {
            struct_size: 0,
            is_early: flag(name.object == relakit::abi::VMLINUX),
            object: name.object.as_ptr().cast(),
            object_len: name.object.len(),
            section: name.section().map_or(ptr::null(), |section| section.as_ptr().cast()),
            section_len: name.section().map_or(0, <[u8]>::len),
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: NULL.
    unsafe { answer(ptr::null_mut(), parse) }
}

/// Reads the name of a symbol, name_len bytes without a NUL, as Linux reads it. profile is as in struct
/// relakit_options: it says how long names may be, and what a position beyond 64 bits is.
///
/// Whether a symbol is a livepatch symbol is decided by its st_shndx, SHN_LIVEPATCH (0xff20).
///
/// Returns RELAKIT_OK and fills *parts; RELAKIT_NONE when the name does not begin with ".klp.sym.";
/// RELAKIT_ERR_BAD_KLP_SYMBOL_NAME when it does and goes on wrongly; RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE,
/// _PROFILE. Nothing is written unless it is RELAKIT_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_parse_klp_symbol_name(
    name: *const c_char,
    name_len: usize,
    profile: u32,
    parts: *mut relakit_klp_symbol_name,
) -> relakit_status {
    let parse = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let name: &[u8] = unsafe { Piece::new(name.cast(), name_len, 1, report)?.read() };
        // SAFETY: as above.
        let parts = unsafe { VersionedOut::new(parts, 56, 4, report) }?;
        let Some(rules) = self::profile(profile) else {
            return Err(report.refuse(RELAKIT_ERR_PROFILE, u64::from(profile), 0));
        };
        if !name.starts_with(KLP_SYM_PREFIX) {
            return Ok(RELAKIT_NONE);
        }
        let Some(name) = SymName::parse(name, rules) else {
            return Err(report.refuse(RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, 0, 0));
        };
        parts.set(&relakit_klp_symbol_name {
            struct_size: 0,
            is_vmlinux: flag(name.object == relakit::abi::VMLINUX),
            object: name.object.as_ptr().cast(),
            object_len: name.object.len(),
            name: name.name.as_ptr().cast(),
            name_len: name.name.len(),
            position: name.position,
            trailing: name.rest.len(),
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: NULL.
    unsafe { answer(ptr::null_mut(), parse) }
}
