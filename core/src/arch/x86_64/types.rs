//! Numbers and names of the x86-64 psABI: the machine, relocation types, section types.

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
    matches!(r_type, 3 | 9 | 25..=29 | 41 | 42)
}

/// Returns the psABI name of a type, including types that relakit does not apply.
pub fn type_name(r_type: u32) -> Option<&'static str> {
    type_c_name(r_type)?.to_str().ok()
}

/// Returns the name of [`type_name`] without `R_X86_64_`.
pub fn short_type_name(r_type: u32) -> Option<&'static str> {
    type_name(r_type)?.strip_prefix("R_X86_64_")
}

/// Returns the name of [`type_name`] as a C string.
pub const fn type_c_name(r_type: u32) -> Option<&'static CStr> {
    Some(match r_type {
        R_X86_64_NONE => c"R_X86_64_NONE",
        R_X86_64_64 => c"R_X86_64_64",
        R_X86_64_PC32 => c"R_X86_64_PC32",
        3 => c"R_X86_64_GOT32",
        R_X86_64_PLT32 => c"R_X86_64_PLT32",
        5 => c"R_X86_64_COPY",
        6 => c"R_X86_64_GLOB_DAT",
        7 => c"R_X86_64_JUMP_SLOT",
        8 => c"R_X86_64_RELATIVE",
        9 => c"R_X86_64_GOTPCREL",
        R_X86_64_32 => c"R_X86_64_32",
        R_X86_64_32S => c"R_X86_64_32S",
        R_X86_64_16 => c"R_X86_64_16",
        R_X86_64_PC16 => c"R_X86_64_PC16",
        R_X86_64_8 => c"R_X86_64_8",
        R_X86_64_PC8 => c"R_X86_64_PC8",
        16 => c"R_X86_64_DTPMOD64",
        17 => c"R_X86_64_DTPOFF64",
        18 => c"R_X86_64_TPOFF64",
        19 => c"R_X86_64_TLSGD",
        20 => c"R_X86_64_TLSLD",
        21 => c"R_X86_64_DTPOFF32",
        22 => c"R_X86_64_GOTTPOFF",
        23 => c"R_X86_64_TPOFF32",
        R_X86_64_PC64 => c"R_X86_64_PC64",
        25 => c"R_X86_64_GOTOFF64",
        26 => c"R_X86_64_GOTPC32",
        27 => c"R_X86_64_GOT64",
        28 => c"R_X86_64_GOTPCREL64",
        29 => c"R_X86_64_GOTPC64",
        31 => c"R_X86_64_PLTOFF64",
        32 => c"R_X86_64_SIZE32",
        33 => c"R_X86_64_SIZE64",
        34 => c"R_X86_64_GOTPC32_TLSDESC",
        35 => c"R_X86_64_TLSDESC_CALL",
        36 => c"R_X86_64_TLSDESC",
        37 => c"R_X86_64_IRELATIVE",
        38 => c"R_X86_64_RELATIVE64",
        41 => c"R_X86_64_GOTPCRELX",
        42 => c"R_X86_64_REX_GOTPCRELX",
        _ => return None,
    })
}

/// Returns the psABI name of a section type that only this machine has, without `SHT_` (psABI 4.2).
pub const fn section_type_name(sh_type: u32) -> Option<&'static str> {
    match sh_type {
        0x7000_0001 => Some("X86_64_UNWIND"),
        _ => None,
    }
}
