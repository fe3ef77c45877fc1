//! `--kernel`: the rules of a Linux version.

use super::near::nearest;
use crate::failure::Failure;
use relakit::{Module, Profile};
use relakit_linux::loader_check;
use relakit_linux::special::Version;

/// The kernel that the user asks about.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The version as given, or "elf". Without `--kernel`, the release that the module is built for.
    pub(crate) asked: String,
    /// The full release as `uname -r` prints it, if it is known.
    pub(crate) release: Option<String>,
    /// The rules that apply.
    pub(crate) profile: Profile,
    /// The version whose special sections are shown. For "elf" it is the newest known one.
    pub(crate) version: Version,
    /// Says which assumption was made, if one was.
    pub(crate) note: Option<String>,
    /// Whether the checked module counts as built for this kernel.
    pub(crate) as_if_built: bool,
}

/// Finds a rule in a profile.
type Rule = fn(&mut Profile) -> &mut bool;

/// The rules that can be switched, because vendors backport them, by name.
const SWITCHES: [(&str, Rule); 8] = [
    ("checks-ident", |rules| &mut rules.checks_ident),
    ("extended-numbering", |rules| &mut rules.extended_numbering),
    ("checks-strings", |rules| &mut rules.checks_strings),
    ("wants-targets", |rules| &mut rules.wants_targets),
    ("writes-file", |rules| &mut rules.writes_file),
    ("livepatch", |rules| &mut rules.livepatch),
    ("sympos-saturates", |rules| &mut rules.sympos_saturates),
    ("clears-on-going", |rules| &mut rules.clears_on_going),
];

impl Kernel {
    /// Accepts "6.12", "6.12.111+deb12-amd64" or "elf", with switches after commas:
    /// "5.14,clears-on-going". If the version has no profile of its own, the nearest older one
    /// applies.
    pub(crate) fn new(asked: &str) -> Result<Self, Failure> {
        let mut words = asked.split(',');
        let version = words.next().unwrap_or_default();
        let mut kernel = Self::of_version(version).map_err(|why| {
            Failure::Usage(format!("--kernel {version}: {why}; known versions: {}", known()))
        })?;
        kernel.asked = asked.to_owned();
        for word in words {
            let (name, on) = match word.strip_prefix("no-") {
                Some(name) => (name, false),
                None => (word, true),
            };
            let (_, field) =
                SWITCHES.iter().find(|(known, _)| *known == name).ok_or_else(|| unknown(name))?;
            *field(&mut kernel.profile) = on;
        }
        Ok(kernel)
    }

    /// The kernel of `--kernel`, or else the one that the module is built for.
    pub(crate) fn of(asked: Option<&str>, file: &[u8]) -> Result<Self, Failure> {
        if let Some(asked) = asked {
            return Self::new(asked);
        }
        let newest = Profile::LINUX.last().map_or(Profile::LINUX_DEFAULT.name, |row| row.name);
        match release_of(file) {
            Some(release) => Self::of_version(&release).map_err(|why| {
                let known = known();
                Failure::Usage(format!(
                    "the module is built for Linux {release}: {why}; give --kernel: {known}"
                ))
            }),
            None => {
                let mut kernel = Self::new(newest)?;
                let note = format!(
                    "the module does not say for which kernel it is built, so the rules of Linux {newest} apply; --kernel selects others"
                );
                kernel.note = Some(note);
                Ok(kernel)
            }
        }
    }

    /// As [`of`](Self::of), but "elf" is refused.
    pub(crate) fn linux(asked: Option<&str>, file: &[u8]) -> Result<Self, Failure> {
        let kernel = Self::of(asked, file)?;
        match kernel.profile.name == Profile::ELF.name {
            true => {
                Err(Failure::Usage(format!("--kernel {}: the command needs a Linux version", kernel.asked)))
            }
            false => Ok(kernel),
        }
    }

    fn of_version(text: &str) -> Result<Self, &'static str> {
        let newest = Profile::LINUX.last().map_or((0, 0), |row| row.since);
        let mut kernel = Self {
            asked: text.to_owned(),
            release: None,
            profile: Profile::ELF,
            version: newest,
            note: None,
            as_if_built: false,
        };
        if text == Profile::ELF.name {
            return Ok(kernel);
        }
        let (major, minor) = parse(text).ok_or("not a Linux version")?;
        kernel.profile =
            *Profile::for_linux(major, minor).ok_or("older than every version that relakit knows")?;
        kernel.version = (major, minor);
        kernel.release = (text != format!("{major}.{minor}")).then(|| text.to_owned());
        let row = kernel.profile;
        kernel.note = (row.since != kernel.version)
            .then(|| format!("Linux {major}.{minor} uses the rules of Linux {}", row.name));
        Ok(kernel)
    }
}

