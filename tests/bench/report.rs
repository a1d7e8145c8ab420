//! Tables for people, in Markdown.

use crate::bars::{self, Bar};
use crate::compare::{Comparison, Configuring, Count, LabelSets, Pair, Row, Series, Step};
use crate::plot;
use crate::sample::{Spread, median};
use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use std::path::Path;

/// All that was measured; parts that were not are `None`.
#[derive(Debug)]
pub struct Report {
    command: String,
    machine: Vec<String>,
    pub mounts: Option<Comparison>,
    pub pairs: Option<Vec<Pair>>,
    pub series: Option<LabelSets>,
    pub configuring: Option<Configuring>,
    pub operations: Option<Vec<Series>>,
    pub profile: Option<Vec<Step>>,
    pub instructions: Option<Vec<Count>>,
}

const MEGABYTE: f64 = 1e6;

// === impl Report ===

impl Report {
    /// Nothing is measured yet.
    pub fn new(command: String, machine: Vec<String>) -> Self {
        Self {
            command,
            machine,
            mounts: None,
            pairs: None,
            series: None,
            configuring: None,
            operations: None,
            profile: None,
            instructions: None,
        }
    }

    /// All tables.
    pub fn render(&self) -> String {
        self.with_plots(&|_| String::new())
    }

    /// Writes all tables and plots into a folder.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let plots = plot::all(self)?;
        for (name, svg) in &plots {
            std::fs::write(folder.join(format!("{name}.svg")), svg)?;
        }
        let link = |name: &str| match plots.iter().any(|(plotted, _)| *plotted == name) {
            true => format!("![]({name}.svg)\n\n"),
            false => String::new(),
        };
        let file = folder.join("README.md");
        std::fs::write(&file, self.with_plots(&link))
            .with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("wrote {}", file.display());
        Ok(())
    }

    fn with_plots(&self, plot: &dyn Fn(&str) -> String) -> String {
        let mut text = format!(
            "# What opmeter costs\n\nWritten by `{}`. {}.\n\n{}\n\n",
            self.command,
            self.machine.join(". "),
            METHOD
        );
        let mut section = |title: &str, name: &str, note: &str, table: Table| {
            text += &format!("## {title}\n\n{}{note}{table}\n\n", plot(name));
        };
        let bars = bars::judge(self);
        if !bars.is_empty() {
            section("Bars", "", "", of_bars(&bars));
        }
        if let Some(mounts) = &self.mounts {
            section("Mounts", "mounts", MOUNTS, of_mounts(mounts));
        }
        if let Some(curves) = &self.operations {
            section("Operations", "operations", OPERATIONS, of_curves("operations", curves));
        }
        if let Some(sets) = &self.series {
            section("Label sets", "label-sets", LABEL_SETS, of_curves("label sets", &sets.curves));
            section("New label sets", "", NEW_LABEL_SETS, of_new(sets));
        }
        if let Some(configuring) = &self.configuring {
            section("Configuring", "", CONFIGURING, of_configuring(configuring));
        }
        if let Some(counts) = &self.instructions {
            section("Instructions", "", INSTRUCTIONS, of_counts(counts));
        }
        if let Some(steps) = &self.profile {
            section("Where the time goes", "", PROFILE, of_steps(steps));
        }
        text.trim_end().to_owned() + "\n"
    }
}

const METHOD: &str = "CPU is that of the Envoy process, user and system, per request: one worker, direct response, eight
connections kept open by one client that always has requests waiting. All proxies of a table run side by side and get slices
of load in turn; `over none` is the median over the rounds of the difference to no filter in the same round, with the middle
half of the rounds in brackets (of the CPU itself for no filter: how quiet the machine was). A proxy that did not count every
request ends the run. Envoy's merging of histograms, which is the same for whoever defined them, is off.";

const MOUNTS: &str = "Requests of a calling sidecar, peer headers included, to 10,000 paths of one host; two hops: of an
application to its own sidecar, CPU and memory of both proxies. Latency at 2,000 requests a second, from the moment each was
due. Memory is resident, after the load.\n\n";

const OPERATIONS: &str =
    "The host's conditions are a regular expression and a comparison each, evaluated one by one as
Istio's AttributeGen has it done, by a module that does nothing else.\n\n";

const LABEL_SETS: &str = "Each host of the requests is a label set, of four metrics. No filter gets the same requests.\n\n";

const NEW_LABEL_SETS: &str =
    "The first request of a label set defines four series, and Envoy applies all regular
expressions of `stats_tags` to the name of each.\n\n";

const CONFIGURING: &str = "What 10,000 operations cost more than three.\n\n";

const PROFILE: &str = "Modules written by hand that each do one part; what is left of opmeter's own line is its own code.\n\n";

const INSTRUCTIONS: &str = "Of the worker's thread per request, counted by callgrind: the same on every machine, busy or not. Code and data are lines
of 64 bytes that callgrind's model of a first-level cache (of this machine's size) had to fetch. Time follows the code that is
touched rather than the instructions that are run: between two requests the caches are used by others.\n\n";

