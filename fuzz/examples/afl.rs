//! The same bodies for AFL++, the target by its name: `cargo afl build --release --features afl --example afl`
//!
//! An example, as `cargo fuzz` takes every binary for a target; behind a feature, as only `cargo afl` can link it.

mod targets;

fn main() {
    let name = std::env::args().nth(1).expect("the name of a target");
    let target = targets::TARGETS.iter().find(|target| target.0 == name);
    let (_, run) = target.unwrap_or_else(|| panic!("there is no target {name}"));
    afl::fuzz!(|data: &[u8]| run(data));
}
