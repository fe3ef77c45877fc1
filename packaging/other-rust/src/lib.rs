//! Another Rust library, with std, that a C program links beside relakit.

/// Formats, allocates and catches a panic: what brings in all of std.
#[unsafe(no_mangle)]
pub extern "C" fn other_rust(number: u32) -> usize {
    std::panic::catch_unwind(|| format!("{number}").len()).unwrap_or(0)
}
