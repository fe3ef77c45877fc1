//! Which sections are in memory while a module runs, and which of them may be relocated (Linux semantics 5 and 6).

use crate::world::{Names, World};
use relakit::ErrorKind::{self, TargetOutOfRange};
use relakit::{Module, Profile};
use relakit_model::image::{ALLOC, Builder, R_64};

const LINUX: Profile = Profile::LINUX_6_12;

/// The sections that are in memory, and the per-CPU section.
fn in_memory(builder: &Builder, profile: Profile) -> (Vec<u32>, Option<u32>) {
    let file = builder.build();
    let module = Module::parse(&file, profile).unwrap();
    let beyond = module.object().section_count() + 2;
    ((0..beyond).filter(|&index| module.is_allocated(index)).collect(), module.per_cpu_section())
}

#[test]
fn what_is_allocated_and_not_dropped_is_in_memory() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    builder.section(".comment", 1, 0, vec![0; 8]);
    assert_eq!(in_memory(&builder, LINUX), (vec![data], None));

    let modinfo = builder.data(".modinfo", 8);
    let per_cpu = builder.data(".data..percpu", 8);
    assert_eq!(in_memory(&builder, LINUX), (vec![data], Some(per_cpu)), "a template of its own");
    assert_eq!(in_memory(&builder, Profile::LINUX_6_16), (vec![data], Some(per_cpu)));
    assert_eq!(in_memory(&builder, Profile::ELF), (vec![data, modinfo, per_cpu], None));
}

#[test]
fn symbols_and_their_names_are_in_memory_when_the_file_says_so() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    let symbols = builder.symtab_index();
    assert_eq!(in_memory(&builder, LINUX).0, [data]);
    builder.tables = |tables| tables[0].flags = ALLOC;
    assert_eq!(in_memory(&builder, LINUX).0, [data, symbols]);
    builder.tables = |tables| tables[1].flags = ALLOC;
    assert_eq!(in_memory(&builder, LINUX).0, [data, symbols + 1]);
}

#[test]
fn section_0_is_never_in_memory_and_relocating_it_fails_if_it_says_that_it_is() {
    for livepatch in [false, true] {
        let fault = |flags| {
            let mut builder = Builder::new();
            builder.at(0).flags = flags;
            let symbol = builder.klp_symbol(".klp.sym.vmlinux.f,0");
            match livepatch {
                true => builder.klp("vmlinux", 0, &[(0, symbol, R_64, 1)]),
                false => builder.rela(0, &[(0, 0, R_64, 1)]),
            };
            assert!(!in_memory(&builder, LINUX).0.contains(&0));
            World::new(&builder, LINUX, Names::new(&[("vmlinux", "f", &[1])])).early_fault()
        };
        assert_eq!(fault(0), None::<ErrorKind>, "skipped");
        assert_eq!(fault(ALLOC), Some(TargetOutOfRange));
    }
}
