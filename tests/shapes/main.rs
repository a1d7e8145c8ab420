//! Shapes of traffic, each through one chain of real proxies four times: without the module, with it as filter, with it as
//! access logger, and with two plugins as filters beside the access logger. See [`support::trio`] for the chain.
//!
//! Of each shape it is asserted that with the module
//!
//! - the client gets the same answer: status, headers, body, trailers, resets;
//! - the application gets the same requests: neither the exchange's headers nor any other are added or missing;
//! - the series are what the access log tells, by reporter, protocol, code, flags and gRPC status, bytes of connections too;
//! - as filter, with the exchange, the destination knows who asked, whoever answers;
//! - no metric of the module about itself that tells of errors or overflow rises.
//!
//! `cargo test --test shapes -- NAME` runs one, `-- resets::` a file, `-- --list` shows all.
//!
//! To add one, write a table into a file of this folder (`shapes/*.toml`; the file is the class): its name is the host that
//! the client asks for. `get = "/path"` is a plain request; `client` is a list of steps that write bytes
//! ([`shape::Step`]), `request` one of HTTP/2 or HTTP/3. `app` is what the application does, `out` and `in` are routes,
//! filters and clusters of the two proxies ([`support::trio::Settings`]), `listener` another one than `entry`. `rows` is
//! what has to be counted, by the rules and not by what came out: `reporter protocol code flags [grpc status]`. Codes and
//! flags are those of the pinned Envoy, whose access log is asserted too; `rewritten` tells that a filter behind the module
//! changes the content type.

mod app;
mod client;
mod http2;
mod http3;
mod run;
mod shape;
mod wire;

use libtest_mimic::{Arguments, Failed, Trial};
use run::Chain;
use shape::Shape;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use support::envoy;
use tokio::runtime::Runtime;

/// The chains, started by the first shape that runs. One shape runs at a time, so that what is counted is its own.
struct Shared {
    runtime: Runtime,
    shapes: Vec<Shape>,
    chains: Mutex<Started>,
}

/// Whether the chains run.
enum Started {
    Not,
    Failed(String),
    Running(Box<[Chain; 4]>),
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shapes");
    let shapes = shape::read_all(&folder).unwrap_or_else(|error| panic!("{error:#}"));
    let shared = Arc::new(Shared {
        runtime: Runtime::new().expect("a runtime"),
        shapes: shapes.iter().map(|(_, shape)| shape.clone()).collect(),
        chains: Mutex::new(Started::Not),
    });
    let trial = |(name, shape): (String, Shape)| {
        let shared = Arc::clone(&shared);
        Trial::test(name, move || shared.test(&shape))
    };
    let trials = shapes.into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    // What was started ends before the process does.
    drop(shared);
    conclusion.exit_code()
}

// === impl Shared ===

impl Shared {
    fn test(&self, shape: &Shape) -> Result<(), Failed> {
        let Some(binary) = envoy::binary()? else { return Ok(()) };
        let mut chains = self.chains.lock().map_err(|_| "another shape panicked")?;
        if matches!(*chains, Started::Not) {
            let started = self.runtime.block_on(Chain::start_all(&binary, &self.shapes));
            *chains = match started {
                Ok(running) => Started::Running(Box::new(running)),
                Err(error) => Started::Failed(run::cut(&format!("{error:#}"))),
            };
        }
        match &mut *chains {
            Started::Running(chains) => {
                let run = self.runtime.block_on(run::run(shape, chains));
                run.map_err(|error| format!("{error:#}").into())
            }
            Started::Failed(error) => Err(error.as_str().into()),
            Started::Not => Err("not started".into()),
        }
    }
}
