fn main() {
    println!("cargo::rerun-if-changed=c/loop.c");
    cc::Build::new().file("c/loop.c").opt_level(2).warnings(true).compile("loop");
}
