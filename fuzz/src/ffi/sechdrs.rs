//! Level 2: section headers whose `sh_addr` are addresses, through C and through Rust.
//!
//! Nothing of the file is checked before: its section headers are taken as they are, with memory
//! for what they describe.

mod mapped;

use super::call::{Told, c, of_core};
use super::hooks::{Names, resolver_for_c};
use super::sections::PROFILES;
use super::take;
use core::mem::size_of;
use core::ptr;
use mapped::{Image, Mapped, span};
use relakit::Resolver;
use relakit::abi::{SHT_RELA, SYM_SIZE};
use relakit::elf::Strings;
use relakit::reloc::{RelocFlags, SymtabValues};
use relakit::sechdrs::Sechdrs;
use relakit_ffi::*;
use std::ffi::CString;

/// Choices: profile, flags, symbol table, section, fails, salt, object; then the file.
pub fn run(mut data: &[u8]) -> Option<()> {
    let [profile, flags, symindex, relsec, fail, fail_again, salt, object] = take(&mut data)?;
    let image = Image::new(data)?;
    let case = Case {
        profile: &PROFILES[usize::from(profile) % PROFILES.len()],
        truncate_pc32: flags & 1 != 0,
        allow_zero: flags & 8 != 0,
        is_unknown: flags & 0x20 != 0,
        with_writer: flags & 2 != 0,
        foreign: flags & 0x12 == 0x12,
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
        case.agrees(
            &image,
            |c, applies| case.one_through_c(c, applies),
            |rust, applies| case.one_through_rust(rust, applies),
        );
    } else {
        case.livepatch(&image, &image.object(object));
    }
    Some(())
}

struct Case {
    profile: &'static (u32, relakit::Profile),
    truncate_pc32: bool,
    /// Of one section: symbols may be 0.
    allow_zero: bool,
    /// Of one section: the number of headers is not told.
    is_unknown: bool,
    with_writer: bool,
    foreign: bool,
    symindex: u32,
    relsec: u32,
    fails: [u8; 2],
    salt: u8,
}

impl Case {
    /// Applies and clears on both sides, which have the same addresses. `through_c` and
    /// `through_rust` make one call.
    fn agrees<T: PartialEq + core::fmt::Debug>(
        &self,
        image: &Image,
        mut through_c: impl FnMut(&mut Mapped, bool) -> Result<T, Told>,
        mut through_rust: impl FnMut(&mut Mapped, bool) -> Result<T, Told>,
    ) {
        let mut c = Mapped::new(self, image, None);
        let mut rust = Mapped::new(self, image, Some(&c));
        for applies in [true, false] {
            let theirs = through_c(&mut c, applies);
            rust.lent.clone_from(&c.lent);
            let ours = through_rust(&mut rust, applies);
            assert_eq!(theirs, ours, "applies: {applies}");
            assert!(c.state() == rust.state(), "applies: {applies}, {ours:?}");
        }
    }

    fn options(&self, is_one: bool) -> relakit_options {
        let flags = if self.truncate_pc32 { RELAKIT_OPT_TRUNCATE_PC32 } else { 0 };
        let zero = if is_one && self.allow_zero { RELAKIT_OPT_ALLOW_ZERO_SYMBOLS } else { 0 };
        super::call::options(flags | zero, self.profile.0)
    }

    /// The number of headers for the call for one section, if the call is not told all of them.
    fn known_headers(&self, image: &Image) -> Option<usize> {
        let header = |index: u32| image.headers.get(index as usize);
        let relsec = header(self.relsec).filter(|_| self.is_unknown)?;
        let is_rela = relsec[4..8] == SHT_RELA.to_le_bytes();
        let info = u32::from_le_bytes([relsec[44], relsec[45], relsec[46], relsec[47]]);
        let target = if is_rela { info } else { 0 };
        let last = self.symindex.max(self.relsec).max(target);
        header(last).map(|_| last as usize + 1)
    }

