//! What a livepatch replaces: the tree that its init function gives to `klp_enable_patch`.

use super::names::Name;
use relakit::elf::{SectionFlags, SymbolLocation};
use relakit::{Module, abi};
use relakit_linux::patch::{self, Form, NoTree, Object, Place, Text, Value};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};

/// Most functions of a tree that are read, besides one for each pointer of the module. Objects of a
/// hostile file can share their functions.
const SHARED: usize = 1 << 16;

/// The callback that can refuse an object.
pub(crate) const PRE_PATCH: &str = "pre-patch";

/// The tree of a livepatch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Patch<'f> {
    /// "klp": `struct klp_patch` is in the module's data. "klp-build", "kpatch": the init function
    /// makes the tree from the tables of these tools.
    #[serde(serialize_with = "form")]
    pub(crate) form: Form,
    /// Whether the pointers `mod` and `objs` of `struct klp_patch` are set.
    #[serde(skip)]
    pub(crate) is_complete: bool,
    /// Whether it replaces all other livepatches. Null if the init function decides.
    pub(crate) replace: Option<bool>,
    /// The states that it changes.
    pub(crate) states: Vec<PatchState>,
    pub(crate) objects: Vec<PatchObject<'f>>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PatchState {
    pub(crate) id: u64,
    pub(crate) version: u32,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PatchObject<'f> {
    /// "vmlinux" if the name in the tree is NULL. Null if it cannot be read.
    pub(crate) name: Option<Name<'f>>,
    /// Whether the name in the tree is NULL.
    #[serde(skip)]
    pub(crate) is_vmlinux: bool,
    /// The callbacks that are set: "pre-patch", "post-patch", "pre-unpatch", "post-unpatch".
    pub(crate) callbacks: Vec<&'static str>,
    /// Whether the pointer to the functions is set.
    #[serde(skip)]
    pub(crate) has_funcs: bool,
    pub(crate) functions: Vec<PatchFunc<'f>>,
    #[serde(flatten)]
    pub(crate) place: Where,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PatchFunc<'f> {
    /// The function that is replaced. Null if the name is NULL or cannot be read.
    pub(crate) name: Option<Name<'f>>,
    /// Whether the pointer to the name is set.
    #[serde(skip)]
    pub(crate) is_named: bool,
    pub(crate) sympos: u64,
    /// The symbol of the replacement. Null if it has none.
    pub(crate) replacement: Option<Name<'f>>,
    /// Whether the pointer to the replacement is set.
    #[serde(skip)]
    pub(crate) is_replaced: bool,
    /// Where the replacement is. `None` if it is not in a section of the file.
    #[serde(skip)]
    pub(crate) code: Option<Where>,
    /// Whether the replacement is known to be no code.
    #[serde(skip)]
    pub(crate) is_data: bool,
    #[serde(flatten)]
    pub(crate) place: Where,
}

/// Where a structure is: section index and offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Where {
    pub(crate) section: u32,
    pub(crate) offset: u64,
}

fn form<S: Serializer>(form: &Form, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match form {
        Form::Klp => "klp",
        Form::KlpBuild => "klp-build",
        _ => "kpatch",
    })
}

impl From<Place> for Where {
    fn from(place: Place) -> Self {
        Self { section: place.section, offset: place.offset }
    }
}

impl<'f> Patch<'f> {
    /// Reads the tree of a module.
    pub(crate) fn read(module: &Module<'f>) -> Result<Self, NoTree> {
        let mut pointers: Vec<_> = patch::pointers(module).collect();
        pointers.sort_unstable();
        let tree = patch::find(module, &pointers)?;
        let symbols = Functions::of(module);
        let mut left = pointers.len().saturating_add(SHARED);
        let mut objects: Vec<PatchObject<'f>> = Vec::new();
        let mut numbers: HashMap<Option<Name<'f>>, usize> = HashMap::new();
        for object in tree.objects() {
            let functions: Vec<_> = object.funcs().take(left).map(|func| function(func, &symbols)).collect();
            left = left.saturating_sub(functions.len().max(1));
            let name = object_name(&object);
            // kpatch's init function merges the functions of an object.
            let merged = (tree.form() == Form::Kpatch).then(|| numbers.get(&name).copied()).flatten();
            match merged.and_then(|number| objects.get_mut(number)) {
                Some(known) => known.functions.extend(functions),
                None => {
                    numbers.insert(name, objects.len());
                    objects.push(PatchObject {
                        name,
                        is_vmlinux: object.name == Text::Null,
                        callbacks: callbacks(&object),
                        has_funcs: object.funcs != Value::Null,
                        functions,
                        place: object.place().into(),
                    });
                }
            }
            if left == 0 {
                return Err(NoTree::MadeAtRunTime);
            }
        }
        Ok(Self {
            form: tree.form(),
            is_complete: tree
                .patch()
                .is_none_or(|(module, objects)| module != Value::Null && objects != Value::Null),
            replace: tree.replace(),
            states: tree.states().map(|(id, version)| PatchState { id, version }).collect(),
            objects,
        })
    }
}

