//! What is known of the kernel's symbols, and the sympos of a symbol.

use crate::refusal::{Refusal, text};

/// A symbol of the kernel or of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The address, or the offset in the module's section.
    pub address: u64,
    /// Whether it is in memory that Linux frees after the init functions.
    pub is_init: bool,
}

/// The symbols of the kernel and its modules, as far as they are known.
pub trait Symbols {
    /// Returns the symbols `name` of `object`, in the order in which sympos counts them. Returns
    /// `None` if the symbols of `object` are not known.
    fn definitions(&self, object: &[u8], name: &[u8]) -> Option<Vec<Definition>>;

    /// Returns the known objects that have a symbol `name`.
    fn objects_with(&self, name: &[u8]) -> Vec<Vec<u8>>;

    /// Returns the object that exports `name`: `vmlinux` or a module.
    fn exporter(&self, name: &[u8]) -> Option<Vec<u8>>;

    /// Returns whether [`exporter`](Self::exporter) knows all exports of the kernel.
    fn knows_exports(&self) -> bool;

    /// Returns names of `object` that are almost `name`.
    fn near(&self, object: &[u8], name: &[u8]) -> Vec<String> {
        let _ = (object, name);
        Vec::new()
    }
}

/// No symbols: positions are neither looked up nor verified.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSymbols;

impl Symbols for NoSymbols {
    fn definitions(&self, _: &[u8], _: &[u8]) -> Option<Vec<Definition>> {
        None
    }

    fn objects_with(&self, _: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn exporter(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn knows_exports(&self) -> bool {
        false
    }
}

/// Which of several symbols of a name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Position {
    /// The sympos as Linux reads it.
    Given(u64),
    /// The only symbol of the name. Its sympos is 0.
    Auto,
}

/// A symbol that a livepatch uses, as its source names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) object: Vec<u8>,
    pub(crate) name: Vec<u8>,
    pub(crate) position: Position,
}

impl Wanted {
    /// The sympos, and whether the symbol was found. If the symbols of the object are not known, a
    /// given position is not verified.
    pub(crate) fn resolve(&self, symbols: &dyn Symbols) -> Result<(u64, bool), Refusal> {
        let Self { object, name, position } = self;
        let (of, symbol) = (text(object), text(name));
        let Some(found) = symbols.definitions(object, name) else {
            return match position {
                Position::Given(sympos) => Ok((*sympos, false)),
                Position::Auto => Err(Refusal::new(format!(
                    "the position of {symbol} in {of} cannot be looked up, because the symbols of {of} are not known"
                ))
                .help(match &**object {
                    relakit::abi::VMLINUX => "give --symbols with the kallsyms or System.map of the kernel".to_owned(),
                    _ => format!("give --target {of}=FILE.ko"),
                })),
            };
        };
        let chosen = match (position, found.as_slice()) {
            (_, []) => {
                let near = symbols.near(object, name);
                let near = (!near.is_empty()).then(|| format!("it has {}", near.join(", ")));
                return Err(Refusal::new(format!("{of} has no symbol {symbol}"))
                    .details(near.into_iter().collect())
                    .help("the compiler may have inlined the function, or renamed it, as in foo.isra.0"));
            }
            (Position::Auto | Position::Given(0), [only]) => Some((0, only)),
            (Position::Auto | Position::Given(0), several) => {
                return Err(Refusal::new(format!("{of} has {} symbols {symbol}", several.len()))
                    .details(listed(several))
                    .help(format!(
                        "give the number of the right one: KLP_RELOC_SYMBOL_POS({of}, {of}, {symbol}, N)"
                    )));
            }
            (Position::Given(sympos), several) => {
                let nth = usize::try_from(*sympos).ok().and_then(|nth| nth.checked_sub(1));
                nth.and_then(|nth| several.get(nth)).map(|chosen| (*sympos, chosen))
            }
        };
        match chosen {
            None => {
                let count = found.len();
                Err(Refusal::new(format!(
                    "{of} has no symbol {symbol} with a position that high: it has {count}"
                ))
                .details(listed(&found)))
            }
            Some((_, chosen)) if chosen.is_init => Err(Refusal::new(format!(
                "{symbol} of {of} is in init memory, which Linux frees after the init functions"
            ))
            .help("copy the function or the data into the livepatch, or leave its use out")),
            Some((sympos, _)) => Ok((sympos, true)),
        }
    }
}

/// Most symbols of a name that are listed.
const LISTED: usize = 16;

fn listed(definitions: &[Definition]) -> Vec<String> {
    let line = |(number, definition): (usize, &Definition)| format!("{number}: {:#x}", definition.address);
    let mut lines: Vec<_> = (1..).zip(definitions).take(LISTED).map(line).collect();
    let more = definitions.len().saturating_sub(LISTED);
    lines.extend((more != 0).then(|| format!("and {more} more")));
    lines
}