    /// The image for C; and what no target may overlap, without the names.
    fn sechdrs(&self, mapped: &mut Mapped) -> relakit_sechdrs {
        let strtab = mapped.image.link(self.symindex);
        let size = |index| mapped.image.section(index).map_or(0, Vec::len);
        mapped.lent = vec![
            span(mapped.image.headers.as_ptr(), mapped.image.headers.len()),
            span(mapped.start(self.symindex).cast_const(), size(self.symindex)),
        ];
        relakit_sechdrs {
            struct_size: size_of::<relakit_sechdrs>() as u32,
            flags: 0,
            sechdrs: mapped.image.headers.as_ptr().cast(),
            section_count: mapped.image.headers.len() as u32,
            symindex: self.symindex,
            shstrtab: mapped.start(mapped.image.names_section).cast_const().cast(),
            shstrtab_size: size(mapped.image.names_section),
            strtab: mapped.start(strtab).cast_const().cast(),
            strtab_size: size(strtab),
        }
    }

    /// `relakit_apply_relocate_add`, or back.
    fn one_through_c(&self, mapped: &mut Mapped, applies: bool) -> Result<(), Told> {
        let mut image = self.sechdrs(mapped);
        if self.known_headers(&mapped.image).is_some() {
            image.section_count = RELAKIT_SECTION_COUNT_UNKNOWN;
        }
        let writer = mapped.for_c();
        let writer = if mapped.with_writer { &raw const writer } else { ptr::null() };
        let options = self.options(true);
        let (image, relsec, options) = (&raw const image, self.relsec, &raw const options);
        let status = match applies {
            true => c!(relakit_apply_relocate_add(image, relsec, writer, options)),
            false => c!(relakit_clear_relocate_add(image, relsec, writer, options)),
        };
        status.map(|status| assert_eq!(status, RELAKIT_OK))
    }

    fn one_through_rust(&self, mapped: &mut Mapped, applies: bool) -> Result<(), Told> {
        let mut headers = mapped.image.headers.clone();
        headers.truncate(self.known_headers(&mapped.image).unwrap_or(headers.len()));
        let sechdrs = Sechdrs { headers: &headers, symbols: self.symindex };
        check_symbols(&sechdrs, mapped)?;
        let mut rules = self.profile.1.reloc_flags();
        rules.set(RelocFlags::ALLOW_ZERO_SYMBOLS, self.allow_zero);
        rules.set(RelocFlags::TRUNCATE_PC32, self.truncate_pc32 || rules.contains(RelocFlags::TRUNCATE_PC32));
        let symbols = mapped.symbols(self.symindex).to_vec();
        let values = SymtabValues::from_entries(&symbols);
        let act = if applies { Sechdrs::apply } else { Sechdrs::clear };
        act(&sechdrs, self.relsec, values, mapped, rules).map_err(of_core)
    }

    /// `relakit_klp_apply` and back.
    fn livepatch(&self, image: &Image, object: &CString) {
        let (mut c_names, mut rust_names) = (Names::new(self.salt), Names::new(self.salt));
        self.agrees(
            image,
            |c, applies| self.klp_through_c(c, object, &mut c_names, applies),
            |rust, applies| self.klp_through_rust(rust, object.as_bytes(), &mut rust_names, applies),
        );
        assert_eq!(c_names.asked(), rust_names.asked());
    }

    /// Each value that a pass has stored is the one that the resolver has for the symbol's name.
    fn values_are_those_of_the_names(
        &self,
        before: &[[u8; SYM_SIZE]],
        after: &[[u8; SYM_SIZE]],
        strings: &[u8],
    ) {
        for (symbol, stored) in before.iter().zip(after).filter(|(before, after)| before != after) {
            let at = u32::from_le_bytes([symbol[0], symbol[1], symbol[2], symbol[3]]) as usize;
            let text = strings[at..].split(|byte| *byte == 0).next().unwrap_or_default();
            let mut parts =
                text.strip_prefix(b".klp.sym.").expect("a livepatch symbol").splitn(2, |byte| *byte == b'.');
            let (object, rest) = (parts.next().unwrap_or_default(), parts.next().expect("a name"));
            let name = rest.split(|byte| *byte == b',').next().unwrap_or_default();
            let found = Names::new(self.salt).nth_symbol(object, name, 1);
            let value = found.expect("it succeeded").expect("it was found");
            assert_eq!(stored[8..16], value.to_le_bytes(), "{}", text.escape_ascii());
        }
    }

