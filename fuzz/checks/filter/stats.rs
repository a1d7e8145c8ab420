//! The proxy's statistics, by metric.

use opmeter_core::port::{Failed, MetricId, MetricKind, Sink};

/// Takes metrics down, or refuses calls by the bits of `failures`.
#[derive(Default)]
pub(crate) struct Stats {
    pub may_fail: bool,
    /// The lowest bit is the next call's: set if it fails.
    pub failures: u32,
    /// Calls that changed or could have changed a value.
    pub calls: usize,
    /// Stat name, kind and metric of each id.
    series: Vec<(String, MetricKind, usize)>,
    metrics: Vec<(String, Of)>,
    /// What workers share, with versions.
    shared: Vec<(String, Vec<u8>, u32)>,
    /// Whether another worker is always faster.
    pub contended: bool,
}

/// What was recorded of one metric.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Of {
    /// Values taken.
    pub calls: u64,
    /// Their sum.
    pub sum: u128,
    /// Values refused.
    pub refused: u64,
    /// Their sum.
    pub refused_sum: u128,
    /// Series refused.
    pub undefined: u64,
}

const FAILURE: Failed = Failed(10);

// === impl Of ===

impl Of {
    /// How often a value was to be recorded.
    pub(crate) fn attempts(&self) -> u64 {
        self.calls + self.refused + self.undefined
    }
}

// === impl Stats ===

impl Stats {
    /// Forgets all values; the series stay defined, and from now on calls may fail.
    pub(crate) fn begin(&mut self) {
        self.metrics.iter_mut().for_each(|(_, of)| *of = Of::default());
        (self.may_fail, self.failures, self.calls) = (true, 0, 0);
    }

    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn of(&self, metric: &str) -> Of {
        let found = self.metrics.iter().find(|(name, _)| name == metric);
        found.map(|(_, of)| *of).unwrap_or_default()
    }

    /// Sum over metrics of this name, whatever their prefix.
    pub(crate) fn total(&self, metric: &str) -> u128 {
        self.metrics.iter().filter(|(name, _)| name.ends_with(metric)).map(|(_, of)| of.sum).sum()
    }

    fn fails(&mut self) -> bool {
        let fails = self.may_fail && self.failures & 1 == 1;
        self.failures >>= 1;
        fails
    }

    /// The metric of a stat name: what stands behind the labels.
    fn metric(&mut self, stat: &str) -> usize {
        let labels = stat.bytes().rposition(|byte| byte == b';').map_or(0, |at| at + 1);
        let metric = &stat[labels..];
        let known = self.metrics.iter().position(|(name, _)| name == metric);
        known.unwrap_or_else(|| {
            self.metrics.push((metric.to_owned(), Of::default()));
            self.metrics.len() - 1
        })
    }

    fn add(&mut self, metric: MetricId, amount: u64, kinds: &[MetricKind]) -> Result<(), Failed> {
        self.calls += 1;
        let fails = self.fails();
        let (_, kind, metric) = self.series[metric.0 as usize];
        assert!(kinds.contains(&kind), "{kind:?} in the wrong way");
        let of = &mut self.metrics[metric].1;
        if fails {
            of.refused += 1;
            of.refused_sum += u128::from(amount);
            return Err(FAILURE);
        }
        of.calls += 1;
        of.sum += u128::from(amount);
        Ok(())
    }
}

impl Sink for Stats {
    fn define(&mut self, kind: MetricKind, name: &str) -> Result<MetricId, Failed> {
        let fails = self.fails();
        let metric = self.metric(name);
        if fails {
            self.metrics[metric].1.undefined += 1;
            return Err(FAILURE);
        }
        let same = |(known, of, _): &(String, MetricKind, usize)| known == name && *of == kind;
        let known = self.series.iter().position(same);
        let id = known.unwrap_or_else(|| {
            self.series.push((name.to_owned(), kind, metric));
            self.series.len() - 1
        });
        Ok(MetricId(id as u32))
    }

    fn increment(&mut self, metric: MetricId, delta: i64) -> Result<(), Failed> {
        let amount = u64::try_from(delta).expect("counters grow");
        assert!(amount > 0, "Envoy refuses to add nothing");
        self.add(metric, amount, &[MetricKind::Counter, MetricKind::Gauge])
    }

    fn record(&mut self, metric: MetricId, value: u64) -> Result<(), Failed> {
        self.add(metric, value, &[MetricKind::Gauge, MetricKind::Histogram])
    }

    fn shared(&mut self, name: &str, out: &mut Vec<u8>) -> Result<Option<u32>, Failed> {
        if self.fails() {
            if self.fails() {
                return Err(FAILURE);
            }
            out.extend_from_slice(b"nobody's hashes");
        }
        let known = self.shared.iter().find(|(known, ..)| known == name);
        out.extend(known.into_iter().flat_map(|(_, value, _)| value));
        Ok(known.map(|(.., version)| *version))
    }

    fn share(&mut self, name: &str, value: &[u8], version: Option<u32>) -> Result<bool, Failed> {
        if self.may_fail && self.contended {
            return Ok(false);
        }
        if self.fails() {
            return if self.fails() { Err(FAILURE) } else { Ok(false) };
        }
        let Some(known) = self.shared.iter_mut().find(|(known, ..)| known == name) else {
            self.shared.push((name.to_owned(), value.to_vec(), 1));
            return Ok(true);
        };
        let current = version.is_none_or(|version| version == known.2);
        if current {
            (known.1, known.2) = (value.to_vec(), known.2 + 1);
        }
        Ok(current)
    }
}
