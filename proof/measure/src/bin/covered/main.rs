//! Compares the public functions of a crate with the functions that compiled code calls. Fails and lists the missing
//! ones if the code does not call them all.
//!
//! Both sides come from the compiler: the functions from rustdoc's JSON, the calls from the relocations of an object.
//! So a new public function is missing until somebody calls it, and nobody has to keep a list.

mod api;
mod calls;
mod symbol;

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::{fs, path::PathBuf};

#[derive(Parser)]
#[command(about = "Compares the public functions of a crate with those that compiled code calls")]
struct Arguments {
    /// The crate's rustdoc JSON (rustdoc -Z unstable-options --output-format json)
    api: PathBuf,
    /// The object, compiled without optimisation and with -C symbol-mangling-version=v0
    object: PathBuf,
    /// Calls count if a global function whose name begins like this leads to them
    #[arg(long)]
    roots: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
    let (name, functions) = api::functions(&serde_json::from_slice(&read(&arguments.api)?)?)?;
    let called = calls::called(&read(&arguments.object)?, &name, &arguments.roots)?;
    let missing: Vec<_> = functions.difference(&called).map(String::as_str).collect();
    if !missing.is_empty() {
        bail!("{} functions never call\n{}", arguments.roots, missing.join("\n"));
    }
    println!("{} public functions of {name}, all called by {} functions", functions.len(), arguments.roots);
    Ok(())
}
