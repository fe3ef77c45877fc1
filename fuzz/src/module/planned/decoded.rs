//! What the fields of a loaded module say, read back by the formulas of the psABI (table 4.10).

use super::super::life::Known;
use super::{Early, Scene, size};
use relakit::Memory;
use relakit::elf::{Binding, SymbolLocation};
use relakit::reloc::GotFlags;
use relakit_model::table::{fits, number, row, signed, value};
use relakit_model::world::{Answers, World};
use std::collections::{BTreeMap, BTreeSet};

/// A module that is loaded.
pub(super) struct Decoded<'d, 'f, 'w> {
    scene: &'d Scene<'d, 'f>,
    world: &'d World<'w>,
    values: &'d [u64],
    /// Bytes and address of the GOT.
    got: (&'d [u8], u64),
    /// The offset of each symbol's slot.
    slots: BTreeMap<u32, u64>,
}

impl<'d, 'f, 'w> Decoded<'d, 'f, 'w> {
    pub(super) fn new(scene: &'d Scene<'d, 'f>, world: &'d World<'w>, values: &'d [u64]) -> Self {
        let spot = scene.got().map(|got| &world.spots[got as usize]);
        let got = spot.map_or((&[][..], 0), |spot| (&spot.bytes[..], spot.address));
        Self { scene, world, values, got, slots: BTreeMap::new() }
    }

    /// Each field leads to a slot with the value of its symbol.
    pub(super) fn check(mut self, answers: &Known) {
        self.has_values(answers);
        let scene = self.scene;
        for (index, early) in scene.entries.iter().enumerate() {
            let (size, offset) = (size(early.rela, scene.module) as u64, early.rela.r_offset);
            let overlaps = |later: &Early| {
                let (other, length) = (later.rela.r_offset, super::size(later.rela, scene.module) as u64);
                later.target == early.target && other < offset + size && offset < other + length
            };
            if size != 0 && !scene.entries[index + 1..].iter().any(overlaps) {
                self.field(early, size as usize);
            }
        }
        let offsets: BTreeSet<_> = self.slots.values().collect();
        assert_eq!(offsets.len(), self.slots.len(), "each symbol has its own slot");
    }

    /// The values are those of the symbols.
    fn has_values(&self, answers: &Known) {
        let symbols = self.scene.module.object().symbols();
        for (symbol, (index, value)) in symbols.iter().zip((0..).zip(self.values)).skip(1) {
            // A name that cannot be read has no answer: the pass refuses it.
            let name = symbols.name(&symbol).unwrap_or_default();
            let expected = match symbols.location(&symbol) {
                SymbolLocation::Absolute => Some(symbol.st_value),
                SymbolLocation::Section(section) => {
                    self.world.base(section).map(|base| base.wrapping_add(symbol.st_value))
                }
                SymbolLocation::Undefined if name == b"_GLOBAL_OFFSET_TABLE_" => {
                    Some(if self.scene.got().is_some() { self.got.1 } else { symbol.st_value })
                }
                SymbolLocation::Undefined => {
                    answers.exported(name).or((symbol.binding() == Binding::WEAK).then_some(symbol.st_value))
                }
                _ => None,
            };
            assert!(expected.is_none_or(|expected| expected == *value), "{index}: {symbol:?} {value:#x}");
        }
    }

    /// The field of an entry, of `size` bytes, that no later one overlaps.
    fn field(&mut self, early: &Early, size: usize) {
        let Early { target, rela } = *early;
        let (spot, s) = (&self.world.spots[target as usize], self.values[rela.r_sym as usize]);
        let content = number(&spot.bytes[usize::try_from(rela.r_offset).unwrap()..][..size]) as u64;
        // Sign-extended.
        let field = if size == 4 { i64::from(content as u32 as i32).cast_unsigned() } else { content };
        let (a, p) = (rela.r_addend.cast_unsigned(), spot.address.wrapping_add(rela.r_offset));
        let absolute = field.wrapping_sub(a);
        let relative = absolute.wrapping_add(p);
        match rela.r_type {
            // G + GOT + A - P
            9 | 28 | 41 | 42 | 43 | 46 | 49 => self.slot(rela.r_sym, relative.wrapping_sub(self.got.1)),
            // G + A
            27 => self.slot(rela.r_sym, absolute),
            // GOT + A - P
            26 | 29 => assert_eq!(relative, self.got.1, "{early:?}"),
            // S + A - GOT
            25 | 31 => assert_eq!(absolute.wrapping_add(self.got.1), s, "{early:?}"),
            _ => {
                let flags = self.scene.module.profile().flags;
                let row = row(rela.r_type, flags).expect("applied");
                let direct = value(row, s, rela.r_addend, p);
                match fits(row, direct, flags) {
                    true => assert_eq!(content as i128, direct & ((1 << (8 * size)) - 1), "{early:?}"),
                    false => self.stub(early, relative.wrapping_sub(self.got.1)),
                }
            }
        }
    }

    /// The slot at this offset belongs to `symbol`, and has its value.
    fn slot(&mut self, symbol: u32, offset: u64) {
        let at = usize::try_from(offset).unwrap();
        assert_eq!(number(&self.got.0[at..at + 8]) as u64, self.values[symbol as usize], "{symbol}");
        assert_eq!((offset % 8, *self.slots.entry(symbol).or_insert(offset)), (0, offset), "{symbol}");
    }

    /// The stub at this offset jumps through the slot of the symbol.
    fn stub(&mut self, early: &Early, offset: u64) {
        assert!(self.scene.has_stubs(), "{early:?}");
        let is_in_code = self.scene.is_in_code(early);
        assert!(early.rela.r_type == 4 || early.rela.r_type == 2 && is_in_code, "{early:?}");
        assert!(!is_in_code || early.rela.r_addend == -4, "{early:?}");
        assert_eq!(offset % 16, 0);
        let stub = &self.got.0[usize::try_from(offset).unwrap()..];
        let (code, length) = match self.scene.flags.contains(GotFlags::ENDBR) {
            true => (stub.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).expect("endbr64"), 10),
            false => (stub, 6),
        };
        assert_eq!(code[..2], [0xff, 0x25], "jmp *slot(%rip)");
        let distance = signed(i128::from(i64::from(i32::from_le_bytes(code[2..6].try_into().unwrap()))));
        self.slot(early.rela.r_sym, u64::try_from(i128::from(offset) + length + distance).unwrap());
    }
}
