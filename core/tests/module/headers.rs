//! Linux-shaped loaders: what they get from section headers is what a whole module gets (Linux semantics 9 to 12).

use crate::world::{Mem, Names, World};
use crate::world::{names, two_objects};
use relakit::ErrorKind::{self, *};
use relakit::abi::{SHDR_SIZE, SYM_SIZE};
use relakit::elf::{Object, Section, Strings};
use relakit::reloc::{RelocFlags, SymtabValues};
use relakit::sechdrs::{Klp, Mapping, Sechdrs};
use relakit::{CallbackError, Error, Memory, Profile, Resolver, Target};
use relakit_model::image::{ABS, ALLOC, Builder, GLOBAL, LIVEPATCH, NOTE, R_32, R_64, R_PC32, REL, table};

const LINUX: Profile = Profile::LINUX_6_12;

/// The file's tables as such a loader has them in memory. Targets are in [`Mem`].
pub struct Image<'f> {
    object: Object<'f>,
    pub symbols: Vec<[u8; SYM_SIZE]>,
    pub mem: Mem,
    profile: Profile,
    /// A section that is where it cannot be, and why.
    missing: Option<(u32, ErrorKind)>,
}

struct Addresses<'a, 'f> {
    object: Object<'f>,
    mem: &'a mut Mem,
    missing: Option<(u32, ErrorKind)>,
}

impl Addresses<'_, '_> {
    fn check(&self, index: u32) -> Result<(), ErrorKind> {
        match self.missing {
            Some((missing, kind)) if missing == index => Err(kind),
            _ => Ok(()),
        }
    }
}

impl<'f> Mapping<'f> for Addresses<'_, 'f> {
    fn table(&self, index: u32, section: &Section) -> Result<&'f [u8], ErrorKind> {
        self.check(index).map(|()| self.object.section_bytes(section))
    }

    fn target(&mut self, index: u32, _: &Section) -> Result<Target<'_>, ErrorKind> {
        self.check(index)?;
        self.mem.target(index).ok_or(NotAssigned)
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        Memory::sync(self.mem)
    }
}

impl<'f> Image<'f> {
    /// Symbol values are those that a whole module's early pass comes to.
    pub fn new(world: &'f World, filled: Mem) -> Self {
        let object = Object::parse(&world.file).unwrap();
        let symbols = object.section(object.symbols().section()).unwrap();
        let mut symbols: Vec<[u8; SYM_SIZE]> = object.section_bytes(&symbols).as_chunks().0.to_vec();
        for (symbol, value) in symbols.iter_mut().zip(&world.values) {
            symbol[8..16].copy_from_slice(&value.to_le_bytes());
        }
        Self { object, symbols, mem: filled, profile: LINUX, missing: None }
    }

    pub fn with(world: &'f World, filled: Mem, profile: Profile) -> Self {
        Self { profile, ..Self::new(world, filled) }
    }

    fn headers(&self) -> &'f [[u8; SHDR_SIZE]] {
        let file = self.object.bytes();
        let offset = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
        &file[offset..].as_chunks().0[..usize::try_from(self.object.section_count()).unwrap()]
    }

    fn sechdrs(&self) -> Sechdrs<'f> {
        Sechdrs { headers: self.headers(), symbols: self.object.symbols().section() }
    }

    fn klp<'o>(&self, object: &'o str) -> Klp<'o>
    where
        'f: 'o,
    {
        let names = self.object.section(self.object.names_section()).unwrap();
        self.sechdrs().klp(object.as_bytes(), Strings::new(self.object.section_bytes(&names))).unwrap()
    }

    fn one(&mut self, index: u32, clear: bool) -> Result<(), Error> {
        let Self { object, missing, .. } = *self;
        let sechdrs = self.sechdrs();
        let values = SymtabValues::from_entries(&self.symbols);
        let mut addresses = Addresses { object, mem: &mut self.mem, missing };
        match clear {
            false => sechdrs.apply(index, values, &mut addresses, RelocFlags::empty()),
            true => sechdrs.clear(index, values, &mut addresses, RelocFlags::empty()),
        }
    }

    /// What fails must change nothing.
    pub fn klp_apply(&mut self, name: &str, names: &mut Names) -> Result<usize, Error> {
        let before = (self.mem.image(), self.symbols.clone());
        let answer = self.klp_apply_with(name, names);
        if answer.is_err() {
            assert_eq!((self.mem.image(), &self.symbols), (before.0, &before.1), "changed by what failed");
        }
        answer
    }

    pub fn klp_apply_with(&mut self, name: &str, names: &mut dyn Resolver) -> Result<usize, Error> {
        let (klp, object, missing) = (self.klp(name), self.object, self.missing);
        let strings = object.symbols().strings();
        let mut addresses = Addresses { object, mem: &mut self.mem, missing };
        klp.apply(&mut self.symbols, strings, &mut addresses, names, &self.profile)
    }

    pub fn klp_clear(&mut self, name: &str) -> Result<usize, Error> {
        let before = self.mem.image();
        let (klp, object, missing) = (self.klp(name), self.object, self.missing);
        let values = SymtabValues::from_entries(&self.symbols);
        let mut addresses = Addresses { object, mem: &mut self.mem, missing };
        let answer = klp.clear(values, &mut addresses, &self.profile);
        if answer.is_err() {
            assert_eq!(self.mem.image(), before, "changed by what failed");
        }
        answer
    }
}

