//! Prints the fuzzers' dictionary, from the constants of the crate:
//! `cargo run --manifest-path fuzz/Cargo.toml --example dictionary > fuzz/dictionaries/elf-klp.dict`

fn main() {
    print!("{}", relakit_fuzz::dictionary::text());
}
