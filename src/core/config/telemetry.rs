//! `metrics` of a Telemetry resource's `spec`, read into overrides as Istio's control plane merges them.
//!
//! Entries apply in their order: later beats earlier, whatever is more specific. What an override says of a label is
//! overridden label by label; of `disabled` the last word counts, per metric and per side, and disabling all metrics
//! counts until any later override of that side.

use super::fields::{Fields, Located, Schema, UNKNOWN};
use super::{Dimension, Override, Target, When};
use crate::diag::Diagnostic;
use crate::metric::standard;

/// What a `telemetry` comes down to.
#[derive(Debug, Default)]
pub(super) struct Telemetry {
    pub overrides: Vec<Override>,
    pub disabled: Disabled,
    /// Milliseconds.
    pub reporting_interval: Option<u64>,
}

/// Standard metrics that are not recorded, by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disabled {
    /// Sides without any.
    all: u8,
    /// One bit for each metric, as in [`standard::ALL`].
    client: u16,
    server: u16,
}

const CLIENT: u8 = 1;
const SERVER: u8 = 2;
const BOTH: u8 = CLIENT | SERVER;

/// Name of the field, with which the paths of its overrides begin.
pub(super) const PATH: &str = "telemetry";

/// Istio's own name for proxies that are scraped.
const DEFAULT_PROVIDER: &str = "prometheus";

/// Values of `match.metric`: after the first, those of [`standard::ALL`].
const METRICS: &[&str] = &[
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
];
const MODES: &[&str] = &["CLIENT_AND_SERVER", "CLIENT", "SERVER"];
const OPERATIONS: &[&str] = &["UPSERT", "REMOVE"];

const TELEMETRY: Schema = Schema { allowed: &["metrics", "provider"], narrowing: &["provider"] };
const ENTRY: Schema =
    Schema { allowed: &["overrides", "providers", "reportingInterval"], narrowing: &["providers"] };
const PROVIDER: Schema = Schema { allowed: &["name"], narrowing: &["name", UNKNOWN] };
const OVERRIDE: Schema =
    Schema { allowed: &["disabled", "match", "tagOverrides"], narrowing: &["match"] };
const MATCH: Schema = Schema {
    allowed: &["customMetric", "metric", "mode"],
    narrowing: &["customMetric", "metric", "mode", UNKNOWN],
};
const TAG: Schema = Schema { allowed: &["operation", "value"], narrowing: &["operation", "value"] };

/// Reads and merges; problems are added to `diagnostics`.
pub(super) fn read(at: Located<'_>, diagnostics: &mut Vec<Diagnostic>) -> Telemetry {
    let mut telemetry = Telemetry::default();
    let mut fields = Fields::open(at, &TELEMETRY, diagnostics);
    let provider = fields.string("provider");
    let provider = provider.as_deref().unwrap_or(DEFAULT_PROVIDER);
    // An entry without providers has those of the entry before, so the last list tells both what the entries behind it
    // concern and who is in force; where that is somebody else, nothing is.
    let mut ours = true;
    let mut providers_at = String::new();
    let entries = fields.list("metrics");
    // Else nobody knows which entries are ours.
    let usable = !fields.is_too_wide();
    for at in entries {
        let mut fields = Fields::open(at, &ENTRY, diagnostics);
        let interval = fields.milliseconds("reportingInterval");
        let (providers, overrides) = (fields.list("providers"), fields.list("overrides"));
        let mut usable = !fields.is_too_wide();
        let at = fields.path_of("providers");
        let mut names = Vec::new();
        for at in providers {
            let mut fields = Fields::open(at, &PROVIDER, diagnostics);
            names.push(fields.string("name"));
            usable &= !fields.is_too_wide();
        }
        if usable && !names.is_empty() {
            ours = names.iter().any(|name| name.as_deref() == Some(provider));
            providers_at = at;
        }
        let (before, disabled) = (telemetry.overrides.len(), telemetry.disabled);
        for at in overrides {
            change(at, &mut telemetry, diagnostics);
        }
        if ours && usable {
            telemetry.reporting_interval = interval.or(telemetry.reporting_interval);
        } else {
            telemetry.overrides.truncate(before);
            telemetry.disabled = disabled;
        }
    }
    if !usable {
        return Telemetry::default();
    }
    if !ours {
        let problem = format!("\"{provider}\" is not among them, no standard metrics are left");
        diagnostics.push(Diagnostic::warning(providers_at, problem));
        telemetry.overrides.clear();
        telemetry.disabled.all = BOTH;
    }
    telemetry
}

