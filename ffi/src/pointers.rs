//! The one file in which pointers become slices and structs, and results become bytes of the caller's.
//!
//! Each function checks what can be checked and names the argument at fault by its number, counted from 1. What cannot
//! be checked is the caller's promise (see the crate's documentation).

use crate::fault::{Report, Stopped};
use crate::status::*;
use crate::types::*;
use core::ffi::c_char;
use core::mem::{MaybeUninit, align_of, size_of};
use core::ptr::NonNull;
use core::slice;
use relakit::abi::OBJECT_NAME_MAX;

/// Where a piece of lent memory is, to be held against others before any of them becomes a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// `count` items of `size` bytes at `start`; the status and the number at fault when there is no such memory.
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
    ) -> Result<Self, Stopped> {
        Self::new(start.addr(), count, size_of::<T>(), number, report)
    }

    fn new(
        start: usize,
        count: usize,
        size: usize,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Stopped> {
        Self::of(start, count, size).map_err(|(status, limit)| report.refuse(status, number, limit))
    }

    /// `size` bytes at `start`, for what has no argument's number; `None` when there is no such memory.
    pub(crate) fn bytes(start: *const u8, size: usize) -> Option<Self> {
        Self::of(start.addr(), size, 1).ok()
    }

    /// `size` bytes at `address`, behind a writer. Of addresses that no pointer here can have nothing is left. `None` when the
    /// last byte would lie past 2^64 - 1.
    pub(crate) fn behind_writer(address: u64, size: u64) -> Option<Self> {
        let last = address.checked_add(size.saturating_sub(1))?;
        let start = usize::try_from(address).unwrap_or(usize::MAX);
        let end = usize::try_from(last).map_or(usize::MAX, |last| last.saturating_add(1));
        Some(Self { start, end: if size == 0 { start } else { end } })
    }

    /// Whether no byte is in both.
    pub(crate) const fn is_apart_from(self, other: Self) -> bool {
        self.start >= self.end
            || other.start >= other.end
            || self.end <= other.start
            || other.end <= self.start
    }

    /// Refuses memory, argument `number`, that overlaps one of `others`.
    pub(crate) fn apart_from(self, others: &[Self], number: u64, report: &mut Report) -> Result<(), Stopped> {
        match others.iter().all(|other| self.is_apart_from(*other)) {
            true => Ok(()),
            false => Err(report.refuse(RELAKIT_ERR_OVERLAP, number, 0)),
        }
    }
}

/// Refuses a pointer, argument `number`, that is NULL or not aligned for a `T`.
fn check<T>(pointer: *const T, number: u64, report: &mut Report) -> Result<(), Stopped> {
    check_address(pointer.addr(), align_of::<T>(), number, report)
}

fn check_address(address: usize, align: usize, number: u64, report: &mut Report) -> Result<(), Stopped> {
    if address == 0 {
        return Err(report.refuse(RELAKIT_ERR_NULL, number, 0));
    }
    // A power of two.
    match address & align.wrapping_sub(1) {
        0 => Ok(()),
        _ => Err(report.refuse(RELAKIT_ERR_ALIGNMENT, number, align as u64)),
    }
}

/// `count` items that are lent: not NULL, aligned, and of a length that an object can have; or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<T> {
    start: *mut T,
    count: usize,
    /// Where they are.
    pub(crate) span: Span,
}

impl<T> Piece<T> {
    /// Argument `number`.
    pub(crate) fn new(
        start: *const T,
        count: usize,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Stopped> {
        let span = Span::items(start, count, number, report)?;
        if count == 0 {
            return Ok(Self { start: NonNull::dangling().as_ptr(), count, span });
        }
        check(start, number, report)?;
        Ok(Self { start: start.cast_mut(), count, span })
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// # Safety
    /// The items can be read for `'a`, nobody writes to them meanwhile, and every bit pattern is a `T`.
    pub(crate) unsafe fn read<'a>(self) -> &'a [T] {
        // SAFETY: `new` has checked what can be checked; the caller vouches for the rest.
        unsafe { slice::from_raw_parts(self.start, self.count) }
    }

    /// # Safety
    /// The items can be read and written for `'a`, nobody else does meanwhile, and every bit pattern is a `T`.
    pub(crate) unsafe fn write<'a>(self) -> &'a mut [T] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.start, self.count) }
    }
}

