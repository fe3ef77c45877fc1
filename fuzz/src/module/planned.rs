//! A module with a global offset table: it is planned, loaded, and each early field is read back.

mod decoded;

use super::Bytes;
use super::life::{Known, spots};
use super::plan::Plan;
use crate::verify::running::Running;
use decoded::Decoded;
use relakit::ErrorKind::{self, *};
use relakit::elf::{Rela, RelaTable, SectionFlags, SymbolLocation};
use relakit::reloc::GotFlags;
use relakit::{Class, Error, Loaded, Module, Profile};
use relakit_model::table::{field, row};
use relakit_model::world::{FAILED, Faults, Names, Spot, World};
use std::collections::BTreeSet;

/// The types that refer to a GOT. Of those from 4 on each needs the slot of its symbol.
const GOT_TYPES: [u32; 12] = [25, 26, 29, 31, 9, 27, 28, 41, 42, 43, 46, 49];

/// Runs one input.
pub(super) fn run(mut plan: Plan, bytes: &mut Bytes<'_>) {
    if !bytes.is_rare() {
        plan.profile = Profile::ELF;
    }
    retype(&mut plan, bytes);
    let (file, errors) = (plan.file(), Faults::default());
    let parsed = Module::parse(&file, plan.profile).unwrap_or_else(|error| panic!("{error}"));
    let flags = GotFlags::from_bits(bytes.byte().into()).unwrap_or_default();
    let mut words = vec![u64::MAX; parsed.plan_words() as usize];
    let few = words.len() - 1;
    let error = parsed.plan(&mut words[..few], flags).unwrap_err();
    assert_eq!((error.kind, error.value, error.limit), (GotPlanTooShort, few as u64, few as u64 + 1));
    let module = parsed.plan(&mut words, flags).unwrap_or_else(|error| panic!("{error}"));
    super::layout::check(&module);
    let scene = Scene { module: &module, flags, entries: entries(&module) };
    scene.needs_its_slots();
    let mut spots = spots(&plan, &errors);
    spots.resize(module.object().section_count() as usize, Spot::none(&errors));
    let expected = module.got().and_then(|got| {
        let (spot, error) = got_spot(got.size, got.align, &errors, bytes);
        spots.push(spot);
        error
    });
    let mut world = World { spots, errors: &errors, syncs: 0 };
    let found: Vec<_> = module.assign_errors(&mut world).collect();
    let of_got: Vec<_> = found.iter().filter(|error| Some(error.section) == scene.got().map(Some)).collect();
    assert_eq!(of_got.iter().map(|error| error.kind).collect::<Vec<_>>(), Vec::from_iter(expected));
    if found.is_empty() {
        scene.load(&mut world, bytes);
    }
}

/// Some early relocations get types of a GOT.
fn retype(plan: &mut Plan, bytes: &mut Bytes<'_>) {
    let is_early = |name: &str| !name.starts_with(".klp.rela.") || name.starts_with(".klp.rela.vmlinux.");
    for section in plan.relocations.iter_mut().filter(|section| is_early(&section.name)) {
        for entry in &mut section.entries {
            if let choice @ 0x80.. = bytes.byte() {
                entry.2 = GOT_TYPES[usize::from(choice) % GOT_TYPES.len()];
            }
        }
    }
}

/// The memory of the GOT, and what is wrong with it.
fn got_spot<'w>(
    size: u64,
    align: u64,
    errors: &'w Faults,
    bytes: &mut Bytes<'_>,
) -> (Spot<'w>, Option<ErrorKind>) {
    let address = bytes.of(&[0xffff_ffff_c00f_0000, 0x7ff0_0000, 1 << 40, 0u64.wrapping_sub(size) & !15]);
    let mut spot = Spot::new(address, usize::try_from(size).unwrap(), errors);
    let choice = bytes.byte();
    spot.is_hooked = choice & 3 == 3;
    let error = match choice {
        0xf0 => {
            spot.is_placed = false;
            NotAssigned
        }
        0xf1 => {
            spot.bytes.pop();
            AssignedSize
        }
        0xf2 => {
            spot.address += align / 2;
            AddressMisaligned
        }
        _ if spot.wraps() => AddressWraps,
        _ => return (spot, None),
    };
    (spot, Some(error))
}

