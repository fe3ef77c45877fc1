//! Conversions of pointers to slices and structs, and of results to memory of the caller.
//!
//! Each function checks NULL, alignment and length, and reports an invalid argument by its number,
//! counted from 1. The caller promises the rest, see the crate's documentation.

use crate::error::{Failed, Report};
use crate::status::*;
use crate::types::*;
use core::ffi::c_char;
use core::mem::{MaybeUninit, align_of, size_of};
use core::ptr::NonNull;
use core::slice;
use relakit::abi::OBJECT_NAME_MAX;
use relakit::elf::NAME_MAX;

/// The addresses of a buffer. They are compared with other buffers before one of them becomes a
/// slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// No addresses.
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0 };

    /// `count` items of `size` bytes at `start`. If such memory cannot exist, the status and the
    /// limit to report.
    const fn of(start: usize, count: usize, size: usize) -> Result<Self, (relakit_status, u64)> {
        let Some(len) = count.checked_mul(size) else { return Err((RELAKIT_ERR_LENGTH, count as u64)) };
        match start.checked_add(len) {
            Some(end) if len <= isize::MAX.unsigned_abs() => match start == 0 && len != 0 {
                true => Err((RELAKIT_ERR_NULL, 0)),
                false => Ok(Self { start, end }),
            },
            _ => Err((RELAKIT_ERR_LENGTH, len as u64)),
        }
    }

    /// `count` items at `start`, argument `number`.
    pub(crate) fn items<T>(
        start: *const T,
        count: usize,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        Self::new(start.addr(), count, size_of::<T>(), number, report)
    }

    fn new(
        start: usize,
        count: usize,
        size: usize,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        Self::of(start, count, size).map_err(|(status, limit)| report.refuse(status, number, limit))
    }

    /// `size` bytes at `start`, for memory that is not an argument; `None` if such memory cannot
    /// exist.
    pub(crate) fn bytes(start: *const u8, size: usize) -> Option<Self> {
        Self::of(start.addr(), size, 1).ok()
    }

    /// `size` bytes at `address`, for a target with a writer. Addresses that do not fit a pointer
    /// are cut off. `None` if the address of the last byte is greater than 2^64 - 1.
    pub(crate) fn behind_writer(address: u64, size: u64) -> Option<Self> {
        let last = address.checked_add(size.saturating_sub(1))?;
        let start = usize::try_from(address).unwrap_or(usize::MAX);
        let end = usize::try_from(last).map_or(usize::MAX, |last| last.saturating_add(1));
        Some(Self { start, end: if size == 0 { start } else { end } })
    }

    /// Returns whether the two have no byte in common.
    pub(crate) const fn is_apart_from(self, other: Self) -> bool {
        self.start >= self.end
            || other.start >= other.end
            || self.end <= other.start
            || other.end <= self.start
    }

    /// The same for two buffers that are not empty.
    pub(crate) const fn is_beside(self, other: Self) -> bool {
        self.end <= other.start || other.end <= self.start
    }

    /// Returns an error for argument `number` if it overlaps one of `others`.
    pub(crate) fn apart_from(self, others: &[Self], number: u64, report: &mut Report) -> Result<(), Failed> {
        match others.iter().all(|other| self.is_apart_from(*other)) {
            true => Ok(()),
            false => Err(report.refuse(RELAKIT_ERR_OVERLAP, number, 0)),
        }
    }
}

/// Returns an error for argument `number` if it is NULL or not aligned for a `T`.
fn check<T>(pointer: *const T, number: u64, report: &mut Report) -> Result<(), Failed> {
    check_address(pointer.addr(), align_of::<T>(), number, report)
}

/// Whether `pointer` is neither NULL nor misaligned.
pub(crate) fn is_readable<T>(pointer: *const T) -> bool {
    !pointer.is_null() && pointer.is_aligned()
}

fn check_address(address: usize, align: usize, number: u64, report: &mut Report) -> Result<(), Failed> {
    if address == 0 {
        return Err(report.refuse(RELAKIT_ERR_NULL, number, 0));
    }
    // `align` is a power of two.
    match address & align.wrapping_sub(1) {
        0 => Ok(()),
        _ => Err(report.refuse(RELAKIT_ERR_ALIGNMENT, number, align as u64)),
    }
}

