//! The table with a global offset table: a model computes each field by the formulas of the psABI.

mod model;

use super::case::Case;
use model::Got as Model;
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{self, GotMarks, GotPlan, RelocFlags, Values};
use relakit::{ErrorKind, Target, View};
use relakit_model::guest::{Guest, hook_number};
use relakit_model::table::{Fault, World, ascends, dry, fault};

/// Symbols before those of the input, so that the others need two words of the plan.
const BEFORE: u32 = 30;

/// The table is planned, its GOT is filled, and it is applied and cleared.
pub fn run(case: &Case) {
    match case.fails & 0x80 {
        0 => planned(case),
        _ => planned(&with_more_symbols(case)),
    }
}

/// The same table for symbols with larger numbers.
fn with_more_symbols(case: &Case) -> Case {
    let values = [&[0; BEFORE as usize], &case.world.values[..]].concat();
    let later = |rela: &Rela| Rela { r_sym: rela.r_sym.wrapping_add(BEFORE), ..*rela };
    let table: Vec<_> = case.table.iter().map(later).collect();
    let file = table.iter().flat_map(|rela| rela.to_bytes()).collect();
    let world = World { values, ..case.world.clone() };
    Case { world, table, file, symtab: Vec::new(), fails: case.fails, got: case.got }
}

fn planned(case: &Case) {
    let model = Model::new(case);
    let mut words = vec![0x5a5a; model.words() + usize::from(case.got & 1)];
    if let Some(few) = model.words().checked_sub(1) {
        let error = GotMarks::new(&mut words[..few], model.symbols(), model.flags).unwrap_err();
        let expected = (ErrorKind::GotPlanTooShort, few as u64, few as u64 + 1);
        assert_eq!((error.kind, error.value, error.limit), expected);
    }
    let mut marks = GotMarks::new(&mut words, model.symbols(), model.flags).expect("enough words");
    let planned = RelaTable::new(&case.file[..24 * model.planned]).expect("whole entries");
    marks.add(planned);
    let plan = marks.plan();
    is_the_models(&model, plan);
    filled(&model, plan);
    let got = plan.at(model.address).in_code(model.is_code);
    applied(&model, case, got);
}

fn is_the_models(model: &Model<'_>, plan: GotPlan<'_>) {
    assert_eq!((plan.slots() as usize, plan.size()), (model.slots.len(), model.size()));
    assert_eq!((plan.align(), plan.has_stubs()), (model.align(), model.has_stubs()));
    let got = plan.at(model.address);
    assert_eq!(got.address(), model.address);
    for symbol in 0..40 {
        assert_eq!(got.slot(symbol), model.slot(symbol).map(|g| g.wrapping_add(model.address)), "{symbol}");
    }
}

/// The GOT holds the symbol values, and stubs that lead to them; or nothing is changed.
fn filled(model: &Model<'_>, plan: GotPlan<'_>) {
    let values = Values::Dense(&model.case.world.values);
    let image = model.image();
    let mut bytes = vec![0; image.len()];
    let fill = |bytes: &mut [u8], address| {
        plan.fill(values, &mut Target::new(bytes, address), model.case.world.flags)
            .map_err(|error| error.kind)
    };
    let expected = match (model.wraps(), model.has_values()) {
        (true, _) => Err(ErrorKind::AddressWraps),
        (false, false) => Err(ErrorKind::SymbolIndex),
        (false, true) => Ok(()),
    };
    assert_eq!(fill(&mut bytes, model.address), expected);
    let untouched = vec![0; image.len()];
    if expected.is_err() {
        return assert_eq!(bytes, untouched, "all or nothing");
    }
    assert_eq!(bytes, image);
    let Some(last) = untouched.len().checked_sub(1) else { return };
    let mut bytes = untouched;
    assert_eq!(fill(&mut bytes[..last], model.address), Err(ErrorKind::AssignedSize));
    assert_eq!(fill(&mut bytes, model.address.wrapping_sub(4)), Err(ErrorKind::AddressMisaligned));
    bytes[last] = 1;
    let before = bytes.clone();
    assert_eq!(fill(&mut bytes, model.address), Err(ErrorKind::TargetNotZero));
    assert_eq!(bytes, before, "all or nothing");
    // Behind a writer, of which a call fails.
    let world = model.of_the_got();
    let run = |guest: &mut Guest| {
        let mut target = Target::with_writer(image.len() as u64, model.address, guest);
        plan.fill(values, &mut target, model.case.world.flags)
    };
    let mut guest = Guest::new(&world);
    assert_eq!((run(&mut guest), &guest.bytes), (Ok(()), &image));
    let fails = usize::from(model.case.fails) % guest.calls.len();
    let mut guest = Guest { fails: [fails].into(), ..Guest::new(&world) };
    let error = run(&mut guest).expect_err("a call fails");
    assert!(matches!(error.kind, ErrorKind::Writer | ErrorKind::Sync) && error.value == hook_number(fails));
    assert_eq!(guest.bytes, world.bytes, "all or nothing");
}

