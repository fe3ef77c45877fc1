//! Input without an end, and input that is too large.

use super::help::{Folder, code, stderr};
use std::fs::File;
use std::io::Write;
use std::process::{Output, Stdio};

const BOMB: &[u8] = include_bytes!("zeros-17MiB.xz");
const DICTIONARY: &[u8] = include_bytes!("dictionary-4GiB.xz");

/// Commands that read a file `X`: as a module, as symbols, as addresses.
const MODULE: [&str; 6] = [
    "inspect X",
    "check X --symbols symbols.txt",
    "check livepatch.ko --symbols symbols.txt --target demo_disk=X",
    "apply X --place memory.json --symbols symbols.txt --out out",
    "inspect X --format json",
    "verify X --place memory.json --memory . --symbols symbols.txt",
];
const SYMBOLS: [&str; 5] = [
    "check livepatch.ko --symbols X",
    "check . --symbols X",
    "apply livepatch.ko --place memory.json --symbols X --out out",
    "apply livepatch.ko --place memory.json --symbols symbols.txt --coming demo_disk=X --out out",
    "verify livepatch.ko --place memory.json --memory . --symbols X",
];
const MEMORY: [&str; 2] = [
    "apply livepatch.ko --place X --symbols symbols.txt --out out",
    "verify livepatch.ko --place X --memory . --symbols symbols.txt",
];

fn all() -> impl Iterator<Item = &'static str> {
    MODULE.into_iter().chain(SYMBOLS).chain(MEMORY)
}

fn is_refused(command: &str, output: &Output, why: &str) {
    assert_eq!(code(output), 3, "{command}: {output:?}");
    assert!(stderr(output).contains(why), "{command}: {output:?}");
    assert!(output.stdout.is_empty() || command.contains("coming"), "{command}: {output:?}");
}

fn run(folder: &Folder, command: &str, file: &str) -> Output {
    folder.limited("ulimit -v 800000", &command.replace('X', file)).output().unwrap()
}

#[test]
fn devices_are_refused_as_every_kind_of_input() {
    let folder = Folder::new();
    for command in all() {
        for device in ["/dev/zero", "/dev/full", "/dev/null"] {
            is_refused(command, &run(&folder, command, device), "is a device");
        }
    }
}

#[test]
fn files_over_the_limit_are_refused_before_they_are_read() {
    let folder = Folder::new();
    let large = File::create(folder.path("large")).unwrap();
    for (commands, limit) in [(&MODULE[..], 1024), (&SYMBOLS[..], 256), (&MEMORY[..], 16)] {
        large.set_len((limit << 20) + 1).unwrap();
        for command in commands {
            let why = format!("large: the file has more than {limit} MiB");
            is_refused(command, &run(&folder, command, "large"), &why);
        }
    }
}

#[test]
fn pipes_that_never_end_are_refused() {
    let folder = Folder::new();
    for (command, limit) in [(MODULE[1], 256), (SYMBOLS[0], 256), (MEMORY[0], 16)] {
        let mut command = folder.limited("ulimit -v 800000", &command.replace('X', "/dev/stdin"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // This ends when the tool closes the pipe.
        let writer = std::thread::spawn(move || while stdin.write_all(&[b'0'; 1 << 16]).is_ok() {});
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        is_refused("pipe", &output, &format!("/dev/stdin: the file has more than {limit} MiB"));
    }
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let folder = Folder::new();
    let livepatch = File::open(folder.path("livepatch.ko")).unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = folder.relakit("inspect /dev/stdin");
    command.stdin(reader).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    // The child sees the end when no other process has the pipe open.
    drop(command);
    std::thread::sleep(std::time::Duration::from_millis(50));
    std::io::copy(&mut &livepatch, &mut writer).unwrap();
    drop(writer);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn decompression_bombs_are_refused_as_every_kind_of_input() {
    let folder = Folder::new();
    folder.write("small.xz", BOMB);
    folder.write("large.xz", BOMB.repeat(16));
    for command in MEMORY {
        is_refused(command, &run(&folder, command, "small.xz"), "the file unpacks to more than 16 MiB");
    }
    for command in [MODULE[0], SYMBOLS[0]] {
        is_refused(command, &run(&folder, command, "large.xz"), "the file unpacks to more than 256 MiB");
    }
    folder.write("modules.ko.xz", BOMB.repeat(16));
    let output = folder.relakit("check . --symbols symbols.txt").output().unwrap();
    is_refused("check .", &output, "modules.ko.xz: the file unpacks to more than 256 MiB");
}

/// A zstd file that unpacks to `count` MiB of zeros.
fn zstd_bomb(count: usize) -> Vec<u8> {
    // A window of 1 MiB, and blocks that repeat one byte 128 Ki times; the last one is empty.
    let block = |size: u32, bits: u32| (size << 3 | bits).to_le_bytes();
    let [a, b, c, _] = block(1 << 17, 2);
    let blocks = [a, b, c, 0].repeat(count * 8);
    let [a, b, c, _] = block(0, 1);
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3], &blocks[..], &[a, b, c]].concat()
}

/// A gzip file that unpacks to `count` MiB of zeros.
fn gzip_bomb(count: usize) -> Vec<u8> {
    packed_gzip(&vec![0; 1 << 20]).repeat(count)
}

pub fn packed_gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bombs_of_each_format_are_refused() {
    let folder = Folder::new();
    for (name, bomb) in [("zst", zstd_bomb as fn(usize) -> Vec<u8>), ("gz", gzip_bomb)] {
        folder.write(name, bomb(17));
        is_refused(MEMORY[0], &run(&folder, MEMORY[0], name), "the file unpacks to more than 16 MiB");
        folder.write(name, bomb(256));
        is_refused(MODULE[0], &run(&folder, MODULE[0], name), "not an ELF file");
        folder.write(name, bomb(257));
        for command in [MODULE[0], SYMBOLS[0]] {
            is_refused(command, &run(&folder, command, name), "the file unpacks to more than 256 MiB");
        }
    }
}

#[test]
fn a_damaged_packed_file_is_refused_or_is_another_file() {
    let folder = Folder::new();
    let module = std::fs::read(folder.path("livepatch.ko")).unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(&*module, level);
    for packed in [zstd, packed_gzip(&module)] {
        for at in (0..packed.len()).step_by(packed.len() / 40) {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            folder.write("damaged.ko", &damaged);
            let status = code(&folder.limited("ulimit -v 800000", "inspect damaged.ko").output().unwrap());
            assert!([0, 1, 3].contains(&status), "{at}: {status}");
            folder.write("damaged.ko", &packed[..at]);
            assert_eq!(code(&run(&folder, "inspect X", "damaged.ko")), 3, "{at}");
        }
    }
}

#[test]
fn a_zstd_file_that_needs_a_large_window_is_refused() {
    let folder = Folder::new();
    folder.write("window.zst", [0x28, 0xb5, 0x2f, 0xfd, 0, 27 << 3, 1, 0, 0]);
    for command in all() {
        is_refused(command, &run(&folder, command, "window.zst"), "window.zst: zstd needs a window of ");
    }
}

#[test]
fn a_file_that_needs_a_large_dictionary_is_refused() {
    let folder = Folder::new();
    folder.write("dictionary.xz", DICTIONARY);
    for command in all() {
        is_refused(command, &run(&folder, command, "dictionary.xz"), "dictionary.xz: ");
    }
}
