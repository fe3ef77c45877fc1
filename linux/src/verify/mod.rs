//! Is what runs what was loaded? Compares the memory of a running module with what it should hold,
//! apart from what Linux rewrites after relocation.
//!
//! [`relakit::verify`] compares bytes. This module knows which code Linux rewrites, and in which
//! *forms*: a jump label is a NOP, or a jump to its own target. A site with another content is a
//! [`Mismatch`]. It also knows which tables Linux sorts.
//!
//! [`verify`] checks a whole module. [`allowed_patch`] checks one write to its code, for a
//! hypervisor that traps such writes.
//!
//! # What is compared
//!
//! The code and the constants of the module, and `__jump_table`. Data and init sections are not
//! compared, see [`Verified::not_judged`].
//!
//! # What a form leaves open
//!
//! A verifier does not know why Linux chose a form. Therefore:
//! - every alternative of a site is accepted, whatever features the CPU has, and whether a label or a
//!   static call is enabled is not compared;
//! - a static call and a paravirt call may lead to the beginning of any function that [`Known`] knows.
//!
//! [`Verified::flexible`] counts the bytes of all sites with more than one form.
//!
//! # Which kernels are known
//!
//! The forms are those of Linux 6.1.192 and 6.12.117 of Debian, and were compared with the memory
//! of such kernels. For other versions from 5.13 to 7.3, they follow from the known changes between
//! versions. Some code that Linux writes is not known, so that it is a mismatch:
//! - call depth tracking (`retbleed=stuff`): the code before functions, and the calls to it;
//! - the callers of kernels that were built with Clang's CFI;
//! - instructions that Linux before 5.12 writes at paravirt sites;
//! - kprobes, see [`Seen`], and functions that call a trampoline that [`Known::tracer`] does not
//!   know.
//!
//! Before 6.3, late relocations stay applied when their object is unloaded. Their values are then
//! those of symbols that no longer exist, so they are mismatches of these relocations.

mod alternative;
mod forms;
mod insn;
mod judge;
mod known;
mod nops;
mod patch;
mod policy;
mod tables;
mod walk;

pub use known::{Kernel, Known};
pub use patch::{PatchSite, allowed_patch, patch_sites};
pub use policy::{Policies, Policy};

use crate::special::{Place, Role};
use judge::Judge;
use relakit::verify::{Difference, Reader};
use relakit::{Error, Loaded, Memory};

/// Something in the memory of a module that neither the module nor Linux explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// What is expected and found. At a patch site, what is expected is the code before Linux
    /// rewrites it.
    pub difference: Difference,
    /// What the bytes belong to.
    pub cause: Cause,
    /// What is found, if it can be told.
    pub seen: Seen,
}

/// What the bytes of a [`Mismatch`] belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The content of the file.
    Content,
    /// The field of a relocation: [`Difference::relocation`].
    Relocation,
    /// Code that Linux rewrites, in none of its known forms.
    PatchSite {
        /// Which kind of code it is.
        role: Role,
        /// Section index of the special section.
        section: u32,
        /// Index of the entry, counted from 0. If several entries have the site, it is the first.
        entry: u64,
    },
    /// A table that Linux sorts.
    Table {
        /// Section index of the table.
        section: u32,
        /// Index of the entry in the sorted table, counted from 0.
        entry: u64,
    },
}

/// What is found in the place of expected code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// Nothing that has a name.
    Other,
    /// INT3: a kprobe, or Linux is about to rewrite the instruction.
    Breakpoint,
    /// A call or jump. Linux writes it for the tracer and for optimized kprobes, attackers to
    /// redirect a function.
    Branch {
        /// Run-time address to which it leads.
        to: u64,
    },
}

/// What a verification has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Number of bytes that were compared, those at patch sites included.
    pub bytes: u64,
    /// Number of bytes at patch sites for which more than one content is accepted. A byte that
    /// belongs to two sites counts twice.
    pub flexible: u64,
    /// Number of bytes in memory that were not compared: data, and sections that are freed after
    /// init.
    pub not_judged: u64,
    /// Number of patch sites in what was compared. An alternative with several entries is one site.
    pub sites: u64,
    /// Number of patch sites that Linux has rewritten into a known form.
    pub rewritten: u64,
    /// Number of patch sites that were not compared, because of [`Policy::Anything`].
    pub anything: u64,
    /// Number of mismatches that were reported.
    pub mismatches: u64,
    /// Bytes that core counts as not judged, and that were compared here.
    judged_apart: u64,
}

impl Verified {
    /// Counts a site, of which this many bytes may have another content.
    fn count(&mut self, policy: Policy, flexible: u64) {
        self.sites = self.sites.saturating_add(1);
        self.anything = self.anything.saturating_add(u64::from(policy == Policy::Anything));
        self.flexible = self.flexible.saturating_add(flexible);
    }

    fn judged_apart(&mut self, bytes: u64) {
        self.judged_apart = self.judged_apart.saturating_add(bytes);
    }
}

/// Compares the memory of a running module with what it should hold, and reports each mismatch.
/// Returns what was compared.
///
/// `expected` is as for [`Loaded::verify`]: the memory of the early pass, and of the late passes that
/// are applied to the running module. After the call, it holds what was found at patch sites and in
/// sorted tables. `places` are those of [`places`](crate::special::places()) in their natural order:
/// address first.
///
/// The time is linear in the sizes of the file and of the memory, except for sorting tables, which
/// takes n log n steps.
///
/// # Errors
/// See [`Loaded::verify`].
pub fn verify<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    expected: &mut M,
    reader: &mut dyn Reader,
    kernel: &mut Kernel<'_>,
    places: &[Place],
    report: &mut dyn FnMut(&Mismatch),
) -> Result<Verified, Error> {
    let mut judge = Judge::new(loaded, expected, reader, kernel, places, report);
    judge.sites(loaded)?;
    judge.tables()?;
    judge.rest()
}
