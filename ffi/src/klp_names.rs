//! Parsers of the names of livepatch sections and symbols.

use crate::error::{Report, answer};
use crate::pointers::{Piece, VersionedOut};
use crate::relocate::profile;
use crate::status::*;
use crate::types::*;
use core::ffi::c_char;
use core::ptr;
use relakit::abi::{KLP_RELA_PREFIX, KLP_SYM_PREFIX, SHN_LIVEPATCH};
use relakit::elf::SectionFlags;
use relakit::klp::{RelaName, SymName};

/// sh_flags: the livepatch core applies this section's relocations. Linux's SHF_RELA_LIVEPATCH.
pub const RELAKIT_SHF_RELA_LIVEPATCH: u32 = 0x0010_0000;
/// st_shndx: the livepatch core resolves this symbol. Linux's SHN_LIVEPATCH.
pub const RELAKIT_SHN_LIVEPATCH: u32 = 0xff20;

const _: () = assert!(RELAKIT_SHF_RELA_LIVEPATCH as u64 == SectionFlags::RELA_LIVEPATCH.bits());
const _: () = assert!(RELAKIT_SHN_LIVEPATCH == SHN_LIVEPATCH as u32);

/// The parts of a section name ".klp.rela.<object>.<section>". The pointers point into the name;
/// the parts do not end with NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_klp_section_name {
    /// sizeof(struct relakit_klp_section_name), set by the caller.
    pub struct_size: u32,
    /// 1 if the object is "vmlinux", so that the section is applied early. Otherwise 0.
    pub is_early: u32,
    /// The patched object: 1 to 55 bytes without a dot.
    pub object: *const c_char,
    /// Length of `object` in bytes. Linux cuts a longer name to 55 bytes, and so does relakit. In
    /// this case `object[object_len]` is not the dot.
    pub object_len: usize,
    /// The <section> part, or NULL if there is none. Linux ignores it; the target is sh_info.
    pub section: *const c_char,
    /// Length of `section` in bytes.
    pub section_len: usize,
}

/// The parts of a symbol name ".klp.sym.<object>.<name>,<sympos>". The pointers point into the
/// name; the parts do not end with NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_klp_symbol_name {
    /// sizeof(struct relakit_klp_symbol_name), set by the caller.
    pub struct_size: u32,
    /// 1 if the object is "vmlinux", otherwise 0.
    pub is_vmlinux: u32,
    /// The patched object: 1 to 55 bytes without a dot.
    pub object: *const c_char,
    /// Length of `object` in bytes.
    pub object_len: usize,
    /// The symbol: 1 to 511 bytes without a comma, or 1 to 127 before RELAKIT_LINUX(6, 1).
    pub name: *const c_char,
    /// Length of `name` in bytes.
    pub name_len: usize,
    /// 0: the only symbol of that name in the object. N: the N-th symbol of that name, from 1.
    pub sympos: u64,
    /// Number of bytes after sympos. Linux ignores them.
    pub trailing: usize,
}

fn flag(value: bool) -> u32 {
    u32::from(value)
}

/// Splits the name of a livepatch section into its parts, by the rules of Linux.
///
/// `name` has `name_len` bytes and need not end with NUL. The flag SHF_RELA_LIVEPATCH, and not the
/// name, makes a section a livepatch section. With the flag, Linux requires such a name. Without
/// it, Linux applies the section as ordinary relocations, whatever its name is.
///
/// Returns RELAKIT_OK (only then *parts is filled), RELAKIT_NOT_FOUND if the name does not begin
/// with ".klp.rela.", or RELAKIT_ERR_BAD_KLP_SECTION_NAME if no object follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_parse_klp_section_name(
    name: *const c_char,
    name_len: usize,
    parts: *mut relakit_klp_section_name,
) -> relakit_status {
    let parse = |report: &mut Report| {
        // SAFETY: `Piece::new` checked the pointer; the caller promises `name_len` readable bytes.
        let name: &[u8] = unsafe { Piece::new(name.cast(), name_len, 1, report)?.read() };
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let parts = unsafe { VersionedOut::new(parts, 3, report) }?;
        if !name.starts_with(KLP_RELA_PREFIX) {
            return Ok(RELAKIT_NOT_FOUND);
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
    // SAFETY: NULL is a valid `error`: the report then stores none.
    unsafe { answer(ptr::null_mut(), parse) }
}

/// Splits the name of a livepatch symbol into its parts, by the rules of Linux.
///
/// `name` has `name_len` bytes and need not end with NUL. `profile` is that of struct
/// relakit_options. It decides how long the symbol's name may be, and how a sympos that does not
/// fit 64 bits is converted. The st_shndx SHN_LIVEPATCH (0xff20), and not the name, makes a symbol
/// a livepatch symbol.
///
/// Returns RELAKIT_OK (only then *parts is filled), RELAKIT_NOT_FOUND if the name does not begin
/// with ".klp.sym.", or RELAKIT_ERR_BAD_KLP_SYMBOL_NAME, RELAKIT_ERR_PROFILE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_parse_klp_symbol_name(
    name: *const c_char,
    name_len: usize,
    profile: u32,
    parts: *mut relakit_klp_symbol_name,
) -> relakit_status {
    let parse = |report: &mut Report| {
        // SAFETY: `Piece::new` checked the pointer; the caller promises `name_len` readable bytes.
        let name: &[u8] = unsafe { Piece::new(name.cast(), name_len, 1, report)?.read() };
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let parts = unsafe { VersionedOut::new(parts, 4, report) }?;
        let Some(rules) = self::profile(profile) else {
            return Err(report.refuse(RELAKIT_ERR_PROFILE, u64::from(profile), 0));
        };
        if !name.starts_with(KLP_SYM_PREFIX) {
            return Ok(RELAKIT_NOT_FOUND);
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
            sympos: name.sympos,
            trailing: name.rest.len(),
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: NULL is a valid `error`: the report then stores none.
    unsafe { answer(ptr::null_mut(), parse) }
}