fn of_counts(counts: &[Count]) -> Table {
    let find = |name: &str| counts.iter().find(|count| count.name == name);
    let none = find("none").map_or([0.0; 3], Count::all);
    let native = find("native stats access logger").map_or([f64::NAN; 3], Count::all);
    let rows = counts.iter().map(|count| {
        let all = count.all();
        let mut cells = vec![count.name.clone()];
        for ((count, none), native) in all.into_iter().zip(none).zip(native) {
            cells.push(format!("{:+.0}", count - none));
            cells.push(format!("{:.2}", (count - none) / (native - none)));
        }
        cells
    });
    let heads = [
        "",
        "instructions",
        "of native",
        "lines of code",
        "of native",
        "lines of data",
        "of native",
    ];
    table(heads, rows)
}

fn of_bars(bars: &[Bar]) -> Table {
    let rows = bars.iter().map(|bar| {
        let (found, limit) = (format!("{:.2} {}", bar.found, bar.unit), bar.limit);
        let spread =
            bar.spread.map_or_else(String::new, |s| format!("{:.2} to {:.2}", s.low, s.high));
        let verdict = if bar.holds() { "PASS" } else { "FAIL" };
        vec![bar.what.clone(), format!("{limit} {}", bar.unit), found, spread, verdict.into()]
    });
    table(["", "at most", "found", "middle half of rounds", ""], rows)
}

fn of_mounts(mounts: &Comparison) -> Table {
    let native = mounts.row("native stats access logger").map(|row| row.overhead().middle);
    let rows = mounts.rows.iter().map(|row| {
        let same = |other: &&Row| {
            other.is_baseline && other.name.starts_with("two") == row.name.starts_with("two")
        };
        let base = mounts.rows.iter().find(same).unwrap_or(row);
        let over = row.overhead();
        let relative = match (row.is_baseline, native) {
            (false, Some(native)) if !row.name.starts_with("two") => {
                format!("{:.2}", over.middle / native)
            }
            _ => String::new(),
        };
        let middle = |samples: &[f64]| median(samples.iter().copied());
        let memory = middle(&row.memory) / MEGABYTE;
        let more = memory - middle(&base.memory) / MEGABYTE;
        let second = match (row.second_worker(), base.second_worker()) {
            (Some(row), Some(base)) => format!("{:+.1}", (row - base) / MEGABYTE),
            _ => String::new(),
        };
        let start = middle(&row.first_answer);
        vec![
            row.name.clone(),
            format!("{:.1}", middle(&row.cpu)),
            if row.is_baseline {
                let cpu = Spread::of(row.cpu.iter().copied());
                format!("({:.1} to {:.1})", cpu.low, cpu.high)
            } else {
                format!("{:+.1} ({:.1} to {:.1})", over.middle, over.low, over.high)
            },
            relative,
            format!("{:.0}", row.latency(0.5)),
            format!("{:.0}", row.latency(0.99)),
            format!("{memory:.0}"),
            format!("{more:+.1}"),
            second,
            format!("{start:.2}"),
            format!("{:+.2}", start - middle(&base.first_answer)),
        ]
    });
    table(
        [
            "",
            "CPU µs/request",
            "over none",
            "of native",
            "p50 µs",
            "p99 µs",
            "RSS MB",
            "over none",
            "2nd worker",
            "first answer s",
            "over none",
        ],
        rows,
    )
}

fn of_curves(what: &str, curves: &[Series]) -> Table {
    let rows = curves.iter().flat_map(|curve| {
        curve.points.iter().map(|point| {
            let spread = Spread::of(point.over.iter().copied());
            vec![
                curve.name.clone(),
                point.count.to_string(),
                format!("{:+.1}", spread.middle),
                format!("{:.1} to {:.1}", spread.low, spread.high),
            ]
        })
    });
    table(["", what, "µs over none", "middle half of rounds"], rows)
}

fn of_new(sets: &LabelSets) -> Table {
    let rows = sets.new.iter().map(|new| vec![new.name.clone(), format!("{:.0}", new.cpu)]);
    table(["", "CPU µs of the first request"], rows)
}

fn of_configuring(configuring: &Configuring) -> Table {
    let rows = [
        ("CPU of each VM, s", format!("{:.3}", configuring.seconds_per_vm)),
        ("memory of each VM, MB", format!("{:.1}", configuring.bytes_per_vm / MEGABYTE)),
        ("first answer, one worker, s", format!("{:+.3}", configuring.first_answer)),
    ];
    table(["", "more"], rows.map(|(what, found)| vec![what.to_owned(), found]).into_iter())
}

fn of_steps(steps: &[Step]) -> Table {
    let rows = steps.iter().map(|step| {
        vec![
            step.name.clone(),
            format!("{:+.2}", step.over.middle),
            format!("{:.2} to {:.2}", step.over.low, step.over.high),
        ]
    });
    table(["", "µs over none", "middle half of rounds"], rows)
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
