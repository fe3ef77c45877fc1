//! `--kernel`: the rules of a Linux version.

use crate::console;
use crate::failure::Failure;
use relakit::Profile;
use relakit_linux::special::Version;

/// The kernel that the user asks about.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The version as given, or "elf".
    pub(crate) asked: String,
    /// The rules that apply.
    pub(crate) profile: Profile,
    /// The version whose special sections are shown. For "elf" it is the newest known one.
    pub(crate) version: Version,
}

impl Kernel {
    /// Accepts "6.12", "6.12.111-amd64" or "elf". If the version has no profile of its own, the
    /// nearest older one applies, and a note says so.
    pub(crate) fn new(asked: &str) -> Result<Self, Failure> {
        let profile = profile(asked)?;
        let newest = Profile::LINUX.last().map_or(profile.since, |row| row.since);
        Ok(Self { asked: asked.to_owned(), profile, version: parse(asked).unwrap_or(newest) })
    }

    /// As [`new`](Self::new), but "elf" is refused.
    pub(crate) fn linux(asked: &str) -> Result<Self, Failure> {
        let kernel = Self::new(asked)?;
        match parse(asked) {
            Some(_) => Ok(kernel),
            None => Err(Failure::Usage(format!("--kernel {asked}: check needs a Linux version"))),
        }
    }
}

fn profile(version: &str) -> Result<Profile, Failure> {
    if version == Profile::ELF.name {
        return Ok(Profile::ELF);
    }
    let invalid = |why: &str| {
        let rows: Vec<_> = Profile::LINUX.iter().map(|row| row.name).collect();
        Failure::Usage(format!("--kernel {version}: {why}; known versions: {}, elf", rows.join(", ")))
    };
    let (major, minor) = parse(version).ok_or_else(|| invalid("not a Linux version"))?;
    let profile = Profile::for_linux(major, minor)
        .ok_or_else(|| invalid("older than every version that relakit knows"))?;
    if profile.since != (major, minor) {
        console::note(&format!("Linux {major}.{minor} uses the rules of Linux {}", profile.name))?;
    }
    Ok(*profile)
}

/// Major and minor number of a version as `uname -r` prints it.
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
