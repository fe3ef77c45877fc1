//! Reports as SARIF 2.1.0, the OASIS standard for results of static analysis, as GitHub and GitLab read it.
//!
//! A module has no lines. GitHub wants a region with a line all the same, so each result is on line 1 of its file, as
//! is usual for files that are not text; where in the file it is, the logical locations and the message say.

use super::items::{self, Item, KernelRule, items, level};
use super::report::{Report, SectionMemory};
use crate::inspect::names::shorten;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use relakit_linux::findings::{Lint, Severity};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Most bytes of a message; GitLab skips results with more than 1024.
const MESSAGE: usize = 1000;

/// What is not a part of a path's segment as it stands (RFC 3986, 2.3). A colon would look like a scheme.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The results of all reports, as one run. They are taken and written one after the other.
pub(crate) struct Log<'r> {
    reports: RefCell<&'r mut dyn Iterator<Item = Report>>,
    notes: RefCell<Vec<Value>>,
}

impl<'r> Log<'r> {
    pub(crate) fn new(reports: &'r mut dyn Iterator<Item = Report>) -> Self {
        Self { reports: RefCell::new(reports), notes: RefCell::default() }
    }
}

impl Serialize for Log<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut log = serializer.serialize_map(Some(3))?;
        log.serialize_entry("$schema", SCHEMA)?;
        log.serialize_entry("version", "2.1.0")?;
        log.serialize_entry("runs", &[Run(self)])?;
        log.end()
    }
}

struct Run<'l, 'r>(&'l Log<'r>);

impl Serialize for Run<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let driver = json!({
            "name": "relakit",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "rules": rules(),
        });
        let mut run = serializer.serialize_map(Some(4))?;
        run.serialize_entry("tool", &json!({ "driver": driver }))?;
        run.serialize_entry("columnKind", "utf16CodeUnits")?;
        run.serialize_entry("results", &Results(self.0))?;
        // What there is to know is known when all results are.
        let notes = self.0.notes.borrow();
        let invocation = json!({ "executionSuccessful": true, "toolExecutionNotifications": *notes });
        run.serialize_entry("invocations", &[invocation])?;
        run.end()
    }
}

struct Results<'l, 'r>(&'l Log<'r>);

impl Serialize for Results<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut results = serializer.serialize_seq(None)?;
        let mut seen = BTreeMap::new();
        for report in &mut **self.0.reports.borrow_mut() {
            for item in items(&report) {
                results.serialize_element(&result(&report, &item, &mut seen))?;
            }
            let notes = report.notes.iter().map(|note| notification(&report, note));
            self.0.notes.borrow_mut().extend(notes);
        }
        results.end()
    }
}

/// Every rule, in the order that `ruleIndex` counts in.
fn rules() -> Vec<Value> {
    let text = |text: &'static std::ffi::CStr| text.to_str().unwrap_or_default();
    let kernel = KernelRule::ALL
        .iter()
        .map(|it| (it.name(), format!("{it:?}"), it.severity(), it.message(), it.help()));
    let findings = Lint::ALL
        .iter()
        .map(|it| (it.name(), format!("{it:?}"), it.severity(), text(it.message()), text(it.help())));
    let rule = |(id, name, severity, message, help): (&str, String, _, &str, &str)| {
        let page = items::page(id);
        json!({
            "id": id,
            "name": name,
            "shortDescription": { "text": capital(message) },
            "fullDescription": { "text": format!("{} {}", capital(message), capital(help)) },
            "help": { "text": capital(help), "markdown": format!("{}\n\n[{id}]({page})", capital(help)) },
            "helpUri": page,
            "defaultConfiguration": { "level": level(severity) },
            // As CodeQL has it: "recommendation" is what is no problem yet.
            "properties": { "tags": ["linux", "livepatch"], "precision": "high", "problem.severity": match severity {
                Severity::Info => "recommendation",
                Severity::Warning | Severity::Error => level(severity),
            } },
        })
    };
    kernel.chain(findings).map(rule).collect()
}

/// `seen` has how often there was each fingerprint.
fn result(report: &Report, item: &Item<'_>, seen: &mut BTreeMap<u64, u64>) -> Value {
    let related = item.other.map(|(what, other)| {
        let mut location = location(report, Some(other));
        location.insert("message".to_owned(), json!({ "text": capital(what) }));
        location
    });
    json!({
        "ruleId": item.rule,
        "ruleIndex": names().position(|name| name == item.rule),
        "level": level(item.severity),
        "message": { "text": message(item) },
        "locations": [location(report, item.place)],
        "relatedLocations": Vec::from_iter(related),
        "partialFingerprints": { "primaryLocationLineHash": fingerprint(report, item, seen) },
        "properties": properties(report, item),
    })
}

fn names() -> impl Iterator<Item = &'static str> {
    KernelRule::ALL.iter().map(|rule| rule.name()).chain(Lint::ALL.iter().map(|rule| rule.name()))
}

