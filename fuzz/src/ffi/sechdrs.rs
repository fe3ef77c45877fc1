//! Level 2: section headers whose `sh_addr` are addresses, through C and through Rust.
//!
//! Nothing of the file is checked before: its section headers are taken as they are, with memory for what they describe.

use super::call::{Told, call, of_core};
use super::hooks::{Device, Names, State};
use super::sections::PROFILES;
use super::take;
use core::cell::Cell;
use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::{ptr, slice};
use relakit::abi::{SHDR_SIZE, SHT_NOBITS, SYM_SIZE};
use relakit::elf::{Section, Strings};
use relakit::reloc::{Rules, SymtabValues};
use relakit::sechdrs::{Mapping, Sechdrs};
use relakit::{ErrorKind, HookError, Target, Writer};
use relakit_ffi::*;
use std::ffi::CString;

/// Sections of a file that are tried, and bytes of each: larger ones have no memory.
const MAX_SECTIONS: usize = 64;
const MAX_SIZE: u64 = 0x8000;

/// Choices: profile, flags, symbol table, section, fails, salt, object; then the file.
pub fn run(mut data: &[u8]) -> Option<()> {
    let [profile, flags, symindex, relsec, fail, fail_again, salt, object] = take(&mut data)?;
    let image = Image::new(data)?;
    let case = Case {
        profile: &PROFILES[usize::from(profile) % PROFILES.len()],
        check_pc32: flags & 1 != 0,
        hooked: flags & 2 != 0,
        symindex: match symindex {
            // The first symbol table.
            0 => (1..).zip(&image.headers[1..]).find(|(_, header)| header[4..8] == [2, 0, 0, 0])?.0,
            other => u32::from(other),
        },
        relsec: u32::from(relsec),
        fails: [fail.wrapping_sub(1), fail_again.wrapping_sub(1)],
        salt,
    };
    if flags & 4 == 0 {
        case.one_section(&image);
    } else {
        case.livepatch(&image, &image.object(object));
    }
    Some(())
}

/// A module in memory, as a loader holds it.
#[derive(Clone)]
struct Image {
    headers: Vec<[u8; SHDR_SIZE]>,
    /// The memory of each section that has some.
    bytes: Vec<Option<Vec<u8>>>,
    names_section: u32,
}

impl Image {
    fn new(file: &[u8]) -> Option<Self> {
        let header = file.first_chunk::<64>()?;
        let table = usize::try_from(u64::from_le_bytes(*header[40..].first_chunk()?)).ok()?;
        let count = usize::from(u16::from_le_bytes([header[60], header[61]])).min(MAX_SECTIONS);
        let headers: Vec<_> = file.get(table..)?.as_chunks().0.iter().copied().take(count).collect();
        let bytes = headers.iter().map(|header| memory(file, header)).collect();
        let names_section = u32::from(u16::from_le_bytes([header[62], header[63]]));
        (!headers.is_empty()).then_some(Self { headers, bytes, names_section })
    }

    fn section(&self, index: u32) -> Option<&Vec<u8>> {
        self.bytes.get(usize::try_from(index).ok()?)?.as_ref()
    }

    fn link(&self, index: u32) -> u32 {
        let header = self.headers.get(index as usize);
        header.map_or(0, |header| u32::from_le_bytes([header[40], header[41], header[42], header[43]]))
    }

    fn strings(&self, index: u32) -> &[u8] {
        self.section(index).map_or(&[], Vec::as_slice)
    }

