//! What may be found at a site.

use crate::special::Role;

/// What may be found at the sites of a [`Role`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The code as it was relocated. The kernel has not rewritten it.
    Untouched,
    /// The code as it was relocated, or a form in which a kernel of this version writes it.
    #[default]
    KnownForms,
    /// Anything. The bytes are not compared.
    Anything,
}

/// The policy of each role. The default is [`Policy::KnownForms`] for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies([Policy; Role::ALL.len()]);

impl Policies {
    /// These policies, with `policy` for `role`.
    #[must_use]
    pub fn with(mut self, role: Role, policy: Policy) -> Self {
        if let Some(of) = self.0.get_mut(role as usize) {
            *of = policy;
        }
        self
    }

    /// Returns the policy of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> Policy {
        self.0.get(role as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_a_policy_of_its_own() {
        for role in Role::ALL {
            let policies = Policies::default().with(role, Policy::Anything);
            for other in Role::ALL {
                let expected = if other == role { Policy::Anything } else { Policy::KnownForms };
                assert_eq!(policies.of(other), expected, "{role:?} {other:?}");
            }
        }
    }
}
