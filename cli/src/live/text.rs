//! The text of `relakit live`.

use super::report::{Answer, Live, PatchRow};
use crate::console;
use crate::diagnostics::{printable, sentence, verdict};
use crate::output::text::table::{Column, Table, Tone, cell, plain};
use crate::simulate::report::Verdict;
use crate::view::names::plural;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

/// Prints the answers, the livepatches, and what they patch.
pub(crate) fn print(live: &Live, out: &mut impl Write) -> io::Result<()> {
    live.answers.iter().try_for_each(|each| answer(each, out))?;
    if console::is_quiet() {
        return Ok(());
    }
    let bold = Style::new().bold();
    for finding in &live.findings {
        let text = format!("{}: {}", printable(&finding.module), sentence(&finding.message));
        writeln!(out, "{bold}{}[{}]{bold:#}: {text}", finding.severity, finding.rule)?;
    }
    for note in &live.notes {
        writeln!(out, "{bold}note{bold:#}: {}", sentence(&printable(note)))?;
    }
    if !live.answers.is_empty() {
        writeln!(out)?;
    }
    let count = plural(live.livepatches.len() as u64, "livepatch").replace("patchs", "patches");
    writeln!(out, "Linux {}: {}, {count}", printable(&live.release), plural(live.modules as u64, "module"))?;
    livepatches(live).print_narrow(out, "Livepatches, in the order of their loads")?;
    functions(live).print_narrow(out, "Replaced functions")?;
    if !live.patched_modules.is_empty() {
        let names: Vec<_> = live.patched_modules.iter().map(|name| printable(name)).collect();
        writeln!(out, "\nPatched modules: {}", names.join(", "))?;
    }
    Ok(())
}

/// "load lp: rejected with EINVAL (init)", and the message in a line of its own.
fn answer(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    let colour = match answer.verdict {
        Verdict::Accepted => AnsiColor::Green,
        Verdict::NotJudged => AnsiColor::Yellow,
        Verdict::Rejected | Verdict::Unsafe => AnsiColor::Red,
    };
    let style = colour.on_default().bold();
    let errno = answer.errno.map(|errno| format!(" with {errno}")).unwrap_or_default();
    let phase = answer.phase.map(|phase| format!(" ({phase:?})").to_lowercase()).unwrap_or_default();
    let verdict = verdict(answer.verdict);
    let module = printable(&answer.module);
    writeln!(out, "{} {module}: {style}{verdict}{style:#}{errno}{phase}", answer.action.name())?;
    answer.message.iter().try_for_each(|message| writeln!(out, "    {}", sentence(&printable(message))))
}

fn livepatches(live: &Live) -> Table {
    let columns =
        [Column::Name("Livepatch"), Column::Text("State"), Column::Text("Replaces"), Column::Name("File")];
    let mut table = Table::new(columns);
    for patch in &live.livepatches {
        let replaces = match patch.replace {
            Some(true) => "all others",
            Some(false) => "no",
            None => "not shown",
        };
        let state = state(patch);
        let tone = if patch.transition { Tone::Warning } else { Tone::Plain };
        let file = patch.file.as_deref().map_or_else(|| "-".to_owned(), printable);
        table.row(vec![plain(printable(&patch.name)), cell(tone, state), plain(replaces), plain(file)]);
    }
    table
}

const fn state(patch: &PatchRow) -> &'static str {
    match (patch.enabled, patch.transition) {
        (true, false) => "enabled",
        (true, true) => "in transition",
        (false, true) => "in transition, off",
        (false, false) => "disabled",
    }
}

fn functions(live: &Live) -> Table {
    let columns =
        [Column::Name("Object"), Column::Text("Loaded"), Column::Name("Function"), Column::Name("Livepatch")];
    let mut table = Table::new(columns);
    for patch in &live.livepatches {
        for object in &patch.objects {
            let loaded = if object.patched { "yes" } else { "no" };
            for function in &object.functions {
                let sympos = function.sympos.filter(|sympos| *sympos > 1);
                let sympos = sympos.map(|sympos| format!(",{sympos}")).unwrap_or_default();
                let function = format!("{}{sympos}", printable(&function.name));
                let cells = [printable(&object.name), loaded.to_owned(), function, printable(&patch.name)];
                table.row(cells.map(plain).into());
            }
        }
    }
    table
}
