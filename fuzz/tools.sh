# shellcheck shell=bash
# Sourced by the scripts beside it, in the root of the checkout: needs a nightly, brings the cargo-fuzz that all of them use, and sets
# `targets`.
PATH=$PWD/target/tools/bin:$PATH
cargo +nightly --version >/dev/null 2>&1 || { echo 'needs a nightly: rustup toolchain install nightly' >&2; exit 3; }
cargo fuzz --version 2>/dev/null | grep -qx 'cargo-fuzz 0.13.2' ||
    cargo install --quiet --locked --root target/tools cargo-fuzz@0.13.2
mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir fuzz)
[ ${#targets[@]} -gt 0 ] || { echo 'there are no targets' >&2; exit 1; }
