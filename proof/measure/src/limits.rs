//! What a function may never need, whatever is recorded.

use crate::budget::Cost;
use anyhow::{Context, Result, bail};

/// The most bytes of code and of stack. A boot stub contains this function.
const LIMITS: [(&str, u64, u64); 1] = [("`relakit_apply_small`", 1536, 192)];

/// Fails if a function needs more than its limit.
pub fn check(costs: &[Cost]) -> Result<()> {
    for (function, text, stack) in LIMITS {
        let cost = costs.iter().find(|cost| cost.name == function);
        let cost = cost.with_context(|| format!("{function}, which has a limit, is not measured"))?;
        if cost.text > text || cost.stack > stack {
            bail!(
                "{function}: code {} of at most {text}, stack {} of at most {stack}",
                cost.text,
                cost.stack
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_largest_number_that_is_let_pass() {
        let [(function, most_text, most_stack)] = LIMITS;
        let with = |text, stack| check(&[Cost { name: function.to_owned(), text, stack }]);
        assert!(with(most_text, most_stack).is_ok());
        assert!(with(most_text + 1, most_stack).is_err());
        assert!(with(most_text, most_stack + 1).is_err());
        assert!(check(&[]).is_err());
    }
}
