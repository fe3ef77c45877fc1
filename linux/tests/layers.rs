//! The modules of the crate are layers. A module imports only layers below its own.
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
    let layers = Layers { order: &["bytes", "special", "loader_check", "late", "findings"] };
    layers.check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}
