//! A module's whole life through the C ABI is its life through Rust: the same answers, numbers and bytes, for the demo's
//! livepatch and for thousands of damaged copies of it.
#![expect(
    unreachable_pub,
    unsafe_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod names;

use names::{Names, RESOLVER, bytes};
use relakit::elf::{Rela, RelaTable};
use relakit::{Error, Late, Module, Objects, Profile, SectionMemory, Target, reloc};
use relakit_ffi::*;
use std::ffi::CString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::ptr;

/// RELAKIT_LINUX(6, 12).
const RELAKIT_LINUX_6_12: u32 = 6 << 16 | 12;

/// The profiles of loaders that are not Linux, with their numbers.
const OTHERS: [(u32, Profile); 6] = [
    (RELAKIT_PROFILE_DEFAULT, Profile::ELF),
    (RELAKIT_PROFILE_ELF, Profile::ELF),
    (RELAKIT_PROFILE_XEN, Profile::XEN),
    (RELAKIT_PROFILE_GRUB, Profile::GRUB),
    (RELAKIT_PROFILE_FREEBSD, Profile::FREEBSD),
    (RELAKIT_PROFILE_KEXEC, Profile::KEXEC),
];

/// A fault as both sides can tell it.
type Told = (i32, [Option<u64>; 4], [u64; 3]);

fn of_core(error: Error) -> Told {
    let places =
        [error.section.map(u64::from), error.entry, error.symbol.map(u64::from), error.r_type.map(u64::from)];
    (error.kind as i32, places, [error.offset, error.value, error.limit])
}

fn of_c(error: &relakit_error) -> Told {
    let flag = |flag, value: u64| (error.has & flag != 0).then_some(value);
    let places = [
        flag(RELAKIT_ERROR_HAS_SECTION, u64::from(error.section)),
        flag(RELAKIT_ERROR_HAS_ENTRY, error.entry),
        flag(RELAKIT_ERROR_HAS_SYMBOL, u64::from(error.symbol)),
        flag(RELAKIT_ERROR_HAS_TYPE, u64::from(error.r_type)),
    ];
    (error.status, places, [error.offset, error.value, error.limit])
}

/// What happened, step by step.
#[derive(Debug, Default, PartialEq)]
struct Life {
    steps: Vec<Result<u64, Told>>,
    memory: Vec<Vec<Vec<u8>>>,
}

/// Objects that come and go: the module's own, and one that it does not know.
fn objects(module: &Module<'_>) -> Vec<Vec<u8>> {
    let known = Objects::of(module).map_or(Vec::new(), |objects| {
        objects.names().iter().filter(|name| !name.contains(&0)).map(|name| name.to_vec()).collect()
    });
    known.into_iter().chain([b"unknown".to_vec(), b"vmlinux".to_vec(), Vec::new()]).collect()
}

/// A buffer for each section; those that are too large to be tried have none.
fn buffers(file: &[u8], profile: Profile) -> Vec<Option<Vec<u8>>> {
    let Ok(module) = Module::parse(file, profile) else { return Vec::new() };
    let buffer = |size: u64| (size < 0x10_0000).then(|| vec![0xee; usize::try_from(size).unwrap()]);
    module.object().sections().map(|(_, section)| buffer(section.sh_size)).collect()
}

fn address(index: usize) -> u64 {
    0xffff_ffff_c000_0000 + (index as u64) * 0x10_0000
}

fn through_rust(file: &[u8], profile: Profile) -> Life {
    let mut life = Life::default();
    let mut buffers = buffers(file, profile);
    let outcome = rust_steps(file, profile, &mut buffers, &mut life);
    life.steps.push(outcome.map(|()| 0).map_err(of_core));
    life.memory.push(buffers.into_iter().flatten().collect());
    life
}

fn rust_steps(
    file: &[u8],
    profile: Profile,
    buffers: &mut [Option<Vec<u8>>],
    life: &mut Life,
) -> Result<(), Error> {
    let module = Module::parse(file, profile)?;
    let mut places: Vec<_> = buffers
        .iter_mut()
        .enumerate()
        .map(|(index, bytes)| {
            bytes.as_mut().map(|bytes| SectionMemory { address: address(index), symbols_at: None, bytes })
        })
        .collect();
    let memory = &mut places[..];
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let placed = module.assign(memory)?;
    let filled = placed.fill()?;
    let loaded = filled.early(&mut values, &mut Names)?;
    life.steps.push(Ok(relakit_linux::special::in_memory(&loaded).count() as u64));
    life.steps.extend(values.iter().map(|value| Ok(*value)));
    let mut kept = vec![0; loaded.retained_size()];
    life.steps.push(Ok(kept.len() as u64));
    let mut late = loaded.retain(memory, &mut values, &mut kept)?;
    for object in objects(&module) {
        let mut step = |late: &mut Late<'_>, coming: bool| {
            let result =
                if coming { late.coming(&object, memory, &mut Names) } else { late.going(&object, memory) };
            life.steps.push(result.map(|sections| sections as u64).map_err(of_core));
            life.memory.push(memory.iter().flatten().map(|place| place.bytes.to_vec()).collect());
        };
        for coming in [false, true, true, false, true] {
            step(&mut late, coming);
        }
    }
    Ok(())
}

