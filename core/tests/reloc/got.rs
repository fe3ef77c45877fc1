//! A table whose entries refer to a global offset table.

use crate::config;
use crate::tables::{number, rela};
use iced_x86::{Code, Decoder, DecoderOptions};
use proptest::prelude::*;
use proptest::sample::select;
use relakit::ErrorKind::{
    self, AddressMisaligned, AssignedSize, GotPlanTooShort, NoGotSlot, Overflow, TargetNotZero, UnknownType,
};
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{GotFlags, GotMarks, GotPlan, RelocFlags, Values, apply};
use relakit::{Target, View};
use relakit_model::guest::{Call, Guest};
use relakit_model::table::World;

/// What the psABI puts into a field: table 4.10, with its letters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Formula {
    /// G + GOT + A - P
    Slot,
    /// G + A
    SlotOffset,
    /// GOT + A - P
    Table,
    /// S + A - GOT
    Symbol,
}

/// Number, formula, bytes of the field.
const TYPES: [(u32, Formula, usize); 12] = [
    (9, Formula::Slot, 4),
    (25, Formula::Symbol, 8),
    (26, Formula::Table, 4),
    (27, Formula::SlotOffset, 8),
    (28, Formula::Slot, 8),
    (29, Formula::Table, 8),
    (31, Formula::Symbol, 8),
    (41, Formula::Slot, 4),
    (42, Formula::Slot, 4),
    (43, Formula::Slot, 4),
    (46, Formula::Slot, 4),
    (49, Formula::Slot, 4),
];

const PC32: u32 = 2;
const PLT32: u32 = 4;
const STRICT: RelocFlags = RelocFlags::empty();

fn table(entries: &[Rela]) -> Vec<[u8; 24]> {
    entries.iter().map(|entry| entry.to_bytes()).collect()
}

/// The plan for one table.
fn plan<'w>(words: &'w mut [u64], symbols: u32, entries: &[Rela], flags: GotFlags) -> GotPlan<'w> {
    let mut marks = GotMarks::new(words, symbols, flags).unwrap();
    marks.add(RelaTable::from_entries(&table(entries)));
    marks.plan()
}

fn word(bytes: &[u8], at: u64) -> u64 {
    u64::from_le_bytes(bytes[usize::try_from(at).unwrap()..][..8].try_into().unwrap())
}