/// `size` bytes at `start`; `None` when there is no such memory.
///
/// # Safety
/// If there is, it can be read for `'a`, and nobody writes to it meanwhile.
pub(crate) unsafe fn bytes<'a>(start: *const u8, size: usize) -> Option<&'a [u8]> {
    Span::bytes(start, size)?;
    let start = if size == 0 { NonNull::dangling().as_ptr() } else { start };
    // SAFETY: not NULL, and of a length that an object can have; the caller vouches that it can be read.
    Some(unsafe { slice::from_raw_parts(start, size) })
}

/// `size` bytes at `start` to write to; `None` when there is no such memory.
///
/// # Safety
/// If there is, it can be read and written for `'a`, and nobody else does meanwhile.
pub(crate) unsafe fn bytes_mut<'a>(start: *mut u8, size: usize) -> Option<&'a mut [u8]> {
    Span::bytes(start, size)?;
    let start = if size == 0 { NonNull::dangling().as_ptr() } else { start };
    // SAFETY: not NULL, and of a length that an object can have; the caller vouches for the rest.
    Some(unsafe { slice::from_raw_parts_mut(start, size) })
}

/// Copies a struct without a size of its own, argument `number`.
///
/// # Safety
/// If not NULL, it can be read.
pub(crate) unsafe fn plain<T: Copy>(
    pointer: *const T,
    number: u64,
    report: &mut Report,
) -> Result<T, Stopped> {
    check(pointer, number, report)?;
    // SAFETY: not NULL and aligned; the caller vouches for the rest.
    Ok(unsafe { pointer.read() })
}

/// A struct that begins with its size, so that it can grow.
///
/// # Safety
/// `repr(C)`, begins with a `u32`, and is valid when all its bytes are zero and when some are any number.
pub(crate) unsafe trait Versioned: Copy {
    /// The size of its first version, in bytes.
    const FIRST: u32;
}

// SAFETY: numbers, pointers, and function pointers that may be NULL.
unsafe impl Versioned for relakit_options {
    const FIRST: u32 = 16;
}
// SAFETY: as above.
unsafe impl Versioned for relakit_writer {
    const FIRST: u32 = 40;
}
// SAFETY: as above.
unsafe impl Versioned for relakit_resolver {
    const FIRST: u32 = 32;
}
// SAFETY: as above.
unsafe impl Versioned for relakit_memory {
    const FIRST: u32 = 32;
}
// SAFETY: as above.
unsafe impl Versioned for crate::sechdrs::relakit_image {
    const FIRST: u32 = 72;
}

/// No struct of ours will be larger: more is a struct that was not initialised.
const STRUCT_MAX: u32 = 4096;

/// The `struct_size` of a struct, argument `number`, aligned to `align`.
///
/// # Safety
/// If not NULL, the struct begins with its size.
unsafe fn struct_size(
    pointer: *const u32,
    align: usize,
    first: u32,
    number: u64,
    report: &mut Report,
) -> Result<usize, Stopped> {
    check_address(pointer.addr(), align, number, report)?;
    // SAFETY: not NULL and aligned for more than this.
    let size = unsafe { pointer.read() };
    match usize::try_from(size) {
        Ok(bytes) if (first..=STRUCT_MAX).contains(&size) => Ok(bytes),
        _ => Err(report.refuse(RELAKIT_ERR_STRUCT_SIZE, number, u64::from(size))),
    }
}

/// Copies a struct that begins with its size, argument `number`. What an older caller does not know is 0; what a newer
/// caller knows and we do not must be 0.
///
/// # Safety
/// If not NULL, as many bytes can be read as its first member says.
pub(crate) unsafe fn versioned<T: Versioned>(
    pointer: *const T,
    number: u64,
    report: &mut Report,
) -> Result<T, Stopped> {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: a versioned struct begins with its size.
    let size = unsafe { struct_size(pointer.cast(), align_of::<T>(), T::FIRST, number, report) }?;
    // SAFETY: as many bytes as the caller says that there are, and the size of `T`.
    unsafe { copy_known(pointer.cast(), size, value.as_mut_ptr().cast(), size_of::<T>(), number, report) }?;
    // SAFETY: by the trait's contract.
    Ok(unsafe { value.assume_init() })
}

