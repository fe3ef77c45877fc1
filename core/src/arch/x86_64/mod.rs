//! x86-64 (System V ABI, AMD64 supplement).

mod fast_loop;
mod got;
mod howto;
mod types;

pub(crate) use fast_loop::{apply_run, check_run, clear_run};
pub(crate) use got::{
    BRANCH_ADDEND, Operand, SLOT_SIZE, SLOT_TYPE, STUB_SIZE, got_howto, is_branch, is_branch_opcode,
    may_be_branch, stub,
};
pub(crate) use howto::{Content, has_frequent_types, strict_content};
pub use howto::{Formula, HOWTOS, Howto, Overflow, RelocTypes, howto};
pub use types::*;
