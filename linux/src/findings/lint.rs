//! The table of lints: number, stable name, severity, message, help.

use core::ffi::CStr;

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
                self.c_name().to_str().unwrap_or_default()
            }

            /// Returns the same name for C.
            pub const fn c_name(self) -> &'static CStr {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// Returns the severity.
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// Returns an English text without the numbers.
            pub const fn message(self) -> &'static CStr {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns an English text that says what to do.
            pub const fn help(self) -> &'static CStr {
                match self {
                    $(Self::$name => $help,)*
                }
            }

            /// Returns the meaning of `offset`, `value` and `limit` in a finding of this lint, in
            /// this order. A text is empty if the member is not used.
            pub const fn field_c_names(self) -> &'static [&'static CStr] {
                match self {
                    $(Self::$name => &[$offset, $value, $limit],)*
                }
            }

            /// Returns the meaning of `other_section` and `other_entry`; empty if they are not
            /// used.
            pub const fn other_c_name(self) -> &'static CStr {
                match self {
                    $(Self::$name => $other,)*
                }
            }
        }
    };
}

rules! {
    // Names (Linux semantics 1).
    /// The object name has more than 55 bytes. Linux truncates it in a section name.
    ObjectNameCut = 1, c"object-name-cut", Warning,
        c"object name is longer than 55 bytes, and Linux truncates it",
        c"use the real module name, which has at most 55 bytes",
        [c"" c"length" c"maximum"], c"";
    /// The object name has a hyphen. Linux has an underscore in its place.
    ObjectNameHyphen = 2, c"object-name-hyphen", Warning,
        c"object name contains a hyphen, but module names do not",
        c"replace - with _, as the kernel build does",
        [c"" c"" c""], c"";
    /// The object name differs from vmlinux or from a patched module only in upper and lower case.
    ObjectNameCase = 3, c"object-name-case", Warning,
        c"object name differs only in case from a patched object",
        c"write the name as the kernel does: names are compared byte by byte",
        [c"" c"" c""], c"";
    /// The text after the object name looks like a part of it: `.ko`, or more dots. Linux ends the
    /// name at the first dot.
    ObjectNameDot = 4, c"object-name-dot", Warning,
        c"object name seems to continue after a dot, where Linux ends it",
        c"remove .ko; a module whose name has a dot cannot be patched",
        [c"" c"" c""], c"";
    /// There is text after the sympos, which Linux ignores.
    SymposTrailingText = 5, c"sympos-trailing-text", Warning,
        c"text after the sympos is ignored",
        c"end the symbol name with the decimal sympos",
        [c"" c"sympos" c"ignored bytes"], c"";
    /// The sympos does not fit in 64 bits. It wraps or saturates, depending on the kernel.
    SymposTooLarge = 6, c"sympos-too-large", Warning,
        c"sympos does not fit in 64 bits",
        c"give the real sympos; kernel versions read this number differently",
        [c"" c"sympos" c""], c"";
    /// The section is named like a livepatch section, but does not have the flag. Linux applies it
    /// as ordinary relocations, and its livepatch symbols have the value 0.
    NameWithoutFlag = 7, c"klp-name-without-flag", Error,
        c"named like a livepatch section, but SHF_RELA_LIVEPATCH is not set",
        c"set the flag (0x100000); without it, livepatch symbols have the value 0",
        [c"" c"sh_flags" c""], c"";
    /// The section has the flag, but its name does not match the grammar.
    FlagWithoutName = 8, c"klp-flag-without-name", Error,
        c"has SHF_RELA_LIVEPATCH, but is not named .klp.rela.<object>.<section>",
        c"rename the section, or clear the flag",
        [c"" c"sh_flags" c""], c"";
    /// The section name and `sh_info` name different targets.
    NamesOtherTarget = 9, c"klp-names-other-target", Warning,
        c"section name does not match the section that it relocates",
        c"correct sh_info or the name; Linux uses only sh_info",
        [c"" c"sh_info" c""], c"";
    /// The symbol name is longer than kernels before 6.1 can read.
    SymbolNameWidth = 10, c"klp-symbol-name-width", Info,
        c"symbol name is longer than 127 bytes, which kernels before 6.1 refuse",
        c"no change is needed for Linux 6.1 or later",
        [c"" c"length" c"maximum before 6.1"], c"";

    // Objects and symbols (Linux semantics 7 and 10).
    /// No pointer in the module's data points to the name of the section's object.
    ObjectNotPatched = 11, c"object-not-patched", Warning,
        c"module does not patch an object of this name, so the relocations are never applied",
        c"use the object name of struct klp_object",
        [c"" c"" c""], c"";
    /// A late section uses a symbol of a third module.
    ThirdModule = 12, c"third-module-symbol", Warning,
        c"section for one module uses a symbol of another module",
        c"use a symbol of the patched module, or make that module depend on the other one",
        [c"offset" c"" c""], c"";
    /// A vmlinux section uses a symbol of a module.
    ModuleInEarly = 13, c"module-symbol-in-vmlinux-section", Warning,
        c"vmlinux section uses a symbol of a module",
        c"move the relocation to a section for that module; here, the value is stale after the module is unloaded",
        [c"offset" c"" c""], c"";
    /// Sections for two objects use one livepatch symbol. The value for the second object
    /// overwrites the first.
    SharedSymbol = 14, c"klp-symbol-shared", Warning,
        c"sections for two objects share a livepatch symbol, so its value may be stale when one is cleared",
        c"give each object its own symbol",
        [c"offset" c"" c""], c"section of the other object";
    /// An ordinary relocation uses a livepatch symbol, so its value depends on the section order.
    OrdinaryUsesKlp = 15, c"ordinary-uses-klp-symbol", Warning,
        c"ordinary relocation uses a livepatch symbol, whose value depends on the section order",
        c"move the relocation to a .klp.rela section",
        [c"offset" c"" c""], c"";

    // Lifetimes (Linux semantics 10, 11 and 15).
    /// A late section is not `SHF_ALLOC`, so Linux reads freed memory.
    LateNotAllocated = 16, c"late-not-allocated", Error,
        c"late section is not SHF_ALLOC, so Linux reads freed memory",
        c"set SHF_ALLOC on the section",
        [c"" c"sh_flags" c""], c"";
    /// Linux frees the target of a late section after the init function.
    LateIntoInit = 17, c"late-into-init", Error,
        c"late relocations into an init section, which Linux frees after the init function",
        c"move the relocated code or data out of init sections",
        [c"" c"" c""], c"target section";
    /// The target of a late section is not in memory.
    LateTargetNotAllocated = 18, c"late-target-not-allocated", Error,
        c"late relocations into a section that is not in memory, so Linux writes to freed memory",
        c"relocate a section that is SHF_ALLOC and stays in memory",
        [c"" c"" c""], c"target section";
    /// Livepatch relocations for vmlinux that are never applied.
    EarlySkipped = 19, c"klp-relocations-skipped", Warning,
        c"livepatch relocations are never applied, because their target is not in memory",
        c"set SHF_ALLOC on the target, or remove the section",
        [c"" c"" c""], c"target section";
    /// Ordinary relocations that are never applied.
    Skipped = 20, c"relocations-skipped", Info,
        c"relocations are never applied, because their target does not stay in memory",
        c"no change is needed, unless code reads the target at run time",
        [c"" c"" c""], c"target section";
    /// `sh_info` is not a section index. The early pass skips the section. A late pass writes
    /// through a wild pointer.
    TargetOutOfRange = 21, c"target-out-of-range", Error,
        c"sh_info is not a section index: Linux skips the section early, and writes to a wild address late",
        c"set sh_info to the index of the relocated section",
        [c"" c"sh_info" c"sections"], c"";
    /// The size is not a multiple of 24. Linux ignores the remainder.
    PartialEntry = 22, c"partial-entry", Warning,
        c"relocation table ends with an incomplete entry, which Linux ignores",
        c"build the module again; the tool that wrote the file has lost data",
        [c"" c"size" c"remaining bytes"], c"";

    // Values (Linux semantics 9).
    /// The value of a PC32 or PLT32 does not fit. Linux writes its low 32 bits.
    Pc32Truncated = 23, c"pc32-truncated", Error,
        c"distance does not fit in 32 bits, and Linux writes its low 32 bits",
        c"use a 64-bit relocation for a symbol that is more than 2 GiB away",
        [c"offset" c"value" c""], c"";
    /// Two relocations have the same field.
    RepeatedField = 24, c"repeated-field", Error,
        c"two relocations of the same field",
        c"remove one; Linux refuses the second, unless the first wrote zero",
        [c"offset" c"" c""], c"relocation of the same field";
    /// The fields of two relocations overlap.
    OverlappingFields = 25, c"overlapping-fields", Error,
        c"relocations whose fields overlap",
        c"correct an offset or a type; Linux refuses the second, unless the first wrote zero",
        [c"offset" c"" c""], c"relocation of the other field";
    /// The field of a late relocation is not zero.
    LateNonZero = 26, c"late-field-not-zero", Error,
        c"field of a late relocation is not zero, so the patched module cannot be loaded",
        c"make the field zero; a RELA entry contains the addend",
        [c"offset" c"existing" c""], c"";

    // Special sections (Linux semantics 2 and 12).
    /// A late relocation changes a section that Linux has already read.
    LateIntoSpecial = 27, c"late-into-special-section", Error,
        c"late relocations into a special section, which Linux reads before they are applied",
        c"use a vmlinux symbol, or a key that is not in a module",
        [c"offset" c"" c""], c"target section";
    /// The field of a late relocation is in code that Linux rewrites because of a special section.
    LateIntoRewritten = 28, c"late-into-rewritten-code", Error,
        c"late relocation of an instruction that Linux may rewrite",
        c"move the reference out of alternatives, static calls, jump labels and traced entries",
        [c"offset" c"range" c"range size"], c"entry of the special section";
    /// The section belongs to the livepatch design before Linux 5.8.
    KlpArch = 29, c"klp-arch-leftover", Warning,
        c"section of the livepatch design before Linux 5.8, which no code reads",
        c"build with a tool for Linux 5.8 or later",
        [c"" c"" c""], c"";

    // sympos (Linux semantics 8).
    /// The symbol has a sympos, but is the only one of its name.
    SymposNotNeeded = 30, c"sympos-not-needed", Info,
        c"symbol has a sympos, but its name is unique",
        c"use sympos 0, so that Linux reports an error if the name is not unique",
        [c"" c"sympos" c""], c"";
    /// The symbol has no sympos, but its name is not unique.
    SymposMissing = 31, c"sympos-missing", Error,
        c"symbol has sympos 0, but its object has several symbols of that name",
        c"give the sympos of the intended symbol, counted from 1",
        [c"" c"" c"symbols of that name"], c"";

    // Load and unload of patched modules (Linux semantics 10 and 15).
    /// The load of a patched module failed, and relocations remain written.
    HalfApplied = 32, c"half-applied", Error,
        c"patched module fails to load and cannot be loaded again, because Linux does not clear written relocations",
        c"unload the livepatch, and fix the reported error",
        [c"" c"written relocations" c""], c"";
    /// Clearing stopped, because a field does not hold the value that the relocation would write
    /// now.
    NotCleared = 33, c"not-cleared", Error,
        c"patched module cannot be loaded again, because Linux stops clearing at a changed field",
        c"find what changed the field or the value of the symbol",
        [c"offset" c"expected" c"existing"], c"";
    /// Kernels before 6.3 never clear.
    NeverCleared = 34, c"never-cleared", Warning,
        c"patched module cannot be loaded again after it is unloaded, because this kernel never clears relocations",
        c"use Linux 6.3 or later, or reboot before you load the module again",
        [c"" c"" c""], c"";

    // Names (Linux semantics 4 and 15).
    /// The symbol is named like a livepatch symbol, but is not `SHN_LIVEPATCH`. Linux uses its
    /// value, which is often 0.
    SymbolNotMarked = 35, c"klp-symbol-not-marked", Error,
        c"named like a livepatch symbol, but st_shndx is not SHN_LIVEPATCH",
        c"set st_shndx to 0xff20 after the last link; ld -r makes the symbol absolute",
        [c"" c"st_shndx" c""], c"";

    // Special sections after the early pass (Linux semantics 2 and 12).
    /// The size of a special section is not a multiple of its entries. Some readers read past its
    /// end.
    SpecialSize = 36, c"special-section-size", Error,
        c"special section does not end with a whole entry",
        c"build the module again; the tool that wrote the section has lost data",
        [c"" c"remaining bytes" c"entry size"], c"";
    /// The entries of a special section have the size of another kernel version.
    SpecialLayout = 37, c"special-section-layout", Error,
        c"special section has entries of another kernel version",
        c"build the module for this kernel version",
        [c"" c"entry size" c"entry size of this kernel"], c"";
    /// A pointer in an entry of a special section has no relocation.
    SpecialNotRelocated = 38, c"special-entry-not-relocated", Error,
        c"entry of a special section has no relocation when Linux reads it, so it leads nowhere",
        c"copy the relocations of the entry with it, or remove the entry",
        [c"" c"entries" c""], c"";
    /// An entry of a special section does not lead to the code that its reader expects.
    SpecialTarget = 39, c"special-entry-target", Error,
        c"entry of a special section does not lead to the code that Linux expects",
        c"correct the relocation of the entry",
        [c"" c"entries" c""], c"";
    /// An entry of `__mcount_loc` does not lead to a call of `__fentry__`.
    TraceSite = 40, c"trace-site-not-fentry", Error,
        c"entry of __mcount_loc does not lead to a call of __fentry__",
        c"correct the relocation of the entry, or remove the entry",
        [c"" c"entries" c""], c"";
    /// Code branches to a thunk, and the table of sites does not list the branch.
    ThunkNotListed = 41, c"thunk-not-listed", Error,
        c"branch to a thunk has no entry in .return_sites or .retpoline_sites, so a mitigation is missing",
        c"run objtool on the object files, and keep these sections",
        [c"offset" c"relocations" c""], c"";

    // Values (Linux semantics 9).
    /// A relocation leads far beyond the section of its symbol.
    BeyondSection = 42, c"beyond-section", Warning,
        c"relocation leads far beyond the section of its symbol",
        c"correct the addend, or the offset of the symbol",
        [c"offset" c"offset in the section" c"section size"], c"section of the symbol";

    // What the file alone does not show (Linux semantics 10 and 17). Only the tool reports these.
    /// The module, or a patched module, is built for another kernel.
    OtherKernel = 43, c"other-kernel", Warning,
        c"module is built for another kernel",
        c"build it for this kernel, or give the kernel that it is built for with --kernel",
        [c"" c"" c""], c"";
    /// No module has the name of a patched object.
    ObjectUnknown = 44, c"object-unknown", Error,
        c"no module has the name of this object, so the livepatch never patches it",
        c"write the name as lsmod prints it",
        [c"" c"" c""], c"";
    /// A livepatch symbol or a replaced function is in init memory, which Linux frees.
    InitSymbol = 45, c"init-symbol", Error,
        c"symbol is in init memory, which Linux frees after the init functions",
        c"do not use the symbol: its memory is used for other data",
        [c"" c"address" c""], c"";
    /// The init function calls code that has late relocations.
    InitCallsLate = 46, c"init-calls-late", Error,
        c"init code uses code or data with late relocations, which are not applied yet",
        c"do not use it before the patched module is loaded",
        [c"offset" c"" c""], c"section with late relocations";
    /// `struct module` has another size than in a module of the same kernel.
    ThisModuleLayout = 47, c"this-module-layout", Error,
        c"size of struct module differs from that of a target module",
        c"build the module with the headers and the configuration of the kernel",
        [c"" c"" c""], c"";
    /// A livepatch that replaces nothing: it does not call `klp_enable_patch`, or has no objects, or
    /// an object without functions.
    PatchesNothing = 48, c"patches-nothing", Error,
        c"livepatch loads and replaces nothing",
        c"list the functions in struct klp_func, the objects in struct klp_object, and call klp_enable_patch",
        [c"" c"" c""], c"";
    /// `new_func` is not code, so a call of the function crashes.
    NewFuncNotCode = 49, c"new-func-not-code", Error,
        c"new_func of a function does not lead to code",
        c"set new_func to the new function",
        [c"" c"" c""], c"";
    /// The module is what a compiler or a tool leaves before the livepatch sections are made.
    NotConverted = 50, c"not-converted", Error,
        c"livepatch is not converted yet: it has no livepatch sections",
        c"run the last step of the tool that built it, and check its result",
        [c"" c"" c""], c"";
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
