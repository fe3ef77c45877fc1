//! The tree of structures that a livepatch gives to `klp_enable_patch`: which functions of which
//! objects it replaces, and by what.
//!
//! The tree is read from the file: the pointers in it are ordinary 64-bit relocations, and the
//! other fields are the bytes of the sections. Three forms are known:
//!
//! - `struct klp_patch`, `klp_object` and `klp_func` (`include/linux/livepatch.h`) in the module's
//!   data. The init function loads the address of the first one for the call.
//! - `struct klp_object_ext` and `klp_func_ext` in `.init.klp_objects` and `.init.klp_funcs`. The
//!   init function of a module of klp-build makes the tree from them (Linux semantics 14).
//! - `struct kpatch_patch_func` in `.kpatch.funcs`. The init function of a module of kpatch makes
//!   the tree from them (`kmod/patch/livepatch-patch-hook.c` of kpatch).
//!
//! Bounds: objects and functions are those up to the end of their section, so each array is read at
//! most once for each pointer to it. Callers that follow many objects to one array of functions
//! limit the number of functions that they read.

use crate::bytes::{index as to_index, u32_at, u64_at};
use relakit::arch::is_pointer;
use relakit::elf::{RelaTable, SectionFlags, SymbolLocation};
use relakit::{Class, Module};

/// A pointer in a section of the file: an ordinary 64-bit relocation. The order is that of sections
/// and offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// Index of the section that has the pointer.
    pub section: u32,
    /// Offset of the pointer in this section, in bytes.
    pub offset: u64,
    /// Index of the symbol.
    pub symbol: u32,
    /// The addend.
    pub addend: i64,
}

/// Returns the pointers of a module, in the order of the file. [`find`] needs them sorted.
pub fn pointers<'a>(module: &'a Module<'_>) -> impl Iterator<Item = Pointer> + 'a {
    let tables = module.classes().filter_map(|(index, class)| match class.class {
        Class::Ordinary { target } => Some((target, module.relocations(index))),
        _ => None,
    });
    tables.flat_map(|(section, table)| {
        let pointers = table.iter().filter(|rela| is_pointer(rela.r_type));
        pointers.map(move |rela| Pointer {
            section,
            offset: rela.r_offset,
            symbol: rela.r_sym,
            addend: rela.r_addend,
        })
    })
}

/// The form of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// `struct klp_patch` in the module's data.
    Klp,
    /// The sections of klp-build.
    KlpBuild,
    /// The sections of kpatch.
    Kpatch,
}

/// The reason why a module has no tree that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoTree {
    /// The module does not call `klp_enable_patch`.
    NotCalled,
    /// The init function makes the tree, or computes its address.
    MadeAtRunTime,
}

/// Sizes and offsets in bytes. Offsets that no version changed are constants in the code below.
struct Layout {
    object_size: u64,
    func_size: u64,
}

/// `struct klp_object` and `klp_func` (`include/linux/livepatch.h`, read in 6.1.192 and 6.12.117;
/// in modules of 5.10 to 7.3 both have these sizes). Both embed a `struct kobject` of 64 bytes; it
/// is larger with `CONFIG_DEBUG_KOBJECT_RELEASE`.
const KLP: Layout = Layout { object_size: 168, func_size: 152 };
/// `struct klp_object_ext` and `klp_func_ext` (Linux semantics 14, modules of 7.3).
const KLP_BUILD: Layout = Layout { object_size: 64, func_size: 24 };
/// `struct kpatch_patch_func` (kpatch's `kmod/patch/kpatch-patch.h`): new address and size, old
/// address and size, sympos, pointers to the names of function and object.
const KPATCH: Layout = Layout { object_size: 56, func_size: 56 };

/// `nr_funcs` of `struct klp_object_ext`.
const COUNT_OF_FUNCS: u64 = 56;
/// Pointers to callbacks in `struct klp_object` and `klp_object_ext`: after name and functions.
const CALLBACKS: u64 = 16;
/// How far before a call its argument is loaded, in bytes and in relocations.
const ARGUMENT: u8 = 64;
/// Longest text that is read, in bytes. Linux refuses names of 512 bytes.
const TEXT_MAX: usize = 1024;

/// A tree, read from the file on demand.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a, 'f> {
    file: File<'a, 'f>,
    form: Form,
    /// `struct klp_patch`, or the first entry of the section.
    start: Place,
}