/// The world with its symbols resolved, and its memory as it was before the early pass.
pub fn resolved(builder: &Builder, names: Names) -> (World, Mem) {
    let mut world = World::new(builder, LINUX, names);
    let mut filled = world.mem.clone();
    relakit::Module::parse(&world.file, LINUX).unwrap().assign(&mut filled).unwrap().fill().unwrap();
    world.early().unwrap();
    (world, filled)
}

/// Ordinary relocations and vmlinux-specific ones besides those of two objects.
fn everything() -> (Builder, Names, u32) {
    let mut builder = two_objects();
    let data = builder.data(".data", 32);
    let absolute = builder.symbol("absolute", GLOBAL, ABS, 0x1234);
    let vmlinux = builder.klp_symbol(".klp.sym.vmlinux.v,2");
    let ordinary = builder.rela(data, &[(0, absolute, R_64, 7), (8, absolute, R_PC32, -4)]);
    builder.klp("vmlinux", data, &[(16, vmlinux, R_64, 0), (24, vmlinux, R_64, 1)]);
    let mut names = names();
    names.set("vmlinux", "v", &[1, 0xffff_ffff_8100_0040]);
    (builder, names, ordinary)
}

#[test]
fn the_bytes_are_those_of_a_whole_module_in_every_state() {
    let (builder, names, ordinary) = everything();
    let (mut world, filled) = resolved(&builder, names.clone());
    let mut image = Image::new(&world, filled.clone()).mem;
    {
        let mut here = Image::new(&world, image);
        here.one(ordinary, false).unwrap();
        assert_eq!(here.klp_apply("vmlinux", &mut names.clone()), Ok(1));
        image = here.mem;
    }
    assert_eq!(image.image(), world.mem.image(), "early");
    world.mem = filled;
    let values = world.values.clone();
    let file = world.file.clone();
    let (mut late, mem, _) = world.load().unwrap();
    let mut other = World::new(&builder, LINUX, names.clone());
    (other.file, other.values) = (file, values);
    let mut here = Image::new(&other, image);
    for f in [0xffff_ffff_c100_0000, 0xffff_ffff_c0f0_0000] {
        let mut names = names.clone();
        names.set("a", "f", &[f]);
        for (name, sections) in [("a", 2), ("b", 2), ("c", 0)] {
            assert_eq!(here.klp_apply(name, &mut names), Ok(sections), "{name}");
            assert_eq!(late.coming(name.as_bytes(), mem, &mut names), Ok(sections), "{name}");
            assert_eq!(here.mem.image(), mem.image(), "{name} came");
        }
        for (name, sections) in [("b", 2), ("a", 2), ("c", 0)] {
            assert_eq!(here.klp_clear(name), Ok(sections), "{name}");
            let gone = late.going(name.as_bytes(), mem);
            assert!(gone == Ok(sections) || name == "c", "{name}");
            assert_eq!(here.mem.image(), mem.image(), "{name} went");
        }
    }
}

