//! Section headers of a Linux-shaped loader.

use crate::{Embedder, Nothing};
use core::hint::black_box;
use relakit::elf::{Section, Strings};
use relakit::reloc::{RelocFlags, SymtabValues};
use relakit::sechdrs::{Mapping, Sechdrs};
use relakit::{CallbackError, Error, ErrorKind, Profile, Target};

/// Every section is the same memory.
struct Mapped<'m> {
    table: &'m [u8],
    bytes: &'m mut [u8],
}

impl<'m> Mapping<'m> for Mapped<'m> {
    fn table(&self, index: u32, section: &Section) -> Result<&'m [u8], ErrorKind> {
        let size = usize::try_from(section.sh_size).map_err(|_| ErrorKind::AddressWraps)?;
        let table = self.table.get(index as usize..).and_then(|table| table.get(..size));
        table.ok_or(ErrorKind::TableOverlaps)
    }

    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        let bytes = self.bytes.get_mut(index as usize..).ok_or(ErrorKind::NotAssigned)?;
        Ok(Target::new(bytes, section.sh_addr))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        if self.bytes.is_empty() { Err(CallbackError(3)) } else { Ok(()) }
    }
}

impl<'m> Mapping<'m> for Nothing {
    fn table(&self, _index: u32, _section: &Section) -> Result<&'m [u8], ErrorKind> {
        Err(ErrorKind::NotAssigned)
    }

    fn target(&mut self, _index: u32, _section: &Section) -> Result<Target<'_>, ErrorKind> {
        Err(ErrorKind::NotAssigned)
    }
}

/// A module in memory.
pub struct Image<'a> {
    sechdrs: Sechdrs<'a>,
    symbols: &'a mut [[u8; 24]],
    strings: Strings<'a>,
    names: Strings<'a>,
    object: &'a [u8],
    table: &'a [u8],
    bytes: &'a mut [u8],
    profile: Profile,
    rules: RelocFlags,
    index: u32,
}

#[unsafe(no_mangle)]
extern "C" fn proof_sechdrs(image: &mut Image<'_>) -> i32 {
    relocate(image).map_or_else(|error| error.kind as i32, |()| 0)
}

fn relocate(image: &mut Image<'_>) -> Result<(), Error> {
    let Image { sechdrs, symbols, strings, names, object, table, bytes, profile, rules, index } = image;
    let mapping = &mut Mapped { table, bytes };
    black_box(sechdrs.symbol_table()?);
    black_box(sechdrs.headers_used(*index));
    sechdrs.apply(*index, SymtabValues::from_entries(symbols), mapping, *rules)?;
    sechdrs.clear(*index, SymtabValues::from_entries(symbols), mapping, *rules)?;
    let klp = sechdrs.klp(object, *names)?;
    black_box(klp.apply(symbols, *strings, mapping, &mut Embedder, profile)?);
    black_box(klp.clear(SymtabValues::from_entries(symbols), mapping, profile)?);
    black_box(Mapping::sync(&mut Nothing)).ok();
    Ok(())
}
