//! `relakit apply` as a user runs it, on the livepatch of the demo.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");
/// Section numbers in the demo's livepatch.
const TEXT: usize = 1;
const DATA: usize = 3;

struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        let run = Self { dir: tempfile::tempdir().unwrap() };
        let sections: Vec<_> = (1..26)
            .map(|index| serde_json::json!({"index": index, "addr": format!("{:#x}", 0xffff_ffff_c090_0000u64 + index * 0x1000)}))
            .collect();
        run.write("place.json", &serde_json::json!({"sections": sections}).to_string());
        run
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// `relakit apply` on the demo's livepatch, with `more` arguments.
    fn apply(&self, more: &[&str]) -> Output {
        self.apply_to(Path::new(&format!("{DEMO}/livepatch.ko")), more)
    }

    fn apply_to(&self, module: &Path, more: &[&str]) -> Output {
        let mut command = relakit();
        command.arg("apply").arg(module).arg("--place").arg(self.path("place.json"));
        command.args(["--symbols", &format!("{DEMO}/symbols.txt"), "--out"]).arg(self.path("out"));
        command.args(more).output().unwrap()
    }

    fn section(&self, step: &str, index: usize) -> Vec<u8> {
        fs::read(self.path(&format!("out/{step}/{index}.bin"))).unwrap()
    }

    fn steps(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("out")) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn relakit() -> Command {
    Command::new(env!("CARGO_BIN_EXE_relakit"))
}