/// Reads one override.
fn change(at: Located<'_>, merged: &mut Telemetry, diagnostics: &mut Vec<Diagnostic>) {
    let path = at.0.clone();
    let mut fields = Fields::open(at, &OVERRIDE, diagnostics);
    let disabled = fields.flag("disabled");
    let tags = fields.members("tagOverrides");
    let selected = fields.object("match");
    let mut change = Override {
        path,
        target: Target::Standard,
        dimensions: Vec::new(),
        tags_to_remove: Vec::new(),
        drop: false,
        when: When::Always,
    };
    let mut usable = !fields.is_too_wide();
    if let Some(at) = selected {
        usable &= selector(at, &mut change, diagnostics);
    }
    for (label, at) in tags {
        tag(label, at, &mut change, diagnostics);
    }
    if usable && merged.disabled.merge(&mut change, disabled) {
        merged.overrides.push(change);
    }
}

/// Reads `match`; `false` where it would select more than was meant.
fn selector(at: Located<'_>, change: &mut Override, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let mut fields = Fields::open(at, &MATCH, diagnostics);
    match fields.choice("mode", MODES) {
        Some(1) => change.when = When::Client,
        Some(2) => change.when = When::Server,
        _ => {}
    }
    let metric = fields.choice("metric", METRICS);
    let of_enum = metric.and_then(|metric| standard::ALL.get(metric.checked_sub(1)?));
    let of_enum = of_enum.map(|metric| metric.name.to_owned());
    let custom = fields.string("customMetric");
    let twice = metric.is_some() && custom.is_some();
    if twice {
        let path = fields.path_of("customMetric");
        fields
            .report(path, "also given as \"metric\", keep one; the entry has no effect".to_owned());
    }
    if let Some(name) = custom.or(of_enum) {
        change.target = Target::Named(name);
    }
    !twice && !fields.is_too_wide()
}

fn tag(label: &str, at: Located<'_>, change: &mut Override, diagnostics: &mut Vec<Diagnostic>) {
    let mut fields = Fields::open(at, &TAG, diagnostics);
    let removes = fields.choice("operation", OPERATIONS) == Some(1);
    let value = fields.string("value");
    let path = fields.path_of("value");
    let unusable = fields.is_too_wide();
    let label = label.to_owned();
    let problem = match value {
        _ if unusable => return,
        None if removes => return change.tags_to_remove.push(label),
        Some(value) if !removes => {
            return change.dimensions.push(Dimension { path, label, value });
        }
        None => "missing, expected an expression",
        Some(_) => "REMOVE takes none",
    };
    diagnostics.push(Diagnostic::error(path, problem));
}

// === impl Disabled ===

impl Disabled {
    /// Merges the `disabled` of an override; `false` for an override that says nothing else.
    fn merge(&mut self, change: &mut Override, disabled: Option<bool>) -> bool {
        let metrics = match &change.target {
            Target::Named(name) => {
                let standard = standard::ALL.iter().position(|metric| metric.name == name);
                change.drop = standard.is_none() && disabled == Some(true);
                standard.map_or(0, |metric| 1 << metric)
            }
            _ => u16::MAX,
        };
        let sides = match change.when {
            When::Client => CLIENT,
            When::Server => SERVER,
            _ => BOTH,
        };
        let all = metrics == u16::MAX && disabled == Some(true);
        self.all = self.all & !sides | if all { sides } else { 0 };
        for (side, place) in [(CLIENT, &mut self.client), (SERVER, &mut self.server)] {
            if let (true, Some(disabled)) = (sides & side != 0 && !all, disabled) {
                *place = *place & !metrics | if disabled { metrics } else { 0 };
            }
        }
        !all
    }

    /// Whether nothing is left of the standard metrics.
    pub fn is_complete(&self) -> bool {
        self.all == BOTH
    }

    /// The streams for which a standard metric is not recorded, by its place in [`standard::ALL`].
    pub fn of(&self, metric: usize) -> Option<When> {
        let disabled = |side: u8, metrics: u16| self.all & side != 0 || metrics >> metric & 1 != 0;
        match (disabled(CLIENT, self.client), disabled(SERVER, self.server)) {
            (true, true) => Some(When::Always),
            (true, false) => Some(When::Client),
            (false, true) => Some(When::Server),
            (false, false) => None,
        }
    }
}
