//! What a module is asked that changes nothing in it; and what is no module.

use super::call::{call, is_poisoned, poisoned};
use super::order::{Slot, is_order, state_words};
use super::wrong::Lent;
use core::ffi::c_char;
use core::ptr;
use relakit_ffi::*;

impl Slot {
    /// A copy of the state is no module, nor is other memory, nor none, nor what is not aligned.
    pub fn copy(&mut self, byte: u8) {
        let mut other = self.state.clone();
        if byte != 0 {
            other.fill(u64::from_ne_bytes([byte; 8]));
        }
        let state = other.as_mut_ptr().cast();
        self.refuses(state, RELAKIT_ERR_NOT_A_MODULE_STATE);
        self.refuses(ptr::null_mut(), RELAKIT_ERR_NULL);
    }

    /// No function takes `state` for a module.
    fn refuses(&mut self, state: *mut relakit_module, status: i32) {
        let mut info = relakit_module_info { struct_size: 24, ..poisoned() };
        let mut sections: u32 = poisoned();
        // SAFETY: memory of a state's size, or none.
        let answers = unsafe {
            [
                call("relakit_module_describe", |error| relakit_module_describe(state, &raw mut info, error)),
                call("relakit_module_assign", |error| relakit_module_assign(state, ptr::null(), error)),
                call("relakit_module_going", |error| {
                    relakit_module_going(state, c"object".as_ptr(), ptr::null(), &raw mut sections, error)
                }),
            ]
        };
        for answer in answers {
            assert_eq!(answer.err().map(|told| told.0), Some(status));
        }
        assert!(is_poisoned(&sections));
    }

    /// Every function with no module at all.
    pub fn no_module(&mut self, byte: u8) {
        let mut other: Box<[u64]> = vec![u64::from_ne_bytes([byte; 8]); state_words()].into();
        let status = RELAKIT_ERR_NOT_A_MODULE_STATE;
        self.refuses(other.as_mut_ptr().cast(), status);
        self.refuses(other.as_mut_ptr().wrapping_byte_add(1).cast(), status);
    }

    /// The caller says that it has filled the sections.
    pub fn filled(&mut self) {
        let module = self.module();
        // SAFETY: as above.
        let answer = call("relakit_module_filled", |error| unsafe { relakit_module_filled(module, error) });
        match self.stage {
            Some(RELAKIT_STAGE_ASSIGNED | RELAKIT_STAGE_FILLED) => {
                assert_eq!(answer, Ok(RELAKIT_OK));
                self.stage = Some(RELAKIT_STAGE_FILLED);
            }
            Some(stage) => assert!(is_order(&answer, stage), "{answer:?}"),
            None => assert!(answer.is_err()),
        }
    }

    pub fn retained_size(&mut self, wrong: u8) {
        let (module, stage) = (self.module(), self.stage);
        let mut lent = Lent { module, values: &mut self.values, kept: &mut self.kept, objects: &[], wrong };
        let (values, count) = lent.values();
        let mut size: usize = poisoned();
        let out = if wrong == 1 { ptr::null_mut() } else { &raw mut size };
        // SAFETY: as above.
        let answer = call("relakit_module_retained_size", |error| unsafe {
            relakit_module_retained_size(module, values, count, out, error)
        });
        assert_eq!(answer.is_err(), is_poisoned(&size));
        match stage {
            Some(RELAKIT_STAGE_LATE) if wrong == 0 => assert!(is_order(&answer, RELAKIT_STAGE_LATE)),
            Some(RELAKIT_STAGE_LATE) | None => assert!(answer.is_err()),
            Some(_) => assert!(wrong != 0 || answer.is_ok(), "{answer:?}"),
        }
    }