fn kind(result: Result<(), relakit::Error>) -> Result<(), ErrorKind> {
    result.map_err(|error| error.kind)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_field_gets_the_formulas_value_or_the_table_is_refused(
        row in select(TYPES.to_vec()), symbol in 0u32..100, values in proptest::collection::vec(number(), 100),
        a in number(), got in number(), address in number(), near: bool,
    ) {
        let (r_type, formula, size) = row;
        let got = got & !7 & 0x7fff_ffff_ffff_ffff;
        let address = if near { got.wrapping_add(address & 0xffff) } else { address.min(u64::MAX - 16) };
        let a = if near { (a & 0xfff).cast_signed() } else { a.cast_signed() };
        let entries = [rela(4, symbol, r_type, a)];
        let mut words = [0; 4];
        let plan = plan(&mut words, 100, &entries, GotFlags::empty());
        let at = plan.at(got);
        let (s, p) = (values[symbol as usize], address.wrapping_add(4));
        let slot = || at.slot(symbol).unwrap();
        let exact = match formula {
            Formula::Slot => i128::from(slot()) + i128::from(a) - i128::from(p),
            Formula::SlotOffset => i128::from(slot() - got) + i128::from(a),
            Formula::Table => i128::from(got) + i128::from(a) - i128::from(p),
            Formula::Symbol => i128::from(s) + i128::from(a) - i128::from(got),
        };
        let wrapped = exact.rem_euclid(1 << 64);
        let signed = if wrapped >> 63 == 1 { wrapped - (1 << 64) } else { wrapped };
        let mut bytes = [0xa5; 16];
        bytes[4..4 + size].fill(0);
        let before = bytes;
        let entries = table(&entries);
        let entries = RelaTable::from_entries(&entries);
        let checked = at.dry_run(entries, Values::from(&values[..]), &mut View::new(&before, address), STRICT);
        let result = at.apply(entries, Values::from(&values[..]), &mut Target::new(&mut bytes, address), STRICT);
        prop_assert_eq!(checked, result, "a dry run says what happens");
        if size == 8 || i32::try_from(signed).is_ok() {
            prop_assert_eq!(result, Ok(()));
            let mut expected = before;
            expected[4..4 + size].copy_from_slice(&wrapped.to_le_bytes()[..size]);
            prop_assert_eq!(bytes, expected);
            at.clear(entries, Values::from(&values[..]), &mut Target::new(&mut bytes, address), STRICT).unwrap();
        } else {
            prop_assert_eq!(kind(result), Err(Overflow));
        }
        prop_assert_eq!(bytes, before);
    }

    #[test]
    fn each_symbol_that_needs_a_slot_has_its_own_and_the_others_have_none(
        used in proptest::collection::btree_set(0u32..200, 0..80), flags in 0u32..4,
        values in proptest::collection::vec(number(), 200),
    ) {
        let flags = GotFlags::from_bits(flags).unwrap();
        let entries: Vec<_> = used.iter().map(|symbol| rela(0, *symbol, 9, -4)).collect();
        let mut words = [0; 7];
        let plan = plan(&mut words, 200, &entries, flags);
        prop_assert_eq!(plan.slots() as usize, used.len());
        let at = plan.at(0x1000);
        let slots: Vec<_> = (0..200).filter_map(|symbol| Some((symbol, at.slot(symbol)?))).collect();
        let expected: Vec<_> = used.iter().copied().zip((0x1000..).step_by(8)).collect();
        prop_assert_eq!(&slots, &expected, "in the order of the symbols");
        prop_assert_eq!(at.slot(u32::MAX), None);
        let mut bytes = vec![0; usize::try_from(plan.size()).unwrap()];
        plan.fill(Values::from(&values[..]), &mut Target::new(&mut bytes, 0x1000), STRICT).unwrap();
        for (symbol, slot) in slots {
            prop_assert_eq!(word(&bytes, slot - 0x1000), values[symbol as usize]);
        }
        let known = (plan.slots(), plan.size());
        let again = GotPlan::from_words(&words, flags);
        prop_assert_eq!((again.slots(), again.size()), known);
    }

    #[test]
    fn a_call_that_does_not_reach_leads_through_a_stub_to_its_symbol(
        s in number(), address in 0x10_0000u64..0x7000_0000_0000, endbr: bool, jump: bool,
    ) {
        let flags = GotFlags::STUBS | if endbr { GotFlags::ENDBR } else { GotFlags::empty() };
        let entries = [rela(1, 1, PLT32, -4)];
        let mut words = [0; 1];
        let plan = plan(&mut words, 3, &entries, flags);
        let got = (address + 0x1000) & !15;
        let mut code = [if jump { 0xe9 } else { 0xe8 }, 0, 0, 0, 0];
        let mut bytes = vec![0; usize::try_from(plan.size()).unwrap()];
        let values = [0, s, 0];
        plan.fill(Values::from(&values[..]), &mut Target::new(&mut bytes, got), STRICT).unwrap();
        let entries = table(&entries);
        let (entries, values) = (RelaTable::from_entries(&entries), Values::from(&values[..]));
        plan.at(got).apply(entries, values, &mut Target::new(&mut code, address), STRICT).unwrap();
        let call = Decoder::with_ip(64, &code, address, DecoderOptions::NONE).decode();
        let reaches = i32::try_from(s.wrapping_sub(address + 5).cast_signed()).is_ok();
        if reaches {
            prop_assert_eq!(call.near_branch64(), s);
        } else {
            let offset = call.near_branch64() - got;
            prop_assert_eq!(offset % 16, 0);
            let stub = &bytes[usize::try_from(offset).unwrap()..];
            let mut decoder = Decoder::with_ip(64, stub, got + offset, DecoderOptions::NONE);
            if endbr {
                prop_assert_eq!(decoder.decode().code(), Code::Endbr64);
            }
            let jump = decoder.decode();
            prop_assert_eq!(jump.code(), Code::Jmp_rm64);
            prop_assert_eq!(word(&bytes, jump.memory_displacement64() - got), s);
        }
        plan.at(got).clear(entries, values, &mut Target::new(&mut code, address), STRICT).unwrap();
        prop_assert_eq!(&code[1..], &[0; 4]);
    }
}

