//! The plugin: reads its configuration.

use crate::abi;
use crate::host::Proxy;
use crate::{log, streams};
use opmeter_core::{Configured, Recorder, record};

/// A plugin gets its configuration; whether it is accepted.
pub fn on_configure(context: u32) -> bool {
    let text = match abi::plugin_configuration() {
        Ok(text) => text,
        Err(status) => {
            log::error(format_args!(
                "configuration refused: the proxy does not hand it over (status {status})"
            ));
            return false;
        }
    };
    match opmeter_core::configure(&text, &mut Proxy) {
        Ok(configured) => accept(context, configured),
        Err(problems) => {
            record::count_config_errors(problems.len(), &mut Proxy);
            for problem in &problems {
                log::error(format_args!("configuration refused: {problem}"));
            }
            false
        }
    }
}

fn accept(context: u32, Configured { plan, warnings }: Configured) -> bool {
    record::count_config_errors(warnings.len(), &mut Proxy);
    for warning in &warnings {
        log::warn(format_args!("configuration: {warning}"));
    }
    let recorder = Recorder::new(plan, &mut Proxy, &mut Proxy);
    let interval = recorder.tick_period();
    if !streams::configure(context, recorder) {
        return false;
    }
    if let Err(status) = abi::set_tick_period(interval) {
        log::warn(format_args!(
            "streams that last are reported at their end only (status {status})"
        ));
    }
    true
}
