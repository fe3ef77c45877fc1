//! The target `differential`: see `relakit_fuzz::differential`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(differential);
