//! Level 3: any calls in any order, right and wrong, on two modules. A call in the wrong stage is
//! told so, a call that fails has changed nothing, and the file is gone when nobody needs it any
//! more.

use super::call::{Told, c, call, is_poisoned, poisoned};
use super::hooks::{Names, Owner, writer_for_c};
use super::sections::{Choices, Sections};
use super::take;
use super::text::{self, any_error};
use super::verify::Running;
use super::wrong::{Lent, wrong_memory, wrong_places};
use core::ffi::c_char;
use core::ptr;
use relakit::Module;
use relakit_ffi::*;
use std::ffi::CString;

/// RELAKIT_LINUX(6, 1).
const RELAKIT_LINUX_6_1: u32 = 6 << 16 | 1;

/// Calls of one input.
const MAX_CALLS: usize = 48;

/// The choices, the number of calls, three bytes a call, and the file.
pub fn run(mut data: &[u8]) -> Option<()> {
    let choices = Choices::new(take(&mut data)?);
    let [count] = take(&mut data)?;
    let (calls, file) = data.split_at_checked(usize::from(count).min(MAX_CALLS) * 3)?;
    let mut slots = [Slot::new(), Slot::new()];
    for [what, which, wrong] in calls.as_chunks().0 {
        let slot = &mut slots[usize::from(what >> 7)];
        slot.make(what & 127, *which, *wrong, file, choices);
        slot.check_stage();
        text::check(&any_error([*which, *what, *wrong, count]), slot.module());
    }
    Some(())
}

/// A module's state with what is lent to it. `Box`es, because each is to end where it says.
pub struct Slot {
    pub state: Box<[u64]>,
    file: Option<Box<[u64]>>,
    file_size: usize,
    sections: Option<Sections>,
    pub objects: Vec<CString>,
    pub values: Box<[u64]>,
    pub kept: Box<[u8]>,
    /// The stage that it should be in; `None` when there is no module.
    pub stage: Option<u32>,
}

/// Words of memory that a state needs.
pub fn state_words() -> usize {
    relakit_module_size().div_ceil(8)
}

/// Whether an answer to a call that is right but for the stage says so.
pub fn is_order(answer: &Result<i32, Told>, stage: u32) -> bool {
    matches!(answer, Err((RELAKIT_ERR_ORDER, [None, None, None, None], [0, value, 0])) if *value == u64::from(stage))
}

impl Slot {
    fn new() -> Self {
        Self {
            state: vec![0; state_words()].into(),
            file: None,
            file_size: 0,
            sections: None,
            objects: Vec::new(),
            values: Box::default(),
            kept: Box::default(),
            stage: None,
        }
    }

    pub const fn module(&mut self) -> *mut relakit_module {
        self.state.as_mut_ptr().cast()
    }

    fn check_stage(&mut self) {
        // SAFETY: the pointer leads to memory of a state's size.
        let stage = unsafe { relakit_module_stage(self.module()) };
        assert_eq!(stage, self.stage.unwrap_or(RELAKIT_STAGE_NONE));
    }

    fn make(&mut self, what: u8, which: u8, wrong: u8, file: &[u8], choices: Choices) {
        match what % 16 {
            0 | 1 => self.init(file, wrong, choices),
            2 => self.copy(which),
            3 => self.place(wrong),
            4 if which & 0x80 != 0 => self.filled(),
            4 => self.fill(wrong),
            5 | 6 => self.early(which, wrong),
            7 if which & 0x80 != 0 => self.verification(which, wrong),
            7 => self.retained_size(wrong),
            8 | 9 => self.retain(which, wrong),
            10 | 11 => self.event(which, wrong, true),
            12 => self.event(which, wrong, false),
            13 => self.object(which, wrong),
            14 => self.tell(which, wrong),
            _ => super::ask::no_module(which),
        }
    }

