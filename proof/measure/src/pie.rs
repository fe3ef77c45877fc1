//! What an image that can be moved has to relocate for the functions that it uses.

use anyhow::{Context, Result, bail};
use object::{Object, RelocationFlags};
use std::path::Path;
use std::process::Command;

use crate::graph::OUTSIDE;

/// The number of R_X86_64_RELATIVE in a position-independent image with these functions and what they use.
pub fn relative(archive: &Path, functions: &[String]) -> Result<u64> {
    let image = std::env::temp_dir().join(format!("relakit-measure-{}", std::process::id()));
    let mut ld = Command::new("ld");
    ld.args(["-pie", "--no-dynamic-linker", "--gc-sections", "-z", "text", "-o"]).arg(&image);
    let first = functions.first().context("no functions")?;
    ld.args(["-e", first]).args(functions.iter().map(|name| format!("--require-defined={name}")));
    // Somewhere near; nothing is run.
    ld.args(OUTSIDE.iter().map(|name| format!("--defsym={name}={first}")));
    let output = ld.arg(archive).output().context("ld")?;
    let linked = std::fs::read(&image);
    let _ = std::fs::remove_file(&image);
    if !output.status.success() {
        bail!("ld: {}", String::from_utf8_lossy(&output.stderr));
    }
    let linked = linked.context("the linked image")?;
    let file = object::File::parse(&*linked)?;
    let mut count = 0;
    for (_, relocation) in file.dynamic_relocations().into_iter().flatten() {
        match relocation.flags() {
            RelocationFlags::Elf { r_type: object::elf::R_X86_64_RELATIVE } => count += 1,
            other => bail!("the image has another dynamic relocation: {other:?}"),
        }
    }
    Ok(count)
}
