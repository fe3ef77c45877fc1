//! What the forms find: the relocations of the livepatch sections, the symbols, and what is refused.

use crate::refusal::{Refusal, text};
use crate::symbols::Wanted;
use crate::types::{KlpSymbol, Request};
use object::build::elf::{Relocation, SectionId};
use relakit::abi::VMLINUX;
use relakit::klp::SymName;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A relocation of a livepatch section.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// The object whose load the relocation waits for.
    pub(crate) patched: Vec<u8>,
    /// The section that is relocated.
    pub(crate) target: SectionId,
    pub(crate) relocation: Relocation,
}

/// One conversion.
pub(crate) struct Session<'a> {
    pub(crate) request: &'a Request<'a>,
    /// The objects of the tree that the livepatch gives to `klp_enable_patch`. `None` if it cannot be
    /// read.
    pub(crate) patched: Option<BTreeSet<Vec<u8>>>,
    pub(crate) planned: Vec<Planned>,
    pub(crate) symbols: Vec<KlpSymbol>,
    pub(crate) refusals: Vec<Refusal>,
    /// Modules of which an exported symbol became a livepatch symbol.
    pub(crate) imported: BTreeSet<Vec<u8>>,
    /// Whether anything was changed.
    pub(crate) changed: bool,
    /// The final names of resolved symbols. `None`: it was refused.
    known: HashMap<Wanted, Option<Vec<u8>>>,
    /// The final names in `symbols`.
    rows: HashSet<Vec<u8>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(request: &'a Request<'a>, patched: Option<BTreeSet<Vec<u8>>>) -> Self {
        Self {
            request,
            patched,
            planned: Vec::new(),
            symbols: Vec::new(),
            refusals: Vec::new(),
            imported: BTreeSet::new(),
            changed: false,
            known: HashMap::new(),
            rows: HashSet::new(),
        }
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        if self.refusals.len() < MOST && !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }

    /// The name of a livepatch symbol, or `None` if it is refused.
    pub(crate) fn name_of(&mut self, wanted: &Wanted) -> Option<Vec<u8>> {
        if let Some(name) = self.known.get(wanted) {
            return name.clone();
        }
        let name = match self.resolve(wanted) {
            Ok(name) => Some(name),
            Err(refusal) => {
                self.refuse(refusal);
                None
            }
        };
        self.known.insert(wanted.clone(), name.clone());
        name
    }

    fn resolve(&mut self, wanted: &Wanted) -> Result<Vec<u8>, Refusal> {
        let Wanted { object, name, .. } = wanted;
        let (sympos, verified) = wanted.resolve(self.request.symbols)?;
        let mut buffer = vec![0; object.len().saturating_add(name.len()).saturating_add(ROOM)];
        let written = SymName::write(object, name, sympos, &self.request.profile, &mut buffer);
        let written = written.map(<[u8]>::to_vec).ok_or_else(|| {
            let most = self.request.profile.symbol_name_max;
            Refusal::new(format!(
                "symbol {} of {} cannot be named: an object has 1 to 55 bytes without a dot, a symbol 1 to {most} \
                 bytes without a comma",
                text(name),
                text(object)
            ))
        })?;
        let row = KlpSymbol { object: object.clone(), name: name.clone(), sympos, verified };
        // The same symbol can be wanted by its number and by auto.
        if self.rows.insert(written.clone()) {
            self.symbols.push(row);
        }
        Ok(written)
    }

    /// The object whose load a symbol of `object` waits for, if the source does not say it.
    pub(crate) fn patched_for(&self, object: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(patched) = &self.patched else { return Ok(Some(object.to_vec())) };
        if object == VMLINUX || patched.contains(object) {
            return Ok(Some(object.to_vec()));
        }
        let modules: Vec<_> = patched.iter().filter(|name| **name != VMLINUX).collect();
        match modules.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some((*only).clone())),
            several => {
                let several: Vec<_> = several.iter().map(|name| text(name)).collect();
                Err(Refusal::new(format!(
                    "a symbol of {} is used, which the livepatch does not patch, and it patches {}",
                    text(object),
                    several.join(", ")
                ))
                .help("name the patched module that uses it, as the fourth word of its line in the map"))
            }
        }
    }
}

/// What a name has besides its parts: prefix, dot, comma and digits.
const ROOM: usize = 32;
/// Most refusals that are reported.
const MOST: usize = 100;
