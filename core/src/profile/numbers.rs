//! Numbers from the rows of Linux for callers that need no row. They are computed from the rows at
//! compile time and contain no pointers, so that a program that only relocates tables has none.

use super::Profile;
use crate::error::ErrorKind;
use crate::reloc::RelocFlags;

/// The first version of each row, and the flags of its passes.
static FLAGS: [((u16, u16), RelocFlags); Profile::LINUX.len()] = {
    let mut flags = [((0, 0), RelocFlags::empty()); Profile::LINUX.len()];
    let (mut slots, mut rows): (&mut [_], _) = (&mut flags, Profile::LINUX);
    while let ([slot, other_slots @ ..], [row, other_rows @ ..]) = (slots, rows) {
        *slot = (row.since, row.reloc_flags());
        (slots, rows) = (other_slots, other_rows);
    }
    flags
};

/// The `errno` of [`Profile::LINUX_DEFAULT`] for each kind of error.
static ERRNOS: [u8; ErrorKind::ALL.len()] = {
    let mut errnos = [0; ErrorKind::ALL.len()];
    let (mut slots, mut kinds): (&mut [_], _) = (&mut errnos, ErrorKind::ALL);
    while let ([slot, other_slots @ ..], [kind, other_kinds @ ..]) = (slots, kinds) {
        let [errno, rest @ ..] = Profile::LINUX_DEFAULT.errno(*kind).to_le_bytes();
        assert!(matches!(rest, [0, 0, 0]), "an errno has 8 bits here");
        *slot = errno;
        (slots, kinds) = (other_slots, other_kinds);
    }
    errnos
};

impl Profile {
    /// Returns [`reloc_flags`](Self::reloc_flags) of [`for_linux`](Self::for_linux), without the
    /// row.
    pub fn linux_reloc_flags(major: u16, minor: u16) -> Option<RelocFlags> {
        let row = FLAGS.iter().rev().find(|(since, _)| *since <= (major, minor));
        row.map(|(_, flags)| *flags)
    }

    /// Returns [`errno`](Self::errno) of [`LINUX_DEFAULT`](Self::LINUX_DEFAULT), without the row.
    pub fn linux_errno(kind: ErrorKind) -> i32 {
        ERRNOS.get(kind.row()).map_or(0, |errno| i32::from(*errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_that_of_its_row() {
        for major in [0, 4, 5, 6, 7, 8, u16::MAX] {
            for minor in (0..30).chain([u16::MAX]) {
                let of_row = Profile::for_linux(major, minor).map(Profile::reloc_flags);
                assert_eq!(Profile::linux_reloc_flags(major, minor), of_row, "{major}.{minor}");
            }
        }
        for kind in ErrorKind::ALL {
            let of_row = Profile::LINUX_DEFAULT.errnos.iter().find(|(_, kinds)| kinds.contains(kind));
            assert_eq!(Profile::linux_errno(*kind), of_row.map_or(0, |(errno, _)| *errno), "{kind:?}");
        }
    }
}
