//! The last field of a section, at sizes at which something else ends as well: pages, powers of two.

use crate::tables::{Case, rela, size};
use crate::writer::with_writer;
use relakit::ErrorKind;
use relakit::reloc::{RelocFlags, apply, clear};
use relakit_model::guest::Guest;
use relakit_model::table::World;

const SIZES: [usize; 12] = [1, 2, 4, 8, 64, 512, 4095, 4096, 4097, 8192, 12288, 65536];

#[test]
fn a_field_may_end_where_its_section_ends_and_no_byte_later() {
    for length in SIZES {
        for r_type in [1, 10, 12, 14] {
            let field = size(rela(0, 0, r_type, 0));
            let world = World {
                bytes: vec![0; length],
                address: 0x1000,
                values: vec![0x5a],
                flags: RelocFlags::EXTRA_TYPES,
            };
            let Some(last) = length.checked_sub(field) else { continue };
            let right = Case { world: world.clone(), table: vec![rela(last as u64, 0, r_type, 0)] };
            let (mut guest, mut expected) = (Guest::new(&world), world.bytes.clone());
            assert_eq!(with_writer(&right, &mut guest, apply), Ok(()), "type {r_type}, {length} bytes");
            expected[last] = 0x5a;
            assert!(guest.bytes == expected && right.apply() == (Ok(()), expected));
            assert_eq!(with_writer(&right, &mut guest, clear), Ok(()), "type {r_type}, {length} bytes");
            assert!(guest.bytes == world.bytes);

            let wrong = Case { world: world.clone(), table: vec![rela(last as u64 + 1, 0, r_type, 0)] };
            for result in [with_writer(&wrong, &mut Guest::new(&world), apply), wrong.apply().0] {
                let error = result.unwrap_err();
                assert_eq!((error.kind, error.limit), (ErrorKind::OffsetOutside, length as u64));
            }
        }
    }
}
