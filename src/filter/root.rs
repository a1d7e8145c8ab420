//! The plugin: reads its configuration.

use crate::abi;
use crate::host::Proxy;
use crate::streams;
use opmeter_core::record::{self, Verdict};
use opmeter_core::{Configured, Recorder};
use proxy_wasm::types::LogLevel;
use std::fmt::Arguments;

/// A plugin gets its configuration; whether it is accepted.
pub fn on_configure(context: u32) -> bool {
    follow_log_level();
    let text = match abi::plugin_configuration() {
        Ok(text) => text,
        Err(status) => {
            record::count_configuration(Verdict::Rejected, 1, &mut Proxy);
            refuse(format_args!("the proxy does not hand it over (status {status})"));
            return false;
        }
    };
    match opmeter_core::configure(&text, &mut Proxy) {
        Ok(configured) => accept(context, configured),
        Err(problems) => {
            record::count_configuration(Verdict::Rejected, problems.len(), &mut Proxy);
            for problem in &problems {
                refuse(format_args!("{problem}"));
            }
            false
        }
    }
}

fn accept(context: u32, Configured { plan, warnings }: Configured) -> bool {
    let problems = warnings.len();
    for warning in &warnings {
        log::warn!("configuration: {warning}");
    }
    let recorder = Recorder::new(plan, &mut Proxy, &mut Proxy);
    let interval = recorder.tick_period();
    if !streams::configure(context, recorder) {
        record::count_configuration(Verdict::Rejected, problems, &mut Proxy);
        return false;
    }
    record::count_configuration(Verdict::Accepted, problems, &mut Proxy);
    if let Err(status) = abi::set_tick_period(interval) {
        log::warn!("streams that last are reported at their end only (status {status})");
    }
    true
}

fn refuse(why: Arguments<'_>) {
    log::error!("configuration refused: {why}");
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