#[test]
fn clearing_an_ordinary_section_is_the_inverse_of_applying_it() {
    let (builder, names, ordinary) = everything();
    let (world, filled) = resolved(&builder, names);
    let mut image = Image::new(&world, filled.clone());
    assert_eq!(image.one(ordinary, true).unwrap_err().kind, TargetMismatch);
    image.one(ordinary, false).unwrap();
    assert_eq!(image.one(ordinary, false).unwrap_err().kind, TargetNotZero);
    image.one(ordinary, true).unwrap();
    assert_eq!(image.mem.image(), filled.image());
}

#[test]
fn values_are_stored_only_for_the_symbols_of_the_object_and_only_on_success() {
    let (builder, names, _) = everything();
    let (world, filled) = resolved(&builder, names.clone());
    let mut image = Image::new(&world, filled);
    let before = image.symbols.clone();
    let mut nobody = names.clone();
    nobody.set("a", "f", &[]);
    assert_eq!(image.klp_apply("a", &mut nobody).unwrap_err().kind, KlpNotFound);
    assert_eq!(image.klp_apply("a", &mut names.clone()), Ok(2));
    let changed: Vec<_> = (0..before.len()).filter(|&index| before[index] != image.symbols[index]).collect();
    assert_eq!(changed.len(), 1, "a.f and nothing else");
    let value = u64::from_le_bytes(image.symbols[changed[0]][8..16].try_into().unwrap());
    assert_eq!(value, 0xffff_ffff_c100_0000);
}

#[test]
fn a_second_section_that_fails_takes_the_first_back_and_so_does_a_sync() {
    for (at, bytes, fault) in [(0, 1, TargetNotZero), (8, 1, TargetNotZero)] {
        let (world, mut filled) = resolved(&two_objects(), names());
        let (section, offset) = if at == 0 { (2, 0) } else { (1, 8) };
        filled.spot(section).bytes[offset] = bytes;
        let mut image = Image::new(&world, filled);
        let error = image.klp_apply("a", &mut names()).unwrap_err();
        assert_eq!((error.kind, error.entry), (fault, Some(u64::from(at != 0))));
    }
    let (world, filled) = resolved(&two_objects(), names());
    let mut image = Image::new(&world, filled);
    image.mem.fail_sync = Some(-7);
    let error = image.klp_apply("a", &mut names()).unwrap_err();
    assert_eq!((error.kind, error.value.cast_signed(), image.mem.syncs), (Sync, -7, 2));
    assert_eq!(image.klp_apply("c", &mut names()), Ok(0));
    assert_eq!(image.mem.syncs, 2, "nothing written, nothing to make visible");
    assert_eq!(image.klp_apply("a", &mut names()), Ok(2));
    image.mem.fail_sync = Some(9);
    assert_eq!(image.klp_clear("a").unwrap_err().kind, Sync);
    assert_eq!(image.klp_clear("a"), Ok(2));
}

#[test]
fn a_field_that_somebody_else_changed_is_not_cleared_nor_is_any_other() {
    let (world, filled) = resolved(&two_objects(), names());
    let mut image = Image::new(&world, filled);
    image.klp_apply("a", &mut names()).unwrap();
    image.mem.spot(1).bytes[0] ^= 1;
    let error = image.klp_clear("a").unwrap_err();
    assert_eq!((error.kind, error.entry), (TargetMismatch, Some(0)));
}

#[test]
fn a_shared_symbol_that_came_elsewhere_since_cannot_be_cleared_by_its_other_object() {
    let (world, filled) = resolved(&two_objects(), names());
    let mut image = Image::new(&world, filled);
    let mut names = names();
    image.klp_apply("b", &mut names).unwrap();
    names.set("a", "f", &[0xffff_ffff_c300_0000]);
    image.klp_apply("a", &mut names).unwrap();
    assert_eq!(image.klp_clear("b").unwrap_err().kind, TargetMismatch);
    assert_eq!(image.klp_clear("a"), Ok(2));
}

/// One object, one section; the test bends something.
fn one_object() -> (Builder, u32, u32) {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let f = builder.klp_symbol(".klp.sym.a.f,0");
    let rela = builder.klp("a", data, &[(0, f, R_64, 0)]);
    (builder, data, rela)
}

