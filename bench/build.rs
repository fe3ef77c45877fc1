fn main() {
    println!("cargo::rerun-if-changed=c/loop.c");
    println!("cargo::rerun-if-changed=c/lookup.c");
    cc::Build::new().file("c/loop.c").file("c/lookup.c").opt_level(2).warnings(true).compile("loop");
}
