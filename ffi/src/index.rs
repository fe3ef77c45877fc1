//! Names in tables of the caller's, for its resolver.

use crate::fault::{OrReport, Report, Stopped, answer};
use crate::pointers::{Out, Piece, Span, Versioned, versioned};
use crate::status::*;
use crate::types::*;
use core::cmp::Ordering;
use core::ffi::{c_char, c_void};
use core::mem::{align_of, size_of};
use core::{ptr, slice};
use relakit::elf::NAME_MAX;
use relakit::index::{Index, Names, find_sorted};

/// A table of names, as it is in the caller's memory: an array of structs, each with the name of one thing. They hold
/// pointers to names (.strings = NULL), or offsets of names in a string table, such as the st_name of an Elf64_Sym. What
/// is found is a position in the array, from 0, so what else the structs hold is the caller's business.
///
/// Names end with NUL or where the string table ends. A NULL, and an offset outside the string table, is an empty name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_names {
    /// sizeof(struct relakit_names).
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// The first struct's member that leads to its name: a const char *, or with strings a uint32_t. It need not be
    /// aligned.
    pub first: *const c_void,
    /// Bytes from one struct to the next: its sizeof.
    pub stride: usize,
    /// Number of structs.
    pub count: usize,
    /// The string table that offsets count from; NULL when there are pointers.
    pub strings: *const c_char,
    /// Bytes of the string table; 0 when there are pointers.
    pub strings_size: usize,
}

// SAFETY: numbers, and pointers that may be NULL.
unsafe impl Versioned for relakit_names {
    const FIRST: u32 = 48;
}

/// An index of a table of names, in memory that the caller lends; see relakit_index_build. Opaque.
#[derive(Debug)]
pub struct relakit_index {
    /// [`MAGIC`] and its own address, so that neither other memory nor a copy is taken for one.
    mark: usize,
    index: Index<'static, Table>,
}

/// Any number that other memory is unlikely to begin with.
const MAGIC: usize = 0x7265_6c61_6b69_7402;

/// A table whose entries were found to be memory.
#[derive(Clone, Copy, Debug)]
struct Table {
    first: *const u8,
    stride: usize,
    count: usize,
    strings: Option<&'static [u8]>,
}

/// Where a name begins.
enum Begin<'a> {
    In(&'a [u8]),
    At(*const u8),
}

impl Table {
    /// Argument 1, and where its entries and its strings are.
    ///
    /// # Safety
    /// If not NULL, the struct can be read, and what it leads to can for as long as this and its copies live.
    unsafe fn new(names: *const relakit_names, report: &mut Report) -> Result<(Self, [Span; 2]), Stopped> {
        // SAFETY: the caller's promise.
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
        // SAFETY: the caller's promise.
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
            // SAFETY: `new` has found that the entries are memory; its caller vouched for them.
            let offset = unsafe { entry.cast::<u32>().read_unaligned() };
            return Begin::In(strings.get(offset as usize..).unwrap_or_default());
        }
        // SAFETY: as above.
        let name = unsafe { entry.cast::<*const u8>().read_unaligned() };
        if name.is_null() { Begin::In(&[]) } else { Begin::At(name) }
    }
}

/// Byte `at` of a name whose bytes before that are none of them NUL.
///
/// # Safety
/// `name` leads to a name that ends with NUL.
unsafe fn byte(name: *const u8, at: usize) -> u8 {
    // SAFETY: the NUL is here or further on.
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
                // SAFETY: the caller of `new` vouched for the names.
                while len <= NAME_MAX && unsafe { byte(name, len) } != 0 {
                    len = len.wrapping_add(1);
                }
                // SAFETY: so many bytes were read.
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
                    // SAFETY: as above.
                    let is = unsafe { byte(start, len) };
                    if is == 0 {
                        return Ordering::Less;
                    }
                    if is != *wanted {
                        return is.cmp(wanted);
                    }
                    len = len.wrapping_add(1);
                }
                // SAFETY: as above.
                unsafe { byte(start, len) }.cmp(&0)
            }
        }
    }
}

/// Finds a name in a table that is in ascending order of its names, compared as unsigned bytes: in Linux's order of
/// exported symbols, for example. For a few lookups, or where there is no memory for an index: of n names at most
/// log2(n) + 2 are compared.
///
/// name has name_len bytes without a NUL. Several entries may have it; position says which one of them is asked for,
/// from 1. On success *at is its position in the array.
///
/// Returns RELAKIT_OK; RELAKIT_NONE when fewer than position entries have that name, when position is 0, or when the table
/// is not in order; RELAKIT_ERR_NULL, _LENGTH (also for a stride that is less than the member), _ALIGNMENT, _STRUCT_SIZE,
/// _FLAGS, _RESERVED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_find_sorted(
    names: *const relakit_names,
    name: *const c_char,
    name_len: usize,
    position: u64,
    at: *mut usize,
) -> relakit_status {
    let find = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let (table, _) = unsafe { Table::new(names, report) }?;
        // SAFETY: as above.
        let name = unsafe { Piece::new(name.cast(), name_len, 2, report)?.read() };
        // SAFETY: as above.
        let at = unsafe { Out::new(at, 5, report) }?;
        Ok(found(find_sorted(&table, name, position), at))
    };
    // SAFETY: NULL.
    unsafe { answer(ptr::null_mut(), find) }
}

