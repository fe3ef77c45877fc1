//! Undefined symbols with plain names: the map or the kernel's symbols say what they mean.

use crate::refusal::{Refusal, text};
use crate::session::Session;
use crate::symbols::{Position, Wanted};
use relakit::abi::VMLINUX;

/// The patched object that waits, the symbol, and whether a module exports it. `None`: the symbol
/// stays an ordinary one, because vmlinux exports it or nothing is known of it.
pub(super) type Found = Option<(Vec<u8>, Wanted, bool)>;

pub(super) fn meaning(name: &[u8], session: &Session<'_>) -> Result<Found, Refusal> {
    if let Some(entry) = session.request.map.get(name) {
        let object = &entry.wanted.object;
        let patched = match &entry.patched {
            Some(patched) => patched.clone(),
            None => session.patched_for(object)?.unwrap_or_else(|| object.clone()),
        };
        return Ok(Some((patched, entry.wanted.clone(), false)));
    }
    let symbols = session.request.symbols;
    if !symbols.knows_exports() {
        return Ok(None);
    }
    let wanted = |object: &[u8], position| Wanted { object: object.to_vec(), name: name.to_vec(), position };
    if let Some(object) = symbols.exporter(name) {
        if object == VMLINUX {
            return Ok(None);
        }
        // Without a patched module, the livepatch depends on the module as others do.
        let Some(patched) = session.patched_for(&object)?.filter(|_| session.patched.is_some()) else {
            return Ok(None);
        };
        let position = match symbols.definitions(&object, name) {
            Some(_) => Position::Auto,
            None => Position::Given(0),
        };
        return Ok(Some((patched, wanted(&object, position), true)));
    }
    let may_have = |object: &Vec<u8>| {
        *object == VMLINUX || session.patched.as_ref().is_none_or(|patched| patched.contains(object))
    };
    let objects: Vec<_> = symbols.objects_with(name).into_iter().filter(may_have).collect();
    match objects.as_slice() {
        [] => Ok(None),
        [object] => {
            let patched = session.patched_for(object)?.unwrap_or_else(|| object.clone());
            Ok(Some((patched, wanted(object, Position::Auto), false)))
        }
        several => {
            let several: Vec<_> = several.iter().map(|object| text(object)).collect();
            Err(Refusal::new(format!("{} is a symbol of {}", text(name), several.join(", "))).help(format!(
                "say which one is meant: a line \"OBJECT {}\" in the file of --map",
                text(name)
            )))
        }
    }
}
