//! The bodies of the fuzz targets. Each takes any bytes, and panics when a property does not hold;
//! so what a fuzzer has found is replayed by a test on stable Rust.

pub mod apply;
pub mod check;
pub mod classify;
pub mod dictionary;
pub mod differential;
pub mod ffi;
pub mod index;
pub mod module;
pub mod parse;
mod profiles;
pub mod verify;

/// Members of a struct as numbers.
macro_rules! words {
    ($of:ident: $($member:ident $(($($argument:ident)?))? $(.$part:tt $(($($none:ident)?))?)*)*) => {
        [$($of.$member $(($($argument)?))? $(.$part $(($($none)?))?)* as u64),*]
    };
}
use words;

/// The entry of a target: libFuzzer's, or without `--cfg fuzzing` one that replays the files of the
/// command line.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name::run(data));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($crate::$name::run);
        }
    };
}

/// Runs the files that the command line names.
pub fn replay(run: fn(&[u8])) {
    for file in std::env::args_os().skip(1) {
        run(&std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    }
}
