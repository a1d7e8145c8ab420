//! An in-process proxy-wasm host over the model of a proxy: the module as it is delivered, without an Envoy.
//!
//! Every instance stands on its own. What a call answers is what Envoy 1.40 answers, phase by phase.

mod imports;
mod mangle;

pub use mangle::Mangle;

use crate::case::{Case, Connection, Request};
use crate::engine::{Mount, Outcome, Passed};
use crate::metrics::Metrics;
use crate::model;
use crate::native_host::Proxy;
use crate::series::Series;
use crate::shared::SharedData;
use crate::value::Value;
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
    /// What it shares with other VMs.
    pub shared: SharedData,
    /// Log lines so far.
    pub log: Vec<LogLine>,
    /// The proxy's log level, as the module is told.
    pub log_level: i32,
    /// How often each ABI function was called.
    pub calls: BTreeMap<String, u64>,
    /// Statuses to answer in place of doing a call, by ABI function.
    pub inject: BTreeMap<String, u32>,
    /// What becomes of the values that the proxy hands over.
    pub mangle: Option<Mangle>,
    /// Milliseconds between calls of `proxy_on_tick`, as the module asked for.
    pub tick_period: Option<u32>,
    configuration: Vec<u8>,
    /// Attributes of the plugin, which has no stream.
    plugin: Value,
    /// The stream that lives, if one does.
    stream: Option<i32>,
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
    /// Loads a module and runs its start, `_initialize`.
    ///
    /// # Errors
    /// A module that does not load, or a trap.
    pub fn new(module: &[u8], case: &Case) -> Result<Self> {
        let engine = Engine::default();
        let module = Module::new(&engine, module)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker, &module)?;
        let state = HostState {
            proxy: Proxy::new(model::configuring(case)),
            metrics: Metrics::default(),
            shared: SharedData::default(),
            log: Vec::new(),
            log_level: 2,
            calls: BTreeMap::new(),
            inject: BTreeMap::new(),
            tick_period: None,
            mangle: None,
            plugin: model::configuring(case),
            stream: None,
            configuration: case.config.clone().into_bytes(),
            started: false,
        };
        let mut store = Store::new(&engine, state);
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut host = Self { store, instance, next_context: ROOT_CONTEXT + 1 };
        host.call("_initialize", &[])?;
        host.store.data_mut().started = true;
        host.call("proxy_on_context_create", &[ROOT_CONTEXT, 0])?;
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

    /// Runs one HTTP stream through all callbacks that the module exports, and gives what came after each tick.
    ///
    /// # Errors
    /// A trap.
    pub fn stream(&mut self, case: &Case, request: &Request) -> Result<Vec<Vec<Series>>> {
        self.run_stream(case, request, false)
    }

    /// As [`WasmHost::stream`], for a proxy in which the module is access logger too: an entry is written between the
    /// stream's log and its end.
    ///
    /// # Errors
    /// A trap.
    pub fn logged_stream(&mut self, case: &Case, request: &Request) -> Result<()> {
        self.run_stream(case, request, true).map(drop)
    }

    fn run_stream(
        &mut self,
        case: &Case,
        request: &Request,
        logged: bool,
    ) -> Result<Vec<Vec<Series>>> {
        let context = self.create(model::at_request(case, request))?;
        self.state_mut().proxy.begin_request(model::at_request(case, request));
        let headers = i32::try_from(request.all_headers().len())?;
        let bodyless = i32::from(request.body().is_empty());
        self.call("proxy_on_request_headers", &[context, headers, bodyless])?;
        let mut ticks = self.ticks(case, request, false)?;
        let response = case.response_to(request);
        if response.status != 0 {
            self.state_mut().proxy.begin_response(model::at_response(case, request));
            let headers = i32::try_from(response.all_headers().len())?;
            self.call("proxy_on_response_headers", &[context, headers, 0])?;
        }
        ticks.extend(self.ticks(case, request, true)?);
        self.state_mut().proxy.advance(model::at_log(case, request));
        self.call("proxy_on_log", &[context])?;
        if logged {
            self.state_mut().proxy.log_stream();
            self.call("proxy_on_log", &[ROOT_CONTEXT])?;
        }
        self.delete(context)?;
        Ok(ticks)
    }

    /// Runs one TCP connection through all callbacks that the module exports, and gives what came after each tick. Envoy
    /// ends the context of a network filter before it logs it.
    ///
    /// # Errors
    /// A trap.
    pub fn connection(&mut self, case: &Case, connection: &Connection) -> Result<Vec<Vec<Series>>> {
        let attributes = |so_far, ended| model::of_connection(case, connection, so_far, ended);
        let context = self.create(attributes([0, 0], false))?;
        self.call("proxy_on_new_connection", &[context])?;
        let mut ticks = Vec::new();
        for tick in &connection.ticks {
            self.state_mut().proxy.next_stream(attributes(tick.so_far, false));
            ticks.push(self.tick()?);
        }
        self.state_mut().proxy.next_stream(attributes(connection.in_the_end(), true));
        self.call("proxy_on_log", &[context])?;
        self.delete(context)?;
        Ok(ticks)
    }

    /// Writes the entries of all streams of a case.
    ///
    /// # Errors
    /// A trap.
    pub fn entries(&mut self, case: &Case) -> Result<()> {
        let connections =
            case.connections.iter().map(|c| (model::of_logged_connection(case, c), c.count));
        let requests = case.requests.iter().map(|r| (model::at_log(case, r), r.count));
        let all: Vec<(Value, u32)> =
            if case.is_tcp() { connections.collect() } else { requests.collect() };
        for (attributes, count) in all {
            for _ in 0..count {
                self.entry(attributes.clone())?;
            }
        }
        Ok(())
    }

    /// Writes one entry of an access log, as for a stream that no filter of the module has seen.
    ///
    /// # Errors
    /// A trap.
    pub fn entry(&mut self, attributes: Value) -> Result<()> {
        self.state_mut().proxy.begin_entry(attributes);
        self.call("proxy_on_log", &[ROOT_CONTEXT]).map(drop)
    }

    fn create(&mut self, attributes: Value) -> Result<i32> {
        let context = self.next_context;
        self.next_context += 1;
        let state = self.state_mut();
        state.proxy.next_stream(attributes);
        state.stream = Some(context);
        self.call("proxy_on_context_create", &[context, ROOT_CONTEXT])?;
        Ok(context)
    }

    fn delete(&mut self, context: i32) -> Result<()> {
        self.call("proxy_on_delete", &[context])?;
        self.state_mut().stream = None;
        Ok(())
    }

    fn ticks(
        &mut self,
        case: &Case,
        request: &Request,
        answered: bool,
    ) -> Result<Vec<Vec<Series>>> {
        let mut after = Vec::new();
        for tick in request.ticks.iter().filter(|tick| tick.answered == answered) {
            self.state_mut().proxy.advance(model::at_tick(case, request, tick));
            after.push(self.tick()?);
        }
        Ok(after)
    }

    /// The timer fires, if the module asked for one. It speaks of the plugin until the module says otherwise.
    fn tick(&mut self) -> Result<Vec<Series>> {
        if self.state().tick_period.is_some_and(|period| period > 0) {
            let state = self.state_mut();
            state.proxy.begin_tick(state.plugin.clone());
            self.call("proxy_on_tick", &[ROOT_CONTEXT])?;
            self.state_mut().proxy.end_tick();
        }
        Ok(self.state().metrics.series())
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
pub fn run(case: &Case, mount: Mount, module: &[u8]) -> Result<Outcome> {
    let mut host = WasmHost::new(module, case)?;
    let accepted = host.configure()?;
    let (mut passed, mut ticks): (Vec<Passed>, Vec<Vec<Series>>) = Default::default();
    if accepted && mount == Mount::AccessLogger {
        host.entries(case)?;
    } else if accepted && case.is_tcp() {
        for connection in &case.connections {
            for _ in 0..connection.count {
                ticks.extend(host.connection(case, connection)?);
            }
        }
    } else if accepted {
        for request in &case.requests {
            for _ in 0..request.count {
                ticks.extend(host.stream(case, request)?);
            }
            passed.push(host.state().proxy.passed(case, request));
        }
    }
    let log: Vec<String> = host.state().log.iter().map(|line| line.text.clone()).collect();
    let refused = (!accepted).then(|| refusals(log.iter().map(String::as_str)));
    let problems = problems(log.iter().map(String::as_str));
    Ok(Outcome { refused, problems, log, series: host.state().metrics.series(), passed, ticks })
}

/// The problems of a refused configuration among log lines.
pub fn refusals<'a>(log: impl Iterator<Item = &'a str>) -> Vec<String> {
    after(" configuration refused: ", log)
}

/// The problems of a configuration that is in force among log lines.
pub fn problems<'a>(log: impl Iterator<Item = &'a str>) -> Vec<String> {
    after(" configuration: ", log)
}

fn after<'a>(mark: &str, log: impl Iterator<Item = &'a str>) -> Vec<String> {
    let lines = log.map(|line| format!(" {line}"));
    lines.filter_map(|line| Some(line.split_once(mark)?.1.to_owned())).collect()
}
