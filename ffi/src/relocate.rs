//! Level 1: one relocation table and one target. The loader does everything else.

use crate::callbacks::CValues;
use crate::error::{Failed, OrReport, Report, answer};
use crate::pointers::{Piece, Span, is_readable, plain, versioned};
use crate::status::*;
use crate::target::CTarget;
use crate::types::*;
use core::ffi::c_void;
use relakit::abi::SYM_SIZE;
use relakit::elf::RelaTable;
use relakit::reloc::{self, Got, RelocFlags, SymtabValues, Values};
use relakit::{Error, Profile, Target, View};

/// Applies every relocation of one table to one target, or changes nothing.
///
/// - `rela` is the table, an array of Elf64_Rela with `rela_size` bytes. It needs no alignment.
/// - If `target` overlaps the table or the symbol values, the function returns RELAKIT_ERR_OVERLAP.
///   With a writer this check uses target->address, unless RELAKIT_WRITER_FOREIGN is set.
///
/// In plain memory the function checks and writes the entries one after the other. If an entry
/// fails, it restores the fields written so far. With a writer or with RELAKIT_OPT_ALLOW_NONZERO it
/// checks all entries before the first write. The time is linear in `rela_size`.
///
/// Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_PARTIAL_ENTRY, RELAKIT_ERR_TARGET_NOT_ZERO,
/// RELAKIT_ERR_SYMBOL_UNRESOLVED (symbols->symtab), RELAKIT_ERR_UNKNOWN_SYMBOL or
/// RELAKIT_ERR_RESOLVER (symbols->value).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_apply(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: `usual` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    let found = unsafe { usual(rela, rela_size, symbols, target, options) };
    if let Some(Usual { table, values, bytes, address }) = found {
        // SAFETY: `usual` found that the bytes overlap neither the table nor the values. The caller
        // promises that no other code uses them.
        let mut target = Target::new(unsafe { bytes.write() }, address);
        return match reloc::apply(table, values, &mut target, RelocFlags::empty()) {
            Ok(()) => RELAKIT_OK,
            // SAFETY: the caller promises that `error` is NULL or writable.
            Err(found) => unsafe { store(error, &found) },
        };
    }
    // SAFETY: `run` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    unsafe { run(apply, None, rela, rela_size, symbols, target, options, error) }
}

/// Sets every field of one relocation table back to zero, or changes nothing. With
/// RELAKIT_OPT_ADD_TO_FIELD it subtracts the value from the field instead, and cannot check the
/// field.
///
/// The function checks that each field still holds the value that relakit_apply wrote. The
/// arguments are those of relakit_apply; the caller must pass the same symbol values, address and
/// options. Entries are cleared from the last to the first.
///
/// Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_TARGET_MISMATCH, RELAKIT_ERR_PARTIAL_ENTRY,
/// RELAKIT_ERR_UNKNOWN_SYMBOL or RELAKIT_ERR_RESOLVER (symbols->value).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_clear(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: `usual` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    let found = unsafe { usual(rela, rela_size, symbols, target, options) };
    if let Some(Usual { table, values, bytes, address }) = found {
        // SAFETY: `usual` found that the bytes overlap neither the table nor the values. The caller
        // promises that no other code uses them.
        let mut target = Target::new(unsafe { bytes.write() }, address);
        return match reloc::clear(table, values, &mut target, RelocFlags::empty()) {
            Ok(()) => RELAKIT_OK,
            // SAFETY: the caller promises that `error` is NULL or writable.
            Err(found) => unsafe { store(error, &found) },
        };
    }
    // SAFETY: `run` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    unsafe { run(clear, None, rela, rela_size, symbols, target, options, error) }
}

/// Checks whether relakit_apply would succeed, and writes nothing.
///
/// The arguments are those of relakit_apply; target->bytes may be read-only memory. The function
/// calls only the `read` callback of a writer. The fields must be in ascending order, as linkers
/// write them. With RELAKIT_OPT_ALLOW_NONZERO the function accepts any order.
///
/// Returns RELAKIT_OK, an error as in relakit_apply, or RELAKIT_ERR_FIELDS_NOT_ASCENDING.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_dry_run(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: `usual` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    let found = unsafe { usual(rela, rela_size, symbols, target, options) };
    if let Some(Usual { table, values, bytes, address }) = found {
        // SAFETY: `usual` checked the pointer; the caller promises that no code writes to the bytes
        // during the call.
        let mut target = View::new(unsafe { bytes.read() }, address);
        return match reloc::dry_run(table, values, &mut target, RelocFlags::empty()) {
            Ok(()) => RELAKIT_OK,
            // SAFETY: the caller promises that `error` is NULL or writable.
            Err(found) => unsafe { store(error, &found) },
        };
    }
    // SAFETY: `run` needs pointers as the crate's documentation says; the caller promises that
    // these are.
    unsafe { run(dry_run, None, rela, rela_size, symbols, target, options, error) }
}