#[test]
fn a_field_that_is_relative_and_no_branch_never_leads_to_a_stub() {
    const FAR: [u64; 2] = [0, 1 << 40];
    let entry = rela(2, 1, PC32, -4);
    let mut words = [0; 1];
    let plan = plan(&mut words, 2, &[rela(2, 1, PLT32, -4)], GotFlags::STUBS);
    let entries = table(&[entry]);
    let apply = |code: &mut [u8], is_code| {
        let got = plan.at(0x2000).in_code(is_code);
        let entries = RelaTable::from_entries(&entries);
        kind(got.apply(entries, Values::from(&FAR[..]), &mut Target::new(code, 0x1000), STRICT))
    };
    // call, jmp, jne; then lea of every register.
    for before in [[0x90, 0xe8], [0x90, 0xe9], [0x0f, 0x85]] {
        let mut code = [before[0], before[1], 0, 0, 0, 0];
        assert_eq!(apply(&mut code, false), Err(Overflow), "in data it may be anything");
        assert_eq!(apply(&mut code, true), Ok(()));
    }
    for register in 0..8 {
        assert_eq!(apply(&mut [0x8d, register << 3 | 5, 0, 0, 0, 0], true), Err(Overflow));
    }
    let first = table(&[rela(1, 1, PC32, -4)]);
    let got = plan.at(0x2000).in_code(true);
    let mut code = [0xe8, 0, 0, 0, 0];
    let result = got.apply(
        RelaTable::from_entries(&first),
        Values::from(&FAR[..]),
        &mut Target::new(&mut code, 0),
        STRICT,
    );
    assert_eq!(kind(result), Err(Overflow), "there are no two bytes before the field");
}

#[test]
fn a_stub_does_not_depend_on_bytes_that_the_pass_overwrites() {
    const FAR: [u64; 3] = [0, 0, 1 << 40];
    // The first field ends with the opcode of a call, and the pass overwrites it.
    let entries = [rela(0, 1, 10, 0), rela(4, 2, PC32, -4)];
    let mut words = [0; 1];
    let got = plan(&mut words, 3, &[rela(0, 2, 9, 0)], GotFlags::STUBS).at(0x2000).in_code(true);
    let entries = table(&entries);
    let entries = RelaTable::from_entries(&entries);
    let before = [0, 0, 0, 0xe8, 0, 0, 0, 0];
    let mut bytes = before;
    let target = &mut Target::new(&mut bytes, 0x1000);
    let result = got.apply(entries, Values::from(&FAR[..]), target, RelocFlags::ALLOW_NONZERO);
    assert_eq!((kind(result), bytes), (Err(Overflow), before));
}

#[test]
fn a_branch_in_code_leads_to_the_beginning_of_a_stub_or_is_refused() {
    const FAR: [u64; 2] = [0, 1 << 40];
    let mut words = [0; 1];
    let plan = plan(&mut words, 2, &[rela(2, 1, PLT32, -4)], GotFlags::STUBS);
    let apply = |r_type, addend, is_code| {
        let entries = table(&[rela(2, 1, r_type, addend)]);
        let mut code = [0x90, 0xe8, 0, 0, 0, 0];
        let (entries, target) = (RelaTable::from_entries(&entries), &mut Target::new(&mut code, 0x1000));
        let got = plan.at(0x2000).in_code(is_code);
        kind(got.apply(entries, Values::from(&FAR[..]), target, STRICT))
    };
    for r_type in [PC32, PLT32] {
        assert_eq!(apply(r_type, -4, true), Ok(()));
        // `call symbol + 8`: 8 bytes after the beginning of the stub there is something else.
        for addend in [-20, -5, -3, 0, 4, 12] {
            assert_eq!(apply(r_type, addend, true), Err(Overflow), "{r_type} {addend}");
        }
    }
    // `.long symbol@PLT - table`: the addend is the distance of the field from the table.
    assert_eq!(apply(PLT32, 8, false), Ok(()));
}

