//! Reports as SARIF 2.1.0, the OASIS standard for results of static analysis, for GitHub and
//! GitLab.
//!
//! A module has no lines, but GitHub requires a region with a line. Therefore each result is on
//! line 1 of its file, as is usual for binary files. The logical locations and the message have the
//! real location.

use crate::diagnostics::{self, Diagnostic, KernelRule, level, printable, sentence};
use crate::simulate::report::Report;
use crate::view::location::{Location, short};
use crate::view::names::shorten;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use relakit_linux::findings::{Lint, Severity};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Most bytes of a message. GitLab skips results with more than 1024.
const MESSAGE: usize = 1000;

/// Characters that are encoded in a path (RFC 3986, 2.3). An unencoded colon would end a scheme.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

#[derive(Serialize)]
pub(crate) struct Log<'r> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'r>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'r> {
    tool: Value,
    column_kind: &'static str,
    #[serde(serialize_with = "stream")]
    results: RefCell<Box<dyn Iterator<Item = Value> + 'r>>,
    /// The notes are complete after all results were written.
    #[serde(serialize_with = "invocations")]
    invocations: Rc<RefCell<Vec<Value>>>,
}

impl<'r> Log<'r> {
    /// All reports as one run. Each report is written before the next one is made.
    pub(crate) fn new(reports: &'r mut dyn Iterator<Item = Report>) -> Self {
        let notes: Rc<RefCell<Vec<Value>>> = Rc::default();
        let invocations = Rc::clone(&notes);
        // How often each fingerprint occurred.
        let mut seen = BTreeMap::new();
        let results = reports.flat_map(move |report| {
            let all = diagnostics::all(&report).map(|item| result(&report, &item, &mut seen));
            let results: Vec<_> = all.collect();
            let of_report = report.notes.iter().map(|note| notification(&report, note));
            notes.borrow_mut().extend(of_report);
            results
        });
        let driver = json!({
            "name": "relakit",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "rules": rules(),
        });
        let run = Run {
            tool: json!({ "driver": driver }),
            column_kind: "utf16CodeUnits",
            results: RefCell::new(Box::new(results)),
            invocations,
        };
        Self { schema: SCHEMA, version: "2.1.0", runs: [run] }
    }
}

fn stream<'r, S: Serializer>(
    values: &RefCell<Box<dyn Iterator<Item = Value> + 'r>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(&mut *values.borrow_mut())
}

fn invocations<S: Serializer>(notes: &Rc<RefCell<Vec<Value>>>, serializer: S) -> Result<S::Ok, S::Error> {
    json!([{ "executionSuccessful": true, "toolExecutionNotifications": *notes.borrow() }])
        .serialize(serializer)
}

/// All rules. `ruleIndex` is the index in this list.
fn rules() -> Vec<Value> {
    let text = |text: &'static std::ffi::CStr| text.to_str().unwrap_or_default();
    let kernel = KernelRule::ALL
        .iter()
        .map(|it| (it.name(), format!("{it:?}"), it.severity(), it.message(), it.help()));
    let findings = Lint::ALL
        .iter()
        .map(|it| (it.name(), format!("{it:?}"), it.severity(), text(it.message()), text(it.help())));
    let rule = |(id, name, severity, message, help): (&str, String, _, &str, &str)| {
        let page = diagnostics::page(id);
        json!({
            "id": id,
            "name": name,
            "shortDescription": { "text": capital(message) },
            "fullDescription": { "text": format!("{} {}", capital(message), capital(help)) },
            "help": { "text": capital(help), "markdown": format!("{}\n\n[{id}]({page})", capital(help)) },
            "helpUri": page,
            "defaultConfiguration": { "level": level(severity) },
            // As in CodeQL: a "recommendation" is not a problem yet.
            "properties": { "tags": ["linux", "livepatch"], "precision": "high", "problem.severity": match severity {
                Severity::Info => "recommendation",
                Severity::Warning | Severity::Error => level(severity),
            } },
        })
    };
    kernel.chain(findings).map(rule).collect()
}

fn result(report: &Report, item: &Diagnostic, seen: &mut BTreeMap<u64, u64>) -> Value {
    let related = item.other.as_ref().map(|(what, other)| {
        let mut location = location(report, Some(other));
        location.insert("message".to_owned(), json!({ "text": capital(what) }));
        location
    });
    json!({
        "ruleId": item.rule,
        "ruleIndex": names().position(|name| Some(name) == item.rule),
        "level": level(item.severity),
        "message": { "text": message(item) },
        "locations": [location(report, item.location.as_ref())],
        "relatedLocations": Vec::from_iter(related),
        "partialFingerprints": { "primaryLocationLineHash": fingerprint(report, item, seen) },
        "properties": properties(report, item),
    })
}

