//! What an expression reads, without evaluating it.
//!
//! Parsed by the `cel` crate: the same language as Envoy's, and a syntax tree to look into.

mod imply;
mod read;

pub use imply::{covers, is_always};
pub use read::{Read, path, reads, roots};

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use cel::common::ast::Expr;
use cel::{Context, Env, Program};
use opmeter_core::expr::{Slots, Vocabulary, compile};

/// Functions that Envoy's CEL has beyond operators; all others are refused when an expression is created.
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// First names of Envoy's attributes (Envoy documentation, "Attributes").
pub const ATTRIBUTES: &[&str] = &[
    "connection",
    "destination",
    "filter_state",
    "metadata",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "request",
    "response",
    "source",
    "upstream",
    "upstream_filter_state",
    "xds",
];

/// An expression that Envoy would take.
#[derive(Debug)]
pub struct Expression(Program);

// === impl Expression ===

impl Expression {
    /// Reads a text; `None` when Envoy would refuse it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// Why Envoy would refuse a text; `None` when it would not.
    pub fn problem(text: &str) -> Option<String> {
        Self::read(text).err()
    }

    fn read(text: &str) -> Result<Self, String> {
        // The module's own front end first: it bounds the depth, and knows what was meant.
        let vocabulary = Vocabulary { derived: &[] };
        if let Err(problems) = compile(text, &vocabulary, &mut Slots::default()) {
            let lines: Vec<String> = problems.iter().map(|problem| problem.line(text)).collect();
            return Err(lines.join("; "));
        }
        let compiled = quietly(|| Env::stdlib().with_optional_support(false).compile(text));
        let program = match compiled {
            Some(Ok(program)) => program,
            Some(Err(errors)) => return Err(first_line(&errors.to_string())),
            None => return Err("not an expression".to_owned()),
        };
        let references = program.references();
        let unknown = references.functions().into_iter().find(|name| {
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && !FUNCTIONS.contains(name)
        });
        let unknown = unknown.map(str::to_owned);
        drop(references);
        match unknown {
            Some(name) => Err(format!("Envoy has no function \"{name}\"")),
            None => Ok(Self(program)),
        }
    }

    /// Its value; `None` when it has none.
    pub fn evaluate(&self, context: &Context<'_, '_>) -> Option<cel::Value> {
        quietly(AssertUnwindSafe(|| self.0.execute(context))).and_then(Result::ok)
    }

    /// Its syntax tree.
    pub fn tree(&self) -> &Expr {
        &self.0.expression().expr
    }
}

/// `ERROR: <input>:1:3: Syntax error: ...` without what is the parser's own.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("ERROR: <input>:").unwrap_or(line);
    match line.split_once(": ") {
        Some((place, text)) if place.contains(':') => format!("at {place}: {text}"),
        _ => line.to_owned(),
    }
}

/// The crate's parser may panic where Envoy's answers with an error; that is no news for the terminal.
fn quietly<T>(work: impl FnOnce() -> T + panic::UnwindSafe) -> Option<T> {
    // The hook is the whole process's: two at once would leave it silent for good.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = catch_unwind(work);
    panic::set_hook(hook);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::Expression;

    #[test]
    fn what_envoy_refuses_is_refused() {
        assert!(Expression::parse("request.method == 'GET'").is_some());
        assert!(Expression::parse("request.method == ").is_none());
        assert!(Expression::parse("request.method.lowerAscii()").is_none());
    }

    #[test]
    fn a_hostile_depth_is_refused_rather_than_followed() {
        for (open, close) in
            [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("{1: ", "}"), ("true ? ", " : 1")]
        {
            let text = format!("{}1{}", open.repeat(3_000), close.repeat(3_000));
            assert!(Expression::parse(&text).is_none(), "{open}");
        }
        for part in [" + 1", ".a", "[0]", " && true", " == 1"] {
            // Whatever comes of it, it comes back.
            let _ = Expression::parse(&format!("a{}", part.repeat(1_500)));
        }
    }
}
