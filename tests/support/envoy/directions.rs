//! A case in an Envoy of every direction: listeners of all three share one configuration of the module.
//!
//! Beside the case's own listener there is one of each direction. They carry traffic before the case does, so that what the
//! module knows by then comes from streams of other directions, in both workers. What a case expects stays the same.

mod warm_up;

use super::bootstrap::{self, TYPES};
use super::{Envoy, folder};
use crate::case::{Case, Side};
use crate::engine::{Mount, Outcome};
use crate::module;
use crate::upstream::Upstream;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use warm_up::WarmUp;

/// A connection for each of them.
const WORKERS: u32 = 2;

/// Name of the file with the discovered filter.
const DISCOVERED: &str = "filter.json";

/// How the directions share a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directions {
    /// How the module is mounted on all listeners.
    pub mount: Mount,
    /// Whether the filter is discovered (ECDS) rather than written out in each listener.
    pub discovered: bool,
    /// The direction of the first streams.
    pub first: Side,
}

// === impl Directions ===

impl Directions {
    /// All ways for a case. A refused configuration has no streams, and so no way.
    ///
    /// An access logger cannot be discovered: Envoy has no discovery for them.
    pub fn all(case: &Case) -> Vec<Self> {
        if !case.refused.is_empty() {
            return Vec::new();
        }
        let mounts = case.mounts().into_iter().flat_map(|mount| match mount {
            Mount::Filter => vec![(mount, false), (mount, true)],
            Mount::AccessLogger => vec![(mount, false)],
        });
        let ways = mounts.flat_map(|(mount, discovered)| {
            Side::ALL.map(|first| Self { mount, discovered, first })
        });
        ways.collect()
    }

    /// The way for a case that is run in one of them: any, and always the same.
    pub fn of(name: &str, case: &Case) -> Option<Self> {
        let all = Self::all(case);
        // FNV-1a, whose values are the same on every machine.
        let hash = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        all.get(usize::try_from(hash).ok()?.checked_rem(all.len())?).copied()
    }

    /// The order in which the directions have their first streams.
    fn order(self) -> Vec<Side> {
        let mut order = Side::ALL.to_vec();
        order.sort_by_key(|side| *side != self.first);
        order
    }
}

impl fmt::Display for Directions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match (self.mount, self.discovered) {
            (Mount::AccessLogger, _) => "logger",
            (Mount::Filter, true) => "ecds",
            (Mount::Filter, false) => "static",
        };
        write!(f, "{}-first-{source}", self.first)
    }
}

/// Runs a case on a real Envoy of all directions.
///
/// # Errors
/// Envoy does not start, or answers a request with another status.
pub fn run(case: &Case, directions: Directions, binary: &Path) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_async(case, directions, binary))
}

async fn run_async(case: &Case, directions: Directions, binary: &Path) -> Result<Outcome> {
    let upstream = Upstream::start(case).await?;
    let folder = folder()?;
    let (mount, module) = (directions.mount, module::path());
    let mut bootstrap = bootstrap::build(case, mount, upstream.port, folder.path(), module)?;
    let warm_up = WarmUp::of(case);
    warm_up.add_listeners(&mut bootstrap, case, mount);
    if directions.discovered {
        let found = discover(&mut bootstrap, folder.path());
        let mut filter = found.ok_or_else(|| anyhow::anyhow!("no filter to be discovered"))?;
        filter["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        std::fs::write(
            folder.path().join(DISCOVERED),
            json!({ "resources": [filter] }).to_string(),
        )?;
    }
    let mut envoy = Envoy::start(binary, folder, &bootstrap, WORKERS)?;
    ensure!(envoy.wait_until_up().await?, "Envoy ended:\n{}", envoy.log()?);
    let _open = warm_up.send(&mut envoy, &directions.order()).await?;
    envoy.traffic_of(case, &upstream).await
}

/// Has every filter of the module discovered from one file, and gives it as it was.
fn discover(value: &mut Value, folder: &Path) -> Option<Value> {
    let kinds = ["http", "network"].map(|layer| format!("{TYPES}.{layer}.wasm.v3.Wasm"));
    let kind = value["typed_config"]["@type"].as_str();
    if let Some(kind) = kinds.iter().find(|known| kind == Some(known.as_str())) {
        let source = json!({
            "path_config_source": { "path": folder.join(DISCOVERED) },
            "resource_api_version": "V3",
        });
        let discovery = json!({ "config_source": source, "type_urls": [kind] });
        let discovered = json!({ "name": value["name"], "config_discovery": discovery });
        return Some(std::mem::replace(value, discovered));
    }
    let parts: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    parts.into_iter().fold(None, |found, part| discover(part, folder).or(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comes_first_and_none_is_left_out() {
        for first in Side::ALL {
            let way = Directions { mount: Mount::Filter, discovered: false, first };
            assert_eq!(way.order()[0], first);
            assert!(Side::ALL.iter().all(|side| way.order().contains(side)));
        }
    }
}
