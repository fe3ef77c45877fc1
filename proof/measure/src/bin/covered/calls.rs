//! Which functions an object calls, or takes the address of.

use crate::symbol;
use anyhow::{Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The functions that lie on a way from the roots which does not lead through the crate itself: what one of its
/// functions calls on its own counts only if others call it too.
///
/// Core's own functions are gone through, because an object has instances of them that call back.
pub fn called(object: &[u8], krate: &str, roots: &str) -> Result<BTreeSet<String>> {
    let object = object::File::parse(object)?;
    let mut names: HashMap<SectionIndex, BTreeSet<&str>> = HashMap::new();
    for symbol in object.symbols() {
        let name = symbol.name()?;
        if name.starts_with("_ZN") {
            bail!("{name} was compiled without -C symbol-mangling-version=v0");
        }
        if let Some(section) = symbol.section_index() {
            names.entry(section).or_default().insert(name);
        }
    }
    let is_root = |name: &&str| name.starts_with(roots);
    let mut waiting: Vec<_> =
        names.iter().filter(|(_, names)| names.iter().any(is_root)).map(|(section, _)| *section).collect();
    if waiting.is_empty() {
        bail!("the object defines no function {roots}...");
    }
    let mut reached = HashSet::new();
    let mut called = BTreeSet::new();
    while let Some(index) = waiting.pop() {
        if !reached.insert(index) {
            continue;
        }
        for (_, relocation) in object.section_by_index(index)?.relocations() {
            let section = match relocation.target() {
                RelocationTarget::Section(section) => Some(section),
                RelocationTarget::Symbol(symbol) => {
                    let symbol = object.symbol_by_index(symbol)?;
                    called.extend(symbol::function(symbol.name()?, krate));
                    symbol.section_index()
                }
                _ => None,
            };
            let Some(section) = section else { continue };
            let targets = names.get(&section);
            let mut functions = targets.into_iter().flatten();
            called.extend(functions.clone().filter_map(|name| symbol::function(name, krate)));
            if !functions.any(|name| symbol::is_own(name, krate)) {
                waiting.push(section);
            }
        }
    }
    Ok(called)
}
