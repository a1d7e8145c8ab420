//! Evaluates every expression in the plugin configuration with the host's CEL when a request is logged. One log line each:
//! `CEL <index> <status or hex of the value>`.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// Between expressions, which may hold line breaks.
const SEPARATOR: u8 = 0x1e;

/// Host handles of the expressions; `None` if the host refused one.
#[derive(Clone, Default)]
struct Root {
    tokens: Vec<Option<Vec<u8>>>,
}

struct Stream(Root);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let text = text.ok().flatten().unwrap_or_default();
        let lines = text.split(|byte| *byte == SEPARATOR);
        self.tokens = lines.map(|line| hostcalls::call_foreign_function("expr_create", Some(line)).ok().flatten()).collect();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(self.clone())))
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_log(&mut self) {
        for (index, token) in self.0.tokens.iter().enumerate() {
            let answer = match token {
                None => "refused".to_owned(),
                Some(token) => match hostcalls::call_foreign_function("expr_evaluate", Some(token)) {
                    Ok(value) => format!("={}", hex(&value.unwrap_or_default())),
                    Err(status) => format!("{status:?}"),
                },
            };
            log::warn!("CEL {index} {answer}");
        }
        log::warn!("CEL end");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
