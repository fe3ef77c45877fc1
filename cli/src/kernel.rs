//! `--kernel`: from a version to a profile.

use crate::{Failure, output};
use relakit::Profile;

/// The profile for "6.12", "6.12.111-amd64" or "elf"; a version without a row of its own takes the nearest older one,
/// and that is said.
pub(crate) fn profile(version: &str) -> Result<Profile, Failure> {
    if version == Profile::ELF.name {
        return Ok(Profile::ELF);
    }
    let rows = || Profile::LINUX.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let (major, minor) = parse(version).ok_or_else(|| {
        Failure::Usage(format!("--kernel {version}: not a Linux version; known are {} and elf", rows()))
    })?;
    let profile = Profile::for_linux(major, minor).ok_or_else(|| {
        Failure::Usage(format!(
            "--kernel {version}: livepatch before Linux 5.8 had another design; known are {}",
            rows()
        ))
    })?;
    if profile.since != (major, minor) {
        output::note(&format!(
            "Linux {major}.{minor} has no rules of its own here: those of {} apply",
            profile.name
        ))?;
    }
    Ok(*profile)
}

/// Major and minor of a version as `uname -r` prints it.
pub(crate) fn parse(version: &str) -> Option<(u16, u16)> {
    let (major, rest) = version.split_once('.')?;
    let end = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_uname_prints_them() {
        assert_eq!(parse("6.12"), Some((6, 12)));
        assert_eq!(parse("6.12.111+deb12-amd64"), Some((6, 12)));
        assert_eq!(parse("7.3-rc1"), Some((7, 3)));
        for bad in ["", "6", "6.", "x.1", "6.x", "-6.1", "99999.1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
