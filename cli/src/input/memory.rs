//! MEMORY.json: the address of each section, by its index or its name. `apply` and `verify` read it,
//! and `apply` writes it.

use relakit::Module;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The addresses of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// Run-time address of the first byte.
    pub(crate) address: u64,
    /// Base address of the section's symbols, if it differs (per-CPU data).
    pub(crate) symbols_at: Option<u64>,
}

/// Name of the global offset table, which is not in the file.
pub(crate) const GOT: &[u8] = b".got";

/// The section of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Index(u32),
    Name(String),
}

/// Other keys are ignored, so that richer files can be used unchanged.
#[derive(Deserialize)]
struct File {
    sections: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: Option<u32>,
    name: Option<String>,
    addr: Address,
    symbols_at: Option<Address>,
}

/// A number, or a string with a hexadecimal (0x) or decimal number.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Value")]
struct Address(u64);

impl TryFrom<serde_json::Value> for Address {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let number = match &value {
            serde_json::Value::Number(number) => number.as_u64(),
            serde_json::Value::String(text) => {
                match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                    Some(digits) => u64::from_str_radix(digits, 16).ok(),
                    None => text.parse().ok(),
                }
            }
            _ => None,
        };
        number.map(Self).ok_or_else(|| format!("{value} is not an address (a number, or \"0x...\")"))
    }
}

/// Reads the entries. If an entry has an index, its name is ignored. Section 0 is ignored.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<(Which, Assigned)>, String> {
    let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut sections = Vec::new();
    for Entry { index, name, addr, symbols_at } in file.sections {
        let which = match (index, name) {
            (Some(0), _) => continue,
            (Some(index), _) => Which::Index(index),
            (None, Some(name)) => Which::Name(name),
            (None, None) => return Err("an entry has neither \"index\" nor \"name\"".to_owned()),
        };
        let symbols_at = symbols_at.map(|Address(address)| address);
        sections.push((which, Assigned { address: addr.0, symbols_at }));
    }
    Ok(sections)
}

/// An entry as it is written.
#[derive(Serialize)]
struct Written {
    index: u32,
    name: String,
    addr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbols_at: Option<String>,
}

/// The text of MEMORY.json.
pub(crate) fn write(module: &Module<'_>, sections: &BTreeMap<u32, Assigned>) -> serde_json::Result<Vec<u8>> {
    let name = |index| {
        let header = module.object().section(index);
        let name = header.map_or(GOT, |header| module.object().section_name(&header));
        String::from_utf8_lossy(name).into_owned()
    };
    let written = sections.iter().map(|(index, assigned)| Written {
        index: *index,
        name: name(*index),
        addr: format!("{:#x}", assigned.address),
        symbols_at: assigned.symbols_at.map(|base| format!("{base:#x}")),
    });
    let sections: Vec<_> = written.collect();
    let mut text = serde_json::to_vec_pretty(&serde_json::json!({ "sections": sections }))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_strings_and_other_keys_are_ignored() {
        let text = br#"{"module": "m", "sections": [
            {"index": 0, "addr": "0x0"},
            {"index": 1, "addr": "0xffffffffc0201000", "name": ".text", "ent": "0x0"},
            {"index": 3, "addr": 18446744072635809792, "symbols_at": "4096"},
            {"name": ".data", "addr": 4096}]}"#;
        let at = |address, symbols_at| Assigned { address, symbols_at };
        let expected = vec![
            (Which::Index(1), at(0xffff_ffff_c020_1000, None)),
            (Which::Index(3), at(0xffff_ffff_c000_0000, Some(4096))),
            (Which::Name(".data".to_owned()), at(4096, None)),
        ];
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn an_invalid_file_is_refused_with_the_reason() {
        for (text, reason) in [
            ("{}", "sections"),
            ("[", "EOF"),
            (r#"{"sections": [{"index": 1}]}"#, "addr"),
            (r#"{"sections": [{"index": 1, "addr": -1}]}"#, "not an address"),
            (r#"{"sections": [{"index": 1, "addr": "12g"}]}"#, "not an address"),
            (r#"{"sections": [{"index": 1, "addr": "0x10000000000000000"}]}"#, "not an address"),
            (r#"{"sections": [{"addr": 1}]}"#, "neither"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
