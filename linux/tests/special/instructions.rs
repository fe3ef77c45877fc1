//! Sites of real modules, read by a disassembler: each is where the section's reader expects it, as long as it says.
//!
//! The repository has few. For all of whole kernels, where other scripts have fetched them:
//!
//! ```sh
//! cargo test --release -p relakit-linux --test special -- --ignored --nocapture
//! ```

use crate::recorded::{Kernel, exists, oracles, read};
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use relakit::elf::SectionFlags;
use relakit::{CallbackError, Error, Module, Profile, Resolver, SectionMemory};
use relakit_linux::loader_check;
use relakit_linux::special::{self, Role, Site, Version};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Everything that others export is at an address that all types of relocations have room for.
struct Anything;

impl Resolver for Anything {
    fn exported(&mut self, _name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(Some(0x11_3f20))
    }

    fn nth_symbol(
        &mut self,
        _object: &[u8],
        _name: &[u8],
        _position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        Ok(None)
    }
}

/// All modules below a folder, as paths without `.xz`.
fn modules(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let path =
            if path.extension().is_some_and(|end| end == "xz") { path.with_extension("") } else { path };
        if path.is_dir() && !path.is_symlink() {
            modules(&path, found);
        } else if path.extension().is_some_and(|end| end == "ko") && exists(&path) {
            found.push(path);
        }
    }
}

/// The version in `vermagic`, and the profile for it.
fn version(file: &[u8]) -> Option<(Version, Profile)> {
    let module = Module::parse(file, Profile::LINUX_6_12).ok()?;
    let magic = std::str::from_utf8(loader_check::modinfo(&module, b"vermagic")?).ok()?;
    let mut numbers = magic.split('.').map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
    let version = (major, minor);
    Some((version, *Profile::for_linux(major, minor)?))
}

/// Whether whole instructions fill the bytes.
fn is_filled(code: &[u8], address: u64) -> bool {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut is_valid = true;
    while decoder.can_decode() {
        is_valid &= decoder.decode().code() != Code::INVALID;
    }
    is_valid
}

/// Why what is at a site is not what its reader expects; `code` begins there and goes to the end of its section.
fn surprise(site: &Site, code: &[u8]) -> Option<String> {
    let size = usize::try_from(site.size_in(code)).unwrap();
    let Some(bytes) = code.get(..size) else { return Some("goes beyond the section".to_owned()) };
    if matches!(site.role, Role::Alternative | Role::Replacement | Role::Paravirt) {
        return (!is_filled(bytes, site.address))
            .then(|| format!("ends inside an instruction: {bytes:02x?}"));
    }
    let first: Instruction = Decoder::with_ip(64, code, site.address, DecoderOptions::NONE).decode();
    let is_branch = first.op0_kind() == OpKind::NearBranch64;
    let is_call = is_branch && first.mnemonic() == Mnemonic::Call;
    let is_jump = is_branch && first.mnemonic() == Mnemonic::Jmp;
    let is_expected = match site.role {
        // Conditional ones too.
        Role::Retpoline | Role::StaticCall => is_branch,
        Role::Return => is_jump,
        Role::Call => is_call,
        Role::Endbr => first.mnemonic() == Mnemonic::Endbr64,
        // In a few the operand-size prefix comes first, and the reader leaves them alone.
        Role::Lock => return (!first.has_lock_prefix()).then(|| "no lock".to_owned()),
        Role::JumpLabel => is_jump || first.mnemonic() == Mnemonic::Nop,
        Role::Trampoline => is_jump && code.get(5..8) == Some(&[0x0f, 0xb9, 0xcc]),
        Role::Trace => is_call || first.mnemonic() == Mnemonic::Nop,
        _ => false,
    };
    let is_whole = first.len() == size;
    (!is_expected || !is_whole).then(|| format!("{size} of {:02x?}", &code[..code.len().min(8)]))
}

/// Sites of each role in one module, and how many of those have another size than usual.
type Counts = BTreeMap<Role, (usize, usize)>;

