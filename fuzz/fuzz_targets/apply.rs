//! The target `apply`: see `relakit_fuzz::apply`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(apply);
