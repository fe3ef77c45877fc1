//! All calls of callbacks.

use crate::error::{Failed, Report};
use crate::pointers::{Span, versioned};
use crate::resolver::relakit_resolver;
use crate::status::*;
use crate::types::*;
use crate::verifier::*;
use core::ffi::{c_char, c_void};
use core::ptr;
use relakit::reloc::{ValueCallback, ValueError, WriterCallbacks};
use relakit::verify::Reader;
use relakit::{CallbackError, Resolver, Target, View};
use relakit_linux::special::Role;
use relakit_linux::verify::{Known, Policies, Policy};

/// A writer of the caller.
#[derive(Debug)]
pub(crate) struct CWriter(relakit_writer);

impl CWriter {
    /// Reads argument `number`; `None` if it is NULL.
    ///
    /// # Safety
    /// If not NULL, the struct is readable, and its callbacks accept its `ctx` while the returned
    /// value lives.
    #[inline(never)]
    pub(crate) unsafe fn new(
        writer: *const relakit_writer,
        number: u64,
        report: &mut Report,
    ) -> Result<Option<Self>, Failed> {
        if writer.is_null() {
            return Ok(None);
        }
        // SAFETY: `writer` is not NULL; the caller promises as many readable bytes as struct_size
        // says.
        let writer = unsafe { versioned(writer, number, report) }?;
        if writer.flags & !RELAKIT_WRITER_FOREIGN != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(writer.flags)));
        }
        match (writer.read, writer.write) {
            (Some(_), Some(_)) => Ok(Some(Self(writer))),
            _ => Err(report.refuse(RELAKIT_ERR_CALLBACK, number, 0)),
        }
    }
}

impl CWriter {
    /// Returns the addresses of `size` bytes at `address` in this program. They are none if the memory
    /// belongs to another one, or cannot exist.
    pub(crate) fn span(&self, address: u64, size: u64) -> Span {
        match self.0.flags & RELAKIT_WRITER_FOREIGN {
            0 => Span::behind_writer(address, size).unwrap_or(Span::EMPTY),
            _ => Span::EMPTY,
        }
    }

    /// Returns whether these bytes overlap one of `others`.
    pub(crate) fn overlaps(&self, address: u64, size: u64, mut others: impl Iterator<Item = Span>) -> bool {
        let span = self.span(address, size);
        others.any(|other| !span.is_apart_from(other))
    }
}

const fn hook(answer: i32) -> Result<(), CallbackError> {
    match answer {
        0 => Ok(()),
        number => Err(CallbackError(number)),
    }
}

impl CWriter {
    /// `size` bytes behind the writer. `address` is the run-time address of the first byte.
    pub(crate) fn target(&mut self, size: u64, address: u64) -> Target<'_> {
        Target::with_callbacks(size, address, self.callbacks())
    }

    /// The same for a pass that only reads.
    pub(crate) fn view(&mut self, size: u64, address: u64) -> View<'_> {
        View::with_callbacks(size, address, self.callbacks())
    }

    /// Makes all writes visible.
    pub(crate) fn sync(&mut self) -> Result<(), CallbackError> {
        sync(ptr::from_ref(&self.0).cast())
    }

    /// The functions below, for this writer. They must not be called after it was moved or dropped:
    /// a target borrows it.
    const fn callbacks(&self) -> WriterCallbacks {
        WriterCallbacks { ctx: ptr::from_ref(&self.0).cast(), read, write, sync }
    }
}

/// Returns the writer of a context.
///
/// # Safety
/// The context is that of [`CWriter::callbacks`], and its writer is borrowed.
const unsafe fn writer<'c>(ctx: *const ()) -> &'c relakit_writer {
    // SAFETY: the caller promises that `ctx` points to a writer that is borrowed during `'c`.
    unsafe { &*ctx.cast::<relakit_writer>() }
}

fn read(ctx: *const (), address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
    // SAFETY: `ctx` is from `callbacks` or `CWriter::sync`: it points to a writer, which is
    // borrowed during the call.
    let writer = unsafe { writer(ctx) };
    let Some(read) = writer.read else { return Ok(()) };
    // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `bytes` is writable, and its
    // length is passed.
    hook(unsafe { read(writer.ctx, address, offset, bytes.as_mut_ptr().cast(), bytes.len()) })
}