fn through_c(file: &[u8], profile: Profile, number: u32) -> Life {
    let mut life = Life::default();
    let mut buffers = buffers(file, profile);
    let outcome = c_steps(file, profile, number, &mut buffers, &mut life);
    life.steps.push(outcome.map(|()| 0));
    life.memory.push(buffers.into_iter().flatten().collect());
    life
}

fn c_steps(
    file: &[u8],
    profile: Profile,
    number: u32,
    buffers: &mut [Option<Vec<u8>>],
    life: &mut Life,
) -> Result<(), Told> {
    // SAFETY: the struct has only numbers, for which zeros are valid.
    let mut error: relakit_error = unsafe { std::mem::zeroed() };
    let mut state = vec![0u64; relakit_module_size().div_ceil(8)];
    let memory = state.as_mut_ptr().cast();
    let options = relakit_options { struct_size: 16, flags: 0, profile: number, reserved: 0 };
    let mut module = ptr::null_mut();
    macro_rules! call {
        ($function:ident($($argument:expr),*)) => {
            // SAFETY: the file, the memory and the buffers that the macro gets live longer than the
            // module.
            match unsafe { $function($($argument),*, &raw mut error) } {
                status if status < 0 => Err(of_c(&error)),
                status => Ok(status),
            }
        };
    }
    call!(relakit_module_init(
        memory,
        state.len() * 8,
        file.as_ptr().cast(),
        file.len(),
        &raw const options,
        &raw mut module
    ))?;
    let place = |(index, bytes): (usize, &mut Option<Vec<u8>>)| match bytes {
        None => relakit_section_memory {
            flags: 0,
            reserved: 0,
            bytes: ptr::null_mut(),
            size: 0,
            address: 0,
            symbols_at: 0,
        },
        Some(bytes) => relakit_section_memory {
            flags: RELAKIT_MEMORY_PRESENT,
            reserved: 0,
            bytes: bytes.as_mut_ptr().cast(),
            size: bytes.len() as u64,
            address: address(index),
            symbols_at: 0,
        },
    };
    let places: Vec<_> = buffers.iter_mut().enumerate().map(place).collect();
    let memory = relakit_memory {
        struct_size: size_of::<relakit_memory>() as u32,
        flags: 0,
        sections: places.as_ptr(),
        count: places.len(),
        writer: ptr::null(),
    };
    let memory = &raw const memory;
    let copy = || -> Vec<Vec<u8>> {
        let placed = places.iter().filter(|place| place.flags != 0);
        placed
            // SAFETY: each section's buffer lives as long as `places`, and only the calls write to
            // it.
            .map(|place| unsafe {
                std::slice::from_raw_parts(place.bytes.cast::<u8>(), usize::try_from(place.size).unwrap())
            })
            .map(<[u8]>::to_vec)
            .collect()
    };
    // SAFETY: the struct has only numbers, for which zeros are valid.
    let mut info: relakit_module_info = unsafe { std::mem::zeroed() };
    info.struct_size = 24;
    call!(relakit_module_describe(module, &raw mut info))?;
    let mut values = vec![0u64; usize::try_from(info.symbol_count).unwrap()];
    let resolver = RESOLVER;
    let resolver = &raw const resolver;
    call!(relakit_module_assign(module, memory))?;
    call!(relakit_module_fill(module, memory))?;
    call!(relakit_module_early(module, memory, values.as_mut_ptr(), values.len(), resolver))?;
    let mut specials = 0;
    for index in 0..info.section_count {
        let mut special = relakit_special { struct_size: 16, read_at: 0, entry_size: 0, rewrites_code: 0 };
        let status = call!(relakit_module_special(module, index, &raw mut special))?;
        specials += u64::from(status == RELAKIT_OK);
    }
    life.steps.push(Ok(specials));
    life.steps.extend(values.iter().map(|value| Ok(*value)));
    let mut size = 0;
    call!(relakit_module_retained_size(module, &raw mut size))?;
    life.steps.push(Ok(size as u64));
    let mut kept = vec![0u8; size];
    call!(relakit_module_retain(
        module,
        memory,
        values.as_mut_ptr(),
        values.len(),
        kept.as_mut_ptr().cast(),
        kept.len()
    ))?;
    for object in objects(&Module::parse(file, profile).unwrap()) {
        let object = CString::new(object).unwrap();
        for coming in [false, true, true, false, true] {
            let mut sections = 0;
            let result = if coming {
                call!(relakit_module_coming(module, object.as_ptr(), memory, resolver, &raw mut sections))
            } else {
                call!(relakit_module_going(module, object.as_ptr(), memory, &raw mut sections))
            };
            life.steps.push(result.map(|_| u64::from(sections)));
            life.memory.push(copy());
        }
    }
    Ok(())
}

