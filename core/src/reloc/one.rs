//! One relocation by the rules, whatever its type, its target and what is wrong with it.
//!
//! This is the whole of the semantics; the loops in `apply` take the common case out of it and nothing else.

use super::howto::{Howto, howto};
use super::{Pass, Rules, Target};
use crate::elf::Rela;
use crate::error::{Error, ErrorKind};

/// What is done with a field that is in order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It could be relocated.
    Prove,
    /// It is relocated.
    Write,
    /// It could be cleared.
    Verify,
    /// It is cleared.
    Clear,
}

impl Pass<'_> {
    /// Judges one relocation and acts on its field.
    ///
    /// Linux's order of checks (Linux semantics 9): type, range, existing bytes. The bounds, which Linux does not
    /// check, come before the access they guard: the symbol index first, the offset before the existing bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn one(
        &self,
        act: Act,
        index: usize,
        rela: Rela,
        target: &mut Target<'_>,
    ) -> Result<(), Error> {
        self.judge(act, rela, target).map_err(|error| Error {
            entry: Some(index as u64),
            symbol: Some(rela.symbol),
            r_type: Some(rela.r_type),
            offset: rela.offset,
            ..error
        })
    }

    fn judge(&self, act: Act, rela: Rela, target: &mut Target<'_>) -> Result<(), Error> {
        let Self { values, rules, .. } = *self;
        let s = values.value(rela.symbol).ok_or(ErrorKind::SymbolIndex.error(0, values.count() as u64))?;
        let howto = howto(rela.r_type, rules).ok_or(ErrorKind::UnknownType.error(0, 0))?;
        if howto.size == 0 {
            return Ok(());
        }
        let value = howto.value(s, rela.addend, target.address.wrapping_add(rela.offset));
        let zero_first = rules.contains(Rules::ZERO_BEFORE_RANGE);
        if !zero_first {
            check_range(&howto, value, rules)?;
        }
        let existing = target.read(rela.offset, howto.size)?;
        match act {
            Act::Prove | Act::Write if existing != 0 && !rules.contains(Rules::ALLOW_NONZERO) => {
                return Err(ErrorKind::NonZero.error(value, existing));
            }
            Act::Verify | Act::Clear if existing != value & howto.mask() => {
                return Err(ErrorKind::Mismatch.error(value & howto.mask(), existing));
            }
            _ => {}
        }
        if zero_first {
            check_range(&howto, value, rules)?;
        }
        match act {
            Act::Prove | Act::Verify => Ok(()),
            Act::Write => target.write(rela.offset, howto.size, value),
            Act::Clear => target.write(rela.offset, howto.size, 0),
        }
    }
}

fn check_range(howto: &Howto, value: u64, rules: Rules) -> Result<(), Error> {
    match howto.largest(rules) {
        Some(largest) if !howto.fits(value, rules) => Err(ErrorKind::Overflow.error(value, largest)),
        _ => Ok(()),
    }
}
