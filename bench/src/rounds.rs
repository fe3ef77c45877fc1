//! The rounds: every engine and every loader on every module, interleaved; the fastest round of each counts.

use crate::engines::{Does, ENGINES, Engine};
use crate::modules::Work;
use crate::peers::{PEERS, Took};
use crate::whole;
use relakit::elf::Rela;
use std::arch::x86_64::{_mm_clflush, _mm_mfence};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds, by module; infinite where there is no figure.
pub type Times = Vec<f64>;

pub struct Measured {
    pub works: Vec<Work>,
    pub rounds: usize,
    /// By engine, in caches that are warm.
    pub warm: Vec<Times>,
    /// By engine, with everything it touches flushed from the caches.
    pub cold: Vec<Times>,
    /// relakit's early pass of the whole module, without the copy of its sections, and with it.
    pub early: Times,
    pub load: Times,
    /// A copy of the whole file.
    pub copy: Times,
    /// By peer: the whole load, and its relocation loop.
    pub peer_loads: Vec<Times>,
    pub peer_loops: Vec<Times>,
    /// What is still to be taken from `peer_loops`.
    without_loops: Vec<Times>,
    /// By peer: how many modules it does not load, by what it says.
    pub refused: Vec<BTreeMap<String, usize>>,
}

pub fn measure(works: Vec<Work>, rounds: usize) -> Measured {
    let none = vec![f64::INFINITY; works.len()];
    let mut measured = Measured {
        rounds,
        warm: vec![none.clone(); ENGINES.len()],
        cold: vec![none.clone(); ENGINES.len()],
        early: none.clone(),
        load: none.clone(),
        copy: none.clone(),
        peer_loads: vec![none.clone(); PEERS.len()],
        peer_loops: vec![none.clone(); PEERS.len()],
        without_loops: vec![none; PEERS.len()],
        refused: vec![BTreeMap::new(); PEERS.len()],
        works,
    };
    let relocated: Vec<_> = measured.works.iter().map(relocate).collect();
    let accepted = measured.compare_peers();
    let mut room = Room::default();
    for round in 0..rounds {
        eprint!("\rround {} of {rounds}", round + 1);
        for module in 0..measured.works.len() {
            measured.engines(module, &relocated[module], round, &mut room);
            for turn in 0..3 + PEERS.len() {
                match (turn + round) % (3 + PEERS.len()) {
                    0 => measured.early(module, &relocated[module], &mut room),
                    1 => measured.load(module, &relocated[module], &mut room),
                    2 => measured.copy(module, &mut room),
                    peer if accepted[peer - 3][module] => measured.peer(module, peer - 3),
                    _ => {}
                }
            }
        }
    }
    eprintln!();
    for (with, without) in measured.peer_loops.iter_mut().zip(&measured.without_loops) {
        with.iter_mut()
            .zip(without)
            .filter(|(_, without)| without.is_finite())
            .for_each(|(with, without)| *with -= without);
    }
    measured
}

/// Memory that is used again.
#[derive(Default)]
struct Room {
    image: Vec<u8>,
    values: Vec<u64>,
    file: Vec<u8>,
}

impl Measured {
    /// Every engine once, each round another one first; cold every fourth round.
    fn engines(&mut self, module: usize, relocated: &[u8], round: usize, room: &mut Room) {
        let work = &self.works[module];
        for turn in 0..ENGINES.len() {
            let number = (turn + round) % ENGINES.len();
            least(
                &mut self.warm[number][module],
                once(&ENGINES[number], work, relocated, &mut room.image, false),
            );
        }
        for (number, engine) in ENGINES.iter().enumerate().filter(|_| round.is_multiple_of(4)) {
            least(&mut self.cold[number][module], once(engine, work, relocated, &mut room.image, true));
        }
    }

    fn early(&mut self, module: usize, relocated: &[u8], room: &mut Room) {
        let work = &self.works[module];
        room.image.clear();
        room.image.extend_from_slice(&work.pristine);
        least(&mut self.early[module], whole::early(work, &mut room.image, &mut room.values));
        assert!(room.image == relocated, "{}: other bytes by the early pass", work.name);
    }

