//! Level 1: one relocation table against one target, for a loader that has its own everything else.

use crate::callbacks::CWriter;
use crate::fault::{OrReport, Report, Stopped, answer};
use crate::pointers::{Piece, Span, plain, versioned};
use crate::status::*;
use crate::types::*;
use core::ffi::c_void;
use relakit::abi::SYM_SIZE;
use relakit::elf::RelaTable;
use relakit::reloc::{self, Rules, SymtabValues, Values};
use relakit::{Error, Profile, Target, View};

/// Applies every relocation of one table to one target, or changes nothing.
///
/// rela is rela_size bytes of Elf64_Rela, which need not be aligned. symbols are the values by symbol index. The target
/// must not overlap them; behind a writer its addresses must not, see RELAKIT_WRITER_FOREIGN. The time is linear in rela_size.
///
/// Plain memory is relocated in one pass that undoes what it wrote when an entry fails. With a writer everything is
/// proven before the first write; see struct relakit_writer.
///
/// Returns RELAKIT_OK, or
/// RELAKIT_ERR_PARTIAL_ENTRY   rela_size is not a multiple of 24;
/// RELAKIT_ERR_UNKNOWN_TYPE    a type that the options do not know;
/// RELAKIT_ERR_OFFSET_OUTSIDE  a field lies outside the target;
/// RELAKIT_ERR_SYMBOL_INDEX    there is no such symbol;
/// RELAKIT_ERR_OVERFLOW        a value does not fit its field;
/// RELAKIT_ERR_NON_ZERO        a field is not zero (see RELAKIT_ALLOW_NONZERO);
/// RELAKIT_ERR_WRITER, _SYNC   the writer failed, nothing is changed;
/// RELAKIT_ERR_NOT_UNDONE      the writer failed while the pass was undone: entries up to error->entry are written;
/// RELAKIT_ERR_ADDRESS_WRAPS   the target's addresses wrap past 2^64;
/// RELAKIT_ERR_SYMBOL_UNRESOLVED  the values are in a symbol table that was not resolved (see RELAKIT_ALLOW_ZERO_SYMBOLS);
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _PROFILE, _CALLBACK, _SYMBOLS
///                             the call itself is wrong, error->value is the number of the argument.
///
/// Reentrant. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_apply(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: the caller's promise.
    unsafe { run(Act::Write(reloc::apply), rela, rela_size, symbols, target, options, error) }
}

/// Sets every field of one table back to zero, or changes nothing. Each must hold what relakit_apply wrote with these
/// symbol values and options; the last entry goes first.
///
/// The arguments are those of relakit_apply.
///
/// Returns RELAKIT_OK, or RELAKIT_ERR_MISMATCH when a field does not hold what was applied (error->value is what it
/// should, error->limit what it does hold), or what relakit_apply returns. RELAKIT_ERR_NOT_UNDONE: the entries up to
/// error->entry hold their values, those after it are zero.
///
/// Reentrant. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_clear(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: the caller's promise.
    unsafe { run(Act::Write(reloc::clear), rela, rela_size, symbols, target, options, error) }
}

/// Says what relakit_apply would return. It only reads: target->bytes may be memory that cannot be written, and of a writer only
/// read is called.
///
/// The arguments are those of relakit_apply.
///
/// Returns RELAKIT_OK, or what relakit_apply returns, or
/// RELAKIT_ERR_UNORDERED  a field does not come after the one before it (error->entry), so what one entry writes may decide about
///                        a later one. Tables that linkers write ascend. With RELAKIT_ALLOW_NONZERO the order does not matter.
///
/// Reentrant. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_check(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: the caller's promise.
    unsafe { run(Act::Read(reloc::check), rela, rela_size, symbols, target, options, error) }
}

