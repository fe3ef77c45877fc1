//! The tool with inputs that are hostile, and outputs that fail.
#![expect(clippy::arithmetic_side_effects, reason = "what overflows fails the test, as it should")]

#[cfg(test)]
mod elf;
#[cfg(test)]
mod help;
#[cfg(test)]
mod input;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod output;
#[cfg(test)]
mod verdict;
