// SPDX-License-Identifier: MIT OR Apache-2.0
//! The module of plain.c in Rust. Its compiler makes position-independent code, with a GOT.
#![no_std]

use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

extern "C" {
    fn kernel_add(n: i32) -> i32;
    static kernel_limit: i32;
}

static SEEN: AtomicI32 = AtomicI32::new(0);
static SQUARES: [AtomicI32; 4] = [AtomicI32::new(0), AtomicI32::new(1), AtomicI32::new(4), AtomicI32::new(9)];

extern "C" fn twice(n: i32) -> i32 {
    2 * n
}

static STEPS: [unsafe extern "C" fn(i32) -> i32; 2] = [twice, kernel_add];

/// What `plain_run` of plain.c returns.
#[no_mangle]
pub extern "C" fn plain_run(n: i32) -> i32 {
    let seen = SEEN.fetch_add(1, Relaxed) + 1;
    let square = &SQUARES[(n & 3) as usize];
    let square = square.fetch_add(seen, Relaxed) + seen;
    let step = STEPS[(n & 1) as usize];
    // SAFETY: the host defines both, as plain.c declares them.
    let (stepped, limit, added) = unsafe { (step(n), kernel_limit, kernel_add(n)) };
    let name = if n != 0 { b'p' } else { b's' };
    stepped + square + limit + added + i32::from(name)
}