/// An early relocation.
#[derive(Clone, Copy, Debug)]
struct Early {
    /// The section that it changes.
    target: u32,
    rela: Rela,
}

/// The early relocations in the order in which they are applied.
fn entries(module: &Module<'_>) -> Vec<Early> {
    let target = |class| match class {
        Class::Ordinary { target } | Class::KlpEarly { target } => Some(target),
        _ => None,
    };
    let sections =
        module.classes().filter_map(|(index, found)| Some((module.relocations(index), target(found.class)?)));
    let of = |(table, target): (RelaTable<'_>, u32)| -> Vec<Early> {
        table.iter().map(|rela| Early { target, rela }).collect()
    };
    sections.flat_map(of).collect()
}

/// A module that was planned.
struct Scene<'s, 'f> {
    module: &'s Module<'f>,
    flags: GotFlags,
    entries: Vec<Early>,
}

impl Scene<'_, '_> {
    /// The section index of the GOT.
    fn got(&self) -> Option<u32> {
        self.module.got().map(|got| got.section)
    }

    fn has_stubs(&self) -> bool {
        self.flags.contains(GotFlags::STUBS)
    }

    /// Whether a field is in code.
    fn is_in_code(&self, early: &Early) -> bool {
        let section = self.module.object().section(early.target);
        section.is_some_and(|section| section.sh_flags.contains(SectionFlags::EXECINSTR))
    }

    /// Whether the symbol is of the kernel or of another module.
    fn is_foreign(&self, symbol: u32) -> bool {
        let symbols = self.module.object().symbols();
        let location = symbols.get(symbol).map(|symbol| symbols.location(&symbol));
        matches!(location, Some(SymbolLocation::Undefined | SymbolLocation::Livepatch))
    }

    /// A slot for each symbol that needs one, and a stub if the module has stubs.
    fn needs_its_slots(&self) {
        let object = self.module.object();
        let is_call = |early: &Early| {
            let section = object.section(early.target).unwrap();
            let code = if self.is_in_code(early) { object.section_bytes(&section) } else { &[] };
            let end = usize::try_from(early.rela.r_offset).ok();
            let before = end.and_then(|end| code.get(end.checked_sub(2)?..end));
            early.rela.r_type == 4 || early.rela.r_type == 2 && before.is_some_and(is_opcode)
        };
        let needs = |early: &Early| match GOT_TYPES.iter().position(|known| *known == early.rela.r_type) {
            Some(4..) => Some(early.rela.r_sym),
            Some(_) => Some(0),
            None => (self.has_stubs() && self.is_foreign(early.rela.r_sym) && is_call(early))
                .then_some(early.rela.r_sym),
        };
        // A word has bits for 32 symbols, even if there are fewer.
        let bits = 32 * self.module.plan_words();
        let symbols: BTreeSet<_> =
            self.entries.iter().filter_map(needs).filter(|symbol| *symbol < bits).collect();
        let slots = symbols.len() as u64;
        let size = match self.has_stubs() {
            true => (8 * slots).next_multiple_of(16) + 16 * slots,
            false => 8 * slots,
        };
        // No loader of Linux knows a GOT.
        let is_elf = self.module.profile().since == (0, 0);
        let expected = (is_elf && slots != 0).then_some((size, if self.has_stubs() { 16 } else { 8 }));
        assert_eq!(self.module.got().map(|got| (got.size, got.align)), expected);
    }

    /// Whether a field is in the bytes that say whether a later field is a branch.
    fn may_write_an_opcode(&self) -> bool {
        let flags = self.module.profile().flags;
        let overlaps = |branch: &Early| {
            self.entries.iter().filter(|early| early.target == branch.target).any(|early| {
                let (at, size) = field(sized(early.rela), flags);
                let (at, begin) = (at as i128, i128::from(branch.rela.r_offset));
                size != 0 && at < begin && at + size as i128 > begin - 2
            })
        };
        self.has_stubs() && self.entries.iter().any(|early| early.rela.r_type == 2 && overlaps(early))
    }

