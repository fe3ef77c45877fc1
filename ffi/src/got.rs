//! Level 1 with a global offset table.

use crate::error::{Failed, OrReport, Report, answer};
use crate::pointers::{Out, Piece, Span, plain, versioned};
use crate::relocate::{Act, Options, arrays, run};
use crate::status::*;
use crate::target::CTarget;
use crate::types::*;
use core::ffi::c_void;
use relakit::ErrorKind;
use relakit::elf::RelaTable;
use relakit::reloc::{GotFlags, GotMarks, GotPlan};

/// relakit_got.flags: RELAKIT_GOT_ flags. No other family of flags has these numbers.
pub type relakit_got_flags = u32;
/// The GOT also has a stub for each slot: code that jumps to the address in the slot. A call
/// whose value does not fit its field then leads to the stub. The GOT must be executable.
pub const RELAKIT_GOT_STUBS: relakit_got_flags = 0x10000;
/// Each stub begins with endbr64, so that an indirect branch may lead to it.
pub const RELAKIT_GOT_ENDBR: relakit_got_flags = 0x20000;
/// The target of this call is executable code. With RELAKIT_GOT_STUBS, a field of the type PC32
/// after the opcode of a branch can lead to a stub, too. Assemblers before 2018 use PC32 for
/// branches. Only a branch to the symbol itself leads to the stub: its addend is -4.
pub const RELAKIT_GOT_IN_CODE: relakit_got_flags = 0x40000;

/// A global offset table (GOT): memory with a slot of 8 bytes for each symbol whose address code
/// loads from memory, as compilers do by default. The plan says which symbols have a slot.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_got {
    /// sizeof(struct relakit_got).
    pub struct_size: u32,
    /// RELAKIT_GOT_ flags, or 0. RELAKIT_GOT_STUBS and RELAKIT_GOT_ENDBR must be the same in every
    /// call for a GOT.
    pub flags: relakit_got_flags,
    /// The plan: an array of `count` words, aligned to 8 bytes. relakit_got_size fills it.
    pub plan: *mut u64,
    /// Number of words: relakit_got_words(number of symbols).
    pub count: usize,
    /// Run-time address of the GOT, a multiple of 8; with RELAKIT_GOT_STUBS, a multiple of 16.
    pub address: u64,
}

/// Returns the number of 64-bit words in the plan of a GOT for `symbols` symbols: one for 32.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_got_words(symbols: u32) -> u32 {
    GotMarks::words(symbols)
}

/// Adds what one relocation table needs to the plan of a GOT, and returns the size of the GOT for
/// all tables so far.
///
/// The caller sets the words of got->plan to 0, calls the function for every table of the module,
/// and allocates the GOT. The function does not use got->address. With RELAKIT_GOT_STUBS, the
/// symbols of relocations of the type PLT32 have a stub.
///
/// `rela` is an array of Elf64_Rela with `rela_size` bytes. *size is 0 if no GOT is needed.
/// Returns RELAKIT_OK, or RELAKIT_ERR_PARTIAL_ENTRY, RELAKIT_ERR_OVERLAP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_got_size(
    got: *const relakit_got,
    rela: *const c_void,
    rela_size: usize,
    size: *mut u64,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises that `got` is NULL or readable for its struct_size.
        let got = unsafe { versioned(got, 1, report) }?;
        let flags = flags(&got, report)?;
        // SAFETY: the caller promises that `size` is NULL or writable.
        let out = unsafe { Out::new(size, 4, report) }?;
        let rela = Piece::<u8>::new(rela.cast(), rela_size, 2, report)?;
        let words = Piece::<u64>::new(got.plan, got.count, 1, report)?;
        words.span.apart_from(&[rela.span], 1, report)?;
        // SAFETY: `Piece::new` checked the pointer, and the plan does not overlap the table. The
        // caller promises readable bytes.
        let (table, rest) = RelaTable::whole_entries(unsafe { rela.read() });
        if rest != 0 {
            return Err(report.refuse(RELAKIT_ERR_PARTIAL_ENTRY, rela_size as u64, rest as u64));
        }
        // SAFETY: `apart_from` found that the plan does not overlap the table. The caller promises
        // that no other code uses the plan.
        let mut marks = GotMarks::again(unsafe { words.write() }, flags);
        marks.add(table);
        out.set(marks.plan().size());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Writes the symbol values to the slots of a GOT, and the stubs, or changes nothing.
