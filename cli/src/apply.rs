//! `relakit apply`: the passes in the order given, and the bytes after each.

use crate::args::{ApplyArgs, Format, Step};
use crate::image::{self, Image};
use crate::input::{self, Kind};
use crate::progress::Progress;
use crate::symbols::Symbols;
use crate::{Failure, errors, kernel, output, place};
use relakit::{Error, Late, Memory, Module, SectionMemory};
use serde_json::json;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) fn run(args: &ApplyArgs, steps: &[Step]) -> Result<(), Failure> {
    let profile = kernel::profile(&args.rules.kernel)?;
    let progress = Progress::new();
    progress.say("reading the module");
    let file = input::read(&args.module, Kind::Module)?;
    let mut places = place::read(&args.place)?;
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    progress.say("relocating");
    let mut report =
        Report { path: &args.module, format: args.format, progress: &progress, steps: Vec::new() };
    let module = match Module::parse(&file, profile) {
        Ok(module) => module,
        Err(error) => return report.failed(None, "parse", &error.into()),
    };
    if let Some(note) = image::find_per_cpu_base(&module, &args.module, &mut places, &symbols) {
        output::note(&note)?;
    }
    let mut image = Image::new(&module, places)?;
    let mut memory = image.memory();
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];

    let mut buffer = Vec::new();
    let mut late = match early(&module, &mut memory, &mut values, &mut symbols, &mut buffer) {
        Ok(late) => late,
        Err(errors) => return report.failed(Some(&module), "0-early", &errors),
    };
    let sections = module.classes().filter(|(_, class)| is_early(class)).count();
    report.done(args, "0-early", sections, &mut memory)?;

    for (number, step) in (1usize..).zip(steps) {
        let name = match step {
            Step::Coming { object, .. } => format!("{number}-coming-{object}"),
            Step::Going { object } => format!("{number}-going-{object}"),
        };
        progress.say(&name);
        match self::step(step, &mut late, &mut memory[..], &mut symbols)? {
            Ok(sections) => report.done(args, &name, sections, &mut memory)?,
            Err(errors) => return report.failed(Some(&module), &name, &errors),
        }
    }
    progress.finish();
    report.finish()
}

fn is_early(class: &relakit::Classified<'_>) -> bool {
    matches!(class.class, relakit::Class::Ordinary { .. } | relakit::Class::KlpEarly { .. })
}

/// Places, fills and relocates the module, and keeps what is needed later. On failure every fault, the first one first.
fn early<'k>(
    module: &Module<'_>,
    memory: &mut [Option<SectionMemory<'_>>],
    values: &mut [u64],
    symbols: &mut Symbols,
    buffer: &'k mut Vec<u8>,
) -> Result<Late<'k>, Errors> {
    let mut unplaced = Errors::default();
    module.assign_errors(memory).for_each(|error| unplaced.add(error));
    if !unplaced.listed.is_empty() {
        return Err(unplaced);
    }
    let filled = module.assign(memory)?.fill()?;
    let first = match filled.early(values, symbols) {
        Ok(loaded) => {
            buffer.resize(module.retained_size(values)?, 0);
            return Ok(loaded.retain(memory, values, buffer)?);
        }
        Err(first) => first,
    };
    let mut errors = Errors::from(first);
    let mut filled = module.assign(memory)?.assume_filled();
    filled.errors(values, symbols, &mut |error| errors.add(error))?;
    Err(errors)
}

