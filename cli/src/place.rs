//! PLACE.json: where the embedder puts each section.

use crate::Failure;
use crate::input::{self, Kind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where one section lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    /// Address of the first byte when it runs.
    pub(crate) address: u64,
    /// What the section's symbols count from, where the file says so.
    pub(crate) symbols_at: Option<u64>,
}

/// Other keys are ignored, so that richer layouts serve as they are.
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

/// A number, or text: hexadecimal with 0x, or decimal.
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

/// Reads the file; a place for each section index it names but 0.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<u32, At>, Failure> {
    let text = input::read(path, Kind::SectionMemory)?;
    parse(&text).map_err(|error| Failure::File(format!("{}: {error}", path.display())))
}

fn parse(text: &[u8]) -> Result<BTreeMap<u32, At>, String> {
    let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut places = BTreeMap::new();
    for entry in file.sections {
        let at = At { address: entry.addr.0, symbols_at: entry.symbols_at.map(|Address(address)| address) };
        if entry.index != 0 && places.insert(entry.index, at).is_some() {
            return Err(format!("section {} has two places", entry.index));
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_texts_and_other_keys_do_not_matter() {
        let text = br#"{"module": "m", "sections": [
            {"index": 0, "addr": "0x0"},
            {"index": 1, "addr": "0xffffffffc0201000", "name": ".text", "ent": "0x0"},
            {"index": 3, "addr": 18446744072635809792, "symbols_at": "4096"}]}"#;
        let places = parse(text).unwrap();
        assert_eq!(places.len(), 2);
        assert_eq!(places[&1], At { address: 0xffff_ffff_c020_1000, symbols_at: None });
        assert_eq!(places[&3], At { address: 0xffff_ffff_c000_0000, symbols_at: Some(4096) });
    }

    #[test]
    fn what_is_not_a_place_is_said() {
        for (text, said) in [
            ("{}", "sections"),
            ("[", "EOF"),
            (r#"{"sections": [{"index": 1}]}"#, "addr"),
            (r#"{"sections": [{"index": 1, "addr": -1}]}"#, "not an address"),
            (r#"{"sections": [{"index": 1, "addr": "12g"}]}"#, "not an address"),
            (r#"{"sections": [{"index": 1, "addr": "0x10000000000000000"}]}"#, "not an address"),
            (r#"{"sections": [{"index": 1, "addr": 1}, {"index": 1, "addr": 2}]}"#, "two places"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