    fn load(&mut self, module: usize, relocated: &[u8], room: &mut Room) {
        let work = &self.works[module];
        room.image.resize(work.pristine.len(), 0);
        least(&mut self.load[module], whole::load(work, &mut room.image, &mut room.values));
        assert!(room.image == relocated, "{}: other bytes by the whole load", work.name);
    }

    fn copy(&mut self, module: usize, room: &mut Room) {
        let file = &self.works[module].file;
        room.file.resize(file.len(), 0);
        let start = Instant::now();
        room.file.copy_from_slice(file);
        black_box(&mut room.file);
        least(&mut self.copy[module], start.elapsed().as_nanos() as f64);
    }

    fn peer(&mut self, module: usize, peer: usize) {
        let work = &self.works[module];
        let Took { load, with_loop, without_loop } = (PEERS[peer].load)(work).expect(&work.name);
        least(&mut self.peer_loads[peer][module], load);
        least(&mut self.peer_loops[peer][module], with_loop);
        least(&mut self.without_loops[peer][module], without_loop);
    }

    /// Which modules each peer loads; what it makes of them must be what relakit makes.
    fn compare_peers(&mut self) -> Vec<Vec<bool>> {
        let Self { works, refused, .. } = self;
        let accepts = |(peer, refused): (&crate::peers::Peer, &mut BTreeMap<String, usize>)| {
            let accepts = |work: &Work| match (peer.load)(work) {
                Ok(_) => {
                    (peer.compare)(work).unwrap_or_else(|why| panic!("{}, {}: {why}", peer.name, work.name));
                    true
                }
                Err(why) => {
                    *refused.entry(why).or_default() += 1;
                    false
                }
            };
            works.iter().map(accepts).collect()
        };
        PEERS.iter().zip(refused).map(accepts).collect()
    }
}

fn least(slot: &mut f64, time: f64) {
    *slot = slot.min(time);
}

/// One engine on one module, from the right bytes to the right bytes.
fn once(engine: &Engine, work: &Work, relocated: &[u8], image: &mut Vec<u8>, cold: bool) -> f64 {
    let before = if engine.does == Does::Clear { relocated } else { &work.pristine };
    image.clear();
    image.extend_from_slice(before);
    if engine.does == Does::Fail {
        spoil(work, image);
    }
    if cold {
        flush(work, image);
    }
    let start = Instant::now();
    let went_well = (engine.run)(work, image);
    let took = start.elapsed().as_nanos() as f64;
    assert!(went_well, "{}: {}", engine.name, work.name);
    if engine.does == Does::Fail {
        spoil(work, image);
    }
    let after = match engine.does {
        Does::Relocate => Some(relocated),
        Does::Clear | Does::Check | Does::Fail => Some(&work.pristine[..]),
        Does::Nonsense => None,
    };
    assert!(after.is_none_or(|after| after == image), "{}: {}: other bytes", engine.name, work.name);
    took
}

/// Makes the last field of every section something else than zero, or zero again.
fn spoil(work: &Work, image: &mut [u8]) {
    for job in &work.jobs {
        let entries = work.file[job.rela.clone()].as_chunks().0;
        if let Some(last) = entries.iter().rev().map(Rela::read).find(|rela| rela.r_type != 0) {
            image[job.target.start + last.r_offset as usize] ^= 1;
        }
    }
}

/// Nothing that a loop reads or writes is in a cache.
fn flush(work: &Work, image: &[u8]) {
    let lines = |bytes: &[u8]| {
        for line in bytes.chunks(64) {
            // SAFETY: the line is in a live slice, and flushing changes no content.
            unsafe { _mm_clflush(line.as_ptr()) };
        }
    };
    work.jobs.iter().for_each(|job| lines(&work.file[job.rela.clone()]));
    lines(image);
    // SAFETY: a u64 may be read as bytes, because a `u8` may have any value.
    lines(unsafe { work.values.align_to().1 });
    // SAFETY: an array of u64 may be read as bytes, because a `u8` may have any value.
    lines(unsafe { work.symtab.align_to().1 });
    // SAFETY: each x86-64 processor has this instruction, which only waits.
    unsafe { _mm_mfence() };
}

/// The image as the first engine relocates it.
fn relocate(work: &Work) -> Vec<u8> {
    let mut image = work.pristine.clone();
    assert!((ENGINES[0].run)(work, &mut image), "{}", work.name);
    image
}
