//! Which code is rewritten: what the entries of special sections say, held against what a real kernel did.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod formats;
#[path = "../verdicts/recorded.rs"]
#[expect(dead_code, reason = "replays need more of it")]
mod recorded;

use recorded::{Layout, exists, oracles, read};
use relakit::elf::{Section, SectionFlags};
use relakit::special::{self, Role, Site};
use relakit::{Module, Profile, check};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const RECORDED: special::Version = (6, 12);

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
    early: std::collections::BTreeMap<u32, Vec<u8>>,
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

    /// Every site that the relocated special sections lead to.
    fn sites(&self) -> Vec<Site> {
        let module = self.module();
        let sites = |(index, section): (u32, Section)| {
            let special = special::by_name(module.object().section_name(&section))?;
            let bytes = self.early.get(&index)?;
            Some(special::sites(special, RECORDED, bytes, self.address(index)).collect::<Vec<_>>())
        };
        module.object().sections().filter_map(sites).flatten().collect()
    }

    /// Indices of the sections of code.
    fn code(&self) -> Vec<u32> {
        let module = self.module();
        let code = module.object().sections().filter(|(_, s)| s.flags.contains(SectionFlags::EXECINSTR));
        code.map(|(index, _)| index).collect()
    }

    /// Addresses of the bytes that late relocations write.
    fn late(&self) -> BTreeSet<u64> {
        let module = self.module();
        let is_late = |field: &check::Field| {
            let class = module.class(field.section).unwrap().class;
            matches!(class, relakit::klp::Class::KlpLate { .. })
        };
        let bytes = |field: check::Field| {
            let at = self.address(field.target) + field.offset;
            at..at + u64::from(field.size)
        };
        check::fields(&module).filter(is_late).flat_map(bytes).collect()
    }
}

#[test]
fn every_byte_of_code_that_a_kernel_rewrote_lies_in_a_site() {
    let mut rewritten = BTreeSet::new();
    let mut bytes = 0;
    for folder in livepatches() {
        let Some(recorded) = Recorded::open(&folder) else { continue };
        let (sites, late) = (recorded.sites(), recorded.late());
        for label in recorded.layout.labels().iter().filter(|label| *label != "early") {
            let Some(state) = recorded.layout.state(label) else { continue };
            for index in recorded.code() {
                let address = recorded.address(index);
                let (Some(before), Some(after)) = (recorded.early.get(&index), state.get(&index)) else {
                    continue;
                };
                let changed = before.iter().zip(after).zip(address..).filter(|((old, new), _)| old != new);
                for (_, at) in changed.filter(|(_, at)| !late.contains(at)) {
                    let within = |site: &&Site| {
                        let offset =
                            usize::try_from(site.address.wrapping_sub(address)).unwrap_or(usize::MAX);
                        let code = before.get(offset..).unwrap_or_default();
                        (site.address..site.address + site.size_in(code)).contains(&at)
                    };
                    let roles: Vec<_> = sites.iter().filter(within).map(|site| site.role).collect();
                    assert!(
                        !roles.is_empty(),
                        "{}: {label}: section {index} + {:#x} was rewritten, and no site has it",
                        folder.display(),
                        at - address
                    );
                    rewritten.extend(roles);
                    bytes += 1;
                }
            }
        }
    }
    println!("{bytes} bytes, rewritten by {rewritten:?}");
    assert!(bytes > 100, "{bytes}");
    for role in [Role::Return, Role::Trace] {
        assert!(rewritten.contains(&role), "{role:?}");
    }
}
