//! `limits` and `prewarm`: from numbers to bounds.

use super::raw::{RawLimits, RawPrewarm};
use super::{Limits, Prewarm};
use crate::diag::Diagnostic;
use crate::limits::{
    DEFAULT_LABEL_BYTES, DEFAULT_MAX_SERIES, MAX_LABEL_BYTES, MAX_MAX_SERIES, MAX_PREWARM_CODES,
    MIN_LABEL_BYTES,
};

/// Status codes that are prewarmed when none are named.
const DEFAULT_CODES: [i64; 1] = [200];

pub(super) fn limits(raw: &RawLimits, diagnostics: &mut Vec<Diagnostic>) -> Limits {
    let mut number = |name: &str, value: Option<u64>, least: u64, most: u64| {
        let value = value?;
        if (least..=most).contains(&value) {
            return usize::try_from(value).ok();
        }
        let problem = format!("found {value}, expected {least} to {most}");
        diagnostics.push(Diagnostic::error(format!("limits.{name}"), problem));
        None
    };
    let max_series = number("max_series", raw.max_series, 1, MAX_MAX_SERIES);
    let max_values =
        number("max_values_per_dimension", raw.max_values_per_dimension, 1, MAX_MAX_SERIES);
    let max_label_bytes =
        number("max_label_bytes", raw.max_label_bytes, MIN_LABEL_BYTES, MAX_LABEL_BYTES);
    Limits {
        max_series: max_series.unwrap_or(DEFAULT_MAX_SERIES),
        max_values,
        max_label_bytes: max_label_bytes.unwrap_or(DEFAULT_LABEL_BYTES),
    }
}

pub(super) fn prewarm(raw: RawPrewarm, diagnostics: &mut Vec<Diagnostic>) -> Prewarm {
    let Some(given) = raw.response_codes else {
        return Prewarm { response_codes: DEFAULT_CODES.to_vec() };
    };
    let path = "prewarm.response_codes";
    if given.len() > MAX_PREWARM_CODES {
        let problem = format!("found {} codes, expected at most {MAX_PREWARM_CODES}", given.len());
        diagnostics.push(Diagnostic::error(path, problem));
    }
    let mut response_codes: Vec<i64> = Vec::new();
    for (i, code) in given.into_iter().enumerate().take(MAX_PREWARM_CODES) {
        match i64::try_from(code) {
            Ok(code @ 100..=599) if response_codes.contains(&code) => {}
            Ok(code @ 100..=599) => response_codes.push(code),
            _ => {
                let problem = format!("found {code}, expected a status code");
                diagnostics.push(Diagnostic::error(format!("{path}[{i}]"), problem));
            }
        }
    }
    Prewarm { response_codes }
}
