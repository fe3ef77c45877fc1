//! One relocation (docs/linux-semantics.md, section 9), in integers that do not wrap.

use super::super::plan::Entry;
use super::{ErrorKind, Model, Spot};
use relakit::ErrorKind::*;

impl Model<'_, '_> {
    /// Offset, value and size of a relocation's field (section 9); `None` when it has none.
    pub(super) fn field(
        &self,
        relocation: &Entry,
        spot: &Spot<'_>,
    ) -> Result<Option<(usize, [u8; 8], usize)>, ErrorKind> {
        const WRAPS: i128 = 1 << 64;
        let symbol = self.values.get(usize::try_from(relocation.symbol).unwrap()).ok_or(SymbolIndex)?;
        let sum = i128::from(*symbol) + i128::from(relocation.addend);
        let distance = sum - i128::from(spot.address) - i128::from(relocation.offset);
        let (value, size) = match relocation.r_type {
            0 => return Ok(None),
            1 => (sum, 8),
            24 => (distance, 8),
            10 | 11 => (sum, 4),
            2 | 4 => (distance, 4),
            _ => return Err(UnknownType),
        };
        let unsigned = value.rem_euclid(WRAPS);
        let signed = if unsigned >= WRAPS / 2 { unsigned - WRAPS } else { unsigned };
        let fits = match relocation.r_type {
            10 => unsigned < 1 << 32,
            11 => (-(1 << 31)..1 << 31).contains(&signed),
            2 | 4 => !self.plan.profile.checks_pc32 || (-(1 << 31)..1 << 31).contains(&signed),
            _ => true,
        };
        let range = if fits { Ok(()) } else { Err(Overflow) };
        let at = usize::try_from(relocation.offset).unwrap();
        let zero = || match spot.bytes.get(at..).and_then(|rest| rest.get(..size)) {
            None => Err(OffsetOutside),
            Some(field) if field.iter().any(|byte| *byte != 0) => Err(TargetNotZero),
            Some(_) => Ok(()),
        };
        match self.plan.is_before((6, 3)) {
            false => range.and_then(|()| zero())?,
            true => zero().and(range)?,
        }
        Ok(Some((at, u64::try_from(unsigned).unwrap().to_le_bytes(), size)))
    }
}
