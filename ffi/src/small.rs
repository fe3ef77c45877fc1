//! Level 1 in little code, for a program that has not relocated itself yet.

use crate::pointers::Piece;
use crate::status::*;
use crate::types::relakit_status;
use core::ffi::c_void;
use relakit::elf::RelaTable;
use relakit::reloc;

/// Applies every relocation of one table to one target, or changes nothing. This is a small form of
/// relakit_apply without options, writer and struct relakit_error, for code that runs early: it has
/// no data, and it calls nothing, so that a program can call it before it has relocated itself.
///
/// - `rela` is the table, an array of Elf64_Rela with `rela_size` bytes. It needs no alignment.
/// - `values` has `count` symbol values by symbol index, aligned to 8 bytes.
/// - `bytes` is the memory that is relocated, with `size` bytes. It must not overlap the table or
///   the values. `address` is the run-time address of its first byte.
/// - `entry` may be NULL. If an entry fails, the function stores its index there. Otherwise it
///   stores nothing.
///
/// The rules are those of RELAKIT_PROFILE_ELF. The function checks and writes the entries one after
/// the other. If an entry fails, it sets the fields written so far to zero. The time is linear in
/// `rela_size`.
///
/// Returns RELAKIT_OK, or the error of relakit_apply with the same arguments, except that `values`
/// NULL with a `count` that is not 0 is RELAKIT_ERR_NULL. If *entry has failed:
/// RELAKIT_ERR_SYMBOL_INDEX, RELAKIT_ERR_UNKNOWN_TYPE, RELAKIT_ERR_OVERFLOW,
/// RELAKIT_ERR_OFFSET_OUTSIDE, RELAKIT_ERR_TARGET_NOT_ZERO. Otherwise: RELAKIT_ERR_PARTIAL_ENTRY,
/// RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_NULL, RELAKIT_ERR_LENGTH, RELAKIT_ERR_ALIGNMENT,
/// RELAKIT_ERR_OVERLAP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_apply_small(
    rela: *const c_void,
    rela_size: usize,
    values: *const u64,
    count: usize,
    bytes: *mut c_void,
    size: usize,
    address: u64,
    entry: *mut usize,
) -> relakit_status {
    // SAFETY: `apply` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    let applied = unsafe { apply(rela.cast(), rela_size, (values, count), bytes.cast(), size, address) };
    match applied {
        Ok(()) => RELAKIT_OK,
        Err((status, index)) => {
            if let Some(index) = index
                && !entry.is_null()
            {
                // SAFETY: `entry` is not NULL; the caller promises that it is writable. The write
                // needs no alignment.
                unsafe { entry.write_unaligned(index) };
            }
            status
        }
    }
}

/// Checks the arguments in the order of relakit_apply, then applies the relocations. Returns the
/// status of an error and its entry.
///
/// # Safety
/// The promise of the crate's documentation holds for the pointers.
#[inline(always)]
unsafe fn apply(
    rela: *const u8,
    rela_size: usize,
    (values, count): (*const u64, usize),
    bytes: *mut u8,
    size: usize,
    address: u64,
) -> Result<(), (relakit_status, Option<usize>)> {
    let refuse = |status| (status, None);
    let table = Piece::known(rela, rela_size).map_err(refuse)?;
    let values = Piece::known(values, count).map_err(refuse)?;
    // SAFETY: `Piece::known` checked the pointer; the caller promises readable bytes. A target that
    // overlaps them is refused before it is written.
    let (entries, rest) = RelaTable::whole_entries(unsafe { table.read() });
    if rest != 0 {
        return Err((RELAKIT_ERR_PARTIAL_ENTRY, None));
    }
    let target = Piece::known(bytes.cast_const(), size).map_err(refuse)?;
    if !target.span.is_apart_from(table.span) || !target.span.is_apart_from(values.span) {
        return Err((RELAKIT_ERR_OVERLAP, None));
    }
    // SAFETY: `Piece::known` checked the pointer, and the target does not overlap the array. The
    // caller promises readable values.
    let values = unsafe { values.read() };
    // SAFETY: `Piece::known` checked the pointer, and the target overlaps neither the table nor the
    // values. The caller promises that no other code uses it.
    let target = unsafe { target.write() };
    reloc::apply_small(entries, values, target, address).map_err(|(kind, entry)| (kind as i32, entry))
}
