//! One block of memory, a writer to it, and a trial: apply and clear, with the promises that hold
//! for both.

use super::super::call::Told;
use super::super::hooks::writer_for_c;
use crate::module::Bytes;
use core::ops::Range;
use core::{ptr, slice};
use relakit::{CallbackError, Writer};
use relakit_ffi::*;

/// A block of zeros. Parts of it are named by their offset in bytes.
pub struct Arena {
    words: *mut [u64],
    used: usize,
}

impl Arena {
    pub fn new(size: usize) -> Self {
        let words: Box<[u64]> = vec![0; size.div_ceil(8)].into();
        Self { words: Box::into_raw(words), used: 0 }
    }

    pub const fn size(&self) -> usize {
        self.words.len() * 8
    }

    /// The next `size` bytes, aligned to 8.
    pub fn part(&mut self, size: usize) -> Range<usize> {
        let start = self.used;
        self.used = (start + size).next_multiple_of(8);
        assert!(self.used <= self.size(), "the arena is too small");
        start..start + size
    }

    pub fn pointer(&self, at: usize) -> *mut u8 {
        assert!(at <= self.size());
        self.words.cast::<u8>().wrapping_add(at)
    }

    pub fn address(&self, at: usize) -> u64 {
        self.pointer(at).expose_provenance() as u64
    }

    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.size());
        // SAFETY: the bytes lie in the block, and no reference to it exists.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.pointer(at), bytes.len()) };
    }

    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: the block has this size, and no code writes to it during the copy.
        unsafe { slice::from_raw_parts(self.pointer(0), self.size()) }.to_vec()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the pointer is from `Box::into_raw`, and `drop` runs once.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

/// How a writer behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// There is one.
    pub with_writer: bool,
    /// It writes to another program, which is a copy of the arena.
    pub foreign: bool,
    /// The calls that fail, counted from 1.
    pub fails: [u8; 2],
    /// 0: it is honest.
    pub lies: u8,
    /// Where it lies.
    pub lie_at: u8,
}

impl Manner {
    /// The rest of the choices.
    pub fn read(bytes: &mut Bytes<'_>, with_writer: bool, foreign: bool, may_lie: bool) -> Self {
        let fails = [bytes.byte(), bytes.byte()];
        let lies = if may_lie { bytes.byte() } else { 0 };
        Self { with_writer, foreign, fails, lies, lie_at: bytes.byte() }
    }
}

/// A writer to an arena, or to a copy of it that has the same addresses.
pub struct Port {
    pub manner: Manner,
    copy: Option<Arena>,
    memory: *mut u8,
    start: u64,
    size: usize,
    /// What it may be asked for: where each section is in the arena.
    sections: Vec<Range<usize>>,
    /// And sections that are not in the arena: address and bytes. There every call fails.
    pub elsewhere: Vec<(u64, u64)>,
    /// The part in which it lies.
    lieable: usize,
    calls: usize,
    pub failed: usize,
    /// The first call that was not inside of a section.
    outside: Option<(&'static str, u64, u64, usize)>,
}

impl Port {
    /// It may be asked for `sections`, and lies in the first `lieable` bytes.
    pub fn new(arena: &Arena, manner: Manner, sections: Vec<Range<usize>>, lieable: usize) -> Self {
        let copy = (manner.with_writer && manner.foreign).then(|| {
            let mut copy = Arena::new(arena.size());
            copy.put(0, &arena.bytes());
            copy
        });
        let memory = copy.as_ref().unwrap_or(arena).pointer(0);
        let (start, size) = (arena.address(0), arena.size());
        Self {
            manner,
            copy,
            memory,
            start,
            size,
            sections,
            elsewhere: Vec::new(),
            lieable,
            calls: 0,
            failed: 0,
            outside: None,
        }
    }

    pub fn for_c(&mut self) -> relakit_writer {
        let flags = if self.manner.foreign { RELAKIT_WRITER_FOREIGN } else { 0 };
        relakit_writer { flags, ..writer_for_c(self) }
    }

    fn enter(&mut self) -> Result<(), CallbackError> {
        self.calls += 1;
        let fails = self.manner.fails.iter().any(|fails| usize::from(*fails) == self.calls);
        self.failed += usize::from(fails);
        if fails { Err(FAILS) } else { Ok(()) }
    }

    /// Where a field is, if it lies inside of a section.
    fn field(
        &mut self,
        what: &'static str,
        address: u64,
        offset: u64,
        size: usize,
    ) -> Result<usize, CallbackError> {
        let is_inside = |section: &Range<usize>| {
            let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(size));
            address == (self.start + section.start as u64).wrapping_add(offset)
                && end.is_some_and(|end| end <= section.len())
        };
        if self.sections.iter().any(is_inside) {
            return Ok((address - self.start) as usize);
        }
        let is_elsewhere = |(start, bytes): &(u64, u64)| {
            address == start.wrapping_add(offset)
                && offset.checked_add(size as u64).is_some_and(|end| end <= *bytes)
        };
        if self.elsewhere.iter().any(is_elsewhere) {
            self.failed += 1;
            return Err(FAILS);
        }
        self.outside = self.outside.or(Some((what, address.wrapping_sub(self.start), offset, size)));
        Err(FAILS)
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        if at + bytes.len() <= self.size {
            // SAFETY: the bytes lie in the block. `bytes` may overlap it, which `ptr::copy` allows.
            unsafe { ptr::copy(bytes.as_ptr(), self.memory.wrapping_add(at), bytes.len()) };
        }
    }

