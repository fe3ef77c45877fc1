//! A module that needs a global offset table: what it needs, and that it is filled with the rest.

use crate::world::{Mem, Names, Spot, address};
use relakit::ErrorKind::{
    self, AddressMisaligned, AssignedSize, GotPlanTooShort, NotAssigned, Overflow, TargetNotZero, UnknownType,
};
use relakit::reloc::GotFlags;
use relakit::verify::Reader;
use relakit::{CallbackError, Error, Group, Loaded, Module, Profile, SectionMemory};
use relakit_model::image::{ALLOC, Builder, GLOBAL, PROGBITS, R_64, R_PC32, UNDEF, WEAK};

const EXEC: u64 = 4;
const GOTPCREL: u32 = 9;
const PLT32: u32 = 4;
const GOTPC32: u32 = 26;
const GOTPCRELX: u32 = 41;
const REX_GOTPCRELX: u32 = 42;
const NEAR: u64 = 0xffff_ffff_8100_0000;
const FAR: u64 = 0x5555_0000_0000;

/// Code that loads three addresses and calls one function.
fn builder() -> (Builder, u32) {
    let mut builder = Builder::new();
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, vec![0; 64]);
    let near = builder.symbol("near", GLOBAL, UNDEF, 0);
    let far = builder.symbol("far", GLOBAL, UNDEF, 0);
    let own = builder.symbol("own", GLOBAL, u16::try_from(text).unwrap(), 0x30);
    let weak = builder.symbol("weak", WEAK, UNDEF, 0);
    builder.rela(
        text,
        &[
            (3, far, REX_GOTPCRELX, -4),
            (10, own, GOTPCRELX, -4),
            (17, weak, GOTPCREL, -4),
            (24, near, PLT32, -4),
            (32, far, REX_GOTPCRELX, -4),
        ],
    );
    (builder, text)
}

fn names() -> Names {
    Names::new(&[("", "near", &[NEAR]), ("", "far", &[FAR])])
}

/// Memory with a GOT.
fn memory(file: &[u8], module: &Module<'_>) -> Mem {
    let mut memory = Mem::of(file, *module.profile());
    if let Some(got) = module.got() {
        let at = address(got.section);
        memory.spots.push(Some(Spot { bytes: vec![0xaa; size(got.size)], address: at, base: at }));
    }
    memory
}

fn load<'f>(module: &Module<'f>, memory: &mut Mem, names: &mut Names) -> Result<Loaded<'f>, Error> {
    let mut values = vec![0; size(module.object().symbols().len().into())];
    module.assign(memory)?.fill()?.early(&mut values, names)
}

/// Where the field at `offset` of the text leads.
fn leads_to(memory: &Mem, text: u32, offset: usize) -> u64 {
    let field = memory.at(text)[offset..][..4].try_into().unwrap();
    let after = address(text) + offset as u64 + 4;
    after.wrapping_add_signed(i64::from(i32::from_le_bytes(field)))
}