#[test]
fn no_branch_leads_to_a_stub_that_does_not_reach_its_slot() {
    const FAR: [u64; 1] = [1 << 40];
    let entries = table(&[rela(1, 0, PLT32, -4)]);
    // The last stub is 16 bytes for each slot away from the last slot.
    for (last, reaches) in [((1 << 27) - 16, true), (1 << 28, false)] {
        let words = [1 | last << 32];
        let plan = GotPlan::from_words(&words, GotFlags::STUBS);
        let address = 0x1_0000_0000 + 24 * last;
        let (mut code, entries) = ([0; 5], RelaTable::from_entries(&entries));
        let (target, values) = (&mut Target::new(&mut code, address), Values::from(&FAR[..]));
        let result = plan.at(0x1_0000_0000).apply(entries, values, target, STRICT);
        assert_eq!(kind(result), if reaches { Ok(()) } else { Err(Overflow) }, "{last:#x}");
    }
}

#[test]
fn a_plan_with_more_symbols_than_a_pass_can_number_is_refused() {
    let words = vec![0; (1 << 26) + 1];
    let plan = GotPlan::from_words(&words, GotFlags::empty());
    let filled = plan.fill(Values::from(&[][..]), &mut Target::new(&mut [], 0), STRICT);
    assert_eq!(filled.map_err(|error| (error.kind, error.limit)), Err((ErrorKind::SymbolIndex, 0x7fff_ffff)));
}

#[test]
fn a_writer_that_cannot_read_the_opcode_ends_the_pass() {
    const FAR: [u64; 2] = [0, 1 << 40];
    let mut words = [0; 1];
    let got = plan(&mut words, 2, &[rela(0, 1, 9, 0)], GotFlags::STUBS).at(0x2000).in_code(true);
    let entries = table(&[rela(2, 1, PC32, -4)]);
    let world =
        World { bytes: vec![0x90, 0xe8, 0, 0, 0, 0], address: 0x1000, values: FAR.to_vec(), flags: STRICT };
    let pass = |guest: &mut Guest, clears: bool| {
        let (entries, values) = (RelaTable::from_entries(&entries), Values::from(&FAR[..]));
        let target = &mut Target::with_writer(6, 0x1000, guest);
        kind(if clears {
            got.clear(entries, values, target, STRICT)
        } else {
            got.apply(entries, values, target, STRICT)
        })
    };
    let mut good = Guest::new(&world);
    assert_eq!(pass(&mut good, false), Ok(()));
    let opcode = Call::Read { offset: 0, size: 2 };
    for (clears, bytes) in [(false, &world.bytes), (true, &good.bytes)] {
        let mut guest = Guest { bytes: bytes.clone(), ..Guest::new(&world) };
        assert_eq!(pass(&mut guest, clears), Ok(()));
        let is_opcode = |number: &usize| guest.calls[*number] == opcode;
        for number in (0..guest.calls.len()).filter(is_opcode) {
            let fails = [number].into();
            let mut guest = Guest { bytes: bytes.clone(), fails, ..Guest::new(&world) };
            assert_eq!((pass(&mut guest, clears), &guest.bytes), (Err(ErrorKind::Writer), bytes));
        }
    }
}

