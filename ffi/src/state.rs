//! Level 3: the state of a module, in a caller-provided buffer.

// During a call the state is marked as busy. A second call from a callback reads only this mark
// and returns an error.

use crate::error::{Failed, Report, answer};
use crate::pointers::{Out, Span};
use crate::status::*;
use crate::types::*;
use core::ffi::c_void;
use core::mem::{align_of, size_of};
use relakit::{Late, Loaded, Module};

/// State of a module, in a caller-provided buffer; see relakit_module_init. Members are private.
#[derive(Debug)]
#[repr(align(8))]
pub struct relakit_module {
    /// [`MAGIC`] and the address of the state: other memory and copies do not match.
    mark: u64,
    /// Whether a call is in progress.
    busy: bool,
    stage: Stage,
}

/// A number with which other memory is unlikely to begin.
const MAGIC: u64 = 0x7265_6c61_6b69_7401;

/// The stage of a module. The caller promises that the file and the retained state outlive it.
#[derive(Debug)]
pub(crate) enum Stage {
    Parsed(Module<'static>),
    Assigned(Module<'static>),
    Filled(Module<'static>),
    Loaded(Loaded<'static>),
    /// Also has the addresses of the retained state.
    Late(Late<'static>, Span),
}

impl Stage {
    /// Returns the RELAKIT_STAGE_ number.
    pub(crate) const fn number(&self) -> relakit_stage {
        match self {
            Self::Parsed(_) => RELAKIT_STAGE_PARSED,
            Self::Assigned(_) => RELAKIT_STAGE_ASSIGNED,
            Self::Filled(_) => RELAKIT_STAGE_FILLED,
            Self::Loaded(_) => RELAKIT_STAGE_LOADED,
            Self::Late(..) => RELAKIT_STAGE_LATE,
        }
    }

    /// Returns the module while it has its file.
    pub(crate) const fn module(&self) -> Option<&Module<'static>> {
        match self {
            Self::Parsed(module) | Self::Assigned(module) | Self::Filled(module) => Some(module),
            Self::Loaded(loaded) => Some(loaded.module()),
            Self::Late(..) => None,
        }
    }

    /// Stores RELAKIT_ERR_ORDER for a call that this stage does not allow.
    pub(crate) fn out_of_order(&self, report: &mut Report) -> Failed {
        report.refuse(RELAKIT_ERR_ORDER, u64::from(self.number()), 0)
    }
}

/// Stage of a module: a RELAKIT_STAGE_ number. It says which functions are allowed.
pub type relakit_stage = u32;
/// The pointer is NULL, or not a state that relakit_module_init made.
pub const RELAKIT_STAGE_NONE: u32 = 0;
/// relakit_module_init has read and checked the file.
pub const RELAKIT_STAGE_PARSED: u32 = 1;
/// relakit_module_assign has checked the section memory.
pub const RELAKIT_STAGE_ASSIGNED: u32 = 2;
/// The sections have their content.
pub const RELAKIT_STAGE_FILLED: u32 = 3;
/// The early relocations are applied. The special sections may be read.
pub const RELAKIT_STAGE_LOADED: u32 = 4;
/// The file is no longer needed. Patched objects can be loaded and unloaded.
pub const RELAKIT_STAGE_LATE: u32 = 5;
/// A call with this module is in progress: a callback runs.
pub const RELAKIT_STAGE_BUSY: u32 = 6;

/// Upper limit of relakit_module_size() in bytes, in every version with this RELAKIT_ABI. Use it
/// for buffers whose size must be known at compile time.
pub const RELAKIT_MODULE_SIZE: usize = 512;
/// Alignment of the state of a module, in bytes.
pub const RELAKIT_MODULE_ALIGN: usize = 8;

const _: () = assert!(size_of::<relakit_module>() <= RELAKIT_MODULE_SIZE);
const _: () = assert!(align_of::<relakit_module>() == RELAKIT_MODULE_ALIGN);

/// A checked buffer for a state: argument 1, with the size in argument 2.
pub(crate) struct StateMemory(Out<relakit_module>);

impl StateMemory {
    /// Checks the buffer.
    ///
    /// # Safety
    /// If not NULL, `size` bytes at `memory` are writable until the returned value is dropped.
    pub(crate) unsafe fn new(memory: *mut c_void, size: usize, report: &mut Report) -> Result<Self, Failed> {
        let needed = size_of::<relakit_module>();
        Span::items(memory.cast::<u8>(), size, 1, report)?;
        // SAFETY: the caller promises `size` writable bytes; `size` is checked before the write.
        let out = unsafe { Out::new(memory.cast(), 1, report) }?;
        match size >= needed {
            true => Ok(Self(out)),
            false => Err(report.refuse(RELAKIT_ERR_STATE_TOO_SHORT, size as u64, needed as u64)),
        }
    }

    /// Writes the state into the buffer.
    pub(crate) fn put(self, memory: *mut c_void, module: Module<'static>) -> *mut relakit_module {
        self.0.set(relakit_module {
            mark: MAGIC ^ memory.addr() as u64,
            busy: false,
            stage: Stage::Parsed(module),
        });
        memory.cast()
    }
}

/// Runs `call` with the stage of a module, unless another call is in progress. `call` gets the
/// addresses of the state, because no other buffer may overlap it.
///
/// # Safety
/// `module` is NULL, or readable and writable memory of a state's size. `error` is NULL or
/// writable.
#[inline(never)]
pub(crate) unsafe fn on(
    module: *mut relakit_module,
    error: *mut relakit_error,
    call: &mut dyn FnMut(&mut Stage, Span, &mut Report) -> Result<relakit_status, Failed>,
) -> relakit_status {
    let enter_and_call = |report: &mut Report| {
        // SAFETY: `on`'s caller promises that `module` is NULL or memory of a state's size.
        let (busy, stage, own) = unsafe { enter(module, report) }?;
        let result = call(stage, own, report);
        // SAFETY: `enter` returned the address of `busy` in a valid state, and wrote there.
        unsafe { busy.write(false) };
        result
    };
    // SAFETY: `on`'s caller promises that `error` is NULL or writable.
    unsafe { answer(error, enter_and_call) }
}

/// Returns the stage of a module without entering it.
///
/// # Safety
/// `module` is NULL or readable memory of a state's size.
pub(crate) unsafe fn stage(module: *const relakit_module) -> relakit_stage {
    // SAFETY: the caller promises that `module` is NULL or readable memory of a state's size.
    let Some(busy) = (unsafe { find(module.cast_mut()) }) else { return RELAKIT_STAGE_NONE };
    // SAFETY: `find` found the mark, so `StateMemory::put` wrote a state here.
    if unsafe { busy.read() } {
        return RELAKIT_STAGE_BUSY;
    }
    // SAFETY: `find` found a state, and it is not busy, so no call has a reference to its stage.
    unsafe { &(*module).stage }.number()
}

/// Returns the address of the mark of a running call. `None` if there is no state at `module`.
///
/// # Safety
/// `module` is NULL or readable memory of a state's size.
unsafe fn find(module: *mut relakit_module) -> Option<*mut bool> {
    if module.is_null() || !module.is_aligned() {
        return None;
    }
    // SAFETY: `module` is neither NULL nor misaligned; this computes an address and reads nothing.
    let mark = unsafe { &raw const (*module).mark };
    // SAFETY: the caller promises readable memory of a state's size; a `u64` may have any value.
    if unsafe { mark.read() } != MAGIC ^ module.addr() as u64 {
        return None;
    }
    // SAFETY: `module` is neither NULL nor misaligned; this computes an address and reads nothing.
    Some(unsafe { &raw mut (*module).busy })
}

/// Marks a module as busy. Until the mark is removed, no other call can access its stage.
///
/// # Safety
/// `module` is NULL, or readable and writable memory of a state's size.
unsafe fn enter<'a>(
    module: *mut relakit_module,
    report: &mut Report,
) -> Result<(*mut bool, &'a mut Stage, Span), Failed> {
    let own = Span::items(module, 1, 1, report)?;
    // SAFETY: the caller promises that `module` is NULL or readable memory of a state's size.
    let Some(busy) = (unsafe { find(module) }) else {
        return Err(report.refuse(RELAKIT_ERR_NOT_A_MODULE_STATE, 0, 0));
    };
    // SAFETY: `find` found the mark, so `StateMemory::put` wrote a state here. The caller promises
    // that it is writable.
    if unsafe { busy.replace(true) } {
        return Err(report.refuse(RELAKIT_ERR_BUSY, 0, 0));
    }
    // SAFETY: `find` found a state, and `busy` was false, so no other call has a reference to its
    // stage.
    Ok((busy, unsafe { &mut (*module).stage }, own))
}
