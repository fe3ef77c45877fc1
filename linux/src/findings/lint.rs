//! The table of lints: number, stable name, severity, message, help.

use core::ffi::CStr;
use relakit::text::{Texts, texts};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Severity {
    /// Not an error by itself.
    Info = 1,
    /// Probably a mistake.
    Warning = 2,
    /// The module will not work, or does harm.
    Error = 3,
}

impl Severity {
    /// Returns "info", "warning" or "error".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Each row is a lint: number, stable name, severity, message, help, the meaning of `offset`,
/// `value` and `limit` of a [`Finding`](super::Finding) ("" if not used), and of `other_section`.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $id:literal, $severity:ident, $text:literal, $help:literal,
       [$offset:literal $value:literal $limit:literal], $other:literal;)*) => {
        /// A kind of finding. From the first release on, numbers and names are only added at the
        /// end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Lint {
            $($(#[$doc])* $name = $number,)*
        }

        impl Lint {
            /// Every lint, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the stable name, which users write to suppress the lint.
            pub fn name(self) -> &'static str {
                Self::names().get(self.row())
            }

            /// Returns the same name for C.
            pub fn c_name(self) -> &'static CStr {
                Self::names().c_str(self.row())
            }

            const fn names() -> Texts {
                texts!($($id),*)
            }

            /// Returns the severity.
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// Returns an English text without the numbers.
            pub fn message(self) -> &'static CStr {
                texts!($($text),*).c_str(self.row())
            }

            /// Returns an English text that says what to do.
            pub fn help(self) -> &'static CStr {
                texts!($($help),*).c_str(self.row())
            }

            /// Returns the meaning of `offset`, `value` and `limit` in a finding of this lint, in
            /// this order. A text is empty if the member is not used.
            pub fn field_names(self) -> [&'static str; 3] {
                self.fields().map(|index| Self::meanings().get(index))
            }

            /// Returns the same texts for C.
            pub fn field_c_names(self) -> [&'static CStr; 3] {
                self.fields().map(|index| Self::meanings().c_str(index))
            }

            const fn meanings() -> Texts {
                texts!($($offset, $value, $limit),*)
            }

            /// Returns the meaning of `other_section` and `other_entry`; empty if they are not
            /// used.
            pub fn other_c_name(self) -> &'static CStr {
                texts!($($other),*).c_str(self.row())
            }
        }
    };
}

