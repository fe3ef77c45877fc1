//! Checks of Linux's module loader and livepatch core that do not concern relocations (Linux
//! semantics 2, 3, 15 to 17). The file alone decides the checks of [`loader`] and [`same_names`].
//! The others need the kernel's symbols or other modules, so callers make them. Signatures are not
//! checked.

use core::ffi::CStr;
use relakit::Module;
use relakit::Profile;
use relakit::abi;
use relakit::elf::{SectionFlags, SymbolLocation};

/// The phase of a load in which a check is made. The order is that of the phases (Linux semantics
/// 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Linux checks the file.
    Validity,
    /// Linux assigns memory to the sections.
    Layout,
    /// Symbols get values.
    Symbols,
    /// The early pass.
    Relocation,
    /// The module appears in sysfs, after the early pass.
    Sysfs,
    /// The module's init function enables the livepatch.
    Init,
    /// The module is unloaded.
    Going,
}

/// Each row is a check: message, phase, errno, first version that has it (major, minor).
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $phase:ident, $errno:ident, $since:expr;)*) => {
        /// A check of the loader.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum LoaderCheck {
            $($(#[$doc])* $name,)*
        }

        impl LoaderCheck {
            /// Every check.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns an English text that says what is wrong.
            pub const fn message(self) -> &'static CStr {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns the phase in which the check is made.
            pub const fn phase(self) -> Phase {
                match self {
                    $(Self::$name => Phase::$phase,)*
                }
            }

            /// Returns the positive `errno` of Linux.
            pub const fn errno(self) -> i32 {
                match self {
                    $(Self::$name => $errno,)*
                }
            }

            /// Returns the first Linux version that makes the check: major, minor. relakit knows no
            /// version before 5.8.
            pub const fn since(self) -> (u16, u16) {
                match self {
                    $(Self::$name => $since,)*
                }
            }

            /// Returns whether the kernel version of the profile makes the check.
            pub fn is_of(self, profile: &Profile) -> bool {
                profile.since >= self.since()
            }
        }
    };
}

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;
const EAGAIN: i32 = 11;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ALWAYS: (u16, u16) = (5, 8);

