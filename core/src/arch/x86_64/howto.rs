//! Relocation types as a table: formula, field and range (psABI table 4.10; Linux semantics 9).
//!
//! Notation follows the psABI: S symbol value, A addend, P address of the field at run time.

use super::types::*;
use crate::flags::RelocFlags;
use crate::read::low32;
use bitflags::bitflags;

bitflags! {
    /// A set of relocation types: those that a loader knows. The names are those of the psABI; `ABS`
    /// stands for the types whose psABI name is a number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RelocTypes: u32 {
        /// `R_X86_64_NONE`.
        const NONE = 1 << 0;
        /// `R_X86_64_64`.
        const ABS64 = 1 << 1;
        /// `R_X86_64_PC32`.
        const PC32 = 1 << 2;
        /// `R_X86_64_PLT32`.
        const PLT32 = 1 << 3;
        /// `R_X86_64_32`.
        const ABS32 = 1 << 4;
        /// `R_X86_64_32S`.
        const ABS32S = 1 << 5;
        /// `R_X86_64_PC64`.
        const PC64 = 1 << 6;
        /// `R_X86_64_16`.
        const ABS16 = 1 << 7;
        /// `R_X86_64_PC16`.
        const PC16 = 1 << 8;
        /// `R_X86_64_8`.
        const ABS8 = 1 << 9;
        /// `R_X86_64_PC8`.
        const PC8 = 1 << 10;
        /// The types that refer to a global offset table: `GOTPCREL`, `GOTPCRELX`, `REX_GOTPCRELX` and
        /// its forms for APX, `GOTPCREL64`, `GOT64`, `GOTPC32`, `GOTPC64`, `GOTOFF64` and `PLTOFF64`.
        /// They need a [`Got`](crate::reloc::Got).
        const GOT = 1 << 11;
    }
}

impl RelocTypes {
    /// The types that need no flag: NONE, 64, PC32, PLT32, 32, 32S and PC64.
    pub const BASE: Self = Self::all().difference(Self::EXTRA).difference(Self::GOT);
    /// The types that [`RelocFlags::EXTRA_TYPES`] adds: 16, PC16, 8 and PC8.
    pub const EXTRA: Self = Self::ABS16.union(Self::PC16).union(Self::ABS8).union(Self::PC8);
    /// The types that the loops of this module process.
    const FREQUENT: Self =
        Self::ABS64.union(Self::PC32).union(Self::PLT32).union(Self::ABS32S).union(Self::PC64);
}

/// Position of the first bit of [`RelocFlags::UNKNOWN_TYPES`].
const UNKNOWN: u32 = RelocFlags::UNKNOWN_TYPES.bits().trailing_zeros();
const _: () = assert!(RelocTypes::all().bits() <= RelocFlags::UNKNOWN_TYPES.bits() >> UNKNOWN);

impl RelocFlags {
    /// These flags, and no other relocation types than `types`. [`RelocTypes::GOT`] has no flag: a pass
    /// with a [`Got`](crate::reloc::Got) knows these types.
    #[must_use]
    pub const fn with_types(self, types: RelocTypes) -> Self {
        let flags = if types.intersects(RelocTypes::EXTRA) { self.union(Self::EXTRA_TYPES) } else { self };
        let unknown = flags.types().difference(types);
        flags.union(Self::from_bits_retain(unknown.bits() << UNKNOWN))
    }

    /// The relocation types that are applied with these flags.
    pub const fn types(self) -> RelocTypes {
        let extra = if self.contains(Self::EXTRA_TYPES) { RelocTypes::EXTRA } else { RelocTypes::empty() };
        RelocTypes::BASE.union(extra).difference(RelocTypes::from_bits_truncate(self.bits() >> UNKNOWN))
    }
}

/// Whether the loops for frequent types may be used. They are not, if they would apply a type that
/// the loader does not know.
pub(crate) const fn has_frequent_types(flags: RelocFlags) -> bool {
    !flags.intersects(RelocFlags::from_bits_retain(RelocTypes::FREQUENT.bits() << UNKNOWN))
}

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
    /// As `Signed`. With [`RelocFlags::TRUNCATE_PC32`] all values: the low bits are written.
    SignedOrTruncated,
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
    /// The type as a set.
    pub set: RelocTypes,
}

const fn row(r_type: u32, set: RelocTypes, formula: Formula, size: u8, overflow: Overflow) -> Howto {
    Howto { r_type, formula, size, overflow, set }
}

/// Every type that relakit applies without a GOT.
pub const HOWTOS: &[Howto] = &[
    row(R_X86_64_NONE, RelocTypes::NONE, Formula::Nothing, 0, Overflow::None),
    row(R_X86_64_64, RelocTypes::ABS64, Formula::Absolute, 8, Overflow::None),
    row(R_X86_64_PC32, RelocTypes::PC32, Formula::PcRelative, 4, Overflow::SignedOrTruncated),
    row(R_X86_64_PLT32, RelocTypes::PLT32, Formula::PcRelative, 4, Overflow::SignedOrTruncated),
    row(R_X86_64_32, RelocTypes::ABS32, Formula::Absolute, 4, Overflow::Unsigned),
    row(R_X86_64_32S, RelocTypes::ABS32S, Formula::Absolute, 4, Overflow::Signed),
    row(R_X86_64_PC64, RelocTypes::PC64, Formula::PcRelative, 8, Overflow::None),
    row(R_X86_64_16, RelocTypes::ABS16, Formula::Absolute, 2, Overflow::Bitfield),
    row(R_X86_64_PC16, RelocTypes::PC16, Formula::PcRelative, 2, Overflow::Signed),
    row(R_X86_64_8, RelocTypes::ABS8, Formula::Absolute, 1, Overflow::Bitfield),
    row(R_X86_64_PC8, RelocTypes::PC8, Formula::PcRelative, 1, Overflow::Signed),
];

