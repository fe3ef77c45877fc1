//! What a kernel changed between relocation and later is what the sites say, and what is listed here, and nothing else.

use crate::recorded::{Layout, exists, oracles, read};
use relakit::elf::{RelaTable, Section, SectionFlags};
use relakit::reloc::{RelocFlags, howto};
use relakit::{Class, Module, Profile};
use relakit_linux::special::{self, Effect, Role, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const RECORDED: special::Version = (6, 12);

/// Sections that are not code and are changed by other means than a late relocation.
const IN_USE: &[(&str, &str)] = &[
    (".data", "variables; the kernel's own fields of struct klp_patch"),
    (".gnu.linkonce.this_module", "struct module: state, lists, counters"),
    ("__ex_table", "sorted"),
    ("__jump_table", "sorted, and entries for init code are marked"),
    ("__mcount_loc", "sorted"),
];

/// The folders of livepatches with states that were recorded.
fn livepatches() -> Vec<PathBuf> {
    let folders = |oracle: PathBuf| {
        ["klp-6.12", "verdicts/cases"].into_iter().flat_map(move |part| {
            let mut folders: Vec<_> =
                std::fs::read_dir(oracle.join(part)).unwrap().map(|entry| entry.unwrap().path()).collect();
            folders.sort();
            folders
        })
    };
    oracles().into_iter().flat_map(folders).filter(|folder| exists(&folder.join("layout.json"))).collect()
}

/// One livepatch: its file, where its sections were, and what they held right after relocation.
struct Recorded {
    file: Vec<u8>,
    layout: Layout,
    early: BTreeMap<u32, Vec<u8>>,
}

impl Recorded {
    fn open(folder: &Path) -> Option<Self> {
        let layout = Layout::open(&folder.join("layout.json"))?;
        let early = layout.state("early")?;
        let module = folder.join("module.ko");
        exists(&module).then(|| Self { file: read(&module), layout, early })
    }

    fn module(&self) -> Module<'_> {
        Module::parse(&self.file, Profile::LINUX_6_12).unwrap()
    }

    fn address(&self, section: u32) -> u64 {
        self.layout.address(usize::try_from(section).unwrap())
    }

    /// The roles of each byte of a site, by address.
    fn rewritten(&self) -> BTreeMap<u64, BTreeSet<Role>> {
        let module = self.module();
        let mut rewritten: BTreeMap<u64, BTreeSet<Role>> = BTreeMap::new();
        for (index, section) in module.object().sections() {
            let special = special::by_name(module.object().section_name(&section));
            let Some((special, bytes)) = special.zip(self.early.get(&index)) else { continue };
            for site in special::sites(special, RECORDED, bytes, self.address(index)) {
                let size = site.size_in(self.code(&site));
                for at in site.address..site.address + size {
                    rewritten.entry(at).or_default().insert(site.role);
                }
            }
        }
        rewritten
    }

    /// The recorded code at a site.
    fn code(&self, site: &Site) -> &[u8] {
        let code = |(index, bytes): (&u32, &'_ Vec<u8>)| {
            let offset = usize::try_from(site.address.checked_sub(self.address(*index))?).ok()?;
            (offset < bytes.len()).then_some((*index, offset))
        };
        let (index, offset) = self.early.iter().find_map(code).unwrap_or((0, 0));
        self.early.get(&index).and_then(|bytes| bytes.get(offset..)).unwrap_or_default()
    }

    /// Addresses of the bytes that late relocations write, malformed sections included: the kernel may apply those too.
    fn late(&self) -> BTreeSet<u64> {
        let module = self.module();
        let is_late = |class: Class<'_>| matches!(class, Class::KlpLate { .. } | Class::Malformed { .. });
        let late = module.classes().filter(|(_, class)| is_late(class.class));
        let sections = late.map(|(index, _)| module.object().section(index).unwrap());
        let bytes = sections.filter(|section| section.sh_info != 0).flat_map(|section| {
            let target = self.address(section.sh_info);
            let table = RelaTable::whole_entries(module.object().section_bytes(&section)).0;
            table.iter().flat_map(move |rela| {
                let size = howto(rela.r_type, RelocFlags::empty()).map_or(0, |howto| u64::from(howto.size));
                (0..size).map(move |byte| target.wrapping_add(rela.r_offset).wrapping_add(byte))
            })
        });
        bytes.collect()
    }

    /// Section and offset of each byte that is not what it was after relocation, in one of the other states, and was not
    /// written by a late relocation.
    fn changed<'a>(&'a self, label: &str) -> impl Iterator<Item = (u32, Section, u64)> + 'a {
        let state = self.layout.state(label).unwrap();
        let late = self.late();
        let sections: Vec<_> = self.module().object().sections().collect();
        sections.into_iter().flat_map(move |(index, section)| {
            let pairs = self.early.get(&index).zip(state.get(&index)).into_iter();
            let bytes = pairs.flat_map(|(early, state)| (0..).zip(early.iter().zip(state)));
            let changed = bytes.filter(|(_, (early, state))| early != state).map(|(offset, _)| offset);
            let late = |offset: &u64| late.contains(&(self.address(index) + offset));
            let changed: Vec<u64> = changed.filter(|offset| !late(offset)).collect();
            changed.into_iter().map(move |offset| (index, section, offset))
        })
    }
}

