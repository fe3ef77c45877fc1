//! A file of a few sections, of which one is in question, and what a loader makes of it.

use super::SECTION;
use super::scan::scan;
use relakit::Profile;
use relakit::abi::{EHDR_SIZE, SHDR_SIZE, SYM_SIZE};

const NULL: u32 = 0;
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const RELA: u32 = 4;
const NOBITS: u32 = 8;
const REL: u32 = 9;
const ALLOC: u64 = 2;
const LIVEPATCH: u64 = 0x10_0000;

/// The names of the sections but the one in question, each with what its flags are.
const OTHERS: [(&[u8], u32, u64); 9] = [
    (b"", 0, 0),
    (b".text", PROGBITS, ALLOC),
    (b".comment", PROGBITS, 0),
    (b".modinfo", PROGBITS, ALLOC),
    (b".data..percpu", PROGBITS, ALLOC),
    (b".symtab", SYMTAB, 0),
    (b".strtab", STRTAB, 0),
    (b"", 0, 0),
    (b".shstrtab", STRTAB, 0),
];
const MODINFO: u32 = 3;
const PER_CPU: u32 = 4;
/// Index of the section in question.
pub const SUBJECT: u32 = 7;
const SHSTRTAB: usize = 8;
const COUNT: usize = OTHERS.len();
/// Where the content of the section in question is: zeros, two relocations.
const CONTENT: usize = EHDR_SIZE + COUNT * SHDR_SIZE;
/// Where the content of the others is: symbol 0. Linux writes to the per-CPU section, so nothing may share its bytes.
const OTHERS_CONTENT: usize = CONTENT + 48;
const NAMES: usize = OTHERS_CONTENT + SYM_SIZE;
/// Bytes of the largest file.
pub const MOST: usize = NAMES + 1024;

/// The section in question.
#[derive(Debug)]
pub struct Subject<'n> {
    name: &'n [u8],
    flags: u64,
    kind: u32,
    info: u32,
    size: u64,
}

