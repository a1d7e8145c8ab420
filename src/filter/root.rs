//! The plugin: reads its configuration, and keeps time for streams that last.

use crate::abi;
use crate::host::Proxy;
use crate::streams;
use opmeter_core::{Configured, Recorder, record};
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;
use std::cell::RefCell;
use std::rc::Rc;

/// Shared by all streams of one worker; `None` until a configuration was accepted.
pub type SharedRecorder = Rc<RefCell<Option<Recorder>>>;

/// The root context.
pub struct Root {
    context_id: u32,
    recorder: SharedRecorder,
}

// === impl Root ===

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        follow_log_level();
        let text = match abi::plugin_configuration() {
            Ok(text) => text,
            Err(status) => {
                log::error!(
                    "configuration refused: the proxy does not hand it over (status {status})"
                );
                return false;
            }
        };
        match opmeter_core::configure(&text, &mut Proxy) {
            Ok(configured) => self.accept(configured),
            Err(problems) => {
                record::count_config_errors(problems.len(), &mut Proxy);
                for problem in &problems {
                    log::error!("configuration refused: {problem}");
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Ok(mut recorder) = self.recorder.try_borrow_mut()
            && let Some(recorder) = recorder.as_mut()
        {
            streams::tick(self.context_id, recorder);
        }
    }
}

impl Root {
    /// Makes the plugin known to the streams that will be created for it.
    pub fn new(context_id: u32) -> Self {
        let recorder = SharedRecorder::default();
        streams::add_root(context_id, Rc::clone(&recorder));
        Self { context_id, recorder }
    }

    fn accept(&mut self, Configured { plan, warnings }: Configured) -> bool {
        record::count_config_errors(warnings.len(), &mut Proxy);
        for warning in &warnings {
            log::warn!("configuration: {warning}");
        }
        let Ok(mut recorder) = self.recorder.try_borrow_mut() else { return false };
        let interval = plan.reporting_interval();
        *recorder = Some(Recorder::new(plan, &mut Proxy, &mut Proxy));
        if let Err(status) = abi::set_tick_period(interval) {
            log::warn!("streams that last are reported at their end only (status {status})");
        }
        true
    }
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