    /// The object of the nth livepatch section, or another name.
    fn object(&self, nth: u8) -> CString {
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

/// What a section holds: its part of the file, zeros where it has none; no memory when it is too large.
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

struct Case {
    profile: &'static (u32, relakit::Profile),
    check_pc32: bool,
    hooked: bool,
    symindex: u32,
    relsec: u32,
    fails: [u8; 2],
    salt: u8,
}

/// Where an image is now: its headers lead to its bytes.
struct Mapped {
    image: Image,
    /// The memory of each section; NULL for one that has none.
    starts: Vec<*mut u8>,
    device: Device,
    hooked: bool,
    /// Besides the symbol table and its names, what no target may be: the section names that a livepatch pass reads.
    names: Option<u32>,
    /// The symbols that a livepatch pass writes, if there are any.
    written: Option<u32>,
    table: Cell<u32>,
}

impl Mapped {
    /// `twin`: the image whose addresses this one has as well, so that both make the same bytes.
    fn new(case: &Case, image: &Image, twin: Option<&Self>) -> Self {
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
            if let Some(bytes) = bytes.as_ref().filter(|_| case.hooked) {
                behind.push((address, bytes.clone()));
            }
        }
        let device = Device::new(behind, case.fails);
        Self { image, starts, device, hooked: case.hooked, names: None, written: None, table: Cell::new(0) }
    }

    fn start(&self, index: u32) -> *mut u8 {
        self.starts.get(index as usize).copied().unwrap_or(ptr::null_mut())
    }

    /// As many symbols as the table has memory for.
    fn symbol_count(&self, symindex: u32) -> usize {
        self.image.section(symindex).map_or(0, |bytes| bytes.len() / SYM_SIZE)
    }

    fn symbols(&mut self, symindex: u32) -> &mut [[u8; SYM_SIZE]] {
        match self.symbol_count(symindex) {
            0 => &mut [],
            // SAFETY: the memory of the section, of which no target is made, and no table while it is written.
            count => unsafe { slice::from_raw_parts_mut(self.start(symindex).cast(), count) },
        }
    }

    /// What a pass may change.
    fn state(&self) -> State {
        let (behind, trace) = self.device.seen();
        let section = |(start, bytes): (&*mut u8, &Option<Vec<u8>>)| {
            let size = bytes.as_ref().map_or(0, Vec::len);
            // SAFETY: its memory, read where the pass has written.
            if start.is_null() { Vec::new() } else { unsafe { slice::from_raw_parts(*start, size) }.to_vec() }
        };
        (self.starts.iter().zip(&self.image.bytes).map(section).collect(), behind.to_vec(), trace)
    }
}

impl<'m> Mapping<'m> for Mapped {
    fn table(&self, index: u32, section: &Section) -> Option<&'m [u8]> {
        self.table.set(index);
        match usize::try_from(section.size).ok()? {
            0 => Some(&[]),
            // SAFETY: the memory of the section, if it has some; a table is neither its own target nor the symbols.
            size => (!self.start(index).is_null() && self.written != Some(index))
                .then(|| unsafe { slice::from_raw_parts(self.start(index), size) }),
        }
    }

    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        if self.hooked {
            return Ok(Target::hooked(section.size, section.address, &mut self.device));
        }
        let (start, size) = (self.start(index), usize::try_from(section.size).unwrap_or(usize::MAX));
        let bytes: &mut [u8] = match size {
            0 => &mut [],
            _ if start.is_null() => return Err(ErrorKind::NotPlaced),
            _ if self.names == Some(index) || self.table.get() == index => {
                return Err(ErrorKind::TargetOverlaps);
            }
            // SAFETY: the memory of the section, which nobody reads now.
            _ => unsafe { slice::from_raw_parts_mut(start, size) },
        };
        Ok(Target::new(bytes, section.address))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        if self.hooked { self.device.sync() } else { Ok(()) }
    }
}

impl Case {
    /// Both sides of an image, with the same addresses.
    fn sides(&self, image: &Image) -> (Mapped, Mapped) {
        let c = Mapped::new(self, image, None);
        let rust = Mapped::new(self, image, Some(&c));
        (c, rust)
    }

    fn options(&self) -> relakit_options {
        super::call::options(if self.check_pc32 { RELAKIT_CHECK_PC32 } else { 0 }, self.profile.0)
    }

    /// `relakit_apply_relocate_add` and back.
    fn one_section(&self, image: &Image) {
        let (mut c, mut rust) = self.sides(image);
        for applies in [true, false] {
            let theirs = self.one_through_c(&mut c, applies);
            let ours = self.one_through_rust(&mut rust, applies);
            assert_eq!(theirs, ours, "applies: {applies}");
            assert!(c.state() == rust.state(), "applies: {applies}, {ours:?}");
        }
    }

    fn one_through_c(&self, mapped: &mut Mapped, applies: bool) -> Result<(), Told> {
        type Act = unsafe extern "C" fn(
            *const c_void,
            u32,
            *const c_char,
            u32,
            u32,
            u32,
            *const relakit_writer,
            *const relakit_options,
            *mut relakit_error,
        ) -> i32;
        let (name, act): (_, Act) = match applies {
            true => ("relakit_apply_relocate_add", relakit_apply_relocate_add),
            false => ("relakit_clear_relocate_add", relakit_clear_relocate_add),
        };
        let count = mapped.symbol_count(self.symindex) as u32;
        let writer = mapped.device.for_c();
        let writer = if mapped.hooked { &raw const writer } else { ptr::null() };
        let options = self.options();
        let (headers, header_count) = (&mapped.image.headers, mapped.image.headers.len() as u32);
        // SAFETY: each header leads to as much memory as it says, or nowhere.
        let status = call(name, |error| unsafe {
            let headers = headers.as_ptr().cast();
            act(
                headers,
                header_count,
                ptr::null(),
                self.symindex,
                count,
                self.relsec,
                writer,
                &raw const options,
                error,
            )
        });
        status.map(|status| assert_eq!(status, RELAKIT_OK))
    }

    fn one_through_rust(&self, mapped: &mut Mapped, applies: bool) -> Result<(), Told> {
        let headers = mapped.image.headers.clone();
        let sechdrs = Sechdrs { headers: &headers, symbols: self.symindex };
        check_symbols(&sechdrs)?;
        let mut rules = self.profile.1.rules();
        rules.set(Rules::CHECK_PC32, self.check_pc32 || rules.contains(Rules::CHECK_PC32));
        let symbols = mapped.symbols(self.symindex).to_vec();
        let values = SymtabValues::from_entries(&symbols);
        let act = if applies { Sechdrs::apply } else { Sechdrs::clear };
        act(&sechdrs, self.relsec, values, mapped, rules).map_err(of_core)
    }