#[test]
fn headers_that_linux_would_trust_are_faults_with_the_section_and_the_number() {
    type Bend = fn(&mut Builder, u32, u32);
    let rows: &[(&str, Bend, ErrorKind)] = &[
        ("sh_info past the end", |b, _, rela| b.at(rela).info = 99, TargetOutOfRange),
        ("sh_info 0", |b, _, rela| b.at(rela).info = 0, TargetOutOfRange),
        ("target is .symtab", |b, _, rela| b.at(rela).info = 3, TargetIsSymbolTable),
        ("target is itself", |b, _, rela| b.at(rela).info = rela, TargetIsRelocations),
        ("target is unused", |b, data, _| b.at(data).kind = 0, TargetOutOfRange),
        ("target not ALLOC", |b, data, _| b.at(data).flags = 1, TargetNotAllocated),
        ("section not ALLOC", |b, _, rela| b.at(rela).flags = LIVEPATCH, LateNotAllocated),
        ("REL", |b, _, rela| b.at(rela).kind = REL, RelSection),
        ("NOTE", |b, _, rela| b.at(rela).kind = NOTE, NotRelocations),
        ("half an entry", |b, _, rela| b.at(rela).bytes.push(0), PartialEntry),
        ("malformed name", |b, _, rela| b.at(rela).name = b".klp.rela.".to_vec(), BadKlpSectionName),
        ("outside", |b, _, rela| b.at(rela).bytes = table(&[(9, 1, R_64, 0)]), OffsetOutside),
        ("no such symbol", |b, _, rela| b.at(rela).bytes = table(&[(0, 77, R_64, 0)]), SymbolIndex),
        ("does not fit", |b, _, rela| b.at(rela).bytes = table(&[(0, 1, R_32, 0)]), Overflow),
        ("not marked", |b, _, _| b.symbols[1].shndx = ABS, NotKlpSymbol),
        ("symbol name", |b, _, _| b.symbols[1].name = b".klp.sym.a.f".to_vec(), BadKlpSymbolName),
        ("vmlinux", |b, _, _| b.symbols[1].name = b".klp.sym.vmlinux.f,0".to_vec(), VmlinuxFromModule),
    ];
    for (what, bend, kind) in rows {
        let (mut builder, data, rela) = one_object();
        bend(&mut builder, data, rela);
        let (right, ..) = one_object();
        let (right, filled) = resolved(&right, names());
        let world = World { file: builder.build(), ..right };
        let mut image = Image::new(&world, filled);
        let error = image.klp_apply("a", &mut names()).unwrap_err();
        assert_eq!((error.kind, error.section), (*kind, Some(rela)), "{what}");
    }
}

#[test]
fn a_section_that_is_not_in_memory_is_an_error_with_its_reason() {
    let (builder, data, rela) = one_object();
    let (world, filled) = resolved(&builder, names());
    let said = |error: Error| (error.kind, error.section, error.value, error.limit);
    let address_of_table = 0; // in the file, no section has an address
    for (section, kind, expected) in [
        (rela, NotAssigned, (Some(rela), 24, 0)),
        (rela, TableOverlaps, (Some(rela), 24, 0)),
        (rela, AddressWraps, (Some(rela), address_of_table, 24)),
        (data, NotAssigned, (Some(data), 16, 0)),
        (data, AddressWraps, (Some(data), 0, 16)),
        (data, TargetOverlaps, (Some(rela), u64::from(data), 0)),
    ] {
        let mut image = Image::new(&world, filled.clone());
        image.missing = Some((section, kind));
        let (section, value, limit) = expected;
        let error = image.klp_apply("a", &mut names()).map_err(said);
        assert_eq!(error, Err((kind, section, value, limit)));
        for symbol in &mut image.symbols {
            symbol[8] = 1;
        }
        for clear in [false, true] {
            assert_eq!(image.one(rela, clear).map_err(said), Err((kind, section, value, limit)));
        }
    }
    let mut image = Image::new(&world, filled);
    image.mem.spots[usize::try_from(data).unwrap()] = None;
    let error = image.klp_apply("a", &mut names()).unwrap_err();
    assert_eq!((error.kind, error.section, error.value), (NotAssigned, Some(data), 16));
}