/// One coming or going: the number of sections, or every fault.
fn step(
    step: &Step,
    late: &mut Late<'_>,
    memory: &mut [Option<SectionMemory<'_>>],
    symbols: &mut Symbols,
) -> Result<Result<usize, Errors>, Failure> {
    match step {
        Step::Coming { object, symbols: file } => {
            symbols.coming(object);
            if let Some(file) = file {
                symbols.replace(file)?;
            }
            let first = match late.coming(object.as_bytes(), memory, symbols) {
                Ok(sections) => {
                    if sections == 0 {
                        output::note(&format!("the module has no relocations for \"{object}\""))?;
                    }
                    return Ok(Ok(sections));
                }
                Err(first) => first,
            };
            let mut errors = Errors::from(first);
            // It answers only what the coming answered first.
            let _ = late.errors(object.as_bytes(), memory, symbols, &mut |error| errors.add(error));
            Ok(Err(errors))
        }
        Step::Going { object } => {
            let gone = late.going(object.as_bytes(), memory).map_err(Errors::from);
            symbols.going(object);
            Ok(gone)
        }
    }
}

/// Most errors that are reported one by one.
const LISTED: usize = 1000;

/// Each fault once, in the order found. Those beyond [`LISTED`] are counted.
#[derive(Debug, Default)]
struct Errors {
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
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        let mut errors = Self::default();
        errors.add(error);
        errors
    }
}

/// What is told of a run.
struct Report<'a> {
    path: &'a Path,
    format: Format,
    progress: &'a Progress,
    steps: Vec<serde_json::Value>,
}

impl Report<'_> {
    /// Writes the bytes of every placed section, all or none, and notes the step.
    fn done(
        &mut self,
        args: &ApplyArgs,
        step: &str,
        relocated: usize,
        memory: &mut [Option<SectionMemory<'_>>],
    ) -> Result<(), Failure> {
        let written = write(&args.out, step, memory)?;
        let plural =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        if self.format == Format::Text {
            output::print(&format!(
                "{step}: {}, {} written\n",
                plural(relocated, "relocation section"),
                plural(written, "file")
            ))?;
        }
        self.steps.push(json!({"step": step, "relocation_sections": relocated, "files": written}));
        Ok(())
    }

    fn failed(&self, module: Option<&Module<'_>>, step: &str, errors: &Errors) -> Result<(), Failure> {
        self.progress.finish();
        let Errors { listed, more, .. } = errors;
        let count = (listed.len() as u64).saturating_add(*more);
        output::to_stderr(|mut out| {
            listed.iter().try_for_each(|error| errors::print(&mut out, module, self.path, error))?;
            if *more != 0 {
                writeln!(out, "and {more} more errors")?;
            }
            writeln!(out, "{step}: {count} error{}, nothing written", if count == 1 { "" } else { "s" })
        })?;
        if self.format == Format::Json {
            let errors: Vec<_> = listed.iter().map(|error| errors::to_json(module, error)).collect();
            let failed = json!({"steps": self.steps, "failed": step, "errors": errors, "more_errors": more});
            output::print_json(&failed)?;
        }
        Err(Failure::Faults)
    }

    fn finish(&self) -> Result<(), Failure> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => output::print_json(
                &json!({"steps": self.steps, "failed": null, "errors": [], "more_errors": 0}),
            ),
        }
    }
}

/// Writes every placed section into `out/step`, which appears when it is complete.
fn write(out: &Path, step: &str, memory: &mut [Option<SectionMemory<'_>>]) -> Result<usize, Failure> {
    let failed = |path: &Path, error: std::io::Error| Failure::File(format!("{}: {error}", path.display()));
    let (done, partial) = (out.join(step), out.join(format!(".{step}.partial")));
    for old in [&partial, &done] {
        match fs::remove_dir_all(old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(old, error)),
            _ => {}
        }
    }
    fs::create_dir_all(&partial).map_err(|error| failed(&partial, error))?;
    let mut written = 0usize;
    for (index, _) in (0u32..).zip(0..memory.len()) {
        let Some(target) = memory.target(index) else { continue };
        let path = partial.join(format!("{index}.bin"));
        fs::write(&path, target.bytes().unwrap_or_default()).map_err(|error| failed(&path, error))?;
        written = written.saturating_add(1);
    }
    fs::rename(&partial, &done).map_err(|error| failed(&done, error))?;
    Ok(written)
}
