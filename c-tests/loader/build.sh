# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# Builds the example loaders and the modules that they load. run-with explains the variables.
set -euo pipefail

loader=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
modules=$loader/../modules
cc=${CC:-cc}
if [ -z "${OUT:-}" ]; then
    OUT=$(mktemp -d)
    trap 'rm -rf "$OUT"' EXIT
fi
mkdir -p "$OUT"
OUT=$(realpath "$OUT")
ARCHIVE=$(realpath "${ARCHIVE:?the library, librelakit.a}")
INCLUDE=$(realpath "${INCLUDE:?the folder of relakit.h}")

# program NAME SOURCE...: 32-bit relocations reach the program, because it is linked to a low, fixed address. DWARF 4,
# because an older valgrind cannot read clang's DWARF 5. Flags and prefixes are words, so they are not quoted.
# shellcheck disable=SC2086
program() {
    local name=$1
    shift
    $cc -std=c99 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Werror ${CFLAGS:-} -gdwarf-4 -fno-pie -no-pie \
        -I"$INCLUDE" -I"$loader" "$@" "$ARCHIVE" -o "$OUT/$name"
}

# The example loaders, without main.c.
# shellcheck disable=SC2034
loader_sources=("$loader"/{level1,level2,level3,memory,object,host,report}.c)

# module MODEL OUTPUT INPUT: compiled like a kernel's module, without position independence and without a runtime.
# shellcheck disable=SC2086
module() {
    $cc -std=c99 -O2 -Wall -Wextra -fno-pic -fno-pie -mcmodel="$1" -fno-common -ffreestanding -fcf-protection=none \
        -fno-stack-protector -fno-asynchronous-unwind-tables -c "$3" -o "$OUT/$2"
}

# pic_module OUTPUT INPUT FLAG...: compiled as a distribution's compiler does by default, position-independent.
# shellcheck disable=SC2086
pic_module() {
    local output=$1 input=$2
    shift 2
    $cc -O2 -fpie -fno-stack-protector "$@" -c "$input" -o "$OUT/$output"
}

build_modules() {
    local name
    for name in plain patch target target-other; do
        module small "$name.o" "$modules/$name.c"
    done
    module large plain-large.o "$modules/plain.c"
    pic_module plain-default.o "$modules/plain.c"
    pic_module plain-pic.o "$modules/plain.c" -fPIC -fno-plt
    pic_module plain-large-pic.o "$modules/plain.c" -fPIC -mcmodel=large
    "${RUSTC:-rustc}" --edition 2021 --crate-type lib --emit obj -O -C panic=abort "$modules/plain.rs" -o "$OUT/plain-rust.o"
    "${LD:-ld}" -r "$OUT/target.o" "$OUT/target-other.o" -o "$OUT/target.ko"
    "$modules/convert" "$OUT/patch.o" "$OUT/patch.ko"
}
