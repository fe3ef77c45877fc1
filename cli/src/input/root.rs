//! A root file system, such as `/` or the directory of an unpacked image.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Most links in one path. Linux has the same limit (include/linux/namei.h, `MAXSYMLINKS`).
const LINKS: usize = 40;

#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The path of something in the file system, if it exists. Links lead to places in it, as after
    /// chroot, so nothing outside of it is read.
    pub(crate) fn find(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let mut todo = parts(path.as_ref());
        let mut found = PathBuf::new();
        let mut links = 0usize;
        while let Some(part) = todo.pop() {
            if part == ".." {
                found.pop();
                continue;
            }
            let next = found.join(part);
            let full = self.0.join(&next);
            if !fs::symlink_metadata(&full).ok()?.is_symlink() {
                found = next;
                continue;
            }
            links = links.checked_add(1).filter(|links| *links <= LINKS)?;
            let target = fs::read_link(&full).ok()?;
            if target.is_absolute() {
                found = PathBuf::new();
            }
            todo.extend(parts(&target));
        }
        Some(self.0.join(found))
    }

    /// As [`find`](Self::find), for a file that has the path of this root before its own.
    pub(crate) fn follow(&self, path: &Path) -> Option<PathBuf> {
        self.find(path.strip_prefix(&self.0).ok()?)
    }
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    parts.collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_to_places_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        fs::create_dir_all(folder.path().join("usr/lib")).unwrap();
        fs::write(folder.path().join("usr/lib/file"), "").unwrap();
        for (target, link) in [
            ("usr/lib", "lib"),
            ("/usr/lib", "absolute"),
            ("../../../usr/lib/file", "usr/up"),
            ("/etc/passwd", "outside"),
            ("loop", "loop"),
        ] {
            symlink(target, folder.path().join(link)).unwrap();
        }
        let file = Some(folder.path().join("usr/lib/file"));
        for path in ["usr/lib/file", "/usr/lib/file", "lib/file", "absolute/file", "usr/up", "../lib/./file"]
        {
            assert_eq!(root.find(path), file, "{path}");
        }
        assert_eq!(root.follow(&folder.path().join("usr/up")), file);
        for path in ["none", "outside", "loop", "lib/none"] {
            assert_eq!(root.find(path), None, "{path}");
        }
    }
}