/// A pass with a GOT.
#[derive(Clone, Copy, PartialEq)]
enum Op {
    Apply,
    Clear,
}

fn applied(model: &Model<'_>, case: &Case, got: reloc::Got<'_>) {
    let (before, flags) = (&case.world.bytes, case.world.flags);
    let values = Values::Dense(&case.world.values);
    let expected = model.applied(before, &case.table);
    let sized: Vec<_> = case.table.iter().map(|rela| model.sized(*rela)).collect();
    let judge = |index: usize| model.judge(before, index, case.table[index]).err();
    let mut bytes = before.clone();
    let dry_run = got.dry_run(case.entries(), values, &mut View::new(before, case.world.address), flags);
    assert_eq!(dry_run.map_err(fault), dry(&sized, flags, true, judge));
    let mut target = Target::new(&mut bytes, case.world.address);
    let result = got.apply(case.entries(), values, &mut target, flags);
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before), "all or nothing");
    let is_exact = !dry_run.is_err_and(|error| error.kind == ErrorKind::FieldsNotAscending);
    let is_exact = is_exact && !model.may_write_an_opcode();
    assert!(!is_exact || dry_run == result, "a dry run says what applying says, or that it cannot");
    if expected.is_ok() && !flags.contains(RelocFlags::ALLOW_NONZERO) {
        let mut target = Target::new(&mut bytes, case.world.address);
        assert_eq!(got.clear(case.entries(), values, &mut target, flags), Ok(()));
        assert_eq!(&bytes, before, "clearing takes applying back");
    }
    let alone = (0..case.table.len()).find_map(judge);
    let first = alone.or(expected.as_ref().err().copied());
    let writes = |left: usize| model.applied(before, &case.table[..left]);
    behind_a_writer(case, &got, Op::Apply, before, first, &writes);
    let Ok(applied) = expected else { return };
    let clears = |left| model.cleared(&applied, &case.table, left);
    if ascends(&sized, flags) {
        let first =
            (0..case.table.len()).find_map(|index| model.holds(&applied, index, case.table[index]).err());
        behind_a_writer(case, &got, Op::Clear, &applied, first, &clears);
    }
}

/// A pass on memory behind a writer does the same. If a call fails, nothing is changed, or the error
/// says up to which entry: `state` is the memory when the entries before one are applied.
fn behind_a_writer(
    case: &Case,
    got: &reloc::Got<'_>,
    op: Op,
    before: &[u8],
    first: Option<Fault>,
    state: &dyn Fn(usize) -> Result<Vec<u8>, Fault>,
) {
    let world = World { bytes: before.to_vec(), ..case.world.clone() };
    // Applying may leave every byte as it is, so the bytes do not show which pass it is.
    let is_apply = op == Op::Apply;
    let run = |guest: &mut Guest| {
        let mut target = Target::with_writer(before.len() as u64, world.address, guest);
        let (entries, values) = (case.entries(), Values::Dense(&world.values));
        match op {
            Op::Apply => got.apply(entries, values, &mut target, world.flags),
            Op::Clear => got.clear(entries, values, &mut target, world.flags),
        }
    };
    let mut guest = Guest::new(&world);
    let result = run(&mut guest);
    assert_eq!(result.err().map(fault), first, "what is wrong with an entry by itself comes first");
    let count = case.table.len();
    let done = if is_apply { count } else { 0 };
    let expected = if first.is_some() { Ok(before.to_vec()) } else { state(done) };
    assert_eq!(Ok(&guest.bytes), expected.as_ref());
    let Some(fails) = usize::from(case.fails).checked_rem(guest.calls.len()) else { return };
    let once = Guest { fails: [fails].into(), ..Guest::new(&world) };
    for mut guest in [once, Guest { fails_from: fails, ..Guest::new(&world) }] {
        let error = run(&mut guest).expect_err("a call fails");
        let is_hook = matches!(error.kind, ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone);
        assert!(is_hook || Some(fault(error)) == first, "{error}");
        let left = match (error.kind, is_apply) {
            (ErrorKind::NotUndone, _) => error.entry.map_or(0, |entry| entry as usize + 1),
            (_, true) => 0,
            (_, false) => count,
        };
        assert_eq!(Ok(&guest.bytes), state(left).as_ref(), "{error}");
        assert!(!is_hook || guest.calls.len() > fails);
    }
}