    fn klp_through_c(
        &self,
        mapped: &mut Mapped,
        object: &CString,
        names: &mut Names,
        applies: bool,
    ) -> Result<u32, Told> {
        let image = self.sechdrs(mapped);
        mapped
            .lent
            .extend([span(image.shstrtab, image.shstrtab_size), span(image.strtab, image.strtab_size)]);
        let with_writer = mapped.with_writer;
        let writer = mapped.for_c();
        let writer = if with_writer { &raw const writer } else { ptr::null() };
        let (options, resolver) = (self.options(false), resolver_for_c(names));
        let (image, options, resolver) = (&raw const image, &raw const options, &raw const resolver);
        let mut sections = u32::MAX;
        let (object, out) = (object.as_ptr(), &raw mut sections);
        let status = match applies {
            true => c!(relakit_klp_apply(image, object, resolver, writer, options, out)),
            false => c!(relakit_klp_clear(image, object, writer, options, out)),
        };
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
        check_symbols(&sechdrs, mapped)?;
        let (shstrtab, strtab) = (mapped.image.names_section, mapped.image.link(self.symindex));
        let symbol_count = mapped.symbol_count(self.symindex);
        let overlaps = |index| index == self.symindex && !mapped.image.strings(index).is_empty();
        if symbol_count != 0 && (overlaps(shstrtab) || overlaps(strtab)) {
            return Err((RELAKIT_ERR_OVERLAP, [None; 4], [0, 1, 0]));
        }
        mapped.written = Some(self.symindex).filter(|_| symbol_count != 0);
        let profile = match self.truncate_pc32 {
            true => self.profile.1.with_flags(relakit::reloc::RelocFlags::TRUNCATE_PC32),
            false => self.profile.1,
        };
        // No target is made of these.
        let (section_names, symbol_names) =
            (mapped.image.strings(shstrtab).to_vec(), mapped.image.strings(strtab).to_vec());
        let klp = sechdrs.klp(object, Strings::new(&section_names)).map_err(of_core)?;
        let mut symbols = mapped.symbols(self.symindex).to_vec();
        let result = match applies {
            true => {
                let strings = Strings::new(&symbol_names);
                klp.apply(&mut symbols, strings, mapped, names, &profile)
            }
            false => klp.clear(SymtabValues::from_entries(&symbols), mapped, &profile),
        };
        if result.is_ok() && applies {
            self.values_are_those_of_the_names(mapped.symbols(self.symindex), &symbols, &symbol_names);
        }
        mapped.symbols(self.symindex).copy_from_slice(&symbols);
        result.map(|sections| sections as u32).map_err(of_core)
    }
}

/// What C asks of the symbol table before it calls the core.
fn check_symbols(sechdrs: &Sechdrs<'_>, mapped: &Mapped) -> Result<(), Told> {
    let (index, count) = (sechdrs.symbols, sechdrs.headers.len() as u64);
    let Some(header) = sechdrs.headers.get(index as usize).filter(|_| index != 0) else {
        return Err((RELAKIT_ERR_NO_SUCH_SECTION, [None; 4], [0, u64::from(index), count]));
    };
    let size = header[32..].first_chunk().map_or(0, |size| u64::from_le_bytes(*size));
    let refused = |status, rest| Err((status, [Some(u64::from(index)), None, None, None], [0, size, rest]));
    match size % SYM_SIZE as u64 {
        0 if size != 0 && mapped.start(index).is_null() => refused(RELAKIT_ERR_NOT_ASSIGNED, 0),
        0 => Ok(()),
        rest => refused(RELAKIT_ERR_PARTIAL_ENTRY, rest),
    }
}