/// Counts the sites of one module, and says what is wrong with them.
fn look(
    file: &[u8],
    (version, profile): (Version, Profile),
    resolver: &mut dyn Resolver,
    counts: &mut Counts,
) -> Result<Vec<String>, Error> {
    let module = Module::parse(file, profile)?;
    let object = module.object();
    let mut bytes: Vec<_> =
        object.sections().map(|(_, section)| vec![0; usize::try_from(section.sh_size).unwrap()]).collect();
    let mut free = 0xffff_ffff_c030_0000;
    let mut memory: Vec<_> = object
        .sections()
        .zip(&mut bytes)
        .map(|((_, section), bytes)| {
            let address = free;
            free = (free + section.sh_size).next_multiple_of(4096);
            Some(SectionMemory { address, symbols_at: None, bytes })
        })
        .collect();
    let memory = &mut memory[..];
    let mut values = vec![0; usize::try_from(object.symbols().len()).unwrap()];
    let placed = module.assign(memory)?;
    let filled = placed.fill()?;
    let loaded = filled.early(&mut values, resolver)?;
    let mut wrong = Vec::new();
    for (index, special) in relakit_linux::special::in_memory(&loaded) {
        let place = memory[usize::try_from(index).unwrap()].as_ref().unwrap();
        let sites = special::sites(special, version, place.bytes, place.address);
        if sites.left_over() != 0 {
            wrong.push(format!("{} ends inside an entry", special.name));
        }
        for site in sites {
            let of = |place: &&Option<SectionMemory<'_>>| place.as_ref().unwrap().address <= site.address;
            let target = memory.iter().take_while(of).count() - 1;
            let section = object.section(u32::try_from(target).unwrap()).unwrap();
            let target = memory[target].as_ref().unwrap();
            let offset = usize::try_from(site.address - target.address).unwrap();
            let code = target.bytes.get(offset..).unwrap_or_default();
            let problem = match section.sh_flags.contains(SectionFlags::ALLOC | SectionFlags::EXECINSTR) {
                true => surprise(&site, code),
                false => {
                    Some(format!("not code: {}", String::from_utf8_lossy(object.section_name(&section))))
                }
            };
            wrong.extend(problem.map(|problem| format!("{} {}: {problem}", special.name, site.entry)));
            let (all, unusual) = counts.entry(site.role).or_default();
            *all += 1;
            *unusual += usize::from(site.size_in(code) != site.size);
        }
    }
    Ok(wrong)
}

/// What was seen of each kernel: modules, and their sites.
#[derive(Default)]
struct Seen {
    kernels: BTreeMap<Version, (usize, Counts)>,
    wrong: Vec<String>,
}

impl Seen {
    fn look(&mut self, paths: &[PathBuf], resolver: &mut dyn Resolver) {
        for path in paths {
            let file = read(path);
            let Some((version, profile)) = version(&file) else { continue };
            let (modules, counts) = self.kernels.entry(version).or_default();
            *modules += 1;
            let found = look(&file, (version, profile), resolver, counts)
                .unwrap_or_else(|error| vec![format!("not relocated: {error:?}")]);
            self.wrong.extend(found.into_iter().map(|problem| format!("{}: {problem}", path.display())));
        }
    }

    /// The sites of each kernel, if nothing is wrong with any.
    fn sites(self) -> BTreeMap<Version, Counts> {
        for (version, (modules, counts)) in &self.kernels {
            println!("{version:?}: {modules} modules; role: (sites, of another size than usual): {counts:?}");
        }
        let wrong = &self.wrong;
        assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
        self.kernels.into_iter().map(|(version, (_, counts))| (version, counts)).collect()
    }
}

#[test]
fn a_disassembler_finds_at_every_site_what_its_reader_expects() {
    let mut seen = Seen::default();
    for oracle in oracles() {
        let (mut plain, mut livepatches) = (Vec::new(), Vec::new());
        modules(&oracle.join("plain-6.1"), &mut plain);
        modules(&oracle.join("klp-6.12"), &mut livepatches);
        livepatches.retain(|path| path.ends_with("module.ko"));
        seen.look(&plain, &mut Anything);
        seen.look(&livepatches, &mut Kernel::open(&oracle));
    }
    let sites = seen.sites();
    for (version, roles) in [
        ((6, 1), &[Role::Retpoline, Role::Return, Role::JumpLabel, Role::Lock, Role::Trace][..]),
        ((6, 12), &[Role::Alternative, Role::Replacement, Role::Call, Role::Endbr, Role::StaticCall]),
    ] {
        for role in roles {
            assert!(sites[&version].contains_key(role), "no module of {version:?} shows {role:?}");
        }
    }
}

#[test]
#[ignore = "takes minutes, and the modules of whole kernels: bench/fetch, c-tests/kmod/run"]
fn a_disassembler_finds_the_same_in_whole_kernels() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let mut found = Vec::new();
    ["bench-modules", "kmod"].iter().for_each(|folder| modules(&target.join(folder), &mut found));
    // Both fetch one of the kernels.
    let name = |path: PathBuf| {
        let whole = path.to_string_lossy().into_owned();
        (whole.rsplit("lib/modules/").next().unwrap_or_default().to_owned(), path)
    };
    let by_name: BTreeMap<_, _> = found.into_iter().map(name).collect();
    assert!(by_name.len() > 4000, "only {} modules below {}", by_name.len(), target.display());
    let mut seen = Seen::default();
    seen.look(&by_name.into_values().collect::<Vec<_>>(), &mut Anything);
    let has_most = |roles: &Counts| roles.values().filter(|(sites, _)| *sites > 1000).count() > 9;
    assert!(seen.sites().values().any(has_most), "no kernel shows most roles");
}