rules! {
    /// Recorded: 6.1 accepts a second section, 6.12 refuses it. The check is in 6.4 and later.
    ManyModinfo = c"more than one .modinfo section", Validity, ENOEXEC, (6, 4);
    /// The module has no `struct module`.
    NoThisModule = c"no .gnu.linkonce.this_module section", Validity, ENOEXEC, ALWAYS;
    /// In 6.4 and later.
    ManyThisModule = c"more than one .gnu.linkonce.this_module section", Validity, ENOEXEC, (6, 4);
    /// In 6.4 and later.
    ThisModuleNobits = c".gnu.linkonce.this_module has no content in the file", Validity, ENOEXEC, (6, 4);
    /// In 6.4 and later.
    ThisModuleNotAllocated = c".gnu.linkonce.this_module is not SHF_ALLOC", Validity, ENOEXEC, (6, 4);
    /// In 6.4 and later. The kernel compares the size with its own. The symbol `__this_module` has
    /// the size for which the module was built.
    ThisModuleSize = c".gnu.linkonce.this_module does not have the size of struct module", Validity, ENOEXEC, (6, 4);
    /// In 6.14 and later (Linux semantics 16).
    VersionsApart = c"__version_ext_crcs and __version_ext_names do not match", Validity, ENOEXEC, (6, 14);
    /// In 7.1 and later (Linux semantics 16).
    NoExportFlags = c"module exports symbols, but has no __kflagstab section", Validity, ENOEXEC, (7, 1);
    /// `STRICT_MODULE_RWX`, which x86-64 always has.
    WriteAndExecute = c"section is writable and executable", Layout, ENOEXEC, ALWAYS;
    /// `mod_sysfs_setup`, with a warning in the log.
    NoName = c"name in struct module is empty", Sysfs, EINVAL, ALWAYS;
    /// The relocation of `init` or `exit` writes another member of `struct module`, which the kernel
    /// has set before. Callers compare with another module of the same kernel.
    ThisModuleOffsets = c"init and exit of struct module are not where the kernel has them", Relocation, ENOEXEC, ALWAYS;
    /// Recorded: 6.12 refuses it, 6.1 only warns.
    SameName = c"two sections in memory have the same name", Sysfs, EEXIST, (6, 12);
    /// `klp_enable_patch` needs `livepatch` in .modinfo, with any value.
    NotMarkedLivepatch = c"module enables a livepatch, but .modinfo has no livepatch entry", Init, EINVAL, ALWAYS;

    // Versions (Linux semantics 17).
    /// `check_modinfo`. If the module has CRCs, the release in vermagic is not compared.
    VersionMagic = c"vermagic names another kernel release, and the module has no CRCs", Validity, ENOEXEC, ALWAYS;
    /// `check_modstruct_version`.
    LayoutVersion = c"CRC of module_layout differs from the kernel's", Validity, ENOEXEC, ALWAYS;
    /// `check_version`.
    SymbolVersion = c"CRC of an imported symbol differs from the kernel's", Symbols, EINVAL, ALWAYS;
    /// `find_symbol`. The symbol does not exist for a module with another license.
    GplOnly = c"symbol is exported to modules with a GPL-compatible license only", Symbols, ENOENT, ALWAYS;
    /// `setup_modinfo`: a namespace `module:` names the modules that may use it, and must not be imported
    /// (8f945479021a, 6.16).
    ImportsModuleNamespace = c".modinfo imports a namespace of modules", Layout, EPERM, (6, 16);
    /// `verify_namespace_is_imported`.
    NamespaceNotImported = c"symbol is in a namespace that .modinfo does not import", Symbols, EINVAL, ALWAYS;

    // The tree of klp_enable_patch (Linux semantics 17).
    /// `klp_enable_patch`: `mod` or `objs` is NULL.
    PatchIncomplete = c"struct klp_patch has no module or no objects", Init, EINVAL, ALWAYS;
    /// `klp_enable_patch`.
    ObjectWithoutFunctions = c"struct klp_object has no functions", Init, EINVAL, ALWAYS;
    /// `klp_init_object`: the name has 56 bytes or more.
    ObjectNameLength = c"object name is too long", Init, EINVAL, ALWAYS;
    /// `klp_init_object`, from sysfs, with a warning in the log.
    ObjectNameEmpty = c"object has an empty name", Init, EINVAL, ALWAYS;
    /// `klp_init_object`, from sysfs.
    ObjectTwice = c"object is listed twice", Init, EEXIST, ALWAYS;
    /// `klp_init_func`.
    FunctionWithoutName = c"struct klp_func has no old_name", Init, EINVAL, ALWAYS;
    /// `klp_init_func`.
    FunctionWithoutReplacement = c"struct klp_func has no new_func", Init, EINVAL, ALWAYS;
    /// `klp_init_func`: the name has `KSYM_NAME_LEN` bytes or more.
    FunctionNameLength = c"function name is too long", Init, EINVAL, ALWAYS;
    /// `klp_init_func`, from sysfs: sympos 0 and 1 are the same there.
    FunctionTwice = c"function is replaced twice", Init, EEXIST, ALWAYS;
    /// `klp_find_object_symbol`.
    FunctionNotFound = c"object has no function of this name", Init, EINVAL, ALWAYS;
    /// `klp_find_object_symbol`.
    FunctionAmbiguous = c"object has several symbols of this name, and old_sympos is 0", Init, EINVAL, ALWAYS;
    /// `klp_find_object_symbol`.
    FunctionSympos = c"object has fewer symbols of this name than old_sympos", Init, EINVAL, ALWAYS;
    /// `klp_patch_func`: `ftrace_location` finds nothing.
    FunctionNotTraced = c"function does not call the function tracer, so it cannot be replaced", Init, EINVAL, ALWAYS;

    /// `klp_is_patch_compatible`: an earlier livepatch has a state that this one does not know, or
    /// knows in an older version.
    StateIncompatible = c"livepatch is not compatible with the states of an earlier one", Init, EINVAL, ALWAYS;

    // Loading and unloading (Linux semantics 17).
    /// `module_patient_check_exists`.
    LoadedAlready = c"a module of this name is loaded", Validity, EEXIST, ALWAYS;
    /// `klp_module_coming`.
    NamedVmlinux = c"a module must not be called vmlinux", Init, EINVAL, ALWAYS;
    /// `delete_module`.
    NotLoaded = c"module is not loaded", Going, ENOENT, ALWAYS;
    /// `delete_module`: another module uses it. EAGAIN is EWOULDBLOCK.
    InUse = c"another module uses the module", Going, EAGAIN, ALWAYS;
    /// `delete_module`.
    NoExit = c"module has an init function, but no exit function", Going, EBUSY, ALWAYS;
}