fn names() -> impl Iterator<Item = &'static str> {
    KernelRule::ALL.iter().map(|rule| rule.name()).chain(Lint::ALL.iter().map(|rule| rule.name()))
}

/// Everything that the text format prints, in one line, because GitHub shows little else.
fn message(item: &Diagnostic) -> String {
    let mut parts = Vec::new();
    parts.extend(item.module.as_ref().map(|module| format!("module {}", short(&printable(module)))));
    let location = item.location.as_ref().map(Location::to_string);
    parts.extend(location.filter(|location| !location.is_empty()));
    parts.extend(item.facts());
    let message = match parts.is_empty() {
        true => sentence(&item.message),
        false => format!("{}: {}", sentence(&item.message), parts.join(", ")),
    };
    let help = item.help.as_ref().map(|help| format!(" {}", capital(help))).unwrap_or_default();
    shorten(format!("{}{help}", capital(&message)), MESSAGE)
}

fn location(report: &Report, location: Option<&Location>) -> Map<String, Value> {
    let physical = json!({
        "artifactLocation": { "uri": uri(&report.file) },
        "region": { "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1 },
    });
    let logical = json!(location.map(logical).unwrap_or_default());
    Map::from_iter([("physicalLocation".to_owned(), physical), ("logicalLocations".to_owned(), logical)])
}

/// The section, the relocation and its symbol.
fn logical(location: &Location) -> Vec<Value> {
    let mut locations = Vec::new();
    let section = location.section.map(|index| match &location.section_name {
        Some(name) => format!("{index} {name}"),
        None => index.to_string(),
    });
    if let Some(section) = &section {
        let name = location.section_name.as_ref().unwrap_or(section);
        locations.push(json!({ "name": name, "fullyQualifiedName": section, "kind": "section" }));
    }
    if let (Some(section), Some(entry)) = (&section, location.entry) {
        let whole = format!("{section}, entry {entry}");
        locations
            .push(json!({ "name": entry.to_string(), "fullyQualifiedName": whole, "kind": "relocation" }));
    }
    if let Some(index) = location.symbol {
        let name = location.symbol_name.clone().unwrap_or_default();
        let whole = format!("symbol {index} {name}");
        locations.push(json!({ "name": name, "fullyQualifiedName": whole.trim_end(), "kind": "symbol" }));
    }
    locations
}

/// A relative path remains relative. GitHub takes it as relative to the root of the repository.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let path = path.strip_prefix("./").unwrap_or(path);
    format!("{scheme}{}", utf8_percent_encode(path, ENCODED))
}

/// Identifies a result across builds, in which sections and entries have other numbers. Results
/// that differ only in these numbers are counted.
fn fingerprint(report: &Report, item: &Diagnostic, seen: &mut BTreeMap<u64, u64>) -> String {
    let location = item.location.clone().unwrap_or_default();
    let names = [location.section_name, location.r_type, location.target_name, location.symbol_name];
    let parts = [Some(report.name.as_str()), item.rule, item.module.as_deref(), item.event.as_deref()];
    let mut hash = Fnv1a::default();
    for part in parts.map(|part| part.map(str::to_owned)).into_iter().chain(names) {
        hash.add(part.unwrap_or_default().as_bytes());
        hash.add(&[0]);
    }
    let count = seen.entry(hash.0).or_default();
    *count = count.saturating_add(1);
    format!("{:016x}:{count}", hash.0)
}

/// The FNV-1a hash. It is the same in all versions of this tool; the standard library's hashes may
/// change.
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

/// Parts of the message, for scripts.
fn properties(report: &Report, item: &Diagnostic) -> Map<String, Value> {
    let texts = [("module", Some(report.name.as_str())), ("kernel", Some(report.kernel.as_str()))];
    let texts = texts.into_iter().chain([("event", item.event.as_deref()), ("errno", item.errno)]);
    let texts = texts.filter_map(|(key, text)| Some((key.to_owned(), json!(text?))));
    let numbers =
        item.numbers.iter().map(|(name, number)| (name.replace(' ', "_"), json!(format!("{number:#x}"))));
    texts.chain(numbers).collect()
}

/// A note about one of the files.
fn notification(report: &Report, note: &str) -> Value {
    json!({
        "level": "note",
        "message": { "text": shorten(capital(&sentence(note)), MESSAGE) },
        "locations": [location(report, None)],
    })
}

/// Adds a capital letter and a full stop, as SARIF requires.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let stop = if text.ends_with(['.', '?']) { "" } else { "." };
    first.into_iter().chain(characters).chain(stop.chars()).collect()
}

#[cfg(test)]
mod tests;
