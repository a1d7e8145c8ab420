//! The engines a case runs on, and what each of them answers.

use crate::series::Series;
use serde::Deserialize;
use std::fmt;

/// Where a case runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The core, natively, over the model of a proxy.
    Core,
    /// The module in an in-process host over the same model.
    Wasm,
    /// The module in a real Envoy with real traffic.
    Envoy,
}

/// What came out of a case.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The problems, when the configuration was refused.
    pub refused: Option<Vec<String>>,
    /// Warnings and log lines.
    pub log: Vec<String>,
    /// All series of the proxy at the end.
    pub series: Vec<Series>,
}

// === impl Engine ===

impl Engine {
    /// All engines, the fastest first.
    pub const ALL: [Engine; 3] = [Engine::Core, Engine::Wasm, Engine::Envoy];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Core => "core",
            Engine::Wasm => "wasm",
            Engine::Envoy => "envoy",
        })
    }
}
