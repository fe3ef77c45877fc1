//! `relakit verify`: compares the memory of a running module with what it should hold.

mod bases;
mod found;
mod names;
mod report;
mod text;

use crate::apply;
use crate::args::{Format, VerifyArgs};
use crate::console;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::input::near::nearest;
use crate::input::place::Place;
use crate::input::running::Running;
use crate::input::symbols::Symbols;
use crate::output::json::versioned;
use crate::progress::Progress;
use crate::simulate::memory::{ModuleMemory, find_per_cpu_base};
use found::Found;
use names::{Names, RunningKernel};
use relakit::{Class, Loaded, Module};
use relakit_linux::memories;
use relakit_linux::special::places;
use relakit_linux::verify::{self, Mismatch, Policies};
use report::{NotJudged, Report, Rows, Unknown};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let given = args.symbols.iter().chain(args.place.iter()).chain([&args.module]);
    files::check_stdin(given.map(PathBuf::as_path))?;
    let progress = Progress::new();
    progress.say("reading the module");
    let file = files::read_module(&args.module)?;
    let kernel = Kernel::linux(args.kernel.as_deref(), &file)?;
    kernel.note.iter().try_for_each(|note| console::note(note))?;
    let module = match Module::parse(&file, kernel.profile) {
        Ok(module) => module,
        Err(error) => return failed(args, &kernel, None, &error.into(), &progress),
    };
    let memories = memories(kernel.version);
    let mut place = match &args.place {
        Some(path) => Place::read(path, &module, memories)?,
        None => Place::of_bases(&module, args.bases.as_ref(), memories)?,
    };
    let mut running = Running::open(&args.memory)?;
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    if !symbols.has_exports() {
        console::note(
            "the symbol files list no exports (__ksymtab_...), so every symbol counts as exported",
        )?;
        symbols.set_plain(true);
    }
    per_cpu(&module, args, &mut place, &symbols)?;
    progress.say("relocating");
    let mut expected = match Expected::new(&module, &place, &mut symbols)? {
        Ok(expected) => expected,
        Err(errors) => return failed(args, &kernel, Some(&module), &errors, &progress),
    };
    progress.say("reading the memory");
    let mut found = Found::read(&module, &place, &expected.memory, &mut running)?;
    if bases::find(&mut expected, &mut found, &mut place)? {
        expected = match Expected::new(&module, &place, &mut symbols)? {
            Ok(expected) => expected,
            Err(errors) => return failed(args, &kernel, Some(&module), &errors, &progress),
        };
        found = Found::read(&module, &place, &expected.memory, &mut running)?;
    }
    let Expected { mut memory, mut values, loaded } = expected;
    let mut late = late(args, &loaded, &mut memory, &mut found)?;
    let mut not_judged = found.not_judged(&module);
    late.apply(&loaded, &mut memory, &mut values, &mut symbols, &mut not_judged);
    found.expect_missing(&memory);
    progress.say("comparing");
    let unknown = Unknown::new(&module, &found, &place, late.unknown);
    let names = Names::new(&symbols);
    let mut rows = Rows::new(&unknown);
    let mut all: Vec<_> = places(&module, &memory).collect();
    all.sort_unstable();
    let mut known = RunningKernel { names: &names, memory: &mut running };
    let mut asked = verify::Kernel::new(kernel.version, &mut known);
    asked.policies =
        args.policy.iter().fold(Policies::default(), |all, (role, policy)| all.with(*role, *policy));
    let verified =
        verify::verify(&loaded, &mut memory, &mut found, &mut asked, &all, &mut |mismatch: &Mismatch| {
            rows.add(&module, mismatch);
        });
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => return failed(args, &kernel, Some(&module), &error.into(), &progress),
    };
    let report = Report::new(args, &kernel, &module, &names, rows, verified, not_judged, late.applied);
    progress.finish();
    if report.is_other_build() {
        console::note("the build IDs differ, so another build of the module runs")?;
    }
    match args.format {
        Format::Text => console::to_stdout(|mut out| text::print(&report, &mut out))?,
        Format::Json => console::print_json(&versioned(&report))?,
    }
    if report.is_verified() { Ok(()) } else { Err(Failure::Module) }
}

/// The module in memory of this program, with the addresses of the running one.
#[derive(Debug)]
struct Expected<'f> {
    memory: ModuleMemory,
    values: Vec<u64>,
    loaded: Loaded<'f>,
}

