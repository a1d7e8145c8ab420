//! The engines a case runs on, and what each of them answers.

use crate::series::Series;
use serde::Deserialize;
use std::collections::BTreeMap;
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

/// How the module is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// As an HTTP filter or a network filter.
    Filter,
    /// As an access logger of the HTTP connection manager or the TCP proxy.
    AccessLogger,
}

/// What came out of a case.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The problems, when the configuration was refused.
    pub refused: Option<Vec<String>>,
    /// The problems in a configuration that was not.
    pub problems: Vec<String>,
    /// Warnings and log lines.
    pub log: Vec<String>,
    /// All series of the proxy at the end.
    pub series: Vec<Series>,
    /// The headers behind the proxy, by request; those of the last time when one is sent several times.
    pub passed: Vec<Passed>,
    /// All series right after each tick.
    pub ticks: Vec<Vec<Series>>,
}

/// Headers by name.
pub type Headers = BTreeMap<String, Vec<u8>>;

/// The headers behind the proxy.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// What the upstream got; `None` when it got no request.
    pub upstream: Option<Headers>,
    /// What the client got; `None` when it got no response.
    pub client: Option<Headers>,
}

// === impl Engine ===

impl Engine {
    /// All engines, the fastest first.
    pub const ALL: [Engine; 3] = [Engine::Core, Engine::Wasm, Engine::Envoy];
}

// === impl Mount ===

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mount::Filter => "",
            Mount::AccessLogger => "-logger",
        })
    }
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
