//! The memory of a module that runs, and what its kernel or an attacker does with it.
//!
//! The input is read as a plan of a module ([`plan`]). It is loaded, and a model of the kernel sorts
//! its tables and rewrites its code ([`kernel`]): then there is no mismatch. Each changed byte is one,
//! unless the model too knows the new code as a form of its site. Or the input is any file, and any
//! memory ([`any`]).

mod any;
mod kernel;
mod plan;
pub(crate) mod running;

use crate::module::Bytes;
use crate::module::mutated::world;
use kernel::{Patch, Symbols};
use plan::Plan;
use relakit::verify::section;
use relakit::{Loaded, Module, Target};
use relakit_linux::special::{Place, Role, places};
use relakit_linux::verify::{self, Cause, Kernel, Mismatch, PatchSite, Policies, Policy, Verified};
use relakit_model::world::{Faults, Names, World};
use running::Running;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    match bytes.byte() {
        0xe0.. => any::run(&mut bytes, data),
        _ => of_a_plan(&mut bytes),
    }
}

/// Places in their natural order.
fn sorted(module: &Module<'_>, world: &World<'_>) -> Vec<Place> {
    let mut places: Vec<_> = places(module, world).collect();
    places.sort_unstable();
    places
}

/// A module that runs.
struct Scene<'s, 'f> {
    plan: &'s Plan,
    loaded: &'s Loaded<'f>,
    /// What is expected.
    expected: World<'s>,
    places: Vec<Place>,
    /// The code that the model rewrites.
    patches: Vec<Patch>,
}

fn of_a_plan(bytes: &mut Bytes<'_>) {
    let plan = Plan::read(bytes);
    let file = plan.file();
    let module = Module::parse(&file, plan.profile()).unwrap_or_else(|error| panic!("{error}"));
    let faults = Faults::default();
    let names = &mut Names { answers: Symbols, errors: &faults };
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let mut expected = world(&module, &faults);
    let _ = module.assign(&mut expected).unwrap().fill().unwrap();
    let filled = expected.clone();
    let loaded = module.assign(&mut expected).unwrap().assume_filled().early(&mut values, names).unwrap();
    one_table(&loaded, &filled, &expected, &values);
    let mut running = expected.clone();
    let comes = bytes.byte() & 1 == 1;
    if comes {
        let mut kept = vec![0; loaded.retained_size()];
        let mut late = loaded.retain(&mut running, &mut values, &mut kept).unwrap();
        late.coming(b"a", &mut running, names).unwrap();
    }
    // Whether it came is found out, and makes the same memory.
    let mut copy = expected.clone();
    let applied = loaded.is_applied(b"a", &mut copy, &mut Running::new(&running)).unwrap();
    assert_eq!(applied, comes && plan.has_late(), "is_applied");
    assert!(copy.is(&expected.image()), "asking changes nothing");
    if applied {
        loaded.apply_late(b"a", &mut expected, &mut values, names).unwrap();
    }
    assert!(expected.is(&running.image()), "late relocations from the file, and from the retained state");

    kernel::finalize(&plan, &module, &mut running);
    let patches = kernel::patches(&plan, &expected);
    for patch in &patches {
        patch.write(&mut running, bytes.byte());
    }
    let places = sorted(&module, &expected);
    let scene = Scene { plan: &plan, loaded: &loaded, expected, places, patches };
    scene.sites();
    let (verified, mismatches) = scene.verify(&running, Policies::default());
    assert_eq!(mismatches, [], "nothing but what the kernel does");
    let size: u64 = scene.patches.iter().map(|patch| patch.size() as u64).sum();
    assert_eq!(verified.flexible, size);
    let total: usize = running.spots.iter().map(|spot| spot.bytes.len()).sum();
    assert_eq!(verified.bytes + verified.not_judged, total as u64);
    scene.changes(&running, bytes);
    scene.policies(&running, bytes);
}

/// Level 1 makes the same memory, and finds no difference in it.
fn one_table(loaded: &Loaded<'_>, filled: &World<'_>, early: &World<'_>, values: &[u64]) {
    let module = loaded.module();
    for (index, class) in module.classes() {
        let relakit::Class::Ordinary { target } = class.class else { continue };
        let header = module.object().section(index).unwrap();
        let table = relakit::elf::RelaTable::whole_entries(module.object().section_bytes(&header)).0;
        let spot = &mut filled.spots[target as usize].clone();
        let expected = Target::new(&mut spot.bytes, spot.address);
        let flags = module.profile().reloc_flags();
        let mut seen = Vec::new();
        let reader = &mut Running::new(early);
        let on = &mut |difference: &relakit::verify::Difference| seen.push(*difference);
        let verified = section(table, values.into(), expected, flags, reader, on).unwrap();
        assert_eq!((verified.differences, &seen[..]), (0, &[][..]));
        assert_eq!(verified.bytes, spot.bytes.len() as u64);
    }
}

