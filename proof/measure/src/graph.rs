//! Which function calls which, how large each is, and how much stack it takes for itself.

use crate::indirect;
use anyhow::{Context, Result, anyhow, bail};
use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind};
use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, Relocation, RelocationTarget, SectionKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the compiler may call and the embedder has; neither counted nor followed.
pub const OUTSIDE: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// Index of a section.
type Index = usize;

/// A section of the archive's one object with our code in it. Functions have a section each.
#[derive(Default)]
struct Part {
    name: String,
    size: u64,
    /// Bytes of stack in its own frame, what it pushes included; without the return address.
    frame: Option<u64>,
    /// Sections that it calls or jumps to. Its own frame is gone when it jumps.
    calls: BTreeSet<(Index, bool)>,
    /// Sections whose address it takes, or that are data.
    mentions: BTreeSet<Index>,
    calls_indirectly: bool,
    is_code: bool,
}

/// What a call pushes, in bytes.
const RETURN_ADDRESS: u64 = 8;

/// A chain of calls, with the bytes of stack of each.
#[derive(Clone, Default)]
pub struct Way {
    pub bytes: u64,
    pub frames: Vec<(String, u64)>,
}

impl Way {
    fn or_deeper(self, other: Self) -> Self {
        if other.bytes > self.bytes { other } else { self }
    }

    fn then(mut self, other: Self) -> Self {
        self.bytes += other.bytes;
        self.frames.extend(other.frames);
        self
    }
}

pub struct Graph {
    parts: BTreeMap<Index, Part>,
    by_name: HashMap<String, Index>,
}

impl Graph {
    /// Reads the object that defines an exported function out of an archive.
    pub fn read(archive: &[u8]) -> Result<Self> {
        for member in ArchiveFile::parse(archive)?.members() {
            let object = object::File::parse(member?.data(archive)?)?;
            if object.symbols().any(|symbol| symbol.is_definition() && symbol.name() == Ok("relakit_apply")) {
                return Self::of(&object);
            }
        }
        bail!("no object in the archive defines relakit_apply")
    }

    fn of(object: &object::File<'_>) -> Result<Self> {
        let mut parts = BTreeMap::new();
        let mut by_name = HashMap::new();
        for section in object.sections() {
            let is_code = section.kind() == SectionKind::Text;
            let is_data = matches!(
                section.kind(),
                SectionKind::ReadOnlyData
                    | SectionKind::Data
                    | SectionKind::ReadOnlyDataWithRel
                    | SectionKind::ReadOnlyString
            );
            if is_code || is_data {
                let name = section.name()?.to_owned();
                parts.insert(
                    section.index().0,
                    Part { name, size: section.size(), is_code, ..Part::default() },
                );
            }
        }
        for symbol in object
            .symbols()
            .filter(|symbol| symbol.is_definition() && !symbol.name().unwrap_or("").is_empty())
        {
            let Some(object::SectionIndex(index)) = symbol.section_index() else { continue };
            let Some(part) = parts.get_mut(&index) else { continue };
            if part.is_code && symbol.address() == 0 && symbol.kind() == object::SymbolKind::Text {
                part.name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
                by_name.insert(symbol.name()?.to_owned(), index);
            }
        }
        let mut graph = Self { parts, by_name };
        graph.read_frames(object)?;
        for section in object.sections() {
            if graph.parts.contains_key(&section.index().0) {
                graph.read_edges(object, &section)?;
            }
        }
        Ok(graph)
    }

    /// `.stack_sizes`: for each function its address and, as ULEB128, the bytes of its frame.
    fn read_frames(&mut self, object: &object::File<'_>) -> Result<()> {
        for section in object.sections().filter(|section| section.name() == Ok(".stack_sizes")) {
            let data = section.data()?;
            for (offset, relocation) in section.relocations() {
                let (index, _) = target_section(object, &relocation)?.context("a frame of nothing")?;
                let mut size = 0u64;
                for (position, byte) in data[usize::try_from(offset)? + 8..].iter().enumerate() {
                    size |= u64::from(byte & 0x7f) << (7 * position);
                    if byte & 0x80 == 0 {
                        break;
                    }
                }
                let part = self.parts.get_mut(&index).context("a frame of what is no code")?;
                part.frame = Some(part.frame.unwrap_or(0).max(size));
            }
        }
        if self.parts.values().all(|part| part.frame.is_none()) {
            bail!("the archive has no .stack_sizes: compile it with -Z emit-stack-sizes");
        }
        Ok(())
    }

    fn read_edges(&mut self, object: &object::File<'_>, section: &object::Section<'_, '_>) -> Result<()> {
        let mut targets = BTreeMap::new();
        for (offset, relocation) in section.relocations() {
            let target = target_section(object, &relocation)?;
            // The entries of a jump table lead into a function, not to its beginning.
            let is_entry =
                section.kind() != SectionKind::Text && target.is_some_and(|(_, inside)| inside != 0);
            targets.insert(offset, target.map(|(index, _)| index).filter(|_| !is_entry));
        }
        let part = self.parts.get_mut(&section.index().0).context("a part")?;
        if part.is_code {
            let mut decoder = Decoder::with_ip(64, section.data()?, 0, DecoderOptions::NONE);
            while decoder.can_decode() {
                let at = decoder.ip();
                let instruction = decoder.decode();
                let flow = instruction.flow_control();
                let field = targets.range(at..decoder.ip()).next().map(|(offset, target)| (*offset, *target));
                // With a relocation it goes through a jump table, or through the GOT to one of OUTSIDE.
                let is_indirect = matches!(flow, FlowControl::IndirectCall | FlowControl::IndirectBranch);
                part.calls_indirectly |= is_indirect && field.is_none();
                if let Some((offset, Some(index))) = field
                    && matches!(instruction.op0_kind(), OpKind::NearBranch64)
                {
                    part.calls.insert((index, flow != FlowControl::Call));
                    targets.remove(&offset);
                }
            }
        }
        part.mentions.extend(targets.into_values().flatten());
        Ok(())
    }