fn write(ctx: *const (), address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
    // SAFETY: `ctx` is from `callbacks` or `CWriter::sync`: it points to a writer, which is
    // borrowed during the call.
    let writer = unsafe { writer(ctx) };
    let Some(write) = writer.write else { return Ok(()) };
    // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `bytes` is readable, and its
    // length is passed.
    hook(unsafe { write(writer.ctx, address, offset, bytes.as_ptr().cast(), bytes.len()) })
}

fn sync(ctx: *const ()) -> Result<(), CallbackError> {
    // SAFETY: `ctx` is from `callbacks` or `CWriter::sync`: it points to a writer, which is
    // borrowed during the call.
    let writer = unsafe { writer(ctx) };
    let Some(sync) = writer.sync else { return Ok(()) };
    // SAFETY: `new`'s caller promised that the callback accepts `ctx`.
    hook(unsafe { sync(writer.ctx) })
}

/// A callback that returns symbol values.
#[derive(Debug)]
pub(crate) struct CValues {
    ctx: *mut c_void,
    value: Option<unsafe extern "C" fn(*mut c_void, u32, *mut u64) -> i32>,
}

impl CValues {
    /// The callback of `symbols`; it returns no value if there is none.
    ///
    /// # Safety
    /// The callback accepts its `ctx` while the returned value lives.
    pub(crate) const unsafe fn new(symbols: &relakit_symbols) -> Self {
        Self { ctx: symbols.ctx, value: symbols.value }
    }

    /// The function below, for this callback. It must not be called after the callback was moved or
    /// dropped.
    pub(crate) const fn callback(&self) -> ValueCallback {
        ValueCallback { ctx: ptr::from_ref(self).cast(), value }
    }
}

fn value(ctx: *const (), symbol: u32) -> Result<Option<u64>, ValueError> {
    // SAFETY: `ctx` is from `callback`: it points to a `CValues`, which lives as long as the
    // callback is used.
    let values = unsafe { &*ctx.cast::<CValues>() };
    let Some(callback) = values.value else { return Err(ValueError::NotFound) };
    let mut value = 0;
    // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `value` lives during the
    // call.
    match unsafe { callback(values.ctx, symbol, &raw mut value) } {
        RELAKIT_OK => Ok(Some(value)),
        RELAKIT_SKIP => Ok(None),
        RELAKIT_NOT_FOUND => Err(ValueError::NotFound),
        number => Err(ValueError::Failed(CallbackError(number))),
    }
}

/// A resolver of the caller.
#[derive(Debug)]
pub(crate) struct CResolver(relakit_resolver);

impl CResolver {
    /// Reads argument `number`.
    ///
    /// # Safety
    /// If not NULL, the struct is readable, and its callbacks accept its `ctx` while the returned
    /// value lives.
    #[inline(never)]
    pub(crate) unsafe fn new(
        resolver: *const relakit_resolver,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // SAFETY: the caller promises that `resolver` is NULL or readable for its struct_size.
        let resolver = unsafe { versioned(resolver, number, report) }?;
        match resolver.flags {
            0 => Ok(Self(resolver)),
            flags => Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(flags))),
        }
    }
}

const fn found(answer: i32, value: u64) -> Result<Option<u64>, CallbackError> {
    match answer {
        RELAKIT_OK => Ok(Some(value)),
        RELAKIT_NOT_FOUND => Ok(None),
        number => Err(CallbackError(number)),
    }
}

/// Returns a name as a C pointer.
const fn text(name: &[u8]) -> *const c_char {
    name.as_ptr().cast()
}

impl Resolver for CResolver {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        let Some(exported) = self.0.exported else { return Ok(None) };
        let mut value = 0;
        // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `name` and `value` live
        // during the call.
        let answer = unsafe { exported(self.0.ctx, text(name), name.len(), &raw mut value) };
        found(answer, value)
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        let Some(nth_symbol) = self.0.nth_symbol else { return Ok(None) };
        let mut value = 0;
        // SAFETY: `new`'s caller promised that the callback accepts `ctx`; the names and `value`
        // live during the call.
        let answer = unsafe {
            nth_symbol(self.0.ctx, text(object), object.len(), text(name), name.len(), sympos, &raw mut value)
        };
        found(answer, value)
    }
}

