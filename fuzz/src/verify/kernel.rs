//! What a kernel does with a module after relocation, written a second time: lists of forms, and
//! tables that are sorted as lists of addresses.
//!
//! Sources (facts only): Linux 6.1.192 and 6.12.117, the functions that the comments name.

use super::plan::{Kind, New, OLD, Plan, REGISTERS, SLOT, Slot, TEXT};
use relakit::Module;
use relakit_linux::special::Role;
use relakit_linux::verify::Known;
use relakit_model::world::{Answers, World};

/// The symbols of the kernel, and of the module "a".
#[derive(Clone, Copy)]
pub(super) struct Symbols;

/// The functions, of which the first three can be called through a static call.
const FUNCTIONS: [(&str, u64); 9] = [
    ("f", 0xffff_ffff_8100_1000),
    ("g", 0xffff_ffff_8100_1040),
    ("h", 0xffff_ffff_8123_4560),
    ("__SCT__g", 0xffff_ffff_8200_0008),
    ("__fentry__", 0xffff_ffff_8200_1000),
    ("ftrace_caller", 0xffff_ffff_8200_1100),
    ("ftrace_regs_caller", 0xffff_ffff_8200_1200),
    ("__x86_return_thunk", 0xffff_ffff_8200_2000),
    ("srso_return_thunk", 0xffff_ffff_8200_2040),
];
const CALLED: usize = 3;
const THUNK: &str = "__x86_indirect_thunk_";
const THUNKS: u64 = 0xffff_ffff_8200_3000;

fn address_of(name: &str) -> Option<u64> {
    let register = name.strip_prefix(THUNK).and_then(|name| REGISTERS.iter().position(|of| *of == name));
    let listed = FUNCTIONS.iter().find(|(of, _)| *of == name).map(|(_, address)| *address);
    listed.or(register.map(|register| THUNKS + 32 * register as u64))
}

impl Known for Symbols {
    fn function(&mut self, address: u64) -> bool {
        FUNCTIONS[..CALLED].iter().any(|(_, of)| *of == address)
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        address_of(std::str::from_utf8(name).unwrap())
    }
}

impl Answers for Symbols {
    fn exported(&self, name: &[u8]) -> Option<u64> {
        address_of(std::str::from_utf8(name).unwrap())
    }

    fn nth_symbol(&self, _: &[u8], _: &[u8], position: u64) -> Option<u64> {
        (position == 0).then_some(0xffff_ffff_c0f0_1230)
    }
}

/// Code that the kernel rewrites.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub(super) role: Role,
    pub(super) section: u32,
    pub(super) offset: usize,
    /// Whether it is inside of another, or has another in it.
    pub(super) is_nested: bool,
    /// What may be there. The first is the code after relocation.
    forms: Vec<Vec<u8>>,
}

impl Patch {
    pub(super) fn size(&self) -> usize {
        self.forms[0].len()
    }

    pub(super) fn covers(&self, section: u32, at: usize) -> bool {
        self.section == section && (self.offset..self.offset + self.size()).contains(&at)
    }

    pub(super) fn form(&self, choice: u8) -> &[u8] {
        &self.forms[usize::from(choice) % self.forms.len()]
    }

    pub(super) fn is_form(&self, code: &[u8]) -> bool {
        self.forms.iter().any(|form| form == code)
    }

    /// Whether a form ends with these bytes, which follow its first one.
    pub(super) fn has_tail(&self, tail: &[u8]) -> bool {
        self.forms.iter().any(|form| form.get(1..) == Some(tail))
    }

    /// Some bytes of the site.
    pub(super) fn part<'m>(&self, world: &'m mut World<'_>, start: usize, size: usize) -> &'m mut [u8] {
        &mut world.spots[self.section as usize].bytes[self.offset + start..][..size]
    }

    pub(super) fn write(&self, world: &mut World<'_>, choice: u8) {
        self.part(world, 0, self.size()).copy_from_slice(self.form(choice));
    }

    pub(super) fn has_form(&self, world: &World<'_>) -> bool {
        self.is_form(&world.spots[self.section as usize].bytes[self.offset..][..self.size()])
    }

    pub(super) fn is_untouched(&self, world: &World<'_>) -> bool {
        world.spots[self.section as usize].bytes[self.offset..].starts_with(&self.forms[0])
    }
}

