//! The addresses of sections, in the formats of `--place`.

use super::files::{self, Kind};
use super::memory::{self, Assigned, GOT, Which};
use super::place::number;
use crate::failure::Failure;
use relakit::Module;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

/// What a file or a folder says.
#[derive(Debug)]
pub(super) struct Addresses {
    /// By section index.
    pub(super) sections: BTreeMap<u32, Assigned>,
    /// Whether sections without an address have none. /sys does not list empty sections.
    pub(super) is_complete: bool,
}

/// The sections of a module by name.
#[derive(Debug)]
struct Names<'f> {
    /// Those that can have an address. The first one in the file is the last one here.
    known: HashMap<&'f [u8], Vec<u32>>,
    ignored: HashSet<Vec<u8>>,
}

impl Addresses {
    /// Reads a folder like /sys/module/NAME/sections, a text file with lines `name address`, or
    /// MEMORY.json.
    pub(super) fn read(path: &Path, module: &Module<'_>) -> Result<Self, Failure> {
        let failed = |why: String| Failure::file(path, why);
        let text = if path.is_dir() { folder(path, module)? } else { files::read(path, Kind::Memory)? };
        let is_complete = text.trim_ascii_start().first() == Some(&b'{');
        let sections = if is_complete { of_json(&text, module) } else { of_lines(&text, module) };
        Ok(Self { sections: sections.map_err(failed)?, is_complete })
    }
}

fn of_json(text: &[u8], module: &Module<'_>) -> Result<BTreeMap<u32, Assigned>, String> {
    let mut names = Names::new(module, |_, _| true);
    let mut sections = BTreeMap::new();
    let count = module.object().section_count().saturating_add(u32::from(module.got().is_some()));
    for (which, assigned) in memory::parse(text)? {
        let index = match which {
            Which::Index(index) if index >= count => {
                return Err(format!("section {index}: the module has {count} sections"));
            }
            Which::Index(index) => index,
            Which::Name(name) => match names.next(name.as_bytes())? {
                Some(index) => index,
                None => continue,
            },
        };
        if sections.insert(index, assigned).is_some() {
            return Err(format!("section {index} is listed twice"));
        }
    }
    Ok(sections)
}

fn of_lines(text: &[u8], module: &Module<'_>) -> Result<BTreeMap<u32, Assigned>, String> {
    let mut names = Names::new(module, |index, size| size != 0 && module.is_allocated(index));
    let mut sections = BTreeMap::new();
    for (line, text) in (1usize..).zip(text.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let split = text.iter().rposition(u8::is_ascii_whitespace).and_then(|at| text.split_at_checked(at));
        let address = split.and_then(|(_, address)| number(str::from_utf8(address.trim_ascii()).ok()?));
        let (Some((name, _)), Some(address)) = (split, address) else {
            return Err(format!("line {line} is not \"section-name 0xaddress\""));
        };
        let index = names.next(name.trim_ascii()).map_err(|why| format!("line {line}: {why}"))?;
        if let Some(index) = index {
            sections.insert(index, Assigned { address, symbols_at: None });
        }
    }
    Ok(sections)
}

impl<'f> Names<'f> {
    fn new(module: &Module<'f>, has_address: impl Fn(u32, u64) -> bool) -> Self {
        let mut known: HashMap<&[u8], Vec<u32>> = HashMap::new();
        for (index, section) in module.object().sections() {
            let same = known.entry(module.object().section_name(&section)).or_default();
            if has_address(index, section.sh_size) {
                same.push(index);
            }
        }
        if let Some(got) = module.got() {
            known.entry(GOT).or_default().push(got.section);
        }
        known.values_mut().for_each(|same| same.reverse());
        Self { known, ignored: HashSet::new() }
    }

    /// The next section of this name, in the order of the file. `None` for a section that is empty or
    /// not in memory, such as the symbol table.
    fn next(&mut self, name: &[u8]) -> Result<Option<u32>, String> {
        let Some(same) = self.known.get_mut(name) else {
            let name = name.escape_ascii();
            return Err(format!("the module has no section {name}; is it another module?"));
        };
        match same.pop() {
            Some(index) => Ok(Some(index)),
            None if self.ignored.insert(name.to_vec()) => Ok(None),
            None => Err(format!("section {} is listed twice", name.escape_ascii())),
        }
    }
}

/// The files of a folder as lines `name address`.
fn folder(path: &Path, module: &Module<'_>) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file(path, error);
    let mut text = Vec::new();
    // A file name cannot have a slash. No section that Linux knows has one.
    let allocated = module
        .object()
        .sections()
        .filter(|(index, section)| section.sh_size != 0 && module.is_allocated(*index));
    let wanted: HashSet<_> = allocated.map(|(_, section)| module.object().section_name(&section)).collect();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let address = match wanted.contains(name.as_encoded_bytes()) {
            true => files::read(&entry.path(), Kind::Memory)?,
            // Only its name is compared with those of the module.
            false => b"0".to_vec(),
        };
        text.extend_from_slice(name.as_encoded_bytes());
        text.push(b' ');
        text.extend_from_slice(address.trim_ascii());
        text.push(b'\n');
    }
    Ok(text)
}
