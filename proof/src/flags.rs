//! The types of flags, with all that bitflags makes of them.

use crate::{Text, each};
use core::fmt::Write;
use core::hint::black_box;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not, Sub, SubAssign};
use relakit::elf::SectionFlags;
use relakit::reloc::{GotFlags, RelocFlags, RelocTypes};

/// Two values of each.
pub struct Flags<'a> {
    rules: [RelocFlags; 2],
    sections: [SectionFlags; 2],
    types: [RelocTypes; 2],
    got: [GotFlags; 2],
    word: u64,
    name: &'a str,
    set: bool,
}

macro_rules! every_function {
    ($flags:ty, $values:expr, $bits:expr, $name:expr, $set:expr) => {{
        let (one, other): ($flags, $flags) = $values;
        black_box((
            <$flags>::empty(),
            <$flags>::all(),
            <$flags>::from_bits($bits),
            <$flags>::from_name($name),
        ));
        black_box((<$flags>::from_bits_truncate($bits), <$flags>::from_bits_retain($bits)));
        black_box((one.bits(), one.is_empty(), one.is_all(), one.complement()));
        black_box((one.contains(other), one.intersects(other), one.union(other), one.intersection(other)));
        black_box((one.difference(other), one.symmetric_difference(other)));
        let mut changed = one;
        changed.insert(other);
        changed.remove(black_box(one));
        changed.toggle(other);
        changed.set(one, $set);
        changed.bitor_assign(other);
        changed.bitand_assign(black_box(one));
        changed.bitxor_assign(other);
        changed.sub_assign(other);
        changed.extend([one, other]);
        black_box((
            changed,
            one.not(),
            one.bitor(other),
            one.bitand(other),
            one.bitxor(other),
            one.sub(other),
        ));
        each(one.iter());
        each(one.iter_names());
        each(one.into_iter());
        black_box(<$flags>::from_iter([one, other]));
        black_box(<$flags as bitflags::Flags>::bits(&one));
        black_box(<$flags as bitflags::Flags>::from_bits_retain($bits));
        black_box(<$flags as bitflags::Flags>::all_named());
        black_box(write!(Text, "{one:?} {one:b} {one:o} {one:x} {one:X}")).ok();
    }};
}

#[unsafe(no_mangle)]
extern "C" fn proof_flags(flags: &Flags<'_>) {
    every_function!(RelocFlags, flags.rules.into(), flags.word as u32, flags.name, flags.set);
    every_function!(SectionFlags, flags.sections.into(), flags.word, flags.name, flags.set);
    every_function!(RelocTypes, flags.types.into(), flags.word as u32, flags.name, flags.set);
    every_function!(GotFlags, flags.got.into(), flags.word as u32, flags.name, flags.set);
    let [rules, _] = flags.rules;
    black_box((rules.types(), rules.with_types(black_box(RelocTypes::all()))));
}
