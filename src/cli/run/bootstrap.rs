//! Envoy's bootstraps as the repository has them, with addresses and the module's path moved and transport sockets added.
//!
//! Parts are found by the names the files give them, so a listener or cluster may be added or reordered freely.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_yaml_ng::{Mapping, Value};

use super::places::{Places, Sidecar};

/// The server's listener for what other sidecars send.
pub const INBOUND: &str = "inbound";
/// The client's listener for what its application sends.
pub const OUTBOUND: &str = "outbound";
/// The client's cluster that stands for the server.
pub const RATINGS: &str = "outbound|9080||ratings.default.svc.cluster.local";

/// One bootstrap in memory.
#[derive(Clone, Debug)]
pub struct Bootstrap(Value);

/// The client sidecar's bootstrap, placed.
pub fn client(folder: &Path, places: &Places, module: &Path) -> Result<Bootstrap> {
    placed(
        &folder.join("client-sidecar.yaml"),
        &places.client,
        OUTBOUND,
        (RATINGS, places.server.traffic),
        module,
    )
}

/// The server sidecar's bootstrap, placed.
pub fn server(folder: &Path, places: &Places, module: &Path) -> Result<Bootstrap> {
    placed(
        &folder.join("server-sidecar.yaml"),
        &places.server,
        INBOUND,
        ("inbound|9080||", places.upstream),
        module,
    )
}

fn placed(
    file: &Path,
    sidecar: &Sidecar,
    listener: &str,
    (cluster, upstream): (&str, SocketAddr),
    module: &Path,
) -> Result<Bootstrap> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let place = || {
        let mut bootstrap = Bootstrap::parse(&text)?;
        bootstrap.move_admin(sidecar.admin)?;
        bootstrap.move_listener(listener, sidecar.traffic)?;
        bootstrap.move_listener("prometheus", sidecar.stats)?;
        bootstrap.move_listener("health", sidecar.health)?;
        bootstrap.move_cluster(cluster, upstream)?;
        bootstrap.move_cluster("admin", sidecar.admin)?;
        bootstrap.set_module(module)?;
        bootstrap.flush_every("1s")?;
        anyhow::Ok(bootstrap)
    };
    place().with_context(|| format!("cannot use {}", file.display()))
}

// === impl Bootstrap ===

impl Bootstrap {
    pub fn parse(text: &str) -> Result<Self> {
        let mut value: Value = serde_yaml_ng::from_str(text)?;
        value.apply_merge()?;
        ensure!(value.is_mapping(), "not a mapping");
        Ok(Self(value))
    }

