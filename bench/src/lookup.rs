//! Names: looked up by bsearch and strcmp in C, by relakit in a sorted table, and with relakit's index.

pub mod ways;

use crate::modules;
use relakit::elf::{Object, SymbolLocation};
use relakit::index::{Index, Names};
use relakit_ffi::relakit_index_size;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;
use ways::{C, CIndex, Entry, INDEX, SORTED, Table, Way, ways};

/// As many exported symbols as a kernel has, and as many symbols.
const EXPORTS: usize = 30_000;
const SYMBOLS: usize = 200_000;

/// Lookups whose time is taken together, so that the clock is not seen.
const CHUNK: usize = 500;

pub struct Row {
    pub what: &'static str,
    /// Nanoseconds a lookup.
    pub time: f64,
}

pub struct Build {
    pub what: String,
    /// Nanoseconds a name.
    pub time: f64,
    /// Of memory, a name.
    pub bytes: f64,
}

pub struct Report {
    pub lookups: usize,
    pub names: usize,
    /// Of exported symbols; the first is bsearch and strcmp in C.
    pub exports: Vec<Row>,
    /// Of every symbol by name and position, the same.
    pub symbols: Vec<Row>,
    /// Most symbols of one name.
    pub most: usize,
    /// Nanoseconds of the slowest of all of them with the index, each by itself, with the clock.
    pub slowest: f64,
    pub builds: Vec<Build>,
}

/// What is looked up: names, each with its NUL, and positions.
struct Stream {
    text: Vec<u8>,
    lookups: Vec<(u32, u32, u64)>,
}

impl Stream {
    fn new<'n>(names: impl Iterator<Item = (&'n [u8], u64)>) -> Self {
        let mut stream = Self { text: Vec::new(), lookups: Vec::new() };
        for (name, position) in names {
            stream.lookups.push((stream.text.len() as u32, name.len() as u32, position));
            stream.text.extend_from_slice(name);
            stream.text.push(0);
        }
        stream
    }

    fn lookup(&self, (start, len, position): (u32, u32, u64)) -> (&[u8], u64) {
        (&self.text[start as usize..(start + len) as usize], position)
    }

    /// All lookups in every way, each round another one first; the fastest round of each chunk counts.
    fn measure(&self, ways: &mut [Way<'_>], rounds: usize) -> Vec<Row> {
        let count = ways.len();
        for round in 0..rounds {
            for turn in 0..count {
                let way = &mut ways[(turn + round) % count];
                way.chunks.resize(self.lookups.len().div_ceil(CHUNK), f64::INFINITY);
                for (least, chunk) in way.chunks.iter_mut().zip(self.lookups.chunks(CHUNK)) {
                    let start = Instant::now();
                    for lookup in chunk {
                        let (name, position) = self.lookup(*lookup);
                        black_box((way.find)(name, position));
                    }
                    *least = least.min(start.elapsed().as_nanos() as f64);
                }
            }
        }
        let time = |way: &Way<'_>| way.chunks.iter().sum::<f64>() / self.lookups.len() as f64;
        ways.iter().map(|way| Row { what: way.name, time: time(way) }).collect()
    }

    /// The slowest lookup, of which the fastest round counts.
    fn slowest(&self, way: &Way<'_>, rounds: usize) -> f64 {
        let mut least = vec![f64::INFINITY; self.lookups.len()];
        for _ in 0..rounds {
            for (least, lookup) in least.iter_mut().zip(&self.lookups) {
                let (name, position) = self.lookup(*lookup);
                let start = Instant::now();
                black_box((way.find)(name, position));
                *least = least.min(start.elapsed().as_nanos() as f64);
            }
        }
        least.into_iter().fold(0.0, f64::max)
    }
}

