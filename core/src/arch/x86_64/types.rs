//! Numbers and names of the x86-64 psABI: the machine, relocation types, section types.

use crate::text::{Texts, texts};
use core::ffi::CStr;

/// `e_machine` of an x86-64 file: `EM_X86_64` (psABI 4.1).
pub const MACHINE: u16 = 62;

/// No relocation (psABI table 4.10).
pub const R_X86_64_NONE: u32 = 0;
/// word64, S + A.
pub const R_X86_64_64: u32 = 1;
/// word32, S + A - P.
pub const R_X86_64_PC32: u32 = 2;
/// word32, L + A - P. Without a PLT, L is S.
pub const R_X86_64_PLT32: u32 = 4;
/// word32, S + A, zero-extended.
pub const R_X86_64_32: u32 = 10;
/// word32, S + A, sign-extended.
pub const R_X86_64_32S: u32 = 11;
/// word16, S + A.
pub const R_X86_64_16: u32 = 12;
/// word16, S + A - P.
pub const R_X86_64_PC16: u32 = 13;
/// word8, S + A.
pub const R_X86_64_8: u32 = 14;
/// word8, S + A - P.
pub const R_X86_64_PC8: u32 = 15;
/// word64, S + A - P.
pub const R_X86_64_PC64: u32 = 24;
/// word32, G + GOT + A - P: the slot of the symbol.
pub const R_X86_64_GOTPCREL: u32 = 9;
/// word64, S + A - GOT.
pub const R_X86_64_GOTOFF64: u32 = 25;
/// word32, GOT + A - P.
pub const R_X86_64_GOTPC32: u32 = 26;
/// word64, G + A.
pub const R_X86_64_GOT64: u32 = 27;
/// word64, G + GOT + A - P.
pub const R_X86_64_GOTPCREL64: u32 = 28;
/// word64, GOT + A - P.
pub const R_X86_64_GOTPC64: u32 = 29;
/// word64, L + A - GOT.
pub const R_X86_64_PLTOFF64: u32 = 31;
/// word32, G + GOT + A - P, of an instruction that a linker may replace.
pub const R_X86_64_GOTPCRELX: u32 = 41;
/// The same with a REX prefix.
pub const R_X86_64_REX_GOTPCRELX: u32 = 42;
/// The same where the field is the fifth byte of the instruction (APX).
pub const R_X86_64_CODE_4_GOTPCRELX: u32 = 43;
/// The same where the field is the sixth byte of the instruction.
pub const R_X86_64_CODE_5_GOTPCRELX: u32 = 46;
/// The same where the field is the seventh byte of the instruction.
pub const R_X86_64_CODE_6_GOTPCRELX: u32 = 49;

/// Heading for a list of [`short_type_name`].
pub const TYPES_HEADING: &str = "R_X86_64_...";

/// A 32-bit PC-relative type whose value is truncated with
/// [`TRUNCATE_PC32`](crate::reloc::RelocFlags::TRUNCATE_PC32).
pub const TRUNCATED: u32 = R_X86_64_PC32;

/// Whether the type relocates nothing and uses no symbol.
pub const fn is_none(r_type: u32) -> bool {
    r_type == R_X86_64_NONE
}

/// Whether the type stores the address of its symbol in a field as wide as a pointer.
pub const fn is_pointer(r_type: u32) -> bool {
    r_type == R_X86_64_64
}

/// Whether the type refers to a global offset table, which position-independent code uses (psABI
/// 4.4, "Relocation Types").
pub const fn needs_got(r_type: u32) -> bool {
    matches!(r_type, 3 | 9 | 25..=29 | 31 | 41..=43 | 46 | 49)
}

/// Each row is a type: number, name. The numbers are less than 64 and ascend.
macro_rules! types {
    ($($number:tt $name:literal)*) => {
        /// The numbers in the table, one bit each.
        const NAMED: u64 = {
            let named = 0;
            $(let named = next(named, $number);)*
            named
        };

        const fn names() -> Texts {
            texts!($($name),*)
        }
    };
}

