//! Code that Linux may rewrite, and whether a write to it is allowed.

use crate::callbacks::CVerifier;
use crate::error::{OrReport, Report};
use crate::memory::{CMemory, relakit_memory};
use crate::module::retained_spans;
use crate::pointers::{Out, Piece, Span};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use crate::verifier::*;
use crate::verify::{Scratch, linux_version};
use core::ffi::{c_char, c_void};
use core::ptr;
use relakit_linux::special::Role;
use relakit_linux::verify::{self as linux, Kernel, PatchSite};

/// Code of a module that Linux may rewrite. The size of this struct never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_patch_site {
    /// Run-time address of the first byte.
    pub address: u64,
    /// Offset of the first byte in section `code`, in bytes.
    pub offset: u64,
    /// Size in bytes, at most 255.
    pub size: u64,
    /// Index of the entry in `section`, counted from 0.
    pub entry: u64,
    /// Section index of the code.
    pub code: u32,
    /// Section index of the special section.
    pub section: u32,
    /// A RELAKIT_ROLE_ number.
    pub role: u32,
    /// 0.
    pub reserved: u32,
}

/// Stores the code of a module that Linux may rewrite in `sites`, in ascending order of the
/// addresses, and sets *found to the number of sites. If it is greater than `site_count`, the
/// rest is missing, and the function must be called again with a longer array. `sites` may be
/// NULL if `site_count` is 0.
///
/// The other arguments are those of relakit_module_verify, before that call. With `kernel` 0
/// and a profile that is not of Linux, there are no sites.
///
/// Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, RELAKIT_ERR_VALUES_TOO_SHORT (`scratch`)
/// or RELAKIT_ERR_PROFILE (`kernel`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_patch_sites(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    kernel: u32,
    scratch: *mut u64,
    count: usize,
    sites: *mut relakit_patch_site,
    site_count: usize,
    found: *mut usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        let [file, plan] = retained_spans(loaded.module(), report)?;
        let version = linux_version(kernel, loaded, report)?;
        let scratch = Scratch::new(scratch, count, 4, report)?;
        let span = scratch.span();
        span.apart_from(&[file, plan, own], 4, report)?;
        let sites = Piece::new(sites, site_count, 6, report)?;
        sites.span.apart_from(&[file, plan, own, span], 6, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 2, &[file, plan, own, span, sites.span], report) }?;
        // SAFETY: the caller promises that `found` is NULL or writable.
        let out = unsafe { Out::new(found, 8, report) }?;
        // SAFETY: `apart_from` found that the buffer overlaps neither file, plan nor state, and
        // `CMemory` that no section overlaps it. The caller promises that no other code uses it.
        let places = unsafe { scratch.fill(loaded, &memory, report) }?;
        // SAFETY: `apart_from` found that the array overlaps neither file, plan, state nor
        // `scratch`, and `CMemory` that no section overlaps it. The caller promises that no other
        // code uses it.
        let sites = unsafe { sites.write() };
        let mut total = 0usize;
        let on = &mut |site: PatchSite| {
            if let Some(place) = sites.get_mut(total) {
                *place = site_as_c(&site);
            }
            total = total.saturating_add(1);
        };
        if let Some(version) = version {
            linux::patch_sites(loaded, &mut memory, version, places, on);
        }
        let stored = sites.get_mut(..total.min(site_count)).unwrap_or_default();
        relakit::sort::sort(stored, &|one, other| key(&one).cmp(&key(&other)));
        out.set(total);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// For a hypervisor that traps writes to code: decides whether Linux may write `size` bytes of
/// `bytes` to the run-time address `address` now. It may if the code at a site of `sites` then
/// has a known form, or has one after one of the three steps in which Linux rewrites an
/// instruction: INT3 over the first byte, the other bytes, the first byte. Sets *is_allowed to
/// 1 or 0.
///
/// `sites` has the sites of relakit_module_patch_sites. The other arguments are those of
/// relakit_module_verify, before that call; `read` reads the memory before the write, and
/// `report` is not called. The time is logarithmic in `site_count`, and linear in the number
/// of sites within 255 bytes before `address`.
///
/// Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, or an error as in relakit_module_verify. If a
/// site is not one of this module, it can be RELAKIT_ERR_NOT_ASSIGNED or RELAKIT_ERR_OFFSET_OUTSIDE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_allowed_patch(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    verifier: *const relakit_verifier,
    kernel: u32,
    sites: *const relakit_patch_site,
    site_count: usize,
    address: u64,
    bytes: *const c_void,
    size: usize,
    is_allowed: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        let [file, plan] = retained_spans(loaded.module(), report)?;
        let version = linux_version(kernel, loaded, report)?;
        let sites = Piece::new(sites, site_count, 5, report)?;
        let bytes = Piece::<u8>::new(bytes.cast(), size, 8, report)?;
        let others = [file, plan, own, sites.span, bytes.span];
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 2, &others, report) }?;
        // SAFETY: the caller promises that the verifier is NULL or a readable struct, whose
        // callbacks accept its `ctx`.
        let verifier = unsafe { CVerifier::new(verifier, 3, report) }?;
        let policies = verifier.policies(3, report)?;
        // SAFETY: the caller promises that `is_allowed` is NULL or writable.
        let out = unsafe { Out::new(is_allowed, 10, report) }?;
        // SAFETY: `Piece::new` checked the pointer, and `CMemory` that no section overlaps the
        // array. The caller promises `site_count` readable sites.
        let sites = unsafe { sites.read() };
        // SAFETY: `Piece::new` checked the pointer, and `CMemory` that no section overlaps the
        // bytes. The caller promises `size` readable bytes.
        let bytes = unsafe { bytes.read() };
        let mut is_allowed = false;
        if let Some(version) = version {
            let (mut reader, mut known, _) = verifier.split();
            let mut kernel = Kernel::new(version, &mut known);
            kernel.policies = policies;
            let end = sites.partition_point(|site| site.address <= address);
            let near = sites.get(..end).unwrap_or_default().iter().rev();
            let near = near.take_while(|site| address.wrapping_sub(site.address) <= u64::from(u8::MAX));
            for site in near.filter_map(site_of_c) {
                let site = core::slice::from_ref(&site);
                let allows =
                    linux::allowed_patch(loaded, &mut memory, &mut reader, &mut kernel, site, address, bytes);
                is_allowed |= allows.or_report(report)?.is_some();
            }
        }
        out.set(u32::from(is_allowed));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Returns the name of a RELAKIT_ROLE_ number, such as "jump label", or NULL if the number is
/// unknown. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_role_name(role: u32) -> *const c_char {
    role_of(role).map_or(ptr::null(), |role| role.c_name().as_ptr())
}

fn role_of(number: u32) -> Option<Role> {
    Role::ALL.get(usize::try_from(number).ok()?).copied()
}

const fn key(site: &relakit_patch_site) -> (u64, u32, u64) {
    (site.address, site.section, site.entry)
}

fn site_as_c(site: &PatchSite) -> relakit_patch_site {
    let PatchSite { address, size, role, section, entry, code, offset } = *site;
    relakit_patch_site { address, offset, size, entry, code, section, role: role as u32, reserved: 0 }
}

fn site_of_c(site: &relakit_patch_site) -> Option<PatchSite> {
    let relakit_patch_site { address, offset, size, entry, code, section, role, .. } = *site;
    Some(PatchSite { address, size, role: role_of(role)?, section, entry, code, offset })
}