impl<'f> Expected<'f> {
    fn new(
        module: &Module<'f>,
        place: &Place,
        symbols: &mut Symbols,
    ) -> Result<Result<Self, apply::Errors>, Failure> {
        let mut memory = ModuleMemory::zeroed(module, &place.sections)?;
        let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
        let loaded = apply::load(module, &mut memory, &mut values, symbols);
        Ok(loaded.map(|loaded| Self { memory, values, loaded }))
    }
}

/// Sets the base of per-CPU symbols. If the symbol files do not have it, it stays an example.
fn per_cpu(
    module: &Module<'_>,
    args: &VerifyArgs,
    place: &mut Place,
    symbols: &Symbols,
) -> Result<(), Failure> {
    let Some(index) = module.per_cpu_section() else { return Ok(()) };
    match find_per_cpu_base(module, &args.module, &mut place.sections, symbols) {
        Some(note) => console::note(&note),
        None => {
            place.assumed.remove(&index);
            Ok(())
        }
    }
}

/// Prints the errors of a module that cannot be relocated.
fn failed(
    args: &VerifyArgs,
    kernel: &Kernel,
    module: Option<&Module<'_>>,
    errors: &apply::Errors,
    progress: &Progress,
) -> Result<(), Failure> {
    progress.finish();
    let file = args.module.display().to_string();
    errors.print(module, &kernel.profile, &file, ("not judged: ", ""))?;
    if args.format == Format::Json {
        console::print_json(&versioned(&Report::failed(args, kernel, module, errors)))?;
    }
    Err(Failure::Module)
}

/// The patched objects of a livepatch whose late relocations are applied in the running module.
#[derive(Debug)]
struct Applied {
    applied: Vec<String>,
    /// Section indices of late relocations whose result is not known.
    unknown: BTreeSet<u32>,
}

/// Finds out which late relocations are applied, or takes what the user says.
fn late(
    args: &VerifyArgs,
    loaded: &Loaded<'_>,
    memory: &mut ModuleMemory,
    found: &mut Found,
) -> Result<Applied, Failure> {
    let objects: BTreeSet<&[u8]> = late_sections(loaded.module()).map(|(_, object)| object).collect();
    let mut applied = Vec::new();
    for name in &args.applied {
        if !objects.contains(name.as_bytes()) {
            let known = objects.iter().filter_map(|object| str::from_utf8(object).ok());
            let hint = match nearest(name, known) {
                Some(near) => format!("did you mean {near}?"),
                None => "it has none".to_owned(),
            };
            let name = name.escape_default();
            return Err(Failure::Usage(format!(
                "--applied {name}: the module has no relocations for it; {hint}"
            )));
        }
    }
    for object in objects {
        let name = String::from_utf8_lossy(object).into_owned();
        let is_applied = match args.applied.is_empty() {
            false => args.applied.contains(&name),
            true => loaded
                .is_applied(object, memory, found)
                .map_err(|error| Failure::File(format!("the relocations for {name}: {error}")))?,
        };
        if is_applied {
            applied.push(name);
        }
    }
    Ok(Applied { applied, unknown: BTreeSet::new() })
}

/// The late relocation sections, and their objects.
fn late_sections<'f>(module: &Module<'f>) -> impl Iterator<Item = (u32, &'f [u8])> {
    module.classes().filter_map(|(index, class)| match class.class {
        Class::KlpLate { object, .. } => Some((index, object)),
        _ => None,
    })
}

impl Applied {
    /// Applies the late relocations to the expected content. If the symbols of an object are not
    /// known, its fields are not judged.
    fn apply(
        &mut self,
        loaded: &Loaded<'_>,
        memory: &mut ModuleMemory,
        values: &mut [u64],
        symbols: &mut Symbols,
        not_judged: &mut Vec<NotJudged>,
    ) {
        for name in &self.applied {
            let object = name.as_bytes();
            if let Err(error) = loaded.apply_late(object, memory, values, symbols) {
                let sections = late_sections(loaded.module()).filter(|(_, of)| *of == object);
                self.unknown.extend(sections.map(|(index, _)| index));
                not_judged.push(NotJudged {
                    what: format!("the fields of the relocations for {}", name.escape_default()),
                    why: error.to_string(),
                    give: format!("--symbols with the symbols of [{}]", name.escape_default()),
                });
            }
        }
    }
}
