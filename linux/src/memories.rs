//! Which memories Linux allocates for a module.

use crate::special::Version;
use relakit::Memories;

/// Returns which memories kernels of this version allocate for a module, for
/// [`Module::offsets`](relakit::Module::offsets). `struct module` has the array `mem` from Linux 6.4
/// on (ac3b43283923), and before that `core_layout` and `init_layout`.
#[must_use]
pub const fn memories(version: Version) -> Memories {
    match version {
        (0..6, _) | (6, 0..4) => Memories::CoreAndInit,
        _ => Memories::ByGroup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_a_memory_from_6_4_on() {
        for version in [(5, 8), (5, 19), (6, 0), (6, 3)] {
            assert_eq!(memories(version), Memories::CoreAndInit, "{version:?}");
        }
        for version in [(6, 4), (6, 12), (7, 0), (7, 3)] {
            assert_eq!(memories(version), Memories::ByGroup, "{version:?}");
        }
    }
}
