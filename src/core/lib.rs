//! The pure core of opmeter: what a request's metrics are, without a proxy.
//!
//! The way of the data, one module per arrow:
//!
//! ```text
//! once per configuration   text -> config::raw -> config::validate -> plan::compile -> Plan
//! once per stream          Host -> attribute::query  -> Facts -> record -> metric::series -> Sink
//! ```
//!
//! [`load`] does the first line, [`Recorder`] the second. The two ports to the outside are in [`port`].
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod attribute;
pub mod config;
pub mod diag;
pub mod expr;
mod hash;
pub mod json;
pub mod limits;
mod load;
pub mod mesh;
pub mod metric;
pub mod operation;
pub mod peer;
pub mod plan;
pub mod port;
pub mod record;
mod text;

pub use diag::{Diagnostic, Severity};
pub use hash::Hashing;
pub use load::{Loaded, Readable, load, readable, readable_plan};
pub use plan::Plan;
pub use record::{Recorder, Share, Stream};

/// A configuration that is in force.
#[derive(Debug)]
pub struct Configured {
    /// What to do for each stream.
    pub plan: Plan,
    /// The parts that are left out, in the order of the configuration; empty when everything is in force.
    pub problems: Vec<Diagnostic>,
}

/// Why a configuration gives no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Nothing in it can be read: it is not JSON, or no object.
    Unreadable(Diagnostic),
    /// It says `strict: true` and has these problems.
    Strict(Vec<Diagnostic>),
}

/// Turns the plugin configuration (JSON text, empty means `{}`) into a plan. What is wrong is left out and reported, what
/// is right is in force.
///
/// `host` compiles expressions and gives the proxy's own node metadata. Nothing that follows can fail on configuration.
///
/// # Errors
/// Nothing can be read, or `strict` is set and anything would be left out.
pub fn configure(text: &[u8], host: &mut impl port::Host) -> Result<Configured, Unusable> {
    let (config, mut problems) = config::parse(text).map_err(Unusable::Unreadable)?;
    let mut plan = plan::compile(&config, host, &mut problems);
    plan.configuration = metric::cut::hash(text);
    if config.strict && !problems.is_empty() {
        let errors = problems.into_iter().map(Diagnostic::into_error);
        return Err(Unusable::Strict(errors.collect()));
    }
    Ok(Configured { plan, problems })
}

// === impl Unusable ===

impl Unusable {
    /// The problems, in the order of the configuration.
    pub fn into_problems(self) -> Vec<Diagnostic> {
        match self {
            Unusable::Unreadable(problem) => vec![problem],
            Unusable::Strict(problems) => problems,
        }
    }
}
