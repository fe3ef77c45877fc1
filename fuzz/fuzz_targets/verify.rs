//! The target `verify`: see `relakit_fuzz::verify`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(verify);
