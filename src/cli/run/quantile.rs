//! Quantiles from cumulative buckets, as Prometheus' `histogram_quantile` estimates them.

/// Cumulative buckets: (upper bound, how many values are at most that), the last bound infinite.
pub type Buckets = Vec<(f64, f64)>;

/// The `q` quantile, `q` in 0..=1: linear inside the bucket it falls in, the lowest bucket beginning at 0; in the infinite
/// bucket, the highest finite bound. `None` without values.
pub fn quantile(q: f64, buckets: &[(f64, f64)]) -> Option<f64> {
    let total = buckets.last()?.1;
    if total <= 0.0 {
        return None;
    }
    let rank = q * total;
    let at = buckets.iter().position(|(_, count)| *count >= rank)?;
    let (upper, count) = buckets[at];
    let (lower, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    if upper.is_infinite() {
        return (at > 0).then_some(lower);
    }
    // Only q = 0 can fall in an empty bucket.
    let share = if count > below { (rank - below) / (count - below) } else { 0.0 };
    Some(lower + (upper - lower) * share)
}

/// Adds `more` into `sum`, bound by bound.
pub fn merge(sum: &mut Buckets, more: &[(f64, f64)]) {
    for (bound, count) in more {
        match sum.iter_mut().find(|(known, _)| known == bound) {
            Some((_, known)) => *known += count,
            None => sum.push((*bound, *count)),
        }
    }
    sum.sort_by(|a, b| a.0.total_cmp(&b.0));
}

#[cfg(test)]
mod tests {
    use super::{merge, quantile};

    const INF: f64 = f64::INFINITY;

    #[test]
    fn a_quantile_is_linear_inside_its_bucket() {
        // 10 values up to 1, 30 in 1..5, 60 in 5..10.
        let buckets = [(1.0, 10.0), (5.0, 40.0), (10.0, 100.0), (INF, 100.0)];
        // Rank 50 is the 10th of the 60 values in 5..10: 5 + 5 * 10/60.
        assert!((quantile(0.5, &buckets).unwrap() - 5.833_333_333).abs() < 1e-6);
        // Rank 25 is the 15th of the 30 values in 1..5: 1 + 4 * 15/30.
        assert_eq!(quantile(0.25, &buckets), Some(3.0));
        // Rank 5 is the 5th of the 10 values in 0..1.
        assert_eq!(quantile(0.05, &buckets), Some(0.5));
        // Rank 10 is the last of the first bucket.
        assert_eq!(quantile(0.1, &buckets), Some(1.0));
        assert_eq!(quantile(1.0, &buckets), Some(10.0));
    }

    #[test]
    fn beyond_the_last_bound_the_answer_is_that_bound() {
        assert_eq!(quantile(0.99, &[(1.0, 10.0), (5.0, 50.0), (INF, 100.0)]), Some(5.0));
        assert_eq!(quantile(0.5, &[(INF, 3.0)]), None);
    }

    #[test]
    fn no_values_have_no_quantile() {
        assert_eq!(quantile(0.5, &[]), None);
        assert_eq!(quantile(0.5, &[(1.0, 0.0), (INF, 0.0)]), None);
    }

    #[test]
    fn merging_adds_bound_by_bound() {
        let mut sum = vec![(1.0, 1.0), (INF, 2.0)];
        merge(&mut sum, &[(1.0, 3.0), (INF, 4.0)]);
        assert_eq!(sum, [(1.0, 4.0), (INF, 6.0)]);
    }
}
