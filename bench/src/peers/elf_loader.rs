//! elf_loader 0.18.0, which loads shared and relocatable objects into its own process.
//!
//! An observer tells when it comes to the first relocation and when it is behind the last. What an optimised build of
//! 0.18.0 needs to load any relocatable object at all is in `groups`. The memory is ready before the clock starts, and
//! stays: its usual mmap, mprotect and munmap are not counted.

use super::{Peer, Took};
use crate::modules::Work;
use crate::{arena, names};
use elf_loader::elf::{ElfRelEntry as _, ElfSectionId};
use elf_loader::input::ElfBinary;
use elf_loader::memory::{HostRegion, MappedRegion, RegionAccess, VmAddr};
use elf_loader::object::{SectionGroups, SectionLifetime};
use elf_loader::observer::{
    HandleResult, ObjectRelocatedEvent, RelocationEvent, RelocationObserver, SymbolBindingEvent,
};
use elf_loader::os::{MadviseAdvice, MapFlags, Mmap, ProtFlags};
use elf_loader::relocation::RelocationArch;
use elf_loader::tls::TlsResolver;
use elf_loader::{AddressSpaceId, Domain, Loader, Relocator, Result as Loaded};
use relakit::Profile;
use relakit::arch::type_name;
use relakit::elf::Section;
use std::time::Instant;

pub const PEER: Peer = Peer { name: "elf_loader 0.18.0", how: HOW, load, compare };

const HOW: &str = "The published crate loads no relocatable object in an optimised build, because it creates its
  section groups inside `debug_assert_eq!`. The benchmark provides them. The time of its loop is the time between its first and its last call of
  an observer. Memory is mapped before the clock starts, so system calls are not counted. It does not check that a field is zero, and an error
  leaves the module half relocated.";

/// The arena as its source of memory.
struct Memory;

impl Mmap for Memory {
    type Region = HostRegion;

    unsafe fn create_space(
        &self,
        _: Option<VmAddr>,
        size: usize,
        _: ProtFlags,
        _: bool,
    ) -> Loaded<MappedRegion<HostRegion>> {
        // SAFETY: the arena stays mapped until the process ends, and `take` returns these bytes
        // once.
        Ok(unsafe { MappedRegion::local_alias_no_unmap(arena::take(size).cast(), size) })
    }
    unsafe fn alias_space(&self, at: VmAddr, size: usize) -> Loaded<MappedRegion<HostRegion>> {
        // SAFETY: the caller promises that `at` leads to `size` bytes of a space from
        // `create_space`.
        Ok(unsafe { MappedRegion::local_alias_no_unmap(at.as_mut_ptr(), size) })
    }
    unsafe fn map_file_at(
        &self,
        _: VmAddr,
        _: usize,
        _: ProtFlags,
        _: MapFlags,
        _: usize,
        _: isize,
    ) -> Loaded<()> {
        unreachable!("modules are not loaded from files")
    }
    unsafe fn map_zero_at(&self, _: VmAddr, _: usize, _: ProtFlags, _: MapFlags) -> Loaded<()> {
        Ok(())
    }
    unsafe fn munmap(&self, _: VmAddr, _: usize) -> Loaded<()> {
        Ok(())
    }
    unsafe fn madvise(&self, _: VmAddr, _: usize, _: MadviseAdvice) -> Loaded<()> {
        Ok(())
    }
    unsafe fn mprotect(&self, _: VmAddr, _: usize, _: ProtFlags) -> Loaded<()> {
        Ok(())
    }
}

/// Resolves names, and looks at the clock.
#[derive(Default)]
struct Observer {
    begin: Option<Instant>,
    end: Option<Instant>,
    /// The type of a relocation that it did not apply.
    unknown: Option<u32>,
    /// Addresses by section, where asked for.
    sections: Option<Vec<Option<u64>>>,
}

