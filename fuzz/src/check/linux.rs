//! Linux's coming and going, simulated, beside the passes: the same where Linux is all right.

use crate::module::mutated::{Hashed, object_of};
use relakit::ErrorKind::TargetNotZero;
use relakit::abi::{RELA_SIZE, VMLINUX};
use relakit::elf::{RelaTable, Section};
use relakit::klp::SymName;
use relakit::reloc::howto;
use relakit::{Class, Error, Late, Loaded, MAX_OBJECTS, Module, Objects};
use relakit_linux::findings;
use relakit_linux::findings::{Field, Finding, Lint};
use relakit_linux::late::LinuxLate;
use relakit_model::world::{Answers, Names, World};

/// Objects that are taken through their lives.
const MOST: usize = 4;

/// A module that is loaded, and what is known of it.
pub(super) struct Scene<'s, 'f, 'w> {
    pub(super) loaded: &'s Loaded<'f>,
    pub(super) world: &'s World<'w>,
    /// The values of the symbols after the early pass.
    pub(super) values: &'s [u64],
    pub(super) found: &'s [Finding],
    pub(super) answers: Hashed,
}

impl Scene<'_, '_, '_> {
    /// Each object comes and goes by itself; then all come, with other values, and go.
    pub(super) fn compare(&self) {
        let module = self.loaded.module();
        let mut scratch = self.values.to_vec();
        let mut kept = vec![0; self.loaded.retained_size()];
        let mut memory = self.world.clone();
        let mut late = self.loaded.retain(&mut memory, &mut scratch, &mut kept).unwrap();
        let Ok(objects) = Objects::of(module) else { return };
        assert!(objects.names().len() <= MAX_OBJECTS);
        let names: Vec<&[u8]> = objects.names().iter().copied().take(MOST).collect();
        // A section without memory is for a loader to refuse; the simulation is of kernels, which have
        // some.
        let has_memory =
            |object: &&&[u8]| targets(module, object).all(|target| self.world.spots[target].is_placed);
        let names: Vec<&[u8]> = names.iter().filter(has_memory).copied().collect();
        for object in &names {
            assert_ne!(*object, VMLINUX);
            self.alone(&mut late, object);
        }
        self.together(&mut late, &names);
    }

    /// One object, in memory as the early pass left it.
    fn alone(&self, late: &mut Late<'_>, object: &[u8]) {
        let (module, world) = (self.loaded.module(), self.world);
        let (mut ours, mut theirs, mut values) = (world.clone(), world.clone(), self.values.to_vec());
        let names = &mut Names { answers: self.answers, errors: world.errors };
        let (mut listed, mut all) = (Vec::new(), Vec::new());
        late.errors(object, &mut ours, names, &mut |error| listed.push(error)).unwrap();
        LinuxLate::new(module, &mut values.clone())
            .errors(object, &mut theirs, names, &mut |error| all.push(error));
        assert!(ours.is_as(&world.spots) && theirs.is_as(&world.spots), "a dry run writes nothing");
        // A symbol that several relocations use is named with one of them.
        let what = |error: &Error| (error.kind, error.section, error.symbol, error.value, error.limit);
        let is_in_both = |error| all.iter().any(|other| what(other) == what(error));
        assert!(listed.iter().all(is_in_both), "{listed:?} of {all:?}");
        assert_eq!(listed.is_empty(), all.is_empty());
        let mut linux = LinuxLate::new(module, &mut values);
        let answer = late.coming(object, &mut ours, names);
        let coming = linux.coming(object, &mut theirs, names);
        assert_eq!(answer.err(), coming.error, "a coming that fails");
        if let Some(error) = coming.error {
            assert!(error.kind == TargetNotZero || all.contains(&error), "refused, and not listed: {error}");
            assert!(ours.is_as(&world.spots), "all or nothing");
            assert!(coming.written <= fields(module, object), "{coming:?}");
            assert!(coming.written != 0 || theirs.is_as(&world.spots), "nothing is written: {coming:?}");
            return;
        }
        assert_eq!(all, [], "listed, and applied");
        assert_eq!(coming.written, fields(module, object));
        values_are_right(module, object, linux.values(), self.answers);
        assert!(ours.is_as(&theirs.spots), "coming");
        late.going(object, &mut ours).unwrap_or_else(|error| panic!("nobody else wrote: {error}"));
        let mut stopped: Vec<Error> = Vec::new();
        linux.going(object, &mut theirs, &mut |error| stopped.push(error));
        // Linux clears in the order of applying, and finds the later of two fields in the earlier one.
        let is_same = stopped.is_empty() && ours.is_as(&theirs.spots);
        assert!(is_same || has_overlaps(module, object), "going: {stopped:?}");
        let is_cleared = module.profile().clears_on_going;
        assert!(!is_cleared || ours.is_as(&world.spots), "going clears every field");
    }

    /// All objects come, each with other values, and go in the same order. Symbols that none shares
    /// do not go stale in Linux.
    fn together(&self, late: &mut Late<'_>, objects: &[&[u8]]) {
        let module = self.loaded.module();
        if !module.profile().clears_on_going {
            return;
        }
        let (mut ours, mut theirs, mut values) =
            (self.world.clone(), self.world.clone(), self.values.to_vec());
        let mut linux = LinuxLate::new(module, &mut values);
        let mut came = Vec::new();
        for (number, object) in (1..).zip(objects) {
            let seed = self.answers.seed.wrapping_add(number);
            let names = &mut Names { answers: Hashed { seed }, errors: self.world.errors };
            if late.coming(object, &mut ours, names).is_ok() {
                assert_eq!(linux.coming(object, &mut theirs, names).error, None);
                came.push(*object);
            }
            assert!(ours.is_as(&theirs.spots), "coming");
        }
        for object in came {
            let mut stopped: Vec<Error> = Vec::new();
            let gone = late.going(object, &mut ours);
            linux.going(object, &mut theirs, &mut |error| stopped.push(error));
            // Fields may overlap, which is found elsewhere.
            if has_overlaps(module, object)
                || gone.is_err()
                || stopped.is_empty() != ours.is_as(&theirs.spots)
            {
                return;
            }
            let is_shared = self.found.iter().any(|finding| finding.lint == Lint::SharedSymbol);
            assert!(stopped.is_empty() || is_shared, "a symbol goes stale that nobody shares: {stopped:?}");
        }
    }
}

