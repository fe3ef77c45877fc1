//! Relocation types as a table: formula, field and range (psABI table 4.10; Linux semantics 9).

use super::RelocFlags;
use crate::abi;

/// How the value is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// Nothing is written.
    Nothing,
    /// S + A.
    Absolute,
    /// S + A - P.
    PcRelative,
}

/// Which values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Every 64-bit value.
    Any,
    /// What zero-extends back to the value.
    Unsigned,
    /// What sign-extends back to the value.
    Signed,
    /// As `Signed` with [`RelocFlags::CHECK_PC32`]; without it the low bits are written, as Linux does.
    SignedIfChecked,
    /// What either extension gives back.
    Either,
}

/// One relocation type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Howto {
    /// psABI type number.
    pub r_type: u32,
    /// How the value is computed.
    pub formula: Formula,
    /// Bytes written: 0, 1, 2, 4 or 8.
    pub size: u8,
    /// Which values fit.
    pub range: Range,
    /// Known only with [`RelocFlags::EXTRA_TYPES`].
    pub more: bool,
}

const fn row(r_type: u32, formula: Formula, size: u8, range: Range) -> Howto {
    Howto { r_type, formula, size, range, more: false }
}

const fn more(r_type: u32, formula: Formula, size: u8, range: Range) -> Howto {
    Howto { r_type, formula, size, range, more: true }
}

/// Every type that this engine applies.
pub static HOWTOS: [Howto; 11] = [
    row(abi::R_X86_64_NONE, Formula::Nothing, 0, Range::Any),
    row(abi::R_X86_64_64, Formula::Absolute, 8, Range::Any),
    row(abi::R_X86_64_PC32, Formula::PcRelative, 4, Range::SignedIfChecked),
    row(abi::R_X86_64_PLT32, Formula::PcRelative, 4, Range::SignedIfChecked),
    row(abi::R_X86_64_32, Formula::Absolute, 4, Range::Unsigned),
    row(abi::R_X86_64_32S, Formula::Absolute, 4, Range::Signed),
    row(abi::R_X86_64_PC64, Formula::PcRelative, 8, Range::Any),
    more(abi::R_X86_64_16, Formula::Absolute, 2, Range::Either),
    more(abi::R_X86_64_PC16, Formula::PcRelative, 2, Range::Signed),
    more(abi::R_X86_64_8, Formula::Absolute, 1, Range::Either),
    more(abi::R_X86_64_PC8, Formula::PcRelative, 1, Range::Signed),
];

/// Looks a type number up; `None` means "not applied under these rules".
pub fn howto(r_type: u32, rules: RelocFlags) -> Option<Howto> {
    let known = |row: &&Howto| row.r_type == r_type && (!row.more || rules.contains(RelocFlags::EXTRA_TYPES));
    HOWTOS.iter().find(known).copied()
}

impl Howto {
    /// The value of the field, before it is cut to its size. Address arithmetic wraps by definition.
    pub const fn value(&self, s: u64, a: i64, p: u64) -> u64 {
        let sum = s.wrapping_add(a.cast_unsigned());
        match self.formula {
            Formula::Nothing => 0,
            Formula::Absolute => sum,
            Formula::PcRelative => sum.wrapping_sub(p),
        }
    }

    /// The largest value that fits under `rules` when read as its range reads it; `None` when every value does.
    pub const fn largest(&self, rules: RelocFlags) -> Option<u64> {
        match self.range {
            Range::Any => None,
            Range::SignedIfChecked if !rules.contains(RelocFlags::CHECK_PC32) => None,
            Range::Signed | Range::SignedIfChecked => Some(self.mask() >> 1),
            Range::Unsigned | Range::Either => Some(self.mask()),
        }
    }

    /// Whether `value` fits its field under `rules`.
    pub const fn fits(&self, value: u64, rules: RelocFlags) -> bool {
        let unsigned = value & self.mask() == value;
        // Everything from the sign bit up is the same bit.
        let high = value & !(self.mask() >> 1);
        let signed = high == 0 || high == !(self.mask() >> 1);
        match self.range {
            Range::Any => true,
            Range::SignedIfChecked if !rules.contains(RelocFlags::CHECK_PC32) => true,
            Range::Unsigned => unsigned,
            Range::Signed | Range::SignedIfChecked => signed,
            Range::Either => unsigned || signed,
        }
    }

    /// The bits that the field holds.
    pub const fn mask(&self) -> u64 {
        match self.size {
            0 => 0,
            1 => 0xff,
            2 => 0xffff,
            4 => 0xffff_ffff,
            _ => u64::MAX,
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
            (abi::R_X86_64_32, 0, true),
            (abi::R_X86_64_32, 0xffff_ffff, true),
            (abi::R_X86_64_32, 0x1_0000_0000, false),
            (abi::R_X86_64_32, minus(1), false),
            (abi::R_X86_64_32S, 0x7fff_ffff, true),
            (abi::R_X86_64_32S, 0x8000_0000, false),
            (abi::R_X86_64_32S, 0xffff_ffff_8000_0000, true),
            (abi::R_X86_64_32S, 0xffff_ffff_7fff_ffff, false),
            (abi::R_X86_64_PC32, 0x7fff_ffff, true),
            (abi::R_X86_64_PC32, 0x8000_0000, false),
            (abi::R_X86_64_PC32, minus(0x8000_0000), true),
            (abi::R_X86_64_PC32, minus(0x8000_0001), false),
            (abi::R_X86_64_PLT32, 0x8000_0000, false),
            (abi::R_X86_64_64, u64::MAX, true),
            (abi::R_X86_64_PC64, u64::MAX, true),
            (abi::R_X86_64_16, 0xffff, true),
            (abi::R_X86_64_16, 0x1_0000, false),
            (abi::R_X86_64_16, minus(0x8000), true),
            (abi::R_X86_64_16, minus(0x8001), false),
            (abi::R_X86_64_PC16, 0x7fff, true),
            (abi::R_X86_64_PC16, 0x8000, false),
            (abi::R_X86_64_PC16, minus(0x8000), true),
            (abi::R_X86_64_PC16, minus(0x8001), false),
            (abi::R_X86_64_8, 0xff, true),
            (abi::R_X86_64_8, 0x100, false),
            (abi::R_X86_64_8, minus(0x80), true),
            (abi::R_X86_64_8, minus(0x81), false),
            (abi::R_X86_64_PC8, 0x7f, true),
            (abi::R_X86_64_PC8, 0x80, false),
            (abi::R_X86_64_PC8, minus(0x80), true),
            (abi::R_X86_64_PC8, minus(0x81), false),
        ] {
            let howto = howto(r_type, all).unwrap();
            assert_eq!(howto.fits(value, all), fits, "{} {value:#x}", abi::type_name(r_type).unwrap());
        }
    }

    #[test]
    fn linux_truncates_pc32_and_plt32_and_nothing_else() {
        for row in HOWTOS {
            let linux = row.fits(0x1234_5678_9abc_def0, RelocFlags::empty());
            let truncates = matches!(row.r_type, abi::R_X86_64_PC32 | abi::R_X86_64_PLT32);
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
        assert!(HOWTOS.iter().all(|row| abi::type_name(row.r_type).is_some()));
    }
}