    /// A new module, in the memory of the one that may be there.
    fn init(&mut self, file: &[u8], wrong: u8, choices: Choices) {
        // For the state to overlap it, it has to be aligned.
        let mut lent: Box<[u64]> = vec![0; file.len().div_ceil(8)].into();
        for (to, from) in lent.iter_mut().zip(file.chunks(8)) {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            *to = u64::from_le_bytes(word);
        }
        let (mut start, mut size): (*const u8, _) = (lent.as_ptr().cast(), file.len());
        let (mut memory, mut memory_size) = (self.state.as_mut_ptr(), self.state.len() * 8);
        let mut options = choices.options();
        let is_overlap = wrong == 8 && lent.len() >= state_words();
        let expected = match wrong {
            1 => RELAKIT_ERR_STATE_TOO_SHORT,
            2 | 4 => RELAKIT_ERR_NULL,
            3 => RELAKIT_ERR_ALIGNMENT,
            5 if size != 0 => RELAKIT_ERR_NULL,
            6 => RELAKIT_ERR_PROFILE,
            7 => RELAKIT_ERR_FLAGS,
            8 if is_overlap => RELAKIT_ERR_OVERLAP,
            9 | 10 => RELAKIT_ERR_LENGTH,
            11 => RELAKIT_ERR_STRUCT_SIZE,
            _ => RELAKIT_OK,
        };
        match wrong {
            1 => memory_size -= 1,
            2 => memory = ptr::null_mut(),
            3 => (memory, memory_size) = (memory.wrapping_byte_add(4), memory_size - 4),
            5 => start = ptr::null(),
            6 => options.profile = 6,
            7 => options.flags = RELAKIT_OPT_EXTRA_TYPES,
            8 if is_overlap => (memory, start) = (lent.as_mut_ptr(), lent.as_ptr().cast()),
            9 => memory_size = usize::MAX,
            10 => size = isize::MAX.unsigned_abs() + 1,
            11 => options.struct_size = 15,
            // A prefix of the file: any fault of the file, or none.
            12.. => size = size * usize::from(wrong - 12) / 255,
            _ => {}
        }
        let mut module: *mut relakit_module = poisoned();
        let out = if wrong == 4 { ptr::null_mut() } else { &raw mut module };
        let (memory, start, options) = (memory.cast(), start.cast(), &raw const options);
        let answer = c!(relakit_module_init(memory, memory_size, start, size, options, out));
        if expected != RELAKIT_OK {
            assert_eq!(answer.err().map(|told| told.0), Some(expected), "wrong {wrong}");
        }
        if answer.is_err() {
            return assert!(is_poisoned(&module));
        }
        assert_eq!(module, self.module());
        (self.file, self.file_size, self.stage) = (Some(lent), size, Some(RELAKIT_STAGE_PARSED));
        self.kept = Box::default();
        // Only for the places and the names that come, which the caller chooses.
        let parsed = Module::parse(&file[..size], choices.profile()).expect("it was parsed");
        let mut sections = Sections::of(&parsed, choices);
        sections.device.owner = Owner(self.module());
        self.sections = Some(sections);
        self.values = vec![0; parsed.object().symbols().len() as usize].into();
        self.objects = super::whole::objects(&parsed);
    }

