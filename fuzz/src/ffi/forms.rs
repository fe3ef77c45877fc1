//! The other forms of level 1: values by callback, one relocation, and the small apply, compared
//! with the same through Rust or through `relakit_apply`.

use super::call::{call, of_core, options, poisoned};
use core::ffi::c_void;
use core::ptr;
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags};
use relakit::{Profile, Target};
use relakit_ffi::*;

/// One table and one target in plain memory.
pub struct Forms<'c> {
    pub flags: u32,
    pub profile: &'static (u32, Profile),
    pub before: &'c [u8],
    pub address: u64,
    pub values: &'c [u64],
    pub table: &'c [u8],
}

/// Returns the value of `symbol`. `ctx` is the values, which are asked for inside only.
unsafe extern "C" fn value(ctx: *mut c_void, symbol: u32, value: *mut u64) -> i32 {
    // SAFETY: `ctx` is the slice that `Forms::by_callback` passes, and `value` is relakit's
    // writable result.
    unsafe { *value = (&*ctx.cast::<&[u64]>())[symbol as usize] };
    RELAKIT_OK
}

impl Forms<'_> {
    pub fn agree(&self) {
        self.by_callback();
        self.small();
        self.each_alone();
    }

    fn array(&self) -> relakit_symbols {
        let (values, count) = (self.values.as_ptr(), self.values.len());
        relakit_symbols { values, symtab: ptr::null(), count, value: None, ctx: ptr::null_mut() }
    }

    /// `relakit_apply` with these symbols and options.
    fn apply(
        &self,
        symbols: &relakit_symbols,
        options: *const relakit_options,
        bytes: &mut [u8],
    ) -> Result<i32, super::call::Told> {
        let target = relakit_target {
            bytes: bytes.as_mut_ptr().cast(),
            size: bytes.len() as u64,
            address: self.address,
            writer: ptr::null(),
        };
        let (table, size) = (self.table.as_ptr().cast(), self.table.len());
        // SAFETY: the table, the values and the target live during the call and have the sizes that
        // are passed.
        call("relakit_apply", |error| unsafe {
            relakit_apply(table, size, symbols, &raw const target, options, error)
        })
    }

    fn by_callback(&self) {
        let mut values = self.values;
        let symbols = relakit_symbols {
            values: ptr::null(),
            value: Some(value),
            ctx: (&raw mut values).cast(),
            ..self.array()
        };
        let options = options(self.flags, self.profile.0);
        let (mut by_callback, mut by_array) = (self.before.to_vec(), self.before.to_vec());
        assert_eq!(
            self.apply(&symbols, &raw const options, &mut by_callback),
            self.apply(&self.array(), &raw const options, &mut by_array)
        );
        assert_eq!(by_callback, by_array);
    }

    fn small(&self) {
        let (mut small, mut large) = (self.before.to_vec(), self.before.to_vec());
        let mut entry = poisoned::<usize>();
        // SAFETY: the table, the values and the target live during the call and have the sizes that
        // are passed.
        let status = unsafe {
            relakit_apply_small(
                self.table.as_ptr().cast(),
                self.table.len(),
                self.values.as_ptr(),
                self.values.len(),
                small.as_mut_ptr().cast(),
                small.len(),
                self.address,
                &raw mut entry,
            )
        };
        let expected = self.apply(&self.array(), ptr::null(), &mut large);
        let (kind, at) = expected.map_or_else(|(kind, places, _)| (kind, places[1]), |status| (status, None));
        assert_eq!((status, entry), (kind, at.map_or_else(poisoned, |entry| entry as usize)));
        assert_eq!(small, large);
    }

    /// Each relocation whose symbol exists, at the beginning of the target.
    fn each_alone(&self) {
        let rules = RelocFlags::from_bits(self.flags).expect("five flags") | self.profile.1.reloc_flags();
        let options = options(self.flags, self.profile.0);
        let (table, _) = RelaTable::whole_entries(self.table);
        for rela in table.iter().take(16) {
            let Some(s) = self.values.get(rela.r_sym as usize) else { continue };
            let entry = relakit::elf::Rela { r_offset: 0, ..rela }.to_bytes();
            let (mut ours, mut theirs) = (self.before.to_vec(), self.before.to_vec());
            let one = RelaTable::from_entries(core::slice::from_ref(&entry));
            let target = &mut Target::new(&mut ours, self.address);
            let result = reloc::apply(one, self.values.into(), target, rules).map_err(of_core);
            let (a, size) = (rela.r_addend, theirs.len());
            let field = theirs.as_mut_ptr().cast();
            // SAFETY: the table, the values and the target live during the call and have the sizes
            // that are passed.
            let answer = call("relakit_relocate", |error| unsafe {
                relakit_relocate(rela.r_type, *s, a, self.address, field, size, &raw const options, error)
            });
            let without_a_table = result
                .map_err(|(kind, [_, _, _, r_type], numbers)| (kind, [None, None, None, r_type], numbers));
            assert_eq!(answer.map(|_| ()), without_a_table);
            assert_eq!(theirs, ours);
        }
    }
}
