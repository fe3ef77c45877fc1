//! Makes the livepatch module of `relakit demo`: `make-demo <livepatch.o> <livepatch.ko>`.
//!
//! `demo/livepatch.c` says how to compile the object. `demo/convert.rs` converts it.

#[path = "../demo/convert.rs"]
mod convert;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [object, module] = arguments.as_slice() else {
        eprintln!("usage: make-demo <livepatch.o> <livepatch.ko>");
        return ExitCode::from(2);
    };
    match make(Path::new(object), Path::new(module)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(object: &Path, module: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(object).map_err(|e| format!("{}: {e}", object.display()))?;
    let converted = convert::convert(&bytes).map_err(|e| format!("{}: {e}", object.display()))?;
    fs::write(module, converted).map_err(|e| format!("{}: {e}", module.display()))?;
    Ok(())
}
