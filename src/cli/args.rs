//! What a person can type. Nothing here touches the machine.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};

use crate::budget::BudgetArgs;
use crate::doctor::DoctorArgs;
use crate::examples;
use crate::explain::ExplainArgs;
use crate::generate::{CompletionsArgs, ManArgs};
use crate::lint::LintArgs;
use crate::openapi::OpenapiArgs;
use crate::package::PackageArgs;
use crate::render::RenderArgs;
use crate::schema::SchemaArgs;
use crate::top::{ScrapeArgs, TopArgs};

/// Linux answers on all of 127.0.0.0/8, so each sidecar gets an address and both keep Istio's ports. Elsewhere only 127.0.0.1
/// is there, and the server's ports move up.
const SERVER_ADDRESS: &str = if cfg!(target_os = "linux") { "127.0.0.2" } else { "127.0.0.1" };
const SERVER_SHIFT: u16 = if cfg!(target_os = "linux") { 0 } else { 100 };

/// Per-operation Istio metrics for any Envoy.
#[derive(Debug, Parser)]
#[command(name = "opmeter", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = examples::ALL)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a sample mesh of two real Envoys, send traffic through it and show the metrics
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Find what is wrong with configurations and manifests before a proxy gets them
    #[command(after_help = examples::LINT)]
    Lint(LintArgs),
    /// Tell what becomes of one request: its operation and why, every label, the metrics
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Make manifests and bootstraps from one small file; or tell what Telemetry resources come to
    #[command(after_help = examples::RENDER)]
    Render(RenderArgs),
    /// Make an image that Istio pulls out of the module, without Docker
    #[command(after_help = examples::PACKAGE)]
    Package(PackageArgs),
    /// Turn API descriptions into operations: OpenAPI documents, protobuf descriptor sets
    #[command(after_help = examples::OPENAPI)]
    Openapi(OpenapiArgs),
    /// Tell what a configuration costs: series and bytes per proxy, and in Prometheus
    #[command(after_help = examples::BUDGET)]
    Budget(BudgetArgs),
    /// Show the operations of running proxies once
    #[command(after_help = examples::SCRAPE)]
    Scrape(ScrapeArgs),
    /// Show the operations of running proxies live: rates, errors, durations
    #[command(after_help = examples::TOP)]
    Top(TopArgs),
    /// Tell why a running proxy has no metrics, or others than it should
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = examples::SCHEMA)]
    Schema(SchemaArgs),
    /// Print a script that completes this command's words in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write the manual pages
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
    /// Write the files of the repository that come from code, such as rules and dashboards
    #[command(hide = true)]
    Files(FilesArgs),
    /// Replace this process by a program that ends with its parent
    #[command(hide = true)]
    Guard(GuardArgs),
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The Envoy binary (`make -s envoy-path` prints one)
    #[arg(long, value_name = "PATH", env = "ENVOY")]
    pub envoy: PathBuf,
    /// The module both sidecars load
    #[arg(long, value_name = "PATH", default_value = "dist/opmeter.wasm")]
    pub module: PathBuf,
    /// Folder of client-sidecar.yaml and server-sidecar.yaml
    #[arg(long, value_name = "DIR", default_value = "envoy")]
    pub bootstraps: PathBuf,
    /// End after the report instead of waiting for Ctrl-C
    #[arg(long, env = "ONCE", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub once: bool,
    /// Mutual TLS between the two sidecars, with certificates made for this run
    #[arg(long, env = "MTLS", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub mtls: bool,
    /// Both directions in both sidecars, under one configuration, and calls both ways
    #[arg(long, env = "SHARED", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub shared: bool,
    /// A Prometheus to scrape both sidecars with (`make run PROMETHEUS=1` gets Debian's)
    #[arg(long, value_name = "PATH", env = "PROMETHEUS")]
    pub prometheus: Option<PathBuf>,
    /// Prometheus' configuration; its rule files lie beside it
    #[arg(long, value_name = "FILE", default_value = "envoy/prometheus/prometheus.yaml")]
    pub prometheus_config: PathBuf,
    /// Write a page about the run there (needs a Prometheus)
    #[arg(long, value_name = "FILE", env = "REPORT", requires = "prometheus")]
    pub report: Option<PathBuf>,
    /// Write pictures of the dashboards there, as SVG (needs a Prometheus)
    #[arg(long, value_name = "DIR", env = "PICTURES", requires = "prometheus")]
    pub pictures: Option<PathBuf>,
    /// How many times to send the mix of 20 requests
    #[arg(long, env = "ROUNDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    #[command(flatten)]
    pub addresses: AddressArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Addresses and ports")]
pub struct AddressArgs {
    /// Address of everything that belongs to the client
    #[arg(long, value_name = "IP", env, default_value = "127.0.0.1")]
    pub client_address: IpAddr,
    /// Outbound listener of the client sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15001)]
    pub client_port: u16,
    /// Inbound listener of the client sidecar, with --shared
    #[arg(long, value_name = "PORT", env, default_value_t = 15006 + SERVER_SHIFT)]
    pub client_inbound_port: u16,
    /// /stats/prometheus of the client sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15090)]
    pub client_stats_port: u16,
    /// Admin interface of the client sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15000)]
    pub client_admin_port: u16,
    /// /healthz/ready of the client sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15021)]
    pub client_health_port: u16,

    /// Address of everything that belongs to the server
    #[arg(long, value_name = "IP", env, default_value = SERVER_ADDRESS)]
    pub server_address: IpAddr,
    /// Inbound listener of the server sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15006)]
    pub server_port: u16,
    /// Outbound listener of the server sidecar, with --shared
    #[arg(long, value_name = "PORT", env, default_value_t = 15001 + SERVER_SHIFT)]
    pub server_outbound_port: u16,
    /// /stats/prometheus of the server sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15090 + SERVER_SHIFT)]
    pub server_stats_port: u16,
    /// Admin interface of the server sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15000 + SERVER_SHIFT)]
    pub server_admin_port: u16,
    /// /healthz/ready of the server sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 15021 + SERVER_SHIFT)]
    pub server_health_port: u16,
    /// The sample application behind the server sidecar
    #[arg(long, value_name = "PORT", env, default_value_t = 9080)]
    pub upstream_port: u16,
    /// Prometheus, on the client's address
    #[arg(long, value_name = "PORT", env, default_value_t = 9090)]
    pub prometheus_port: u16,
}

#[derive(Debug, Args)]
pub struct FilesArgs {
    /// The repository's root
    #[arg(default_value = ".")]
    pub root: PathBuf,
}

#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Process id of the parent
    pub parent: i32,
    /// Program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub program: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