impl<Arch: RelocationArch> RelocationObserver<Arch> for Observer {
    fn on_relocation_pre<D: Send + Sync + 'static, R: RegionAccess, Tls: TlsResolver<Arch>, H>(
        &mut self,
        _: &mut RelocationEvent<'_, D, Arch, R, Tls, H>,
    ) -> Loaded<HandleResult> {
        if self.begin.is_none() {
            self.begin = Some(Instant::now());
        }
        Ok(HandleResult::Unhandled)
    }

    fn on_relocation_post<D: Send + Sync + 'static, R: RegionAccess, Tls: TlsResolver<Arch>, H>(
        &mut self,
        event: &mut RelocationEvent<'_, D, Arch, R, Tls, H>,
    ) -> Loaded<HandleResult> {
        self.unknown = Some(event.rel().r_type().raw());
        Ok(HandleResult::Unhandled)
    }

    fn on_symbol_binding<D: Send + Sync + 'static, R: RegionAccess, Tls: TlsResolver<Arch>>(
        &mut self,
        event: &mut SymbolBindingEvent<'_, D, Arch, R, Tls>,
    ) -> Loaded<()> {
        if let Some(at) = names::find(event.symbol_name()) {
            event.set_resolved_addr(VmAddr::new((names::NEAR + at) as usize));
        }
        Ok(())
    }

    fn on_object_relocated<D: Send + Sync + 'static, R: RegionAccess, Tls: TlsResolver<Arch>>(
        &mut self,
        event: &mut ObjectRelocatedEvent<'_, D, Arch, R, Tls>,
    ) -> Loaded<()> {
        self.end = Some(Instant::now());
        if let Some(sections) = &mut self.sections {
            let address = |index| {
                let id = ElfSectionId::new(index);
                event.section_addr(id).map(|address| address.get() as u64)
            };
            *sections = (0..event.sections().headers().len()).map(address).collect();
        }
        Ok(())
    }
}

/// The groups that sections are laid out in, as the crate's source has them. Its `SectionGroups::default` makes them
/// inside of a `debug_assert_eq!`, so that an optimised build has none, and refuses every relocatable object with
/// "section layout group is not defined".
fn groups() -> SectionGroups {
    let mut groups = SectionGroups::default();
    let (read, write, run) = (ProtFlags::PROT_READ, ProtFlags::PROT_WRITE, ProtFlags::PROT_EXEC);
    for (order, rights) in [read, read | write, read | run, read | write | run].into_iter().enumerate() {
        groups.define(rights, rights, order, SectionLifetime::Core);
    }
    groups.define(read | write, read | write, usize::MAX, SectionLifetime::Init);
    groups
}

fn load(work: &Work) -> Result<Took, String> {
    let mut observer = Observer::default();
    let load = run(work, &mut observer).map_err(|error| match observer.unknown.and_then(type_name) {
        Some(name) => format!("does not know {name}"),
        None => error,
    })?;
    match (observer.begin, observer.end) {
        (Some(begin), Some(end)) => {
            Ok(Took { load, with_loop: (end - begin).as_nanos() as f64, without_loop: 0.0 })
        }
        _ => Err("nothing was relocated".to_owned()),
    }
}

/// Loads, and answers how long it took.
fn run(work: &Work, observer: &mut Observer) -> Result<f64, String> {
    arena::reset();
    let groups = groups();
    let start = Instant::now();
    let loader = Loader::new().with_mmap(Memory);
    let mut run = loader.run(Domain::native(AddressSpaceId::PROCESS)).with_object_section_groups(groups);
    let object =
        run.load_object(ElfBinary::new(work.name.as_str(), &work.file)).map_err(|error| error.to_string())?;
    let loaded = Relocator::new().run(object).with_observer(observer).relocate();
    let took = start.elapsed().as_nanos() as f64;
    loaded.map(|_| took).map_err(|error| error.to_string())
}

fn compare(work: &Work) -> Result<(), String> {
    let mut observer = Observer { sections: Some(Vec::new()), ..Observer::default() };
    run(work, &mut observer)?;
    let sections = observer.sections.unwrap_or_default();
    let mut layout = |index: u32, _: &Section, _: &[u8]| sections[index as usize];
    let expected = Work::laid_out(&work.name, work.file.clone(), Profile::ELF, names::NEAR, &mut layout);
    let expected = expected.map_err(|error| error.to_string())?;
    super::compare(&expected, |address, size| &arena::taken()[address - arena::start()..][..size])
}
