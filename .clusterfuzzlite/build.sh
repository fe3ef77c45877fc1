#!/usr/bin/env bash
# Builds every fuzz target into $OUT, each with its seeds, its dictionary and its options. The one script for
# ClusterFuzzLite and OSS-Fuzz; `fuzz/fleet` runs it as their images do.
set -euo pipefail
cd "$SRC/relakit"

# The image's cargo builds for coverage instead when $SANITIZER says so, and into the same folder.
export CARGO_TARGET_DIR=$WORK/target
cargo fuzz build --fuzz-dir fuzz --release --debug-assertions

for target in $(cargo fuzz list --fuzz-dir fuzz); do
    cp "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    zip --quiet --recurse-paths --junk-paths "$OUT/${target}_seed_corpus.zip" "fuzz/seeds/$target"
    cp fuzz/dictionaries/elf-klp.dict "$OUT/$target.dict"
    # An input that takes this long is a finding: time is linear in what is read.
    printf '[libfuzzer]\ndict = %s.dict\ntimeout = 10\n' "$target" >"$OUT/$target.options"
done
