//! The agent and Envoy of a pod, as the container that istiod's webhook writes into the pod tells.

use crate::mesh::{AGENT, BIN, ENVOY};
use crate::network::NODE;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// User and group of the proxy, which the rules of iptables let pass.
pub const PROXY_USER: u32 = 1337;

/// Host name of istiod, as its certificate has it.
pub const ISTIOD: &str = "istiod.istio-system.svc";

/// What a container's processor limit stands for where there is none.
const PROCESSORS: &str = "2";
/// Likewise of memory, in bytes.
const MEMORY: &str = "1073741824";

/// The mounts of a proxy's container, then the agent as its user. Folder of the pod: `$1`, the module: `$2`.
pub const ENTER: &str = "\
mount -t tmpfs none /var/lib &&
mkdir -p /var/lib/istio/data /var/lib/opmeter &&
chown 1337:1337 /var/lib/istio/data &&
: >/var/lib/opmeter/opmeter.wasm &&
mount --bind \"$2\" /var/lib/opmeter/opmeter.wasm &&
mount --bind \"$1/etc/hosts\" /etc/hosts &&
mount --bind \"$1/etc/resolv.conf\" /etc/resolv.conf &&
cd \"$1\" && shift 2 &&
exec setpriv --reuid=1337 --regid=1337 --clear-groups \"$@\"";

/// A container of a pod by name; sidecars are init containers.
///
/// # Errors
/// When there is none.
pub fn container<'a>(pod: &'a Value, name: &str) -> Result<&'a Value> {
    let lists = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array());
    let mut containers = lists.into_iter().flatten().flatten();
    containers.find(|c| c["name"] == name).with_context(|| format!("no container {name}"))
}

/// The environment that a kubelet would give the proxy's container, and what names the programs here.
///
/// # Errors
/// A source of a value that is not known here.
pub fn environment(
    pod: &Value,
    container: &Value,
    folder: &Path,
) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().context("a variable without a name")?;
        all.insert(name.to_owned(), value(pod, variable)?);
    }
    let config = all.get("PROXY_CONFIG").map(|text| text.trim()).filter(|text| !text.is_empty());
    let mut config: Map<String, Value> = serde_json::from_str(config.unwrap_or("{}"))?;
    config.insert("binaryPath".to_owned(), json!(ENVOY));
    config.insert("configPath".to_owned(), json!(folder.join("etc/istio/proxy")));
    config.insert("discoveryAddress".to_owned(), json!(format!("{ISTIOD}:15012")));
    all.insert("PROXY_CONFIG".to_owned(), serde_json::to_string(&config)?);
    all.insert("ISTIO_BOOTSTRAP".to_owned(), format!("{BIN}/envoy_bootstrap.json"));
    all.insert("HOME".to_owned(), folder.display().to_string());
    all.insert("PATH".to_owned(), std::env::var("PATH")?);
    Ok(all)
}

/// The agent and its arguments, with variables in the place of `$(NAME)`.
pub fn command(container: &Value, environment: &BTreeMap<String, String>) -> Vec<String> {
    let arguments = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let filled = arguments.map(|argument| {
        environment.iter().fold(argument.to_owned(), |text, (name, value)| {
            text.replace(&format!("$({name})"), value)
        })
    });
    [AGENT.to_owned()].into_iter().chain(filled).collect()
}

/// Labels or annotations as the downward API writes them into a file.
pub fn downward(pairs: &Value) -> String {
    let lines = pairs.as_object().into_iter().flatten();
    lines.map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// `/etc/hosts` of a pod, in place of a cluster's DNS.
pub fn hosts() -> String {
    format!("127.0.0.1 localhost\n{NODE} {ISTIOD}\n")
}

fn value(pod: &Value, variable: &Value) -> Result<String> {
    if let Some(value) = variable["value"].as_str() {
        return Ok(value.to_owned());
    }
    let source = &variable["valueFrom"];
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return Ok(field(pod, path));
    }
    match source["resourceFieldRef"]["resource"].as_str() {
        Some("limits.cpu") => Ok(PROCESSORS.to_owned()),
        Some("limits.memory") => Ok(MEMORY.to_owned()),
        None if source.is_null() => Ok(String::new()),
        _ => anyhow::bail!("a variable from {source}"),
    }
}

/// `metadata.name`, `status.podIP`, or `metadata.labels['NAME']`.
fn field(pod: &Value, path: &str) -> String {
    let (path, key) = match path.split_once("['") {
        Some((path, key)) => (path, Some(key.trim_end_matches("']"))),
        None => (path, None),
    };
    let found = path.split('.').chain(key).fold(pod, |value, name| &value[name]);
    found.as_str().unwrap_or_default().to_owned()
}
