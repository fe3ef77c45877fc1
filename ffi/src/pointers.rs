//! The one file in which pointers become slices and structs, and results become bytes of the caller's.
//!
//! Each function checks what can be checked and names the argument at fault by its number, counted from 1. What cannot
//! be checked is the caller's promise (see the crate's documentation).

use crate::fault::{Fault, Refusal};
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
    /// `len` bytes at `start`, argument `number`.
    pub(crate) fn new<T: ?Sized>(start: *const T, len: usize, number: u64) -> Result<Self, Refusal> {
        let start = start.cast::<u8>().addr();
        let end = start.checked_add(len).filter(|_| isize::try_from(len).is_ok());
        match end {
            Some(_) if start == 0 && len != 0 => Err(Refusal::new(RELAKIT_ERR_NULL, number, 0)),
            Some(end) => Ok(Self { start, end }),
            None => Err(Refusal::new(RELAKIT_ERR_LENGTH, number, len as u64)),
        }
    }

    /// The same for `count` items.
    pub(crate) fn items<T>(start: *const T, count: usize, number: u64) -> Result<Self, Refusal> {
        let len = count.checked_mul(size_of::<T>());
        Self::new(start, len.ok_or(Refusal::new(RELAKIT_ERR_LENGTH, number, count as u64))?, number)
    }

    /// Whether no byte is in both.
    pub(crate) const fn is_apart_from(self, other: Self) -> bool {
        self.start >= self.end
            || other.start >= other.end
            || self.end <= other.start
            || other.end <= self.start
    }

    /// Refuses memory, argument `number`, that overlaps one of `others`.
    pub(crate) fn apart_from(self, others: &[Self], number: u64) -> Result<(), Refusal> {
        match others.iter().all(|other| self.is_apart_from(*other)) {
            true => Ok(()),
            false => Err(Refusal::new(RELAKIT_ERR_OVERLAP, number, 0)),
        }
    }
}

fn check_alignment<T>(pointer: *const T, number: u64) -> Result<(), Refusal> {
    match pointer.is_aligned() {
        true => Ok(()),
        false => Err(Refusal::new(RELAKIT_ERR_ALIGNMENT, number, align_of::<T>() as u64)),
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
    pub(crate) fn new(start: *const T, count: usize, number: u64) -> Result<Self, Refusal> {
        let span = Span::items(start, count, number)?;
        if count == 0 {
            return Ok(Self { start: NonNull::dangling().as_ptr(), count, span });
        }
        check_alignment(start, number)?;
        Ok(Self { start: start.cast_mut(), count, span })
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

/// Borrows `count` items, argument `number`.
///
/// # Safety
/// If there are any, they can be read for `'a`, nobody writes to them meanwhile, and every bit pattern is a `T`.
pub(crate) unsafe fn items<'a, T>(start: *const T, count: usize, number: u64) -> Result<&'a [T], Refusal> {
    let piece = Piece::new(start, count, number)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { piece.read() })
}

/// Borrows `count` items to write to, argument `number`.
///
/// # Safety
/// If there are any, they can be read and written for `'a`, nobody else does meanwhile, and every bit pattern is a `T`.
pub(crate) unsafe fn items_mut<'a, T>(
    start: *mut T,
    count: usize,
    number: u64,
) -> Result<&'a mut [T], Refusal> {
    let piece = Piece::new(start, count, number)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { piece.write() })
}