fn known() -> String {
    let rows: Vec<_> = Profile::LINUX.iter().map(|row| row.name).collect();
    format!("{}, elf", rows.join(", "))
}

fn unknown(switch: &str) -> Failure {
    let names = SWITCHES.map(|(name, _)| name);
    let near = nearest(switch, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Failure::Usage(format!(
        "--kernel: \"{switch}\" is not a switch{near}; known switches, also with no- before them: {}",
        names.join(", ")
    ))
}

/// The release that a module is built for: the first word of vermagic. `None` if it does not begin
/// with a version.
pub(crate) fn release_of(file: &[u8]) -> Option<String> {
    // Linux's releases have at most 64 bytes (__NEW_UTS_LEN, include/uapi/linux/utsname.h).
    const LONGEST: usize = 64;
    let module = Module::parse(file, Profile::LINUX_DEFAULT).ok()?;
    let vermagic = loader_check::modinfo(&module, b"vermagic")?;
    let release = vermagic.split(|&byte| byte == b' ').next()?;
    let is_printable = release.len() <= LONGEST && release.iter().all(u8::is_ascii_graphic);
    let release = str::from_utf8(release).ok().filter(|_| is_printable)?;
    parse(release).map(|_| release.to_owned())
}

/// Whether a text is a full release as `uname -r` prints it: a version with a third number.
pub(crate) fn is_release(text: &str) -> bool {
    let third = text.splitn(3, '.').nth(2);
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && third.is_some_and(|third| third.starts_with(|digit: char| digit.is_ascii_digit()))
        && parse(text).is_some()
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

    #[test]
    fn a_release_has_three_numbers() {
        for release in ["6.12.111+deb12-amd64", "6.1.0", "6.1.0-9-amd64", "5.14.0-503.el9.x86_64"] {
            assert!(is_release(release), "{release}");
        }
        for other in ["6.12", "6.12-rc1", "debian-6.1.0", "6.12.", "6.12.x", "6.1.0 b", ""] {
            assert!(!is_release(other), "{other}");
        }
    }

    fn message(asked: &str) -> String {
        let Failure::Usage(message) = Kernel::new(asked).unwrap_err() else { panic!("{asked}") };
        message
    }

    #[test]
    fn a_full_release_is_retained() {
        let release = |asked| Kernel::new(asked).unwrap().release;
        assert_eq!(release("6.12"), None);
        assert_eq!(release("elf"), None);
        assert_eq!(release("6.12.111+deb12-amd64").as_deref(), Some("6.12.111+deb12-amd64"));
        assert_eq!(release("7.3-rc1,livepatch").as_deref(), Some("7.3-rc1"));
    }

    #[test]
    fn switches_change_one_rule_each() {
        let kernel = Kernel::new("5.14,clears-on-going").unwrap();
        let mut expected = Profile::LINUX_5_8;
        expected.clears_on_going = true;
        assert_eq!(kernel.profile, expected);
        assert_eq!((&*kernel.asked, kernel.version), ("5.14,clears-on-going", (5, 14)));
        for (name, field) in SWITCHES {
            for (word, on) in [(name.to_owned(), true), (format!("no-{name}"), false)] {
                let mut expected = Profile::LINUX_6_12;
                *field(&mut expected) = on;
                assert_eq!(Kernel::new(&format!("6.12,{word}")).unwrap().profile, expected, "{word}");
            }
        }
    }

    #[test]
    fn an_unknown_switch_is_refused_with_the_known_ones() {
        let text = message("5.14,clear-on-going");
        assert!(text.contains("did you mean clears-on-going?"), "{text}");
        for (name, _) in SWITCHES {
            assert!(text.contains(name), "{text}");
        }
        assert!(message("6.12,").contains("is not a switch"));
        assert!(message("4.19").contains("older than every version"));
        assert!(message("linux").contains("not a Linux version"));
    }
}
