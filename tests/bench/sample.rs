//! Medians and ratios of samples.

/// The middle half of samples.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// First quartile.
    pub low: f64,
    /// Median.
    pub middle: f64,
    /// Third quartile.
    pub high: f64,
}

// === impl Spread ===

impl Spread {
    /// Of samples in any order; not a number when there are none.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let sorted = sorted(samples);
        Self {
            low: quantile(&sorted, 0.25),
            middle: quantile(&sorted, 0.5),
            high: quantile(&sorted, 0.75),
        }
    }
}

/// The median; not a number when there are no samples.
pub fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&sorted(samples), 0.5)
}

/// What one thing costs more than another, round by round: only samples of the same round saw the same machine.
pub fn differences(samples: &[f64], baseline: &[f64]) -> Vec<f64> {
    samples.iter().zip(baseline).map(|(sample, base)| sample - base).collect()
}

/// One cost over another, round by round.
pub fn ratios(costs: &[f64], baseline: &[f64]) -> Vec<f64> {
    costs.iter().zip(baseline).map(|(cost, base)| cost / base).collect()
}

/// Linear between the nearest ranks.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = part * last as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

pub fn sorted(samples: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = samples.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_five() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((spread.low, spread.middle, spread.high), (2.0, 3.0, 4.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn rounds_are_paired() {
        assert_eq!(differences(&[3.0, 5.0], &[1.0, 1.0]), [2.0, 4.0]);
        assert_eq!(ratios(&[2.0, 4.0], &[4.0, 4.0]), [0.5, 1.0]);
    }
}
