//! The file of `apply --memory`: the address of each section.

use super::files::{self, Kind};
use crate::failure::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The addresses of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// Run-time address of the first byte.
    pub(crate) address: u64,
    /// Base address of the section's symbols, if it differs (per-CPU data).
    pub(crate) symbols_at: Option<u64>,
}

/// Other keys are ignored, so that richer files can be used unchanged.
#[derive(Deserialize)]
struct File {
    sections: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: u32,
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

/// Reads the addresses of all sections. Section 0 is ignored.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<u32, Assigned>, Failure> {
    parse(&files::read(path, Kind::Memory)?).map_err(|error| Failure::file(path, error))
}

pub(crate) fn parse(text: &[u8]) -> Result<BTreeMap<u32, Assigned>, String> {
    let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut sections = BTreeMap::new();
    for entry in file.sections {
        let symbols_at = entry.symbols_at.map(|Address(address)| address);
        let assigned = Assigned { address: entry.addr.0, symbols_at };
        if entry.index != 0 && sections.insert(entry.index, assigned).is_some() {
            return Err(format!("section {} is listed twice", entry.index));
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_strings_and_other_keys_are_ignored() {
        let text = br#"{"module": "m", "sections": [
            {"index": 0, "addr": "0x0"},
            {"index": 1, "addr": "0xffffffffc0201000", "name": ".text", "ent": "0x0"},
            {"index": 3, "addr": 18446744072635809792, "symbols_at": "4096"}]}"#;
        let sections = parse(text).unwrap();
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[&1], Assigned { address: 0xffff_ffff_c020_1000, symbols_at: None });
        assert_eq!(sections[&3], Assigned { address: 0xffff_ffff_c000_0000, symbols_at: Some(4096) });
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
            (r#"{"sections": [{"index": 1, "addr": 1}, {"index": 1, "addr": 2}]}"#, "listed twice"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
