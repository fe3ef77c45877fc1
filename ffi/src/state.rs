//! The state of a module in memory that the caller lends.
//!
//! While a call works on it, it is marked as busy, so that a call from a callback is refused before it looks at more than
//! the mark.

use crate::fault::{Report, Stopped, answer};
use crate::pointers::{Out, Span};
use crate::status::*;
use crate::types::*;
use core::ffi::c_void;
use core::mem::{align_of, size_of};
use relakit::{Late, Loaded, Module};

/// The life of one module, in memory that the caller lends; see relakit_module_init. Opaque.
#[derive(Debug)]
pub struct relakit_module {
    /// [`MAGIC`] and the state's own address, so that neither other memory nor a copy is taken for one.
    mark: usize,
    /// Whether a call is under way.
    busy: bool,
    stage: Stage,
}

/// Any number that other memory is unlikely to begin with.
const MAGIC: usize = 0x7265_6c61_6b69_7401;

/// Where in its life a module is. The file and the kept memory outlive it: the caller's promise.
#[derive(Debug)]
pub(crate) enum Stage {
    Parsed(Module<'static>),
    Placed(Module<'static>),
    Filled(Module<'static>),
    Loaded(Loaded<'static>),
    /// With the memory that it keeps.
    Late(Late<'static>, Span),
}

impl Stage {
    /// The RELAKIT_STAGE_.
    pub(crate) const fn number(&self) -> i32 {
        match self {
            Self::Parsed(_) => RELAKIT_STAGE_PARSED,
            Self::Placed(_) => RELAKIT_STAGE_PLACED,
            Self::Filled(_) => RELAKIT_STAGE_FILLED,
            Self::Loaded(_) => RELAKIT_STAGE_LOADED,
            Self::Late(..) => RELAKIT_STAGE_LATE,
        }
    }

    /// The file, while there is one.
    pub(crate) const fn module(&self) -> Option<&Module<'static>> {
        match self {
            Self::Parsed(module) | Self::Placed(module) | Self::Filled(module) => Some(module),
            Self::Loaded(loaded) => Some(loaded.module()),
            Self::Late(..) => None,
        }
    }

    /// The answer to a call that cannot be made now.
    pub(crate) fn out_of_order(&self, report: &mut Report) -> Stopped {
        report.refuse(RELAKIT_ERR_ORDER, u64::from(self.number().unsigned_abs()), 0)
    }
}

/// The module's file is read and checked.
pub const RELAKIT_STAGE_PARSED: i32 = 1;
/// Its memory is known to be right.
pub const RELAKIT_STAGE_PLACED: i32 = 2;
/// Its sections have their content.
pub const RELAKIT_STAGE_FILLED: i32 = 3;
/// Every early relocation is in place; its special sections may be read.
pub const RELAKIT_STAGE_LOADED: i32 = 4;
/// The file is not needed any more; objects come and go.
pub const RELAKIT_STAGE_LATE: i32 = 5;

/// Bytes of memory that a module's state needs at most, in every version with this RELAKIT_ABI: for memory that is
/// reserved when a program is compiled. relakit_module_size says what it really needs.
pub const RELAKIT_MODULE_SIZE: usize = 512;
/// What the memory of a module's state must be aligned to, in bytes.
pub const RELAKIT_MODULE_ALIGN: usize = 8;

const _: () = assert!(size_of::<relakit_module>() <= RELAKIT_MODULE_SIZE);
const _: () = assert!(align_of::<relakit_module>() == RELAKIT_MODULE_ALIGN);

/// Where a state may be made: argument 1, of the size in argument 2.
pub(crate) struct Lent(Out<relakit_module>);

impl Lent {
    /// # Safety
    /// If not NULL, it can be written until this is dropped.
    pub(crate) unsafe fn new(memory: *mut c_void, size: usize, report: &mut Report) -> Result<Self, Stopped> {
        let needed = size_of::<relakit_module>();
        Span::items(memory.cast::<u8>(), size, 1, report)?;
        // SAFETY: the caller's promise; the size is looked at before anything is written.
        let out = unsafe { Out::new(memory.cast(), 1, report) }?;
        match size >= needed {
            true => Ok(Self(out)),
            false => Err(report.refuse(RELAKIT_ERR_STATE_TOO_SHORT, size as u64, needed as u64)),
        }
    }

    /// Makes the state.
    pub(crate) fn put(self, memory: *mut c_void, module: Module<'static>) -> *mut relakit_module {
        self.0.set(relakit_module { mark: MAGIC ^ memory.addr(), busy: false, stage: Stage::Parsed(module) });
        memory.cast()
    }
}

/// Makes `call` on the stage of a module, unless one is under way, and answers the caller. The call is told where the
/// state is: nothing else that is lent may overlap it.
///
/// # Safety
/// `module` is NULL or leads to readable and writable memory of a state's size; `error` is NULL or can be written.
#[inline(never)]
pub(crate) unsafe fn on(
    module: *mut relakit_module,
    error: *mut relakit_error,
    call: &mut dyn FnMut(&mut Stage, Span, &mut Report) -> Result<relakit_status, Stopped>,
) -> relakit_status {
    let enter_and_call = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let (busy, stage, own) = unsafe { enter(module, report) }?;
        let result = call(stage, own, report);
        // SAFETY: `enter` has written here.
        unsafe { busy.write(false) };
        result
    };
    // SAFETY: as above.
    unsafe { answer(error, enter_and_call) }
}

/// Marks a module as busy. Until the mark is taken away nobody else gets at its stage.
///
/// # Safety
/// As above.
unsafe fn enter<'a>(
    module: *mut relakit_module,
    report: &mut Report,
) -> Result<(*mut bool, &'a mut Stage, Span), Stopped> {
    let own = Span::items(module, 1, 1, report)?;
    if !module.is_aligned() {
        return Err(report.refuse(RELAKIT_ERR_NOT_A_MODULE_STATE, 0, 0));
    }
    // SAFETY: not NULL and aligned.
    let mark = unsafe { &raw const (*module).mark };
    // SAFETY: the caller vouches for the memory, and a mark is a number whatever there is.
    if unsafe { mark.read() } != MAGIC ^ module.addr() {
        return Err(report.refuse(RELAKIT_ERR_NOT_A_MODULE_STATE, 0, 0));
    }
    // SAFETY: the mark is there, so `Lent::put` has written a state.
    let busy = unsafe { &raw mut (*module).busy };
    // SAFETY: as above.
    if unsafe { busy.replace(true) } {
        return Err(report.refuse(RELAKIT_ERR_BUSY, 0, 0));
    }
    // SAFETY: as above; the mark of being busy keeps everybody else away.
    Ok((busy, unsafe { &mut (*module).stage }, own))
}
