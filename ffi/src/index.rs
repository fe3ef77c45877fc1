//! Lookups of names in a table of the caller, for its resolver.

use crate::error::{Failed, OrReport, Report, answer};
use crate::pointers::{Out, Piece, Span, versioned};
use crate::status::*;
use crate::types::*;
use core::cmp::Ordering;
use core::ffi::{c_char, c_void};
use core::mem::{align_of, size_of};
use core::{ptr, slice};
use relakit::elf::NAME_MAX;
use relakit::index::{Index, Names, find_sorted};

/// A caller-provided table of names: an array of structs, each with the name of one item. A name is
/// a pointer (`strings` is NULL), or an offset in a string table, such as the st_name of an
/// Elf64_Sym. relakit ignores the other members of the structs.
///
/// A name ends at a NUL or at the end of the string table. A NULL pointer or an offset outside the
/// string table is an empty name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_name_table {
    /// sizeof(struct relakit_name_table).
    pub struct_size: u32,
    /// Must be 0.
    pub flags: u32,
    /// Address of the name member of the first struct: a const char *, or a uint32_t offset if
    /// `strings` is set. It needs no alignment.
    pub first: *const c_void,
    /// Distance between two structs in bytes: their sizeof.
    pub stride: usize,
    /// Number of structs.
    pub count: usize,
    /// The string table of the offsets, or NULL if the names are pointers.
    pub strings: *const c_char,
    /// Size of the string table in bytes, or 0 if the names are pointers.
    pub strings_size: usize,
}

/// An index of names in a caller-provided buffer; see relakit_index_build. Members are private.
#[derive(Debug)]
#[repr(align(8))]
pub struct relakit_index {
    /// [`MAGIC`] and the address of this struct: other memory and copies do not match.
    mark: u64,
    index: Index<'static, Table>,
}

/// A number with which other memory is unlikely to begin.
const MAGIC: u64 = 0x7265_6c61_6b69_7402;

/// A table after the checks of its pointers and sizes.
#[derive(Clone, Copy, Debug)]
struct Table {
    first: *const u8,
    stride: usize,
    count: usize,
    strings: Option<&'static [u8]>,
}

/// The start of a name.
enum Begin<'a> {
    In(&'a [u8]),
    At(*const u8),
}

impl Table {
    /// Reads argument 1. Also returns the memory of its entries and of its strings.
    ///
    /// # Safety
    /// If not NULL, the struct is readable, and the table is while the returned value and its
    /// copies live.
    unsafe fn new(
        names: *const relakit_name_table,
        report: &mut Report,
    ) -> Result<(Self, [Span; 2]), Failed> {
        // SAFETY: the caller promises that `names` is NULL or readable for its struct_size.
        let names = unsafe { versioned(names, 1, report) }?;
        if names.flags != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, 1, u64::from(names.flags)));
        }
        let strings = Piece::<u8>::new(names.strings.cast(), names.strings_size, 1, report)?;
        let member = if names.strings.is_null() { size_of::<*const u8>() } else { size_of::<u32>() };
        let size = match names.count.checked_sub(1) {
            Some(others) if names.stride >= member => {
                others.saturating_mul(names.stride).saturating_add(member)
            }
            Some(_) => return Err(report.refuse(RELAKIT_ERR_LENGTH, 1, names.stride as u64)),
            None => 0,
        };
        let entries = Span::items(names.first.cast::<u8>(), size, 1, report)?;
        // SAFETY: `Piece::new` checked the pointer; `new`'s caller promises that the strings stay
        // readable and unchanged.
        let bytes = unsafe { strings.read() };
        let table = Self {
            first: names.first.cast(),
            stride: names.stride,
            count: names.count,
            strings: (!names.strings.is_null()).then_some(bytes),
        };
        Ok((table, [entries, strings.span]))
    }

    fn begin(&self, at: usize) -> Begin<'_> {
        if at >= self.count {
            return Begin::In(&[]);
        }
        let entry = self.first.wrapping_add(at.wrapping_mul(self.stride));
        if let Some(strings) = self.strings {
            // SAFETY: `at < count`, so the entry lies in the array, which `new`'s caller promised
            // readable. The read needs no alignment.
            let offset = unsafe { entry.cast::<u32>().read_unaligned() };
            return Begin::In(strings.get(offset as usize..).unwrap_or_default());
        }
        // SAFETY: `at < count`, so the entry lies in the array, which `new`'s caller promised
        // readable. The read needs no alignment.
        let name = unsafe { entry.cast::<*const u8>().read_unaligned() };
        if name.is_null() { Begin::In(&[]) } else { Begin::At(name) }
    }
}

/// Returns byte `at` of a name. The bytes before it are not NUL.
///
/// # Safety
/// `name` ends with NUL, and its first `at` bytes are not NUL.
unsafe fn byte(name: *const u8, at: usize) -> u8 {
    // SAFETY: no byte before `at` is NUL, so the name has a byte here, at the latest its NUL.
    unsafe { name.wrapping_add(at).read() }
}

