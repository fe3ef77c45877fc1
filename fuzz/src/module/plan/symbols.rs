//! The symbols of a plan.

use super::{BEHIND_THE_LAST, Bytes, LONG_NAMES, LONGEST_NAME, NAMES, OBJECTS, Symbol, THE_LAST, Whose};
use relakit::abi::*;

/// A symbol; `targets` is how many sections there are to be defined in.
pub(super) fn symbol(bytes: &mut Bytes<'_>, targets: usize) -> Symbol {
    let global = STB_GLOBAL << 4;
    let plain = |name: &str, shndx, value| {
        let name = name.to_owned();
        Symbol { whose: Whose::Ordinary, name, info: global, shndx, value }
    };
    match bytes.byte() {
        0xff => plain("common", SHN_COMMON, 8),
        0xfe => plain("__gnu_lto_v1", SHN_COMMON, 8),
        0xfd => {
            let section = bytes.of(&[0xff00, 0xfff3, 0xfeff, SHN_XINDEX, BEHIND_THE_LAST]);
            plain("invalid", section, 0)
        }
        0xfc => plain("nobody_has_it", SHN_UNDEF, 0),
        0xfb => plain("_GLOBAL_OFFSET_TABLE_", SHN_UNDEF, 4),
        0xfa => {
            let names = ["f", "", ".klp.tombstone.f", ".klp.sym.vmlinux.f", ".klp.sym..f,0"];
            Symbol { whose: Whose::Malformed, ..plain(bytes.of(&names), SHN_LIVEPATCH, 3) }
        }
        0xf8..0xfa => Symbol { info: STB_WEAK << 4, ..plain("nobody_has_it_weakly", SHN_UNDEF, 5) },
        0xf7 => plain("here", THE_LAST, 0),
        byte @ 0..0x40 => {
            let section = u32::from(byte) % u32::try_from(targets).unwrap() + 1;
            let shndx = u16::try_from(section).unwrap();
            plain("here", shndx, u64::from(bytes.byte()))
        }
        0x40..0x50 => plain("absolute", SHN_ABS, bytes.of(&[0x1234, 0, u64::MAX, 1 << 32])),
        0x5e => plain(&"n".repeat(LONGEST_NAME), SHN_UNDEF, 0),
        0x5f => plain(&"n".repeat(LONGEST_NAME + 1), SHN_UNDEF, 0),
        byte @ 0x50..0x5e => plain(bytes_name(byte), SHN_UNDEF, 0),
        byte => livepatch(usize::from(byte) % 12, bytes),
    }
}

fn bytes_name(byte: u8) -> &'static str {
    ["printk", "klp_enable_patch", "kfree", "memcpy"][usize::from(byte % 4)]
}

/// A livepatch symbol. `which` is its object and name.
fn livepatch(which: usize, bytes: &mut Bytes<'_>) -> Symbol {
    let (object, number) = (which / NAMES.len(), which % NAMES.len());
    let mut name = NAMES[number].to_owned();
    let sympos = match (bytes.byte(), number) {
        (byte @ 0xf0.., _) => [
            "0",
            "4",
            "18446744073709551617",
            "18446744073709551615",
            " 1",
            "\t01x",
            "0x1",
            "1,2",
            "-1",
            "+1",
            "",
            "x",
        ][usize::from(byte & 15) % 12],
        (0xd0..0xf0, _) => {
            name = "s".repeat(bytes.of(&LONG_NAMES));
            "1"
        }
        (byte, 0) => ["0", "1"][usize::from(byte % 2)],
        (byte, number) => ["1", "2", "3"][usize::from(byte) % (number + 1)],
    };
    // Of the last four no kernel reads a number.
    let is_malformed = ["-1", "+1", "", "x"].contains(&sympos);
    Symbol {
        whose: if is_malformed { Whose::Malformed } else { Whose::Object(object) },
        name: format!(".klp.sym.{}.{name},{sympos}", OBJECTS[object]),
        info: STB_GLOBAL << 4,
        shndx: SHN_LIVEPATCH,
        value: 0,
    }
}
