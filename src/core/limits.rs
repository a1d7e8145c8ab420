//! Every bound of the module, by name.

/// Longest CEL expression accepted, in bytes: Envoy keeps the parsed form once per worker.
pub const MAX_EXPRESSION_BYTES: usize = 8 * 1024;

/// Longest metric, dimension or attribute name, in bytes.
pub const MAX_NAME_BYTES: usize = 127;

/// Longest separator of the stat name, in bytes.
pub const MAX_SEPARATOR_BYTES: usize = 16;

/// Farthest spelling (in edits) that is still offered as "did you mean".
pub const MAX_SUGGESTION_DISTANCE: usize = 3;

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
