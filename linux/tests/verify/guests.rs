//! Modules in the memory of guests. `RELAKIT_GUEST` names a folder: `modules/NAME/module.ko`, and for
//! each state `core-STATE` (an ELF core file), `kallsyms-STATE` and `places-STATE` (lines of
//! `/sys/module/NAME/sections/SECTION:ADDRESS`).

use crate::recordings::Image;
use object::Endianness;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use relakit::verify::Reader;
use relakit::{CallbackError, Class, Module, Profile, Resolver};
use relakit_linux::special::{self, Place};
use relakit_linux::verify::{self, Known, Mismatch, Verified};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Symbols {
    /// Address and module of each symbol of a name; "" is vmlinux.
    by_name: HashMap<Vec<u8>, Vec<(u64, String)>>,
    functions: HashSet<u64>,
    trace: bool,
}

impl Symbols {
    fn open(path: &Path) -> Self {
        let mut symbols = Self::default();
        for line in String::from_utf8_lossy(&std::fs::read(path).unwrap()).lines() {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next().unwrap(), 16).unwrap();
            let kind = words.next().unwrap();
            let name = words.next().unwrap().as_bytes().to_vec();
            let module = words.next().unwrap_or("").trim_matches(['[', ']']).to_owned();
            if matches!(kind, "t" | "T" | "w" | "W") {
                symbols.functions.insert(address);
            }
            symbols.by_name.entry(name).or_default().push((address, module));
        }
        symbols
    }
}

impl Resolver for Symbols {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        let Some(exports) = self.by_name.get(&[b"__ksymtab_", name].concat()) else { return Ok(None) };
        let all = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        Ok(all
            .iter()
            .find(|(_, module)| exports.iter().any(|export| export.1 == *module))
            .map(|found| found.0))
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        let object = if object == b"vmlinux" { b"" } else { object };
        let all = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        let mut all = all.iter().filter(|(_, module)| module.as_bytes() == object);
        Ok(all.nth(usize::try_from(position).unwrap() - 1).map(|found| found.0))
    }
}

impl Known for Symbols {
    fn function(&mut self, address: u64) -> bool {
        self.functions.contains(&address)
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        self.by_name.get(name)?.iter().find(|(_, module)| module.is_empty()).map(|found| found.0)
    }

    fn tracer(&mut self, address: u64) -> bool {
        let has = |name: &[u8]| {
            self.by_name.get(name).is_some_and(|all| all.iter().any(|found| found.0 == address))
        };
        has(b"ftrace_caller") || has(b"ftrace_regs_caller") || self.trace && has(b"ftrace_trampoline")
    }
}

/// An ELF core file.
struct Core {
    file: Vec<u8>,
    loads: Vec<(u64, u64, u64)>,
    changes: BTreeMap<u64, u8>,
}

impl Core {
    fn open(path: &Path) -> Self {
        let file = std::fs::read(path).unwrap();
        let header = object::elf::FileHeader64::<Endianness>::parse(&*file).unwrap();
        let endian = Endianness::Little;
        let loads = header.program_headers(endian, &*file).unwrap().iter();
        let loads =
            loads.map(|load| (load.p_vaddr(endian), load.p_filesz(endian), load.p_offset(endian))).collect();
        Self { file, loads, changes: BTreeMap::new() }
    }
}

impl Reader for Core {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let holds =
            |load: &&(u64, u64, u64)| address >= load.0 && address + bytes.len() as u64 <= load.0 + load.1;
        let Some(load) = self.loads.iter().find(holds) else { return Err(CallbackError(14)) };
        let at = usize::try_from(load.2 + address - load.0).unwrap();
        bytes.copy_from_slice(&self.file[at..at + bytes.len()]);
        for (at, byte) in self.changes.range(address..address + bytes.len() as u64) {
            bytes[usize::try_from(at - address).unwrap()] = *byte;
        }
        Ok(())
    }
}

