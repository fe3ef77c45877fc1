//! `classify`: names of sections and symbols against a slow reader of `sscanf` formats, and what a section is to a loader
//! against the conditions as Linux has them one after the other (Linux semantics 1, 5, 6, 10, 15).

mod loader;
mod scan;

use loader::{Expected, Subject};
use relakit::klp::{RelaName, SymName};
use relakit::{Class, FailsAt, Module, Profile};
use scan::{Item, scan};

/// The formats, up to the width of a symbol's name.
const SECTION: &[Item] = &[Item::Text(b".klp.rela."), Item::Until(b'.', 55)];

fn symbol_format(profile: &Profile) -> [Item; 6] {
    let width = if profile.since == (0, 0) || profile.since >= (6, 1) { 511 } else { 127 };
    [
        Item::Text(b".klp.sym."),
        Item::Until(b'.', 55),
        Item::Text(b"."),
        Item::Until(b',', width),
        Item::Text(b","),
        Item::Number,
    ]
}

/// A name, and a section that bears it.
pub fn run(data: &[u8]) {
    const PREFIXES: [&[u8]; 4] = [b"", b".klp.rela.", b".klp.sym.", b".klp.arch."];
    const MOST: usize = 700;
    let Some((&[profile, flags, kind, info, size, prefix], text)) = data.split_first_chunk() else { return };
    let profile = crate::profiles::of(profile);
    let mut name = [0; MOST];
    let prefix = PREFIXES[usize::from(prefix) % PREFIXES.len()];
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = &text[..text.len().min(MOST - prefix.len())];
    let length = prefix.len() + text.len();
    name[..prefix.len()].copy_from_slice(prefix);
    name[prefix.len()..length].copy_from_slice(text);
    let name = &name[..length];

    section_name(name);
    symbol_name(name, &profile);
    let subject = Subject::new(name, flags, kind, info, size);
    let mut file = [0; loader::MOST];
    let file = subject.file(&mut file);
    let module = Module::parse(file, profile).unwrap_or_else(|error| panic!("{error}"));
    let class = module.class(loader::SUBJECT).expect("it is there").class;
    assert_eq!(expected(class), subject.judge(&profile), "{subject:?}");
}

fn section_name(name: &[u8]) {
    let slow = scan(SECTION, name);
    let quick = RelaName::parse(name);
    assert_eq!(quick.map(|name| (name.object, name.rest)), slow.all([1]).map(|[object]| (object, slow.rest)));
    if let Some(quick) = quick {
        let whole = [b".klp.rela.", quick.object, quick.rest];
        assert!(whole.iter().flat_map(|part| part.iter()).eq(name), "no byte is lost");
        assert_eq!(quick.is_cut(), !quick.rest.is_empty() && quick.rest[0] != b'.');
        let target = quick.rest.split_first().map(|(_, target)| target);
        let by_convention = !quick.is_cut() && target.is_some_and(|target| !target.is_empty());
        assert_eq!(quick.section(), target.filter(|_| by_convention));
    }
}

fn symbol_name(name: &[u8], profile: &Profile) {
    let slow = scan(&symbol_format(profile), name);
    let quick = SymName::parse(name, profile);
    let texts = quick.map(|name| (name.object, name.name, name.rest));
    assert_eq!(texts, slow.all([1, 3, 5]).map(|[object, name, _]| (object, name, slow.rest)));
    if let (Some(quick), Some([_, _, digits])) = (quick, slow.all([1, 3, 5])) {
        let saturates = profile.since == (0, 0) || profile.since >= (7, 2);
        assert_eq!(quick.sympos, scan::number(digits, saturates));
    }
}

/// What of a class Linux's conditions tell.
fn expected(class: Class<'_>) -> Expected<'_> {
    match class {
        Class::Ordinary { target } => Expected::Ordinary(target),
        Class::KlpEarly { target } => Expected::Early(target),
        Class::KlpLate { object, target } => Expected::Late(object, target),
        Class::NotRelocation => Expected::Nothing,
        Class::LegacyArch => Expected::Arch,
        Class::Skipped => Expected::Skipped,
        Class::Malformed { fails: FailsAt::Load, .. } => Expected::FailsLoad,
        Class::Malformed { fails: FailsAt::AnyComing, .. } => Expected::FailsAnyComing,
        Class::Malformed { fails: FailsAt::Coming(object), .. } => Expected::FailsComing(object),
        other => panic!("{other:?}"),
    }
}
