//! A writer and a resolver for both sides: what they answer depends on what they are asked, and on
//! nothing else.

use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::{ptr, slice};
use relakit::{CallbackError, Resolver, Writer};
use relakit_ffi::*;

/// A fingerprint of all that was asked, in order.
#[derive(Clone, Debug, PartialEq)]
struct Trace(u64);

impl Trace {
    const NEW: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().copied().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// While a callback is under way its module is busy, which a call from it is told.
#[derive(Clone, Copy, Debug)]
pub struct Owner(pub *mut relakit_module);

impl Owner {
    /// Nobody's callback.
    pub const NONE: Self = Self(ptr::null_mut());

    fn is_busy(self) {
        if !self.0.is_null() {
            // SAFETY: the pointer leads to the state of the module whose call runs this callback.
            assert_eq!(unsafe { relakit_module_stage(self.0) }, RELAKIT_STAGE_BUSY);
        }
    }
}

/// What a call may change, and how: plain sections, those behind the writer, and a fingerprint of
/// its calls.
pub type State = (Vec<Vec<u8>>, Vec<(u64, Vec<u8>)>, u64);

/// Sections behind a writer.
#[derive(Clone, Debug)]
pub struct Device {
    /// Address and bytes of each.
    pub sections: Vec<(u64, Vec<u8>)>,
    /// The calls that fail, counted from 0.
    fails: [u8; 2],
    calls: usize,
    trace: Trace,
    pub owner: Owner,
}

impl Device {
    pub fn new(sections: Vec<(u64, Vec<u8>)>, fails: [u8; 2]) -> Self {
        Self { sections, fails, calls: 0, trace: Trace::NEW, owner: Owner::NONE }
    }

    /// What it holds, and what it was asked.
    pub fn seen(&self) -> (&[(u64, Vec<u8>)], u64) {
        (&self.sections, self.trace.0)
    }

    fn enter(&mut self, what: u8, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        self.owner.is_busy();
        self.trace.add(&[what]);
        self.trace.add(&address.to_le_bytes());
        self.trace.add(&offset.to_le_bytes());
        self.trace.add(bytes);
        let call = self.calls;
        self.calls += 1;
        match self.fails.iter().any(|fails| usize::from(*fails) == call) {
            true => Err(CallbackError(-5)),
            false => Ok(()),
        }
    }

    /// A field; a failure where nothing is.
    fn field(&mut self, address: u64, offset: u64, size: usize) -> Result<&mut [u8], CallbackError> {
        let start = address.wrapping_sub(offset);
        let section = self.sections.iter_mut().find(|section| section.0 == start);
        let at = usize::try_from(offset).ok();
        let field = section.and_then(|section| section.1.get_mut(at?..)?.get_mut(..size));
        field.ok_or(CallbackError(-14))
    }
}

impl Writer for Device {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        self.enter(b'r', address, offset, &[])?;
        bytes.copy_from_slice(self.field(address, offset, bytes.len())?);
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        self.enter(b'w', address, offset, bytes)?;
        self.field(address, offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.enter(b's', 0, 0, &[])
    }
}

/// A resolver that makes a symbol's value of its name: found, not found, ambiguous, or a failure.
#[derive(Clone, Debug)]
pub struct Names {
    salt: u8,
    trace: Trace,
    pub owner: Owner,
}

impl Names {
    /// `salt` says whose turn it is to be missing; 0: nobody's.
    pub const fn new(salt: u8) -> Self {
        Self { salt, trace: Trace::NEW, owner: Owner::NONE }
    }

    /// What it was asked.
    pub const fn asked(&self) -> u64 {
        self.trace.0
    }

    fn answer(&mut self, object: &[u8], name: &[u8], position: u64) -> Result<Option<u64>, CallbackError> {
        self.owner.is_busy();
        self.trace.add(object);
        self.trace.add(name);
        self.trace.add(&position.to_le_bytes());
        let mut hash = Trace::NEW;
        hash.add(object);
        hash.add(name);
        hash.add(&[self.salt]);
        let hash = hash.0 >> 16;
        // What begins with "p" is there twice.
        let last = 1 + u64::from(name.first() == Some(&b'p'));
        match hash % 32 {
            0 if self.salt != 0 => Err(CallbackError(-71)),
            1 if self.salt != 0 => Ok(None),
            2 if self.salt != 0 => Ok(Some(hash)),
            3 if self.salt != 0 => Ok(Some(0)),
            _ => Ok((position <= last).then_some(0xffff_ffff_8100_0000 + hash % 0x100_0000)),
        }
    }
}

impl Resolver for Names {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        self.answer(b"", name, 1)
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        self.answer(object, name, position)
    }
}

