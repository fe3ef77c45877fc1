//! `relakit apply`: runs the passes in the given order, and writes the memory after each.

mod output;

use crate::args::{ApplyArgs, Format, PlaceArg, Step};
use crate::console;
use crate::diagnostics::Diagnostic;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::input::memory::Assigned;
use crate::input::place::Place;
use crate::input::symbols::Symbols;
use crate::output::{json::versioned, text};
use crate::progress::Progress;
use crate::simulate::memory::{self, ModuleMemory, find_per_cpu_base};
use crate::view::{error, names::plural};
use output::Output;
use relakit::reloc::GotFlags;
use relakit::{Class, Error, Late, Loaded, Module, Profile};
use relakit_linux::memories;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// Runs the command.
pub(crate) fn run(args: &ApplyArgs, steps: &[Step]) -> Result<(), Failure> {
    let later = steps.iter().filter_map(|step| match step {
        Step::Coming { symbols, .. } => symbols.as_ref(),
        Step::Going { .. } => None,
    });
    let given = args.symbols.iter().chain(later).chain([&args.module]);
    let given = given.chain(match &args.place {
        PlaceArg::Auto => None,
        PlaceArg::File(path) => Some(path),
    });
    files::check_stdin(given.map(PathBuf::as_path))?;
    let progress = Progress::new();
    progress.say("reading the module");
    let file = files::read_module(&args.module)?;
    let kernel = Kernel::of(args.kernel.as_deref(), &file)?;
    kernel.note.iter().try_for_each(|note| console::note(note))?;
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    progress.say("relocating");
    symbols.set_plain(kernel.profile.name == Profile::ELF.name);
    let mut report = Report {
        args,
        progress: &progress,
        profile: kernel.profile,
        steps: Vec::new(),
        output: Output::new(&args.out),
    };
    let parsed = match Module::parse(&file, kernel.profile) {
        Ok(module) => module,
        Err(error) => return report.failed(None, "parse", &error.into()),
    };
    let mut words = vec![0; usize::try_from(parsed.plan_words()).unwrap_or(usize::MAX)];
    let module = match parsed.plan(&mut words, GotFlags::empty()) {
        Ok(module) => module,
        Err(error) => return report.failed(None, "parse", &error.into()),
    };
    let mut sections = place(args, &kernel, &module)?;
    if let Some(note) = find_per_cpu_base(&module, &args.module, &mut sections, &symbols) {
        console::note(&note)?;
    }
    let mut memory = ModuleMemory::zeroed(&module, &sections)?;
    report.output.remove_old()?;
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
    let mut buffer = Vec::new();
    let mut late = match early(&module, &mut memory, &mut values, &mut symbols, &mut buffer) {
        Ok(late) => late,
        Err(errors) => return report.failed(Some(&module), "0-early", &errors),
    };
    let is_early = |class: &Class<'_>| matches!(class, Class::Ordinary { .. } | Class::KlpEarly { .. });
    let relocated = module.classes().filter(|(_, class)| is_early(&class.class)).count();
    report.done("0-early", relocated, &memory)?;
    report.output.write_place(&module, &sections)?;

    for (number, step) in (1usize..).zip(steps) {
        let name = match step {
            Step::Coming { object, .. } => format!("{number}-coming-{object}"),
            Step::Going { object } => format!("{number}-going-{object}"),
        };
        progress.say(&name);
        match run_step(step, &mut late, &mut memory, &mut symbols)? {
            Ok(sections) => report.done(&name, sections, &memory)?,
            Err(errors) => return report.failed(Some(&module), &name, &errors),
        }
    }
    progress.finish();
    match args.format {
        Format::Text => Ok(()),
        Format::Json => report.print_json(None, &Errors::default(), None),
    }
}

/// The addresses of `--place`.
fn place(args: &ApplyArgs, kernel: &Kernel, module: &Module<'_>) -> Result<BTreeMap<u32, Assigned>, Failure> {
    let is_linux = kernel.profile.name != Profile::ELF.name;
    match &args.place {
        PlaceArg::File(path) => Place::given(path, module, is_linux.then(|| memories(kernel.version))),
        PlaceArg::Auto if !is_linux => Err(Failure::Usage(
            "--place auto uses the layout of Linux; with --kernel elf, give a file with addresses".to_owned(),
        )),
        PlaceArg::Auto => memory::automatic(module).map_err(Failure::File),
    }
}

/// Runs the early pass, and retains what late passes need. Returns all errors, the first one first.
fn early<'k>(
    module: &Module<'_>,
    memory: &mut ModuleMemory,
    values: &mut [u64],
    symbols: &mut Symbols,
    buffer: &'k mut Vec<u8>,
) -> Result<Late<'k>, Errors> {
    let loaded = load(module, memory, values, symbols)?;
    buffer.resize(loaded.retained_size(), 0);
    Ok(loaded.retain(memory, values, buffer)?)
}