    pub fn object(&mut self, index: u8, wrong: u8) {
        let (mut name, mut len, mut live): (*const c_char, usize, u32) = (poisoned(), poisoned(), poisoned());
        let out = [1, 2, 3].map(|at| wrong != at);
        let (module, index) = (self.module(), u32::from(index));
        // SAFETY: as above.
        let answer = call("relakit_module_object", |error| unsafe {
            let name = if out[0] { &raw mut name } else { ptr::null_mut() };
            let len = if out[1] { &raw mut len } else { ptr::null_mut() };
            let live = if out[2] { &raw mut live } else { ptr::null_mut() };
            relakit_module_object(module, index, name, len, live, error)
        });
        if answer != Ok(RELAKIT_OK) {
            assert!(is_poisoned(&name) && is_poisoned(&len) && is_poisoned(&live));
        } else {
            let kept = self.kept.as_ptr_range();
            let start = name.cast::<u8>();
            assert!(kept.start <= start && start.wrapping_add(len) <= kept.end && live <= 1);
        }
        match self.stage {
            Some(RELAKIT_STAGE_LATE) => assert_eq!(answer.is_err(), (1..=3).contains(&wrong), "{answer:?}"),
            Some(stage) => assert!(wrong != 0 || is_order(&answer, stage), "{answer:?}"),
            None => assert!(answer.is_err()),
        }
    }

    /// What the module consists of, until its file is gone.
    pub fn tell(&mut self, index: u8, wrong: u8) {
        let (module, index) = (self.module(), u32::from(index));
        let mut info: Newer<relakit_module_info> = poisoned();
        let mut section: Newer<relakit_section> = poisoned();
        let mut symbol: Newer<relakit_symbol> = poisoned();
        let mut special: Newer<relakit_special> = poisoned();
        // One byte too few, ours, or a newer caller's.
        let size = |ours: u32| match wrong {
            2 => ours - 1,
            3 => ours + 8,
            _ => ours,
        };
        (info.known.struct_size, section.known.struct_size) = (size(24), size(104));
        (symbol.known.struct_size, special.known.struct_size) = (size(48), size(16));
        let (out_info, out_section, out_symbol, out_special) = match wrong {
            1 => (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut()),
            _ => (
                (&raw mut info).cast(),
                (&raw mut section).cast(),
                (&raw mut symbol).cast(),
                (&raw mut special).cast(),
            ),
        };
        // SAFETY: as above.
        let answers = unsafe {
            [
                call("relakit_module_describe", |error| relakit_module_describe(module, out_info, error)),
                call("relakit_module_section", |error| {
                    relakit_module_section(module, index, out_section, error)
                }),
                call("relakit_module_symbol", |error| {
                    relakit_module_symbol(module, index, out_symbol, error)
                }),
                call("relakit_module_special", |error| {
                    relakit_module_special(module, index, out_special, error)
                }),
            ]
        };
        let written = [
            (!is_poisoned(&info.known.section_count), info.more),
            (!is_poisoned(&section.known.name_len), section.more),
            (!is_poisoned(&symbol.known.name_len), symbol.more),
            (!is_poisoned(&special.known.read_at), special.more),
        ];
        for (answer, (is_written, more)) in answers.iter().zip(written) {
            assert_eq!(*answer == Ok(RELAKIT_OK), is_written, "{answers:?}");
            // What we do not know is 0, and what is not the struct's is left alone.
            assert_eq!(more == 0, is_written && wrong == 3, "{answers:?}");
            assert!(more == 0 || is_poisoned(&more));
        }
        let has_file = !matches!(self.stage, None | Some(RELAKIT_STAGE_LATE));
        assert!(!has_file || wrong != 0 || answers[0] == Ok(RELAKIT_OK), "{answers:?}");
        assert!(answers[3].is_err() || self.stage == Some(RELAKIT_STAGE_LOADED));
        if !has_file || wrong == 1 || wrong == 2 {
            assert!(answers.iter().all(Result::is_err), "{answers:?}");
        }
    }
}

/// A struct of a caller that knows more members than we do, or memory behind ours.
#[repr(C)]
#[derive(Clone, Copy)]
struct Newer<T> {
    known: T,
    more: u64,
}
