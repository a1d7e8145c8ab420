//! The plugin: loads its configuration.

use crate::abi;
use crate::host::Proxy;
use crate::streams;
use opmeter_core::port::MetricId;
use opmeter_core::record::{self, Verdict};
use opmeter_core::{Loaded, Plan, Readable, Recorder, load, readable, readable_plan};
use proxy_wasm::types::LogLevel;

/// What stays in force for a plugin whose own configuration cannot be read.
#[derive(Clone, Debug)]
pub struct Fallback {
    plugin: String,
    text: Readable,
}

/// Paths of what a plugin is known by.
const PLUGIN_NAME: &[u8] = b"plugin_name";
const PLUGIN_ROOT_ID: &[u8] = b"plugin_root_id";

/// A plugin gets its configuration; `false` only where the configuration asks for that (`strict`): Envoy then answers
/// requests with 500 until it has another one, whatever the failure policy is.
pub fn on_configure(context: u32) -> bool {
    follow_log_level();
    let text = abi::plugin_configuration();
    let name = plugin_name();
    let Loaded { plan, verdict, problems, reported, instead } =
        load(&name, text.as_deref().ok(), &mut Proxy, &mut Proxy);
    if !reported {
        let refused = if verdict == Verdict::Rejected { " refused" } else { "" };
        for problem in &problems {
            log::warn!("configuration{refused}: {problem}");
        }
    }
    if plan.is_some() {
        streams::on_configured();
    }
    let counter = record::count_configuration(verdict, plan.is_some(), problems.len(), &mut Proxy);
    streams::set_counter(counter.map(|MetricId(id)| id));
    if let Some(plan) = plan {
        put_in_force(context, plan);
    }
    if let Some(text) = instead {
        streams::set_fallback(context, Fallback { plugin: name, text });
    }
    verdict != Verdict::Rejected
}

fn put_in_force(context: u32, plan: Plan) {
    let recorder = Recorder::new(plan, &mut Proxy, &mut Proxy);
    let interval = recorder.tick_period();
    streams::configure(context, recorder);
    if let Err(status) = abi::set_tick_period(interval) {
        log::warn!("streams that last are reported at their end only (status {status})");
    }
}

// === impl Fallback ===

impl Fallback {
    /// A stream comes to a plugin whose own configuration cannot be read: what can be read may be another text by now.
    pub fn refresh(&mut self, context: u32) {
        if readable(&self.plugin, &mut Proxy) == self.text {
            return;
        }
        let (plan, text) = readable_plan(&self.plugin, &mut Proxy, &mut Proxy);
        self.text = text;
        if let Some(plan) = plan {
            put_in_force(context, plan);
        }
    }
}

/// Name and root id, which a plugin keeps when its configuration changes.
fn plugin_name() -> String {
    let property = |path| abi::property(path).unwrap_or_default();
    let name = [property(PLUGIN_NAME), property(PLUGIN_ROOT_ID)].join(&b'/');
    String::from_utf8_lossy(&name).into_owned()
}

/// Lines below the proxy's level would be formatted and handed over only to be dropped there.
fn follow_log_level() {
    let level = match abi::log_level() {
        Ok(0) => LogLevel::Trace,
        Ok(1) => LogLevel::Debug,
        Ok(2) => LogLevel::Info,
        Ok(3) => LogLevel::Warn,
        Ok(4) => LogLevel::Error,
        Ok(5..) => LogLevel::Critical,
        Err(_) => LogLevel::Warn,
    };
    proxy_wasm::set_log_level(level);
}