/// A check that a module fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoaderFinding {
    /// The check.
    pub check: LoaderCheck,
    /// Section index, if the finding is about a section.
    pub section: Option<u32>,
}

const THIS_MODULE: &[u8] = b".gnu.linkonce.this_module";
/// Offset of `name` in `struct module`, after the state and a list head.
const NAME_OFFSET: usize = 24;

/// Reports every check of the loader that the module fails, except [`same_names`].
pub fn loader(module: &Module<'_>, report: &mut dyn FnMut(LoaderFinding)) {
    let mut found = |rule: LoaderCheck, section| {
        if rule.is_of(module.profile()) {
            report(LoaderFinding { check: rule, section });
        }
    };
    if let Some(second) = named(module, b".modinfo").nth(1) {
        found(LoaderCheck::ManyModinfo, Some(second));
    }
    match named(module, THIS_MODULE).next() {
        None => found(LoaderCheck::NoThisModule, None),
        Some(index) => this_module(module, index, &mut found),
    }
    let entries = |name: &[u8], is_text: bool| {
        let section = named(module, name).next().and_then(|index| module.object().section(index))?;
        let bytes = module.object().section_bytes(&section);
        // Not `count`, which can panic in a build with overflow checks.
        let texts = || bytes.iter().fold(0usize, |texts, byte| texts.saturating_add(usize::from(*byte == 0)));
        Some(if is_text { texts() } else { bytes.len() / 4 })
    };
    if entries(b"__version_ext_crcs", false) != entries(b"__version_ext_names", true) {
        found(LoaderCheck::VersionsApart, None);
    }
    let has = |name: &[u8]| named(module, name).next().is_some();
    if (has(b"__ksymtab") || has(b"__ksymtab_gpl")) && !has(b"__kflagstab") {
        found(LoaderCheck::NoExportFlags, None);
    }
    let both = SectionFlags::WRITE.union(SectionFlags::EXECINSTR);
    for (index, section) in module.object().sections() {
        if section.sh_flags.contains(both) {
            found(LoaderCheck::WriteAndExecute, Some(index));
        }
    }
    if modinfos(module, b"import_ns").any(|namespace| namespace.starts_with(b"module:")) {
        found(LoaderCheck::ImportsModuleNamespace, None);
    }
    if enables_patch(module) && modinfo(module, b"livepatch").is_none() {
        found(LoaderCheck::NotMarkedLivepatch, None);
    }
}

