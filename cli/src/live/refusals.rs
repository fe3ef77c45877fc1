//! What the kernel refuses whatever the livepatches are.

use super::predict::{New, Question};
use super::system::LoadedModule;
use crate::input::kernel::release_of;
use crate::simulate::report::{Phase, Prediction};
use relakit_linux::loader_check::LoaderCheck;

/// `EBUSY` (include/uapi/asm-generic/errno-base.h).
pub(super) const EBUSY: i32 = 16;

impl Question<'_> {
    /// `check_modinfo` and `module_patient_check_exists`. `goes` says whether the module is unloaded
    /// before.
    pub(super) fn cannot_come(&self, new: &New<'_>, goes: bool) -> Option<Prediction> {
        let name = &new.name;
        if let (Some(release), false) = (self.other_release(new), new.has_crcs(self.kernel.profile)) {
            let why = format!("{name}: version magic {release} is not that of Linux {}", self.system.release);
            return Some(refused(LoaderCheck::VersionMagic, Phase::Validity, &why));
        }
        let is_loaded = self.system.module(name).is_some() && !goes;
        is_loaded.then(|| {
            refused(LoaderCheck::LoadedAlready, Phase::Validity, &format!("{name}: is loaded already"))
        })
    }

    /// The release that a module is built for, if it is not that of the running kernel.
    pub(super) fn other_release(&self, new: &New<'_>) -> Option<String> {
        release_of(&new.file).filter(|release| *release != self.system.release)
    }

    /// `delete_module`: the checks in their order.
    pub(super) fn cannot_go(&self, name: &str) -> Option<Prediction> {
        let refused = |check, why: &str| Some(refused(check, Phase::Going, &format!("{name}: {why}")));
        let Some(LoadedModule { references, users, is_permanent, state, .. }) = self.system.module(name)
        else {
            return refused(LoaderCheck::NotLoaded, "is not loaded");
        };
        if let Some(user) = users.iter().find(|user| !self.goes_before(user, name)) {
            return refused(LoaderCheck::InUse, &format!("{user} uses it"));
        }
        if state != "Live" {
            let why = format!("{name}: is being loaded or unloaded");
            return Some(Prediction::refused(Phase::Going, EBUSY, why));
        }
        if *is_permanent {
            return refused(LoaderCheck::NoExit, "it has an init function, but no exit function");
        }
        match references {
            None => Some(Prediction::not_judged(format!("{name}: the kernel does not show who uses it"))),
            // Each user holds a reference.
            Some(count) if *count > users.len() as u64 => {
                match self.system.livepatches.iter().any(|patch| patch.name == *name) {
                    true => refused(
                        LoaderCheck::InUse,
                        "the livepatch is enabled; write 0 to its file `enabled` first",
                    ),
                    false => refused(LoaderCheck::InUse, &format!("it is in use, {count} references")),
                }
            }
            Some(_) => None,
        }
    }

    /// Whether a user of a module is unloaded before it.
    pub(super) fn goes_before(&self, user: &str, name: &str) -> bool {
        let position = |wanted: &str| self.unload.iter().position(|other| other == wanted);
        matches!((position(user), position(name)), (Some(user), Some(name)) if user < name)
            && self.cannot_go(user).is_none()
    }
}

fn refused(check: LoaderCheck, phase: Phase, why: &str) -> Prediction {
    Prediction::refused(phase, check.errno(), why.to_owned())
}
