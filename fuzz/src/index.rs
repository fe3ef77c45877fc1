//! `index`: names looked up in a table, in order and with an index, against going through the whole
//! table.

use relakit::ErrorKind;
use relakit::elf::NAME_MAX;
use relakit::index::{Index, find_sorted};

const MOST: usize = 48;

/// The first byte says how the table is made, the others are names with line feeds between them. A
/// name ends at its NUL.
pub fn run(data: &[u8]) {
    let Some((&how, names)) = data.split_first() else { return };
    let colliding: Vec<[u8; 24]> = colliding().take(usize::from(how >> 4)).collect();
    let mut names: Vec<&[u8]> = names.split(|byte| *byte == b'\n').take(MOST).collect();
    names.extend(colliding.iter().map(|name| &name[..]));
    let is_sorted = how & 1 != 0;
    if is_sorted {
        names.sort_by_key(|name| text(name));
    }
    let names = &names[..];

    let words = Index::words(names.len());
    let mut memory = vec![0xa5a5_a5a5; words + usize::from(how >> 1 & 1)];
    let short = Index::build(names, &mut memory[..words - 1]).expect_err("one word is missing");
    assert_eq!((short.kind, short.limit), (ErrorKind::IndexTooShort, words as u64 * 4));
    assert!(memory.iter().all(|word| *word == 0xa5a5_a5a5), "all or nothing");
    let index = Index::build(names, &mut memory).expect("as much as it asked for");

    for name in names {
        let wanted = text(name);
        let longer = [wanted, b"x"].concat();
        look_up(names, &index, is_sorted, wanted);
        look_up(names, &index, is_sorted, &longer);
        look_up(names, &index, is_sorted, &wanted[..wanted.len() / 2]);
        // A NUL is part of no name.
        let ended = [wanted, b"\0"].concat();
        assert_eq!((index.find(&ended), find_sorted(names, &ended, 1)), (None, None));
    }
    assert_eq!(index.find(&[b'x'; NAME_MAX + 1]), None);
}

fn text(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Every position there is, and those before and behind.
fn look_up(names: &[&[u8]], index: &Index<'_, &[&[u8]]>, is_sorted: bool, wanted: &[u8]) {
    let is_wanted = |at: &usize| text(names[*at]) == wanted && wanted.len() <= NAME_MAX;
    let all: Vec<usize> = (0..names.len()).filter(is_wanted).collect();
    assert_eq!(index.find(wanted), all.first().copied());
    for position in [0, u64::MAX].into_iter().chain(1..all.len() as u64 + 2) {
        let nth =
            usize::try_from(position).ok().and_then(|position| all.get(position.wrapping_sub(1))).copied();
        assert_eq!(index.nth(wanted, position), nth, "in the table's order");
        let found = find_sorted(names, wanted, position);
        match is_sorted {
            true => assert!(found == nth || wanted.len() > NAME_MAX, "{found:?} for {nth:?}"),
            false => assert!(found.is_none_or(|at| text(names[at]) == wanted), "never a wrong one"),
        }
    }
}

/// Names with one hash: the second word of each takes back what the first one did to it.
fn colliding() -> impl Iterator<Item = [u8; 24]> {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    const SAME: u64 = 0x4242_4242_4242_4242;
    (1u64..).filter_map(|number| {
        let first = number.wrapping_mul(0x0101_0301_0701_0b01) | 0x0101_0101_0101_0101;
        let second = (24 ^ first).wrapping_mul(FACTOR).rotate_left(29) ^ SAME;
        let mut name = [b'c'; 24];
        name[..8].copy_from_slice(&first.to_le_bytes());
        name[8..16].copy_from_slice(&second.to_le_bytes());
        (!name.contains(&0) && !name.contains(&b'\n')).then_some(name)
    })
}
