//! `.modinfo`: what a module says of itself, as `key=value` strings.

use relakit::Module;

/// The value of the first entry with this key.
pub(crate) fn value<'f>(module: &Module<'f>, key: &str) -> Option<&'f [u8]> {
    let object = module.object();
    let (_, section) = object.sections().find(|(_, section)| object.section_name(section) == b".modinfo")?;
    let mut entries = object.section_bytes(&section).split(|&byte| byte == 0);
    entries.find_map(|entry| entry.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
}
