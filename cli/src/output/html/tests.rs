use super::{POLICY, Picture, SCRIPT, STYLE, render, without_picture};
use crate::input::kernel::Kernel;
use crate::input::memory::Assigned;
use crate::output::samples::{self, step};
use crate::simulate::memory::ModuleMemory;
use crate::simulate::report::{FindingRow, NotJudged, Phase, Prediction, Report, Verdict};
use crate::simulate::resolved::Resolved;
use crate::view::ModuleView;
use crate::view::location::Location;
use base64::prelude::{BASE64_STANDARD, Engine};
use relakit::{Module, Profile};
use relakit_linux::findings::Lint;
use scraper::{Html, Selector};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const DEMO: &[u8] = include_bytes!("../../../demo/livepatch.ko");

/// A copy of the demo that a test changes.
struct Copy(Vec<u8>);

impl Copy {
    /// File offset of a section header.
    fn header(&self, section: usize) -> usize {
        usize::try_from(self.u64_at(40)).unwrap().wrapping_add(section.wrapping_mul(64))
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(*self.0[at..].first_chunk().unwrap())
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn content(&self, section: usize) -> Vec<u8> {
        let field = |at| usize::try_from(self.u64_at(self.header(section).wrapping_add(at))).unwrap();
        self.0[field(24)..][..field(32)].to_vec()
    }

    /// Replaces the content of a section. The new content is at the end of the file.
    fn set_content(&mut self, section: usize, content: &[u8]) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let header = self.header(section);
        let place = [self.0.len() as u64, content.len() as u64].map(u64::to_le_bytes);
        self.put(header.wrapping_add(24), place.as_flattened());
        self.0.extend_from_slice(content);
    }

    /// Adds a string to a string table, and returns its offset.
    fn add_string(&mut self, section: usize, text: &str) -> [u8; 4] {
        let mut strings = self.content(section);
        let place = u32::try_from(strings.len()).unwrap();
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        self.set_content(section, &strings);
        place.to_le_bytes()
    }
}

/// The page of a module, with or without the results of the passes.
fn rendered(file: &[u8], report: Option<&Report>, loaded: bool) -> String {
    let module = Module::parse(file, Profile::LINUX_DEFAULT).unwrap();
    let kernel = Kernel::new("6.12").unwrap();
    let view = ModuleView::new("some/livepatch.ko".to_owned(), &module, &kernel);
    let mut resolved = Resolved::default();
    if loaded {
        // Each section has its own pages. The test sets the displacement in the special section.
        let assigned = |(index, _)| {
            (index, Assigned { address: u64::from(index).wrapping_mul(0x1000), symbols_at: None })
        };
        let sections = module.object().sections().map(assigned).collect();
        let mut memory = ModuleMemory::simulated(&module, &sections).unwrap();
        // The lock prefix is in the field of a late relocation.
        memory.set_bytes(9, &(0x1000i32 - 0x9000 + LOCK).to_le_bytes());
        let values: Vec<u64> =
            (0..module.object().symbols().len()).map(|index| 0xabc0_0000 + u64::from(index)).collect();
        resolved.early(&module, &memory, &values, (6, 12));
        resolved.coming("demo_disk", &values);
    }
    render(&Picture::new(&module, view, kernel.version, &resolved, report), report)
}

/// Offset of the lock prefix in .text, where tests put one.
const LOCK: i32 = 0xd;

fn report(findings: Vec<FindingRow>) -> Report {
    Report { findings, ..samples::accepted() }
}

fn finding(location: Location) -> FindingRow {
    samples::row(Lint::LateIntoSpecial, location)
}

fn location(section: u32, entry: Option<u64>, target: Option<u32>, offset: Option<u64>) -> Location {
    Location { section: Some(section), entry, target, offset, ..Location::default() }
}

/// Parses a page, and checks what is true for all pages: valid HTML, unique anchors, links with a
/// target.
fn parsed(page: &str) -> Html {
    let html = Html::parse_document(page);
    assert_eq!(html.errors, Vec::<String>::new());
    let ids: Vec<&str> = attributes(&html, "[id]", "id");
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an anchor exists twice");
    for link in attributes(&html, "[href]", "href") {
        let anchor = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} leads outside"));
        assert!(unique.contains(anchor), "{link} leads nowhere");
    }
    html
}