impl Scene<'_, '_> {
    fn verify(&self, running: &World<'_>, policies: Policies) -> (Verified, Vec<Mismatch>) {
        let mut symbols = Symbols;
        let mut kernel = Kernel::new(self.plan.version, &mut symbols);
        kernel.policies = policies;
        let (mut seen, mut reader) = (Vec::new(), Running::new(running));
        let report = &mut |mismatch: &Mismatch| seen.push(*mismatch);
        let mut expected = self.expected.clone();
        let verified =
            verify::verify(self.loaded, &mut expected, &mut reader, &mut kernel, &self.places, report)
                .unwrap();
        assert_eq!(verified.mismatches, seen.len() as u64);
        reader.is_linear(self.loaded.module());
        (verified, seen)
    }

    /// The sites are those of the model.
    fn sites(&self) {
        let mut found = Vec::new();
        let mut expected = self.expected.clone();
        verify::patch_sites(self.loaded, &mut expected, self.plan.version, &self.places, &mut |site| {
            found.push((site.role, site.code, site.offset, site.size));
        });
        found.sort_unstable();
        let mut model: Vec<_> = self
            .patches
            .iter()
            .map(|patch| (patch.role, patch.section, patch.offset as u64, patch.size() as u64))
            .collect();
        model.sort_unstable();
        assert_eq!(found, model);
    }

    /// One byte at a time is changed.
    fn changes(&self, running: &World<'_>, bytes: &mut Bytes<'_>) {
        for _ in 0..4 {
            let section = bytes.below(running.spots.len());
            let size = running.spots[section].bytes.len();
            let at = usize::from(u16::from_le_bytes([bytes.byte(), bytes.byte()]));
            let change = bytes.byte().max(1);
            if size != 0 {
                self.change(running, section, at % size, change);
            }
        }
    }

    fn change(&self, running: &World<'_>, section: usize, at: usize, change: u8) {
        let mut changed = running.clone();
        changed.spots[section].bytes[at] ^= change;
        let (_, mismatches) = self.verify(&changed, Policies::default());
        let section = u32::try_from(section).unwrap();
        let covers = |mismatch: &Mismatch| {
            let difference = mismatch.difference;
            let offset = difference.offset..difference.offset + difference.size;
            // Entries with equal keys may be in any order, so a change of one may be told at another.
            let is_tied = matches!(mismatch.cause, Cause::Table { .. });
            difference.section == section && (is_tied || offset.contains(&(at as u64)))
        };
        let told = format!("section {section}, byte {at:#x}, ^ {change:#x}: {mismatches:?}");
        if !kernel::is_judged(self.plan, self.loaded.module(), section, at) {
            return assert_eq!(mismatches, [], "not judged: {told}");
        }
        let mut here = self.patches.iter().filter(|patch| patch.covers(section, at)).peekable();
        let is_at_site = here.peek().is_some();
        // Sites overlap if one is a part of another, whose forms then include its own.
        let is_form = here.any(|patch| patch.has_form(&changed));
        match is_at_site && is_form {
            true => assert_eq!(mismatches, [], "a form of the site: {told}"),
            false => assert!(mismatches.iter().any(covers), "not found: {told}"),
        }
        for mismatch in &mismatches {
            let is_site = matches!(mismatch.cause, Cause::PatchSite { .. });
            assert!(!is_site || is_at_site, "not at a site: {told}");
        }
        self.writes(running, section, at, change);
    }

    /// A whole form may be written, and the three steps in which the kernel writes it. Nothing else.
    fn writes(&self, running: &World<'_>, section: u32, at: usize, change: u8) {
        let address = running.spots[section as usize].address + at as u64;
        let is_breakpoint = running.spots[section as usize].bytes[at] ^ change == 0xcc;
        let starts = |patch: &&Patch| (patch.section, patch.offset) == (section, at);
        let mut changed = running.clone();
        changed.spots[section as usize].bytes[at] ^= change;
        let may = self.may_write(running, address, &changed.spots[section as usize].bytes[at..=at]);
        let is_form = self.patches.iter().any(|patch| patch.covers(section, at) && patch.has_form(&changed));
        let is_first = is_breakpoint && self.patches.iter().any(|patch| starts(&patch));
        assert_eq!(may, is_form || is_first, "a write of one byte at {section}+{at:#x}");
        // A site in another is written alone, and not as a part of it.
        let alone = self.patches.iter().filter(|patch| !patch.is_nested);
        for patch in alone.filter(|patch| patch.covers(section, at)) {
            self.steps(running, patch, change);
        }
    }

