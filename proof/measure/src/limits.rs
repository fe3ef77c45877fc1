//! What a function may never need, whatever is recorded.

use crate::budget::Cost;
use anyhow::{Context, Result, bail};

/// A name, a measure, and the largest number that is allowed.
///
/// A boot stub contains `relakit_apply_small` and calls it before it has relocated itself. Level 1 works in an image that
/// has not relocated itself, too. Its data are constants: a table of types, and a jump table.
const LIMITS: [(&str, &str, u64); 5] = [
    ("`relakit_apply_small`", "code", 1536),
    ("`relakit_apply_small`", "data", 0),
    ("`relakit_apply_small`", "stack", 192),
    ("`relakit_apply_small`", "addresses", 0),
    ("level 1", "addresses", 0),
];

/// Fails if a function needs more than its limit. `measures` names the numbers of each cost.
pub fn check(measures: &[&str], costs: &[Cost]) -> Result<()> {
    for (name, measure, limit) in LIMITS {
        let Some(column) = measures.iter().position(|has| *has == measure) else { continue };
        let cost = costs.iter().find(|cost| cost.name == name);
        let cost = cost.with_context(|| format!("{name}, which has a limit, is not measured"))?;
        if cost.numbers[column] > limit {
            bail!("{name}: {measure} {} of at most {limit}", cost.numbers[column]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_largest_number_that_is_let_pass() {
        let names: Vec<_> = LIMITS.iter().map(|(name, ..)| *name).collect();
        for (limited, measure, limit) in LIMITS {
            let with = |number| {
                let costs = names.iter().map(|name| Cost {
                    name: (*name).to_owned(),
                    numbers: vec![if *name == limited { number } else { 0 }],
                });
                check(&[measure], &costs.collect::<Vec<_>>())
            };
            assert!(with(limit).is_ok());
            assert!(with(limit + 1).is_err());
            assert!(check(&[measure], &[]).is_err());
        }
    }
}
