//! Where values lie on an axis.

use crate::dashboard::Unit;

/// An axis from 0, or from below it, to a round number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub step: f64,
}

/// About how many steps an axis has.
const STEPS: f64 = 4.0;

// === impl Scale ===

impl Scale {
    /// Holds all values, with steps that are round in their unit.
    pub fn of(unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let binary = matches!(unit, Unit::Bytes | Unit::ByteRate);
        Self::with(values, if binary { round_bytes } else { round_step })
    }

    /// Holds all values, with steps of 1, 2, 2.5 or 5 times a power of ten.
    pub fn holding(values: impl Iterator<Item = f64>) -> Self {
        Self::with(values, round_step)
    }

    fn with(values: impl Iterator<Item = f64>, round: fn(f64) -> f64) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let reach = if high > low { high - low } else { 1.0 };
        let step = round(reach / STEPS);
        let ends = ((low / step).floor() * step, (high.max(low + reach) / step).ceil() * step);
        Self { low: ends.0, high: ends.1, step }
    }

    /// Share of the axis below a value.
    pub fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Values to be labelled.
    pub fn ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut at = self.low;
        while at <= self.high + self.step * 0.01 {
            // Sums of steps miss zero by a little.
            ticks.push(if at.abs() < self.step * 0.01 { 0.0 } else { at });
            at += self.step;
        }
        ticks
    }
}

fn round_step(rough: f64) -> f64 {
    let power = 10.0_f64.powf(rough.log10().floor());
    let candidates = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
    candidates.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough)
}

/// A round number of bytes, KiB, MiB or GiB.
fn round_bytes(rough: f64) -> f64 {
    let power = 1024.0_f64.powf((rough.max(1.0).ln() / 1024.0_f64.ln()).floor());
    let rest = rough / power;
    if rest > 500.0 { 1024.0 * power } else { round_step(rest) * power }
}

#[cfg(test)]
mod tests {
    use super::{Scale, Unit};

    #[test]
    fn axes_end_at_round_numbers() {
        for (highest, high, step) in
            [(7.3, 8.0, 2.0), (100.0, 100.0, 25.0), (0.03, 0.03, 0.01), (0.0, 1.0, 0.25)]
        {
            let scale = Scale::holding([highest].into_iter());
            assert!((scale.high - high).abs() < 1e-9, "{highest}: {scale:?}");
            assert!((scale.step - step).abs() < 1e-9, "{highest}: {scale:?}");
        }
        let scale = Scale::of(Unit::Bytes, [35.0 * 1_048_576.0].into_iter());
        assert_eq!((scale.step, scale.high), (10.0 * 1_048_576.0, 40.0 * 1_048_576.0));
        let scale = Scale::holding([-3.0, 5.0, f64::NAN].into_iter());
        assert_eq!((scale.low, scale.high), (-4.0, 6.0));
        assert_eq!(scale.ticks(), [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0]);
    }
}