rules! {
    // Names (Linux semantics 1).
    /// The object name has more than 55 bytes. Linux truncates it in a section name.
    ObjectNameCut = 1, "object-name-cut", Warning,
        "object name is longer than 55 bytes, and Linux truncates it",
        "use the real module name, which has at most 55 bytes",
        ["" "length" "maximum"], "";
    /// The object name has a hyphen. Linux has an underscore in its place.
    ObjectNameHyphen = 2, "object-name-hyphen", Warning,
        "object name contains a hyphen, but module names do not",
        "replace - with _, as the kernel build does",
        ["" "" ""], "";
    /// The object name differs from vmlinux or from a patched module only in upper and lower case.
    ObjectNameCase = 3, "object-name-case", Warning,
        "object name differs only in case from a patched object",
        "write the name as the kernel does: names are compared byte by byte",
        ["" "" ""], "";
    /// The text after the object name looks like a part of it: `.ko`, or more dots. Linux ends the
    /// name at the first dot.
    ObjectNameDot = 4, "object-name-dot", Warning,
        "object name seems to continue after a dot, where Linux ends it",
        "remove .ko; a module whose name has a dot cannot be patched",
        ["" "" ""], "";
    /// There is text after the sympos, which Linux ignores.
    SymposTrailingText = 5, "sympos-trailing-text", Warning,
        "text after the sympos is ignored",
        "end the symbol name with the decimal sympos",
        ["" "sympos" "ignored bytes"], "";
    /// The sympos does not fit in 64 bits. It wraps or saturates, depending on the kernel.
    SymposTooLarge = 6, "sympos-too-large", Warning,
        "sympos does not fit in 64 bits",
        "give the real sympos; kernel versions read this number differently",
        ["" "sympos" ""], "";
    /// The section is named like a livepatch section, but does not have the flag. Linux applies it
    /// as ordinary relocations, and its livepatch symbols have the value 0.
    NameWithoutFlag = 7, "klp-name-without-flag", Error,
        "named like a livepatch section, but SHF_RELA_LIVEPATCH is not set",
        "set the flag (0x100000); without it, livepatch symbols have the value 0",
        ["" "sh_flags" ""], "";
    /// The section has the flag, but its name does not match the grammar.
    FlagWithoutName = 8, "klp-flag-without-name", Error,
        "has SHF_RELA_LIVEPATCH, but is not named .klp.rela.<object>.<section>",
        "rename the section, or clear the flag",
        ["" "sh_flags" ""], "";
    /// The section name and `sh_info` name different targets.
    NamesOtherTarget = 9, "klp-names-other-target", Warning,
        "section name does not match the section that it relocates",
        "correct sh_info or the name; Linux uses only sh_info",
        ["" "sh_info" ""], "";
    /// The symbol name is longer than kernels before 6.1 can read.
    SymbolNameWidth = 10, "klp-symbol-name-width", Info,
        "symbol name is longer than 127 bytes, which kernels before 6.1 refuse",
        "no change is needed for Linux 6.1 or later",
        ["" "length" "maximum before 6.1"], "";

    // Objects and symbols (Linux semantics 7 and 10).
    /// No pointer in the module's data points to the name of the section's object.
    ObjectNotPatched = 11, "object-not-patched", Warning,
        "module does not patch an object of this name, so the relocations are never applied",
        "use the object name of struct klp_object",
        ["" "" ""], "";
    /// A late section uses a symbol of a third module.
    ThirdModule = 12, "third-module-symbol", Warning,
        "section for one module uses a symbol of another module",
        "use a symbol of the patched module, or make that module depend on the other one",
        ["offset" "" ""], "";
    /// A vmlinux section uses a symbol of a module.
    ModuleInEarly = 13, "module-symbol-in-vmlinux-section", Warning,
        "vmlinux section uses a symbol of a module",
        "move the relocation to a section for that module; here, the value is stale after the module is unloaded",
        ["offset" "" ""], "";
    /// Sections for two objects use one livepatch symbol. The value for the second object
    /// overwrites the first.
    SharedSymbol = 14, "klp-symbol-shared", Warning,
        "sections for two objects share a livepatch symbol, so its value may be stale when one is cleared",
        "give each object its own symbol",
        ["offset" "" ""], "section of the other object";
    /// An ordinary relocation uses a livepatch symbol, so its value depends on the section order.
    OrdinaryUsesKlp = 15, "ordinary-uses-klp-symbol", Warning,
        "ordinary relocation uses a livepatch symbol, whose value depends on the section order",
        "move the relocation to a .klp.rela section",
        ["offset" "" ""], "";

    // Lifetimes (Linux semantics 10, 11 and 15).
    /// A late section is not `SHF_ALLOC`, so Linux reads freed memory.
    LateNotAllocated = 16, "late-not-allocated", Error,
        "late section is not SHF_ALLOC, so Linux reads freed memory",
        "set SHF_ALLOC on the section",
        ["" "sh_flags" ""], "";
    /// Linux frees the target of a late section after the init function.
    LateIntoInit = 17, "late-into-init", Error,
        "late relocations into an init section, which Linux frees after the init function",
        "move the relocated code or data out of init sections",
        ["" "" ""], "target section";
    /// The target of a late section is not in memory.
    LateTargetNotAllocated = 18, "late-target-not-allocated", Error,
        "late relocations into a section that is not in memory, so Linux writes to freed memory",
        "relocate a section that is SHF_ALLOC and stays in memory",
        ["" "" ""], "target section";
    /// Livepatch relocations for vmlinux that are never applied.
    EarlySkipped = 19, "klp-relocations-skipped", Warning,
        "livepatch relocations are never applied, because their target is not in memory",
        "set SHF_ALLOC on the target, or remove the section",
        ["" "" ""], "target section";
    /// Ordinary relocations that are never applied.
    Skipped = 20, "relocations-skipped", Info,
        "relocations are never applied, because their target does not stay in memory",
        "no change is needed, unless code reads the target at run time",
        ["" "" ""], "target section";
    /// `sh_info` is not a section index. The early pass skips the section. A late pass writes
    /// through a wild pointer.
    TargetOutOfRange = 21, "target-out-of-range", Error,
        "sh_info is not a section index: Linux skips the section early, and writes to a wild address late",
        "set sh_info to the index of the relocated section",
        ["" "sh_info" "sections"], "";
    /// The size is not a multiple of 24. Linux ignores the remainder.
    PartialEntry = 22, "partial-entry", Warning,
        "relocation table ends with an incomplete entry, which Linux ignores",
        "build the module again; the tool that wrote the file has lost data",
        ["" "size" "remaining bytes"], "";

    // Values (Linux semantics 9).
    /// The value of a PC32 or PLT32 does not fit. Linux writes its low 32 bits.
    Pc32Truncated = 23, "pc32-truncated", Error,
        "distance does not fit in 32 bits, and Linux writes its low 32 bits",
        "use a 64-bit relocation for a symbol that is more than 2 GiB away",
        ["offset" "value" ""], "";
    /// Two relocations have the same field.
    RepeatedField = 24, "repeated-field", Error,
        "two relocations of the same field",
        "remove one; Linux refuses the second, unless the first wrote zero",
        ["offset" "" ""], "relocation of the same field";
    /// The fields of two relocations overlap.
    OverlappingFields = 25, "overlapping-fields", Error,
        "relocations whose fields overlap",
        "correct an offset or a type; Linux refuses the second, unless the first wrote zero",
        ["offset" "" ""], "relocation of the other field";
    /// The field of a late relocation is not zero.
    LateNonZero = 26, "late-field-not-zero", Error,
        "field of a late relocation is not zero, so the patched module cannot be loaded",
        "make the field zero; a RELA entry contains the addend",
        ["offset" "existing" ""], "";

    // Special sections (Linux semantics 2 and 12).
    /// A late relocation changes a section that Linux has already read.
    LateIntoSpecial = 27, "late-into-special-section", Error,
        "late relocations into a special section, which Linux reads before they are applied",
        "use a vmlinux symbol, or a key that is not in a module",
        ["offset" "" ""], "target section";
    /// The field of a late relocation is in code that Linux rewrites because of a special section.
    LateIntoRewritten = 28, "late-into-rewritten-code", Error,
        "late relocation of an instruction that Linux may rewrite",
        "move the reference out of alternatives, static calls, jump labels and traced entries",
        ["offset" "range" "range size"], "entry of the special section";
    /// The section belongs to the livepatch design before Linux 5.8.
    KlpArch = 29, "klp-arch-leftover", Warning,
        "section of the livepatch design before Linux 5.8, which no code reads",
        "build with a tool for Linux 5.8 or later",
        ["" "" ""], "";

    // sympos (Linux semantics 8).
    /// The symbol has a sympos, but is the only one of its name.
    SymposNotNeeded = 30, "sympos-not-needed", Info,
        "symbol has a sympos, but its name is unique",
        "use sympos 0, so that Linux reports an error if the name is not unique",
        ["" "sympos" ""], "";
    /// The symbol has no sympos, but its name is not unique.
    SymposMissing = 31, "sympos-missing", Error,
        "symbol has sympos 0, but its object has several symbols of that name",
        "give the sympos of the intended symbol, counted from 1",
        ["" "" "symbols of that name"], "";

    // Load and unload of patched modules (Linux semantics 10 and 15).
    /// The load of a patched module failed, and relocations remain written.
    HalfApplied = 32, "half-applied", Error,
        "patched module fails to load and cannot be loaded again, because Linux does not clear written relocations",
        "unload the livepatch, and fix the reported error",
        ["" "written relocations" ""], "";
    /// Clearing stopped, because a field does not hold the value that the relocation would write
    /// now.
    NotCleared = 33, "not-cleared", Error,
        "patched module cannot be loaded again, because Linux stops clearing at a changed field",
        "find what changed the field or the value of the symbol",
        ["offset" "expected" "existing"], "";
    /// Kernels before 6.3 never clear.
    NeverCleared = 34, "never-cleared", Warning,
        "patched module cannot be loaded again after it is unloaded, because this kernel never clears relocations",
        "use Linux 6.3 or later, or reboot before you load the module again",
        ["" "" ""], "";

    // Names (Linux semantics 4 and 15).
    /// The symbol is named like a livepatch symbol, but is not `SHN_LIVEPATCH`. Linux uses its
    /// value, which is often 0.
    SymbolNotMarked = 35, "klp-symbol-not-marked", Error,
        "named like a livepatch symbol, but st_shndx is not SHN_LIVEPATCH",
        "set st_shndx to 0xff20 after the last link; ld -r makes the symbol absolute",
        ["" "st_shndx" ""], "";

    // Special sections after the early pass (Linux semantics 2 and 12).
    /// The size of a special section is not a multiple of its entries. Some readers read past its
    /// end.
    SpecialSize = 36, "special-section-size", Error,
        "special section does not end with a whole entry",
        "build the module again; the tool that wrote the section has lost data",
        ["" "remaining bytes" "entry size"], "";
    /// The entries of a special section have the size of another kernel version.
    SpecialLayout = 37, "special-section-layout", Error,
        "special section has entries of another kernel version",
        "build the module for this kernel version",
        ["" "entry size" "entry size of this kernel"], "";
    /// A pointer in an entry of a special section has no relocation.
    SpecialNotRelocated = 38, "special-entry-not-relocated", Error,
        "entry of a special section has no relocation when Linux reads it, so it leads nowhere",
        "copy the relocations of the entry with it, or remove the entry",
        ["" "entries" ""], "";
    /// An entry of a special section does not lead to the code that its reader expects.
    SpecialTarget = 39, "special-entry-target", Error,
        "entry of a special section does not lead to the code that Linux expects",
        "correct the relocation of the entry",
        ["" "entries" ""], "";
    /// An entry of `__mcount_loc` does not lead to a call of `__fentry__`.
    TraceSite = 40, "trace-site-not-fentry", Error,
        "entry of __mcount_loc does not lead to a call of __fentry__",
        "correct the relocation of the entry, or remove the entry",
        ["" "entries" ""], "";
    /// Code branches to a thunk, and the table of sites does not list the branch.
    ThunkNotListed = 41, "thunk-not-listed", Error,
        "branch to a thunk has no entry in .return_sites or .retpoline_sites, so a mitigation is missing",
        "run objtool on the object files, and keep these sections",
        ["offset" "relocations" ""], "";

    // Values (Linux semantics 9).
    /// A relocation leads far beyond the section of its symbol.
    BeyondSection = 42, "beyond-section", Warning,
        "relocation leads far beyond the section of its symbol",
        "correct the addend, or the offset of the symbol",
        ["offset" "offset in the section" "section size"], "section of the symbol";

    // What the file alone does not show (Linux semantics 10 and 17). Only the tool reports these.
    /// The module, or a patched module, is built for another kernel.
    OtherKernel = 43, "other-kernel", Warning,
        "module is built for another kernel",
        "build it for this kernel, or give the kernel that it is built for with --kernel",
        ["" "" ""], "";
    /// No module has the name of a patched object.
    ObjectUnknown = 44, "object-unknown", Error,
        "no module has the name of this object, so the livepatch never patches it",
        "write the name as lsmod prints it",
        ["" "" ""], "";
    /// A livepatch symbol or a replaced function is in init memory, which Linux frees.
    InitSymbol = 45, "init-symbol", Error,
        "symbol is in init memory, which Linux frees after the init functions",
        "do not use the symbol: its memory is used for other data",
        ["" "address" ""], "";
    /// The init function calls code that has late relocations.
    InitCallsLate = 46, "init-calls-late", Error,
        "init code uses code or data with late relocations, which are not applied yet",
        "do not use it before the patched module is loaded",
        ["offset" "" ""], "section with late relocations";
    /// `struct module` has another size than in a module of the same kernel.
    ThisModuleLayout = 47, "this-module-layout", Error,
        "size of struct module differs from that of a target module",
        "build the module with the headers and the configuration of the kernel",
        ["" "" ""], "";
    /// A livepatch that replaces nothing: it does not call `klp_enable_patch`, or has no objects, or
    /// an object without functions.
    PatchesNothing = 48, "patches-nothing", Error,
        "livepatch loads and replaces nothing",
        "list the functions in struct klp_func, the objects in struct klp_object, and call klp_enable_patch",
        ["" "" ""], "";
    /// `new_func` is not code, so a call of the function crashes.
    NewFuncNotCode = 49, "new-func-not-code", Error,
        "new_func of a function does not lead to code",
        "set new_func to the new function",
        ["" "" ""], "";
    /// The module is what a compiler or a tool leaves before the livepatch sections are made.
    NotConverted = 50, "not-converted", Error,
        "livepatch is not converted yet: it has no livepatch sections",
        "run the last step of the tool that built it, and check its result",
        ["" "" ""], "";
}

impl Lint {
    /// Returns the lint with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        // The numbers are 1, 2 and so on.
        let row = usize::try_from(number.checked_sub(1)?).ok()?;
        Self::ALL.get(row).copied()
    }

    /// The index of its row in the table of lints.
    const fn row(self) -> usize {
        (self as i32).cast_unsigned().saturating_sub(1) as usize
    }

    /// The indices of its meanings.
    fn fields(self) -> [usize; 3] {
        let first = self.row().saturating_mul(3);
        [first, first.saturating_add(1), first.saturating_add(2)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_one_and_names_are_kebab_case_and_unique() {
        for (number, rule) in (1..).zip(Lint::ALL) {
            assert_eq!(*rule as i32, number, "{rule:?}");
            let name = rule.name();
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            );
            assert_eq!(Lint::ALL.iter().filter(|other| other.name() == name).count(), 1, "{name}");
        }
    }
}
