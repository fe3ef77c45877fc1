//! A module that nobody knows the meaning of: whatever is in the file, a pass is all or nothing,
//! writes nothing but the fields of its tables, and going takes back what coming did.

use super::Bytes;
use super::plan::{NAMES, Plan};
use relakit::abi::{KLP_RELA_PREFIX, OBJECT_NAME_MAX, SHT_RELA, VMLINUX};
use relakit::elf::{RelaTable, SectionFlags};
use relakit::reloc::RelocFlags;
use relakit::{Late, Module, Profile};
use relakit_model::table;
use relakit_model::world::{Answers, Faults, Names, Spot, World};

/// Most bytes of memory for one section; larger ones have no place.
const SECTION_MAX: u64 = 1 << 16;
/// Most sections with a place.
const PLACES_MAX: usize = 64;

/// Runs one input: a plan's file with some changes, and what happens to the module.
pub(super) fn run(plan: &Plan, bytes: &mut Bytes<'_>) {
    let mut file = plan.file();
    for _ in 0..=bytes.below(8) {
        change(&mut file, bytes);
    }
    live(&file, plan.profile, bytes);
}

/// Changes one to eight bytes, most often in the headers and tables.
fn change(file: &mut Vec<u8>, bytes: &mut Bytes<'_>) {
    let at = usize::from(u16::from_le_bytes([bytes.byte(), bytes.byte()])) % file.len();
    match bytes.below(8) {
        0 => file[at] = bytes.byte(),
        1 => file[at] ^= 1 << bytes.below(8),
        2 => file[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
        3 => file[at..].iter_mut().take(4).for_each(|byte| *byte = 0),
        4 => file.truncate(at.max(1)),
        5 => {
            let word = bytes.word().to_le_bytes();
            file[at..].iter_mut().zip(word).for_each(|(byte, new)| *byte = new);
        }
        6 => {
            let from = usize::from(bytes.byte()) * 8 % file.len();
            let copied: Vec<u8> = file[from..].iter().take(24).copied().collect();
            file[at..].iter_mut().zip(copied).for_each(|(byte, new)| *byte = new);
        }
        _ => file[at] = file[at].wrapping_add(1),
    }
}

/// Memory for each section that is in memory and not too large.
pub(crate) fn world<'w>(module: &Module<'_>, errors: &'w Faults) -> World<'w> {
    let mut places = 0;
    let spot = |(index, section): (u32, relakit::elf::Section)| {
        let is_in_memory = module.is_allocated(index) || module.per_cpu_section() == Some(index);
        if !is_in_memory || section.sh_size > SECTION_MAX || places == PLACES_MAX {
            return Spot::none(errors);
        }
        places += 1;
        let address = 0xffff_ffff_c000_0000u64.wrapping_add(u64::from(index) * 0x1_0000);
        Spot::new(address, usize::try_from(section.sh_size).unwrap(), errors)
    };
    World { spots: module.object().sections().map(spot).collect(), errors, syncs: 0 }
}

/// Knows every name, and by the name how many symbols have it.
#[derive(Clone, Copy)]
pub(crate) struct Hashed {
    /// Values are others for each.
    pub(crate) seed: u8,
}

impl Hashed {
    /// How many symbols of that name there are: as many as plans count on; of others mostly one.
    pub(crate) fn count(self, name: &[u8]) -> u64 {
        match NAMES.iter().position(|known| known.as_bytes() == name) {
            Some(number) => number as u64 + 1,
            None => {
                [1, 3, 2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1][usize::try_from(hash(name) % 16).unwrap()]
            }
        }
    }
}

impl Answers for Hashed {
    fn exported(&self, name: &[u8]) -> Option<u64> {
        (name != b"nobody_has_it").then(|| 0xffff_ffff_8100_0000 + hash(name) % 0x100_0000)
    }

    fn nth_symbol(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64> {
        let value =
            0xffff_ffff_8200_0000 + hash(object) % 0x1_0000 + hash(name) % 0x10_0000 + position.min(8) * 0x20;
        (position < self.count(name)).then(|| value + u64::from(self.seed) * 0x1_0000)
    }
}

/// FNV-1a.
fn hash(name: &[u8]) -> u64 {
    name.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
        >> 8
}

/// Whose relocations section `index` holds, by its flag and its name; `None` when they are
/// ordinary.
pub(crate) fn object_of<'f>(module: &Module<'f>, index: u32) -> Option<&'f [u8]> {
    let section = module.object().section(index)?;
    if !section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH) {
        return None;
    }
    let name = module.object().section_name(&section).strip_prefix(KLP_RELA_PREFIX).unwrap_or_default();
    let name = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    Some(&name[..name.len().min(OBJECT_NAME_MAX)])
}

