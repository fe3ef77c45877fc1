//! Tables that Linux sorts before late relocations are applied. A late field that is not the last
//! one then has the value of another entry, and its relocation finds a field that is not zero.

use super::memory::ModuleMemory;
use relakit::Module;
use relakit_linux::special::{self, Effect, Version};

/// How the entries of a table are sorted.
struct Format {
    /// Bytes of an entry.
    size: usize,
    /// Offsets of 32-bit numbers that count from their own address.
    relative: &'static [usize],
    /// Offset of a 64-bit number that counts from its own address.
    relative_64: Option<usize>,
    /// Whether the entry is a 64-bit address.
    is_address: bool,
}

/// `.orc_unwind_ip` (`unwind_module_init`), `__ex_table` (`sort_extable`: instruction and fixup),
/// `__jump_table` (`jump_label_sort_entries`: code, target and key; sorted by key, then by code) and
/// `__mcount_loc` (`ftrace_process_locs`).
const FORMATS: [(&str, Format); 4] = [
    (".orc_unwind_ip", Format { size: 4, relative: &[0], relative_64: None, is_address: false }),
    ("__ex_table", Format { size: 12, relative: &[0, 4], relative_64: None, is_address: false }),
    ("__jump_table", Format { size: 16, relative: &[0, 4], relative_64: Some(8), is_address: false }),
    ("__mcount_loc", Format { size: 8, relative: &[], relative_64: None, is_address: true }),
];

/// Sorts the tables of a module as a kernel of this version does while it loads the module.
pub(super) fn sort(module: &Module<'_>, memory: &mut ModuleMemory, version: Version) {
    let object = module.object();
    for (index, section) in object.sections() {
        let name = object.section_name(&section);
        let format = FORMATS.iter().find(|(of, _)| of.as_bytes() == name);
        let special = special::by_name(name).filter(|special| special.is_read_by(version));
        let Some(((_, format), special)) = format.zip(special) else { continue };
        debug_assert!(matches!(special.effect, Effect::Updates | Effect::UpdatesAndRewrites));
        let Some(address) = memory.address(index) else { continue };
        if let Some(bytes) = memory.bytes_mut(index) {
            format.sort(bytes, address);
        }
    }
}

impl Format {
    fn sort(&self, bytes: &mut [u8], address: u64) {
        let mut entries: Vec<Vec<u64>> = Vec::new();
        for (entry, at) in bytes.chunks_exact(self.size).zip((address..).step_by(self.size)) {
            entries.push(self.read(entry, at));
        }
        // The rest of an entry moves with it: kinds and such.
        let rests: Vec<Vec<u8>> = bytes.chunks_exact(self.size).map(<[u8]>::to_vec).collect();
        let mut order: Vec<usize> = (0..entries.len()).collect();
        let key = |index: &usize| entries.get(*index).map(|entry| self.key(entry));
        order.sort_by_key(key);
        let places = bytes.chunks_exact_mut(self.size).zip((address..).step_by(self.size));
        for ((place, at), from) in places.zip(order) {
            if let (Some(rest), Some(entry)) = (rests.get(from), entries.get(from)) {
                place.copy_from_slice(rest);
                self.write(place, at, entry);
            }
        }
    }

    fn offsets(&self) -> impl Iterator<Item = (usize, bool)> {
        let wide = self.relative_64.or(self.is_address.then_some(0));
        self.relative.iter().map(|offset| (*offset, false)).chain(wide.map(|offset| (offset, true)))
    }

    /// The address of a field, or 0 if the entry is an address itself.
    fn base(&self, at: u64, offset: usize) -> u64 {
        if self.is_address { 0 } else { at.wrapping_add(offset as u64) }
    }

    fn read(&self, entry: &[u8], at: u64) -> Vec<u64> {
        let read = |(offset, wide): (usize, bool)| {
            let field = entry.get(offset..).unwrap_or_default();
            let value = match wide {
                true => field.first_chunk().map_or(0, |field| u64::from_le_bytes(*field)),
                false => field
                    .first_chunk()
                    .map_or(0, |field| i64::from(i32::from_le_bytes(*field)).cast_unsigned()),
            };
            self.base(at, offset).wrapping_add(value)
        };
        self.offsets().map(read).collect()
    }

    fn write(&self, entry: &mut [u8], at: u64, values: &[u64]) {
        for ((offset, wide), value) in self.offsets().zip(values) {
            let value = value.wrapping_sub(self.base(at, offset)).to_le_bytes();
            let bytes = value.get(..if wide { 8 } else { 4 }).unwrap_or_default();
            if let Some(field) = entry.get_mut(offset..).and_then(|rest| rest.get_mut(..bytes.len())) {
                field.copy_from_slice(bytes);
            }
        }
    }

    /// What decides: the key of a jump label before its code, or else the first address.
    fn key(&self, values: &[u64]) -> (u64, u64) {
        let first = values.first().copied().unwrap_or(0);
        match self.relative_64 {
            // The two lowest bits are flags.
            Some(_) => (values.last().copied().unwrap_or(0) & !3, first),
            None => (first, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(number: usize, entries: &[u8]) -> Vec<u8> {
        let mut bytes = entries.to_vec();
        FORMATS[number].1.sort(&mut bytes, 0x1000);
        bytes
    }

    #[test]
    fn offsets_lead_to_the_same_addresses_after_sorting() {
        // Entries at 0x1000 and 0x1004 that lead to 0x1050 and 0x1020.
        let bytes: Vec<u8> = [0x50i32, 0x1c].iter().flat_map(|value| value.to_le_bytes()).collect();
        let after: Vec<u8> = [0x20i32, 0x4c].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(sorted(0, &bytes), after);
        assert_eq!(sorted(0, &after), after);
    }

    #[test]
    fn a_late_field_stays_zero_only_where_its_own_address_is_the_greatest() {
        let before =
            |values: [i32; 3]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let zero_at = |bytes: &[u8], at: usize| bytes[4 * at..4 * at + 4] == [0; 4];
        assert!(!zero_at(&sorted(0, &before([-0x800, 0, -0x700])), 1));
        assert!(zero_at(&sorted(0, &before([-0x800, -0x700, 0])), 2));
    }

    #[test]
    fn addresses_are_sorted_as_they_are() {
        let bytes: Vec<u8> = [3u64, 0, 2].iter().flat_map(|value| value.to_le_bytes()).collect();
        let after: Vec<u8> = [0u64, 2, 3].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(sorted(3, &bytes), after);
    }
}
