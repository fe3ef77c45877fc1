//! `parse`: any bytes as a module, by one kind of loader's rules; then everything that can be asked
//! is asked, and the answers must agree with one another and with the file.

use relakit::abi::{RELA_SIZE, SHDR_SIZE, SHT_NOBITS, SHT_NULL};
use relakit::arch::type_name;
use relakit::elf::{NAME_MAX, Object, RelaTable, Section, SymbolLocation};
use relakit::klp::SymName;
use relakit::{Class, Error, ErrorKind, Module, Objects, Profile};
use relakit_linux::special::{self, ReadAt, Special};
use relakit_model::class::check_class;
use relakit_model::file as model;

/// The first byte is the profile, the others are the file.
pub fn run(data: &[u8]) {
    let Some((profile, file)) = data.split_first() else { return };
    let profile = crate::profiles::of(*profile);
    let object = Object::parse(file);
    match &object {
        Ok(object) => whole(object),
        Err(error) => told(error, file),
    }
    match Module::parse(file, profile) {
        Ok(module) => {
            whole(module.object());
            let model = model::Module::read(file, (&profile).into());
            assert_eq!(model.refusal(), None, "accepted");
            classes(&module, &model);
        }
        Err(error) => {
            told(&error, file);
            let is_of_copy = matches!(
                error.kind,
                ErrorKind::RelocationsTooLarge | ErrorKind::SharedBytes | ErrorKind::NullOutside
            );
            if let (Ok(object), true) = (&object, is_of_copy) {
                let model = model::Module::read(object.bytes(), (&profile).into());
                assert_eq!(model.refusal(), Some((error.kind, error.section)));
            }
        }
    }
}

/// A fault can be told, and names what there is room for; of the section names the header may say
/// anything.
fn told(error: &Error, file: &[u8]) {
    assert!(!error.to_string().is_empty());
    let room = file.len() / SHDR_SIZE;
    let is_there = |section: u32| (section as usize) < room || error.kind == ErrorKind::BadNameTable;
    assert!(error.section.is_none_or(is_there), "{error}");
}

fn is_inside(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty()
        || whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= whole.as_ptr_range().end
}

fn whole(object: &Object<'_>) {
    let file = object.bytes();
    let mut count = 0;
    for (index, section) in object.sections() {
        assert_eq!((index, object.section(index)), (count, Some(section)));
        count += 1;
        if index == 0 {
            continue;
        }
        content(object, &section);
        let name = object.section_name(&section);
        assert!(is_inside(name, file) && name.len() <= NAME_MAX + 1 && !name.contains(&0));
        let whole = text(object, &section).map(|name| &name[..name.len().min(NAME_MAX + 1)]);
        assert!(Some(name) == whole || section.sh_type == SHT_NULL);
        if let Some(special) = special::by_name(name) {
            assert_eq!(special.name.as_bytes(), name);
            special_section(special);
        }
    }
    assert_eq!(count, object.section_count());
    assert_eq!(object.section(count), None);
    symbols(object);
}

/// In every version it is read at one time or never, and once among those that are read when the
/// module is made ready.
fn special_section(special: &'static Special) {
    for profile in Profile::LINUX {
        let version = profile.since;
        let first_read = special.first_read(version);
        assert_eq!(first_read.is_some(), special.is_read_by(version));
        assert!(special.entry_size(version).is_none_or(|size| size != 0));
        let in_order = special::finalize_order(version).filter(|other| *other == special).count();
        // What is copied by another's reader has no place of its own.
        let has_place = first_read == Some(ReadAt::Finalize) && special.name != ".altinstr_replacement";
        assert_eq!(in_order, usize::from(has_place), "{special:?} in {version:?}");
    }
}

/// The name up to its NUL, where the header says.
fn text<'f>(object: &Object<'f>, section: &Section) -> Option<&'f [u8]> {
    let names = match object.names_section() {
        0 => &b"\0"[..],
        index => object.section_bytes(&object.section(index)?),
    };
    let tail = names.get(section.sh_name as usize..)?;
    tail.contains(&0).then(|| tail.split(|byte| *byte == 0).next())?
}

/// The content is where the header says, and has whole relocations and a rest.
fn content(object: &Object<'_>, section: &Section) {
    let (file, bytes) = (object.bytes(), object.section_bytes(section));
    if matches!(section.sh_type, SHT_NOBITS | SHT_NULL) {
        assert!(bytes.is_empty());
        return;
    }
    assert_eq!(bytes.len() as u64, section.sh_size);
    assert!(bytes.is_empty() || is_inside(bytes, &file[section.sh_offset as usize..]));
    let (table, rest) = RelaTable::whole_entries(bytes);
    assert_eq!(table.len() * RELA_SIZE + rest, bytes.len());
    assert_eq!(RelaTable::new(bytes).is_ok(), rest == 0);
    assert_eq!(table.iter().len(), table.len());
    for (entry, rela) in bytes.chunks_exact(RELA_SIZE).zip(table.iter()) {
        assert_eq!(rela.to_bytes(), entry, "nothing of a relocation is lost");
        let _ = type_name(rela.r_type);
    }
    assert_eq!(table.get(table.len()), None);
    assert_eq!(table.is_empty(), table.get(0).is_none());
}

fn symbols(object: &Object<'_>) {
    let table = object.symbols();
    assert_eq!(table.is_empty(), table.get(0).is_none());
    assert_eq!(table.get(table.len()), None);
    for index in 0..table.len() {
        let symbol = table.get(index).expect("fewer than there are");
        match table.name(&symbol) {
            Ok(name) => {
                assert!(
                    is_inside(name, table.strings().bytes())
                        && name.len() <= NAME_MAX + 1
                        && !name.contains(&0)
                );
                assert_eq!(table.strings().name(symbol.st_name), Some(name));
            }
            Err(error) => assert_eq!((error.symbol, error.section), (Some(index), Some(table.section()))),
        }
        if let SymbolLocation::Section(section) = table.location(&symbol) {
            assert!((1..object.section_count()).contains(&section));
        }
        assert_eq!(symbol.binding().0, symbol.st_info >> 4);
    }
}

fn classes(module: &Module<'_>, model: &model::Module<'_>) {
    let sections = module.object().section_count();
    let mut late = Vec::new();
    for (index, class) in module.classes() {
        assert_eq!(module.class(index), Some(class));
        assert!(!class.reason.text().is_empty());
        assert_eq!(module.malformed(index).is_some(), matches!(class.class, Class::Malformed { .. }));
        check_class(model, index, class.class);
        if let Class::KlpLate { object, .. } = class.class {
            late.push(object);
        }
        if let Some(error) = module.malformed(index) {
            assert_eq!(error.section, Some(index));
        }
    }
    assert_eq!(module.class(sections), None);
    assert!(module.per_cpu_section().is_none_or(|section| section < sections));
    if let Ok(objects) = Objects::of(module) {
        assert!(late.iter().all(|object| objects.names().contains(object)));
    }
    names(module);
}

/// Livepatch symbols' names, by the rules of the module.
fn names(module: &Module<'_>) {
    let table = module.object().symbols();
    for index in 0..table.len() {
        let Some(symbol) = table.get(index) else { break };
        let Ok(name) = table.name(&symbol) else { continue };
        if let Some(parsed) = SymName::parse(name, module.profile()) {
            assert!(
                is_inside(parsed.object, name)
                    && is_inside(parsed.name, name)
                    && is_inside(parsed.rest, name)
            );
            assert!(parsed.name.len() <= module.profile().symbol_name_max);
        }
    }
}
