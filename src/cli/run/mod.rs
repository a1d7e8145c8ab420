//! `opmeter run`: a sample mesh of two real Envoys, traffic through it, and its metrics.
//!
//! productpage -> client sidecar -> server sidecar -> ratings; both sidecars load the module. With `--shared` ratings calls
//! productpage too.

mod bootstrap;
mod certificates;
mod demo;
pub mod http;
pub mod interrupt;
mod places;
mod prometheus;
mod proxy;
pub mod quantile;
mod report;
mod scrape;
mod shared;
mod traffic;
mod upstream;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::sleep;

use crate::args::RunArgs;
use bootstrap::Bootstrap;
use demo::Demo;
use http::Http;
use interrupt::Interrupt;
use opmeter_boards::draw::Span;
use places::Places;
use prometheus::Prometheus;
use proxy::Proxy;
use scrape::{Scrape, stats_url};
use traffic::Calls;

const INTERRUPTED: u8 = 130;
/// A request is counted just after its answer, a duration with the next flush.
const COUNT_LIMIT: Duration = Duration::from_secs(10);

/// Runs the sample until it is done (`--once`) or interrupted.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    // One thread: the proxies end with the thread that started them, and nothing here is busy.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let done = tokio::select! {
            done = demonstrate(args) => done?,
            () = interrupt.received() => {
                eprintln!("\ninterrupted");
                return Ok(ExitCode::from(INTERRUPTED));
            }
        };
        done.stay(args.once, &mut interrupt).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The sample mesh while it is up.
#[derive(Debug)]
struct Mesh {
    places: Places,
    http: Http,
    client: Proxy,
    server: Proxy,
    prometheus: Option<Prometheus>,
    /// Holds bootstraps, certificates and logs; removed at the end.
    _folder: tempfile::TempDir,
}

async fn demonstrate(args: &RunArgs) -> Result<Mesh> {
    let mesh = Mesh::start(args).await?;
    let start = demo::now()?;
    let sent = traffic::send(&mesh.http, &mesh.calls(), args.rounds).await?;
    let span = Span { start, end: demo::now()? };
    mesh.report(sent).await?;
    if let Some(prometheus) = &mesh.prometheus {
        let demo = Demo { http: &mesh.http, prometheus, span, sent, mtls: args.mtls };
        if let Some(file) = &args.report {
            demo.write_page(file).await?;
            println!("\nA page about this run: {}", file.display());
        }
        if let Some(folder) = &args.pictures {
            demo.write_pictures(folder).await?;
            println!("Pictures of the dashboards: {}", folder.display());
        }
    }
    Ok(mesh)
}

// === impl Mesh ===

impl Mesh {
    async fn start(args: &RunArgs) -> Result<Self> {
        let envoy = existing(&args.envoy, "Envoy", "give its path with ENVOY=...")?;
        let module = existing(&args.module, "module", "build it with `make build`")?;
        let prometheus = args.prometheus.as_deref().map(program_of_prometheus).transpose()?;
        let places = Places::new(&args.addresses, prometheus.is_some(), args.shared);
        let mut bootstraps = [
            bootstrap::client(&args.bootstraps, &places, &module)?,
            bootstrap::server(&args.bootstraps, &places, &module)?,
        ];
        if let Some(back) = &places.back {
            shared::share(&mut bootstraps, &places, back)
                .context("the sidecars cannot have both directions")?;
        }
        places.check_free()?;
        let folder = tempfile::Builder::new()
            .prefix("opmeter-")
            .tempdir()
            .context("cannot make a folder for this run")?;
        if args.mtls {
            certificates::secure(folder.path(), &mut bootstraps)?;
        }
        let [client, server] = write(folder.path(), &bootstraps)?;

        upstream::serve(places.upstream).await?;
        eprintln!("starting two sidecars");
        let http = Http::new();
        let mut server = Proxy::start(&envoy, "server sidecar", &server, places.server.admin)?;
        let mut client = Proxy::start(&envoy, "client sidecar", &client, places.client.admin)?;
        tokio::try_join!(server.wait_ready(&http), client.wait_ready(&http))?;
        let prometheus = match prometheus.zip(places.prometheus) {
            Some((program, address)) => {
                let config = &args.prometheus_config;
                let mut prometheus =
                    Prometheus::start(&program, config, folder.path(), &places, address)?;
                prometheus.process().wait_ready(&http).await?;
                prometheus.wait_scraping(&http).await?;
                Some(prometheus)
            }
            None => None,
        };
        Ok(Self { places, http, client, server, prometheus, _folder: folder })
    }

    /// Who calls whom.
    fn calls(&self) -> Vec<Calls> {
        let mut calls = vec![Calls { sidecar: self.places.client.traffic, host: "ratings:9080" }];
        let back = self.places.back;
        calls.extend(back.map(|b| Calls { sidecar: b.outbound, host: "productpage:9080" }));
        calls
    }

