//! Tables of names, and the ways to look names up in them.

use relakit::index::{Index, Names, find_sorted};
use relakit_ffi::{relakit_find_sorted, relakit_index, relakit_index_build, relakit_index_find};
use relakit_ffi::{relakit_index_size, relakit_name_table};
use std::ffi::{c_char, c_void};
use std::hint::black_box;
use std::ptr;

/// As in bench/c/lookup.c.
#[repr(C)]
pub struct Entry {
    name: *const c_char,
    value: u64,
}

unsafe extern "C" {
    fn bench_bsearch(entries: *const Entry, count: usize, name: *const c_char) -> usize;
}

/// Where the `position`-th entry of a name is. The name ends with a NUL, which is not part of it.
type Find<'a> = Box<dyn Fn(&[u8], u64) -> usize + 'a>;

/// A way to look names up.
pub struct Way<'a> {
    pub name: &'static str,
    pub find: Find<'a>,
    /// By chunk of lookups, the fastest round, in nanoseconds.
    pub chunks: Vec<f64>,
}

/// A table in memory, in every form that is asked for.
pub struct Table {
    /// Names with their NULs, in any order.
    text: Vec<u8>,
    /// Where each entry's name begins.
    offsets: Vec<u32>,
}

impl Table {
    /// The names in the order of `names`; their text in that of `order`.
    pub fn new(names: &[Vec<u8>], order: &[usize]) -> Self {
        let mut table = Self { text: Vec::new(), offsets: vec![0; names.len()] };
        for at in order {
            table.offsets[*at] = table.text.len() as u32;
            table.text.extend_from_slice(&names[*at]);
            table.text.push(0);
        }
        table
    }

    pub fn entries(&self) -> Vec<Entry> {
        let name = |offset: &u32| self.text[*offset as usize..].as_ptr().cast();
        self.offsets.iter().map(|offset| Entry { name: name(offset), value: 0 }).collect()
    }
}

impl Names for Table {
    fn count(&self) -> usize {
        self.offsets.len()
    }

    fn name(&self, at: usize) -> &[u8] {
        let offset = self.offsets.get(at).copied().unwrap_or(u32::MAX);
        self.text.get(offset as usize..).unwrap_or_default()
    }
}

fn in_c(entries: &[Entry]) -> relakit_name_table {
    relakit_name_table {
        struct_size: size_of::<relakit_name_table>() as u32,
        flags: 0,
        first: entries.as_ptr().cast(),
        stride: size_of::<Entry>(),
        count: entries.len(),
        strings: ptr::null(),
        strings_size: 0,
    }
}

/// What the C library needs for an index of a table.
pub struct CIndex(Vec<u64>);

impl CIndex {
    pub fn room(entries: &[Entry]) -> Self {
        Self(vec![0; relakit_index_size(entries.len()).div_ceil(8)])
    }

    pub fn build(&mut self, entries: &[Entry]) {
        let mut index = ptr::null();
        let (memory, size) = (self.0.as_mut_ptr().cast::<c_void>(), size_of_val(&self.0[..]));
        // SAFETY: the names, the memory and the index outlive the call.
        let status =
            unsafe { relakit_index_build(&in_c(entries), memory, size, &mut index, ptr::null_mut()) };
        assert!(status == 0 && index.cast() == self.0.as_ptr());
    }
}

type CFindSorted =
    unsafe extern "C" fn(*const relakit_name_table, *const c_char, usize, u64, *mut usize) -> i32;
type CFind = unsafe extern "C" fn(*const relakit_index, *const c_char, usize, u64, *mut usize) -> i32;

/// bsearch and strcmp, and all of relakit's ways: in `sorted`, and in `table` with its index.
pub fn ways<'a>(
    sorted: (&'a Table, &'a [Entry]),
    index: &'a Index<'a, &'a Table>,
    c_index: &'a CIndex,
) -> Vec<Way<'a>> {
    let way = |name, find: Find<'a>| Way { name, find, chunks: Vec::new() };
    let (sorted, entries) = sorted;
    let names = in_c(entries);
    // As a C program calls them: not inlined.
    let c_find_sorted = black_box(relakit_find_sorted as CFindSorted);
    let c_find = black_box(relakit_index_find as CFind);
    let bsearch = move |name: &[u8], _| {
        // SAFETY: the names of the entries, and the one that is looked for, end with NUL.
        unsafe { bench_bsearch(entries.as_ptr(), entries.len(), name.as_ptr().cast()) }
    };
    let in_order = move |name: &[u8], position| find_sorted(sorted, name, position).unwrap_or(usize::MAX);
    let in_order_c = move |name: &[u8], position| {
        let mut at = 0;
        // SAFETY: the names of the table end with NUL, and `name` has the length that is passed.
        let status = unsafe { c_find_sorted(&names, name.as_ptr().cast(), name.len(), position, &mut at) };
        if status == 0 { at } else { usize::MAX }
    };
    let indexed = move |name: &[u8], position| index.nth(name, position).unwrap_or(usize::MAX);
    let indexed_c = move |name: &[u8], position| {
        let mut at = 0;
        // SAFETY: `build` has made the index in this memory, and `name` has the length that is
        // passed.
        let status =
            unsafe { c_find(c_index.0.as_ptr().cast(), name.as_ptr().cast(), name.len(), position, &mut at) };
        if status == 0 { at } else { usize::MAX }
    };
    vec![
        way(C, Box::new(bsearch)),
        way(SORTED, Box::new(in_order)),
        way("relakit, sorted table, through the C ABI", Box::new(in_order_c)),
        way(INDEX, Box::new(indexed)),
        way("relakit, index, through the C ABI", Box::new(indexed_c)),
    ]
}

pub const C: &str = "C: bsearch and strcmp";
pub const SORTED: &str = "relakit, sorted table";
pub const INDEX: &str = "relakit, index";
