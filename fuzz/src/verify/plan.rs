//! A module with code that a kernel rewrites, and with tables that it sorts.

use crate::module::Bytes;
use relakit::Profile;
use relakit_linux::special::{Version, by_name};
use relakit_model::image::{ALLOC, Builder, Entry, GLOBAL, LOCAL, PROGBITS, R_64, R_PC32, WRITE};
use std::collections::BTreeMap;

pub(super) const VERSIONS: [Version; 8] =
    [(6, 12), (6, 1), (5, 10), (5, 15), (5, 18), (6, 6), (6, 15), (7, 3)];

/// Bytes of code for each slot.
pub(super) const SLOT: usize = 16;
const EXEC: u64 = 4;
const R_PC64: u32 = 24;
const STT_SECTION: u8 = 3;
const MOST_SLOTS: usize = 12;

/// What is at the beginning of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Call,
    LateCall,
    JumpLabel,
    Lock,
    Return,
    Trace,
    Retpoline,
    Endbr,
    StaticCall,
    Alternative,
}

const KINDS: [Kind; 11] = [
    Kind::JumpLabel,
    Kind::Alternative,
    Kind::Call,
    Kind::Lock,
    Kind::Return,
    Kind::Trace,
    Kind::Retpoline,
    Kind::Endbr,
    Kind::StaticCall,
    Kind::LateCall,
    Kind::Code,
];

/// The replacements of an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum New {
    Nothing,
    Fence,
    Return,
    Call,
    Jump,
}

const NEW: [New; 5] = [New::Nothing, New::Fence, New::Return, New::Call, New::Jump];

/// What an alternative replaces: NOPs, a NOP that is longer, an instruction with a lock prefix.
pub(super) const OLD: [[u8; 5]; 3] =
    [[0x90; 5], [0x48, 0x89, 0xd8, 0x66, 0x90], [0xf0, 0x48, 0xff, 0x03, 0x90]];

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    /// The register, the variant.
    pub(super) choice: u8,
    /// Offset in the text to which a jump leads.
    pub(super) target: u16,
    /// Of an alternative: the original, and one or two replacements.
    pub(super) old: u8,
    pub(super) new: [Option<New>; 2],
}

pub(super) struct Plan {
    pub(super) version: Version,
    pub(super) slots: Vec<Slot>,
    /// Whether tables are in the order of the code, or the other way round.
    is_reversed: bool,
    /// Entries of the exception table and of ORC, as offsets in the text.
    exceptions: Vec<[u8; 2]>,
    unwind: Vec<u8>,
    /// Bytes after the constants that are relocated.
    constants: u8,
}

impl Plan {
    pub(super) fn read(bytes: &mut Bytes<'_>) -> Self {
        let version = bytes.of(&VERSIONS);
        let is_reversed = bytes.byte() & 1 == 1;
        let count = 1 + bytes.below(MOST_SLOTS);
        let slots = (0..count).map(|_| slot(bytes, count * SLOT)).collect();
        let exceptions = (0..bytes.below(6)).map(|_| [bytes.byte(), bytes.byte()]).collect();
        let unwind = (0..bytes.below(6)).map(|_| bytes.byte()).collect();
        Self { version, slots, is_reversed, exceptions, unwind, constants: bytes.byte() }
    }

    pub(super) fn profile(&self) -> Profile {
        let (major, minor) = self.version;
        Profile::for_linux(major, minor).copied().unwrap_or_default()
    }

    pub(super) fn has_late(&self) -> bool {
        self.slots.iter().any(|slot| slot.kind == Kind::LateCall)
    }

    /// Whether the kernel reads a section. Stable kernels read two of them before their mainline
    /// version.
    pub(super) fn reads(&self, name: &str) -> bool {
        let is_backported = [".retpoline_sites", ".return_sites"].contains(&name);
        is_backported || by_name(name.as_bytes()).is_some_and(|special| special.is_read_by(self.version))
    }

    pub(super) fn entry_size(&self, name: &str) -> usize {
        by_name(name.as_bytes()).and_then(|special| special.entry_size(self.version)).unwrap_or(4).into()
    }

    /// The module as a file.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut making = Making::new(self);
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        if self.is_reversed {
            order.reverse();
        }
        order.into_iter().for_each(|number| making.slot(self, number));
        making.tables(self);
        making.build(self)
    }
}

fn slot(bytes: &mut Bytes<'_>, text: usize) -> Slot {
    let kind = bytes.of(&KINDS);
    let (choice, target) = (bytes.byte(), bytes.byte());
    let (old, new) = match kind {
        Kind::Alternative => {
            let (old, first) = (bytes.byte(), Some(bytes.of(&NEW)));
            (old, [first, (bytes.below(2) == 1).then(|| bytes.of(&NEW))])
        }
        _ => (0, [None; 2]),
    };
    let target = u16::try_from(usize::from(target) * 7 % text).unwrap();
    Slot { kind, choice, target, old: old % 3, new }
}

/// A section in the making: its bytes and relocations.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