#[test]
fn every_byte_that_a_kernel_changed_lies_in_a_site_or_in_a_section_that_is_in_use() {
    let mut shown: BTreeMap<Role, usize> = BTreeMap::new();
    let mut in_use: BTreeMap<&str, usize> = BTreeMap::new();
    for folder in livepatches() {
        let Some(recorded) = Recorded::open(&folder) else { continue };
        let rewritten = recorded.rewritten();
        let module = recorded.module();
        for label in recorded.layout.labels().iter().filter(|label| *label != "early") {
            for (index, section, offset) in recorded.changed(label) {
                let name = std::str::from_utf8(module.object().section_name(&section)).unwrap();
                let place = format!("{}: {label}: {name} + {offset:#x}", folder.display());
                if !section.sh_flags.contains(SectionFlags::EXECINSTR) {
                    let listed = IN_USE.iter().find(|(listed, _)| *listed == name);
                    let (listed, _) = listed.unwrap_or_else(|| panic!("{place} was changed"));
                    *in_use.entry(listed).or_default() += 1;
                    continue;
                }
                let roles = rewritten.get(&(recorded.address(index) + offset));
                let roles = roles.unwrap_or_else(|| panic!("{place} was rewritten, and no site has it"));
                // A byte shows a role if it has no other. Calls do not count: static calls, paravirt calls and calls to
                // the tracer are all listed as calls too, and this kernel does not track their depth.
                let mut others = roles.iter().filter(|role| **role != Role::Call);
                if let (Some(role), None) = (others.next(), others.next()) {
                    *shown.entry(*role).or_default() += 1;
                }
            }
        }
    }
    println!("bytes rewritten: {shown:?}; bytes in use: {in_use:?}");
    for role in [Role::Alternative, Role::Return, Role::Endbr, Role::StaticCall, Role::Trace] {
        assert!(shown.contains_key(&role), "no recording shows {role:?}");
    }
    for (name, why) in IN_USE {
        assert!(in_use.contains_key(name), "no recording shows {name}: {why}");
    }
}

#[test]
fn special_sections_that_a_kernel_changed_are_those_that_the_table_says_are_updated() {
    for (name, why) in IN_USE.iter().filter(|(name, _)| *name != ".data") {
        let effect = special::by_name(name.as_bytes()).unwrap().effect;
        assert!(matches!(effect, Effect::Updates | Effect::UpdatesAndRewrites), "{name} ({why}): {effect:?}");
    }
}
