//! A module in memory, as a loader holds it: an image, and where it is now.

use super::super::hooks::{Device, State, writer_for_c};
use super::Case;
use core::cell::RefCell;
use core::ops::Range;
use core::{ptr, slice};
use relakit::abi::{SHDR_SIZE, SHT_NOBITS, SYM_SIZE};
use relakit::elf::Section;
use relakit::sechdrs::Mapping;
use relakit::{CallbackError, ErrorKind, Target, Writer};
use relakit_ffi::{RELAKIT_WRITER_FOREIGN, relakit_writer};
use std::ffi::CString;

/// Sections of a file that are tried, and bytes of each: larger ones have no memory.
const MAX_SECTIONS: usize = 64;
const MAX_SIZE: u64 = 0x8000;

/// Section headers, and the memory of each section that has some.
#[derive(Clone)]
pub struct Image {
    pub headers: Vec<[u8; SHDR_SIZE]>,
    bytes: Vec<Option<Vec<u8>>>,
    pub names_section: u32,
}

impl Image {
    pub fn new(file: &[u8]) -> Option<Self> {
        let header = file.first_chunk::<64>()?;
        let table = usize::try_from(u64::from_le_bytes(*header[40..].first_chunk()?)).ok()?;
        let count = usize::from(u16::from_le_bytes([header[60], header[61]])).min(MAX_SECTIONS);
        let headers: Vec<_> = file.get(table..)?.as_chunks().0.iter().copied().take(count).collect();
        let bytes = headers.iter().map(|header| memory(file, header)).collect();
        let names_section = u32::from(u16::from_le_bytes([header[62], header[63]]));
        (!headers.is_empty()).then_some(Self { headers, bytes, names_section })
    }

    pub fn section(&self, index: u32) -> Option<&Vec<u8>> {
        self.bytes.get(usize::try_from(index).ok()?)?.as_ref()
    }

    pub fn link(&self, index: u32) -> u32 {
        let header = self.headers.get(index as usize);
        header.map_or(0, |header| u32::from_le_bytes([header[40], header[41], header[42], header[43]]))
    }

    pub fn strings(&self, index: u32) -> &[u8] {
        self.section(index).map_or(&[], Vec::as_slice)
    }

    /// The object of the nth livepatch section, or another name.
    pub fn object(&self, nth: u8) -> CString {
        let names = self.strings(self.names_section);
        let mut objects = names.split(|byte| *byte == 0).filter_map(|name| {
            let rest = name.strip_prefix(b".klp.rela.")?;
            rest.split(|byte| *byte == b'.').next()
        });
        let others: [&[u8]; 2] = [b"", b"vmlinux"];
        let object = objects.nth(usize::from(nth)).unwrap_or(others[usize::from(nth % 2)]);
        CString::new(object).expect("split at NUL")
    }
}

/// What a section holds: its part of the file, zeros where it has none; no memory when it is too
/// large.
fn memory(file: &[u8], header: &[u8; SHDR_SIZE]) -> Option<Vec<u8>> {
    let word = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let size = usize::try_from(Some(word(32)).filter(|size| *size <= MAX_SIZE)?).ok()?;
    let start = usize::try_from(word(24)).ok();
    let kind = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let content =
        start.and_then(|start| file.get(start..)).filter(|_| kind != SHT_NOBITS).unwrap_or_default();
    let mut bytes = content[..content.len().min(size)].to_vec();
    bytes.resize(size, 0);
    Some(bytes)
}

/// Addresses of `count` items. None of them overlaps anything else.
pub fn span<T>(start: *const T, count: usize) -> Range<u64> {
    let address = start.expose_provenance() as u64;
    address..address + (count * size_of::<T>()) as u64
}

/// Where an image is now: its headers lead to its bytes.
pub struct Mapped {
    pub image: Image,
    /// The memory of each section; NULL for one that has none.
    starts: Vec<*mut u8>,
    pub device: Device,
    pub with_writer: bool,
    /// The writer's addresses are those of another program.
    foreign: bool,
    /// What the call through C is given, by addresses: no target may overlap it.
    pub lent: Vec<Range<u64>>,
    /// The symbols that a livepatch pass writes, if there are any.
    pub written: Option<u32>,
    table: RefCell<Range<u64>>,
}

