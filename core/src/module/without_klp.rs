//! Tests of a build without livepatch support.

use super::{Module, Resolver, SectionMemory};
use crate::abi;
use crate::error::{CallbackError, ErrorKind};
use crate::profile::Profile;

struct Nothing;

impl Resolver for Nothing {
    fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(Some(0xffff_ffff_8100_0000))
    }
}

#[test]
fn without_livepatch_support_a_livepatch_is_refused() {
    let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/livepatch.ko"));
    let module = Module::parse(file, Profile::LINUX_DEFAULT).unwrap();
    let mut memory: Vec<_> = module
        .object()
        .sections()
        .map(|(_, section)| vec![0; usize::try_from(section.sh_size).unwrap()])
        .collect();
    let addresses = (0xffff_ffff_c000_0000u64..).step_by(0x1000);
    let mut memory: Vec<_> = memory
        .iter_mut()
        .zip(addresses)
        .map(|(bytes, address)| Some(SectionMemory { address, symbols_at: None, bytes }))
        .collect();
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let filled = module.assign(&mut memory[..]).unwrap().fill().unwrap();
    let error = filled.early(&mut values, &mut Nothing).map(drop).unwrap_err();
    assert_eq!((error.kind, error.value), (ErrorKind::SymbolSection, u64::from(abi::SHN_LIVEPATCH)));
}
