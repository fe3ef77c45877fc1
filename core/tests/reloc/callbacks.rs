//! A writer as functions is called as a writer as a trait object, and does the same.

use crate::config;
use crate::tables::{Case, Pass, check, file, flags, wild};
use crate::writer::{after, with_writer};
use proptest::prelude::*;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, View, WriterCallbacks, apply, clear, dry_run};
use relakit::{CallbackError, Error, Target, Writer};
use relakit_model::guest::Guest;
use relakit_model::table::World;
use std::cell::RefCell;
use std::ptr;

thread_local! {
    /// The memory of the functions, which cannot dereference their context in safe code.
    static GUEST: RefCell<Option<Guest>> = const { RefCell::new(None) };
}

/// The context that the functions expect.
const CTX: *const () = ptr::without_provenance(0x1234);

fn guest(
    ctx: *const (),
    call: impl FnOnce(&mut Guest) -> Result<(), CallbackError>,
) -> Result<(), CallbackError> {
    assert_eq!(ctx, CTX);
    GUEST.with_borrow_mut(|guest| call(guest.as_mut().unwrap()))
}

const CALLBACKS: WriterCallbacks = WriterCallbacks {
    ctx: CTX,
    read: |ctx, address, offset, bytes| guest(ctx, |guest| guest.read(address, offset, bytes)),
    write: |ctx, address, offset, bytes| guest(ctx, |guest| guest.write(address, offset, bytes)),
    sync: |ctx| guest(ctx, Guest::sync),
};

/// The result of a pass through the functions, and the guest afterwards.
fn with_callbacks(case: &Case, guest: Guest, pass: Pass) -> (Result<(), Error>, Guest) {
    let World { bytes, address, values, flags } = &case.world;
    let file = file(&case.table);
    GUEST.set(Some(guest));
    let target = &mut Target::with_callbacks(bytes.len() as u64, *address, CALLBACKS);
    assert_eq!((target.bytes(), target.size(), target.address()), (None, bytes.len() as u64, *address));
    let result = pass(RelaTable::new(&file).unwrap(), values[..].into(), target, *flags);
    (result, GUEST.take().unwrap())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn functions_are_called_as_a_writer_is(
        case in wild(flags()), which in 0usize..3, first: bool, fails in prop::collection::vec(0usize..24, 0..3),
    ) {
        let case = if first && case.apply().0.is_ok() { after(&case) } else { case };
        let pass: Pass = [apply, check, clear][which];
        let start = || {
            let mut guest = Guest::new(&case.world);
            guest.fails.extend(fails.iter().copied());
            guest
        };
        let mut expected = start();
        let result = with_writer(&case, &mut expected, pass);
        let (same, guest) = with_callbacks(&case, start(), pass);
        prop_assert_eq!((same, guest.bytes, guest.calls), (result, expected.bytes, expected.calls));
    }
}

#[test]
fn a_view_of_functions_reads_the_memory() {
    let world = World { bytes: vec![0, 1], address: 0, values: vec![0], flags: RelocFlags::EXTRA_TYPES };
    let entries = [0, 1].map(|offset| file(&[crate::tables::rela(offset, 0, 14, 0)]));
    GUEST.set(Some(Guest::new(&world)));
    for (file, is_ok) in entries.iter().zip([true, false]) {
        let view = &mut View::with_callbacks(2, 0, CALLBACKS);
        let table = RelaTable::new(file).unwrap();
        assert_eq!(dry_run(table, world.values[..].into(), view, world.flags).is_ok(), is_ok);
    }
}