#[test]
fn a_symbol_that_does_not_exist_is_refused() {
    let mut words = [0; 1];
    let entries = [rela(0, 3, 9, -4), rela(4, 4, 9, -4), rela(8, 32, 9, -4)];
    let plan = plan(&mut words, 4, &entries, GotFlags::empty());
    assert_eq!((plan.at(0).slot(4), plan.at(0).slot(32)), (Some(8), None), "one word has 32 bits");
    let (values, entries) = ([0, 1, 2, 3], table(&entries));
    let values = Values::from(&values[..]);
    let mut got = [0; 16];
    let filled = plan.fill(values, &mut Target::new(&mut got, 0), STRICT);
    assert_eq!((kind(filled), got), (Err(ErrorKind::SymbolIndex), [0; 16]));
    let mut bytes = [0; 12];
    let target = &mut Target::new(&mut bytes, 0);
    let applied = plan.at(0).apply(RelaTable::from_entries(&entries), values, target, STRICT);
    assert_eq!((kind(applied), bytes), (Err(ErrorKind::SymbolIndex), [0; 12]));
}

#[test]
fn a_pass_that_fails_changes_nothing() {
    let entries = [rela(0, 1, 9, -4), rela(8, 2, 42, -4), rela(16, 1, 25, 0), rela(24, 3, 9, -4)];
    let mut words = [0; 1];
    let mut marks = GotMarks::new(&mut words, 4, GotFlags::empty()).unwrap();
    marks.add(RelaTable::from_entries(&table(&entries[..3])));
    let got = marks.plan().at(0x3000);
    let values = [0, 0x5000, 0x6000, 0x7000];
    let mut bytes = [0; 32];
    let entries = table(&entries);
    let entries = RelaTable::from_entries(&entries);
    let error = got
        .apply(entries, Values::from(&values[..]), &mut Target::new(&mut bytes, 0x1000), STRICT)
        .unwrap_err();
    assert_eq!((error.kind, error.entry, error.symbol), (NoGotSlot, Some(3), Some(3)));
    assert_eq!(bytes, [0; 32]);
}

#[test]
fn filling_is_all_or_nothing_and_checks_its_memory() {
    let entries = [rela(0, 1, 9, -4), rela(8, 2, 9, -4)];
    let mut words = [0; 1];
    let plan = plan(&mut words, 3, &entries, GotFlags::empty());
    let values = [0, 0x1111, 0x2222];
    let fill = |bytes: &mut [u8], address| {
        kind(plan.fill(Values::from(&values[..]), &mut Target::new(bytes, address), STRICT))
    };
    assert_eq!(fill(&mut [0; 24], 0x1000), Err(AssignedSize));
    assert_eq!(fill(&mut [0; 16], 0x1004), Err(AddressMisaligned));
    let mut used = [0; 16];
    used[15] = 1;
    assert_eq!(fill(&mut used, 0x1000), Err(TargetNotZero));
    assert_eq!(used[..15], [0; 15]);
    let mut bytes = [0; 16];
    assert_eq!(fill(&mut bytes, 0x1000), Ok(()));
    assert_eq!((word(&bytes, 0), word(&bytes, 8)), (0x1111, 0x2222));
}

#[test]
fn without_a_got_its_types_are_unknown() {
    for (r_type, ..) in TYPES {
        let entries = table(&[rela(0, 0, r_type, 0)]);
        let entries = RelaTable::from_entries(&entries);
        let result = apply(entries, Values::from(&[0][..]), &mut Target::new(&mut [0; 8], 0), STRICT);
        assert_eq!(kind(result), Err(UnknownType), "{r_type}");
    }
}

#[test]
fn the_buffer_of_a_plan_has_a_word_for_32_symbols() {
    for (symbols, needed) in [(0, 0), (1, 1), (32, 1), (33, 2), (u32::MAX, 1 << 27)] {
        assert_eq!(GotMarks::words(symbols), needed);
        let short = usize::try_from(needed).unwrap().saturating_sub(1).min(4);
        let error = GotMarks::new(&mut vec![0; short], symbols, GotFlags::empty()).err();
        let expected = (needed != 0).then_some((GotPlanTooShort, short as u64, u64::from(needed)));
        assert_eq!(error.map(|error| (error.kind, error.value, error.limit)), expected);
    }
}
