//! Every finding is of a rule of the table and about something that is there; found twice, it is
//! the same.

use crate::module::mutated::Hashed;
use relakit::abi::RELA_SIZE;
use relakit::elf::{Symbol, SymbolLocation};
use relakit::klp::SymName;
use relakit::{CallbackError, Class, FailsAt, Loaded, Module, Resolver};
use relakit_linux::findings::{Finding, LateField, Lint, Sorted};
use relakit_linux::loader_check::{LoaderCheck, LoaderFinding};
use relakit_linux::patch::{self, NoTree, Place, Text};
use relakit_linux::special::{self, Role, Version};
use relakit_linux::{findings, loader_check};
use relakit_model::world::{Answers, Names, World};

/// Exports nothing, and has no symbols either.
struct Nobody;

impl Resolver for Nobody {
    fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(None)
    }
}

/// Everything that the file tells.
pub(super) fn of(module: &Module<'_>, version: Version, names: &mut Names<'_, Hashed>) -> Vec<Finding> {
    let found = file(module, version);
    assert_eq!(file(module, version), found, "findings of the file");
    let mut left = found.clone();
    for index in 1..=module.object().section_count() {
        let mut one = |finding: Finding| {
            assert_eq!(finding.section, Some(index));
            let at = left.iter().position(|other| *other == finding);
            left.swap_remove(at.unwrap_or_else(|| panic!("of the section only: {finding:?}")));
        };
        findings::section(module, index, version, &mut one);
    }
    let needs_more =
        |rule| matches!(rule, Lint::SharedSymbol | Lint::ObjectNotPatched | Lint::ObjectNameCase);
    for finding in left {
        assert!(finding.section.is_none() || needs_more(finding.lint), "not of the section: {finding:?}");
    }
    found.iter().for_each(|finding| is_there(module, finding));
    positions(module, names);
    findings::sympos(module, &mut Nobody, &mut |finding| panic!("of symbols that nobody has: {finding:?}"));
    loader(module);
    tree(module);
    found
}

/// Most objects of a tree, and most functions of an object, that are looked at.
const MOST: usize = 64;

/// The tree of a livepatch is in the file, and a list does not go on beyond its section.
fn tree(module: &Module<'_>) {
    let mut pointers: Vec<_> = patch::pointers(module).collect();
    pointers.sort_unstable();
    let found = patch::find(module, &pointers);
    assert_eq!(found.is_err_and(|why| why == NoTree::NotCalled), !loader_check::enables_patch(module));
    let Ok(tree) = found else { return };
    let size = |place: Place| {
        let section = module.object().section(place.section).expect("a place is in a section");
        module.object().section_bytes(&section).len() as u64
    };
    for object in tree.objects().take(MOST) {
        assert!(object.place().offset < size(object.place()), "{object:?}");
        let mut last: Option<Place> = None;
        for func in object.funcs().take(MOST) {
            assert!(func.place.offset < size(func.place), "{func:?}");
            assert!(
                last.is_none_or(|last| last.section == func.place.section && last.offset < func.place.offset)
            );
            last = Some(func.place);
            if let Text::Known(name) = func.old_name {
                assert!(name.len() <= 1024 && !name.contains(&0));
            }
        }
    }
    assert!(tree.states().take(MOST).all(|(id, _)| id != 0));
}

fn file(module: &Module<'_>, version: Version) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut scratch = vec![u64::MAX; findings::scratch_len(module)];
    findings::file(module, version, &mut scratch, &mut |finding| found.push(finding))
        .expect("scratch is long enough");
    found
}