/// The code that is rewritten in a relocated module.
pub(super) fn patches(plan: &Plan, relocated: &World<'_>) -> Vec<Patch> {
    let text = &relocated.spots[TEXT as usize];
    let mut patches = Vec::new();
    for (number, slot) in plan.slots.iter().enumerate() {
        let offset = number * SLOT;
        let site = Site { plan, slot, address: text.address + offset as u64, code: &text.bytes[offset..] };
        let Some((role, name)) = role(slot.kind) else { continue };
        let is_locked = slot.kind == Kind::Alternative && site.code[0] == 0xf0 && plan.reads(".smp_locks");
        if plan.reads(name) {
            let mut forms = site.forms();
            if is_locked {
                // alternatives_smp_unlock, after the alternatives.
                let mut unlocked: Vec<_> = forms.iter().filter(|form| form[0] == 0xf0).cloned().collect();
                unlocked.iter_mut().for_each(|form| form[0] = 0x3e);
                forms.extend(unlocked);
            }
            forms.dedup();
            patches.push(Patch { role, section: TEXT, offset, is_nested: is_locked, forms });
        }
        if is_locked {
            let forms = vec![vec![0xf0], vec![0x3e]];
            patches.push(Patch { role: Role::Lock, section: TEXT, offset, is_nested: true, forms });
        }
    }
    // What is a part of another is written first, and then again with it.
    patches.sort_by_key(|patch| patch.role != Role::Lock);
    patches
}

fn role(kind: Kind) -> Option<(Role, &'static str)> {
    Some(match kind {
        Kind::Code | Kind::Call | Kind::LateCall => return None,
        Kind::JumpLabel => (Role::JumpLabel, "__jump_table"),
        Kind::Lock => (Role::Lock, ".smp_locks"),
        Kind::Return => (Role::Return, ".return_sites"),
        Kind::Trace => (Role::Trace, "__mcount_loc"),
        Kind::Retpoline => (Role::Retpoline, ".retpoline_sites"),
        Kind::Endbr => (Role::Endbr, ".ibt_endbr_seal"),
        Kind::StaticCall => (Role::StaticCall, ".static_call_sites"),
        Kind::Alternative => (Role::Alternative, ".altinstructions"),
    })
}

struct Site<'s> {
    plan: &'s Plan,
    slot: &'s Slot,
    address: u64,
    code: &'s [u8],
}

const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];

fn nop(size: usize) -> &'static [u8] {
    [&[][..], &[0x90], &[0x66, 0x90], &[0x0f, 0x1f, 0], &[0x0f, 0x1f, 0x40, 0], &NOP][size]
}