/// Applies one relocation without a table, or changes nothing. The checks are those of
/// relakit_apply.
///
/// - `r_type` is the psABI number of the type.
/// - `symbol_value`, `addend` and `address` are S, A and P: the value of the symbol, the addend,
///   and the run-time address of the field.
/// - `field` is the memory of the field. `size` is the number of bytes that may be written there.
///   It may be more than the size of the field.
///
/// Returns RELAKIT_OK, or one of these errors, without `entry` and `symbol`:
/// RELAKIT_ERR_UNKNOWN_TYPE, RELAKIT_ERR_OVERFLOW, RELAKIT_ERR_OFFSET_OUTSIDE,
/// RELAKIT_ERR_TARGET_NOT_ZERO, RELAKIT_ERR_ADDRESS_WRAPS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_relocate(
    r_type: u32,
    symbol_value: u64,
    addend: i64,
    address: u64,
    field: *mut c_void,
    size: usize,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let rules = unsafe { Options::new(options, 7, report) }?.reloc_flags(report)?;
        let field = Piece::<u8>::new(field.cast(), size, 5, report)?;
        // SAFETY: `Piece::new` checked the pointer; the caller promises that only this call uses
        // the bytes.
        let field = unsafe { field.write() };
        reloc::relocate(r_type, symbol_value, addend, address, field, rules).or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// The arguments of a call without options, with an array of values and plain memory, none of them
/// empty.
struct Usual<'a> {
    table: RelaTable<'a>,
    values: Values<'a>,
    bytes: Piece<u8>,
    address: u64,
}

/// Checks the arguments of such a call. `None` if one of them is invalid, or the call is another one:
/// `run` processes all calls and finds the error.
///
/// Most tables have a few entries, so the checks cost as much as the pass.
///
/// # Safety
/// The promise of the crate's documentation holds for the pointers.
#[inline(always)]
unsafe fn usual<'a>(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
) -> Option<Usual<'a>> {
    if !(options.is_null() && is_readable(symbols) && is_readable(target)) {
        return None;
    }
    // SAFETY: `is_readable` refused NULL and misaligned pointers; the caller promises a readable
    // struct.
    let symbols = unsafe { symbols.read() };
    // SAFETY: `is_readable` refused NULL and misaligned pointers; the caller promises a readable
    // struct.
    let target = unsafe { target.read() };
    if symbols.value.is_some() || !symbols.symtab.is_null() || !target.writer.is_null() {
        return None;
    }
    let rela = Piece::<u8>::filled(rela.cast(), rela_size)?;
    let values = Piece::filled(symbols.values, symbols.count)?;
    let bytes = Piece::<u8>::filled(target.bytes.cast(), usize::try_from(target.size).ok()?)?;
    if !(bytes.span.is_beside(rela.span) && bytes.span.is_beside(values.span)) {
        return None;
    }
    // SAFETY: `filled` checked the pointer, and the target does not overlap the table. The caller
    // promises readable bytes.
    let (table, rest) = RelaTable::whole_entries(unsafe { rela.read() });
    // SAFETY: `filled` checked the pointer, and the target does not overlap the array. The caller
    // promises readable values.
    let values = Values::Dense(unsafe { values.read() });
    (rest == 0).then_some(Usual { table, values, bytes, address: target.address })
}

/// Stores an error of the core in `error`.
///
/// # Safety
/// `error` is NULL or writable.
#[cold]
#[inline(never)]
unsafe fn store(error: *mut relakit_error, found: &Error) -> relakit_status {
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, |report| Err(report.core(found))) }
}