/// A caller-provided buffer of `count` items: not NULL, aligned and at most `isize::MAX` bytes; or
/// empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<T> {
    start: *mut T,
    count: usize,
    /// Their addresses.
    pub(crate) span: Span,
}

impl<T> Piece<T> {
    /// No items.
    pub(crate) const fn empty() -> Self {
        Self { start: NonNull::dangling().as_ptr(), count: 0, span: Span::EMPTY }
    }

    /// Argument `number`.
    pub(crate) fn new(
        start: *const T,
        count: usize,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        let span = Span::items(start, count, number, report)?;
        if count == 0 {
            return Ok(Self { start: NonNull::dangling().as_ptr(), count, span });
        }
        check(start, number, report)?;
        Ok(Self { start: start.cast_mut(), count, span })
    }

    /// The same without a report: an error is only the status.
    pub(crate) fn known(start: *const T, count: usize) -> Result<Self, relakit_status> {
        let (address, align) = (start.addr(), align_of::<T>());
        let span = Span::of(address, count, size_of::<T>()).map_err(|(status, _)| status)?;
        match count {
            0 => Ok(Self { start: NonNull::dangling().as_ptr(), count, span }),
            _ if address & align.wrapping_sub(1) != 0 => Err(RELAKIT_ERR_ALIGNMENT),
            _ => Ok(Self { start: start.cast_mut(), count, span }),
        }
    }

    /// The same for a buffer that is not empty. `None` if it is empty or invalid.
    #[inline(always)]
    pub(crate) fn filled(start: *const T, count: usize) -> Option<Self> {
        let len = count.checked_mul(size_of::<T>()).filter(|len| isize::try_from(*len).is_ok())?;
        let span = Span { start: start.addr(), end: start.addr().checked_add(len)? };
        (count != 0 && is_readable(start)).then_some(Self { start: start.cast_mut(), count, span })
    }

    /// # Safety
    /// The items are readable and unchanged for `'a`, and every bit pattern is a `T`.
    pub(crate) unsafe fn read<'a>(self) -> &'a [T] {
        // SAFETY: `new` checked NULL, alignment and length; the caller promises readable, unchanged
        // items.
        unsafe { slice::from_raw_parts(self.start, self.count) }
    }

    /// # Safety
    /// Only the returned slice reads and writes the items for `'a`, and every bit pattern is a `T`.
    pub(crate) unsafe fn write<'a>(self) -> &'a mut [T] {
        // SAFETY: `new` checked NULL, alignment and length; the caller promises exclusive access.
        unsafe { slice::from_raw_parts_mut(self.start, self.count) }
    }
}

/// Returns `size` bytes at `start`; `None` if such memory cannot exist.
///
/// # Safety
/// Otherwise the bytes are readable and unchanged for `'a`.
pub(crate) unsafe fn bytes<'a>(start: *const u8, size: usize) -> Option<&'a [u8]> {
    Span::bytes(start, size)?;
    let start = if size == 0 { NonNull::dangling().as_ptr() } else { start };
    // SAFETY: `Span::bytes` refused NULL and more than `isize::MAX` bytes; the caller promises
    // readable bytes.
    Some(unsafe { slice::from_raw_parts(start, size) })
}

/// Returns `size` writable bytes at `start`; `None` if such memory cannot exist.
///
/// # Safety
/// Otherwise only the returned slice reads and writes the bytes for `'a`.
pub(crate) unsafe fn bytes_mut<'a>(start: *mut u8, size: usize) -> Option<&'a mut [u8]> {
    Span::bytes(start, size)?;
    let start = if size == 0 { NonNull::dangling().as_ptr() } else { start };
    // SAFETY: `Span::bytes` refused NULL and more than `isize::MAX` bytes; the caller promises
    // exclusive access.
    Some(unsafe { slice::from_raw_parts_mut(start, size) })
}

/// Copies a struct without struct_size, argument `number`.
///
/// # Safety
/// If not NULL, it is readable.
pub(crate) unsafe fn plain<T: Copy>(
    pointer: *const T,
    number: u64,
    report: &mut Report,
) -> Result<T, Failed> {
    check(pointer, number, report)?;
    // SAFETY: `check` found it aligned and not NULL; the caller promises that it is readable.
    Ok(unsafe { pointer.read() })
}