    /// Prints the report; an error when a proxy did not count exactly the requests sent, or does not know a peer.
    async fn report(&self, sent: u32) -> Result<()> {
        let (client, server) = self.counted(sent).await?;
        for (scrape, proxy) in [(&client, &self.client), (&server, &self.server)] {
            let none = scrape.named(report::REQUESTS).next().is_none();
            ensure!(
                !none,
                "the {} has no {}; its log ends with:\n{}",
                proxy.name(),
                report::REQUESTS,
                proxy.log_tail()
            );
        }
        println!(
            "{}",
            report::render(&[(self.client.name(), &client), (self.server.name(), &server)])
        );
        for (scrape, proxy) in [(&client, &self.client), (&server, &self.server)] {
            let counted = scrape.total(report::REQUESTS);
            ensure!(
                counted == f64::from(sent),
                "the {} counted {counted} of {sent} requests",
                proxy.name()
            );
            let unknown = scrape.named(report::REQUESTS).find(|sample| {
                ["source_workload", "destination_workload"]
                    .iter()
                    .any(|label| sample.label(label) == "unknown")
            });
            if let Some(sample) = unknown {
                bail!("the {} does not know a peer: {}", proxy.name(), sample.line);
            }
        }
        if let Some(prometheus) = &self.prometheus {
            prometheus.wait_for(&self.http, sent).await?;
            println!("\nPrometheus:{}", prometheus.tell(&self.http).await?);
        }
        Ok(())
    }

    /// Scrapes both proxies until they have everything, or for [`COUNT_LIMIT`].
    async fn counted(&self, sent: u32) -> Result<(Scrape, Scrape)> {
        let deadline = Instant::now() + COUNT_LIMIT;
        loop {
            let client = Scrape::fetch(&self.http, self.places.client.stats).await?;
            let server = Scrape::fetch(&self.http, self.places.server.stats).await?;
            let complete = [&client, &server].into_iter().all(|scrape| is_complete(scrape, sent));
            if complete || Instant::now() > deadline {
                return Ok((client, server));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Keeps the mesh up until it is interrupted, unless `once`.
    async fn stay(mut self, once: bool, interrupt: &mut Interrupt) -> Result<()> {
        if !once {
            self.print_urls();
            tokio::select! {
                () = interrupt.received() => {}
                ended = self.client.ended() => return ended,
                ended = self.server.ended() => return ended,
                ended = ended(self.prometheus.as_mut()) => return ended,
            }
            eprintln!("\nstopping");
        }
        if let Some(prometheus) = self.prometheus {
            prometheus.stop().await?;
        }
        tokio::try_join!(self.client.stop(), self.server.stop())?;
        Ok(())
    }

    fn print_urls(&self) {
        let Places { client, server, .. } = self.places;
        println!("\nStill open until Ctrl-C:");
        for Calls { sidecar, host } in self.calls() {
            println!("  send requests    curl -i -H 'host: {host}' http://{sidecar}/items");
        }
        println!("  client metrics   {}", stats_url(client.stats));
        println!("  server metrics   {}", stats_url(server.stats));
        println!(
            "  readiness        http://{0}/healthz/ready http://{1}/healthz/ready",
            client.health, server.health
        );
        println!("  Envoy's admin    http://{} http://{}", client.admin, server.admin);
        if let Some(prometheus) = &self.prometheus {
            println!("  Prometheus       {}", prometheus.url());
        }
    }
}

fn is_complete(scrape: &Scrape, sent: u32) -> bool {
    [report::REQUESTS, report::DURATION_COUNT]
        .iter()
        .all(|name| scrape.total(name) >= f64::from(sent))
}

/// Returns when there is one and it ends.
async fn ended(prometheus: Option<&mut Prometheus>) -> Result<()> {
    match prometheus {
        Some(prometheus) => prometheus.process().ended().await,
        None => std::future::pending().await,
    }
}

fn program_of_prometheus(path: &Path) -> Result<PathBuf> {
    existing(
        path,
        "Prometheus",
        "PROMETHEUS=1 gets Debian's, PROMETHEUS=/path/to/prometheus uses your own",
    )
}

fn existing(path: &Path, what: &str, remedy: &str) -> Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        _ => bail!("no {what} at {}; {remedy}", path.display()),
    }
}

fn write(folder: &Path, [client, server]: &[Bootstrap; 2]) -> Result<[PathBuf; 2]> {
    let files = [folder.join("client.json"), folder.join("server.json")];
    for (file, bootstrap) in files.iter().zip([client, server]) {
        fs::write(file, bootstrap.to_json()?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(files)
}
