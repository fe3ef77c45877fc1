//! A table, what it is applied to, and by which rules.

use arbitrary::{Result, Unstructured};
use relakit::abi::{RELA_SIZE, SHN_LIVEPATCH, SHN_UNDEF, STB_GLOBAL, STB_WEAK, SYM_SIZE};
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::RelocFlags;
use relakit_model::table::World;

/// Small, so that fields meet each other and the end.
const MAX_BYTES: usize = 40;
const PAGE: usize = 4096;
const MAX_ENTRIES: usize = 8;
const MAX_SYMBOLS: usize = 4;

/// Numbers near which something changes: ranges of fields, the kernel's addresses, the end of all
/// addresses.
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
    /// Which call of the writer fails.
    pub fails: u8,
    /// What the global offset table of `got` is.
    pub got: u8,
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
    /// Those that refer to a global offset table.
    const GOT_TYPES: [u32; 16] = [9, 25, 26, 27, 28, 29, 31, 41, 42, 43, 46, 49, 9, 42, 25, 26];
    let [offset, symbol, r_type] = u.arbitrary::<[u8; 3]>()?;
    let wild = symbol & 0xf0 == 0xf0;
    Ok(Rela {
        r_offset: if wild { near_an_edge(u)? } else { lead + u64::from(offset) % (MAX_BYTES as u64 + 8) },
        r_sym: if wild { u.arbitrary()? } else { u32::from(symbol) % (MAX_SYMBOLS as u32 + 1) },
        r_type: match r_type >> 4 {
            0xf => u.arbitrary()?,
            0xe => GOT_TYPES[usize::from(r_type & 15)],
            _ => TYPES[usize::from(r_type & 15)],
        },
        r_addend: near_an_edge(u)?.cast_signed(),
    })
}

impl Case {
    pub fn new(data: &[u8]) -> Result<Self> {
        let u = &mut Unstructured::new(data);
        let [flags, fails, symbols, length, content] = u.arbitrary()?;
        let flags = RelocFlags::from_bits_truncate(u32::from(flags)) - RelocFlags::ADD_TO_FIELD;
        let address = near_an_edge(u)?;
        let count = usize::from(symbols) % (MAX_SYMBOLS + 1);
        let got = symbols / (MAX_SYMBOLS as u8 + 1);
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
        Ok(Self { world: World { bytes, address, values, flags }, table, file, symtab, fails, got })
    }

    /// The table as relakit reads it.
    pub fn entries(&self) -> RelaTable<'_> {
        assert_eq!(self.file.len(), self.table.len() * RELA_SIZE);
        RelaTable::new(&self.file).expect("whole entries")
    }
}
