//! Modules written by hand: each does one part of what a filter does and nothing else, so that costs can be taken apart.

use anyhow::Result;
use std::fmt::Write;

/// What such a module does for each request.
#[derive(Clone, Debug, Default)]
pub struct Hand {
    /// Whether it has the callbacks of a whole filter, rather than the one at the end of a request alone.
    pub all_callbacks: bool,
    /// Expressions that the host evaluates one by one; one that fails ends the VM.
    pub expressions: Vec<String>,
    /// Whether it records a counter and three histograms, of names without labels.
    pub records: bool,
}

/// Where the tokens of the expressions lie, four bytes each.
const TOKENS: usize = 1024;
/// Where the ids of the metrics lie.
const METRICS: usize = 8192;
/// Where a call's result is put: its address and its size.
const RESULT: usize = 16;
/// Where constants begin.
const TEXTS: usize = 16384;
/// Where memory for the host begins; all of it is free again with the next request.
const HEAP: usize = 262_144;
const PAGES: usize = 8;

/// A counter and three histograms, as the ABI numbers the kinds.
const METRIC_NAMES: [(u32, &str); 4] = [
    (0, "bench_requests_total"),
    (2, "bench_duration_milliseconds"),
    (2, "bench_request_bytes"),
    (2, "bench_response_bytes"),
];

// === impl Hand ===

impl Hand {
    /// The callbacks alone.
    pub fn trivial() -> Self {
        Self { all_callbacks: true, ..Self::default() }
    }

    /// The module.
    ///
    /// # Errors
    /// Never, unless an expression is too long.
    pub fn assemble(&self) -> Result<Vec<u8>> {
        Ok(wat::parse_str(self.text())?)
    }

    fn text(&self) -> String {
        let mut texts = Texts::default();
        let configure = self.configure(&mut texts);
        let log = self.log();
        let callbacks = if self.all_callbacks { CALLBACKS } else { "" };
        let evaluate = texts.place("expr_evaluate").0;
        let data = &texts.data;
        format!(
            r#"(module
            (import "env" "proxy_call_foreign_function"
                (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_define_metric"
                (func $define (param i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_increment_metric"
                (func $increment (param i32 i64) (result i32)))
            (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
            (memory (export "memory") {PAGES})
            (global $free (mut i32) (i32.const {HEAP}))
            (data (i32.const {TEXTS}) "{data}")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
                (local $at i32)
                (local.set $at (global.get $free))
                (global.set $free (i32.and (i32.const -8)
                    (i32.add (i32.const 7) (i32.add (local.get $at) (local.get $size)))))
                (local.get $at))
            (func $must (param $status i32)
                (if (local.get $status) (then (unreachable))))
            (func $evaluate (param $token i32)
                (call $must (call $foreign (i32.const {evaluate}) (i32.const 13)
                    (local.get $token) (i32.const 4)
                    (i32.const {RESULT}) (i32.const {}))))
            (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                {configure}
                (i32.const 1))
            {callbacks}
            (func (export "proxy_on_log") (param $context i32)
                (local $at i32)
                (global.set $free (i32.const {HEAP}))
                {log}))"#,
            RESULT + 4
        )
    }

    fn configure(&self, texts: &mut Texts) -> String {
        // The first constant, so that its place is known.
        texts.place("expr_evaluate");
        let (create, create_len) = texts.place("expr_create");
        let mut code = String::new();
        for (number, expression) in self.expressions.iter().enumerate() {
            let (at, len) = texts.place(expression);
            let token = TOKENS + 4 * number;
            // Writing to a String cannot fail.
            let _ = write!(
                code,
                "(call $must (call $foreign (i32.const {create}) (i32.const {create_len})
                    (i32.const {at}) (i32.const {len}) (i32.const {RESULT}) (i32.const {})))
                (i32.store (i32.const {token}) (i32.load (i32.load (i32.const {RESULT}))))",
                RESULT + 4
            );
        }
        for (number, (kind, name)) in METRIC_NAMES.iter().enumerate().filter(|_| self.records) {
            let (at, len) = texts.place(name);
            let id = METRICS + 4 * number;
            let _ = write!(
                code,
                "(call $must (call $define (i32.const {kind}) (i32.const {at}) (i32.const {len})
                    (i32.const {id})))"
            );
        }
        code
    }

    fn log(&self) -> String {
        let mut code = String::new();
        if !self.expressions.is_empty() {
            let end = TOKENS + 4 * self.expressions.len();
            let _ = write!(
                code,
                "(local.set $at (i32.const {TOKENS}))
                (loop $next
                    (call $evaluate (local.get $at))
                    (local.set $at (i32.add (local.get $at) (i32.const 4)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const {end}))))"
            );
        }
        for (number, (kind, _)) in METRIC_NAMES.iter().enumerate().filter(|_| self.records) {
            let call = if *kind == 0 { "$increment" } else { "$record" };
            let id = METRICS + 4 * number;
            let _ = write!(
                code,
                "(call $must (call {call} (i32.load (i32.const {id})) (i64.const 1)))"
            );
        }
        code
    }
}

const CALLBACKS: &str = r#"
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
    (func (export "proxy_on_delete") (param i32))"#;

/// Constants of a module.
#[derive(Debug, Default)]
struct Texts {
    /// Escaped.
    data: String,
    places: Vec<(String, usize)>,
    len: usize,
}

// === impl Texts ===

impl Texts {
    /// Address and length.
    fn place(&mut self, text: &str) -> (usize, usize) {
        let known = self.places.iter().find(|(known, _)| known == text).map(|(_, at)| *at);
        let at = known.unwrap_or_else(|| {
            let at = TEXTS + self.len;
            self.len += text.len();
            for byte in text.bytes() {
                let _ = write!(self.data, "\\{byte:02x}");
            }
            self.places.push((text.to_owned(), at));
            at
        });
        (at, text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_valid_modules() {
        let expressions = vec!["[request.path, 'a\"b\\\\']".to_owned(), "true".to_owned()];
        for all_callbacks in [false, true] {
            let hand = Hand { all_callbacks, expressions: expressions.clone(), records: true };
            let module = hand.assemble().unwrap();
            assert_eq!(&module[..4], b"\0asm");
        }
    }
}
