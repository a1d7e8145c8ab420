//! The pure core of opmeter: what a request's metrics are, without a proxy.
//!
//! The way of the data, one module per arrow:
//!
//! ```text
//! once per configuration   text -> config::raw -> config::validate -> plan::compile -> Plan
//! once per stream          Host -> attribute::query  -> Facts -> record -> metric::series -> Sink
//! ```
//!
//! [`configure`] does the first line, [`Recorder`] the second. The two ports to the outside are in [`port`].
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
pub use plan::Plan;
pub use record::{Recorder, Stream};

/// A configuration that was accepted.
#[derive(Debug)]
pub struct Configured {
    /// What to do for each stream.
    pub plan: Plan,
    /// What was left out, in the order of the configuration; empty when everything is in force.
    pub warnings: Vec<Diagnostic>,
}

/// Turns the plugin configuration (JSON text, empty means `{}`) into a plan.
///
/// `host` compiles expressions and gives the proxy's own node metadata. Nothing that follows can fail on configuration.
///
/// # Errors
/// All problems found, when the structure is wrong, or when `strict` is set and anything would be left out.
pub fn configure(text: &[u8], host: &mut impl port::Host) -> Result<Configured, Vec<Diagnostic>> {
    let (config, mut warnings) = config::parse(text)?;
    let plan = plan::compile(&config, host, &mut warnings);
    if config.strict && !warnings.is_empty() {
        return Err(warnings.into_iter().map(Diagnostic::into_error).collect());
    }
    Ok(Configured { plan, warnings })
}