/// Which bytes the relocations of the sections that `is_it` chooses may write.
fn fields(module: &Module<'_>, world: &World<'_>, is_it: impl Fn(Option<&[u8]>) -> bool) -> Vec<Vec<bool>> {
    let mut fields: Vec<_> = world.spots.iter().map(|spot| vec![false; spot.bytes.len()]).collect();
    for (index, section) in module.object().sections().skip(1) {
        let object = object_of(module, index);
        if object.is_none() && section.sh_type != SHT_RELA || !is_it(object) {
            continue;
        }
        let Some(target) = usize::try_from(section.sh_info).ok().and_then(|target| fields.get_mut(target))
        else {
            continue;
        };
        for rela in RelaTable::whole_entries(module.object().section_bytes(&section)).0.iter() {
            let (_, size) = table::field(rela, RelocFlags::empty());
            let field = usize::try_from(rela.r_offset).ok().and_then(|offset| target.get_mut(offset..));
            field.into_iter().flatten().take(size).for_each(|byte| *byte = true);
        }
    }
    fields
}

/// Nothing differs but where it may.
fn differs_in(before: &[Vec<u8>], world: &World<'_>, fields: &[Vec<bool>]) {
    for (index, ((before, spot), fields)) in before.iter().zip(&world.spots).zip(fields).enumerate() {
        for (at, ((before, byte), is_field)) in before.iter().zip(&spot.bytes).zip(fields).enumerate() {
            assert!(
                before == byte || *is_field,
                "section {index}, byte {at:#x}: not the field of a relocation"
            );
        }
    }
}

/// Takes a file through a module's life, as far as it goes.
pub(crate) fn live(file: &[u8], profile: Profile, bytes: &mut Bytes<'_>) {
    let Ok(module) = Module::parse(file, profile) else { return };
    super::layout::check(&module);
    let errors = Faults::default();
    let mut world = world(&module, &errors);
    let answers = Hashed { seed: bytes.byte() };
    let names = &mut Names { answers, errors: &errors };
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let Ok(placed) = module.assign(&mut world) else { return };
    placed.fill().unwrap();
    let filled = world.image();
    let mut listed = 0;
    let mut filled_again = module.assign(&mut world).unwrap().assume_filled();
    filled_again.errors(&mut values, names, &mut |_| listed += 1).unwrap();
    assert!(world.is(&filled) && world.syncs == 0, "a dry run writes nothing");
    let loaded = match module.assign(&mut world).unwrap().assume_filled().early(&mut values, names) {
        Ok(loaded) => loaded,
        Err(error) => return assert!(world.is(&filled), "changed by a pass that failed: {error}"),
    };
    assert_eq!(listed, 0, "a dry run finds nothing in what can be applied");
    let early = fields(&module, &world, |object| object.is_none_or(|object| object == VMLINUX));
    differs_in(&filled, &world, &early);
    let mut kept = vec![0; loaded.retained_size()];
    let mut late = loaded.retain(&mut world, &mut values, &mut kept).unwrap();
    let mut objects: Vec<&[u8]> =
        module.object().sections().filter_map(|(index, _)| object_of(&module, index)).collect();
    objects.retain(|object| *object != VMLINUX);
    objects.dedup();
    objects.truncate(4);
    for _ in 0..2 * objects.len() {
        let object = objects[bytes.below(objects.len())];
        let written = fields(&module, &world, |section| section == Some(object));
        come_and_go(&mut late, object, &mut world, &written, bytes);
    }
}

/// An object comes, and may go and come again.
fn come_and_go(
    late: &mut Late<'_>,
    object: &[u8],
    world: &mut World<'_>,
    fields: &[Vec<bool>],
    bytes: &mut Bytes<'_>,
) {
    let before = world.image();
    let names = &mut Names { answers: Hashed { seed: bytes.byte() }, errors: world.errors };
    if late.objects().any(|(name, live)| name == object && live) {
        // Another object may have written into its fields since.
        if let Err(error) = late.going(object, world) {
            return assert!(world.is(&before), "changed by a pass that failed: {error}");
        }
    }
    let before = world.image();
    let mut listed = 0;
    let dry = late.errors(object, world, names, &mut |_| listed += 1);
    assert!(world.is(&before), "a dry run writes nothing");
    match late.coming(object, world, names) {
        Err(error) => return assert!(world.is(&before), "changed by a pass that failed: {error}"),
        Ok(_) => {
            assert!(dry.is_ok() && listed == 0, "a dry run finds nothing in what can be applied")
        }
    }
    differs_in(&before, world, fields);
    let choice = bytes.byte();
    if choice >= 0xc0 {
        return;
    }
    let there = world.image();
    late.going(object, world).unwrap_or_else(|error| panic!("nobody else wrote: {error}"));
    let is_cleared = world.is(&before);
    assert!(is_cleared || world.is(&there), "going clears every field, or none");
    if choice < 0x40 && is_cleared {
        late.coming(object, world, names).unwrap_or_else(|error| panic!("it came before: {error}"));
        assert!(world.is(&there), "a second coming is as the first");
    }
}
