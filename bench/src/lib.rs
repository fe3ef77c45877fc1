//! What is measured, for the two programs: `relakit-bench` looks at the clock, `budget` has its instructions counted.

pub mod arena;
pub mod chart;
pub mod demands;
pub mod engines;
pub mod growth;
pub mod lookup;
pub mod modules;
pub mod names;
pub mod peers;
pub mod report;
pub mod rounds;
pub mod whole;
