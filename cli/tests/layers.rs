//! The modules of the program are layers. The order is that of the data flow.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test code"
)]

#[path = "../../core/tests/layering/mod.rs"]
mod layering;

use layering::Layers;
use std::path::Path;

#[test]
fn no_module_imports_a_higher_layer() {
    let order = [
        "failure",
        "console",
        "progress",
        "input",
        "view",
        "simulate",
        "diagnostics",
        "output",
        "args",
        "inspect",
        "apply",
        "check",
        "demo",
    ];
    let layers = Layers { order: &order };
    layers.check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}
