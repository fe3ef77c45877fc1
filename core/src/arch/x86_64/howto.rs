//! Relocation types as a table: formula, field and range (psABI table 4.10; Linux semantics 9).
//!
//! Notation follows the psABI: S symbol value, A addend, P address of the field at run time.

use super::types::*;
use crate::flags::RelocFlags;

/// How the value is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Formula {
    /// Nothing is written.
    Nothing,
    /// S + A.
    Absolute,
    /// S + A - P.
    PcRelative,
}

/// Which values fit a field. The names are those of the BFD library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// All values.
    None,
    /// A value that is equal to its field, zero-extended.
    Unsigned,
    /// A value that is equal to its field, sign-extended.
    Signed,
    /// As `Signed` with [`RelocFlags::CHECK_PC32`]. Without it all values: the low bits are written, as in
    /// Linux.
    SignedIfChecked,
    /// A value that fits `Unsigned` or `Signed`.
    Bitfield,
}

/// One relocation type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Howto {
    /// Type number in the psABI.
    pub r_type: u32,
    /// How the value is computed.
    pub formula: Formula,
    /// Size of the field in bytes: 0, 1, 2, 4 or 8.
    pub size: u8,
    /// Which values fit the field.
    pub overflow: Overflow,
    /// Whether the type needs [`RelocFlags::EXTRA_TYPES`].
    pub extension: bool,
}

const fn row(r_type: u32, formula: Formula, size: u8, overflow: Overflow) -> Howto {
    Howto { r_type, formula, size, overflow, extension: false }
}

const fn extension(r_type: u32, formula: Formula, size: u8, overflow: Overflow) -> Howto {
    Howto { r_type, formula, size, overflow, extension: true }
}

/// Every type that relakit applies.
pub const HOWTOS: &[Howto] = &[
    row(R_X86_64_NONE, Formula::Nothing, 0, Overflow::None),
    row(R_X86_64_64, Formula::Absolute, 8, Overflow::None),
    row(R_X86_64_PC32, Formula::PcRelative, 4, Overflow::SignedIfChecked),
    row(R_X86_64_PLT32, Formula::PcRelative, 4, Overflow::SignedIfChecked),
    row(R_X86_64_32, Formula::Absolute, 4, Overflow::Unsigned),
    row(R_X86_64_32S, Formula::Absolute, 4, Overflow::Signed),
    row(R_X86_64_PC64, Formula::PcRelative, 8, Overflow::None),
    extension(R_X86_64_16, Formula::Absolute, 2, Overflow::Bitfield),
    extension(R_X86_64_PC16, Formula::PcRelative, 2, Overflow::Signed),
    extension(R_X86_64_8, Formula::Absolute, 1, Overflow::Bitfield),
    extension(R_X86_64_PC8, Formula::PcRelative, 1, Overflow::Signed),
];

/// Returns the row of a type, or `None` if relakit does not apply the type with these flags.
pub fn howto(r_type: u32, rules: RelocFlags) -> Option<Howto> {
    let known =
        |row: &&Howto| row.r_type == r_type && (!row.extension || rules.contains(RelocFlags::EXTRA_TYPES));
    HOWTOS.iter().find(known).copied()
}

impl Howto {
    /// Computes the value modulo 2^64, before it is cut to the size of the field.
    pub const fn value(&self, s: u64, a: i64, p: u64) -> u64 {
        let sum = s.wrapping_add(a.cast_unsigned());
        match self.formula {
            Formula::Nothing => 0,
            Formula::Absolute => sum,
            Formula::PcRelative => sum.wrapping_sub(p),
        }
    }

    /// Returns the largest number that fits, or `None` if every value fits.
    pub const fn largest(&self, rules: RelocFlags) -> Option<u64> {
        match self.overflow {
            Overflow::None => None,
            Overflow::SignedIfChecked if !rules.contains(RelocFlags::CHECK_PC32) => None,
            Overflow::Signed | Overflow::SignedIfChecked => Some(self.mask() >> 1),
            Overflow::Unsigned | Overflow::Bitfield => Some(self.mask()),
        }
    }

    /// Whether `value` fits the field.
    pub const fn fits(&self, value: u64, rules: RelocFlags) -> bool {
        let unsigned = value & self.mask() == value;
        // The sign bit and all bits above it must be equal.
        let high = value & !(self.mask() >> 1);
        let signed = high == 0 || high == !(self.mask() >> 1);
        match self.overflow {
            Overflow::None => true,
            Overflow::SignedIfChecked if !rules.contains(RelocFlags::CHECK_PC32) => true,
            Overflow::Unsigned => unsigned,
            Overflow::Signed | Overflow::SignedIfChecked => signed,
            Overflow::Bitfield => unsigned || signed,
        }
    }