/// One of the passes.
///
/// # Safety
/// The caller of the C function promises the memory of the target, and nothing that is borrowed
/// overlaps it.
pub(crate) type Act =
    unsafe fn(Option<&Got<'_>>, RelaTable<'_>, Values<'_>, &mut CTarget, RelocFlags) -> Result<(), Error>;

/// # Safety
/// See [`Act`].
unsafe fn apply(
    _: Option<&Got<'_>>,
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut CTarget,
    rules: RelocFlags,
) -> Result<(), Error> {
    // SAFETY: the caller of `relakit_apply` promises writable memory that no other code uses; `run` found
    // that it overlaps nothing that is borrowed.
    reloc::apply(table, values, &mut unsafe { target.write() }, rules)
}

/// # Safety
/// See [`Act`].
unsafe fn clear(
    _: Option<&Got<'_>>,
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut CTarget,
    rules: RelocFlags,
) -> Result<(), Error> {
    // SAFETY: the caller of `relakit_clear` promises writable memory that no other code uses; `run` found
    // that it overlaps nothing that is borrowed.
    reloc::clear(table, values, &mut unsafe { target.write() }, rules)
}

/// # Safety
/// See [`Act`].
unsafe fn dry_run(
    _: Option<&Got<'_>>,
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut CTarget,
    rules: RelocFlags,
) -> Result<(), Error> {
    // SAFETY: the caller of `relakit_dry_run` promises readable memory, and that no code writes to it
    // during the call.
    reloc::dry_run(table, values, &mut unsafe { target.read() }, rules)
}

/// Runs a pass of level 1.
///
/// # Safety
/// The promise of the crate's documentation holds for the pointers.
#[expect(clippy::too_many_arguments, reason = "those of the C functions, the pass and its GOT")]
pub(crate) unsafe fn run(
    act: Act,
    got: Option<(&Got<'_>, Span)>,
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // The numbers of the arguments. A GOT is the first one.
        let first = 1u64.saturating_add(u64::from(got.is_some()));
        let [symbols_number, target_number, options_number] =
            [2, 3, 4].map(|after| first.saturating_add(after));
        // SAFETY: the caller promises that `symbols` is NULL or a readable struct.
        let symbols = unsafe { plain(symbols, symbols_number, report) }?;
        // SAFETY: the caller promises that `target` is NULL or a readable struct.
        let target = unsafe { plain(target, target_number, report) }?;
        let rules = match options.is_null() {
            true => RelocFlags::empty(),
            // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
            false => unsafe { Options::new(options, options_number, report) }?.reloc_flags(report)?,
        };
        let rela = Piece::<u8>::new(rela.cast(), rela_size, first, report)?;
        let plan = got.map_or(Span::EMPTY, |(_, plan)| plan);
        let (source, callback);
        let (values, symbols_span) = match symbols.value {
            // SAFETY: the caller promises readable arrays; a target that overlaps them is refused
            // before it is written.
            None => unsafe { arrays(&symbols, symbols_number, report) }?,
            Some(_) if symbols.values.is_null() && symbols.symtab.is_null() => {
                // SAFETY: the caller promises that the callback accepts `ctx`.
                source = unsafe { CValues::new(&symbols) };
                callback = source.callback();
                (Values::Callback { count: symbols.count, callback: &callback }, Span::EMPTY)
            }
            Some(_) => return Err(report.refuse(RELAKIT_ERR_SYMBOLS, symbols_number, 0)),
        };
        // SAFETY: `Piece::new` checked the pointer; the caller promises readable bytes. A target
        // that overlaps them is refused before it is written.
        let (table, rest) = RelaTable::whole_entries(unsafe { rela.read() });
        if rest != 0 {
            return Err(report.refuse(RELAKIT_ERR_PARTIAL_ENTRY, rela_size as u64, rest as u64));
        }
        let spans = [rela.span, symbols_span, plan];
        let mut target = CTarget::new(target);
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        unsafe { target.check(&spans, target_number, report) }?;
        // SAFETY: the caller promises the memory of the target. `CTarget::check` found that it overlaps no
        // table, no values and no plan.
        let done = unsafe { act(got.map(|(got, _)| got), table, values, &mut target, rules) };
        done.or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Returns the symbol values of arrays, argument `number`, and their memory.
///
/// # Safety
/// The arrays in `symbols` can be read for `'a`, and are not written meanwhile.
pub(crate) unsafe fn arrays<'a>(
    symbols: &relakit_symbols,
    number: u64,
    report: &mut Report,
) -> Result<(Values<'a>, Span), Failed> {
    match (symbols.values.is_null(), symbols.symtab.is_null()) {
        (has_none, true) if !has_none || symbols.count == 0 => {
            let piece = Piece::new(symbols.values, symbols.count, number, report)?;
            // SAFETY: `Piece::new` checked the pointer; `arrays`' caller promises `count` readable
            // items.
            Ok((Values::Dense(unsafe { piece.read() }), piece.span))
        }
        (true, false) => {
            let piece = Piece::<[u8; SYM_SIZE]>::new(symbols.symtab.cast(), symbols.count, number, report)?;
            // SAFETY: `Piece::new` checked the pointer; `arrays`' caller promises `count` readable
            // items.
            Ok((Values::Symtab(SymtabValues::from_entries(unsafe { piece.read() })), piece.span))
        }
        _ => Err(report.refuse(RELAKIT_ERR_SYMBOLS, number, 0)),
    }
}

/// Options of a call, after the checks.
pub(crate) struct Options {
    /// A RELAKIT_PROFILE_ or RELAKIT_LINUX number that exists.
    profile: u32,
    /// The flags of the profile's passes.
    rules: RelocFlags,
    flags: u32,
    number: u64,
}

impl Options {
    /// Reads argument `number`. NULL means the strict rules.
    ///
    /// # Safety
    /// `options` is NULL, or as many bytes can be read as its first member says.
    #[inline(never)]
    pub(crate) unsafe fn new(
        options: *const relakit_options,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        if options.is_null() {
            let rules = const { Profile::ELF.reloc_flags() };
            return Ok(Self { profile: RELAKIT_PROFILE_ELF, rules, flags: 0, number });
        }
        // SAFETY: `options` is not NULL; the caller promises as many readable bytes as struct_size
        // says.
        let options = unsafe { versioned(options, number, report) }?;
        if options.reserved != 0 {
            return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0));
        }
        let Some(rules) = profile_flags(options.profile) else {
            return Err(no_profile(options.profile, report));
        };
        Ok(Self { profile: options.profile, rules, flags: options.flags, number })
    }

    /// The rules for one table; every flag is allowed.
    pub(crate) fn reloc_flags(self, report: &mut Report) -> Result<RelocFlags, Failed> {
        match RelocFlags::from_bits(self.flags) {
            // The types that a loader does not know are a part of its profile.
            Some(flags) if !flags.intersects(RelocFlags::UNKNOWN_TYPES) => Ok(flags | self.rules),
            _ => Err(report.refuse(RELAKIT_ERR_FLAGS, self.number, u64::from(self.flags))),
        }
    }

    /// The profile for a module; only RELAKIT_OPT_TRUNCATE_PC32 is allowed.
    pub(crate) fn profile(self, report: &mut Report) -> Result<Profile, Failed> {
        let Some(profile) = profile(self.profile) else { return Err(no_profile(self.profile, report)) };
        match self.flags {
            0 => Ok(*profile),
            RELAKIT_OPT_TRUNCATE_PC32 => Ok(profile.with_flags(RelocFlags::TRUNCATE_PC32)),
            flags => Err(report.refuse(RELAKIT_ERR_FLAGS, self.number, u64::from(flags))),
        }
    }
}