/// Returns the row of a type, or `None` if relakit does not apply the type with these flags.
pub fn howto(r_type: u32, rules: RelocFlags) -> Option<Howto> {
    HOWTOS.iter().find(|row| row.r_type == r_type && rules.types().contains(row.set)).copied()
}

/// The types that need no flag, one bit each, by their rules. A function that may have no data reads
/// these numbers instead of the table.
struct Bits {
    all: u32,
    relative: u32,
    wide: u32,
    unsigned: u32,
    empty: u32,
}

const BITS: Bits = {
    let mut bits = Bits { all: 0, relative: 0, wide: 0, unsigned: 0, empty: 0 };
    let mut rows = HOWTOS;
    while let [row, rest @ ..] = rows {
        rows = rest;
        if !RelocTypes::BASE.contains(row.set) {
            continue;
        }
        assert!(row.r_type < 32 && matches!(row.size, 0 | 4 | 8));
        let bit = 1u32.wrapping_shl(row.r_type);
        bits.all |= bit;
        match row.formula {
            Formula::PcRelative => bits.relative |= bit,
            Formula::Absolute => {}
            Formula::Nothing => bits.empty |= bit,
        }
        match row.overflow {
            Overflow::None if row.size == 8 => bits.wide |= bit,
            Overflow::Unsigned => bits.unsigned |= bit,
            _ => {}
        }
    }
    bits
};

/// The content of a field, or why there is none.
pub(crate) enum Content {
    Nothing,
    Word32(u32),
    Word64(u64),
    UnknownType,
    Overflow,
}

/// Returns the content of a field by the rules without flags, as [`howto`] and [`Howto`] do. `sum`
/// is S + A. It needs no data.
#[inline(always)]
pub(crate) fn strict_content(r_type: u32, sum: u64, p: u64) -> Content {
    let has = |types: u32| types.checked_shr(r_type).unwrap_or(0) & 1 != 0;
    if !has(BITS.all) {
        return Content::UnknownType;
    }
    let value = if has(BITS.relative) { sum.wrapping_sub(p) } else { sum };
    if has(BITS.empty) {
        return Content::Nothing;
    }
    if has(BITS.wide) {
        return Content::Word64(value);
    }
    let low = low32(value);
    let extended = if has(BITS.unsigned) { u64::from(low) } else { sign_extended(low) };
    if extended == value { Content::Word32(low) } else { Content::Overflow }
}

fn sign_extended(low: u32) -> u64 {
    i64::from(low.cast_signed()).cast_unsigned()
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
            Overflow::SignedOrTruncated if rules.contains(RelocFlags::TRUNCATE_PC32) => None,
            Overflow::Signed | Overflow::SignedOrTruncated => Some(self.mask() >> 1),
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
            Overflow::SignedOrTruncated if rules.contains(RelocFlags::TRUNCATE_PC32) => true,
            Overflow::Unsigned => unsigned,
            Overflow::Signed | Overflow::SignedOrTruncated => signed,
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
        let all = RelocFlags::EXTRA_TYPES;
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
    fn pc32_and_plt32_are_truncated_if_the_flag_is_set_and_nothing_else() {
        for row in HOWTOS.iter().copied() {
            let fits = |flags| row.fits(0x1234_5678_9abc_def0, flags);
            let truncates = matches!(row.r_type, R_X86_64_PC32 | R_X86_64_PLT32);
            let always = matches!(row.size, 0 | 8);
            assert_eq!(fits(RelocFlags::empty()), always, "{row:?}");
            assert_eq!(fits(RelocFlags::TRUNCATE_PC32), truncates || always, "{row:?}");
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
    fn a_type_is_applied_if_it_is_in_the_set_and_not_otherwise() {
        let without_got = RelocTypes::all().difference(RelocTypes::GOT);
        for bits in 0..=without_got.bits() {
            let types = RelocTypes::from_bits(bits).unwrap();
            let flags = RelocFlags::TRUNCATE_PC32.with_types(types);
            assert_eq!(flags.types(), types);
            assert_eq!(flags.contains(RelocFlags::EXTRA_TYPES), types.intersects(RelocTypes::EXTRA));
            assert_eq!(has_frequent_types(flags), types.contains(RelocTypes::FREQUENT));
            for row in HOWTOS {
                assert_eq!(howto(row.r_type, flags).is_some(), types.contains(row.set), "{row:?}");
            }
        }
        assert_eq!(RelocFlags::empty().with_types(RelocTypes::BASE), RelocFlags::empty());
    }

    #[test]
    fn each_type_has_its_own_bit() {
        let sets = HOWTOS.iter().map(|row| row.set);
        let without_got = RelocTypes::all().difference(RelocTypes::GOT);
        assert_eq!(sets.clone().fold(RelocTypes::empty(), |all, set| all | set), without_got);
        assert!(sets.eq(HOWTOS.iter().map(|row| row.set).filter(|set| set.bits().count_ones() == 1)));
        assert_eq!(HOWTOS.len(), without_got.bits().count_ones() as usize);
    }

    #[test]
    fn every_type_that_is_applied_has_a_name() {
        assert!(HOWTOS.iter().all(|row| type_name(row.r_type).is_some()));
    }
}