    fn steps(&self, running: &World<'_>, patch: &Patch, choice: u8) {
        let form = patch.form(choice);
        let address = running.spots[patch.section as usize].address + patch.offset as u64;
        assert!(self.may_write(running, address, form), "{patch:?} {form:02x?}");
        let is_poked = matches!(patch.role, Role::JumpLabel | Role::StaticCall | Role::Trace);
        if !is_poked {
            return;
        }
        let mut steps = running.clone();
        let step = |steps: &mut World<'_>, start: usize, bytes: &[u8]| {
            let address = address + start as u64;
            assert!(self.may_write(steps, address, bytes), "{patch:?}: {start} {bytes:02x?}");
            patch.part(steps, start, bytes.len()).copy_from_slice(bytes);
        };
        step(&mut steps, 0, &[0xcc]);
        let mut tail = form[1..].to_vec();
        tail[usize::from(choice) % 4] ^= choice.max(1);
        assert_eq!(
            self.may_write(&steps, address + 1, &tail),
            patch.has_tail(&tail),
            "{patch:?} {tail:02x?}"
        );
        step(&mut steps, 1, &form[1..]);
        step(&mut steps, 0, &form[..1]);
        let mut other = form.to_vec();
        other[usize::from(choice) % form.len()] ^= choice.max(1);
        let is_form = patch.is_form(&other);
        assert_eq!(self.may_write(&steps, address, &other), is_form, "{patch:?} {other:02x?}");
    }

    fn may_write(&self, running: &World<'_>, address: u64, bytes: &[u8]) -> bool {
        let mut symbols = Symbols;
        let mut kernel = Kernel::new(self.plan.version, &mut symbols);
        let mut expected = self.expected.clone();
        let mut sites: Vec<PatchSite> = Vec::new();
        verify::patch_sites(self.loaded, &mut expected, self.plan.version, &self.places, &mut |site| {
            sites.push(site);
        });
        sites.sort_unstable();
        let reader = &mut Running::new(running);
        let (loaded, kernel) = (self.loaded, &mut kernel);
        let site = verify::allowed_patch(loaded, &mut expected, reader, kernel, &sites, address, bytes);
        assert!(expected.is(&self.expected.image()), "asking changes nothing");
        let site = site.unwrap();
        if let Some(site) = site {
            let end = address + bytes.len() as u64;
            assert!(sites.contains(&site) && site.address <= address && end <= site.address + site.size);
        }
        site.is_some()
    }

    /// With one role untouched or anything.
    fn policies(&self, running: &World<'_>, bytes: &mut Bytes<'_>) {
        let role = bytes.of(&Role::ALL);
        // Replacements are copied with what is in them, and sites in other sites have two roles.
        let alone = |patch: &&Patch| patch.role == role && !patch.is_nested;
        if role == Role::Alternative || self.patches.iter().any(|patch| patch.role == role && patch.is_nested)
        {
            return;
        }
        let rewritten = self.patches.iter().filter(alone).filter(|patch| !patch.is_untouched(running));
        let untouched = Policies::default().with(role, Policy::Untouched);
        let (verified, mismatches) = self.verify(running, untouched);
        assert_eq!(mismatches.len(), rewritten.count(), "untouched: {mismatches:?}");
        let is_of_role =
            |mismatch: &Mismatch| matches!(mismatch.cause, Cause::PatchSite { role: of, .. } if of == role);
        assert!(mismatches.iter().all(is_of_role));
        let mut changed = running.clone();
        let mut flexible = verified.flexible;
        for patch in self.patches.iter().filter(alone) {
            patch.part(&mut changed, 0, patch.size()).fill(0x5a);
            flexible += patch.size() as u64;
        }
        let anything = Policies::default().with(role, Policy::Anything);
        let (verified, mismatches) = self.verify(&changed, anything);
        assert_eq!((&mismatches[..], verified.flexible), (&[][..], flexible), "anything");
    }
}