/// Every class of every section, from both sides.
fn compare_classes(file: &[u8], profile: Profile, number: u32) {
    let Ok(module) = Module::parse(file, profile) else { return };
    let options = relakit_options { struct_size: 16, flags: 0, profile: number, reserved: 0 };
    let mut state = vec![0u64; relakit_module_size().div_ceil(8)];
    let mut handle = ptr::null_mut();
    // SAFETY: the state, the file and the options live longer than `handle`.
    let status = unsafe {
        relakit_module_init(
            state.as_mut_ptr().cast(),
            state.len() * 8,
            file.as_ptr().cast(),
            file.len(),
            &raw const options,
            &raw mut handle,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, RELAKIT_OK);
    for (index, class) in module.classes() {
        // SAFETY: the struct has numbers and pointers, for which zeros are valid.
        let mut section: relakit_section = unsafe { std::mem::zeroed() };
        section.struct_size = size_of::<relakit_section>() as u32;
        // SAFETY: `handle` is a module that relakit_module_init made, and `section` is writable.
        let status = unsafe { relakit_module_section(handle, index, &raw mut section, ptr::null_mut()) };
        assert_eq!(status, RELAKIT_OK);
        let header = module.object().section(index).unwrap();
        // SAFETY: relakit documents `reason` as constant text that ends with NUL.
        let reason = unsafe { std::ffi::CStr::from_ptr(section.reason) };
        assert_eq!(reason, class.reason.message());
        // SAFETY: relakit documents `name` as `name_len` bytes of the file, which is alive.
        assert_eq!(unsafe { bytes(section.name, section.name_len) }, module.object().section_name(&header));
        assert_eq!(
            (section.sh_size, section.sh_type, section.sh_info),
            (header.sh_size, header.sh_type, header.sh_info)
        );
        assert_eq!(section.flags & RELAKIT_SECTION_IN_MEMORY != 0, module.is_allocated(index));
    }
}

/// A generator that needs no seed from outside: the damage is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn demo() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/demo/livepatch.ko")).unwrap()
}

/// The modules of the recordings.
fn recorded(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            recorded(&path, found);
        } else if name.ends_with(".ko") {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        } else if name.ends_with(".ko.xz") {
            let mut file = Vec::new();
            lzma_rust2::XzReader::new(std::fs::File::open(&path).unwrap(), true)
                .read_to_end(&mut file)
                .unwrap();
            found.push((path, file));
        }
    }
}

