//! An ordinary module: one pass, compared byte for byte.

use super::compare::{Image, Spot, differences, whole};
use super::run::{Run, apply};
use super::{Recording, Report};

/// Relocates the module where the kernel had placed it.
pub fn replay(recording: &Recording, report: &mut Report) {
    report.begin();
    let run = apply(recording, None, &[]);
    if run.code() != Some(0) {
        report.fail(format!("{}: exit code {:?}: {}", recording.title(), run.code(), run.stderr()));
        return;
    }
    compare_early(recording, "relocated", &run, report);
}

/// Compares `0-early` with the state that the kernel had then: everything but what the kernel wrote into `struct
/// module` for other reasons.
pub fn compare_early(recording: &Recording, label: &str, run: &Run, report: &mut Report) {
    let recorded = recording.layout.state(label);
    let spots = comparable(recording, &recorded);
    for difference in differences(&recorded, &run.image("0-early"), &spots) {
        report.fail(format!("{}: {label}: {difference}", recording.title()));
    }
    report.compared(spots.iter().map(Spot::size).sum());
}

fn comparable(recording: &Recording, recorded: &Image) -> Vec<Spot> {
    let fields = |spot: Spot| recording.module.only_fields_of(spot.section).unwrap_or_else(|| vec![spot]);
    whole(recorded).into_iter().flat_map(fields).collect()
}
