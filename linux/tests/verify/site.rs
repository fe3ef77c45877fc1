//! A module with one site, and what is accepted there.

use crate::world::{Names, World, address};
use relakit::verify::Reader;
use relakit::{CallbackError, Module, Profile};
use relakit_linux::special::{self, Place, Role, Version};
use relakit_linux::verify::{self, Known, Mismatch, PatchSite, Policy, Verified};
use relakit_model::image::{ALLOC, Builder, PROGBITS};

/// Section indices.
pub const TEXT: u32 = 1;
const TABLE: u32 = 2;
const REPLACEMENTS: u32 = 3;
const EXEC: u64 = 4;
/// Where the code of the site is in its section.
const OFFSET: u64 = 0x40;
/// Run-time address of the site.
pub const SITE: u64 = 0xffff_ffff_c001_0040;
/// Run-time address of the replacement.
pub const REPLACEMENT: u64 = 0xffff_ffff_c003_0000;
/// A function of the kernel.
pub const FUNCTION: u64 = 0xffff_ffff_8123_4560;

/// Symbols of the kernel.
pub struct Symbols;

/// The thunks of RAX, R11 and so on are 0x20 bytes apart.
pub const THUNKS: u64 = 0xffff_ffff_8200_0000;
pub const ITS_THUNKS: u64 = 0xffff_ffff_8201_0000;
pub const RETURN_THUNK: u64 = 0xffff_ffff_8202_0000;
pub const SRSO_THUNK: u64 = 0xffff_ffff_8203_0000;
pub const STATIC_RETURN: u64 = 0xffff_ffff_8204_0000;
pub const TRACER: u64 = 0xffff_ffff_8205_0000;
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

impl Known for Symbols {
    fn function(&mut self, address: u64) -> bool {
        address == FUNCTION
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        let name = std::str::from_utf8(name).unwrap();
        for (prefix, first) in [("__x86_indirect_thunk_", THUNKS), ("__x86_indirect_its_thunk_", ITS_THUNKS)]
        {
            if let Some(register) = name.strip_prefix(prefix) {
                let number = REGISTERS.iter().position(|name| *name == register).unwrap();
                return Some(first + 0x20 * number as u64);
            }
        }
        match name {
            "__x86_return_thunk" => Some(RETURN_THUNK),
            "srso_return_thunk" => Some(SRSO_THUNK),
            "__static_call_return" => Some(STATIC_RETURN),
            "ftrace_caller" => Some(TRACER),
            _ => None,
        }
    }
}

/// A kind of site, and every form of it.
pub struct Case {
    pub what: &'static str,
    pub version: Version,
    pub role: Role,
    pub table: &'static str,
    pub entry: Vec<u8>,
    /// The code after relocation.
    pub original: Vec<u8>,
    pub replacement: Vec<u8>,
    /// What Linux may write.
    pub forms: Vec<Vec<u8>>,
}

impl Case {
    /// Calls `with` for a module that has the site, with memory and symbols.
    fn loaded<T>(&self, with: impl FnOnce(&relakit::Loaded<'_>, &mut crate::world::Mem, &[Place]) -> T) -> T {
        let mut builder = Builder::new();
        let before = vec![0x55; usize::try_from(OFFSET).unwrap()];
        let text = [&before[..], &self.original, &[0x5d; 16]].concat();
        builder.section(".text", PROGBITS, ALLOC | EXEC, text);
        builder.section(self.table, PROGBITS, ALLOC, self.entry.clone());
        builder.section(".altinstr_replacement", PROGBITS, ALLOC | EXEC, self.replacement.clone());
        let profile = *Profile::for_linux(self.version.0, self.version.1).unwrap();
        let World { file, mut mem, mut values, mut names, .. } =
            World::new(&builder, profile, Names::default());
        let module = Module::parse(&file, profile).unwrap();
        let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut values, &mut names).unwrap();
        assert_eq!((address(TEXT) + OFFSET, address(REPLACEMENTS)), (SITE, REPLACEMENT));
        let mut places: Vec<_> = special::places(&module, &mem).collect();
        places.sort_unstable();
        with(&loaded, &mut mem, &places)
    }

    /// Verifies the module, with `code` at the site.
    pub fn verify(&self, code: &[u8], policy: Policy) -> (Verified, Vec<Mismatch>) {
        self.loaded(|loaded, expected, places| {
            let mut running = Running(code, expected.clone());
            let mut mismatches = Vec::new();
            let mut symbols = Symbols;
            let mut kernel = verify::Kernel::new(self.version, &mut symbols);
            kernel.policies = kernel.policies.with(self.role, policy);
            let report = &mut |mismatch: &Mismatch| mismatches.push(*mismatch);
            let verified =
                verify::verify(loaded, expected, &mut running, &mut kernel, places, report).unwrap();
            (verified, mismatches)
        })
    }

    /// The bytes of the site that a write may have, with `code` there before.
    pub fn allows(&self, code: &[u8], at: u64, bytes: &[u8], policy: Policy) -> Option<PatchSite> {
        self.loaded(|loaded, expected, places| {
            let mut running = Running(code, expected.clone());
            let mut sites = Vec::new();
            verify::patch_sites(loaded, expected, self.version, places, &mut |site| sites.push(site));
            sites.sort_unstable();
            let mut symbols = Symbols;
            let mut kernel = verify::Kernel::new(self.version, &mut symbols);
            kernel.policies = kernel.policies.with(self.role, policy);
            verify::allowed_patch(loaded, expected, &mut running, &mut kernel, &sites, at, bytes).unwrap()
        })
    }
}

/// The memory of the module, with other code at the site.
struct Running<'a>(&'a [u8], crate::world::Mem);

impl Reader for Running<'_> {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        for (address, byte) in (at..).zip(bytes) {
            let site = usize::try_from(address.wrapping_sub(SITE)).ok().and_then(|at| self.0.get(at));
            let holds = |spot: &&crate::world::Spot| {
                address.checked_sub(spot.address).is_some_and(|at| at < spot.bytes.len() as u64)
            };
            let spot = self.1.spots.iter().flatten().find(holds).ok_or(CallbackError(14))?;
            *byte = *site.unwrap_or(&spot.bytes[usize::try_from(address - spot.address).unwrap()]);
        }
        Ok(())
    }
}

/// An offset from `here` to `to`.
pub fn offset(here: u64, to: u64) -> [u8; 4] {
    i32::try_from(to.wrapping_sub(here).cast_signed()).unwrap().to_le_bytes()
}

/// A branch with the opcode `op` that is at `here`.
pub fn branch(op: &[u8], here: u64, to: u64) -> Vec<u8> {
    [op, &offset(here + op.len() as u64 + 4, to)].concat()
}

/// The address of the table.
pub fn table() -> u64 {
    address(TABLE)
}
