//! A small form of [`apply`](super::apply), for code that runs before anything else: strict rules,
//! plain memory, an array of values. It needs little code and stack, and no data.

use crate::abi::RELA_SIZE;
use crate::arch::{Content, strict_content};
use crate::elf::{Rela, RelaTable};
use crate::error::ErrorKind;
use crate::read::index;

/// Applies every relocation of `table` to `bytes`, or changes nothing. The result is that of
/// [`apply`](super::apply) with the same arguments and no flags.
///
/// It checks and writes the fields one after the other. If an entry fails, it sets the fields before
/// it to zero again. `address` is the run-time address of the first byte.
///
/// # Errors
/// The kind of error that `apply` returns, and the index of the entry. `AddressWraps` has no entry.
// Inlined, so that the only caller in the C library has one frame.
#[inline(always)]
pub fn apply_small(
    table: RelaTable<'_>,
    values: &[u64],
    bytes: &mut [u8],
    address: u64,
) -> Result<(), (ErrorKind, Option<usize>)> {
    if address.checked_add((bytes.len() as u64).saturating_sub(1)).is_none() {
        return Err((ErrorKind::AddressWraps, None));
    }
    let entries = table.entries();
    for (index, entry) in entries.iter().enumerate() {
        if let Err(kind) = relocate(entry, values, bytes, address, false) {
            for entry in entries.iter().take(index) {
                let _ = relocate(entry, values, bytes, address, true);
            }
            return Err((kind, Some(index)));
        }
    }
    Ok(())
}

/// Applies one relocation, or changes nothing. With `reverts` it sets the field to zero.
#[inline(never)]
fn relocate(
    entry: &[u8; RELA_SIZE],
    values: &[u64],
    bytes: &mut [u8],
    address: u64,
    reverts: bool,
) -> Result<(), ErrorKind> {
    let rela = Rela::read(entry);
    let s = index(u64::from(rela.r_sym)).and_then(|symbol| values.get(symbol));
    let s = *s.ok_or(ErrorKind::SymbolIndex)?;
    let p = address.wrapping_add(rela.r_offset);
    match strict_content(rela.r_type, s.wrapping_add(rela.r_addend.cast_unsigned()), p) {
        Content::UnknownType => Err(ErrorKind::UnknownType),
        Content::Overflow => Err(ErrorKind::Overflow),
        Content::Nothing => Ok(()),
        Content::Word32(value) => write(bytes, rela.r_offset, value.to_le_bytes(), reverts),
        Content::Word64(value) => write(bytes, rela.r_offset, value.to_le_bytes(), reverts),
    }
}

/// Writes a field that must be zero, or sets it to zero.
#[inline(always)]
fn write<const SIZE: usize>(
    bytes: &mut [u8],
    offset: u64,
    value: [u8; SIZE],
    reverts: bool,
) -> Result<(), ErrorKind> {
    let from = index(offset).and_then(|offset| bytes.get_mut(offset..));
    let field: &mut [u8; SIZE] = from.and_then(<[u8]>::first_chunk_mut).ok_or(ErrorKind::OffsetOutside)?;
    if reverts {
        *field = [0; SIZE];
    } else if *field == [0; SIZE] {
        *field = value;
    } else {
        return Err(ErrorKind::TargetNotZero);
    }
    Ok(())
}
