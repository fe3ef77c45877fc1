//! The target `parse`: see `relakit_fuzz::parse`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(parse);
