//! Converts livepatches of real kernels, and refuses what cannot work.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#![expect(unreachable_pub, reason = "test code")]

#[cfg(test)]
mod apart;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod view;