/// Undefined names of all modules in their order, and defined ones.
fn names() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut undefined, mut defined) = (Vec::new(), Vec::new());
    for (_, file) in modules::find().map_or_else(Vec::new, |found| found.files) {
        let Ok(object) = Object::parse(&file) else { continue };
        let symbols = object.symbols();
        for symbol in symbols.iter().skip(1) {
            match (symbols.location(&symbol), symbols.name(&symbol)) {
                (SymbolLocation::Undefined, Ok(name)) => undefined.push(name.to_vec()),
                (SymbolLocation::Section(_), Ok(name)) if !name.is_empty() => defined.push(name.to_vec()),
                _ => {}
            }
        }
    }
    (undefined, defined)
}

/// Numbers up to `count`, always in the same disorder.
fn disorder(count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for last in (1..count).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        order.swap(last, (random % (last as u64 + 1)) as usize);
    }
    order
}

/// The fastest of `rounds` times, in nanoseconds of this thread: what takes milliseconds is interrupted by others every time.
fn fastest<T>(rounds: usize, mut build: impl FnMut() -> T) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        let start = thread_time();
        black_box(build());
        least = least.min(thread_time() - start);
    }
    least
}

fn thread_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a writable struct timespec, as clock_gettime needs it.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn builds(what: &str, table: &Table, entries: &[Entry], rounds: usize, builds: &mut Vec<Build>) {
    let count = table.count() as f64;
    let mut memory = vec![0; Index::words(table.count())];
    let mut c_index = CIndex::room(entries);
    let mut build =
        |what, time, bytes| builds.push(Build { what, time: time / count, bytes: bytes as f64 / count });
    let time = fastest(rounds, || Index::build(table, black_box(&mut memory)).is_ok());
    build(format!("{what}, names by offset"), time, size_of_val(&memory[..]));
    let time = fastest(rounds, || c_index.build(entries));
    build(format!("{what}, names by pointer, through the C ABI"), time, relakit_index_size(table.count()));
}