struct Making {
    builder: Builder,
    text: Part,
    late: Vec<Entry>,
    parts: BTreeMap<&'static str, Part>,
    text_symbol: u32,
    /// By name.
    symbols: BTreeMap<String, u32>,
}

/// Section index of the code, and of the data.
pub(super) const TEXT: u32 = 1;
const DATA: u16 = 2;

impl Making {
    fn new(plan: &Plan) -> Self {
        let mut builder = Builder::new();
        builder.section(".text", PROGBITS, ALLOC | EXEC, Vec::new());
        builder.section(".data", PROGBITS, ALLOC | WRITE, vec![0; 64]);
        let text_symbol = builder.symbol("", LOCAL | STT_SECTION, 1, 0);
        builder.symbol("data", LOCAL, DATA, 0);
        // What is between the sites is no NOP and no zero.
        let bytes = (0..plan.slots.len() * SLOT).map(|at| 0x50 | (at & 7) as u8).collect();
        let text = Part { bytes, entries: Vec::new() };
        let (parts, symbols) = (BTreeMap::new(), BTreeMap::new());
        Self { builder, text, late: Vec::new(), parts, text_symbol, symbols }
    }

    fn symbol(&mut self, name: &str) -> u32 {
        if name == "data" {
            return self.text_symbol + 1;
        }
        let builder = &mut self.builder;
        *self.symbols.entry(name.into()).or_insert_with(|| builder.symbol(name, GLOBAL, 0, 0))
    }

    fn put(&mut self, at: usize, code: &[u8]) {
        self.text.bytes[at..][..code.len()].copy_from_slice(code);
    }

    /// An opcode of one byte, and the distance to a symbol.
    fn branch(&mut self, at: usize, op: u8, symbol: &str) {
        let symbol = self.symbol(symbol);
        self.put(at, &[op, 0, 0, 0, 0]);
        self.text.entries.push((at as u64 + 1, symbol, R_PC32, -4));
    }

    /// Adds the distance from itself to an offset in the text.
    fn offset(&mut self, section: &'static str, to: usize) {
        let symbol = self.text_symbol;
        let part = self.parts.entry(section).or_default();
        part.entries.push((part.bytes.len() as u64, symbol, R_PC32, to as i64));
        part.bytes.extend([0; 4]);
    }

    fn bytes(&mut self, section: &'static str, bytes: &[u8]) {
        self.parts.entry(section).or_default().bytes.extend(bytes);
    }

    /// Adds the distance from itself to the data, in 4 or 8 bytes.
    fn key(&mut self, section: &'static str, size: usize, addend: i64) {
        let symbol = self.symbol("data");
        let part = self.parts.entry(section).or_default();
        part.entries.push((part.bytes.len() as u64, symbol, if size == 8 { R_PC64 } else { R_PC32 }, addend));
        part.bytes.resize(part.bytes.len() + size, 0);
    }

    fn slot(&mut self, plan: &Plan, number: usize) {
        let (at, slot) = (number * SLOT, plan.slots[number]);
        match slot.kind {
            Kind::Code => {}
            Kind::Call => self.branch(at, 0xe8, "f"),
            Kind::LateCall => {
                self.put(at, &[0xe8, 0, 0, 0, 0]);
                self.late.push((at as u64 + 1, 0, R_PC32, -4));
            }
            Kind::JumpLabel => {
                if slot.choice & 1 == 0 {
                    self.put(at, &[0x0f, 0x1f, 0x44, 0, 0]);
                } else {
                    self.put(at, &[0xe9, 0, 0, 0, 0]);
                    let to = i64::from(slot.target) - 4;
                    self.text.entries.push((at as u64 + 1, self.text_symbol, R_PC32, to));
                }
                self.offset("__jump_table", at);
                self.offset("__jump_table", slot.target.into());
                self.key("__jump_table", 8, i64::from((slot.choice % 16) & !2));
            }
            Kind::Lock => {
                self.put(at, &[0xf0]);
                self.offset(".smp_locks", at);
            }
            Kind::Return => {
                self.branch(at, 0xe9, "__x86_return_thunk");
                self.offset(".return_sites", at);
            }
            Kind::Trace => {
                self.branch(at, 0xe8, "__fentry__");
                let symbol = self.text_symbol;
                let part = self.parts.entry("__mcount_loc").or_default();
                part.entries.push((part.bytes.len() as u64, symbol, R_64, at as i64));
                part.bytes.extend([0; 8]);
            }
            Kind::Retpoline => {
                self.branch(at, slot.branch(), &slot.thunk());
                self.offset(".retpoline_sites", at);
            }
            Kind::Endbr => {
                self.put(at, &[0xf3, 0x0f, 0x1e, 0xfa]);
                self.offset(".ibt_endbr_seal", at);
            }
            Kind::StaticCall => {
                self.branch(at, if slot.is_tail() { 0xe9 } else { 0xe8 }, "__SCT__g");
                self.offset(".static_call_sites", at);
                self.key(".static_call_sites", 4, 8 + i64::from(slot.is_tail()));
            }
            Kind::Alternative => self.alternative(plan, at, slot),
        }
    }

