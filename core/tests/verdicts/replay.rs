//! Takes one recorded case through core, and tells what came of it.

use super::recorded::{Case, Kernel, Layout, exists, read};
use relakit::elf::{RelaTable, SectionFlags};
use relakit::reloc::{RelocFlags, howto};
use relakit::{Class, Error, Late, Memory, Module, Profile, Target};
use std::collections::BTreeMap;

/// What came of it, in the order in which it was done.
#[derive(Default)]
pub struct Outcome {
    pub case: String,
    /// Of the load and of every coming: the fault, and what Linux answered.
    pub passes: Vec<Pass>,
    /// Recorded bytes that are not ours.
    pub differences: Vec<String>,
    /// Recorded bytes that were compared.
    pub compared: usize,
    /// Name and class of each section that has the livepatch flag or a livepatch section's name.
    pub livepatch_classes: Vec<(Vec<u8>, String)>,
}

pub struct Pass {
    pub what: String,
    pub ours: Result<usize, Error>,
    /// 0, an errno, or that the kernel crashed.
    pub linux: Result<i32, Crash>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash;

impl Pass {
    /// Both accept, or both refuse with the same number.
    pub fn agrees(&self) -> bool {
        match (&self.ours, self.linux) {
            (Ok(_), Ok(errno)) => errno == 0,
            (Err(error), Ok(errno)) => errno != 0 && Profile::LINUX_DEFAULT.errno(error.kind) == errno,
            (_, Err(Crash)) => false,
        }
    }
}

/// The module's memory: every section has its place, as in the kernel's temporary copy.
#[derive(Default)]
pub struct Image {
    bytes: Vec<Vec<u8>>,
    addresses: Vec<u64>,
    bases: Vec<u64>,
}

impl Image {
    pub fn new(module: &Module<'_>, layout: Option<&Layout>) -> Self {
        let object = module.object();
        let mut image = Self { bytes: Vec::new(), addresses: Vec::new(), bases: Vec::new() };
        let mut free = 0xffff_ffff_c030_0000u64;
        for (index, section) in object.sections() {
            let index = usize::try_from(index).unwrap();
            let address = layout.map_or(free, |layout| layout.address(index));
            free = (free + section.sh_size).next_multiple_of(4096);
            image.bytes.push(vec![0; usize::try_from(section.sh_size).unwrap()]);
            image.addresses.push(address);
            image.bases.push(address);
        }
        if let (Some(layout), Some(per_cpu)) = (layout, module.per_cpu_section()) {
            let values = layout.symbols();
            let inside = (0..object.symbols().len())
                .filter_map(|index| Some((usize::try_from(index).unwrap(), object.symbols().get(index)?)))
                .find(|(_, symbol)| u32::from(symbol.st_shndx) == per_cpu);
            if let Some((index, symbol)) = inside {
                image.bases[usize::try_from(per_cpu).unwrap()] = values[index].wrapping_sub(symbol.st_value);
            }
        }
        image
    }
}

impl Memory for Image {
    fn base(&self, section: u32) -> Option<u64> {
        self.bases.get(usize::try_from(section).unwrap()).copied()
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let section = usize::try_from(section).unwrap();
        Some(Target::new(self.bytes.get_mut(section)?, self.addresses[section]))
    }
}

/// Section, offset and size of a field.
type Field = (u32, usize, usize);

/// The fields of all sections of a class.
fn fields(module: &Module<'_>, is_it: impl Fn(&Class<'_>) -> bool) -> Vec<Field> {
    let mut fields = Vec::new();
    for (index, class) in module.classes().filter(|(_, class)| is_it(&class.class)) {
        let (Class::KlpLate { target, .. } | Class::KlpEarly { target } | Class::Ordinary { target }) =
            class.class
        else {
            continue;
        };
        let section = module.object().section(index).unwrap();
        for rela in RelaTable::whole_entries(module.object().section_bytes(&section)).0.iter() {
            if let Some(howto) = howto(rela.r_type, RelocFlags::empty()) {
                fields.push((target, usize::try_from(rela.r_offset).unwrap(), usize::from(howto.size)));
            }
        }
    }
    fields
}

pub fn replay(case: &Case, kernel: &mut Kernel) -> Outcome {
    let mut outcome = Outcome { case: case.name.clone(), ..Outcome::default() };
    let layout = Layout::open(&case.folder.join("layout.json"));
    for target in &case.preload {
        let layout = Layout::open(&case.folder.join(format!("target-{target}-0.json"))).unwrap();
        kernel.load(&target_file(case, target), &layout, true);
    }
    let linux = match case.verdict.as_str() {
        "crash" => Err(Crash),
        _ if case.reached_end_of_relocation => Ok(0),
        _ => Ok(case.errno),
    };
    let (mut image, mut kept) = (Image::default(), Vec::new());
    let loaded = load(case, layout.as_ref(), kernel, &mut image, &mut kept, &mut outcome);
    let (ours, late) = match loaded {
        Ok(late) => (Ok(0), Some(late)),
        Err(error) => (Err(error), None),
    };
    outcome.passes.push(Pass { what: "load".to_owned(), ours, linux });
    if let (Some(mut late), Some(layout)) = (late, layout) {
        steps(case, &layout, &mut late, &mut image, kernel, &mut outcome);
    }
    for target in ["orc_tgt1", "orc_tgt3"] {
        kernel.unload(target);
    }
    outcome
}

