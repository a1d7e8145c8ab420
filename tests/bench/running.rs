//! Mounts that run side by side; each gets its slices of load in turn, and costs nothing meanwhile.

use crate::bootstrap;
use crate::load::Client;
use crate::mount::Mount;
use crate::progress::Progress;
use crate::proxy::Proxy;
use crate::traffic::Traffic;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Duration;

/// For the kernel to take down what a thread that went to sleep has used.
pub const ASLEEP: Duration = Duration::from_millis(2);

/// A mount's proxies and a client.
#[derive(Debug)]
pub struct Running<'a> {
    /// What runs.
    pub mount: &'a Mount,
    /// From the client to the answer.
    pub proxies: Vec<Proxy>,
    client: Client,
}

// === impl Running ===

impl<'a> Running<'a> {
    /// Starts the proxies of a mount.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn start(
        mount: &'a Mount,
        binary: &Path,
        workers: usize,
        traffic: &Traffic,
    ) -> Result<Self> {
        let mut proxies: Vec<Proxy> = Vec::new();
        for _ in 0..mount.hops {
            let next = proxies.first().map(|proxy| proxy.port);
            let proxy = Proxy::start(binary, workers, traffic, |port, admin| {
                bootstrap::build(mount, port, admin, next)
            });
            proxies.insert(0, proxy.with_context(|| mount.name.clone())?);
        }
        let client = Client::connect(proxies[0].port)?;
        Ok(Self { mount, proxies, client })
    }

    /// Sends so many requests.
    ///
    /// # Errors
    /// When one is not answered.
    pub fn send(&mut self, traffic: &Traffic, count: u64) -> Result<()> {
        self.client.send(traffic, count).with_context(|| self.name_and_log())
    }

    /// Sends each request once: CPU of all proxies per request, in microseconds.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn once(&mut self, traffic: &Traffic) -> Result<f64> {
        let before = self.cpu()?;
        let sent = self.client.send(traffic, traffic.len() as u64);
        sent.with_context(|| self.name_and_log())?;
        std::thread::sleep(ASLEEP);
        Ok((self.cpu()? - before).as_secs_f64() * 1e6 / traffic.len() as f64)
    }

    /// Sends requests until V8 has compiled what it wants to compile and all caches are warm, where there are any.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn warm_up(&mut self, traffic: &Traffic, time: Duration) -> Result<()> {
        if self.mount.counts() {
            self.once(traffic)?;
        }
        self.client.closed_loop(traffic, time)?;
        self.proxies.iter().try_for_each(Proxy::settle)
    }

    /// One slice of load: CPU of all proxies per request, in microseconds.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn slice(&mut self, traffic: &Traffic, time: Duration) -> Result<f64> {
        let before = self.cpu()?;
        let requests = self.client.closed_loop(traffic, time);
        let requests = requests.with_context(|| self.name_and_log())?;
        std::thread::sleep(ASLEEP);
        Ok((self.cpu()? - before).as_secs_f64() * 1e6 / requests as f64)
    }

    /// Latencies at a fixed rate, in microseconds.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn latencies(&mut self, traffic: &Traffic, rate: u32, time: Duration) -> Result<Vec<f64>> {
        self.client.open_loop(traffic, rate, time).with_context(|| self.name_and_log())
    }

    /// Fails unless every request was counted: a mount that does nothing would win.
    ///
    /// # Errors
    /// When counts differ.
    pub fn check(&self) -> Result<()> {
        for (index, proxy) in self.proxies.iter().enumerate().filter(|_| self.mount.counts()) {
            let counted = self.counted_by(proxy)?;
            // Each proxy was asked once when it started, and hands on what those before it were asked.
            let expected = self.client.answered + 1 + index as u64;
            ensure!(
                counted == expected,
                "{}: {counted} of {expected} requests were counted\n{}",
                self.mount.name,
                proxy.log()
            );
        }
        Ok(())
    }

    /// Whether anything was counted.
    ///
    /// # Errors
    /// When the proxy does not tell.
    pub fn counts(&self) -> Result<bool> {
        Ok(self.counted_by(&self.proxies[0])? > 0)
    }

    /// In how many series requests were counted.
    ///
    /// # Errors
    /// When the proxy does not tell.
    pub fn series(&self) -> Result<usize> {
        Ok(self.proxies[0].counted()?.1)
    }

    fn counted_by(&self, proxy: &Proxy) -> Result<u64> {
        Ok(proxy.counted().with_context(|| self.name_and_log())?.0)
    }

    /// Resident memory of all proxies, in bytes.
    ///
    /// # Errors
    /// When a proxy has ended.
    pub fn memory(&self) -> Result<f64> {
        let bytes = self.proxies.iter().map(Proxy::memory).sum::<Result<u64>>()?;
        Ok(bytes as f64)
    }

    fn cpu(&self) -> Result<Duration> {
        self.proxies.iter().map(Proxy::cpu).sum()
    }

    fn name_and_log(&self) -> String {
        let logs: Vec<String> = self.proxies.iter().map(Proxy::log).collect();
        format!("{}\n{}", self.mount.name, logs.join("\n"))
    }
}

/// CPU per request in each round, of each lane: a running mount, by its place, and what it is sent. The order turns around
/// from round to round, so that none always comes after the same neighbour.
///
/// # Errors
/// When a request is not answered.
pub fn rounds(
    count: usize,
    slice: Duration,
    lanes: &[(usize, &Traffic)],
    running: &mut [Running<'_>],
    progress: &Progress,
) -> Result<Vec<Vec<f64>>> {
    let mut samples = vec![Vec::with_capacity(count); lanes.len()];
    for round in 0..count {
        progress.step(&format!("round {} of {count}", round + 1));
        let mut order: Vec<usize> = (0..lanes.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for lane in order {
            let (index, traffic) = lanes[lane];
            samples[lane].push(running[index].slice(traffic, slice)?);
        }
    }
    Ok(samples)
}
