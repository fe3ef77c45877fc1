//! The target `check`: see `relakit_fuzz::check`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(check);
