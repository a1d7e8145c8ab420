//! `opmeter run`: a sample mesh of two real Envoys, traffic through it, and its metrics.
//!
//! productpage -> client sidecar -> server sidecar -> ratings; both sidecars load the module.

mod bootstrap;
mod certificates;
pub mod http;
pub mod interrupt;
mod places;
mod proxy;
pub mod quantile;
mod report;
mod scrape;
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
use http::Http;
use interrupt::Interrupt;
use places::Places;
use proxy::Proxy;
use scrape::{Scrape, stats_url};

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
    /// Holds bootstraps, certificates and logs; removed at the end.
    _folder: tempfile::TempDir,
}

async fn demonstrate(args: &RunArgs) -> Result<Mesh> {
    let mesh = Mesh::start(args).await?;
    traffic::send(&mesh.http, mesh.places.client.traffic, args.rounds).await?;
    mesh.report(args.rounds * traffic::round_size()).await?;
    Ok(mesh)
}

// === impl Mesh ===

impl Mesh {
    async fn start(args: &RunArgs) -> Result<Self> {
        let envoy = existing(&args.envoy, "Envoy", "give its path with ENVOY=...")?;
        let module = existing(&args.module, "module", "build it with `make build`")?;
        let places = Places::new(&args.addresses);
        let mut bootstraps = [
            bootstrap::client(&args.bootstraps, &places, &module)?,
            bootstrap::server(&args.bootstraps, &places, &module)?,
        ];
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
        Ok(Self { places, http, client, server, _folder: folder })
    }

    /// Prints the report; an error when a proxy did not count exactly the requests sent.
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
            }
            eprintln!("\nstopping");
        }
        tokio::try_join!(self.client.stop(), self.server.stop())?;
        Ok(())
    }

    fn print_urls(&self) {
        let Places { client, server, .. } = self.places;
        println!("\nStill open until Ctrl-C:");
        println!(
            "  send requests    curl -i -H 'host: ratings:9080' http://{}/items",
            client.traffic
        );
        println!("  client metrics   {}", stats_url(client.stats));
        println!("  server metrics   {}", stats_url(server.stats));
        println!(
            "  readiness        http://{0}/healthz/ready http://{1}/healthz/ready",
            client.health, server.health
        );
        println!("  Envoy's admin    http://{} http://{}", client.admin, server.admin);
    }
}

fn is_complete(scrape: &Scrape, sent: u32) -> bool {
    [report::REQUESTS, report::DURATION_COUNT]
        .iter()
        .all(|name| scrape.total(name) >= f64::from(sent))
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
