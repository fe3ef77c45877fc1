//! The dictionary is made from the crate's constants, and is what is in the tree.

#[test]
fn the_dictionary_in_the_tree_is_what_the_constants_give() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dictionaries/elf-klp.dict");
    let there = std::fs::read_to_string(path).unwrap();
    assert!(there == relakit_fuzz::dictionary::text(), "cargo run --example dictionary makes it anew");
}