/// Everything up to what is kept, with the comparison of the early pass's bytes and symbol values.
fn load<'k>(
    case: &Case,
    layout: Option<&Layout>,
    kernel: &mut Kernel,
    image: &mut Image,
    kept: &'k mut Vec<u8>,
    outcome: &mut Outcome,
) -> Result<Late<'k>, Error> {
    let module = Module::parse(&case.file, Profile::LINUX_6_12)?;
    for (index, class) in module.classes() {
        let section = module.object().section(index).unwrap();
        let name = module.object().section_name(&section);
        if section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH) || name.starts_with(b".klp.rela.") {
            outcome.livepatch_classes.push((name.to_vec(), super::describe(&class.class)));
        }
    }
    *image = Image::new(&module, layout);
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let placed = module.assign(image)?;
    let filled = placed.fill()?;
    let loaded = filled.early(&mut values, kernel)?;
    kept.resize(loaded.retained_size(), 0);
    let late = loaded.retain(image, &mut values.clone(), kept)?;
    if let Some(recorded) = layout.and_then(|layout| layout.state("early")) {
        compare_early(&module, &recorded, image, outcome);
        for (index, (ours, recorded)) in values.iter().zip(layout.unwrap().symbols()).enumerate() {
            if *ours != recorded {
                outcome.differences.push(format!("symbol {index}: {ours:#x}, recorded {recorded:#x}"));
            }
        }
    }
    Ok(late)
}

/// Whole sections; of the live `struct module` its relocated fields, and not the kernel's working symbol table.
fn compare_early(
    module: &Module<'_>,
    recorded: &BTreeMap<u32, Vec<u8>>,
    image: &Image,
    outcome: &mut Outcome,
) {
    let ordinary = fields(module, |class| matches!(class, Class::Ordinary { .. }));
    for (&index, recorded) in recorded {
        let object = module.object();
        let name = object.section_name(&object.section(index).unwrap());
        if index == object.symbols().section() {
            continue;
        }
        let ours = &image.bytes[usize::try_from(index).unwrap()];
        let mut compare = |what: &str, ours: &[u8], recorded: &[u8]| {
            outcome.compared += recorded.len();
            if ours != recorded {
                let name = String::from_utf8_lossy(name);
                let at = ours.iter().zip(recorded).position(|(ours, recorded)| ours != recorded);
                outcome.differences.push(format!("early: {name} {what} differs at {at:x?}"));
            }
        };
        if name == b".gnu.linkonce.this_module" {
            for &(_, offset, size) in ordinary.iter().filter(|field| field.0 == index) {
                compare("field", &ours[offset..][..size], &recorded[offset..][..size]);
            }
        } else {
            compare("bytes", ours, recorded);
        }
    }
}

/// What was done after the load: targets come and go.
fn steps(
    case: &Case,
    layout: &Layout,
    late: &mut Late<'_>,
    image: &mut Image,
    kernel: &mut Kernel,
    outcome: &mut Outcome,
) {
    let module = Module::parse(&case.file, Profile::LINUX_6_12).unwrap();
    let livepatch = fields(&module, |class| matches!(class, Class::KlpLate { .. } | Class::KlpEarly { .. }));
    let is_livepatch = !case.name.starts_with("nolp_");
    // Those that are loaded are live when the patch is enabled.
    for object in case.preload.iter().filter(|_| is_livepatch) {
        let ours = late.coming(object.as_bytes(), image, kernel);
        let linux = Ok(if case.reached_end_of_relocation { case.errno } else { 0 });
        outcome.passes.push(Pass { what: format!("enable with {object}"), ours, linux });
    }
    compare_fields(&livepatch, "loaded", layout, image, outcome);
    let mut live = case.preload.clone();
    for step in &case.steps {
        match step.action {
            'L' => {
                let target = Layout::open(&case.folder.join(step.target.as_ref().unwrap())).unwrap();
                let name = kernel.load(&target_file(case, &step.argument), &target, false);
                if step.log.contains("livepatch:") {
                    let ours = late.coming(name.as_bytes(), image, kernel);
                    if ours.is_ok() {
                        live.push(name.clone());
                    }
                    let linux = Ok(step.errno);
                    outcome.passes.push(Pass { what: format!("coming of {}", step.argument), ours, linux });
                }
                match step.errno {
                    0 => _ = kernel.load(&target_file(case, &step.argument), &target, true),
                    _ => kernel.unload(&name),
                }
            }
            'U' => {
                if let Some(at) = live.iter().position(|name| *name == step.argument) {
                    let ours = late.going(step.argument.as_bytes(), image);
                    live.remove(at);
                    let what = format!("going of {}", step.argument);
                    outcome.passes.push(Pass { what, ours, linux: Ok(step.errno) });
                }
                kernel.unload(&step.argument);
            }
            _ => compare_fields(&livepatch, &step.argument, layout, image, outcome),
        }
    }
}

/// The fields of livepatch relocations at a later state.
fn compare_fields(fields: &[Field], label: &str, layout: &Layout, image: &Image, outcome: &mut Outcome) {
    let Some(recorded) = layout.state(label) else { return };
    for &(section, offset, size) in fields {
        let recorded = recorded.get(&section).and_then(|bytes| bytes.get(offset..)?.get(..size));
        let Some(recorded) = recorded else { continue };
        outcome.compared += size;
        let ours = &image.bytes[usize::try_from(section).unwrap()][offset..][..size];
        if ours != recorded {
            outcome.differences.push(format!(
                "{label}: section {section} offset {offset:#x}: {ours:x?}, recorded {recorded:x?}"
            ));
        }
    }
}

fn target_file(case: &Case, target: &str) -> Vec<u8> {
    let own = case.folder.join(format!("{target}.ko"));
    let base = case.folder.join(format!("../../base/{target}.ko"));
    read(if exists(&own) { &own } else { &base })
}