/// Copies what both know of a struct; the rest must be 0.
///
/// # Safety
/// `size` bytes can be read, and `ours` bytes be written elsewhere.
unsafe fn copy_known(
    from: *const u8,
    size: usize,
    to: *mut u8,
    ours: usize,
    number: u64,
    report: &mut Report,
) -> Result<(), Stopped> {
    let known = size.min(ours);
    // SAFETY: inside both, which are two.
    unsafe { from.copy_to_nonoverlapping(to, known) };
    for at in known..size {
        // SAFETY: the caller vouches for so many bytes.
        if unsafe { from.wrapping_add(at).read() } != 0 {
            return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0));
        }
    }
    Ok(())
}

/// Where a result goes.
#[derive(Debug)]
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Argument `number`.
    ///
    /// # Safety
    /// If not NULL, it can be written until this is dropped.
    pub(crate) unsafe fn new(pointer: *mut T, number: u64, report: &mut Report) -> Result<Self, Stopped> {
        check(pointer, number, report)?;
        // SAFETY: not NULL.
        Ok(Self(unsafe { NonNull::new_unchecked(pointer) }))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: not NULL and aligned; `new`'s caller vouched for the rest.
        unsafe { self.0.write(value) };
    }
}

/// A copy of an object's name. It may lie in a section that is relocated, so it is not borrowed.
pub(crate) struct ObjectName {
    /// One that is too long is cut behind its first byte too many, and so nobody's.
    bytes: [u8; OBJECT_NAME_MAX + 1],
    len: usize,
}

impl ObjectName {
    /// Argument `number`.
    ///
    /// # Safety
    /// If not NULL, the string can be read up to its NUL, or to as many bytes as a name may have and one.
    pub(crate) unsafe fn new(name: *const c_char, number: u64, report: &mut Report) -> Result<Self, Stopped> {
        if name.is_null() {
            return Err(report.refuse(RELAKIT_ERR_NULL, number, 0));
        }
        let mut copy = Self { bytes: [0; OBJECT_NAME_MAX + 1], len: 0 };
        for to in &mut copy.bytes {
            // SAFETY: every byte before this one was read and was not NUL.
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

/// Where the number of sections goes; NULL is nowhere.
pub(crate) struct Count(Option<Out<u32>>);

impl Count {
    /// # Safety
    /// NULL, or can be written.
    pub(crate) unsafe fn new(count: *mut u32, number: u64, report: &mut Report) -> Result<Self, Stopped> {
        match count.is_null() {
            true => Ok(Self(None)),
            // SAFETY: the caller's promise.
            false => Ok(Self(Some(unsafe { Out::new(count, number, report) }?))),
        }
    }

    pub(crate) fn set(self, count: usize) {
        if let Self(Some(out)) = self {
            out.set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}

/// A struct that is filled in, and begins with its size, so that it can grow.
#[derive(Debug)]
pub(crate) struct VersionedOut<T> {
    out: NonNull<T>,
    size: usize,
}

impl<T: Copy> VersionedOut<T> {
    /// Argument `number`; `first` is the size of the struct's first version.
    ///
    /// # Safety
    /// If not NULL, as many bytes can be written as its first member says, until this is dropped. `T` is `repr(C)`, begins
    /// with a `u32` and has no padding.
    pub(crate) unsafe fn new(
        pointer: *mut T,
        first: u32,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Stopped> {
        // SAFETY: the struct begins with its size.
        let size = unsafe { struct_size(pointer.cast(), align_of::<T>(), first, number, report) }?;
        // SAFETY: not NULL.
        Ok(Self { out: unsafe { NonNull::new_unchecked(pointer) }, size })
    }

    /// Writes all but the size; what a newer caller knows and we do not is set to 0.
    pub(crate) fn set(self, value: &T) {
        // SAFETY: `new`'s caller vouched for so many bytes.
        unsafe {
            fill((&raw const *value).cast(), size_of::<T>(), self.out.as_ptr().cast(), self.size);
        }
    }
}

/// Copies all but the size at the beginning of a struct of `ours` bytes into one of `size` bytes.
///
/// # Safety
/// So many bytes can be read, and so many written elsewhere.
unsafe fn fill(from: *const u8, ours: usize, to: *mut u8, size: usize) {
    let (first, known) = (size_of::<u32>(), size.min(ours));
    // SAFETY: inside both structs, which are two.
    unsafe {
        from.wrapping_add(first).copy_to_nonoverlapping(to.wrapping_add(first), known.saturating_sub(first));
    }
    // SAFETY: the caller vouches for so many bytes.
    unsafe { to.wrapping_add(known).write_bytes(0, size.saturating_sub(known)) };
}