impl Mapped {
    /// `twin`: the image whose addresses this one has as well, so that both make the same bytes.
    pub fn new(case: &Case, image: &Image, twin: Option<&Self>) -> Self {
        let mut image = image.clone();
        let start = |bytes: &mut Option<Vec<u8>>| match bytes {
            Some(bytes) => bytes.as_mut_ptr(),
            None => ptr::null_mut(),
        };
        let starts: Vec<_> = image.bytes.iter_mut().map(start).collect();
        let addresses = twin.map_or(&starts, |twin| &twin.starts);
        let mut behind = Vec::new();
        for ((header, address), bytes) in image.headers.iter_mut().zip(addresses).zip(&image.bytes) {
            let address = address.expose_provenance() as u64;
            header[16..24].copy_from_slice(&address.to_le_bytes());
            if let Some(bytes) = bytes.as_ref().filter(|_| case.with_writer) {
                behind.push((address, bytes.clone()));
            }
        }
        Self {
            device: Device::new(behind, case.fails),
            image,
            starts,
            with_writer: case.with_writer,
            foreign: case.foreign,
            lent: Vec::new(),
            written: None,
            table: RefCell::new(0..0),
        }
    }

    pub fn for_c(&mut self) -> relakit_writer {
        let flags = if self.foreign { RELAKIT_WRITER_FOREIGN } else { 0 };
        relakit_writer { flags, ..writer_for_c(&mut self.device) }
    }

    pub fn start(&self, index: u32) -> *mut u8 {
        self.starts.get(index as usize).copied().unwrap_or(ptr::null_mut())
    }

    /// As many symbols as the table has memory for.
    pub fn symbol_count(&self, symindex: u32) -> usize {
        self.image.section(symindex).map_or(0, |bytes| bytes.len() / SYM_SIZE)
    }

    pub fn symbols(&mut self, symindex: u32) -> &mut [[u8; SYM_SIZE]] {
        match self.symbol_count(symindex) {
            0 => &mut [],
            // SAFETY: the section's memory has this size. No target is made of it, and no table
            // while it is written.
            count => unsafe { slice::from_raw_parts_mut(self.start(symindex).cast(), count) },
        }
    }

    /// What a pass may change.
    pub fn state(&self) -> State {
        let (behind, trace) = self.device.seen();
        let section = |(start, bytes): (&*mut u8, &Option<Vec<u8>>)| {
            let size = bytes.as_ref().map_or(0, Vec::len);
            // SAFETY: `start` is not NULL and has `size` bytes, which no code writes after the
            // pass.
            if start.is_null() { Vec::new() } else { unsafe { slice::from_raw_parts(*start, size) }.to_vec() }
        };
        (self.starts.iter().zip(&self.image.bytes).map(section).collect(), behind.to_vec(), trace)
    }

    /// Whether a section has an address that something has which the call reads. Beyond 2^64
    /// nothing has one; the section is refused for that.
    fn overlaps(&self, section: &Section) -> bool {
        let (start, end) =
            (u128::from(section.sh_addr), u128::from(section.sh_addr) + u128::from(section.sh_size));
        let shares = |other: &Range<u64>| {
            !other.is_empty() && start < u128::from(other.end) && u128::from(other.start) < end
        };
        end <= 1 << 64
            && section.sh_size != 0
            && (self.lent.iter().any(shares) || shares(&self.table.borrow()))
    }
}

impl<'m> Mapping<'m> for Mapped {
    fn table(&self, index: u32, section: &Section) -> Result<&'m [u8], ErrorKind> {
        let size = usize::try_from(section.sh_size).expect("64 bits");
        if size == 0 {
            self.table.replace(0..0);
            return Ok(&[]);
        }
        if self.start(index).is_null() {
            return Err(ErrorKind::NotAssigned);
        }
        if self.written == Some(index) {
            return Err(ErrorKind::TableOverlaps);
        }
        self.table.replace(section.sh_addr..section.sh_addr + section.sh_size);
        // SAFETY: the section's memory has this size. A table is neither its own target nor the
        // symbols.
        Ok(unsafe { slice::from_raw_parts(self.start(index), size) })
    }

    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        let (start, size) = (self.start(index), usize::try_from(section.sh_size).unwrap_or(usize::MAX));
        if !self.with_writer && size != 0 && start.is_null() {
            return Err(ErrorKind::NotAssigned);
        }
        if !self.foreign && self.overlaps(section) {
            return Err(ErrorKind::TargetOverlaps);
        }
        if self.with_writer {
            return Ok(Target::with_writer(section.sh_size, section.sh_addr, &mut self.device));
        }
        let bytes: &mut [u8] = match size {
            0 => &mut [],
            // SAFETY: the section's memory has this size, and no other slice of it exists.
            _ => unsafe { slice::from_raw_parts_mut(start, size) },
        };
        Ok(Target::new(bytes, section.sh_addr))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        if self.with_writer { self.device.sync() } else { Ok(()) }
    }
}
