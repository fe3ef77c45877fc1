//! What a module is loaded into: memory, and somebody who knows symbols.

use relakit::{CallbackError, Error, ErrorKind, Late, Memory, Module, Profile, Resolver, Target};
use relakit_model::image::{Builder, R_64, R_PC32};
use std::collections::HashMap;

/// Where one section lives.
#[derive(Clone, Debug)]
pub struct Spot {
    pub bytes: Vec<u8>,
    pub address: u64,
    /// What its symbols count from.
    pub base: u64,
}

/// Memory for a module, by section index. It counts how often it is made visible, and can fail to.
#[derive(Clone, Debug, Default)]
pub struct Mem {
    pub spots: Vec<Option<Spot>>,
    pub syncs: usize,
    /// The number that the next sync fails with.
    pub fail_sync: Option<i32>,
}

/// Address of section `index` in [`Mem::of`].
pub fn address(index: u32) -> u64 {
    0xffff_ffff_c000_0000 + u64::from(index) * 0x1_0000
}

impl Mem {
    /// A place for every section that is in memory.
    pub fn of(file: &[u8], profile: Profile) -> Self {
        let module = Module::parse(file, profile).unwrap();
        let spot = |(index, section): (u32, relakit::elf::Section)| {
            let size = usize::try_from(section.sh_size).unwrap();
            let is_in_memory = module.is_allocated(index) || module.per_cpu_section() == Some(index);
            is_in_memory.then(|| Spot { bytes: vec![0; size], address: address(index), base: address(index) })
        };
        Self { spots: module.object().sections().map(spot).collect(), ..Self::default() }
    }

    pub fn at(&self, section: u32) -> &[u8] {
        &self.spots[usize::try_from(section).unwrap()].as_ref().unwrap().bytes
    }

    pub fn spot(&mut self, section: u32) -> &mut Spot {
        self.spots[usize::try_from(section).unwrap()].as_mut().unwrap()
    }

    /// The eight bytes at `offset` of a section.
    pub fn word(&self, section: u32, offset: usize) -> u64 {
        u64::from_le_bytes(self.at(section)[offset..][..8].try_into().unwrap())
    }

    /// All bytes.
    pub fn image(&self) -> Vec<Option<Vec<u8>>> {
        self.spots.iter().map(|spot| spot.as_ref().map(|spot| spot.bytes.clone())).collect()
    }
}

impl Memory for Mem {
    fn base(&self, section: u32) -> Option<u64> {
        Some(self.spots.get(usize::try_from(section).unwrap())?.as_ref()?.base)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let spot = self.spots.get_mut(usize::try_from(section).unwrap())?.as_mut()?;
        Some(Target::new(&mut spot.bytes, spot.address))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.syncs += 1;
        self.fail_sync.take().map_or(Ok(()), |number| Err(CallbackError(number)))
    }
}

/// Symbols by object and name; `""` is what the others export.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub symbols: HashMap<(String, String), Vec<u64>>,
    /// A name that cannot be asked for, and the number that it fails with.
    pub fails: Option<(String, i32)>,
    /// What was asked for: `exported` or `object:nth_symbol:position`.
    pub asked: Vec<String>,
}

impl Names {
    pub fn new(symbols: &[(&str, &str, &[u64])]) -> Self {
        let mut names = Self::default();
        for (object, name, values) in symbols {
            names.set(object, name, values);
        }
        names
    }

    pub fn set(&mut self, object: &str, name: &str, values: &[u64]) {
        self.symbols.insert((object.to_owned(), name.to_owned()), values.to_vec());
    }

    fn get(&self, object: &str, name: &str, position: u64) -> Result<Option<u64>, CallbackError> {
        match &self.fails {
            Some((bad, number)) if bad == name => return Err(CallbackError(*number)),
            _ => {}
        }
        let values = self.symbols.get(&(object.to_owned(), name.to_owned()));
        // On a host of 32 bits, a position of 64 bits is past the end of every array.
        let index = usize::try_from(position.checked_sub(1).expect("positions count from 1"));
        Ok(values.zip(index.ok()).and_then(|(values, index)| values.get(index).copied()))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Resolver for Names {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        let name = text(name);
        self.asked.push(name.clone());
        self.get("", &name, 1)
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        let (object, name) = (text(object), text(name));
        self.asked.push(format!("{object}:{name}:{position}"));
        self.get(&object, &name, position)
    }
}

impl relakit_model::world::Answers for Names {
    fn exported(&self, name: &[u8]) -> Option<u64> {
        self.get("", &text(name), 1).ok()?
    }

    fn nth_symbol(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64> {
        self.get(&text(object), &text(name), position + 1).ok()?
    }
}

/// One module in its world.
pub struct World {
    pub file: Vec<u8>,
    pub profile: Profile,
    pub mem: Mem,
    pub names: Names,
    /// Memory for symbol values.
    pub values: Vec<u64>,
    /// What stays after loading.
    pub kept: Vec<u8>,
}

impl World {
    pub fn new(builder: &Builder, profile: Profile, names: Names) -> Self {
        let file = builder.build();
        let mem = Mem::of(&file, profile);
        Self { file, profile, mem, names, values: vec![0; builder.symbols.len()], kept: Vec::new() }
    }

    /// Fills the memory, and does the early pass and what follows it.
    pub fn load(&mut self) -> Result<(Late<'_>, &mut Mem, &mut Names), Error> {
        let module = Module::parse(&self.file, self.profile)?;
        let placed = module.assign(&mut self.mem)?;
        let filled = placed.fill()?;
        let loaded = filled.early(&mut self.values, &mut self.names)?;
        let mut scratch = self.values.clone();
        self.kept.resize(loaded.retained_size(), 0);
        let late = loaded.retain(&mut self.mem, &mut scratch, &mut self.kept)?;
        Ok((late, &mut self.mem, &mut self.names))
    }

    /// The early pass alone. When it fails, every byte must be what the file says.
    pub fn early(&mut self) -> Result<(), Error> {
        let mut filled = self.mem.clone();
        let module = Module::parse(&self.file, self.profile)?;
        module.assign(&mut filled)?.fill()?;
        let answer = self.load().map(|_| ());
        if let Err(error) = answer {
            assert_eq!(self.mem.image(), filled.image(), "changed by a pass that failed: {error}");
        }
        answer
    }

    /// The kind of fault of the early pass, if any.
    pub fn early_fault(&mut self) -> Option<ErrorKind> {
        self.early().err().map(|error| error.kind)
    }
}

/// Two targets of 32 bytes, each with a section for "a" and one for "b". Symbols: 1 a.f, 2 b.g.
pub fn two_objects() -> Builder {
    let mut builder = Builder::new();
    let [first, second] = [builder.data(".first", 32), builder.data(".second", 32)];
    let f = builder.klp_symbol(".klp.sym.a.f,0");
    let g = builder.klp_symbol(".klp.sym.b.g,0");
    builder.klp("a", first, &[(0, f, R_64, 1), (8, f, R_PC32, -4)]);
    builder.klp("b", first, &[(16, g, R_64, 0), (24, f, R_64, 0)]);
    builder.klp("a", second, &[(0, f, R_64, 2)]);
    builder.klp("b", second, &[(8, g, R_64, 3)]);
    builder
}

/// What the symbols of [`two_objects`] are.
pub fn names() -> Names {
    Names::new(&[("a", "f", &[0xffff_ffff_c100_0000]), ("b", "g", &[0x5000])])
}