fn size(size: u64) -> usize {
    usize::try_from(size).unwrap()
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

#[test]
fn each_reference_leads_to_a_slot_with_the_address_of_its_symbol() {
    let (builder, text) = builder();
    let file = builder.build();
    let mut words = [u64::MAX; 1];
    let module = Module::parse(&file, Profile::ELF).unwrap().plan(&mut words, GotFlags::empty()).unwrap();
    let got = module.got().unwrap();
    let count = module.object().section_count();
    assert_eq!((got.section, got.size, got.align, got.group), (count, 24, 8, Group::Rodata));
    let mut memory = memory(&file, &module);
    let loaded = load(&module, &mut memory, &mut names()).unwrap();
    assert_eq!(loaded.module().got(), Some(got));
    let slot = |offset| memory.word(count, size(leads_to(&memory, text, offset) - address(count)));
    assert_eq!([slot(3), slot(10), slot(17), slot(32)], [FAR, address(text) + 0x30, 0, FAR]);
    assert_eq!(leads_to(&memory, text, 3), leads_to(&memory, text, 32), "one slot for each symbol");
    assert_eq!(leads_to(&memory, text, 24), NEAR);
}

#[test]
fn fields_lead_to_the_memory_of_the_got_whatever_the_base_of_its_symbols_is() {
    let (builder, text) = builder();
    let file = builder.build();
    let mut words = [0; 1];
    let module = Module::parse(&file, Profile::ELF).unwrap().plan(&mut words, GotFlags::empty()).unwrap();
    let got = module.got().unwrap().section;
    let mut memory = memory(&file, &module);
    memory.spot(got).base += 0x100;
    load(&module, &mut memory, &mut names()).unwrap();
    assert_eq!(memory.word(got, size(leads_to(&memory, text, 3) - address(got))), FAR);
}

#[test]
fn a_call_that_does_not_reach_needs_a_stub() {
    let (mut builder, text) = builder();
    let far = 2;
    let call = builder.section(".text.call", PROGBITS, ALLOC | EXEC, [[0x90, 0xe8], [0; 2], [0; 2]].concat());
    let data = builder.section(".data", PROGBITS, ALLOC, [[0x90, 0xe8], [0; 2], [0; 2]].concat());
    builder.rela(call, &[(2, far, R_PC32, -4)]);
    let file = builder.build();
    let parsed = Module::parse(&file, Profile::ELF).unwrap();
    let load_with = |flags| {
        let mut words = [0; 1];
        let module = parsed.plan(&mut words, flags).unwrap();
        let mut memory = memory(&file, &module);
        let error = kind(load(&module, &mut memory, &mut names()));
        (error, module.got().unwrap(), memory)
    };
    let (error, _, memory) = load_with(GotFlags::empty());
    assert_eq!(error, Some(Overflow));
    assert!(memory.at(text)[..40].iter().all(|byte| *byte == 0), "and nothing is changed");
    let (error, got, memory) = load_with(GotFlags::STUBS | GotFlags::ENDBR);
    assert_eq!((error, got.group, got.align), (None, Group::Text, 16));
    let stub = leads_to(&memory, call, 2) - address(got.section);
    assert_eq!(memory.at(got.section)[size(stub)..][..4], [0xf3, 0x0f, 0x1e, 0xfa]);
    assert_eq!(leads_to(&memory, text, 24), NEAR, "what reaches is called directly");

    builder.rela(data, &[(2, far, R_PC32, -4)]);
    let file = builder.build();
    let parsed = Module::parse(&file, Profile::ELF).unwrap();
    let mut words = [0; 1];
    let module = parsed.plan(&mut words, GotFlags::STUBS).unwrap();
    let mut memory = self::memory(&file, &module);
    assert_eq!(kind(load(&module, &mut memory, &mut names())), Some(Overflow), "data is no call");
}

#[test]
fn a_call_of_an_address_that_does_not_reach_is_refused() {
    // `call 0x1000` is relative to symbol 0, which has a slot because the code uses the GOT's address.
    let mut builder = Builder::new();
    let code = [vec![0; 7], vec![0xe8, 0, 0, 0, 0]].concat();
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, code);
    builder.rela(text, &[(3, 0, GOTPC32, -4), (8, 0, R_PC32, 0x1000 - 4)]);
    let file = builder.build();
    let mut words = [0; 1];
    let module = Module::parse(&file, Profile::ELF).unwrap().plan(&mut words, GotFlags::STUBS).unwrap();
    let mut memory = memory(&file, &module);
    for spot in memory.spots.iter_mut().flatten() {
        (spot.address, spot.base) = (spot.address - FAR, spot.base - FAR);
    }
    assert_eq!(kind(load(&module, &mut memory, &mut names())), Some(Overflow));
}

#[test]
fn the_memory_of_the_got_is_checked_as_that_of_a_section() {
    let (builder, text) = builder();
    let file = builder.build();
    let mut words = [0; 1];
    let module = Module::parse(&file, Profile::ELF).unwrap().plan(&mut words, GotFlags::empty()).unwrap();
    let got = module.got().unwrap();
    let check = |change: &dyn Fn(&mut Mem)| {
        let mut memory = memory(&file, &module);
        change(&mut memory);
        let error = load(&module, &mut memory, &mut names()).err();
        assert!(error.is_none_or(|error| error.section == Some(got.section)));
        (error.map(|error| error.kind), memory)
    };
    assert_eq!(check(&|memory| drop(memory.spots.pop())).0, Some(NotAssigned));
    assert_eq!(check(&|memory| memory.spot(got.section).bytes.push(0)).0, Some(AssignedSize));
    let misplaced = check(&|memory| {
        let spot = memory.spot(got.section);
        (spot.address, spot.base) = (spot.address + 4, spot.base + 4);
    });
    assert_eq!(misplaced.0, Some(AddressMisaligned));
    assert_eq!(check(&|_| ()).0, None);

    // Memory that the embedder has filled, and not with zeros.
    let mut memory = memory(&file, &module);
    memory.spot(got.section).bytes.fill(0);
    memory.spot(got.section).bytes[16] = 1;
    let before = memory.image();
    let mut values = vec![0; size(module.object().symbols().len().into())];
    let mut filled = module.assign(&mut memory).unwrap().assume_filled();
    let mut listed = Vec::new();
    filled.errors(&mut values, &mut names(), &mut |error| listed.push((error.kind, error.section))).unwrap();
    assert_eq!(listed, [(TargetNotZero, Some(got.section))]);
    assert_eq!(kind(filled.early(&mut values, &mut names())), Some(TargetNotZero));
    assert_eq!(memory.image(), before, "the text that was written before is as it was");
    assert_eq!(memory.at(text), [0; 64]);
}