/// Section, entry, symbol and the other place exist; numbers without a name are 0; texts are texts.
pub(super) fn is_there(module: &Module<'_>, finding: &Finding) {
    let object = module.object();
    let (rule, sections) = (finding.lint, object.section_count());
    assert!(Lint::ALL.contains(&rule), "{finding:?}");
    assert!(!rule.name().is_empty() && !rule.message().is_empty() && !rule.help().is_empty(), "{finding:?}");
    assert!(["info", "warning", "error"].contains(&rule.severity().name()), "{finding:?}");
    let numbers = [finding.offset, finding.value, finding.limit];
    for (name, number) in rule.field_c_names().iter().zip(numbers) {
        assert!(!name.is_empty() || number == 0, "{finding:?}");
    }
    assert!(finding.section.is_some() || finding.symbol.is_some(), "about nothing: {finding:?}");
    assert!(finding.section.is_none_or(|index| 0 < index && index < sections), "{finding:?}");
    assert!(finding.symbol.is_none_or(|index| index < object.symbols().len()), "{finding:?}");
    assert_eq!(finding.other_section.is_some(), !rule.other_c_name().is_empty(), "{finding:?}");
    assert!(finding.other_section.is_none_or(|index| index < sections), "{finding:?}");
    assert!(finding.other_entry.is_none() || finding.other_section.is_some(), "{finding:?}");
    if let Some(entry) = finding.entry {
        let section = object.section(finding.section.expect("an entry is of a section")).unwrap();
        let bytes = object.section_bytes(&section);
        let at = usize::try_from(entry).unwrap() * RELA_SIZE;
        let rela = bytes.get(at..at + RELA_SIZE).unwrap_or_else(|| panic!("{finding:?}"));
        assert_eq!(finding.offset.to_le_bytes(), rela[..8], "{finding:?}");
        let symbol = u32::from_le_bytes(rela[12..16].try_into().unwrap());
        assert!(finding.symbol.is_none_or(|index| index == symbol), "{finding:?}");
    }
}

/// What is found about positions is what counting finds.
fn positions(module: &Module<'_>, names: &mut Names<'_, Hashed>) {
    let mut found = Vec::new();
    findings::sympos(module, names, &mut |finding| found.push(finding));
    found.iter().for_each(|finding| is_there(module, finding));
    let table = module.object().symbols();
    let expected = (1..table.len()).filter_map(|index| {
        let symbol: Symbol = table.get(index)?;
        let text = table.name(&symbol).ok()?;
        let name = SymName::parse(text, module.profile())
            .filter(|_| table.location(&symbol) == SymbolLocation::Livepatch)?;
        let count =
            (0..10).take_while(|at| names.answers.nth_symbol(name.object, name.name, *at).is_some()).count();
        let (rule, value, limit) = match (name.sympos, count) {
            (0, 2..) => (Lint::SymposMissing, 0, count as u64),
            (1.., 1) => (Lint::SymposNotNeeded, name.sympos, 0),
            _ => return None,
        };
        Some((rule, Some(index), value, limit))
    });
    let found = found.iter().map(|finding| (finding.lint, finding.symbol, finding.value, finding.limit));
    assert!(found.eq(expected), "positions");
}

/// The loader's other rules.
fn loader(module: &Module<'_>) {
    let object = module.object();
    let name =
        |index: u32| object.section(index).map(|section| object.section_name(&section)).unwrap_or_default();
    let mut sorted: Vec<u32> = (0..object.section_count()).collect();
    sorted.sort_by_key(|index| name(*index));
    let mut found: Vec<LoaderFinding> = Vec::new();
    loader_check::loader(module, &mut |fault| found.push(fault));
    let first = found.len();
    loader_check::same_names(module, &sorted, &mut |fault| found.push(fault));
    for (number, LoaderFinding { check: rule, section, .. }) in found.into_iter().enumerate() {
        assert!(rule.is_of(module.profile()) && rule.errno() > 0 && !rule.message().is_empty(), "{rule:?}");
        assert!(section.is_none_or(|index| index < object.section_count()), "{rule:?}");
        assert_eq!(number >= first, rule == LoaderCheck::SameName);
        if let (LoaderCheck::SameName, Some(index)) = (rule, section) {
            assert!((0..object.section_count()).any(|other| other != index && name(other) == name(index)));
        }
    }
    assert!(loader_check::modinfo(module, b"livepatch").is_none_or(|value| !value.contains(&0)));
    assert!(loader_check::module_name(module).is_none_or(|name| (1..=56).contains(&name.len())));
    for (index, class) in module.classes() {
        if let Class::KlpLate { object, .. } | Class::Malformed { fails: FailsAt::Coming(object), .. } =
            class.class
        {
            assert!(!findings::patches(module, object) || loader_check::enables_patch(module));
        }
        module.malformed(index).iter().for_each(|error| super::told(error, module.profile()));
    }
}