/// One of the three passes.
enum Act {
    /// It writes.
    Write(fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, Rules) -> Result<(), Error>),
    /// It only reads.
    Read(fn(RelaTable<'_>, Values<'_>, &mut View<'_>, Rules) -> Result<(), Error>),
}

/// # Safety
/// The caller's promise.
unsafe fn run(
    act: Act,
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let symbols = unsafe { plain(symbols, 3, report) }?;
        // SAFETY: as above.
        let target = unsafe { plain(target, 4, report) }?;
        let rules = match options.is_null() {
            true => Rules::empty(),
            // SAFETY: as above.
            false => unsafe { Options::new(options, 5, report) }?.rules(report)?,
        };
        let rela = Piece::<u8>::new(rela.cast(), rela_size, 1, report)?;
        // SAFETY: as above; no target overlaps them.
        let (values, lent) = unsafe { values(&symbols, report) }?;
        // SAFETY: as above.
        let (table, rest) = RelaTable::whole_entries(unsafe { rela.read() });
        if rest != 0 {
            return Err(report.refuse(RELAKIT_ERR_PARTIAL_ENTRY, rela_size as u64, rest as u64));
        }
        let mut writer = match target.writer.is_null() {
            true => None,
            // SAFETY: as above.
            false => unsafe { CWriter::new(target.writer, 4, report) }?,
        };
        let relakit_target { size, address, .. } = target;
        let done = match &mut writer {
            Some(_) if !target.bytes.is_null() => return Err(report.refuse(RELAKIT_ERR_RESERVED, 4, 0)),
            Some(writer) if writer.overlaps(address, size, [rela.span, lent].into_iter()) => {
                return Err(report.refuse(RELAKIT_ERR_OVERLAP, 4, 0));
            }
            Some(writer) => match act {
                Act::Write(act) => act(table, values, &mut Target::hooked(size, address, writer), rules),
                Act::Read(act) => act(table, values, &mut View::hooked(size, address, writer), rules),
            },
            None => {
                let Ok(size) = usize::try_from(size) else {
                    return Err(report.refuse(RELAKIT_ERR_LENGTH, 4, size));
                };
                let bytes = Piece::<u8>::new(target.bytes.cast(), size, 4, report)?;
                bytes.span.apart_from(&[rela.span, lent], 4, report)?;
                match act {
                    Act::Write(act) => {
                        // SAFETY: the caller's promise; the bytes overlap nothing that is borrowed.
                        let bytes = unsafe { bytes.write() };
                        act(table, values, &mut Target::new(bytes, address), rules)
                    }
                    Act::Read(act) => {
                        // SAFETY: the caller's promise; nobody writes to the bytes during the call.
                        let bytes = unsafe { bytes.read() };
                        act(table, values, &mut View::new(bytes, address), rules)
                    }
                }
            }
        };
        done.or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { answer(error, call) }
}

/// Symbol values, argument 3, and where they are.
///
/// # Safety
/// The caller's promise.
unsafe fn values<'a>(symbols: &relakit_symbols, report: &mut Report) -> Result<(Values<'a>, Span), Stopped> {
    match (symbols.values.is_null(), symbols.symtab.is_null()) {
        (has_none, true) if !has_none || symbols.count == 0 => {
            let piece = Piece::new(symbols.values, symbols.count, 3, report)?;
            // SAFETY: the caller's promise.
            Ok((Values::Dense(unsafe { piece.read() }), piece.span))
        }
        (true, false) => {
            let piece = Piece::<[u8; SYM_SIZE]>::new(symbols.symtab.cast(), symbols.count, 3, report)?;
            // SAFETY: as above.
            Ok((Values::Symtab(SymtabValues::from_entries(unsafe { piece.read() })), piece.span))
        }
        _ => Err(report.refuse(RELAKIT_ERR_SYMBOLS, 3, 0)),
    }
}

/// Options, checked.
pub(crate) struct Options {
    profile: &'static Profile,
    flags: u32,
    number: u64,
}

impl Options {
    /// Argument `number`; NULL is the default.
    ///
    /// # Safety
    /// NULL, or as many bytes can be read as its first member says.
    #[inline(never)]
    pub(crate) unsafe fn new(
        options: *const relakit_options,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Stopped> {
        if options.is_null() {
            return Ok(Self { profile: &Profile::LINUX_6_12, flags: 0, number });
        }
        // SAFETY: the caller's promise.
        let options = unsafe { versioned(options, number, report) }?;
        if options.reserved != 0 {
            return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0));
        }
        let Some(profile) = profile(options.profile) else {
            return Err(report.refuse(RELAKIT_ERR_PROFILE, u64::from(options.profile), 0));
        };
        Ok(Self { profile, flags: options.flags, number })
    }

    /// For one table: every rule there is.
    pub(crate) fn rules(self, report: &mut Report) -> Result<Rules, Stopped> {
        match Rules::from_bits(self.flags) {
            Some(flags) => Ok(flags | self.profile.rules()),
            None => Err(report.refuse(RELAKIT_ERR_FLAGS, self.number, u64::from(self.flags))),
        }
    }

    /// For a module, which has its profile's rules.
    pub(crate) fn profile(self, report: &mut Report) -> Result<Profile, Stopped> {
        match self.flags {
            0 => Ok(*self.profile),
            RELAKIT_CHECK_PC32 => Ok(self.profile.with_pc32_check()),
            flags => Err(report.refuse(RELAKIT_ERR_FLAGS, self.number, u64::from(flags))),
        }
    }
}

/// The profile of a number.
pub(crate) fn profile(number: u32) -> Option<&'static Profile> {
    let [minor_low, minor_high, major_low, major_high] = number.to_le_bytes();
    match number {
        RELAKIT_PROFILE_DEFAULT => Some(&Profile::LINUX_6_12),
        RELAKIT_PROFILE_ELF => Some(&Profile::ELF),
        _ => Profile::for_linux(
            u16::from_le_bytes([major_low, major_high]),
            u16::from_le_bytes([minor_low, minor_high]),
        ),
    }
}