impl Names for Table {
    fn count(&self) -> usize {
        self.count
    }

    fn name(&self, at: usize) -> &[u8] {
        match self.begin(at) {
            Begin::In(bytes) => bytes,
            Begin::At(name) => {
                let mut len = 0usize;
                // SAFETY: `new`'s caller promised a NUL; none of the first `len` bytes is NUL.
                while len <= NAME_MAX && unsafe { byte(name, len) } != 0 {
                    len = len.wrapping_add(1);
                }
                // SAFETY: the loop has read these `len` bytes; `new`'s caller promised that they do
                // not change.
                unsafe { slice::from_raw_parts(name, len) }
            }
        }
    }

    fn is(&self, at: usize, name: &[u8]) -> bool {
        match self.begin(at) {
            Begin::In(bytes) => [bytes].is(0, name),
            Begin::At(_) => self.compare(at, name).is_eq(),
        }
    }

    fn compare(&self, at: usize, name: &[u8]) -> Ordering {
        match self.begin(at) {
            Begin::In(bytes) => [bytes].compare(0, name),
            Begin::At(start) => {
                let mut len = 0usize;
                for wanted in name {
                    // SAFETY: `new`'s caller promised a NUL; the first `len` bytes are not NUL.
                    let is = unsafe { byte(start, len) };
                    if is == 0 {
                        return Ordering::Less;
                    }
                    if is != *wanted {
                        return is.cmp(wanted);
                    }
                    len = len.wrapping_add(1);
                }
                // SAFETY: `new`'s caller promised a NUL; the first `len` bytes are not NUL.
                unsafe { byte(start, len) }.cmp(&0)
            }
        }
    }
}

/// Finds a name in a table that is sorted by name, in ascending order of unsigned bytes. Linux's
/// tables of exported symbols have this order. The function does not check the order: in a table
/// that is not sorted, it can miss a name.
///
/// `name` has `name_len` bytes and need not end with NUL. If several entries have this name,
/// `sympos` selects the N-th of them, counted from 1. On success *found_index is the array index of
/// the entry, counted from 0. The function compares at most log2(n) + 2 of n names, and needs no
/// memory. For many lookups relakit_index_find is faster.
///
/// Returns RELAKIT_OK, or RELAKIT_NOT_FOUND, also if `sympos` is 0 or too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_find_sorted(
    names: *const relakit_name_table,
    name: *const c_char,
    name_len: usize,
    sympos: u64,
    found_index: *mut usize,
) -> relakit_status {
    let find = |report: &mut Report| {
        // SAFETY: the caller promises that `names` and the table stay readable while they are used.
        let (table, _) = unsafe { Table::new(names, report) }?;
        // SAFETY: `Piece::new` checked the pointer; the caller promises `name_len` readable bytes.
        let name = unsafe { Piece::new(name.cast(), name_len, 2, report)?.read() };
        // SAFETY: the caller promises that `found_index` is NULL or writable.
        let found_index = unsafe { Out::new(found_index, 5, report) }?;
        Ok(found(find_sorted(&table, name, sympos), found_index))
    };
    // SAFETY: NULL is a valid `error`: the report then stores none.
    unsafe { answer(ptr::null_mut(), find) }
}

fn found(position: Option<usize>, at: Out<usize>) -> relakit_status {
    match position {
        Some(position) => {
            at.set(position);
            RELAKIT_OK
        }
        None => RELAKIT_NOT_FOUND,
    }
}

/// Returns the number of bytes that relakit_index_build needs for `count` names: 5 to 6 for each
/// name, and a constant. It is at most 6 * count + RELAKIT_INDEX_SIZE in every version with this
/// RELAKIT_ABI. Use that for buffers whose size must be known at compile time. For more than 2^30
/// names the function returns SIZE_MAX, because such an index is impossible.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_index_size(count: usize) -> usize {
    size_of::<relakit_index>().saturating_add(Index::words(count).saturating_mul(size_of::<u32>()))
}

/// Constant part of the size of an index in bytes: an index of n names needs at most 6 * n +
/// RELAKIT_INDEX_SIZE bytes. See relakit_index_size.
pub const RELAKIT_INDEX_SIZE: usize = 256;

// Apart from 6 bytes for each name, an index has the state and two constant words. Rounding the
// number of buckets up adds a third word.
const _: () = assert!(size_of::<relakit_index>() + 3 * size_of::<u32>() <= RELAKIT_INDEX_SIZE);
const _: () = assert!(align_of::<relakit_index>() == 8);

