//! What the kernel does not show, so that a load or an unload is not judged.

use super::file::PatchFile;
use super::predict::{New, Question};
use super::report::Answer;
use crate::simulate::report::{Prediction, Report, Verdict};
use relakit::{Class, Module};

impl Question<'_> {
    /// The usable files of loaded livepatches.
    pub(super) fn usable(&self) -> impl Iterator<Item = &PatchFile> {
        self.loaded.iter().filter(|file| file.differs.is_none())
    }

    /// The loaded livepatches without a usable file.
    pub(super) fn without_file(&self) -> impl Iterator<Item = &str> {
        let names = self.system.livepatches.iter().map(|patch| patch.name.as_str());
        names.filter(|name| !self.usable().any(|file| file.name == *name))
    }

    /// The reason not to answer for a module that loaded livepatches patch.
    pub(super) fn needs_files(&self, name: &str) -> Option<Prediction> {
        let patches = || self.system.patches_of(name).map(|patch| patch.name.as_str());
        if let Some(patch) = self.without_file().find(|patch| patches().any(|other| other == *patch)) {
            let why = format!(
                "{patch} patches {name}, and its relocations are not known: give --loaded {patch}.ko"
            );
            return Some(Prediction::not_judged(why));
        }
        let patch = self.system.transition().filter(|_| patches().next().is_some())?;
        let why = format!("the transition of {} is not finished; ask again when it is", patch.name);
        Some(Prediction::not_judged(why))
    }

    /// The reason not to accept a module for another release: if it has CRCs, they decide.
    pub(super) fn unknown_build(&self, new: &New<'_>) -> Option<Prediction> {
        let release = self.other_release(new).filter(|_| new.has_crcs(self.kernel.profile))?;
        Some(Prediction::not_judged(format!(
            "{} is built for {release}, and its CRCs are not compared: build it for this kernel",
            new.name
        )))
    }

    /// The reason not to accept a load on a kernel that does not clear relocations, because the module
    /// may have been loaded before.
    pub(super) fn unknown_past(&self, name: &str, goes: bool) -> Option<Prediction> {
        if self.kernel.profile.clears_on_going || goes {
            return None;
        }
        let has_late = |file: &&PatchFile| {
            let module = Module::parse(&file.file, self.kernel.profile);
            module.is_ok_and(|module| {
                module.classes().any(|(_, class)| {
                    matches!(class.class, Class::KlpLate { object, .. } if object == name.as_bytes())
                })
            })
        };
        let patch = self.usable().find(has_late)?;
        Some(Prediction::not_judged(format!(
            "this kernel does not clear the relocations of {} when {name} is unloaded. If {name} was loaded before, the \
             load fails with ENOEXEC; the kernel does not show whether it was",
            patch.name
        )))
    }

    /// A module whose dependencies are not loaded: insmod fails, and modprobe loads them first.
    pub(super) fn with_dependencies(&self, new: &New<'_>, answer: Answer) -> Answer {
        let comes = |name: &String| {
            self.load.iter().take_while(|other| other.path != new.path).any(|other| other.name == *name)
        };
        let is_there = |name: &String| self.system.module(name).is_some() || comes(name);
        match new.depends(self.kernel.profile).iter().find(|name| !is_there(name)) {
            Some(missing) if matches!(answer.verdict, Verdict::Accepted | Verdict::NotJudged) => {
                let why = format!(
                    "{} needs {missing}, which is not loaded: load it first, or give --load {missing}.ko",
                    new.name
                );
                Answer::new(answer.action, &answer.module, &Prediction::not_judged(why))
            }
            _ => answer,
        }
    }
}

/// If the simulation refuses a livepatch that is loaded, it does not know this kernel.
pub(super) fn contradiction(loaded: &[Report]) -> Option<Prediction> {
    let refused =
        loaded.iter().find(|report| matches!(report.load.verdict, Verdict::Rejected | Verdict::Unsafe))?;
    let message = refused.load.message.clone().unwrap_or_default();
    let why = format!("{} is loaded, but relakit would refuse its file: {message}", refused.name);
    Some(Prediction::not_judged(why))
}