/// A position in the file: section index and offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Section index.
    pub section: u32,
    /// Offset in the section.
    pub offset: u64,
}

impl Place {
    fn plus(self, bytes: u64) -> Self {
        Self { offset: self.offset.wrapping_add(bytes), ..self }
    }
}

/// A name to which a pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'f> {
    /// The pointer is NULL.
    Null,
    /// The text, without its NUL. Of a longer text, the first 1024 bytes.
    Known(&'f [u8]),
    /// The file does not have the text.
    Unknown,
}

/// The value of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A symbol, and the number that is added to its value.
    Symbol(u32, i64),
    /// A number in the file, without a relocation.
    Number(u64),
}

/// A patched object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a, 'f> {
    tree: Tree<'a, 'f>,
    place: Place,
    /// The object's name; NULL is vmlinux.
    pub name: Text<'f>,
    /// The pointer to the functions.
    pub funcs: Value,
    /// `pre_patch`, `post_patch`, `pre_unpatch`, `post_unpatch`.
    pub callbacks: [Value; 4],
}

/// A replaced function.
#[derive(Clone, Copy, Debug)]
pub struct Func<'f> {
    /// Where its structure is.
    pub place: Place,
    /// `old_name`.
    pub old_name: Text<'f>,
    /// `new_func`.
    pub new_func: Value,
    /// `old_sympos`.
    pub old_sympos: u64,
}

#[derive(Clone, Copy, Debug)]
struct File<'a, 'f> {
    module: &'a Module<'f>,
    pointers: &'a [Pointer],
}

/// Finds the tree of a module. `pointers` are those of [`pointers`], sorted.
///
/// # Errors
/// The reason why there is no tree, or none that can be read.
pub fn find<'a, 'f>(module: &'a Module<'f>, pointers: &'a [Pointer]) -> Result<Tree<'a, 'f>, NoTree> {
    let file = File { module, pointers };
    let enabled = crate::loader_check::enables_patch(module);
    let tree = |form, start| Ok(Tree { file, form, start });
    let section = |name: &[u8]| crate::loader_check::section_named(module, name);
    let first = |section| Place { section, offset: 0 };
    // Such a module calls klp_enable_patch with memory that it has allocated.
    if let Some(objects) = section(b".init.klp_objects") {
        return if enabled { tree(Form::KlpBuild, first(objects)) } else { Err(NoTree::NotCalled) };
    }
    if let Some(funcs) = section(b".kpatch.funcs") {
        return if enabled { tree(Form::Kpatch, first(funcs)) } else { Err(NoTree::NotCalled) };
    }
    if !enabled {
        return Err(NoTree::NotCalled);
    }
    let patch = file.argument().or_else(|| file.only_patch());
    patch.map_or(Err(NoTree::MadeAtRunTime), |place| tree(Form::Klp, place))
}

impl<'a, 'f> Tree<'a, 'f> {
    /// Returns the form of the tree.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Returns the pointer to the module (`mod`) and to the objects (`objs`) of `struct klp_patch`.
    /// `None` if the init function sets them.
    pub fn patch(&self) -> Option<(Value, Value)> {
        let at = |offset| self.file.value(self.start.plus(offset));
        (self.form == Form::Klp).then(|| (at(0), at(8)))
    }

    /// Returns whether the livepatch replaces all others. `None` if the init function decides.
    pub fn replace(&self) -> Option<bool> {
        let byte = || self.file.bytes(self.start.plus(24)).and_then(|bytes| bytes.first().copied());
        (self.form == Form::Klp).then(|| byte().is_some_and(|byte| byte != 0))
    }

    /// Returns the identifiers and versions of the states that the livepatch changes
    /// (`struct klp_state`: identifier, version, data).
    pub fn states(&self) -> impl Iterator<Item = (u64, u32)> + use<'a, 'f> {
        const SIZE: u64 = 24;
        let file = self.file;
        let first = (self.form == Form::Klp).then(|| file.target(self.start.plus(16))).flatten();
        let places = core::iter::successors(first, |place| Some(place.plus(SIZE)));
        let state = move |place: Place| {
            let bytes = file.bytes(place)?;
            let id = u64_at(bytes, 0).filter(|id| *id != 0)?;
            Some((id, u32_at(bytes, 8)?))
        };
        places.map_while(state)
    }