#[test]
fn the_symbol_table_is_a_section_of_whole_symbols() {
    let mut headers = [[0; SHDR_SIZE]; 3];
    let mut found = |symbols: u32, size: u64| {
        headers[2][32..40].copy_from_slice(&size.to_le_bytes());
        let table = Sechdrs { headers: &headers, symbols }.symbol_table();
        table
            .map(|table| table.sh_size)
            .map_err(|error| (error.kind, error.section, error.value, error.limit))
    };
    for size in [0, 24, 48, 24 << 32] {
        assert_eq!(found(2, size), Ok(size));
    }
    for (size, rest) in [(1, 1), (23, 23), (25, 1), (47, 23), (u64::MAX, 15)] {
        assert_eq!(found(2, size), Err((PartialEntry, Some(2), size, rest)));
    }
    for symbols in [0, 3, u32::MAX] {
        assert_eq!(found(symbols, 24), Err((NoSuchSection, None, u64::from(symbols), 3)));
    }
}

#[test]
fn a_target_that_wraps_is_refused_for_an_object_as_well() {
    let (builder, data, _) = one_object();
    let (world, filled) = resolved(&builder, names());
    for (address, wraps) in [(u64::MAX - 15, false), (u64::MAX - 14, true), (u64::MAX, true)] {
        let mut image = Image::new(&world, filled.clone());
        let right = image.mem.spot(data).address;
        image.mem.spot(data).address = address;
        let refused = Err((AddressWraps, Some(data), address, 16));
        let said = |error: Error| (error.kind, error.section, error.value, error.limit);
        let applied = image.klp_apply("a", &mut names());
        assert_eq!(applied.map_err(said), if wraps { refused } else { Ok(1) }, "{address:#x}");
        if wraps {
            image.mem.spot(data).address = right;
            image.klp_apply("a", &mut names()).unwrap();
            image.mem.spot(data).address = address;
        }
        assert_eq!(image.klp_clear("a").map_err(said), if wraps { refused } else { Ok(1) }, "{address:#x}");
    }
}

#[test]
fn only_sections_that_exist_and_have_relocations_can_be_applied_by_number() {
    let (builder, data, rela) = one_object();
    let (world, filled) = resolved(&builder, names());
    let mut image = Image::new(&world, filled);
    let count = image.object.section_count();
    for (index, kind) in
        [(0, NoSuchSection), (count, NoSuchSection), (u32::MAX, NoSuchSection), (data, NotRelocations)]
    {
        for clear in [false, true] {
            assert_eq!(image.one(index, clear).unwrap_err().kind, kind, "{index}");
        }
    }
    let unresolved = image.one(rela, false).unwrap_err();
    assert_eq!((unresolved.kind, unresolved.value), (SymbolUnresolved, 0xff20));
    for symbol in &mut image.symbols {
        symbol[8] = 1;
    }
    assert_eq!(image.one(rela, false), Ok(()), "by number its flag does not matter");
}

#[test]
fn a_relocation_section_is_no_target_if_there_are_relocations() {
    for (count, expected) in [(1, Err(TargetIsRelocations)), (0, Ok(()))] {
        let (mut builder, _, rela) = one_object();
        let entries = [(0, 1, R_64, 0)];
        let second = builder.rela(rela, &entries[..count]);
        let (right, ..) = one_object();
        let (right, filled) = resolved(&right, names());
        let world = World { file: builder.build(), ..right };
        let mut image = Image::new(&world, filled);
        assert_eq!(image.one(second, false).map_err(|error| error.kind), expected, "{count}");
    }
}

#[test]
fn while_loading_a_target_that_is_not_in_memory_is_passed_over_as_in_linux() {
    for (info, flags) in [(99, ALLOC), (0, ALLOC), (1, 1)] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 16);
        let v = builder.klp_symbol(".klp.sym.vmlinux.v,0");
        let rela = builder.klp("vmlinux", data, &[(0, v, R_64, 0)]);
        builder.at(rela).info = info;
        builder.at(data).flags = flags;
        let world = World::new(&builder, LINUX, Names::default());
        let mem = world.mem.clone();
        let mut image = Image::new(&world, mem);
        assert_eq!(image.klp_apply("vmlinux", &mut Names::default()), Ok(0));
    }
}

#[test]
fn no_object_has_an_empty_name() {
    let sechdrs = Sechdrs { headers: &[], symbols: 0 };
    assert_eq!(sechdrs.klp(b"", Strings::new(b"")).unwrap_err().kind, NotAModule);
    assert!(sechdrs.klp(b"a", Strings::new(b"")).is_ok());
}
