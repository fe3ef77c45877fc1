//! The target `module`: see `relakit_fuzz::module`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(module);
