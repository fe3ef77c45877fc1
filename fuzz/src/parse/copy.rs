//! What a loader refuses in a file that can be read, by a slow look at single bytes: relocation tables that share bytes, and
//! bytes that Linux writes before it reads them (docs/linux-semantics.md, section 2).

use relakit::abi::{SHT_NOBITS, SHT_NULL, SHT_REL, SHT_RELA};
use relakit::elf::{Object, Section};
use relakit::{ErrorKind, Profile};

const ALLOC: u64 = 2;
const LIVEPATCH: u64 = 0x10_0000;

/// The error, and the section that it names.
pub fn refusal(object: &Object<'_>, profile: &Profile) -> Option<(ErrorKind, Option<u32>)> {
    let file = object.bytes();
    let has_bytes = |section: &Section| !matches!(section.sh_type, SHT_NOBITS | SHT_NULL);
    let has = |section: &Section, flag: u64| section.sh_flags.bits() & flag != 0;
    let is_table =
        |section: &Section| matches!(section.sh_type, SHT_RELA | SHT_REL) || has(section, LIVEPATCH);
    let tables = object.sections().filter(|(_, section)| has_bytes(section) && is_table(section));
    if tables.map(|(_, section)| u128::from(section.sh_size)).sum::<u128>() > file.len() as u128 {
        return Some((ErrorKind::RelocationsTooLarge, None));
    }
    // Only Linux writes to the file's bytes.
    if profile.since == (0, 0) {
        return None;
    }
    let header = usize::try_from(u64::from_le_bytes(*file.get(40..)?.first_chunk()?)).ok()?;
    let size = 64 * usize::try_from(object.section_count()).ok()?;
    let mut is_header = vec![false; file.len()];
    is_header[header..header + size].fill(true);
    let is_template = |(index, section): &(u32, Section)| {
        *index != 0 && has(section, ALLOC) && object.section_name(section) == b".data..percpu"
    };
    let mut is_in_template = vec![false; file.len()];
    if let Some((_, section)) = object.sections().find(is_template)
        && profile.since >= (6, 16)
        && has_bytes(&section)
    {
        is_in_template[bytes(&section)].fill(true);
    }
    object.sections().find_map(|(index, section)| {
        let end = u128::from(section.sh_offset) + u128::from(section.sh_size);
        let is_copied = index != 0 && section.sh_type == SHT_NULL && has(&section, ALLOC);
        if is_copied && section.sh_size != 0 && end > file.len() as u128 {
            return Some((ErrorKind::NullOutside, Some(index)));
        }
        let is_read_late = is_table(&section) || index == object.names_section();
        let shares = has_bytes(&section)
            && (is_header[bytes(&section)].contains(&true)
                || is_read_late && is_in_template[bytes(&section)].contains(&true));
        shares.then_some((ErrorKind::SharedBytes, Some(index)))
    })
}

/// Where the bytes of a section are, which the file has.
fn bytes(section: &Section) -> core::ops::Range<usize> {
    match section.sh_size {
        // An empty one may be said to be anywhere.
        0 => 0..0,
        size => section.sh_offset as usize..(section.sh_offset + size) as usize,
    }
}