/// A struct that begins with struct_size, so that it can grow. `layout` lists them.
///
/// # Safety
/// The struct is `repr(C)` and begins with a `u32`. It is valid if all bytes are zero, and with
/// every value that the caller can write into its members.
pub(crate) unsafe trait Versioned: Copy {
    /// The size of its first version, in bytes.
    const FIRST: usize;
}

/// Upper limit of struct_size. A greater number means that the struct was not initialised.
const STRUCT_MAX: usize = 4096;

/// Reads the struct_size of argument `number`, which must be aligned to `align`.
///
/// # Safety
/// If not NULL, the struct is readable and begins with its size.
unsafe fn struct_size(
    pointer: *const u32,
    align: usize,
    first: usize,
    number: u64,
    report: &mut Report,
) -> Result<usize, Failed> {
    check_address(pointer.addr(), align, number, report)?;
    // SAFETY: `check_address` found it not NULL and aligned; the caller promises a u32 here.
    let size = unsafe { pointer.read() };
    match usize::try_from(size) {
        Ok(bytes) if (first..=STRUCT_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(report.refuse(RELAKIT_ERR_STRUCT_SIZE, number, u64::from(size))),
    }
}

/// Copies a struct that begins with its size, argument `number`. Members that an older caller does
/// not have are 0. Members that only a newer caller has must be 0.
///
/// # Safety
/// If not NULL, as many bytes are readable as its first member says.
pub(crate) unsafe fn versioned<T: Versioned>(
    pointer: *const T,
    number: u64,
    report: &mut Report,
) -> Result<T, Failed> {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: by `Versioned`, `T` begins with its size; the caller promises that it is readable.
    let size = unsafe { struct_size(pointer.cast(), align_of::<T>(), T::FIRST, number, report) }?;
    // SAFETY: the caller promises `size` readable bytes; `value` has `size_of::<T>()` bytes.
    unsafe { copy_known(pointer.cast(), size, value.as_mut_ptr().cast(), size_of::<T>(), number, report) }?;
    // SAFETY: by `Versioned`, zeros are valid for `T`, and so is what the caller wrote.
    Ok(unsafe { value.assume_init() })
}

/// Copies the members that both versions of a struct have. The rest must be 0.
///
/// # Safety
/// `size` bytes at `from` are readable, `ours` bytes at `to` are writable, and they do not overlap.
unsafe fn copy_known(
    from: *const u8,
    size: usize,
    to: *mut u8,
    ours: usize,
    number: u64,
    report: &mut Report,
) -> Result<(), Failed> {
    let known = size.min(ours);
    // SAFETY: `known` is at most both sizes; the caller promises separate buffers.
    unsafe { from.copy_to_nonoverlapping(to, known) };
    for at in known..size {
        // SAFETY: `at < size`, and the caller promises `size` readable bytes.
        if unsafe { from.wrapping_add(at).read() } != 0 {
            return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0));
        }
    }
    Ok(())
}