/// Section addresses by module and name.
fn addresses(path: &Path) -> HashMap<String, HashMap<String, u64>> {
    let mut modules: HashMap<String, HashMap<String, u64>> = HashMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let (name, address) = line.rsplit_once(':').unwrap();
        let name: Vec<_> = name.trim_start_matches("/sys/module/").splitn(3, '/').collect();
        let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
        modules.entry(name[0].to_owned()).or_default().insert(name[2].to_owned(), address);
    }
    modules
}

fn verified(
    own: &str,
    file: &[u8],
    profile: Profile,
    version: special::Version,
    sections: &HashMap<String, u64>,
    symbols: &mut Symbols,
    core: &mut Core,
) -> (Verified, Vec<Mismatch>, Vec<String>) {
    let module = Module::parse(file, profile).unwrap();
    let name = |section: u32| {
        let header = module.object().section(section).unwrap();
        String::from_utf8_lossy(module.object().section_name(&header)).into_owned()
    };
    // Empty sections and per-CPU data are not in sysfs. Kallsyms has their symbols.
    let mut unlisted: HashMap<u32, u64> = HashMap::new();
    for index in 1..module.object().symbols().len() {
        let Some(symbol) = module.object().symbols().get(index) else { continue };
        let found = symbols
            .by_name
            .get(module.object().symbols().name(&symbol).unwrap_or_default())
            .into_iter()
            .flatten();
        let mut found = found.filter(|found| found.1 == own);
        if let (Some(found), None) = (found.next(), found.next()) {
            unlisted.insert(u32::from(symbol.st_shndx), found.0.wrapping_sub(symbol.st_value));
        }
    }
    let image = module.object().sections().map(|(index, section)| {
        let address = sections.get(&name(index)).or(unlisted.get(&index)).copied().unwrap_or(0x1000);
        (address, vec![0; usize::try_from(section.sh_size).unwrap()])
    });
    let mut expected = Image(image.collect());
    let mut values = vec![0; module.object().symbols().len() as usize];
    let loaded = module.assign(&mut expected).unwrap().fill().unwrap().early(&mut values, symbols).unwrap();
    let mut objects: Vec<Vec<u8>> = module
        .classes()
        .filter_map(|(_, class)| match class.class {
            Class::KlpLate { object, .. } => Some(object.to_vec()),
            _ => None,
        })
        .collect();
    objects.dedup();
    for object in objects {
        if loaded.is_applied(&object, &mut expected, core).unwrap() {
            // Before 6.3 the fields stay as they were when the object has gone.
            if let Err(error) = loaded.apply_late(&object, &mut expected, &mut values, symbols) {
                println!("{own}: {error}");
            }
        }
    }
    let mut places: Vec<Place> =
        special::places(&module, &expected).filter(|place| place.address != 0x1000).collect();
    places.sort_unstable();
    let mut mismatches = Vec::new();
    let mut kernel = verify::Kernel::new(version, symbols);
    // The address of an empty section without symbols is not known.
    let report = &mut |mismatch: &Mismatch| {
        if mismatch.difference.relocation.is_none_or(|relocation| relocation.expected != 0x1000) {
            mismatches.push(*mismatch);
        }
    };
    let verified = verify::verify(&loaded, &mut expected, core, &mut kernel, &places, report).unwrap();
    let names = mismatches.iter().map(|mismatch| name(mismatch.difference.section)).collect();
    (verified, mismatches, names)
}

/// A guest in the state `RELAKIT_GUEST_STATE`.
struct Guest {
    folder: PathBuf,
    version: special::Version,
    profile: Profile,
    symbols: Symbols,
    core: Core,
    places: HashMap<String, HashMap<String, u64>>,
}

