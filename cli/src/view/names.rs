//! Names for the numbers and bytes of a module, as text, JSON, SARIF and HTML print them.

use crate::input::files::name_of_file;
use relakit::elf::SectionFlags;
use relakit::{Module, arch};
use relakit_linux::loader_check;
use relakit_linux::special::ReadAt;
use serde::{Serialize, Serializer};
use std::path::Path;

/// Most characters of a name in the sentence of a note.
pub(crate) const IN_SENTENCE: usize = 80;

/// The bytes of a name. It is printed escaped.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Name<'f>(pub(crate) &'f [u8]);

impl Name<'_> {
    /// The escaped name. If it has more than `most` characters, its middle is omitted.
    pub(crate) fn short(self, most: usize) -> String {
        let tail = self.0.len().saturating_sub(most);
        let text = match (self.0.get(..most), self.0.get(tail..)) {
            // Names can be long, so do not escape a middle that is omitted anyway.
            (Some(head), Some(end)) if tail > most => escaped(head) + &escaped(end),
            _ => escaped(self.0),
        };
        shorten(text, most)
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escaped(self.0))
    }
}

/// The bytes of a name as printable ASCII. Other bytes, quotes and backslashes are escaped.
pub(crate) fn escaped(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

/// `text` without its middle, if it has more than `most` bytes. Names are ASCII after escaping.
pub(crate) fn shorten(text: String, most: usize) -> String {
    const DOTS: &str = "...";
    if text.len() <= most {
        return text;
    }
    let left = most.saturating_sub(DOTS.len());
    let tail = text.len().saturating_sub(left / 2);
    match (text.get(..left.div_ceil(2)), text.get(tail..)) {
        (Some(head), Some(tail)) => format!("{head}{DOTS}{tail}"),
        _ => text,
    }
}

/// A list of at most `most` numbers.
pub(crate) fn list(numbers: impl ExactSizeIterator<Item = u32>, most: usize) -> String {
    let count = numbers.len();
    let shown = if count > most { most.saturating_sub(1) } else { count };
    let text = numbers.take(shown).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(shown) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// "1 section", "2 sections".
pub(crate) fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The name of a section, if the section exists.
pub(crate) fn section<'f>(module: &Module<'f>, index: u32) -> Option<&'f [u8]> {
    Some(module.object().section_name(&module.object().section(index)?))
}

/// The name of a symbol. A section symbol has the name of its section.
pub(crate) fn symbol<'f>(module: &Module<'f>, index: u32) -> Option<&'f [u8]> {
    let table = module.object().symbols();
    let symbol = table.get(index)?;
    match table.name(&symbol).ok()? {
        b"" => section(module, u32::from(symbol.st_shndx)),
        name => Some(name),
    }
}

/// The module's name in the kernel: from its `struct module` or .modinfo, or else from the file
/// name.
pub(crate) fn module_name(module: &Module<'_>, path: &Path) -> String {
    match loader_check::module_name(module).or_else(|| loader_check::modinfo(module, b"name")) {
        Some(name) => String::from_utf8_lossy(name).into_owned(),
        None => name_of_file(path),
    }
}

/// Whose rules apply. `row` is the oldest version with the same rules as version `asked`. After a
/// comma, `asked` can have switches.
pub(crate) fn rules(asked: &str, row: &str) -> String {
    let (asked, switches) = asked.split_once(',').unwrap_or((asked, ""));
    if !switches.is_empty() {
        return format!("{}, with {}", rules(asked, row), switches.replace(',', ", "));
    }
    match (asked, row) {
        (_, "elf") => "by the rules of ELF".to_owned(),
        (asked, row) if asked == row => format!("by the rules of Linux {row}"),
        (asked, row) => format!("by the rules of Linux {asked}, which are those of {row}"),
    }
}

/// When the kernel reads a special section.
pub(crate) const fn read_at(read_at: ReadAt) -> &'static str {
    match read_at {
        ReadAt::Load => "before relocation",
        ReadAt::Finalize => "right after the early relocations",
        ReadAt::Formation => "before the state is COMING",
        ReadAt::Coming => "in a notifier of COMING",
        ReadAt::Init => "before or in the init function",
        _ => "on demand",
    }
}

/// The psABI's name of a relocation type.
pub(crate) fn type_name(r_type: u32) -> String {
    arch::type_name(r_type).map_or_else(|| format!("type {r_type}"), str::to_owned)
}

/// The `errno` values that Linux's loader returns.
pub(crate) const fn errno(errno: i32) -> Option<&'static str> {
    match errno {
        1 => Some("EPERM"),
        2 => Some("ENOENT"),
        8 => Some("ENOEXEC"),
        11 => Some("EAGAIN"),
        16 => Some("EBUSY"),
        17 => Some("EEXIST"),
        22 => Some("EINVAL"),
        _ => None,
    }
}

/// `sh_type` as readelf prints it (gABI 4, "Sections"; GNU and LLVM additions).
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

/// `sh_flags` as readelf prints them, with one difference: "o" means only the livepatch flag. An
/// "x" stands for all flags without a letter.
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
    fn only_long_names_lose_their_middle() {
        assert_eq!(shorten("abcdefghij".to_owned(), 10), "abcdefghij");
        assert_eq!(shorten("abcdefghijk".to_owned(), 10), "abcd...ijk");
        assert_eq!(shorten("abcdefghijk".to_owned(), 3), "...");
        assert_eq!(shorten("abcdefghijk".to_owned(), 0), "...");
        assert_eq!(shorten("\u{e9}\u{e9}\u{e9}\u{e9}".to_owned(), 4), "\u{e9}\u{e9}\u{e9}\u{e9}");
    }

    #[test]
    fn long_lists_say_how_many_numbers_are_omitted() {
        let of = |count| list((1..=count).collect::<Vec<_>>().into_iter(), 4);
        assert_eq!(of(0), "");
        assert_eq!(of(4), "1, 2, 3, 4");
        assert_eq!(of(5), "1, 2, 3 and 2 more");
    }
}
