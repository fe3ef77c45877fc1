//! The functions that a livepatch replaces: whether they are well-formed, and whether the kernel finds
//! each of them (`klp_init_func`, `klp_find_object_symbol`).

use super::advice::Known;
use super::findings::Findings;
use super::prediction::{ADDRESSES, Check, Errors};
use super::report::Phase;
use super::traced::Traced;
use super::world::World;
use crate::view::location::Location;
use crate::view::names::{IN_SENTENCE, Name, plural};
use crate::view::patch::PatchFunc;
use relakit::Module;
use relakit_linux::findings::{Finding, Lint};
use relakit_linux::loader_check::LoaderCheck;
use std::collections::{BTreeMap, BTreeSet};

/// Looks the functions of an object up. Returns how many are replaced.
///
/// # Errors
/// One of them cannot be replaced.
pub(super) fn check(
    module: &Module<'_>,
    name: &[u8],
    functions: Vec<&PatchFunc<'_>>,
    phase: Phase,
    world: &mut World<'_>,
    errors: &mut Errors<'_, '_>,
    findings: &mut Findings<'_, '_>,
) -> Result<u64, ()> {
    let mut not_traced = Vec::new();
    let mut failed = false;
    let object = String::from_utf8_lossy(name).into_owned();
    let count = functions.len() as u64;
    if count != 0 && !world.knows_symbols(name) {
        return Ok(count);
    }
    let mut same: BTreeMap<&[u8], Vec<(u64, u8)>> = BTreeMap::new();
    for func in functions {
        let Some(Name(func_name)) = func.name else { continue };
        let symbols = same.entry(func_name).or_insert_with(|| world.symbols(name, func_name));
        let location = || Some(Location::in_section(module, func.place.section, func.place.offset));
        let check = |check, message| Check::new(check, format!("livepatch: {message}"), location());
        let (found, same) = (nth(symbols, func.sympos), symbols.len() as u64);
        let error = match found {
            Ok((address, kind)) => {
                match world.traced(name, func_name, address, kind) {
                    Traced::Yes if world.is_init(name, address) => {
                        let mut finding = Finding::new(Lint::InitSymbol);
                        (finding.section, finding.offset) = (Some(func.place.section), func.place.offset);
                        finding.value = address;
                        findings.add(finding, Some(format!("the function {} of {object}", of(func))));
                    }
                    Traced::Yes => {}
                    Traced::No(why) => not_traced.push(
                        check(
                            LoaderCheck::FunctionNotTraced,
                            format!("the function {} of {object} has no ftrace location", of(func)),
                        )
                        .detail(why.to_owned()),
                    ),
                    Traced::Unknown => world.unknown_function(&object, &of(func)),
                }
                continue;
            }
            Err(error) => error,
        };
        failed = true;
        let message = match error {
            LoaderCheck::FunctionNotFound => format!("{object} has no symbol {}", of(func)),
            LoaderCheck::FunctionAmbiguous => format!("{object} has {same} symbols {}", of(func)),
            _ => format!("{object} has {} {}, not {}", plural(same, "symbol"), of(func), func.sympos),
        };
        let mut check = check(error, message);
        for (number, (address, _)) in (1..).zip(symbols.iter()).take(ADDRESSES) {
            check = check.detail(format!("sympos {number} is at {address:#x}"));
        }
        if error == LoaderCheck::FunctionNotFound {
            check = match world.near(name, func_name) {
                near if near.is_empty() => check,
                near => check.help(format!("{object} has {}", near.join(", "))),
            };
        }
        errors.check(phase, check);
    }
    failed |= !not_traced.is_empty();
    not_traced.into_iter().for_each(|check| errors.check(phase, check));
    if failed { Err(()) } else { Ok(count) }
}

/// A function in a message.
pub(super) fn of(func: &PatchFunc<'_>) -> String {
    func.name.map_or_else(|| "?".to_owned(), |name| name.short(IN_SENTENCE))
}

/// Returns what `klp_init_func` refuses.
pub(super) fn malformed<'f>(
    func: &PatchFunc<'f>,
    name_max: usize,
    seen: &mut BTreeSet<(&'f [u8], u64)>,
) -> Option<LoaderCheck> {
    if !func.is_named {
        return Some(LoaderCheck::FunctionWithoutName);
    }
    if !func.is_replaced {
        return Some(LoaderCheck::FunctionWithoutReplacement);
    }
    let Name(name) = func.name?;
    if name.len() > name_max {
        return Some(LoaderCheck::FunctionNameLength);
    }
    // sysfs has 1 for 0.
    (!seen.insert((name, func.sympos.max(1)))).then_some(LoaderCheck::FunctionTwice)
}

/// `klp_find_object_symbol`.
fn nth(symbols: &[(u64, u8)], sympos: u64) -> Result<(u64, u8), LoaderCheck> {
    // The kernel looks at the symbols up to the one that decides, and refuses address 0.
    let most = if sympos == 0 { 2 } else { usize::try_from(sympos).unwrap_or(usize::MAX) };
    let looked = symbols.get(..most).unwrap_or(symbols);
    match looked.last() {
        None | Some((0, _)) => Err(LoaderCheck::FunctionNotFound),
        Some(_) if sympos == 0 && looked.len() > 1 => Err(LoaderCheck::FunctionAmbiguous),
        Some(_) if sympos != 0 && (looked.len() as u64) < sympos => Err(LoaderCheck::FunctionSympos),
        Some(found) => Ok(*found),
    }
}