fn with_symbols(name: &str) -> String {
    format!("demo_disk={DEMO}/demo_disk-{name}.txt")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn steps_are_done_in_the_order_given_and_each_leaves_its_bytes() {
    let run = Run::new();
    let done = run.apply(&[
        "--coming",
        &with_symbols("first"),
        "--going",
        "demo_disk",
        "--coming",
        &with_symbols("second"),
    ]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let steps = ["0-early", "1-coming-demo_disk", "2-going-demo_disk", "3-coming-demo_disk"];
    assert_eq!(run.steps(), steps);
    // stats.requests, an R_X86_64_64 against demo_requests.
    let pointer = |step| u64::from_le_bytes(run.section(step, DATA)[0xd0..0xd8].try_into().unwrap());
    assert_eq!(steps.map(pointer), [0, 0xffff_ffff_c0a1_2400, 0, 0xffff_ffff_c0b3_6400]);
    assert_eq!(run.section("0-early", TEXT), run.section("2-going-demo_disk", TEXT));
    // part_in_flight,2: the second by address, from the field at .text+0x5d.
    let field = &run.section("0-early", TEXT)[0x5d..0x61];
    let distance = 0xffff_ffff_815b_7e60u64.wrapping_sub(0xffff_ffff_c090_1000 + 0x61);
    assert_eq!(field, &distance.to_le_bytes()[..4]);
}

#[test]
fn a_coming_that_fails_writes_nothing_and_ends_the_run() {
    let run = Run::new();
    let failed = run.apply(&["--coming", "demo_disk", "--going", "demo_disk"]);
    assert_eq!(code(&failed), 1);
    assert_eq!(run.steps(), ["0-early"]);
    let said = stderr(&failed);
    // Every symbol of both sections, not only the first.
    assert_eq!(said.matches("livepatch symbol not found").count(), 4, "{said}");
    for part in
        ["section 26 .klp.rela.demo_disk..text", "section 28", "EINVAL", "1-coming-demo_disk: 4 errors"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_early_pass_that_fails_says_every_unknown_symbol() {
    let run = Run::new();
    run.write("few.txt", "ffffffff81000000 T _text\n");
    let mut command = relakit();
    command.arg("apply").arg(format!("{DEMO}/livepatch.ko")).arg("--place").arg(run.path("place.json"));
    let failed =
        command.arg("--symbols").arg(run.path("few.txt")).arg("--out").arg(run.path("out")).output().unwrap();
    assert_eq!(code(&failed), 1);
    assert!(run.steps().is_empty());
    let said = stderr(&failed);
    for name in ["_printk", "klp_enable_patch", "seq_printf"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(said.matches("unknown symbol").count(), 3, "{said}");
}

#[test]
fn going_without_coming_and_coming_twice_are_refused() {
    let run = Run::new();
    assert!(stderr(&run.apply(&["--going", "demo_disk"])).contains("has not come"));
    let twice = run.apply(&["--coming", &with_symbols("first"), "--coming", &with_symbols("second")]);
    assert_eq!(code(&twice), 1);
    assert!(stderr(&twice).contains("came before"));
}

#[test]
fn linux_before_6_3_does_not_clear_and_so_cannot_apply_again() {
    let run = Run::new();
    let kernel = [
        "--kernel",
        "6.1",
        "--coming",
        &with_symbols("first"),
        "--going",
        "demo_disk",
        "--coming",
        &with_symbols("first"),
    ];
    let failed = run.apply(&kernel);
    assert_eq!(code(&failed), 1);
    assert_eq!(run.section("1-coming-demo_disk", TEXT), run.section("2-going-demo_disk", TEXT));
    assert!(stderr(&failed).contains("not zero"), "{}", stderr(&failed));
}

#[test]
fn an_object_that_the_module_does_not_know_is_noted() {
    let run = Run::new();
    let done = run.apply(&["--coming", "demo-disk"]);
    assert_eq!(code(&done), 0);
    assert!(stderr(&done).contains("no relocations for \"demo-disk\""));
    assert_eq!(run.section("0-early", TEXT), run.section("1-coming-demo-disk", TEXT));
}

#[test]
fn a_kernel_without_rules_of_its_own_takes_the_older_ones_and_says_so() {
    let run = Run::new();
    let done = run.apply(&["--kernel", "6.8.0-45-generic"]);
    assert_eq!(code(&done), 0);
    assert!(stderr(&done).contains("those of 6.3 apply"), "{}", stderr(&done));
    for wrong in ["5.7", "banana", ""] {
        assert_eq!(code(&run.apply(&["--kernel", wrong])), 2, "{wrong}");
    }
}

#[test]
fn json_has_the_steps_and_the_faults() {
    let run = Run::new();
    let json = |output: &Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    let done = json(&run.apply(&["--format", "json", "--coming", &with_symbols("first")]));
    assert_eq!(done["failed"], serde_json::Value::Null);
    assert_eq!(done["steps"][1]["step"], "1-coming-demo_disk");
    assert_eq!(done["steps"][1]["relocation_sections"], 2);
    let failed = json(&run.apply(&["--format", "json", "--coming", "demo_disk"]));
    assert_eq!(failed["failed"], "1-coming-demo_disk");
    let fault = &failed["errors"][0];
    assert_eq!(fault["kind"], "KlpNotFound");
    assert_eq!(fault["errno"], "EINVAL");
    assert_eq!(fault["symbol_name"], ".klp.sym.demo_disk.demo_limits,0");
    assert_eq!(fault["numbers"]["offset"], "0xb");
}

#[test]
fn what_cannot_be_read_is_not_the_modules_fault() {
    let run = Run::new();
    assert_eq!(code(&run.apply_to(Path::new("/nonexistent.ko"), &[])), 3);
    assert_eq!(code(&run.apply(&["--coming", "demo_disk=/nonexistent"])), 3);
    run.write("place.json", "{");
    let failed = run.apply(&[]);
    assert_eq!(code(&failed), 3);
    assert!(stderr(&failed).contains("place.json"));
    run.write("place.json", r#"{"sections": [{"index": 99, "addr": 1}]}"#);
    assert!(stderr(&run.apply(&[])).contains("section 99"));
}

#[test]
fn a_module_cut_short_is_a_fault_with_its_numbers() {
    let run = Run::new();
    let module = fs::read(format!("{DEMO}/livepatch.ko")).unwrap();
    fs::write(run.path("cut.ko"), &module[..module.len() - 1]).unwrap();
    let failed = run.apply_to(&run.path("cut.ko"), &[]);
    assert_eq!(code(&failed), 1);
    assert!(stderr(&failed).contains("reaches past the end of the file"), "{}", stderr(&failed));
    fs::write(run.path("text.ko"), "hello").unwrap();
    assert!(stderr(&run.apply_to(&run.path("text.ko"), &[])).contains("not an ELF file"));
}

#[test]
fn a_section_that_is_relocated_needs_a_place() {
    let run = Run::new();
    run.write("place.json", r#"{"sections": [{"index": 1, "addr": "0xffffffffc0901000"}]}"#);
    let failed = run.apply(&[]);
    assert_eq!(code(&failed), 1);
    // Each section that is relocated, once.
    assert_eq!(stderr(&failed).matches("was not placed").count(), 8, "{}", stderr(&failed));
}

#[test]
fn names_that_cannot_be_modules_are_refused_on_the_command_line() {
    let run = Run::new();
    for step in [["--coming", "vmlinux"], ["--coming", "=x"], ["--coming", "a/../b"], ["--going", ""]] {
        assert_eq!(code(&run.apply(&step)), 2, "{step:?}");
    }
}

#[test]
fn a_second_run_into_the_same_folder_leaves_no_old_files() {
    let run = Run::new();
    assert_eq!(code(&run.apply(&[])), 0);
    fs::write(run.path("out/0-early/999.bin"), "old").unwrap();
    assert_eq!(code(&run.apply(&[])), 0);
    assert!(!run.path("out/0-early/999.bin").exists());
}

#[test]
fn output_that_is_no_terminal_has_no_colours() {
    let run = Run::new();
    let failed = run.apply(&["--coming", "demo_disk"]);
    let demo = relakit().arg("demo").output().unwrap();
    for text in [&failed.stdout, &failed.stderr, &demo.stdout] {
        assert!(!text.contains(&0x1b));
    }
}

#[test]
fn the_demo_tells_the_whole_story() {
    let demo = relakit().arg("demo").output().unwrap();
    assert_eq!(code(&demo), 0);
    let story = String::from_utf8(demo.stdout).unwrap();
    for part in ["early", "__jump_table", "comes, at", "goes:", "comes again", "Nothing was written"] {
        assert!(story.contains(part), "{part}");
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let script = relakit().args(["completions", shell]).output().unwrap();
        assert!(String::from_utf8(script.stdout).unwrap().contains("inspect"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(code(&relakit().arg("man").arg(dir.path()).output().unwrap()), 0);
    assert!(fs::read_to_string(dir.path().join("relakit-apply.1")).unwrap().contains("PLACE.json"));
}
