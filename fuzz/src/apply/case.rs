//! A table, what it is applied to, and by which rules.

use super::model::{Fault, World, row};
use arbitrary::{Result, Unstructured};
use relakit::ErrorKind;
use relakit::abi::{RELA_SIZE, SHN_LIVEPATCH, SHN_UNDEF, STB_GLOBAL, STB_WEAK, SYM_SIZE};
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::RelocFlags;

/// Small, so that fields meet each other and the end.
const MAX_BYTES: usize = 40;
const PAGE: usize = 4096;
const MAX_ENTRIES: usize = 8;
const MAX_SYMBOLS: usize = 4;

/// Numbers near which something changes: ranges of fields, the kernel's addresses, the end of all addresses.
const EDGES: [u64; 12] = [
    0,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_8000_0000,
    0xffff_ffff_c000_0000,
    0xffff_ffff_ffff_ffff,
    0x1234_5678_9abc_def0,
];

pub struct Case {
    pub world: World,
    pub table: Vec<Rela>,
    /// The table as the file has it.
    pub file: Vec<u8>,
    /// The values as a symbol table has them.
    pub symtab: Vec<u8>,
    /// What each symbol of it is: its binding and `st_shndx`.
    kind: (u8, u16),
    /// Which call of the writer fails.
    pub fails: u8,
}

fn near_an_edge(u: &mut Unstructured<'_>) -> Result<u64> {
    let which = u.arbitrary::<u8>()?;
    if which & 0x80 != 0 {
        return u.arbitrary();
    }
    let step = i64::from(u.arbitrary::<i8>()?);
    Ok(EDGES[usize::from(which) % EDGES.len()].wrapping_add_signed(step))
}

/// An entry, most often with a field in the bytes behind the first `lead`.
fn rela(u: &mut Unstructured<'_>, lead: u64) -> Result<Rela> {
    const TYPES: [u32; 16] = [0, 1, 2, 4, 10, 11, 24, 12, 13, 14, 15, 2, 4, 11, 1, 3];
    let [offset, symbol, r_type] = u.arbitrary::<[u8; 3]>()?;
    let wild = symbol & 0xf0 == 0xf0;
    Ok(Rela {
        r_offset: if wild { near_an_edge(u)? } else { lead + u64::from(offset) % (MAX_BYTES as u64 + 8) },
        r_sym: if wild { u.arbitrary()? } else { u32::from(symbol) % (MAX_SYMBOLS as u32 + 1) },
        r_type: if r_type & 0xf0 == 0xf0 { u.arbitrary()? } else { TYPES[usize::from(r_type & 15)] },
        r_addend: near_an_edge(u)?.cast_signed(),
    })
}

impl Case {
    pub fn new(data: &[u8]) -> Result<Self> {
        let u = &mut Unstructured::new(data);
        let [rules, fails, symbols, length, content] = u.arbitrary()?;
        let rules = RelocFlags::from_bits_truncate(u32::from(rules)) - RelocFlags::ADD_TO_FIELD;
        let address = near_an_edge(u)?;
        let count = usize::from(symbols) % (MAX_SYMBOLS + 1);
        let values = (0..count).map(|_| near_an_edge(u)).collect::<Result<Vec<_>>>()?;
        let length = usize::from(length) % (MAX_BYTES + 1);
        // Sometimes the last bytes of whole pages.
        let lead = match content & 0xf8 {
            0xf0 => PAGE - length,
            0xf8 => 2 * PAGE - length,
            _ => 0,
        };
        let mut bytes = vec![0; lead + length];
        // Mostly zeros, as Linux wants them.
        if content & 1 == 1 {
            u.fill_buffer(&mut bytes[lead..])?;
        }
        let mut table = Vec::with_capacity(MAX_ENTRIES);
        while table.len() < MAX_ENTRIES && !u.is_empty() {
            table.push(rela(u, lead as u64)?);
        }
        let file = table.iter().flat_map(|rela| rela.to_bytes()).collect();
        let mut symtab = vec![0xa5; values.len() * SYM_SIZE];
        let kind = match content & 6 {
            0 => (STB_GLOBAL, 0xa5a5),
            2 => (STB_GLOBAL, SHN_UNDEF),
            4 => (STB_WEAK, SHN_LIVEPATCH),
            _ => (STB_WEAK, SHN_UNDEF),
        };
        for (entry, value) in symtab.chunks_exact_mut(SYM_SIZE).zip(&values) {
            entry[4] = kind.0 << 4;
            entry[6..8].copy_from_slice(&kind.1.to_le_bytes());
            entry[8..16].copy_from_slice(&value.to_le_bytes());
        }
        Ok(Self { world: World { bytes, address, values, flags: rules }, table, file, symtab, kind, fails })
    }

    /// The table as relakit reads it.
    pub fn entries(&self) -> RelaTable<'_> {
        assert_eq!(self.file.len(), self.table.len() * RELA_SIZE);
        RelaTable::new(&self.file).expect("whole entries")
    }

    /// The error of a section whose last byte would have an address of 2^64 or more.
    pub fn wraps(&self) -> Option<Fault> {
        let World { bytes, address, .. } = &self.world;
        let end = u128::from(*address) + bytes.len() as u128;
        let error = (ErrorKind::AddressWraps, None, None, None, 0, *address, bytes.len() as u64);
        (!bytes.is_empty() && end > 1 << 64).then_some(error)
    }

    /// The error of an entry whose symbol is unresolved in the symbol table. Symbol 0 is 0, and a weak one may be.
    pub fn unresolved(&self, index: usize) -> Option<Fault> {
        let (rela, (binding, shndx)) = (self.table[index], self.kind);
        let is_open = shndx == SHN_LIVEPATCH || shndx == SHN_UNDEF && binding != STB_WEAK;
        let has_field = row(rela.r_type, self.world.flags).is_some_and(|row| row.2 != 0);
        let is_zero = rela.r_sym != 0 && self.world.values.get(rela.r_sym as usize) == Some(&0);
        let is_refused =
            is_open && has_field && is_zero && !self.world.flags.contains(RelocFlags::ALLOW_ZERO_SYMBOLS);
        let kind = ErrorKind::SymbolUnresolved;
        let at = (Some(index as u64), Some(rela.r_sym), Some(rela.r_type), rela.r_offset);
        is_refused.then_some((kind, at.0, at.1, at.2, at.3, u64::from(shndx), 0))
    }

    /// Where the field of an entry that can be applied begins, and its bytes.
    pub fn field(&self, rela: &Rela) -> (usize, usize) {
        let size = row(rela.r_type, self.world.flags).map_or(0, |row| row.2 as usize / 8);
        if size == 0 { (0, 0) } else { (rela.r_offset as usize, size) }
    }
}