///
/// `target` is the memory of the GOT, with its run-time address. Its size is that of
/// relakit_got_size, and its content must be 0. got->address is not used. `symbols` must not use
/// the callback `value`.
/// Returns RELAKIT_OK, an error as in relakit_apply, or RELAKIT_ERR_ASSIGNED_SIZE,
/// RELAKIT_ERR_ADDRESS_MISALIGNED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_got_fill(
    got: *const relakit_got,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises that `got` is NULL or a readable struct with a readable plan.
        let (plan, span, _) = unsafe { plan(got, report) }?;
        // SAFETY: the caller promises that `symbols` is NULL or a readable struct.
        let symbols = unsafe { plain(symbols, 2, report) }?;
        // SAFETY: the caller promises that `target` is NULL or a readable struct.
        let target = unsafe { plain(target, 3, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let rules = unsafe { Options::new(options, 4, report) }?.reloc_flags(report)?;
        if symbols.value.is_some() {
            return Err(report.refuse(RELAKIT_ERR_SYMBOLS, 2, 0));
        }
        // SAFETY: the caller promises readable arrays; a target that overlaps them is refused
        // before it is written.
        let (values, values_span) = unsafe { arrays(&symbols, 2, report) }?;
        let mut target = CTarget::new(target);
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        unsafe { target.check(&[span, values_span], 3, report) }?;
        // SAFETY: `CTarget::check` found that the memory overlaps neither the plan nor the values. The
        // caller promises that it is writable and that no other code uses it.
        let mut target = unsafe { target.write() };
        plan.fill(values, &mut target, rules).or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Does what relakit_apply does, and also applies the types that refer to a GOT: GOTPCREL,
/// GOTPCRELX, REX_GOTPCRELX and its forms for APX, GOTPCREL64, GOT64, GOTPC32, GOTPC64, GOTOFF64,
/// PLTOFF64. The GOT may be filled before or after. Returns RELAKIT_OK, an error as in
/// relakit_apply, or RELAKIT_ERR_NO_GOT_SLOT, RELAKIT_ERR_ADDRESS_MISALIGNED (got->address).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_got_apply(
    got: *const relakit_got,
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let act: Act = |got, table, values, target, rules| match got {
        // SAFETY: `run` calls this after it has compared the memory with all that is borrowed; the
        // caller promises that it is writable.
        Some(got) => got.apply(table, values, &mut unsafe { target.write() }, rules),
        None => Ok(()),
    };
    // SAFETY: `with_got` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    unsafe { with_got(act, got, rela, rela_size, symbols, target, options, error) }
}

/// Does what relakit_clear does, for a table of relakit_got_apply. It does not change the GOT.
/// Returns RELAKIT_OK, an error as in relakit_clear, or one that relakit_got_apply adds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_got_clear(
    got: *const relakit_got,
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let act: Act = |got, table, values, target, rules| match got {
        // SAFETY: `run` calls this after it has compared the memory with all that is borrowed; the
        // caller promises that it is writable.
        Some(got) => got.clear(table, values, &mut unsafe { target.write() }, rules),
        None => Ok(()),
    };
    // SAFETY: `with_got` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    unsafe { with_got(act, got, rela, rela_size, symbols, target, options, error) }
}

/// Runs a pass with a GOT.
///
/// # Safety The promise of the crate's documentation holds for the pointers.
#[expect(clippy::too_many_arguments, reason = "those of the C functions")]
unsafe fn with_got(
    act: Act,
    got: *const relakit_got,
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let mut found = None;
    let call = |report: &mut Report| {
        // SAFETY: the caller promises that `got` is NULL or a readable struct with a readable plan.
        let (plan, span, got) = unsafe { plan(got, report) }?;
        let (address, align) = (got.address, plan.align());
        if address & align.wrapping_sub(1) != 0 {
            return Err(report.core(&relakit::Error::new(ErrorKind::AddressMisaligned, address, align)));
        }
        found = Some((plan.at(address).in_code(got.flags & RELAKIT_GOT_IN_CODE != 0), span));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    match unsafe { answer(error, call) } {
        RELAKIT_OK => {}
        status => return status,
    }
    let got = found.as_ref().map(|(got, span)| (got, *span));
    // SAFETY: `run` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    unsafe { run(act, got, rela, rela_size, symbols, target, options, error) }
}

/// Reads argument 1.
///
/// # Safety `got` is NULL or readable for its struct_size, and its plan is readable and not written
/// for `'a`.
unsafe fn plan<'a>(
    got: *const relakit_got,
    report: &mut Report,
) -> Result<(GotPlan<'a>, Span, relakit_got), Failed> {
    // SAFETY: `plan`'s caller promises that `got` is NULL or readable for its struct_size.
    let got = unsafe { versioned(got, 1, report) }?;
    let flags = flags(&got, report)?;
    let words = Piece::<u64>::new(got.plan, got.count, 1, report)?;
    // SAFETY: `Piece::new` checked the pointer; `plan`'s caller promises that the words are
    // readable for `'a`.
    Ok((GotPlan::from_words(unsafe { words.read() }, flags), words.span, got))
}

/// Returns the flags of the core.
fn flags(got: &relakit_got, report: &mut Report) -> Result<GotFlags, Failed> {
    let known = RELAKIT_GOT_STUBS | RELAKIT_GOT_ENDBR | RELAKIT_GOT_IN_CODE;
    match got.flags & !known {
        0 => Ok(got_flags(got.flags)),
        _ => Err(report.refuse(RELAKIT_ERR_FLAGS, 1, u64::from(got.flags))),
    }
}

/// Returns the flags of the core for those of C.
pub(crate) fn got_flags(flags: relakit_got_flags) -> GotFlags {
    let stubs = if flags & RELAKIT_GOT_STUBS != 0 { GotFlags::STUBS } else { GotFlags::empty() };
    if flags & RELAKIT_GOT_ENDBR != 0 { stubs | GotFlags::ENDBR } else { stubs }
}