fn this_module(module: &Module<'_>, index: u32, found: &mut dyn FnMut(LoaderCheck, Option<u32>)) {
    let object = module.object();
    if let Some(second) = named(module, THIS_MODULE).nth(1) {
        found(LoaderCheck::ManyThisModule, Some(second));
    }
    let Some(section) = object.section(index) else { return };
    if section.sh_type == abi::SHT_NOBITS {
        found(LoaderCheck::ThisModuleNobits, Some(index));
    }
    if !section.sh_flags.contains(SectionFlags::ALLOC) {
        found(LoaderCheck::ThisModuleNotAllocated, Some(index));
    }
    let name = object.section_bytes(&section).get(NAME_OFFSET..).and_then(<[u8]>::first);
    if name == Some(&0) {
        found(LoaderCheck::NoName, Some(index));
    }
    let symbols = object.symbols();
    let symbol = symbols.iter().find(|symbol| {
        symbols.location(symbol) == SymbolLocation::Section(index)
            && symbols.strings().is(symbol.st_name, b"__this_module")
    });
    if symbol.is_some_and(|symbol| symbol.st_size != 0 && symbol.st_size != section.sh_size) {
        found(LoaderCheck::ThisModuleSize, Some(index));
    }
}

/// Reports sections in memory that have the same name. `sorted` has the indices of all sections,
/// sorted by name.
pub fn same_names(module: &Module<'_>, sorted: &[u32], report: &mut dyn FnMut(LoaderFinding)) {
    let object = module.object();
    let symbols = object.symbols();
    // Linux retains the symbol table and its strings (Linux semantics 2); empty sections do not
    // appear.
    let appears = |index: u32| {
        let retained = index == symbols.section() || index == symbols.strings_section();
        let section = object.section(index)?;
        let appears = section.sh_size != 0 && (retained || module.is_allocated(index));
        appears.then(|| object.section_name(&section))
    };
    if !LoaderCheck::SameName.is_of(module.profile()) {
        return;
    }
    let mut last = None;
    for (index, name) in sorted.iter().filter_map(|index| Some((*index, appears(*index)?))) {
        if last.replace(name) == Some(name) {
            report(LoaderFinding { check: LoaderCheck::SameName, section: Some(index) });
        }
    }
}

/// Returns whether the module calls `klp_enable_patch`.
pub fn enables_patch(module: &Module<'_>) -> bool {
    let symbols = module.object().symbols();
    symbols.iter().any(|symbol| {
        symbols.location(&symbol) == SymbolLocation::Undefined
            && symbols.strings().is(symbol.st_name, b"klp_enable_patch")
    })
}

/// Returns the value of `key` in `.modinfo`, of its first entry.
pub fn modinfo<'f>(module: &Module<'f>, key: &[u8]) -> Option<&'f [u8]> {
    modinfos(module, key).next()
}

/// Returns the values of all entries of `key` in `.modinfo`.
pub fn modinfos<'f>(module: &Module<'f>, key: &[u8]) -> impl Iterator<Item = &'f [u8]> {
    let section = section_named(module, b".modinfo").and_then(|index| module.object().section(index));
    let bytes = section.map_or(&[][..], |section| module.object().section_bytes(&section));
    bytes.split(|byte| *byte == 0).filter_map(move |entry| entry.strip_prefix(key)?.strip_prefix(b"="))
}

/// Returns the index of the first section with this name.
pub fn section_named(module: &Module<'_>, name: &[u8]) -> Option<u32> {
    named(module, name).next()
}

/// Returns the module's name for livepatches, from `struct module`. It begins with its state, a
/// list head and 56 bytes of name in every kernel since 5.8.
pub fn module_name<'f>(module: &Module<'f>) -> Option<&'f [u8]> {
    let section = section_named(module, THIS_MODULE).and_then(|index| module.object().section(index))?;
    let name = module.object().section_bytes(&section).get(NAME_OFFSET..)?.first_chunk::<56>()?;
    name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())
}

/// Returns the sections with this name, in order.
fn named<'a>(module: &'a Module<'_>, name: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
    let object = module.object();
    let sections = object
        .sections()
        .filter(move |(index, section)| *index != 0 && object.section_is_named(section, name));
    sections.map(|(index, _)| index)
}