impl Guest {
    fn open() -> Self {
        let folder = PathBuf::from(std::env::var_os("RELAKIT_GUEST").expect("RELAKIT_GUEST names a guest"));
        let state = std::env::var("RELAKIT_GUEST_STATE").unwrap_or("idle".to_owned());
        let version = std::env::var("RELAKIT_GUEST_VERSION").unwrap();
        let (major, minor) = version.split_once('.').unwrap();
        let version = (major.parse().unwrap(), minor.parse().unwrap());
        let mut symbols = Symbols::open(&folder.join(format!("kallsyms-{state}")));
        symbols.trace = std::env::var_os("RELAKIT_GUEST_TRACE").is_some();
        Self {
            version,
            profile: *Profile::for_linux(version.0, version.1).unwrap(),
            symbols,
            core: Core::open(&folder.join(format!("core-{state}"))),
            places: addresses(&folder.join(format!("places-{state}"))),
            folder,
        }
    }
}

#[test]
#[ignore = "needs the memory of a guest"]
fn modules_in_a_guest_have_no_mismatch() {
    let Guest { folder, version, profile, mut symbols, mut core, places } = Guest::open();
    let (mut modules, mut bad, mut total) = (0, 0, [0u64; 5]);
    for (name, sections) in places.into_iter().collect::<BTreeMap<_, _>>() {
        let Ok(file) = std::fs::read(folder.join("modules").join(&name).join("module.ko")) else {
            println!("{name}: no file");
            continue;
        };
        let (verified, mismatches, names) =
            verified(&name, &file, profile, version, &sections, &mut symbols, &mut core);
        modules += 1;
        bad += u32::from(!mismatches.is_empty());
        for (total, count) in total.iter_mut().zip([
            verified.bytes,
            verified.flexible,
            verified.not_judged,
            verified.sites,
            verified.rewritten,
        ]) {
            *total += count;
        }
        for (mismatch, section) in mismatches.iter().zip(names).take(8) {
            println!("{name} {section}: {mismatch:x?}");
        }
        if mismatches.len() > 8 {
            println!("{name}: {} mismatches", mismatches.len());
        }
    }
    println!(
        "{modules} modules, {bad} with mismatches; bytes, flexible, not judged, sites, rewritten: {total:?}"
    );
}

/// Flips every byte of code and constants of the module `RELAKIT_GUEST_MODULE`, one after another.
#[test]
#[ignore = "needs the memory of a guest"]
fn every_flipped_byte_of_a_module_in_a_guest_is_found() {
    let guest = Guest::open();
    let name = std::env::var("RELAKIT_GUEST_MODULE").unwrap();
    let flip: u8 = std::env::var("RELAKIT_GUEST_FLIP").map_or(0xff, |flip| flip.parse().unwrap());
    let Guest { mut symbols, mut core, places, .. } = guest;
    let file = std::fs::read(guest.folder.join("modules").join(&name).join("module.ko")).unwrap();
    let module = Module::parse(&file, guest.profile).unwrap();
    let (mut flipped, mut accepted) = (0, Vec::new());
    for (_, section) in module.object().sections() {
        use relakit::elf::SectionFlags;
        let section_name = String::from_utf8_lossy(module.object().section_name(&section)).into_owned();
        let is_constant = section.sh_flags.contains(SectionFlags::ALLOC)
            && !section.sh_flags.contains(SectionFlags::WRITE)
            && !section_name.starts_with(".init");
        let Some(&address) = places[&name].get(&section_name).filter(|_| is_constant) else { continue };
        for at in address..address + section.sh_size {
            let mut byte = [0];
            core.read(at, &mut byte).unwrap();
            core.changes = BTreeMap::from([(at, byte[0] ^ flip)]);
            let (_, mismatches, _) =
                verified(&name, &file, guest.profile, guest.version, &places[&name], &mut symbols, &mut core);
            core.changes.clear();
            flipped += 1;
            if mismatches.is_empty() {
                accepted.push((section_name.clone(), at - address));
            }
        }
    }
    println!("{name}: {flipped} bytes flipped by {flip:#x}, {} accepted: {accepted:x?}", accepted.len());
}
