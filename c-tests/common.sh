# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# What the scripts of c-tests share. A script sources it first.
set -euo pipefail
shopt -s inherit_errexit

c_tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034 # scripts use it
root=$(cd "$c_tests/.." && pwd -P)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C
failed=0

say() {
    printf '%s\n' "$*"
}

fail() {
    say "FAILED: $*"
    failed=1
}

step() {
    printf '\n== %s\n' "$*"
}

# stop WHY: ends the script.
stop() {
    fail "$*" >&2
    exit 1
}

# quietly LOG COMMAND...: the output of a command is shown if it fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        stop "$*"
    }
}

# need PACKAGES TOOL...: ends the script if a tool is missing.
need() {
    local packages=$1 tool
    shift
    for tool in "$@"; do
        command -v "$tool" >/dev/null && continue
        say "$tool is missing. On Debian: apt-get install --no-install-recommends $packages. relakit needs Rust, too." >&2
        exit 1
    done
}

# has_passed OUTPUT: the last line of a test program counts its checks.
has_passed() {
    tail -n 1 "$1" | grep -Eq ': [1-9][0-9]* checks, 0 failures$'
}

# archive MAKE-ARGUMENT...: builds the C library.
archive() {
    say "== make -C ffi $*"
    make --silent --no-print-directory -C "$root/ffi" "$@"
}

# The last line of a script.
finish() {
    if [ "$failed" != 0 ]; then
        say "$1: FAILED"
        exit 1
    fi
    say "$1: everything passed"
}
