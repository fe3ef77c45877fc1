//! Flags of a pass: which relocations are errors.

use bitflags::bitflags;

bitflags! {
    /// Which relocations are errors. Without a flag the rules are strict: the psABI as written, and a
    /// field must be zero before its relocation. All other bits are reserved and must be 0.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RelocFlags: u32 {
        /// The low 32 bits of a PC32 or PLT32 value are written, as in Linux. Without this flag a value
        /// that does not fit is an error, as in the psABI.
        const TRUNCATE_PC32 = 1 << 0;
        /// A field may have any content before its relocation, for loaders that reuse memory. Without
        /// this flag the content must be zero, as in Linux. Excludes `ADD_TO_FIELD`.
        const ALLOW_NONZERO = 1 << 1;
        /// The content of the field is checked before the range of the value, as in old Linux kernels.
        /// The order decides which error is returned if both checks fail.
        const REPORT_NONZERO_FIRST = 1 << 2;
        /// The types 8, 16, PC8 and PC16 are applied too. Linux does not know them.
        const EXTRA_TYPES = 1 << 3;
        /// In a symbol table, the value of an undefined symbol or of a livepatch symbol may be 0.
        /// Without this flag an entry that uses such a symbol is an error, because the symbol table of
        /// a file that no loader has resolved has these values. Linux needs this flag: the resolved
        /// value of `fixed_percpu_data` is 0.
        const ALLOW_ZERO_SYMBOLS = 1 << 4;
        /// The value is added to the content of the field, as in GRUB and illumos. The content is
        /// sign-extended if the range of the type is signed. The sum must fit, and is known only after
        /// the field is read, so `REPORT_NONZERO_FIRST` has no effect. Excludes `ALLOW_NONZERO`.
        const ADD_TO_FIELD = 1 << 5;
        /// One bit for each relocation type that the loader does not know.
        /// [`with_types`](Self::with_types) sets these bits.
        const UNKNOWN_TYPES = 0xffff << 16;
    }
}
