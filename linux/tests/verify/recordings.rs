//! Recorded livepatches in kernels that were idle.

use crate::recorded::{Kernel, Layout, exists, oracles, read};
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, howto};
use relakit::verify::Reader;
use relakit::{CallbackError, Class, Memory, Module, Profile, Resolver, Target};
use relakit_linux::special::{self, Place};
use relakit_linux::verify::{self, Cause, Known, Mismatch, Verified};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The memory of the sections, expected and found.
#[derive(Clone, Default)]
pub struct Image(pub Vec<(u64, Vec<u8>)>);

impl Memory for Image {
    fn base(&self, section: u32) -> Option<u64> {
        self.0.get(section as usize).map(|section| section.0)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let (address, bytes) = self.0.get_mut(section as usize)?;
        Some(Target::new(bytes, *address))
    }
}

impl Reader for Image {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let holds = |(start, section): &&(u64, Vec<u8>)| {
            address >= *start && address + bytes.len() as u64 <= start + section.len() as u64
        };
        let (start, section) = self.0.iter().find(holds).ok_or(CallbackError(5))?;
        bytes.copy_from_slice(&section[usize::try_from(address - start).unwrap()..][..bytes.len()]);
        Ok(())
    }
}

/// The symbols of the kernel. The recordings of the repository have few of them, so any address of
/// the kernel's code is a function.
struct Symbols(Kernel);

impl Known for Symbols {
    fn function(&mut self, address: u64) -> bool {
        (0xffff_ffff_8100_0000..0xffff_ffff_a000_0000).contains(&address)
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        self.0.nth_symbol(b"vmlinux", name, 1).unwrap()
    }
}

fn livepatches() -> impl Iterator<Item = (PathBuf, PathBuf)> {
    oracles().into_iter().flat_map(|oracle| {
        let folders = std::fs::read_dir(oracle.join("klp-6.12")).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = folders
            .filter(|folder| exists(&folder.join("layout.json")) && exists(&folder.join("module.ko")))
            .collect();
        folders.sort();
        folders.into_iter().map(move |folder| (oracle.clone(), folder))
    })
}

/// Copies the recorded content of the fields of late relocations.
fn copy_late(module: &Module<'_>, state: &BTreeMap<u32, Vec<u8>>, expected: &mut Image) {
    for (index, class) in module.classes() {
        let Class::KlpLate { target, .. } = class.class else { continue };
        let section = module.object().section(index).unwrap();
        for rela in RelaTable::whole_entries(module.object().section_bytes(&section)).0.iter() {
            let size = howto(rela.r_type, RelocFlags::empty()).map_or(0, |howto| usize::from(howto.size));
            let at = usize::try_from(rela.r_offset).unwrap();
            expected.0[target as usize].1[at..at + size].copy_from_slice(&state[&target][at..at + size]);
        }
    }
}

fn verified(oracle: &Path, folder: &Path, label: &str) -> (Verified, Vec<Mismatch>) {
    let layout = Layout::open(&folder.join("layout.json")).unwrap();
    let file = read(&folder.join("module.ko"));
    let module = Module::parse(&file, Profile::LINUX_6_12).unwrap();
    let sections = module.object().sections().map(|(index, section)| {
        (layout.address(index as usize), vec![0; usize::try_from(section.sh_size).unwrap()])
    });
    let mut expected = Image(sections.collect());
    let mut values = vec![0; module.object().symbols().len() as usize];
    let mut symbols = Symbols(Kernel::open(oracle));
    let loaded =
        module.assign(&mut expected).unwrap().fill().unwrap().early(&mut values, &mut symbols.0).unwrap();
    let state = layout.state(label).unwrap();
    copy_late(&module, &state, &mut expected);
    let mut running = expected.clone();
    for (index, bytes) in &state {
        running.0[*index as usize].1.clone_from(bytes);
    }
    let mut places: Vec<Place> = special::places(&module, &expected).collect();
    places.sort_unstable();
    let mut mismatches = Vec::new();
    let mut kernel = verify::Kernel::new((6, 12), &mut symbols);
    let report = &mut |mismatch: &Mismatch| mismatches.push(*mismatch);
    let verified =
        verify::verify(&loaded, &mut expected, &mut running, &mut kernel, &places, report).unwrap();
    (verified, mismatches)
}

/// Every recorded state: folder, label, result.
fn states() -> Vec<(String, String, Verified, Vec<Mismatch>)> {
    let states = livepatches().flat_map(|(oracle, folder)| {
        let labels = Layout::open(&folder.join("layout.json")).unwrap().labels();
        labels.into_iter().map(move |label| {
            let (verified, mismatches) = verified(&oracle, &folder, &label);
            (folder.display().to_string(), label, verified, mismatches)
        })
    });
    states.collect()
}

#[test]
fn livepatches_in_idle_kernels_have_no_mismatch() {
    let (mut idle, mut rewritten) = (0, 0);
    for (folder, label, verified, mismatches) in states() {
        // Right after relocation, Linux has neither rewritten code nor sorted tables.
        if label == "early" {
            let is_table = |mismatch: &Mismatch| matches!(mismatch.cause, Cause::Table { .. });
            assert!(mismatches.iter().all(is_table) && !mismatches.is_empty(), "{folder}: {mismatches:x?}");
            assert_eq!(verified.rewritten, 0, "{folder}");
            continue;
        }
        assert_eq!(mismatches, [], "{folder} {label}");
        assert!(
            verified.rewritten > 0 && verified.sites > verified.rewritten,
            "{folder} {label}: {verified:?}"
        );
        (idle, rewritten) = (idle + 1, rewritten + verified.rewritten);
    }
    assert!(idle >= 11, "{idle}");
    println!("{idle} states, {rewritten} sites that Linux has rewritten");
}
