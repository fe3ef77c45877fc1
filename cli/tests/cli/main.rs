//! Runs the tool as a user does, also with hostile input and with output that fails.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#![expect(unreachable_pub, reason = "test code")]

#[cfg(test)]
mod apply;
#[cfg(test)]
mod check;
#[cfg(test)]
mod ci;
#[cfg(test)]
mod convert;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod elf;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod given;
#[cfg(test)]
mod got;
#[cfg(test)]
mod help;
#[cfg(test)]
mod input;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod kernel_set;
#[cfg(test)]
mod live;
#[cfg(test)]
mod livepatch;
#[cfg(test)]
mod man;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod output;
#[cfg(test)]
mod plain_elf;
#[cfg(test)]
#[expect(dead_code, reason = "the test `recordings` uses the rest")]
#[path = "../reader/mod.rs"]
mod reader;
#[cfg(test)]
mod root;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod special;
#[cfg(test)]
mod verdict;
#[cfg(test)]
mod verify;
