//! The names by themselves: `cargo run --release --manifest-path bench/Cargo.toml --example lookup [rounds]`

fn main() {
    let rounds = std::env::args().nth(1).map_or(20, |rounds| rounds.parse().expect("rounds: a number"));
    print!("{}", relakit_bench::lookup::measure(rounds).to_markdown());
}
