//! Cost against how many there are: of label sets, and of operations.

use super::Bench;
use crate::config::{UNLIMITED, conditions, many};
use crate::hand::Hand;
use crate::mount::{Mount, Place, Tags};
use crate::running::rounds;
use crate::sample::{Spread, differences, median, ratios};
use crate::traffic::Traffic;
use anyhow::{Result, ensure};

/// Overhead over no filter at one number.
#[derive(Debug)]
pub struct Point {
    pub count: usize,
    /// Microseconds per request, in each round.
    pub over: Vec<f64>,
}

/// A curve.
#[derive(Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<Point>,
}

/// Overheads by the number of label sets, and what new ones cost.
#[derive(Debug)]
pub struct LabelSets {
    pub curves: Vec<Series>,
    pub new: Vec<NewLabelSet>,
}

/// The first request of a label set.
#[derive(Debug)]
pub struct NewLabelSet {
    /// Who counts, and what takes labels out of names.
    pub name: String,
    /// CPU of that request, microseconds.
    pub cpu: f64,
}

/// How many new label sets are measured.
const NEW: usize = 50;
/// Numbers of operations of one configuration.
const OPERATION_COUNTS: [usize; 6] = [3, 10, 100, 1000, 5000, 10_000];
/// Numbers of conditions that the host evaluates.
const CONDITION_COUNTS: [usize; 4] = [3, 10, 30, 100];
/// How many label sets are in use where others were only seen.
const IN_USE: usize = 10;

// === impl Point ===

impl Point {
    pub fn middle(&self) -> f64 {
        median(self.over.iter().copied())
    }
}

// === impl Series ===

impl Series {
    /// The last point's overhead over the first one's: the ratio of the medians, and how it spread over the rounds.
    pub fn growth(&self) -> Option<(f64, Spread)> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        Some((last.middle() / first.middle(), Spread::of(ratios(&last.over, &first.over))))
    }
}

// === impl Bench ===

impl Bench {
    /// Overhead against the number of label sets: all of them in use, or ten in use and the others seen before. Labels are
    /// left in the names, or Envoy would take minutes to take 20,000 of them apart; requests after the first do not differ.
    ///
    /// # Errors
    /// When a mount does not work, or does not keep as many series.
    pub fn series(&self) -> Result<LabelSets> {
        self.phase("label sets");
        let counts = &self.effort.label_sets;
        let place = self.best_place();
        let mounts = [Mount::none(1), Mount::native(), self.ours("opmeter", place, UNLIMITED)]
            .map(|mount| mount.with_tags(Tags::Nothing));
        let traffics: Vec<Traffic> = counts.iter().map(|n| Traffic::of_hosts(*n)).collect();
        let few = Traffic::of_hosts(IN_USE);
        let mut curves: Vec<Series> =
            ["opmeter", "opmeter, 10 of them in use", "native stats access logger"]
                .map(|name| Series { name: name.into(), points: Vec::new() })
                .into();
        for curve in &mut curves {
            curve.points = counts.iter().map(|n| Point { count: *n, over: Vec::new() }).collect();
        }
        for generation in 1..=self.effort.generations {
            let mut running = vec![self.start(&mounts[0], &few)?];
            running[0].warm_up(&traffics[0], self.effort.warm_up)?;
            for (count, traffic) in counts.iter().zip(&traffics) {
                self.step(&format!(
                    "generation {generation} of {}: {count} label sets each",
                    self.effort.generations
                ));
                for mount in &mounts[1..] {
                    let mut started = self.start(mount, traffic)?;
                    started.warm_up(traffic, self.effort.warm_up)?;
                    let series = started.series()?;
                    ensure!(series == *count, "{}: {series} of {count} series", mount.name);
                    running.push(started);
                }
            }
            // For each number: none, native, ours; and with few in use none, ours.
            let mut lanes = Vec::new();
            for (index, traffic) in traffics.iter().enumerate() {
                let (native, ours) = (1 + 2 * index, 2 + 2 * index);
                lanes.extend([(0, traffic), (native, traffic), (ours, traffic)]);
                lanes.extend([(0, &few), (ours, &few)]);
            }
            let progress = self.progress.borrow();
            let cpu =
                rounds(self.effort.rounds, self.effort.slice, &lanes, &mut running, &progress)?;
            for (index, cpu) in cpu.chunks_exact(5).enumerate() {
                let [none, native, ours, none_few, ours_few] = cpu else { continue };
                curves[0].points[index].over.extend(differences(ours, none));
                curves[1].points[index].over.extend(differences(ours_few, none_few));
                curves[2].points[index].over.extend(differences(native, none));
            }
            for running in &running {
                running.check()?;
            }
        }
        Ok(LabelSets { curves, new: self.new_label_sets()? })
    }

