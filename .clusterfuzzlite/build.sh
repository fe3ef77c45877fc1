#!/usr/bin/env bash
# Builds every fuzz target into $OUT, each with its seeds, its dictionary and its options. The one script for
# ClusterFuzzLite and OSS-Fuzz; `fuzz/fleet` runs it as their images do.
set -euo pipefail
cd "$SRC/relakit"

# If $SANITIZER is coverage, the image's cargo makes a plain build of this, with other flags and into the same folder.
export CARGO_TARGET_DIR=$WORK/target
cargo fuzz build --fuzz-dir fuzz --release --debug-assertions

# The names of the sources, because older images take everything that begins with `cargo fuzz` for a build when they build for coverage.
for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    cp "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    zip --quiet --recurse-paths --junk-paths "$OUT/${target}_seed_corpus.zip" "fuzz/seeds/$target"
    cp fuzz/dictionaries/elf-klp.dict "$OUT/$target.dict"
    # An input that takes this long is a finding: time is linear in what is read.
    printf '[libfuzzer]\ndict = %s.dict\ntimeout = 10\n' "$target" >"$OUT/$target.options"
done
