//! The target `index`: see `relakit_fuzz::index`.
#![cfg_attr(fuzzing, no_main)]

relakit_fuzz::target!(index);
