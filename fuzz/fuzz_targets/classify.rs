//! The target `classify`: see `relakit_fuzz::classify`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(classify);
