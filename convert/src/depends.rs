//! Removes modules from `depends=` in .modinfo: the livepatch must load without the modules that it
//! patches.

use crate::session::Session;
use object::build::elf::{Builder, SectionData};
use object::elf::SHN_UNDEF;
use std::collections::BTreeSet;

const DEPENDS: &[u8] = b"depends=";

/// Removes the modules whose exports all became livepatch symbols. Returns their names.
///
/// The freed bytes become zeros after the entry, which Linux skips, so that nothing moves.
pub(crate) fn remove(builder: &mut Builder<'_>, session: &Session<'_>) -> Vec<Vec<u8>> {
    let mut unused: BTreeSet<Vec<u8>> = session.imported.clone();
    for symbol in &builder.symbols {
        if symbol.section.is_none()
            && symbol.st_shndx == SHN_UNDEF
            && let Some(object) = session.request.symbols.exporter(&symbol.name)
        {
            unused.remove(&object);
        }
    }
    let mut removed = Vec::new();
    for section in &mut builder.sections {
        let (b".modinfo", SectionData::Data(bytes)) = (section.name.as_slice(), &mut section.data) else {
            continue;
        };
        let entries = bytes.split(|byte| *byte == 0);
        let mut start = 0usize;
        for entry in entries.map(<[u8]>::to_vec).collect::<Vec<_>>() {
            let end = start.saturating_add(entry.len());
            if let Some(names) = entry.strip_prefix(DEPENDS) {
                let (gone, stay): (Vec<&[u8]>, Vec<&[u8]>) =
                    names.split(|byte| *byte == b',').partition(|name| unused.contains(&module_name(name)));
                if !gone.is_empty() {
                    removed.extend(gone.iter().map(|name| name.to_vec()));
                    let mut shorter = [DEPENDS, &stay.join(&b","[..])].concat();
                    shorter.resize(entry.len(), 0);
                    if let Some(place) = bytes.to_mut().get_mut(start..end) {
                        place.copy_from_slice(&shorter);
                    }
                }
            }
            start = end.saturating_add(1);
        }
    }
    removed
}

/// `depends=` has the names of files, which may have hyphens.
fn module_name(file: &[u8]) -> Vec<u8> {
    file.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect()
}