    fn alternative(&mut self, plan: &Plan, at: usize, slot: Slot) {
        let old = OLD[usize::from(slot.old)];
        self.put(at, &old);
        if old[0] == 0xf0 {
            self.offset(".smp_locks", at);
        }
        for new in slot.new.into_iter().flatten() {
            let from = self.parts.entry(".altinstr_replacement").or_default().bytes.len();
            let code: &[u8] = match new {
                New::Nothing => &[],
                New::Fence => &[0x0f, 0xae, 0xe8],
                New::Return => &[0xc3],
                New::Call => &[0xe8, 0, 0, 0, 0],
                New::Jump => &[0xe9, 0, 0, 0, 0],
            };
            let field = from as u64 + 1;
            let f = self.symbol("f");
            let text = (field, self.text_symbol, R_PC32, i64::from(slot.target) - 4);
            let part = self.parts.entry(".altinstr_replacement").or_default();
            part.bytes.extend(code);
            match new {
                New::Call => part.entries.push((field, f, R_PC32, -4)),
                New::Jump => part.entries.push(text),
                _ => {}
            }
            self.offset(".altinstructions", at);
            let symbol = self.symbol("replacements");
            let part = self.parts.entry(".altinstructions").or_default();
            part.entries.push((part.bytes.len() as u64, symbol, R_PC32, from as i64));
            part.bytes.extend([0; 4]);
            let size = plan.entry_size(".altinstructions");
            // A feature, and the sizes; 13 bytes have one more.
            let sizes = [old.len() as u8, code.len() as u8];
            let mut rest = vec![7];
            rest.resize(if size == 14 { 4 } else { 2 }, 0);
            rest.extend(sizes);
            rest.resize(size - 8, 0);
            self.bytes(".altinstructions", &rest);
        }
    }

    fn tables(&mut self, plan: &Plan) {
        let text = plan.slots.len() * SLOT;
        for (number, [from, to]) in plan.exceptions.iter().enumerate() {
            self.offset("__ex_table", usize::from(*from) % text);
            self.offset("__ex_table", usize::from(*to) % text);
            match plan.version < (5, 16) {
                true => self.offset("__ex_table", number),
                false => self.bytes("__ex_table", &[number as u8, 1, 0, 0]),
            }
        }
        for (number, from) in plan.unwind.iter().enumerate() {
            self.offset(".orc_unwind_ip", usize::from(*from) % text);
            self.bytes(".orc_unwind", &[number as u8 + 1, 2, 3, 4, 5, 6]);
        }
    }

    fn build(mut self, plan: &Plan) -> Vec<u8> {
        self.builder.at(TEXT).bytes = self.text.bytes;
        let (f, late) = (self.symbols.get("f").copied(), self.builder.klp_symbol(".klp.sym.a.late,0"));
        for (name, mut part) in std::mem::take(&mut self.parts) {
            // As compilers flag them.
            let flags = match name {
                "__jump_table" | ".static_call_sites" => ALLOC | WRITE,
                ".altinstr_replacement" => ALLOC | EXEC,
                _ => ALLOC,
            };
            part.bytes.resize(part.bytes.len().max(1), 0);
            let section = self.builder.section(name, PROGBITS, flags, part.bytes);
            if name == ".altinstr_replacement" {
                // It comes before the entries, in the order of the names.
                let symbol = self.symbols.get("replacements").copied();
                let symbol = symbol.map(|symbol| &mut self.builder.symbols[symbol as usize]);
                if let Some(symbol) = symbol {
                    symbol.shndx = u16::try_from(section).unwrap();
                }
            }
            self.builder.rela(section, &part.entries);
        }
        let mut constants = vec![0; 16];
        constants.resize(16 + usize::from(plan.constants), 0x33);
        let rodata = self.builder.section(".rodata", PROGBITS, ALLOC, constants);
        let entries: Vec<Entry> = f.map(|f| (8, f, R_64, 3)).into_iter().chain([(0, 1, R_64, 1)]).collect();
        self.builder.rela(rodata, &entries);
        self.builder.rela(TEXT, &self.text.entries);
        if !self.late.is_empty() {
            self.late.iter_mut().for_each(|entry| entry.1 = late);
            self.builder.klp("a", TEXT, &self.late);
        }
        self.builder.build()
    }
}

impl Slot {
    pub(super) const fn is_tail(self) -> bool {
        self.choice & 1 == 1
    }

    /// The opcode of a retpoline.
    pub(super) const fn branch(self) -> u8 {
        if self.choice & 0x10 == 0 { 0xe8 } else { 0xe9 }
    }

    pub(super) const fn register(self) -> u8 {
        self.choice & 15
    }

    fn thunk(self) -> String {
        format!("__x86_indirect_thunk_{}", REGISTERS[usize::from(self.register())])
    }
}

/// In the order of their numbers.
pub(super) const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
