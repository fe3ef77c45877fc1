//! Level 1, one table against one target: right calls answer what Rust answers, wrong ones name
//! what is wrong with them.

use super::call::{Told, call, of_core, options};
use super::forms::Forms;
use super::hooks::{Device, writer_for_c};
use super::take;
use core::mem::size_of;
use core::ptr;
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags, SymtabValues, Values};
use relakit::{Error, Profile, Target, View};
use relakit_ffi::*;

#[derive(Clone, Copy)]
enum Rust {
    Write(fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, RelocFlags) -> Result<(), Error>),
    Read(fn(RelaTable<'_>, Values<'_>, &mut View<'_>, RelocFlags) -> Result<(), Error>),
}

/// `relakit_apply`, `relakit_dry_run` or `relakit_clear`.
pub type C = unsafe extern "C" fn(
    *const core::ffi::c_void,
    usize,
    *const relakit_symbols,
    *const relakit_target,
    *const relakit_options,
    *mut relakit_error,
) -> i32;

/// One of the three functions, on both sides.
#[derive(Clone, Copy)]
struct Act {
    name: &'static str,
    rust: Rust,
    c: C,
}

const CLEAR: Act = Act { name: "relakit_clear", rust: Rust::Write(reloc::clear), c: relakit_clear };

/// Choices: act, flags, profile, wrongs, fails, size, symbols; then the address, the symbols'
/// values and the table.
pub fn run(mut data: &[u8]) -> Option<()> {
    let [act, flags, profile, wrong, fail, fail_again, size, count] = take(&mut data)?;
    let address = u64::from_le_bytes(take(&mut data)?);
    let (values, table) = data.split_at_checked(usize::from(count % 16) * 8)?;
    let case = Case {
        flags: u32::from(flags & 15 | flags >> 3 & 16),
        profile: &super::sections::PROFILES[usize::from(profile) % super::sections::PROFILES.len()],
        with_writer: flags & 16 != 0,
        symtab: flags & 32 != 0,
        fails: [fail, fail_again],
        before: vec![if flags & 64 != 0 { 0xcc } else { 0 }; usize::from(size)],
        address,
        values: values.as_chunks().0.iter().map(|value| u64::from_le_bytes(*value)).collect(),
        table,
    };
    let act_then_clears = act % 4 == 3;
    let act = match act % 4 {
        0 => CLEAR,
        1 => Act { name: "relakit_dry_run", rust: Rust::Read(reloc::dry_run), c: relakit_dry_run },
        _ => Act { name: "relakit_apply", rust: Rust::Write(reloc::apply), c: relakit_apply },
    };
    match wrong {
        0 => {
            case.agrees(act, act_then_clears);
            case.forms().agree();
        }
        _ => case.is_refused(act, wrong),
    }
    Some(())
}

struct Case<'d> {
    flags: u32,
    profile: &'static (u32, Profile),
    with_writer: bool,
    symtab: bool,
    fails: [u8; 2],
    before: Vec<u8>,
    address: u64,
    values: Vec<u64>,
    table: &'d [u8],
}