    /// `relakit_klp_apply` and back.
    fn livepatch(&self, image: &Image, object: &CString) {
        let (mut c, mut rust) = self.sides(image);
        let (mut c_names, mut rust_names) = (Names::new(self.salt), Names::new(self.salt));
        for applies in [true, false] {
            let theirs = self.klp_through_c(&mut c, object, &mut c_names, applies);
            let ours = self.klp_through_rust(&mut rust, object.as_bytes(), &mut rust_names, applies);
            assert_eq!(theirs, ours, "applies: {applies}");
            assert!(c.state() == rust.state(), "applies: {applies}, {ours:?}");
            assert_eq!(c_names.asked(), rust_names.asked());
        }
    }

    fn klp_through_c(
        &self,
        mapped: &mut Mapped,
        object: &CString,
        names: &mut Names,
        applies: bool,
    ) -> Result<u32, Told> {
        let strtab = mapped.image.link(self.symindex);
        let size = |index| mapped.image.section(index).map_or(0, Vec::len);
        let symbol_count = mapped.symbol_count(self.symindex);
        let mut values = vec![0; symbol_count];
        let image = relakit_image {
            struct_size: size_of::<relakit_image>() as u32,
            flags: 0,
            sechdrs: mapped.image.headers.as_ptr().cast(),
            section_count: mapped.image.headers.len() as u32,
            symindex: self.symindex,
            symbol_count: symbol_count as u32,
            reserved: 0,
            shstrtab: mapped.start(mapped.image.names_section).cast_const().cast(),
            shstrtab_size: size(mapped.image.names_section),
            strtab: mapped.start(strtab).cast_const().cast(),
            strtab_size: size(strtab),
            values: if applies { values.as_mut_ptr() } else { ptr::null_mut() },
        };
        let hooked = mapped.hooked;
        let writer = mapped.device.for_c();
        let writer = if hooked { &raw const writer } else { ptr::null() };
        let (options, resolver) = (self.options(), names.for_c());
        let (image, options, resolver) = (&raw const image, &raw const options, &raw const resolver);
        let mut sections = u32::MAX;
        let name = if applies { "relakit_klp_apply" } else { "relakit_klp_clear" };
        // SAFETY: each header leads to as much memory as it says, or nowhere; the rest lives.
        let status = call(name, |error| unsafe {
            let (object, sections) = (object.as_ptr(), &raw mut sections);
            match applies {
                true => relakit_klp_apply(image, object, resolver, writer, options, sections, error),
                false => relakit_klp_clear(image, object, writer, options, sections, error),
            }
        });
        assert_eq!(status.is_err(), sections == u32::MAX, "a result is written when there is one");
        status.map(|_| sections)
    }

    fn klp_through_rust(
        &self,
        mapped: &mut Mapped,
        object: &[u8],
        names: &mut Names,
        applies: bool,
    ) -> Result<u32, Told> {
        let headers = mapped.image.headers.clone();
        let sechdrs = Sechdrs { headers: &headers, symbols: self.symindex };
        check_symbols(&sechdrs)?;
        let (shstrtab, strtab) = (mapped.image.names_section, mapped.image.link(self.symindex));
        let symbol_count = mapped.symbol_count(self.symindex);
        let overlaps = |index| index == self.symindex && !mapped.image.strings(index).is_empty();
        if symbol_count != 0 && (overlaps(shstrtab) || overlaps(strtab)) {
            return Err((RELAKIT_ERR_OVERLAP, [None; 4], [0, 1, 0]));
        }
        mapped.names = Some(shstrtab);
        mapped.written = Some(self.symindex).filter(|_| symbol_count != 0);
        let profile = match self.check_pc32 {
            true => self.profile.1.with_pc32_check(),
            false => self.profile.1,
        };
        // No target is made of these.
        let (section_names, symbol_names) =
            (mapped.image.strings(shstrtab).to_vec(), mapped.image.strings(strtab).to_vec());
        let klp = sechdrs.klp(object, Strings::new(&section_names)).map_err(of_core)?;
        let mut values = vec![0; symbol_count];
        let mut symbols = mapped.symbols(self.symindex).to_vec();
        let result = match applies {
            true => {
                let strings = Strings::new(&symbol_names);
                klp.apply(&mut symbols, strings, &mut values, mapped, names, profile)
            }
            false => klp.clear(SymtabValues::from_entries(&symbols), mapped, profile),
        };
        mapped.symbols(self.symindex).copy_from_slice(&symbols);
        result.map(|sections| sections as u32).map_err(of_core)
    }
}

/// What C asks of the symbol table before it calls the core.
fn check_symbols(sechdrs: &Sechdrs<'_>) -> Result<(), Told> {
    match sechdrs.header(sechdrs.symbols) {
        Some(_) => Ok(()),
        None => {
            let (index, count) = (u64::from(sechdrs.symbols), sechdrs.headers.len() as u64);
            Err((RELAKIT_ERR_NO_SUCH_SECTION, [None; 4], [0, index, count]))
        }
    }
}
