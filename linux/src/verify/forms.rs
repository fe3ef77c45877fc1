//! The forms in which Linux writes each kind of site.
//!
//! Sources (facts only): Linux 6.1.192 and 6.12.117 of Debian, the function in each row. Versions of
//! changes are mainline's. Kernels before 5.13 were not compared; of those after 6.12, a livepatch in
//! 7.3.4 was.

use super::known::{Known, is_return_thunk, is_tracer, retpoline, thunk};
use super::nops;
use crate::bytes::u32_at;
use crate::special::{Role, Version, before};

/// What is found at a site, and what was there after relocation.
pub(super) struct Form<'a> {
    pub(super) version: Version,
    pub(super) role: Role,
    /// Run-time address of the site.
    pub(super) address: u64,
    /// The code after relocation.
    pub(super) original: &'a [u8],
    /// The code that is found. It has the same size.
    pub(super) found: &'a [u8],
    /// The entry of the special section.
    pub(super) entry: &'a [u8],
    /// Run-time address of the entry.
    pub(super) entry_at: u64,
}

impl Form<'_> {
    /// Returns whether what is found is a known form of the site. Alternatives have a file of their
    /// own, and a replacement is not written at all.
    pub(super) fn is_known(&self, known: &mut dyn Known) -> bool {
        match self.role {
            Role::Alternative | Role::Replacement | Role::Call => false,
            Role::Retpoline => self.retpoline(known),
            Role::Return => self.is_return(known),
            Role::Endbr => is_sealed(self.version, self.original, self.found),
            Role::CfiPreamble => self.preamble(),
            // alternatives_smp_unlock, alternatives_smp_lock.
            Role::Lock => matches!((self.original, self.found), ([0xf0 | 0x3e], [0xf0 | 0x3e])),
            Role::Paravirt => self.paravirt(known),
            Role::JumpLabel => self.jump_label(),
            // STATIC_CALL_SITE_TAIL, the lowest bit of the key's address.
            Role::StaticCall => self.static_call(self.pointer(4) & 1 != 0, known),
            Role::Trampoline => self.static_call(true, known),
            Role::Trace => self.traced(known),
        }
    }

    /// Returns the address to which the offset at `at` of the entry leads.
    fn pointer(&self, at: usize) -> u64 {
        let offset = u32_at(self.entry, at).map_or(0, |offset| i64::from(offset.cast_signed()));
        self.entry_at.wrapping_add(at as u64).wrapping_add_signed(offset)
    }

    /// `__jump_label_patch`: a NOP of one instruction, or a jump to the target of the entry.
    fn jump_label(&self) -> bool {
        let target = self.pointer(4);
        match Branch::of(self.address, self.found) {
            Some(Branch { op: 0xe9 | 0xeb, to, .. }) => to == target,
            Some(_) => false,
            None => nops::is_nop(self.version, self.found),
        }
    }

    /// `ftrace_make_nop`, `ftrace_replace_code`.
    fn traced(&self, known: &mut dyn Known) -> bool {
        match Branch::of(self.address, self.found) {
            Some(branch) => branch.op == 0xe8 && is_tracer(known, branch.to),
            None => nops::is_nop(self.version, self.found),
        }
    }

    /// `__static_call_transform`. A conditional jump stays one with the same condition.
    fn static_call(&self, is_tail: bool, known: &mut dyn Known) -> bool {
        let condition = Branch::of(self.address, self.original).map_or(0, |branch| branch.condition);
        match Branch::of(self.address, self.found) {
            Some(branch) if branch.condition != condition => false,
            Some(Branch { op: 0xe8, to, .. }) => !is_tail && known.function(to),
            Some(Branch { op: 0xe9 | 0x0f, to, .. }) => {
                is_tail
                    && (known.function(to)
                        || is_return_thunk(known, to)
                        || (condition != 0 && known.symbol(b"__static_call_return") == Some(to)))
            }
            Some(_) => false,
            None if is_tail => condition == 0 && self.is_plain_return(),
            None => nops::is_nop(self.version, self.found) || is_zero(self.version, self.found),
        }
    }

    /// Whether it is a return without a thunk. Before 5.17 (e463a09af2f0) only its first byte was
    /// written.
    fn is_plain_return(&self) -> bool {
        match (self.found, self.original) {
            ([0xc3, 0xcc, 0xcc, 0xcc, 0xcc], _) => true,
            ([0xc3, found @ ..], [_, original @ ..]) => found == original && before(self.version, (5, 17)),
            _ => false,
        }
    }

    /// `patch_return`: a return, or a jump to a return thunk.
    fn is_return(&self, known: &mut dyn Known) -> bool {
        match Branch::of(self.address, self.found) {
            Some(branch) => branch.op == 0xe9 && is_return_thunk(known, branch.to),
            None => self.found == [0xc3, 0xcc, 0xcc, 0xcc, 0xcc],
        }
    }

    /// `paravirt_patch` of 5.12 to 6.7: a call of a function, or nothing. Up to 5.11, Linux also
    /// wrote instructions; these are not known here.
    fn paravirt(&self, known: &mut dyn Known) -> bool {
        let mut form = [0; SIZE_MAX];
        let Some(form) = form.get_mut(..self.found.len()) else { return false };
        nops::fill(form);
        if self.found == form {
            return true;
        }
        let Some((found, call)) = self.found.split_at_checked(5).map(|(call, rest)| (rest, call)) else {
            return false;
        };
        let Some(rest) = form.get_mut(5..) else { return false };
        nops::fill(rest);
        let call = Branch::of(self.address, call).filter(|call| call.op == 0xe8);
        found == rest && call.is_some_and(|call| known.function(call.to))
    }

    /// `cfi_rand_preamble`, `cfi_rewrite_preamble`, `cfi_rewrite_endbr` of 6.2 to 6.14, from the
    /// source of 6.12.117. The hash is not compared, because the kernel changes it with a random
    /// number.
    fn preamble(&self) -> bool {
        let split = |code| <[u8]>::split_at_checked(code, 16);
        let (Some((original, endbr)), Some((found, found_endbr))) = (split(self.original), split(self.found))
        else {
            return false;
        };
        let [0xb8, _, _, _, _, padding @ ..] = original else { return false };
        let is_hash = matches!(found, [0xb8, _, _, _, _, rest @ ..] if rest == padding);
        let is_fine = found.split_at_checked(4).is_some_and(|(endbr, check)| {
            is_endbr(endbr)
                && matches!(check, [0x41, 0x81, 0xea, _, _, _, _, 0x74, 0x03, 0x0f, 0x0b, 0x90])
                && before(self.version, (6, 15))
        });
        let keeps_endbr = endbr == found_endbr || is_sealed(self.version, endbr, found_endbr);
        (is_hash || is_fine) && keeps_endbr
    }

    /// `patch_retpoline`.
    fn retpoline(&self, known: &mut dyn Known) -> bool {
        let Some(branch) = Branch::of(self.address, self.original) else { return false };
        let Some(register) = retpoline(known, branch.to) else { return false };
        if self.indirect(&branch, register) {
            return true;
        }
        // __emit_trampoline: the same instruction leads to another thunk.
        let Some(found) = Branch::of(self.address, self.found) else { return false };
        if (Branch { to: branch.to, ..found }) != branch {
            return false;
        }
        let prefix: &[u8] = match branch.op {
            0xe8 => b"__x86_indirect_call_thunk_",
            _ => b"__x86_indirect_jump_thunk_",
        };
        let mut is = |prefix| thunk(known, prefix, register) == Some(found.to);
        is(prefix) || is(b"__x86_indirect_its_thunk_") || known.its_thunk(found.to, register)
    }

    /// Whether what is found is the branch through the register, with or without LFENCE.
    fn indirect(&self, branch: &Branch, register: u8) -> bool {
        // Linux writes INT3 after a jump since 5.18.
        let stops: &[bool] = if before(self.version, (5, 18)) { &[true, false] } else { &[true] };
        // At most three CS prefixes before a call, INT3 in all bytes after a jump: 4a1e02b15ac1, for
        // 6.18. Read and recorded in 7.3.4.
        let padded = !before(self.version, (6, 18));
        [false, true].iter().any(|fence| {
            stops.iter().any(|stop| {
                let mut form = Indirect::default();
                form.write(branch, self.found.len(), register, *fence, *stop, padded);
                let size = usize::from(form.len);
                let whole = form.bytes.get_mut(..self.found.len()).filter(|_| size <= self.found.len());
                let Some(whole) = whole else { return false };
                whole.get_mut(size..).unwrap_or_default().fill(0x90);
                nops::join(self.version, whole);
                whole == self.found
            })
        })
    }
}