    /// Returns the patched objects, in order. The form of kpatch has one for each function, which
    /// its init function merges by name.
    pub fn objects(&self) -> impl Iterator<Item = Object<'a, 'f>> + use<'a, 'f> {
        let tree = *self;
        let first = match tree.form {
            Form::Klp => tree.file.target(tree.start.plus(8)),
            Form::KlpBuild | Form::Kpatch => Some(tree.start),
        };
        let size = tree.layout().object_size;
        let places = core::iter::successors(first, move |place| Some(place.plus(size)));
        places.map_while(move |place| tree.object(place))
    }

    const fn layout(&self) -> &'static Layout {
        match self.form {
            Form::Klp => &KLP,
            Form::KlpBuild => &KLP_BUILD,
            Form::Kpatch => &KPATCH,
        }
    }

    /// The object at a place. `None` after the last one.
    fn object(self, place: Place) -> Option<Object<'a, 'f>> {
        let file = self.file;
        // The whole structure is in the section.
        file.bytes(place)?.get(..to_index(self.layout().object_size)?)?;
        if self.form == Form::Kpatch {
            let name = match file.text(place.plus(48)) {
                Text::Known(relakit::abi::VMLINUX) => Text::Null,
                name => name,
            };
            let funcs = Value::Number(place.offset);
            return Some(Object { tree: self, place, name, funcs, callbacks: [Value::Null; 4] });
        }
        let (name, funcs) = (file.text(place), file.value(place.plus(8)));
        // klp_for_each_object_static
        if (name, funcs) == (Text::Null, Value::Null) && self.form == Form::Klp {
            return None;
        }
        let callback = |number: u64| file.value(place.plus(CALLBACKS.wrapping_add(number.wrapping_mul(8))));
        Some(Object { tree: self, place, name, funcs, callbacks: [0, 1, 2, 3].map(callback) })
    }
}

impl<'a, 'f> Object<'a, 'f> {
    /// Returns where its structure is.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Returns the replaced functions, in order.
    pub fn funcs(&self) -> impl Iterator<Item = Func<'f>> + use<'a, 'f> {
        let (file, form) = (self.tree.file, self.tree.form);
        let size = self.tree.layout().func_size;
        let (first, count) = match form {
            Form::Klp => (file.target(self.place.plus(8)), u64::MAX),
            Form::KlpBuild => {
                let count = file.bytes(self.place.plus(COUNT_OF_FUNCS)).and_then(|bytes| u32_at(bytes, 0));
                (file.target(self.place.plus(8)), u64::from(count.unwrap_or(0)))
            }
            Form::Kpatch => (Some(self.place), 1),
        };
        let places = core::iter::successors(first, move |place| Some(place.plus(size)));
        let func = move |place: Place| {
            let bytes = file.bytes(place)?;
            bytes.get(..to_index(size)?)?;
            let (name, new_func, sympos) = if form == Form::Kpatch { (40, 0, 32) } else { (0, 8, 16) };
            let func = Func {
                place,
                old_name: file.text(place.plus(name)),
                new_func: file.value(place.plus(new_func)),
                old_sympos: u64_at(bytes, to_index(sympos)?)?,
            };
            // klp_for_each_func_static
            let is_last = form == Form::Klp
                && (func.old_name, func.new_func, func.old_sympos) == (Text::Null, Value::Null, 0);
            (!is_last).then_some(func)
        };
        places.take(to_index(count).unwrap_or(usize::MAX)).map_while(func)
    }
}

