//! Ordinary modules: the memory after the early pass is compared byte by byte.

use super::compare::{Image, Spot, differences, whole};
use super::run::{Run, apply};
use super::{Recording, Report};

pub fn replay(recording: &Recording, report: &mut Report) {
    report.begin();
    let run = apply(recording, None, &[]);
    if run.code() != Some(0) {
        report.error(format!("{}: exit code {:?}: {}", recording.title(), run.code(), run.stderr()));
        return;
    }
    compare_early(recording, "relocated", &run, report);
}

/// Compares `0-early` with the recorded state. In `struct module`, only relocated fields are
/// compared, because the kernel writes other fields too.
pub fn compare_early(recording: &Recording, label: &str, run: &Run, report: &mut Report) {
    let recorded = recording.layout.state(label);
    let spots = comparable(recording, &recorded);
    for difference in differences(&recorded, &run.image("0-early"), &spots) {
        report.error(format!("{}: {label}: {difference}", recording.title()));
    }
    report.compared(spots.iter().map(Spot::size).sum());
}

fn comparable(recording: &Recording, recorded: &Image) -> Vec<Spot> {
    let fields = |spot: Spot| recording.module.only_fields_of(spot.section).unwrap_or_else(|| vec![spot]);
    whole(recorded).into_iter().flat_map(fields).collect()
}