fn no_profile(number: u32, report: &mut Report) -> Failed {
    report.refuse(RELAKIT_ERR_PROFILE, u64::from(number), 0)
}

/// Returns the profile of a number; `None` if it is unknown.
pub(crate) fn profile(number: u32) -> Option<&'static Profile> {
    match number {
        RELAKIT_PROFILE_DEFAULT | RELAKIT_PROFILE_ELF => Some(&Profile::ELF),
        RELAKIT_PROFILE_XEN => Some(&Profile::XEN),
        RELAKIT_PROFILE_GRUB => Some(&Profile::GRUB),
        RELAKIT_PROFILE_FREEBSD => Some(&Profile::FREEBSD),
        RELAKIT_PROFILE_KEXEC => Some(&Profile::KEXEC),
        _ => linux_version(number).and_then(|(major, minor)| Profile::for_linux(major, minor)),
    }
}

/// Returns the flags of the profile of a number; `None` if it is unknown. The rows of profiles
/// contain pointers, so the functions of level 1 use only constants that are computed from them.
fn profile_flags(number: u32) -> Option<RelocFlags> {
    match number {
        RELAKIT_PROFILE_DEFAULT | RELAKIT_PROFILE_ELF => Some(const { Profile::ELF.reloc_flags() }),
        RELAKIT_PROFILE_XEN => Some(const { Profile::XEN.reloc_flags() }),
        RELAKIT_PROFILE_GRUB => Some(const { Profile::GRUB.reloc_flags() }),
        RELAKIT_PROFILE_FREEBSD => Some(const { Profile::FREEBSD.reloc_flags() }),
        RELAKIT_PROFILE_KEXEC => Some(const { Profile::KEXEC.reloc_flags() }),
        _ => linux_version(number).and_then(|(major, minor)| Profile::linux_reloc_flags(major, minor)),
    }
}

/// Returns the version of a RELAKIT_LINUX number: major, minor. `None` for the numbers of other
/// profiles, which have the highest bit.
fn linux_version(number: u32) -> Option<(u16, u16)> {
    let [minor_low, minor_high, major_low, major_high] = number.to_le_bytes();
    let major = u16::from_le_bytes([major_low, major_high]);
    (major <= u16::MAX / 2).then_some((major, u16::from_le_bytes([minor_low, minor_high])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_exists_if_its_flags_exist_and_has_these_flags() {
        let families = (0..16).chain((0..16).map(|number| number | 1 << 31));
        let versions = (0..10).flat_map(|major| (0..40).map(move |minor| major << 16 | minor));
        for number in families.chain(versions) {
            assert_eq!(profile_flags(number), profile(number).map(Profile::reloc_flags), "{number:#x}");
        }
        let newest = Profile::LINUX.last().unwrap();
        assert_eq!(profile(0x7fff << 16).map(|row| row.name), Some(newest.name));
        assert_eq!(profile(1 << 31), None, "a number of no profile");
    }
}
