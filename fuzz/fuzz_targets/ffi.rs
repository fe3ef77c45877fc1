//! The target `ffi`: see `relakit_fuzz::ffi`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(ffi);