    /// The functions whose names are as they are written, and begin with `prefix`.
    pub fn exported(&self, prefix: &str) -> BTreeSet<&str> {
        self.by_name.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect()
    }

    /// Bytes of code and of constants that the functions need together.
    pub fn sizes(&self, functions: &[String]) -> Result<(u64, u64)> {
        let mut reached = BTreeSet::new();
        let mut waiting = functions.iter().map(|name| self.index(name)).collect::<Result<Vec<_>>>()?;
        while let Some(index) = waiting.pop() {
            let Some(part) = self.parts.get(&index).filter(|_| reached.insert(index)) else { continue };
            waiting.extend(part.calls.iter().map(|(index, _)| *index).chain(part.mentions.iter().copied()));
        }
        let sum = |is_code| {
            let parts = reached.iter().filter_map(|index| self.parts.get(index));
            parts.filter(|part| part.is_code == is_code).map(|part| part.size).sum()
        };
        Ok((sum(true), sum(false)))
    }

    /// The deepest way through one of the functions.
    pub fn stack(&self, functions: &[String]) -> Result<Way> {
        let mut deepest = Way::default();
        for function in functions {
            let way = self.deepest(self.index(function)?, function, &mut HashMap::new(), &mut Vec::new())?;
            deepest = deepest.or_deeper(way);
        }
        Ok(deepest)
    }

    /// The deepest way from a section on, for a call of `function`.
    fn deepest(
        &self,
        index: Index,
        function: &str,
        known: &mut HashMap<Index, Way>,
        callers: &mut Vec<Index>,
    ) -> Result<Way> {
        if let Some(way) = known.get(&index) {
            return Ok(way.clone());
        }
        let part = &self.parts[&index];
        if callers.contains(&index) {
            let names: Vec<_> = callers.iter().map(|index| self.parts[index].name.as_str()).collect();
            bail!("recursion: {} → {}", names.join(" → "), part.name);
        }
        callers.push(index);
        let frame = part.frame.ok_or_else(|| anyhow!("{} has no stack size", part.name))? + RETURN_ADDRESS;
        let mut deepest = Way { bytes: frame, frames: vec![(part.name.clone(), frame)] };
        let mut below = part.calls.clone();
        if part.calls_indirectly {
            below.extend(self.indirect_callees(&part.name, function).into_iter().map(|index| (index, false)));
        }
        for (callee, is_jump) in below {
            if self.parts.get(&callee).is_some_and(|part| part.is_code) && callee != index {
                let way = self.deepest(callee, function, known, callers)?;
                let kept = if is_jump {
                    Way::default()
                } else {
                    Way { bytes: frame, frames: vec![(part.name.clone(), frame)] }
                };
                deepest = deepest.or_deeper(kept.then(way));
            }
        }
        callers.pop();
        known.insert(index, deepest.clone());
        Ok(deepest)
    }

    fn index(&self, name: &str) -> Result<Index> {
        self.by_name.get(name).copied().with_context(|| format!("the archive does not define {name}"))
    }

    fn indirect_callees(&self, caller: &str, function: &str) -> Vec<Index> {
        let is_callee = |part: &Part| part.is_code && indirect::calls(caller, &part.name, function);
        self.parts.iter().filter(|(_, part)| is_callee(part)).map(|(index, _)| *index).collect()
    }

    /// Every indirect call leads where the table says, and every function whose address is taken is in the table.
    pub fn check_indirect(&self) -> Result<()> {
        let mut unknown = BTreeSet::new();
        for (mentioning, part) in &self.parts {
            if part.calls_indirectly && !indirect::is_caller(&part.name) {
                unknown.insert(format!("{} calls through a pointer", part.name));
            }
            for index in part.mentions.iter().filter(|index| *index != mentioning) {
                let name = &self.parts.get(index).context("a part")?.name;
                if self.parts.get(index).is_some_and(|part| part.is_code) && !indirect::is_callee(name) {
                    unknown.insert(format!("{name} can be called through a pointer"));
                }
            }
        }
        if !unknown.is_empty() {
            let unknown: Vec<_> = unknown.into_iter().collect();
            bail!("src/indirect.rs does not know that\n{}", unknown.join("\n"));
        }
        Ok(())
    }
}

/// The section that a relocation leads to, and the place in it; `None` for what is outside the archive's object.
fn target_section(object: &object::File<'_>, relocation: &Relocation) -> Result<Option<(Index, i64)>> {
    match relocation.target() {
        RelocationTarget::Section(object::SectionIndex(index)) => Ok(Some((index, relocation.addend()))),
        RelocationTarget::Symbol(index) => {
            let symbol = object.symbol_by_index(index)?;
            match symbol.section_index() {
                Some(object::SectionIndex(index)) => {
                    Ok(Some((index, relocation.addend().wrapping_add_unsigned(symbol.address()))))
                }
                None if OUTSIDE.contains(&symbol.name()?) => Ok(None),
                None => bail!("{} is needed from outside", symbol.name()?),
            }
        }
        _ => bail!("a relocation against neither a section nor a symbol"),
    }
}
