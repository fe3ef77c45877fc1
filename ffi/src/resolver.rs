//! Levels 2 and 3: callbacks that look up symbols.

use core::ffi::{c_char, c_void};

/// Callbacks that look up symbols which the module does not define. Names have the given length and
/// do not end with NUL. A callback returns one of these numbers:
/// RELAKIT_OK (0)         the symbol exists, and *value is its address;
/// RELAKIT_NOT_FOUND (1)  the symbol does not exist;
/// any other number       the call fails with RELAKIT_ERR_RESOLVER.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_resolver {
    /// sizeof(struct relakit_resolver).
    pub struct_size: u32,
    /// Must be 0.
    pub flags: u32,
    /// First argument of each callback.
    pub ctx: *mut c_void,
    /// Looks up the exported symbol `name`. relakit calls it once for each undefined symbol whose
    /// name has at most 4096 bytes, in the order of the symbol table. NULL: no symbol is exported.
    pub exported: Option<
        unsafe extern "C" fn(ctx: *mut c_void, name: *const c_char, name_len: usize, value: *mut u64) -> i32,
    >,
    /// Looks up the N-th symbol of `name` in `object`, counted from 1, where N is `sympos`. sympos
    /// comes from the file and can be any number from 1 on. The callback returns RELAKIT_NOT_FOUND
    /// if the object has fewer symbols of that name, or is not loaded. If *value is 0, relakit
    /// treats the symbol as not found. Count all defined symbols, exported or not: in "vmlinux" in
    /// the order of their addresses, in a module in the order of its symbol table.
    ///
    /// relakit calls it for the livepatch symbols that a section uses, possibly several times for
    /// one symbol: once or more before the section is written, while it is written, and in
    /// relakit_klp_apply also at the end. If sympos is 0 in the file, relakit calls it with 1 and 2
    /// to check that the name is unique. The result must be the same each time during one call of
    /// relakit. NULL: no symbol is found.
    pub nth_symbol: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            object: *const c_char,
            object_len: usize,
            name: *const c_char,
            name_len: usize,
            sympos: u64,
            value: *mut u64,
        ) -> i32,
    >,
}