    /// A new series has its name taken apart by every regular expression of the bootstrap.
    fn new_label_sets(&self) -> Result<Vec<NewLabelSet>> {
        self.step("new label sets");
        let traffic = Traffic::of_hosts(NEW);
        let kinds = [
            (Tags::Nothing, "no stats_tags"),
            (Tags::Anchored, "anchored stats_tags"),
            (Tags::Prefixed, "stats_tags with a prefix"),
            (Tags::Istio, "stats_tags of Istio's agent"),
        ];
        let mut new = Vec::new();
        for (tags, kind) in kinds {
            for mount in [Mount::native(), self.ours("opmeter", self.best_place(), UNLIMITED)] {
                let mount = mount.with_tags(tags);
                let mut running = self.start(&mount, &self.traffic)?;
                running.warm_up(&self.traffic, self.effort.warm_up)?;
                let cpu = running.once(&traffic)?;
                running.check()?;
                new.push(NewLabelSet { name: format!("{}, {kind}", mount.name), cpu });
            }
        }
        Ok(new)
    }

    /// Overhead against the number of operations, and of conditions that the host evaluates one by one as Istio's
    /// AttributeGen has it do.
    ///
    /// # Errors
    /// When a mount does not work.
    pub fn operations(&self) -> Result<Vec<Series>> {
        self.phase("operations");
        let ours = OPERATION_COUNTS.map(|count| {
            let config = many(count).to_string();
            (count, self.ours(&format!("{count} operations"), self.best_place(), config))
        });
        let mut mounts = vec![(0, Mount::none(1))];
        mounts.extend(ours);
        for count in CONDITION_COUNTS {
            let hand = Hand { expressions: conditions(count), ..Hand::trivial() };
            let name = format!("{count} conditions");
            mounts.push((count, self.by_hand(&name, Place::Filter, &hand)?));
        }
        let mut points: Vec<Point> =
            mounts.iter().map(|(count, _)| Point { count: *count, over: Vec::new() }).collect();
        for generation in 1..=self.effort.generations {
            self.step(&format!("generation {generation} of {}: starting", self.effort.generations));
            let mounts = mounts.iter().map(|(_, mount)| mount);
            for (point, over) in points.iter_mut().zip(self.overheads(mounts)?) {
                point.over.extend(over);
            }
        }
        let mut points = points.into_iter().skip(1);
        let ours = points.by_ref().take(OPERATION_COUNTS.len()).collect();
        Ok(vec![
            Series { name: "opmeter: all metrics and so many operations".into(), points: ours },
            Series {
                name: "conditions evaluated by the host, no metrics".into(),
                points: points.collect(),
            },
        ])
    }

    /// Overheads over the first mount, of one generation.
    pub(super) fn overheads<'m>(
        &self,
        mounts: impl Iterator<Item = &'m Mount>,
    ) -> Result<Vec<Vec<f64>>> {
        let mut running = Vec::new();
        for mount in mounts {
            let mut started = self.start(mount, &self.traffic)?;
            started.warm_up(&self.traffic, self.effort.warm_up)?;
            running.push(started);
        }
        let lanes: Vec<_> = (0..running.len()).map(|index| (index, &self.traffic)).collect();
        let progress = self.progress.borrow();
        let cpu = rounds(self.effort.rounds, self.effort.slice, &lanes, &mut running, &progress)?;
        for running in &running {
            running.check()?;
        }
        Ok(cpu.iter().map(|samples| differences(samples, &cpu[0])).collect())
    }
}