/// A writer for C. It leads to `writer`.
pub fn writer_for_c<W: Writer>(writer: &mut W) -> relakit_writer {
    relakit_writer {
        struct_size: size_of::<relakit_writer>() as u32,
        flags: 0,
        ctx: (&raw mut *writer).cast(),
        read: Some(read::<W>),
        write: Some(write::<W>),
        sync: Some(sync::<W>),
    }
}

/// A resolver for C. It leads to `resolver`.
pub fn resolver_for_c<R: Resolver>(resolver: &mut R) -> relakit_resolver {
    relakit_resolver {
        struct_size: size_of::<relakit_resolver>() as u32,
        flags: 0,
        ctx: (&raw mut *resolver).cast(),
        exported: Some(exported::<R>),
        nth_symbol: Some(nth_symbol::<R>),
    }
}

fn number(result: Result<(), CallbackError>) -> i32 {
    result.map_or_else(|error| error.0, |()| 0)
}

unsafe extern "C" fn read<W: Writer>(
    ctx: *mut c_void,
    address: u64,
    offset: u64,
    bytes: *mut c_void,
    size: usize,
) -> i32 {
    // SAFETY: `ctx` is the writer that `writer_for_c` passes, and relakit passes `size` writable
    // bytes.
    let (writer, bytes) = unsafe { (&mut *ctx.cast::<W>(), slice::from_raw_parts_mut(bytes.cast(), size)) };
    number(writer.read(address, offset, bytes))
}

unsafe extern "C" fn write<W: Writer>(
    ctx: *mut c_void,
    address: u64,
    offset: u64,
    bytes: *const c_void,
    size: usize,
) -> i32 {
    // SAFETY: `ctx` is the writer that `writer_for_c` passes, and relakit passes `size` readable
    // bytes.
    let (writer, bytes) = unsafe { (&mut *ctx.cast::<W>(), slice::from_raw_parts(bytes.cast(), size)) };
    number(writer.write(address, offset, bytes))
}

unsafe extern "C" fn sync<W: Writer>(ctx: *mut c_void) -> i32 {
    // SAFETY: `ctx` is the writer that `writer_for_c` passes, and no other code uses it.
    number(unsafe { &mut *ctx.cast::<W>() }.sync())
}

unsafe fn give(found: Result<Option<u64>, CallbackError>, value: *mut u64) -> i32 {
    match found {
        Ok(Some(found)) => {
            // SAFETY: relakit passes its callbacks a writable `value`.
            unsafe { value.write(found) };
            RELAKIT_OK
        }
        Ok(None) => RELAKIT_NOT_FOUND,
        Err(error) => error.0,
    }
}

unsafe extern "C" fn exported<R: Resolver>(
    ctx: *mut c_void,
    name: *const c_char,
    len: usize,
    value: *mut u64,
) -> i32 {
    // SAFETY: `ctx` is the resolver that `resolver_for_c` passes, and relakit passes a name of
    // `len` bytes.
    unsafe { give((*ctx.cast::<R>()).exported(slice::from_raw_parts(name.cast(), len)), value) }
}

unsafe extern "C" fn nth_symbol<R: Resolver>(
    ctx: *mut c_void,
    object: *const c_char,
    object_len: usize,
    name: *const c_char,
    name_len: usize,
    position: u64,
    value: *mut u64,
) -> i32 {
    // SAFETY: `ctx` is the resolver that `resolver_for_c` passes, and relakit passes names of these
    // lengths.
    unsafe {
        let (object, name): (&[u8], &[u8]) =
            (slice::from_raw_parts(object.cast(), object_len), slice::from_raw_parts(name.cast(), name_len));
        give((*ctx.cast::<R>()).nth_symbol(object, name, position), value)
    }
}
