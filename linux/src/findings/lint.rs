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

            /// Returns an English sentence without the numbers.
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
    /// The object's name has more than 55 bytes. Linux cuts it in a section's name.
    ObjectNameCut = 1, c"object-name-cut", Warning,
        c"the object's name is longer than 55 bytes, and Linux cuts it",
        c"a module's name has at most 55 bytes: use its real one",
        [c"" c"length" c"most"], c"";
    /// The object's name has a hyphen. Linux's modules have underscores there.
    ObjectNameHyphen = 2, c"object-name-hyphen", Warning,
        c"the object's name has a hyphen, and a module's name never does",
        c"write an underscore: the kernel build turns - into _",
        [c"" c"" c""], c"";
    /// The object differs from vmlinux, or from a module that is patched, in upper and lower case
    /// only.
    ObjectNameCase = 3, c"object-name-case", Warning,
        c"the object's name differs in case from one that is patched",
        c"names are compared byte by byte: write it as the kernel does",
        [c"" c"" c""], c"";
    /// What follows the object's name looks like a part of it: `.ko`, or more dots. Linux ends it
    /// at the first dot.
    ObjectNameDot = 4, c"object-name-dot", Warning,
        c"the object's name seems to go on after a dot, where Linux ends it",
        c"leave .ko away; a module whose name has a dot cannot be patched",
        [c"" c"" c""], c"";
    /// There is text after the position, which Linux ignores.
    SymposTrailingText = 5, c"sympos-trailing-text", Warning,
        c"text after the symbol's position is ignored",
        c"end the name with the decimal position",
        [c"" c"position" c"bytes ignored"], c"";
    /// The position does not fit in 64 bits: it wraps or saturates, depending on the kernel.
    SymposTooLarge = 6, c"sympos-too-large", Warning,
        c"the symbol's position does not fit in 64 bits",
        c"kernels disagree on what it means: give the real position",
        [c"" c"position" c""], c"";
    /// Named like a livepatch section, without the flag: applied as ordinary relocations, its
    /// symbols count as 0.
    NameWithoutFlag = 7, c"klp-name-without-flag", Error,
        c"named like a livepatch section, but SHF_RELA_LIVEPATCH is not set",
        c"set the flag (0x100000): without it livepatch symbols have the value 0",
        [c"" c"sh_flags" c""], c"";
    /// Has the flag, and its name is not in the grammar.
    FlagWithoutName = 8, c"klp-flag-without-name", Error,
        c"has SHF_RELA_LIVEPATCH, but is not named .klp.rela.<object>.<section>",
        c"rename the section, or clear the flag",
        [c"" c"sh_flags" c""], c"";
    /// The section's name says another target than `sh_info` does.
    NamesOtherTarget = 9, c"klp-names-other-target", Warning,
        c"the section's name does not name the section that it relocates",
        c"Linux goes by sh_info alone: is it right, or is the name?",
        [c"" c"sh_info" c""], c"";
    /// The symbol's name is longer than kernels before 6.1 can read.
    SymbolNameWidth = 10, c"klp-symbol-name-width", Info,
        c"the symbol's name is longer than 127 bytes, which kernels before 6.1 refuse",
        c"nothing, if the livepatch is for 6.1 or later",
        [c"" c"length" c"most before 6.1"], c"";

    // What waits for whom.
    /// No pointer in the module's data leads to the name of the section's object.
    ObjectNotPatched = 11, c"object-not-patched", Warning,
        c"no object that the module patches has this name, so these relocations are never applied",
        c"is the name the one in struct klp_object?",
        [c"" c"" c""], c"";
    /// A late section uses a symbol of a third module.
    ThirdModule = 12, c"third-module-symbol", Warning,
        c"uses a symbol of another module than the one whose coming it waits for",
        c"wait for the module that has the symbol, or make it one of the module that is waited for",
        [c"offset" c"" c""], c"";
    /// A vmlinux section uses a symbol of a module.
    ModuleInEarly = 13, c"module-symbol-in-vmlinux-section", Warning,
        c"a vmlinux section uses a symbol of a module",
        c"the module must be loaded before, and the value is stale when it is unloaded: use a section of that module",
        [c"offset" c"" c""], c"";
    /// Sections of two objects use one livepatch symbol: the second to come overwrites its value.
    SharedSymbol = 14, c"klp-symbol-shared", Warning,
        c"sections of two objects share a livepatch symbol, and its value may be stale when one is cleared",
        c"give each object a symbol of its own",
        [c"offset" c"" c""], c"section of the other object";
    /// An ordinary relocation uses a livepatch symbol: its value depends on the order of sections.
    OrdinaryUsesKlp = 15, c"ordinary-uses-klp-symbol", Warning,
        c"an ordinary relocation uses a livepatch symbol, whose value depends on the order of sections",
        c"put the relocation into a .klp.rela section",
        [c"offset" c"" c""], c"";

    // How long things live (Linux semantics 10, 11 and 15).
    /// A late section that is not `SHF_ALLOC`: Linux reads freed memory.
    LateNotAllocated = 16, c"late-not-allocated", Error,
        c"a late section that is not SHF_ALLOC is gone when its object comes, and Linux reads freed memory",
        c"set SHF_ALLOC",
        [c"" c"sh_flags" c""], c"";
    /// The target of a late section is freed when init is done.
    LateIntoInit = 17, c"late-into-init", Error,
        c"late relocations into an init section, which is freed when init is done",
        c"move what is relocated out of init sections",
        [c"" c"" c""], c"target section";
    /// The target of a late section is not in memory.
    LateTargetNotAllocated = 18, c"late-target-not-allocated", Error,
        c"late relocations into a section that is not in memory: Linux writes to freed memory",
        c"relocate a section with SHF_ALLOC that the kernel keeps",
        [c"" c"" c""], c"target section";
    /// Livepatch relocations against vmlinux that are never applied.
    EarlySkipped = 19, c"klp-relocations-skipped", Warning,
        c"livepatch relocations of a section that is not in memory are never applied",
        c"set SHF_ALLOC on the target, or remove the section",
        [c"" c"" c""], c"target section";
    /// Ordinary relocations that are never applied.
    Skipped = 20, c"relocations-skipped", Info,
        c"relocations of a section that is not kept in memory are never applied",
        c"nothing, unless something reads that section",
        [c"" c"" c""], c"target section";
    /// `sh_info` names no section: passed over early; when an object comes Linux writes through a
    /// wild pointer.
    TargetOutOfRange = 21, c"target-out-of-range", Error,
        c"sh_info names no section: the relocations are passed over early, and written anywhere late",
        c"set sh_info to the section that is relocated",
        [c"" c"sh_info" c"sections"], c"";
    /// The size is not a multiple of 24: Linux ignores the rest.
    PartialEntry = 22, c"partial-entry", Warning,
        c"the relocation table ends inside an entry, and Linux ignores the rest",
        c"the tool that wrote the file lost something",
        [c"" c"size" c"bytes left over"], c"";

    // Values (Linux semantics 9).
    /// The value of a PC32 or PLT32 does not fit: Linux writes its low 32 bits.
    Pc32Truncated = 23, c"pc32-truncated", Error,
        c"the distance does not fit in 32 bits, and Linux writes its low half",
        c"the symbol is further than 2 GiB away: use a 64-bit relocation",
        [c"offset" c"value" c""], c"";
    /// Two relocations of one field.
    RepeatedField = 24, c"repeated-field", Error,
        c"two relocations of the same field",
        c"the second finds what the first wrote, and is refused unless that was zero",
        [c"offset" c"" c""], c"relocation of the same field";
    /// Fields that overlap.
    OverlappingFields = 25, c"overlapping-fields", Error,
        c"relocations whose fields overlap",
        c"the second finds what the first wrote, and is refused unless that was zero",
        [c"offset" c"" c""], c"relocation of the other field";
    /// A late relocation's field is not zero.
    LateNonZero = 26, c"late-field-not-zero", Error,
        c"the field of a late relocation is not zero, so its object cannot come",
        c"RELA has its addend in the entry: the field must be zero",
        [c"offset" c"existing" c""], c"";

    // The rule that everything serves.
    /// A late relocation into a section that has been read by then.
    LateIntoSpecial = 27, c"late-into-special-section", Error,
        c"late relocations into a special section, which has been read when they are applied",
        c"use a vmlinux symbol, or a key that is not in a module",
        [c"offset" c"" c""], c"target section";
    /// A late relocation's field lies in code that a special section's reader rewrites.
    LateIntoRewritten = 28, c"late-into-rewritten-code", Error,
        c"a late relocation of an instruction that a special section's reader may have rewritten",
        c"keep the reference out of alternatives, static calls, jump labels and traced entries",
        [c"offset" c"range" c"range size"], c"entry that rewrites it";
    /// Left over from the design before Linux 5.8.
    KlpArch = 29, c"klp-arch-leftover", Warning,
        c"a section of the livepatch design before Linux 5.8, which nobody reads",
        c"build with a tool for kernels from 5.8 on",
        [c"" c"" c""], c"";

    // sympos (Linux semantics 8).
    /// A position for a symbol that is the only one of its name.
    SymposNotNeeded = 30, c"sympos-not-needed", Info,
        c"the symbol has a position, and is the only one of its name",
        c"0 says so, and notices when there are more",
        [c"" c"position" c""], c"";
    /// No position for a symbol whose name occurs more than once.
    SymposMissing = 31, c"sympos-missing", Error,
        c"the symbol has no position, and its object has several of that name",
        c"give the position of the one meant, counted from 1",
        [c"" c"" c"symbols of that name"], c"";

    // Coming and going (Linux semantics 10 and 15).
    /// A coming failed and left relocations behind.
    HalfApplied = 32, c"half-applied", Error,
        c"the coming fails after relocations were written, and Linux leaves them: this module can never load again",
        c"unload the livepatch, and mend the fault",
        [c"" c"relocations left" c""], c"";
    /// A going that stopped: what the field holds is not what the relocation would write now.
    NotCleared = 33, c"not-cleared", Error,
        c"the going stops clearing, and Linux only warns: this module can never load again",
        c"something else wrote there, or the symbol's value is stale",
        [c"offset" c"expected" c"existing"], c"";
    /// Kernels before 6.3 never clear.
    NeverCleared = 34, c"never-cleared", Warning,
        c"this kernel does not clear late relocations: once gone, the object cannot come back",
        c"use Linux 6.3 or later, or reboot before it is loaded again",
        [c"" c"" c""], c"";

    // Names again.
    /// Named like a livepatch symbol, without `SHN_LIVEPATCH`: it is taken as it is, often as 0.
    SymbolNotMarked = 35, c"klp-symbol-not-marked", Error,
        c"named like a livepatch symbol, but its section index is not SHN_LIVEPATCH",
        c"set st_shndx to 0xff20 after the last link: ld -r makes the symbol absolute",
        [c"" c"st_shndx" c""], c"";
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
