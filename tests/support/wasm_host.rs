//! An in-process proxy-wasm host over the model of a proxy: the module as it is delivered, without an Envoy.
//!
//! Every instance stands on its own. What a call answers is what Envoy 1.40 answers, phase by phase.

mod imports;

use crate::case::{Case, Request};
use crate::engine::Outcome;
use crate::metrics::Metrics;
use crate::model;
use crate::native_host::Proxy;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use wasmi::{Engine, Instance, Linker, Module, Store, Val};

/// A log line of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// 0 trace to 5 critical.
    pub level: i32,
    /// Text.
    pub text: String,
}

/// What the host keeps of one VM.
#[derive(Debug)]
pub struct HostState {
    /// Attributes and expressions.
    pub proxy: Proxy,
    /// Statistics.
    pub metrics: Metrics,
    /// Log lines so far.
    pub log: Vec<LogLine>,
    /// The proxy's log level, as the module is told.
    pub log_level: i32,
    /// How often each ABI function was called.
    pub calls: BTreeMap<String, u64>,
    /// Statuses to answer in place of doing a call, by ABI function.
    pub inject: BTreeMap<String, u32>,
    configuration: Vec<u8>,
    /// Whether `_initialize` is over; before, Envoy allows logging only.
    started: bool,
}

/// One VM with the module and its root context.
#[allow(missing_debug_implementations, reason = "an instance has nothing to show")]
pub struct WasmHost {
    store: Store<HostState>,
    instance: Instance,
    next_context: i32,
}

const ROOT_CONTEXT: i32 = 1;

// === impl WasmHost ===

impl WasmHost {
    /// Loads a module and runs its start, up to `proxy_on_vm_start`.
    ///
    /// # Errors
    /// A module that does not load, or a trap.
    pub fn new(module: &[u8], case: &Case) -> Result<Self> {
        let engine = Engine::default();
        let module = Module::new(&engine, module)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker, &module)?;
        let state = HostState {
            proxy: Proxy::new(model::configuring(&case.node)),
            metrics: Metrics::default(),
            log: Vec::new(),
            log_level: 2,
            calls: BTreeMap::new(),
            inject: BTreeMap::new(),
            configuration: case.config.clone().into_bytes(),
            started: false,
        };
        let mut store = Store::new(&engine, state);
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut host = Self { store, instance, next_context: ROOT_CONTEXT + 1 };
        host.call("_initialize", &[])?;
        host.store.data_mut().started = true;
        host.call("proxy_on_context_create", &[ROOT_CONTEXT, 0])?;
        host.call("proxy_on_vm_start", &[ROOT_CONTEXT, 0])?;
        Ok(host)
    }

    /// What the host keeps.
    pub fn state(&self) -> &HostState {
        self.store.data()
    }

    /// What the host keeps, to change it.
    pub fn state_mut(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    /// Hands over the configuration; `false` when the module refuses it.
    ///
    /// # Errors
    /// A trap.
    pub fn configure(&mut self) -> Result<bool> {
        let size = i32::try_from(self.state().configuration.len())?;
        Ok(self.call("proxy_on_configure", &[ROOT_CONTEXT, size])? != Some(0))
    }

    /// Runs one HTTP stream through all callbacks that the module exports.
    ///
    /// # Errors
    /// A trap.
    pub fn stream(&mut self, case: &Case, request: &Request) -> Result<()> {
        let context = self.next_context;
        self.next_context += 1;
        self.state_mut().proxy.next_stream(model::at_request(case, request));
        self.call("proxy_on_context_create", &[context, ROOT_CONTEXT])?;
        let headers = i32::try_from(request.all_headers().len())?;
        let bodyless = i32::from(request.body_bytes == 0);
        self.call("proxy_on_request_headers", &[context, headers, bodyless])?;
        self.state_mut().proxy.advance(model::at_log(case, request));
        self.call("proxy_on_log", &[context])?;
        self.call("proxy_on_done", &[context])?;
        self.call("proxy_on_delete", &[context])?;
        Ok(())
    }

    /// Size of the module's memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let memory = self.instance.get_memory(&self.store, "memory");
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Calls an export with numbers; `None` when it is not exported or answers nothing.
    fn call(&mut self, name: &str, arguments: &[i32]) -> Result<Option<i32>> {
        let Some(function) = self.instance.get_func(&self.store, name) else { return Ok(None) };
        let arguments: Vec<Val> = arguments.iter().map(|n| Val::I32(*n)).collect();
        let answers = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); answers];
        function
            .call(&mut self.store, &arguments, &mut results)
            .map_err(|trap| anyhow!("{trap}"))
            .with_context(|| format!("{name} trapped; log: {:?}", self.state().log))?;
        Ok(results.first().and_then(Val::i32))
    }
}

/// Runs a case on a module.
///
/// # Errors
/// A module that does not load, or a trap.
pub fn run(case: &Case, module: &[u8]) -> Result<Outcome> {
    let mut host = WasmHost::new(module, case)?;
    let accepted = host.configure()?;
    if accepted {
        for request in &case.requests {
            for _ in 0..request.count {
                host.stream(case, request)?;
            }
        }
    }
    let log: Vec<String> = host.state().log.iter().map(|line| line.text.clone()).collect();
    let refused = (!accepted).then(|| refusals(log.iter().map(String::as_str)));
    Ok(Outcome { refused, log, series: host.state().metrics.series() })
}

/// The problems among log lines.
pub fn refusals<'a>(log: impl Iterator<Item = &'a str>) -> Vec<String> {
    log.filter_map(|line| line.split_once("configuration refused: "))
        .map(|(_, problem)| problem.to_owned())
        .collect()
}