/// Copies a struct without a size of its own, argument `number`.
///
/// # Safety
/// If not NULL, it can be read.
pub(crate) unsafe fn plain<T: Copy>(pointer: *const T, number: u64) -> Result<T, Refusal> {
    if pointer.is_null() {
        return Err(Refusal::new(RELAKIT_ERR_NULL, number, 0));
    }
    check_alignment(pointer, number)?;
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

/// The `struct_size` of a struct, argument `number`.
///
/// # Safety
/// If not NULL, the struct begins with its size.
unsafe fn struct_size<T>(pointer: *const T, first: u32, number: u64) -> Result<usize, Refusal> {
    if pointer.is_null() {
        return Err(Refusal::new(RELAKIT_ERR_NULL, number, 0));
    }
    check_alignment(pointer, number)?;
    // SAFETY: not NULL and aligned for more than this.
    let size = unsafe { pointer.cast::<u32>().read() };
    match usize::try_from(size) {
        Ok(bytes) if (first..=STRUCT_MAX).contains(&size) => Ok(bytes),
        _ => Err(Refusal::new(RELAKIT_ERR_STRUCT_SIZE, number, u64::from(size))),
    }
}

/// Copies a struct that begins with its size, argument `number`. What an older caller does not know is 0; what a newer
/// caller knows and we do not must be 0.
///
/// # Safety
/// If not NULL, as many bytes can be read as its first member says.
pub(crate) unsafe fn versioned<T: Versioned>(pointer: *const T, number: u64) -> Result<T, Refusal> {
    // SAFETY: a versioned struct begins with its size.
    let size = unsafe { struct_size(pointer, T::FIRST, number) }?;
    let ours = size.min(size_of::<T>());
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: at most the size of `T`, and at most what the caller says that there is.
    unsafe { pointer.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr().cast(), ours) };
    let rest = pointer.cast::<u8>().wrapping_add(ours);
    // SAFETY: the caller says that there are so many bytes.
    let rest = unsafe { items(rest, size.saturating_sub(ours), number) }?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Refusal::new(RELAKIT_ERR_RESERVED, number, 0));
    }
    // SAFETY: by the trait's contract.
    Ok(unsafe { value.assume_init() })
}

/// Where a result goes.
#[derive(Debug)]
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Argument `number`.
    ///
    /// # Safety
    /// If not NULL, it can be written until this is dropped.
    pub(crate) unsafe fn new(pointer: *mut T, number: u64) -> Result<Self, Refusal> {
        let out = NonNull::new(pointer).ok_or(Refusal::new(RELAKIT_ERR_NULL, number, 0))?;
        check_alignment(pointer, number)?;
        Ok(Self(out))
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
    pub(crate) unsafe fn new(name: *const c_char, number: u64) -> Result<Self, Refusal> {
        if name.is_null() {
            return Err(Refusal::new(RELAKIT_ERR_NULL, number, 0));
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
    pub(crate) unsafe fn new(count: *mut u32, number: u64) -> Result<Self, Refusal> {
        match count.is_null() {
            true => Ok(Self(None)),
            // SAFETY: the caller's promise.
            false => Ok(Self(Some(unsafe { Out::new(count, number) }?))),
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
    pub(crate) unsafe fn new(pointer: *mut T, first: u32, number: u64) -> Result<Self, Refusal> {
        // SAFETY: the struct begins with its size.
        let size = unsafe { struct_size(pointer.cast_const(), first, number) }?;
        let out = NonNull::new(pointer).ok_or(Refusal::new(RELAKIT_ERR_NULL, number, 0))?;
        Ok(Self { out, size })
    }

    /// Writes all but the size; what a newer caller knows and we do not is set to 0.
    pub(crate) fn set(self, value: T) {
        let (first, ours) = (size_of::<u32>(), self.size.min(size_of::<T>()));
        let to = self.out.as_ptr().cast::<u8>();
        let from = (&raw const value).cast::<u8>().wrapping_add(first);
        // SAFETY: inside both structs, which are two.
        unsafe { from.copy_to_nonoverlapping(to.wrapping_add(first), ours.saturating_sub(first)) };
        // SAFETY: `new`'s caller vouched for so many bytes.
        unsafe { to.wrapping_add(ours).write_bytes(0, self.size.saturating_sub(ours)) };
    }
}

/// Turns a result into what a function returns, and tells the caller of a fault in full.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn answer(
    error: *mut relakit_error,
    result: Result<relakit_status, Fault>,
) -> relakit_status {
    let fault = match result {
        Ok(status) => return status,
        Err(fault) => fault,
    };
    if !error.is_null() {
        // SAFETY: not NULL; the caller vouches for the rest.
        unsafe { error.write_unaligned(fault.in_full()) };
    }
    fault.status()
}