/// A pointer to which the call writes a result.
#[derive(Debug)]
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Checks argument `number`.
    ///
    /// # Safety
    /// If not NULL, it is writable until the returned value is dropped.
    pub(crate) unsafe fn new(pointer: *mut T, number: u64, report: &mut Report) -> Result<Self, Failed> {
        check(pointer, number, report)?;
        // SAFETY: `check` refused NULL, as `NonNull` requires.
        Ok(Self(unsafe { NonNull::new_unchecked(pointer) }))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` checked NULL and alignment; its caller promised that it is writable.
        unsafe { self.0.write(value) };
    }
}

/// A copy of an object's name. The name is not borrowed, because it may lie in a section that is
/// relocated.
pub(crate) struct ObjectName {
    /// A name that is too long is cut to one byte more than the limit, so it matches no object.
    bytes: [u8; OBJECT_NAME_MAX + 1],
    len: usize,
}

impl ObjectName {
    /// Copies argument `number`.
    ///
    /// # Safety
    /// If not NULL, the string is readable up to its NUL, or up to `OBJECT_NAME_MAX + 1` bytes.
    pub(crate) unsafe fn new(name: *const c_char, number: u64, report: &mut Report) -> Result<Self, Failed> {
        if name.is_null() {
            return Err(report.refuse(RELAKIT_ERR_NULL, number, 0));
        }
        let mut copy = Self { bytes: [0; OBJECT_NAME_MAX + 1], len: 0 };
        for to in &mut copy.bytes {
            // SAFETY: no earlier byte was NUL, so the caller promises this one readable.
            *to = unsafe { name.cast::<u8>().wrapping_add(copy.len).read() };
            if *to == 0 {
                break;
            }
            copy.len = copy.len.wrapping_add(1);
        }
        Ok(copy)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Returns the string at argument `number` without its NUL. A string that is longer than `NAME_MAX`
/// bytes is cut to one byte more, so it is no name in a file.
///
/// # Safety
/// If not NULL, the string is readable up to its NUL, or up to `NAME_MAX + 1` bytes, and unchanged
/// for `'a`.
pub(crate) unsafe fn name<'a>(
    start: *const c_char,
    number: u64,
    report: &mut Report,
) -> Result<&'a [u8], Failed> {
    if start.is_null() {
        return Err(report.refuse(RELAKIT_ERR_NULL, number, 0));
    }
    // SAFETY: no byte before `at` was NUL, so the caller promises this one readable.
    let is_nul = |at: &usize| unsafe { start.cast::<u8>().wrapping_add(*at).read() } == 0;
    let len = (0..=NAME_MAX).find(is_nul).unwrap_or(NAME_MAX + 1);
    // SAFETY: `start` is not NULL, and `find` has read `len` bytes. The caller promises them
    // unchanged for `'a`.
    Ok(unsafe { slice::from_raw_parts(start.cast(), len) })
}

/// A pointer to which the call writes the number of sections, or NULL.
pub(crate) struct Count(Option<Out<u32>>);

impl Count {
    /// Checks argument `number`.
    ///
    /// # Safety
    /// `count` is NULL or writable.
    pub(crate) unsafe fn new(count: *mut u32, number: u64, report: &mut Report) -> Result<Self, Failed> {
        match count.is_null() {
            true => Ok(Self(None)),
            // SAFETY: the caller promises that `count` is NULL or writable.
            false => Ok(Self(Some(unsafe { Out::new(count, number, report) }?))),
        }
    }

    pub(crate) fn set(self, count: usize) {
        if let Self(Some(out)) = self {
            out.set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}

/// An output struct that begins with struct_size, so that it can grow.
#[derive(Debug)]
pub(crate) struct VersionedOut<T> {
    out: NonNull<T>,
    size: usize,
}

impl<T: Versioned> VersionedOut<T> {
    /// Checks argument `number`.
    ///
    /// # Safety
    /// If not NULL, as many bytes are writable as its first member says, until the returned value
    /// is dropped.
    pub(crate) unsafe fn new(pointer: *mut T, number: u64, report: &mut Report) -> Result<Self, Failed> {
        // SAFETY: by `Versioned`, `T` begins with its size; the caller promises that it is readable.
        let size = unsafe { struct_size(pointer.cast(), align_of::<T>(), T::FIRST, number, report) }?;
        // SAFETY: `struct_size` refused NULL, as `NonNull` requires.
        Ok(Self { out: unsafe { NonNull::new_unchecked(pointer) }, size })
    }

    /// Writes all members except the size. Members that only a newer caller has are set to 0.
    pub(crate) fn set(self, value: &T) {
        // SAFETY: `new`'s caller promised `self.size` writable bytes; `value` is one `T`.
        unsafe {
            fill((&raw const *value).cast(), size_of::<T>(), self.out.as_ptr().cast(), self.size);
        }
    }
}

/// Copies a struct of `ours` bytes into one of `size` bytes, without the struct_size at the start.
///
/// # Safety
/// `ours` bytes at `from` are readable, `size` bytes at `to` are writable, and they do not overlap.
unsafe fn fill(from: *const u8, ours: usize, to: *mut u8, size: usize) {
    let (first, known) = (size_of::<u32>(), size.min(ours));
    // SAFETY: both ranges are inside their structs, which are different objects.
    unsafe {
        from.wrapping_add(first).copy_to_nonoverlapping(to.wrapping_add(first), known.saturating_sub(first));
    }
    // SAFETY: `known <= size`, and the caller promises `size` writable bytes.
    unsafe { to.wrapping_add(known).write_bytes(0, size.saturating_sub(known)) };
}
