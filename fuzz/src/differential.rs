//! relakit and three other readers see the same file: every header, name, content, symbol and
//! relocation. Where relakit refuses a file, or another reader does, there is a reason that is
//! known here.
//!
//! relakit may be stricter: `refusal` holds each of its refusals against the file as `object` reads
//! it. Another may be stricter, or read something else: an [`Excuse`] each, which a reader may use
//! only where its condition holds.

mod others;
mod read;
mod refusal;

use others::{by_elf, by_goblin, by_object};
use read::{Reading, Seen, by_relakit};
use relakit::elf::{NAME_MAX, Object};

/// Runs one input: a file.
pub fn run(data: &[u8]) {
    let object = match Object::parse(data) {
        Ok(object) => object,
        Err(error) => return refusal::check(data, &error),
    };
    let ours = by_relakit(&object);
    for (reader, theirs) in [("object", by_object(data)), ("goblin", by_goblin(data)), ("elf", by_elf(data))]
    {
        match theirs {
            Seen::Is(theirs) => compare(reader, &ours, &theirs),
            Seen::Excused(_) => {}
            Seen::Refused(why) => panic!("{reader} refuses what relakit reads: {why}"),
        }
    }
}

/// Why another reader may answer otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Excuse {
    /// gABI: an `e_shoff` of 0 is a file without section headers, to all others. relakit believes
    /// an `e_shnum` that is not 0 and reads headers from offset 0, as Linux does; then section
    /// 0 is not empty, which `Module::parse` refuses.
    NoTable,
    /// With an extended `e_shnum` of 0 goblin still reads section 0, which it had to read to know.
    CountOfZero,
    /// An `e_shstrndx` of 0 is a file without section names, which object refuses; goblin looks
    /// into section 0 for them.
    NoNames,
    /// An extended `e_shstrndx` of 0 leads elf to section 0 for the names, and object refuses it. A
    /// plain 0 says to all that there are none; so does this one to relakit.
    NamesInSectionZero,
    /// elf reads the program headers first. A relocatable object has none, and a loader of modules
    /// does not look.
    ProgramHeaders,
    /// Names are UTF-8 to goblin, bytes to the others.
    NotUtf8,
    /// goblin takes the rest of a table for a name that is not ended by NUL.
    NoNul,
    /// relakit reads [`NAME_MAX`] bytes of a name and one more, so that a file of overlapping long
    /// names costs no more time.
    LongName,
    /// An unused header (`SHT_NULL`) has neither name nor content here; others follow its fields.
    UnusedHeader,
    /// object takes tables of whole entries only; relakit and Linux pass over what is left.
    PartialEntry,
    /// elf wants `sh_entsize` of the symbol table to be right; relakit and Linux know the size of a
    /// symbol.
    EntrySize,
    /// elf takes the compression header off a section with `SHF_COMPRESSED`; a loader wants the
    /// bytes.
    Compressed,
    /// elf tells the visibility, two bits of `st_other`.
    Visibility,
    /// Reserved section indices are left to the caller by goblin and elf, extended ones too.
    ReservedIndex,
    /// goblin refuses an empty table that begins at the end of the file; there is nothing in it to
    /// read.
    EmptyTable,
}

fn compare(reader: &str, ours: &Reading<'_>, theirs: &Reading<'_>) {
    assert_eq!(ours.header, theirs.header, "{reader}: header");
    assert_eq!(ours.sections.len(), theirs.sections.len(), "{reader}: sections");
    for (index, (ours, theirs)) in ours.sections.iter().zip(&theirs.sections).enumerate() {
        let what = |what| format!("{reader}: section {index}: {what}");
        assert_eq!(ours.header, theirs.header, "{}", what("header"));
        name(&what("name"), &ours.name, &theirs.name);
        same(&what("content"), &ours.content, &theirs.content);
        same(&what("relocations"), &ours.relas, &theirs.relas);
    }
    let (ours, theirs) = match (&ours.symbols, &theirs.symbols) {
        (Seen::Is(ours), Seen::Is(theirs)) => (ours, theirs),
        (_, Seen::Excused(_)) => return,
        (_, Seen::Refused(why)) => panic!("{reader}: symbols: {why}"),
        _ => unreachable!("relakit has symbols, or none"),
    };
    assert_eq!(ours.len(), theirs.len(), "{reader}: symbols");
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let what = |what| format!("{reader}: symbol {index}: {what}");
        assert_eq!(ours.fields, theirs.fields, "{}", what("fields"));
        same(&what("st_other"), &ours.other, &theirs.other);
        name(&what("name"), &ours.name, &theirs.name);
        section(&what("section"), &ours.section, &theirs.section);
    }
}

fn same<T: PartialEq + core::fmt::Debug>(what: &str, ours: &Seen<T>, theirs: &Seen<T>) {
    match (ours, theirs) {
        (Seen::Excused(_), _) | (_, Seen::Excused(_)) | (Seen::Refused(_), Seen::Refused(_)) => {}
        _ => assert_eq!(ours, theirs, "{what}"),
    }
}

/// relakit says 0xffff of a symbol whose index in the extended table is that, and of one that has
/// none there.
fn section(what: &str, ours: &Seen<u64>, theirs: &Seen<u64>) {
    match (ours, theirs) {
        (Seen::Refused(_), Seen::Is(0xffff)) => {}
        _ => same(what, ours, theirs),
    }
}

/// Names may be longer elsewhere.
fn name(what: &str, ours: &Seen<&[u8]>, theirs: &Seen<&[u8]>) {
    match (ours, theirs) {
        (Seen::Refused(_), Seen::Is(name)) if name.len() > NAME_MAX => {
            same(what, &Seen::Excused(Excuse::LongName), theirs);
        }
        (Seen::Is(ours), Seen::Is(name)) if name.len() > NAME_MAX => {
            assert_eq!(*ours, &name[..=NAME_MAX], "{what}");
        }
        _ => same(what, ours, theirs),
    }
}
