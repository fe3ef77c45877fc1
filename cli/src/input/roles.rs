//! `--policy ROLE=POLICY`.

use relakit_linux::special::Role;
use relakit_linux::verify::Policy;

/// The names of the roles of patch sites, in the order of `Role`.
const ROLES: &[(Role, &str, &str)] = &[
    (Role::Alternative, "alternative", "alternative"),
    (Role::Replacement, "replacement", "replacement of an alternative"),
    (Role::Retpoline, "retpoline", "retpoline"),
    (Role::Return, "return", "return site"),
    (Role::Call, "call", "call site"),
    (Role::Endbr, "endbr", "ENDBR"),
    (Role::CfiPreamble, "cfi-preamble", "CFI preamble"),
    (Role::Lock, "lock", "lock prefix"),
    (Role::Paravirt, "paravirt", "paravirt call"),
    (Role::JumpLabel, "jump-label", "jump label"),
    (Role::StaticCall, "static-call", "static call"),
    (Role::Trampoline, "trampoline", "trampoline of a static call"),
    (Role::Trace, "trace", "call of the function tracer"),
];

const POLICIES: [(&str, Policy); 3] =
    [("untouched", Policy::Untouched), ("known", Policy::KnownForms), ("anything", Policy::Anything)];

/// The name of a role in `--policy` and JSON, and in sentences.
pub(crate) fn names(role: Role) -> (&'static str, &'static str) {
    ROLES.iter().find(|(known, ..)| *known == role).map_or(("other", "patch site"), |row| (row.1, row.2))
}

/// Parses "jump-label=untouched".
pub(crate) fn policy(text: &str) -> Result<(Role, Policy), String> {
    let (role, policy) =
        text.split_once('=').ok_or("expected ROLE=untouched, ROLE=known or ROLE=anything")?;
    let role = ROLES.iter().find(|(_, name, _)| *name == role).ok_or_else(|| {
        let all: Vec<_> = ROLES.iter().map(|(_, name, _)| *name).collect();
        format!("\"{role}\" is no role of a patch site; known are {}", all.join(", "))
    })?;
    let policy = POLICIES.iter().find(|(name, _)| *name == policy);
    let (_, policy) = policy.ok_or("the policy is untouched, known or anything")?;
    Ok((role.0, *policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_name_of_its_own() {
        assert!(ROLES.iter().map(|(role, ..)| role).eq(&Role::ALL));
        for (role, name, _) in ROLES {
            assert_eq!(policy(&format!("{name}=anything")), Ok((*role, Policy::Anything)));
            assert_eq!(names(*role).0, *name);
        }
        for bad in ["", "lock", "lock=", "lock=all", "locks=known", "=known"] {
            assert!(policy(bad).is_err(), "{bad}");
        }
    }
}
