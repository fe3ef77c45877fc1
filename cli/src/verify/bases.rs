//! Finds the bases of memories that the user does not give, such as that of init memory, which
//! `struct module` no longer has after init. Those of the code and of the constants must be given:
//! a copy of them at another address proves nothing.

use super::Expected;
use super::found::Found;
use crate::console;
use crate::failure::Failure;
use crate::input::place::Place;
use relakit::elf::SymbolLocation;
use std::collections::BTreeMap;

/// Linux allocates whole pages.
const PAGE: u64 = 4096;

/// Finds bases from the fields of relocations against sections without an address: each field shows
/// where its symbol is. The base that most of them show is the right one, because fields of tables
/// that Linux has sorted show arbitrary ones. All fields are compared with it later. Returns whether
/// any base was found; `expected` is then of no more use.
pub(super) fn find(
    expected: &mut Expected<'_>,
    found: &mut Found,
    place: &mut Place,
) -> Result<bool, Failure> {
    if place.assumed.is_empty() {
        return Ok(false);
    }
    let Expected { memory, loaded, .. } = expected;
    let table = loaded.module().object().symbols();
    let in_data = place.in_data();
    let mut votes: BTreeMap<(&'static str, u64), u64> = BTreeMap::new();
    let verified = loaded.verify(memory, found, &mut |difference| {
        let Some(field) = difference.relocation else { return };
        let Some(symbol) = table.get(field.rela.r_sym) else { return };
        let SymbolLocation::Section(section) = table.location(&symbol) else { return };
        let Some(&(memory, offset)) = in_data.get(&section) else { return };
        let base = field.leads_to.wrapping_sub(symbol.st_value).wrapping_sub(offset);
        if place.assumed.contains(&section) && base.is_multiple_of(PAGE) && base != 0 {
            let votes = votes.entry((memory, base)).or_default();
            *votes = votes.saturating_add(1);
        }
    });
    verified.map_err(|error| Failure::File(format!("the bases of the module: {error}")))?;
    let mut best: BTreeMap<&'static str, (u64, u64, u64)> = BTreeMap::new();
    for ((memory, base), votes) in votes {
        let (most, of, all) = best.entry(memory).or_default();
        *all = all.saturating_add(votes);
        if votes > *most {
            (*most, *of) = (votes, base);
        }
    }
    let mut any = false;
    for (memory, (most, base, all)) in best {
        // Without a majority, the fields contradict each other.
        if most > all / 2 {
            console::note(&format!("the memory shows that {memory} is at {base:#x}"))?;
            place.set_base(memory, base);
            any = true;
        }
    }
    Ok(any)
}