impl Site<'_> {
    fn forms(&self) -> Vec<Vec<u8>> {
        let size = match self.slot.kind {
            Kind::Lock => 1,
            Kind::Endbr => 4,
            _ => 5,
        };
        let mut forms = vec![self.code[..size].to_vec()];
        match self.slot.kind {
            // jump_label_update: arch_jump_entry_size gives 5.
            Kind::JumpLabel => {
                forms.push(NOP.into());
                forms.push(self.branch(0xe9, self.target()));
                forms.extend(self.old_nops());
            }
            Kind::Lock => forms.push(vec![0x3e]),
            Kind::Return => {
                forms.push(vec![0xc3, 0xcc, 0xcc, 0xcc, 0xcc]);
                forms.extend(self.branches(0xe9, &["__x86_return_thunk", "srso_return_thunk"]));
            }
            Kind::Trace => {
                forms.push(NOP.into());
                forms.extend(self.branches(0xe8, &["ftrace_caller", "ftrace_regs_caller"]));
                forms.extend(self.old_nops());
            }
            Kind::Endbr => forms.push(match self.plan.version < (6, 15) {
                true => vec![0x66, 0x0f, 0x1f, 0],
                false => vec![0x0f, 0x1f, 0x40, 0xd6],
            }),
            Kind::Retpoline => forms.extend(self.indirect()),
            Kind::StaticCall => forms.extend(self.static_call()),
            Kind::Alternative => forms.extend(self.alternatives()),
            Kind::Code | Kind::Call | Kind::LateCall => {}
        }
        forms
    }

    /// ideal_nops, before 5.13.
    fn old_nops(&self) -> Vec<Vec<u8>> {
        match self.plan.version < (5, 13) {
            true => vec![vec![0x66, 0x66, 0x66, 0x66, 0x90], vec![0x3e, 0x8d, 0x74, 0x26, 0]],
            false => Vec::new(),
        }
    }

    fn target(&self) -> u64 {
        // The address of the text: slots have their addresses by their numbers.
        let text = self.address & !0xffff;
        text + u64::from(self.slot.target)
    }

    fn branch(&self, op: u8, to: u64) -> Vec<u8> {
        let distance = to.wrapping_sub(self.address + 5).to_le_bytes();
        [&[op], &distance[..4]].concat()
    }

    fn branches(&self, op: u8, names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|name| self.branch(op, address_of(name).unwrap())).collect()
    }

    /// patch_retpoline.
    fn indirect(&self) -> Vec<Vec<u8>> {
        let (register, is_jump) = (self.slot.register(), self.slot.branch() == 0xe9);
        let branch = [0xff, if is_jump { 0xe0 } else { 0xd0 } | register & 7];
        let prefix: &[u8] = if register < 8 { &[] } else { &[0x41] };
        let stops: &[&[u8]] = match (is_jump, self.plan.version < (5, 18)) {
            (false, _) => &[&[]],
            (true, false) => &[&[0xcc]],
            (true, true) => &[&[], &[0xcc]],
        };
        let mut forms = Vec::new();
        for fence in [&[][..], &[0x0f, 0xae, 0xe8]] {
            if self.plan.version >= (6, 18) {
                let free = vec![
                    if is_jump { 0xcc } else { 0x2e };
                    3_usize.saturating_sub(fence.len() + prefix.len())
                ];
                let (before, after) = if is_jump { (&[][..], &free[..]) } else { (&free[..], &[][..]) };
                let form = [fence, before, prefix, &branch, after].concat();
                forms.extend((form.len() == 5).then_some(form));
                continue;
            }
            for stop in stops {
                let mut form = [fence, prefix, &branch].concat();
                if form.len() < 5 {
                    form.extend(*stop);
                }
                if form.len() <= 5 {
                    form.extend(nop(5 - form.len()));
                    forms.push(form);
                }
            }
        }
        forms
    }

    /// __static_call_transform.
    fn static_call(&self) -> Vec<Vec<u8>> {
        let functions: Vec<_> = FUNCTIONS[..CALLED].iter().map(|(name, _)| *name).collect();
        if !self.slot.is_tail() {
            let mut forms = self.branches(0xe8, &functions);
            forms.extend([NOP.to_vec(), vec![0x2e, 0x2e, 0x2e, 0x31, 0xc0]]);
            forms.extend(self.old_nops());
            forms.extend((self.plan.version < (5, 18)).then(|| vec![0x66, 0x66, 0x48, 0x31, 0xc0]));
            return forms;
        }
        let mut forms = self.branches(0xe9, &functions);
        forms.extend(self.branches(0xe9, &["__x86_return_thunk", "srso_return_thunk"]));
        forms.push(vec![0xc3, 0xcc, 0xcc, 0xcc, 0xcc]);
        forms.extend((self.plan.version < (5, 17)).then(|| [&[0xc3], &self.code[1..5]].concat()));
        forms
    }

    /// apply_alternatives: the original or a replacement, with one NOP for several.
    fn alternatives(&self) -> Vec<Vec<u8>> {
        let mut forms = Vec::new();
        if OLD[usize::from(self.slot.old)] == [0x90; 5] {
            forms.push(NOP.into());
        }
        for new in self.slot.new.into_iter().flatten() {
            forms.push(match new {
                New::Nothing => NOP.into(),
                New::Fence => vec![0x0f, 0xae, 0xe8, 0x66, 0x90],
                New::Return => vec![0xc3, 0x0f, 0x1f, 0x40, 0],
                New::Call => self.branch(0xe8, address_of("f").unwrap()),
                New::Jump => self.jump(),
            });
        }
        forms
    }

    /// recompute_jump, __apply_relocation: a jump becomes short.
    fn jump(&self) -> Vec<u8> {
        let far = self.target().wrapping_sub(self.address).cast_signed();
        let is_old = self.plan.version < (6, 5);
        match i8::try_from(far - 2) {
            Ok(near) if !is_old => vec![0xeb, near.cast_unsigned(), 0xcc, 0xcc, 0xcc],
            Ok(near) if far >= 0 => vec![0xeb, near.cast_unsigned(), 0x0f, 0x1f, 0],
            _ => self.branch(0xe9, self.target()),
        }
    }
}