impl<'f> File<'_, 'f> {
    /// The bytes of a section from a place on.
    fn bytes(&self, place: Place) -> Option<&'f [u8]> {
        let object = self.module.object();
        object.section_bytes(&object.section(place.section)?).get(to_index(place.offset)?..)
    }

    fn value(&self, place: Place) -> Value {
        let key = (place.section, place.offset);
        let at = self.pointers.partition_point(|pointer| (pointer.section, pointer.offset) < key);
        match self.pointers.get(at).filter(|pointer| (pointer.section, pointer.offset) == key) {
            Some(pointer) => Value::Symbol(pointer.symbol, pointer.addend),
            None => match self.bytes(place).and_then(|bytes| u64_at(bytes, 0)) {
                None | Some(0) => Value::Null,
                Some(number) => Value::Number(number),
            },
        }
    }

    /// The place to which the pointer at `place` leads.
    fn target(&self, place: Place) -> Option<Place> {
        match self.value(place) {
            Value::Symbol(symbol, addend) => self.place_of(symbol, addend),
            Value::Null | Value::Number(_) => None,
        }
    }

    fn place_of(&self, symbol: u32, addend: i64) -> Option<Place> {
        let table = self.module.object().symbols();
        let symbol = table.get(symbol)?;
        let SymbolLocation::Section(section) = table.location(&symbol) else { return None };
        Some(Place { section, offset: symbol.st_value.wrapping_add(addend.cast_unsigned()) })
    }

    fn text(&self, place: Place) -> Text<'f> {
        let text = |place| {
            let bytes = self.bytes(self.target(place)?)?;
            let longest = bytes.get(..TEXT_MAX);
            let end = longest.unwrap_or(bytes).iter().position(|byte| *byte == 0);
            end.map_or(longest, |end| bytes.get(..end))
        };
        match self.value(place) {
            Value::Null => Text::Null,
            _ => text(place).map_or(Text::Unknown, Text::Known),
        }
    }

    /// The argument of the only call of `klp_enable_patch`: the address that the code before it
    /// loads into `%rdi`.
    fn argument(&self) -> Option<Place> {
        let module = self.module;
        let is_call = |symbol: u32| {
            let table = module.object().symbols();
            let symbol = table.get(symbol);
            symbol.is_some_and(|symbol| table.strings().is(symbol.st_name, b"klp_enable_patch"))
        };
        let tables = module.classes().filter_map(|(index, class)| match class.class {
            Class::Ordinary { target } => Some((module.object().section(target)?, index)),
            _ => None,
        });
        let mut found: Option<Place> = None;
        for (code, index) in tables {
            if !code.sh_flags.contains(SectionFlags::EXECINSTR) {
                continue;
            }
            let bytes = module.object().section_bytes(&code);
            let table = module.relocations(index);
            for (entry, call) in table.numbered().filter(|(_, call)| is_call(call.r_sym)) {
                let place = self.loaded_before(table, entry, call.r_offset, bytes)?;
                if found.is_some_and(|found| found != place) {
                    return None;
                }
                found = Some(place);
            }
        }
        found
    }

    /// The address that the last instruction before `call` loads into `%rdi`.
    fn loaded_before(&self, table: RelaTable<'_>, entry: usize, call: u64, code: &[u8]) -> Option<Place> {
        /// `mov $imm32, %rdi` and `lea disp32(%rip), %rdi`.
        const MOV: [u8; 3] = [0x48, 0xc7, 0xc7];
        const LEA: [u8; 3] = [0x48, 0x8d, 0x3d];
        let first = entry.saturating_sub(usize::from(ARGUMENT));
        let before = (first..entry).rev().filter_map(|entry| table.get(entry));
        let near = before.take_while(|rela| call.wrapping_sub(rela.r_offset) <= u64::from(ARGUMENT));
        let mut places = near.filter_map(|rela| {
            let opcode = code.get(to_index(rela.r_offset.checked_sub(3)?)?..)?.first_chunk::<3>()?;
            let addend = match *opcode {
                MOV => rela.r_addend,
                // The displacement counts from the end of the instruction.
                LEA => rela.r_addend.wrapping_add(4),
                _ => return None,
            };
            self.place_of(rela.r_sym, addend)
        });
        places.next()
    }

    /// The only place that looks like a `struct klp_patch`: a pointer to `__this_module`, and then
    /// one to an object that has a pointer to functions.
    fn only_patch(&self) -> Option<Place> {
        let table = self.module.object().symbols();
        let is_this_module = |pointer: &&Pointer| {
            let symbol = table.get(pointer.symbol);
            symbol.is_some_and(|symbol| table.strings().is(symbol.st_name, b"__this_module"))
        };
        let places = self
            .pointers
            .iter()
            .filter(is_this_module)
            .map(|pointer| Place { section: pointer.section, offset: pointer.offset });
        let mut patches = places.filter(|place| {
            let objects = self.target(place.plus(8));
            let funcs = objects.and_then(|objects| self.target(objects.plus(8)));
            funcs.is_some_and(|funcs| self.target(funcs).is_some())
        });
        patches.next().filter(|_| patches.next().is_none())
    }
}
