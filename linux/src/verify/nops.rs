//! The NOPs that Linux writes.

use super::insn::decode;
use crate::bytes::copy;
use crate::special::{Version, before};

/// The NOP of each length (`asm/nops.h`, 6.12.117). 6.1.192 has those of up to 8 bytes.
const NOPS: [&[u8]; 12] = [
    &[],
    &[0x90],
    &[0x66, 0x90],
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/// Length of the longest NOP before it became 11.
const SHORT_MAX: usize = 8;

/// The version in which NOPs of more than 8 bytes came, and alternatives with several relative
/// fields: x86_alternatives_for_v6.5.
pub(super) const LONG_NOPS: Version = (6, 5);

/// The first version that surely does not join a jump with the NOPs that it skips. f9265b756481 of
/// February 2024 removed it; the release is not known.
const WITHOUT_JUMPS: Version = (6, 10);

/// NOPs of 5 bytes that kernels before 5.13 also write: those of K8, and the one in files
/// (`ideal_nops`, `asm/nops.h` of 5.10).
const OLD_NOPS_5: [&[u8]; 2] = [&[0x66, 0x66, 0x66, 0x66, 0x90], &[0x3e, 0x8d, 0x74, 0x26, 0x00]];

/// Returns whether `code` is a single NOP as this kernel writes it.
pub(super) fn is_nop(version: Version, code: &[u8]) -> bool {
    let is_old = before(version, (5, 13)) && OLD_NOPS_5.contains(&code);
    is_old || (!code.is_empty() && NOPS.get(code.len()).is_some_and(|nop| *nop == code))
}

/// Fills `code` with NOPs of at most 8 bytes (`add_nops`).
pub(super) fn fill(code: &mut [u8]) {
    for part in code.chunks_mut(SHORT_MAX) {
        single(part);
    }
}

/// Joins the single NOPs of a site (`optimize_nops`). A kernel does so after it has chosen an
/// alternative.
pub(super) fn join(version: Version, code: &mut [u8]) {
    if before(version, LONG_NOPS) { join_short(code) } else { join_long(code) }
}

/// Whether a kernel of this version may also join a jump with the NOPs that it skips. Stable kernels
/// differ in when they stopped.
pub(super) fn may_join_jumps(version: Version) -> bool {
    !before(version, LONG_NOPS) && before(version, WITHOUT_JUMPS)
}

/// 6.1.192: runs of NOPs of one byte.
fn join_short(code: &mut [u8]) {
    let mut rest = code;
    while let Some(insn) = decode(rest) {
        let mut len = insn.len;
        if let (1, [0x90, _]) = (len, insn.opcode) {
            // Not `count`, which can panic in a build with overflow checks.
            len =
                rest.iter().take_while(|byte| **byte == 0x90).fold(0, |len: usize, _| len.saturating_add(1));
            if len > 1 {
                fill(rest.get_mut(..len).unwrap_or_default());
            }
        }
        rest = rest.get_mut(len..).unwrap_or_default();
    }
}

/// 6.12.117: runs of any NOPs become one instruction.
fn join_long(code: &mut [u8]) {
    let mut rest = code;
    while let Some(insn) = decode(rest) {
        let mut len = insn.len;
        if insn.is_nop() {
            if len == rest.len() {
                return;
            }
            while let Some(next) = rest.get(len..).and_then(decode).filter(|next| next.is_nop()) {
                len = len.saturating_add(next.len);
            }
            one(rest.get_mut(..len).unwrap_or_default());
        }
        rest = rest.get_mut(len..).unwrap_or_default();
    }
}

/// 6.5 to 6.8: runs of any NOPs become one instruction, together with a jump before them that leads
/// to their end (`__optimize_nops`).
pub(super) fn join_jumps(code: &mut [u8]) {
    let (mut at, mut jump) = (0usize, None);
    while let Some((rest, insn)) = code.get(at..).and_then(|rest| Some((rest, decode(rest)?))) {
        let mut next = at.saturating_add(insn.len);
        if insn.is_nop() {
            while let Some(other) = code.get(next..).and_then(decode).filter(|other| other.is_nop()) {
                next = next.saturating_add(other.len);
            }
            let start = jump.filter(|(_, to)| *to == next).map_or(at, |(start, _)| start);
            one(code.get_mut(start..next).unwrap_or_default());
        } else {
            let offset = insn.immediate.read(rest).filter(|_| matches!(insn.opcode, [0xeb | 0xe9, _]));
            let to = offset.and_then(|offset| next.checked_add_signed(isize::try_from(offset).ok()?));
            jump = to.map(|to| (at, to));
        }
        at = next;
    }
}

/// Fills `code` with one NOP, or with a jump over INT3 if it is too long for one (`add_nop`).
fn one(code: &mut [u8]) {
    if code.len() < NOPS.len() {
        return single(code);
    }
    let after = |jump: usize| code.len().saturating_sub(jump);
    let short = i8::try_from(after(2)).ok().filter(|_| code.len() < 128);
    let near = i32::try_from(after(5)).unwrap_or(0).to_le_bytes();
    code.fill(0xcc);
    match (short, code) {
        (Some(to), [op, place, ..]) => (*op, *place) = (0xeb, to.cast_unsigned()),
        (None, [op, place @ ..]) => {
            *op = 0xe9;
            for (place, byte) in place.iter_mut().zip(near) {
                *place = byte;
            }
        }
        _ => {}
    }
}

/// Copies the NOP that has the length of `code`.
fn single(code: &mut [u8]) {
    if let Some(nop) = NOPS.get(code.len()) {
        copy(code, nop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Version = (6, 12);

    fn joined(version: Version, mut code: Vec<u8>) -> Vec<u8> {
        join(version, &mut code);
        code
    }

    #[test]
    fn a_nop_that_ends_the_site_stays_and_another_becomes_that_of_linux() {
        let other = [0x66, 0x66, 0x90];
        assert_eq!(joined(NEW, other.to_vec()), other);
        assert_eq!(joined(NEW, [&[0x50][..], &other].concat()), [0x50, 0x66, 0x66, 0x90]);
        assert_eq!(joined(NEW, [&other[..], &[0x50]].concat()), [0x0f, 0x1f, 0x00, 0x50]);
        assert_eq!(joined(NEW, [other, other].concat()), [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00]);
    }

    #[test]
    fn nops_of_up_to_11_bytes_are_one_and_longer_ones_are_skipped() {
        for (len, begin) in [(11, &[0x66, 0x66, 0x2e][..]), (12, &[0xeb, 10]), (127, &[0xeb, 125])] {
            assert!(joined(NEW, vec![0x90; len]).starts_with(begin), "{len}");
        }
        let long = joined(NEW, vec![0x90; 128]);
        assert_eq!(long[..6], [0xe9, 123, 0, 0, 0, 0xcc]);
        assert!(long[5..].iter().all(|byte| *byte == 0xcc));
    }

    #[test]
    fn a_jump_over_nops_is_joined_with_them_in_6_5_to_6_8() {
        let with_jumps = |mut code: Vec<u8>| {
            join_jumps(&mut code);
            code
        };
        let jump = |to: u8, rest: &[u8]| [&[0xeb, to], rest].concat();
        assert_eq!(with_jumps(jump(3, &[0x90; 3])), [0x0f, 0x1f, 0x44, 0x00, 0x00]);
        assert_eq!(with_jumps(jump(14, &[0x90; 14])), jump(14, &[0xcc; 14]));
        assert_eq!(
            with_jumps([&[0x50][..], &jump(1, &[0x90, 0x50])].concat()),
            [0x50, 0x0f, 0x1f, 0x00, 0x50]
        );
        // The jump leads elsewhere, or an instruction follows it.
        assert_eq!(with_jumps(jump(2, &[0x90; 3])), jump(2, &[0x0f, 0x1f, 0x00]));
        assert_eq!(with_jumps(jump(4, &[0x50, 0x90, 0x90, 0x90])), jump(4, &[0x50, 0x0f, 0x1f, 0x00]));
        for (version, may) in [((6, 4), false), ((6, 5), true), ((6, 9), true), ((6, 10), false)] {
            assert_eq!(may_join_jumps(version), may, "{version:?}");
        }
    }

    #[test]
    fn before_6_5_only_nops_of_one_byte_are_joined_to_up_to_8() {
        let old = (6, 4);
        let nine = [&[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0][..], &[0x90]].concat();
        assert_eq!(joined(old, vec![0x90; 9]), nine);
        assert_eq!(joined(old, vec![0x66, 0x90, 0x66, 0x90]), [0x66, 0x90, 0x66, 0x90]);
        assert_eq!(joined(NEW, vec![0x66, 0x90, 0x66, 0x90]), [0x0f, 0x1f, 0x40, 0x00]);
    }
}
