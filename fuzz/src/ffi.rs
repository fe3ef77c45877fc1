//! The C ABI answers what Rust answers; and no order of calls and no argument that the header
//! allows brings it down.
//!
//! The first byte says what is tried. Each part is a short list of choices, followed by the file or
//! the table.

mod aliased;
mod ask;
mod call;
mod documented;
mod forms;
mod hooks;
mod order;
mod sechdrs;
mod sections;
mod table;
mod text;
mod verify;
mod whole;
mod wrong;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((what, rest)) = data.split_first() else { return };
    // `None`: too short for its choices.
    let _ = match what % 8 {
        0 => table::run(rest),
        1 => sechdrs::run(rest),
        2 => whole::run(rest),
        3 => order::run(rest),
        _ => aliased::run(*what, rest),
    };
}

/// The next `N` bytes of `data`, which are choices.
fn take<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (choices, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*choices)
}
