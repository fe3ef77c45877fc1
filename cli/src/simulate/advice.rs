//! What the kernel's symbols tell about symbols that were not found.

use super::prediction::{ADDRESSES, Errors};
use relakit::ErrorKind;
use relakit::klp::SymName;

/// The symbols of the kernel, as far as they are known.
pub(super) trait Known {
    /// Why a symbol is not exported, if the symbols tell.
    fn why_unknown(&self, name: &[u8]) -> Option<String>;

    /// The symbols of a name in an object, in the order of sympos: address and kallsyms' letter.
    fn symbols(&self, object: &[u8], name: &[u8]) -> Vec<(u64, u8)>;

    /// Names of the object that are almost `name`.
    fn near(&self, object: &[u8], name: &[u8]) -> Vec<String>;
}

/// Adds to the errors which symbols the kernel does not export, which have almost the same name, and
/// where those of the same name are.
pub(super) fn add(errors: &mut Errors<'_, '_>, known: &dyn Known) {
    let module = errors.module();
    let table = module.object().symbols();
    let is = |kind: &str, of: ErrorKind| kind == format!("{of:?}");
    for row in errors.rows() {
        let symbol = row.location.symbol.and_then(|index| table.get(index));
        let Some(name) = symbol.and_then(|symbol| table.name(&symbol).ok()) else { continue };
        if is(&row.kind, ErrorKind::UnknownSymbol) {
            row.help = known.why_unknown(name).or_else(|| row.help.take());
        }
        let Some(name) = SymName::parse(name, module.profile()) else { continue };
        if row.details.is_empty() && row.kind.starts_with("Klp") {
            let addresses = (1..).zip(known.symbols(name.object, name.name)).take(ADDRESSES);
            row.details =
                addresses.map(|(sympos, (at, _))| format!("sympos {sympos} is at {at:#x}")).collect();
        }
        if is(&row.kind, ErrorKind::KlpNotFound)
            && let near = known.near(name.object, name.name)
            && !near.is_empty()
        {
            row.help = Some(format!("{} has {}", String::from_utf8_lossy(name.object), near.join(", ")));
        }
    }
}