/// Every way must find the name; those of relakit in one table the same entry.
fn compare(stream: &Stream, ways: &[Way<'_>], table: &Table, sorted: &Table) {
    let name_of = |table: &Table, at: usize| {
        let name = table.name(at);
        name[..name.iter().position(|byte| *byte == 0).expect("NUL")].to_vec()
    };
    for lookup in &stream.lookups {
        let (name, position) = stream.lookup(*lookup);
        let at: Vec<_> = ways.iter().map(|way| (way.find)(name, position)).collect();
        assert!(at[..3].iter().all(|at| name_of(sorted, *at) == name) && at[1] == at[2]);
        assert!(at[3..].iter().all(|at| name_of(table, *at) == name) && at[3] == at[4]);
    }
}

pub fn measure(rounds: usize) -> Report {
    let (undefined, defined) = names();
    let made_up = || (0..).map(|number| format!("made_up_symbol_{number}").into_bytes());
    let mut builds_of = Vec::new();

    // Exported: what modules want, and others; in the order of names, with their text in none.
    let wanted: HashSet<&Vec<u8>> = undefined.iter().collect();
    let mut seen: HashSet<Vec<u8>> = wanted.iter().map(|name| name.to_vec()).collect();
    let mut exported: Vec<Vec<u8>> = wanted.into_iter().cloned().collect();
    let others = defined.iter().cloned().chain(made_up()).filter(|name| seen.insert(name.clone()));
    exported.extend(others.take(EXPORTS.saturating_sub(exported.len())));
    exported.sort();
    let table = Table::new(&exported, &disorder(exported.len()));
    let entries = table.entries();
    builds(&format!("{} exports", exported.len()), &table, &entries, rounds, &mut builds_of);
    let stream = match undefined.is_empty() {
        false => Stream::new(undefined.iter().map(|name| (&name[..], 1))),
        true => Stream::new(disorder(exported.len()).iter().map(|at| (&exported[*at][..], 1))),
    };
    let mut memory = vec![0; Index::words(exported.len())];
    let index = Index::build(&table, &mut memory).expect("as many words as are needed");
    let mut c_index = CIndex::room(&entries);
    c_index.build(&entries);
    let mut of_exports = ways((&table, &entries), &index, &c_index);
    compare(&stream, &of_exports, &table, &table);
    let exports = stream.measure(&mut of_exports, rounds);
    let lookups = stream.lookups.len();

    // All symbols, many of one name, with their text in the order of the table, as in /proc/kallsyms; for what needs it
    // also in the order of names.
    let all: Vec<Vec<u8>> = defined.into_iter().chain(made_up()).take(SYMBOLS).collect();
    let in_order: Vec<usize> = (0..all.len()).collect();
    let table = Table::new(&all, &in_order);
    let entries = table.entries();
    builds(&format!("{} symbols", all.len()), &table, &entries, rounds, &mut builds_of);
    let mut by_name = all.clone();
    by_name.sort();
    let sorted = Table::new(&by_name, &disorder(by_name.len()));
    let sorted_entries = sorted.entries();
    let mut counts = HashMap::<&[u8], u64>::new();
    let numbered: Vec<(&[u8], u64)> = all
        .iter()
        .map(|name| {
            let count = counts.entry(name).or_default();
            *count += 1;
            (&name[..], *count)
        })
        .collect();
    let most = counts.values().max().map_or(0, |most| *most as usize);
    let stream = Stream::new(disorder(all.len()).into_iter().map(|at| numbered[at]));
    let mut memory = vec![0; Index::words(all.len())];
    let index = Index::build(&table, &mut memory).expect("as many words as are needed");
    let mut c_index = CIndex::room(&entries);
    c_index.build(&entries);
    for (at, (name, position)) in numbered.iter().enumerate() {
        assert_eq!(index.nth(name, *position), Some(at));
    }
    let mut of_symbols = ways((&sorted, &sorted_entries), &index, &c_index);
    compare(&stream, &of_symbols, &table, &sorted);
    let symbols = stream.measure(&mut of_symbols, rounds);
    let slowest = stream.slowest(of_symbols.iter().find(|way| way.name == INDEX).expect(INDEX), rounds);
    Report { lookups, names: counts.len(), exports, symbols, most, slowest, builds: builds_of }
}

impl Report {
    /// bsearch and strcmp in C, relakit in the sorted table, and with its index: nanoseconds a lookup of an export.
    pub fn of_exports(&self) -> [f64; 3] {
        [C, SORTED, INDEX]
            .map(|what| self.exports.iter().find(|row| row.what == what).map_or(f64::NAN, |row| row.time))
    }

    /// The slowest of the indexes made, in nanoseconds a name.
    pub fn slowest_build(&self) -> f64 {
        self.builds.iter().map(|build| build.time).fold(0.0, f64::max)
    }

    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        let mut rows = |title: String, rows: &[Row]| {
            _ = write!(text, "| {title} | ns per lookup | C / this |\n|---|--:|--:|\n");
            let first = rows.first().map_or(0.0, |row| row.time);
            for Row { what, time } in rows {
                _ = writeln!(text, "| {what} | {time:.1} | {:.2} |", first / time);
            }
            text.push('\n');
        };
        rows(
            format!("the {} undefined names of all modules, in {EXPORTS} exports", self.lookups),
            &self.exports,
        );
        rows(
            format!(
                "each of {SYMBOLS} symbols by name and sympos: {} names, up to {} symbols with the same name",
                self.names, self.most
            ),
            &self.symbols,
        );
        text.push_str("| building an index of | ns per name | bytes a name |\n|---|--:|--:|\n");
        for Build { what, time, bytes } in &self.builds {
            _ = writeln!(text, "| {what} | {time:.1} | {bytes:.2} |");
        }
        _ = write!(
            text,
            "\nIf several symbols have the same name, bsearch finds any of them; relakit finds the requested one. With the index, the slowest of {SYMBOLS} separate lookups takes {:.0} ns, including the clock.\n",
            self.slowest
        );
        text
    }
}