impl PatchObject<'_> {
    /// The object's name as the kernel's log writes it.
    pub(crate) fn name(&self) -> String {
        self.name.map_or_else(|| "?".to_owned(), |name| name.short(super::names::IN_SENTENCE))
    }
}

fn object_name<'f>(object: &Object<'_, 'f>) -> Option<Name<'f>> {
    match object.name {
        Text::Null => Some(Name(abi::VMLINUX)),
        Text::Known(name) => Some(Name(name)),
        Text::Unknown => None,
    }
}

fn callbacks(object: &Object<'_, '_>) -> Vec<&'static str> {
    const NAMES: [&str; 4] = [PRE_PATCH, "post-patch", "pre-unpatch", "post-unpatch"];
    let set = NAMES.into_iter().zip(object.callbacks).filter(|(_, value)| *value != Value::Null);
    set.map(|(name, _)| name).collect()
}

fn function<'f>(func: patch::Func<'f>, symbols: &Functions<'_, 'f>) -> PatchFunc<'f> {
    let name = match func.old_name {
        Text::Known(name) => Some(Name(name)),
        Text::Null | Text::Unknown => None,
    };
    let (replacement, code) = match func.new_func {
        Value::Symbol(symbol, addend) => (symbols.name(symbol, addend), symbols.place(symbol, addend)),
        Value::Null | Value::Number(_) => (None, None),
    };
    PatchFunc {
        name,
        is_named: func.old_name != Text::Null,
        sympos: func.old_sympos,
        replacement,
        is_replaced: func.new_func != Value::Null,
        code,
        is_data: matches!(func.new_func, Value::Symbol(symbol, _) if symbols.is_data(symbol)),
        place: func.place.into(),
    }
}

/// The named symbols of a module by section and value.
struct Functions<'a, 'f> {
    module: &'a Module<'f>,
    by_place: BTreeMap<(u32, u64), Name<'f>>,
}

impl<'a, 'f> Functions<'a, 'f> {
    fn of(module: &'a Module<'f>) -> Self {
        let table = module.object().symbols();
        let named = table.iter().filter_map(|symbol| {
            let name = table.name(&symbol).ok().filter(|name| !name.is_empty())?;
            let SymbolLocation::Section(section) = table.location(&symbol) else { return None };
            Some(((section, symbol.st_value), Name(name)))
        });
        Self { module, by_place: named.collect() }
    }

    /// Whether a symbol is in a section without code.
    fn is_data(&self, symbol: u32) -> bool {
        let object = self.module.object();
        let table = object.symbols();
        let section = table.get(symbol).and_then(|symbol| match table.location(&symbol) {
            SymbolLocation::Section(section) => object.section(section),
            _ => None,
        });
        section.is_some_and(|section| !section.sh_flags.contains(SectionFlags::EXECINSTR))
    }

    /// The place of a symbol plus an addend.
    fn place(&self, symbol: u32, addend: i64) -> Option<Where> {
        let table = self.module.object().symbols();
        let symbol = table.get(symbol)?;
        let SymbolLocation::Section(section) = table.location(&symbol) else { return None };
        Some(Where { section, offset: symbol.st_value.wrapping_add(addend.cast_unsigned()) })
    }

    /// The symbol at a symbol plus an addend.
    fn name(&self, symbol: u32, addend: i64) -> Option<Name<'f>> {
        let table = self.module.object().symbols();
        let symbol = table.get(symbol)?;
        let SymbolLocation::Section(section) = table.location(&symbol) else {
            return table.name(&symbol).ok().map(Name);
        };
        self.by_place.get(&(section, symbol.st_value.wrapping_add(addend.cast_unsigned()))).copied()
    }
}
