//! What the embedder knows about the running kernel.

use crate::special::Version;

/// What the embedder knows about the running kernel: its symbol table.
pub trait Known {
    /// Returns whether a function of the kernel or of a module begins at `address`.
    fn function(&mut self, address: u64) -> bool;

    /// Returns the address of a symbol of the kernel, which is not in a module. The names that are
    /// looked up are unique.
    fn symbol(&mut self, name: &[u8]) -> Option<u64>;

    /// Returns whether a traced function may call `address`, which is neither `ftrace_caller` nor
    /// `ftrace_regs_caller`. The default is false.
    ///
    /// Linux allocates trampolines for single users of the tracer, such as livepatches.
    /// `/proc/kallsyms` lists them as `ftrace_trampoline [__builtin__ftrace]`. Whoever accepts them
    /// should compare their code too.
    fn tracer(&mut self, address: u64) -> bool {
        let _ = address;
        false
    }

    /// Returns whether the code at `address` is an ITS thunk that Linux has allocated: the two
    /// instructions `jmp *%reg` and `int3`. `register` is the number of the register, 0 is RAX. The
    /// default is false.
    fn its_thunk(&mut self, address: u64, register: u8) -> bool {
        let _ = (address, register);
        false
    }
}

/// The running kernel.
#[non_exhaustive]
pub struct Kernel<'k> {
    /// Its version.
    pub version: Version,
    /// What may be found at the sites of each role.
    pub policies: super::Policies,
    /// Its symbols.
    pub known: &'k mut dyn Known,
}

impl core::fmt::Debug for Kernel<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Kernel({:?}, {:?})", self.version, self.policies)
    }
}

impl<'k> Kernel<'k> {
    /// Returns a kernel with the default policies.
    pub fn new(version: Version, known: &'k mut dyn Known) -> Self {
        Self { version, policies: super::Policies::default(), known }
    }
}

/// The functions that every traced function may call.
const TRACERS: [&[u8]; 2] = [b"ftrace_caller", b"ftrace_regs_caller"];

/// Values of `x86_return_thunk` (`arch/x86/kernel/cpu/bugs.c`): 6.1.192 and 6.12.117.
const RETURN_THUNKS: [&[u8]; 6] = [
    b"__x86_return_thunk",
    b"retbleed_return_thunk",
    b"srso_return_thunk",
    b"srso_alias_return_thunk",
    b"call_depth_return_thunk",
    b"its_return_thunk",
];

/// The registers in the order of their numbers.
const REGISTERS: [&[u8]; 16] = [
    b"rax", b"rcx", b"rdx", b"rbx", b"rsp", b"rbp", b"rsi", b"rdi", b"r8", b"r9", b"r10", b"r11", b"r12",
    b"r13", b"r14", b"r15",
];

/// Length of the longest name of a thunk.
const NAME_MAX: usize = 40;

/// Returns whether a traced function may call `address`.
pub(super) fn is_tracer(known: &mut dyn Known, address: u64) -> bool {
    TRACERS.iter().any(|name| known.symbol(name) == Some(address)) || known.tracer(address)
}

/// Returns whether `address` is one of the kernel's return thunks.
pub(super) fn is_return_thunk(known: &mut dyn Known, address: u64) -> bool {
    RETURN_THUNKS.iter().any(|name| known.symbol(name) == Some(address))
}

/// Returns the address of a thunk for a register: the symbol `prefix` followed by the register.
pub(super) fn thunk(known: &mut dyn Known, prefix: &[u8], register: u8) -> Option<u64> {
    let register = REGISTERS.get(usize::from(register))?;
    let mut name = [0; NAME_MAX];
    let length = prefix.len().checked_add(register.len())?;
    for (to, from) in name.iter_mut().zip(prefix.iter().chain(*register)) {
        *to = *from;
    }
    known.symbol(name.get(..length)?)
}

/// Returns the register of the retpoline at `address`.
pub(super) fn retpoline(known: &mut dyn Known, address: u64) -> Option<u8> {
    (0..16).find(|register| thunk(known, b"__x86_indirect_thunk_", *register) == Some(address))
}
