//! kmod-loader 0.3.1, which loads Linux modules into kernels written in Rust.
//!
//! Its relocation loop has no door of its own. It logs "Applying relocations" at every section's begin and "Module
//! init_fn" when it is through with them, at a level that every kernel has on; what lies between is timed twice, with the
//! relocations and with relocation sections of size 0, and the difference is the loop. That is in its favour: whatever it
//! does once a section is not counted. The whole load is timed by itself, with logging off.

use super::{Peer, Took};
use crate::modules::Work;
use crate::{arena, names};
use kmod_loader::{KernelModuleHelper, ModuleLoader, SectionMemOps, SectionPerm};
use log::LevelFilter;
use relakit::Profile;
use relakit::abi::SHT_RELA;
use relakit::elf::{Object, Section};
use std::fmt::{self, Write};
use std::sync::{Mutex, Once};
use std::time::Instant;

pub const PEER: Peer = Peer { name: "kmod-loader 0.3.1", how: HOW, load, compare };

const HOW: &str = "Its loop cannot be called alone. The benchmark takes the time between two of its log messages, once with the
  relocations and once with relocation sections of size 0. The difference is the loop, without the work per section. Its load is timed
  separately, with logging off. It checks neither bounds nor that a PC32 fits, and an error leaves the module half relocated.";

struct Helper;

struct Pages(usize);

impl SectionMemOps for Pages {
    fn as_ptr(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.0)
    }
    fn as_mut_ptr(&mut self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.0)
    }
    fn change_perms(&mut self, _: SectionPerm) -> bool {
        true
    }
}

impl KernelModuleHelper for Helper {
    fn vmalloc(size: usize) -> Box<dyn SectionMemOps> {
        Box::new(Pages(arena::take(size).expose_provenance()))
    }
    fn resolve_symbol(name: &str) -> Option<usize> {
        names::find(name.as_bytes()).map(|at| (names::NEAR + at) as usize)
    }
}

/// Begin and end of the relocations.
static WATCH: Mutex<(Option<Instant>, Option<Instant>)> = Mutex::new((None, None));

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let mut first = First("");
        // The first piece is known as soon as it comes; the rest is not formatted.
        let _ = first.write_fmt(*record.args());
        let mut watch = WATCH.lock().unwrap();
        match first.0 {
            "Applying" if watch.0.is_none() => watch.0 = Some(Instant::now()),
            "Module init_fn" => watch.1 = Some(Instant::now()),
            _ => {}
        }
    }
    fn flush(&self) {}
}

/// With which of the two messages a text begins.
struct First(&'static str);

impl Write for First {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 =
            ["Applying", "Module init_fn"].into_iter().find(|begin| text.starts_with(begin)).unwrap_or("");
        Err(fmt::Error)
    }
}

fn load(work: &Work) -> Result<Took, String> {
    log::set_max_level(LevelFilter::Off);
    let load = run(&work.file)?;
    let (with_loop, without_loop) = (watched(&work.file)?, watched(&without_relocations(&work.file))?);
    Ok(Took { load, with_loop, without_loop })
}

/// Loads, and answers how long it took.
fn run(file: &[u8]) -> Result<f64, String> {
    arena::reset();
    let start = Instant::now();
    let loaded = ModuleLoader::<Helper>::new(file).and_then(|loader| loader.load_module(c"".to_owned()));
    let took = start.elapsed().as_nanos() as f64;
    // Its pages stay in the arena.
    loaded.map(|_| took).map_err(|error| format!("{error:?}"))
}

/// Loads, and answers how long it took from the first relocation section to behind the last.
fn watched(file: &[u8]) -> Result<f64, String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_logger(&Logger).expect("the only logger"));
    log::set_max_level(LevelFilter::Error);
    *WATCH.lock().unwrap() = (None, None);
    run(file)?;
    match *WATCH.lock().unwrap() {
        (Some(start), Some(end)) => Ok((end - start).as_nanos() as f64),
        _ => Err("no relocation sections".to_owned()),
    }
}

/// The file, with relocation sections that have no entries.
fn without_relocations(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let table = usize::from_le_bytes(*file[0x28..].first_chunk().unwrap());
    let rela: Vec<_> = Object::parse(&file)
        .unwrap()
        .sections()
        .filter(|(_, section)| section.sh_type == SHT_RELA)
        .map(|(index, _)| index as usize)
        .collect();
    for index in rela {
        file[table + index * 64 + 0x20..][..8].fill(0);
    }
    file
}

fn compare(work: &Work) -> Result<(), String> {
    log::set_max_level(LevelFilter::Off);
    run(&work.file)?;
    // As it lays sections out: each on pages of its own, some not at all.
    let mut end = arena::start();
    let mut layout = |_, section: &Section, name: &[u8]| {
        let skipped = [&b".note"[..], b".modinfo", b"__version"].iter().any(|skip| name.starts_with(skip));
        let address = (!skipped && section.sh_size != 0).then_some(end as u64)?;
        end += (section.sh_size as usize).next_multiple_of(4096);
        Some(address)
    };
    let expected = Work::laid_out(&work.name, work.file.clone(), Profile::ELF, names::NEAR, &mut layout)
        .map_err(|error| error.to_string())?;
    super::compare(&expected, |address, size| &arena::taken()[address - arena::start()..][..size])
}
