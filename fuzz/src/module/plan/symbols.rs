//! The symbols of a plan.

use super::{
    BEHIND_THE_LAST, Bytes, LONG_NAMES, LONGEST_NAME, Meaning, NAMES, OBJECTS, Position, Symbol, THE_LAST,
};
use relakit::abi::*;

/// A symbol; `targets` is how many sections there are to be defined in.
pub(super) fn symbol(bytes: &mut Bytes<'_>, targets: usize) -> Symbol {
    let global = STB_GLOBAL << 4;
    let plain = |meaning, name: &str, shndx, value| Symbol {
        meaning,
        name: name.to_owned(),
        info: global,
        shndx,
        value,
    };
    match bytes.byte() {
        0xff => plain(Meaning::Common { is_lto: false }, "common", SHN_COMMON, 8),
        0xfe => plain(Meaning::Common { is_lto: true }, "__gnu_lto_v1", SHN_COMMON, 8),
        0xfd => {
            let section = bytes.of(&[0xff00, 0xfff3, 0xfeff, SHN_XINDEX, BEHIND_THE_LAST]);
            plain(Meaning::Invalid, "invalid", section, 0)
        }
        0xfc => plain(Meaning::Undefined { weak: false }, "nobody_has_it", SHN_UNDEF, 0),
        0xfb => plain(Meaning::Undefined { weak: true }, "_GLOBAL_OFFSET_TABLE_", SHN_UNDEF, 4),
        0xfa => plain(
            Meaning::Raw,
            bytes.of(&["f", "", ".klp.tombstone.f", ".klp.sym.vmlinux.f", ".klp.sym..f,0"]),
            SHN_LIVEPATCH,
            3,
        ),
        0xf8..0xfa => Symbol {
            info: STB_WEAK << 4,
            ..plain(Meaning::Undefined { weak: true }, "nobody_has_it_weakly", SHN_UNDEF, 5)
        },
        0xf7 => plain(Meaning::Defined { section: 0 }, "here", THE_LAST, 0),
        byte @ 0..0x40 => {
            let section = u32::from(byte) % u32::try_from(targets).unwrap() + 1;
            let shndx = u16::try_from(section).unwrap();
            plain(Meaning::Defined { section }, "here", shndx, u64::from(bytes.byte()))
        }
        0x40..0x50 => {
            plain(Meaning::Absolute, "absolute", SHN_ABS, bytes.of(&[0x1234, 0, u64::MAX, 1 << 32]))
        }
        0x5e => plain(Meaning::Undefined { weak: false }, &"n".repeat(LONGEST_NAME), SHN_UNDEF, 0),
        0x5f => plain(Meaning::Undefined { weak: false }, &"n".repeat(LONGEST_NAME + 1), SHN_UNDEF, 0),
        byte @ 0x50..0x5e => plain(Meaning::Undefined { weak: false }, bytes_name(byte), SHN_UNDEF, 0),
        byte => livepatch(usize::from(byte) % 12, bytes),
    }
}

fn bytes_name(byte: u8) -> &'static str {
    ["printk", "klp_enable_patch", "kfree", "memcpy"][usize::from(byte % 4)]
}

/// A livepatch symbol. `which` is its object and name.
fn livepatch(which: usize, bytes: &mut Bytes<'_>) -> Symbol {
    let (object, number) = (which / NAMES.len(), which % NAMES.len());
    let (mut name, value) = (NAMES[number].to_owned(), 0);
    let (text, position): (&str, Option<Position>) = match (bytes.byte(), number) {
        (byte @ 0xf0.., _) => [
            ("0", Some([0, 0])),
            ("4", Some([4, 4])),
            ("18446744073709551617", Some([1, u64::MAX])),
            ("18446744073709551615", Some([u64::MAX, u64::MAX])),
            (" 1", Some([1, 1])),
            ("\t01x", Some([1, 1])),
            ("0x1", Some([0, 0])),
            ("1,2", Some([1, 1])),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("x", None),
        ][usize::from(byte & 15) % 12],
        (0xd0..0xf0, _) => {
            name = "s".repeat(bytes.of(&LONG_NAMES));
            ("1", Some([1, 1]))
        }
        (byte, 0) => [("0", Some([0, 0])), ("1", Some([1, 1]))][usize::from(byte % 2)],
        (byte, number) => {
            [("1", Some([1, 1])), ("2", Some([2, 2])), ("3", Some([3, 3]))][usize::from(byte) % (number + 1)]
        }
    };
    let full = format!(".klp.sym.{}.{name},{text}", OBJECTS[object]);
    let meaning = position.map_or(Meaning::Raw, |position| Meaning::Livepatch { object, name, position });
    Symbol { meaning, name: full, info: STB_GLOBAL << 4, shndx: SHN_LIVEPATCH, value }
}