/// All that the text says, in one line: GitHub shows little else.
fn message(item: &Item<'_>) -> String {
    let mut parts = Vec::new();
    parts.extend(item.module.map(|module| format!("module {}", items::name(&items::printable(module)))));
    parts.extend(item.place.map(items::place).filter(|place| !place.is_empty()));
    parts.extend(item.place.and_then(items::relocation));
    parts.extend(items::numbers(item.numbers));
    parts.extend(item.details.iter().map(|detail| items::sentence(detail)));
    parts.extend(item.event.map(|event| format!("at {}", items::name(&items::printable(event)))));
    parts.extend(item.errno.map(|errno| format!("Linux answers -{errno}")));
    parts.extend((item.more != 0).then(|| format!("and {} more like this", item.more)));
    let said = match parts.is_empty() {
        true => items::sentence(item.message),
        false => format!("{}: {}", items::sentence(item.message), parts.join(", ")),
    };
    let help = item.help.map(|help| format!(" {}", capital(help))).unwrap_or_default();
    shorten(format!("{}{help}", capital(&said)), MESSAGE)
}

fn location(report: &Report, place: Option<&SectionMemory>) -> Map<String, Value> {
    let physical = json!({
        "artifactLocation": { "uri": uri(&report.file) },
        "region": { "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1 },
    });
    let logical = json!(place.map(logical).unwrap_or_default());
    Map::from_iter([("physicalLocation".to_owned(), physical), ("logicalLocations".to_owned(), logical)])
}

/// The section, the relocation in it and its symbol, from the outside to the inside.
fn logical(place: &SectionMemory) -> Vec<Value> {
    let mut locations = Vec::new();
    let section = place.section.map(|index| match &place.section_name {
        Some(name) => format!("{index} {name}"),
        None => index.to_string(),
    });
    if let Some(section) = &section {
        let name = place.section_name.as_ref().unwrap_or(section);
        locations.push(json!({ "name": name, "fullyQualifiedName": section, "kind": "section" }));
    }
    if let (Some(section), Some(entry)) = (&section, place.entry) {
        let whole = format!("{section}, entry {entry}");
        locations
            .push(json!({ "name": entry.to_string(), "fullyQualifiedName": whole, "kind": "relocation" }));
    }
    if let Some(index) = place.symbol {
        let name = place.symbol_name.clone().unwrap_or_default();
        let whole = format!("symbol {index} {name}");
        locations.push(json!({ "name": name, "fullyQualifiedName": whole.trim_end(), "kind": "symbol" }));
    }
    locations
}

/// A relative path stays relative: to the root of the repository, if the tool was run there.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let path = path.strip_prefix("./").unwrap_or(path);
    format!("{scheme}{}", utf8_percent_encode(path, ENCODED))
}

/// What stays the same when a module is built again and its sections and entries have other numbers. Results that only
/// those tell apart are counted.
fn fingerprint(report: &Report, item: &Item<'_>, seen: &mut BTreeMap<u64, u64>) -> String {
    let place = item.place.cloned().unwrap_or_default();
    let names = [place.section_name, place.r_type, place.target_name, place.symbol_name];
    let parts = [Some(report.name.as_str()), Some(item.rule), item.module, item.event];
    let mut hash = Fnv1a::default();
    for part in parts.map(|part| part.map(str::to_owned)).into_iter().chain(names) {
        hash.add(part.unwrap_or_default().as_bytes());
        hash.add(&[0]);
    }
    let count = seen.entry(hash.0).or_default();
    *count = count.saturating_add(1);
    format!("{:016x}:{count}", hash.0)
}

/// The FNV-1a hash: the same in every version of this tool, which a `Hasher` of the standard library does not promise.
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    }
}

/// What is in the message too, for scripts.
fn properties(report: &Report, item: &Item<'_>) -> Map<String, Value> {
    let texts = [("module", Some(report.name.as_str())), ("kernel", Some(report.kernel.as_str()))];
    let texts = texts.into_iter().chain([("event", item.event), ("errno", item.errno)]);
    let texts = texts.filter_map(|(key, text)| Some((key.to_owned(), json!(text?))));
    let numbers =
        item.numbers.iter().map(|(name, number)| (name.replace(' ', "_"), json!(format!("{number:#x}"))));
    texts.chain(numbers).collect()
}

/// What a reader should know of the run, about one of the files.
fn notification(report: &Report, note: &str) -> Value {
    json!({
        "level": "note",
        "message": { "text": shorten(capital(&items::sentence(note)), MESSAGE) },
        "locations": [location(report, None)],
    })
}

/// With a capital letter and a full stop, as SARIF has its sentences.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let stop = if text.ends_with(['.', '?']) { "" } else { "." };
    first.into_iter().chain(characters).chain(stop.chars()).collect()
}

#[cfg(test)]
mod tests;