/// Greatest size of a site here, in bytes. CFI preambles are the longest.
pub(super) const SIZE_MAX: usize = 32;

/// An indirect branch that takes the place of one to a retpoline.
#[derive(Default)]
struct Indirect {
    bytes: [u8; 16],
    len: u8,
}

impl Indirect {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
            *place = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    fn write(&mut self, branch: &Branch, size: usize, register: u8, fence: bool, stop: bool, padded: bool) {
        if branch.op == 0x0f {
            // The opposite condition skips the jump.
            self.push(0x70 | (branch.condition & 0xf) ^ 1);
            self.push(u8::try_from(size.saturating_sub(2)).unwrap_or(0));
        }
        if fence {
            [0x0f, 0xae, 0xe8].into_iter().for_each(|byte| self.push(byte));
        }
        let (is_call, is_high) = (branch.op == 0xe8, register >= 8);
        let free = size.saturating_sub(usize::from(self.len)).saturating_sub(if is_high { 3 } else { 2 });
        if is_call && padded && free <= 3 {
            (0..free).for_each(|_| self.push(0x2e));
        }
        if is_high {
            self.push(0x41);
        }
        self.push(0xff);
        self.push((if is_call { 0xd0 } else { 0xe0 }) | register & 7);
        if !is_call && stop {
            (0..if padded { free } else { free.min(1) }).for_each(|_| self.push(0xcc));
        }
    }
}