/// What is wrong with entries of special sections: found twice, it is the same, and it is about a
/// section that kernels of this version read.
pub(super) fn of_entries(loaded: &Loaded<'_>, world: &mut World<'_>, version: Version) {
    let module = loaded.module();
    let mut places: Vec<_> = special::places(module, world).collect();
    places.sort_unstable();
    let mut fields: Vec<_> = findings::fields(module).collect();
    fields.sort_unstable();
    let mut thunk_sites = Vec::new();
    findings::thunk_sites(loaded, world, version, &mut |site| thunk_sites.push(site));
    thunk_sites.sort_unstable();
    let sorted = Sorted { places: &places, fields: &fields, thunk_sites: &thunk_sites };
    let mut entries = || {
        let mut defects = Vec::new();
        findings::entries(loaded, world, version, sorted, &mut |defect| defects.push(defect));
        defects
    };
    let found = entries();
    assert_eq!(entries(), found);
    for defect in found {
        assert!(!defect.then.is_empty(), "{defect:?}");
        assert!(
            defect.special.is_read_by(version) || defect.finding.lint == Lint::ThunkNotListed,
            "{defect:?}"
        );
    }
}

/// Late fields in code that is rewritten: those that share a byte with a site of a special section.
pub(super) fn of_rewritten(loaded: &Loaded<'_>, world: &mut World<'_>, version: Version) {
    let module = loaded.module();
    let mut sorted: Vec<LateField> = findings::late_fields(module, world).collect();
    sorted.sort_unstable();
    let mut found = Vec::new();
    findings::rewritten(loaded, world, version, &sorted, &mut |finding| found.push(finding));
    found.iter().for_each(|finding| is_there(module, finding));
    // By two loops, where they are short.
    let sections = (0..module.object().section_count()).zip(&world.spots);
    let specials = sections
        .filter_map(|(index, spot)| Some((index, spot, relakit_linux::special::of_section(loaded, index)?)));
    assert!(
        relakit_linux::special::in_memory(loaded)
            .eq(specials.clone().map(|(index, _, special)| (index, special)))
    );
    if sorted.len() > 64 || specials.clone().any(|(_, spot, _)| spot.bytes.len() > 2048) {
        return;
    }
    let mut expected = Vec::new();
    for (index, spot, special) in
        specials.filter(|(_, spot, special)| spot.is_placed && special.is_read_by(version))
    {
        let sites = special::sites(special, version, &spot.bytes, spot.address);
        assert!(sites.left_over() <= spot.bytes.len());
        for site in sites {
            for LateField { address, field } in sorted.iter().filter(|_| site.role != Role::Call) {
                let target = module.object().section(field.target).unwrap();
                let at = field.offset.wrapping_add(site.address.wrapping_sub(*address));
                let code =
                    usize::try_from(at).ok().and_then(|at| module.object().section_bytes(&target).get(at..));
                let size = site.size_in(code.unwrap_or_default());
                let (field_at, site_at) = (i128::from(*address), i128::from(site.address));
                if size != 0
                    && field_at < site_at + i128::from(size)
                    && site_at < field_at + i128::from(field.size)
                {
                    expected.push((field.section, field.entry, index, site.entry, site.address, size));
                }
            }
        }
    }
    let numbers = |finding: Finding| {
        let [section, other] = [finding.section, finding.other_section].map(Option::unwrap);
        let [entry, other_entry] = [finding.entry, finding.other_entry].map(Option::unwrap);
        (section, entry, other, other_entry, finding.value, finding.limit)
    };
    let mut found: Vec<_> = found.into_iter().map(numbers).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "code that is rewritten");
}
