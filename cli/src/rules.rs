//! The rules of `relakit check`, and their pages.

use crate::diagnostics::KernelRule;
use relakit_linux::findings::{Lint, Severity};

/// Includes the pages of rules. `findings` is a link to docs/findings, so that the files are in the
/// packaged crate, too.
macro_rules! pages {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../findings/", $name, ".md")))),*]
    };
}

/// The page of each rule, in the order of [`rules`].
const PAGES: &[(&str, &str)] = pages! {
    "object-name-cut"
    "object-name-hyphen"
    "object-name-case"
    "object-name-dot"
    "sympos-trailing-text"
    "sympos-too-large"
    "klp-name-without-flag"
    "klp-flag-without-name"
    "klp-names-other-target"
    "klp-symbol-name-width"
    "object-not-patched"
    "third-module-symbol"
    "module-symbol-in-vmlinux-section"
    "klp-symbol-shared"
    "ordinary-uses-klp-symbol"
    "late-not-allocated"
    "late-into-init"
    "late-target-not-allocated"
    "klp-relocations-skipped"
    "relocations-skipped"
    "target-out-of-range"
    "partial-entry"
    "pc32-truncated"
    "repeated-field"
    "overlapping-fields"
    "late-field-not-zero"
    "late-into-special-section"
    "late-into-rewritten-code"
    "klp-arch-leftover"
    "sympos-not-needed"
    "sympos-missing"
    "half-applied"
    "not-cleared"
    "never-cleared"
    "klp-symbol-not-marked"
    "special-section-size"
    "special-section-layout"
    "special-entry-not-relocated"
    "special-entry-target"
    "trace-site-not-fentry"
    "thunk-not-listed"
    "beyond-section"
    "other-kernel"
    "object-unknown"
    "init-symbol"
    "init-calls-late"
    "this-module-layout"
    "patches-nothing"
    "new-func-not-code"
    "not-converted"
    "kernel-rejects"
    "kernel-unsafe"
    "not-judged"
};

/// A rule of `relakit check`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: &'static str,
}

/// All rules: those for findings, then those for results of the kernel.
pub(crate) fn rules() -> impl Iterator<Item = Rule> {
    let lints = Lint::ALL.iter().map(|lint| Rule {
        name: lint.name(),
        severity: lint.severity(),
        message: lint.message().to_str().unwrap_or_default(),
    });
    lints.chain(KernelRule::ALL.into_iter().map(|rule| Rule {
        name: rule.name(),
        severity: rule.severity(),
        message: rule.message(),
    }))
}

/// The page of a rule, in Markdown.
pub(crate) fn page(name: &str) -> Option<&'static str> {
    PAGES.iter().find(|(rule, _)| *rule == name).map(|(_, text)| *text)
}