#[test]
fn the_symbol_of_the_got_is_its_address() {
    let mut builder = Builder::new();
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, vec![0; 32]);
    let got_symbol = builder.symbol("_GLOBAL_OFFSET_TABLE_", GLOBAL, UNDEF, 0);
    builder.rela(text, &[(4, got_symbol, GOTPC32, -4), (16, got_symbol, R_64, 0)]);
    let file = builder.build();
    let parsed = Module::parse(&file, Profile::ELF).unwrap();
    let mut words = [0; 1];
    let module = parsed.plan(&mut words, GotFlags::empty()).unwrap();
    let got = module.got().unwrap();
    assert_eq!(got.size, 8, "it has an address, so it has a byte");
    let mut memory = memory(&file, &module);
    load(&module, &mut memory, &mut names()).unwrap();
    assert_eq!(leads_to(&memory, text, 4), address(got.section));
    assert_eq!(memory.word(text, 16), address(got.section));

    let mut memory = self::memory(&file, &parsed);
    assert_eq!(kind(load(&parsed, &mut memory, &mut names())), Some(UnknownType));
}

#[test]
fn who_needs_no_got_has_none_and_linux_never_does() {
    let (builder, _) = builder();
    let file = builder.build();
    let parsed = Module::parse(&file, Profile::ELF).unwrap();
    assert_eq!(kind(parsed.plan(&mut [], GotFlags::empty())), Some(GotPlanTooShort));
    let mut memory = memory(&file, &parsed);
    assert_eq!(kind(load(&parsed, &mut memory, &mut names())), Some(UnknownType));
    for profile in Profile::LINUX {
        let mut words = [0; 1];
        let module = Module::parse(&file, *profile).unwrap().plan(&mut words, GotFlags::STUBS).unwrap();
        assert_eq!(module.got(), None);
        let mut memory = Mem::of(&file, *profile);
        assert_eq!(kind(load(&module, &mut memory, &mut names())), Some(UnknownType));
    }
    let mut plain = Builder::new();
    let data = plain.data(".data", 8);
    let near = plain.symbol("near", GLOBAL, UNDEF, 0);
    plain.rela(data, &[(0, near, R_64, 0)]);
    let file = plain.build();
    let mut words = [0; 1];
    let module = Module::parse(&file, Profile::ELF).unwrap().plan(&mut words, GotFlags::STUBS).unwrap();
    assert_eq!(module.got(), None);
}

#[test]
fn the_layout_has_the_got_behind_the_constants_or_with_stubs_behind_the_code() {
    let (mut builder, _) = builder();
    builder.section(".rodata", PROGBITS, ALLOC, vec![0; 5]);
    let file = builder.build();
    let parsed = Module::parse(&file, Profile::ELF).unwrap();
    for (flags, group) in [(GotFlags::empty(), Group::Rodata), (GotFlags::STUBS, Group::Text)] {
        let mut words = [0; 1];
        let module = parsed.plan(&mut words, flags).unwrap();
        let (got, layout) = (module.got().unwrap(), module.layout(64).unwrap());
        let placed = layout.sections().filter(|placed| placed.group == group).last().unwrap();
        assert_eq!((placed.section, placed.size, placed.offset % got.align), (got.section, got.size, 0));
        let mut arena = vec![0; size(layout.size())];
        let count = size(module.object().section_count().into());
        let mut sections: Vec<Option<SectionMemory<'_>>> = (0..=count).map(|_| None).collect();
        let mut too_few: Vec<_> = (0..count).map(|_| None).collect();
        assert!(layout.split(&mut arena.clone(), NEAR, &mut too_few).is_err());
        layout.split(&mut arena, NEAR, &mut sections).unwrap();
        assert_eq!(sections[count].as_ref().unwrap().bytes.len() as u64, got.size);
        let mut values = vec![0; size(module.object().symbols().len().into())];
        let assigned = module.assign(&mut sections[..]).unwrap();
        assigned.fill().unwrap().early(&mut values, &mut names()).unwrap();
    }
}

struct Running(Mem);

impl Reader for Running {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let holds = |spot: &&Spot| at >= spot.address && at < spot.address + spot.bytes.len() as u64;
        let spot = self.0.spots.iter().flatten().find(holds).ok_or(CallbackError(-14))?;
        bytes.copy_from_slice(&spot.bytes[size(at - spot.address)..][..bytes.len()]);
        Ok(())
    }
}

#[test]
fn a_changed_slot_is_found_in_a_running_module() {
    let (builder, _) = builder();
    let file = builder.build();
    let mut words = [0; 1];
    let module = Module::parse(&file, Profile::ELF).unwrap().plan(&mut words, GotFlags::empty()).unwrap();
    let got = module.got().unwrap();
    let mut memory = memory(&file, &module);
    let loaded = load(&module, &mut memory, &mut names()).unwrap();
    let mut running = Running(memory.clone());
    let mut found = Vec::new();
    let verified =
        loaded.verify(&mut memory, &mut running, &mut |difference| found.push(*difference)).unwrap();
    assert_eq!((verified.bytes, found.len()), (64 + 24, 0));
    running.0.spot(got.section).bytes[9] ^= 1;
    loaded.verify(&mut memory, &mut running, &mut |difference| found.push(*difference)).unwrap();
    assert_eq!((found.len(), found[0].section, found[0].offset), (1, got.section, 9));
}