/// What it is to a loader.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected<'n> {
    Ordinary(u32),
    Early(u32),
    Late(&'n [u8], u32),
    Nothing,
    Arch,
    Skipped,
    FailsLoad,
    FailsAnyComing,
    FailsComing(&'n [u8]),
}

/// What a pass finds where it would write.
#[derive(PartialEq, Eq)]
enum Target {
    Missing,
    NotInMemory,
    /// In memory while the module is loaded, and not afterwards.
    Template,
    /// In memory, and relocations itself.
    Relocations,
    InMemory,
}

impl<'n> Subject<'n> {
    pub fn new(name: &'n [u8], flags: u8, kind: u8, info: u8, size: u8) -> Self {
        const KINDS: [u32; 7] = [RELA, PROGBITS, REL, NOBITS, STRTAB, 0x6fff_fff0, NULL];
        // Not the symbol table and its strings, which no loader lets be written.
        const INFOS: [u32; 9] = [1, 0, 2, MODINFO, PER_CPU, SUBJECT, SHSTRTAB as u32, COUNT as u32, u32::MAX];
        const SIZES: [u64; 5] = [24, 0, 23, 47, 48];
        let has = |bit: u8, flag: u64| if flags & bit != 0 { flag } else { 0 };
        Self {
            name,
            flags: has(1, LIVEPATCH) | has(2, ALLOC) | has(4, 1) | has(8, 1 << 62),
            kind: KINDS[usize::from(kind) % KINDS.len()],
            info: INFOS[usize::from(info) % INFOS.len()],
            size: SIZES[usize::from(size) % SIZES.len()],
        }
    }

    /// The file. Section names follow one another, and the last ends at the end of the file.
    pub fn file<'f>(&self, file: &'f mut [u8; MOST]) -> &'f [u8] {
        let put = |file: &mut [u8; MOST], at: usize, bytes: &[u8]| {
            file[at..at + bytes.len()].copy_from_slice(bytes)
        };
        put(file, 0, b"\x7fELF\x02\x01\x01");
        put(file, 16, &[1, 0, 62, 0, 1]);
        put(file, 40, &(EHDR_SIZE as u64).to_le_bytes());
        put(
            file,
            52,
            &[EHDR_SIZE as u8, 0, 0, 0, 0, 0, SHDR_SIZE as u8, 0, COUNT as u8, 0, SHSTRTAB as u8, 0],
        );
        let mut end = NAMES + 1;
        for (index, (name, kind, flags)) in OTHERS.into_iter().enumerate().skip(1) {
            let header = EHDR_SIZE + index * SHDR_SIZE;
            let is_subject = index == SUBJECT as usize;
            let (name, kind, flags) =
                if is_subject { (self.name, self.kind, self.flags) } else { (name, kind, flags) };
            let (link, info, size) = match index {
                _ if is_subject => (5u32, self.info, self.size),
                5 => (6, 1, SYM_SIZE as u64),
                _ => (0, 0, 1),
            };
            put(file, header, &((end - NAMES) as u32).to_le_bytes());
            put(file, header + 4, &kind.to_le_bytes());
            put(file, header + 8, &flags.to_le_bytes());
            let content = if is_subject { CONTENT } else { OTHERS_CONTENT };
            put(file, header + 24, &(content as u64).to_le_bytes());
            put(file, header + 32, &size.to_le_bytes());
            put(file, header + 40, &link.to_le_bytes());
            put(file, header + 44, &info.to_le_bytes());
            put(file, end, name);
            end += name.len() + 1;
        }
        let header = EHDR_SIZE + SHSTRTAB * SHDR_SIZE;
        put(file, header + 24, &(NAMES as u64).to_le_bytes());
        put(file, header + 32, &((end - NAMES) as u64).to_le_bytes());
        &file[..end]
    }

    /// What `sh_info` leads to, by the flags that a loader of these rules has left.
    fn target(&self, profile: &Profile) -> Target {
        let linux = profile.since != (0, 0);
        let flags = match self.info {
            SUBJECT => self.flags,
            other => match OTHERS.get(other as usize) {
                None => return Target::Missing,
                Some((_, _, flags)) => *flags,
            },
        };
        // The first section of such a name is read while the module is loaded, and not kept. The other names are taken above.
        let dropped: &[&[u8]] = match profile.since {
            (0, 0) => &[],
            since if since < (6, 14) => &[b"__versions"],
            _ => &[b"__versions", b"__version_ext_crcs", b"__version_ext_names"],
        };
        match self.info {
            SUBJECT if dropped.contains(&self.name) => Target::NotInMemory,
            MODINFO if linux => Target::NotInMemory,
            PER_CPU if linux && profile.since < (6, 16) => Target::NotInMemory,
            PER_CPU if linux => Target::Template,
            _ if flags & ALLOC == 0 => Target::NotInMemory,
            // Only relocations are asked for their target.
            SUBJECT => Target::Relocations,
            _ => Target::InMemory,
        }
    }

    /// Linux's conditions, one after the other.
    pub fn judge(&self, profile: &Profile) -> Expected<'n> {
        let has_relocations = self.size >= 24;
        let is_in_file = self.kind != NOBITS && self.kind != NULL;
        if self.flags & LIVEPATCH == 0 && self.kind != RELA && self.kind != REL {
            let arch = self.name.starts_with(b".klp.arch.");
            return if arch { Expected::Arch } else { Expected::Nothing };
        }
        let target = self.target(profile);
        let is_reached = !matches!(target, Target::Missing | Target::NotInMemory);
        // Linux would apply what an earlier relocation has made of the table.
        let is_changed = has_relocations && target == Target::Relocations;
        // Relocations of nothing: Linux does not look at them, the gABI has none.
        let nowhere =
            profile.since == (0, 0) && has_relocations && (target == Target::Missing || self.info == 0);
        let passed_over = || if nowhere { Expected::FailsLoad } else { Expected::Skipped };
        if self.flags & LIVEPATCH == 0 {
            return match (is_reached, self.kind) {
                (false, _) => passed_over(),
                (true, REL) => Expected::FailsLoad,
                (true, _) if is_changed => Expected::FailsLoad,
                (true, _) => Expected::Ordinary(self.info),
            };
        }
        let Some([object]) = scan(SECTION, self.name).all([1]) else {
            return if is_reached { Expected::FailsLoad } else { Expected::FailsAnyComing };
        };
        if object == b"vmlinux" {
            return match is_reached {
                false => passed_over(),
                true if is_changed || has_relocations && !is_in_file => Expected::FailsLoad,
                true => Expected::Early(self.info),
            };
        }
        // When the object comes nothing is looked at; so all must be there.
        let is_kept = self.flags & ALLOC != 0 && is_in_file;
        match has_relocations && !(target == Target::InMemory && is_kept) {
            true => Expected::FailsComing(object),
            false => Expected::Late(object, self.info),
        }
    }
}