    /// The bootstrap as JSON, which Envoy reads like YAML but without YAML's guesses about types.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.0)?)
    }

    pub fn move_admin(&mut self, to: SocketAddr) -> Result<()> {
        let admin = self.0.get_mut("admin").context("no admin")?;
        move_address(admin, to).context("admin has no socket address")
    }

    pub fn move_listener(&mut self, name: &str, to: SocketAddr) -> Result<()> {
        move_address(self.resource("listeners", name)?, to)
            .with_context(|| format!("listener {name:?} has no socket address"))
    }

    /// Moves the cluster's endpoint; a cluster must have exactly one.
    pub fn move_cluster(&mut self, name: &str, to: SocketAddr) -> Result<()> {
        let cluster = self.resource("clusters", name)?;
        let endpoint =
            only(cluster.get_mut("load_assignment").and_then(|l| l.get_mut("endpoints")))
                .and_then(|locality| only(locality.get_mut("lb_endpoints")))
                .and_then(|endpoint| endpoint.get_mut("endpoint"))
                .with_context(|| format!("cluster {name:?} has not exactly one endpoint"))?;
        move_address(endpoint, to)
            .with_context(|| format!("cluster {name:?} has no socket address"))
    }

    /// Has the cluster connect by `socket`.
    pub fn set_cluster_socket(&mut self, name: &str, socket: &serde_json::Value) -> Result<()> {
        set_socket(self.resource("clusters", name)?, socket)
    }

    /// Has the listener accept by `socket`; it must have exactly one filter chain.
    pub fn set_listener_socket(&mut self, name: &str, socket: &serde_json::Value) -> Result<()> {
        let chain = only(self.resource("listeners", name)?.get_mut("filter_chains"))
            .with_context(|| format!("listener {name:?} has not exactly one filter chain"))?;
        set_socket(chain, socket)
    }

    /// Puts `path` wherever a Wasm plugin names a local file.
    pub fn set_module(&mut self, path: &Path) -> Result<()> {
        let path = path.to_str().context("the module's path is not UTF-8")?;
        ensure!(set_local_code(&mut self.0, path) > 0, "no Wasm plugin with code.local.filename");
        Ok(())
    }

    /// Histograms appear in a scrape only after a flush; Envoy's own interval is 5 s.
    pub fn flush_every(&mut self, interval: &str) -> Result<()> {
        let root = self.0.as_mapping_mut().context("not a mapping")?;
        root.insert("stats_flush_interval".into(), interval.into());
        Ok(())
    }

    /// Whether there is a resource of this name.
    pub fn has(&mut self, kind: &str, name: &str) -> bool {
        self.resource(kind, name).is_ok()
    }

    /// A copy of a resource.
    pub fn part(&mut self, kind: &str, name: &str) -> Result<Value> {
        self.resource(kind, name).cloned()
    }

    /// Adds a resource.
    pub fn add(&mut self, kind: &str, part: Value) -> Result<()> {
        self.resources(kind)?.push(part);
        Ok(())
    }

    /// The configuration of the first Wasm plugin.
    pub fn configuration(&mut self) -> Option<String> {
        let mut found = None;
        each_configuration(&mut self.0, &mut |text| {
            found.get_or_insert_with(|| text.clone());
        });
        found
    }

    /// Gives every Wasm plugin this configuration.
    pub fn set_configuration(&mut self, configuration: &str) {
        each_configuration(&mut self.0, &mut |text| configuration.clone_into(text));
    }

    fn resources(&mut self, kind: &str) -> Result<&mut Vec<Value>> {
        match self.0.get_mut("static_resources").and_then(|r| r.get_mut(kind)) {
            Some(Value::Sequence(resources)) => Ok(resources),
            _ => bail!("no static_resources.{kind}"),
        }
    }

    fn resource(&mut self, kind: &str, name: &str) -> Result<&mut Value> {
        self.resources(kind)?
            .iter_mut()
            .find(|resource| resource.get("name").and_then(Value::as_str) == Some(name))
            .with_context(|| format!("no static_resources.{kind} named {name:?}"))
    }
}

fn only(list: Option<&mut Value>) -> Option<&mut Value> {
    match list?.as_sequence_mut()?.as_mut_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn move_address(owner: &mut Value, to: SocketAddr) -> Option<()> {
    let socket: &mut Mapping =
        owner.get_mut("address")?.get_mut("socket_address")?.as_mapping_mut()?;
    socket.insert("address".into(), to.ip().to_string().into());
    socket.insert("port_value".into(), to.port().into());
    Some(())
}

fn set_socket(owner: &mut Value, socket: &serde_json::Value) -> Result<()> {
    let owner = owner.as_mapping_mut().context("not a mapping")?;
    owner.insert("transport_socket".into(), serde_yaml_ng::to_value(socket)?);
    Ok(())
}

/// Calls `change` with the configuration of every Wasm plugin.
fn each_configuration(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::Sequence(list) => list.iter_mut().for_each(|item| each_configuration(item, change)),
        Value::Mapping(map) if map.contains_key("vm_config") => {
            let configuration = map.get_mut("configuration").and_then(|c| c.get_mut("value"));
            if let Some(Value::String(text)) = configuration {
                change(text);
            }
        }
        Value::Mapping(map) => {
            map.iter_mut().for_each(|(_, item)| each_configuration(item, change))
        }
        _ => {}
    }
}

fn set_local_code(value: &mut Value, path: &str) -> usize {
    match value {
        Value::Sequence(list) => list.iter_mut().map(|item| set_local_code(item, path)).sum(),
        Value::Mapping(map) => {
            if let Some(local) = map.get_mut("code").and_then(|code| code.get_mut("local")) {
                *local = Value::Mapping(Mapping::from_iter([("filename".into(), path.into())]));
                return 1;
            }
            map.iter_mut().map(|(_, item)| set_local_code(item, path)).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
