//! What several commands take.

use clap::ValueEnum;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// A value of `apply --place`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlaceArg {
    /// The addresses that check uses.
    Auto,
    File(PathBuf),
}

/// A file called "auto" is "./auto".
#[expect(clippy::unnecessary_wraps, reason = "clap needs a Result")]
pub(super) fn place(text: &str) -> Result<PlaceArg, String> {
    Ok(if text == "auto" { PlaceArg::Auto } else { PlaceArg::File(text.into()) })
}

/// A value of --target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetArg {
    pub(crate) name: Option<String>,
    pub(crate) file: PathBuf,
}

/// A text before "=" is a name if it has no slash, so a path with "=" can begin with "./".
pub(super) fn target(text: &str) -> Result<TargetArg, String> {
    let (name, file) = match text.split_once('=').filter(|(name, _)| !name.contains('/')) {
        Some((name, file)) => (Some(name.to_owned()), file),
        None => (None, text),
    };
    match file.is_empty() || name.as_ref().is_some_and(String::is_empty) {
        true => Err("expected FILE.ko or NAME=FILE.ko".to_owned()),
        false => Ok(TargetArg { name, file: file.into() }),
    }
}

/// Checks the name of a module. It becomes a part of the name of a directory.
pub(super) fn object(name: &str) -> Result<String, String> {
    match name {
        "" => Err("the name of the module is missing".to_owned()),
        "vmlinux" => {
            Err("vmlinux cannot be loaded or unloaded; its relocations are applied early".to_owned())
        }
        _ if name.contains(['/', '\0']) => Err(format!("\"{name}\" is not the name of a module")),
        _ => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_name_if_no_slash_is_before_the_equals_sign() {
        let of = |text| target(text).map(|target| (target.name, target.file.display().to_string()));
        let named = |name: &str, file: &str| Ok((Some(name.to_owned()), file.to_owned()));
        let unnamed = |file: &str| Ok((None, file.to_owned()));
        assert_eq!(of("nfs=nfs.ko"), named("nfs", "nfs.ko"));
        assert_eq!(of("nfs=/a=b/nfs.ko"), named("nfs", "/a=b/nfs.ko"));
        assert_eq!(of("nfs.ko"), unnamed("nfs.ko"));
        assert_eq!(of("./a=b.ko"), unnamed("./a=b.ko"));
        assert_eq!(of("/x/a=b/nfs.ko"), unnamed("/x/a=b/nfs.ko"));
        for bad in ["", "nfs=", "=nfs.ko", "="] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