impl Case<'_> {
    /// A symbol table that has the values.
    fn symtab(&self) -> Vec<[u8; 24]> {
        let entry = |value: &u64| {
            let mut entry = [0; 24];
            entry[8..16].copy_from_slice(&value.to_le_bytes());
            entry
        };
        self.values.iter().map(entry).collect()
    }

    /// The same case for the forms of level 1 without a writer and without a symbol table.
    fn forms(&self) -> Forms<'_> {
        let Self { flags, profile, address, table, .. } = *self;
        Forms { flags, profile, before: &self.before, address, values: &self.values, table }
    }

    fn device(&self) -> Device {
        Device::new(vec![(self.address, self.before.clone())], self.fails)
    }

    /// The same answer, bytes and calls of the writer. `then_clear`: both sides go back as well.
    fn agrees(&self, act: Act, then_clear: bool) {
        let (mut plain, mut device) = (self.before.clone(), self.device());
        let (mut c_plain, mut c_device) = (self.before.clone(), self.device());
        for act in [Some(act), then_clear.then_some(CLEAR)].into_iter().flatten() {
            let ours = self.through_rust(act.rust, &mut plain, &mut device);
            let theirs = self.through_c(act, &mut c_plain, &mut c_device);
            assert_eq!(theirs, ours);
            assert_eq!(c_plain, plain);
            assert_eq!(c_device.seen(), device.seen());
        }
    }

    fn through_rust(&self, act: Rust, plain: &mut [u8], device: &mut Device) -> Result<(), Told> {
        let symtab = self.symtab();
        let values = match self.symtab {
            true => Values::Symtab(SymtabValues::from_entries(&symtab)),
            false => Values::Dense(&self.values),
        };
        let mut target = match self.with_writer {
            true => Target::with_writer(self.before.len() as u64, self.address, device),
            false => Target::new(plain, self.address),
        };
        let rules = RelocFlags::from_bits(self.flags).expect("five flags") | self.profile.1.reloc_flags();
        let table = RelaTable::new(self.table).map_err(of_core)?;
        match act {
            Rust::Write(act) => act(table, values, &mut target, rules),
            Rust::Read(act) => act(table, values, &mut View::from(&mut target), rules),
        }
        .map_err(of_core)
    }

    fn through_c(&self, act: Act, plain: &mut [u8], device: &mut Device) -> Result<(), Told> {
        let (symtab, options) = (self.symtab(), options(self.flags, self.profile.0));
        let symbols = self.symbols(&symtab);
        let mut writer = writer_for_c(device);
        // The input chooses the address, which is no memory of this program.
        writer.flags = RELAKIT_WRITER_FOREIGN;
        let target = relakit_target {
            bytes: if self.with_writer || plain.is_empty() {
                ptr::null_mut()
            } else {
                plain.as_mut_ptr().cast()
            },
            size: plain.len() as u64,
            address: self.address,
            writer: if self.with_writer { &raw const writer } else { ptr::null() },
        };
        let (table, size) = (self.table.as_ptr().cast(), self.table.len());
        // SAFETY: the table, the values and the target live during the call and have the sizes that
        // are passed.
        let status = call(act.name, |error| unsafe {
            (act.c)(table, size, &raw const symbols, &raw const target, &raw const options, error)
        });
        status.map(|status| assert_eq!(status, RELAKIT_OK))
    }

    fn symbols(&self, symtab: &[[u8; 24]]) -> relakit_symbols {
        match self.symtab {
            true if !symtab.is_empty() => relakit_symbols {
                values: ptr::null(),
                symtab: symtab.as_ptr().cast(),
                count: symtab.len(),
                value: None,
                ctx: ptr::null_mut(),
            },
            _ => relakit_symbols {
                values: self.values.as_ptr(),
                symtab: ptr::null(),
                count: self.values.len(),
                value: None,
                ctx: ptr::null_mut(),
            },
        }
    }

    /// A call with one thing wrong is answered with that thing, and nothing is changed.
    fn is_refused(&self, act: Act, wrong: u8) {
        let mut bytes = self.before.clone();
        bytes.resize(bytes.len().max(8), 0);
        let before = bytes.clone();
        let lent = [0u64; 4];
        let table = lent.as_ptr().cast::<u8>();
        let mut device = self.device();
        let mut writer = writer_for_c(&mut device);
        let mut symbols = relakit_symbols {
            values: self.values.as_ptr(),
            symtab: ptr::null(),
            count: self.values.len(),
            value: None,
            ctx: ptr::null_mut(),
        };
        let mut target = relakit_target {
            bytes: bytes.as_mut_ptr().cast(),
            size: bytes.len() as u64,
            address: self.address,
            writer: ptr::null(),
        };
        // A newer caller's options, larger than ours.
        let mut newer = [options(self.flags, self.profile.0), options(0, 0)];
        newer[1] = relakit_options { struct_size: 0, flags: 0, profile: 0, reserved: 0 };
        let (mut rela, mut size) = (table.cast(), 24);
        let impossible = isize::MAX.unsigned_abs() + 1;
        // What is wrong, and which of its kinds.
        let (wrong, kind) = (wrong % 24, usize::from(wrong / 24));
        match wrong {
            0 => size = 25 + kind % 8,
            1 => rela = ptr::null(),
            2 => size = impossible,
            4 => symbols.symtab = lent.as_ptr().cast(),
            5 => (symbols.values, symbols.count) = (ptr::null(), 1),
            6 => (symbols.values, symbols.count) = (lent.as_ptr().wrapping_byte_add(1), 1),
            7 => symbols.count = impossible,
            9 => target.bytes = ptr::null_mut(),
            10 => target.size = u64::MAX,
            11 => {
                (target.bytes, target.size) = (lent.as_ptr().wrapping_byte_add(23).cast_mut().cast(), 1);
                if kind % 2 == 1 {
                    // Behind a writer addresses count.
                    target.address = target.bytes.expose_provenance() as u64;
                    (target.bytes, target.writer) = (ptr::null_mut(), &raw const writer);
                }
            }
            12 => target.writer = &raw const writer,
            13 => writer.struct_size = [0, 39, 4097, u32::MAX][kind % 4],
            14 => writer.flags = 2,
            15 => writer.read = None,
            16 => writer.write = None,
            17 => newer[0].struct_size = [0, 15, 4097, u32::MAX][kind % 4],
            18 => newer[0].flags |= 64 << kind,
            19 => newer[0].profile = [6, 0xffff, 5 << 16 | 7][kind % 3],
            20 => newer[0].reserved = 1,
            21 => newer[1].reserved = 1,
            22 if self.values.is_empty() => return,
            22 => (target.bytes, target.size) = (self.values.as_ptr().cast_mut().cast(), 1),
            23 => size = 0,
            _ => {}
        }
        if (13..17).contains(&wrong) {
            (target.bytes, target.writer) = (ptr::null_mut(), &raw const writer);
        }
        if wrong == 21 || wrong == 23 {
            newer[0].struct_size = 2 * size_of::<relakit_options>() as u32;
        }
        let wraps = target.address.checked_add(target.size.saturating_sub(1)).is_none();
        let (status, argument) = match wrong {
            0 => (RELAKIT_ERR_PARTIAL_ENTRY, None),
            1 => (RELAKIT_ERR_NULL, Some(1)),
            2 => (RELAKIT_ERR_LENGTH, Some(1)),
            3 => (RELAKIT_ERR_NULL, Some(3)),
            4 | 5 => (RELAKIT_ERR_SYMBOLS, Some(3)),
            6 => (RELAKIT_ERR_ALIGNMENT, Some(3)),
            7 => (RELAKIT_ERR_LENGTH, Some(3)),
            8 | 9 => (RELAKIT_ERR_NULL, Some(4)),
            10 => (RELAKIT_ERR_LENGTH, Some(4)),
            11 | 22 => (RELAKIT_ERR_OVERLAP, Some(4)),
            12 => (RELAKIT_ERR_RESERVED, Some(4)),
            13 => (RELAKIT_ERR_STRUCT_SIZE, Some(4)),
            14 => (RELAKIT_ERR_FLAGS, Some(4)),
            15 | 16 => (RELAKIT_ERR_CALLBACK, Some(4)),
            17 => (RELAKIT_ERR_STRUCT_SIZE, Some(5)),
            18 => (RELAKIT_ERR_FLAGS, Some(5)),
            19 => (RELAKIT_ERR_PROFILE, None),
            20 | 21 => (RELAKIT_ERR_RESERVED, Some(5)),
            // Newer, and nothing in it that we do not know: right, if the target's addresses do not wrap.
            _ if wraps => (RELAKIT_ERR_ADDRESS_WRAPS, Some(target.address)),
            _ => (RELAKIT_OK, None),
        };
        let symbols = if wrong == 3 { ptr::null() } else { &raw const symbols };
        let target = if wrong == 8 { ptr::null() } else { &raw const target };
        // SAFETY: each argument is valid, or wrong in a way for which the header names an error.
        let answer =
            call(act.name, |error| unsafe { (act.c)(rela, size, symbols, target, newer.as_ptr(), error) });
        match answer {
            Ok(answer) => assert_eq!(answer, status),
            Err((answer, places, numbers)) => {
                assert_eq!((answer, places), (status, [None; 4]), "wrong {wrong}");
                assert!(argument.is_none_or(|argument| numbers[1] == argument), "wrong {wrong}: {numbers:?}");
            }
        }
        assert_eq!(bytes, before);
    }
}