/// Adds a number to [`NAMED`]. It does not compile if the numbers do not ascend.
const fn next(named: u64, number: u32) -> u64 {
    assert!(named >> number == 0, "the row of a type is its rank among the numbers");
    named | 1 << number
}

/// Returns the row of a type in the table.
fn row(r_type: u32) -> Option<usize> {
    let bit = 1u64.checked_shl(r_type).filter(|bit| NAMED & bit != 0)?;
    usize::try_from((NAMED & bit.wrapping_sub(1)).count_ones()).ok()
}

/// Returns the psABI name of a type, including types that relakit does not apply. It is empty in a
/// build without texts.
pub fn type_name(r_type: u32) -> Option<&'static str> {
    Some(names().get(row(r_type)?))
}

/// Returns the name of [`type_name`] without `R_X86_64_`.
pub fn short_type_name(r_type: u32) -> Option<&'static str> {
    type_name(r_type)?.strip_prefix("R_X86_64_")
}

/// Returns the name of [`type_name`] as a C string.
pub fn type_c_name(r_type: u32) -> Option<&'static CStr> {
    Some(names().c_str(row(r_type)?))
}

types! {
    0 "R_X86_64_NONE"
    1 "R_X86_64_64"
    2 "R_X86_64_PC32"
    3 "R_X86_64_GOT32"
    4 "R_X86_64_PLT32"
    5 "R_X86_64_COPY"
    6 "R_X86_64_GLOB_DAT"
    7 "R_X86_64_JUMP_SLOT"
    8 "R_X86_64_RELATIVE"
    9 "R_X86_64_GOTPCREL"
    10 "R_X86_64_32"
    11 "R_X86_64_32S"
    12 "R_X86_64_16"
    13 "R_X86_64_PC16"
    14 "R_X86_64_8"
    15 "R_X86_64_PC8"
    16 "R_X86_64_DTPMOD64"
    17 "R_X86_64_DTPOFF64"
    18 "R_X86_64_TPOFF64"
    19 "R_X86_64_TLSGD"
    20 "R_X86_64_TLSLD"
    21 "R_X86_64_DTPOFF32"
    22 "R_X86_64_GOTTPOFF"
    23 "R_X86_64_TPOFF32"
    24 "R_X86_64_PC64"
    25 "R_X86_64_GOTOFF64"
    26 "R_X86_64_GOTPC32"
    27 "R_X86_64_GOT64"
    28 "R_X86_64_GOTPCREL64"
    29 "R_X86_64_GOTPC64"
    31 "R_X86_64_PLTOFF64"
    32 "R_X86_64_SIZE32"
    33 "R_X86_64_SIZE64"
    34 "R_X86_64_GOTPC32_TLSDESC"
    35 "R_X86_64_TLSDESC_CALL"
    36 "R_X86_64_TLSDESC"
    37 "R_X86_64_IRELATIVE"
    38 "R_X86_64_RELATIVE64"
    41 "R_X86_64_GOTPCRELX"
    42 "R_X86_64_REX_GOTPCRELX"
    43 "R_X86_64_CODE_4_GOTPCRELX"
    44 "R_X86_64_CODE_4_GOTTPOFF"
    45 "R_X86_64_CODE_4_GOTPC32_TLSDESC"
    46 "R_X86_64_CODE_5_GOTPCRELX"
    47 "R_X86_64_CODE_5_GOTTPOFF"
    48 "R_X86_64_CODE_5_GOTPC32_TLSDESC"
    49 "R_X86_64_CODE_6_GOTPCRELX"
    50 "R_X86_64_CODE_6_GOTTPOFF"
    51 "R_X86_64_CODE_6_GOTPC32_TLSDESC"
}

/// Returns the psABI name of a section type that only this machine has, without `SHT_` (psABI 4.2).
pub const fn section_type_name(sh_type: u32) -> Option<&'static str> {
    match sh_type {
        0x7000_0001 => Some("X86_64_UNWIND"),
        _ => None,
    }
}