/// The sections of `object` that its coming applies.
fn sections<'m>(module: &'m Module<'_>, object: &'m [u8]) -> impl Iterator<Item = Section> {
    let is_it = move |index, class| {
        matches!(class, Class::KlpLate { .. }) && object_of(module, index) == Some(object)
    };
    let indices = module.classes().filter(move |(index, class)| is_it(*index, class.class));
    indices.map(|(index, _)| module.object().section(index).unwrap())
}

/// The relocations in them.
fn tables<'m>(module: &'m Module<'_>, object: &'m [u8]) -> impl Iterator<Item = RelaTable<'m>> {
    sections(module, object)
        .map(|section| RelaTable::whole_entries(module.object().section_bytes(&section)).0)
}

/// What they relocate.
fn targets<'m>(module: &'m Module<'_>, object: &'m [u8]) -> impl Iterator<Item = usize> {
    let has_some = |section: &Section| section.sh_size >= RELA_SIZE as u64;
    sections(module, object).filter(has_some).map(|section| usize::try_from(section.sh_info).unwrap())
}

/// Each symbol has the value of the one that its position means: 0 is the only one, N the N-th.
fn values_are_right(module: &Module<'_>, object: &[u8], values: &[u64], answers: Hashed) {
    let table = module.object().symbols();
    for rela in tables(module, object).flat_map(|table| table.iter()) {
        let symbol = table.get(rela.r_sym).unwrap();
        let name = SymName::parse(table.name(&symbol).unwrap(), module.profile()).unwrap();
        let count = answers.count(name.name);
        assert!(name.sympos <= count && (name.sympos != 0 || count == 1), "{count} for {name:?}");
        let value = answers.nth_symbol(name.object, name.name, name.sympos.max(1) - 1);
        assert_eq!(Some(values[usize::try_from(rela.r_sym).unwrap()]), value, "{name:?}");
    }
}

/// How many relocations of `object` have a field.
fn fields(module: &Module<'_>, object: &[u8]) -> u64 {
    let has_field =
        |r_type| howto(r_type, module.profile().reloc_flags()).is_some_and(|howto| howto.size != 0);
    tables(module, object).flat_map(|table| table.iter()).filter(|rela| has_field(rela.r_type)).count() as u64
}

/// Whether two relocations of `object` have fields that share a byte.
fn has_overlaps(module: &Module<'_>, object: &[u8]) -> bool {
    let is_its = |field: &Field| object_of(module, field.section) == Some(object);
    let mut fields: Vec<_> = findings::fields(module)
        .filter(is_its)
        .map(|field| (field.target, field.offset, u64::from(field.size)))
        .collect();
    fields.sort_unstable();
    let ends = |pair: &[(u32, u64, u64)]| pair[0].1.saturating_add(pair[0].2);
    // In the order of offsets: a field that overlaps a later one overlaps the next one as well.
    fields.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[1].1 < ends(pair))
}
