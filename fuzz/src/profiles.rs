//! Profiles as a byte of the input names them.

use relakit::Profile;

/// Every profile: those of Linux, with the psABI's check of PC32 and without, and the ELF one.
pub(crate) fn all() -> impl Iterator<Item = Profile> {
    let checked = Profile::LINUX.iter().map(|row| {
        let mut row = *row;
        row.flags.remove(relakit::reloc::RelocFlags::TRUNCATE_PC32);
        row
    });
    Profile::LINUX.iter().copied().chain(checked).chain([Profile::ELF])
}

/// The profile of a byte; of the last one what a loader gets that does not choose.
pub(crate) fn of(byte: u8) -> Profile {
    if byte == u8::MAX {
        return Profile::default();
    }
    let count = 2 * Profile::LINUX.len() + 1;
    all().nth(usize::from(byte) % count).unwrap_or_default()
}