/// Whether an ENDBR became the NOP that no other code has (`gen_endbr_poison`). The second one is
/// that of 6.15 and later, which was not compared.
fn is_sealed(version: Version, original: &[u8], found: &[u8]) -> bool {
    let poison = if before(version, (6, 15)) { [0x66, 0x0f, 0x1f, 0x00] } else { [0x0f, 0x1f, 0x40, 0xd6] };
    is_endbr(original) && found == poison
}

/// Whether it is ENDBR64. The code of this function does not contain the instruction: an indirect
/// branch could lead there.
fn is_endbr(code: &[u8]) -> bool {
    let complement = core::hint::black_box(0x05e1_f00c_u32);
    code.len() == 4 && u32_at(code, 0) == Some(!complement)
}

/// Whether it is the instruction that stands for a call of `__static_call_return0`. The second one
/// is that of kernels before 5.18.
fn is_zero(version: Version, found: &[u8]) -> bool {
    found == [0x2e, 0x2e, 0x2e, 0x31, 0xc0]
        || (before(version, (5, 18)) && found == [0x66, 0x66, 0x48, 0x31, 0xc0])
}

/// A relative branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    /// The first byte of the opcode.
    pub(super) op: u8,
    /// The second byte if it is conditional and near, or else 0.
    condition: u8,
    /// Whether a CS prefix precedes it.
    is_padded: bool,
    /// Run-time address to which it leads.
    pub(super) to: u64,
}

impl Branch {
    /// Returns the branch that `code` is: E8, E9, EB or 0F 80 to 0F 8F, and nothing after it.
    pub(super) fn of(address: u64, code: &[u8]) -> Option<Self> {
        let end = address.wrapping_add(code.len() as u64);
        let (is_padded, code) = match *code {
            [0x2e, ref code @ ..] => (true, code),
            _ => (false, code),
        };
        let (op, condition, offset) = match *code {
            [op @ 0xeb, offset] => (op, 0, i64::from(offset.cast_signed())),
            [op @ (0xe8 | 0xe9), a, b, c, d] => (op, 0, i64::from(i32::from_le_bytes([a, b, c, d]))),
            [op @ 0x0f, condition @ 0x80..=0x8f, a, b, c, d] => {
                (op, condition, i64::from(i32::from_le_bytes([a, b, c, d])))
            }
            _ => return None,
        };
        Some(Self { op, condition, is_padded, to: end.wrapping_add_signed(offset) })
    }
}