    /// Makes a call that is given the sections, and holds its answer against the stage and the
    /// memory.
    ///
    /// `stages` are those that it can be made in, `next` the one it leads to.
    fn with_memory(
        &mut self,
        function_name: &str,
        (stages, next): (&[u32], Option<u32>),
        wrong: u8,
        function: impl FnOnce(&mut Lent<'_>, *const relakit_memory, *mut relakit_error) -> i32,
    ) -> Option<Result<i32, Told>> {
        let module = self.module();
        let sections = self.sections.as_mut()?;
        let before = sections.clone();
        let mut places = sections.places();
        let mut writer = writer_for_c(&mut sections.device);
        let mut lent = Lent { module, values: &mut self.values, kept: &mut self.kept, wrong };
        let expected = wrong_places(&mut places, &lent, wrong);
        let mut memory = sections.for_c(&places, &writer);
        let expected = expected.or_else(|| wrong_memory(&mut memory, &mut writer, wrong));
        let pointer = if wrong == 1 { ptr::null() } else { &raw const memory };
        let answer = call(function_name, |error| function(&mut lent, pointer, error));
        let stage = self.stage?;
        match &answer {
            Ok(_) => {
                assert!(expected.is_none(), "wrong {wrong} was let pass");
                assert!(stages.contains(&stage), "out of order, and done");
                self.stage = next.or(self.stage);
            }
            Err(told) => {
                let in_order = stages.contains(&stage);
                assert!(in_order || wrong != 0 || is_order(&answer, stage), "{told:?} in stage {stage}");
                assert!(!in_order || told.0 != RELAKIT_ERR_ORDER, "in order");
                let expected = expected.filter(|_| in_order);
                assert!(
                    expected.is_none_or(|status| told.0 == status),
                    "wrong {wrong}: {told:?}, {expected:?}"
                );
                let writes_always = ["relakit_module_fill", "relakit_module_verify"];
                let may_change = told.0 == RELAKIT_ERR_NOT_UNDONE || writes_always.contains(&function_name);
                let sections = self.sections.as_ref()?;
                assert!(may_change || sections.plain() == before.plain(), "changed, and failed");
                let behind = sections.device.seen().0;
                assert!(may_change || behind == before.device.seen().0, "changed, and failed");
            }
        }
        Some(answer)
    }

    fn place(&mut self, wrong: u8) {
        let stages: &[u32] = &[RELAKIT_STAGE_PARSED, RELAKIT_STAGE_ASSIGNED, RELAKIT_STAGE_FILLED];
        let stages = (stages, Some(RELAKIT_STAGE_ASSIGNED));
        self.with_memory("relakit_module_assign", stages, wrong, |lent, memory, error| {
            // SAFETY: each argument is valid, or wrong in a way for which the header names an
            // error.
            unsafe { relakit_module_assign(lent.module, memory, error) }
        });
    }

    fn fill(&mut self, wrong: u8) {
        let stages = (&[RELAKIT_STAGE_ASSIGNED, RELAKIT_STAGE_FILLED][..], Some(RELAKIT_STAGE_FILLED));
        self.with_memory("relakit_module_fill", stages, wrong, |lent, memory, error| {
            // SAFETY: each argument is valid, or wrong in a way for which the header names an
            // error.
            unsafe { relakit_module_fill(lent.module, memory, error) }
        });
    }

    fn early(&mut self, salt: u8, wrong: u8) {
        let stages = (&[RELAKIT_STAGE_FILLED][..], Some(RELAKIT_STAGE_LOADED));
        self.with_memory("relakit_module_early", stages, wrong, |lent, memory, error| {
            let mut names = Names::new(salt);
            let resolver = lent.resolver(&mut names);
            let resolver = if wrong == 2 { ptr::null() } else { &raw const resolver };
            let (values, count) = lent.values();
            // SAFETY: each argument is valid, or wrong in a way for which the header names an
            // error.
            unsafe { relakit_module_early(lent.module, memory, values, count, resolver, error) }
        });
    }

    fn retain(&mut self, short: u8, wrong: u8) {
        if self.stage == Some(RELAKIT_STAGE_LOADED) {
            let (mut size, module) = (0, self.module());
            assert_eq!(c!(relakit_module_retained_size(module, &raw mut size)), Ok(RELAKIT_OK));
            self.kept = vec![0x5a; size.saturating_sub(usize::from(short >> 5))].into();
        }
        let stages = (&[RELAKIT_STAGE_LOADED][..], Some(RELAKIT_STAGE_LATE));
        let answer = self.with_memory("relakit_module_retain", stages, wrong, |lent, memory, error| {
            let ((values, count), (kept, size)) = (lent.values(), lent.kept());
            // SAFETY: each argument is valid, or wrong in a way for which the header names an
            // error.
            unsafe { relakit_module_retain(lent.module, memory, values, count, kept.cast(), size, error) }
        });
        if let Some(Ok(_)) = answer {
            // Nobody needs them any more.
            self.file = None;
            self.values = Box::default();
        }
    }

    /// Asks about the memory of the running module, which is what is expected, or not.
    fn verification(&mut self, which: u8, wrong: u8) {
        let Some(sections) = &self.sections else { return };
        let mut running = Running::new(sections, wrong);
        let mut verifier = running.for_c();
        let mut scratch = vec![0; 3 * sections.count()];
        let kernel = if wrong == 37 { 6 } else { RELAKIT_LINUX_6_1 };
        let count = scratch.len().saturating_sub(usize::from(wrong == 38));
        let expected = match wrong {
            33 => RELAKIT_ERR_STRUCT_SIZE,
            34 => RELAKIT_ERR_FLAGS,
            35 => RELAKIT_ERR_CALLBACK,
            36 => RELAKIT_ERR_RESERVED,
            37 => RELAKIT_ERR_PROFILE,
            38 => RELAKIT_ERR_VALUES_TOO_SHORT,
            _ => RELAKIT_OK,
        };
        match wrong {
            33 => verifier.struct_size -= 1,
            34 => verifier.flags = 1,
            35 => verifier.read = None,
            36 => verifier.policies[31] = 1,
            _ => {}
        }
        let verifier = &raw const verifier;
        let stages = (&[RELAKIT_STAGE_LOADED][..], None);
        let object = self.objects.get(usize::from(which & 3)).cloned().unwrap_or_default();
        let object = object.as_ptr();
        let mut numbers = [7; 2];
        let [first, _] = &mut numbers;
        let mut found = 0;
        let mut verified = relakit_verified { struct_size: 40, ..poisoned() };
        let mut site: relakit_patch_site = poisoned();
        site.role = u32::from(wrong);
        let (name, is_judged) = match which >> 2 & 7 {
            0 => ("relakit_module_is_applied", (33..36).contains(&wrong)),
            1 => ("relakit_module_apply_late", false),
            2 => ("relakit_module_patch_sites", wrong > 36),
            3 => ("relakit_module_allowed_patch", (33..38).contains(&wrong)),
            _ => ("relakit_module_verify", wrong > 32),
        };
        let scratch = scratch.as_mut_ptr();
        let answer = self.with_memory(name, stages, wrong, |lent, memory, error| {
            let module = lent.module;
            // SAFETY: each argument is valid, or wrong in a way for which the header names an
            // error.
            unsafe {
                match which >> 2 & 7 {
                    0 => relakit_module_is_applied(module, object, memory, verifier, first, error),
                    1 => {
                        let mut names = Names::new(which);
                        let resolver = lent.resolver(&mut names);
                        let (values, count) = lent.values();
                        let resolver = &raw const resolver;
                        relakit_module_apply_late(
                            module, object, memory, values, count, resolver, first, error,
                        )
                    }
                    2 => {
                        let (to, out) = (&raw mut site, &raw mut found);
                        relakit_module_patch_sites(module, memory, kernel, scratch, count, to, 1, out, error)
                    }
                    3 => {
                        let (all, at, bytes) = (&raw const site, site.address, [wrong; 2]);
                        let bytes = bytes.as_ptr().cast();
                        relakit_module_allowed_patch(
                            module, memory, verifier, kernel, all, 1, at, bytes, 2, first, error,
                        )
                    }
                    _ => {
                        let out = &raw mut verified;
                        relakit_module_verify(module, memory, verifier, kernel, scratch, count, out, error)
                    }
                }
            }
        });
        let is_loaded = self.stage == Some(RELAKIT_STAGE_LOADED);
        if is_loaded && is_judged && expected != RELAKIT_OK && count != usize::MAX {
            assert_eq!(
                answer.and_then(Result::err).map(|told| told.0),
                Some(expected),
                "{name}, wrong {wrong}"
            );
        }
    }

    fn event(&mut self, which: u8, wrong: u8, comes: bool) {
        let mut sections: u32 = poisoned();
        let (out, stages) = (&raw mut sections, (&[RELAKIT_STAGE_LATE][..], None));
        let object = self.objects.get(usize::from(which & 15));
        let object = object.map_or(c"other".as_ptr(), |object| object.as_ptr());
        let object = if wrong == 3 { ptr::null::<c_char>() } else { object };
        let answer = match comes {
            true => self.with_memory("relakit_module_coming", stages, wrong, |lent, memory, error| {
                let mut names = Names::new(which >> 4);
                let resolver = lent.resolver(&mut names);
                let resolver = if wrong == 2 { ptr::null() } else { &raw const resolver };
                // SAFETY: each argument is valid, or wrong in a way for which the header names an
                // error.
                unsafe { relakit_module_coming(lent.module, object, memory, resolver, out, error) }
            }),
            false => self.with_memory("relakit_module_going", stages, wrong, |lent, memory, error| {
                // SAFETY: each argument is valid, or wrong in a way for which the header names an
                // error.
                unsafe { relakit_module_going(lent.module, object, memory, out, error) }
            }),
        };
        let failed = !matches!(answer, Some(Ok(_)));
        assert_eq!(failed, is_poisoned(&sections), "{answer:?}");
    }
}