/// Makes an index of a table of names. A lookup in it usually compares one name. The table may have
/// any order.
///
/// - `memory` is a buffer for the index: `size` bytes, at least relakit_index_size(names->count),
///   aligned to 8 bytes. It is retained: relakit uses it until the caller stops using the index. No
///   call is needed to release it.
/// - The structs of the table, their names and the string table are retained too. They must not
///   change as long as the index is used. *names itself is only read during the call. If the table
///   changes, make a new index.
///
/// On success *index is `memory`. The time is usually linear in the number of names n. If many
/// names have the same hash, building takes n log n steps, and a lookup compares up to log n names.
/// Returns RELAKIT_OK, or RELAKIT_ERR_INDEX_TOO_SHORT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_index_build(
    names: *const relakit_name_table,
    memory: *mut c_void,
    size: usize,
    index: *mut *const relakit_index,
    error: *mut relakit_error,
) -> relakit_status {
    let build = |report: &mut Report| {
        // SAFETY: the caller promises that `names` and the table stay readable while they are used.
        let (table, [entries, strings]) = unsafe { Table::new(names, report) }?;
        let provided = Span::items(memory.cast::<u8>(), size, 2, report)?;
        // SAFETY: the caller promises `size` writable bytes; `size` is checked before the write.
        let state = unsafe { Out::<relakit_index>::new(memory.cast(), 2, report) }?;
        // SAFETY: the caller promises that `index` is NULL or writable.
        let made = unsafe { Out::new(index, 4, report) }?;
        let others = [entries, strings, Span::items(index, 1, 4, report)?];
        provided.apart_from(&others, 2, report)?;
        let needed = relakit_index_size(table.count);
        if size < needed {
            return Err(report.refuse(RELAKIT_ERR_INDEX_TOO_SHORT, size as u64, needed as u64));
        }
        let words = memory.cast::<u8>().wrapping_add(size_of::<relakit_index>());
        let words = Piece::<u32>::new(words.cast(), Index::words(table.count), 2, report)?;
        // SAFETY: `size >= needed`, so the words lie in `memory`, behind the state. `apart_from`
        // found that it overlaps neither entries nor strings. The caller promises that no other
        // code uses it.
        let index = Index::build(table, unsafe { words.write() }).or_report(report)?;
        state.set(relakit_index { mark: MAGIC ^ memory.addr() as u64, index });
        made.set(memory.cast_const().cast());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, build) }
}

/// Finds a name in a table that has an index.
///
/// `name` has `name_len` bytes and need not end with NUL. If several entries have this name,
/// `sympos` selects the N-th of them in the order of the table, counted from 1. For livepatch
/// symbols of vmlinux the table must be in the order of addresses, because Linux counts in this
/// order. Pass 1 for an exported symbol, and the `sympos` argument of resolver->nth_symbol for a
/// livepatch symbol. The time does not depend on the number of entries with this name. On success
/// *found_index is the array index of the entry, counted from 0.
///
/// Callbacks of a resolver may call this function, and several threads may use one index at the
/// same time.
///
/// Returns RELAKIT_OK, RELAKIT_ERR_NOT_AN_INDEX, or RELAKIT_NOT_FOUND if `sympos` is 0 or greater
/// than the number of entries with this name, or if `name_len` is more than 4096.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_index_find(
    index: *const relakit_index,
    name: *const c_char,
    name_len: usize,
    sympos: u64,
    found_index: *mut usize,
) -> relakit_status {
    let find = |report: &mut Report| {
        // SAFETY: the caller promises that `index` is NULL or readable memory of an index's size,
        // which does not change.
        let index = unsafe { enter(index, report) }?;
        // SAFETY: `Piece::new` checked the pointer; the caller promises `name_len` readable bytes.
        let name = unsafe { Piece::new(name.cast(), name_len, 2, report)?.read() };
        // SAFETY: the caller promises that `found_index` is NULL or writable.
        let found_index = unsafe { Out::new(found_index, 5, report) }?;
        Ok(found(index.nth(name, sympos), found_index))
    };
    // SAFETY: NULL is a valid `error`: the report then stores none.
    unsafe { answer(ptr::null_mut(), find) }
}

/// Returns the index, argument 1.
///
/// # Safety
/// `index` is NULL, or readable memory of an index's size that is unchanged for `'a`.
unsafe fn enter<'a>(
    index: *const relakit_index,
    report: &mut Report,
) -> Result<&'a Index<'static, Table>, Failed> {
    Span::items(index, 1, 1, report)?;
    if !index.is_aligned() {
        return Err(report.refuse(RELAKIT_ERR_NOT_AN_INDEX, 0, 0));
    }
    // SAFETY: `index` is neither NULL nor misaligned; this computes an address and reads nothing.
    let mark = unsafe { &raw const (*index).mark };
    // SAFETY: the caller promises readable memory of an index's size; a `u64` may have any value.
    if unsafe { mark.read() } != MAGIC ^ index.addr() as u64 {
        return Err(report.refuse(RELAKIT_ERR_NOT_AN_INDEX, 0, 0));
    }
    // SAFETY: the mark matches this address, so `relakit_index_build` wrote an index here. The
    // caller promises that it is unchanged for `'a`.
    Ok(unsafe { &(*index).index })
}