    /// The number that the content of a field stands for: sign-extended, except for the unsigned and
    /// the 64-bit types.
    pub(crate) const fn extend(&self, content: u64) -> u64 {
        let sign = self.mask() ^ self.mask() >> 1;
        match self.overflow {
            Overflow::None | Overflow::Unsigned => content,
            _ => (content ^ sign).wrapping_sub(sign),
        }
    }

    /// A mask of the bits that the field holds.
    pub const fn mask(&self) -> u64 {
        // A field without bytes has no bits: the shift by 64 returns `None`.
        match u64::MAX.checked_shr(64u32.wrapping_sub(8u32.wrapping_mul(self.size as u32))) {
            Some(mask) => mask,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_every_edge_of_every_range() {
        let all = RelocFlags::CHECK_PC32 | RelocFlags::EXTRA_TYPES;
        let minus = |value: u64| value.wrapping_neg();
        for (r_type, value, fits) in [
            (R_X86_64_32, 0, true),
            (R_X86_64_32, 0xffff_ffff, true),
            (R_X86_64_32, 0x1_0000_0000, false),
            (R_X86_64_32, minus(1), false),
            (R_X86_64_32S, 0x7fff_ffff, true),
            (R_X86_64_32S, 0x8000_0000, false),
            (R_X86_64_32S, 0xffff_ffff_8000_0000, true),
            (R_X86_64_32S, 0xffff_ffff_7fff_ffff, false),
            (R_X86_64_PC32, 0x7fff_ffff, true),
            (R_X86_64_PC32, 0x8000_0000, false),
            (R_X86_64_PC32, minus(0x8000_0000), true),
            (R_X86_64_PC32, minus(0x8000_0001), false),
            (R_X86_64_PLT32, 0x8000_0000, false),
            (R_X86_64_64, u64::MAX, true),
            (R_X86_64_PC64, u64::MAX, true),
            (R_X86_64_16, 0xffff, true),
            (R_X86_64_16, 0x1_0000, false),
            (R_X86_64_16, minus(0x8000), true),
            (R_X86_64_16, minus(0x8001), false),
            (R_X86_64_PC16, 0x7fff, true),
            (R_X86_64_PC16, 0x8000, false),
            (R_X86_64_PC16, minus(0x8000), true),
            (R_X86_64_PC16, minus(0x8001), false),
            (R_X86_64_8, 0xff, true),
            (R_X86_64_8, 0x100, false),
            (R_X86_64_8, minus(0x80), true),
            (R_X86_64_8, minus(0x81), false),
            (R_X86_64_PC8, 0x7f, true),
            (R_X86_64_PC8, 0x80, false),
            (R_X86_64_PC8, minus(0x80), true),
            (R_X86_64_PC8, minus(0x81), false),
        ] {
            let howto = howto(r_type, all).unwrap();
            assert_eq!(howto.fits(value, all), fits, "{} {value:#x}", type_name(r_type).unwrap());
        }
    }

    #[test]
    fn linux_truncates_pc32_and_plt32_and_nothing_else() {
        for row in HOWTOS.iter().copied() {
            let linux = row.fits(0x1234_5678_9abc_def0, RelocFlags::empty());
            let truncates = matches!(row.r_type, R_X86_64_PC32 | R_X86_64_PLT32);
            assert_eq!(linux, truncates || matches!(row.size, 0 | 8), "{row:?}");
        }
    }

    #[test]
    fn the_types_linux_does_not_know_need_to_be_asked_for() {
        let linux = [0, 1, 2, 4, 10, 11, 24];
        for r_type in 0..1000 {
            assert_eq!(howto(r_type, RelocFlags::empty()).is_some(), linux.contains(&r_type), "{r_type}");
            let more = linux.contains(&r_type) || (12..=15).contains(&r_type);
            assert_eq!(howto(r_type, RelocFlags::EXTRA_TYPES).is_some(), more, "{r_type}");
        }
    }

    #[test]
    fn every_type_that_is_applied_has_a_name() {
        assert!(HOWTOS.iter().all(|row| type_name(row.r_type).is_some()));
    }
}
