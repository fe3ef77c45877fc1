//! What a module is asked that changes nothing in it; and what is no module.

use super::call::{c, is_poisoned, poisoned};
use super::order::{Slot, is_order, state_words};
use core::ffi::CStr;
use core::ptr;
use relakit_ffi::*;

impl Slot {
    /// A copy of the state is no module, nor is other memory, nor none, nor what is not aligned.
    pub fn copy(&mut self, byte: u8) {
        let mut other = self.state.clone();
        if byte != 0 {
            other.fill(u64::from_ne_bytes([byte; 8]));
        }
        refuses(other.as_mut_ptr().cast(), RELAKIT_ERR_NOT_A_MODULE_STATE);
        refuses(ptr::null_mut(), RELAKIT_ERR_NULL);
    }

    /// The caller says that it has filled the sections.
    pub fn filled(&mut self) {
        let module = self.module();
        let answer = c!(relakit_module_filled(module));
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
        let mut size: usize = poisoned();
        let out = if wrong == 1 { ptr::null_mut() } else { &raw mut size };
        let answer = c!(relakit_module_retained_size(module, out));
        assert_eq!(answer.is_err(), is_poisoned(&size));
        match stage {
            Some(RELAKIT_STAGE_LOADED) => assert_eq!(answer.is_err(), wrong == 1, "{answer:?}"),
            Some(stage) => assert!(is_order(&answer, stage), "{answer:?}"),
            None => assert!(answer.is_err()),
        }
    }

    pub fn object(&mut self, index: u8, wrong: u8) {
        let (mut name, mut live): ([u8; RELAKIT_OBJECT_NAME_SIZE], u32) = (poisoned(), poisoned());
        let name_out = if wrong == 1 { ptr::null_mut() } else { (&raw mut name).cast() };
        let live_out = if wrong == 2 { ptr::null_mut() } else { &raw mut live };
        let (module, index) = (self.module(), u32::from(index));
        let answer = c!(relakit_module_object(module, index, name_out, live_out));
        if answer != Ok(RELAKIT_OK) {
            assert!(is_poisoned(&name) && is_poisoned(&live));
        } else {
            let object = CStr::from_bytes_until_nul(&name).expect("it ends with NUL");
            // A module with too many objects for a list has only the names of no object.
            let is_listed = self.objects.iter().any(|known| known.as_c_str() == object);
            assert!(is_listed || self.objects.len() <= 4, "{object:?}");
            assert!(name[object.count_bytes()..].iter().all(|byte| *byte == 0));
            assert!(live <= 1 || wrong == 2 && is_poisoned(&live));
        }
        match self.stage {
            Some(RELAKIT_STAGE_LATE) => assert_eq!(answer.is_err(), wrong == 1, "{answer:?}"),
            Some(stage) => assert!(wrong != 0 || is_order(&answer, stage), "{answer:?}"),
            None => assert!(answer.is_err()),
        }
    }

    /// What the module consists of, until its file is gone.
    pub fn tell(&mut self, index: u8, wrong: u8) {
        let (module, page) = (self.module(), u64::from(index) << 8);
        let index = u32::from(index);
        // The caller's struct has one byte too few, the bytes of ours, or those of a newer one.
        macro_rules! ask {
            ($function:ident($($argument:expr),*) -> $kind:ident of $size:literal, $member:ident) => {{
                let mut told: Newer<$kind> = poisoned();
                told.known.struct_size = match wrong { 2 => $size - 1, 3 => $size + 8, _ => $size };
                let out = if wrong == 1 { ptr::null_mut() } else { (&raw mut told).cast() };
                let answer = c!($function(module, $($argument,)* out));
                let is_written = !is_poisoned(&told.known.$member);
                assert_eq!(answer == Ok(RELAKIT_OK), is_written, "{answer:?}");
                // What we do not know is 0, and what is not the struct's is left alone.
                assert_eq!(told.more == 0, is_written && wrong == 3, "{answer:?}");
                assert!(told.more == 0 || is_poisoned(&told.more));
                answer
            }};
        }
        let answers = [
            ask!(relakit_module_describe() -> relakit_module_info of 24, section_count),
            ask!(relakit_module_section(index) -> relakit_section of 104, name_len),
            ask!(relakit_module_symbol(index) -> relakit_symbol of 48, name_len),
            ask!(relakit_module_special(index) -> relakit_special of 16, read_at),
            ask!(relakit_module_find_symbol(c"f".as_ptr()) -> relakit_symbol of 48, name_len),
            ask!(relakit_module_layout(ptr::null_mut(), 1, page, ptr::null_mut(), 0) -> relakit_layout of 136, size),
        ];
        let has_file = !matches!(self.stage, None | Some(RELAKIT_STAGE_LATE));
        assert!(!has_file || wrong != 0 || answers[0] == Ok(RELAKIT_OK), "{answers:?}");
        assert!(answers[3].is_err() || self.stage == Some(RELAKIT_STAGE_LOADED));
        if !has_file || wrong == 1 || wrong == 2 {
            assert!(answers.iter().all(Result::is_err), "{answers:?}");
        }
    }
}

/// Every function with no module at all.
pub fn no_module(byte: u8) {
    let mut other: Box<[u64]> = vec![u64::from_ne_bytes([byte; 8]); state_words()].into();
    let status = RELAKIT_ERR_NOT_A_MODULE_STATE;
    refuses(other.as_mut_ptr().cast(), status);
    refuses(other.as_mut_ptr().wrapping_byte_add(1).cast(), status);
}

/// No function takes `state`, which is memory of a state's size or NULL, for a module.
fn refuses(state: *mut relakit_module, status: i32) {
    let mut info = relakit_module_info { struct_size: 24, ..poisoned() };
    let mut sections: u32 = poisoned();
    let object = c"object".as_ptr();
    for answer in [
        c!(relakit_module_describe(state, &raw mut info)),
        c!(relakit_module_assign(state, ptr::null())),
        c!(relakit_module_going(state, object, ptr::null(), &raw mut sections)),
    ] {
        assert_eq!(answer.err().map(|told| told.0), Some(status));
    }
    assert!(is_poisoned(&sections));
}

/// A struct of a caller that knows more members than we do, or memory behind ours.
#[repr(C)]
#[derive(Clone, Copy)]
struct Newer<T> {
    known: T,
    more: u64,
}
