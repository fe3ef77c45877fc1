//! Constants of the file formats: the gABI (System V ABI, chapter 4) and Linux livepatch.

/// Size of `Elf64_Ehdr`, in bytes (gABI 4, "ELF Header").
pub const EHDR_SIZE: usize = 64;
/// Size of one `Elf64_Shdr`, in bytes (gABI 4, "Sections").
pub const SHDR_SIZE: usize = 64;
/// Size of one `Elf64_Sym`, in bytes (gABI 4, "Symbol Table").
pub const SYM_SIZE: usize = 24;
/// Size of one `Elf64_Rela`, in bytes (gABI 4, "Relocation").
pub const RELA_SIZE: usize = 24;

/// The first four bytes of every ELF file (gABI 4, "ELF Identification").
pub const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
/// `e_ident[EI_CLASS]` of a 64-bit file.
pub const ELFCLASS64: u8 = 2;
/// `e_ident[EI_DATA]` of a little-endian file.
pub const ELFDATA2LSB: u8 = 1;
/// `e_ident[EI_VERSION]` and `e_version`: the only version.
pub const EV_CURRENT: u8 = 1;
/// `e_type` of a relocatable object.
pub const ET_REL: u16 = 1;

/// `sh_type`: an unused section header.
pub const SHT_NULL: u32 = 0;
/// `sh_type`: bytes defined by the program.
pub const SHT_PROGBITS: u32 = 1;
/// `sh_type`: the symbol table.
pub const SHT_SYMTAB: u32 = 2;
/// `sh_type`: a string table.
pub const SHT_STRTAB: u32 = 3;
/// `sh_type`: relocations with explicit addends.
pub const SHT_RELA: u32 = 4;
/// `sh_type`: notes.
pub const SHT_NOTE: u32 = 7;
/// `sh_type`: occupies no bytes in the file, zeros in memory.
pub const SHT_NOBITS: u32 = 8;
/// `sh_type`: relocations without addends (gABI 4, "Relocation").
pub const SHT_REL: u32 = 9;
/// `sh_type`: section indices that do not fit `st_shndx`.
pub const SHT_SYMTAB_SHNDX: u32 = 18;

/// `st_shndx`: undefined in this file.
pub const SHN_UNDEF: u16 = 0;
/// `st_shndx`: the first reserved index.
pub const SHN_LORESERVE: u16 = 0xff00;
/// `st_shndx`: a symbol of the patched object of a livepatch (Linux semantics 0).
pub const SHN_LIVEPATCH: u16 = 0xff20;
/// `st_shndx`: an absolute value.
pub const SHN_ABS: u16 = 0xfff1;
/// `st_shndx`: a common block.
pub const SHN_COMMON: u16 = 0xfff2;
/// `st_shndx`, `e_shstrndx`: the index is in another place (gABI 4, "Sections").
pub const SHN_XINDEX: u16 = 0xffff;

/// Symbol binding `STB_LOCAL` (upper four bits of `st_info`).
pub const STB_LOCAL: u8 = 0;
/// Symbol binding `STB_GLOBAL`.
pub const STB_GLOBAL: u8 = 1;
/// Symbol binding `STB_WEAK`.
pub const STB_WEAK: u8 = 2;
/// Symbol type `STT_SECTION` (lower four bits of `st_info`).
pub const STT_SECTION: u8 = 3;
/// Symbol type `STT_FILE`.
pub const STT_FILE: u8 = 4;

/// Prefix of the name of a livepatch relocation section (Linux semantics 1).
pub const KLP_RELA_PREFIX: &[u8] = b".klp.rela.";
/// Prefix of the name of a livepatch symbol (Linux semantics 1).
pub const KLP_SYM_PREFIX: &[u8] = b".klp.sym.";
/// What the sections of the old design begin with (Linux semantics 12, commit 1d05334d2899).
pub const KLP_ARCH_PREFIX: &[u8] = b".klp.arch.";
/// The object name of the kernel itself.
pub const VMLINUX: &[u8] = b"vmlinux";
/// Greatest length of an object name in bytes: `MODULE_NAME_LEN` - 1 (Linux semantics 0).
pub const OBJECT_NAME_MAX: usize = 55;