    /// The early pass: all or nothing, also in the GOT. A dry run before it tells its error.
    fn load(&self, world: &mut World<'_>, bytes: &mut Bytes<'_>) {
        let module = self.module;
        for spot in world.spots.iter_mut().filter(|spot| spot.is_placed && !spot.is_hooked) {
            spot.bytes.fill(0xcc);
        }
        if module.assign(world).unwrap().fill().is_err() {
            return;
        }
        let answers = Known::read(bytes);
        let names = &mut Names { answers: &answers, errors: world.errors };
        let mut values = vec![0; module.object().symbols().len() as usize];
        let before = world.image();
        let mut listed: Vec<Error> = Vec::new();
        let mut filled = module.assign(world).unwrap().assume_filled();
        filled.errors(&mut values, names, &mut |error| listed.push(error)).unwrap();
        assert!(world.is(&before) && world.syncs == 0, "a dry run writes nothing");
        if let choice @ 0xe0.. = bytes.byte() {
            world.errors.arm(bytes.below(128), [1, 1, 2, 1000][usize::from(choice) % 4]);
        }
        let done = module.assign(world).unwrap().assume_filled().early(&mut values, names);
        let failed = world.errors.failed();
        world.errors.arm(0, 0);
        let may_differ = self.may_write_an_opcode();
        match done {
            Ok(loaded) => {
                assert!(failed == 0 && (may_differ || listed.is_empty()), "{listed:?}");
                assert_eq!(loaded.module().got(), module.got());
                Decoded::new(self, world, &values).check(&answers);
                verified(&loaded, world, bytes);
            }
            Err(error) if error.kind == NotUndone => {
                assert!(failed + usize::from(!listed.is_empty()) > 1, "one failure is undone")
            }
            Err(error) => {
                assert!(world.is(&before), "changed by a pass that failed: {error}");
                let is_hook = matches!(error.kind, Resolver | Writer | Sync) && error.value == FAILED as u64;
                let is_told = listed.contains(&error) || error.kind == TargetNotZero || may_differ;
                assert!(if failed == 0 { is_told } else { is_hook || is_told }, "a dry run finds {error}");
            }
        }
    }
}

/// The memory has no difference, and a changed byte of it is one.
fn verified(loaded: &Loaded<'_>, world: &mut World<'_>, bytes: &mut Bytes<'_>) {
    let is_beside = |(index, spot): (usize, &Spot<'_>)| {
        let end = u128::from(spot.address) + spot.bytes.len() as u128;
        !spot.is_hooked
            && world.spots[index + 1..].iter().all(|other| {
                u128::from(other.address) >= end
                    || u128::from(other.address) + other.bytes.len() as u128 <= spot.address.into()
            })
    };
    if !world.spots.iter().enumerate().all(is_beside) {
        return;
    }
    let mut running = world.clone();
    let mut found = Vec::new();
    loaded.verify(world, &mut Running::new(&running), &mut |at| found.push((at.section, at.offset))).unwrap();
    assert_eq!(found, []);
    let Some(got) = loaded.module().got() else { return };
    let at = bytes.below(usize::try_from(got.size).unwrap());
    running.spots[got.section as usize].bytes[at] ^= 1;
    loaded.verify(world, &mut Running::new(&running), &mut |at| found.push((at.section, at.offset))).unwrap();
    assert_eq!(found, [(got.section, at as u64)]);
}

/// Whether these bytes before a field say that it is a branch.
fn is_opcode(before: &[u8]) -> bool {
    matches!(before, [_, 0xe8 | 0xe9] | [0x0f, 0x80..=0x8f])
}

/// A relocation that has the same field without a GOT.
fn sized(rela: Rela) -> Rela {
    let r_type = match rela.r_type {
        25 | 27 | 28 | 29 | 31 => 1,
        9 | 26 | 41 | 42 | 43 | 46 | 49 => 11,
        other => other,
    };
    Rela { r_type, ..rela }
}

/// Bytes of the field of a relocation that was applied.
fn size(rela: Rela, module: &Module<'_>) -> usize {
    row(sized(rela).r_type, module.profile().flags).map_or(0, |row| row.2 as usize / 8)
}