fn found(position: Option<usize>, at: Out<usize>) -> relakit_status {
    match position {
        Some(position) => {
            at.set(position);
            RELAKIT_OK
        }
        None => RELAKIT_NONE,
    }
}

/// Bytes of memory that relakit_index_build needs for the index of count names: between 5 and 6 for each, and some more.
/// In every version with this RELAKIT_ABI not more than 6 * count + RELAKIT_INDEX_SIZE, for memory that is reserved when
/// a program is compiled. SIZE_MAX for more than 2^30 names, of which there can be no index.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_index_size(count: usize) -> usize {
    size_of::<relakit_index>().saturating_add(Index::words(count).saturating_mul(size_of::<u32>()))
}

/// See relakit_index_size.
pub const RELAKIT_INDEX_SIZE: usize = 256;

// What an index has beside 6 bytes for each name: the state, and two words that do not depend on it; rounding up the
// number of buckets is another.
const _: () = assert!(size_of::<relakit_index>() + 3 * size_of::<u32>() <= RELAKIT_INDEX_SIZE);
const _: () = assert!(align_of::<relakit_index>() == 8);

/// Makes an index of a table, with which a name is found by one comparison, in whatever order the table is: for many
/// lookups. It is made in time that grows with the number of names; names that are chosen to have one hash make that
/// n log n, and a lookup log n comparisons, as without an index.
///
/// memory is lent: size bytes, at least relakit_index_size(names->count), aligned to 8. It, the structs
/// of the table and their names must stay where they are, and as they are, until the index is used no more, which needs
/// no call; *names itself need not. On success *index is memory. When the table has changed, make the index again.
///
/// Returns RELAKIT_OK; RELAKIT_ERR_INDEX_TOO_SHORT; RELAKIT_ERR_NULL, _LENGTH (also for a stride that is less than the
/// member), _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_index_build(
    names: *const relakit_names,
    memory: *mut c_void,
    size: usize,
    index: *mut *const relakit_index,
    error: *mut relakit_error,
) -> relakit_status {
    let build = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let (table, [entries, strings]) = unsafe { Table::new(names, report) }?;
        let lent = Span::items(memory.cast::<u8>(), size, 2, report)?;
        // SAFETY: as above; the size is looked at before anything is written.
        let state = unsafe { Out::<relakit_index>::new(memory.cast(), 2, report) }?;
        // SAFETY: as above.
        let made = unsafe { Out::new(index, 4, report) }?;
        let others = [entries, strings, Span::items(index, 1, 4, report)?];
        lent.apart_from(&others, 2, report)?;
        let needed = relakit_index_size(table.count);
        if size < needed {
            return Err(report.refuse(RELAKIT_ERR_INDEX_TOO_SHORT, size as u64, needed as u64));
        }
        let words = memory.cast::<u8>().wrapping_add(size_of::<relakit_index>());
        let words = Piece::<u32>::new(words.cast(), Index::words(table.count), 2, report)?;
        // SAFETY: as above, behind the state.
        let index = Index::build(table, unsafe { words.write() }).or_report(report)?;
        state.set(relakit_index { mark: MAGIC ^ memory.addr(), index });
        made.set(memory.cast_const().cast());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { answer(error, build) }
}

/// Finds a name in a table that has an index. May be called from a resolver's callbacks, whose answer it can be, and by
/// several threads at once.
///
/// name has name_len bytes without a NUL. Several entries may have it; position says which one of them is asked for, from
/// 1, in the table's order: 1 for an exported symbol, and what a resolver's candidate is given. How many there are does
/// not matter for the time. On success *at is its position in the array.
///
/// Returns RELAKIT_OK; RELAKIT_NONE when fewer than position entries have that name, when position is 0, or when the name
/// is longer than 4096 bytes; RELAKIT_ERR_NOT_AN_INDEX; RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_index_find(
    index: *const relakit_index,
    name: *const c_char,
    name_len: usize,
    position: u64,
    at: *mut usize,
) -> relakit_status {
    let find = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let index = unsafe { enter(index, report) }?;
        // SAFETY: as above.
        let name = unsafe { Piece::new(name.cast(), name_len, 2, report)?.read() };
        // SAFETY: as above.
        let at = unsafe { Out::new(at, 5, report) }?;
        Ok(found(index.nth(name, position), at))
    };
    // SAFETY: NULL.
    unsafe { answer(ptr::null_mut(), find) }
}

/// The index, argument 1.
///
/// # Safety
/// NULL, or leads to readable memory of an index's size, which nobody writes to for `'a`.
unsafe fn enter<'a>(
    index: *const relakit_index,
    report: &mut Report,
) -> Result<&'a Index<'static, Table>, Stopped> {
    Span::items(index, 1, 1, report)?;
    if !index.is_aligned() {
        return Err(report.refuse(RELAKIT_ERR_NOT_AN_INDEX, 0, 0));
    }
    // SAFETY: not NULL and aligned.
    let mark = unsafe { &raw const (*index).mark };
    // SAFETY: the caller vouches for the memory, and a mark is a number whatever there is.
    if unsafe { mark.read() } != MAGIC ^ index.addr() {
        return Err(report.refuse(RELAKIT_ERR_NOT_AN_INDEX, 0, 0));
    }
    // SAFETY: the mark is there, so `relakit_index_build` has written an index.
    Ok(unsafe { &(*index).index })
}