    fn get(&self, at: usize, bytes: &mut [u8]) {
        // SAFETY: `field` has found that the bytes lie in the block.
        unsafe { ptr::copy(self.memory.wrapping_add(at), bytes.as_mut_ptr(), bytes.len()) };
    }

    fn lie(&self, at: usize, bytes: &[u8]) {
        let lie = usize::from(self.manner.lie_at) * 8 + self.calls * 24;
        let elsewhere = lie % (self.lieable.saturating_sub(8)).max(1);
        let changed: Vec<u8> = bytes.iter().map(|byte| byte ^ self.manner.lie_at).collect();
        match self.manner.lies % 5 {
            0 => self.put(at, bytes),
            1 => self.put(elsewhere, bytes),
            2 => self.put(at, &changed),
            3 => {}
            _ => {
                self.put(at, bytes);
                self.put(elsewhere, &changed);
            }
        }
    }
}

/// What a callback returns.
const FAILS: CallbackError = CallbackError(-5);

impl Writer for Port {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let entered = self.enter();
        let at = self.field("read", address, offset, bytes.len());
        entered?;
        self.get(at?, bytes);
        if self.manner.lies >= 128 && self.calls.is_multiple_of(3) {
            bytes[0] ^= 1;
        }
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        let entered = self.enter();
        let at = self.field("write", address, offset, bytes.len());
        entered?;
        self.lie(at?, bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.enter()
    }
}

/// What a call of the trial does, given the writer.
pub type Act<'a> = &'a mut dyn FnMut(*const relakit_writer) -> Result<i32, Told>;

/// Calls on an arena.
pub struct Trial<'a> {
    pub arena: &'a Arena,
    pub port: Port,
    /// What any call may change: memory to work in.
    pub scratch: Vec<Range<usize>>,
    /// What a call that succeeds may change.
    pub written: Vec<Range<usize>>,
    /// Which of it is plain memory, also if a writer writes the rest to another program.
    pub plain: Vec<Range<usize>>,
    /// What clearing leaves as applying has set it.
    pub results: Vec<Range<usize>>,
}

impl<'a> Trial<'a> {
    /// Calls that may write to `written`.
    pub fn new(arena: &'a Arena, port: Port, written: Vec<Range<usize>>) -> Self {
        let (scratch, plain, results) = (Vec::new(), Vec::new(), Vec::new());
        Self { arena, port, scratch, written, plain, results }
    }

    /// All bytes that matter.
    pub fn image(&self) -> Vec<u8> {
        let mut image = self.arena.bytes();
        forget(&mut image, &self.scratch);
        image.extend(self.port.copy.iter().flat_map(Arena::bytes));
        image
    }

    /// One call: it accesses nothing outside, and changes nothing if it fails.
    pub fn step(&mut self, what: &str, act: Act<'_>) -> Result<i32, Told> {
        let (before, failed) = (self.image(), self.port.failed);
        let writer = self.port.for_c();
        let answer = act(if self.port.manner.with_writer { &raw const writer } else { ptr::null() });
        assert!(self.port.outside.is_none(), "{what}, out of bounds: {:x?}, {answer:?}", self.port.outside);
        if self.port.manner.lies != 0 {
            return answer;
        }
        match &answer {
            Err((RELAKIT_ERR_NOT_UNDONE, ..)) => {
                assert!(self.port.failed != failed, "{what}: not undone, and no call failed")
            }
            Err(error) => assert!(self.image() == before, "{what}: failed but changed, {error:x?}"),
            Ok(_) => {
                let [mut before, mut now] = [before, self.image()];
                let size = self.arena.size();
                let in_copy = |part: &Range<usize>| part.start + size..part.end + size;
                let copied: Vec<_> = self.written.iter().map(in_copy).collect();
                let is_foreign = self.port.copy.is_some();
                for image in [&mut before, &mut now] {
                    forget(image, if is_foreign { &copied } else { &self.written });
                    forget(image, &self.plain);
                    forget(image, &self.results);
                }
                assert!(now == before, "{what}: changed what it is not to write");
            }
        }
        answer
    }

    /// Applies, and clears at once. `is_inverse`: the fields were zero.
    pub fn run(&mut self, is_inverse: bool, apply: Act<'_>, clear: Act<'_>) -> Result<(), Told> {
        let mut before = self.image();
        self.step("apply", apply)?;
        let failed = self.port.failed;
        let answer = self.step("clear", clear);
        if self.port.manner.lies != 0 || !is_inverse {
            return Ok(());
        }
        match answer {
            Ok(_) => {
                let mut now = self.image();
                forget(&mut before, &self.results);
                forget(&mut now, &self.results);
                assert!(now == before, "clear is not the inverse");
            }
            Err(error) => {
                assert!(self.port.failed != failed, "applied but cannot be cleared: {error:x?}");
            }
        }
        Ok(())
    }
}

fn forget(image: &mut [u8], parts: &[Range<usize>]) {
    for part in parts {
        image[part.clone()].fill(0);
    }
}