/// Runs the early pass. Returns all errors, the first one first.
pub(crate) fn load<'f>(
    module: &Module<'f>,
    memory: &mut ModuleMemory,
    values: &mut [u64],
    symbols: &mut Symbols,
) -> Result<Loaded<'f>, Errors> {
    let mut missing = Errors::default();
    module.assign_errors(memory).for_each(|error| missing.add(error));
    if !missing.listed.is_empty() {
        return Err(missing);
    }
    let filled = module.assign(memory)?.fill()?;
    let first = match filled.early(values, symbols) {
        Ok(loaded) => return Ok(loaded),
        Err(first) => first,
    };
    let mut errors = Errors::from(first);
    let mut filled = module.assign(memory)?.assume_filled();
    filled.errors(values, symbols, &mut |error| errors.add(error))?;
    Err(errors)
}

/// Runs one late pass. Returns the number of sections, or all errors.
fn run_step(
    step: &Step,
    late: &mut Late<'_>,
    memory: &mut ModuleMemory,
    symbols: &mut Symbols,
) -> Result<Result<usize, Errors>, Failure> {
    match step {
        Step::Coming { object, symbols: file } => {
            symbols.set_loaded(object, true);
            if let Some(file) = file {
                symbols.replace(file)?;
            }
            let first = match late.coming(object.as_bytes(), memory, symbols) {
                Ok(sections) => {
                    if sections == 0 {
                        console::note(&format!("the module has no relocations for \"{object}\""))?;
                    }
                    return Ok(Ok(sections));
                }
                Err(first) => first,
            };
            let mut errors = Errors::from(first);
            // The result is the error that `coming` returned.
            let _ = late.errors(object.as_bytes(), memory, symbols, &mut |error| errors.add(error));
            Ok(Err(errors))
        }
        Step::Going { object } => {
            let result = late.going(object.as_bytes(), memory).map_err(Errors::from);
            symbols.set_loaded(object, false);
            Ok(result)
        }
    }
}

/// Most errors that are listed.
const LISTED: usize = 1000;

/// Each error once, in order. Errors after the first [`LISTED`] ones are counted.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    listed: Vec<Error>,
    more: u64,
    seen: HashSet<String>,
}

impl Errors {
    fn add(&mut self, error: Error) {
        if self.listed.len() >= LISTED {
            self.more = self.more.saturating_add(u64::from(!self.seen.contains(&error.to_string())));
        } else if self.seen.insert(error.to_string()) {
            self.listed.push(error);
        }
    }

    /// Prints the errors on standard error, and then their number between two texts.
    pub(crate) fn print(
        &self,
        module: Option<&Module<'_>>,
        profile: &Profile,
        file: &str,
        (before, after): (&str, &str),
    ) -> Result<(), Failure> {
        let count = (self.listed.len() as u64).saturating_add(self.more);
        console::to_stderr(|mut out| {
            self.listed.iter().try_for_each(|error| {
                text::diagnostic(&Diagnostic::of_error(module, error, profile), file, &mut out)
            })?;
            if self.more != 0 {
                writeln!(out, "and {} more errors", self.more)?;
            }
            writeln!(out, "{before}{}{after}", plural(count, "error"))
        })
    }

    /// Number of errors that are not listed.
    pub(crate) const fn more(&self) -> u64 {
        self.more
    }

    pub(crate) fn to_json(&self, module: Option<&Module<'_>>, profile: &Profile) -> Vec<serde_json::Value> {
        self.listed.iter().map(|error| error::to_json(module, error, profile)).collect()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        let mut errors = Self::default();
        errors.add(error);
        errors
    }
}

/// Prints the results of the steps.
struct Report<'a> {
    args: &'a ApplyArgs,
    progress: &'a Progress,
    profile: Profile,
    steps: Vec<serde_json::Value>,
    output: Output<'a>,
}

impl Report<'_> {
    /// Writes the memory after a step, and reports the step.
    fn done(&mut self, step: &str, relocated: usize, memory: &ModuleMemory) -> Result<(), Failure> {
        let written = self.output.write_step(step, memory)?;
        if self.args.format == Format::Text && !console::is_quiet() {
            let relocated = plural(relocated as u64, "relocation section");
            console::print(&format!("{step}: {relocated}, {} written\n", plural(written as u64, "file")))?;
        }
        self.steps.push(json!({"step": step, "relocation_sections": relocated, "files": written}));
        Ok(())
    }

    fn failed(&self, module: Option<&Module<'_>>, step: &str, errors: &Errors) -> Result<(), Failure> {
        self.progress.finish();
        let file = self.args.module.display().to_string();
        let before = format!("{step}: ");
        errors.print(module, &self.profile, &file, (&before, ", nothing written"))?;
        if self.args.format == Format::Json {
            self.print_json(Some(step), errors, module)?;
        }
        Err(Failure::Module)
    }

    fn print_json(
        &self,
        failed: Option<&str>,
        errors: &Errors,
        module: Option<&Module<'_>>,
    ) -> Result<(), Failure> {
        let listed = errors.to_json(module, &self.profile);
        console::print_json(&versioned(
            &json!({"steps": self.steps, "place": self.output.place(), "failed": failed, "errors": listed, "more_errors": errors.more}),
        ))
    }
}
