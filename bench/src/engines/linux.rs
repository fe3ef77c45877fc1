//! What Linux does, in C (`c/loop.c`).

use crate::modules::Work;
use std::ffi::c_void;
use std::hint::black_box;

unsafe extern "C" {
    fn bench_linux_loop(
        rela: *const c_void,
        count: usize,
        symtab: *const [u64; 3],
        bytes: *mut u8,
        address: u64,
        write: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void,
    ) -> usize;
    fn memcpy(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void;
}

pub fn apply(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| {
        let rela = &work.file[job.rela.clone()];
        let bytes = &mut image[job.target.clone()];
        // SAFETY: the modules are a distribution's own, and relakit has applied them before.
        let fault = unsafe {
            bench_linux_loop(
                rela.as_ptr().cast(),
                rela.len() / 24,
                work.symtab.as_ptr(),
                bytes.as_mut_ptr(),
                job.address,
                black_box(memcpy),
            )
        };
        fault == 0
    })
}
