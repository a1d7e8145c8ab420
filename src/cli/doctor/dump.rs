//! What the proxy has been configured with, out of `/config_dump`.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_types::Timestamp;
use serde_json::Value;

/// Parts of the dump.
#[derive(Debug, Default)]
pub struct Dump {
    /// The bootstrap.
    pub bootstrap: Value,
    /// Listeners in use, static and dynamic; what they discover is filled in.
    pub listeners: Vec<Value>,
    /// Listeners that Envoy did not take.
    pub failed: Vec<Failed>,
    /// Configurations that came by discovery (ECDS), as last received, by the name of the filter.
    pub extensions: BTreeMap<String, Extension>,
}

/// A listener that was refused.
#[derive(Debug)]
pub struct Failed {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub listener: Value,
    /// Envoy's words.
    pub details: String,
    /// Whether an older one goes on.
    pub has_older: bool,
}

/// A discovered configuration, whether it is in force or not.
#[derive(Debug)]
pub struct Extension {
    /// The `Any` with its `@type`.
    pub config: Value,
    /// When it was received, in milliseconds since 1970.
    pub received: Option<u64>,
    /// Envoy's words where it says that it was refused.
    pub error: Option<String>,
}

// === impl Dump ===

impl Dump {
    /// Reads a dump.
    pub fn read(dump: &Value) -> Self {
        let mut all = Self::default();
        for part in dump["configs"].as_array().into_iter().flatten() {
            all.part(part);
        }
        let mut listeners = std::mem::take(&mut all.listeners);
        listeners.iter_mut().for_each(|listener| fill(listener, &all.extensions));
        Self { listeners, ..all }
    }

    fn part(&mut self, part: &Value) {
        let list = |name: &str| part[name].as_array().into_iter().flatten();
        match part["@type"].as_str().and_then(|kind| kind.rsplit('.').next()) {
            Some("BootstrapConfigDump") => self.bootstrap = part["bootstrap"].clone(),
            Some("ListenersConfigDump") => {
                self.listeners.extend(list("static_listeners").map(|l| l["listener"].clone()));
                list("dynamic_listeners").for_each(|listener| self.dynamic(listener));
            }
            Some("EcdsConfigDump") => list("ecds_filters").for_each(|one| self.extension(one)),
            _ => {}
        }
    }

    fn dynamic(&mut self, listener: &Value) {
        let active = listener["active_state"].get("listener");
        self.listeners.extend(active.cloned());
        if let Some(details) = listener["error_state"]["details"].as_str() {
            let configuration = &listener["error_state"]["failed_configuration"];
            let name = text(&configuration["name"]);
            // A listener that was never there may stand in the dump twice, once without its name.
            if !self.failed.iter().any(|known| known.name == name) {
                self.failed.push(Failed {
                    name,
                    listener: configuration.clone(),
                    details: details.trim_end().to_owned(),
                    has_older: active.is_some(),
                });
            }
        }
    }

    fn extension(&mut self, one: &Value) {
        let mut config = &one["ecds_filter"];
        let mut name = &config["name"];
        // An `Any` inside the `Any` of a TypedExtensionConfig.
        while let Some(inner) = config.get("typed_config") {
            name = config.get("name").unwrap_or(name);
            config = inner;
        }
        let received = one["last_updated"].as_str().and_then(|time| time.parse().ok());
        let extension = Extension {
            config: config.clone(),
            received: received.and_then(milliseconds),
            error: one["error_state"]["details"].as_str().map(str::to_owned),
        };
        self.extensions.insert(text(name), extension);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn milliseconds(time: Timestamp) -> Option<u64> {
    let seconds = Duration::from_secs(u64::try_from(time.seconds).ok()?);
    let all = seconds + Duration::from_nanos(u64::try_from(time.nanos).ok()?);
    u64::try_from(all.as_millis()).ok()
}

/// Puts what was discovered beside each `config_discovery`, where a filter that is not discovered has it.
fn fill(value: &mut Value, extensions: &BTreeMap<String, Extension>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("config_discovery") {
                let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
                if let Some(extension) = extensions.get(name) {
                    fields.insert("typed_config".to_owned(), extension.config.clone());
                }
            }
            fields.values_mut().for_each(|value| fill(value, extensions));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, extensions)),
        _ => {}
    }
}
