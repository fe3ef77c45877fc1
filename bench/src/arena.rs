//! Memory below 2 GiB for loaders that load into this process: only there do absolute 32-bit relocations fit.
//!
//! It is mapped and zeroed before anything is measured, so peers pay neither for system calls nor for page errors.

use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Twice what the largest module needs.
const SIZE: usize = 128 << 20;
const PAGE: usize = 4096;

static START: LazyLock<usize> = LazyLock::new(|| {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT | libc::MAP_POPULATE;
    // SAFETY: a new private mapping replaces no other memory.
    let start =
        unsafe { libc::mmap(ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "no memory below 2 GiB");
    start.addr()
});
static USED: AtomicUsize = AtomicUsize::new(0);

/// The address of the first byte.
pub fn start() -> usize {
    *START
}

/// As many zeros, on pages of their own.
pub fn take(size: usize) -> *mut u8 {
    let size = size.next_multiple_of(PAGE);
    let at = USED.fetch_add(size, Relaxed);
    assert!(at + size <= SIZE, "the arena is too small");
    ptr::with_exposed_provenance_mut(*START + at)
}

/// What has been taken.
pub fn taken() -> &'static [u8] {
    // SAFETY: the bytes are mapped, and the code that took them no longer writes to them.
    unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance(*START), USED.load(Relaxed)) }
}

/// Takes everything back and zeroes it; nobody may use it any more.
pub fn reset() {
    let used = USED.swap(0, Relaxed);
    // SAFETY: the bytes are mapped, and the caller promises that no code uses them.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(*START).write_bytes(0, used) };
}
