//! Measures what each exported function of the C library costs: bytes of code and of constants that it drags in, bytes of
//! stack on the deepest way through it, and addresses that an image which can be moved has to relocate. Fails when a function has grown over what is recorded, when the deepest way has
//! no end (recursion), and when an indirect call leads somewhere that [`indirect`] does not know.

mod budget;
mod graph;
mod indirect;
mod limits;
mod pie;

use anyhow::{Context, Result, bail};
use budget::{Cost, Group, Table};
use clap::Parser;
use graph::Graph;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[derive(Parser)]
#[command(about = "Measures the code and the stack that each exported function needs")]
struct Arguments {
    /// The archive, compiled with -Z emit-stack-sizes and without a red zone; with --pie, one for any address
    archive: PathBuf,
    /// The header that declares the functions
    #[arg(long)]
    header: PathBuf,
    /// The page with the recorded table
    #[arg(long)]
    record: PathBuf,
    /// Name of the table's columns, such as "opt-level 3"
    #[arg(long, default_value = "pie")]
    column: String,
    /// Counts the addresses in a position-independent image, instead of measuring bytes
    #[arg(long)]
    pie: bool,
    /// Prints the deepest way through this function
    #[arg(long)]
    explain: Option<String>,
    /// Records what was measured instead of comparing
    #[arg(long)]
    write: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
    let header = fs::read_to_string(&arguments.header).context("the header")?;
    let functions = declared(&header);
    if functions.is_empty() {
        bail!("{} declares no functions", arguments.header.display());
    }
    let groups = budget::groups(&functions)?;
    let (measures, costs): (&[&str], _) = if arguments.pie {
        (&["addresses"], addresses(&arguments.archive, groups)?)
    } else {
        let graph = Graph::read(&read(&arguments.archive)?)?;
        check_declared(&functions, &graph.exported("relakit_"))?;
        graph.check_indirect()?;
        if let Some(function) = &arguments.explain {
            println!("{}:", arguments.column);
            for (name, bytes) in graph.stack(std::slice::from_ref(function))?.frames {
                println!("{bytes:6} {name}");
            }
            return Ok(());
        }
        (&["code", "data", "stack"], bytes(&graph, groups)?)
    };
    let headings: Vec<_> =
        measures.iter().map(|measure| format!("{measure}, {}", arguments.column)).collect();
    limits::check(measures, &costs)?;
    let page = fs::read_to_string(&arguments.record).context("the page with the table")?;
    let mut table = Table::parse(&page)?;
    if arguments.write {
        table.record(&headings, &costs);
        fs::write(&arguments.record, table.into_page())?;
        return Ok(());
    }
    table.compare(&headings, &costs)
}

fn bytes(graph: &Graph, groups: Vec<Group>) -> Result<Vec<Cost>> {
    let cost = |group: Group| {
        let (code, data) = graph.sizes(&group.functions)?;
        let stack = graph.stack(&group.functions)?.bytes;
        Ok(Cost { name: group.name, numbers: vec![code, data, stack] })
    };
    groups.into_iter().map(cost).collect()
}

fn addresses(archive: &Path, groups: Vec<Group>) -> Result<Vec<Cost>> {
    let cost = |group: Group| {
        let count = pie::relative(archive, &group.functions)?;
        Ok(Cost { name: group.name, numbers: vec![count] })
    };
    groups.into_iter().map(cost).collect()
}

/// The header declares the functions that the archive exports, and no others.
fn check_declared(declared: &[String], exported: &BTreeSet<&str>) -> Result<()> {
    let declared: BTreeSet<_> = declared.iter().map(String::as_str).collect();
    let differences: Vec<_> = declared.symmetric_difference(exported).copied().collect();
    if !differences.is_empty() {
        bail!("in the header or in the archive, but not in both: {}", differences.join(", "));
    }
    Ok(())
}

/// The functions that a header declares: a name that begins with the prefix and is followed by a parenthesis.
fn declared(header: &str) -> Vec<String> {
    let lines = header.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    let names = lines.filter_map(|line| {
        let start = line.find("relakit_").filter(|_| line.contains('('))?;
        let before_parenthesis = line[..line.find('(')?].rsplit([' ', '*']).next()?;
        (start < line.find('(')?).then(|| before_parenthesis.to_owned())
    });
    names.filter(|name| name.starts_with("relakit_")).collect()
}