fn attributes<'h>(html: &'h Html, selector: &str, name: &str) -> Vec<&'h str> {
    let selector = Selector::parse(selector).unwrap();
    html.select(&selector).filter_map(|element| element.attr(name)).collect()
}

fn texts(html: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    html.select(&selector).map(|element| element.text().collect::<String>()).collect()
}

fn share(text: &str) -> f64 {
    text.strip_suffix('%').unwrap().parse().unwrap()
}

#[test]
fn the_policy_allows_only_the_style_and_the_script_of_the_page() {
    for (what, text) in [("style", STYLE), ("script", SCRIPT)] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(text));
        assert!(POLICY.contains(&format!("{what}-src 'sha256-{hash}'")), "{what}: sha256-{hash}");
        // An end tag would end the element, and so change the hashed text.
        assert!(!text.contains("</"), "{what}");
    }
    assert!(POLICY.starts_with("default-src 'none';"));
    let page = rendered(DEMO, None, false);
    let html = parsed(&page);
    assert_eq!(texts(&html, "style"), [STYLE]);
    assert_eq!(texts(&html, "script"), [SCRIPT]);
    assert!(attributes(&html, "[style]", "style").is_empty());
    for attribute in ["src", "srcset", "data", "action", "xlink:href", "onclick", "onload"] {
        assert!(!page.contains(&format!(" {attribute}=")), "{attribute}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn the_page_has_the_whole_view_without_a_script() {
    let html = parsed(&rendered(DEMO, None, false));
    let names = texts(&html, "#sections ~ .scroll tbody th");
    assert_eq!(names.len(), 30);
    assert_eq!(names[26].trim(), ".klp.rela.demo_disk..text");
    assert_eq!(texts(&html, "#relocations ~ .scroll tbody tr").len(), 6);
    assert_eq!(texts(&html, ".object h3 .name"), ["vmlinux", "demo_disk"]);
    assert_eq!(texts(&html, "tr[id^=symbol-] th").len(), 5);
    let steps = texts(&html, ".phase h3");
    assert!(steps.iter().any(|step| step.contains("demo_disk is loaded")), "{steps:?}");
    assert!(texts(&html, ".banner").is_empty(), "inspect has no verdict");
}

#[test]
fn known_addresses_and_values_are_shown() {
    let html = parsed(&rendered(DEMO, None, true));
    assert!(texts(&html, "#symbol-22 td").contains(&"0xabc00016".to_owned()), "early");
    assert!(texts(&html, "#symbol-20 td").contains(&"0xabc00014".to_owned()), "late");
    assert!(texts(&html, "#section-3 td").contains(&"0x3000".to_owned()));
}

#[test]
fn names_from_the_file_are_text() {
    let evil = "<script>alert(1)</script>\"'&amp;\u{202e}</title>";
    let mut file = Copy(DEMO.to_vec());
    let (section, symbol) =
        (file.add_string(25, evil), file.add_string(24, &format!(".klp.sym.<b>x.{evil},0")));
    let (data, symbols) = (file.header(3), usize::try_from(file.u64_at(file.header(23) + 24)).unwrap());
    file.put(data, &section);
    file.put(symbols + 20 * 24, &symbol);
    let mut report = report(vec![finding(Location {
        section_name: Some(evil.to_owned()),
        symbol_name: Some(evil.to_owned()),
        symbol: Some(1),
        ..location(9999, Some(1), Some(8888), Some(1))
    })]);
    report.name = evil.to_owned();
    report.file = evil.to_owned();
    report.notes = vec![evil.to_owned()];
    report.load = Prediction::refused(Phase::Symbols, 2, evil.to_owned());
    report.steps = vec![step(&format!("coming:{evil}"), Prediction::default())];
    for page in [rendered(&file.0, Some(&report), true), without_picture(&report)] {
        let html = parsed(&page);
        assert_eq!(texts(&html, "script").len(), 1);
        assert_eq!(texts(&html, "b").len(), 0);
        assert_eq!(texts(&html, "head > title").len(), 1);
        assert!(html.root_element().text().any(|text| text.contains("alert(1)")));
    }
}

#[test]
fn findings_and_their_locations_link_to_each_other() {
    let findings = vec![
        finding(location(26, Some(1), Some(1), Some(0x20))),
        finding(location(2, Some(3), Some(1), Some(0x70))),
        finding(location(23, None, None, None)),
        finding(Location::default()),
        finding(location(4_000_000, Some(u64::MAX), Some(4_000_001), Some(u64::MAX))),
        FindingRow {
            other: Some(("other", location(28, Some(0), Some(3), Some(4)))),
            ..finding(location(16, None, None, None))
        },
    ];
    let html = parsed(&rendered(DEMO, Some(&report(findings)), true));
    for (number, links) in [
        (1, &["#section-26", "#site-26-1", "#section-1", "#map-1"][..]),
        (2, &["#section-2", "#site-2-3", "#map-1"]),
        (3, &["#section-23"]),
        (4, &[]),
        (5, &[]),
        (6, &["#section-16", "#map-16", "#section-28", "#site-28-0", "#map-3"]),
    ] {
        let found = attributes(&html, &format!("#finding-{number} a"), "href");
        assert!(links.iter().all(|link| found.contains(link)), "{number}: {found:?}");
        assert!(!links.is_empty() || found.is_empty(), "{number}: {found:?}");
    }
    for place in ["#site-26-1", "#map-1 h4", "#map-1 svg", "#section-26"] {
        assert!(attributes(&html, &format!("{place} a"), "href").contains(&"#finding-1"), "{place}");
    }
    assert!(!attributes(&html, "#site-2-3 a", "href").is_empty(), "an ordinary relocation has a row");
    assert_eq!(texts(&html, "article.card.error").len(), 6);
}

#[test]
fn the_page_has_the_verdict_the_errors_and_the_events() {
    let location = location(26, Some(0), Some(1), Some(8));
    let error = samples::error("Overflow", "value does not fit", location);
    let rejected = Prediction::refused(Phase::Relocation, 8, "overflow in type 11".to_owned());
    let coming =
        Prediction { phase: Some(Phase::Coming), errors: vec![error.clone()], ..Prediction::default() };
    let report = Report {
        load: Prediction { errors: vec![error.clone(), error], ..rejected },
        steps: vec![step("coming:demo_disk", coming)],
        ..report(Vec::new())
    };
    let html = parsed(&rendered(DEMO, Some(&report), false));
    let banner = texts(&html, ".banner.rejected").concat();
    assert!(banner.contains("Rejected with ENOEXEC, when relocations are applied"), "{banner}");
    assert_eq!(texts(&html, "#phase-relocation.rejected .end").len(), 1);
    assert_eq!(texts(&html, ".phase.rejected").len(), 1, "only one step");
    assert_eq!(texts(&html, "#errors ~ .errors > li").len(), 2);
    assert_eq!(texts(&html, "#event-1 .errors > li").len(), 1);
    assert!(attributes(&html, ".object a", "href").contains(&"#event-1"));
}

#[test]
fn the_banner_has_the_colour_of_the_worst_verdict_and_the_steps_in_order() {
    let step = |event, verdict| step(event, Prediction { verdict, ..Prediction::default() });
    let error = || vec![finding(Location::default())];
    for (findings, verdict, colour) in [
        (Vec::new(), Verdict::Accepted, "accepted"),
        (error(), Verdict::Accepted, "not-judged"),
        (Vec::new(), Verdict::NotJudged, "not-judged"),
        (error(), Verdict::Rejected, "rejected"),
        (Vec::new(), Verdict::Unsafe, "unsafe"),
    ] {
        let mut report = report(findings);
        report.steps = vec![step("coming:a", verdict), step("live:b", Verdict::Accepted)];
        let html = parsed(&rendered(DEMO, Some(&report), false));
        assert_eq!(attributes(&html, ".banner", "class"), [format!("banner {colour}")]);
        assert_eq!(attributes(&html, ".steps a", "href"), ["#event-2", "#load", "#event-1"]);
    }
}

#[test]
fn sections_are_as_wide_as_they_are_large() {
    let html = parsed(&rendered(DEMO, None, false));
    let module = Module::parse(DEMO, Profile::LINUX_DEFAULT).unwrap();
    let mut scales = Vec::new();
    for (index, section) in module.object().sections().filter(|(_, section)| section.sh_size > 3) {
        let widths = attributes(&html, &format!("#at-{index}"), "width");
        assert_eq!(!widths.is_empty(), module.is_allocated(index), "section {index}");
        scales.extend(widths.into_iter().map(|width| share(width) / section.sh_size as f64));
    }
    let (least, most) = scales.iter().fold((f64::MAX, 0f64), |(a, b), &scale| (a.min(scale), b.max(scale)));
    assert!(scales.len() > 10 && most / least < 1.002, "{least} {most}");
    // In a section's own map: .klp.rela.demo_disk..data writes 8 bytes of the 0x560 of .data.
    let widths = attributes(&html, "#map-3 rect.late", "width");
    assert!(widths.len() == 1 && (share(widths[0]) - 800.0 / 1376.0).abs() < 0.01, "{widths:?}");
}

#[test]
fn only_a_late_relocation_of_rewritten_code_is_marked() {
    let quiet = parsed(&rendered(DEMO, None, false));
    assert!(texts(&quiet, "path.clash, tr.clash").is_empty());
    let module = Module::parse(DEMO, Profile::LINUX_DEFAULT).unwrap();
    let section = module.object().section(26).unwrap();
    let table = relakit::elf::RelaTable::new(module.object().section_bytes(&section)).unwrap();
    let hit = table.iter().position(|rela| (0..4).contains(&(i64::from(LOCK) - rela.r_offset.cast_signed())));
    let hit = hit.expect("the lock prefix is in a late field");
    let html = parsed(&rendered(DEMO, None, true));
    let row = texts(&html, "tr.clash");
    assert_eq!(row.len(), 1, "{row:?}");
    assert!(row[0].contains("alternatives_smp_module_add"), "{row:?}");
    assert_eq!(attributes(&html, "tr.clash", "id"), [format!("site-26-{hit}")]);
    let marks = attributes(&html, "#map-1 a:has(path.clash)", "href");
    assert_eq!(marks, [format!("#site-26-{hit}")]);
}

#[test]
fn late_relocations_of_a_section_that_was_read_before_are_marked() {
    let mut file = Copy(DEMO.to_vec());
    let target = file.header(28) + 44;
    file.put(target, &16u32.to_le_bytes());
    let html = parsed(&rendered(&file.0, None, false));
    assert_eq!(attributes(&html, "tr.clash[id]", "id").len(), 1);
    assert!(texts(&html, ".phase tr.clash").concat().contains("too late"));
}

#[test]
fn what_is_not_judged_is_in_the_banner_and_a_function_in_its_table() {
    let mut report = samples::accepted();
    let (what, give) = ("loop (4 relocations)".to_owned(), "give --target loop=FILE.ko".to_owned());
    report.not_judged.push(NotJudged { what, give, is_object: true });
    let html = rendered(DEMO, Some(&report), false);
    assert!(
        html.contains("but not all of it is judged") && html.contains("give --target loop=FILE.ko"),
        "{html}"
    );
    assert!(html.contains("Replaced functions") && html.contains("new_diskstats_show"), "{html}");
}

#[test]
fn a_page_stays_small_however_many_relocations_there_are() {
    let mut file = Copy(DEMO.to_vec());
    file.set_content(1, &vec![0; 4 << 20]);
    for table in [2, 26, 27] {
        let first = file.content(table)[8..24].to_vec();
        let entry = |number: u64| [&(number * 40).to_le_bytes()[..], &first].concat();
        file.set_content(table, &(0..100_000).flat_map(entry).collect::<Vec<_>>());
    }
    let page = rendered(&file.0, None, false);
    assert!(page.len() < 1_000_000, "{}", page.len());
    let html = parsed(&page);
    assert!(texts(&html, "#map-1").concat().contains("100\u{202f}000"));
}
