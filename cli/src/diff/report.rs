//! The result of `relakit diff`, as JSON has it.

use super::{Side, functions, lists};
use crate::view::SectionClass;
use crate::view::names::Name;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Report<'f> {
    /// The paths, as given.
    pub(super) a: String,
    pub(super) b: String,
    /// What A patches and B does not.
    pub(super) no_longer_patched: Vec<FuncRow<'f>>,
    pub(super) not_judged: Vec<NotJudged>,
    pub(super) added: Vec<FuncRow<'f>>,
    /// Functions whose new code differs.
    pub(super) changed: Vec<FuncRow<'f>>,
    /// Number of functions with the same new code.
    pub(super) same: u64,
    pub(super) objects: Names<'f>,
    /// Functions in the code of the livepatches that replace nothing themselves.
    pub(super) other_code: Changes<'f>,
    pub(super) callbacks: Vec<CallbackRow<'f>>,
    /// Whether each replaces all other livepatches. Null if the init function decides.
    pub(super) replace: Replace,
    pub(super) states: Vec<StateRow>,
    pub(super) symbols: Symbols<'f>,
    /// Relocations by class and object, if the numbers differ.
    pub(super) relocations: Vec<PassRow<'f>>,
    /// Relocation sections, if the numbers differ.
    pub(super) sections: Vec<SectionRow<'f>>,
    pub(super) modinfo: Vec<ModinfoRow<'f>>,
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct FuncRow<'f> {
    pub(super) object: Name<'f>,
    pub(super) function: Name<'f>,
    pub(super) sympos: u64,
    pub(super) replacement: Option<Name<'f>>,
    /// What B has instead.
    pub(super) why: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct NotJudged {
    pub(super) what: String,
    pub(super) give: String,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Names<'f> {
    pub(super) removed: Vec<Name<'f>>,
    pub(super) added: Vec<Name<'f>>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Changes<'f> {
    pub(super) removed: Vec<Name<'f>>,
    pub(super) added: Vec<Name<'f>>,
    pub(super) changed: Vec<Name<'f>>,
}

#[derive(Debug, Serialize)]
pub(super) struct CallbackRow<'f> {
    pub(super) object: Name<'f>,
    pub(super) a: Vec<&'static str>,
    pub(super) b: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Replace {
    pub(super) a: Option<bool>,
    pub(super) b: Option<bool>,
}

/// The versions of a state. Null if the livepatch does not have it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct StateRow {
    pub(super) id: u64,
    pub(super) a: Option<u32>,
    pub(super) b: Option<u32>,
    /// Whether Linux accepts B while A is enabled, as far as this state decides.
    pub(super) compatible: bool,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Symbols<'f> {
    pub(super) removed: Vec<SymbolRow<'f>>,
    pub(super) added: Vec<SymbolRow<'f>>,
    pub(super) sympos_changed: Vec<SymposRow<'f>>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct SymbolRow<'f> {
    pub(super) object: Name<'f>,
    pub(super) name: Name<'f>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SymposRow<'f> {
    pub(super) object: Name<'f>,
    pub(super) name: Name<'f>,
    pub(super) a: Vec<u64>,
    pub(super) b: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct PassRow<'f> {
    pub(super) class: SectionClass,
    pub(super) object: Option<Name<'f>>,
    pub(super) a: u64,
    pub(super) b: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct SectionRow<'f> {
    pub(super) class: SectionClass,
    pub(super) section: Name<'f>,
    pub(super) a: u64,
    pub(super) b: u64,
}

/// The values of a key of .modinfo. Null if the key is missing.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ModinfoRow<'f> {
    pub(super) key: &'static str,
    pub(super) a: Option<Name<'f>>,
    pub(super) b: Option<Name<'f>>,
}

impl<'f> Report<'f> {
    pub(super) fn new(old: &Side<'f>, new: &Side<'f>) -> Self {
        let replace = |side: &Side<'f>| side.view.patch.as_ref().and_then(|patch| patch.replace);
        let mut report = Self {
            a: old.view.file.clone(),
            b: new.view.file.clone(),
            no_longer_patched: Vec::new(),
            not_judged: Vec::new(),
            added: Vec::new(),
            changed: Vec::new(),
            same: 0,
            objects: Names::default(),
            other_code: Changes::default(),
            callbacks: Vec::new(),
            replace: Replace { a: replace(old), b: replace(new) },
            states: Vec::new(),
            symbols: Symbols::default(),
            relocations: Vec::new(),
            sections: Vec::new(),
            modinfo: Vec::new(),
            notes: Vec::new(),
        };
        functions::compare(old, new, &mut report);
        lists::compare(old, new, &mut report);
        if report.replace.b == Some(false) {
            let note =
                "B does not replace other livepatches, so the functions of A stay patched while A is enabled";
            report.notes.push(note.to_owned());
        }
        report
    }

    /// Whether the exit code is 0.
    pub(super) fn is_fine(&self) -> bool {
        let is_compatible = self.states.iter().all(|state| state.compatible);
        self.no_longer_patched.is_empty() && self.not_judged.is_empty() && is_compatible
    }
}
