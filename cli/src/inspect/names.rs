//! Numbers of the ELF format as readelf names them (gABI 4, "Sections"; GNU and LLVM additions).

use relakit::arch;
use relakit::elf::SectionFlags;

/// `sh_type`.
pub(crate) fn section_type(sh_type: u32) -> String {
    let name = match sh_type {
        0 => "NULL",
        1 => "PROGBITS",
        2 => "SYMTAB",
        3 => "STRTAB",
        4 => "RELA",
        5 => "HASH",
        6 => "DYNAMIC",
        7 => "NOTE",
        8 => "NOBITS",
        9 => "REL",
        10 => "SHLIB",
        11 => "DYNSYM",
        14 => "INIT_ARRAY",
        15 => "FINI_ARRAY",
        16 => "PREINIT_ARRAY",
        17 => "GROUP",
        18 => "SYMTAB_SHNDX",
        19 => "RELR",
        0x6fff_4c03 => "LLVM_ADDRSIG",
        _ => match arch::section_type_name(sh_type) {
            Some(name) => name,
            None => return format!("{sh_type:#x}"),
        },
    };
    name.to_owned()
}

/// `sh_flags` as readelf's letters in readelf's order. o is the livepatch flag only; all that has no letter is one x.
pub(crate) fn flag_letters(flags: SectionFlags) -> String {
    const LETTERS: [(u64, char); 15] = [
        (1 << 0, 'W'),
        (1 << 1, 'A'),
        (1 << 2, 'X'),
        (1 << 4, 'M'),
        (1 << 5, 'S'),
        (1 << 6, 'I'),
        (1 << 7, 'L'),
        (1 << 8, 'O'),
        (1 << 9, 'G'),
        (1 << 10, 'T'),
        (1 << 11, 'C'),
        (SectionFlags::RELA_LIVEPATCH.bits(), 'o'),
        (1 << 21, 'R'),
        (1 << 28, 'l'),
        (1 << 31, 'E'),
    ];
    let known = LETTERS.iter().fold(0, |known, (bit, _)| known | bit);
    let letters = LETTERS.iter().filter(|(bit, _)| flags.bits() & bit != 0).map(|(_, letter)| letter);
    letters.copied().chain((flags.bits() & !known != 0).then_some('x')).collect()
}

/// `text`, with its middle left out where it has more than `most` bytes. Names are ASCII by the time they get here.
pub(crate) fn shorten(text: String, most: usize) -> String {
    const DOTS: &str = "...";
    if text.len() <= most {
        return text;
    }
    let kept = most.saturating_sub(DOTS.len());
    let tail = text.len().saturating_sub(kept / 2);
    match (text.get(..kept.div_ceil(2)), text.get(tail..)) {
        (Some(head), Some(tail)) => format!("{head}{DOTS}{tail}"),
        _ => text,
    }
}

/// Numbers as a list, no more of them than people will read.
pub(crate) fn list(numbers: impl ExactSizeIterator<Item = u32>, most: usize) -> String {
    let count = numbers.len();
    let shown = if count > most { most.saturating_sub(1) } else { count };
    let text = numbers.take(shown).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(shown) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_readelfs_letters() {
        let letters = |bits| flag_letters(SectionFlags::from_bits_retain(bits));
        assert_eq!(letters(0), "");
        assert_eq!(letters(0x6), "AX");
        assert_eq!(letters(0x3), "WA");
        assert_eq!(letters(0x32), "AMS");
        assert_eq!(letters(0x10_0042), "AIo");
        assert_eq!(letters(1 << 31), "E");
        assert_eq!(letters(1 << 22 | 1 << 62 | 1), "Wx");
    }

    #[test]
    fn long_names_lose_their_middle_and_short_ones_nothing() {
        assert_eq!(shorten("abcdefghij".to_owned(), 10), "abcdefghij");
        assert_eq!(shorten("abcdefghijk".to_owned(), 10), "abcd...ijk");
        assert_eq!(shorten("abcdefghijk".to_owned(), 3), "...");
        assert_eq!(shorten("abcdefghijk".to_owned(), 0), "...");
        assert_eq!(shorten("\u{e9}\u{e9}\u{e9}\u{e9}".to_owned(), 4), "\u{e9}\u{e9}\u{e9}\u{e9}");
    }

    #[test]
    fn long_lists_say_how_many_they_leave_out() {
        let of = |count| list((1..=count).collect::<Vec<_>>().into_iter(), 4);
        assert_eq!(of(0), "");
        assert_eq!(of(4), "1, 2, 3, 4");
        assert_eq!(of(5), "1, 2, 3 and 2 more");
    }
}