#[test]
fn recorded_modules_live_the_same_life_or_die_of_the_same_fault() {
    let mut modules = Vec::new();
    recorded(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/recordings")), &mut modules);
    assert!(modules.len() > 50, "{} modules", modules.len());
    for (path, file) in modules {
        let life = through_rust(&file, Profile::LINUX_DEFAULT);
        assert!(through_c(&file, Profile::LINUX_DEFAULT, RELAKIT_LINUX_6_12) == life, "{}", path.display());
        compare_classes(&file, Profile::LINUX_DEFAULT, RELAKIT_LINUX_6_12);
    }
}

#[test]
fn the_demos_livepatch_lives_the_same_life_under_every_profile() {
    let file = demo();
    let linux =
        Profile::LINUX.iter().map(|row| (u32::from(row.since.0) << 16 | u32::from(row.since.1), *row));
    let others = OTHERS.into_iter().filter(|(_, profile)| profile.livepatch);
    for (number, profile) in linux.chain(others) {
        let life = through_rust(&file, profile);
        assert!(life.steps.len() > 10, "it gets somewhere: {:?}", life.steps.last());
        assert_eq!(through_c(&file, profile, number), life, "{}", profile.name);
        compare_classes(&file, profile, number);
    }
}

#[test]
fn the_demos_livepatch_dies_of_the_same_fault_where_no_livepatch_sections_exist() {
    let file = demo();
    for (number, profile) in OTHERS.into_iter().filter(|(_, profile)| !profile.livepatch) {
        let life = through_rust(&file, profile);
        let last = life.steps.last().unwrap().as_ref().unwrap_err();
        assert_eq!(last.0, RELAKIT_ERR_SYMBOL_SECTION, "{}", profile.name);
        assert_eq!(through_c(&file, profile, number), life, "{}", profile.name);
        compare_classes(&file, profile, number);
    }
}

#[test]
fn damaged_copies_of_it_live_the_same_life_or_die_of_the_same_fault() {
    let original = demo();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    // The section headers and what is not text are where damage matters most.
    let headers = usize::try_from(u64::from_le_bytes(original[40..48].try_into().unwrap())).unwrap();
    let (mut died, mut lived) = (0, 0);
    for _ in 0..4000 {
        let mut file = original.clone();
        for _ in 0..=random.below(3) {
            let at = match random.below(3) {
                0 => random.below(64),
                1 => headers + random.below(original.len() - headers),
                _ => random.below(original.len()),
            };
            file[at] = match random.below(3) {
                0 => 0,
                1 => file[at] ^ 1 << random.below(8),
                _ => u8::try_from(random.below(256)).unwrap(),
            };
        }
        let profile = Profile::LINUX_DEFAULT;
        let life = through_rust(&file, profile);
        assert_eq!(through_c(&file, profile, RELAKIT_LINUX_6_12), life);
        compare_classes(&file, profile, RELAKIT_LINUX_6_12);
        if life.steps.len() > 10 { lived += 1 } else { died += 1 }
    }
    assert!(died > 1000 && lived > 1000, "both happen: {died} died, {lived} lived");
}

#[test]
fn every_prefix_of_it_dies_of_the_same_fault() {
    let file = demo();
    for end in 0..file.len() {
        let life = through_rust(&file[..end], Profile::LINUX_DEFAULT);
        assert_eq!(through_c(&file[..end], Profile::LINUX_DEFAULT, RELAKIT_LINUX_6_12), life, "{end}");
        assert_eq!(life.steps.len(), 1, "{end}");
    }
}

#[test]
fn one_relocation_ends_the_same_way_under_every_profile_and_without_one() {
    let linux =
        Profile::LINUX.iter().map(|row| (u32::from(row.since.0) << 16 | u32::from(row.since.1), *row));
    for (number, profile) in OTHERS.into_iter().chain(linux) {
        let options = relakit_options { struct_size: 16, flags: 0, profile: number, reserved: 0 };
        for r_type in 0..40u32 {
            for (content, value) in [(0u64, 8), (1, 8), (0, 0x1_2345_6789), (1, 0x1_2345_6789)] {
                let entry = Rela { r_offset: 0, r_sym: 1, r_type, r_addend: 0 }.to_bytes();
                let values = [0, value];
                let mut ours = content.to_le_bytes();
                let table = RelaTable::from_entries(std::slice::from_ref(&entry));
                let target = &mut Target::new(&mut ours, 0);
                let result = reloc::apply(table, values[..].into(), target, profile.reloc_flags());
                let expected = (result.map_or_else(|error| error.kind as i32, |()| RELAKIT_OK), ours);
                let symbols = relakit_symbols {
                    values: values.as_ptr(),
                    symtab: ptr::null(),
                    count: 2,
                    value: None,
                    ctx: ptr::null_mut(),
                };
                let apply = |options: *const relakit_options| {
                    let mut bytes = content.to_le_bytes();
                    let target = relakit_target {
                        bytes: bytes.as_mut_ptr().cast(),
                        size: 8,
                        address: 0,
                        writer: ptr::null(),
                    };
                    // SAFETY: the arrays, the structs and the target live during the call.
                    let status = unsafe {
                        relakit_apply(
                            entry.as_ptr().cast(),
                            entry.len(),
                            &raw const symbols,
                            &raw const target,
                            options,
                            ptr::null_mut(),
                        )
                    };
                    (status, bytes)
                };
                assert_eq!(apply(&raw const options), expected, "{} {r_type}", profile.name);
                if profile == Profile::default() {
                    assert_eq!(apply(ptr::null()), expected, "without options, {r_type}");
                }
            }
        }
    }
}
