//! The errnos that a load of a module can return.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Errno {
    pub(super) name: &'static str,
    pub(super) number: i32,
    /// What insmod and modprobe print for it.
    pub(super) programs: &'static str,
}

/// Names and numbers of x86-64, and the texts of kmod and glibc.
const ALL: [(i32, &str, &str); 23] = [
    (1, "EPERM", "Operation not permitted"),
    (2, "ENOENT", "Unknown symbol in module, or unknown parameter (see dmesg)"),
    (4, "EINTR", "Interrupted system call"),
    (8, "ENOEXEC", "Exec format error, or: Invalid module format"),
    (11, "EAGAIN", "Resource temporarily unavailable"),
    (12, "ENOMEM", "Cannot allocate memory"),
    (13, "EACCES", "Permission denied"),
    (14, "EFAULT", "Bad address"),
    (16, "EBUSY", "Device or resource busy"),
    (17, "EEXIST", "File exists"),
    (19, "ENODEV", "No such device"),
    (22, "EINVAL", "Invalid argument, or: Invalid parameters"),
    (26, "ETXTBSY", "Text file busy"),
    (27, "EFBIG", "File too large"),
    (28, "ENOSPC", "No space left on device"),
    (34, "ERANGE", "Numerical result out of range"),
    (61, "ENODATA", "No data available"),
    (65, "ENOPKG", "Package not installed"),
    (74, "EBADMSG", "Bad message"),
    (95, "EOPNOTSUPP", "Operation not supported"),
    (110, "ETIMEDOUT", "Connection timed out"),
    (126, "ENOKEY", "Required key not available"),
    (129, "EKEYREJECTED", "Key was rejected by service"),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().map(|(_, name, _)| name)
}

/// The errno of a name.
pub(super) fn named(name: &str) -> Option<Errno> {
    let name = if name.eq_ignore_ascii_case("EWOULDBLOCK") { "EAGAIN" } else { name };
    find(|_, known| known.eq_ignore_ascii_case(name))
}

/// The errno of a word: its name or its number, with or without a minus.
pub(super) fn parse(word: &str) -> Option<Errno> {
    let word = word.strip_prefix('-').unwrap_or(word);
    match word.parse::<i32>() {
        Ok(number) => find(|known, _| known == number),
        Err(_) => named(word),
    }
}

fn find(is: impl Fn(i32, &str) -> bool) -> Option<Errno> {
    let found = ALL.into_iter().find(|(number, name, _)| is(*number, name));
    found.map(|(number, name, programs)| Errno { name, number, programs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_errnos_with_or_without_a_minus() {
        for word in ["EINVAL", "-EINVAL", "einval", "22", "-22"] {
            assert_eq!(parse(word).map(|errno| errno.name), Some("EINVAL"), "{word}");
        }
        assert_eq!(parse("EWOULDBLOCK"), parse("EAGAIN"));
        for word in ["", "-", "0", "--22", "EINVALID", "99999999999", "22x"] {
            assert_eq!(parse(word), None, "{word}");
        }
    }

    #[test]
    fn every_errno_of_the_checks_is_known() {
        for check in super::super::checks::all() {
            assert!(named(check.errno).is_some(), "{}", check.kind);
        }
    }
}
