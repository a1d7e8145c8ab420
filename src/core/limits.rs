//! Every bound of the module, by name.

/// Longest CEL expression accepted, in bytes: Envoy keeps the parsed form once per worker.
pub const MAX_EXPRESSION_BYTES: usize = 8 * 1024;

/// Longest metric, dimension or attribute name, in bytes.
pub const MAX_NAME_BYTES: usize = 127;

/// Longest separator of the stat name, in bytes.
pub const MAX_SEPARATOR_BYTES: usize = 16;

/// Farthest spelling (in edits) that is still offered as "did you mean".
pub const MAX_SUGGESTION_DISTANCE: usize = 3;

/// Label sets per proxy, when `limits.max_series` says nothing: 64 MB of Envoy's memory with two workers and a scrape
/// (docs/adr/0012, measured by `make memory`).
pub const DEFAULT_MAX_SERIES: usize = 500;

/// Most label sets that can be asked for: the list that the workers share of them is copied for each new one.
pub const MAX_MAX_SERIES: u64 = 100_000;

/// Longest label value that can be asked for, in bytes: as long as a SPIFFE id may be.
pub const MAX_LABEL_BYTES: u64 = 2048;

/// Shortest limit of label values that can be asked for, in bytes: what is cut ends in 17 bytes of hash.
pub const MIN_LABEL_BYTES: u64 = 32;

/// Longest label value in bytes, when `limits.max_label_bytes` says nothing.
pub const DEFAULT_LABEL_BYTES: usize = 256;

/// Most status codes that can be prewarmed.
pub const MAX_PREWARM_CODES: usize = 32;

/// Milliseconds between reports of a stream that lasts, when `tcp_reporting_duration` says nothing (Istio's default).
pub const DEFAULT_REPORTING_INTERVAL: u32 = 5_000;

/// Most connections, clusters or endpoints remembered per worker; one more, and all of the kind are asked for anew.
pub const MAX_REMEMBERED: usize = 1_024;

/// Most bytes of names and values that are remembered of each kind.
pub const MAX_REMEMBERED_BYTES: usize = 512 * 1024;

/// Streams for which a list of facts is guarded element by element, after one that took them for granted failed.
pub const GUARDED_AFTER_FAILURE: u32 = 32;

/// Milliseconds after which clusters and endpoints are asked for anew, when no stream is reported meanwhile.
pub const FORGET_INTERVAL: u32 = 5_000;