/// The callbacks of a verification.
#[derive(Debug)]
pub(crate) struct CVerifier(relakit_verifier);

impl CVerifier {
    /// Reads argument `number`.
    ///
    /// # Safety
    /// If not NULL, the struct is readable, and its callbacks accept its `ctx` while the returned
    /// value lives.
    #[inline(never)]
    pub(crate) unsafe fn new(
        verifier: *const relakit_verifier,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // SAFETY: the caller promises that `verifier` is NULL or readable for its struct_size.
        let verifier = unsafe { versioned(verifier, number, report) }?;
        match (verifier.flags, verifier.read) {
            (0, Some(_)) => Ok(Self(verifier)),
            (0, None) => Err(report.refuse(RELAKIT_ERR_CALLBACK, number, 0)),
            (flags, _) => Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(flags))),
        }
    }

    /// Returns the policies of this verifier, argument `number`.
    pub(crate) fn policies(&self, number: u64, report: &mut Report) -> Result<Policies, Failed> {
        let mut policies = Policies::default();
        let mut roles = Role::ALL.into_iter();
        for policy in self.0.policies {
            let policy = match (u32::from(policy), roles.next()) {
                (RELAKIT_POLICY_KNOWN_FORMS, _) => continue,
                (RELAKIT_POLICY_UNTOUCHED, Some(role)) => policies.with(role, Policy::Untouched),
                (RELAKIT_POLICY_ANYTHING, Some(role)) => policies.with(role, Policy::Anything),
                _ => return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0)),
            };
            policies = policy;
        }
        Ok(policies)
    }

    /// Returns the three parts that a verification borrows.
    pub(crate) fn split(&self) -> (CReader<'_>, CKnown<'_>, impl FnMut(&relakit_difference)) {
        let report = |difference: &relakit_difference| {
            if let Some(report) = self.0.report {
                // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `difference`
                // lives during the call.
                unsafe { report(self.0.ctx, ptr::from_ref(difference)) };
            }
        };
        (CReader(&self.0), CKnown(&self.0), report)
    }
}

/// The memory that is verified.
#[derive(Debug)]
pub(crate) struct CReader<'a>(&'a relakit_verifier);

impl Reader for CReader<'_> {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let Some(read) = self.0.read else { return Err(CallbackError(RELAKIT_ERR_CALLBACK)) };
        // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `bytes` is writable, and
        // its length is passed.
        hook(unsafe { read(self.0.ctx, address, bytes.as_mut_ptr().cast(), bytes.len()) })
    }
}

/// What the caller knows about the running kernel.
#[derive(Debug)]
pub(crate) struct CKnown<'a>(&'a relakit_verifier);

impl CKnown<'_> {
    fn is_target(&self, target: u32, number: u32, address: u64) -> bool {
        self.0.is_target.is_some_and(|is_target| {
            // SAFETY: `new`'s caller promised that the callback accepts `ctx`.
            unsafe { is_target(self.0.ctx, target, number, address) == 1 }
        })
    }
}

impl Known for CKnown<'_> {
    fn function(&mut self, address: u64) -> bool {
        self.is_target(RELAKIT_TARGET_FUNCTION, 0, address)
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        let symbol = self.0.symbol?;
        let mut text = [0; SYMBOL_MAX];
        // The byte after the name stays NUL.
        text.get(name.len())?;
        for (to, from) in text.iter_mut().zip(name) {
            *to = *from;
        }
        let mut value = 0;
        // SAFETY: `new`'s caller promised that the callback accepts `ctx`; `text` and `value` live
        // during the call.
        let answer = unsafe { symbol(self.0.ctx, text.as_ptr().cast(), name.len(), &raw mut value) };
        (answer == RELAKIT_OK).then_some(value)
    }

    fn tracer(&mut self, address: u64) -> bool {
        self.is_target(RELAKIT_TARGET_TRACER, 0, address)
    }

    fn its_thunk(&mut self, address: u64, register: u8) -> bool {
        self.is_target(RELAKIT_TARGET_ITS_THUNK, u32::from(register), address)
    }
}

/// Size of the longest name that a verification looks up, with its NUL.
const SYMBOL_MAX: usize = 64;