/// The tables that the kernel changes: name, the one that moves with it, and which numbers count
/// from their own address.
const TABLES: [(&str, Option<&str>, &[usize]); 4] = [
    ("__ex_table", None, &[0, 4]),
    (".orc_unwind_ip", Some(".orc_unwind"), &[0]),
    ("__mcount_loc", None, &[]),
    ("__jump_table", None, &[0, 4]),
];

fn named(module: &Module<'_>, name: &str) -> Option<usize> {
    let object = module.object();
    let (index, _) =
        object.sections().find(|(_, section)| object.section_name(section) == name.as_bytes())?;
    Some(index as usize)
}

/// module_finalize and what follows, in the memory of a relocated module. Since 6.11,
/// apply_alternatives gives all entries of a site the size of the largest; here they have it.
pub(super) fn finalize(plan: &Plan, module: &Module<'_>, world: &mut World<'_>) {
    for (name, partner, relative) in TABLES {
        let Some(section) = named(module, name).filter(|_| plan.reads(name)) else { continue };
        let mut relative = relative.to_vec();
        if name == "__ex_table" && plan.version < (5, 16) {
            relative.push(8);
        }
        let size = plan.entry_size(name);
        let mut rows = rows(world, section, size);
        let here = |row: usize, at: usize| world.spots[section].address + (row * size + at) as u64;
        let number =
            |row: &[u8], at: usize| i64::from(i32::from_le_bytes(row[at..at + 4].try_into().unwrap()));
        let long = |row: &[u8], at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap());
        // Numbers become addresses.
        let mut keyed: Vec<_> = (0..rows.len())
            .map(|row| {
                let bytes = rows[row].clone();
                let to = |at: usize| here(row, at).wrapping_add_signed(number(&bytes, at));
                let addresses: Vec<u64> = relative.iter().map(|at| to(*at)).collect();
                let key = (name == "__jump_table").then(|| here(row, 8).wrapping_add(long(&bytes, 8) & !2));
                let first = addresses.first().copied().unwrap_or_else(|| long(&bytes, 0));
                (key.map(|key| key & !3), first, addresses, key, bytes, row)
            })
            .collect();
        keyed.sort_by_key(|(key, first, ..)| (*key, *first));
        let order: Vec<usize> = keyed.iter().map(|row| row.5).collect();
        for (row, (_, _, addresses, key, bytes, _)) in keyed.into_iter().enumerate() {
            rows[row] = bytes;
            for (at, to) in relative.iter().zip(addresses) {
                rows[row][*at..at + 4].copy_from_slice(&to.wrapping_sub(here(row, *at)).to_le_bytes()[..4]);
            }
            if let Some(key) = key {
                rows[row][8..].copy_from_slice(&key.wrapping_sub(here(row, 8)).to_le_bytes());
            }
        }
        store(world, section, &rows);
        if let Some(partner) = partner.and_then(|name| named(module, name)) {
            let old = self::rows(world, partner, plan.entry_size(".orc_unwind"));
            let new: Vec<_> = order.iter().map(|row| old[*row].clone()).collect();
            store(world, partner, &new);
        }
    }
}

fn rows(world: &World<'_>, section: usize, size: usize) -> Vec<Vec<u8>> {
    world.spots[section].bytes.chunks_exact(size).map(<[u8]>::to_vec).collect()
}

fn store(world: &mut World<'_>, section: usize, rows: &[Vec<u8>]) {
    let bytes = rows.concat();
    world.spots[section].bytes[..bytes.len()].copy_from_slice(&bytes);
}

/// Whether a byte is compared.
pub(super) fn is_judged(plan: &Plan, module: &Module<'_>, section: u32, at: usize) -> bool {
    let header = module.object().section(section).unwrap();
    let bits = header.sh_flags.bits();
    let name = module.object().section_name(&header);
    let table = TABLES.iter().find(|(of, ..)| of.as_bytes() == name && plan.reads(of));
    let is_in_table = table.is_some_and(|(of, ..)| {
        let size = plan.entry_size(of);
        at < usize::try_from(header.sh_size).unwrap() / size * size
    });
    bits & 2 != 0 && (bits & 1 == 0 || bits & 4 != 0 || is_in_table)
}
